//! Which pages may use a service: those of our own origin, and those that an operator names.

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};

/// Who may use a service from a browser.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins {
    named: Vec<String>,
    any: bool,
}

impl Origins {
    /// Our own origin, and `named`; `*` stands for all.
    pub fn new(named: &[String]) -> Self {
        let any = named.iter().any(|origin| origin == "*");
        let named = named.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase());
        Self { named: named.collect(), any }
    }

    /// Everybody.
    pub const fn any() -> Self {
        Self { named: Vec::new(), any: true }
    }

    /// Whether a request may be served. One without an origin comes from no page of another site.
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        if self.any {
            return true;
        }
        let Ok(origin) = origin.to_str() else { return false };
        let origin = origin.to_ascii_lowercase();
        self.named.contains(&origin) || is_own(&origin, headers)
    }

    /// The origins that may frame our pages, as a source list of a policy.
    pub(crate) fn ancestors(&self) -> String {
        if self.any {
            return "*".to_owned();
        }
        let mut list = "'self'".to_owned();
        for origin in &self.named {
            list.push(' ');
            list.push_str(origin);
        }
        list
    }
}

/// Whether the page came from where the request goes to.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = uri.authority().map(Authority::as_str);
    // A proxy may end TLS before us, so that the scheme is not ours to compare.
    matches!((host, authority), (Some(host), Some(own)) if host.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "shop.example:8090".parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn our_own_pages_and_those_that_are_named_may() {
        let origins = Origins::new(&["https://Screens.example/".to_owned()]);
        for (origin, may) in [
            (None, true),
            (Some("http://shop.example:8090"), true),
            (Some("https://SHOP.example:8090"), true),
            (Some("https://screens.example"), true),
            (Some("http://screens.example"), false),
            (Some("http://shop.example"), false),
            (Some("http://shop.example:8090.evil.example"), false),
            (Some("null"), false),
            (Some("not an origin"), false),
        ] {
            assert_eq!(origins.allow(&headers(origin)), may, "{origin:?}");
            assert!(Origins::any().allow(&headers(origin)));
        }
    }
}

//! `Prefer: wait=N` (RFC 7240): the caller would rather wait for the outcome than ask again.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use crate::error::Refusal;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The longest wait, in seconds: well below the idle limits of proxies (60 s is usual).
const WAIT_S_MAX: u32 = 30;

/// How long the caller will wait, in whole seconds; 0 if not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    seconds: u32,
}

impl<S: Sync> FromRequestParts<S> for Wait {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self { seconds: seconds(&parts.headers) })
    }
}

/// A preference that cannot be read is no preference: RFC 7240 asks servers to ignore it.
fn seconds(headers: &HeaderMap) -> u32 {
    let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let preferences = values.flat_map(|value| value.split([',', ';']));
    let waits = preferences.filter_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        let is_wait = name.trim().eq_ignore_ascii_case("wait");
        is_wait.then(|| value.trim().trim_matches('"').parse().ok()).flatten()
    });
    waits.take(1).fold(0, u32::max).min(WAIT_S_MAX)
}

impl Wait {
    /// The wait in milliseconds.
    pub(crate) fn millis(self) -> u32 {
        self.seconds * 1_000
    }

    /// The wait as a span of time.
    pub(crate) fn span(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// Whether there is anything to wait for.
    pub(crate) fn is_wanted(self) -> bool {
        self.seconds > 0
    }

    /// Says on `response` that the preference was honoured.
    pub(crate) fn mark(self, response: &mut Response) {
        if !self.is_wanted() {
            return;
        }
        if let Ok(value) = HeaderValue::try_from(format!("wait={}", self.seconds)) {
            response.headers_mut().insert(PREFERENCE_APPLIED, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_and_capped() {
        for (value, expected) in [
            ("wait=5", 5),
            ("Wait = 5", 5),
            ("respond-async, wait=10", 10),
            ("wait=\"7\"", 7),
            ("wait=31", 30),
            ("wait=4000000000", 30),
            ("wait=5, wait=9", 5),
            ("wait=-1", 0),
            ("wait", 0),
            ("wait=soon", 0),
            ("return=minimal", 0),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(PREFER, HeaderValue::from_static(value));
            assert_eq!(seconds(&headers), expected, "{value}");
        }
    }
}

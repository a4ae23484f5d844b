//! Conditional requests: `ETag`, `If-Match`, `If-None-Match` (RFC 9110, section 13).
//!
//! The entity tag of a resource is its version in quotes, `"7"`, always strong.

use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use contracts::Problem;

use crate::error::Refusal;

/// The version that an edit may name: `None` accepts any.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct IfMatch(pub(crate) Option<u64>);

/// The version that an edit must name: `None` if it says `*`, any.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequiredIfMatch(pub(crate) Option<u64>);

/// What a caller has already seen.
#[derive(Debug)]
pub(crate) struct IfNoneMatch(Option<String>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self(match if_match(&parts.headers)? {
            Matching::Unsaid | Matching::Any => None,
            Matching::Version(version) => Some(version),
        }))
    }
}

impl<S: Sync> FromRequestParts<S> for RequiredIfMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        match if_match(&parts.headers)? {
            Matching::Any => Ok(Self(None)),
            Matching::Version(version) => Ok(Self(Some(version))),
            Matching::Unsaid => {
                let detail = "say which version this replaces: send If-Match with the ETag that \
                              GET answered, or If-Match: * to replace any";
                Err(Problem::precondition_required(detail).into())
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let value = parts.headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        Ok(Self(value.map(str::to_owned)))
    }
}

impl IfNoneMatch {
    /// Whether the caller says what it has.
    pub(crate) fn is_said(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the caller has version `version` already. Tags are compared weakly.
    pub(crate) fn has_seen(&self, version: u64) -> bool {
        let Some(value) = &self.0 else { return false };
        value.trim() == "*" || value.split(',').any(|seen| version_of(seen) == Some(version))
    }
}

/// What `If-Match` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matching {
    /// Nothing: it is not there.
    Unsaid,
    /// `*`.
    Any,
    /// One version.
    Version(u64),
}

fn if_match(headers: &HeaderMap) -> Result<Matching, Refusal> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(Matching::Unsaid) };
    let value = value.to_str().unwrap_or_default().trim();
    if value == "*" {
        return Ok(Matching::Any);
    }
    let is_one_tag = value.starts_with('"') && value.ends_with('"') && !value.contains(',');
    if !is_one_tag {
        let detail = format!(
            "If-Match must hold one strong entity tag such as \"7\", as GET answered it in ETag, \
             not {}",
            value.chars().take(80).collect::<String>()
        );
        return Err(Problem::malformed(detail).into());
    }
    // A tag that is no version of ours matches nothing: versions begin at 1.
    Ok(Matching::Version(version_of(value).unwrap_or(0)))
}

fn version_of(tag: &str) -> Option<u64> {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// Puts the entity tag of `version` on `response`.
pub(crate) fn tag(response: &mut Response, version: u64) {
    if let Ok(value) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, value);
    }
}

/// Tells the caller that nothing has changed.
pub(crate) fn not_modified(version: u64) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    tag(&mut response, version);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &'static str) -> Result<Matching, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, HeaderValue::from_static(value));
        if_match(&headers).map_err(|refusal| refusal.problem().status)
    }

    #[test]
    fn if_match_names_one_version_or_any() {
        for (value, version) in [
            ("\"7\"", Ok(Matching::Version(7))),
            ("*", Ok(Matching::Any)),
            ("\"not-ours\"", Ok(Matching::Version(0))),
            ("7", Err(400)),
            ("W/\"7\"", Err(400)),
            ("\"1\", \"2\"", Err(400)),
        ] {
            assert_eq!(read(value), version, "{value}");
        }
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), Matching::Unsaid);
    }

    #[test]
    fn a_version_that_was_seen_is_recognised_in_any_form() {
        for (value, seen) in [
            (Some("\"3\""), true),
            (Some("W/\"3\""), true),
            (Some("\"1\", \"3\""), true),
            (Some("*"), true),
            (Some("\"4\""), false),
            (Some("3"), false),
            (None, false),
        ] {
            assert_eq!(IfNoneMatch(value.map(str::to_owned)).has_seen(3), seen, "{value:?}");
        }
    }
}

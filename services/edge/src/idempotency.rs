//! `Idempotency-Key`: sending a mutating call again is safe.
//!
//! draft-ietf-httpapi-idempotency-key-header-07 makes the value a structured-field string. Both
//! forms in use are accepted, `"key"` and bare `key`; they mean the same key. The services
//! remember the first answer; the edge only reads the header and marks a replay.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use contracts::Problem;

use crate::error::Refusal;

/// The request header.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The response header that marks an answer given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key, in bytes: what the services store.
pub(crate) const KEY_BYTES_MAX: usize = 255;

/// The key of a request; empty if it has none.
#[derive(Debug, Default)]
pub(crate) struct Key(pub(crate) String);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        key(&parts.headers).map(Self)
    }
}

fn key(headers: &HeaderMap) -> Result<String, Refusal> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(String::new());
    };
    if values.next().is_some() {
        let detail = "there are several Idempotency-Key headers: send one";
        return Err(Problem::bad_idempotency_key(detail).into());
    }
    checked(unquoted(value.as_bytes())).map(str::to_owned)
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// Checks that `key` is 1 to 255 visible ASCII characters and no quotation mark.
pub(crate) fn checked(key: &[u8]) -> Result<&str, Refusal> {
    let is_visible = key.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'"');
    let text = std::str::from_utf8(key).unwrap_or_default();
    if text.is_empty() || key.len() > KEY_BYTES_MAX || !is_visible {
        let detail = format!(
            "an Idempotency-Key is 1 to {KEY_BYTES_MAX} visible ASCII characters without spaces or \
             quotation marks, such as a UUID; this one has {} bytes",
            key.len()
        );
        return Err(Problem::bad_idempotency_key(detail).into());
    }
    Ok(text)
}

/// Marks `response` if it repeats the answer to an earlier request.
pub(crate) fn mark(response: &mut Response, replayed: bool) {
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<String, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap());
        key(&headers).map_err(|refusal| refusal.problem().status)
    }

    #[test]
    fn a_key_may_be_quoted_or_bare() {
        let longest = "k".repeat(255);
        for (value, key) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("\"quoted\"", "quoted"),
            ("!~", "!~"),
            (longest.as_str(), longest.as_str()),
        ] {
            assert_eq!(read(value), Ok(key.to_owned()), "{value}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_stored_is_refused() {
        let too_long = "k".repeat(256);
        for value in ["", "\"\"", "two words", "half\"quoted", "\"", &too_long] {
            assert_eq!(read(value), Err(400), "{value}");
        }
    }

    #[test]
    fn no_header_means_no_key_and_two_are_refused() {
        let mut headers = HeaderMap::new();
        assert_eq!(key(&headers).unwrap(), "");
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("a"));
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("b"));
        assert_eq!(key(&headers).unwrap_err().problem().slug, "bad-idempotency-key");
    }
}

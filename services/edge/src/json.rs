//! Strict JSON: a body is read wholly or refused with the place and the cure, and written into one
//! buffer.

use std::error::Error as _;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use contracts::Problem;
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use crate::Edge;
use crate::error::Refusal;
use crate::problem::malformed_field;

use std::sync::Arc;

/// Holds most answers about one thing; an order with two lines takes about 900 bytes.
const ANSWER_BYTES: usize = 1_536;

/// A body that must be there.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A body that may be left out.
#[derive(Debug)]
pub(crate) struct OptionalJson<T>(pub(crate) T);

/// The bytes of a JSON body, for a handler that has more than one way to read them.
#[derive(Debug)]
pub(crate) struct JsonBytes(pub(crate) Bytes);

impl<T: DeserializeOwned> FromRequest<Arc<Edge>> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, edge: &Arc<Edge>) -> Result<Self, Refusal> {
        let JsonBytes(bytes) = JsonBytes::from_request(request, edge).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Arc<Edge>> for OptionalJson<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, edge: &Arc<Edge>) -> Result<Self, Refusal> {
        let is_json = is_json(request.headers());
        let bytes = collect(request, edge).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        is_json?;
        parse(&bytes).map(Self)
    }
}

impl FromRequest<Arc<Edge>> for JsonBytes {
    type Rejection = Refusal;

    async fn from_request(request: Request, edge: &Arc<Edge>) -> Result<Self, Refusal> {
        // The body is taken in before it is refused for its type: a connection that is closed over
        // unread bytes is reset, and the answer may be lost with it.
        let is_json = is_json(request.headers());
        let bytes = collect(request, edge).await?;
        is_json.map(|()| Self(bytes))
    }
}

/// The media type of a body, in lower case and without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    // The usual case costs a comparison.
    if headers.get(CONTENT_TYPE).is_some_and(|value| value == "application/json") {
        return Ok(());
    }
    let given = media_type(headers);
    if given == "application/json"
        || (given.starts_with("application/") && given.ends_with("+json"))
    {
        return Ok(());
    }
    Err(unsupported(&given, "application/json"))
}

/// A 415 that says what would be understood.
pub(crate) fn unsupported(given: &str, wanted: &str) -> Refusal {
    let given = if given.is_empty() { "no Content-Type" } else { given };
    let detail = format!("the body is sent with {given}: send Content-Type: {wanted}");
    Problem::unsupported_media(detail).with("supported", wanted).into()
}

/// A 413 that says how much is allowed.
pub(crate) fn too_large(limit: usize) -> Refusal {
    let detail = format!("the body is larger than {limit} bytes");
    Problem::too_large(detail).with("limitBytes", limit).into()
}

/// Refuses a body that announces more than `limit` bytes before any of it is read.
pub(crate) fn announced_within(headers: &HeaderMap, limit: usize) -> Result<(), Refusal> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let is_larger = announced.and_then(|text| text.parse().ok()).is_some_and(|n: usize| n > limit);
    if is_larger { Err(too_large(limit)) } else { Ok(()) }
}

async fn collect(request: Request, edge: &Edge) -> Result<Bytes, Refusal> {
    let limit = edge.settings.body_bytes_max;
    announced_within(request.headers(), limit)?;
    let reading = Limited::new(request.into_body(), limit).collect();
    match tokio::time::timeout(edge.body_timeout(), reading).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(cause)) if cause.is::<http_body_util::LengthLimitError>() => Err(too_large(limit)),
        Ok(Err(cause)) => {
            let detail = format!("the body broke off: {cause}");
            Err(Problem::malformed(detail).into())
        }
        Err(_) => {
            let detail = format!("the body took over {} s", edge.settings.body_timeout_s);
            Err(Problem::timeout(detail).into())
        }
    }
}

/// Reads a JSON text. Fast when it is right; when it is not, it is read once more to find where.
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(text).map_err(|cause| match cause.classify() {
        Category::Data => misfit::<T>(text, &cause),
        Category::Syntax | Category::Eof | Category::Io => broken(text, &cause),
    })
}

fn broken(text: &[u8], cause: &serde_json::Error) -> Refusal {
    if text.trim_ascii().is_empty() {
        return Problem::malformed("the body is empty: send a JSON object").into();
    }
    Problem::malformed(format!("this is not JSON: {cause}"))
        .with("line", cause.line())
        .with("column", cause.column())
        .into()
}

fn misfit<'a, T: Deserialize<'a>>(text: &'a [u8], cause: &serde_json::Error) -> Refusal {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let found = serde_path_to_error::deserialize::<_, T>(&mut reader).err();
    let mut pointer = found.as_ref().map(|found| pointer(found.path())).unwrap_or_default();
    let message = found.map_or_else(|| cause.to_string(), |found| found.into_inner().to_string());
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
    let code = code(message);
    // A field that is missing or given twice is named in the message only.
    if matches!(code, "missing" | "duplicate-field")
        && let Some(field) = message.split('`').nth(1)
    {
        pointer.push('/');
        pointer.push_str(&escaped(field));
    }
    let place = if pointer.is_empty() { "the body" } else { pointer.as_str() };
    malformed_field(&pointer, code, format!("{place}: {message}"))
}

fn code(message: &str) -> &'static str {
    let codes = [
        ("missing field", "missing"),
        ("unknown field", "unknown-field"),
        ("duplicate field", "duplicate-field"),
        ("unknown variant", "unknown-word"),
        ("invalid type", "wrong-type"),
    ];
    codes.iter().find(|(start, _)| message.starts_with(start)).map_or("invalid", |found| found.1)
}

/// A JSON Pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escaped(key),
            Segment::Enum { variant } => escaped(variant),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    pointer
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Answers `status` with `body` as JSON.
pub(crate) fn answer<T: Serialize>(status: StatusCode, body: &T) -> Result<Response, Refusal> {
    answer_of(status, body, ANSWER_BYTES)
}

/// Answers 200 with a body of about `bytes` bytes.
pub(crate) fn answer_of<T: Serialize>(
    status: StatusCode,
    body: &T,
    bytes: usize,
) -> Result<Response, Refusal> {
    let mut buffer = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut buffer, body).map_err(|cause| {
        let source = cause.source().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%cause, source, "an answer cannot be written");
        Refusal::from(Problem::internal("the answer cannot be written as JSON"))
    })?;
    let mut response = Response::new(Body::from(buffer));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Basket {
        #[serde(rename = "items")]
        _items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Item {
        #[serde(rename = "unitCount")]
        _count: i64,
    }

    fn refusal(text: &str) -> Problem {
        parse::<Basket>(text.as_bytes()).unwrap_err().into_problem()
    }

    #[test]
    fn a_field_at_fault_is_named_by_its_pointer() {
        for (text, pointer, code) in [
            (r#"{"items":[{"unitCount":1},{}]}"#, "/items/1/unitCount", "missing"),
            (r#"{"items":[{"unitCount":"1"}]}"#, "/items/0/unitCount", "wrong-type"),
            (r#"{"items":[{"unitCount":1.5}]}"#, "/items/0/unitCount", "wrong-type"),
            (r#"{"items":[{"unitCount":1,"x/y":2}]}"#, "/items/0/x~1y", "unknown-field"),
            (
                r#"{"items":[{"unitCount":1,"unitCount":2}]}"#,
                "/items/0/unitCount",
                "duplicate-field",
            ),
            (r#"{"items":{}}"#, "/items", "wrong-type"),
            (r#"{"items":[],"extra":1}"#, "/extra", "unknown-field"),
            ("{}", "/items", "missing"),
            ("17", "", "wrong-type"),
        ] {
            let problem = refusal(text);
            assert_eq!(
                (problem.status, problem.slug.as_str()),
                (400, "malformed-request"),
                "{text}"
            );
            assert_eq!(problem.errors[0].pointer, pointer, "{text}");
            assert_eq!(problem.errors[0].code, code, "{text}");
        }
    }

    #[test]
    fn broken_json_is_refused_with_line_and_column() {
        for (text, line, column) in
            [("{\"items\":\n  [}", 2, 4), ("{\"items\":[]} x", 1, 14), ("{\"items\":[", 1, 10)]
        {
            let problem = refusal(text);
            assert_eq!(problem.status, 400, "{text}");
            assert_eq!(problem.extra["line"], line, "{text}");
            assert_eq!(problem.extra["column"], column, "{text}");
        }
        assert!(refusal("  ").detail.contains("empty"));
        assert_eq!(refusal(&"[".repeat(100_000)).status, 400);
    }

    #[test]
    fn only_json_is_taken_for_json() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            is_json(&headers).map_err(|refusal| refusal.problem().status)
        };
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/ld+json"] {
            assert_eq!(with(good), Ok(()), "{good}");
        }
        for bad in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
            assert_eq!(with(bad), Err(415), "{bad}");
        }
        assert!(is_json(&HeaderMap::new()).is_err());
    }
}

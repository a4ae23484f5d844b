//! Renders refusals as RFC 9457 problem details.
//!
//! A handler's refusal travels outward inside the response, unrendered: only [`crate::limits`]
//! knows which request it answers.

use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use contracts::Problem;
use contracts::problem::FieldError;
use serde_json::{Map, Value};

use crate::error::Refusal;

/// The media type of every refusal.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// When to try again after a refusal for lack of room, in seconds. A queue that is full empties
/// within one group commit; a second spreads the callers out.
const RETRY_AFTER_S: &str = "1";

/// A refusal on its way out.
#[derive(Debug, Clone)]
pub(crate) struct Unrendered(Box<Problem>);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = self.into_problem();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(&problem);
        if problem.status == 413 {
            // The rest of the body is not read: the client is told not to send more on this
            // connection (HTTP/1.1; HTTP/2 ends the stream alone, and hyper drops the header).
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(Unrendered(Box::new(problem)));
        response
    }
}

fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Writes the body of a refusal, now that its request is known. Other responses pass untouched.
pub(crate) fn render(response: &mut Response, path: &str, request_id: &str) {
    let Some(Unrendered(problem)) = response.extensions_mut().remove::<Unrendered>() else {
        return;
    };
    // A full or missing part is told by metrics: a line for each caller would make it worse.
    if problem.status == 500 {
        tracing::error!(slug = problem.slug, detail = problem.detail, path, request_id, "refused");
    }
    let waits = matches!(problem.status, 429 | 503);
    let mut document = document(*problem);
    if let Value::Object(members) = &mut document {
        members.insert("instance".to_owned(), path.into());
        members.insert("requestId".to_owned(), request_id.into());
    }
    *response.body_mut() = Body::from(document.to_string());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    if waits {
        headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    }
}

/// The document of `problem`, its names in the style of the REST API: the services speak of
/// `customer_id` and `current_version`, JSON of `customerId` and `currentVersion`.
pub(crate) fn document(mut problem: Problem) -> Value {
    for error in &mut problem.errors {
        error.pointer = camel_case(&error.pointer);
    }
    let extra = std::mem::take(&mut problem.extra);
    problem.extra = extra
        .into_iter()
        .map(|(name, value)| (camel_case(&name), value))
        .collect::<Map<String, Value>>();
    problem.to_json(None)
}

/// `/lines/0/line_number` becomes `/lines/0/lineNumber`.
fn camel_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        match letter {
            '_' => raise = true,
            letter if raise => {
                text.extend(letter.to_uppercase());
                raise = false;
            }
            letter => text.push(letter),
        }
    }
    text
}

/// A 400 for one place in the body.
pub(crate) fn malformed_field(pointer: &str, code: &str, detail: String) -> Refusal {
    let error = FieldError::new(pointer, code, detail.clone());
    Problem::malformed(detail).with_error(error).into()
}

/// A 400 for one parameter of the query, named `?limit`.
pub(crate) fn malformed_parameter(name: &str, code: &str, detail: String) -> Refusal {
    malformed_field(&format!("?{name}"), code, detail)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use http_body_util::BodyExt as _;

    use super::*;

    fn rendered(problem: Problem) -> (Response, Value) {
        let mut response = Refusal::from(problem).into_response();
        render(&mut response, "/api/v1/orders", "r-1");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().now_or_never().unwrap().unwrap().to_bytes();
        let document = serde_json::from_slice(&bytes).unwrap();
        (Response::from_parts(parts, Body::empty()), document)
    }

    #[test]
    fn a_refusal_becomes_a_problem_document_that_names_its_request() {
        let problem = Problem::field("/customer_id", "unknown", "there is no customer `x`")
            .with("current_version", 7);
        let (response, document) = rendered(problem);
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(document["type"], "/problems/invalid-request");
        assert_eq!(document["errors"][0]["pointer"], "/customerId");
        assert_eq!(document["currentVersion"], 7);
        assert_eq!(document["instance"], "/api/v1/orders");
        assert_eq!(document["requestId"], "r-1");
        assert!(response.headers().get("retry-after").is_none());
    }

    #[test]
    fn who_meets_a_full_system_is_told_when_to_come_back() {
        let (response, _) = rendered(Problem::overloaded("4096 requests are being worked on"));
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "1");
    }

    #[test]
    fn an_impossible_status_is_an_internal_error() {
        let mut problem = Problem::internal("x");
        problem.status = 42;
        assert_eq!(rendered(problem).0.status(), 500);
    }
}

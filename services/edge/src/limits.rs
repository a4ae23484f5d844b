//! The outermost layer: request ids, slots, headers that every answer carries, and panics.
//!
//! It sits on the way of every order, so it allocates one request id and nothing else.

use std::hash::{BuildHasher as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use contracts::Problem;
use futures::FutureExt as _;
use telemetry::trace::{self, Span, TRACEPARENT};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::error::Refusal;
use crate::problem;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken over from the caller, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// What an answer of the API may do in a browser: nothing. Pages set their own.
const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Lets requests in while there is room, and names each of them.
pub(crate) struct Gate {
    slots: Semaphore,
    slots_max: usize,
    /// Differs from start to start, so that ids do too.
    prefix: u64,
    count: AtomicU64,
    answered: Answered,
}

/// Told of every answer but those to probes.
type Answered = Arc<dyn Fn(u16, Duration) + Send + Sync>;

impl Gate {
    /// A gate for `slots_max` requests at once.
    pub(crate) fn new(slots_max: usize, answered: Answered) -> Self {
        let prefix = std::hash::RandomState::new().build_hasher().finish();
        let slots = Semaphore::new(slots_max.min(Semaphore::MAX_PERMITS));
        Self { slots, slots_max, prefix, count: AtomicU64::new(0), answered }
    }

    /// The caller's id if it can be logged and sent back, else a new one.
    fn request_id(&self, headers: &HeaderMap) -> HeaderValue {
        let is_usable = |value: &&HeaderValue| {
            let bytes = value.as_bytes();
            (1..=REQUEST_ID_BYTES_MAX).contains(&bytes.len())
                && bytes.iter().all(u8::is_ascii_graphic)
        };
        if let Some(given) = headers.get(&X_REQUEST_ID).filter(is_usable) {
            return given.clone();
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:016x}", scattered(self.prefix.wrapping_add(count)));
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("unknown"))
    }
}

/// `SplitMix64`: neighbours in, strangers out, and never the same twice.
fn scattered(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Whether an operator must get through when nobody else does.
fn is_probe(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/startupz" | "/metrics")
}

/// Handles one request, from its first byte to the headers of its answer.
pub(crate) async fn outermost(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Response {
    name_host(&mut request);
    let request_id = gate.request_id(request.headers());
    let uri = request.uri().clone();
    let mut response = if is_probe(uri.path()) {
        guarded(request, next).await
    } else {
        let begun = Instant::now();
        let response = match gate.slots.try_acquire() {
            Ok(_slot) => traced(request, next).await,
            Err(_) => saturated(gate.slots_max).into_response(),
        };
        (gate.answered)(response.status().as_u16(), begun.elapsed());
        response
    };
    problem::render(&mut response, uri.path(), request_id.to_str().unwrap_or_default());
    // Pages of SockJS stand in frames; their own policy says in whose.
    let is_framed = response.extensions().get::<live::sockjs::Framed>().is_some();
    finish(response.headers_mut(), request_id);
    if is_framed {
        response.headers_mut().remove(X_FRAME_OPTIONS);
    }
    tracing::debug!(path = uri.path(), status = response.status().as_u16(), "answered");
    response
}

/// A request is a step of its caller's trace, or begins one; it ends with the headers of the answer.
async fn traced(request: Request, next: Next) -> Response {
    let given = request.headers().get(TRACEPARENT);
    if given.is_none() && !trace::is_on() {
        return guarded(request, next).await;
    }
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let name = || format!("{} {route}", request.method()).trim_end().to_owned();
    let given = given.and_then(|value| value.to_str().ok());
    let (context, mut span) = Span::answering("edge", given, name);
    if let Some(span) = &mut span {
        span.set("http.request.method", request.method().to_string());
        span.set("http.route", route.to_owned());
        span.set("url.path", request.uri().path().to_owned());
    }
    let response = trace::within(context, guarded(request, next)).await;
    if let Some(span) = &mut span {
        let status = response.status();
        span.set("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.fail(status);
        }
    }
    response
}

/// A request of HTTP/2 says where it goes in `:authority` and needs no `Host`: whoever compares the two
/// finds it under the older name as well.
fn name_host(request: &mut Request) {
    if request.headers().contains_key(HOST) {
        return;
    }
    let authority = request.uri().authority().map(axum::http::uri::Authority::as_str);
    if let Some(host) = authority.and_then(|authority| HeaderValue::from_str(authority).ok()) {
        request.headers_mut().insert(HOST, host);
    }
}

/// A panic ends its request and nothing else.
async fn guarded(request: Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("a request panicked");
        Refusal::from(Problem::internal("the request could not be finished")).into_response()
    })
}

fn saturated(slots_max: usize) -> Refusal {
    let detail = format!("{slots_max} requests are being worked on; try again in a moment");
    Problem::overloaded(detail).into()
}

fn finish(headers: &mut HeaderMap, request_id: HeaderValue) {
    headers.insert(X_REQUEST_ID, request_id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(API_POLICY));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(gate: &Gate, given: Option<&'static [u8]>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(given) = given {
            headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(given).unwrap());
        }
        gate.request_id(&headers).to_str().unwrap().to_owned()
    }

    #[test]
    fn where_a_request_goes_is_known_by_one_name_in_both_versions_of_http() {
        let host = |uri: &str, given: Option<&str>| {
            let mut request = axum::http::Request::builder().uri(uri);
            if let Some(given) = given {
                request = request.header(HOST, given);
            }
            let mut request = request.body(axum::body::Body::empty()).unwrap();
            name_host(&mut request);
            request.headers().get(HOST).map(|host| host.to_str().unwrap().to_owned())
        };
        let shop = Some("shop.example:8090".to_owned());
        assert_eq!(host("http://shop.example:8090/x", None), shop);
        assert_eq!(host("/x", Some("shop.example:8090")), shop);
        assert_eq!(host("http://other/x", Some("shop.example:8090")), shop, "what is said stays");
        assert_eq!(host("/x", None), None);
    }

    #[test]
    fn a_usable_request_id_is_kept_and_another_is_made_otherwise() {
        let gate = Gate::new(1, Arc::new(|_, _| {}));
        assert_eq!(id_for(&gate, Some(b"trace-7/3")), "trace-7/3");
        let made: Vec<_> = [None, Some(b"two words".as_slice()), Some(b"\xff".as_slice())]
            .into_iter()
            .map(|given| id_for(&gate, given))
            .collect();
        assert!(made.iter().all(|id| id.len() == 16), "{made:?}");
        assert!(made[0] != made[1] && made[1] != made[2]);
    }
}

//! Every path of the service: which transport, which method, which headers.

use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Request};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW,
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, ETAG, EXPIRES,
    IF_NONE_MATCH, ORIGIN, SET_COOKIE, UPGRADE, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, Limited};

use super::session::Sessions;
use super::socket::{self, Framing};
use super::transport::{self, Transport};
use super::{frame, pages};

const NEVER: HeaderValue =
    HeaderValue::from_static("no-store, no-cache, no-transform, must-revalidate, max-age=0");
const FOR_A_YEAR: HeaderValue = HeaderValue::from_static("public, max-age=31536000");
const YEAR_S: HeaderValue = HeaderValue::from_static("31536000");
/// Far enough that no cache asks again: what the protocol's tests accept as "a year or so".
const EXPIRES_LATE: HeaderValue = HeaderValue::from_static("Thu, 31 Dec 2037 23:55:55 GMT");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");
const SESSION_COOKIE: &str = "JSESSIONID";

/// Marks an answer that may stand in a frame: whoever forbids that for all answers must not here.
#[derive(Debug, Clone, Copy)]
pub struct Framed;

/// Everything below the service's prefix.
pub fn routes(sessions: Sessions) -> Router {
    Router::new().fallback(move |request: Request| {
        let sessions = sessions.clone();
        async move { handle(&sessions, request).await }
    })
}

fn respond(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
}

fn text(status: StatusCode, body: &'static str) -> Response {
    let mut response = respond(status, body);
    response.headers_mut().insert(CONTENT_TYPE, PLAIN);
    response
}

fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "Not found: SockJS has nothing at this path.\n")
}

fn only(methods: &'static str) -> Response {
    let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, Body::empty());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

async fn handle(sessions: &Sessions, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix(sessions.options.prefix.as_str()).unwrap_or_default();
    let path = path.to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let is_part = |part: &&str| !part.is_empty() && !part.contains('.');
    match segments.as_slice() {
        [] | [""] => greeting(&parts.method),
        ["info"] => info(sessions, &parts),
        ["websocket"] => upgrade(sessions, parts, Framing::Raw).await,
        [page] if is_iframe(page) => iframe(sessions, &parts),
        [server, session, transport] if is_part(server) && is_part(session) => {
            let (session, transport) = ((*session).to_owned(), (*transport).to_owned());
            session_request(sessions, parts, body, &session, &transport).await
        }
        _ => not_found(),
    }
}

fn greeting(method: &Method) -> Response {
    match *method {
        Method::GET | Method::HEAD => text(StatusCode::OK, "Welcome to SockJS!\n"),
        _ => only("GET"),
    }
}

/// What the base of a service answers.
pub fn welcome() -> Response {
    greeting(&Method::GET)
}

/// `iframe.html`, and the same with a version: `iframe-1.6.1.html`.
fn is_iframe(page: &str) -> bool {
    let version = page.strip_prefix("iframe").and_then(|page| page.strip_suffix(".html"));
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    version.is_some_and(|version| version.bytes().all(is_plain))
}

fn iframe(sessions: &Sessions, parts: &Parts) -> Response {
    let Some(client_url) = &sessions.options.client_url else { return not_found() };
    if parts.method != Method::GET {
        return only("GET");
    }
    let page = pages::iframe(client_url);
    let tag = format!("\"{}\"", &blake3::hash(page.as_bytes()).to_hex()[..32]);
    let seen = parts.headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if seen == Some(tag.as_str()) {
        respond(StatusCode::NOT_MODIFIED, Body::empty())
    } else {
        let mut response = respond(StatusCode::OK, page);
        let html = HeaderValue::from_static("text/html; charset=UTF-8");
        response.headers_mut().insert(CONTENT_TYPE, html);
        response
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, FOR_A_YEAR);
    headers.insert(EXPIRES, EXPIRES_LATE);
    framed(&mut response, sessions, client_url);
    response
}

/// What a page of ours in a frame may do: its own script, the client's script, and requests to us.
fn framed(response: &mut Response, sessions: &Sessions, client_url: &str) {
    let ancestors = sessions.options.origins.ancestors();
    let policy = format!(
        "default-src 'none'; script-src 'unsafe-inline' 'self' {client_url}; connect-src 'self'; \
         frame-src 'self'; frame-ancestors {ancestors}"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response.extensions_mut().insert(Framed);
}

/// A number that proxies have not seen: the entropy that clients seed their ids with.
fn entropy() -> u32 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let seed = std::hash::RandomState::new().build_hasher().finish();
    u32::try_from(seed & u64::from(u32::MAX)).unwrap_or(0)
}

fn info(sessions: &Sessions, parts: &Parts) -> Response {
    let options = &sessions.options;
    let mut response = match parts.method {
        Method::OPTIONS => preflight(&parts.headers, "OPTIONS, GET"),
        Method::GET => {
            let (websocket, cookie) = (options.websocket, options.cookie_needed);
            let body = format!(
                r#"{{"websocket":{websocket},"origins":["*:*"],"cookie_needed":{cookie},"entropy":{}}}"#,
                entropy()
            );
            let mut response = respond(StatusCode::OK, body);
            let json = HeaderValue::from_static("application/json; charset=UTF-8");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response.headers_mut().insert(CACHE_CONTROL, NEVER);
            response
        }
        _ => return only("OPTIONS, GET"),
    };
    cross_origin(sessions, &parts.headers, &mut response);
    response
}

fn preflight(asked: &HeaderMap, methods: &'static str) -> Response {
    let mut response = respond(StatusCode::NO_CONTENT, Body::empty());
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, FOR_A_YEAR);
    headers.insert(EXPIRES, EXPIRES_LATE);
    headers.insert(ACCESS_CONTROL_MAX_AGE, YEAR_S);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    if let Some(wanted) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    response
}

/// Lets pages of allowed origins read the answer.
fn cross_origin(sessions: &Sessions, asked: &HeaderMap, response: &mut Response) {
    if !sessions.options.origins.allow(asked) {
        return;
    }
    let headers = response.headers_mut();
    match asked.get(ORIGIN) {
        Some(origin) => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        None => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
    }
    headers.insert(VARY, HeaderValue::from_static("Origin"));
}

/// Keeps the session with the server that a load balancer chose for it.
fn cookie(sessions: &Sessions, asked: &HeaderMap, response: &mut Response) {
    if !sessions.options.cookie_needed {
        return;
    }
    let given = asked.get(COOKIE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let value = given.split(';').find_map(|one| {
        let (name, value) = one.trim().split_once('=')?;
        let is_usable = name == SESSION_COOKIE && value.bytes().all(is_plain);
        is_usable.then_some(value)
    });
    let value = format!("{SESSION_COOKIE}={}; Path=/", value.unwrap_or("dummy"));
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
}

fn forbidden() -> Response {
    let detail = "This origin may not use the service: an operator must name it in the setting \
                  `edge.live.origins`.\n";
    text(StatusCode::FORBIDDEN, detail)
}

fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
}

async fn upgrade(sessions: &Sessions, mut parts: Parts, framing: Framing) -> Response {
    if !sessions.options.websocket {
        return not_found();
    }
    if parts.method != Method::GET {
        return only("GET");
    }
    if !has_word(&parts.headers, &UPGRADE, "websocket") {
        return text(StatusCode::BAD_REQUEST, "Can \"Upgrade\" only to \"WebSocket\".");
    }
    if !has_word(&parts.headers, &CONNECTION, "upgrade") {
        return text(StatusCode::BAD_REQUEST, "\"Connection\" must be \"Upgrade\".");
    }
    if !sessions.options.origins.allow(&parts.headers) {
        return forbidden();
    }
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => {
            let protocols = sessions.options.protocols.iter().copied();
            socket::upgrade_options(upgrade).protocols(protocols)
        }
        Err(refused) => return refused.into_response(),
    };
    let sessions = sessions.clone();
    upgrade.on_upgrade(move |socket| async move {
        let spawn = std::sync::Arc::clone(&sessions.service.spawn);
        spawn(Box::pin(socket::serve(sessions, socket, framing)));
    })
}

async fn session_request(
    sessions: &Sessions,
    parts: Parts,
    body: Body,
    session: &str,
    transport: &str,
) -> Response {
    let methods = match transport {
        "websocket" => return upgrade(sessions, parts, Framing::Sockjs).await,
        "xhr" | "xhr_streaming" | "xhr_send" => "OPTIONS, POST",
        "eventsource" | "htmlfile" => "OPTIONS, GET",
        _ => return not_found(),
    };
    if !sessions.options.origins.allow(&parts.headers) {
        return forbidden();
    }
    let mut response = if parts.method == Method::OPTIONS {
        preflight(&parts.headers, methods)
    } else if !methods.ends_with(parts.method.as_str()) {
        return only(methods);
    } else {
        let mut response = match transport {
            "xhr_send" => send(sessions, session, body).await,
            "xhr" => fetch(sessions, session, Transport::Xhr).await,
            "xhr_streaming" => fetch(sessions, session, Transport::XhrStreaming).await,
            "eventsource" => fetch(sessions, session, Transport::EventSource).await,
            _ => htmlfile(sessions, session, &parts).await,
        };
        response.headers_mut().insert(CACHE_CONTROL, NEVER);
        response
    };
    cross_origin(sessions, &parts.headers, &mut response);
    cookie(sessions, &parts.headers, &mut response);
    response
}

/// Takes messages of the client.
async fn send(sessions: &Sessions, session: &str, body: Body) -> Response {
    // The body is taken in before the session is looked for: a connection that is closed over unread
    // bytes is reset.
    let body = match Limited::new(body, sessions.options.body_bytes_max).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return text(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.\n"),
    };
    let Some(session) = sessions.get(session) else { return not_found() };
    let messages = match frame::parse_array(&body) {
        Ok(messages) => messages,
        Err(error) => return respond(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    for message in messages {
        if session.hear(message).await.is_err() {
            return not_found();
        }
    }
    let mut response = respond(StatusCode::NO_CONTENT, Body::empty());
    response.headers_mut().insert(CONTENT_TYPE, PLAIN);
    response
}

/// Brings messages to the client.
async fn fetch(sessions: &Sessions, session: &str, transport: Transport) -> Response {
    let Some(session) = sessions.get_or_open(session) else {
        let detail = "Too many sessions: come back in a moment.\n";
        return text(StatusCode::SERVICE_UNAVAILABLE, detail);
    };
    match session.attach() {
        Some(receiver) => transport::answer(transport, receiver, &sessions.options).await,
        None => transport::refuse(&transport, &frame::close(2010, "Another connection still open")),
    }
}

async fn htmlfile(sessions: &Sessions, session: &str, parts: &Parts) -> Response {
    let query = parts.uri.query().unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut callbacks = pairs.filter(|(name, _)| matches!(*name, "c" | "callback"));
    let Some((_, callback)) = callbacks.next().filter(|(_, callback)| !callback.is_empty()) else {
        return respond(StatusCode::INTERNAL_SERVER_ERROR, "\"callback\" parameter required");
    };
    if !pages::is_callback(callback) {
        return respond(StatusCode::INTERNAL_SERVER_ERROR, "invalid \"callback\" parameter");
    }
    let transport = Transport::HtmlFile(callback.to_owned());
    let mut response = fetch(sessions, session, transport).await;
    framed(&mut response, sessions, "");
    response
}

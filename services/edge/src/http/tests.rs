//! The router without any service behind it: what needs none, and what never reaches one.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{Request, Response, StatusCode};
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tonic::Status;
use tower::ServiceExt as _;

use super::*;
use crate::{Hooks, Part, Process, Readiness, Services, Settings};

/// Services that are not there.
fn absent() -> Services {
    let nobody = rpc::Transport::in_process(tower::service_fn(|_| async {
        Ok(Status::unavailable("nobody is here").into_http())
    }));
    Services {
        orders: contracts_grpc::v1::orders_client::OrdersClient::new(nobody.clone()),
        inventory: contracts_grpc::v1::inventory_client::InventoryClient::new(nobody.clone()),
        catalog: contracts_grpc::v1::catalog_client::CatalogClient::new(nobody.clone()),
        customers: contracts_grpc::v1::customers_client::CustomersClient::new(nobody.clone()),
        payments: contracts_grpc::v1::payments_client::PaymentsClient::new(nobody.clone()),
        notifications: contracts_grpc::v1::notifications_client::NotificationsClient::new(nobody),
    }
}

fn hooks(is_ready: bool) -> Hooks {
    let readiness = move || Readiness {
        started: true,
        ready: is_ready,
        parts: vec![Part { name: "store".into(), ok: is_ready, detail: "open".into() }],
    };
    Hooks {
        answered: Arc::new(|_, _| {}),
        metrics: Arc::new(|| "orders_placed_total 7\n".to_owned()),
        started: Arc::new(readiness),
        ready: Arc::new(move || async move { readiness() }.boxed()),
        processes: Arc::new(|| async { vec![silent()] }.boxed()),
        audit: Arc::new(|| async { Ok(json!({"violations": []})) }.boxed()),
    }
}

/// A process that does not answer.
fn silent() -> Process {
    Process {
        services: vec!["order".into()],
        version: String::new(),
        readiness: Readiness::default(),
        metrics: std::collections::BTreeMap::new(),
    }
}

fn edge(settings: Settings) -> Router {
    crate::router(absent(), settings, hooks(true), live(), None)
}

/// Live push that hears nothing.
fn live() -> crate::Live {
    let nothing: crate::ReadLog = Arc::new(|_| async { Ok(Vec::new()) }.boxed());
    crate::Live::new(
        crate::LiveSettings::default(),
        nothing,
        Arc::new(contracts::clock::SystemClock),
        telemetry::Tasks::default(),
    )
}

struct Answered {
    status: u16,
    headers: axum::http::HeaderMap,
    body: Vec<u8>,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The slug of the problem that this must be.
    fn slug(&self) -> String {
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert!(problem["requestId"].is_string() && problem["instance"].is_string(), "{problem}");
        problem["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned()
    }
}

async fn send(router: Router, request: Request<Body>) -> Answered {
    let response: Response<Body> = router.oneshot(request).await.unwrap();
    let (parts, mut body) = response.into_parts();
    if parts.headers.get(CONTENT_TYPE).is_some_and(|found| found == "text/event-stream") {
        // A stream goes on: its first piece is enough to see that it is there.
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let (status, headers) = (parts.status.as_u16(), parts.headers);
        return Answered { status, headers, body: first.to_vec() };
    }
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answered { status: parts.status.as_u16(), headers: parts.headers, body }
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut built = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        built = built.header(*name, *value);
    }
    built.body(Body::from(body.to_owned())).unwrap()
}

async fn ask(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
    send(edge(Settings::default()), request(method, path, headers, body)).await
}

const JSON: (&str, &str) = ("content-type", "application/json");
const ORDER: &str = r#"{"customerId":"c","lines":[{"sku":"item1","quantity":1}]}"#;

/// Method, path, headers and body; status and slug.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);

#[tokio::test]
async fn what_never_reaches_a_service_is_refused_as_a_problem() {
    let id = "/api/v1/orders/019aa68e-7c6d-7000-8000-000000000001";
    let cases: [Case<'_>; 24] = [
        ("GET", "/nothing", &[], "", 404, "not-found"),
        ("GET", "/api/v1/nothing", &[], "", 404, "not-found"),
        ("DELETE", "/api/v1/orders", &[], "", 405, "method-not-allowed"),
        ("OPTIONS", "/api/v1/orders", &[], "", 405, "method-not-allowed"),
        ("GET", "/api/v1/orders/not-an-id", &[], "", 404, "not-found"),
        ("GET", "/api/v1/orders/f5b8c0de-0000-4000-8000-000000000000", &[], "", 404, "not-found"),
        ("GET", "/api/v1/stock/two%20words", &[], "", 404, "not-found"),
        ("GET", "/api/v1/stock/%ff", &[], "", 404, "not-found"),
        ("GET", "/api/v1/orders?limit=1000", &[], "", 400, "malformed-request"),
        ("GET", "/api/v1/orders?state=placed", &[], "", 400, "malformed-request"),
        ("GET", "/api/v1/orders?cursor=%22", &[], "", 400, "bad-cursor"),
        ("POST", "/api/v1/orders", &[], ORDER, 415, "unsupported-media-type"),
        (
            "POST",
            "/api/v1/orders",
            &[("content-type", "text/plain")],
            ORDER,
            415,
            "unsupported-media-type",
        ),
        ("POST", "/api/v1/orders", &[JSON], "", 400, "malformed-request"),
        ("POST", "/api/v1/orders", &[JSON], "{\"customerId\":", 400, "malformed-request"),
        ("POST", "/api/v1/orders", &[JSON], r#"{"customerId":"c"}"#, 400, "malformed-request"),
        (
            "POST",
            "/api/v1/orders",
            &[JSON],
            r#"{"customerId":"c","lines":[]}"#,
            422,
            "invalid-request",
        ),
        (
            "POST",
            "/api/v1/orders",
            &[JSON, ("idempotency-key", "a b")],
            ORDER,
            400,
            "bad-idempotency-key",
        ),
        ("POST", "/api/v1/orders:batch", &[JSON], ORDER, 415, "unsupported-media-type"),
        ("POST", &format!("{id}/cancel"), &[JSON], r#"{"reason":" "}"#, 422, "invalid-request"),
        (
            "POST",
            &format!("{id}/cancel"),
            &[JSON, ("if-match", "7")],
            r#"{"reason":"x"}"#,
            400,
            "malformed-request",
        ),
        ("PUT", "/api/v1/products/item1", &[JSON], "{}", 428, "precondition-required"),
        ("DELETE", "/api/v1/customers/c", &[], "", 428, "precondition-required"),
        ("POST", "/orders", &[JSON], "{}", 400, "malformed-request"),
    ];
    for (method, path, headers, body, status, slug) in cases {
        let answered = ask(method, path, headers, body).await;
        assert_eq!(
            (answered.status, answered.slug().as_str()),
            (status, slug),
            "{method} {path} {body}"
        );
    }
}

#[tokio::test]
async fn a_method_that_is_not_allowed_is_answered_with_those_that_are() {
    let answered = ask("DELETE", "/api/v1/orders", &[], "").await;
    let allowed = answered.headers[ALLOW].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_it_says_so_or_not() {
    let settings = Settings { body_bytes_max: 64, ..Settings::default() };
    let long = format!("{{\"customerId\":\"{}\"}}", "x".repeat(100));
    let announced = request("POST", "/api/v1/orders", &[JSON, ("content-length", "119")], &long);
    assert_eq!(send(edge(settings.clone()), announced).await.slug(), "body-too-large");
    let silent = request("POST", "/api/v1/orders", &[JSON], &long);
    let answered = send(edge(settings), silent).await;
    assert_eq!((answered.status, answered.json()["limitBytes"].as_u64()), (413, Some(64)));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_503_with_a_time_to_come_back() {
    for (method, path) in [("POST", "/api/v1/orders"), ("GET", "/api/v1/stock/item1")] {
        let answered = ask(method, path, &[JSON], ORDER).await;
        assert_eq!((answered.status, answered.slug().as_str()), (503, "unavailable"), "{path}");
        assert_eq!(answered.headers["retry-after"], "1");
    }
}

#[tokio::test]
async fn every_answer_has_an_id_and_the_headers_of_safety() {
    for (path, given) in [("/api/v1/health", "trace-9"), ("/nothing", "trace-9"), ("/", "")] {
        let answered = ask("GET", path, &[("x-request-id", given)], "").await;
        let id = answered.headers["x-request-id"].to_str().unwrap();
        assert!(id == given || (given.is_empty() && id.len() == 16), "{path}: {id}");
        assert_eq!(answered.headers["x-content-type-options"], "nosniff", "{path}");
        assert!(answered.headers.contains_key("content-security-policy"), "{path}");
        assert!(answered.headers.contains_key("cache-control"), "{path}");
    }
}

#[tokio::test]
async fn a_full_house_lets_in_nobody_but_probes() {
    let settings = Settings { requests_in_flight_max: 0, ..Settings::default() };
    for (path, status) in
        [("/api/v1/health", 503), ("/", 503), ("/livez", 200), ("/readyz", 200), ("/metrics", 200)]
    {
        let answered = send(edge(settings.clone()), request("GET", path, &[], "")).await;
        assert_eq!(answered.status, status, "{path}");
        if status == 503 {
            assert_eq!(answered.slug(), "overloaded");
            assert_eq!(answered.headers["retry-after"], "1");
        }
    }
}

#[tokio::test]
async fn probes_say_what_the_hooks_say() {
    for is_ready in [true, false] {
        let ready = Arc::new(AtomicBool::new(is_ready));
        let router = crate::router(
            absent(),
            Settings::default(),
            hooks(ready.load(Ordering::SeqCst)),
            live(),
            None,
        );
        let expected = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let answered = send(router.clone(), request("GET", "/readyz", &[], "")).await;
        assert_eq!(answered.status, expected.as_u16());
        assert_eq!(
            answered.json()["parts"][0],
            json!({"name": "store", "ok": is_ready, "detail": "open"})
        );
        assert_eq!(send(router.clone(), request("GET", "/startupz", &[], "")).await.status, 200);
        let health = send(router, request("GET", "/api/v1/health", &[], "")).await;
        assert_eq!(health.json()["status"], if is_ready { "ready" } else { "not_ready" });
        assert_eq!(health.json()["processes"][0]["status"], "unreachable");
    }
    let metrics = ask("GET", "/metrics", &[], "").await;
    assert_eq!(metrics.body, b"orders_placed_total 7\n");
    let audit = ask("POST", "/api/v1/audit", &[], "").await;
    assert_eq!(audit.json(), json!({"violations": []}));
}

#[tokio::test]
async fn a_part_that_does_not_work_degrades_what_can_be_served_all_the_same() {
    let mut hooks = hooks(true);
    hooks.ready = Arc::new(|| {
        let part = Part { name: "payment".into(), ok: false, detail: "does not answer".into() };
        let readiness = Readiness { started: true, ready: true, parts: vec![part] };
        async { readiness }.boxed()
    });
    let router = crate::router(absent(), Settings::default(), hooks, live(), None);
    let answered = send(router, request("GET", "/readyz", &[], "")).await;
    assert_eq!((answered.status, &answered.json()["status"]), (200, &json!("degraded")));
}

#[tokio::test]
async fn a_panic_ends_one_request_and_is_told_as_a_problem() {
    let mut hooks = hooks(true);
    hooks.metrics = Arc::new(|| panic!("a metric is broken"));
    let router = crate::router(absent(), Settings::default(), hooks, live(), None);
    let answered = send(router.clone(), request("GET", "/metrics", &[], "")).await;
    assert_eq!((answered.status, answered.slug().as_str()), (500, "internal-error"));
    assert_eq!(send(router, request("GET", "/livez", &[], "")).await.status, 200);
}

#[tokio::test]
async fn an_upload_gets_one_verdict_for_each_line_in_their_sequence() {
    let settings =
        Settings { batch_line_bytes_max: 100, batch_lines_max: 5, ..Settings::default() };
    let long = "x".repeat(101);
    let upload = format!("{ORDER}\n{{broken\n\n{long}\n{ORDER}\n{ORDER}\n{ORDER}\n");
    let ndjson = ("content-type", "application/x-ndjson");
    let sent = request("POST", "/api/v1/orders:batch", &[ndjson], &upload);
    let answered = send(edge(settings), sent).await;
    assert_eq!(answered.status, 200);
    assert_eq!(answered.headers[CONTENT_TYPE], "application/x-ndjson");
    let text = String::from_utf8(answered.body).unwrap();
    let verdicts: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let found: Vec<_> = verdicts
        .iter()
        .map(|v| (v["line"].as_u64().unwrap(), v["status"].as_u64().unwrap()))
        .collect();
    // Nobody is there to place an order; the empty line 3 is no order; line 6 is one too many.
    assert_eq!(found, [(1, 503), (2, 400), (4, 413), (5, 503), (6, 413)]);
    assert_eq!(verdicts[1]["problem"]["type"], "/problems/malformed-request");
}

#[tokio::test]
async fn an_upload_over_the_limit_keeps_what_came_before() {
    let settings = Settings { batch_bytes_max: 150, ..Settings::default() };
    let body = Body::from_stream(futures::stream::iter(
        [format!("{ORDER}\n"), format!("{ORDER}\n{ORDER}\n")].map(Ok::<_, std::io::Error>),
    ));
    let sent = Request::post("/api/v1/orders:batch")
        .header("content-type", "application/x-ndjson")
        .body(body)
        .unwrap();
    let text = String::from_utf8(send(edge(settings), sent).await.body).unwrap();
    let verdicts: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(verdicts[0]["status"], 503);
    let last = verdicts.last().unwrap();
    assert_eq!((&last["line"], &last["status"]), (&json!(2), &json!(413)));
}

#[tokio::test]
async fn the_pages_need_nothing_from_elsewhere() {
    for (path, media_type) in [
        ("/ui/", "text/html; charset=utf-8"),
        ("/ui/welcome.css", "text/css; charset=utf-8"),
        ("/docs/", "text/html"),
        ("/docs/swagger-ui.css", "text/css"),
        ("/docs/swagger-ui-bundle.js", "text/javascript"),
        ("/docs/swagger-initializer.js", "text/javascript"),
    ] {
        let answered = ask("GET", path, &[], "").await;
        assert_eq!(answered.status, 200, "{path}");
        assert_eq!(answered.headers[CONTENT_TYPE], media_type, "{path}");
        let text = String::from_utf8_lossy(&answered.body);
        if media_type.starts_with("text/html") {
            assert!(!text.contains("https://") && !text.contains("<script>"), "{path}: {text}");
        }
    }
    let initializer = ask("GET", "/docs/swagger-initializer.js", &[], "").await;
    assert!(String::from_utf8_lossy(&initializer.body).contains("/api/v1/openapi.json"));
    for (path, goal) in [("/docs", "/docs/"), ("/", "/ui/"), ("/ui", "/ui/")] {
        assert_eq!(ask("GET", path, &[], "").await.headers["location"], goal);
    }
    assert_eq!(ask("GET", "/docs/none.js", &[], "").await.slug(), "not-found");
}

/// The operations of the document: path, method, and what is said of it.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((path.clone(), method.to_uppercase(), operation.clone()));
        }
    }
    found
}

#[tokio::test]
async fn every_route_is_described_and_everything_described_is_a_route() {
    let served = ask("GET", "/api/v1/openapi.json", &[], "").await.json();
    assert_eq!(served["openapi"], "3.1.0");
    let described: BTreeSet<_> =
        operations(&served).into_iter().map(|(path, method, _)| (path, method)).collect();
    let routed: BTreeSet<_> = table()
        .iter()
        .map(|route| (route.path.replace("{*", "{"), route.method.to_string()))
        .collect();
    assert_eq!(described, routed);
    let sample = "019aa68e-7c6d-7000-8000-000000000001";
    for (path, method) in described {
        let path = path.split('{').enumerate().map(|(n, part)| match n {
            0 => part.to_owned(),
            _ => format!("{sample}{}", part.split_once('}').unwrap().1),
        });
        let path: String = path.collect();
        let answered = ask(&method, &path, &[("if-match", "*"), JSON], "").await;
        let is_file = path.starts_with("/docs/") || path.starts_with("/ui/");
        let is_routed = answered.status != 405 && (answered.status != 404 || is_file);
        assert!(is_routed, "{method} {path}: {}", answered.status);
    }
}

#[test]
fn every_operation_says_all_that_a_caller_needs() {
    let document = serde_json::to_value(document()).unwrap();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap();
        assert!(
            !id.is_empty() && ids.insert(id.to_owned()),
            "{place}: {id} is empty or used twice"
        );
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{place}");
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{place}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with(['2', '3'])), "{place}");
        assert!(responses.contains_key("500"), "{place}");
        for (status, response) in responses {
            for content in response["content"].as_object().into_iter().flatten() {
                let has_schema = content.1.get("schema").is_some();
                let has_example =
                    ["example", "examples"].iter().any(|name| content.1.get(*name).is_some());
                let is_json = content.0.ends_with("json") && !path.ends_with("openapi.json");
                assert!(has_schema && (has_example || !is_json), "{place} {status}");
            }
        }
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for name in path.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0) {
            let is_said = parameters.iter().any(|p| p["name"] == name && p["in"] == "path");
            assert!(is_said, "{place}: {name}");
        }
        if matches!(method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE")
            && path.contains("/orders")
        {
            assert!(parameters.iter().any(|p| p["name"] == "Idempotency-Key"), "{place}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_examples_fit_their_schemas() {
    let document = serde_json::to_value(document()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1) {
        let name = reference.split('"').next().unwrap();
        let name = name.strip_prefix("#/components/schemas/").unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
    for (path, method, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let content = &response["content"]["application/json"];
            let Some(name) = content["schema"]["$ref"].as_str() else { continue };
            let schema = &schemas[name.rsplit('/').next().unwrap()];
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for field in required.iter().filter_map(Value::as_str) {
                let example = &content["example"];
                assert!(example.get(field).is_some(), "{method} {path} {status}: {field}");
            }
        }
    }
}

#[test]
fn no_two_types_share_the_name_of_a_schema() {
    let mut known = std::collections::HashMap::new();
    for route in table() {
        for (name, schema) in route.described.schemas() {
            let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
            assert!(first == schema, "two types are called {name} in the description");
        }
    }
}

/// `docs/openapi.json` is what other tools read, the client of the browser interface among them.
///
/// `MILLRACE_RECORD_DOCS=1 cargo test -p edge` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "how a person asks a test to record")]
fn the_recorded_description_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let current = format!("{}\n", document().to_pretty_json().unwrap());
    if std::env::var("MILLRACE_RECORD_DOCS").is_ok() {
        std::fs::write(&path, &current).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    let how =
        "write it anew with MILLRACE_RECORD_DOCS=1 cargo test -p edge, then cargo xtask schema";
    assert!(recorded == current, "docs/openapi.json is not current: {how}");
}

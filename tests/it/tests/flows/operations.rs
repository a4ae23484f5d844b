//! What the product tells about itself: description, viewer, probes, metrics.

use std::collections::BTreeSet;

use it::{Server, lines, program};
use serde_json::Value;

#[tokio::test]
async fn the_description_is_openapi_3_1_and_the_same_from_the_command_line() {
    let server = Server::start().await;
    let shown = server.get("/api/v1/openapi.json").send().await.is(200);
    assert!(shown["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let printed = program::run(&["openapi"]);
    let printed: Value = serde_json::from_slice(&printed.stdout).expect("it prints JSON");
    assert_eq!(printed, shown);
    server.finish();
}

#[tokio::test]
async fn every_route_is_described_and_what_is_described_is_there() {
    let server = Server::start().await;
    let document = server.get("/api/v1/openapi.json").send().await.is(200);
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    let mut operations = BTreeSet::new();
    for (path, item) in &paths {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            assert!(!id.is_empty() && operations.insert(id), "{method} {path}");
            assert!(operation["responses"].is_object(), "{method} {path}");
        }
    }
    for path in [
        "/api/v1/orders",
        "/api/v1/orders:batch",
        "/api/v1/orders/{orderId}",
        "/api/v1/orders/{orderId}/timeline",
        "/api/v1/orders/{orderId}/cancel",
        "/api/v1/orders/{orderId}/decision",
        "/api/v1/orders/{orderId}/shipments",
        "/api/v1/stock",
        "/api/v1/stock/{sku}",
        "/api/v1/stock/{sku}/journal",
        "/api/v1/stock/{sku}/receive",
        "/api/v1/stock/{sku}/adjust",
        "/api/v1/stock/{sku}/set",
        "/api/v1/products",
        "/api/v1/customers",
        "/api/v1/payments",
        "/api/v1/notifications",
        "/orders",
        "/api/orders",
        "/metrics",
        "/readyz",
    ] {
        assert!(paths.contains_key(path), "{path} is not described");
    }
    // Every described GET without a parameter in its path answers; streams do so without an end, and
    // have tests of their own.
    let is_stream =
        |get: &Value| get["responses"]["200"]["content"]["text/event-stream"].is_object();
    for (path, item) in &paths {
        if item.get("get").is_some_and(|get| !is_stream(get)) && !path.contains('{') {
            let answer = server.get(path).send().await;
            assert!(matches!(answer.status, 200 | 303), "GET {path}: {}", answer.text());
        }
    }
    server.finish();
}

#[tokio::test]
async fn the_viewer_and_its_files_come_from_the_product_itself() {
    let server = Server::start().await;
    let moved = server.get("/docs").send().await;
    assert_eq!((moved.status, moved.header("location")), (303, "/docs/"));
    let page = server.get("/docs/").send().await;
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    let text = page.text();
    assert!(!text.contains("https://") || !text.contains("cdn"), "{text}");
    for file in ["swagger-ui.css", "swagger-ui-bundle.js"] {
        assert_eq!(server.get(&format!("/docs/{file}")).send().await.status, 200, "{file}");
    }
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    server.finish();
}

#[tokio::test]
async fn probes_answer_and_metrics_count() {
    let server = Server::start().await;
    assert_eq!(server.get("/livez").send().await.status, 200);
    server.is_whole().await;
    assert_eq!(server.get("/readyz").send().await.status, 200);
    assert_eq!(server.get("/startupz").send().await.status, 200);
    server.shop().settled(&lines(&[("item1", 1)])).await;
    assert_eq!(server.get("/metrics").send().await.status, 200);
    let metrics = server.http_of("order").get("/metrics").send().await;
    assert_eq!(metrics.status, 200);
    let text = metrics.text();
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    for sample in samples.clone() {
        let value = sample.rsplit(' ').next().unwrap_or_default();
        assert!(value.parse::<f64>().is_ok(), "no number: {sample}");
    }
    assert!(samples.count() > 10, "{text}");
    assert!(text.contains("orders"), "{text}");
    server.finish();
}

#[tokio::test]
async fn the_audit_can_be_asked_for_and_agrees_with_the_command() {
    let server = Server::start().await;
    server.shop().settled(&lines(&[("item1", 1), ("item2", 2)])).await;
    let asked = server.get("/api/v1/audit").send().await;
    let asked = if asked.status == 405 {
        server.post("/api/v1/audit", &serde_json::json!({})).send().await
    } else {
        asked
    };
    assert_eq!(asked.status, 200, "{}", asked.text());
    server.finish();
}

#[tokio::test]
async fn every_answer_names_its_request_and_guards_the_browser() {
    let server = Server::start().await;
    let answer = server.get("/api/v1/orders").header("x-request-id", "mine-1").send().await;
    assert_eq!(answer.header("x-request-id"), "mine-1");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let missing = server.get("/api/v1/nothing").send().await;
    let problem = missing.refuses(404, "not-found");
    assert_eq!(problem["requestId"], missing.header("x-request-id"));
    let method = server.http().call(http::Method::DELETE, "/api/v1/orders").send().await;
    method.refuses(405, "method-not-allowed");
    assert!(method.header("allow").contains("POST"), "{:?}", method.headers);
    server.finish();
}

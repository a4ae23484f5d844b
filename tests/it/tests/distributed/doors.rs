//! Whoever knows the edge knows the whole product.

use std::time::Duration;

use contracts_grpc::v1::catalog_client::CatalogClient;
use contracts_grpc::v1::inventory_client::InventoryClient;
use contracts_grpc::v1::orders_client::OrdersClient;
use contracts_grpc::v1::{
    GetOrderRequest, GetProductRequest, WatchOrdersRequest, WatchStockRequest,
};
use it::{Options, Server, lines, program};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_passes_grpc_on_to_the_services_behind_it() {
    let mut server = Server::start_with(Options::demo().distributed()).await;
    for url in [server.url().to_owned(), format!("http://{}", server.grpc_of("edge"))] {
        let mut orders = OrdersClient::connect(url.clone()).await.expect("the edge answers");
        let watch = orders.watch_orders(WatchOrdersRequest::default()).await;
        let mut changes = watch.expect("a stream").into_inner();
        let id = server.shop().placed(&lines(&[("item1", 1)])).await;
        let first = changes.message().await.expect("a change").expect("it does not end");
        assert!(!first.changes.is_empty(), "{url}");
        let ask = GetOrderRequest { order_id: id.clone(), ..GetOrderRequest::default() };
        let order = orders.get_order(ask).await.expect("the order").into_inner().order;
        assert_eq!(order.map(|order| order.order_id), Some(id.clone()), "{url}");
        let mut catalog = CatalogClient::connect(url).await.expect("the edge answers");
        let ask = GetProductRequest { sku: "nothing".to_owned() };
        let refused = catalog.get_product(ask).await.expect_err("there is none");
        assert_eq!(refused.code(), Code::NotFound, "{refused:?}");
    }
    server.kill("catalog");
    let mut catalog =
        CatalogClient::connect(server.url().to_owned()).await.expect("the edge answers");
    let ask = GetProductRequest { sku: "item1".to_owned() };
    let refused = catalog.get_product(ask).await.expect_err("nobody is there");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    server.revive("catalog").await;
    server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_and_one_customers_orders_are_watched_through_the_edge_until_the_service_goes() {
    let mut server = Server::start_with(Options::demo().distributed()).await;
    let url = format!("http://{}", server.grpc_of("edge"));
    let mut inventory = InventoryClient::connect(url.clone()).await.expect("the edge answers");
    let of_item = WatchStockRequest { skus: vec!["item1".to_owned()], ..Default::default() };
    let mut levels = inventory.watch_stock(of_item).await.expect("a stream").into_inner();
    let snapshot = levels.message().await.expect("a snapshot").expect("it does not end");
    assert!(snapshot.snapshot && snapshot.levels.len() == 1, "{snapshot:?}");
    let before = snapshot.levels[0].available;
    let mut orders = OrdersClient::connect(url).await.expect("the edge answers");
    let of_another =
        WatchOrdersRequest { customer_id: "OMS-Cust-002".to_owned(), ..Default::default() };
    let mut changes = orders.watch_orders(of_another).await.expect("a stream").into_inner();
    // The first is of somebody else: only the second is told of.
    server.shop().settled(&lines(&[("item1", 3)])).await;
    let mut body = lines(&[("item1", 1)]);
    body["customerId"] = "OMS-Cust-002".into();
    let id = server.shop().placed(&body).await;
    let first = changes.message().await.expect("a change").expect("it does not end");
    assert!(first.changes.iter().all(|change| change.order_id == id), "{first:?}");
    loop {
        let message = levels.message().await.expect("a change").expect("it does not end");
        assert!(message.levels.iter().all(|level| level.sku == "item1"), "{message:?}");
        if message.levels.last().is_some_and(|level| level.available == before - 4) {
            break;
        }
    }
    // The end of the service is the end of the stream, and told as one.
    server.kill("inventory");
    let end = loop {
        match levels.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ends as if everything were told"),
            Err(end) => break end,
        }
    };
    assert_ne!(end.code(), Code::Ok, "{end:?}");
    server.revive("inventory").await;
    server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_knows_nothing_but_the_edge() {
    let server = Server::start_with(Options::default().distributed()).await;
    let acknowledged = server.folder().join("acknowledged");
    let file = acknowledged.display().to_string();
    let arguments = ["load", "--url", server.url(), "--orders", "200", "--skus", "20", "--json"];
    let mut command = program::command(&arguments);
    command.args(["--connections", "4", "--acknowledged", &file]);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("the thread ends").expect("the program can be started");
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", program::shown(&output)));
    assert_eq!((&report["accepted"], &report["confirmed"]), (&200.into(), &200.into()), "{report}");
    let text = std::fs::read_to_string(acknowledged).expect("the load has written its list");
    let mut keys = Vec::new();
    for line in text.lines() {
        let (id, key) = line.split_once(' ').expect("an id and a key");
        assert_eq!(server.shop().order(id).await["status"], "confirmed", "{line}");
        keys.push(key);
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 200, "each order has a key of its own");
    server.finish();
}

/// The part of `readyz` that tells of `service`.
fn part<'a>(told: &'a Value, service: &str) -> &'a Value {
    let parts = told["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    parts.iter().find(|part| part["name"] == service).unwrap_or(&Value::Null)
}

/// Asks until the edge tells that `service` works or does not.
async fn told(server: &Server, service: &str, works: bool) -> (u16, Value) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = server.get("/readyz").send().await;
        let told: Value = answer.json();
        if part(&told, service)["ok"] == works {
            return (answer.status, told);
        }
        assert!(Instant::now() < deadline, "{service}: {told:#}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_tells_who_does_not_answer_and_is_not_ready_without_orders() {
    let mut server = Server::start_with(Options::demo().distributed()).await;
    server.is_whole().await;
    // Without payments orders are taken, and wait.
    server.kill("payment");
    let (status, health) = told(&server, "payment", false).await;
    assert_eq!((status, &health["status"]), (200, &"degraded".into()), "{health:#}");
    let detail = part(&health, "payment")["detail"].as_str().unwrap_or_default().to_owned();
    let address = server.grpc_of("payment").to_string();
    assert!(detail.contains("does not answer") && detail.contains(&address), "{detail}");
    let whole = server.get("/api/v1/health").send().await.is(200);
    let away = whole["processes"].as_array().expect("processes").iter();
    let away: Vec<_> = away.filter(|process| process["status"] == "unreachable").collect();
    assert_eq!(away.len(), 1, "{whole:#}");
    assert_eq!(away[0]["services"], json!(["payment"]));
    // A process that stands still counts as one that is away, and does not hold the probe up.
    server.signal("order", "STOP");
    let begun = Instant::now();
    let (status, health) = told(&server, "order", false).await;
    assert_eq!((status, &health["status"]), (503, &"not_ready".into()), "{health:#}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(server.get("/startupz").send().await.status, 200);
    server.signal("order", "CONT");
    let (status, _) = told(&server, "order", true).await;
    assert_eq!(status, 200);
    server.revive("payment").await;
    told(&server, "payment", true).await;
    server.is_whole().await;
    server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_asks_each_process_for_its_audit() {
    let mut server = Server::start_with(Options::demo().distributed()).await;
    server.shop().settled(&lines(&[("item1", 2)])).await;
    let audit = async |server: &Server| server.post("/api/v1/audit", &json!({})).send().await;
    let report = audit(&server).await.is(200);
    assert_eq!((&report["clean"], &report["partial"]), (&true.into(), &true.into()), "{report:#}");
    let checks = report["checks"].as_array().expect("checks");
    let by = |service: &str| checks.iter().filter(|check| check["service"] == service).count();
    for service in ["order", "inventory", "payment", "customer", "notification", "catalog"] {
        assert!(by(service) > 0, "{service}: {report:#}");
    }
    let looked = checks.iter().filter_map(|check| check["checked"].as_u64()).sum::<u64>();
    assert!(looked > 0, "{report:#}");
    // Who cannot be asked is named, with the way around.
    server.kill("inventory");
    let problem = audit(&server).await.refuses(503, "unavailable");
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("inventory") && detail.contains("millrace audit --config"), "{detail}");
    server.revive("inventory").await;
    server.finish();
}

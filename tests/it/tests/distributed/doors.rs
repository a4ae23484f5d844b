//! Whoever knows the edge knows the whole product.

use contracts_grpc::v1::catalog_client::CatalogClient;
use contracts_grpc::v1::orders_client::OrdersClient;
use contracts_grpc::v1::{GetOrderRequest, GetProductRequest, WatchOrdersRequest};
use it::{Options, Server, lines, program};
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
async fn a_load_knows_nothing_but_the_edge() {
    let server = Server::start_with(Options::default().distributed()).await;
    let acknowledged = server.folder().join("acknowledged");
    let file = acknowledged.display().to_string();
    let arguments = ["load", "--url", server.url(), "--orders", "200", "--skus", "20", "--json"];
    let mut command = program::command(&arguments);
    command.args(["--connections", "4", "--acknowledged", &file]);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("the thread ends").expect("the program can be started");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
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

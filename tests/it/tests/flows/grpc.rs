//! gRPC on its own port: the same services, health and reflection.

use contracts_grpc::v1::inventory_client::InventoryClient;
use contracts_grpc::v1::orders_client::OrdersClient;
use contracts_grpc::v1::{self, OrderStatus};
use it::{Server, is_distributed};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

async fn channel(server: &Server) -> Channel {
    channel_of(server, "order").await
}

async fn channel_of(server: &Server, service: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.grpc_of(service)));
    let endpoint = endpoint.expect("an address makes an endpoint");
    endpoint.connect().await.expect("the gRPC port is open")
}

fn request(key: &str, quantity: i64) -> v1::PlaceOrderRequest {
    v1::PlaceOrderRequest {
        idempotency_key: key.to_owned(),
        customer_id: "OMS-Cust-001".to_owned(),
        lines: vec![v1::NewLine { sku: "item1".to_owned(), quantity, shortage_policy: 0 }],
        wait_ms: 10_000,
        ..v1::PlaceOrderRequest::default()
    }
}

#[tokio::test]
async fn an_order_placed_over_grpc_is_the_same_over_rest() {
    let server = Server::start().await;
    let mut orders = OrdersClient::new(channel(&server).await);
    let placed = orders.place_order(request("g-1", 2)).await.expect("it is placed").into_inner();
    let order = placed.order.expect("an answer has its order");
    assert_eq!(order.status(), OrderStatus::Confirmed);
    assert_eq!(order.total.as_ref().map(|total| total.minor_units), Some(399_998));
    let again = orders.place_order(request("g-1", 2)).await.expect("it is the same").into_inner();
    assert!(again.replayed);
    assert_eq!(again.order.map(|order| order.order_id), Some(order.order_id.clone()));

    let get = v1::GetOrderRequest { order_id: order.order_id.clone(), ..Default::default() };
    let got = orders.get_order(get).await.expect("it is there").into_inner();
    let rest = server.shop().order(&order.order_id).await;
    assert_eq!(got.order.map(|order| order.version), rest["version"].as_u64());
    let mut inventory = InventoryClient::new(channel_of(&server, "inventory").await);
    let stock = v1::GetStockRequest { sku: "item1".to_owned(), location: String::new() };
    let stock = inventory.get_stock(stock).await.expect("it is there").into_inner();
    let available = server.shop().stock("item1").await[3];
    assert_eq!(stock.total.map(|total| total.available), Some(available));
    server.finish();
}

#[tokio::test]
async fn a_refusal_over_grpc_has_a_code_and_its_problem() {
    let server = Server::start().await;
    let mut orders = OrdersClient::new(channel(&server).await);
    let refused = orders.place_order(request("", 0)).await.expect_err("no units");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert!(!refused.details().is_empty(), "{refused}");
    let nothing = v1::GetOrderRequest {
        order_id: "01890000-0000-7000-8000-000000000009".to_owned(),
        ..Default::default()
    };
    let refused = orders.get_order(nothing).await.expect_err("there is no such order");
    assert_eq!(refused.code(), Code::NotFound, "{refused}");
    assert!(server.shop().all("/api/v1/orders").await.is_empty());
    server.finish();
}

#[tokio::test]
async fn health_and_reflection_answer_for_every_service() {
    let server = Server::start().await;
    let channel = channel(&server).await;
    let names = ["Orders", "Inventory", "Catalog", "Customers", "Payments", "Notifications"];
    let names = names.map(|name| format!("millrace.v1.{name}"));
    // A process that runs one service answers for that.
    let asked_for = if is_distributed() { &names[..1] } else { &names[..] };
    let mut health = HealthClient::new(channel.clone());
    for service in asked_for.iter().map(String::as_str).chain([""]) {
        let asked = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(asked).await.expect("health is served").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }

    let mut reflection = ServerReflectionClient::new(channel);
    let list = MessageRequest::ListServices(String::new());
    let asked = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let answers = reflection.server_reflection_info(tokio_stream::once(asked)).await;
    let mut answers = answers.expect("reflection is served").into_inner();
    let answer = answers.message().await.expect("it answers").expect("once");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let found: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in names {
        assert!(found.contains(&name), "{name} is not among {found:?}");
    }
    server.finish();
}

#[tokio::test]
async fn who_watches_orders_sees_each_change() {
    let server = Server::start().await;
    let mut orders = OrdersClient::new(channel(&server).await);
    let watch =
        v1::WatchOrdersRequest { customer_id: "OMS-Cust-001".to_owned(), ..Default::default() };
    let mut changes = orders.watch_orders(watch).await.expect("it can be watched").into_inner();
    let placed = server.shop().placed(&it::lines(&[("item1", 1)])).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    let mut versions = Vec::new();
    loop {
        let message = tokio::time::timeout_at(deadline, changes.message()).await;
        let message = message.expect("in time").expect("no failure").expect("no end");
        let ours = message.changes.iter().filter(|change| change.order_id == placed);
        versions.extend(ours.clone().map(|change| change.version));
        if ours.clone().any(|change| change.status() == OrderStatus::Confirmed) {
            break;
        }
    }
    assert!(versions.is_sorted(), "{versions:?}");
    server.finish();
}

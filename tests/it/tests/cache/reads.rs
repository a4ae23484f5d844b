//! What readers of the product get from the cache, and when it ends.

use contracts_grpc::v1;
use contracts_grpc::v1::catalog_client::CatalogClient;
use contracts_grpc::v1::customers_client::CustomersClient;
use contracts_grpc::v1::inventory_client::InventoryClient;
use contracts_grpc::v1::orders_client::OrdersClient;
use it::{lines, text};
use serde_json::json;

use crate::world::World;

/// Where `service` is, past the edge.
fn past_the_edge(world: &World, service: &str) -> String {
    format!("http://{}", world.server.grpc_of(service))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_and_its_stock_are_kept_until_an_event_tells_of_a_change() {
    let world = World::open().await;
    world.server.shop().product("lamp", "10.00", 5).await;
    let kept = world.kept("/api/v1/products/lamp", "product").await;
    let asked = world.server.get("/api/v1/products/lamp");
    assert_eq!(asked.header("if-none-match", kept.header("etag")).send().await.status, 304);
    let url = past_the_edge(&world, "catalog");
    let mut catalog = CatalogClient::connect(url).await.expect("the catalog answers");
    let change = v1::UpdateProductRequest {
        sku: "lamp".to_owned(),
        name: "Lantern".to_owned(),
        price: Some(v1::Money { currency: "USD".to_owned(), ..v1::Money::default() }),
        ..v1::UpdateProductRequest::default()
    };
    catalog.update_product(change).await.expect("it is changed");
    world.told("/api/v1/products/lamp", |product| product["name"] == "Lantern").await;

    let kept = world.kept("/api/v1/stock/lamp", "stock").await;
    assert_eq!(kept.is(200)["onHand"], 5);
    let url = past_the_edge(&world, "inventory");
    let mut inventory = InventoryClient::connect(url).await.expect("inventory answers");
    let change = v1::ReceiveStockRequest {
        sku: "lamp".to_owned(),
        quantity: 7,
        ..v1::ReceiveStockRequest::default()
    };
    inventory.receive_stock(change).await.expect("it is received");
    world.told("/api/v1/stock/lamp", |stock| stock["onHand"] == 12).await;
    world.server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_kept_once_it_rests_and_until_an_event_tells_of_a_change() {
    let world = World::open().await;
    world.server.shop().product("lamp", "10.00", 5).await;
    let order = world.server.shop().placed(&lines(&[("lamp", 1)])).await;
    world.server.shop().order_in(&order, "confirmed").await;
    let path = format!("/api/v1/orders/{order}");
    let kept = world.kept(&path, "order").await.is(200);
    assert_eq!((&kept["status"], &kept["orderId"]), (&json!("confirmed"), &json!(order)));
    let url = past_the_edge(&world, "order");
    let mut orders = OrdersClient::connect(url).await.expect("orders answer");
    let cancel = v1::CancelOrderRequest {
        order_id: order.clone(),
        reason: "a test".to_owned(),
        ..v1::CancelOrderRequest::default()
    };
    orders.cancel_order(cancel).await.expect("it is cancelled");
    world.told(&path, |order| order["status"] == "cancelled").await;
    world.server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_customer_only_the_version_is_kept() {
    let world = World::open().await;
    let body = json!({"customerId": "ada", "name": "Ada Secret", "email": "ada@hidden.example"});
    world.server.post("/api/v1/customers", &body).send().await.is(201);
    let path = "/api/v1/customers/ada";
    let seen = world.server.get(path).send().await;
    let tag = seen.header("etag").to_owned();
    let again = async || world.server.get(path).header("if-none-match", &tag).send().await.status;
    let is_hit = async || again().await == 304 && world.hits("customer").await > 0;
    world.until("it is answered from the cache", is_hit).await;
    assert_eq!(world.server.get(path).send().await.is(200)["name"], "Ada Secret");
    let saved = |text: &str| {
        let saved = std::fs::read(world.redis.saved()).expect("it has saved");
        saved.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    };
    // The event of its beginning may end it once more.
    let is_saved = async || {
        again().await;
        world.redis.say("SAVE");
        saved(":customer:ada")
    };
    world.until("the customer is kept", is_saved).await;
    assert!(!saved("Secret") && !saved("hidden.example"), "personal data are not");

    let url = past_the_edge(&world, "customer");
    let mut customers = CustomersClient::connect(url).await.expect("customers answer");
    let block = v1::BlockCustomerRequest {
        customer_id: "ada".to_owned(),
        reason: "a test".to_owned(),
        ..v1::BlockCustomerRequest::default()
    };
    customers.block_customer(block).await.expect("the customer is blocked");
    world.until("the change is seen", async || again().await == 200).await;
    world.server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_through_the_edge_reads_what_was_written() {
    let world = World::open().await;
    world.server.shop().product("lamp", "10.00", 0).await;
    for round in 1..=40_u64 {
        // Somebody reads all the time, so that the old version is there, or on its way.
        world.price("lamp").await;
        let readers = [world.price("lamp"), world.price("lamp"), world.price("lamp")];
        let (written, _) =
            tokio::join!(world.reprice("lamp", round), futures::future::join_all(readers));
        let written = written.is(200);
        assert_eq!(world.price("lamp").await, format!("{round}.00"), "round {round}");
        let seen = world.server.get("/api/v1/products/lamp").send().await;
        assert_eq!(seen.is(200)["version"], written["version"], "round {round}");

        world.server.get("/api/v1/stock/lamp").send().await;
        world.server.shop().receive("lamp", 10).await;
        let stock = world.server.get("/api/v1/stock/lamp").send().await.is(200);
        assert_eq!(stock["available"], 10 * round - (round - 1), "round {round}");
        // The order is confirmed when it is answered: then its unit is gone from the stock.
        let order = world.server.shop().settled(&lines(&[("lamp", 1)])).await;
        let shown = world.server.shop().order(&text(&order, "orderId")).await;
        assert_eq!(
            (&order["status"], &shown["status"]),
            (&json!("confirmed"), &json!("confirmed"))
        );
        let stock = world.server.get("/api/v1/stock/lamp").send().await.is(200);
        let shown = (&stock["available"], &stock["allocated"]);
        assert_eq!(shown, (&json!(9 * round), &json!(round)), "round {round}");
    }
    assert!(world.hits("product").await > 0, "the cache was used");
    world.server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_change_shows_why_it_was_refused() {
    let world = World::open().await;
    world.server.shop().product("lamp", "10.00", 0).await;
    let old = world.kept("/api/v1/products/lamp", "product").await.header("etag").to_owned();
    world.reprice("lamp", 11).await.is(200);
    let body = json!({"name": "Lamp", "price": {"amount": "12.00", "currency": "USD"}});
    let edit = world.server.put("/api/v1/products/lamp", &body).header("if-match", &old);
    let problem = edit.send().await.refuses(412, "stale-version");
    let seen = world.server.get("/api/v1/products/lamp").send().await;
    assert_eq!(seen.is(200)["version"], problem["currentVersion"]);
    world.server.finish();
}

//! The doors of the seeds: their clients work as they stand.

use it::{Server, number, text};
use serde_json::{Value, json};
use tokio::time::Instant;

const SEED: &str =
    r#"{"customerId":"OMS-Cust-001","totalAmount":2599.99,"productIds":["item1","item2"]}"#;

async fn send(server: &Server, path: &str, body: &str) -> it::Answer {
    let call = server.http().call(http::Method::POST, path);
    call.header("content-type", "application/json").bytes(body.to_owned()).send().await
}

#[tokio::test]
async fn the_seeds_command_is_confirmed_within_a_second_and_everything_says_why() {
    let server = Server::start().await;
    let shop = server.shop();
    let before = [shop.stock("item1").await, shop.stock("item2").await];
    let begun = Instant::now();
    let answer = send(&server, "/orders", SEED).await;
    let id = text(&answer.is(202), "orderId");
    assert_eq!(answer.header("location"), format!("/api/v1/orders/{id}"));
    let order = shop.order_in(&id, "confirmed").await;
    let took = begun.elapsed();
    assert!(took.as_millis() < 1_000, "it took {took:?}");
    assert_eq!(order["total"], json!({"amount": "2599.99", "currency": "USD"}));
    assert_eq!(order["paymentStatus"], "paid");

    let steps = shop.steps(&id).await;
    for step in [
        "order.placed",
        "customer.validated",
        "inventory.reserved",
        "order.reserved",
        "payment.requested",
        "payment.authorized",
        "inventory.allocated",
        "payment.captured",
        "order.confirmed",
    ] {
        assert!(steps.iter().any(|found| found == step), "no {step} in {steps:?}");
    }
    for (sku, before) in [("item1", before[0]), ("item2", before[1])] {
        let [on_hand, held, allocated, available] = shop.stock(sku).await;
        assert_eq!([on_hand, held, allocated - 1, available + 1], before, "{sku}");
        let (_, entries) = shop.journal(sku).await;
        let ours: Vec<&Value> =
            entries.iter().filter(|entry| entry["cause"]["id"] == id.as_str()).collect();
        let kinds: Vec<_> = ours.iter().map(|entry| text(entry, "kind")).collect();
        assert_eq!(kinds, ["hold", "allocate"], "{sku}");
        assert!(ours.iter().all(|entry| entry["cause"]["kind"] == "order"), "{ours:?}");
    }
    server.finish();
}

#[tokio::test]
async fn an_id_that_is_repeated_counts_as_often() {
    let server = Server::start().await;
    let body = r#"{"customerId":"OMS-Cust-001","totalAmount":3199.99,
        "productIds":["item2","item1","item2"]}"#;
    let order = send(&server, "/api/orders", body).await.is(202);
    let lines: Vec<_> = order["lines"].as_array().cloned().unwrap_or_default();
    let units: Vec<_> =
        lines.iter().map(|line| (text(line, "sku"), number(line, "quantity"))).collect();
    assert_eq!(units, [("item2".to_owned(), 2), ("item1".to_owned(), 1)]);
    server.shop().order_in(&text(&order, "orderId"), "confirmed").await;
    server.finish();
}

#[tokio::test]
async fn the_shape_with_product_and_quantity_is_accepted_at_both_doors() {
    let server = Server::start().await;
    for door in ["/orders", "/api/orders"] {
        let order = send(&server, door, r#"{"product":"item2","quantity":3}"#).await.is(202);
        assert_eq!(order["total"]["amount"], "1800.00");
        server.shop().order_in(&text(&order, "orderId"), "confirmed").await;
    }
    server.finish();
}

#[tokio::test]
async fn a_wrong_total_is_refused_in_the_words_of_the_seed() {
    let server = Server::start().await;
    let wrong = SEED.replace("2599.99", "2600.00");
    let problem = send(&server, "/orders", &wrong).await.refuses(422, "total-mismatch");
    assert_eq!(problem["errors"][0]["pointer"], "/totalAmount", "{problem}");
    let unknown = SEED.replace("item2", "item0");
    let problem = send(&server, "/orders", &unknown).await.refuses(422, "invalid-request");
    assert_eq!(problem["errors"][0]["pointer"], "/productIds", "{problem}");
    assert!(server.shop().all("/api/v1/orders").await.is_empty());
    server.finish();
}

#[tokio::test]
async fn the_list_has_the_seeds_shape() {
    let server = Server::start().await;
    let id = text(&send(&server, "/orders", SEED).await.is(202), "orderId");
    server.shop().order_in(&id, "confirmed").await;
    let answer = server.get("/orders").send().await;
    let list = answer.is(200);
    let order = &list[0];
    let mut names: Vec<_> =
        order.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    names.sort();
    assert_eq!(names, ["amount", "confirmedTime", "customerId", "id", "placedTime", "status"]);
    assert_eq!((&order["id"], &order["status"]), (&json!(id), &json!("CONFIRMED")));
    assert!(answer.text().contains("\"amount\":2599.99"), "{}", answer.text());
    let placed = text(order, "placedTime");
    assert!(!placed.contains('Z') && !placed.contains('+'), "{placed}");
    server.finish();
}

#[tokio::test]
async fn the_demo_data_is_loaded_once() {
    let mut server = Server::start().await;
    let count = async |server: &Server| {
        let shop = server.shop();
        let products = shop.all("/api/v1/products?limit=200").await.len();
        (products, shop.all("/api/v1/customers?limit=200").await.len(), shop.stock("item1").await)
    };
    let before = count(&server).await;
    assert!(before.2[3] > 0);
    server.kill_9();
    server.restart().await;
    assert_eq!(count(&server).await, before);
    server.finish();
}

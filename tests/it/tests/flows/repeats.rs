//! The same request again: the same answer, and nothing twice.

use it::{Server, lines, text};
use serde_json::json;

#[tokio::test]
async fn the_same_key_and_body_give_the_same_order() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let body = lines(&[("lamp", 1)]);
    let first = server.post("/api/v1/orders", &body).key("k-1").send().await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let id = text(&first.is(202), "orderId");
    shop.order_in(&id, "confirmed").await;
    for key in ["k-1", "\"k-1\""] {
        let again = server.post("/api/v1/orders", &body).key(key).send().await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.header("location"), first.header("location"));
        assert_eq!(text(&again.is(202), "orderId"), id);
    }
    assert_eq!(shop.all("/api/v1/orders").await.len(), 1);
    assert_eq!(shop.stock("lamp").await, [10, 0, 1, 9]);
    server.finish();
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused_and_changes_nothing() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let id = text(
        &server.post("/api/v1/orders", &lines(&[("lamp", 1)])).key("k").send().await.is(202),
        "orderId",
    );
    shop.order_in(&id, "confirmed").await;
    let other = server.post("/api/v1/orders", &lines(&[("lamp", 2)])).key("k").send().await;
    other.refuses(422, "idempotency-key-reused");
    assert_eq!(shop.all("/api/v1/orders").await.len(), 1);
    assert_eq!(shop.stock("lamp").await, [10, 0, 1, 9]);
    server.finish();
}

#[tokio::test]
async fn fifty_requests_with_one_key_at_once_make_one_order() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 100).await;
    for round in 0..10 {
        let key = format!("round-{round}");
        let body = lines(&[("lamp", 1)]);
        let calls = (0..50).map(|_| server.post("/api/v1/orders", &body).key(&key).send());
        let answers = futures::future::join_all(calls).await;
        let ids: std::collections::BTreeSet<_> =
            answers.iter().map(|answer| text(&answer.is(202), "orderId")).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        let first =
            answers.iter().filter(|answer| answer.header("idempotency-replayed").is_empty());
        assert_eq!(first.count(), 1);
    }
    let orders = shop.all("/api/v1/orders").await;
    assert_eq!(orders.len(), 10);
    for order in orders {
        shop.order_in(&text(&order, "orderId"), "confirmed").await;
    }
    shop.stock_is("lamp", [100, 0, 10, 90]).await;
    server.finish();
}

#[tokio::test]
async fn a_key_is_remembered_after_a_restart() {
    let mut server = Server::start().await;
    let body = lines(&[("item1", 1)]);
    let first = server.post("/api/v1/orders", &body).key("kept").send().await.is(202);
    let (status, _) = server.stop(std::time::Duration::from_secs(20)).await;
    assert!(status.success(), "{status}");
    server.restart().await;
    let again = server.post("/api/v1/orders", &body).key("kept").send().await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.is(202)["orderId"], first["orderId"]);
    server.kill_9();
    server.restart().await;
    let other = server.post("/api/v1/orders", &lines(&[("item1", 2)])).key("kept").send().await;
    other.refuses(422, "idempotency-key-reused");
    assert_eq!(server.shop().all("/api/v1/orders").await.len(), 1);
    server.finish();
}

#[tokio::test]
async fn every_command_sent_again_under_its_key_is_done_once() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let id = text(&shop.settled(&lines(&[("lamp", 2)])).await, "orderId");
    let commands = [
        ("/api/v1/stock/lamp/receive".to_owned(), json!({"quantity": 5}), 200),
        ("/api/v1/stock/lamp/adjust".to_owned(), json!({"delta": -1, "reason": "broken"}), 200),
        ("/api/v1/customers/OMS-Cust-002/block".to_owned(), json!({"reason": "bills"}), 200),
        (format!("/api/v1/orders/{id}/hold"), json!({"reason": "look at it"}), 200),
        (format!("/api/v1/orders/{id}/resume"), json!({}), 200),
        (format!("/api/v1/orders/{id}/cancel"), json!({"reason": "mistake"}), 200),
        (
            "/api/v1/products".to_owned(),
            json!({"sku": "desk", "name": "Desk", "price": {"amount": "1", "currency": "USD"}}),
            201,
        ),
        ("/api/v1/customers".to_owned(), json!({"customerId": "ada", "name": "Ada"}), 201),
    ];
    for (path, body, status) in commands {
        let first = server.post(&path, &body).key(&path).send().await;
        let first_body = first.is(status);
        let again = server.post(&path, &body).key(&path).send().await;
        assert_eq!(again.header("idempotency-replayed"), "true", "{path}");
        assert_eq!(again.is(status)["version"], first_body["version"], "{path}");
        let mut other = body.clone();
        other["reason"] = json!("another");
        if body.get("reason").is_some() {
            let refused = server.post(&path, &other).key(&path).send().await;
            refused.refuses(422, "idempotency-key-reused");
        }
    }
    shop.order_in(&id, "cancelled").await;
    shop.stock_is("lamp", [14, 0, 0, 14]).await;
    server.finish();
}

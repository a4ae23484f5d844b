//! Shipments, and orders that are stopped on their way.

use it::{Server, lines, text};
use serde_json::json;

#[tokio::test]
async fn an_order_leaves_in_two_shipments_and_is_complete() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    shop.product("desk", "50.00", 10).await;
    let id = text(&shop.settled(&lines(&[("lamp", 2), ("desk", 1)])).await, "orderId");

    let first = json!({"lines": [{"line": 1, "quantity": 1}], "carrier": "DHL", "tracking": "JD1"});
    let answer = shop.ask(&id, "shipments", &first).await.is(201);
    assert_eq!(answer["shipment"]["carrier"], "DHL");
    assert_eq!(answer["order"]["status"], "fulfilling");
    assert_eq!(answer["order"]["fulfillmentStatus"], "partial");
    shop.stock_is("lamp", [9, 0, 1, 8]).await;

    let too_many = json!({"lines": [{"line": 1, "quantity": 2}]});
    let refused = shop.ask(&id, "shipments", &too_many).await;
    assert!(matches!(refused.status, 409 | 422), "{}", refused.text());

    shop.ask(&id, "shipments", &json!({})).await.is(201);
    let order = shop.order_in(&id, "completed").await;
    assert_eq!(order["fulfillmentStatus"], "fulfilled");
    assert_eq!(order["shipments"].as_array().map(Vec::len), Some(2));
    assert_eq!(order["lines"][0]["shipped"], 2);
    shop.stock_is("lamp", [8, 0, 0, 8]).await;
    shop.stock_is("desk", [9, 0, 0, 9]).await;
    let (kinds, _) = shop.journal("lamp").await;
    assert_eq!(kinds, ["receive", "hold", "allocate", "consume", "consume"]);
    let steps = shop.steps(&id).await;
    for step in ["order.fulfilling", "inventory.consumed", "order.completed"] {
        assert!(steps.iter().any(|found| found == step), "no {step} in {steps:?}");
    }
    shop.ask(&id, "shipments", &json!({})).await.refuses(409, "illegal-transition");
    server.finish();
}

#[tokio::test]
async fn a_shipment_sent_again_under_its_key_leaves_once() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let id = text(&shop.settled(&lines(&[("lamp", 3)])).await, "orderId");
    let one = json!({"lines": [{"line": 1, "quantity": 1}]});
    let path = format!("/api/v1/orders/{id}/shipments");
    let first = server.post(&path, &one).key("ship-1").send().await.is(201);
    let again = server.post(&path, &one).key("ship-1").send().await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.is(201)["shipment"], first["shipment"]);
    shop.stock_is("lamp", [9, 0, 2, 7]).await;
    server.finish();
}

#[tokio::test]
async fn an_order_on_hold_goes_on_where_it_stopped() {
    let server = Server::configured("[payment]\nsimulated_slow_ms = 800\n").await;
    let shop = server.shop();
    let id = shop.paid_with("slow", &[("item1", 1)]).await;
    shop.order_in(&id, "paying").await;
    let reason = json!({"reason": "address to be checked"});
    let held = shop.ask(&id, "hold", &reason).await.is(200);
    assert_eq!(held["status"], "on_hold");
    assert_eq!(held["reason"]["detail"], "address to be checked");
    // What is heard meanwhile is not lost.
    let heard = async || shop.steps(&id).await.iter().any(|step| step == "payment.captured");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while !heard().await {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", shop.steps(&id).await);
    }
    assert_eq!(shop.order(&id).await["status"], "on_hold");
    server.post(&format!("/api/v1/orders/{id}/resume"), &json!({})).send().await.is(200);
    shop.order_in(&id, "confirmed").await;

    shop.ask(&id, "hold", &reason).await.is(200);
    shop.ask(&id, "shipments", &json!({})).await.refuses(409, "illegal-transition");
    server.post(&format!("/api/v1/orders/{id}/resume"), &json!({})).send().await.is(200);
    shop.ask(&id, "shipments", &json!({})).await.is(201);
    shop.order_in(&id, "completed").await;
    server.finish();
}

#[tokio::test]
async fn an_action_on_a_version_that_has_passed_is_refused() {
    let server = Server::start().await;
    let shop = server.shop();
    let order = shop.settled(&lines(&[("item1", 1)])).await;
    let (id, version) = (text(&order, "orderId"), it::number(&order, "version"));
    let path = format!("/api/v1/orders/{id}/hold");
    let reason = json!({"reason": "to be checked"});
    let stale = server.post(&path, &reason).header("if-match", "\"1\"").send().await;
    assert_eq!(stale.refuses(412, "stale-version")["currentVersion"], version);
    let tag = format!("\"{version}\"");
    let held = server.post(&path, &reason).header("if-match", &tag).send().await.is(200);
    assert_eq!(held["status"], "on_hold");
    server.finish();
}

//! What payment providers do, and what becomes of the order.

use it::{Server, lines, text, with_token};
use serde_json::{Value, json};

fn attempts(payment: &Value, kind: &str) -> usize {
    let attempts = payment["attempts"].as_array().cloned().unwrap_or_default();
    attempts.iter().filter(|attempt| attempt["kind"] == kind).count()
}

#[tokio::test]
async fn a_declined_payment_cancels_the_order_and_gives_the_stock_back() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let order = shop.settled(&with_token(lines(&[("lamp", 2)]), "decline")).await;
    let id = text(&order, "orderId");
    let order = shop.order_in(&id, "cancelled").await;
    assert_eq!(order["reason"]["code"], "payment_declined");
    assert_eq!(order["paymentStatus"], "failed");
    shop.stock_is("lamp", [10, 0, 0, 10]).await;
    let steps = shop.steps(&id).await;
    for step in ["payment.declined", "order.cancelling", "inventory.released", "order.cancelled"] {
        assert!(steps.iter().any(|found| found == step), "no {step} in {steps:?}");
    }
    server.finish();
}

#[tokio::test]
async fn a_payment_that_takes_too_long_cancels_the_order_and_is_voided_when_it_comes() {
    let config = "[payment]\nsimulated_slow_ms = 2500\n[order]\npaying_s = 1\n";
    let server = Server::configured(config).await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let id = shop.paid_with("slow", &[("lamp", 2)]).await;
    let order = shop.order_in(&id, "cancelled").await;
    assert_eq!(order["reason"]["code"], "payment_timed_out");
    let back =
        |order: &Value| ["voided", "none"].iter().any(|state| order["paymentStatus"] == *state);
    shop.order_when(&id, "no money", back).await;
    shop.stock_is("lamp", [10, 0, 0, 10]).await;
    assert_eq!(shop.payment(&id).await["captured"]["amount"], "0.00");
    server.finish();
}

#[tokio::test]
async fn a_slow_payment_is_waited_for() {
    let server = Server::configured("[payment]\nsimulated_slow_ms = 700\n").await;
    let shop = server.shop();
    let id = shop.paid_with("slow", &[("item1", 1)]).await;
    let order = shop.order_in(&id, "paying").await;
    assert_eq!(order["lines"][0]["held"], 1);
    assert!(order["deadline"].is_string(), "a waiting order has no deadline: {order}");
    shop.order_in(&id, "confirmed").await;
    server.finish();
}

#[tokio::test]
async fn a_lost_answer_that_was_an_approval_confirms_the_order_and_is_asked_under_one_key() {
    let server = Server::start().await;
    let shop = server.shop();
    let id = shop.paid_with("unknown_approved", &[("item1", 1)]).await;
    let order = shop.order_in(&id, "confirmed").await;
    assert_eq!(order["paymentStatus"], "paid");
    let steps = shop.steps(&id).await;
    assert!(steps.iter().any(|step| step == "payment.unknown"), "{steps:?}");
    let payment = shop.payment(&id).await;
    assert_eq!(payment["state"], "captured");
    assert_eq!(payment["captured"]["amount"], "1999.99");
    assert_eq!(attempts(&payment, "authorize"), 1, "{payment:#}");
    let keys = payment["attempts"].as_array().cloned().unwrap_or_default();
    let key = |kind: &str| {
        keys.iter().find(|attempt| attempt["kind"] == kind).map(|one| one["providerKey"].clone())
    };
    assert!(key("inquire").is_none() || key("inquire") == key("authorize"), "{payment:#}");
    server.finish();
}

#[tokio::test]
async fn a_lost_answer_that_was_a_refusal_cancels_the_order() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let id = shop.paid_with("unknown_declined", &[("lamp", 1)]).await;
    let order = shop.order_in(&id, "cancelled").await;
    assert_eq!(order["reason"]["code"], "payment_declined");
    shop.stock_is("lamp", [10, 0, 0, 10]).await;
    server.finish();
}

#[tokio::test]
async fn money_that_cannot_be_taken_is_not_sold_for() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let id = shop.paid_with("capture_decline", &[("lamp", 1)]).await;
    let order = shop.order_in(&id, "cancelled").await;
    assert_eq!(order["reason"]["code"], "payment_declined");
    shop.stock_is("lamp", [10, 0, 0, 10]).await;
    let payment = shop.payment(&id).await;
    assert_eq!(payment["captured"]["amount"], "0.00", "{payment:#}");
    server.finish();
}

#[tokio::test]
async fn a_capture_whose_answer_is_lost_is_captured_once() {
    let server = Server::start().await;
    let shop = server.shop();
    let id = shop.paid_with("capture_unknown", &[("item2", 1)]).await;
    shop.order_in(&id, "confirmed").await;
    let payment = shop.payment(&id).await;
    assert_eq!(payment["captured"]["amount"], "600.00", "{payment:#}");
    assert_eq!(attempts(&payment, "capture"), 1, "{payment:#}");
    server.finish();
}

#[tokio::test]
async fn a_provider_that_says_everything_twice_is_paid_once() {
    let server = Server::start().await;
    let shop = server.shop();
    let id = shop.paid_with("duplicate_webhook", &[("item2", 2)]).await;
    let order = shop.order_in(&id, "confirmed").await;
    assert_eq!(order["paymentStatus"], "paid");
    let payment = shop.payment(&id).await;
    assert_eq!(payment["authorized"]["amount"], "1200.00");
    assert_eq!(payment["captured"]["amount"], "1200.00");
    assert_eq!((attempts(&payment, "authorize"), attempts(&payment, "capture")), (1, 1));
    let steps = shop.steps(&id).await;
    let captured = steps.iter().filter(|step| *step == "payment.captured").count();
    assert_eq!(captured, 1, "{steps:?}");
    server.finish();
}

const SHORT_HOLD: &str = "[inventory]\nhold_ttl_s = 1\n[payment]\nsimulated_slow_ms = 4000\n";

#[tokio::test]
async fn a_hold_that_ended_before_the_money_came_is_taken_again_at_once() {
    let server = Server::configured(SHORT_HOLD).await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 2).await;
    let id = shop.paid_with("slow", &[("lamp", 2)]).await;
    shop.order_in(&id, "paying").await;
    shop.stock_is("lamp", [2, 0, 0, 2]).await;
    let order = shop.order_in(&id, "confirmed").await;
    assert_eq!(order["lines"][0]["allocated"], 2);
    assert_eq!(shop.stock("lamp").await, [2, 0, 2, 0]);
    server.finish();
}

#[tokio::test]
async fn money_that_comes_when_the_stock_is_gone_goes_back_and_the_order_is_cancelled() {
    let server = Server::configured(SHORT_HOLD).await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 2).await;
    let late = shop.paid_with("slow", &[("lamp", 2)]).await;
    shop.order_in(&late, "paying").await;
    shop.stock_is("lamp", [2, 0, 0, 2]).await;
    let quick = shop.settled(&lines(&[("lamp", 1)])).await;
    assert_eq!(quick["status"], "confirmed");
    let order = shop.order_in(&late, "cancelled").await;
    assert_eq!(order["reason"]["code"], "stock_lost");
    assert_eq!(order["paymentStatus"], "voided");
    assert_eq!(shop.payment(&late).await["captured"]["amount"], "0.00");
    assert_eq!(shop.stock("lamp").await, [2, 0, 1, 1]);
    server.finish();
}

#[tokio::test]
async fn an_order_on_terms_is_confirmed_without_a_provider_and_paid_on_dispatch() {
    let server = Server::start().await;
    let shop = server.shop();
    let mut body = lines(&[("item2", 1)]);
    body["payment"] = json!({"method": "terms"});
    let order = shop.settled(&body).await;
    assert_eq!(order["status"], "confirmed");
    assert_eq!(order["paymentMethod"], "terms");
    assert_ne!(order["paymentStatus"], "paid");
    let id = text(&order, "orderId");
    shop.ask(&id, "shipments", &json!({})).await.is(201);
    shop.order_in(&id, "completed").await;
    server.finish();
}

#[tokio::test]
async fn payments_are_listed_by_state_and_method() {
    let server = Server::start().await;
    let shop = server.shop();
    let paid = text(&shop.settled(&lines(&[("item1", 1)])).await, "orderId");
    let declined =
        text(&shop.settled(&with_token(lines(&[("item1", 1)]), "decline")).await, "orderId");
    shop.order_in(&declined, "cancelled").await;
    let orders = async |path: &str| {
        let payments = shop.all(path).await;
        payments.iter().map(|payment| text(payment, "orderId")).collect::<Vec<_>>()
    };
    assert_eq!(orders("/api/v1/payments?state=captured").await, [paid.as_str()]);
    assert_eq!(orders("/api/v1/payments?state=declined").await, [declined.as_str()]);
    let both = orders("/api/v1/payments?method=simulated&sort=oldest").await;
    assert_eq!(both, [paid.as_str(), declined.as_str()]);
    assert!(orders("/api/v1/payments?method=terms").await.is_empty());
    server.finish();
}

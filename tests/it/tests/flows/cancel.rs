//! Cancellation: any time before dispatch, once, and everything goes back.

use it::{Server, lines, text, with_token};
use serde_json::json;

const SLOW: &str = "[payment]\nsimulated_slow_ms = 1500\n";

#[tokio::test]
async fn an_order_cancelled_as_soon_as_it_is_placed_keeps_nothing() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 100).await;
    let mut ids = Vec::new();
    for _ in 0..25 {
        let id = shop.placed(&lines(&[("lamp", 1)])).await;
        shop.cancel(&id).await.is(200);
        ids.push(id);
    }
    for id in &ids {
        let order = shop.order_in(id, "cancelled").await;
        assert_eq!(order["reason"]["code"], "requested");
        assert_eq!(order["lines"][0]["cancelled"], 1);
        let payment = order["paymentStatus"].as_str().unwrap_or_default().to_owned();
        assert!(["none", "voided", "refunded"].contains(&payment.as_str()), "{order}");
    }
    shop.stock_is("lamp", [100, 0, 0, 100]).await;
    server.finish();
}

#[tokio::test]
async fn an_order_cancelled_while_it_is_being_paid_gives_back_what_the_provider_says_later() {
    let server = Server::configured(SLOW).await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let id = shop.paid_with("slow", &[("lamp", 3)]).await;
    shop.order_in(&id, "paying").await;
    assert_eq!(shop.stock("lamp").await, [10, 3, 0, 7]);
    let cancelling = shop.cancel(&id).await.is(200);
    assert!(
        ["cancelling", "cancelled"].contains(&cancelling["status"].as_str().unwrap_or_default())
    );
    let order = shop.order_in(&id, "cancelled").await;
    assert_eq!(order["reason"]["code"], "requested");
    shop.stock_is("lamp", [10, 0, 0, 10]).await;
    let payment = shop.payment(&id).await;
    assert_eq!(payment["captured"]["amount"], "0.00", "{payment}");
    server.finish();
}

#[tokio::test]
async fn a_confirmed_order_that_is_cancelled_is_refunded_and_its_stock_is_released() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let order = shop.settled(&lines(&[("lamp", 4)])).await;
    let id = text(&order, "orderId");
    shop.cancel(&id).await.is(200);
    let order = shop.order_in(&id, "cancelled").await;
    assert_eq!(order["paymentStatus"], "refunded");
    shop.stock_is("lamp", [10, 0, 0, 10]).await;
    let payment = shop.payment(&id).await;
    assert_eq!(payment["captured"]["amount"], "20.00");
    assert_eq!(payment["refunded"]["amount"], "20.00");
    let (kinds, entries) = shop.journal("lamp").await;
    assert_eq!(kinds, ["receive", "hold", "allocate", "release"]);
    assert!(entries[1..].iter().all(|entry| entry["cause"]["id"] == id.as_str()), "{entries:?}");
    server.finish();
}

#[tokio::test]
async fn cancelling_twice_is_cancelling_once() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let id = text(&shop.settled(&lines(&[("lamp", 1)])).await, "orderId");
    let calls = (0..20).map(|_| shop.cancel(&id));
    for answer in futures::future::join_all(calls).await {
        answer.is(200);
    }
    shop.order_in(&id, "cancelled").await;
    let again = shop.cancel(&id).await.is(200);
    assert_eq!(again["status"], "cancelled");
    let (kinds, _) = shop.journal("lamp").await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "release").count(), 1, "{kinds:?}");
    let payment = shop.payment(&id).await;
    assert_eq!(payment["refunded"]["amount"], "5.00");
    let attempts = payment["attempts"].as_array().cloned().unwrap_or_default();
    let refunds = attempts.iter().filter(|attempt| attempt["kind"] == "refund").count();
    assert_eq!(refunds, 1, "{payment:#}");
    server.finish();
}

#[tokio::test]
async fn an_order_that_waits_for_a_decision_or_is_on_hold_can_be_cancelled() {
    let server = Server::configured(SLOW).await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 2).await;
    let mut asks = lines(&[("lamp", 3)]);
    asks["policy"] = json!("ask");
    let asked = shop.placed(&asks).await;
    shop.order_in(&asked, "awaiting_decision").await;
    shop.cancel(&asked).await.is(200);
    shop.order_in(&asked, "cancelled").await;
    shop.stock_is("lamp", [2, 0, 0, 2]).await;

    let held = shop.paid_with("slow", &[("lamp", 2)]).await;
    shop.order_in(&held, "paying").await;
    shop.ask(&held, "hold", &json!({"reason": "address to be checked"})).await.is(200);
    shop.cancel(&held).await.is(200);
    shop.order_in(&held, "cancelled").await;
    shop.stock_is("lamp", [2, 0, 0, 2]).await;
    server.finish();
}

#[tokio::test]
async fn what_was_dispatched_or_has_ended_cannot_be_cancelled_and_the_refusal_says_what_can_be_done()
 {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let id = text(&shop.settled(&lines(&[("lamp", 2)])).await, "orderId");
    let one = json!({"lines": [{"line": 1, "quantity": 1}]});
    shop.ask(&id, "shipments", &one).await.is(201);
    let problem = shop.cancel(&id).await.refuses(409, "illegal-transition");
    assert!(problem["nextActions"].as_array().is_some_and(|next| !next.is_empty()), "{problem}");
    shop.ask(&id, "shipments", &json!({})).await.is(201);
    shop.order_in(&id, "completed").await;
    shop.cancel(&id).await.refuses(409, "illegal-transition");

    let rejected = shop.settled(&lines(&[("lamp", 1_000)])).await;
    assert_eq!(rejected["status"], "rejected");
    shop.cancel(&text(&rejected, "orderId")).await.refuses(409, "illegal-transition");
    server.finish();
}

#[tokio::test]
async fn units_of_a_confirmed_order_can_be_given_up_and_their_money_comes_back() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    shop.product("desk", "100.00", 10).await;
    let id = text(&shop.settled(&lines(&[("lamp", 3), ("desk", 1)])).await, "orderId");
    let some = json!({"reason": "one is enough", "lines": [{"line": 1, "quantity": 2}]});
    let order = shop.ask(&id, "cancel", &some).await.is(200);
    assert_eq!(order["status"], "confirmed");
    assert_eq!(order["total"]["amount"], "105.00");
    let line = &order["lines"][0];
    assert_eq!(
        (&line["quantity"], &line["allocated"], &line["cancelled"]),
        (&json!(3), &json!(1), &json!(2))
    );
    shop.stock_is("lamp", [10, 0, 1, 9]).await;
    let partly = |order: &serde_json::Value| order["paymentStatus"] == "partially_refunded";
    shop.order_when(&id, "the refund", partly).await;
    assert_eq!(shop.payment(&id).await["refunded"]["amount"], "10.00");

    let too_many = json!({"reason": "all", "lines": [{"line": 1, "quantity": 2}]});
    let refused = shop.ask(&id, "cancel", &too_many).await;
    assert!(matches!(refused.status, 409 | 422), "{}", refused.text());
    server.finish();
}

#[tokio::test]
async fn money_that_comes_after_the_cancellation_goes_back() {
    let server = Server::configured(SLOW).await;
    let shop = server.shop();
    for token in ["slow", "unknown_approved", "unknown_declined"] {
        let id = shop.placed(&with_token(lines(&[("item1", 1)]), token)).await;
        shop.order_in(&id, "paying").await;
        // With an answer that is lost the order may be confirmed by now: then it is refunded.
        shop.cancel(&id).await.is(200);
        let order = shop.order_in(&id, "cancelled").await;
        let payment = order["paymentStatus"].as_str().unwrap_or_default().to_owned();
        assert!(!["authorized", "paid"].contains(&payment.as_str()), "{token}: {order}");
    }
    server.finish();
}

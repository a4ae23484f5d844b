//! Deadlines that pass while an order waits: it ends, its stock is free, and money that comes later goes
//! back. What cannot end by itself is listed, and ended by a person.

use it::{Server, text};
use serde_json::{Value, json};

fn attempts(payment: &Value, kind: &str) -> usize {
    let attempts = payment["attempts"].as_array().cloned().unwrap_or_default();
    attempts.iter().filter(|attempt| attempt["kind"] == kind).count()
}

/// Hold and payment both end long before the provider answers.
const LATE: &str = "[inventory]\nhold_ttl_s = 1\n[payment]\nsimulated_slow_ms = 5000\n\
                    [order]\npaying_s = 2\n";

#[tokio::test]
async fn hold_and_payment_expire_and_an_authorisation_that_comes_later_is_voided_once() {
    let server = Server::configured(LATE).await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 2).await;
    let id = shop.paid_with("slow", &[("lamp", 2)]).await;
    let waiting = shop.order_in(&id, "paying").await;
    assert!(waiting["deadline"].is_string(), "{waiting:#}");
    // The hold has ended: the units are for whoever pays first.
    shop.stock_is("lamp", [2, 0, 0, 2]).await;
    let other = text(&shop.settled(&it::lines(&[("lamp", 2)])).await, "orderId");
    assert_eq!(shop.order(&other).await["status"], "confirmed");
    let order = shop.order_in(&id, "cancelling").await;
    assert_eq!(order["reason"]["code"], "payment_timed_out", "{order:#}");
    let order = shop.order_in(&id, "cancelled").await;
    assert_eq!(order["paymentStatus"], "voided", "{order:#}");
    let payment = shop.payment(&id).await;
    assert_eq!(payment["captured"]["amount"], "0.00", "{payment:#}");
    assert_eq!(
        (attempts(&payment, "authorize"), attempts(&payment, "void")),
        (1, 1),
        "{payment:#}"
    );
    let steps = shop.steps(&id).await;
    for step in ["inventory.expired", "order.cancelling", "payment.voided", "order.cancelled"] {
        assert_eq!(steps.iter().filter(|found| *found == step).count(), 1, "{step}: {steps:?}");
    }
    let (kinds, _) = shop.journal("lamp").await;
    assert_eq!(kinds, ["receive", "hold", "expire", "hold", "allocate"]);
    shop.stock_is("lamp", [2, 0, 2, 0]).await;
    server.finish();
}

/// Everything is over before a provider that never answers would be.
const SILENT: &str = "[payment]\ncall_timeout_ms = 200\n[order]\npaying_s = 1\ncancelling_s = 1\n";

#[tokio::test]
async fn a_provider_that_never_answers_is_listed_and_ended_by_a_person() {
    let server = Server::configured(SILENT).await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 2).await;
    let id = shop.paid_with("silent", &[("lamp", 2)]).await;
    let order = shop.order_in(&id, "cancelling").await;
    assert_eq!(order["reason"]["code"], "payment_timed_out", "{order:#}");
    // The stock does not wait for the money.
    shop.stock_is("lamp", [2, 0, 0, 2]).await;
    let listed = |order: &Value| order["needsAttention"] == true;
    let order = shop.order_when(&id, "attention", listed).await;
    assert!(order["attentionReason"].is_string(), "{order:#}");
    // On a server an order is seen by its id a moment before it is in lists: at its COMMIT.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    loop {
        let list = shop.all("/api/v1/orders?needs_attention=true").await;
        let ids: Vec<_> = list.iter().map(|order| text(order, "orderId")).collect();
        if ids == [id.as_str()] {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{ids:?} need attention, not {id}");
    }
    let steps = shop.steps(&id).await;
    assert!(steps.iter().any(|step| step == "payment.unknown"), "{steps:?}");

    let body = json!({"action": "retry", "reason": "the provider may be back"});
    shop.ask(&id, "attention", &body).await.is(200);
    shop.order_when(&id, "attention again", listed).await;
    let body = json!({"action": "skip", "reason": "the provider is gone for good"});
    shop.ask(&id, "attention", &body).await.is(200);
    let order = shop.order_in(&id, "cancelled").await;
    assert_eq!(order["needsAttention"], false, "{order:#}");
    // Whatever was asked of the provider was asked under one key.
    let payment = shop.payment(&id).await;
    assert_eq!(attempts(&payment, "authorize"), 1, "{payment:#}");
    assert_eq!(payment["captured"]["amount"], "0.00", "{payment:#}");
    shop.stock_is("lamp", [2, 0, 0, 2]).await;
    server.finish();
}

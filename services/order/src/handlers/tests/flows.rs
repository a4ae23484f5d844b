//! Orders on their way, fact by fact.

use std::time::Duration;

use contracts_grpc::v1;
use rpc::problem;

use super::world::*;
use crate::domain::{PaymentStatus, Status};

const MINUTE: Duration = Duration::from_mins(1);

fn cancel(order_id: contracts::OrderId, lines: Vec<v1::LineQuantity>) -> v1::CancelOrderRequest {
    let (order_id, reason) = (order_id.to_string(), "changed my mind".to_owned());
    v1::CancelOrderRequest { order_id, lines, reason, ..v1::CancelOrderRequest::default() }
}

#[tokio::test]
async fn an_order_is_placed_reserved_paid_and_confirmed() {
    let mut world = World::new().await;
    let mut watch = world.orders.watch(None).unwrap();
    let id = world.place(request()).await;
    world.bring_to(id, Status::Confirmed).await;
    let order = world.order(id).await;
    assert_eq!((order.payment_status(), order.total()), (PaymentStatus::Paid, TOTAL));

    let timeline = v1::GetTimelineRequest { order_id: id.to_string(), ..Default::default() };
    let timeline = world.api.get_timeline(timeline).await.unwrap().into_inner();
    let steps: Vec<_> = timeline.entries.iter().map(|entry| entry.step.as_str()).collect();
    assert_eq!(steps.first(), Some(&"order.placed"));
    assert_eq!(steps.last(), Some(&"order.confirmed"));
    assert_eq!(timeline.entries.len(), 9);

    let mut seen = Vec::new();
    while seen.last() != Some(&Status::Confirmed) {
        for commit in watch.next().await.unwrap() {
            seen.extend(commit.changes.iter().map(|change| change.status));
        }
    }
    assert_eq!(seen.first(), Some(&Status::Placed));
    let summary = world.api.get_summary(v1::GetSummaryRequest {}).await.unwrap().into_inner();
    let confirmed: i32 = v1::OrderStatus::Confirmed.into();
    let count = summary.counts.iter().find(|count| count.status == confirmed).unwrap();
    assert_eq!((count.count, summary.orders_overdue), (1, 0));
    world.audit().await;
}

#[tokio::test]
async fn a_row_of_two_lines_is_small() {
    let mut world = World::new().await;
    let key = "4be10a54-2cf0-4b1c-9d6c-7d2c01dbd0f3".to_owned();
    let id = world.place(v1::PlaceOrderRequest { idempotency_key: key, ..request() }).await;
    world.bring_to(id, Status::Confirmed).await;
    let sql = "SELECT LENGTH(doc), LENGTH(doc) + LENGTH(id) + LENGTH(customer_id) + 16 + 16 \
               + LENGTH(request_key) + LENGTH(request_hash) + 12 FROM orders";
    let sizes: Result<Vec<(i64, i64)>, ::store::StoreError> = world
        .store
        .read(move |rx| Box::pin(rx.query(sql, &[], |row| Ok((row.int(0)?, row.int(1)?)))))
        .await;
    let (doc, row) = sizes.unwrap()[0];
    assert!(row <= 450, "the document has {doc} bytes, the row about {row}");
}

#[tokio::test]
async fn a_declined_payment_is_compensated() {
    let mut world = World::new().await;
    let id = world.place(request()).await;
    world.bring_to(id, Status::Paying).await;
    world.say(declined(id)).await;
    assert_eq!(world.status(id).await, Status::Cancelling);
    world.say(released(id)).await;
    world.say(voided(id)).await;
    let order = world.order(id).await;
    assert_eq!(order.status(), Status::Cancelled);
    assert_eq!(order.reason().unwrap().0, "payment_declined");
    world.audit().await;
}

#[tokio::test]
async fn a_payment_that_comes_after_its_deadline_goes_back() {
    let mut world = World::new().await;
    let id = world.place(request()).await;
    world.bring_to(id, Status::Paying).await;
    world.wait(MINUTE * 14).await;
    assert_eq!(world.status(id).await, Status::Paying);
    world.wait(MINUTE).await;
    assert_eq!(world.status(id).await, Status::Cancelling);
    for late in [authorized(id), allocated(id), released(id), voided(id)] {
        world.say(late).await;
    }
    let order = world.order(id).await;
    assert_eq!(
        (order.status(), order.payment_status()),
        (Status::Cancelled, PaymentStatus::Voided)
    );
    assert_eq!(order.reason().unwrap().0, "payment_timed_out");
    world.audit().await;
}

#[tokio::test]
async fn an_order_that_went_on_is_looked_at_once_more_at_its_first_deadline() {
    let mut world = World::new().await;
    let id = world.place(request()).await;
    world.bring_to(id, Status::Paying).await;
    let before = world.order(id).await;
    world.store.clock.advance(MINUTE);
    assert_eq!(world.orders.pass_deadlines().await.unwrap(), 1);
    assert_eq!(world.orders.pass_deadlines().await.unwrap(), 0, "found by its own deadline now");
    assert_eq!(world.order(id).await.version, before.version);
    world.wait(MINUTE * 14).await;
    assert_eq!(world.status(id).await, Status::Cancelling);
    world.audit().await;
}

#[tokio::test]
async fn an_order_can_be_cancelled_wherever_it_stands() {
    let mut world = World::new().await;
    for status in [Status::Placed, Status::Reserved, Status::Paying, Status::Confirmed] {
        let id = world.place(request()).await;
        world.bring_to(id, status).await;
        let order = world.api.cancel_order(cancel(id, Vec::new())).await.unwrap().into_inner();
        let cancelling: i32 = v1::OrderStatus::Cancelling.into();
        assert_eq!(order.order.unwrap().status, cancelling);
        // Twice is once.
        world.api.cancel_order(cancel(id, Vec::new())).await.unwrap();
        world.say(released(id)).await;
        world.say(voided(id)).await;
        assert_eq!(world.status(id).await, Status::Cancelled, "from {status:?}");
    }
    world.audit().await;
}

#[tokio::test]
async fn every_event_may_come_twice() {
    let mut world = World::new().await;
    let (once, twice) = (world.place(request()).await, world.place(request()).await);
    for (first, second) in happy_path(once).into_iter().zip(happy_path(twice)) {
        world.say(first).await;
        world.say(second.clone()).await;
        world.say(second).await;
    }
    let (once, twice) = (world.order(once).await, world.order(twice).await);
    assert_eq!((&once.state, &once.balances), (&twice.state, &twice.balances));
    assert_eq!((once.ledger, once.version), (twice.ledger, twice.version));
    assert_eq!(once.history.entries.len(), twice.history.entries.len());
    world.audit().await;
}

#[tokio::test]
async fn silent_checks_expire_an_order() {
    let mut world = World::new().await;
    let id = world.place(request()).await;
    world.wait(Duration::from_secs(30)).await;
    let asked = world.order(id).await;
    assert_eq!(asked.history.entries.last().unwrap().step.name(), "order.check_requested");
    for _ in 0..19 {
        world.wait(Duration::from_secs(30)).await;
    }
    assert_eq!(world.status(id).await, Status::Expired);
    world.say(validated(id)).await;
    world.say(reserved(id)).await;
    assert_eq!(world.status(id).await, Status::Expired);
    world.audit().await;
}

#[tokio::test]
async fn a_late_order_is_flagged_once_and_settled_by_a_person() {
    let mut world = World::new().await;
    let id = world.place(request()).await;
    world.bring_to(id, Status::Confirmed).await;
    world.wait(MINUTE * 60 * 24 * 7).await;
    let order = world.order(id).await;
    assert!(order.attention.is_some() && order.deadline.is_none());
    let summary = world.orders.summary().await.unwrap();
    assert_eq!((summary.attention, summary.overdue), (1, 0));
    let settle = v1::ResolveAttentionRequest {
        order_id: id.to_string(),
        action: v1::AttentionAction::Retry.into(),
        reason: "the van is on its way".to_owned(),
        ..Default::default()
    };
    let settled = world.api.resolve_attention(settle.clone()).await.unwrap().into_inner();
    assert!(!settled.order.unwrap().needs_attention);
    let again = problem(&world.api.resolve_attention(settle).await.unwrap_err());
    assert_eq!(again.slug, "illegal-transition");
    world.audit().await;
}

#[tokio::test]
async fn an_illegal_move_names_the_legal_ones() {
    let mut world = World::new().await;
    let id = world.place(request()).await;
    let ship = v1::CreateShipmentRequest { order_id: id.to_string(), ..Default::default() };
    let refused = problem(&world.api.create_shipment(ship.clone()).await.unwrap_err());
    assert_eq!((refused.slug.as_str(), refused.status), ("illegal-transition", 409));
    assert_eq!(refused.extra["nextActions"], serde_json::json!(["cancel", "cancel_lines", "hold"]));

    world.bring_to(id, Status::Confirmed).await;
    let stale = v1::CreateShipmentRequest { expected_version: Some(1), ..ship.clone() };
    let refused = problem(&world.api.create_shipment(stale).await.unwrap_err());
    assert_eq!((refused.slug.as_str(), refused.status), ("stale-version", 412));

    let keyed = v1::CreateShipmentRequest { idempotency_key: "k".to_owned(), ..ship };
    let first = world.api.create_shipment(keyed.clone()).await.unwrap().into_inner();
    let second = world.api.create_shipment(keyed.clone()).await.unwrap().into_inner();
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!((first.shipment, first.order), (second.shipment, second.order));
    assert_eq!(world.status(id).await, Status::Completed);
    let other = v1::CreateShipmentRequest { carrier: "other".to_owned(), ..keyed };
    let refused = problem(&world.api.create_shipment(other).await.unwrap_err());
    assert_eq!(refused.slug, "idempotency-key-reused");
    world.audit().await;
}

#[tokio::test]
async fn units_can_be_given_up_and_orders_stopped() {
    let mut world = World::new().await;
    let id = world.place(request()).await;
    world.bring_to(id, Status::Confirmed).await;
    let one = v1::LineQuantity { line_number: 2, quantity: 1 };
    let order = world.api.cancel_order(cancel(id, vec![one])).await.unwrap().into_inner();
    let order = order.order.unwrap();
    assert_eq!((order.lines[1].cancelled, order.total.unwrap().minor_units), (1, 600));

    let hold = v1::HoldOrderRequest {
        order_id: id.to_string(),
        reason: "fraud?".to_owned(),
        ..Default::default()
    };
    world.api.hold_order(hold).await.unwrap();
    assert_eq!(world.status(id).await, Status::OnHold);
    let resume = v1::ResumeOrderRequest { order_id: id.to_string(), ..Default::default() };
    world.api.resume_order(resume).await.unwrap();
    assert_eq!(world.status(id).await, Status::Confirmed);
    world.audit().await;
}

#[tokio::test]
async fn who_waits_is_answered_when_the_order_is_settled() {
    let mut world = World::new().await;
    let id = world.place(request()).await;
    let orders = std::sync::Arc::clone(&world.orders);
    let waiting = async move { orders.find_settled(id, Duration::from_secs(20)).await.unwrap() };
    let (order, ()) = tokio::join!(waiting, world.bring_to(id, Status::Confirmed));
    assert_eq!(order.status(), Status::Confirmed);
    let other = world.place(v1::PlaceOrderRequest { wait_ms: 20, ..request() }).await;
    assert_eq!(world.status(other).await, Status::Placed);
}

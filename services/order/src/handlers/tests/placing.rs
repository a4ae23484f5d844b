//! Placing: what is accepted, what is refused, and what is done once.

use std::collections::HashSet;

use contracts_grpc::v1;
use contracts_grpc::v1::place_order_outcome::Outcome;
use rpc::problem;

use super::world::*;
use crate::Settings;
use crate::domain::Status;

fn keyed(key: &str) -> v1::PlaceOrderRequest {
    v1::PlaceOrderRequest { idempotency_key: key.to_owned(), ..request() }
}

/// Makes a good request bad.
type Spoil = fn(&mut v1::PlaceOrderRequest);

#[tokio::test]
async fn bad_requests_name_the_field_at_fault() {
    let mut world = World::new().await;
    let money = |minor_units, currency: &str| v1::Money { minor_units, currency: currency.into() };
    let table: [(&str, &str, Spoil); 14] = [
        ("/customerId", "invalid", |r| r.customer_id.clear()),
        ("/customerId", "invalid", |r| r.customer_id = "two words".into()),
        ("/lines", "out-of-range", |r| r.lines.clear()),
        ("/lines", "out-of-range", |r| r.lines = vec![r.lines[0].clone(); 501]),
        ("/lines/1/quantity", "out-of-range", |r| r.lines[1].quantity = 0),
        ("/lines/1/quantity", "out-of-range", |r| r.lines[1].quantity = -1),
        ("/lines/0/quantity", "out-of-range", |r| r.lines[0].quantity = 1_000_001),
        ("/lines/0/sku", "invalid", |r| r.lines[0].sku = "x".repeat(65)),
        ("/lines/1/sku", "unknown-sku", |r| r.lines[1].sku = "nothing".into()),
        ("/lines/0/sku", "retired-sku", |r| r.lines[0].sku = "gone".into()),
        ("/lines/1/sku", "cannot-be-added", |r| r.lines[1].sku = "euro".into()),
        ("/payment/method", "unknown-method", |r| {
            r.payment = Some(v1::PaymentInstruction { method: "gold".into(), token: "x".into() });
        }),
        ("/channel", "invalid", |r| r.channel = "x".repeat(201)),
        ("/total/currency", "invalid", |r| {
            r.total = Some(v1::Money { minor_units: 1, currency: "???".into() });
        }),
    ];
    for (pointer, code, spoil) in table {
        let mut bad = request();
        spoil(&mut bad);
        let problem = problem(&world.api.place_order(bad).await.unwrap_err());
        assert_eq!((problem.slug.as_str(), problem.status), ("invalid-request", 422), "{pointer}");
        let found = problem.errors.iter().map(|one| (one.pointer.as_str(), one.code.as_str()));
        assert_eq!(found.collect::<Vec<_>>(), [(pointer, code)]);
    }
    let wrong = v1::PlaceOrderRequest { total: Some(money(799, "USD")), ..request() };
    let problem = problem(&world.api.place_order(wrong).await.unwrap_err());
    assert_eq!((problem.slug.as_str(), problem.status), ("total-mismatch", 422));
    assert_eq!(problem.extra["expected"]["amount"], "8.00");
    assert_eq!(problem.extra["given"]["amount"], "7.99");
    let right = v1::PlaceOrderRequest { total: Some(money(800, "USD")), ..request() };
    world.api.place_order(right).await.unwrap();
}

#[tokio::test]
async fn a_key_stands_for_one_order() {
    let mut world = World::new().await;
    let first = world.api.place_order(keyed("k")).await.unwrap().into_inner();
    let id = first.order.clone().unwrap().order_id.parse().unwrap();
    world.bring_to(id, Status::Confirmed).await;
    for flushed in [false, true] {
        if flushed {
            assert!(world.orders.flush_index().await.unwrap() > 0);
            world.orders.build_key_filter().await.unwrap();
        }
        let again = world.api.place_order(keyed("k")).await.unwrap().into_inner();
        assert!(again.replayed);
        assert_eq!(again.order, first.order, "the first answer");
        let other = v1::PlaceOrderRequest { channel: "web".into(), ..keyed("k") };
        let refused = problem(&world.api.place_order(other).await.unwrap_err());
        assert_eq!(refused.slug, "idempotency-key-reused");
    }
    let bad = problem(&world.api.place_order(keyed("\u{e9}")).await.unwrap_err());
    assert_eq!(bad.slug, "bad-idempotency-key");
    world.audit().await;
}

#[tokio::test]
async fn a_batch_is_judged_one_by_one_and_keys_meet_within_it() {
    let mut world = World::new().await;
    let mut unknown = request();
    unknown.lines[0].sku = "nothing".into();
    let other = v1::PlaceOrderRequest { channel: "web".into(), ..keyed("a") };
    let orders = vec![keyed("a"), unknown, keyed("a"), other, request(), keyed("\n")];
    let batch = v1::PlaceOrdersRequest { orders };
    let outcomes = world.api.place_orders(batch).await.unwrap().into_inner().outcomes;
    let told: Vec<String> = outcomes
        .iter()
        .map(|one| match one.outcome.as_ref().unwrap() {
            Outcome::Order(order) => format!("{} {}", order.number, one.replayed),
            Outcome::Problem(problem) => problem.r#type.clone(),
        })
        .collect();
    let bad_key = "bad-idempotency-key";
    let expected =
        ["1 false", "invalid-request", "1 true", "idempotency-key-reused", "2 false", bad_key];
    assert_eq!(told, expected);
    world.audit().await;
}

#[tokio::test]
async fn two_requests_of_one_key_at_the_same_time_are_one_order() {
    let world = World::new().await;
    let calls = (0..50).map(|_| {
        let mut api = world.api.clone();
        async move { api.place_order(keyed("same")).await.unwrap().into_inner() }
    });
    let answers = futures::future::join_all(calls).await;
    let ids: HashSet<_> =
        answers.iter().map(|answer| answer.order.as_ref().unwrap().order_id.clone()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    world.audit().await;
}

#[tokio::test]
async fn the_same_sku_may_be_on_two_lines() {
    let mut world = World::new().await;
    let mut same = request();
    same.lines[1].sku = "item1".into();
    let id = world.place(same).await;
    let order = world.order(id).await;
    assert_eq!((order.placed.lines.len(), order.total().minor()), (2, 500));
}

#[tokio::test]
async fn more_than_can_be_finished_is_refused() {
    let settings = Settings { open_orders_max: 2, ..Settings::default() };
    let mut world = World::with(settings).await;
    while world.orders.count_more().await.unwrap() {}
    let first = world.place(request()).await;
    world.place(request()).await;
    let refused = problem(&world.api.place_order(request()).await.unwrap_err());
    assert_eq!((refused.slug.as_str(), refused.status), ("overloaded", 503));
    world.bring_to(first, Status::Confirmed).await;
    world.place(request()).await;
}

#[tokio::test]
async fn a_changed_price_counts_for_the_next_order() {
    let mut world = World::new().await;
    let before = world.place(request()).await;
    let sku = contracts::Sku::try_new("item1").unwrap();
    let price = contracts::Money::new(1_000, contracts::Currency::USD);
    let event = contracts::events::catalog::ProductUpdated {
        sku: sku.clone(),
        name: "dearer".into(),
        price,
        version: 2,
    };
    world.say(event).await;
    let after = world.place(request()).await;
    assert_eq!(world.order(before).await.total().minor(), 800);
    assert_eq!(world.order(after).await.total().minor(), 2_600);
    world.say(contracts::events::catalog::ProductRetired { sku, version: 3 }).await;
    let refused = problem(&world.api.place_order(request()).await.unwrap_err());
    assert_eq!(refused.errors[0].code, "retired-sku");
}

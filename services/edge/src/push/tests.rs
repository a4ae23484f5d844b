//! From committed events to what a client is told, without a store.

use std::sync::Arc;
use std::time::Duration;

use contracts::clock::ManualClock;
use contracts::events::inventory::{StockChanged, StockLow};
use contracts::events::order::{OrderConfirmed, OrderPlaced, OrderReserved, PlacedLine};
use contracts::events::payment::{PaymentCaptured, PaymentRequested};
use contracts::{
    Currency, CustomerId, Event, EventData, EventId, EventKind, Location, Money, OrderId,
    OrderNumber, Position, Quantity, Sku, Timestamp,
};
use futures::FutureExt as _;
use live::hub::{Interest, Step};
use serde_json::{Value, json};

use super::project::{Kept, Projection};
use super::*;

const AT: Timestamp = Timestamp::from_micros(1_795_268_168_349_911);

fn event(segment: u64, index: u32, data: impl Into<EventData>) -> Arc<Event> {
    let id = EventId::new(AT, 0, Position { segment, index });
    let (sequence, time) = (1, AT.plus(Duration::from_millis(segment)));
    let data = data.into();
    Arc::new(Event {
        id,
        sequence,
        time,
        correlation: None,
        causation: None,
        traceparent: None,
        data,
    })
}

fn order() -> OrderId {
    OrderId::new(AT, OrderNumber::new(7), 42)
}

fn usd(cents: i64) -> Money {
    Money::new(cents, Currency::USD)
}

fn customer() -> CustomerId {
    CustomerId::try_new("c1").unwrap()
}

fn placed() -> OrderPlaced {
    let line = PlacedLine {
        line: 1,
        sku: Sku::try_new("item1").unwrap(),
        name: "Laptop".into(),
        quantity: Quantity::try_new(2).unwrap(),
        unit_price: usd(500),
        policy: contracts::events::order::ShortagePolicy::Reject,
    };
    OrderPlaced {
        order_id: order(),
        number: order().number(),
        customer_id: customer(),
        lines: vec![line],
        total: usd(1_000),
        payment: payment(),
        channel: "web".into(),
    }
}

fn payment() -> contracts::events::order::PaymentInstruction {
    contracts::events::order::PaymentInstruction {
        method: "simulated".into(),
        token: "approve".into(),
    }
}

fn reserved() -> OrderReserved {
    let (order_id, customer_id) = (order(), customer());
    OrderReserved { order_id, customer_id, total: usd(1_000), payment: payment() }
}

fn requested() -> PaymentRequested {
    PaymentRequested { order_id: order(), method: "simulated".into(), amount: usd(1_000) }
}

fn confirmed() -> OrderConfirmed {
    let (order_id, number) = (order(), order().number());
    OrderConfirmed { order_id, number, customer_id: customer(), total: usd(1_000) }
}

fn level(available: i64, version: u64) -> StockChanged {
    StockChanged {
        sku: Sku::try_new("item1").unwrap(),
        location: Location::main(),
        on_hand: 10,
        held: 10 - available,
        allocated: 0,
        quarantined: 0,
        available,
        version,
        order_id: Some(order()),
    }
}

/// What one tick with `events` tells: channel, event and JSON.
fn told(kept: &mut Kept, events: &[Arc<Event>]) -> Vec<(Channel, &'static str, Value)> {
    let mut projection = Projection::new();
    for event in events {
        projection.take(event, kept);
    }
    let told = projection.told().unwrap();
    let read = |told: live::hub::Told| {
        (told.channel, told.event, serde_json::from_slice(&told.json).unwrap())
    };
    told.into_iter().map(read).collect()
}

#[test]
fn a_whole_life_within_one_tick_is_one_event_with_the_last_status() {
    let events = [
        event(1, 0, placed()),
        event(1, 1, reserved()),
        event(1, 2, requested()),
        event(2, 0, PaymentCaptured { order_id: order(), amount: usd(1_000) }),
        event(2, 1, confirmed()),
    ];
    let told = told(&mut Kept::default(), &events);
    assert_eq!(told.len(), 1);
    let (channel, name, json) = &told[0];
    assert_eq!((*channel, *name), (ORDERS, "order"));
    let expected = json!({
        "orderId": order().to_string(),
        "number": 7,
        "status": "confirmed",
        "paymentStatus": "paid",
        "updatedAt": AT.plus(Duration::from_millis(2)).to_string(),
        "confirmedAt": AT.plus(Duration::from_millis(2)).to_string(),
        "customerId": "c1",
        "channel": "web",
        "placedAt": AT.plus(Duration::from_millis(1)).to_string(),
        "total": {"amount": "10.00", "currency": "USD"},
        "lines": [{"line": 1, "sku": "item1", "name": "Laptop", "quantity": 2,
            "unitPrice": {"amount": "5.00", "currency": "USD"}}],
    });
    assert_eq!(*json, expected);
}

#[test]
fn paying_is_told_of_an_order_that_was_reserved_in_an_earlier_tick() {
    let mut kept = Kept::default();
    told(&mut kept, &[event(1, 0, reserved())]);
    let later = told(&mut kept, &[event(2, 0, requested())]);
    assert_eq!(later[0].2["status"], "paying");
    // Asked once more, it is not known any more where the order stands: it is looked up.
    let mut projection = Projection::new();
    projection.take(&event(3, 0, requested()), &mut kept);
    assert_eq!(projection.unclear(10), [order().to_string()]);
    projection.settle(&order().to_string(), r#"{"whole":true}"#.into());
    assert_eq!(projection.told().unwrap()[0].json, r#"{"whole":true}"#);
}

#[test]
fn a_level_is_told_whole_and_once_in_our_shape_and_in_the_seed_s() {
    let told = told(&mut Kept::default(), &[event(1, 0, level(8, 2)), event(1, 1, level(7, 3))]);
    assert_eq!(told.len(), 2);
    let seed = json!({"orderId": order().to_string(), "product": "item1", "stock": 7});
    assert_eq!(told[0], (SEED, "stock-update", seed));
    let stock = json!({
        "sku": "item1", "location": "main", "onHand": 10, "held": 3, "allocated": 0,
        "quarantined": 0, "available": 7, "version": 3,
        "updatedAt": AT.plus(Duration::from_millis(1)).to_string(),
    });
    assert_eq!(told[1], (STOCK, "stock", stock));
}

/// Live push over a log that holds `events`.
fn push(events: Vec<Arc<Event>>) -> Live {
    let read: ReadLog = Arc::new(move |from| {
        let behind = events.iter().filter(|event| event.id.position() >= from);
        let page = behind.take(2).cloned().collect();
        async move { Ok(page) }.boxed()
    });
    Live::new(LiveSettings::default(), read, Arc::new(ManualClock::at(AT)), Tasks::default())
}

async fn heard(live: &Live, from: Position) -> Option<Vec<u64>> {
    let mut client = live.hub.listen(Interest::keys(STOCK, vec!["item1".into()]));
    if !live.resume(&mut client, from).await {
        return None;
    }
    match client.next_events().now_or_never() {
        Some(Step::Events(entries, _)) => {
            Some(entries.iter().map(|entry| entry.position.segment).collect())
        }
        Some(other) => panic!("{other:?}"),
        None => Some(Vec::new()),
    }
}

#[tokio::test]
async fn what_was_missed_before_the_start_comes_from_the_log() {
    let events = (1..=5).map(|n| event(n, 0, level(1, n))).collect();
    let live = push(events);
    let at = Position::start_of;
    // Levels are told whole: of what was missed, the last says all.
    assert_eq!(heard(&live, at(3)).await, Some(vec![5]));
    assert_eq!(heard(&live, at(5)).await, Some(vec![]));
    assert_eq!(heard(&live, at(1)).await, Some(vec![5]));
    // No position of this log: another one, or made up.
    assert_eq!(heard(&live, at(9)).await, None);
    assert_eq!(heard(&live, Position { segment: 0, index: 7 }).await, None);
}

#[test]
fn more_than_can_wait_is_not_told_one_by_one() {
    let feed = Feed::default();
    let many: Vec<_> = (0..1_000).map(|n| event(1, n, level(1, 1))).collect();
    for _ in 0..100 {
        feed.committed(&many);
    }
    let inbox = feed.take();
    assert!(inbox.overflowed && inbox.events.len() <= EVENTS_MAX + many.len());
    assert!(feed.take().span.is_none());
}

/// Live push over a log that several edges hear and that has `events`, each at its second.
fn shared(events: Vec<(u64, Arc<Event>)>) -> Live {
    let recall: Recall = Arc::new(move |since, _| {
        let dated = events.iter().map(|(second, event)| (second_of(*second), Arc::clone(event)));
        let behind = dated.filter(|(time, _)| *time >= since).collect();
        async move { Ok(Some(behind)) }.boxed()
    });
    let clock = Arc::new(ManualClock::at(second_of(1_000)));
    Live::on_shared_log(LiveSettings::default(), recall, clock, Tasks::default())
}

fn second_of(second: u64) -> Timestamp {
    AT.plus(Duration::from_secs(second))
}

/// The position that another edge gave at `second`.
fn given_at(second: u64) -> Position {
    times::behind(None, second_of(second))
}

async fn versions(live: &Live, from: Position) -> Option<Vec<String>> {
    let mut client = live.hub.listen(Interest::keys(SEED, vec!["item1".into()]));
    if !live.resume(&mut client, from).await {
        return None;
    }
    let mut all = Vec::new();
    while let Some(Step::Events(entries, _)) = client.next_events().now_or_never() {
        all.extend(entries.iter().map(|one| String::from_utf8_lossy(&one.json).into_owned()));
    }
    Some(all)
}

#[tokio::test]
async fn an_edge_tells_what_another_one_was_told_of_from_a_little_before() {
    let at = |second: u64, left: i64| (second, event(1, 0, level(left, 1)));
    let log = vec![at(100, 9), at(200, 8), at(300, 7)];
    let live = shared(log.clone());
    let last = |told: Option<Vec<String>>| told.and_then(|told| told.last().cloned());
    // Nothing was heard yet: all of it comes from the log, also what is some seconds older.
    assert!(last(versions(&live, given_at(203)).await).unwrap().contains(":7"));
    // One more is heard meanwhile; the ring reaches back to what was asked for.
    live.heard(&[(second_of(400), at(400, 6).1)], second_of(400), false, false);
    let Inbox { events, span, .. } = live.feed.take();
    let (from, to) = span.unwrap();
    let mut projection = Projection::new();
    for (position, event) in &events {
        projection.take_at(*position, event, &mut Kept::of_several_logs());
    }
    live.hub.publish(projection.told().unwrap(), from, to);
    let told = versions(&live, given_at(250)).await.unwrap();
    assert!(told.last().unwrap().contains(":6"), "{told:?}");
    // Another edge has heard more than this one: nothing is missed, nothing is told twice.
    assert_eq!(versions(&live, given_at(900)).await, Some(vec![]));
    // Nobody comes from the future, or from before time.
    assert_eq!(versions(&live, given_at(2_000)).await, None);
    assert_eq!(versions(&live, Position::default()).await, None);
}

#[test]
fn what_is_heard_late_of_an_order_is_not_older_than_what_was_told() {
    let mut kept = Kept::of_several_logs();
    let first = told(&mut kept, &[event(9, 0, confirmed())]);
    let captured = PaymentCaptured { order_id: order(), amount: usd(1_000) };
    let late = told(&mut kept, &[event(4, 0, captured)]);
    assert_eq!(late[0].2["paymentStatus"], "paid");
    assert_eq!(late[0].2["updatedAt"], first[0].2["updatedAt"]);
}

#[test]
fn only_what_is_counted_is_wanted_while_nobody_listens() {
    let live = shared(Vec::new());
    let wanted = || EventKind::ALL.iter().copied().filter(|kind| live.wants(*kind));
    let counted = [
        EventKind::OrderPlaced,
        EventKind::OrderRejected,
        EventKind::OrderConfirmed,
        EventKind::StockLow,
        EventKind::StockOut,
        EventKind::StockBack,
    ];
    assert_eq!(wanted().collect::<std::collections::HashSet<_>>(), counted.into());
    // The number beside an alert goes with the level.
    let (sku, location) = (Sku::try_new("item1").unwrap(), Location::main());
    live.overview.note(&event(1, 0, StockLow { sku, location, available: 2, threshold: 5 }));
    assert!(live.wants(EventKind::StockChanged) && !live.wants(EventKind::OrderReserved));
    let client = live.hub.listen(Interest::all(ORDERS));
    let told = |kind: &EventKind| Live::TOPICS.contains(&kind.topic());
    assert!(EventKind::ALL.iter().all(|kind| live.wants(*kind) == told(kind)));
    // Whoever has just gone may come back.
    assert!(live.hub.is_wanted());
    drop(client);
    assert!(live.wants(EventKind::OrderReserved));
}

#[test]
fn what_is_left_out_concerns_only_who_listened_already() {
    let live = shared(Vec::new());
    let listen = || live.hub.listen(Interest::keys(SEED, vec!["item1".into()]));
    let heard = |second: u64, events: Vec<Arc<Event>>| {
        let dated: Vec<_> = events.into_iter().map(|event| (second_of(second), event)).collect();
        live.heard(&dated, second_of(second), false, true);
        live.feed.take()
    };
    live.heard(&[(second_of(1), event(1, 0, placed()))], second_of(1), false, false);
    let inbox = heard(2, vec![event(2, 0, confirmed())]);
    // Nothing is left for the next tick; what was there and what is heard was counted.
    assert!(inbox.span.is_none() && inbox.has_passed_over && !inbox.overflowed);
    let counted = live.overview.totals();
    assert_eq!(counted, (1, 1));
    assert_eq!(live.hub.head(), Some(given_at(2)));
    // Whoever comes now has missed nothing.
    let mut client = listen();
    assert!(client.next_events().now_or_never().is_none());
    let inbox = heard(3, Vec::new());
    assert!(inbox.overflowed && inbox.span.is_some());
    live.hub.skip(inbox.span.unwrap().1);
    assert!(matches!(client.next_events().now_or_never(), Some(Step::Reset(_))));
}

//! One recorded example per event: a changed byte, in JSON or at rest, fails.
//!
//! A new event gets its file by `MILLRACE_RECORD_GOLDEN=1 cargo test -p contracts --test golden`;
//! an existing file is never overwritten, so that what is published stays as it is.

#![expect(clippy::unwrap_used, clippy::panic, clippy::too_many_lines, reason = "a test, examples")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

use contracts::events::{catalog, customer, inventory, notification, order, payment};
use contracts::{
    CustomerId, Draft, Event, EventData, EventId, EventKind, Location, Money, OrderId, OrderNumber,
    Position, Quantity, Sku, Timestamp, cloudevents, segment,
};

const AT: Timestamp = Timestamp::from_micros(1_795_268_168_349_911);

fn order_id() -> OrderId {
    OrderId::new(AT, OrderNumber::new(42), 0x1234_5678)
}

fn customer_id() -> CustomerId {
    CustomerId::try_new("OMS-Cust-001").unwrap()
}

fn sku() -> Sku {
    Sku::try_new("item1").unwrap()
}

fn usd(minor: i64) -> Money {
    Money::new(minor, contracts::Currency::USD)
}

fn lines() -> Vec<order::PlacedLine> {
    let line = |line, sku: &str, name: &str, units, price| order::PlacedLine {
        line,
        sku: Sku::try_new(sku).unwrap(),
        name: name.into(),
        quantity: Quantity::try_new(units).unwrap(),
        unit_price: usd(price),
        policy: order::ShortagePolicy::Reject,
    };
    vec![line(1, "item1", "Laptop", 1, 199_999), line(2, "item2", "Phone", 2, 60_000)]
}

fn units() -> Vec<order::LineUnits> {
    vec![order::LineUnits { line: 1, sku: sku(), units: 1 }]
}

fn card() -> order::PaymentInstruction {
    order::PaymentInstruction { method: "simulated".into(), token: "approve".into() }
}

fn order_examples() -> Vec<EventData> {
    let (order_id, number, customer_id) = (order_id(), OrderNumber::new(42), customer_id());
    let total = usd(319_999);
    let reason = order::EndReason::Requested;
    let detail = "changed my mind".into();
    vec![
        order::OrderPlaced {
            order_id,
            number,
            customer_id: customer_id.clone(),
            lines: lines(),
            total,
            payment: card(),
            channel: "web".into(),
        }
        .into(),
        order::OrderCheckRequested {
            order_id,
            customer_id: customer_id.clone(),
            lines: lines(),
            total,
            attempt: 2,
        }
        .into(),
        order::OrderAdjusted {
            order_id,
            lines: units(),
            release: units(),
            total: usd(259_999),
            previous_total: total,
        }
        .into(),
        order::OrderDecisionRequested { order_id, available: units(), decide_by: AT }.into(),
        order::OrderReserved { order_id, customer_id: customer_id.clone(), total, payment: card() }
            .into(),
        order::OrderConfirmed { order_id, number, customer_id: customer_id.clone(), total }.into(),
        order::OrderFulfilling { order_id, shipment: 1, lines: units() }.into(),
        order::OrderCompleted { order_id, customer_id: customer_id.clone() }.into(),
        order::OrderHeld { order_id, reason: "fraud check".into() }.into(),
        order::OrderResumed { order_id, reason: "cleared".into() }.into(),
        order::OrderCancelling {
            order_id,
            reason,
            detail: "changed my mind".into(),
            actor: "staff".into(),
        }
        .into(),
        order::OrderCancelled {
            order_id,
            number,
            customer_id: customer_id.clone(),
            reason,
            detail,
        }
        .into(),
        order::OrderRejected {
            order_id,
            number,
            customer_id: customer_id.clone(),
            reason: order::EndReason::InsufficientStock,
            detail: "item1: 1 wanted, 0 available".into(),
        }
        .into(),
        order::OrderExpired {
            order_id,
            number,
            customer_id,
            reason: order::EndReason::ChecksTimedOut,
        }
        .into(),
        order::OrderNeedsAttention { order_id, detail: "cancelling for 15 minutes".into() }.into(),
    ]
}

fn customer_examples() -> Vec<EventData> {
    let (order_id, customer_id) = (order_id(), customer_id());
    let reason = customer::CustomerRefusal::Blocked;
    vec![
        customer::CustomerValidated { order_id, customer_id: customer_id.clone() }.into(),
        customer::CustomerRejected { order_id, customer_id: customer_id.clone(), reason }.into(),
        customer::CustomerCreated { customer_id: customer_id.clone(), version: 1 }.into(),
        customer::CustomerUpdated { customer_id: customer_id.clone(), version: 2 }.into(),
        customer::CustomerBlocked { customer_id: customer_id.clone(), blocked: true, version: 3 }
            .into(),
        customer::CustomerErased { customer_id, version: 4 }.into(),
    ]
}

fn inventory_examples() -> Vec<EventData> {
    let (order_id, location) = (order_id(), Location::main());
    let partial =
        inventory::LineReservation { line: 1, sku: sku(), held: 1, backordered: 2, short: 0 };
    let shortage = inventory::Shortage { sku: sku(), requested: 3, available: 1 };
    let reason = inventory::StockRefusal::Insufficient;
    vec![
        inventory::InventoryReserved { order_id, lines: units(), expires_at: AT }.into(),
        inventory::InventoryPartiallyReserved { order_id, lines: vec![partial], expires_at: AT }
            .into(),
        inventory::InventoryRejected { order_id, reason, shortages: vec![shortage] }.into(),
        inventory::InventoryAllocated { order_id, lines: units() }.into(),
        inventory::InventoryReleased { order_id, lines: units(), ended: true }.into(),
        inventory::InventoryExpired { order_id, lines: units() }.into(),
        inventory::InventoryConsumed { order_id, shipment: 1, lines: units() }.into(),
        inventory::StockChanged {
            sku: sku(),
            location: location.clone(),
            on_hand: 100,
            held: 1,
            allocated: 2,
            quarantined: 0,
            available: 97,
            version: 5,
            order_id: Some(order_id),
        }
        .into(),
        inventory::StockLow {
            sku: sku(),
            location: location.clone(),
            available: 10,
            threshold: 10,
        }
        .into(),
        inventory::StockOut { sku: sku(), location: location.clone() }.into(),
        inventory::StockBack { sku: sku(), location, available: 50 }.into(),
    ]
}

fn payment_examples() -> Vec<EventData> {
    let (order_id, amount) = (order_id(), usd(319_999));
    let operation = payment::PaymentOperation::Authorize;
    vec![
        payment::PaymentRequested { order_id, method: "simulated".into(), amount }.into(),
        payment::PaymentAuthorized { order_id, amount, due_on_dispatch: false }.into(),
        payment::PaymentCaptured { order_id, amount }.into(),
        payment::PaymentDeclined { order_id, operation, code: "card_declined".into() }.into(),
        payment::PaymentUnknown { order_id, operation }.into(),
        payment::PaymentVoided { order_id, amount }.into(),
        payment::PaymentRefunded { order_id, amount, kept: usd(0) }.into(),
    ]
}

fn other_examples() -> Vec<EventData> {
    let (sku, price) = (sku(), usd(199_999));
    let event_id = EventId::new(AT, 0, Position { segment: 7, index: 3 });
    let (order_id, recipient) = (order_id(), customer_id());
    vec![
        catalog::ProductCreated { sku: sku.clone(), name: "Laptop".into(), price, version: 1 }
            .into(),
        catalog::ProductUpdated { sku: sku.clone(), name: "Laptop".into(), price, version: 2 }
            .into(),
        catalog::ProductRetired { sku, version: 3 }.into(),
        notification::NotificationSent {
            notification: 9,
            event_id,
            order_id,
            channel: "mail".into(),
            recipient: recipient.clone(),
        }
        .into(),
        notification::NotificationFailed {
            notification: 9,
            event_id,
            order_id,
            channel: "mail".into(),
            recipient,
            detail: "mailbox full".into(),
        }
        .into(),
    ]
}

fn examples() -> Vec<EventData> {
    let groups = [order_examples(), customer_examples(), inventory_examples(), payment_examples()];
    groups.into_iter().flatten().chain(other_examples()).collect()
}

fn event(data: EventData) -> Event {
    let position = Position { segment: 7, index: 4 };
    let Draft { sequence, data, .. } = Draft::new(3, data);
    Event {
        id: EventId::new(AT, 0, position),
        sequence,
        time: AT,
        correlation: Some(order_id()),
        causation: Some(EventId::new(AT, 0, Position { segment: 7, index: 3 })),
        traceparent: None,
        data,
    }
}

fn rendered(event: &Event) -> String {
    let bytes = segment::encode(std::iter::once(event)).unwrap();
    let at_rest = bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let document = serde_json::json!({
        "cloudevent": event.to_cloudevent("/millrace/example"),
        "atRest": at_rest,
    });
    format!("{}\n", serde_json::to_string_pretty(&document).unwrap())
}

/// The record of a topic as people can read it: the key, the headers, the value.
fn record(event: &Event) -> String {
    let record = cloudevents::encode(event);
    let mut text = format!("{}\n", record.key);
    for (name, value) in &record.headers {
        writeln!(text, "{name}: {value}").unwrap();
    }
    writeln!(text, "\n{}", String::from_utf8(record.value).unwrap()).unwrap();
    text
}

#[expect(clippy::disallowed_methods, reason = "a switch of the test, not configuration")]
fn check(folder: &str, ending: &str, render: fn(&Event) -> String) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let record = std::env::var("MILLRACE_RECORD_GOLDEN").is_ok();
    let examples = examples();
    assert_eq!(examples.len(), EventKind::ALL.len(), "an event has no example");
    for data in examples {
        let name = data.kind().name();
        let path = folder.join(format!("{name}.{ending}"));
        let now = render(&event(data));
        if record && !path.exists() {
            std::fs::write(&path, &now).unwrap();
        }
        let recorded = std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; see the top of this file", path.display())
        });
        assert_eq!(now, recorded, "{name} has changed: a published event never does");
    }
}

#[test]
fn every_event_is_as_it_was_recorded() {
    check("golden", "json", rendered);
}

#[test]
fn every_record_of_a_topic_is_as_it_was_recorded() {
    check("golden/kafka", "txt", record);
}

#[test]
fn every_event_survives_its_record() {
    for data in examples() {
        let first = event(data);
        let record = cloudevents::encode(&first);
        let header = |name: &str| {
            let found = record.headers.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.as_bytes())
        };
        assert_eq!(cloudevents::decode(header, &record.value), Ok(first));
    }
}

#[test]
fn every_event_survives_its_bytes_and_its_json() {
    for data in examples() {
        let first = event(data.clone());
        let bytes = segment::encode([&first, &first].into_iter()).unwrap();
        assert_eq!(segment::decode(7, &bytes).unwrap(), [first.clone(), first]);
        let json = data.to_json().to_string();
        let back = EventData::from_json(data.kind().name(), &json).unwrap().unwrap();
        assert_eq!(back, data);
    }
    assert!(EventData::from_json("order.unheard_of", "{}").is_none());
}

#[test]
fn a_flipped_bit_anywhere_in_a_segment_is_seen() {
    let first = event(EventData::from(order::OrderCompleted {
        order_id: OrderId::from_str(&order_id().to_string()).unwrap(),
        customer_id: customer_id(),
    }));
    let bytes = segment::encode(std::iter::once(&first)).unwrap();
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << bit;
            assert!(segment::decode(7, &damaged).is_err(), "byte {place}, bit {bit}");
        }
        assert!(segment::decode(7, &bytes[..place]).is_err(), "cut at {place}");
    }
}

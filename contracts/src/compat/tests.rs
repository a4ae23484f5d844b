use super::*;
use crate::events::{customer, inventory, order, payment};
use crate::ids::{CustomerId, EventId, Location, OrderNumber, Position, Sku};
use crate::money::Currency;
use crate::quantity::Quantity;

const AT: Timestamp = Timestamp::from_micros(1_795_268_168_349_911);
const ID: &str = "01a1fe52-4a9d-7678-8123-45000000002a";

fn order_id() -> OrderId {
    OrderId::new(AT, OrderNumber::new(42), 0x1234_5678)
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::USD)
}

fn event(data: impl Into<EventData>) -> Event {
    Event {
        id: EventId::new(AT, 0, Position { segment: 7, index: 4 }),
        sequence: 3,
        time: AT,
        correlation: Some(order_id()),
        causation: None,
        traceparent: None,
        data: data.into(),
    }
}

fn placed() -> Event {
    let line = |line, sku: &str, units| order::PlacedLine {
        line,
        sku: Sku::try_new(sku).unwrap(),
        name: sku.into(),
        quantity: Quantity::try_new(units).unwrap(),
        unit_price: usd(100),
        policy: order::ShortagePolicy::Reject,
    };
    event(order::OrderPlaced {
        order_id: order_id(),
        number: OrderNumber::new(42),
        customer_id: CustomerId::try_new("OMS-Cust-001").unwrap(),
        lines: vec![line(1, "item1", 1), line(2, "item2", 3)],
        total: usd(400),
        payment: order::PaymentInstruction { method: "simulated".into(), token: "approve".into() },
        channel: "web".into(),
    })
}

fn facts() -> OrderFacts {
    OrderFacts {
        order_id: order_id(),
        product_ids: vec!["item1".to_owned(), "item2".to_owned()],
        customer_id: "OMS-Cust-001".to_owned(),
        total: usd(259_999),
        placed_at: AT,
    }
}

fn lines() -> Vec<order::LineUnits> {
    vec![order::LineUnits { line: 1, sku: Sku::try_new("item1").unwrap(), units: 1 }]
}

/// Topic, key, headers and value of the records, one text each.
fn shown(profile: Profile, event: &Event) -> Vec<String> {
    let facts = facts();
    let order = profile.needs_order(event.data.kind()).then_some(&facts);
    let records = profile.records(event, order);
    let show = |record: Record| {
        assert!(profile.topics().contains(&record.topic), "{}", record.topic);
        let key = record.key.unwrap_or_else(|| "-".to_owned());
        let headers: Vec<_> = record.headers.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let value = String::from_utf8(record.value).unwrap();
        format!("{} {key} [{}] {value}", record.topic, headers.join(","))
    };
    records.into_iter().map(show).collect()
}

fn whole(class: &str, after: &str) -> String {
    format!(
        "[__TypeId__=com.gk.ordermanagement.common.models.{class}] \
         {{\"type\":\"{class}\",\"orderId\":\"{ID}\",\"order\":{{\"orderId\":\"{ID}\",\
         \"productIds\":[\"item1\",\"item2\"],\"customerId\":\"OMS-Cust-001\",\
         \"totalAmount\":2599.99,\"placedTime\":[2026,11,21,13,36,8,349911000],\
         \"confirmedTime\":null}}{after}}}"
    )
}

#[test]
fn seed_004_is_written_byte_for_byte() {
    let order_id = order_id();
    let customer_id = CustomerId::try_new("OMS-Cust-001").unwrap();
    let reason = customer::CustomerRefusal::Blocked;
    let amount = usd(259_999);
    let cases: [(Event, String); 8] = [
        (placed(), format!("order-placed {ID} {}", whole("OrderPlacedEvent", ""))),
        (
            event(customer::CustomerValidated { order_id, customer_id: customer_id.clone() }),
            format!("customer-validated - {}", whole("CustomerValidatedEvent", "")),
        ),
        (
            event(customer::CustomerRejected { order_id, customer_id, reason }),
            format!(
                "customer-failed - [__TypeId__=com.gk.ordermanagement.common.models.\
                 CustomerFailedEvent] {{\"type\":\"CustomerFailedEvent\",\"orderId\":\"{ID}\"}}"
            ),
        ),
        (
            event(inventory::InventoryReserved { order_id, lines: lines(), expires_at: AT }),
            format!(
                "inventory-reserved - {}",
                whole("InventoryReservedEvent", ",\"inventoryReserved\":true")
            ),
        ),
        (
            event(inventory::InventoryPartiallyReserved {
                order_id,
                lines: Vec::new(),
                expires_at: AT,
            }),
            format!(
                "inventory-reserved - {}",
                whole("InventoryReservedEvent", ",\"inventoryReserved\":true")
            ),
        ),
        (
            event(inventory::InventoryRejected {
                order_id,
                reason: inventory::StockRefusal::Insufficient,
                shortages: Vec::new(),
            }),
            format!(
                "inventory-failed - [__TypeId__=com.gk.ordermanagement.common.models.\
                 InventoryFailedEvent] {{\"type\":\"InventoryFailedEvent\",\"orderId\":\"{ID}\"}}"
            ),
        ),
        (
            event(payment::PaymentCaptured { order_id, amount }),
            format!("payment-processed - {}", whole("PaymentProcessedEvent", "")),
        ),
        (
            event(payment::PaymentAuthorized { order_id, amount, due_on_dispatch: true }),
            format!("payment-processed - {}", whole("PaymentProcessedEvent", "")),
        ),
    ];
    for (event, expected) in cases {
        assert_eq!(shown(Profile::Seed004, &event), [expected]);
    }
    let held = event(payment::PaymentAuthorized { order_id, amount, due_on_dispatch: false });
    assert!(shown(Profile::Seed004, &held).is_empty());
}

#[test]
fn seed_000_gets_a_record_per_line_and_per_level() {
    assert_eq!(
        shown(Profile::Seed000, &placed()),
        [
            format!(
                "order-created - [] {{\"orderId\":\"{ID}\",\"product\":\"item1\",\"quantity\":1}}"
            ),
            format!(
                "order-created - [] {{\"orderId\":\"{ID}\",\"product\":\"item2\",\"quantity\":3}}"
            ),
        ]
    );
    for (order_id, id) in [(Some(order_id()), format!("\"{ID}\"")), (None, "null".to_owned())] {
        let changed = event(inventory::StockChanged {
            sku: Sku::try_new("item1").unwrap(),
            location: Location::main(),
            on_hand: 10,
            held: 1,
            allocated: 2,
            quarantined: 0,
            available: 7,
            version: 5,
            order_id,
        });
        assert_eq!(
            shown(Profile::Seed000, &changed),
            [format!("stock-updated - [] {{\"orderId\":{id},\"product\":\"item1\",\"stock\":7}}")]
        );
        let updated = &Profile::Seed002.records(&changed, None)[0];
        assert_eq!((updated.topic, updated.key.as_deref()), ("inventory.updated", Some("item1")));
    }
}

#[test]
fn seed_002_gets_our_own_data_under_its_names() {
    for (event, topic) in [
        (placed(), Some("order.created")),
        (
            event(order::OrderHeld { order_id: order_id(), reason: "look".into() }),
            Some("order.updated"),
        ),
        (event(payment::PaymentCaptured { order_id: order_id(), amount: usd(1) }), None),
    ] {
        let records = Profile::Seed002.records(&event, None);
        assert_eq!(records.first().map(|record| record.topic), topic);
        let Some(record) = records.first() else { continue };
        let ours = cloudevents::encode(&event);
        assert_eq!((record.key.as_ref(), &record.value), (Some(&ours.key), &ours.value));
        assert_eq!(record.headers, ours.headers);
    }
}

#[test]
fn amounts_and_times_are_as_java_writes_them() {
    for (minor, text) in [
        (259_999, "2599.99"),
        (180_000, "1800.0"),
        (5, "0.05"),
        (0, "0.0"),
        (-150, "-1.5"),
        (999_999_999, "9999999.99"),
        (1_000_000_000, "1.0E7"),
        (1_250_000_050, "1.25000005E7"),
    ] {
        assert_eq!(java_double(usd(minor)), text);
    }
    assert_eq!(java_double(Money::new(1_800, Currency::try_new("JPY").unwrap())), "1800.0");
    for (micros, array) in [
        (1_795_268_168_349_911, &[2026, 11, 21, 13, 36, 8, 349_911_000][..]),
        (1_795_268_168_000_000, &[2026, 11, 21, 13, 36, 8]),
        (1_795_268_160_000_000, &[2026, 11, 21, 13, 36]),
        (1_795_268_160_000_001, &[2026, 11, 21, 13, 36, 0, 1_000]),
    ] {
        assert_eq!(java_time(Timestamp::from_micros(micros)), array);
    }
}

//! One sample of each thing, as a service would answer it: the examples of the description, and
//! what tests compare with.

use contracts::Timestamp;
use contracts_grpc::v1;

/// 2026-11-21T13:36:08.349911Z.
const PLACED_US: i64 = 1_795_268_168_349_911;
/// 2026-11-21T13:36:11.127236Z.
const CONFIRMED_US: i64 = 1_795_268_171_127_236;
const ORDER_ID: &str = "019aa68e-7c6d-7000-8000-000000000001";

fn at(micros: i64) -> prost_types::Timestamp {
    rpc::timestamp(Timestamp::from_micros(micros))
}

fn usd(minor_units: i64) -> v1::Money {
    v1::Money { minor_units, currency: "USD".to_owned() }
}

fn line(line_number: u32, sku: &str, name: &str, cents: i64) -> v1::OrderLine {
    v1::OrderLine {
        line_number,
        sku: sku.to_owned(),
        name: name.to_owned(),
        ordered: 1,
        allocated: 1,
        unit_price: Some(usd(cents)),
        line_total: Some(usd(cents)),
        shortage_policy: v1::ShortagePolicy::Reject.into(),
        ..v1::OrderLine::default()
    }
}

/// A confirmed order of two lines.
pub(crate) fn order() -> v1::Order {
    v1::Order {
        order_id: ORDER_ID.to_owned(),
        number: 1,
        status: v1::OrderStatus::Confirmed.into(),
        payment_status: v1::PaymentStatus::Paid.into(),
        fulfillment_status: v1::FulfillmentStatus::Unfulfilled.into(),
        customer_id: "OMS-Cust-001".to_owned(),
        lines: vec![line(1, "item1", "Laptop", 199_999), line(2, "item2", "Monitor", 60_000)],
        total: Some(usd(259_999)),
        placed_at: Some(at(PLACED_US)),
        confirmed_at: Some(at(CONFIRMED_US)),
        updated_at: Some(at(CONFIRMED_US)),
        version: 5,
        next_actions: vec!["cancel".to_owned(), "create_shipment".to_owned(), "hold".to_owned()],
        shortage_policy: v1::ShortagePolicy::Reject.into(),
        channel: "web".to_owned(),
        payment_method: "simulated".to_owned(),
        ..v1::Order::default()
    }
}

/// A shipment of the order's first line.
pub(crate) fn shipment() -> v1::Shipment {
    v1::Shipment {
        shipment_id: "019aa68e-9f00-7000-8000-000000000001".to_owned(),
        lines: vec![v1::LineQuantity { line_number: 1, quantity: 1 }],
        carrier: "DHL".to_owned(),
        tracking: "JD014600003RU".to_owned(),
        dispatched_at: Some(at(CONFIRMED_US)),
        actor: "ada".to_owned(),
    }
}

/// The last step of the order's timeline.
pub(crate) fn timeline_entry() -> v1::TimelineEntry {
    v1::TimelineEntry {
        sequence: 7,
        at: Some(at(CONFIRMED_US)),
        step: "payment.captured".to_owned(),
        service: "payment".to_owned(),
        from_status: Some(v1::OrderStatus::Paying.into()),
        to_status: Some(v1::OrderStatus::Confirmed.into()),
        cause: "019aa68e-8746-7000-8000-000000700001".to_owned(),
        detail: String::new(),
        since_previous_us: 1_840,
    }
}

/// The counts of a small shop.
pub(crate) fn summary() -> v1::GetSummaryResponse {
    let count = |status: v1::OrderStatus, count| v1::StatusCount { status: status.into(), count };
    v1::GetSummaryResponse {
        counts: vec![
            count(v1::OrderStatus::Placed, 2),
            count(v1::OrderStatus::Confirmed, 118),
            count(v1::OrderStatus::Rejected, 3),
        ],
        orders_overdue: 0,
        orders_needing_attention: 0,
        counting: false,
    }
}

/// Two rows of the table of moves.
pub(crate) fn transitions() -> v1::GetTransitionTableResponse {
    let row = |from: v1::OrderStatus, fact: &str, to: v1::OrderStatus| v1::Transition {
        from: from.into(),
        fact: fact.to_owned(),
        to: to.into(),
    };
    v1::GetTransitionTableResponse {
        transitions: vec![
            row(v1::OrderStatus::Reserved, "payment_requested", v1::OrderStatus::Paying),
            row(v1::OrderStatus::Paying, "payment_declined", v1::OrderStatus::Cancelling),
        ],
    }
}

/// A shelf with some of everything on it.
pub(crate) fn stock_level() -> v1::StockLevel {
    v1::StockLevel {
        sku: "item1".to_owned(),
        location: "main".to_owned(),
        on_hand: 100,
        held: 2,
        allocated: 3,
        quarantined: 1,
        incoming: 0,
        safety: 5,
        available: 89,
        low_threshold: 20,
        version: 42,
        updated_at: Some(at(CONFIRMED_US)),
    }
}

/// The journal entry of an allocation.
pub(crate) fn journal_entry() -> v1::JournalEntry {
    let quantities = |on_hand, held, allocated, quarantined| {
        Some(v1::StockQuantities { on_hand, held, allocated, quarantined })
    };
    v1::JournalEntry {
        position: 97,
        sku: "item1".to_owned(),
        location: "main".to_owned(),
        sequence: 42,
        kind: v1::JournalKind::Allocate.into(),
        deltas: quantities(0, -1, 1, 0),
        balances: quantities(100, 2, 3, 1),
        cause: Some(v1::Cause { kind: v1::CauseKind::Order.into(), id: ORDER_ID.to_owned() }),
        actor: "inventory".to_owned(),
        reason: String::new(),
        at: Some(at(CONFIRMED_US)),
        hash: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262".to_owned(),
        lot_id: None,
    }
}

/// What the journal says of one location.
pub(crate) fn stock_as_of() -> v1::GetStockAsOfResponse {
    let quantities = journal_entry().balances;
    let balance = v1::StockBalance { location: "main".to_owned(), quantities, sequence: 42 };
    v1::GetStockAsOfResponse { balances: vec![balance], total: quantities }
}

/// A product on sale.
pub(crate) fn product() -> v1::Product {
    v1::Product {
        sku: "item1".to_owned(),
        name: "Laptop".to_owned(),
        description: "A laptop with 16 GB of memory.".to_owned(),
        price: Some(usd(199_999)),
        status: v1::ProductStatus::Active.into(),
        tax_category: "standard".to_owned(),
        version: 1,
        created_at: Some(at(PLACED_US)),
        updated_at: Some(at(PLACED_US)),
    }
}

/// A customer with a credit limit.
pub(crate) fn customer() -> v1::Customer {
    v1::Customer {
        customer_id: "OMS-Cust-001".to_owned(),
        name: "Ada Byron".to_owned(),
        email: "ada@example.com".to_owned(),
        addresses: vec![v1::Address {
            label: "home".to_owned(),
            recipient: "Ada Byron".to_owned(),
            lines: vec!["12 St James's Square".to_owned()],
            city: "London".to_owned(),
            region: String::new(),
            postal_code: "SW1Y 4JH".to_owned(),
            country: "GB".to_owned(),
        }],
        credit_limit: Some(usd(1_000_000)),
        credit_reserved: Some(usd(259_999)),
        version: 3,
        created_at: Some(at(PLACED_US)),
        updated_at: Some(at(PLACED_US)),
        ..v1::Customer::default()
    }
}

/// A captured payment.
pub(crate) fn payment() -> v1::Payment {
    v1::Payment {
        order_id: ORDER_ID.to_owned(),
        state: v1::PaymentState::Captured.into(),
        method: "simulated".to_owned(),
        authorized: Some(usd(259_999)),
        captured: Some(usd(259_999)),
        refunded: Some(usd(0)),
        attempts: vec![v1::PaymentAttempt {
            sequence: 1,
            kind: v1::AttemptKind::Authorize.into(),
            provider_key: format!("{ORDER_ID}-authorize-1"),
            amount: Some(usd(259_999)),
            state: v1::AttemptState::Succeeded.into(),
            provider_reference: "sim_1".to_owned(),
            at: Some(at(CONFIRMED_US)),
            detail: String::new(),
        }],
        version: 4,
        created_at: Some(at(PLACED_US)),
        updated_at: Some(at(CONFIRMED_US)),
    }
}

/// A mail that was sent.
pub(crate) fn notification() -> v1::Notification {
    v1::Notification {
        notification_id: "019aa68e-a100-7000-8000-000000000001".to_owned(),
        event_id: "019aa68e-8746-7000-8000-000000700002".to_owned(),
        event_type: "order.confirmed".to_owned(),
        order_id: ORDER_ID.to_owned(),
        recipient: "OMS-Cust-001".to_owned(),
        channel: v1::NotificationChannel::Mail.into(),
        template: "order-confirmed-mail".to_owned(),
        state: v1::NotificationState::Sent.into(),
        attempts: 1,
        created_at: Some(at(CONFIRMED_US)),
        sent_at: Some(at(CONFIRMED_US)),
        subject: "Order 1 is confirmed".to_owned(),
        body: "Thank you. Your order 1 over 2599.99 USD is confirmed.".to_owned(),
        ..v1::Notification::default()
    }
}

/// The template of that mail.
pub(crate) fn template() -> v1::Template {
    v1::Template {
        name: "order-confirmed-mail".to_owned(),
        event_type: "order.confirmed".to_owned(),
        channel: v1::NotificationChannel::Mail.into(),
        subject: "Order {{ order.number }} is confirmed".to_owned(),
        body: "Thank you. Your order {{ order.number }} over {{ order.total }} is confirmed."
            .to_owned(),
    }
}

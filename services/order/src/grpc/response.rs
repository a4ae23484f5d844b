//! Orders as messages.

use contracts::events::order::{PlacedLine, ShortagePolicy};
use contracts::{Money, OrderId, Problem, Timestamp};
use contracts_grpc::v1;
use prost::Message as _;

use crate::domain::{
    Balance, Cause, Entry, FulfillmentStatus, Order, PaymentStatus, Shipment, Status,
};
use crate::error::OrderError;
use crate::handlers::{Changed, Placement, Summary};

pub(super) const fn status(status: Status) -> v1::OrderStatus {
    match status {
        Status::Placed => v1::OrderStatus::Placed,
        Status::AwaitingDecision => v1::OrderStatus::AwaitingDecision,
        Status::Reserved => v1::OrderStatus::Reserved,
        Status::Paying => v1::OrderStatus::Paying,
        Status::Confirmed => v1::OrderStatus::Confirmed,
        Status::Fulfilling => v1::OrderStatus::Fulfilling,
        Status::Completed => v1::OrderStatus::Completed,
        Status::OnHold => v1::OrderStatus::OnHold,
        Status::Cancelling => v1::OrderStatus::Cancelling,
        Status::Rejected => v1::OrderStatus::Rejected,
        Status::Cancelled => v1::OrderStatus::Cancelled,
        Status::Expired => v1::OrderStatus::Expired,
    }
}

const fn payment_status(status: PaymentStatus) -> v1::PaymentStatus {
    match status {
        PaymentStatus::None => v1::PaymentStatus::None,
        PaymentStatus::Authorized => v1::PaymentStatus::Authorized,
        PaymentStatus::Paid => v1::PaymentStatus::Paid,
        PaymentStatus::PartiallyRefunded => v1::PaymentStatus::PartiallyRefunded,
        PaymentStatus::Refunded => v1::PaymentStatus::Refunded,
        PaymentStatus::Voided => v1::PaymentStatus::Voided,
        PaymentStatus::Failed => v1::PaymentStatus::Failed,
    }
}

const fn fulfillment_status(status: FulfillmentStatus) -> v1::FulfillmentStatus {
    match status {
        FulfillmentStatus::Unfulfilled => v1::FulfillmentStatus::Unfulfilled,
        FulfillmentStatus::Backorder => v1::FulfillmentStatus::Backorder,
        FulfillmentStatus::Partial => v1::FulfillmentStatus::Partial,
        FulfillmentStatus::Fulfilled => v1::FulfillmentStatus::Fulfilled,
    }
}

const fn policy(policy: ShortagePolicy) -> v1::ShortagePolicy {
    match policy {
        ShortagePolicy::Reject => v1::ShortagePolicy::Reject,
        ShortagePolicy::AllowPartial => v1::ShortagePolicy::AllowPartial,
        ShortagePolicy::Backorder => v1::ShortagePolicy::Backorder,
        ShortagePolicy::Ask => v1::ShortagePolicy::Ask,
    }
}

/// An order.
pub(super) fn order(order: &Order) -> v1::Order {
    let placed = &order.placed;
    let time = |at: Timestamp| rpc::timestamp(at);
    let reason = order
        .reason()
        .map(|(code, detail)| v1::OrderReason { code: code.to_owned(), detail: detail.to_owned() });
    v1::Order {
        order_id: placed.id.to_string(),
        number: placed.number.get(),
        status: status(order.status()).into(),
        payment_status: payment_status(order.payment_status()).into(),
        fulfillment_status: fulfillment_status(order.fulfillment_status()).into(),
        customer_id: placed.customer_id.to_string(),
        lines: order.lines().map(|(line, balance)| order_line(line, balance)).collect(),
        total: Some(rpc::money(order.total())),
        placed_at: Some(time(placed.at)),
        confirmed_at: order.confirmed_at.map(time),
        updated_at: Some(time(order.history.changed_at())),
        version: order.version,
        next_actions: order.next_actions().into_iter().map(ToOwned::to_owned).collect(),
        reason,
        needs_attention: order.attention.is_some(),
        attention_reason: order.attention.as_deref().unwrap_or_default().to_owned(),
        shortage_policy: policy(placed.policy).into(),
        channel: placed.channel.to_string(),
        payment_method: placed.payment.method.to_string(),
        deadline: order.deadline.map(time),
        shipments: order.shipments.iter().map(|one| shipment(order, one)).collect(),
    }
}

fn order_line(line: &PlacedLine, balance: &Balance) -> v1::OrderLine {
    let payable = line.quantity.get().saturating_sub(balance.dropped);
    let minor = line.unit_price.minor().saturating_mul(payable);
    v1::OrderLine {
        line_number: line.line.into(),
        sku: line.sku.to_string(),
        name: line.name.to_string(),
        ordered: line.quantity.get(),
        held: balance.held,
        allocated: balance.allocated,
        backordered: balance.backordered,
        shipped: balance.shipped,
        cancelled: balance.cancelled(),
        unit_price: Some(rpc::money(line.unit_price)),
        line_total: Some(rpc::money(Money::new(minor, line.unit_price.currency()))),
        shortage_policy: policy(line.policy).into(),
    }
}

fn shipment(order: &Order, shipment: &Shipment) -> v1::Shipment {
    let lines = shipment
        .lines
        .iter()
        .map(|(line, units)| v1::LineQuantity { line_number: (*line).into(), quantity: *units });
    // Made of what the shipment is: the order, the time, and its place in the order.
    let id = OrderId::new(shipment.at, order.placed.number, shipment.number.into());
    v1::Shipment {
        shipment_id: id.to_string(),
        lines: lines.collect(),
        carrier: shipment.carrier.to_string(),
        tracking: shipment.tracking.to_string(),
        dispatched_at: Some(rpc::timestamp(shipment.at)),
        actor: shipment.actor.to_string(),
    }
}

/// What became of one order of a batch.
pub(super) fn outcome(placed: Result<Placement, OrderError>) -> v1::PlaceOrderOutcome {
    use v1::place_order_outcome::Outcome;
    match placed {
        Ok(placement) => v1::PlaceOrderOutcome {
            outcome: Some(Outcome::Order(Box::new(order(&placement.order)))),
            replayed: placement.replayed,
        },
        Err(error) => refused(error.problem()),
    }
}

/// An order of a batch that was refused.
pub(super) fn refused(problem: Problem) -> v1::PlaceOrderOutcome {
    use v1::place_order_outcome::Outcome;
    let status = rpc::status(problem);
    let problem = v1::Problem::decode(status.details()).unwrap_or_default();
    v1::PlaceOrderOutcome { outcome: Some(Outcome::Problem(problem)), replayed: false }
}

/// The timeline of an order, oldest first.
pub(super) fn timeline(order: &Order) -> Vec<v1::TimelineEntry> {
    let mut before: Option<&Entry> = None;
    let mut entries = Vec::with_capacity(order.history.entries.len());
    for (entry, sequence) in order.history.entries.iter().zip(order.history.forgotten + 1..) {
        let from = before.map(|before| before.status);
        let moved = from != Some(entry.status);
        let passed = before.map(|before| entry.at.since(before.at).as_micros());
        entries.push(v1::TimelineEntry {
            sequence,
            at: Some(rpc::timestamp(entry.at)),
            step: entry.step.name().to_owned(),
            service: entry.step.service().to_owned(),
            from_status: from.filter(|_| moved).map(|from| status(from).into()),
            to_status: moved.then(|| status(entry.status).into()),
            cause: match &entry.cause {
                Cause::Event(id) => id.to_string(),
                Cause::Actor(name) => name.to_string(),
                Cause::Deadline => "deadline".to_owned(),
            },
            detail: entry.detail.to_string(),
            since_previous_us: passed.and_then(|micros| u64::try_from(micros).ok()).unwrap_or(0),
        });
        before = Some(entry);
    }
    entries
}

/// One order that changed.
pub(super) fn change(change: &Changed) -> v1::OrderChange {
    v1::OrderChange {
        order_id: change.id.to_string(),
        number: change.number.get(),
        status: status(change.status).into(),
        version: change.version,
        changed_at: Some(rpc::timestamp(change.at)),
        customer_id: change.customer_id.to_string(),
    }
}

/// How many orders there are.
pub(super) fn summary(summary: &Summary) -> v1::GetSummaryResponse {
    let counts = summary
        .by_status
        .iter()
        .map(|(of, count)| v1::StatusCount { status: status(*of).into(), count: *count });
    v1::GetSummaryResponse {
        counts: counts.collect(),
        orders_overdue: summary.overdue,
        orders_needing_attention: summary.attention,
        counting: summary.counting,
    }
}

//! Orders in JSON, as they are answered.

use contracts_grpc::v1;
use serde::Serialize;
use utoipa::ToSchema;

use super::order_requests::LineQuantity;
use super::words::{FulfillmentStatus, OrderStatus, PaymentStatus, ShortagePolicy, Word as _};
use super::{Amount, Moment, amount, moment, optional_moment, optional_text};

/// An order as it stands at one version.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of the JSON")]
pub(crate) struct Order<'a> {
    /// The id, a UUID.
    order_id: &'a str,
    /// The number for people.
    number: u64,
    /// Where it stands.
    status: OrderStatus,
    /// Where its money stands.
    payment_status: PaymentStatus,
    /// Where its goods stand.
    fulfillment_status: FulfillmentStatus,
    /// Who ordered.
    customer_id: &'a str,
    /// What was ordered, in the sequence given.
    lines: Vec<Line<'a>>,
    /// The sum over the lines that are not cancelled.
    total: Amount<'a>,
    /// What happens when stock is short, unless a line says otherwise.
    policy: ShortagePolicy,
    /// Where it came from.
    channel: &'a str,
    /// How it is paid.
    payment_method: &'a str,
    /// When it was stored.
    placed_at: Moment,
    /// When it was confirmed.
    confirmed_at: Option<Moment>,
    /// When it last changed.
    updated_at: Moment,
    /// When the present state ends by itself.
    deadline: Option<Moment>,
    /// Grows by one with every change; its entity tag.
    version: u64,
    /// What may be asked of it now.
    next_actions: &'a [String],
    /// True if it cannot go on by itself.
    needs_attention: bool,
    /// Why it cannot go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    attention_reason: Option<&'a str>,
    /// Why it is held, being cancelled, rejected, cancelled or expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason<'a>>,
    /// What has been dispatched, oldest first.
    shipments: Vec<Shipment<'a>>,
}

/// One line of an order. Ordered units are held, allocated, backordered, shipped or cancelled, or
/// none of these until the stock has answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of the JSON")]
pub(crate) struct Line<'a> {
    /// The number of the line, from 1.
    line: u32,
    /// What is ordered.
    sku: &'a str,
    /// The name of the product when the order was placed.
    name: &'a str,
    /// Units ordered.
    quantity: i64,
    /// The price of one unit when the order was placed.
    unit_price: Amount<'a>,
    /// The price of all units that are not cancelled.
    line_total: Amount<'a>,
    /// Units held for a limited time.
    held: i64,
    /// Units allocated after the payment was authorised.
    allocated: i64,
    /// Units promised but not in stock.
    backordered: i64,
    /// Units dispatched.
    shipped: i64,
    /// Units given up.
    cancelled: i64,
    /// What happens when stock is short.
    policy: ShortagePolicy,
}

/// Why an order stopped or ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reason<'a> {
    /// A stable code, such as `stock_lost`.
    code: &'a str,
    /// The reason for people.
    detail: &'a str,
}

/// Units that left together.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of the JSON")]
pub(crate) struct Shipment<'a> {
    /// The id of the shipment.
    shipment_id: &'a str,
    /// What left.
    lines: Vec<LineQuantity>,
    /// Who carries it.
    carrier: Option<&'a str>,
    /// The tracking number of the carrier.
    tracking: Option<&'a str>,
    /// When it was dispatched.
    dispatched_at: Moment,
    /// Who dispatched it.
    actor: &'a str,
}

impl<'a> From<&'a v1::Order> for Order<'a> {
    fn from(order: &'a v1::Order) -> Self {
        Self {
            order_id: &order.order_id,
            number: order.number,
            status: OrderStatus::of(order.status),
            payment_status: PaymentStatus::of(order.payment_status),
            fulfillment_status: FulfillmentStatus::of(order.fulfillment_status),
            customer_id: &order.customer_id,
            lines: order.lines.iter().map(Line::from).collect(),
            total: amount(order.total.as_ref()),
            policy: ShortagePolicy::of(order.shortage_policy),
            channel: &order.channel,
            payment_method: &order.payment_method,
            placed_at: moment(order.placed_at.as_ref()),
            confirmed_at: optional_moment(order.confirmed_at.as_ref()),
            updated_at: moment(order.updated_at.as_ref()),
            deadline: optional_moment(order.deadline.as_ref()),
            version: order.version,
            next_actions: &order.next_actions,
            needs_attention: order.needs_attention,
            attention_reason: optional_text(&order.attention_reason),
            reason: order.reason.as_ref().map(Reason::from),
            shipments: order.shipments.iter().map(Shipment::from).collect(),
        }
    }
}

impl<'a> From<&'a v1::OrderLine> for Line<'a> {
    fn from(line: &'a v1::OrderLine) -> Self {
        Self {
            line: line.line_number,
            sku: &line.sku,
            name: &line.name,
            quantity: line.ordered,
            unit_price: amount(line.unit_price.as_ref()),
            line_total: amount(line.line_total.as_ref()),
            held: line.held,
            allocated: line.allocated,
            backordered: line.backordered,
            shipped: line.shipped,
            cancelled: line.cancelled,
            policy: ShortagePolicy::of(line.shortage_policy),
        }
    }
}

impl<'a> From<&'a v1::OrderReason> for Reason<'a> {
    fn from(reason: &'a v1::OrderReason) -> Self {
        Self { code: &reason.code, detail: &reason.detail }
    }
}

impl<'a> From<&'a v1::Shipment> for Shipment<'a> {
    fn from(shipment: &'a v1::Shipment) -> Self {
        let line = |line: &v1::LineQuantity| LineQuantity {
            line: line.line_number,
            quantity: line.quantity,
        };
        Self {
            shipment_id: &shipment.shipment_id,
            lines: shipment.lines.iter().map(line).collect(),
            carrier: optional_text(&shipment.carrier),
            tracking: optional_text(&shipment.tracking),
            dispatched_at: moment(shipment.dispatched_at.as_ref()),
            actor: &shipment.actor,
        }
    }
}

/// The answer to a dispatch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Dispatched<'a> {
    /// The order afterwards.
    pub(crate) order: Order<'a>,
    /// The new shipment.
    pub(crate) shipment: Option<Shipment<'a>>,
}

/// What became of one line of a bulk upload.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict<'a> {
    /// The line of the upload, from 1.
    pub(crate) line: u64,
    /// What a single request would have been answered: 202 if the order is stored.
    pub(crate) status: u16,
    /// The id of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) order_id: Option<&'a str>,
    /// The number of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<u64>,
    /// True if an earlier request with the same key had placed it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) replayed: bool,
    /// Why the line was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<super::operations::ProblemDetails>)]
    pub(crate) problem: Option<serde_json::Value>,
}

/// One thing that happened to an order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TimelineEntry<'a> {
    /// The place in the timeline, from 1.
    sequence: u64,
    /// When it happened.
    at: Moment,
    /// What happened.
    step: &'a str,
    /// The service that reported it.
    service: &'a str,
    /// The state before, if it changed.
    from: Option<OrderStatus>,
    /// The state after, if it changed.
    to: Option<OrderStatus>,
    /// What brought it about.
    cause: Option<&'a str>,
    /// More about it, for people.
    detail: Option<&'a str>,
    /// The time since the entry before, in microseconds.
    since_previous_us: u64,
}

impl<'a> From<&'a v1::TimelineEntry> for TimelineEntry<'a> {
    fn from(entry: &'a v1::TimelineEntry) -> Self {
        Self {
            sequence: entry.sequence,
            at: moment(entry.at.as_ref()),
            step: &entry.step,
            service: &entry.service,
            from: entry.from_status.map(OrderStatus::of),
            to: entry.to_status.map(OrderStatus::of),
            cause: optional_text(&entry.cause),
            detail: optional_text(&entry.detail),
            since_previous_us: entry.since_previous_us,
        }
    }
}

/// How many orders there are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// Orders in each state, also where there are none.
    counts: Vec<StatusCount>,
    /// Orders whose deadline has passed and which have not moved. Should be 0.
    overdue: u64,
    /// Orders that cannot go on by themselves.
    needing_attention: u64,
    /// True for a moment after a start, while stored orders are still being counted.
    counting: bool,
}

/// How many orders are in a state.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusCount {
    /// The state.
    status: OrderStatus,
    /// Orders in it.
    count: u64,
}

impl From<&v1::GetSummaryResponse> for Summary {
    fn from(summary: &v1::GetSummaryResponse) -> Self {
        let count = |count: &v1::StatusCount| StatusCount {
            status: OrderStatus::of(count.status),
            count: count.count,
        };
        Self {
            counts: summary.counts.iter().map(count).collect(),
            overdue: summary.orders_overdue,
            needing_attention: summary.orders_needing_attention,
            counting: summary.counting,
        }
    }
}

/// The state machine of orders: what is not listed is refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Transitions<'a> {
    /// Every legal move.
    transitions: Vec<Transition<'a>>,
}

/// One legal move.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Transition<'a> {
    /// The state before.
    from: OrderStatus,
    /// What moves it.
    fact: &'a str,
    /// The state after.
    to: OrderStatus,
}

impl<'a> From<&'a v1::GetTransitionTableResponse> for Transitions<'a> {
    fn from(table: &'a v1::GetTransitionTableResponse) -> Self {
        let row = |row: &'a v1::Transition| Transition {
            from: OrderStatus::of(row.from),
            fact: &row.fact,
            to: OrderStatus::of(row.to),
        };
        Self { transitions: table.transitions.iter().map(row).collect() }
    }
}

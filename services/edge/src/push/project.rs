//! What an event means for those who watch: a partial order, a level, a level in a seed's shape.
//!
//! An event tells a fact, not the whole order. The few that leave open where the order stands now
//! (it goes on where it was stopped, its lines got smaller …) are looked up, once per tick and order
//! and not per client; the others, which every order says, cost no question.

use bytes::Bytes;
use contracts::events::inventory::StockChanged;
use contracts::events::order::{EndReason, OrderPlaced, PlacedLine};
use contracts::events::payment::PaymentOperation;
use contracts::{
    CustomerId, Event, EventData, Location, Money, OrderId, OrderNumber, Position, Sku, Timestamp,
};
use contracts_grpc::v1;
use live::hub::{Change, Channel, Pending, Told};
use serde::Serialize;
use smol_str::{SmolStr, format_smolstr};

use std::collections::{HashMap, HashSet};

use super::{ORDERS, SEED, STOCK};
use crate::dto::orders::Order;

/// Orders, and levels, of one tick that are told one by one. Past that clients load anew.
const PLACES_MAX: usize = 16_384;
/// Orders in one tick up to which all are told whole: as fast as people work, not as machines do.
const WHOLE_MAX: usize = 64;
/// Reserved orders that are remembered until the payment is asked for.
const RESERVED_MAX: usize = 65_536;

/// Orders of which it is remembered when they changed last.
const CHANGED_MAX: usize = 65_536;

/// One line of an order that was placed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of the JSON")]
struct Line {
    line: u16,
    sku: Sku,
    name: SmolStr,
    quantity: i64,
    unit_price: Money,
}

impl From<&PlacedLine> for Line {
    fn from(line: &PlacedLine) -> Self {
        Self {
            line: line.line,
            sku: line.sku.clone(),
            name: line.name.clone(),
            quantity: line.quantity.get(),
            unit_price: line.unit_price,
        }
    }
}

/// What is said of an order once: when it is placed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of the JSON")]
struct Placed {
    customer_id: CustomerId,
    lines: Vec<Line>,
    channel: SmolStr,
    placed_at: Timestamp,
}

/// Why an order ended.
#[derive(Debug, Clone, Serialize)]
struct Ended {
    code: EndReason,
    #[serde(skip_serializing_if = "SmolStr::is_empty")]
    detail: SmolStr,
}

/// What changed of an order. What is absent did not change.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderChange {
    order_id: OrderId,
    number: OrderNumber,
    /// Known where it can be told from the event alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_status: Option<&'static str>,
    updated_at: Timestamp,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    placed: Option<Placed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Ended>,
    #[serde(skip)]
    position: Position,
    /// Where it stands now has to be asked for.
    #[serde(skip)]
    is_unclear: bool,
    /// What the answer was: the whole order.
    #[serde(skip)]
    whole: Option<Bytes>,
}

impl OrderChange {
    fn new(order_id: OrderId, event: &Event, position: Position) -> Self {
        Self {
            order_id,
            number: order_id.number(),
            version: None,
            status: None,
            payment_status: None,
            updated_at: event.time,
            placed: None,
            total: None,
            confirmed_at: None,
            reason: None,
            position,
            is_unclear: false,
            whole: None,
        }
    }

    fn with_status(mut self, status: &'static str) -> Self {
        self.status = Some(status);
        self
    }

    fn with_payment(mut self, status: &'static str) -> Self {
        self.payment_status = Some(status);
        self
    }

    fn unclear(mut self) -> Self {
        self.is_unclear = true;
        self
    }
}

impl Change for OrderChange {
    fn merge(&mut self, newer: Self) {
        // The version of the first is not the version of both.
        self.version = newer.version;
        self.status = newer.status.or(self.status);
        self.payment_status = newer.payment_status.or(self.payment_status);
        self.updated_at = self.updated_at.max(newer.updated_at);
        self.placed = newer.placed.or_else(|| self.placed.take());
        self.total = newer.total.or(self.total);
        self.confirmed_at = newer.confirmed_at.or(self.confirmed_at);
        self.reason = newer.reason.or_else(|| self.reason.take());
        self.position = newer.position;
        self.is_unclear |= newer.is_unclear;
        self.whole = newer.whole;
    }
}

/// What is remembered from tick to tick.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Orders whose payment is asked for next. Their events come together, nearly always.
    reserved: HashSet<OrderId>,
    /// When orders changed last, where the events of an order come from several logs.
    changed: Option<HashMap<OrderId, Timestamp>>,
}

impl Kept {
    /// For events of several logs: those of one order come in any sequence.
    pub(crate) fn of_several_logs() -> Self {
        Self { changed: Some(HashMap::new()), ..Self::default() }
    }

    pub(crate) fn forget(&mut self) {
        self.reserved.clear();
    }

    /// `time`, or that of a later event of `order` which was heard before: what is told is never older
    /// than what was told, or clients would leave it aside.
    fn not_before(&mut self, order: OrderId, time: Timestamp) -> Timestamp {
        let Some(changed) = &mut self.changed else { return time };
        if changed.len() >= CHANGED_MAX {
            changed.clear();
        }
        let known = changed.entry(order).or_insert(time);
        *known = time.max(*known);
        *known
    }

    fn expect_payment(&mut self, order: OrderId) {
        if self.reserved.len() >= RESERVED_MAX {
            self.reserved.clear();
        }
        self.reserved.insert(order);
    }
}

/// What `event` says of an order, if it says anything that is shown.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not named here is not shown")]
fn order_change(event: &Event, position: Position, kept: &mut Kept) -> Option<OrderChange> {
    let new = |id: OrderId| OrderChange::new(id, event, position);
    let change = match &event.data {
        EventData::OrderPlaced(data) => placed(new(data.order_id), data, event),
        EventData::OrderReserved(data) => {
            kept.expect_payment(data.order_id);
            OrderChange { total: Some(data.total), ..new(data.order_id) }.with_status("reserved")
        }
        EventData::OrderConfirmed(data) => {
            kept.reserved.remove(&data.order_id);
            let confirmed_at = Some(event.time);
            let change =
                OrderChange { confirmed_at, total: Some(data.total), ..new(data.order_id) };
            change.with_status("confirmed")
        }
        EventData::OrderRejected(data) => {
            let reason = Some(Ended { code: data.reason, detail: data.detail.clone() });
            OrderChange { reason, ..new(data.order_id) }.with_status("rejected")
        }
        EventData::OrderFulfilling(data) => new(data.order_id).with_status("fulfilling").unclear(),
        EventData::OrderCompleted(data) => new(data.order_id).with_status("completed").unclear(),
        EventData::OrderHeld(data) => new(data.order_id).with_status("on_hold").unclear(),
        EventData::OrderCancelling(data) => {
            kept.reserved.remove(&data.order_id);
            new(data.order_id).with_status("cancelling").unclear()
        }
        EventData::OrderCancelled(data) => new(data.order_id).with_status("cancelled").unclear(),
        EventData::OrderExpired(data) => new(data.order_id).with_status("expired").unclear(),
        EventData::OrderDecisionRequested(data) => {
            new(data.order_id).with_status("awaiting_decision").unclear()
        }
        EventData::OrderAdjusted(data) => {
            OrderChange { total: Some(data.total), ..new(data.order_id) }.unclear()
        }
        EventData::OrderResumed(data) => new(data.order_id).unclear(),
        EventData::OrderNeedsAttention(data) => new(data.order_id).unclear(),
        EventData::PaymentRequested(data) if kept.reserved.remove(&data.order_id) => {
            new(data.order_id).with_status("paying")
        }
        EventData::PaymentRequested(data) => new(data.order_id).unclear(),
        EventData::PaymentAuthorized(data) => new(data.order_id).with_payment("authorized"),
        EventData::PaymentCaptured(data) => new(data.order_id).with_payment("paid"),
        EventData::PaymentDeclined(data) => {
            let change = new(data.order_id).unclear();
            let is_first = data.operation == PaymentOperation::Authorize;
            if is_first { change.with_payment("failed") } else { change }
        }
        EventData::PaymentVoided(data) => new(data.order_id).with_payment("voided").unclear(),
        EventData::PaymentRefunded(data) => {
            let left = data.kept.is_positive();
            let status = if left { "partially_refunded" } else { "refunded" };
            new(data.order_id).with_payment(status).unclear()
        }
        _ => return None,
    };
    Some(change)
}

fn placed(change: OrderChange, data: &OrderPlaced, event: &Event) -> OrderChange {
    let placed = Placed {
        customer_id: data.customer_id.clone(),
        lines: data.lines.iter().map(Line::from).collect(),
        channel: data.channel.clone(),
        placed_at: event.time,
    };
    let (version, placed, total) = (Some(1), Some(placed), Some(data.total));
    OrderChange { version, placed, total, ..change }.with_status("placed").with_payment("none")
}

/// A level as it is now.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LevelChange {
    sku: Sku,
    location: Location,
    on_hand: i64,
    held: i64,
    allocated: i64,
    quarantined: i64,
    available: i64,
    version: u64,
    updated_at: Timestamp,
    #[serde(skip)]
    position: Position,
    #[serde(skip)]
    order: Option<OrderId>,
}

impl LevelChange {
    fn new(data: &StockChanged, event: &Event, position: Position) -> Self {
        Self {
            sku: data.sku.clone(),
            location: data.location.clone(),
            on_hand: data.on_hand,
            held: data.held,
            allocated: data.allocated,
            quarantined: data.quarantined,
            available: data.available,
            version: data.version,
            updated_at: event.time,
            position,
            order: data.order_id,
        }
    }
}

impl Change for LevelChange {
    fn merge(&mut self, newer: Self) {
        let order = newer.order.or(self.order);
        *self = Self { order, ..newer };
    }
}

/// What seed 000 says of stock.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SeedLevel<'a> {
    order_id: OrderId,
    product: &'a str,
    stock: i64,
}

/// What one tick changed.
pub(crate) struct Projection {
    orders: Pending<OrderChange>,
    levels: Pending<LevelChange>,
}

impl Projection {
    pub(crate) fn new() -> Self {
        Self { orders: Pending::new(PLACES_MAX), levels: Pending::new(PLACES_MAX) }
    }

    /// Takes in an event that is told at its place in its own log.
    pub(crate) fn take(&mut self, event: &Event, kept: &mut Kept) {
        self.take_at(event.id.position(), event, kept);
    }

    /// Takes in an event that is told at `position`.
    pub(crate) fn take_at(&mut self, position: Position, event: &Event, kept: &mut Kept) {
        if let EventData::StockChanged(data) = &event.data {
            let place = format_smolstr!("{}\n{}", data.sku, data.location);
            self.levels.push(place, LevelChange::new(data, event, position));
        } else if let Some(mut change) = order_change(event, position, kept) {
            change.updated_at = kept.not_before(change.order_id, change.updated_at);
            self.orders.push(format_smolstr!("{}", change.order_id), change);
        }
    }

    /// At most `max` orders of which it has to be asked where they stand. While there are few, all
    /// of them: then they are told whole, with their versions and what may be asked of them next.
    pub(crate) fn unclear(&self, max: usize) -> Vec<String> {
        let are_few = self.orders.len() <= WHOLE_MAX;
        let unclear = self.orders.iter().filter(|(_, change)| are_few || change.is_unclear);
        unclear.map(|(place, _)| place.to_string()).take(max).collect()
    }

    /// The order `place` is `json` now.
    pub(crate) fn settle(&mut self, place: &str, json: Bytes) {
        if let Some(change) = self.orders.get_mut(place) {
            change.whole = Some(json);
        }
    }

    /// Everything that is to be told; `None` if it was too much to be told one by one.
    pub(crate) fn told(mut self) -> Option<Vec<Told>> {
        let (orders, levels) = (self.orders.take()?, self.levels.take()?);
        let mut told = Vec::with_capacity(orders.len() + levels.len() * 2);
        for (key, change) in orders {
            let json = change.whole.clone().or_else(|| written(&change));
            told.extend(json.map(|json| told_on(ORDERS, "order", key, change.position, json)));
        }
        for (place, level) in levels {
            let key = SmolStr::new(level.sku.as_str());
            let position = level.position;
            if let Some(order_id) = level.order {
                let (product, stock) = (level.sku.as_str(), level.available);
                let seed = written(&SeedLevel { order_id, product, stock });
                told.extend(seed.map(|json| Told {
                    place: place.clone(),
                    ..told_on(SEED, "stock-update", key.clone(), position, json)
                }));
            }
            let json = written(&level);
            told.extend(
                json.map(|json| Told { place, ..told_on(STOCK, "stock", key, position, json) }),
            );
        }
        Some(told)
    }
}

fn told_on(
    channel: Channel,
    event: &'static str,
    key: SmolStr,
    position: Position,
    json: Bytes,
) -> Told {
    Told { channel, place: key.clone(), key, event, position, json }
}

fn written(value: &impl Serialize) -> Option<Bytes> {
    match serde_json::to_vec(value) {
        Ok(json) => Some(json.into()),
        Err(error) => {
            tracing::error!(%error, "a change cannot be told");
            None
        }
    }
}

/// An order as the REST API shows it, and its id.
pub(super) fn whole_order(order: &v1::Order) -> Option<(&str, Bytes)> {
    Some((order.order_id.as_str(), written(&Order::from(order))?))
}

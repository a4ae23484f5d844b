//! Mirrors: what happened, in the words of older systems, for consumers that know only those.
//!
//! Pure functions from an event to the records of a [`Profile`], byte for byte. The names and shapes
//! are not ours and never change; our own records are [`crate::cloudevents`].

use serde::Serialize;
use serde_json::value::RawValue;

use crate::clock::Timestamp;
use crate::cloudevents;
use crate::envelope::Event;
use crate::events::{EventData, EventKind};
use crate::ids::OrderId;
use crate::money::Money;

/// The system whose consumers are served.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
pub enum Profile {
    /// Two topics of flat objects, one per line of an order.
    #[serde(rename = "000")]
    Seed000,
    /// Dotted names around our own data.
    #[serde(rename = "002")]
    Seed002,
    /// Spring's JSON with the class in a header, and the whole order in every message.
    #[serde(rename = "004")]
    Seed004,
}

/// A record of a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic, named as in the older system.
    pub topic: &'static str,
    /// The key, where the older system has one.
    pub key: Option<String>,
    /// Headers: what a consumer needs to decode.
    pub headers: cloudevents::Headers,
    /// The bytes.
    pub value: Vec<u8>,
}

/// What a message says of the whole order besides its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFacts {
    /// The order.
    pub order_id: OrderId,
    /// Each SKU as often as there are units of it.
    pub product_ids: Vec<String>,
    /// Who bought.
    pub customer_id: String,
    /// What it costs.
    pub total: Money,
    /// When it was placed.
    pub placed_at: Timestamp,
}

/// The package of the classes that seed 004 names in `__TypeId__`.
const CLASSES: &str = "com.gk.ordermanagement.common.models.";

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Seed000, Self::Seed002, Self::Seed004];

    /// The topics that it writes.
    pub const fn topics(self) -> &'static [&'static str] {
        match self {
            Self::Seed000 => &["order-created", "stock-updated"],
            Self::Seed002 => &["order.created", "order.updated", "inventory.updated"],
            Self::Seed004 => &[
                "order-placed",
                "customer-validated",
                "customer-failed",
                "inventory-reserved",
                "inventory-failed",
                "payment-processed",
            ],
        }
    }

    /// Whether a record of `kind` needs the facts of its order.
    pub const fn needs_order(self, kind: EventKind) -> bool {
        matches!(self, Self::Seed004)
            && matches!(
                kind,
                EventKind::OrderPlaced
                    | EventKind::CustomerValidated
                    | EventKind::InventoryReserved
                    | EventKind::InventoryPartiallyReserved
                    | EventKind::PaymentCaptured
                    | EventKind::PaymentAuthorized
            )
    }

    /// The records that tell of `event`. Without the facts that [`Self::needs_order`] asks for, what
    /// needs them is not told.
    pub fn records(self, event: &Event, order: Option<&OrderFacts>) -> Vec<Record> {
        match self {
            Self::Seed000 => seed_000(&event.data),
            Self::Seed002 => seed_002(event).into_iter().collect(),
            Self::Seed004 => seed_004(&event.data, order).into_iter().collect(),
        }
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Plain structs with text keys: nothing in them can refuse.
    serde_json::to_vec(value).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderCreated<'e> {
    order_id: OrderId,
    product: &'e str,
    quantity: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StockUpdated<'e> {
    order_id: Option<OrderId>,
    product: &'e str,
    stock: i64,
}

fn seed_000(data: &EventData) -> Vec<Record> {
    let record = |topic, value| Record { topic, key: None, headers: Vec::new(), value };
    if let EventData::OrderPlaced(placed) = data {
        let created = placed.lines.iter().map(|line| {
            let (product, quantity) = (line.sku.as_str(), line.quantity.get());
            json(&OrderCreated { order_id: placed.order_id, product, quantity })
        });
        return created.map(|value| record("order-created", value)).collect();
    }
    if let EventData::StockChanged(changed) = data {
        let (order_id, product) = (changed.order_id, changed.sku.as_str());
        let value = json(&StockUpdated { order_id, product, stock: changed.available });
        return vec![record("stock-updated", value)];
    }
    Vec::new()
}

fn seed_002(event: &Event) -> Option<Record> {
    use crate::topics::Topic;
    let topic = match (event.data.kind(), event.topic()) {
        (EventKind::OrderPlaced, _) => "order.created",
        (EventKind::StockChanged, _) => "inventory.updated",
        (_, Topic::Order) => "order.updated",
        (
            _,
            Topic::OrderCheck
            | Topic::Reservation
            | Topic::Stock
            | Topic::Payment
            | Topic::Product
            | Topic::Customer
            | Topic::Notification,
        ) => return None,
    };
    let cloudevents::Record { key, headers, value } = cloudevents::encode(event);
    Some(Record { topic, key: Some(key), headers, value })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'e> {
    r#type: &'static str,
    order_id: OrderId,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<Whole<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inventory_reserved: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'e> {
    order_id: OrderId,
    product_ids: &'e [String],
    customer_id: &'e str,
    total_amount: Box<RawValue>,
    placed_time: Vec<i32>,
    confirmed_time: Option<Vec<i32>>,
}

impl<'e> Whole<'e> {
    fn of(order: &'e OrderFacts) -> Option<Self> {
        Some(Self {
            order_id: order.order_id,
            product_ids: &order.product_ids,
            customer_id: &order.customer_id,
            total_amount: RawValue::from_string(java_double(order.total)).ok()?,
            placed_time: java_time(order.placed_at),
            confirmed_time: None,
        })
    }
}

/// The order's events in the sequence of the older system: topic, class, and whose facts it holds.
fn seed_004(data: &EventData, order: Option<&OrderFacts>) -> Option<Record> {
    let (topic, class, order_id, failed) = message_004(data)?;
    let whole = if failed { None } else { Some(Whole::of(order?)?) };
    let inventory_reserved = (topic == "inventory-reserved").then_some(true);
    let message = Message { r#type: class, order_id, order: whole, inventory_reserved };
    Some(Record {
        topic,
        key: (topic == "order-placed").then(|| order_id.to_string()),
        headers: vec![("__TypeId__", format!("{CLASSES}{class}").into())],
        value: json(&message),
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the older system has six messages")]
const fn message_004(data: &EventData) -> Option<(&'static str, &'static str, OrderId, bool)> {
    Some(match data {
        EventData::OrderPlaced(data) => ("order-placed", "OrderPlacedEvent", data.order_id, false),
        EventData::CustomerValidated(data) => {
            ("customer-validated", "CustomerValidatedEvent", data.order_id, false)
        }
        EventData::CustomerRejected(data) => {
            ("customer-failed", "CustomerFailedEvent", data.order_id, true)
        }
        EventData::InventoryReserved(data) => {
            ("inventory-reserved", "InventoryReservedEvent", data.order_id, false)
        }
        EventData::InventoryPartiallyReserved(data) => {
            ("inventory-reserved", "InventoryReservedEvent", data.order_id, false)
        }
        EventData::InventoryRejected(data) => {
            ("inventory-failed", "InventoryFailedEvent", data.order_id, true)
        }
        EventData::PaymentCaptured(data) => {
            ("payment-processed", "PaymentProcessedEvent", data.order_id, false)
        }
        // Money that is due on dispatch is as good as paid to the older system.
        EventData::PaymentAuthorized(data) if data.due_on_dispatch => {
            ("payment-processed", "PaymentProcessedEvent", data.order_id, false)
        }
        _ => return None,
    })
}

/// An amount as Java writes a `double`: `2599.99`, `1800.0`, from 10^7 on `1.25E7`.
fn java_double(amount: Money) -> String {
    let text = amount.to_decimal();
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.len() <= 7 {
        let fraction = if fraction.is_empty() { "0" } else { fraction };
        return format!("{sign}{whole}.{fraction}");
    }
    let exponent = whole.len().saturating_sub(1);
    let (first, rest) = whole.split_at(1);
    let digits = format!("{rest}{fraction}");
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    format!("{sign}{first}.{digits}E{exponent}")
}

/// A time as Jackson writes a `LocalDateTime`: year to minute, then seconds and nanoseconds unless
/// everything from there on is zero.
fn java_time(at: Timestamp) -> Vec<i32> {
    let moment = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
    let time = moment.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let parts = [time.month(), time.day(), time.hour(), time.minute()];
    let mut array = vec![i32::from(time.year())];
    array.extend(parts.map(i32::from));
    let (seconds, nanos) = (i32::from(time.second()), time.subsec_nanosecond());
    if seconds > 0 || nanos > 0 {
        array.push(seconds);
    }
    if nanos > 0 {
        array.push(nanos);
    }
    array
}

#[cfg(test)]
mod tests;

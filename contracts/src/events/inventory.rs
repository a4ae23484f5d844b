//! What the inventory service says: reservations by order, levels by SKU.

use serde::{Deserialize, Serialize};

use super::event_data;
use super::order::LineUnits;
use crate::clock::Timestamp;
use crate::ids::{Location, OrderId, Sku};

/// What inventory could do for one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LineReservation {
    /// The line, from 1.
    pub line: u16,
    /// The line's SKU.
    pub sku: Sku,
    /// Units held.
    pub held: i64,
    /// Units promised for later.
    pub backordered: i64,
    /// Units that cannot be had.
    pub short: i64,
}

/// A SKU of which more was wanted than is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shortage {
    /// The SKU.
    pub sku: Sku,
    /// Units wanted, over all lines.
    pub requested: i64,
    /// Units available.
    pub available: i64,
}

/// Why inventory refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StockRefusal {
    /// Not enough available.
    Insufficient,
    /// No level of such a SKU.
    UnknownSku,
    /// The hold had ended before the payment arrived, and it could not be held again.
    Lost,
}

event_data! {
    /// Every line is held in full.
    InventoryReserved keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// What is held, per line.
        lines: Vec<LineUnits>,
        /// When the hold ends unless it is allocated before.
        expires_at: Timestamp,
    }
}

event_data! {
    /// A part is held; the order's policies allow that.
    InventoryPartiallyReserved keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// What could be done, per line.
        lines: Vec<LineReservation>,
        /// When the hold ends unless it is allocated before.
        expires_at: Timestamp,
    }
}

event_data! {
    /// Nothing is held.
    InventoryRejected keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// Why.
        reason: StockRefusal,
        /// The SKUs at fault.
        shortages: Vec<Shortage>,
    }
}

event_data! {
    /// Held units now belong to the order. From here it only goes forward. Said again, for the
    /// units that came, when a backorder is filled.
    InventoryAllocated keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// What was allocated by this, per line.
        lines: Vec<LineUnits>,
    }
}

event_data! {
    /// Units were given back; everything that was kept for the order, or the lines of an adjustment.
    InventoryReleased keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// What was given back, per line.
        lines: Vec<LineUnits>,
        /// Whether nothing is kept for the order any more.
        ended: bool,
    }
}

event_data! {
    /// The hold ended by its deadline.
    InventoryExpired keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// What was given back, per line.
        lines: Vec<LineUnits>,
    }
}

event_data! {
    /// Units left the house.
    InventoryConsumed keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// The order's shipment.
        shipment: u16,
        /// What left, per line.
        lines: Vec<LineUnits>,
    }
}

event_data! {
    /// A level is another than before. Told once per SKU for all that one COMMIT changed.
    StockChanged keyed by sku {
        /// The SKU.
        sku: Sku,
        /// Where.
        location: Location,
        /// Units on the shelf.
        on_hand: i64,
        /// Units held for orders that are not paid yet.
        held: i64,
        /// Units that belong to orders.
        allocated: i64,
        /// Units set aside.
        quarantined: i64,
        /// Units that can be sold.
        available: i64,
        /// The level's version.
        version: u64,
        /// The last order that moved it, if one did.
        order_id: Option<OrderId>,
    }
}

event_data! {
    /// Available fell to the threshold.
    StockLow keyed by sku {
        /// The SKU.
        sku: Sku,
        /// Where.
        location: Location,
        /// Units that can be sold.
        available: i64,
        /// The threshold.
        threshold: i64,
    }
}

event_data! {
    /// Nothing is available any more.
    StockOut keyed by sku {
        /// The SKU.
        sku: Sku,
        /// Where.
        location: Location,
    }
}

event_data! {
    /// Available again, clearly above the threshold.
    StockBack keyed by sku {
        /// The SKU.
        sku: Sku,
        /// Where.
        location: Location,
        /// Units that can be sold.
        available: i64,
    }
}

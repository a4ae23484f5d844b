//! What the order service says.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::event_data;
use crate::clock::Timestamp;
use crate::ids::{CustomerId, OrderId, OrderNumber, Sku};
use crate::money::Money;
use crate::quantity::Quantity;

/// What to do when not all of a line is in stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortagePolicy {
    /// Refuse the whole order.
    #[default]
    Reject,
    /// Take what is there, drop the rest and total again.
    AllowPartial,
    /// Hold what is there and promise the rest, first come first served.
    Backorder,
    /// Hold what is there and ask what to do.
    Ask,
}

/// How an order is to be paid: a method, and what the method needs (a card token, never a card).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentInstruction {
    /// The name of a configured method: `simulated`, `terms`.
    pub method: SmolStr,
    /// What the provider knows the means of payment by.
    pub token: SmolStr,
}

/// One line of an order as it was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacedLine {
    /// From 1, in the sequence given.
    pub line: u16,
    /// What is bought.
    pub sku: Sku,
    /// The product's name at that time.
    pub name: SmolStr,
    /// How many units.
    pub quantity: Quantity,
    /// The catalog's price at that time.
    pub unit_price: Money,
    /// What to do when not all is there.
    pub policy: ShortagePolicy,
}

/// A number of units of one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LineUnits {
    /// The line, from 1.
    pub line: u16,
    /// The line's SKU.
    pub sku: Sku,
    /// Units, never negative.
    pub units: i64,
}

/// Why an order ended, or is ending, other than well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// There is no such customer.
    UnknownCustomer,
    /// The customer is blocked.
    CustomerBlocked,
    /// The customer's credit limit does not allow it.
    CreditExceeded,
    /// Not enough in stock.
    InsufficientStock,
    /// Inventory does not know a SKU.
    UnknownSku,
    /// The payment was declined.
    PaymentDeclined,
    /// The payment took longer than its deadline.
    PaymentTimedOut,
    /// The hold was lost before the payment arrived, and the stock was gone.
    StockLost,
    /// Nobody decided in time.
    DecisionTimedOut,
    /// The checks did not answer in time.
    ChecksTimedOut,
    /// A person cancelled it.
    Requested,
}

event_data! {
    /// An order is stored; both checks begin.
    OrderPlaced keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// Its number.
        number: OrderNumber,
        /// Who bought.
        customer_id: CustomerId,
        /// What was bought.
        lines: Vec<PlacedLine>,
        /// The sum of the lines.
        total: Money,
        /// How it is to be paid.
        payment: PaymentInstruction,
        /// Where it came from.
        channel: SmolStr,
    }
}

event_data! {
    /// A check has not answered; it is asked once more. Answering again is harmless.
    OrderCheckRequested keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// Its customer.
        customer_id: CustomerId,
        /// What was bought.
        lines: Vec<PlacedLine>,
        /// The sum of the lines.
        total: Money,
        /// How often it has now been asked: 2, 3 …
        attempt: u64,
    }
}

event_data! {
    /// Lines got smaller and the total with them.
    OrderAdjusted keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// The units that each changed line now has.
        lines: Vec<LineUnits>,
        /// Units that inventory still keeps for the order and must give back.
        release: Vec<LineUnits>,
        /// The new total.
        total: Money,
        /// The total before.
        previous_total: Money,
    }
}

event_data! {
    /// Only a part is in stock and a person has to decide.
    OrderDecisionRequested keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// What can be delivered, per line.
        available: Vec<LineUnits>,
        /// Until when the decision is awaited.
        decide_by: Timestamp,
    }
}

event_data! {
    /// Customer accepted and stock held: payment may begin.
    OrderReserved keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// Who pays.
        customer_id: CustomerId,
        /// What is to be paid.
        total: Money,
        /// How it is to be paid.
        payment: PaymentInstruction,
    }
}

event_data! {
    /// Authorised and allocated; the money is captured, or due on dispatch.
    OrderConfirmed keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// Its number.
        number: OrderNumber,
        /// Who bought.
        customer_id: CustomerId,
        /// What was paid or is due.
        total: Money,
    }
}

event_data! {
    /// A shipment has left.
    OrderFulfilling keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// The shipment, from 1 within the order.
        shipment: u16,
        /// What it contains.
        lines: Vec<LineUnits>,
    }
}

event_data! {
    /// Nothing is open any more.
    OrderCompleted keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// Who bought.
        customer_id: CustomerId,
    }
}

event_data! {
    /// Stopped by staff or a rule.
    OrderHeld keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// Why.
        reason: SmolStr,
    }
}

event_data! {
    /// Goes on where it was stopped.
    OrderResumed keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// Why.
        reason: SmolStr,
    }
}

event_data! {
    /// Compensation begins: inventory releases, payment voids or refunds.
    OrderCancelling keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// The kind of reason.
        reason: EndReason,
        /// The reason in words.
        detail: SmolStr,
        /// Who wanted it.
        actor: SmolStr,
    }
}

event_data! {
    /// Ended by a person, the payment, or lost stock; everything is given back.
    OrderCancelled keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// Its number.
        number: OrderNumber,
        /// Who had bought.
        customer_id: CustomerId,
        /// The kind of reason.
        reason: EndReason,
        /// The reason in words.
        detail: SmolStr,
    }
}

event_data! {
    /// Ended by a check: nothing was taken.
    OrderRejected keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// Its number.
        number: OrderNumber,
        /// Who wanted to buy.
        customer_id: CustomerId,
        /// The kind of reason.
        reason: EndReason,
        /// The reason in words.
        detail: SmolStr,
    }
}

event_data! {
    /// Ended by a deadline.
    OrderExpired keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// Its number.
        number: OrderNumber,
        /// Who wanted to buy.
        customer_id: CustomerId,
        /// The kind of reason.
        reason: EndReason,
    }
}

event_data! {
    /// A person has to look.
    OrderNeedsAttention keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// What is the matter.
        detail: SmolStr,
    }
}

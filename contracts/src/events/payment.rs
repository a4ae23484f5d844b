//! What the payment service says. One payment per order; its id is the order's.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::event_data;
use crate::ids::OrderId;
use crate::money::Money;

/// What a provider is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentOperation {
    /// Reserve the money.
    Authorize,
    /// Take the money.
    Capture,
    /// Give up the reservation of the money.
    Void,
    /// Give money back.
    Refund,
}

event_data! {
    /// The attempt is on record; the provider is asked next.
    PaymentRequested keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// The method.
        method: SmolStr,
        /// What is asked for.
        amount: Money,
    }
}

event_data! {
    /// The money is reserved.
    PaymentAuthorized keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// How much.
        amount: Money,
        /// Whether the money is due on dispatch and is not captured before.
        due_on_dispatch: bool,
    }
}

event_data! {
    /// The money is taken.
    PaymentCaptured keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// How much.
        amount: Money,
    }
}

event_data! {
    /// The provider said no.
    PaymentDeclined keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// What was asked.
        operation: PaymentOperation,
        /// The provider's code.
        code: SmolStr,
    }
}

event_data! {
    /// The provider's answer was lost. It is asked by the same key until it is known.
    PaymentUnknown keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// What was asked.
        operation: PaymentOperation,
    }
}

event_data! {
    /// No money of the order is reserved any more; said also where none ever was.
    PaymentVoided keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// How much had been reserved.
        amount: Money,
    }
}

event_data! {
    /// Money went back.
    PaymentRefunded keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// How much went back by this.
        amount: Money,
        /// How much is still kept.
        kept: Money,
    }
}

//! What the customer service says. Ids only: personal data never enters the log.

use serde::{Deserialize, Serialize};

use super::event_data;
use crate::ids::{CustomerId, OrderId};

/// Why a customer may not buy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerRefusal {
    /// There is no such customer.
    Unknown,
    /// The customer is blocked.
    Blocked,
    /// The credit limit does not allow it.
    CreditExceeded,
}

event_data! {
    /// The customer may buy.
    CustomerValidated keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// The customer.
        customer_id: CustomerId,
    }
}

event_data! {
    /// The customer may not buy.
    CustomerRejected keyed by order_id {
        /// The order.
        order_id: OrderId,
        /// The customer.
        customer_id: CustomerId,
        /// Why.
        reason: CustomerRefusal,
    }
}

event_data! {
    /// A customer is there.
    CustomerCreated keyed by customer_id {
        /// The customer.
        customer_id: CustomerId,
        /// Version 1.
        version: u64,
    }
}

event_data! {
    /// A customer's facts changed.
    CustomerUpdated keyed by customer_id {
        /// The customer.
        customer_id: CustomerId,
        /// The new version.
        version: u64,
    }
}

event_data! {
    /// A customer was blocked or unblocked.
    CustomerBlocked keyed by customer_id {
        /// The customer.
        customer_id: CustomerId,
        /// Whether the customer is blocked now.
        blocked: bool,
        /// The new version.
        version: u64,
    }
}

event_data! {
    /// A customer's personal data is gone.
    CustomerErased keyed by customer_id {
        /// The customer.
        customer_id: CustomerId,
        /// The new version.
        version: u64,
    }
}

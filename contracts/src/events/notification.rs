//! What the notification service says.

use smol_str::SmolStr;

use super::event_data;
use crate::ids::{CustomerId, EventId, OrderId};

event_data! {
    /// A message is on its way, or in the log where its channel has no transport configured.
    NotificationSent keyed by recipient {
        /// The message, from 1.
        notification: u64,
        /// The event that it tells of.
        event_id: EventId,
        /// The order that it tells of.
        order_id: OrderId,
        /// By which way: `mail`, `log`.
        channel: SmolStr,
        /// To whom: a customer id, never an address.
        recipient: CustomerId,
    }
}

event_data! {
    /// A message could not be delivered.
    NotificationFailed keyed by recipient {
        /// The message, from 1.
        notification: u64,
        /// The event that it tells of.
        event_id: EventId,
        /// The order that it tells of.
        order_id: OrderId,
        /// By which way.
        channel: SmolStr,
        /// To whom: a customer id, never an address.
        recipient: CustomerId,
        /// What went wrong.
        detail: SmolStr,
    }
}

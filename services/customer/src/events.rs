//! What the customer service hears.

use std::sync::Arc;

use bus::{Handler, HandlerError, Subscription};
use contracts::{Event, EventKind};
use store::{BoxFuture, Tx};

use crate::handlers::Customers;

const HEARD: &[EventKind] = &[
    EventKind::OrderPlaced,
    EventKind::OrderCheckRequested,
    EventKind::OrderCancelled,
    EventKind::OrderRejected,
    EventKind::OrderExpired,
    EventKind::OrderCompleted,
    EventKind::PaymentCaptured,
];

impl Customers {
    /// The subscriptions of this service.
    pub fn subscriptions(self: &Arc<Self>) -> Vec<Subscription> {
        let handler = Arc::<Self>::clone(self);
        vec![Subscription { consumer: "customer", kinds: HEARD, handler }]
    }
}

impl Handler for Customers {
    fn handle<'t>(
        &'t self,
        tx: &'t mut Tx,
        batch: &'t [Arc<Event>],
    ) -> BoxFuture<'t, Result<(), HandlerError>> {
        Box::pin(async move { Ok(self.hear(tx, batch).await?) })
    }
}

//! What the service hears from others.

use std::sync::Arc;

use bus::{Handler, HandlerError, Subscription};
use contracts::{Event, EventKind};
use store::{BoxFuture, Tx};

use crate::handlers::Payments;

impl Payments {
    /// What this service wants to hear.
    pub fn subscriptions(self: &Arc<Self>) -> Vec<Subscription> {
        let handler: Arc<dyn Handler> = Arc::<Self>::clone(self);
        vec![Subscription {
            consumer: "payment",
            kinds: &[
                EventKind::OrderReserved,
                EventKind::OrderAdjusted,
                EventKind::OrderCancelling,
                EventKind::InventoryAllocated,
            ],
            handler,
        }]
    }
}

impl Handler for Payments {
    fn handle<'t>(
        &'t self,
        tx: &'t mut Tx,
        batch: &'t [Arc<Event>],
    ) -> BoxFuture<'t, Result<(), HandlerError>> {
        Box::pin(self.hear(tx, batch))
    }
}

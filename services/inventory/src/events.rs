//! What inventory hears on the bus.

use std::sync::Arc;

use bus::{Handler, HandlerError, Subscription};
use contracts::{Event, EventKind};
use store::{BoxFuture, Tx};

use crate::{Inventory, handlers};

/// The consumer's name.
const CONSUMER: &str = "inventory";

/// What inventory hears.
const HEARD: &[EventKind] = &[
    EventKind::OrderPlaced,
    EventKind::OrderCheckRequested,
    EventKind::OrderAdjusted,
    EventKind::OrderCancelling,
    EventKind::OrderRejected,
    EventKind::OrderExpired,
    EventKind::OrderFulfilling,
    EventKind::PaymentAuthorized,
    EventKind::PaymentUnknown,
];

/// Inventory's place on the bus.
pub fn subscriptions(inventory: &Arc<Inventory>) -> Vec<Subscription> {
    let handler: Arc<dyn Handler> = Arc::<Inventory>::clone(inventory);
    vec![Subscription { consumer: CONSUMER, kinds: HEARD, handler }]
}

impl Handler for Inventory {
    fn handle<'t>(
        &'t self,
        tx: &'t mut Tx,
        batch: &'t [Arc<Event>],
    ) -> BoxFuture<'t, Result<(), HandlerError>> {
        let hold_ttl = self.settings.hold_ttl();
        Box::pin(async move { Ok(handlers::hear(tx, hold_ttl, batch).await?) })
    }
}

//! What the service hears from others.

use std::sync::Arc;

use bus::{Handler, HandlerError, Subscription};
use contracts::Event;
use store::{BoxFuture, Tx};

use crate::domain::KINDS;
use crate::handlers::Notifications;

impl Notifications {
    /// What this service wants to hear.
    pub fn subscriptions(self: &Arc<Self>) -> Vec<Subscription> {
        let handler: Arc<dyn Handler> = Arc::<Self>::clone(self);
        vec![Subscription { consumer: "notification", kinds: KINDS, handler }]
    }
}

impl Handler for Notifications {
    fn handle<'t>(
        &'t self,
        tx: &'t mut Tx,
        batch: &'t [Arc<Event>],
    ) -> BoxFuture<'t, Result<(), HandlerError>> {
        Box::pin(self.hear(tx, batch))
    }
}

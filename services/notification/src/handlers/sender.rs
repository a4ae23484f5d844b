//! Whose turn it is to send: that of one instance of several, which has the lease.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use contracts::Timestamp;
use store::StoreError;
use store::lease::{self, Lease};

use super::Notifications;

/// The lease, for how long it is taken, and how long before its end it is renewed.
const SENDER: &str = "notification-sender";
const LEASE: Duration = Duration::from_secs(30);
const RENEW_BEFORE: Duration = Duration::from_secs(25);

/// The name of an instance. Who had its number before is gone, and the lease goes on.
fn owner(instance: u32) -> String {
    format!("instance-{instance}")
}

impl Notifications {
    fn turn(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this instance is the one that sends.
    pub(crate) async fn may_send(&self) -> Result<bool, StoreError> {
        let Some(instance) = self.store.instance() else { return Ok(true) };
        let renew_at = self.store.clock().now().plus(RENEW_BEFORE);
        if self.turn().is_some_and(|until| until > renew_at) {
            return Ok(true);
        }
        let taken: Result<Option<Lease>, StoreError> = self
            .store
            .transact(move |tx| {
                Box::pin(async move { lease::acquire(tx, SENDER, &owner(instance), LEASE).await })
            })
            .await;
        let until = taken?.map(|lease| lease.until);
        *self.turn() = until;
        Ok(until.is_some())
    }

    /// Lets another instance send, without waiting for the end of the lease.
    pub(crate) async fn hand_over(&self) {
        let had_turn = self.turn().take().is_some();
        let Some(instance) = self.store.instance().filter(|_| had_turn) else { return };
        let released: Result<(), StoreError> = self
            .store
            .transact(move |tx| {
                Box::pin(async move { lease::release(tx, SENDER, &owner(instance)).await })
            })
            .await;
        if let Err(error) = released {
            tracing::debug!(%error, "the lease of the sender ends by itself");
        }
    }
}

//! What happens by itself: messages that wait are sent, and tried again.
//!
//! The rows are the queue: the sender takes those that are due, sends them side by side, records how
//! that ended, and looks again. It is woken when something is written, and looks by itself too. What
//! was sent but not recorded when the process died is sent once more, under the same message id.
//!
//! Of several instances one sends: the one that has the lease.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use telemetry::Tasks;

use crate::domain::Notification;
use crate::handlers::{Notifications, Tried};
use crate::mail::CONNECTIONS_MAX;

/// How often the sender looks by itself: a fraction of the shortest pause between tries, 1 s.
const TICK: Duration = Duration::from_millis(250);

/// Looks between two counts of what waits: the gauge is read every few seconds.
const LOOKS_PER_COUNT: u64 = 20;

/// Messages taken at a time.
const BATCH_MAX: i64 = 256;

/// Starts the sender.
pub fn run(notifications: &Arc<Notifications>, tasks: &Tasks) {
    let notifications = Arc::clone(notifications);
    let stopping = tasks.stopping();
    tasks.spawn("notification sender", async move {
        for look in 0_u64.. {
            tokio::select! {
                () = stopping.cancelled() => break,
                () = notifications.waiting.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            while send_due(&notifications).await && !stopping.is_cancelled() {}
            if look.is_multiple_of(LOOKS_PER_COUNT)
                && let Err(error) = notifications.count_pending().await
            {
                tracing::warn!(%error, "waiting messages cannot be counted");
            }
        }
        notifications.hand_over().await;
    });
}

/// Sends what is due; `true` if there may be more.
async fn send_due(notifications: &Arc<Notifications>) -> bool {
    let due: Vec<Notification> = match notifications.due(BATCH_MAX).await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "waiting messages cannot be read; next tick again");
            return false;
        }
    };
    if due.is_empty() {
        return false;
    }
    match notifications.may_send().await {
        Ok(true) => {}
        Ok(false) => return false,
        Err(error) => {
            tracing::warn!(%error, "whose turn it is to send cannot be read; next tick again");
            return false;
        }
    }
    let at_once = usize::try_from(CONNECTIONS_MAX).unwrap_or(1);
    let sending = futures::stream::iter(due.into_iter().map(|one| notifications.send(one)));
    let tried: Vec<Tried> = sending.buffer_unordered(at_once).collect().await;
    if let Err(error) = notifications.record(tried).await {
        // They are sent again under the same message ids: better twice than never.
        tracing::warn!(%error, "sent messages cannot be recorded; next tick again");
        return false;
    }
    true
}

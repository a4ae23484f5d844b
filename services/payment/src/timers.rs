//! What happens by itself: the provider calls, and the deadlines of those that did not answer.

use std::sync::Arc;
use std::time::Duration;

use contracts::Timestamp;
use telemetry::Tasks;

use crate::handlers::Payments;
use crate::worker;

/// How often deadlines are looked at: a fraction of the shortest of them, 1 s.
const TICK: Duration = Duration::from_millis(250);

/// Ticks between two counts of what is open: the gauge is read every few seconds.
const TICKS_PER_COUNT: u64 = 20;

/// Payments looked at again in one transaction.
const BATCH_MAX: usize = 1_024;

/// Starts the worker that makes the calls, and the watch over deadlines.
pub fn run(payments: &Arc<Payments>, tasks: &Tasks) {
    worker::run(payments, tasks);
    let payments = Arc::clone(payments);
    let clock = tasks.clone();
    tasks.spawn("payment deadlines", async move {
        // What was open when the process ended is asked for at once, whatever its deadline.
        look_again(&payments, Timestamp::from_micros(i64::MAX), i64::MAX).await;
        let limit = i64::try_from(BATCH_MAX).unwrap_or(i64::MAX);
        for tick in 1_u64.. {
            if !clock.pause(TICK).await {
                return;
            }
            let now = payments.store.clock().now();
            look_again(&payments, now, limit).await;
            if tick.is_multiple_of(TICKS_PER_COUNT)
                && let Err(error) = payments.count_open().await
            {
                tracing::warn!(%error, "open payments cannot be counted");
            }
        }
    });
}

async fn look_again(payments: &Arc<Payments>, until: Timestamp, limit: i64) {
    let due = match payments.due(until, limit).await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "deadlines of payments cannot be read; next tick again");
            return;
        }
    };
    for numbers in due.chunks(BATCH_MAX) {
        if let Err(error) = payments.look_again(numbers.to_vec()).await {
            tracing::warn!(%error, "overdue payments could not be taken up; next tick again");
        }
    }
}

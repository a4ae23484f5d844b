//! What this service does by itself: deadlines, the trailing index, and counting after a start.

use std::sync::Arc;
use std::time::Duration;

use telemetry::Tasks;

use crate::error::OrderError;
use crate::handlers::Orders;

/// How often deadlines are looked at: they are seconds to days long.
const DEADLINES_EVERY: Duration = Duration::from_millis(500);
/// How often the gauge of overdue orders is set.
const OVERDUE_EVERY: Duration = Duration::from_secs(5);
/// How often it is asked whether the index is worth a flush.
const INDEX_EVERY: Duration = Duration::from_millis(250);
/// Pause between two chunks of counting, so that requests go first.
const COUNT_PAUSE: Duration = Duration::from_millis(5);
/// How often it is asked whether the filter over the request keys is still large enough.
const FILTER_EVERY: Duration = Duration::from_mins(1);

/// Starts the tasks of the order service.
pub fn run(orders: Arc<Orders>, tasks: &Tasks) {
    tasks.spawn("order-deadlines", pass_deadlines(Arc::clone(&orders), tasks.clone()));
    tasks.spawn("order-overdue", watch_overdue(Arc::clone(&orders), tasks.clone()));
    tasks.spawn("order-index", keep_index(Arc::clone(&orders), tasks.clone()));
    tasks.spawn("order-counts", count(Arc::clone(&orders), tasks.clone()));
    tasks.spawn("order-keys", keep_filter(orders, tasks.clone()));
}

fn report(what: &'static str, error: &OrderError) {
    tracing::warn!(%error, "{what}; it is tried again");
}

async fn pass_deadlines(orders: Arc<Orders>, tasks: Tasks) {
    while tasks.pause(DEADLINES_EVERY).await {
        // What is overdue may be more than one transaction takes.
        loop {
            match orders.pass_deadlines().await {
                Ok(0) => break,
                Ok(_) if tasks.stopping().is_cancelled() => break,
                Ok(_) => {}
                Err(error) => {
                    report("deadlines could not pass", &error);
                    break;
                }
            }
        }
    }
}

async fn watch_overdue(orders: Arc<Orders>, tasks: Tasks) {
    while tasks.pause(OVERDUE_EVERY).await {
        if let Err(error) = orders.count_overdue().await {
            report("overdue orders could not be counted", &error);
        }
    }
}

async fn keep_index(orders: Arc<Orders>, tasks: Tasks) {
    while tasks.pause(INDEX_EVERY).await {
        if let Err(error) = orders.flush_index_if_due().await {
            report("the index could not be written", &error);
        }
    }
    // What is written now need not be read from the log at the next start.
    if let Err(error) = orders.flush_index_at_end().await {
        tracing::info!(%error, "the index is brought up to date at the next start");
    }
}

async fn count(orders: Arc<Orders>, tasks: Tasks) {
    while tasks.pause(COUNT_PAUSE).await {
        match orders.count_more().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => report("orders could not be counted", &error),
        }
    }
}

async fn keep_filter(orders: Arc<Orders>, tasks: Tasks) {
    loop {
        if let Err(error) = orders.build_key_filter().await {
            report("the request keys could not be read", &error);
        }
        if !tasks.pause(FILTER_EVERY).await {
            return;
        }
    }
}

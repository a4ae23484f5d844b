//! What the service tells of itself.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use telemetry::Metrics;

use super::change::Change;
use crate::domain::Status;

pub(super) struct OrderMetrics {
    placed: Counter,
    confirmed: Counter,
    completed: Counter,
    rejected: Counter,
    cancelled: Counter,
    expired: Counter,
    /// Set by the timers.
    pub(super) overdue: Gauge,
    saga: Histogram,
}

impl OrderMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            placed: metrics.counter("orders_placed", "orders placed"),
            confirmed: metrics.counter("orders_confirmed", "orders confirmed"),
            completed: metrics.counter("orders_completed", "orders completed"),
            rejected: metrics.counter("orders_rejected", "orders that a check refused"),
            cancelled: metrics.counter("orders_cancelled", "orders cancelled"),
            expired: metrics.counter("orders_expired", "orders ended by a deadline"),
            overdue: metrics.gauge(
                "orders_overdue",
                "orders whose deadline has passed and which have not moved; should be 0",
            ),
            saga: metrics.histogram(
                "order_confirmation_seconds",
                "time from the placement of an order to its confirmation",
            ),
        }
    }

    pub(super) fn note(&self, change: &Change) {
        if change.before.is_none() {
            self.placed.inc();
        }
        if change.before.map(|before| before.status) == Some(change.after.status) {
            return;
        }
        match change.after.status {
            Status::Confirmed => {
                self.confirmed.inc();
                self.saga.observe(change.at.since(change.placed.at).as_secs_f64());
            }
            Status::Completed => drop(self.completed.inc()),
            Status::Rejected => drop(self.rejected.inc()),
            Status::Cancelled => drop(self.cancelled.inc()),
            Status::Expired => drop(self.expired.inc()),
            Status::Placed
            | Status::AwaitingDecision
            | Status::Reserved
            | Status::Paying
            | Status::Fulfilling
            | Status::OnHold
            | Status::Cancelling => {}
        }
    }
}

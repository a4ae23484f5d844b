//! What is counted: messages by their end, and those that wait.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use telemetry::Metrics;

/// The counters of this service.
#[derive(Clone)]
pub(crate) struct Meters {
    pub(crate) logged: Counter,
    pub(crate) sent: Counter,
    pub(crate) failed: Counter,
    pub(crate) pending: Gauge,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let counter = |end: &str, help| metrics.counter(&format!("notifications_{end}"), help);
        Self {
            logged: counter("logged", "Messages that stand in the log"),
            sent: counter("sent", "Messages that their channel took"),
            failed: counter("failed", "Messages that could not be delivered"),
            pending: metrics.gauge("notifications_pending", "Messages to be sent"),
        }
    }
}

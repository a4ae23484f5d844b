//! What is counted: calls to providers by operation and outcome, and what waits for an answer.

use contracts::events::payment::PaymentOperation;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use telemetry::Metrics;

use crate::domain::Outcome;

/// How often one operation ended in each way.
#[derive(Clone)]
struct Outcomes {
    approved: Counter,
    declined: Counter,
    unknown: Counter,
}

/// The counters of this service.
#[derive(Clone)]
pub(crate) struct Meters {
    authorize: Outcomes,
    capture: Outcomes,
    void: Outcomes,
    refund: Outcomes,
    /// Calls that only ask what became of an earlier one.
    pub(crate) inquiries: Counter,
    /// Answers that say the opposite of the one on record: somebody has to look.
    pub(crate) contradictions: Counter,
    /// Operations on record whose end is not known.
    pub(crate) open: Gauge,
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let outcomes = |operation: &str| {
            let counter = |outcome: &str| {
                metrics.counter(
                    &format!("payment_{operation}_{outcome}"),
                    &format!("Provider calls to {operation} that ended {outcome}"),
                )
            };
            Outcomes {
                approved: counter("approved"),
                declined: counter("declined"),
                unknown: counter("unknown"),
            }
        };
        Self {
            authorize: outcomes("authorize"),
            capture: outcomes("capture"),
            void: outcomes("void"),
            refund: outcomes("refund"),
            inquiries: metrics.counter("payment_inquiries", "Provider calls about lost answers"),
            contradictions: metrics.counter(
                "payment_contradictions",
                "Provider answers that say the opposite of an earlier one",
            ),
            open: metrics.gauge("payment_open", "Provider operations whose end is not known"),
        }
    }

    pub(crate) fn answered(&self, operation: PaymentOperation, outcome: &Outcome) {
        let outcomes = match operation {
            PaymentOperation::Authorize => &self.authorize,
            PaymentOperation::Capture => &self.capture,
            PaymentOperation::Void => &self.void,
            PaymentOperation::Refund => &self.refund,
        };
        match outcome {
            Outcome::Approved { .. } => outcomes.approved.inc(),
            Outcome::Declined { .. } => outcomes.declined.inc(),
            Outcome::Unknown => outcomes.unknown.inc(),
        };
    }
}

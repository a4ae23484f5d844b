//! What can be set.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::Deadlines;

/// Settings of the order service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Orders that may be under way (placed, reserved, paying) before new ones are refused.
    pub open_orders_max: u64,
    /// Methods of payment that an order may name.
    pub payment_methods: Vec<String>,
    /// The method of an order that names none.
    pub payment_method: String,
    /// The token of an order that names no method.
    pub payment_token: String,
    /// Days after which an order that has not left needs attention.
    pub promise_days: u32,
    /// Seconds after which silent checks are asked again.
    pub check_again_s: u32,
    /// Seconds after which an order with silent checks expires.
    pub checks_s: u32,
    /// Seconds that a decision is awaited.
    pub decision_s: u32,
    /// Seconds that a payment may take, before it is begun and after.
    pub paying_s: u32,
    /// Seconds after which a cancellation that does not end needs attention.
    pub cancelling_s: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            open_orders_max: 20_000,
            payment_methods: vec!["simulated".to_owned(), "terms".to_owned()],
            payment_method: "simulated".to_owned(),
            payment_token: "approve".to_owned(),
            promise_days: 7,
            check_again_s: 30,
            checks_s: 600,
            decision_s: 86_400,
            paying_s: 900,
            cancelling_s: 900,
        }
    }
}

impl Settings {
    pub(super) fn deadlines(&self) -> Deadlines {
        let seconds = |count: u32| Duration::from_secs(u64::from(count.max(1)));
        Deadlines {
            check_again: seconds(self.check_again_s),
            checks: seconds(self.checks_s),
            decision: seconds(self.decision_s),
            reserved: seconds(self.paying_s),
            paying: seconds(self.paying_s),
            promise: seconds(self.promise_days.saturating_mul(86_400)),
            cancelling: seconds(self.cancelling_s),
        }
    }
}

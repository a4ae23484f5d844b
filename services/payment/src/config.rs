//! What can be set.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the payment service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Milliseconds that the simulated provider takes for the token `slow`.
    pub simulated_slow_ms: u64,
    /// Milliseconds after which a provider's answer counts as lost; at most 25,000, so that a call
    /// ends before anybody asks what became of it.
    pub call_timeout_ms: u64,
    /// Calls to providers under way at the same time.
    pub calls_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { simulated_slow_ms: 2_000, call_timeout_ms: 10_000, calls_max: 256 }
    }
}

impl Settings {
    pub(crate) fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms.clamp(1, 25_000))
    }
}

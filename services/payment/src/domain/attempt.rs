//! One thing that a provider is asked to do, and what it says of it.

use std::fmt;

use contracts::events::payment::PaymentOperation;
use contracts::{OrderId, Timestamp};

/// What a provider knows one operation by, however often it is asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ProviderKey(pub(crate) [u8; 16]);

impl fmt::Display for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Makes the key of an operation of an order from nothing but its arguments. The number tells an
/// operation from its repetition with another amount, or after a refusal: 1, 2, 3 …
pub(crate) type DeriveKey = fn(&OrderId, PaymentOperation, u32) -> ProviderKey;

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptState {
    /// On record; the provider has not answered.
    Pending,
    /// The answer was lost. Only an inquiry or a webhook ends this.
    Unknown,
    /// The provider did it.
    Succeeded,
    /// The provider refused.
    Declined,
}

impl AttemptState {
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Unknown)
    }
}

/// One thing that was asked of a provider, on record before it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) operation: PaymentOperation,
    /// 1 for the first attempt at this operation of this payment.
    pub(crate) epoch: u32,
    pub(crate) key: ProviderKey,
    pub(crate) amount: i64,
    pub(crate) state: AttemptState,
    /// How often the provider was asked what became of it.
    pub(crate) inquiries: u32,
    /// When it was last asked or answered.
    pub(crate) at: Timestamp,
    /// The provider's own id of it; empty if none is known.
    pub(crate) reference: String,
    /// The provider's code of a refusal; empty otherwise.
    pub(crate) code: String,
}

/// What a provider says of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done, under the provider's own id.
    Approved { reference: String },
    /// Refused for good, with the provider's code.
    Declined { code: String },
    /// The answer was lost: it may be done or not.
    Unknown,
}

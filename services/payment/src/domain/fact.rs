//! What a payment hears, and what follows from it.

use contracts::EventData;

use super::attempt::{Outcome, ProviderKey};

/// What a payment hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// The order asks to be paid.
    Requested,
    /// The stock belongs to the order: the money may be taken.
    Allocated,
    /// The order comes to less than before.
    Adjusted { total: i64 },
    /// Everything is to be given back.
    Cancelling,
    /// The provider has answered an attempt.
    Answered { key: ProviderKey, outcome: Outcome },
    /// The payment's deadline has passed, or the process has started anew.
    Overdue,
}

/// What is to be done once a change is on record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Act {
    /// Nothing.
    #[default]
    Rest,
    /// Ask the provider for the open attempt.
    Perform,
    /// Ask the provider what became of the open attempt.
    Inquire,
}

/// What follows from a fact.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Change {
    /// What is said, in this sequence.
    pub(crate) says: Vec<EventData>,
    pub(crate) act: Act,
}

/// What a fact did to a payment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// The payment is another than before.
    Moved(Change),
    /// It was so already: nothing changed.
    AlreadyApplied,
    /// The answer names an attempt that this payment never made.
    NeverAsked,
    /// The answer is the opposite of the one on record; the first one stands.
    Contradicts,
}

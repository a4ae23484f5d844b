//! What this service refuses, and how the outside sees it.

use contracts::{OrderId, Problem};
use store::StoreError;

use crate::domain::{Refusal, Unsound};

/// Why a request to this service was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// There is no such order.
    #[error("there is no order {0}")]
    NotFound(OrderId),
    /// The order does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The order has changed since the caller saw it.
    #[error("the order is at version {current}, not {expected}")]
    StaleVersion {
        /// The version now.
        current: u64,
        /// The version that the caller expected.
        expected: u64,
    },
    /// The request's key was used with another request.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// More orders are under way than can be finished in time.
    #[error("{open} orders are under way, which is the limit")]
    Overloaded {
        /// How many are.
        open: u64,
    },
    /// The request cannot be accepted as it is.
    #[error("{}", .0.detail)]
    Invalid(Box<Problem>),
    /// An order that breaks a rule was about to be stored.
    #[error("order {number} breaks a rule: {why}")]
    Unsound {
        /// The order.
        number: u64,
        /// The rule.
        why: Unsound,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Problem> for OrderError {
    fn from(problem: Problem) -> Self {
        Self::Invalid(Box::new(problem))
    }
}

impl From<store::requests::OnceError> for OrderError {
    fn from(error: store::requests::OnceError) -> Self {
        match error {
            store::requests::OnceError::KeyReused => Self::KeyReused,
            store::requests::OnceError::Store(error) => Self::Store(error),
        }
    }
}

impl OrderError {
    /// What the outside may know of this error.
    pub fn problem(&self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::NotFound(_) => Problem::not_found(detail),
            Self::Refused(refusal) => refused(refusal, detail),
            Self::StaleVersion { current, .. } => {
                Problem::stale_version(detail).with("currentVersion", *current)
            }
            Self::KeyReused => Problem::key_reused(detail),
            Self::Overloaded { .. } => Problem::overloaded(detail),
            Self::Invalid(problem) => (**problem).clone(),
            Self::Unsound { .. } => Problem::internal("the change could not be stored"),
            Self::Store(error) => error.problem(),
        }
    }
}

fn refused(refusal: &Refusal, detail: String) -> Problem {
    match refusal {
        Refusal::IllegalTransition { from, next_actions, .. } => {
            Problem::illegal_transition(detail)
                .with("orderStatus", from.name())
                .with("nextActions", next_actions.clone())
        }
        Refusal::NothingAllocated => Problem::illegal_transition(detail),
        Refusal::UnknownLine { .. } => Problem::field("/lines", "unknown-line", detail),
        Refusal::RepeatedLine { .. } => Problem::field("/lines", "repeated-line", detail),
        Refusal::TooMany { .. } => Problem::field("/lines", "too-many-units", detail),
    }
}

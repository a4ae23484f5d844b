//! Why the customer service refuses.

use bus::HandlerError;
use contracts::{CustomerId, Problem};
use store::StoreError;
use store::requests::OnceError;

use crate::domain::InvalidDetails;

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum CustomerError {
    /// The request cannot be accepted as it is.
    #[error("{}", .0.detail)]
    Invalid(Box<Problem>),
    /// There is no such customer.
    #[error("there is no customer `{0}`")]
    NotFound(CustomerId),
    /// There is one already.
    #[error("there is a customer `{0}` already")]
    Exists(CustomerId),
    /// The edit is of a version that has passed.
    #[error("`{id}` has version {current} by now")]
    Stale {
        /// The customer.
        id: CustomerId,
        /// Its version.
        current: u64,
    },
    /// The personal data is gone and is not taken in again.
    #[error("the personal data of `{0}` was erased; create another customer")]
    Erased(CustomerId),
    /// Open orders are counted in the currency of the limit.
    #[error("open orders of `{0}` take up credit: the currency of its limit cannot change now")]
    CreditInUse(CustomerId),
    /// The details cannot be accepted.
    #[error(transparent)]
    Details(#[from] InvalidDetails),
    /// The request key was used for another request.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<OnceError> for CustomerError {
    fn from(error: OnceError) -> Self {
        match error {
            OnceError::KeyReused => Self::KeyReused,
            OnceError::Store(error) => Self::Store(error),
        }
    }
}

impl From<Problem> for CustomerError {
    fn from(problem: Problem) -> Self {
        Self::Invalid(Box::new(problem))
    }
}

impl From<CustomerError> for HandlerError {
    fn from(error: CustomerError) -> Self {
        Self::new(error)
    }
}

impl CustomerError {
    /// What the outside may know of this error; its cause is logged, never sent.
    pub fn problem(&self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::Invalid(problem) => (**problem).clone(),
            Self::NotFound(_) => Problem::not_found(detail),
            Self::Exists(_) => Problem::already_exists(detail),
            Self::Stale { current, .. } => {
                Problem::stale_version(detail).with("currentVersion", *current)
            }
            Self::Erased(_) | Self::CreditInUse(_) => Problem::illegal_transition(detail),
            Self::Details(invalid) => Problem::field(&invalid.pointer, "out-of-range", detail),
            Self::KeyReused => Problem::key_reused(detail),
            Self::Store(error) => error.problem(),
        }
    }
}

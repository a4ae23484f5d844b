//! Why the catalog refuses.

use contracts::{Problem, Sku};
use store::StoreError;
use store::requests::OnceError;

use crate::domain::InvalidFacts;

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The request cannot be accepted as it is.
    #[error("{}", .0.detail)]
    Invalid(Box<Problem>),
    /// There is no such product.
    #[error("there is no product `{0}`")]
    NotFound(Sku),
    /// There is one already.
    #[error("there is a product `{0}` already")]
    Exists(Sku),
    /// The edit is of a version that has passed.
    #[error("`{sku}` has version {current} by now")]
    Stale {
        /// The product.
        sku: Sku,
        /// Its version.
        current: u64,
    },
    /// The facts cannot be accepted.
    #[error(transparent)]
    Facts(#[from] InvalidFacts),
    /// The request key was used for another request.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<OnceError> for CatalogError {
    fn from(error: OnceError) -> Self {
        match error {
            OnceError::KeyReused => Self::KeyReused,
            OnceError::Store(error) => Self::Store(error),
        }
    }
}

impl From<Problem> for CatalogError {
    fn from(problem: Problem) -> Self {
        Self::Invalid(Box::new(problem))
    }
}

impl CatalogError {
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
            Self::Facts(facts) => {
                let pointer = match facts {
                    InvalidFacts::Name(_) | InvalidFacts::Control("name") => "/name",
                    InvalidFacts::Description(_) | InvalidFacts::Control("description") => {
                        "/description"
                    }
                    InvalidFacts::TaxCategory(_) | InvalidFacts::Control(_) => "/taxCategory",
                    InvalidFacts::Price(_) => "/price/amount",
                };
                Problem::field(pointer, "out-of-range", detail)
            }
            Self::KeyReused => Problem::key_reused(detail),
            Self::Store(error) => error.problem(),
        }
    }
}

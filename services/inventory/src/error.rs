//! What can go wrong in inventory, and what the outside may know of it.

use bus::HandlerError;
use contracts::{OrderId, Problem, Sku};
use store::StoreError;
use store::requests::OnceError;

use crate::domain::{IllegalFact, Refusal};

/// Why inventory did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The request cannot be accepted as it is.
    #[error("{}", .0.detail)]
    Invalid(Box<Problem>),
    /// Inventory does not know the SKU.
    #[error("there is no stock of `{0}`")]
    UnknownSku(Sku),
    /// There is no hold of such an owner.
    #[error("there is no hold of `{0}`")]
    UnknownOwner(String),
    /// The owner has a hold already.
    #[error("`{owner}` holds stock already, until the hold {hold_id} ends")]
    AlreadyHeld {
        /// The owner.
        owner: String,
        /// Its hold.
        hold_id: OrderId,
    },
    /// The request key was used for another request.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// The state of a level does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An event says what cannot be true.
    #[error(transparent)]
    Illegal(#[from] IllegalFact),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<OnceError> for InventoryError {
    fn from(error: OnceError) -> Self {
        match error {
            OnceError::KeyReused => Self::KeyReused,
            OnceError::Store(error) => Self::Store(error),
        }
    }
}

impl From<InventoryError> for HandlerError {
    fn from(error: InventoryError) -> Self {
        Self::new(error)
    }
}

impl InventoryError {
    /// A refusal for one field of the request.
    pub fn field(pointer: &str, code: &str, detail: impl Into<String>) -> Self {
        Self::Invalid(Box::new(Problem::field(pointer, code, detail)))
    }

    /// What the outside may know of this error; its cause is logged with its chain, never sent.
    pub fn problem(&self) -> Problem {
        let detail = self.to_string();
        match self {
            Self::Invalid(problem) => (**problem).clone(),
            Self::UnknownSku(_) | Self::UnknownOwner(_) => Problem::not_found(detail),
            Self::AlreadyHeld { hold_id, .. } => {
                Problem::already_exists(detail).with("holdId", hold_id.to_string())
            }
            Self::KeyReused => Problem::key_reused(detail),
            Self::Refused(refusal) => refused(refusal, detail),
            Self::Illegal(_) => Problem::illegal_transition(detail),
            Self::Store(error) => error.problem(),
        }
    }
}

fn refused(refusal: &Refusal, detail: String) -> Problem {
    match refusal {
        Refusal::SpokenFor { on_hand, spoken_for, .. } => Problem::expectation_failed(detail)
            .with("onHand", *on_hand)
            .with("spokenFor", *spoken_for),
        Refusal::NotAsExpected { on_hand, .. } => {
            Problem::expectation_failed(detail).with("onHand", *on_hand)
        }
        Refusal::StaleVersion { current, .. } => {
            Problem::stale_version(detail).with("currentVersion", *current)
        }
        Refusal::TooMany { .. } | Refusal::NotMovable { .. } => Problem::invalid(detail),
        Refusal::Level(_) => Problem::internal("the stock could not be changed"),
    }
}

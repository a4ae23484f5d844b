//! Why something asked of this service is refused.

use contracts::{OrderId, Problem};
use store::StoreError;

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// No payment belongs to the order.
    #[error("order {0} has no payment")]
    NotFound(OrderId),
    /// No provider serves the method.
    #[error("no payment provider serves the method `{0}`")]
    UnknownMethod(String),
    /// The webhook is not the provider's.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The store did not take or give it.
    #[error("the payments cannot be reached")]
    Store(#[from] StoreError),
}

impl PaymentError {
    /// What the outside may know of this error; its cause is logged, never sent.
    pub fn problem(&self) -> Problem {
        match self {
            Self::NotFound(_) | Self::UnknownMethod(_) => Problem::not_found(self.to_string()),
            Self::Webhook(_) => Problem::malformed(self.to_string()),
            Self::Store(error) => error.problem(),
        }
    }
}

/// Why a webhook is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The signature is missing, or not the provider's.
    #[error("the signature of the webhook is not valid")]
    Signature,
    /// The body is not what the provider sends.
    #[error("the body of the webhook cannot be read: {0}")]
    Body(String),
}

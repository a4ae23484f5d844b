//! The bus: consumers that handle the log in batches, exactly once in effect.
//!
//! A [`Subscription`] names a consumer, the kinds of events it wants, and its [`Handler`]. A batch is
//! whatever is there; it is handled in one piece of a transaction, together with the consumer's new
//! position. In one process the log is the outbox table: events go from stage to stage in memory,
//! within one COMMIT ([`embedded`]), and the table is the fallback and the truth.
//!
//! **Invariants:** an event that fails is tried again alone, then its key is parked with everything
//! behind it, while other keys flow. A panic in a handler is a failure like any other. A consumer
//! never skips: what it did not handle stands in `parked_events`.

pub mod embedded;
#[cfg(feature = "kafka")]
pub mod kafka;
mod policy;
mod spans;

use std::sync::Arc;

use contracts::{Event, EventKind};
use futures::future::BoxFuture;
pub use policy::{ATTEMPTS_MAX, ConsumerStats};
use store::{StoreError, Tx};

/// Why a batch, or one event, could not be handled.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct HandlerError(Box<dyn std::error::Error + Send + Sync>);

impl HandlerError {
    /// Wraps a service's own error.
    pub fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

impl From<StoreError> for HandlerError {
    fn from(error: StoreError) -> Self {
        Self::new(error)
    }
}

/// What a consumer does with events.
pub trait Handler: Send + Sync + 'static {
    /// Handles `batch`, in order, in the transaction that records it as handled.
    fn handle<'t>(
        &'t self,
        tx: &'t mut Tx,
        batch: &'t [Arc<Event>],
    ) -> BoxFuture<'t, Result<(), HandlerError>>;
}

/// A consumer, the kinds of events that it wants, and what it does with them.
#[derive(Clone)]
pub struct Subscription {
    /// The consumer's name: its group on Kafka, its row in the inbox.
    pub consumer: &'static str,
    /// What it wants to hear.
    pub kinds: &'static [EventKind],
    /// What it does.
    pub handler: Arc<dyn Handler>,
}

//! Payment: moves the money of orders, each operation once, whatever answer is lost.
//!
//! **Hears** `order.reserved`, `order.adjusted`, `order.cancelling` and `inventory.allocated`, the
//! answers of payment providers, and the passing of time.
//! **Says** `payment.requested`, `.authorized`, `.captured`, `.declined`, `.unknown`, `.voided` and
//! `.refunded`.
//! **Serves** `Payments` of `millrace.v1` over gRPC.
//!
//! A fact takes one path: `events`, [`timers`] or `worker` → `handlers` → `domain` (decide)
//! → one row per order and the outbox → COMMIT → the provider is asked. So every attempt is on
//! record before it is made; after a crash the row is found by its deadline, and the provider is
//! asked by the same key what became of it. A lost answer is never tried again under another key.
//!
//! **Invariant:** refunded ≤ captured ≤ authorized ≤ asked for, and at most one capture succeeds;
//! the domain keeps it, `migrations/0001_payments.sql` refuses its breach, [`audit`] looks for it.

pub mod audit;
mod config;
mod domain;
mod error;
mod events;
mod grpc;
mod handlers;
mod metrics;
mod provider;
mod store;
pub mod timers;
mod worker;

pub use self::store::SCHEMA;
pub use config::Settings;
pub use error::{PaymentError, WebhookError};
pub use handlers::Payments;

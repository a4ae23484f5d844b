//! Notification: tells people what became of their orders.
//!
//! **Hears** `order.confirmed`, `.rejected`, `.cancelled`, `.expired`, `.completed`, `.fulfilling`
//! and `.needs_attention`, and the passing of time.
//! **Says** `notification.sent` and `notification.failed`, one of them once for every message.
//! **Serves** `Notifications` of `millrace.v1` over gRPC.
//!
//! An event takes one path: `events` → `handlers` → `domain` (whom, what) → one row and the
//! outbox. Where no mail server is configured the row itself is the message and all is done; else
//! [`timers`] sends what waits, after COMMIT, and records how that ended. Rows hold ids, never
//! addresses or names: those are asked of the customer service when a message is sent.
//!
//! **Invariant:** one row per event, recipient and channel. The row's key is the event's place in
//! the log, so an event that is heard again finds its row. Mail may arrive twice if the process dies
//! between sending and recording, under one message id; it is never lost.

pub mod audit;
mod config;
mod domain;
mod error;
mod events;
mod grpc;
mod handlers;
mod mail;
mod metrics;
mod people;
mod store;
mod templates;
pub mod timers;
mod traces;

pub use self::store::SCHEMA;
pub use config::{Settings, Smtp};
pub use error::{MailError, NotificationError, TemplateError};
pub use handlers::Notifications;

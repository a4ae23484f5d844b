//! Orders: takes them, moves each through its states, and tells what happened to it.
//!
//! **Hears** the verdicts of `customer.*` and `inventory.*`, the answers of `payment.*`, changes of
//! `product.*` for its prices, and the passing of time.
//! **Says** `order.placed`, `.check_requested`, `.adjusted`, `.decision_requested`, `.reserved`,
//! `.confirmed`, `.fulfilling`, `.completed`, `.held`, `.resumed`, `.cancelling`, `.cancelled`,
//! `.rejected`, `.expired`, `.needs_attention`.
//! **Serves** `millrace.v1.Orders` over gRPC.
//!
//! A fact takes one path: [`grpc`], [`events`] or [`timers`] → [`handlers`] → [`domain`] (decide) →
//! [`store`] and the outbox → commit → [`handlers`] tell who waits or watches. Finding orders by
//! customer, SKU, status or request key goes through an index that trails behind.
//!
//! **Invariants:** an order moves only as [`domain::TABLE`] lists. Of every line, ordered = held +
//! allocated + backordered + shipped + cancelled once stock has answered. Every open order has a
//! deadline or a person looks at it. A request key stands for one order for ever.

pub mod audit;
pub mod domain;
mod error;
pub mod events;
pub mod grpc;
pub mod handlers;
pub mod store;
pub mod timers;

pub use error::OrderError;
pub use events::subscriptions;
pub use grpc::server;
pub use handlers::{Orders, Settings};
pub use store::SCHEMA;

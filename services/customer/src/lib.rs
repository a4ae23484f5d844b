//! Customers: who may buy, and on how much credit.
//!
//! **Hears** `order.placed`, `order.check_requested` (to judge), and the ends and payments of orders (to
//! release credit). **Says** `customer.validated`, `customer.rejected`, and what changes in customers.
//! **Serves** `Customers` over gRPC.
//!
//! A fact or command takes one path: `events` or `grpc` → `handlers` → `domain` (decide) →
//! `store` and the outbox → commit. Only customers with a credit limit cost a write per order.
//!
//! **Invariant:** reserved credit is the sum of the open reservations, and each is released once.
//! Personal data stands in the customer's row and nowhere else, so that erasing it erases all of it.

pub mod audit;
pub mod domain;
mod error;
mod events;
mod grpc;
mod handlers;
pub mod store;

pub use crate::error::CustomerError;
pub use crate::handlers::{Customers, Settings};
pub use crate::store::SCHEMA;

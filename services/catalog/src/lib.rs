//! Catalog: the products, and the prices that orders are made of.
//!
//! **Hears** nothing. **Says** `product.created`, `product.updated`, `product.retired`.
//! **Serves** `Catalog` over gRPC: single, bulk and batch calls, lists and search.
//!
//! A command takes one path: `grpc` → `handlers` → `domain` (decide) → `store` and the outbox →
//! commit. Whoever needs prices often keeps them, and hears when they change.
//!
//! **Invariant:** a product's version grows by one with every change, and each change is told once.

pub mod domain;
mod error;
mod grpc;
mod handlers;
pub mod store;

pub use crate::error::CatalogError;
pub use crate::handlers::{Catalog, Settings};
pub use crate::store::SCHEMA;

//! The store: the only way to a transaction, and the outbox that every transaction writes.
//!
//! [`Store::transact`] runs work to its end on one writer, even if the caller goes away, and answers
//! after COMMIT. Work that is waiting shares one COMMIT (group commit); each piece keeps a savepoint
//! of its own. [`Stage`]s — consumers of the log — run inside the same COMMIT, fed from memory.
//!
//! A [`Record`] is a row that is read once, kept, and written once per COMMIT, guarded by its
//! version. An [`Append`] is a row at the end of a journal. Events ([`Tx::publish`]) become one
//! outbox segment per COMMIT: they exist if and only if the change that they tell of does.
//!
//! **Invariants:** a COMMIT that fails stops the process, it is never tried again. Nothing that a
//! failed piece of work did is in the COMMIT it shared. Readers see only what is committed.

mod append;
pub mod audit;
mod cache;
mod checkpoints;
mod due;
mod engine;
mod error;
pub mod lease;
pub mod log;
mod migrations;
pub mod parked;
mod pending;
mod place;
mod reader;
mod record;
pub mod requests;
mod server;
mod settling;
mod sqlite;
pub mod testing;
mod tx;
mod value;
mod writer;

pub use error::StoreError;
pub use futures::future::BoxFuture;
pub use migrations::Schema;
pub use place::{Dialect, Place, ServerPlace};
pub use reader::{Reader, Rx};
pub use record::{Append, Key, Record, Table};
pub use tx::{Stage, Tx};
pub use value::{Row, Value};
pub use writer::{CommitHook, Follower, Stats, Store, StoreOptions};

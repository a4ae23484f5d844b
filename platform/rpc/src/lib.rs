//! Questions between services: the same generated clients, in one process or over the network.
//!
//! [`Transport`] carries the calls of a generated client: into a generated server of the same process,
//! or over HTTP/2. Refusals travel as [`contracts::Problem`]s inside a gRPC status ([`status()`]). Lists
//! are paged by opaque [`cursor`]s. [`once()`] prepares a command for being carried out once per key.

mod convert;
pub mod cursor;
mod once;
mod remote;
mod status;
mod traced;
mod transport;

pub use convert::{money, parse_money, parse_timestamp, timestamp};
pub use once::once;
pub use remote::BadUrl;
pub use status::{problem, problem_message, status};
pub use traced::Traced;
pub use transport::Transport;

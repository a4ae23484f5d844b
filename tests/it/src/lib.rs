//! The harness of the product tests: it starts the program that users get, in a folder of its own and
//! on free ports, talks to it from outside over HTTP and gRPC, ends it in any way, and audits what is
//! left.
//!
//! - [`Server`] is the running product; [`program`] finds it and runs its other commands.
//! - [`Broker`] is a real Kafka broker of the tests' own.
//! - [`Database`] is a real PostgreSQL or MariaDB of the tests' own.
//! - [`Redis`] is a real Redis of the tests' own.
//! - [`Client`] speaks HTTP. An answer that was not read to its end is [`client::Lost`]: neither yes
//!   nor no.
//! - [`Shop`] has the words of the business: products, orders, what became of them.
//! - [`siege`] loads the product, does something to it meanwhile, and judges what is left.
//! - [`Random`] makes what is random, from a seed that is printed.
//!
//! **Invariant:** whatever a test did to the product, it ends with the audit.

#![expect(clippy::panic, clippy::print_stderr, reason = "a test fails by panicking and tells why")]

pub mod broker;
pub mod client;
pub mod collector;
pub mod database;
mod process;
pub mod program;
mod random;
pub mod redis;
mod server;
pub mod shop;
pub mod siege;

pub use broker::Broker;
pub use client::{Answer, Client, Lost};
pub use database::Database;
pub use random::Random;
pub use redis::Redis;
pub use server::{Options, Server, is_distributed};
pub use shop::{Shop, line, lines, number, text, with_token};

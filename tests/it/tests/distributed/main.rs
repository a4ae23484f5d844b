//! The product as a process per service, with a real broker between them.
#![expect(clippy::panic, reason = "a test fails by panicking")]

mod faults;
mod live;
mod mirrors;

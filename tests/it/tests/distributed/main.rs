//! The product as a process per service, with a real broker between them.
#![expect(clippy::panic, reason = "a test fails by panicking")]

mod doors;
mod faults;
mod instances;
mod live;
mod metrics;
mod mirrors;
mod silence;

//! The cache that edges share: what is in it is never older than it may be, whatever becomes of it.
#![expect(clippy::panic, reason = "a test fails by panicking")]

mod loss;
mod reads;
mod rules;
mod world;

//! Millrace: one binary that takes orders, keeps stock, and can prove that it did so rightly.
//!
//! [`cli`] names the commands, [`config`] reads what an operator set, [`wire`] is the one place where
//! services meet their adapters, and [`commands`] does the rest.

mod cli;
mod commands;
mod config;
mod demo;
mod descriptors;
mod registry;
mod server;
mod wire;

use std::process::ExitCode;

/// The allocator, of the C code as well: the Kafka client allocates each header of each record.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}

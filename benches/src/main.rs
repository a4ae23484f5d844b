//! `make bench`: Millrace beside the limits of the machine, in one run.
//!
//! Four things are measured one after the other, and only their ratios count, because absolute
//! numbers drift with the machine:
//!
//! 1. Millrace itself: the real binary with a fresh database, under `millrace load`: single
//!    requests, bulk, and a flash sale of one SKU. Each run ends with an audit.
//! 2. A raw loop that writes the very rows that the first of these runs left behind, in batches,
//!    with the same durability and nothing else ([`raw`]).
//! 3. An HTTP handler that reads a request and answers, under the same generator ([`empty`]).
//! 4. Where PostgreSQL is installed: orders written there through our store, and by one transaction for
//!    each ([`sets`]). `--sets` measures only that.
//!
//! `--stream ADDR` serves what live push is measured against instead ([`stream`]).
//!
//! Every process that is started here is ended here.

mod empty;
mod raw;
mod server;
mod sets;
mod stream;
mod table;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, ensure};
use clap::Parser;

use crate::server::{Generator, Server};
use crate::table::{Line, Table};

/// Measures Millrace beside a raw SQLite loop, an empty HTTP handler, and one transaction per order.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long each run under load takes.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// The most orders that the raw loop writes again.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000))]
    raw_orders: u64,
    /// Instead of all that: serve bare streams at this address, for `millrace read --bare`.
    #[arg(long, value_name = "ADDR")]
    stream: Option<SocketAddr>,
    /// Instead of all that: only what sets are worth on PostgreSQL.
    #[arg(long)]
    sets: bool,
}

/// Connections of the runs with single requests.
const CONNECTIONS: u64 = 64;
/// Orders per COMMIT of the raw loop: what is gathered under some load, and under much.
const BATCHES: [usize; 2] = [32, 1_024];

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(address) = arguments.stream {
        return stream::serve(address);
    }
    if arguments.sets {
        return table::tell(&sets::measure(arguments.seconds)?);
    }
    let binary = server::binary()?;
    let generator = Generator { binary: binary.clone(), seconds: arguments.seconds };
    let mut table = Table::default();
    let folder = ours(&binary, &generator, &mut table)?;
    let rows = raw::read(&folder.path().join("millrace.db"), arguments.raw_orders)?;
    for batch in BATCHES {
        table.add_limit(raw::measure(&rows, batch)?);
    }
    table.add_limit(empty_handler(&generator)?);
    table.print()?;
    table::tell(&sets::measure(arguments.seconds)?)?;
    ensure!(table.all_clean(), "an audit found violations: a run with one has no throughput");
    Ok(())
}

/// Runs the real product; returns the folder that the first run left.
fn ours(
    binary: &Path,
    generator: &Generator,
    table: &mut Table,
) -> anyhow::Result<tempfile::TempDir> {
    let connections = CONNECTIONS.to_string();
    let single = ["--mode", "single", "--connections", connections.as_str()];
    let runs: [(&str, Vec<&str>); 3] = [
        ("millrace, single, uniform, 64 connections", single.to_vec()),
        ("millrace, bulk, uniform, 4 × 1,000 lines", vec!["--mode", "bulk"]),
        (
            "millrace, single, flash: one SKU, 64 connections",
            single.iter().copied().chain(["--mix", "flash"]).collect(),
        ),
    ];
    let mut first = None;
    for (name, flags) in runs {
        let folder = tempfile::tempdir()?;
        let server = Server::start(binary, folder.path())?;
        let outcome = generator.run(&server.url(), &flags);
        drop(server);
        table.add(Line::of_load(name, &outcome?)?);
        first.get_or_insert(folder);
    }
    first.context("nothing was run")
}

fn empty_handler(generator: &Generator) -> anyhow::Result<Line> {
    let handler = empty::Handler::start()?;
    let connections = CONNECTIONS.to_string();
    let flags = ["--bare", "--mode", "single", "--connections", connections.as_str()];
    let outcome = generator.run(&handler.url(), &flags)?;
    Line::of_answers("an empty axum handler, 64 connections", &outcome)
}

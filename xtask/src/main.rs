//! Automation of this workspace, in Rust: the house rules, the gates, and the test run.
//!
//! - `cargo xtask tidy`: the rules no compiler knows ([`tidy`]), as `file:line` and a cure.
//! - `cargo xtask ci`: every gate in order ([`gates`]); stops at the first that refuses.
//! - `cargo xtask schema`: write the client of the browser interface anew ([`schema`]).
//! - `cargo xtask faults`: besiege the product as seven processes, and print a table ([`faults`]).
//! - `cargo xtask deploy check`: check `deploy/` by the tools that read it ([`deploy`]).
//! - `cargo xtask fix`: apply lint fixes and format.
//! - `cargo xtask clients`: run clients of the field against the product ([`clients`]).
//! - `cargo xtask parts NAME`: make a part ready that cargo cannot build ([`parts`], [`maven`],
//!   [`golang`]).
//! - `cargo xtask test`: run all tests and print one line of totals ([`totals`]).
//! - `cargo xtask up-distributed`: run a process per service beside real servers ([`distributed`]).
//! - `cargo xtask ui`: build the browser interface, test it, or take pictures of it ([`ui`]).
//!
//! The rules are pure functions over the text of the repository, each tested with a planted fault.

#![expect(clippy::print_stdout, reason = "a command-line tool answers on standard output")]
#![expect(clippy::print_stderr, reason = "a command-line tool complains on standard error")]

mod clients;
mod deploy;
mod distributed;
mod environment;
mod faults;
mod gates;
mod golang;
mod kafka_clients;
mod maven;
mod parts;
mod repository;
mod rust_source;
mod schema;
mod tidy;
mod totals;
mod ui;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask <command>
  tidy            check the house rules (STYLE.md)
  ci              run every gate: format, words, tidy, lints, docs, dependencies
  schema          write ui/src/app/api/schema.ts anew from docs/openapi.json
  fix             apply lint fixes and format
  faults [ARGS]   load the product as seven processes, kill and disturb it, and print a table of what
                  is left (--help says what ARGS there are)
  clients         run clients of the field against the product that MILLRACE_BIN names
  deploy check    check deploy/ by promtool, Helm and Docker Compose
  parts NAME      make a part ready and print where it is: chromium, compose, helm, kafka,
                  kafka-clients (the libraries of the tests' consumers in other languages), mariadb,
                  otel (the OpenTelemetry collector), postgres, promtool, redis, or zipkin
  up-distributed  run Kafka, PostgreSQL and a process per service of the product that MILLRACE_BIN names, until
                  Ctrl-C (--check: place an order, scrape all, and stop; --trial: try all of that, and
                  Ctrl-C, through make; TRACE=1: with Zipkin)
  test [ARGS]     run all tests (ARGS go to `cargo test`) and print the totals
  ui build        build the browser interface if it is stale (--if-node: if npm is there)
  ui test         run the tests of the browser interface against the built product
  ui shots        take pictures of every page, for people to look at";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let root = environment::root()?;
    match arguments.split_first() {
        Some((command, [])) if command == "tidy" => tidy::run(&root),
        Some((command, [])) if command == "ci" => gates::ci(&root),
        Some((command, [])) if command == "schema" => schema::write(&root),
        Some((command, rest)) if command == "faults" => faults::run(&root, rest),
        Some((command, [])) if command == "fix" => gates::fix(&root),
        Some((command, [])) if command == "clients" => clients::run(&root),
        Some((command, [name])) if command == "parts" => part(&root, name),
        Some((command, [what])) if command == "deploy" && what == "check" => deploy::check(&root),
        Some((command, [])) if command == "up-distributed" => distributed::run(&root, false),
        Some((command, [flag])) if command == "up-distributed" && flag == "--check" => {
            distributed::run(&root, true)
        }
        Some((command, [flag])) if command == "up-distributed" && flag == "--trial" => {
            let totals = distributed::tests(&root)?;
            println!("\n{totals}");
            totals.verdict()
        }
        Some((command, rest)) if command == "ui" => ui::run(&root, rest),
        Some((command, rest)) if command == "test" => totals::run(&root, rest),
        Some((command, _)) => bail!("unknown command `{command}`\n{USAGE}"),
        None => bail!("no command given\n{USAGE}"),
    }
}

/// Makes a part ready and prints where it is.
fn part(root: &Path, name: &str) -> Result<()> {
    let place = match name {
        "compose" => golang::compose()?,
        "consul" => golang::consul()?,
        "helm" => golang::helm()?,
        "kafka" => maven::kafka()?,
        "kafka-clients" => kafka_clients::prepare(root)?,
        "otel" => golang::collector()?,
        "zipkin" => maven::zipkin()?,
        packaged => return parts::run(packaged),
    };
    println!("{}", place.display());
    Ok(())
}

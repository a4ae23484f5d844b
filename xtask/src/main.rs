//! Automation of this workspace, in Rust: the house rules, the gates, and the test run.
//!
//! - `cargo xtask tidy`: the rules no compiler knows ([`tidy`]), as `file:line` and a cure.
//! - `cargo xtask ci`: every gate in order ([`gates`]); stops at the first that refuses.
//! - `cargo xtask fix`: apply lint fixes and format.
//! - `cargo xtask parts kafka`: copy a part that tests need and cargo cannot build ([`maven`]).
//! - `cargo xtask test`: run all tests and print one line of totals ([`totals`]).
//!
//! The rules are pure functions over the text of the repository, each tested with a planted fault.

#![expect(clippy::print_stdout, reason = "a command-line tool answers on standard output")]
#![expect(clippy::print_stderr, reason = "a command-line tool complains on standard error")]

mod clients;
mod environment;
mod gates;
mod maven;
mod repository;
mod rust_source;
mod tidy;
mod totals;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask <command>
  tidy            check the house rules (STYLE.md)
  ci              run every gate: format, words, tidy, lints, docs, dependencies
  fix             apply lint fixes and format
  parts kafka     copy Apache Kafka from Maven Central into the cache and print where it is
  parts kafka-clients  install the libraries of the tests' consumers in other languages there
  test [ARGS]     run all tests (ARGS go to `cargo test`) and print the totals";

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
        Some((command, [])) if command == "fix" => gates::fix(&root),
        Some((command, [part])) if command == "parts" && part == "kafka" => {
            println!("{}", maven::kafka()?.display());
            Ok(())
        }
        Some((command, [part])) if command == "parts" && part == "kafka-clients" => {
            println!("{}", clients::kafka(&root)?.display());
            Ok(())
        }
        Some((command, rest)) if command == "test" => totals::run(&root, rest),
        Some((command, _)) => bail!("unknown command `{command}`\n{USAGE}"),
        None => bail!("no command given\n{USAGE}"),
    }
}

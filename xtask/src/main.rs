//! Automation of this workspace, in Rust: the house rules, the gates, and the test run.
//!
//! - `cargo xtask tidy`: the rules no compiler knows ([`tidy`]), as `file:line` and a cure.
//! - `cargo xtask ci`: every gate in order ([`gates`]); stops at the first that refuses.
//! - `cargo xtask schema`: write the client of the browser interface anew ([`schema`]).
//! - `cargo xtask fix`: apply lint fixes and format.
//! - `cargo xtask clients`: run clients of the field against the product ([`clients`]).
//! - `cargo xtask parts NAME`: make a part ready that cargo cannot build ([`parts`], [`maven`]).
//! - `cargo xtask test`: run all tests and print one line of totals ([`totals`]).
//! - `cargo xtask ui`: build the browser interface, test it, or take pictures of it ([`ui`]).
//!
//! The rules are pure functions over the text of the repository, each tested with a planted fault.

#![expect(clippy::print_stdout, reason = "a command-line tool answers on standard output")]
#![expect(clippy::print_stderr, reason = "a command-line tool complains on standard error")]

mod clients;
mod environment;
mod gates;
mod kafka_clients;
mod maven;
mod parts;
mod repository;
mod rust_source;
mod schema;
mod tidy;
mod totals;
mod ui;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask <command>
  tidy            check the house rules (STYLE.md)
  ci              run every gate: format, words, tidy, lints, docs, dependencies
  schema          write ui/src/app/api/schema.ts anew from docs/openapi.json
  fix             apply lint fixes and format
  clients         run clients of the field against the product that MILLRACE_BIN names
  parts NAME      make a part ready that tests need and print where it is: chromium, postgres,
                  mariadb, redis, kafka, or kafka-clients (the libraries of the tests' consumers in
                  other languages)
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
        Some((command, [])) if command == "fix" => gates::fix(&root),
        Some((command, [])) if command == "clients" => clients::run(&root),
        Some((command, [part])) if command == "parts" && part == "kafka" => {
            println!("{}", maven::kafka()?.display());
            Ok(())
        }
        Some((command, [part])) if command == "parts" && part == "kafka-clients" => {
            println!("{}", kafka_clients::prepare(&root)?.display());
            Ok(())
        }
        Some((command, [name])) if command == "parts" => parts::run(name),
        Some((command, rest)) if command == "ui" => ui::run(&root, rest),
        Some((command, rest)) if command == "test" => totals::run(&root, rest),
        Some((command, _)) => bail!("unknown command `{command}`\n{USAGE}"),
        None => bail!("no command given\n{USAGE}"),
    }
}

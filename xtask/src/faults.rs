//! The long form of the tests under faults: builds the product and what besieges it, and runs that.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::environment::variable;
use crate::{gates, maven, parts};

/// Runs the sieges that `arguments` name: `cargo xtask faults`.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    let only_tells =
        arguments.iter().any(|word| ["--help", "-h", "--list"].contains(&word.as_str()));
    if !only_tells {
        maven::kafka()?;
        parts::redis()?;
        if arguments.iter().any(|word| word.contains("postgres") || word.contains("mariadb")) {
            parts::databases()?;
        }
        if variable("MILLRACE_BIN").is_none() {
            let product = ["build", "--locked", "--profile", "ship-test", "-p", "millrace"];
            step(root, &product, &[])?;
        }
    }
    step(root, &["run", "--quiet", "--locked", "-p", "it", "--bin", "faults", "--"], arguments)
}

fn step(root: &Path, command: &[&str], arguments: &[String]) -> Result<()> {
    let mut cargo = gates::cargo(command);
    let status = cargo.args(arguments).current_dir(root).status();
    let status = status.context("cannot start cargo")?;
    if !status.success() {
        bail!("`cargo {} {}` ended with {status}", command.join(" "), arguments.join(" "));
    }
    Ok(())
}

//! All tests in one run, and one line of totals: `N passed, N failed, N skipped`.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::{clients, gates, maven};

/// Sums over every `test result:` line of every test program.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Totals {
    /// Adds a line of the test programs if it is a result.
    fn add(&mut self, line: &str) {
        let Some((_, result)) = line.split_once("test result: ") else { return };
        self.passed += number_before(result, " passed");
        self.failed += number_before(result, " failed");
        self.skipped += number_before(result, " ignored");
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split_once(word).map_or("", |(before, _)| before);
    let digits = before.rsplit(' ').next().unwrap_or_default();
    digits.parse().unwrap_or(0)
}

/// Runs `cargo test` over the workspace, shows its output as it comes, and ends with the totals.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    // What the tests start beside cargo's own programs.
    maven::kafka()?;
    clients::kafka(root)?;
    let mut command = gates::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.args(arguments).current_dir(root).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start cargo test")?;
    let output = child.stdout.take().context("the output of cargo test is piped")?;
    let mut totals = Totals::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read the output of cargo test")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        totals.add(&line);
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    println!("\n{totals}");
    if !status.success() || totals.failed > 0 {
        bail!("cargo test ended with {status}");
    }
    if totals.passed == 0 {
        bail!("no test has run");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up_and_other_lines_do_not_count() {
        let mut totals = Totals::default();
        let lines = [
            "test a::b ... ok",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished",
            "test result: FAILED. 12 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            "5 passed; 5 failed",
        ];
        for line in lines {
            totals.add(line);
        }
        assert_eq!(totals.to_string(), "15 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_coloured_result_counts() {
        let mut totals = Totals::default();
        totals.add("test result: \u{1b}[32mok\u{1b}[m. 4 passed; 0 failed; 0 ignored");
        assert_eq!(totals, Totals { passed: 4, failed: 0, skipped: 0 });
    }
}

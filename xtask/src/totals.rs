//! All tests in one run, and one line of totals: `N passed, N failed, N skipped`.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{clients, deploy, distributed, gates, golang, kafka_clients, maven, parts, ui};

/// The database servers that the flows run on, beside SQLite.
const SERVERS: [&str; 2] = ["postgres", "mariadb"];

/// Sums over every `test result:` line of every test program, and over what other suites say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Totals {
    /// Adds a line of the test programs if it is a result.
    fn add(&mut self, line: &str) {
        let Some((_, result)) = line.split_once("test result: ") else { return };
        self.passed += number_before(result, " passed");
        self.failed += number_before(result, " failed");
        self.skipped += number_before(result, " ignored");
    }

    /// Adds a line of `node --test` if it is of the summary.
    pub(crate) fn add_tap(&mut self, line: &str) {
        let count = |word: &str| {
            line.strip_prefix(word).and_then(|rest| rest.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        self.passed += count("# pass ");
        self.failed += count("# fail ") + count("# cancelled ");
        self.skipped += count("# skipped ") + count("# todo ");
    }

    /// Adds a line of the tests of the browser interface if it is a result: `Tests  3 passed (3)` of
    /// vitest, or `  12 passed (40.1s)` of Playwright, which gives each outcome a line.
    pub(crate) fn add_ui(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let counts = match words.as_slice() {
            ["Tests", counts @ ..] => counts,
            [number, outcome, ..] if is_playwright(number, outcome, &words) => words.as_slice(),
            _ => return,
        };
        for pair in counts.windows(2) {
            let [number, outcome] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match *outcome {
                "passed" | "flaky" => self.passed += number,
                "failed" | "interrupted" => self.failed += number,
                "skipped" | "did" => self.skipped += number,
                _ => {}
            }
        }
    }

    /// Adds what another suite counted.
    pub(crate) fn join(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Counts a run that failed as a whole.
    pub(crate) fn fail(&mut self) {
        self.failed += 1;
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed > 0
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.passed > 0
    }

    /// An error if anything failed, or if nothing has run.
    pub(crate) fn verdict(&self) -> Result<()> {
        if self.has_failed() {
            bail!("{} tests failed", self.failed);
        }
        if !self.has_passed() {
            bail!("no test has run");
        }
        Ok(())
    }
}

/// Whether a line is one of Playwright's last: a number and an outcome, at most with the time.
fn is_playwright(number: &str, outcome: &str, words: &[&str]) -> bool {
    let is_outcome = ["passed", "failed", "skipped", "flaky", "interrupted"].contains(&outcome);
    let is_unrun = words.get(1..) == Some(["did", "not", "run"].as_slice());
    let ends = words.len() == 2 || words.get(2).is_some_and(|time| time.starts_with('('));
    number.parse::<u64>().is_ok() && (is_unrun || (is_outcome && ends))
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

/// Runs `cargo test` over the workspace and then the other suites, shows what they say as it comes,
/// and ends with the totals. With arguments, which are for `cargo test`, it runs nothing else.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<()> {
    // What the tests start beside cargo's own programs.
    maven::kafka()?;
    parts::databases()?;
    parts::redis()?;
    let consul = golang::consul()?;
    kafka_clients::prepare(root)?;
    deploy::check(root)?;
    let mut command = gates::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.args(arguments).env("MILLRACE_CONSUL", consul).current_dir(root);
    let mut totals = cargo_test(command)?;
    let mut others = Vec::new();
    if arguments.is_empty() {
        for database in SERVERS {
            println!("\n== the flows as a process per service over Kafka, on {database}");
            others.push(flows(root, database).map(|found| totals.join(&found)));
        }
        println!("\n== make up-distributed: cargo xtask up-distributed --trial");
        others.push(distributed::tests(root).map(|found| totals.join(&found)));
        println!("\n== clients of the field against the real product: cargo xtask clients");
        others.push(clients::tests(root).map(|found| totals.join(&found)));
        println!("\n== the browser interface: cargo xtask ui test");
        others.push(ui::test(root, &mut totals));
    }
    // A suite that could not run must not pass for one that had nothing to say.
    for failed in others.iter().filter(|other| other.is_err()) {
        totals.fail();
        println!("{failed:?}");
    }
    println!("\n{totals}");
    totals.verdict()
}

/// Runs what `command`, a `cargo test`, runs, shows what it says as it comes, and counts it.
fn cargo_test(mut command: Command) -> Result<Totals> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo test")?;
    let output = child.stdout.take().context("the output of cargo test is piped")?;
    let mut totals = Totals::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read the output of cargo test")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        totals.add(&line);
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    if !status.success() && !totals.has_failed() {
        totals.fail();
    }
    Ok(totals)
}

/// Runs the flows once more, with a process per service and their schemas on a server of this kind.
fn flows(root: &Path, database: &str) -> Result<Totals> {
    // Of the whole workspace, though it is one crate's: another choice of crates is another choice of
    // features, and everything would be built again.
    let mut command = gates::cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.args(["--test", "flows"]).current_dir(root);
    command.env("MILLRACE_TEST_SHAPE", "distributed").env("MILLRACE_TEST_DATABASE", database);
    let totals = cargo_test(command)?;
    if !totals.has_passed() {
        bail!("no flow has run on {database}");
    }
    Ok(totals)
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
    fn the_summary_of_node_counts() {
        let mut totals = Totals::default();
        for line in
            ["ok 1 - a", "# tests 9", "# pass 5", "# fail 1", "# cancelled 2", "# skipped 1"]
        {
            totals.add_tap(line);
        }
        assert_eq!(totals.to_string(), "5 passed, 3 failed, 1 skipped");
    }

    #[test]
    fn results_of_the_browser_interface_count() {
        let mut totals = Totals::default();
        let lines = [
            "      Tests  2 failed | 31 passed | 1 skipped (34)",
            " Test Files  3 passed (3)",
            "  ✓  12 orders.spec.ts:5:1 › 4 passed it by (1.2s)",
            "  12 passed (40.1s)",
            "  3 failed",
            "    orders.spec.ts:5:1 › an order",
            "  1 skipped",
            "  2 did not run",
        ];
        for line in lines {
            totals.add_ui(line);
        }
        assert_eq!(totals.to_string(), "43 passed, 5 failed, 4 skipped");
        assert!(totals.verdict().is_err());
    }

    #[test]
    fn a_coloured_result_counts() {
        let mut totals = Totals::default();
        totals.add("test result: \u{1b}[32mok\u{1b}[m. 4 passed; 0 failed; 0 ignored");
        assert_eq!(totals, Totals { passed: 4, failed: 0, skipped: 0 });
    }
}

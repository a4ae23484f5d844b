//! `millrace audit`: checks every invariant from the database alone, in one snapshot.
//!
//! The services check what their own tables can break; [`log`] folds the log once; [`cross`]
//! compares what several services and the log say of the same order. It runs beside a server, which
//! does not notice, and the server runs the same check when it is asked to.
//!
//! Facts that one COMMIT wrote together are compared as they are. What travels by events may be
//! under way: an order with an event that some consumer has not handled is counted as unsettled and
//! left out of the comparisons between services.

mod cross;
mod log;
mod page;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use contracts::clock::SystemClock;
use serde::Serialize;
use store::audit::Check;
use store::{Reader, Rx, Store, StoreError};
use tokio::time::Instant;

use crate::config::{self, Overrides};

/// The exit code when an invariant does not hold. Could not check is an error: 2.
const VIOLATIONS: u8 = 1;

/// What `millrace audit` may be told.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The folder of the database.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// The configuration file that names the folder. Default: millrace.toml, if it is there.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// One predicate, and how long the pass took that checked it.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    #[serde(flatten)]
    check: Check,
    millis: u64,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Whether every predicate holds.
    pub(crate) clean: bool,
    checks: Vec<Finding>,
    /// Orders with events on the way, which only their own service's predicates looked at.
    unsettled: u64,
    millis: u64,
}

impl Report {
    /// The names of the predicates that do not hold.
    #[cfg(test)]
    fn violated(&self) -> Vec<&'static str> {
        let broken = self.checks.iter().filter(|finding| finding.check.violations > 0);
        broken.map(|finding| finding.check.id).collect()
    }
}

/// Collects the findings of one pass after the other.
struct Passes {
    checks: Vec<Finding>,
    begun: Instant,
    last: Instant,
}

impl Passes {
    fn begin() -> Self {
        let now = Instant::now();
        Self { checks: Vec::new(), begun: now, last: now }
    }

    fn add(&mut self, checks: Vec<Check>) {
        let now = Instant::now();
        let millis = whole_millis(now.duration_since(self.last));
        self.last = now;
        self.checks.extend(checks.into_iter().map(|check| Finding { check, millis }));
    }
}

fn whole_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Checks every predicate over the snapshot `rx`.
pub(crate) async fn check(rx: &mut Rx) -> Result<Report, StoreError> {
    let mut passes = Passes::begin();
    let (log, checks) = log::fold(rx).await?;
    passes.add(checks);
    passes.add(inventory::audit::audit(rx).await?);
    passes.add(order::audit::audit(rx).await?);
    passes.add(payment::audit::audit(rx).await?);
    passes.add(customer::audit::audit(rx).await?);
    passes.add(notification::audit::audit(rx).await?);
    passes.add(cross::check(rx, &log).await?);
    let unsettled = log.unsettled();
    let clean = passes.checks.iter().all(|finding| finding.check.violations == 0);
    let millis = whole_millis(passes.begun.elapsed());
    Ok(Report { clean, checks: passes.checks, unsettled, millis })
}

/// Runs the audit; the exit code is 1 if an invariant does not hold.
pub(crate) async fn run(args: AuditArgs) -> anyhow::Result<u8> {
    let overrides = Overrides { file: args.config, data: args.data, ..Overrides::default() };
    let folder = config::read(&overrides)?.data;
    let report = check_folder(&folder)
        .await
        .with_context(|| format!("could not check the database in {}", folder.display()))?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        let colours = if out.is_terminal() { &COLOURS } else { &PLAIN };
        write(&mut out, &report, colours)?;
    }
    Ok(if report.clean { 0 } else { VIOLATIONS })
}

async fn check_folder(folder: &Path) -> Result<Report, StoreError> {
    let reader = Reader::open(&folder.join(Store::FILE), Arc::new(SystemClock))?;
    reader.read(|rx| Box::pin(check(rx))).await
}

/// The report as the server answers it. A check that cannot be made is neither clean nor broken.
pub(crate) async fn report_json(reader: &Reader) -> serde_json::Value {
    let checked: Result<Report, StoreError> = reader.read(|rx| Box::pin(check(rx))).await;
    match checked {
        Ok(report) => serde_json::to_value(&report).unwrap_or_default(),
        Err(error) => {
            tracing::error!(%error, "the audit could not be made");
            serde_json::json!({ "clean": null, "error": error.to_string() })
        }
    }
}

/// How the words of the table are set off.
struct Palette {
    good: &'static str,
    bad: &'static str,
    dim: &'static str,
    end: &'static str,
}

const PLAIN: Palette = Palette { good: "", bad: "", dim: "", end: "" };
const COLOURS: Palette =
    Palette { good: "\x1b[32m", bad: "\x1b[1;31m", dim: "\x1b[2m", end: "\x1b[0m" };

fn write(out: &mut impl io::Write, report: &Report, palette: &Palette) -> io::Result<()> {
    let Palette { good, bad, dim, end } = palette;
    for Finding { check, millis } in &report.checks {
        let (colour, word) = if check.violations == 0 { (good, "ok") } else { (bad, "BROKEN") };
        writeln!(
            out,
            "{colour}{word:<7}{end}{:<8} {}  {dim}{} checked, {millis} ms{end}",
            check.id, check.states, check.checked
        )?;
        if check.violations > 0 {
            writeln!(out, "       {bad}{} violations{end}", check.violations)?;
        }
        for violator in &check.violators {
            writeln!(out, "         {violator}")?;
        }
        let unnamed = check.violations.saturating_sub(length(&check.violators));
        if unnamed > 0 {
            writeln!(out, "         and {unnamed} more")?;
        }
    }
    if report.unsettled > 0 {
        writeln!(out, "{} orders have events on the way", report.unsettled)?;
    }
    let count = report.checks.len();
    if report.clean {
        writeln!(out, "{good}clean{end}: all {count} invariants hold ({} ms)", report.millis)
    } else {
        let broken = report.checks.iter().filter(|finding| finding.check.violations > 0).count();
        let millis = report.millis;
        writeln!(out, "{bad}{broken} of {count} invariants are broken{end} ({millis} ms)")
    }
}

fn length<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

//! `millrace audit`: checks every invariant from the database alone, in one snapshot.
//!
//! The services check what their own tables can break; [`log`] folds the log once; [`cross`]
//! compares what several services and the log say of the same order. It runs beside a server, which
//! does not notice, and the server runs the same check when it is asked to.
//!
//! Facts that one COMMIT wrote together are compared as they are. What travels by events may be
//! under way: an order with an event that some consumer has not handled is counted as unsettled and
//! left out of the comparisons between services.

mod answers;
mod cross;
mod log;
mod page;
mod stores;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use contracts::clock::SystemClock;
use serde::Serialize;
use store::audit::Check;
use store::{Place, Reader, Rx, ServerPlace, Store, StoreError};
use tokio::time::Instant;

pub(crate) use answers::{of_all, of_one, whole};

use crate::config::{self, BusKind, Config, Overrides};
use crate::wire::{self, Chosen};

/// The exit code when an invariant does not hold. Could not check is an error: 2.
const VIOLATIONS: u8 = 1;

/// How often several stores are looked at before something counts as wrong, and the pause between.
const LOOKS_MAX: u32 = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What `millrace audit` may be told.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The folder of the database; of each one, if services have databases of their own.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Vec<PathBuf>,
    /// The address of a schema on a database server, `postgres://…?schema=NAME`; of each one, if services
    /// have schemas of their own. With --config, addresses come from there.
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "data"])]
    database: Vec<String>,
    /// The configuration file that names the folder, or several. Default: millrace.toml, if it is
    /// there.
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
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

/// Checks every predicate over the snapshot `rx` of one store or of several.
async fn check(rx: &mut Rx, names: Vec<String>) -> Result<Report, StoreError> {
    let mut passes = Passes::begin();
    let files = stores::read(rx, names).await?;
    let has = |service: &str| files.iter().any(|file| file.services.iter().any(|s| s == service));
    let (log, checks) = log::fold(rx, &files, has("order")).await?;
    passes.add(checks);
    if has("inventory") {
        passes.add(inventory::audit::audit(rx).await?);
    }
    if has("order") {
        passes.add(order::audit::audit(rx).await?);
    }
    if has("payment") {
        passes.add(payment::audit::audit(rx).await?);
    }
    if has("customer") {
        passes.add(customer::audit::audit(rx).await?);
    }
    if has("notification") {
        passes.add(notification::audit::audit(rx).await?);
    }
    // What services say of each other is compared if all of them are there.
    if wire::SCHEMAS.iter().all(|schema| has(schema.service)) {
        passes.add(cross::check(rx, &log).await?);
    }
    let unsettled = log.unsettled();
    let clean = passes.checks.iter().all(|finding| finding.check.violations == 0);
    let millis = whole_millis(passes.begun.elapsed());
    Ok(Report { clean, checks: passes.checks, unsettled, millis })
}

/// Runs the audit; the exit code is 1 if an invariant does not hold.
pub(crate) async fn run(args: AuditArgs) -> anyhow::Result<u8> {
    let places = places(&args)?;
    let shown: Vec<_> = places.iter().map(ToString::to_string).collect();
    let report = check_places(&places)
        .await
        .with_context(|| format!("could not check the database in {}", shown.join(", ")))?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        let colours = if out.is_terminal() { &COLOURS } else { &PLAIN };
        write(&mut out, &report, colours)?;
    }
    Ok(if report.clean { 0 } else { VIOLATIONS })
}

fn places(args: &AuditArgs) -> anyhow::Result<Vec<Place>> {
    if !args.data.is_empty() {
        return Ok(args.data.iter().cloned().map(Place::Folder).collect());
    }
    if !args.database.is_empty() {
        let place =
            |address: &String| Ok(Place::Server(ServerPlace::try_new(address, "millrace")?));
        return args.database.iter().map(place).collect();
    }
    let mut places = Vec::new();
    let default = [None];
    let files: Vec<_> = args.config.iter().cloned().map(Some).collect();
    for file in if files.is_empty() { &default[..] } else { &files } {
        let config = config::read(&Overrides { file: file.clone(), ..Overrides::default() })?;
        places.extend(places_of(&config)?);
    }
    Ok(places)
}

/// The stores of one configuration: on a server with Kafka, a schema for each service.
fn places_of(config: &Config) -> anyhow::Result<Vec<Place>> {
    let all = wire::place(config, &Chosen::all());
    let is_one = config.bus == BusKind::Embedded || matches!(all, Ok(Place::Folder(_)));
    if is_one {
        return Ok(vec![all?]);
    }
    let alone = |schema: &store::Schema| {
        let chosen = Chosen::read(&[schema.service.to_owned()], config.bus)?;
        wire::place(config, &chosen)
    };
    wire::SCHEMAS.iter().map(alone).collect()
}

/// Checks the stores at `places` as one system.
///
/// Several stores are not one snapshot: an event may be handled between one and the next. So what
/// seems wrong while services run is looked at again, and only what stays wrong is.
async fn check_places(places: &[Place]) -> Result<Report, StoreError> {
    for place in places {
        if let Place::Folder(folder) = place {
            Store::settle_after_crash(folder)?;
        }
    }
    let reader = Reader::open_places(places, Arc::new(SystemClock))?;
    let stores = places.len();
    let mut looks = if stores > 1 { LOOKS_MAX } else { 1_u32 };
    loop {
        let names = reader.names();
        let report: Report = reader.read(move |rx| Box::pin(check(rx, names))).await?;
        looks = looks.saturating_sub(1);
        if report.clean || looks == 0 {
            return Ok(report);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
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

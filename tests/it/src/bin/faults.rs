//! Besieges the product, scenario by scenario, and prints a table: `cargo xtask faults`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command answers on its output")]

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use it::database::Kind;
use it::siege::{self, Load, Plan, Row, SCENARIOS, Scenario};
use it::{Broker, Database};

/// Loads the product as seven processes on a real broker, does something to it meanwhile, and judges what
/// is left. Ends with 1 if anything is lost, stuck, there twice, turning in circles, or if the audit finds
/// anything.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask faults")]
struct Arguments {
    /// Seconds of load in each scenario.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(2..=86_400))]
    seconds: u64,
    /// Orders a second, or `full`: as fast as answers come over 64 connections. May be given twice.
    #[arg(long, default_values = ["300"], value_parser = load)]
    rate: Vec<Load>,
    /// What random choices follow from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Scenarios by name, or by the beginning of their names (`kill`, `poison`). Default: all but
    /// those that are several in one (`everything`).
    #[arg(long)]
    only: Vec<String>,
    /// Seconds that orders may take to end once everything is back.
    #[arg(long, default_value_t = 120)]
    patience: u64,
    /// Where the services have their tables: `sqlite`, a file each; `postgres` or `mariadb`, a schema each
    /// on a server that is started for this.
    #[arg(long, default_value = "sqlite", value_parser = store)]
    store: Store,
    /// A variable for every process, `NAME=VALUE`; `{service}` in the value becomes the service's name.
    #[arg(long, value_parser = setting)]
    set: Vec<(String, String)>,
    /// Print the scenarios, and do nothing.
    #[arg(long)]
    list: bool,
}

fn load(text: &str) -> Result<Load, String> {
    if text == "full" {
        return Ok(Load::Full(64));
    }
    let rate = text.parse().ok().filter(|rate| (1..=100_000).contains(rate));
    rate.map(Load::Rate).ok_or_else(|| "a number from 1 to 100000, or `full`".to_owned())
}

/// Where tables are: on a server of this kind, or in files.
#[derive(Debug, Clone, Copy)]
struct Store(Option<Kind>);

fn store(text: &str) -> Result<Store, String> {
    match text {
        "sqlite" => Ok(Store(None)),
        "postgres" => Ok(Store(Some(Kind::Postgres))),
        "mariadb" => Ok(Store(Some(Kind::Mariadb))),
        _ => Err("`sqlite`, `postgres` or `mariadb`".to_owned()),
    }
}

impl Store {
    fn can(self, scenario: &Scenario) -> bool {
        self.0.is_some() || !scenario.needs_server()
    }

    fn name(self) -> &'static str {
        self.0.map_or("SQLite", Kind::name)
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| name.starts_with("MILLRACE_"));
    let pair = pair.map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "MILLRACE_NAME=VALUE".to_owned())
}

fn chosen(only: &[String], store: Store) -> Result<Vec<&'static Scenario>, String> {
    if only.is_empty() {
        let is_meant = |scenario: &&Scenario| !scenario.is_sum() && store.can(scenario);
        return Ok(SCENARIOS.iter().filter(is_meant).collect());
    }
    let mut chosen = Vec::new();
    for name in only {
        let found = siege::named(name);
        if found.is_empty() {
            return Err(format!("there is no scenario `{name}`: see --list"));
        }
        if !found.iter().any(|scenario| store.can(scenario)) {
            return Err(format!("`{name}` needs a database server: add --store postgres"));
        }
        chosen.extend(found.into_iter().filter(|scenario| store.can(scenario)));
    }
    Ok(chosen)
}

const HEAD: &str = "| fault | load | settled s | acknowledged | confirmed | rejected | other ends | stuck | \
                    lost | twice | dead letters | idle ‰ | audit |\n\
                    |---|---|---|---|---|---|---|---|---|---|---|---|---|";

fn line(row: &Row) -> String {
    let verdict = if row.is_good() { "clean".to_owned() } else { row.wrong.join("; ") };
    format!(
        "| {} | {} | {:.1} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {verdict} |",
        row.name,
        row.load,
        row.settled_after.as_secs_f64(),
        row.acknowledged,
        row.confirmed,
        row.rejected,
        row.other,
        row.stuck,
        row.lost,
        row.twice,
        row.dead_letters,
        row.idle,
    )
}

async fn besiege(arguments: &Arguments, scenarios: &[&'static Scenario]) -> Vec<Row> {
    let broker = tokio::task::spawn_blocking(Broker::start).await;
    let broker = Arc::new(broker.expect("the broker starts"));
    let database = match arguments.store.0 {
        None => None,
        Some(kind) => {
            let started = tokio::task::spawn_blocking(move || Database::start(kind)).await;
            Some(Arc::new(started.expect("the database server starts")))
        }
    };
    let all = scenarios.len() * arguments.rate.len();
    let mut rows = Vec::new();
    for load in &arguments.rate {
        for scenario in scenarios {
            eprintln!("{} of {all}: {} at {}", rows.len() + 1, scenario.name, load.name());
            let Arguments { seconds, seed, .. } = *arguments;
            let settings = arguments.set.clone();
            let patience = Duration::from_secs(arguments.patience);
            let (load, database) = (*load, database.clone());
            let plan = Plan { load, seconds, seed, settings, database, patience, is_told: true };
            rows.push(siege::run(scenario, &plan, &broker).await);
        }
    }
    rows
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for scenario in SCENARIOS {
            println!("{:<20} {}", scenario.name, scenario.about);
        }
        return ExitCode::SUCCESS;
    }
    let scenarios = match chosen(&arguments.only, arguments.store) {
        Ok(scenarios) => scenarios,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let rows = runtime.block_on(besiege(&arguments, &scenarios));
    println!("{HEAD}");
    for row in &rows {
        println!("{}", line(row));
    }
    let Arguments { store, seed, seconds, .. } = arguments;
    println!("\nstores on {}, seed {seed}, {seconds} s of load each", store.name());
    if rows.iter().all(Row::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

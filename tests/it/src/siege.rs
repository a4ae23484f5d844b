//! Sieges: the product as a process per service is loaded by `millrace load`, something is done to it
//! meanwhile, and what is left is judged from outside and by the audit.
//!
//! A [`Scenario`] names what is done ([`Fault`]); [`run`] does it and gives a [`Row`] of a table in which
//! every column that counts something wrong must be 0. What is random follows from the plan's seed.

mod fault;
mod kafka;
mod scenario;
mod verdict;

use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::broker::Broker;
use crate::database::Database;
use crate::program;
use crate::redis::Redis;
use crate::server::{Options, Server};

use fault::Around;

pub use fault::Fault;
pub use scenario::{CONTROL, SCENARIOS, Scenario, named};
pub use verdict::Row;

/// How orders are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// So many in a second, whatever the product does.
    Rate(u64),
    /// As fast as answers come, over so many connections.
    Full(u64),
}

impl Load {
    /// As a table shows it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Rate(rate) => format!("{rate}/s"),
            Self::Full(connections) => format!("full, {connections}"),
        }
    }

    fn arguments(self) -> [String; 2] {
        match self {
            Self::Rate(rate) => ["--rate".to_owned(), rate.to_string()],
            Self::Full(connections) => ["--connections".to_owned(), connections.to_string()],
        }
    }
}

/// How a scenario is run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How orders are sent.
    pub load: Load,
    /// For how long.
    pub seconds: u64,
    /// What random choices follow from.
    pub seed: u64,
    /// Variables of every process, as [`Options::set`] takes them.
    pub settings: Vec<(String, String)>,
    /// Where the stores are: a place of its own for each service on this server, or files.
    pub database: Option<Arc<Database>>,
    /// How long orders may take to end once everything is back: what is behind is caught up with.
    pub patience: Duration,
    /// Whether each step is told as it is taken.
    pub is_told: bool,
}

/// The windows of an order, all short: an outage is longer than each of them.
const SHORT_WINDOWS: &str = "[inventory]\nhold_ttl_s = 4\n[order]\ncheck_again_s = 2\nchecks_s = 8\n\
                             paying_s = 8\ncancelling_s = 8\n";
/// SKUs that are ordered: few enough that orders meet, and all fit on one page.
const SKUS: &str = "200";

/// Tells steps as they are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Teller {
    begun: Instant,
    is_told: bool,
}

impl Teller {
    pub(crate) fn say(&self, what: &str) {
        if self.is_told {
            eprintln!("  {:>6.1} s  {what}", self.begun.elapsed().as_secs_f64());
        }
    }
}

/// A load that runs beside.
struct Running {
    output: JoinHandle<std::io::Result<Output>>,
    acknowledged: PathBuf,
}

/// What a load has told: its report, and the id and key of each order that was acknowledged.
pub(crate) struct Sent {
    report: Value,
    acknowledged: Vec<(String, String)>,
}

fn start_load(server: &Server, plan: &Plan) -> Running {
    let acknowledged = server.folder().join("acknowledged");
    let [flag, value] = plan.load.arguments();
    let (seconds, seed) = (plan.seconds.to_string(), plan.seed.to_string());
    let fixed = ["load", "--url", server.url(), "--json", "--skus", SKUS];
    let mut command = program::command(&fixed);
    command.args(["--seconds", &seconds, "--seed", &seed, &flag, &value]);
    command.arg("--acknowledged").arg(&acknowledged);
    let output = tokio::task::spawn_blocking(move || command.output());
    Running { output, acknowledged }
}

impl Running {
    async fn end(self) -> Sent {
        let output = self.output.await.expect("the thread ends");
        let output = output.expect("the program can be started");
        // Where it cannot ask for the audit, as here, it ends with 1: we ask ourselves.
        let report = serde_json::from_slice(&output.stdout);
        let report =
            report.unwrap_or_else(|_| panic!("the load failed: {}", program::shown(&output)));
        let text =
            std::fs::read_to_string(self.acknowledged).expect("the load has written its list");
        let pair =
            |line: &str| line.split_once(' ').map(|(id, key)| (id.to_owned(), key.to_owned()));
        Sent { report, acknowledged: text.lines().filter_map(pair).collect() }
    }
}

/// Runs `scenario` against a product of its own on `broker`.
///
/// # Panics
///
/// If the product cannot be started or asked any more. What it does wrong is in the row.
pub async fn run(scenario: &Scenario, plan: &Plan, broker: &Arc<Broker>) -> Row {
    let teller = Teller { begun: Instant::now(), is_told: plan.is_told };
    let mut options = Options::default().on_broker(Arc::clone(broker));
    if scenario.has_short_windows {
        options = options.config(SHORT_WINDOWS);
    }
    for (name, value) in &plan.settings {
        options = options.set(name, value);
    }
    if let Some(database) = &plan.database {
        options = options.on_database(Arc::clone(database));
    }
    for service in scenario.seconds() {
        options = options.with_second(service);
    }
    let redis = tokio::task::spawn_blocking(|| Arc::new(Redis::start())).await;
    let redis = redis.expect("Redis starts");
    options = options.cached_by(Arc::clone(&redis));
    let mut server = Server::start_with(options).await;
    teller.say("seven processes are ready");
    let load = start_load(&server, plan);
    until_orders_come(&server).await;
    // Some load before, so that every stage of an order is met.
    sleep(Duration::from_secs(plan.seconds.div_euclid(5).clamp(1, 5))).await;
    let mut dead_letters = 0;
    for fault in scenario.faults {
        let (database, seed) = (plan.database.as_ref(), plan.seed);
        let around = Around { broker, database, redis: &redis, seed };
        dead_letters += fault.happen(&mut server, around, &teller).await;
        sleep(Duration::from_secs(1)).await;
    }
    let mut sent = load.end().await;
    if scenario.faults.iter().any(|fault| matches!(fault, Fault::Lie)) {
        sent.acknowledged.push(("never-there".to_owned(), "never-sent".to_owned()));
    }
    teller.say("the load has ended");
    let row = verdict::judge(&server, scenario, plan, &sent, dead_letters).await;
    teller.say(&row.told());
    if row.is_good() {
        tokio::task::block_in_place(|| server.discard());
    }
    row
}

/// Waits until the first order is there: products and stock are prepared before.
async fn until_orders_come(server: &Server) {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let page = server.get("/api/v1/orders?limit=1").send().await.is(200);
        if page["items"].as_array().is_some_and(|items| !items.is_empty()) {
            return;
        }
        assert!(Instant::now() < deadline, "no order comes");
        sleep(Duration::from_millis(50)).await;
    }
}

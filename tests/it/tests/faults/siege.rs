//! The short form of `cargo xtask faults`: everything that can be done to seven processes on a broker, in
//! one load.

use std::sync::Arc;
use std::time::Duration;

use it::database::Kind;
use it::siege::{self, Load, Plan};
use it::{Broker, Database, Random};

/// Orders a second: other tests run beside.
const RATE: u64 = 100;
/// Longer than all faults together take.
const SECONDS: u64 = 75;

fn plan(seconds: u64, seed: u64) -> Plan {
    let (load, patience) = (Load::Rate(RATE), Duration::from_secs(3));
    Plan { load, seconds, seed, settings: Vec::new(), database: None, patience, is_told: true }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_lost_or_stuck_is_found() {
    let broker = tokio::task::spawn_blocking(Broker::shared).await.expect("the broker starts");
    let row = siege::run(&siege::CONTROL, &plan(4, 1), &broker).await;
    assert_eq!((row.lost, row.stuck), (1, 1), "{row:#?}");
    assert!(!row.is_good());
    // What is right beside it is not called wrong.
    assert_eq!((row.twice, row.confirmed + 1), (0, row.acknowledged), "{row:#?}");
}

async fn everything(name: &str, database: Option<Arc<Database>>) {
    let broker = tokio::task::spawn_blocking(|| Arc::new(Broker::start())).await;
    let broker = broker.expect("the broker starts");
    let seed = Random::from_environment().next_number();
    let patience = Duration::from_mins(2);
    let plan = Plan { patience, database, ..plan(SECONDS, seed) };
    let scenarios = siege::named(name);
    let scenario = scenarios.iter().find(|scenario| scenario.name == name);
    let row = siege::run(scenario.expect("it is there"), &plan, &broker).await;
    assert!(row.is_good(), "{row:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_under_load_every_acknowledged_order_ends_once() {
    everything("everything", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_on_a_database_server_that_goes_away_as_well() {
    let database = tokio::task::spawn_blocking(|| Database::start(Kind::Postgres)).await;
    let database = database.expect("the database server starts");
    everything("everything-server", Some(Arc::new(database))).await;
}

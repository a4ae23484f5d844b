//! What only servers promise: writers of one schema take turns, and a server that goes away and comes
//! back takes nothing with it that was acknowledged.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use contracts::{Event, EventId};
use futures::future::join_all;
use it::database::{Database, Kind};
use store::{BoxFuture, Follower, Place, ServerPlace, Store, StoreError, Tx};
use tokio::time::{Instant, sleep};

use crate::tables::{Counter, NOON, SCHEMA, add, add_in, numbers, open, try_open};

/// Longer than a server needs to come back, also beside other work on the same machine.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) async fn run(kind: Kind) {
    let database = Database::start(kind);
    let place = |address: &str| Place::Server(ServerPlace::try_new(address, "millrace").unwrap());
    let shared = ServerPlace::try_new(&database.place(), "millrace").unwrap().shared();
    writers_of_one_schema_take_turns(&Place::Server(shared.clone())).await;
    instances_hear_of_each_other_and_rest_otherwise(&Place::Server(shared)).await;
    a_schema_has_one_writer_unless_it_is_shared(&place(&database.place())).await;
    a_server_that_comes_back_has_what_was_acknowledged(&database, &place(&database.place())).await;
    settings_that_lose_what_was_acknowledged_are_refused(&database, kind);
}

async fn writers_of_one_schema_take_turns(place: &Place) {
    let stores = [open(place), open(place), open(place)];
    // One after the other: each sees what the one before wrote.
    for turn in 1..=9 {
        let store = &stores[usize::try_from(turn % 3).unwrap()];
        assert_eq!(add(store, turn, 1, false).await.unwrap(), 1);
        let one: Result<i64, StoreError> =
            store.transact(|tx| Box::pin(async move { add_in(tx, 1_000, 1).await })).await;
        assert_eq!(one.unwrap(), turn);
    }
    // All at once.
    let work = (0..150).map(|n| {
        let store = stores[n % 3].clone();
        async move {
            let sum: Result<i64, StoreError> =
                store.transact(|tx| Box::pin(async move { add_in(tx, 1_000, 1).await })).await;
            sum.unwrap()
        }
    });
    let mut sums = join_all(work).await;
    sums.sort_unstable();
    assert_eq!(sums, (10..160).collect::<Vec<_>>());
    let positions = numbers(&stores[0], "SELECT position FROM entries ORDER BY position").await;
    assert_eq!(positions, (1..=168).collect::<Vec<_>>());
    let gaps = "SELECT MAX(segment) - COUNT(*) FROM outbox";
    assert_eq!(numbers(&stores[1], gaps).await, [0]);
    for store in stores {
        store.stop().await;
    }
}

/// Remembers the events that it was told of, and a counter as it stood then.
#[derive(Default)]
struct Told(Mutex<(Vec<EventId>, i64)>);

impl Follower for Told {
    fn follow<'t>(
        &'t self,
        tx: &'t mut Tx,
        events: &'t [Arc<Event>],
    ) -> BoxFuture<'t, Result<(), StoreError>> {
        Box::pin(async move {
            tx.load::<Counter>(&[2_000]).await?;
            let mut told = self.0.lock().unwrap();
            told.0.extend(events.iter().map(|event| event.id));
            told.1 = tx.get::<Counter>(&2_000).map_or(0, |counter| counter.value);
            Ok(())
        })
    }
}

async fn instances_hear_of_each_other_and_rest_otherwise(place: &Place) {
    let stores = [open(place), open(place), open(place)];
    assert_eq!(stores.each_ref().map(Store::instance), [Some(0), Some(1), Some(2)]);
    let (told, hooked) = (Arc::new(Told::default()), Arc::new(Mutex::new(Vec::new())));
    let hears = Arc::clone(&hooked);
    let hook = move |events: &[Arc<Event>]| {
        hears.lock().unwrap().extend(events.iter().map(|event| event.id));
    };
    stores[0].on_commit(Arc::new(hook)).unwrap();
    // Answered once both are there.
    stores[0].follow(Arc::<Told>::clone(&told)).await.unwrap();
    let once = |store: &Store| {
        let store = store.clone();
        async move {
            let added: Result<i64, StoreError> =
                store.transact(|tx| Box::pin(async move { add_in(tx, 2_000, 1).await })).await;
            added.unwrap()
        }
    };
    // The first does nothing, and hears of what the others do.
    for turn in 1..=20 {
        assert_eq!(once(&stores[if turn % 2 == 0 { 1 } else { 2 }]).await, turn);
    }
    until("the first has heard of everything", || hooked.lock().unwrap().len() == 20).await;
    {
        let (events, counter) = &*told.0.lock().unwrap();
        assert_eq!(*events, *hooked.lock().unwrap());
        assert!(events.is_sorted(), "in the sequence of the log");
        assert_eq!(*counter, 20);
    }
    // Of its own work it tells itself, once; before that it has heard of the work of others.
    assert_eq!((once(&stores[1]).await, once(&stores[0]).await), (21, 22));
    until("its own work is told", || hooked.lock().unwrap().len() == 22).await;
    assert_eq!(told.0.lock().unwrap().0.len(), 21);
    // Who only reads is no turn, and nobody keeps the others awake.
    let turn = "SELECT turn FROM writer_turns WHERE id = 0";
    let before = numbers(&stores[2], turn).await;
    for store in &stores {
        let read: Result<(), StoreError> =
            store.transact(|tx| Box::pin(async move { tx.load::<Counter>(&[2_000]).await })).await;
        read.unwrap();
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(numbers(&stores[2], turn).await, before);
    // A number that is free is given again.
    stores[1].stop().await;
    let next = open(place);
    assert_eq!((next.instance(), once(&next).await), (Some(1), 23));
    for store in [&stores[0], &stores[2], &next] {
        store.stop().await;
    }
}

async fn a_schema_has_one_writer_unless_it_is_shared(place: &Place) {
    let first = open(place);
    let clock = Arc::new(contracts::clock::ManualClock::at(NOON));
    let (second, also) = (place.clone(), Arc::clone(&clock));
    let refused = tokio::task::spawn_blocking(move || try_open(&second, SCHEMA, &also).map(drop));
    let refused = refused.await.unwrap().unwrap_err().to_string();
    assert!(refused.contains("in use by another millrace process"), "{refused}");
    add(&first, 1, 1, false).await.unwrap();
    first.stop().await;
    let next = try_open(place, SCHEMA, &clock).unwrap();
    assert_eq!(add(&next, 1, 1, true).await.unwrap_err().to_string(), "the store is stopped");
    next.stop().await;
}

/// Adds to a counter until it is told to end; counts what was acknowledged and what may have happened.
async fn worker(store: Store, id: i64, ends: Arc<AtomicBool>, acknowledged: Arc<AtomicI64>) -> i64 {
    let mut in_doubt = 0;
    while !ends.load(Ordering::Acquire) {
        let added: Result<i64, StoreError> =
            store.transact(move |tx| Box::pin(async move { add_in(tx, id, 1).await })).await;
        match added {
            Ok(_) => drop(acknowledged.fetch_add(1, Ordering::AcqRel)),
            Err(StoreError::Unknown(_)) => in_doubt += 1,
            Err(StoreError::Unavailable(_) | StoreError::RolledBack(_)) => {
                sleep(Duration::from_millis(5)).await;
            }
            Err(other) => panic!("a lost server is no reason to say: {other}"),
        }
    }
    in_doubt
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "still waiting until {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn a_server_that_comes_back_has_what_was_acknowledged(database: &Database, place: &Place) {
    let store = open(place);
    let (ends, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let workers: Vec<_> = (0..8)
        .map(|id| {
            let (ends, acknowledged) = (Arc::clone(&ends), Arc::clone(&acknowledged));
            tokio::spawn(worker(store.clone(), id, ends, acknowledged))
        })
        .collect();
    for _ in 0..3 {
        let before = acknowledged.load(Ordering::Acquire);
        until("work is done", || acknowledged.load(Ordering::Acquire) > before + 50).await;
        database.kill_9();
        until("it is noticed", || !store.is_available()).await;
        database.resume();
        until("it is there again", || store.is_available()).await;
    }
    ends.store(true, Ordering::Release);
    let in_doubt: i64 = join_all(workers).await.into_iter().map(Result::unwrap).sum();
    let acknowledged = acknowledged.load(Ordering::Acquire);
    let sum = numbers(&store, "SELECT SUM(value) FROM counters").await[0];
    assert!(
        (acknowledged..=acknowledged + in_doubt).contains(&sum),
        "{acknowledged} acknowledged, {in_doubt} in doubt, {sum} there"
    );
    let entries = numbers(&store, "SELECT COUNT(*) FROM entries").await[0];
    assert_eq!(entries, sum);
    assert_eq!(numbers(&store, "SELECT MAX(position) FROM entries").await, [sum]);
    store.stop().await;
}

fn settings_that_lose_what_was_acknowledged_are_refused(database: &Database, kind: Kind) {
    let address = database.place();
    let (spoil, setting) = match kind {
        Kind::Postgres => {
            ("ALTER ROLE millrace SET synchronous_commit = off", "synchronous_commit")
        }
        Kind::Mariadb => {
            ("SET GLOBAL innodb_flush_log_at_trx_commit = 2", "innodb_flush_log_at_trx_commit")
        }
    };
    database.sql(spoil);
    let open = |address: &str| {
        let place = Place::Server(ServerPlace::try_new(address, "millrace").unwrap());
        let clock = Arc::new(contracts::clock::SystemClock);
        let options = store::StoreOptions { place, schemas: Vec::new(), clock, stream: 1 };
        Store::open(options)
    };
    let refused = open(&address).map(drop).unwrap_err().to_string();
    assert!(refused.contains(setting) && refused.contains("unsafe_durability"), "{refused}");
    open(&format!("{address}?unsafe_durability=accept")).unwrap();
}

use std::sync::Mutex;

use contracts::events::catalog::ProductRetired;
use contracts::{Draft, Position, Sku, Timestamp};

use super::*;
use crate::reader::Reader;
use crate::record::{Append, Record, Table};
use crate::requests::{Once, OnceError};
use crate::testing::{self, TestStore};
use crate::value::{Row, Value};
use crate::{lease, parked};

const TABLES: (&str, &str) = (
    "0001_test",
    "CREATE TABLE counters (id INTEGER NOT NULL PRIMARY KEY, version BIGINT NOT NULL, \
     value BIGINT NOT NULL CONSTRAINT counters_not_negative CHECK (value >= 0)); \
     CREATE TABLE entries (position INTEGER NOT NULL PRIMARY KEY, value BIGINT NOT NULL \
     CONSTRAINT entries_not_1313 CHECK (value <> 1313));",
);
const BAD: Schema =
    Schema { service: "test", migrations: &[TABLES, ("0002_bad", "CREATE TABLE y (a); NONSENSE")] };
const NEXT: Schema =
    Schema { service: "test", migrations: &[TABLES, ("0002_good", "CREATE TABLE y (a BIGINT)")] };
const SCHEMA: Schema = Schema { service: "test", migrations: &[TABLES] };

#[derive(Debug, Clone, PartialEq)]
struct Counter {
    id: i64,
    version: u64,
    value: i64,
}

impl Record for Counter {
    type Key = i64;
    const TABLE: Table = Table { name: "counters", columns: &["id", "version", "value"] };
    const CACHE_MAX: usize = 4;

    fn key(&self) -> i64 {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn broken_rule(&self) -> Option<&'static str> {
        (self.value < 0).then_some("counters_not_negative")
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([self.id.into(), self.version.into(), self.value.into()]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self { id: row.int(0)?, version: row.count(1)?, value: row.int(2)? })
    }
}

struct Entry {
    position: i64,
    value: i64,
}

impl Append for Entry {
    const TABLE: Table = Table { name: "entries", columns: &["position", "value"] };

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([self.position.into(), self.value.into()]);
    }
}

/// Adds `delta` to a counter, appends an entry, publishes an event; then fails if told to.
async fn add(store: &Store, id: i64, delta: i64, fail: bool) -> Result<i64, StoreError> {
    store
        .transact(move |tx| {
            Box::pin(async move {
                tx.load::<Counter>(&[id]).await?;
                let known = tx.get::<Counter>(&id).cloned();
                let mut counter = known.unwrap_or(Counter { id, version: 0, value: 0 });
                counter.version += 1;
                counter.value += delta;
                let value = counter.value;
                tx.put(counter);
                tx.append(|position| Entry { position, value }).await?;
                let sku = Sku::try_new("x").unwrap();
                tx.publish(Draft::new(1, ProductRetired { sku, version: 1 }));
                let insert = "INSERT INTO requests VALUES ('add', $1, x'00', x'00', 0)";
                tx.execute(insert, &[format!("{id}/{value}").into()]).await?;
                if fail { Err(StoreError::Stopped) } else { Ok(value) }
            })
        })
        .await
}

async fn all(store: &Store, sql: &'static str) -> Vec<i64> {
    let rows: Result<_, StoreError> = store
        .read(move |rx| Box::pin(async move { rx.query(sql, &[], |row| row.int(0)).await }))
        .await;
    rows.unwrap()
}

fn open() -> TestStore {
    testing::open(&[SCHEMA]).unwrap()
}

#[tokio::test]
async fn what_fails_leaves_nothing_behind_and_what_succeeds_is_whole() {
    let store = open();
    let work = (1..=40).map(|n| add(&store, n % 7, 1, n % 3 == 0));
    let outcomes = futures::future::join_all(work).await;
    let succeeded = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(succeeded, 27);
    let sum: i64 = all(&store, "SELECT value FROM counters").await.iter().sum();
    assert_eq!(sum, 27);
    let positions = all(&store, "SELECT position FROM entries ORDER BY position").await;
    assert_eq!(positions, (1..=27).collect::<Vec<_>>());
    assert_eq!(all(&store, "SELECT SUM(events) FROM outbox").await, [27]);
    assert_eq!(all(&store, "SELECT COUNT(*) FROM requests").await, [27]);
}

#[tokio::test]
async fn a_broken_rule_fails_the_one_who_breaks_it_and_not_the_store() {
    let store = open();
    add(&store, 1, 5, false).await.unwrap();
    let good = futures::future::join_all((0..8).map(|_| add(&store, 2, 1, false)));
    let (bad, good) = tokio::join!(add(&store, 1, -6, false), good);
    assert!(
        matches!(bad, Err(StoreError::Constraint { ref name }) if name == "counters_not_negative"),
        "{bad:?}"
    );
    assert!(good.iter().all(Result::is_ok));
    assert_eq!(all(&store, "SELECT value FROM counters WHERE id = 1").await, [5]);
    assert_eq!(add(&store, 1, -5, false).await.unwrap(), 0);
}

#[tokio::test]
async fn a_rule_that_only_the_schema_knows_fails_the_shared_commit_and_then_its_breaker() {
    let store = open();
    // Rows that wait for their tables must survive the rollback of a later COMMIT.
    let first = (0..40).map(|id| add(&store, id + 2, 1, false));
    assert!(futures::future::join_all(first).await.iter().all(Result::is_ok));
    let good = futures::future::join_all((0..8).map(|_| add(&store, 2, 1, false)));
    let (bad, _) = tokio::join!(add(&store, 99, 1_313, false), good);
    assert!(bad.is_err());
    // From then on each is flushed alone for a while.
    let (bad, good) = tokio::join!(add(&store, 99, 1_313, false), add(&store, 3, 1, false));
    assert!(
        matches!(bad, Err(StoreError::Constraint { ref name }) if name == "entries_not_1313"),
        "{bad:?}"
    );
    assert_eq!(good.unwrap(), 2);
    assert_eq!(all(&store, "SELECT COUNT(*) FROM counters WHERE id = 99").await, [0]);
}

#[tokio::test]
async fn rows_that_wait_are_seen_by_whoever_reads_what_it_was_answered() {
    let store = open();
    for round in 1..=30 {
        let work = (0..40).map(|id| async move { (id, id) }).map(|pair| async {
            let (id, _) = pair.await;
            let value = add(&store, id, 1, false).await.unwrap();
            let sum = all(&store, "SELECT SUM(value) FROM counters").await;
            (value, sum)
        });
        for (value, sum) in futures::future::join_all(work).await {
            assert_eq!(value, round);
            assert!(sum[0] > (round - 1) * 40, "{sum:?} in round {round}");
        }
    }
    let deferred = store.stats().deferred.load(Ordering::Relaxed);
    assert!(deferred > 0, "no COMMIT left rows to a later one: nothing was tested");
}

#[tokio::test]
async fn rows_that_wait_are_there_after_a_crash() {
    let store = open();
    let crashed = tempfile::tempdir().unwrap();
    let Place::Folder(folder) = store.place() else { unreachable!("it is a file") };
    let (from, to) = (folder.join(Store::FILE), crashed.path().join(Store::FILE));
    // What the files hold right after a COMMIT that left rows to a later one: the machine stops here.
    let copied = Arc::new(Mutex::new(Vec::new()));
    let (made, stats) = (Arc::clone(&copied), Arc::clone(store.stats()));
    store
        .on_commit(Arc::new(move |events| {
            let deferred = stats.deferred.load(Ordering::Relaxed);
            let mut made = made.lock().unwrap();
            if deferred >= 3 && made.is_empty() {
                for end in ["", "-wal"] {
                    let name = |path: &Path| format!("{}{end}", path.display());
                    std::fs::copy(name(&from), name(&to)).unwrap();
                }
                made.push(events.last().unwrap().id.position().segment);
            }
        }))
        .unwrap();
    while copied.lock().unwrap().is_empty() {
        let work = (0..40).map(|id| add(&store, id, 1, false));
        futures::future::join_all(work).await;
    }
    // Who only reads need not start a store.
    let copy = tempfile::tempdir().unwrap();
    for end in ["", "-wal"] {
        let name = format!("{}{end}", Store::FILE);
        std::fs::copy(crashed.path().join(&name), copy.path().join(&name)).unwrap();
    }
    let clock = Arc::new(contracts::clock::SystemClock);
    Store::settle_after_crash(copy.path()).unwrap();
    let reader = Reader::open(&copy.path().join(Store::FILE), clock).unwrap();
    let read: Result<Vec<i64>, StoreError> = reader
        .read(|rx| {
            let sql = "SELECT SUM(value) - (SELECT COUNT(*) FROM entries) FROM counters";
            Box::pin(async move { rx.query(sql, &[], |row| row.int(0)).await })
        })
        .await;
    assert_eq!(read.unwrap(), [0]);
    let reopened = Store::open(StoreOptions {
        place: crashed.path().to_owned().into(),
        schemas: vec![SCHEMA],
        clock: Arc::new(contracts::clock::SystemClock),
        stream: 0,
    });
    let reopened = reopened.unwrap();
    let sum = all(&reopened, "SELECT SUM(value) FROM counters").await;
    let entries = all(&reopened, "SELECT COUNT(*) FROM entries").await;
    assert_eq!(sum, entries, "every entry added one to its counter");
    assert_eq!(
        all(&reopened, "SELECT MAX(segment) FROM outbox").await,
        [i64::try_from(copied.lock().unwrap()[0]).unwrap()]
    );
    assert_eq!(all(&reopened, "SELECT COUNT(*) FROM pending_rows").await, [0]);
    let versions = all(&reopened, "SELECT SUM(version) FROM counters").await;
    assert_eq!(versions, sum);
    reopened.stop().await;
}

/// The sum of the counters and the number of entries, read before or behind a change.
async fn sums(store: &Store, change_first: bool) -> Result<(i64, i64), StoreError> {
    store
        .transact(move |tx| {
            Box::pin(async move {
                if change_first {
                    tx.put(Counter { id: 99, version: 1, value: 0 });
                }
                let sql =
                    "SELECT (SELECT SUM(value) FROM counters), (SELECT COUNT(*) FROM entries)";
                let seen = tx.query(sql, &[], |row| Ok((row.int(0)?, row.int(1)?))).await?;
                if change_first { Err(StoreError::Stopped) } else { Ok(seen[0]) }
            })
        })
        .await
}

#[tokio::test]
async fn a_query_over_records_sees_every_commit_or_says_that_it_comes_too_late() {
    let store = open();
    add(&store, 1, 1, false).await.unwrap();
    let mut is_seen_late = false;
    for _ in 0..1_000 {
        let fill = futures::future::join_all((0..40).map(|id| add(&store, id, 1, false)));
        let (_, seen) = tokio::join!(fill, sums(&store, false));
        let (sum, entries) = seen.unwrap();
        assert_eq!(sum, entries);
        let fill = || futures::future::join_all((0..40).map(|id| add(&store, id, 1, false)));
        let (_, late, _) = tokio::join!(fill(), sums(&store, true), fill());
        is_seen_late |= matches!(late, Err(StoreError::Unsettled));
        if is_seen_late {
            return;
        }
    }
    panic!("no row ever waited: nothing was tested");
}

#[tokio::test]
async fn work_that_panics_or_waits_is_undone() {
    let store = open();
    let panicked: Result<(), StoreError> = store
        .transact(|tx| {
            Box::pin(async move {
                tx.put(Counter { id: 9, version: 1, value: 1 });
                panic!("told to")
            })
        })
        .await;
    assert!(matches!(panicked, Err(StoreError::Panicked(why)) if why == "told to"));
    let waited: Result<(), StoreError> = store
        .transact(|tx| {
            Box::pin(async move {
                tx.put(Counter { id: 9, version: 1, value: 1 });
                tokio::task::yield_now().await;
                Ok(())
            })
        })
        .await;
    assert!(matches!(waited, Err(StoreError::Waited)));
    assert!(all(&store, "SELECT id FROM counters").await.is_empty());
    assert_eq!(add(&store, 9, 1, false).await.unwrap(), 1);
}

#[tokio::test]
async fn a_row_changed_behind_the_cache_is_a_conflict_and_heals_by_reading_again() {
    let store = open();
    add(&store, 1, 1, false).await.unwrap();
    let behind: Result<u64, StoreError> = store
        .transact(|tx| {
            Box::pin(async move { tx.execute("UPDATE counters SET version = 77", &[]).await })
        })
        .await;
    assert_eq!(behind.unwrap(), 1);
    assert!(add(&store, 1, 1, false).await.is_err());
    assert_eq!(add(&store, 1, 1, false).await.unwrap(), 2);
}

#[tokio::test]
async fn more_rows_than_the_cache_keeps_are_read_again() {
    let store = open();
    for round in 1..=3 {
        for id in 1..=20 {
            assert_eq!(add(&store, id, 1, false).await.unwrap(), round);
        }
    }
}

#[tokio::test]
async fn acts_and_hooks_happen_after_commit_and_only_then() {
    let store = open();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&seen);
    store
        .on_commit(Arc::new(move |events| {
            hook.lock().unwrap().extend(events.iter().map(|event| event.id.position()));
        }))
        .unwrap();
    add(&store, 1, 1, true).await.unwrap_err();
    add(&store, 1, 1, false).await.unwrap();
    add(&store, 1, 1, false).await.unwrap();
    let positions = [Position::start_of(1), Position::start_of(2)];
    // The hook runs behind the answer; a further COMMIT is behind the hook.
    all(&store, "SELECT 1").await;
    add(&store, 1, 1, false).await.unwrap();
    assert_eq!(seen.lock().unwrap()[..2], positions);
}

#[tokio::test]
async fn a_second_process_cannot_open_the_folder_and_a_restart_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        Store::open(StoreOptions {
            place: folder.path().to_owned().into(),
            schemas: vec![SCHEMA],
            clock: Arc::new(contracts::clock::SystemClock),
            stream: 0,
        })
    };
    let first = open().unwrap();
    add(&first, 1, 3, false).await.unwrap();
    let refused = open().err().unwrap().to_string();
    assert!(refused.contains("in use by another millrace process"), "{refused}");
    first.stop().await;
    assert!(matches!(add(&first, 1, 1, false).await, Err(StoreError::Stopped)));
    let second = open().unwrap();
    assert_eq!(add(&second, 1, 3, false).await.unwrap(), 6);
    assert_eq!(all(&second, "SELECT MAX(segment) FROM outbox").await, [2]);
}

#[tokio::test]
async fn a_changed_or_unknown_migration_refuses_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let open = |schema: Schema| {
        Store::open(StoreOptions {
            place: folder.path().to_owned().into(),
            schemas: vec![schema],
            clock: Arc::new(contracts::clock::SystemClock),
            stream: 0,
        })
    };
    open(SCHEMA).unwrap().stop().await;
    let changed = Schema { service: "test", migrations: &[("0001_test", "SELECT 1")] };
    let why = open(changed).err().unwrap().to_string();
    assert!(why.contains("test/0001_test was changed"), "{why}");
    let older = Schema { service: "test", migrations: &[] };
    let why = open(older).err().unwrap().to_string();
    assert!(why.contains("does not know"), "{why}");
    assert!(open(BAD).is_err());
    open(NEXT).unwrap().stop().await;
}

#[tokio::test]
async fn a_command_under_a_key_is_answered_once() {
    let store = open();
    let run = |key: &'static str, print: u8| {
        store.transact(move |tx| {
            Box::pin(async move {
                let once = Once { scope: "test", key: key.to_owned(), fingerprint: [print; 16] };
                if let Some(answer) = once.first_answer(tx).await? {
                    return Ok(answer);
                }
                let answer = vec![print];
                once.keep_answer(tx, &answer).await?;
                Ok::<_, OnceError>(answer)
            })
        })
    };
    assert_eq!(run("a", 1).await.unwrap(), [1]);
    assert_eq!(run("a", 1).await.unwrap(), [1]);
    assert!(matches!(run("a", 2).await, Err(OnceError::KeyReused)));
    assert_eq!(run("", 1).await.unwrap(), [1]);
    assert_eq!(run("", 2).await.unwrap(), [2]);
}

#[tokio::test]
async fn a_lease_has_one_owner_and_a_growing_fence() {
    let store = open();
    let span = Duration::from_secs(10);
    let take = |owner: &'static str| {
        store.transact(move |tx| {
            Box::pin(async move { lease::acquire(tx, "relay", owner, span).await })
        })
    };
    assert_eq!(take("a").await.unwrap().unwrap().fence, 1);
    assert_eq!(take("b").await.unwrap(), None);
    assert_eq!(take("a").await.unwrap().unwrap().fence, 1);
    store.clock.advance(Duration::from_secs(11));
    assert_eq!(take("b").await.unwrap().unwrap().fence, 2);
    assert_eq!(take("a").await.unwrap(), None);
    let released: Result<(), StoreError> =
        store.transact(|tx| Box::pin(async move { lease::release(tx, "relay", "b").await })).await;
    released.unwrap();
    assert_eq!(take("a").await.unwrap().unwrap().fence, 3);
}

#[tokio::test]
async fn the_time_of_transactions_never_goes_back() {
    let store = open();
    let now = || store.transact(|tx| Box::pin(async move { Ok::<_, StoreError>(tx.now()) }));
    let first: Timestamp = now().await.unwrap();
    store.clock.advance(Duration::from_secs(1));
    assert!(now().await.unwrap() > first);
}

#[tokio::test]
async fn the_log_is_read_from_any_position() {
    let store = open();
    for _ in 0..5 {
        add(&store, 1, 1, false).await.unwrap();
    }
    let from = |segment, index| {
        store.read(move |rx| {
            Box::pin(async move { log::read(rx, Position { segment, index }, 10).await })
        })
    };
    assert_eq!(from(1, 0).await.unwrap().len(), 5);
    assert_eq!(from(3, 1).await.unwrap().len(), 2);
    let none: Result<Vec<parked::Parked>, StoreError> =
        store.read(|rx| Box::pin(async move { parked::list(rx, 1).await })).await;
    assert!(none.unwrap().is_empty());
}

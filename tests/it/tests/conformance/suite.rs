//! The promises that every engine keeps.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use contracts::clock::ManualClock;
use contracts::events::catalog::ProductRetired;
use contracts::{Draft, Event, Position, Sku};
use futures::future::join_all;
use store::parked::{self, ParkedState};
use store::requests::{Once, OnceError};
use store::{Place, Store, StoreError, Value, lease, log};

use crate::Engine;
use crate::tables::{
    CHANGED, Chore, Counter, Label, NEXT, NOON, SCHEMA, add, add_in, numbers, open, try_open,
};

/// Runs every promise on a store of its own.
pub(crate) async fn run(engine: &Engine) {
    macro_rules! promises {
        ($($name:ident)*) => {
            $({
                let site = engine.site();
                eprintln!("promise: {}", stringify!($name).replace('_', " "));
                $name(&site.place).await;
            })*
        };
    }
    promises! {
        what_fails_leaves_nothing_behind_and_what_succeeds_is_whole
        a_broken_rule_fails_the_one_who_breaks_it
        a_rule_that_only_the_schema_knows_fails_its_breaker_in_the_end
        work_that_panics_or_waits_is_undone
        a_row_changed_behind_the_cache_is_a_conflict_and_heals
        rows_are_found_by_text_as_it_is_and_read_again_beyond_the_cache
        many_new_rows_are_what_each_of_them_is
        a_bulk_statement_does_for_all_rows_what_it_does_for_one
        the_log_is_gapless_and_read_from_any_position
        a_lease_has_one_owner_and_a_growing_fence
        a_command_under_a_key_is_answered_once
        parked_events_keep_their_places_and_their_times
        deadlines_are_known_without_asking
        a_bound_stays_while_its_deadline_moves_on_a_little
        migrations_are_applied_once_and_never_changed
        a_reader_sees_one_moment
        acts_and_hooks_happen_after_commit_and_only_then
        a_restart_finds_everything
    }
}

async fn what_fails_leaves_nothing_behind_and_what_succeeds_is_whole(place: &Place) {
    let store = open(place);
    let outcomes = join_all((1..=40).map(|n| add(&store, n, 1, n % 3 == 0))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 27, "{outcomes:?}");
    assert_eq!(numbers(&store, "SELECT SUM(value) FROM counters").await, [27]);
    let positions = numbers(&store, "SELECT position FROM entries ORDER BY position").await;
    assert_eq!(positions, (1..=27).collect::<Vec<_>>());
    assert_eq!(numbers(&store, "SELECT SUM(events) FROM outbox").await, [27]);
    assert_eq!(numbers(&store, "SELECT COUNT(*) FROM parked_events").await, [27]);
    store.stop().await;
}

async fn a_broken_rule_fails_the_one_who_breaks_it(place: &Place) {
    let store = open(place);
    add(&store, 1, 5, false).await.unwrap();
    let good = join_all((2..10).map(|id| add(&store, id, 1, false)));
    let (bad, good) = tokio::join!(add(&store, 1, -6, false), good);
    assert!(
        matches!(bad, Err(StoreError::Constraint { ref name }) if name == "counters_not_negative"),
        "{bad:?}"
    );
    assert!(good.iter().all(Result::is_ok), "{good:?}");
    assert_eq!(numbers(&store, "SELECT value FROM counters WHERE id = 1").await, [5]);
    store.stop().await;
}

async fn a_rule_that_only_the_schema_knows_fails_its_breaker_in_the_end(place: &Place) {
    let store = open(place);
    let first: Vec<_> = join_all((0..40).map(|id| add(&store, id + 2, 1, false))).await;
    assert!(first.iter().all(Result::is_ok), "{first:?}");
    let bad = add(&store, 99, 1_313, false).await;
    assert!(bad.is_err());
    // From then on each is flushed alone for a while.
    let (bad, good) = tokio::join!(add(&store, 99, 1_313, false), add(&store, 100, 1, false));
    assert!(
        matches!(bad, Err(StoreError::Constraint { ref name }) if name == "entries_not_1313"),
        "{bad:?}"
    );
    good.unwrap();
    assert_eq!(numbers(&store, "SELECT SUM(value) FROM counters").await, [41]);
    // A statement of the work's own that breaks a key.
    let insert = "INSERT INTO inbox (consumer, segment, place) VALUES ('twice', 1, 1)";
    let twice = || store.transact(move |tx| Box::pin(tx.execute(insert, &[])));
    let first: Result<u64, StoreError> = twice().await;
    assert_eq!(first.unwrap(), 1);
    let second: Result<u64, StoreError> = twice().await;
    assert!(matches!(second, Err(StoreError::Constraint { .. })), "{second:?}");
    store.stop().await;
}

async fn work_that_panics_or_waits_is_undone(place: &Place) {
    let store = open(place);
    let panics: Result<(), StoreError> = store
        .transact(|tx| {
            Box::pin(async move {
                add_in(tx, 1, 1).await?;
                panic!("on purpose")
            })
        })
        .await;
    assert!(matches!(panics, Err(StoreError::Panicked(_))), "{panics:?}");
    let waits: Result<(), StoreError> = store
        .transact(|tx| {
            Box::pin(async move {
                add_in(tx, 1, 1).await?;
                tokio::task::yield_now().await;
                Ok(())
            })
        })
        .await;
    assert!(matches!(waits, Err(StoreError::Waited)), "{waits:?}");
    assert_eq!(add(&store, 1, 1, false).await.unwrap(), 1);
    assert_eq!(numbers(&store, "SELECT COUNT(*) FROM entries").await, [1]);
    store.stop().await;
}

async fn a_row_changed_behind_the_cache_is_a_conflict_and_heals(place: &Place) {
    let store = open(place);
    add(&store, 1, 5, false).await.unwrap();
    let sql = "UPDATE counters SET version = version + 10, value = $1 WHERE id = 1";
    let behind: Result<u64, StoreError> = store
        .transact(move |tx| Box::pin(async move { tx.execute(sql, &[70.into()]).await }))
        .await;
    assert_eq!(behind.unwrap(), 1);
    let stale = store.transact(|tx| Box::pin(async move { add_in(tx, 1, 1).await })).await;
    assert!(matches!(stale, Err(StoreError::RolledBack(_))), "{stale:?}");
    let healed = store.transact(|tx| Box::pin(async move { add_in(tx, 1, 1).await })).await;
    assert_eq!(healed.unwrap(), 71);
    store.stop().await;
}

async fn rows_are_found_by_text_as_it_is_and_read_again_beyond_the_cache(place: &Place) {
    let store = open(place);
    let names = ["a", "A", "a ", "ä", "b", "Z", "", "\u{1F600}", "aa", "B"];
    let label = |name: &str| Label {
        name: name.to_owned(),
        version: 1,
        doc: name.as_bytes().iter().rev().copied().chain([0, 255]).collect(),
        note: (name.len() == 1).then(|| format!("note of {name}")),
    };
    let put: Vec<_> = names.iter().map(|name| label(name)).collect();
    let expected = put.clone();
    let stored: Result<(), StoreError> = store
        .transact(move |tx| {
            Box::pin(async move {
                for label in put {
                    tx.put(label);
                }
                Ok(())
            })
        })
        .await;
    stored.unwrap();
    let read: Result<Vec<_>, StoreError> = store
        .transact(move |tx| {
            Box::pin(async move {
                let keys: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
                tx.load::<Label>(&keys).await?;
                tx.load::<Label>(&["absent".to_owned()]).await?;
                assert!(tx.get::<Label>(&"absent".to_owned()).is_none());
                Ok(keys.iter().filter_map(|key| tx.get::<Label>(key).cloned()).collect())
            })
        })
        .await;
    assert_eq!(read.unwrap(), expected);
    // Lists are in the sequence of bytes, as memory sorts them.
    let listed: Result<Vec<_>, StoreError> = store
        .read(|rx| {
            Box::pin(async move {
                let sql = "SELECT name FROM labels WHERE name >= $1 ORDER BY name LIMIT $2";
                let read = |row: &store::Row<'_>| Ok(row.text(0)?.to_owned());
                rx.query(sql, &["A".into(), 100.into()], read).await
            })
        })
        .await;
    let mut sorted: Vec<_> = names.iter().filter(|name| **name >= "A").copied().collect();
    sorted.sort_unstable();
    assert_eq!(listed.unwrap(), sorted);
    store.stop().await;
}

async fn many_new_rows_are_what_each_of_them_is(place: &Place) {
    const LABELS: usize = 300;
    // Text and bytes of every kind, and places without a value.
    let label = |n: usize| Label {
        name: format!("{n:03} tab\t, \\N, quote\", ä€🦀"),
        version: 1,
        doc: (0..n).map(|byte| u8::try_from(byte % 256).unwrap()).collect(),
        note: (!n.is_multiple_of(3)).then(|| "é\n".repeat(n % 3 - 1)),
    };
    let store = open(place);
    let put: Result<(), StoreError> = store
        .transact(move |tx| {
            Box::pin(async move {
                (0..LABELS).for_each(|n| tx.put(label(n)));
                for id in 0..40 {
                    add_in(tx, id, id).await?;
                }
                Ok(())
            })
        })
        .await;
    put.unwrap();
    assert_eq!(numbers(&store, "SELECT SUM(value) FROM counters").await, [780]);
    assert_eq!(numbers(&store, "SELECT COUNT(*) FROM counters WHERE due IS NULL").await, [40]);
    store.stop().await;
    let store = open(place);
    let found: Result<Vec<Label>, StoreError> = store
        .transact(move |tx| {
            Box::pin(async move {
                let keys: Vec<_> = (0..LABELS).map(|n| label(n).name).collect();
                tx.load::<Label>(&keys).await?;
                Ok(keys.iter().filter_map(|key| tx.get::<Label>(key).cloned()).collect())
            })
        })
        .await;
    assert_eq!(found.unwrap(), (0..LABELS).map(label).collect::<Vec<_>>());
    // One of many breaks a rule that only the schema knows.
    let broken = async || -> Result<(), StoreError> {
        let work = store.transact(|tx| {
            Box::pin(async move {
                for id in 0..50 {
                    add_in(tx, id + 100, if id == 25 { 1_313 } else { 1 }).await?;
                }
                Ok(())
            })
        });
        work.await
    };
    broken().await.unwrap_err();
    let alone = broken().await;
    assert!(
        matches!(alone, Err(StoreError::Constraint { ref name }) if name == "entries_not_1313"),
        "{alone:?}"
    );
    assert_eq!(numbers(&store, "SELECT COUNT(*) FROM counters").await, [40]);
    add(&store, 1, 1, false).await.unwrap();
    store.stop().await;
}

async fn a_bulk_statement_does_for_all_rows_what_it_does_for_one(place: &Place) {
    let store = open(place);
    let insert = "INSERT INTO index_rows (kind, value, number) VALUES ($1, $2, $3)";
    let missing = "INSERT INTO index_rows (kind, value, number) SELECT $1, $2, $3 \
                   WHERE NOT EXISTS (SELECT 1 FROM index_rows \
                   WHERE kind = $1 AND value = $2 AND number = $3)";
    let update = "UPDATE index_rows SET kind = $2 WHERE number = $1";
    let delete = "DELETE FROM index_rows WHERE kind = $1 AND value = $2 AND number = $3";
    let row = |number: i64| {
        vec![
            Value::Int(1),
            Value::OwnedBlob(vec![u8::try_from(number % 251).unwrap(), 0, 255]),
            number.into(),
        ]
    };
    let touched: Result<_, StoreError> = store
        .transact(move |tx| {
            Box::pin(async move {
                let rows = |range: std::ops::Range<i64>| range.map(row).collect::<Vec<_>>();
                let inserted = tx.bulk(insert, &rows(0..777)).await?;
                let added = tx.bulk(missing, &rows(700..800)).await?;
                let moved: Vec<Vec<Value<'_>>> =
                    (0..10).map(|number: i64| vec![number.into(), 2.into()]).collect();
                let changed = tx.bulk(update, &moved).await?;
                let removed = tx.bulk(delete, &rows(0..100)).await?;
                Ok((inserted, added, changed, removed))
            })
        })
        .await;
    assert_eq!(touched.unwrap(), (777, 23, 10, 90));
    assert_eq!(numbers(&store, "SELECT COUNT(*) FROM index_rows WHERE kind = 2").await, [10]);
    assert_eq!(numbers(&store, "SELECT COUNT(*) FROM index_rows").await, [710]);
    store.stop().await;
}

async fn the_log_is_gapless_and_read_from_any_position(place: &Place) {
    let store = open(place);
    for id in 0..5 {
        add(&store, id, 1, false).await.unwrap();
        assert!(add(&store, id, 1, true).await.is_err());
    }
    let segments = numbers(&store, "SELECT segment FROM outbox ORDER BY segment").await;
    assert_eq!(segments, [1, 2, 3, 4, 5]);
    let from = Position::start_of(3);
    let events: Result<Vec<Arc<Event>>, StoreError> =
        store.read(move |rx| Box::pin(log::read(rx, from, 2))).await;
    let places: Vec<_> = events.unwrap().iter().map(|event| event.id.position().segment).collect();
    assert_eq!(places, [3, 4]);
    let stands: Result<_, StoreError> = store
        .transact(|tx| {
            Box::pin(async move {
                let before = log::position(tx, "reader")?;
                log::set_position(tx, "reader", Position { segment: 2, index: 1 })?;
                log::set_position(tx, "reader", Position { segment: 4, index: 9 })?;
                Ok((before, log::position(tx, "reader")?))
            })
        })
        .await;
    assert_eq!(stands.unwrap(), (None, Some(Position { segment: 4, index: 9 })));
    store.stop().await;
}

async fn a_lease_has_one_owner_and_a_growing_fence(place: &Place) {
    let clock = Arc::new(ManualClock::at(NOON));
    let store = try_open(place, SCHEMA, &clock).unwrap();
    let span = Duration::from_secs(10);
    let take = |owner: &'static str| {
        store.transact(move |tx| Box::pin(lease::acquire(tx, "relay", owner, span)))
    };
    let fence = |taken: Result<Option<lease::Lease>, StoreError>| taken.unwrap().map(|l| l.fence);
    assert_eq!(fence(take("one").await), Some(1));
    assert_eq!(fence(take("two").await), None);
    assert_eq!(fence(take("one").await), Some(1));
    clock.advance(Duration::from_secs(11));
    assert_eq!(fence(take("two").await), Some(2));
    assert_eq!(fence(take("one").await), None);
    store.stop().await;
}

async fn a_command_under_a_key_is_answered_once(place: &Place) {
    let store = open(place);
    let carry_out = |key: &'static str, fingerprint: u8| {
        store.transact(move |tx| {
            Box::pin(async move {
                let fingerprint = [fingerprint; 16];
                let once = Once { scope: "add", key: key.to_owned(), fingerprint };
                if let Some(answer) = once.first_answer(tx).await? {
                    return Ok::<_, OnceError>(answer);
                }
                let answer = add_in(tx, 1, 1).await?.to_string().into_bytes();
                once.keep_answer(tx, &answer).await?;
                Ok(answer)
            })
        })
    };
    assert_eq!(carry_out("a", 1).await.unwrap(), b"1");
    assert_eq!(carry_out("a", 1).await.unwrap(), b"1");
    assert!(matches!(carry_out("a", 2).await, Err(OnceError::KeyReused)));
    assert_eq!(carry_out("b", 2).await.unwrap(), b"2");
    // Keys differ in every character.
    assert_eq!(carry_out("A", 3).await.unwrap(), b"3");
    store.stop().await;
}

async fn parked_events_keep_their_places_and_their_times(place: &Place) {
    let store = open(place);
    add(&store, 1, 1, false).await.unwrap();
    let first = Position::start_of(1);
    let events: Result<Vec<Arc<Event>>, StoreError> =
        store.read(move |rx| Box::pin(log::read(rx, first, 1))).await;
    let event = events.unwrap().pop().unwrap();
    let key = event.key().to_string();
    let later = NOON.plus(Duration::from_secs(5));
    let walked: Result<_, StoreError> = store
        .transact(move |tx| {
            Box::pin(async move {
                let next = parked::next_place(tx, "stage")?;
                let retrying = (ParkedState::Retrying, (1, Some(later), "no"));
                parked::add_at(tx, "stage", next, &event, retrying.0, retrying.1)?;
                let behind = parked::next_place(tx, "stage")?;
                let waiting = (ParkedState::Waiting, (0, None, ""));
                parked::add_at(tx, "stage", behind, &event, waiting.0, waiting.1)?;
                assert_eq!(parked::keys(tx, "stage")?.len(), 1);
                assert_eq!(parked::next_due(tx, "stage")?, Some(later));
                assert!(parked::due(tx, "stage", NOON)?.is_empty());
                let mut due = parked::due(tx, "stage", later)?;
                let mut one = due.pop().unwrap();
                one.state = ParkedState::Parked;
                one.due_at = None;
                parked::update(tx, &one)?;
                assert_eq!(parked::next_due(tx, "stage")?, None);
                let all = parked::of_key(tx, "stage", &key)?;
                parked::remove(tx, &all[0])?;
                Ok((all.len(), all[0].state, all[0].event.id == event.id))
            })
        })
        .await;
    assert_eq!(walked.unwrap(), (2, ParkedState::Parked, true));
    let listed: Result<_, StoreError> =
        store.read(|rx| Box::pin(async move { parked::list(rx, 10).await })).await;
    // `add` parked one that holds no event: it is damage, named with its table and column.
    let damaged = listed.unwrap_err().to_string();
    assert!(damaged.contains("parked_events") || damaged.contains("event"), "{damaged}");
    store.stop().await;
}

async fn deadlines_are_known_without_asking(place: &Place) {
    let clock = Arc::new(ManualClock::at(NOON));
    let store = try_open(place, SCHEMA, &clock).unwrap();
    let due = NOON.plus(Duration::from_mins(1));
    let put: Result<(), StoreError> = store
        .transact(move |tx| {
            Box::pin(async move {
                assert!(tx.may_be_due::<Counter>(tx.now()), "nobody has looked");
                tx.begin_look::<Counter>();
                tx.end_look::<Counter>(None);
                let due = Some(due.as_micros());
                tx.put(Counter { id: 1, version: 1, value: 0, due });
                Ok(())
            })
        })
        .await;
    put.unwrap();
    assert!(!store.may_be_due::<Counter>());
    clock.advance(Duration::from_secs(61));
    assert!(store.may_be_due::<Counter>());
    let found: Result<Vec<i64>, StoreError> = store
        .transact(|tx| {
            Box::pin(async move {
                let sql = "SELECT id FROM counters WHERE due IS NOT NULL AND due <= $1 \
                           ORDER BY due, id LIMIT $2";
                let now = tx.now();
                tx.query(sql, &[now.into(), 10.into()], |row| row.int(0)).await
            })
        })
        .await;
    assert_eq!(found.unwrap(), [1]);
    store.stop().await;
}

async fn a_bound_stays_while_its_deadline_moves_on_a_little(place: &Place) {
    const FIRST: i64 = 1_000;
    const MINUTE: i64 = 60_000_000;
    let put = async |store: &Store, due: Option<i64>| {
        let put: Result<(), StoreError> = store
            .transact(move |tx| {
                Box::pin(async move {
                    tx.load::<Chore>(&[1]).await?;
                    let version = tx.get::<Chore>(&1).map_or(1, |chore| chore.version + 1);
                    tx.put(Chore { id: 1, version, due });
                    Ok(())
                })
            })
            .await;
        put.unwrap();
    };
    let stored = async |store: &Store| {
        let (due, bound) =
            ("SELECT COALESCE(due, 0) FROM chores", "SELECT COALESCE(look_at, 0) FROM chores");
        (numbers(store, due).await[0], numbers(store, bound).await[0])
    };
    let store = open(place);
    put(&store, Some(FIRST)).await;
    assert_eq!(stored(&store).await, (FIRST, FIRST));
    put(&store, Some(FIRST + MINUTE)).await;
    assert_eq!(stored(&store).await, (FIRST + MINUTE, FIRST));
    store.stop().await;
    // What the table has is known again after a restart.
    let store = open(place);
    put(&store, Some(FIRST + 2 * MINUTE)).await;
    assert_eq!(stored(&store).await, (FIRST + 2 * MINUTE, FIRST));
    for _ in 0..2 {
        let found: Result<(), StoreError> = store
            .transact(|tx| {
                Box::pin(async move {
                    tx.load::<Chore>(&[1]).await?;
                    tx.found::<Chore>(&1);
                    Ok(())
                })
            })
            .await;
        found.unwrap();
        assert_eq!(stored(&store).await, (FIRST + 2 * MINUTE, FIRST + 2 * MINUTE));
    }
    put(&store, Some(FIRST + MINUTE)).await;
    assert_eq!(stored(&store).await, (FIRST + MINUTE, FIRST + MINUTE), "never behind it");
    put(&store, Some(FIRST + 90 * MINUTE)).await;
    assert_eq!(stored(&store).await, (FIRST + 90 * MINUTE, FIRST + 90 * MINUTE), "far away");
    put(&store, None).await;
    assert_eq!(stored(&store).await, (0, FIRST + 90 * MINUTE), "it may have one again");
    put(&store, None).await;
    assert_eq!(stored(&store).await, (0, 0), "settled in its version {}", Chore::SETTLED_FROM);
    put(&store, Some(FIRST)).await;
    assert_eq!(stored(&store).await, (FIRST, FIRST));
    store.stop().await;
}

async fn migrations_are_applied_once_and_never_changed(place: &Place) {
    let clock = Arc::new(ManualClock::at(NOON));
    let store = try_open(place, SCHEMA, &clock).unwrap();
    add(&store, 1, 1, false).await.unwrap();
    store.stop().await;
    // The next version finds the rows of the one before.
    let store = try_open(place, NEXT, &clock).unwrap();
    assert_eq!(numbers(&store, "SELECT COUNT(*) FROM counters WHERE more IS NULL").await, [1]);
    store.stop().await;
    let older = try_open(place, SCHEMA, &clock).map(drop).unwrap_err().to_string();
    assert!(older.contains("0002_next") && older.contains("does not know"), "{older}");
    let changed = try_open(place, CHANGED, &clock).map(drop).unwrap_err().to_string();
    assert!(changed.contains("0001_test") || changed.contains("0002_next"), "{changed}");
    let store = try_open(place, NEXT, &clock).unwrap();
    store.stop().await;
}

async fn a_reader_sees_one_moment(place: &Place) {
    let store = open(place);
    add(&store, 1, 1, false).await.unwrap();
    let (has_read, read_once) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let reading = {
        let store = store.clone();
        tokio::spawn(async move {
            let sums: Result<_, StoreError> = store
                .read(move |rx| {
                    Box::pin(async move {
                        let sum = "SELECT SUM(value) FROM counters";
                        let first = rx.query(sum, &[], |row| row.int(0)).await?;
                        has_read.send(()).unwrap();
                        // The other thread commits meanwhile; this one may block.
                        may_go_on.recv().unwrap();
                        Ok((first, rx.query(sum, &[], |row| row.int(0)).await?))
                    })
                })
                .await;
            sums.unwrap()
        })
    };
    read_once.await.unwrap();
    add(&store, 1, 10, false).await.unwrap();
    go_on.send(()).unwrap();
    assert_eq!(reading.await.unwrap(), (vec![1], vec![1]));
    assert_eq!(numbers(&store, "SELECT SUM(value) FROM counters").await, [11]);
    store.stop().await;
}

async fn acts_and_hooks_happen_after_commit_and_only_then(place: &Place) {
    let store = open(place);
    let (acts, heard) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&heard);
    let hook = move |events: &[Arc<Event>]| {
        counted.fetch_add(u32::try_from(events.len()).unwrap(), Ordering::Relaxed);
    };
    store.on_commit(Arc::new(hook)).unwrap();
    for fail in [false, true, false] {
        let acts = Arc::clone(&acts);
        let done: Result<(), StoreError> = store
            .transact(move |tx| {
                Box::pin(async move {
                    tx.after_commit(move || {
                        acts.fetch_add(1, Ordering::Relaxed);
                    });
                    let sku = Sku::try_new("x").unwrap();
                    tx.publish(Draft::new(1, ProductRetired { sku, version: 1 }));
                    if fail { Err(StoreError::Stopped) } else { Ok(()) }
                })
            })
            .await;
        assert_eq!(done.is_err(), fail);
    }
    store.stop().await;
    assert_eq!((acts.load(Ordering::Relaxed), heard.load(Ordering::Relaxed)), (2, 2));
}

async fn a_restart_finds_everything(place: &Place) {
    let store = open(place);
    let number = |store: &Store| {
        let store = store.clone();
        async move {
            let given: Result<i64, StoreError> = store
                .transact(|tx| {
                    Box::pin(async move {
                        let id = tx.number::<Counter>().await?;
                        tx.put(Counter { id, version: 1, value: id, due: None });
                        Ok(id)
                    })
                })
                .await;
            given.unwrap()
        }
    };
    assert_eq!((number(&store).await, number(&store).await), (1, 2));
    add(&store, 2, 5, false).await.unwrap();
    store.stop().await;
    let store = open(place);
    assert_eq!(number(&store).await, 3);
    assert_eq!(add(&store, 2, 1, false).await.unwrap(), 8);
    let positions = numbers(&store, "SELECT position FROM entries ORDER BY position").await;
    assert_eq!(positions, [1, 2]);
    store.stop().await;
}

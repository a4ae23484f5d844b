use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contracts::events::catalog::ProductRetired;
use contracts::{Draft, EventKind, Sku};
use futures::future::BoxFuture;
use store::parked::Parked;
use store::testing::{self, TestStore};

use super::*;

/// Remembers what it handled; fails or panics on the SKUs it is told to.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<(String, u64)>>,
    failing: Mutex<HashSet<String>>,
}

impl Handler for Recorder {
    fn handle<'t>(
        &'t self,
        tx: &'t mut Tx,
        batch: &'t [Arc<Event>],
    ) -> BoxFuture<'t, Result<(), HandlerError>> {
        Box::pin(async move {
            let mut seen = Vec::new();
            for event in batch {
                let key = event.key().to_string();
                // A write that must be undone when the batch fails.
                let insert = "INSERT INTO requests VALUES ('test', $1, x'00', x'00', 0)";
                tx.execute(insert, &[(&format!("{key}/{}", event.sequence)).into()]).await?;
                if self.failing.lock().unwrap().contains(&key) {
                    assert!(!key.starts_with("panic"), "told to panic");
                    return Err(HandlerError::from(StoreError::Stopped));
                }
                seen.push((key, event.sequence));
            }
            self.seen.lock().unwrap().extend(seen);
            Ok(())
        })
    }
}

async fn publish(store: &TestStore, sku: &'static str, sequence: u64) {
    let done: Result<(), StoreError> = store
        .transact(move |tx| {
            Box::pin(async move {
                let sku = Sku::try_new(sku).unwrap();
                tx.publish(Draft::new(sequence, ProductRetired { sku, version: sequence }));
                Ok(())
            })
        })
        .await;
    done.unwrap();
}

fn subscription(recorder: &Arc<Recorder>) -> Subscription {
    Subscription {
        consumer: "recorder",
        kinds: &[EventKind::ProductRetired],
        handler: Arc::<Recorder>::clone(recorder),
    }
}

async fn scenario(failing: &[&str]) -> (TestStore, Arc<Recorder>, Arc<ConsumerStats>) {
    let store = testing::open(&[]).unwrap();
    let recorder = Arc::new(Recorder::default());
    recorder.failing.lock().unwrap().extend(failing.iter().map(ToString::to_string));
    let stats = subscribe(&store, subscription(&recorder)).await.unwrap();
    (store, recorder, stats)
}

fn seen(recorder: &Recorder, key: &str) -> Vec<u64> {
    let seen = recorder.seen.lock().unwrap();
    seen.iter().filter(|(found, _)| found == key).map(|(_, sequence)| *sequence).collect()
}

async fn states(store: &TestStore) -> Vec<(String, &'static str, u32)> {
    let parked: Result<Vec<Parked>, StoreError> =
        store.read(|rx| Box::pin(async move { parked::list(rx, 100).await })).await;
    let parked = parked.unwrap().into_iter();
    parked.map(|event| (event.key, event.state.as_str(), event.attempts)).collect()
}

/// Moves the clock and waits until the writer has looked at it.
async fn let_pass(store: &TestStore, span: Duration) {
    store.clock.advance(span);
    tokio::time::sleep(Duration::from_millis(120)).await;
}

#[tokio::test]
async fn every_event_is_handled_once_and_in_order() {
    let (store, recorder, stats) = scenario(&[]).await;
    for sequence in 1..=20 {
        publish(&store, "a", sequence).await;
    }
    assert_eq!(seen(&recorder, "a"), (1..=20).collect::<Vec<_>>());
    assert_eq!(stats.handled.load(Ordering::Relaxed), 20);
}

#[tokio::test]
async fn a_consumer_that_comes_late_reads_what_was_committed_before() {
    let store = testing::open(&[]).unwrap();
    for sequence in 1..=200 {
        publish(&store, "a", sequence).await;
    }
    let recorder = Arc::new(Recorder::default());
    let stats = subscribe(&store, subscription(&recorder)).await.unwrap();
    publish(&store, "a", 201).await;
    let_pass(&store, Duration::ZERO).await;
    assert_eq!(seen(&recorder, "a"), (1..=201).collect::<Vec<_>>());
    assert_eq!(stats.handled.load(Ordering::Relaxed), 201);
}

#[tokio::test]
async fn a_failing_key_waits_while_others_flow_and_goes_on_in_order_when_it_is_mended() {
    for poison in ["fail", "panic"] {
        let (store, recorder, _) = scenario(&[poison]).await;
        publish(&store, poison, 1).await;
        publish(&store, "b", 1).await;
        publish(&store, poison, 2).await;
        publish(&store, "b", 2).await;
        assert_eq!(seen(&recorder, "b"), [1, 2]);
        assert_eq!(seen(&recorder, poison), [0_u64; 0]);
        let waiting = (poison.to_owned(), "waiting", 0);
        assert_eq!(states(&store).await, [(poison.to_owned(), "retrying", 1), waiting]);
        recorder.failing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
        recorder.failing.clear_poison();
        let_pass(&store, Duration::from_secs(1)).await;
        assert_eq!(seen(&recorder, poison), [1, 2], "{poison}");
        assert!(states(&store).await.is_empty());
        publish(&store, poison, 3).await;
        assert_eq!(seen(&recorder, poison), [1, 2, 3]);
    }
}

#[tokio::test]
async fn after_three_attempts_the_key_is_parked_for_a_person() {
    let (store, recorder, stats) = scenario(&["fail"]).await;
    publish(&store, "fail", 1).await;
    let_pass(&store, Duration::from_secs(1)).await;
    let_pass(&store, Duration::from_secs(10)).await;
    publish(&store, "fail", 2).await;
    let key = "fail".to_owned();
    assert_eq!(states(&store).await, [(key.clone(), "parked", 3), (key, "waiting", 0)]);
    assert_eq!(stats.blocked_keys.load(Ordering::Relaxed), 1);
    // Nothing of the failed attempts is left behind.
    let count: Result<Vec<i64>, StoreError> = store
        .read(|rx| {
            Box::pin(async move {
                rx.query("SELECT COUNT(*) FROM requests", &[], |row| row.int(0)).await
            })
        })
        .await;
    assert_eq!(count.unwrap(), [0]);
    assert!(seen(&recorder, "fail").is_empty());
}

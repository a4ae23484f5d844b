//! A producer and a consumer over the embedded log, or over a real Kafka broker.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::kafka::{self, Client, Relay, Settings};
use bus::{ConsumerStats, Handler, HandlerError, Subscription, embedded};
use contracts::clock::ManualClock;
use contracts::events::catalog::ProductRetired;
use contracts::{Draft, Event, EventKind, Sku, Timestamp};
use it::Broker;
use store::parked::{self, ParkedState};
use store::{BoxFuture, Store, StoreError, StoreOptions, Tx};
use telemetry::Tasks;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Longer than anything here takes, also beside other work on the same machine.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(10);

/// How events travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Embedded,
    Kafka,
}

/// Remembers what it handled, also in the store; fails or panics on the keys it is told to.
#[derive(Default)]
pub(crate) struct Recorder {
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
                // A write that must be undone when the batch fails, and cannot be made twice.
                let insert = "INSERT INTO requests VALUES ('test', $1, x'00', x'00', 0)";
                tx.execute(insert, &[format!("{key}/{}", event.sequence).into()]).await?;
                let fails = self.failing.lock().unwrap().contains(&key);
                if fails {
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

/// Prefixes so that worlds on one broker do not meet.
static WORLDS: AtomicU32 = AtomicU32::new(1);

/// One process with a store of its own.
pub(crate) struct Process {
    pub(crate) store: Store,
    pub(crate) tasks: Tasks,
}

impl Process {
    async fn stop(&self) {
        assert!(self.tasks.stop(PATIENCE).await, "a task does not end");
        self.store.stop().await;
    }
}

/// Everything that a case needs.
pub(crate) struct World {
    pub(crate) shape: Shape,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) settings: Settings,
    pub(crate) recorder: Arc<Recorder>,
    /// Kept so that it is there as long as the world.
    _broker: Option<Arc<Broker>>,
    pub(crate) producer: Process,
    /// On the embedded log it is the producer's process.
    pub(crate) consumer: Option<Process>,
    folders: [TempDir; 2],
}

pub(crate) fn open_store(folder: &TempDir, stream: u16, clock: &Arc<ManualClock>) -> Store {
    let clock = Arc::<ManualClock>::clone(clock);
    let (folder, schemas) = (folder.path().to_owned(), vec![kafka::SCHEMA]);
    Store::open(StoreOptions { place: folder.into(), schemas, clock, stream }).unwrap()
}

fn recorder(recorder: &Arc<Recorder>) -> Subscription {
    Subscription {
        consumer: "recorder",
        kinds: &[EventKind::ProductRetired],
        handler: Arc::<Recorder>::clone(recorder),
    }
}

impl World {
    /// A producer, and a place for a consumer.
    pub(crate) async fn open(shape: Shape) -> Self {
        let broker = match shape {
            Shape::Embedded => None,
            Shape::Kafka => Some(tokio::task::spawn_blocking(Broker::shared).await.unwrap()),
        };
        Self::open_on(shape, broker).await
    }

    pub(crate) async fn open_on(shape: Shape, broker: Option<Arc<Broker>>) -> Self {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let settings = Settings {
            bootstrap_servers: broker.as_ref().map(|broker| broker.bootstrap()).unwrap_or_default(),
            topic_prefix: format!("bus{number}."),
            partitions: 3,
            ..Settings::default()
        };
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_262_400_000_000)));
        let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let store = open_store(&folders[0], 1, &clock);
        let producer = Process { store, tasks: Tasks::default() };
        let consumer = match shape {
            Shape::Embedded => None,
            Shape::Kafka => {
                let store = open_store(&folders[1], 2, &clock);
                Some(Process { store, tasks: Tasks::default() })
            }
        };
        let recorder = Arc::new(Recorder::default());
        let world =
            Self { shape, clock, settings, recorder, _broker: broker, producer, consumer, folders };
        world.relay().await;
        world
    }

    pub(crate) async fn client(&self, tasks: &Tasks) -> Client {
        Client::connect(self.settings.clone(), Vec::new(), tasks).await.unwrap()
    }

    /// Starts the relay of the producer, if there is one.
    pub(crate) async fn relay(&self) {
        if self.shape == Shape::Kafka {
            let Process { store, tasks } = &self.producer;
            let client = self.client(tasks).await;
            Relay::start(&client, store, tasks).await.unwrap();
        }
    }

    /// Starts the consumer.
    pub(crate) async fn listen(&self) -> Arc<ConsumerStats> {
        let subscription = recorder(&self.recorder);
        let Some(Process { store, tasks }) = &self.consumer else {
            return embedded::subscribe(&self.producer.store, subscription).await.unwrap();
        };
        let client = self.client(tasks).await;
        kafka::consume(&client, store, &subscription, tasks).unwrap()
    }

    /// Ends every process and opens its store anew; the relay runs again, the consumer does not.
    pub(crate) async fn reopen(&mut self) {
        self.stop().await;
        self.producer.tasks = Tasks::default();
        self.producer.store = open_store(&self.folders[0], 1, &self.clock);
        if let Some(consumer) = &mut self.consumer {
            consumer.tasks = Tasks::default();
            consumer.store = open_store(&self.folders[1], 2, &self.clock);
        }
        self.relay().await;
    }

    async fn stop(&self) {
        if let Some(consumer) = &self.consumer {
            consumer.stop().await;
        }
        self.producer.stop().await;
    }

    pub(crate) async fn close(self) {
        self.stop().await;
    }

    pub(crate) async fn publish(&self, key: &str, sequence: u64) {
        let sku = Sku::try_new(key).unwrap();
        let done: Result<(), StoreError> = self
            .producer
            .store
            .transact(move |tx| {
                Box::pin(async move {
                    tx.publish(Draft::new(sequence, ProductRetired { sku, version: sequence }));
                    Ok(())
                })
            })
            .await;
        done.unwrap();
    }

    pub(crate) fn fail(&self, key: &str) {
        self.recorder.failing.lock().unwrap().insert(key.to_owned());
    }

    pub(crate) fn mend(&self) {
        let failing = &self.recorder.failing;
        failing.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
        failing.clear_poison();
    }

    pub(crate) fn seen(&self, key: &str) -> Vec<u64> {
        let seen = self.recorder.seen.lock().unwrap();
        seen.iter().filter(|(found, _)| found == key).map(|(_, sequence)| *sequence).collect()
    }

    pub(crate) async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition().await {
            assert!(Instant::now() < deadline, "{:?}: waited in vain until {what}", self.shape);
            sleep(LOOK).await;
        }
    }

    pub(crate) async fn until_seen(&self, key: &str, events: usize) {
        let what = format!("{events} events of {key} are seen");
        self.until(&what, async || self.seen(key).len() >= events).await;
    }

    pub(crate) fn consumers_store(&self) -> &Store {
        self.consumer.as_ref().map_or(&self.producer.store, |consumer| &consumer.store)
    }

    pub(crate) async fn until_parked(&self, wanted: &[(&str, ParkedState, u32)]) {
        let wanted: Vec<_> =
            wanted.iter().map(|(key, state, tries)| ((*key).to_owned(), *state, *tries)).collect();
        let what = format!("these wait: {wanted:?}");
        self.until(&what, async || {
            let parked: Result<_, StoreError> = self
                .consumers_store()
                .read(|rx| Box::pin(async move { parked::list(rx, 100).await }))
                .await;
            let parked = parked.unwrap().into_iter();
            let found: Vec<_> =
                parked.map(|event| (event.key, event.state, event.attempts)).collect();
            found == wanted
        })
        .await;
    }

    /// Waits until `all` effects are in the consumer's store, of which there must be no more: an event is
    /// seen a moment before its effect is committed.
    pub(crate) async fn must_have_effects(&self, all: i64) {
        let count = async || self.count("SELECT COUNT(*) FROM requests").await;
        self.until("every effect is committed", async || count().await >= all).await;
        assert_eq!(count().await, all, "{:?}", self.shape);
    }

    pub(crate) async fn count(&self, select: &'static str) -> i64 {
        let count: Result<Vec<i64>, StoreError> = self
            .consumers_store()
            .read(move |rx| Box::pin(async move { rx.query(select, &[], |row| row.int(0)).await }))
            .await;
        count.unwrap().pop().unwrap_or(0)
    }
}

//! Membership: which partitions are this consumer's, and where it stands in each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contracts::Topic;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use store::{Store, StoreError};
use tokio::runtime::Handle;

use super::super::positions::{self, Place};
use crate::policy::ConsumerStats;

/// A partition: the place of its topic among the consumer's, and its number.
pub(super) type Key = (usize, i32);

/// The places of a consumer. Its callbacks run while it polls, on its own thread.
pub(super) struct Group {
    store: Store,
    consumer: &'static str,
    topics: Arc<[Topic]>,
    names: Vec<String>,
    places: Mutex<HashMap<Key, Place>>,
    /// Offsets as the group was told them last.
    told: Mutex<HashMap<Key, i64>>,
    /// Partitions have come: so may have parked events.
    changed: AtomicBool,
    stats: Arc<ConsumerStats>,
    runtime: Handle,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Group {
    pub(super) fn new(
        store: &Store,
        consumer: &'static str,
        (topics, names): (&Arc<[Topic]>, &[String]),
        stats: &Arc<ConsumerStats>,
        runtime: &Handle,
    ) -> Self {
        Self {
            store: store.clone(),
            consumer,
            topics: Arc::clone(topics),
            names: names.to_vec(),
            places: Mutex::default(),
            told: Mutex::default(),
            changed: AtomicBool::new(true),
            stats: Arc::clone(stats),
            runtime: runtime.clone(),
        }
    }

    pub(super) fn places(&self) -> MutexGuard<'_, HashMap<Key, Place>> {
        locked(&self.places)
    }

    /// Makes a row for every partition that the consumer never had.
    pub(super) fn introduce(&self, partitions: u16) {
        for topic in 0..self.topics.len() {
            for partition in 0..i32::from(partitions) {
                self.load((topic, partition));
            }
        }
    }

    /// Whether partitions have come since this was asked last.
    pub(super) fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    /// Reads all places anew and gives them.
    pub(super) fn reload(&self) -> Vec<(Key, i64)> {
        let keys: Vec<_> = self.places().keys().copied().collect();
        let mut places = Vec::with_capacity(keys.len());
        for key in keys {
            let place = self.load(key);
            places.push((key, place.next));
            self.places().insert(key, place);
        }
        places
    }

    /// The offsets that the group has not been told.
    pub(super) fn moved(&self) -> Vec<(Key, i64)> {
        let places = self.places();
        let mut told = locked(&self.told);
        let stored = places.iter().map(|(key, place)| (*key, place.stored));
        stored.filter(|(key, next)| told.insert(*key, *next) != Some(*next)).collect()
    }

    /// Where the store says that the consumer stands. Nothing can be handled without knowing that,
    /// so this waits until the store answers.
    fn load(&self, (topic, partition): Key) -> Place {
        let name = self.topics.get(topic).map_or("", |topic| topic.name());
        let consumer = self.consumer;
        loop {
            let loaded: Result<Place, StoreError> =
                self.runtime.block_on(self.store.transact(move |tx| {
                    Box::pin(async move { positions::load(tx, consumer, name, partition).await })
                }));
            match loaded {
                Ok(place) => return place,
                // A store that has stopped handles nothing any more, from wherever.
                Err(StoreError::Stopped) => return Place::default(),
                Err(error) => {
                    tracing::warn!(%error, consumer, "a place cannot be read; trying on");
                    std::thread::sleep(super::POLL);
                }
            }
        }
    }

    fn key(&self, topic: &str, partition: i32) -> Option<Key> {
        Some((self.names.iter().position(|name| name == topic)?, partition))
    }

    fn count(&self) {
        let count = u64::try_from(self.places().len()).unwrap_or(0);
        self.stats.partitions.store(count, Ordering::Relaxed);
    }

    fn assigned(&self, list: &TopicPartitionList) {
        for mut element in list.elements() {
            let Some(key) = self.key(element.topic(), element.partition()) else { continue };
            let place = self.load(key);
            if let Err(error) = element.set_offset(Offset::Offset(place.next)) {
                tracing::error!(%error, next = place.next, "a place is not one");
            }
            self.places().insert(key, place);
        }
        self.changed.store(true, Ordering::Relaxed);
        self.stats.is_joining.store(false, Ordering::Relaxed);
        self.count();
    }

    fn revoked(&self, list: &TopicPartitionList) {
        for element in list.elements() {
            if let Some(key) = self.key(element.topic(), element.partition()) {
                self.places().remove(&key);
                locked(&self.told).remove(&key);
            }
        }
        self.count();
    }
}

impl ClientContext for Group {
    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        tracing::debug!(consumer = self.consumer, %error, reason, "the client of Kafka complains");
    }
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.assigned(list),
            Rebalance::Revoke(list) => self.revoked(list),
            Rebalance::Error(error) => {
                tracing::warn!(consumer = self.consumer, %error, "the group cannot be shared out");
            }
        }
    }
}

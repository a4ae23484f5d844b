//! The relay: publishes what a store has committed, in the order of its log.
//!
//! It holds a lease, so that one instance of several does the work; it may fail at any moment and
//! begin again where it last recorded, because every record names the one before it in its partition
//! and consumers pass over what they have had. Rows of the outbox are kept: [`replay`] publishes
//! them again.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contracts::{Event, Position, Timestamp, Topic};
use store::{Reader, Store, StoreError, lease, log};
use telemetry::Tasks;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::lines::Lines;
use super::positions::{self, Published, RELAY};
use super::{Client, KafkaError, Settings, Topics};
use crate::policy::count;

/// Segments that are read from the outbox at a time, by a relay that is behind.
const SEGMENTS_MAX: u32 = 64;
/// Committed events that wait in memory; beyond that the relay is behind, and reads the outbox.
const FRESH_MAX: usize = 65_536;
/// Events that are published before their answers are waited for.
const EVENTS_MAX: usize = 8_192;
/// How often the outbox is looked at when nobody says that there is something. Seldom: rows that wait
/// for their tables must go there before anybody reads.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long a relay without work rests unless it is woken.
const REST: Duration = Duration::from_millis(100);
/// At most this long after its answer, what is published is recorded as published.
const RECORD_AFTER: Duration = Duration::from_millis(100);
/// For how long the lease is taken, and when it is renewed.
const LEASE: Duration = Duration::from_secs(10);
const RENEW_AFTER: Duration = Duration::from_secs(3);
/// The pause before another attempt, and while another instance has the lease.
const AGAIN: Duration = Duration::from_millis(500);

/// What the relay has done since it started.
#[derive(Debug, Default)]
pub struct RelayStats {
    /// Events published.
    pub published: AtomicU64,
    /// Attempts that failed.
    pub failures: AtomicU64,
    /// Events that are too large for any topic.
    pub refused: AtomicU64,
    /// Microseconds between an event and its being published, as of the last one.
    pub delay_micros: AtomicU64,
    /// The time of the first event that is not published, in microseconds since 1970; 0 if all are.
    waiting_since: AtomicU64,
    /// Whether this relay is the one that publishes.
    is_active: AtomicBool,
}

impl RelayStats {
    /// How long the first event that is not published has waited at `now`, in microseconds.
    pub fn waiting_micros(&self, now: Timestamp) -> u64 {
        match self.waiting_since.load(Ordering::Relaxed) {
            0 => 0,
            since => u64::try_from(now.as_micros()).unwrap_or(0).saturating_sub(since),
        }
    }

    /// An event waits that may be the first.
    fn waits(&self, event: &Event) {
        if !self.is_active.load(Ordering::Relaxed) {
            return;
        }
        let since = u64::try_from(event.time.as_micros()).unwrap_or(0);
        let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.waiting_since.compare_exchange(0, since, set, seen).is_err() {
            // Another one that waits was there before.
        }
    }

    /// Another relay publishes, or this one does.
    fn set_active(&self, is_active: bool) {
        self.is_active.store(is_active, Ordering::Relaxed);
        if !is_active {
            self.went(None);
        }
    }

    /// What was taken is published; `first` is what waits next.
    fn went(&self, first: Option<Timestamp>) {
        let since = first.map_or(0, |first| u64::try_from(first.as_micros()).unwrap_or(0));
        self.waiting_since.store(since, Ordering::Relaxed);
    }
}

/// Why a session of the relay ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("another instance has the lease")]
    Lease,
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was committed and is not published, as the writer tells of it.
#[derive(Default)]
struct Fresh(Mutex<VecDeque<Arc<Event>>>);

impl Fresh {
    fn add(&self, events: &[Arc<Event>]) {
        let mut fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.len().saturating_add(events.len()) > FRESH_MAX {
            fresh.clear();
            return;
        }
        fresh.extend(events.iter().cloned());
    }

    /// The time of the first event that is here.
    fn first(&self) -> Option<Timestamp> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.front().map(|event| event.time)
    }

    /// Whole segments from `next` on, at most about [`EVENTS_MAX`] events; nothing if the first of
    /// them is not here, and `behind` then says whether later ones are.
    fn take(&self, next: Position) -> (Vec<Arc<Event>>, bool) {
        let mut fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |event: &Arc<Event>| event.id.position();
        let old = fresh.partition_point(|event| place(event) < next);
        fresh.drain(..old);
        let Some(first) = fresh.front() else { return (Vec::new(), false) };
        if place(first) != next {
            return (Vec::new(), true);
        }
        let last = fresh.get(EVENTS_MAX).map(|event| place(event).segment);
        // The segment that is cut by the limit is taken next time, unless it is the only one.
        let end = match last {
            Some(last) if last > next.segment => {
                fresh.partition_point(|event| place(event).segment < last)
            }
            Some(_) => fresh.partition_point(|event| place(event).segment <= next.segment),
            None => fresh.len(),
        };
        (fresh.drain(..end).collect(), false)
    }
}

/// The relay of one store.
pub struct Relay {
    client: Client,
    store: Store,
    tasks: Tasks,
    /// Unique among all processes that run at the same time.
    owner: String,
    stats: Arc<RelayStats>,
    wake: Arc<Notify>,
    fresh: Arc<Fresh>,
}

impl Relay {
    /// Starts the relay of `store` in the background.
    ///
    /// A process that has its store alone takes the lease from whoever had it: the store's lock proves
    /// that they are gone. One of several instances bears the number that the store gave it, and goes
    /// on with the lease of the process that had that number before.
    pub async fn start(
        client: &Client,
        store: &Store,
        tasks: &Tasks,
    ) -> Result<Arc<RelayStats>, StoreError> {
        let stats = Arc::new(RelayStats::default());
        stats.set_active(true);
        let wake = Arc::new(Notify::new());
        let hint = Arc::clone(&wake);
        let fresh = Arc::new(Fresh::default());
        let (told, told_stats) = (Arc::clone(&fresh), Arc::clone(&stats));
        store.on_commit(Arc::new(move |events| {
            if let Some(first) = events.first() {
                told_stats.waits(first);
            }
            told.add(events);
            hint.notify_one();
        }))?;
        let owner = if let Some(instance) = store.instance() {
            format!("instance-{instance}")
        } else {
            seize(store).await?;
            "alone".to_owned()
        };
        let relay = Self {
            client: client.clone(),
            store: store.clone(),
            tasks: tasks.clone(),
            owner,
            stats: Arc::clone(&stats),
            wake,
            fresh,
        };
        tasks.spawn("kafka-relay", relay.run());
        Ok(stats)
    }

    async fn run(self) {
        let stopping = self.tasks.stopping();
        let work = async {
            self.client.ready().await;
            loop {
                match self.session().await {
                    // The other instance does the work.
                    Ended::Lease => self.stats.set_active(false),
                    error @ (Ended::Kafka(_) | Ended::Store(_)) => {
                        count(&self.stats.failures, 1);
                        tracing::warn!(%error, "the outbox cannot be published; trying on");
                    }
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = stopping.cancelled() => {}
        }
        // Another instance need not wait until the lease ends by itself.
        let owner = self.owner.clone();
        let released: Result<(), StoreError> = self
            .store
            .transact(move |tx| Box::pin(async move { lease::release(tx, RELAY, &owner).await }))
            .await;
        if let Err(error) = released {
            tracing::debug!(%error, "the lease of the relay ends by itself");
        }
    }

    /// Publishes until something goes wrong.
    async fn session(&self) -> Ended {
        match Session::begin(self).await {
            Ok(mut session) => loop {
                self.stats.set_active(true);
                if let Err(ended) = session.turn(self).await {
                    return ended;
                }
            },
            Err(ended) => ended,
        }
    }
}

/// Ends the lease of an owner that cannot be alive.
async fn seize(store: &Store) -> Result<(), StoreError> {
    store
        .transact(|tx| {
            Box::pin(async move {
                let select = "SELECT owner FROM leases WHERE name = $1";
                let read = |row: &store::Row<'_>| Ok(row.text(0)?.to_owned());
                for owner in tx.look_up(select, &[RELAY.into()], read).await? {
                    lease::release(tx, RELAY, &owner).await?;
                }
                Ok(())
            })
        })
        .await
}

/// A connection, and how far the relay has got with it.
struct Session {
    lines: Lines,
    /// The first event that is not published.
    next: Position,
    /// What changed since it was recorded.
    unrecorded: HashMap<(Topic, i32), Published>,
    recorded: Position,
    recorded_at: Instant,
    /// When the outbox has nothing more than what was told, as of the last look.
    looked_at: Option<Instant>,
}

impl Session {
    async fn begin(relay: &Relay) -> Result<Self, Ended> {
        let owner = relay.owner.clone();
        let begun: Result<_, Ended> = relay
            .store
            .transact(move |tx| {
                Box::pin(async move {
                    // Questions first, changes behind them.
                    let published = positions::published(tx).await?;
                    let next = log::position(tx, RELAY)?.unwrap_or(Position::start_of(1));
                    let lease = lease::acquire(tx, RELAY, &owner, LEASE).await?;
                    lease.ok_or(Ended::Lease)?;
                    Ok((next, published))
                })
            })
            .await;
        let (next, published) = begun?;
        let topic = |name: &str| Topic::ALL.into_iter().find(|topic| topic.name() == name);
        let last = published.into_iter().filter_map(|((name, partition), published)| {
            Some(((topic(&name)?, partition), published.position))
        });
        let last = last.collect();
        let lines = Lines::open(&relay.client.settings, relay.client.topics.clone(), last)?;
        let unrecorded = HashMap::new();
        let (recorded, recorded_at, looked_at) = (next, Instant::now(), None);
        Ok(Self { lines, next, unrecorded, recorded, recorded_at, looked_at })
    }

    /// Publishes what is there, or waits for more.
    async fn turn(&mut self, relay: &Relay) -> Result<(), Ended> {
        let events = self.find(relay).await?;
        let since = self.recorded_at.elapsed();
        let records = self.next != self.recorded && since >= RECORD_AFTER;
        if records || since >= RENEW_AFTER {
            self.record(relay).await?;
        }
        if let Some(first) = events.first() {
            relay.stats.waits(first);
        }
        let Some(last) = events.last() else {
            relay.stats.went(relay.fresh.first());
            let hint = relay.wake.notified();
            // A timer is no error: whoever is woken also looks.
            drop(tokio::time::timeout(REST, hint).await);
            return Ok(());
        };
        let sent = self.lines.send(&events, &relay.stats.refused).await?;
        for (place, published) in sent {
            self.unrecorded.insert(place, published);
        }
        let published_to = last.id.position().segment.saturating_add(1);
        self.next = Position::start_of(published_to);
        count(&relay.stats.published, events.len());
        let delay = relay.store.clock().now().since(last.time).as_micros();
        relay.stats.delay_micros.store(u64::try_from(delay).unwrap_or(0), Ordering::Relaxed);
        relay.stats.went(relay.fresh.first());
        Ok(())
    }

    /// What is to be published next: as the writer told it, or from the outbox.
    async fn find(&mut self, relay: &Relay) -> Result<Vec<Arc<Event>>, StoreError> {
        let (told, is_behind) = relay.fresh.take(self.next);
        let looked = self.looked_at.is_some_and(|at| at.elapsed() < LOOK_AGAIN);
        if !told.is_empty() || (looked && !is_behind) {
            return Ok(told);
        }
        let from = self.next;
        let read: Result<Vec<Arc<Event>>, StoreError> = relay
            .store
            .read(move |rx| Box::pin(async move { log::read(rx, from, SEGMENTS_MAX).await }))
            .await;
        let events = read?;
        self.looked_at = events.is_empty().then(Instant::now);
        Ok(events)
    }

    /// Records how far the relay has got, and keeps the lease.
    async fn record(&mut self, relay: &Relay) -> Result<(), Ended> {
        let (owner, next) = (relay.owner.clone(), self.next);
        let moved = next != self.recorded;
        let named =
            |((topic, part), published): ((Topic, i32), _)| ((topic.name(), part), published);
        let published: Vec<_> = self.unrecorded.drain().map(named).collect();
        let done: Result<(), Ended> = relay
            .store
            .transact(move |tx| {
                Box::pin(async move {
                    let lease = lease::acquire(tx, RELAY, &owner, LEASE).await?;
                    lease.ok_or(Ended::Lease)?;
                    if moved {
                        log::set_position(tx, RELAY, next)?;
                    }
                    Ok(positions::set_published(tx, &published).await?)
                })
            })
            .await;
        done?;
        self.recorded = next;
        self.recorded_at = Instant::now();
        Ok(())
    }
}

/// Publishes the log behind `reader` once more, from the segment `from` on; gives the number of
/// events. Consumers pass over what they have had, and take what they have missed.
pub async fn replay(
    settings: &Settings,
    reader: &Reader,
    from: u64,
    topic: Option<Topic>,
) -> Result<u64, KafkaError> {
    super::topics::ensure(settings, &[]).await?;
    let mut lines = Lines::open(settings, Topics::new(settings), HashMap::new())?;
    let refused = AtomicU64::new(0);
    let mut next = Position::start_of(1);
    let mut published: u64 = 0;
    loop {
        let events: Result<_, StoreError> = reader
            .read(move |rx| Box::pin(async move { log::read(rx, next, SEGMENTS_MAX).await }))
            .await;
        let mut events = events?;
        let Some(last) = events.last() else { return Ok(published) };
        next = Position::start_of(last.id.position().segment.saturating_add(1));
        events.retain(|event| topic.is_none_or(|topic| topic == event.topic()));
        // What comes before is only counted, so that the first record names the one before it.
        let first = events.partition_point(|event| event.id.position().segment < from);
        let (before, again) = events.split_at(first);
        lines.pass(before);
        lines.send(again, &refused).await?;
        published = published.saturating_add(u64::try_from(again.len()).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use contracts::events::catalog::ProductRetired;
    use contracts::{EventId, Sku, Timestamp};

    use super::*;

    fn events(segment: u64, count: u32) -> Vec<Arc<Event>> {
        let event = |index| {
            let position = Position { segment, index };
            let sku = Sku::try_new("item1").unwrap();
            Arc::new(Event {
                id: EventId::new(Timestamp::default(), 0, position),
                sequence: 1,
                time: Timestamp::default(),
                correlation: None,
                causation: None,
                traceparent: None,
                data: ProductRetired { sku, version: 1 }.into(),
            })
        };
        (0..count).map(event).collect()
    }

    fn taken(fresh: &Fresh, segment: u64) -> (usize, bool) {
        let (events, is_behind) = fresh.take(Position::start_of(segment));
        let in_sequence = events.is_sorted_by_key(|event| event.id.position());
        assert!(in_sequence);
        (events.len(), is_behind)
    }

    #[test]
    fn what_was_told_is_taken_from_where_the_relay_stands() {
        let fresh = Fresh::default();
        assert_eq!(taken(&fresh, 1), (0, false));
        for segment in 3..=5 {
            fresh.add(&events(segment, 2));
        }
        // Segments 1 and 2 were committed before anybody told of them.
        assert_eq!(taken(&fresh, 1), (0, true));
        // The relay has read up to 3 from the outbox.
        assert_eq!(taken(&fresh, 4), (4, false));
        assert_eq!(taken(&fresh, 6), (0, false));
    }

    #[test]
    fn a_segment_is_taken_whole_and_too_much_is_left_to_the_outbox() {
        let fresh = Fresh::default();
        let many = u32::try_from(EVENTS_MAX).unwrap();
        fresh.add(&events(1, many - 1));
        fresh.add(&events(2, 5));
        assert_eq!(taken(&fresh, 1), (EVENTS_MAX - 1, false));
        assert_eq!(taken(&fresh, 2), (5, false));
        fresh.add(&events(3, many + 7));
        fresh.add(&events(4, 1));
        assert_eq!(taken(&fresh, 3), (EVENTS_MAX + 7, false));
        assert_eq!(taken(&fresh, 4), (1, false));
        for segment in 5..15 {
            fresh.add(&events(segment, many));
        }
        assert_eq!(taken(&fresh, 5), (0, true));
    }
}

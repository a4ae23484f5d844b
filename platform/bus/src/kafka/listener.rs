//! A listener: hears whole topics without a group and without a store, for processes that only tell.
//!
//! Every instance hears everything, so partitions are not shared out and no place is kept: it begins
//! some seconds before its own start, and whoever needs what was before that asks [`recall`]. What it
//! hears is placed in time, not by offsets: times mean the same on every instance. Topics are made with
//! the brokers' time ([`super::topics`]), so a record cannot be older than one that was there before it.
//!
//! At full load most of what it hears interests nobody, and to decode it would be most of its work: which
//! kinds are wanted is asked for each record, and of the others only the key is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use contracts::cloudevents::{self, RecordError};
use contracts::{Event, EventKind, Timestamp, Topic};
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError as Cause;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use telemetry::Tasks;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::headers::Headers;
use super::{Client, KafkaError};
use crate::policy::count;

/// What is handed over in one piece, at most.
const RECORDS_MAX: usize = 4_096;
/// How long a listener waits for a record before it looks whether it shall stop.
const POLL: Duration = Duration::from_millis(100);
/// How long the brokers may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts to begin.
const AGAIN: Duration = Duration::from_millis(500);
/// It begins so long before its start: what is committed while it starts must not be missed, and the
/// clocks of machines are never quite the same.
const BEFORE_START: Duration = Duration::from_secs(5);
/// How long [`recall`] may take in all.
const RECALL_WITHIN: Duration = Duration::from_secs(10);

/// What a listener has done since its start.
#[derive(Debug, Default)]
pub struct ListenerStats {
    /// Events heard.
    pub heard: AtomicU64,
    /// Records that are no event, or of a type that this version does not know.
    pub unknown: AtomicU64,
    /// Times that the log had lost what was to be heard next.
    pub gaps: AtomicU64,
    /// Times that it could not hear.
    pub failures: AtomicU64,
    /// Whether it hears: 1 once it has begun and no broker has failed it since.
    pub is_hearing: AtomicU64,
}

/// When the log got an event, and the event.
pub type Dated = (Timestamp, Arc<Event>);

/// What was heard.
#[derive(Debug, Default)]
pub struct Heard {
    /// Events that were wanted, those of each key in their sequence, and when the log got them.
    pub events: Vec<Dated>,
    /// The topic and the key of every record, wanted or not.
    pub keys: Vec<(Topic, String)>,
    /// The time of the newest record that was heard.
    pub up_to: Timestamp,
    /// Something before these events is lost: what was known must be read anew.
    pub has_gap: bool,
}

/// Who is told. Both are called on the listener's own thread, and must be quick.
pub trait Hear: Send + 'static {
    /// Whether the next event, which is of this kind, is needed.
    fn wants(&self, kind: EventKind) -> bool;

    /// Takes what was heard.
    fn hear(&mut self, heard: Heard);
}

/// Who needs every event.
impl<F: FnMut(Heard) + Send + 'static> Hear for F {
    fn wants(&self, _: EventKind) -> bool {
        true
    }

    fn hear(&mut self, heard: Heard) {
        self(heard);
    }
}

/// Hears `topics` from a little before `now` on, until the process stops.
pub fn listen(
    client: &Client,
    topics: &[Topic],
    now: Timestamp,
    hear: impl Hear,
    tasks: &Tasks,
) -> Result<Arc<ListenerStats>, KafkaError> {
    let stats = Arc::new(ListenerStats::default());
    let since = earlier(now, BEFORE_START);
    let mut listener = Listener {
        kafka: consumer(client, "live")?,
        topics: topics.iter().map(|topic| (client.topics.name(*topic), *topic)).collect(),
        partitions: i32::from(client.topics.partitions),
        since,
        newest: since,
        hear,
        stats: Arc::clone(&stats),
        stopping: tasks.stopping(),
    };
    let (ready, runtime) = (client.clone(), Handle::current());
    let thread = std::thread::Builder::new().name("bus-live".into());
    let run = move || {
        let stopping = listener.stopping.clone();
        let is_ready = runtime.block_on(async {
            tokio::select! {
                () = ready.ready() => true,
                () = stopping.cancelled() => false,
            }
        });
        if is_ready {
            listener.run();
        }
    };
    thread.spawn(run).map_err(|error| {
        KafkaError::Store(store::StoreError::Open(format!("cannot start a listener: {error}")))
    })?;
    Ok(stats)
}

/// A consumer that is in no group and keeps no place.
fn consumer(client: &Client, name: &str) -> Result<BaseConsumer, KafkaError> {
    let mut config = client.settings.client(name);
    config
        // The client wants a name; without a subscription and commits no group comes to be.
        .set("group.id", client.settings.group(name))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A place that is gone is noticed, not passed over.
        .set("auto.offset.reset", "error")
        .set("fetch.wait.max.ms", "100")
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("queued.max.messages.kbytes", "16384");
    config.create().map_err(|cause| KafkaError::client("cannot make a listener", cause))
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(time.as_micros().saturating_sub(by))
}

fn millis(time: Timestamp) -> i64 {
    time.as_micros().div_euclid(1_000)
}

/// When the log got a record.
fn time_of(message: &BorrowedMessage<'_>) -> Timestamp {
    let millis = message.timestamp().to_millis().unwrap_or(0);
    Timestamp::from_micros(millis.saturating_mul(1_000))
}

fn decoded(headers: &Headers<'_>, message: &BorrowedMessage<'_>) -> Result<Event, RecordError> {
    cloudevents::decode(|name| headers.get(name), message.payload().unwrap_or_default())
}

/// The places in every partition behind which everything is that the log got since `since`, and the ends
/// of the partitions. The ends are asked for first: what comes meanwhile is behind them.
fn places(
    kafka: &BaseConsumer,
    names: &[String],
    partitions: i32,
    since: Timestamp,
) -> Result<Vec<Place>, KafkaError> {
    let failed = |cause| KafkaError::client("cannot ask where the topics are", cause);
    let mut places = Vec::new();
    let mut times = TopicPartitionList::new();
    for name in names {
        for partition in 0..partitions {
            let (low, high) = kafka.fetch_watermarks(name, partition, PATIENCE).map_err(failed)?;
            let time = Offset::Offset(millis(since).max(0));
            times.add_partition_offset(name, partition, time).map_err(failed)?;
            places.push(Place { topic: name.clone(), partition, low, from: high, end: high });
        }
    }
    let found = kafka.offsets_for_times(times, PATIENCE).map_err(failed)?;
    for place in &mut places {
        let found = found.find_partition(&place.topic, place.partition).map(|one| one.offset());
        if let Some(Offset::Offset(offset)) = found {
            place.from = offset.min(place.end);
        }
    }
    Ok(places)
}

/// What is to be read of a partition.
#[derive(Debug)]
struct Place {
    topic: String,
    partition: i32,
    /// The first record that is kept.
    low: i64,
    from: i64,
    /// Behind the last record.
    end: i64,
}

fn assign<'p>(
    kafka: &BaseConsumer,
    places: impl Iterator<Item = &'p Place>,
) -> Result<(), KafkaError> {
    let failed = |cause| KafkaError::client("cannot read the topics", cause);
    let mut list = TopicPartitionList::new();
    for place in places {
        let from = Offset::Offset(place.from);
        list.add_partition_offset(&place.topic, place.partition, from).map_err(failed)?;
    }
    kafka.assign(&list).map_err(failed)
}

struct Listener<H> {
    kafka: BaseConsumer,
    /// The topics, with their names on the brokers.
    topics: Vec<(String, Topic)>,
    partitions: i32,
    /// Where it begins.
    since: Timestamp,
    /// The time of the newest record.
    newest: Timestamp,
    hear: H,
    stats: Arc<ListenerStats>,
    stopping: CancellationToken,
}

impl<H: Hear> Listener<H> {
    fn run(&mut self) {
        while !self.stopping.is_cancelled() {
            match self.begin() {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, "live streams cannot hear yet; trying on"),
            }
            std::thread::sleep(AGAIN);
        }
        while !self.stopping.is_cancelled() {
            let heard = self.gather();
            // A record without a key can hold an event as well.
            if !heard.events.is_empty() || !heard.keys.is_empty() || heard.has_gap {
                self.hear.hear(heard);
            }
        }
    }

    fn begin(&self) -> Result<(), KafkaError> {
        let names: Vec<_> = self.topics.iter().map(|(name, _)| name.clone()).collect();
        let places = places(&self.kafka, &names, self.partitions, self.since)?;
        assign(&self.kafka, places.iter())?;
        self.stats.is_hearing.store(1, Ordering::Release);
        Ok(())
    }

    /// What is there; waits for the first record only.
    fn gather(&mut self) -> Heard {
        let (mut heard, mut wait) = (Heard::default(), POLL);
        for _ in 0..RECORDS_MAX {
            match self.kafka.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    wait = Duration::ZERO;
                    self.stats.is_hearing.store(1, Ordering::Release);
                    self.newest = self.newest.max(time_of(&message));
                    self.take(&message, &mut heard);
                }
                Some(Err(error)) => {
                    wait = Duration::ZERO;
                    heard.has_gap |= self.failed(&error);
                }
            }
        }
        heard.up_to = self.newest;
        heard
    }

    fn take(&self, message: &BorrowedMessage<'_>, heard: &mut Heard) {
        let topic = self.topics.iter().find(|(name, _)| name == message.topic());
        if let Some((_, topic)) = topic
            && let Some(Ok(key)) = message.key().map(std::str::from_utf8)
        {
            heard.keys.push((*topic, key.to_owned()));
        }
        let headers = Headers::of(message);
        if headers.kind().is_some_and(|kind| !self.hear.wants(kind)) {
            count(&self.stats.heard, 1);
            return;
        }
        match decoded(&headers, message) {
            Ok(event) => {
                count(&self.stats.heard, 1);
                heard.events.push((time_of(message), Arc::new(event)));
            }
            // Consumers with a store put such records aside; here nobody needs them.
            Err(_) => count(&self.stats.unknown, 1),
        }
    }

    /// Whether something is lost.
    fn failed(&mut self, error: &Cause) -> bool {
        self.stats.is_hearing.store(0, Ordering::Release);
        count(&self.stats.failures, 1);
        let reset = RDKafkaErrorCode::AutoOffsetReset;
        let is_lost = matches!(error, Cause::MessageConsumption(code) if *code == reset);
        let what = if is_lost {
            "the log has lost what live streams were to hear; going on behind it"
        } else {
            "live streams cannot hear; the client tries on by itself"
        };
        tracing::warn!(%error, "{what}");
        if !is_lost {
            return false;
        }
        self.begin_again();
        true
    }

    fn begin_again(&mut self) {
        count(&self.stats.gaps, 1);
        self.since = self.newest;
        if let Err(error) = self.begin() {
            tracing::warn!(%error, "live streams cannot begin again");
        }
    }
}

/// What the log got since `since`, in the sequence of its times; `None` if it does not keep that any
/// more, or if there are more than `events_max`.
pub async fn recall(
    client: &Client,
    topics: &[Topic],
    since: Timestamp,
    events_max: usize,
) -> Result<Option<Vec<Dated>>, KafkaError> {
    let names: Vec<_> = topics.iter().map(|topic| client.topics.name(*topic)).collect();
    let client = client.clone();
    let look = tokio::task::spawn_blocking(move || {
        let partitions = i32::from(client.topics.partitions);
        let kafka = consumer(&client, "live-recall")?;
        let places = places(&kafka, &names, partitions, since)?;
        // Something was there and is gone: nobody knows whether it was older than `since`.
        if places.iter().any(|place| place.low > 0 && place.from <= place.low) {
            return Ok(None);
        }
        read(&kafka, &places, events_max)
    });
    look.await.map_err(|_ended| store::StoreError::Stopped)?
}

fn read(
    kafka: &BaseConsumer,
    places: &[Place],
    events_max: usize,
) -> Result<Option<Vec<Dated>>, KafkaError> {
    let is_open = |place: &&Place| place.from < place.end;
    let mut open: Vec<_> = places.iter().filter(is_open).collect();
    assign(kafka, open.iter().copied())?;
    let mut events = Vec::new();
    let mut silence = Duration::ZERO;
    while !open.is_empty() {
        match kafka.poll(POLL) {
            None => {
                silence += POLL;
                if silence >= RECALL_WITHIN {
                    let cause = Cause::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
                    return Err(KafkaError::client("cannot read what was missed", cause));
                }
            }
            Some(Err(cause)) => {
                return Err(KafkaError::client("cannot read what was missed", cause));
            }
            Some(Ok(message)) => {
                silence = Duration::ZERO;
                let (topic, partition) = (message.topic(), message.partition());
                let is_its = |place: &&Place| place.topic == topic && place.partition == partition;
                let Some(at) = open.iter().position(is_its) else { continue };
                if let Ok(event) = decoded(&Headers::of(&message), &message) {
                    events.push((time_of(&message), Arc::new(event)));
                }
                if open.get(at).is_some_and(|place| message.offset() + 1 >= place.end) {
                    open.swap_remove(at);
                }
                if events.len() > events_max {
                    return Ok(None);
                }
            }
        }
    }
    // Stable: those of each key stay in their sequence.
    events.sort_by_key(|(time, _)| *time);
    Ok(Some(events))
}

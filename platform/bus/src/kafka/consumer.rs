//! A consumer: reads the partitions that its group gives it, from where its own store says.
//!
//! One thread per consumer, so that what a rebalance takes away is never in the middle of a batch:
//! batches and rebalances take turns. A member that was paused and comes back late finds that the
//! place it would move from has moved ([`super::positions`]), and its effect is undone with it.

mod deadletters;
mod group;
mod record;
mod work;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contracts::{EventKind, Topic};
use futures::future::BoxFuture;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError as Cause;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use store::Store;
use telemetry::Tasks;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Client, KafkaError};
use crate::policy::{ConsumerStats, Wanted};
use crate::{Handler, HandlerError, Subscription};
use deadletters::DeadLetters;
use group::Group;
use record::Record;
use work::Worker;

/// What is handled in one piece, at most.
const RECORDS_MAX: usize = 1_024;
const BYTES_MAX: usize = 1_024 * 1_024;
/// How long a consumer waits for a record before it looks at what else is due.
const POLL: Duration = Duration::from_millis(50);
/// How long a consumer waits before it joins its group anew.
const JOIN_AGAIN: Duration = Duration::from_secs(1);
/// How often the group is told how far its members are. It is a hint for people who watch the lag.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// What a consumer does that acts outside of the store: it is told of events before they count as
/// handled, so it may be told of one twice.
pub trait Outward: Send + Sync + 'static {
    /// Acts on `batch`, in its sequence. An error makes the same events come again.
    fn deliver<'b>(
        &'b self,
        batch: &'b [Arc<contracts::Event>],
    ) -> BoxFuture<'b, Result<(), HandlerError>>;
}

/// A consumer that acts outside of the store.
#[derive(Clone)]
pub struct OutwardSubscription {
    /// The consumer's name.
    pub consumer: &'static str,
    /// What it wants to hear.
    pub kinds: &'static [EventKind],
    /// What it does.
    pub outward: Arc<dyn Outward>,
}

/// What is done with events.
#[derive(Clone)]
pub(crate) enum Work {
    Inside(Arc<dyn Handler>),
    Outside(Arc<dyn Outward>),
}

/// Starts a consumer whose effects are in `store`.
pub fn consume(
    client: &Client,
    store: &Store,
    subscription: &Subscription,
    tasks: &Tasks,
) -> Result<Arc<ConsumerStats>, KafkaError> {
    let Subscription { consumer, kinds, handler } = subscription;
    let work = Work::Inside(Arc::clone(handler));
    Consumer::start(client, store, (consumer, kinds, work), tasks)
}

/// Starts a consumer that acts outside and keeps its place in `store`.
pub fn deliver(
    client: &Client,
    store: &Store,
    subscription: &OutwardSubscription,
    tasks: &Tasks,
) -> Result<Arc<ConsumerStats>, KafkaError> {
    let OutwardSubscription { consumer, kinds, outward } = subscription;
    let work = Work::Outside(Arc::clone(outward));
    Consumer::start(client, store, (consumer, kinds, work), tasks)
}

/// A consumer, on its own thread.
struct Consumer {
    kafka: BaseConsumer<Group>,
    /// The topics that carry what it wants, in the sequence of [`Topic::ALL`].
    topics: Arc<[Topic]>,
    names: Vec<String>,
    worker: Worker,
    stopping: CancellationToken,
    told_at: Instant,
    /// Its client is of no use any more: only another one can join the group.
    is_out: bool,
}

type Wants<'a> = (&'static str, &'a [EventKind], Work);

/// A client that joins the group once it subscribes.
fn member(
    client: &Client,
    worker: &Worker,
    names: &[String],
) -> Result<BaseConsumer<Group>, KafkaError> {
    let Worker { name, store, topics, stats, runtime, .. } = worker;
    let group = Group::new(store, name, (topics, names), stats, runtime);
    let mut config = client.settings.client(name);
    config
        .set("group.id", client.settings.group(name))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A member that is gone without a word is missed after this.
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "2000")
        // Only where our own place is no longer, or not yet, in the log.
        .set("auto.offset.reset", "earliest")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("topic.metadata.refresh.interval.ms", "10000")
        // What is read ahead of the work is bounded.
        .set("queued.max.messages.kbytes", "16384");
    client.settings.prefer(&mut config, "fetch.wait.max.ms", "500");
    let instance = &client.settings.instance;
    if !instance.is_empty() {
        config.set("group.instance.id", instance);
    }
    let failed = |cause| KafkaError::client("cannot make a consumer", cause);
    config.create_with_context(group).map_err(failed)
}

impl Consumer {
    fn start(
        client: &Client,
        store: &Store,
        (name, kinds, work): Wants<'_>,
        tasks: &Tasks,
    ) -> Result<Arc<ConsumerStats>, KafkaError> {
        let carried = |topic: &Topic| kinds.iter().any(|kind| kind.topic() == *topic);
        let topics: Arc<[Topic]> = Topic::ALL.into_iter().filter(carried).collect();
        let names: Vec<_> = topics.iter().map(|topic| client.topics.name(*topic)).collect();
        let stats = Arc::new(ConsumerStats::default());
        stats.is_joining.store(true, Ordering::Relaxed);
        let runtime = Handle::current();
        let dead_letters = DeadLetters::open(client)?;
        let worker = Worker {
            name,
            store: store.clone(),
            work,
            wanted: Wanted::new(kinds),
            blocked: crate::policy::Blocked::default(),
            topics: Arc::clone(&topics),
            stats: Arc::clone(&stats),
            dead_letters,
            runtime,
            stopping: tasks.stopping(),
        };
        let told_at = Instant::now();
        let stopping = tasks.stopping();
        let kafka = member(client, &worker, &names)?;
        let consumer = Self { kafka, topics, names, worker, stopping, told_at, is_out: false };
        consumer.spawn(client.clone(), name, tasks)?;
        Ok(stats)
    }

    /// Runs on a thread of its own, since the client's calls block; the shutdown waits for it.
    fn spawn(self, client: Client, name: &'static str, tasks: &Tasks) -> Result<(), KafkaError> {
        let (ended, end) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name(format!("bus-{name}"));
        let run = move || {
            self.run(&client);
            drop(ended);
        };
        thread.spawn(run).map_err(|error| {
            let why = format!("cannot start the consumer {name}: {error}");
            KafkaError::Store(store::StoreError::Open(why))
        })?;
        let stopping = tasks.stopping();
        tasks.spawn("kafka-consumer", async move {
            // It ends without a word; the end of the channel is the end of the thread.
            drop(end.await);
            if !stopping.is_cancelled() {
                // Events would pile up unseen. A start is safe at any moment, and reads them.
                tracing::error!(consumer = name, "a consumer has ended by itself; stopping");
                std::process::abort();
            }
        });
        Ok(())
    }

    fn run(mut self, client: &Client) {
        let stopping = self.stopping.clone();
        // Whoever audits the store learns at once what this consumer is to read.
        self.kafka.context().introduce(client.topics.partitions);
        let ready = self.worker.runtime.block_on(async {
            tokio::select! {
                () = client.ready() => true,
                () = stopping.cancelled() => false,
            }
        });
        if !ready {
            return;
        }
        if let Err(error) = self.subscribe() {
            tracing::error!(%error, consumer = self.worker.name, "cannot join its group");
            return;
        }
        while !self.stopping.is_cancelled() {
            self.turn();
            if self.is_out {
                self.join_again(client);
            }
        }
        self.tell(CommitMode::Sync);
    }

    fn subscribe(&self) -> Result<(), Cause> {
        let names: Vec<_> = self.names.iter().map(String::as_str).collect();
        self.kafka.subscribe(&names)
    }

    /// Joins the group with another client, from where the store says. A broker that was killed can take
    /// a member for another one of its name, and a client that was fenced is never given a partition again.
    fn join_again(&mut self, client: &Client) {
        self.rest(JOIN_AGAIN);
        let joined = member(client, &self.worker, &self.names).map(|kafka| {
            // The one before it is gone before this one joins.
            self.kafka = kafka;
            self.kafka.context().introduce(client.topics.partitions);
            self.subscribe()
        });
        match joined {
            Ok(Ok(())) => self.is_out = false,
            Ok(Err(error)) => self.tell_out(&error),
            Err(error) => self.tell_out(&error),
        }
    }

    fn tell_out(&self, error: &dyn std::fmt::Display) {
        tracing::warn!(%error, consumer = self.worker.name, "cannot join its group again; trying on");
    }

    /// Waits, unless it is told to stop.
    fn rest(&self, span: Duration) {
        self.worker.runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(span) => {}
                () = self.stopping.cancelled() => {}
            }
        });
    }

    fn turn(&mut self) {
        let group = Arc::clone(self.kafka.context());
        if group.take_changed() || self.worker.is_due() {
            self.worker.retry_due();
        }
        let records = self.gather();
        let settled = self.worker.settle(&records, &group);
        if let Err(error) = settled {
            tracing::warn!(consumer = self.worker.name, %error,
                "a batch was not handled; it is read again");
            self.rewind(&group);
        }
        if self.told_at.elapsed() >= TELL_AFTER {
            self.tell(CommitMode::Async);
        }
    }

    /// What is there, up to a batch; waits for the first record only.
    fn gather(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        let (mut bytes, mut wait) = (0_usize, POLL);
        while records.len() < RECORDS_MAX && bytes < BYTES_MAX {
            match self.kafka.poll(wait) {
                None => break,
                Some(Err(error)) => {
                    tracing::warn!(consumer = self.worker.name, %error, "cannot read records");
                    self.is_out |= matches!(error, Cause::MessageConsumptionFatal(_));
                    break;
                }
                Some(Ok(message)) => {
                    wait = Duration::ZERO;
                    bytes = bytes.saturating_add(message.payload_len());
                    let topic = self.names.iter().position(|name| name == message.topic());
                    let wanted = &self.worker.wanted;
                    records.extend(topic.map(|topic| Record::read(&message, topic, wanted)));
                }
            }
        }
        records
    }

    /// Goes back to where the store says, after a pause: what was read is read again.
    fn rewind(&self, group: &Group) {
        self.rest(POLL);
        let places = group.reload();
        let mut list = TopicPartitionList::new();
        for ((topic, partition), next) in places {
            let Some(name) = self.names.get(topic) else { continue };
            if let Err(error) = list.add_partition_offset(name, partition, Offset::Offset(next)) {
                tracing::error!(%error, name, partition, next, "a place is not one");
            }
        }
        if let Err(error) = self.kafka.seek_partitions(list, Duration::from_secs(5)) {
            tracing::warn!(consumer = self.worker.name, %error, "cannot go back");
        }
    }

    /// Tells the group how far this member is.
    fn tell(&mut self, mode: CommitMode) {
        self.told_at = Instant::now();
        let mut list = TopicPartitionList::new();
        for ((topic, partition), next) in self.kafka.context().moved() {
            let name = self.names.get(topic).map_or("", String::as_str);
            if list.add_partition_offset(name, partition, Offset::Offset(next)).is_err() {
                return;
            }
        }
        if list.count() > 0
            && let Err(error) = self.kafka.commit(&list, mode)
        {
            // The place that counts is in our own store.
            tracing::debug!(consumer = self.worker.name, topics = self.topics.len(), %error,
                "the group is not told how far this member is");
        }
    }
}

//! What feeds live push: the store, where it is that of all services; else their topics.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bus::kafka::{self, Hear, Heard, ListenerStats};
use contracts::clock::SystemClock;
use contracts::{Clock, EventKind};
use edge::{Live, Reads};
use live::hub::{Protocol, Stats};
use store::{Store, StoreError};
use telemetry::{Metrics, Tasks};
use tokio::runtime::Handle;

use crate::config::{BusKind, Config};

/// Segments that one look into the log reads.
const SEGMENTS_MAX: u32 = 64;

/// What live push is made of.
pub(super) struct Ways<'a> {
    pub(super) config: &'a Config,
    pub(super) services: &'a edge::Services,
    pub(super) metrics: &'a Metrics,
    pub(super) tasks: &'a Tasks,
}

impl Ways<'_> {
    /// Starts live push; `whole` is the store of this process if it holds what all services commit.
    /// `reads` forgets what is heard before anybody is told of it.
    pub(super) async fn open(
        &self,
        whole: Option<Store>,
        reads: Option<&Arc<Reads>>,
    ) -> anyhow::Result<Live> {
        let live = match (whole, self.config.bus) {
            (Some(store), _) => self.hearing_store(&store)?,
            (None, BusKind::Kafka) => self.hearing_topics(reads).await?,
            (None, BusKind::Embedded) => self.hearing_nothing(),
        };
        tell_of_push(self.metrics, &live);
        live.run(self.services)?;
        let (hub, stopping) = (live.hub().clone(), self.tasks.stopping());
        self.tasks.spawn("live", async move {
            stopping.cancelled().await;
            hub.stop();
        });
        Ok(live)
    }

    fn hearing_store(&self, store: &Store) -> anyhow::Result<Live> {
        let reader = store.reader().clone();
        let read_log: edge::ReadLog = Arc::new(move |from| {
            let reader = reader.clone();
            Box::pin(async move {
                let read =
                    reader.read(move |rx| Box::pin(store::log::read(rx, from, SEGMENTS_MAX)));
                read.await.map_err(|error: StoreError| error.to_string())
            })
        });
        let clock = Arc::clone(store.clock());
        let live = Live::new(self.config.edge.live.clone(), read_log, clock, self.tasks.clone());
        let feed = live.feed();
        store.on_commit(Arc::new(move |events| feed.committed(events)))?;
        Ok(live)
    }

    /// Hears the topics, as every other edge does.
    async fn hearing_topics(&self, reads: Option<&Arc<Reads>>) -> anyhow::Result<Live> {
        let client = kafka::Client::connect(self.config.kafka.clone(), Vec::new(), self.tasks);
        let client = client.await?;
        let asked = client.clone();
        let recall: edge::Recall = Arc::new(move |since, events_max| {
            let client = asked.clone();
            Box::pin(async move {
                let recalled = kafka::recall(&client, &Live::TOPICS, since, events_max).await;
                recalled.map_err(|error| error.to_string())
            })
        });
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let now = clock.now();
        let settings = self.config.edge.live.clone();
        let live = Live::on_shared_log(settings, recall, clock, self.tasks.clone());
        let hearing = Hearing {
            live: live.clone(),
            reads: reads.map(Arc::clone),
            runtime: Handle::current(),
            leaves_out: Cell::new(false),
        };
        let mut topics = Live::TOPICS.to_vec();
        if reads.is_some() {
            topics.extend(Reads::TOPICS.iter().filter(|topic| !Live::TOPICS.contains(topic)));
        }
        let stats = kafka::listen(&client, &topics, now, hearing, self.tasks)?;
        if let Some(reads) = reads {
            reads.heard_by(super::reads::hearing(&stats));
        }
        tell_of_listener(self.metrics, &stats);
        Ok(live)
    }

    /// The services are elsewhere, on the embedded bus, which nobody hears from outside.
    fn hearing_nothing(&self) -> Live {
        tracing::warn!(
            "live streams of this edge show the present and no changes: it is a process of its own, and \
             the bus is the embedded one; set bus = \"kafka\", or run the edge with the services"
        );
        let nothing: edge::ReadLog = Arc::new(|_| Box::pin(async { Ok(Vec::new()) }));
        let settings = self.config.edge.live.clone();
        Live::new(settings, nothing, Arc::new(SystemClock), self.tasks.clone())
    }
}

/// Hears the topics for live push and for the cache.
struct Hearing {
    live: Live,
    reads: Option<Arc<Reads>>,
    runtime: Handle,
    /// An event that live push would have told was not wanted since it heard last.
    leaves_out: Cell<bool>,
}

impl Hear for Hearing {
    fn wants(&self, kind: EventKind) -> bool {
        let wants = self.live.wants(kind);
        if !wants && Live::TOPICS.contains(&kind.topic()) {
            self.leaves_out.set(true);
        }
        wants
    }

    fn hear(&mut self, heard: Heard) {
        let Heard { events, keys, up_to, has_gap } = heard;
        let leaves_out = self.leaves_out.take();
        if let Some(reads) = &self.reads {
            // As long as the cache may take to answer, once; then it is given up.
            self.runtime.block_on(reads.heard(keys, has_gap));
        }
        self.live.heard(&events, up_to, has_gap, leaves_out);
    }
}

fn tell_of_listener(metrics: &Metrics, stats: &Arc<ListenerStats>) {
    let read = |pick: fn(&ListenerStats) -> &AtomicU64| {
        let stats = Arc::clone(stats);
        move || pick(&stats).load(Ordering::Relaxed)
    };
    metrics.count_of("live_heard", "events heard from the bus", read(|stats| &stats.heard));
    metrics.count_of(
        "live_unknown",
        "records from the bus that are no known event",
        read(|stats| &stats.unknown),
    );
    metrics.count_of(
        "live_gaps",
        "times that the bus had lost what was to be heard next",
        read(|stats| &stats.gaps),
    );
    metrics.value_of(
        "live_is_hearing",
        "whether the bus is heard",
        read(|stats| &stats.is_hearing),
    );
}

fn tell_of_push(metrics: &Metrics, live: &Live) {
    let read = |pick: fn(&Stats) -> u64| {
        let stats = Arc::clone(live.hub().stats());
        move || pick(&stats)
    };
    let gauge = |name, help, pick| metrics.value_of(name, help, read(pick));
    let count = |name, help, pick| metrics.count_of(name, help, read(pick));
    gauge("live_sse", "readers of server-sent events", |stats| stats.listening(Protocol::Sse));
    gauge("live_stomp", "clients of STOMP over a WebSocket", |stats| {
        stats.listening(Protocol::Stomp)
    });
    gauge("live_sockjs", "clients of STOMP through SockJS", |stats| {
        stats.listening(Protocol::Sockjs)
    });
    gauge("live_ring_bytes", "bytes kept for clients that are behind", |stats| {
        stats.ring_bytes.load(Ordering::Relaxed)
    });
    count("live_ticks", "ticks that told something", |stats| stats.ticks.load(Ordering::Relaxed));
    count("live_events", "events told", |stats| stats.events.load(Ordering::Relaxed));
    count("live_resyncs", "times that a client was told to load anew", |stats| {
        stats.resyncs.load(Ordering::Relaxed)
    });
    count("live_resumes", "clients that went on where they had stood", |stats| {
        stats.resumes.load(Ordering::Relaxed)
    });
    count("live_refused", "clients refused for want of room", |stats| {
        stats.refused.load(Ordering::Relaxed)
    });
}

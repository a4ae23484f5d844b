//! What carries events in this process, as metrics and as parts of its health.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bus::ConsumerStats;
use bus::kafka::{Client, RelayStats};
use contracts::Clock as _;
use contracts::clock::SystemClock;
use telemetry::{Family, Metrics};

/// The consumers of this process, and its relay if it has one.
pub(super) struct Consumers {
    families: Vec<Family>,
    members: Vec<(&'static str, Arc<ConsumerStats>)>,
    relay: Option<(Client, Arc<RelayStats>)>,
}

type Pick = fn(&ConsumerStats) -> &AtomicU64;

/// Numbers that only grow.
const COUNTS: [(&str, &str, Pick); 6] = [
    ("consumer_events", "events handled", |stats| &stats.handled),
    ("consumer_failures", "attempts that failed", |stats| &stats.failures),
    ("consumer_duplicates", "events that had been handled before", |stats| &stats.duplicates),
    ("consumer_unknown", "records of a type that this version does not know", |stats| {
        &stats.unknown
    }),
    ("consumer_broken", "records that are no event", |stats| &stats.broken),
    ("consumer_gaps", "records whose predecessor is missing", |stats| &stats.gaps),
];

const VALUES: [(&str, &str, Pick); 2] = [
    ("consumer_blocked_keys", "keys that wait behind a failed event", |stats| &stats.blocked_keys),
    ("consumer_partitions", "partitions of this member", |stats| &stats.partitions),
];

const DELAY: (&str, &str) =
    ("consumer_delay_seconds", "age of the newest event of the last batch when it was handled");
const BATCH_EVENTS: (&str, &str) = ("consumer_batch_events", "events handled together");
const BATCH_SECONDS: (&str, &str) = ("consumer_batch_seconds", "time that a batch took");

impl Consumers {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let counts = COUNTS.iter().map(|(name, help, _)| (*name, *help));
        let values = VALUES.iter().map(|(name, help, _)| (*name, *help));
        let others = [DELAY, BATCH_EVENTS, BATCH_SECONDS];
        let names = counts.chain(values).chain(others);
        let families = names.map(|(name, help)| metrics.family(name, help, "consumer")).collect();
        Self { families, members: Vec::new(), relay: None }
    }

    pub(super) fn add(&mut self, name: &'static str, stats: Arc<ConsumerStats>) {
        let read = |pick: Pick| {
            let stats = Arc::clone(&stats);
            move || pick(&stats).load(Ordering::Relaxed)
        };
        let mut families = self.families.iter();
        for ((_, _, pick), family) in COUNTS.into_iter().zip(&mut families) {
            family.count(name, read(pick));
        }
        for ((_, _, pick), family) in VALUES.into_iter().zip(&mut families) {
            family.value(name, read(pick));
        }
        if let [delay, events, seconds] = families.as_slice() {
            delay.micros(name, read(|stats| &stats.delay_micros));
            events.sizes(name, &stats.batch_events);
            seconds.seconds(name, &stats.batch_seconds);
        }
        self.members.push((name, stats));
    }

    pub(super) fn add_relay(&mut self, client: Client, stats: Arc<RelayStats>, metrics: &Metrics) {
        let read = |pick: fn(&RelayStats) -> &AtomicU64| {
            let stats = Arc::clone(&stats);
            move || pick(&stats).load(Ordering::Relaxed)
        };
        metrics.count_of("relay_events", "events published", read(|stats| &stats.published));
        metrics.count_of("relay_failures", "attempts that failed", read(|stats| &stats.failures));
        metrics.count_of(
            "relay_refused",
            "events that are too large for a topic",
            read(|stats| &stats.refused),
        );
        metrics.value_of(
            "relay_delay_micros",
            "age of the newest event when it was published",
            read(|stats| &stats.delay_micros),
        );
        let waiting = Arc::clone(&stats);
        let family = metrics.family(
            "outbox_age_seconds",
            "how long the first event has waited that is not published",
            "to",
        );
        family.micros("kafka", move || waiting.waiting_micros(SystemClock.now()));
        self.relay = Some((client, stats));
    }

    pub(super) fn readiness(&self, started: bool) -> edge::Readiness {
        let mut parts: Vec<_> =
            self.members.iter().map(|(name, stats)| part(name, stats)).collect();
        if let Some((client, stats)) = &self.relay {
            let published = stats.published.load(Ordering::Relaxed);
            let failures = stats.failures.load(Ordering::Relaxed);
            parts.push(edge::Part {
                name: "relay".to_owned(),
                ok: client.is_ready(),
                detail: format!("{published} events published, {failures} attempts failed"),
            });
        }
        edge::Readiness { started, ready: started, parts }
    }
}

fn part(name: &str, stats: &ConsumerStats) -> edge::Part {
    let blocked = stats.blocked_keys.load(Ordering::Relaxed);
    let handled = stats.handled.load(Ordering::Relaxed);
    let is_joining = stats.is_joining.load(Ordering::Relaxed);
    let waits = if is_joining { "; waits for its group's partitions" } else { "" };
    edge::Part {
        name: name.to_owned(),
        // A blocked key is somebody's order, not the whole service: it serves all others.
        ok: !is_joining,
        detail: format!("{handled} events handled, {blocked} keys blocked{waits}"),
    }
}

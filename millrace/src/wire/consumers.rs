//! What carries events in this process, as metrics and as parts of its health.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bus::ConsumerStats;
use bus::kafka::{Client, RelayStats};
use telemetry::Metrics;

/// The consumers of this process, and its relay if it has one.
#[derive(Default)]
pub(super) struct Consumers {
    consumers: Vec<(&'static str, Arc<ConsumerStats>)>,
    relay: Option<(Client, Arc<RelayStats>)>,
}

type Pick = fn(&ConsumerStats) -> &AtomicU64;

/// Numbers that only grow.
const COUNTS: [(&str, &str, Pick); 6] = [
    ("events", "events handled", |stats| &stats.handled),
    ("failures", "attempts that failed", |stats| &stats.failures),
    ("duplicates", "events that had been handled before", |stats| &stats.duplicates),
    ("unknown", "records of a type that this version does not know", |stats| &stats.unknown),
    ("broken", "records that are no event", |stats| &stats.broken),
    ("gaps", "records whose predecessor is missing", |stats| &stats.gaps),
];

const VALUES: [(&str, &str, Pick); 3] = [
    ("blocked_keys", "keys that wait behind a failed event", |stats| &stats.blocked_keys),
    ("partitions", "partitions of this member", |stats| &stats.partitions),
    ("delay_micros", "age of the newest event when it was handled", |stats| &stats.delay_micros),
];

impl Consumers {
    pub(super) fn add(&mut self, name: &'static str, stats: Arc<ConsumerStats>, metrics: &Metrics) {
        let read = |pick: Pick| {
            let stats = Arc::clone(&stats);
            move || pick(&stats).load(Ordering::Relaxed)
        };
        for (what, help, pick) in COUNTS {
            metrics.count_of(&format!("consumer_{name}_{what}"), help, read(pick));
        }
        for (what, help, pick) in VALUES {
            metrics.value_of(&format!("consumer_{name}_{what}"), help, read(pick));
        }
        self.consumers.push((name, stats));
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
        self.relay = Some((client, stats));
    }

    pub(super) fn readiness(&self, started: bool) -> edge::Readiness {
        let mut parts: Vec<_> =
            self.consumers.iter().map(|(name, stats)| part(name, stats)).collect();
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
    edge::Part {
        name: name.to_owned(),
        // A blocked key is somebody's order, not the whole service: it serves all others.
        ok: true,
        detail: format!("{handled} events handled, {blocked} keys blocked"),
    }
}

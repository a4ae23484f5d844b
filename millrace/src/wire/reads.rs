//! The cache that edges share, where they are processes of their own and hear what changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bus::kafka::ListenerStats;
use cache::{Cache, Stats};
use contracts::clock::SystemClock;
use edge::Reads;
use store::BoxFuture;
use telemetry::{Metrics, Tasks};

use super::Chosen;
use crate::config::Config;

/// The cache, if one is configured and this process can use it.
pub(super) fn open(
    config: &Config,
    chosen: &Chosen,
    metrics: &Metrics,
    tasks: &Tasks,
) -> anyhow::Result<Option<Arc<Reads>>> {
    if !config.redis.is_on() || !chosen.has("edge") {
        return Ok(None);
    }
    if chosen.is_all_tables() {
        tracing::info!("redis.url is not used: this process has what the cache would be asked for");
        return Ok(None);
    }
    let cache = Cache::start(config.redis.clone(), tasks)?;
    let reads = Arc::new(Reads::new(cache, Arc::new(SystemClock)));
    tell(metrics, &reads);
    Ok(Some(reads))
}

/// Whether the listener hears, as the cache wants to know it.
pub(super) fn hearing(stats: &Arc<ListenerStats>) -> edge::Hearing {
    let stats = Arc::clone(stats);
    Arc::new(move || {
        let is_hearing = stats.is_hearing.load(Ordering::Acquire) == 1;
        is_hearing.then(|| stats.failures.load(Ordering::Acquire))
    })
}

/// The same hooks; whoever asks whether the process is ready is told of the cache as well. Without it
/// everything is served, only slower, so the process is ready in any case.
pub(super) fn told(hooks: edge::Hooks, reads: Option<&Arc<Reads>>) -> edge::Hooks {
    let Some(reads) = reads.map(Arc::clone) else { return hooks };
    let others = hooks.ready;
    let with_cache = move || {
        let (others, reads) = (others(), Arc::clone(&reads));
        let both: BoxFuture<'static, edge::Readiness> = Box::pin(async move {
            let mut readiness = others.await;
            readiness.parts.push(part(&reads));
            readiness
        });
        both
    };
    edge::Hooks { ready: Arc::new(with_cache), ..hooks }
}

fn part(reads: &Reads) -> edge::Part {
    let place = reads.cache().place();
    let (ok, detail) = match (reads.cache().is_there(), reads.is_current()) {
        (false, _) => (false, format!("{place} is away; reads go to the services")),
        (true, false) => {
            (false, format!("{place} is there, but events are not heard; reads go to the services"))
        }
        (true, true) => (true, format!("{place} answers")),
    };
    edge::Part { name: "cache".to_owned(), ok, detail }
}

fn tell(metrics: &Metrics, reads: &Arc<Reads>) {
    let hits = metrics.family("cache_hits", "reads answered from the cache", "of");
    let misses = metrics.family("cache_misses", "reads that the cache knew nothing of", "of");
    for (name, _, _) in reads.tallies() {
        let number = |pick: fn((&str, u64, u64)) -> u64| {
            let reads = Arc::clone(reads);
            move || reads.tallies().find(|tally| tally.0 == name).map_or(0, pick)
        };
        hits.count(name, number(|(_, hits, _)| hits));
        misses.count(name, number(|(_, _, misses)| misses));
    }
    let read = |pick: fn(&Stats) -> &AtomicU64| {
        let stats = Arc::clone(reads.cache().stats());
        move || pick(&stats).load(Ordering::Relaxed)
    };
    let count = |name, help, pick| metrics.count_of(name, help, read(pick));
    count("cache_skipped", "looks not made because the cache is away", |stats| &stats.skipped);
    count("cache_fills", "answers that were put into the cache", |stats| &stats.fills);
    count("cache_refused", "answers that were too old for the cache", |stats| &stats.refused);
    count("cache_forgotten", "keys that were forgotten", |stats| &stats.forgotten);
    count("cache_errors", "commands that failed or took too long", |stats| &stats.errors);
    count("cache_losses", "times that the cache was given up", |stats| &stats.losses);
    count("cache_eras", "times that the cache began empty", |stats| &stats.eras);
    let there = Arc::clone(reads);
    metrics.value_of(
        "cache_is_there",
        "whether the cache is used: 0 while it is away",
        move || u64::from(there.cache().is_there()),
    );
}

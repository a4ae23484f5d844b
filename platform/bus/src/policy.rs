//! What becomes of an event that cannot be handled: the same on every transport.
//!
//! It is tried again with a growing pause, at most [`ATTEMPTS_MAX`] times in all; then its key waits
//! for a person. Later events of the same key wait behind it from the first failure on.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use contracts::{Event, EventKind, Position, Timestamp};
use store::parked::{self, Parked, ParkedState};
use store::{StoreError, Tx};
use telemetry::{Seconds, Sizes};

use crate::HandlerError;

/// Times that an event is tried before its key waits for a person.
pub const ATTEMPTS_MAX: u32 = 3;
/// The pause after the first failure; each further one is four times as long.
const RETRY_BASE: Duration = Duration::from_millis(50);

/// What a consumer has done since it started.
#[derive(Debug, Default)]
pub struct ConsumerStats {
    /// Events handled.
    pub handled: AtomicU64,
    /// Batches handled.
    pub batches: AtomicU64,
    /// Attempts that failed.
    pub failures: AtomicU64,
    /// Keys that wait behind a failed event, now.
    pub blocked_keys: AtomicU64,
    /// Events that had been handled before; only a transport that delivers twice has them.
    pub duplicates: AtomicU64,
    /// Records of a type that this version does not know.
    pub unknown: AtomicU64,
    /// Records that are no event at all, and were put aside.
    pub broken: AtomicU64,
    /// Partitions that are this consumer's, now.
    pub partitions: AtomicU64,
    /// Whether its group has not given it any yet; nor told it that there are none left for it.
    pub is_joining: AtomicBool,
    /// Records that came before one that the partition should have held: a hole in the log.
    pub gaps: AtomicU64,
    /// Microseconds between the last batch's newest event and its being handled.
    pub delay_micros: AtomicU64,
    /// Events of each batch.
    pub batch_events: Sizes,
    /// How long each batch took; on a transport, its COMMIT included.
    pub batch_seconds: Seconds,
}

impl ConsumerStats {
    /// A batch was handled.
    pub(crate) fn handled(&self, batch: &[Arc<Event>], now: Timestamp, took: Duration) {
        count(&self.handled, batch.len());
        let Some(newest) = batch.iter().map(|event| event.time).max() else { return };
        count(&self.batches, 1);
        self.batch_events.observe(batch.len());
        self.batch_seconds.observe(took);
        let delay = u64::try_from(now.since(newest).as_micros()).unwrap_or(u64::MAX);
        self.delay_micros.store(delay, Ordering::Relaxed);
    }
}

/// Where the time begins that a batch takes.
#[expect(clippy::disallowed_methods, reason = "a stopwatch for metrics: nothing depends on it")]
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

pub(crate) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(u64::try_from(more).unwrap_or(0), Ordering::Relaxed);
}

/// The kinds of events that a consumer wants, by their codes.
pub(crate) struct Wanted(Vec<bool>);

impl Wanted {
    pub(crate) fn new(kinds: &[EventKind]) -> Self {
        let codes = kinds.iter().map(|kind| usize::from(kind.code()));
        let mut wanted = vec![false; codes.clone().max().unwrap_or(0).saturating_add(1)];
        for code in codes {
            wanted[code] = true;
        }
        Self(wanted)
    }

    pub(crate) fn contains(&self, event: &Event) -> bool {
        self.has(event.data.kind())
    }

    pub(crate) fn has(&self, kind: EventKind) -> bool {
        let code = usize::from(kind.code());
        self.0.get(code).copied().unwrap_or(false)
    }
}

/// The keys of one consumer that have an unhandled event.
#[derive(Default)]
pub(crate) struct Blocked {
    keys: HashSet<String>,
    /// When the earliest of those events is tried again.
    retry_at: Option<Timestamp>,
}

impl Blocked {
    /// Reads them anew.
    pub(crate) fn reload(&mut self, tx: &Tx, consumer: &str) -> Result<(), StoreError> {
        self.keys = parked::keys(tx, consumer)?.into_iter().collect();
        self.retry_at = parked::next_due(tx, consumer)?;
        Ok(())
    }

    /// Makes the next look at the time read the table.
    pub(crate) fn doubt(&mut self) {
        self.retry_at = Some(Timestamp::default());
    }

    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.retry_at.is_some_and(|at| at <= now)
    }

    pub(crate) fn blocks(&self, event: &Event) -> bool {
        !self.keys.is_empty() && self.keys.contains(&event.key().to_string())
    }

    pub(crate) fn add(&mut self, event: &Event, due_at: Timestamp) {
        self.keys.insert(event.key().to_string());
        self.retry_at = Some(self.retry_at.map_or(due_at, |at| at.min(due_at)));
    }

    pub(crate) fn tell(&self, stats: &ConsumerStats) {
        let blocked = u64::try_from(self.keys.len()).unwrap_or(0);
        stats.blocked_keys.store(blocked, Ordering::Relaxed);
    }
}

/// Keeps `event` behind an earlier one of its key.
pub(crate) fn park_behind(
    tx: &mut Tx,
    consumer: &str,
    place: Position,
    event: &Arc<Event>,
) -> Result<(), StoreError> {
    parked::add_at(tx, consumer, place, event, ParkedState::Waiting, (0, None, ""))
}

/// Keeps `event`, whose first attempt has failed; gives when it is tried again.
pub(crate) fn park_failed(
    tx: &mut Tx,
    consumer: &str,
    place: Position,
    event: &Arc<Event>,
    cause: &str,
) -> Result<Timestamp, StoreError> {
    let due_at = tx.now().plus(RETRY_BASE);
    tracing::warn!(consumer, event = %event.id, kind = event.data.kind().name(), cause,
        "an event could not be handled; its key waits");
    parked::add_at(tx, consumer, place, event, ParkedState::Retrying, (1, Some(due_at), cause))?;
    Ok(due_at)
}

/// What becomes of an event that has failed once more at `now`.
pub(crate) fn failed_again(mut event: Parked, error: &HandlerError, now: Timestamp) -> Parked {
    event.attempts = event.attempts.saturating_add(1);
    event.cause = error.to_string();
    if event.attempts >= ATTEMPTS_MAX {
        event.state = ParkedState::Parked;
        event.due_at = None;
        tracing::error!(consumer = event.consumer, key = event.key, position = %event.position,
            %error, "an event failed {ATTEMPTS_MAX} times; its key is parked for a person");
    } else {
        event.state = ParkedState::Retrying;
        let pause = RETRY_BASE.saturating_mul(4_u32.saturating_pow(event.attempts.min(8)));
        event.due_at = Some(now.plus(pause));
    }
    event
}

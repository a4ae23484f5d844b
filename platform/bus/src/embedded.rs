//! The bus in one process: consumers are stages of the store's writer.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use contracts::{Event, EventKind, Position, Timestamp};
use store::parked::{self, Parked, ParkedState};
use store::{Stage, Store, StoreError, Tx, log};

use crate::{Handler, HandlerError, Subscription};

/// Segments read from the table at a time by a consumer that is behind.
const SEGMENTS_MAX: u32 = 64;
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
}

/// Adds `subscription` to the writer of `store`; it goes on where it last stood.
pub async fn subscribe(
    store: &Store,
    subscription: Subscription,
) -> Result<Arc<ConsumerStats>, StoreError> {
    let stats = Arc::new(ConsumerStats::default());
    let consumer = Consumer {
        wanted: wanted(subscription.kinds),
        subscription,
        next: Position::start_of(1),
        committed: Position::start_of(1),
        recorded: Position::default(),
        behind: true,
        blocked: HashSet::new(),
        retry_at: None,
        blocked_changed: false,
        stats: Arc::clone(&stats),
    };
    store.attach(Box::new(consumer)).await?;
    Ok(stats)
}

fn wanted(kinds: &[EventKind]) -> Vec<bool> {
    let codes = kinds.iter().map(|kind| usize::from(kind.code()));
    let mut wanted = vec![false; codes.clone().max().unwrap_or(0).saturating_add(1)];
    for code in codes {
        wanted[code] = true;
    }
    wanted
}

/// One call of a handler, as a value that a piece of work can borrow.
struct Call<'c> {
    handler: &'c dyn Handler,
    batch: &'c [Arc<Event>],
}

struct Consumer {
    subscription: Subscription,
    /// By the event's code.
    wanted: Vec<bool>,
    /// The first event that is not handled, in the current transaction.
    next: Position,
    /// The same as of the last COMMIT.
    committed: Position,
    /// The same as the inbox row has it.
    recorded: Position,
    /// Whether there may be committed segments that are not handled.
    behind: bool,
    /// Keys with an unhandled event: later events of the key wait behind it.
    blocked: HashSet<String>,
    /// When the earliest of those is tried again.
    retry_at: Option<Timestamp>,
    /// Whether the current transaction changed what is blocked.
    blocked_changed: bool,
    stats: Arc<ConsumerStats>,
}

impl Stage for Consumer {
    fn start(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        let name = self.subscription.consumer;
        if let Some(position) = log::position(tx, name)? {
            self.next = position;
        }
        self.committed = self.next;
        self.recorded = self.next;
        self.reload_blocked(tx)
    }

    fn ready(&self, now: Timestamp) -> bool {
        self.behind || self.retry_at.is_some_and(|at| at <= now)
    }

    fn run(&mut self, tx: &mut Tx) -> Result<usize, StoreError> {
        let mut handled = 0;
        if self.retry_at.is_some_and(|at| at <= tx.now()) {
            handled = self.retry_due(tx)?;
        }
        if self.next.segment < tx.segment() {
            return self.catch_up(tx).map(|more| more.saturating_add(handled));
        }
        self.behind = false;
        let first = usize::try_from(self.next.index).unwrap_or(usize::MAX);
        let Some(fresh) = tx.published().get(first..).filter(|fresh| !fresh.is_empty()) else {
            return Ok(handled);
        };
        let seen = fresh.len();
        let batch: Vec<_> = fresh.iter().filter(|event| self.wants(event)).cloned().collect();
        self.next.index = self.next.index.saturating_add(u32::try_from(seen).unwrap_or(0));
        self.handle(tx, &batch)?;
        Ok(handled.saturating_add(batch.len()))
    }

    fn finish(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        // All events of this very segment are handled: go on with the next one.
        let published = u32::try_from(tx.published().len()).unwrap_or(0);
        if self.next.segment == tx.segment() && published > 0 && self.next.index >= published {
            self.next = Position::start_of(tx.segment().saturating_add(1));
        } else if self.next.segment == tx.segment() && published > self.next.index {
            self.behind = true;
        }
        if self.next != self.recorded {
            log::set_position(tx, self.subscription.consumer, self.next)?;
        }
        Ok(())
    }

    fn ended(&mut self, committed: bool) {
        if committed {
            self.committed = self.next;
            self.recorded = self.next;
        } else {
            self.next = self.committed;
            self.behind = true;
            if self.blocked_changed {
                // What was parked in the lost transaction is not parked: read it again.
                self.retry_at = Some(Timestamp::default());
            }
        }
        self.blocked_changed = false;
        let blocked = u64::try_from(self.blocked.len()).unwrap_or(0);
        self.stats.blocked_keys.store(blocked, Ordering::Relaxed);
    }
}

impl Consumer {
    fn wants(&self, event: &Event) -> bool {
        let code = usize::from(event.data.kind().code());
        self.wanted.get(code).copied().unwrap_or(false)
    }

    /// Reads committed segments: after a start, or when more was published than one COMMIT handles.
    fn catch_up(&mut self, tx: &mut Tx) -> Result<usize, StoreError> {
        let events = log::read_committed(tx, self.next, SEGMENTS_MAX)?;
        let Some(last) = events.last() else {
            self.next = Position::start_of(tx.segment());
            return Ok(0);
        };
        let after = Position::start_of(last.id.position().segment.saturating_add(1));
        let batch: Vec<_> = events.into_iter().filter(|event| self.wants(event)).collect();
        self.next = after;
        self.handle(tx, &batch)?;
        // Reading counts as progress even if nothing of it was wanted.
        Ok(batch.len().max(1))
    }

    fn handle(&mut self, tx: &mut Tx, batch: &[Arc<Event>]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let count = u64::try_from(batch.len()).unwrap_or(0);
        let blocked = &self.blocked;
        let waits =
            |event: &Event| !blocked.is_empty() && blocked.contains(&event.key().to_string());
        if !batch.iter().any(|event| waits(event)) && self.attempt(tx, batch).is_ok() {
            self.stats.handled.fetch_add(count, Ordering::Relaxed);
            self.stats.batches.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        for event in batch {
            self.handle_one(tx, event)?;
        }
        Ok(())
    }

    fn attempt(&self, tx: &mut Tx, batch: &[Arc<Event>]) -> Result<(), HandlerError> {
        let call = Call { handler: self.subscription.handler.as_ref(), batch };
        tx.attempt_on(&call, |tx, call| call.handler.handle(tx, call.batch))
    }

    /// Handles one event by itself, so that it fails by itself.
    fn handle_one(&mut self, tx: &mut Tx, event: &Arc<Event>) -> Result<(), StoreError> {
        let name = self.subscription.consumer;
        let key = event.key().to_string();
        if self.blocked.contains(&key) {
            self.blocked_changed = true;
            return parked::add(tx, name, event, ParkedState::Waiting, (0, None, ""));
        }
        let Err(error) = self.attempt(tx, std::slice::from_ref(event)) else {
            self.stats.handled.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        self.stats.failures.fetch_add(1, Ordering::Relaxed);
        let due_at = tx.now().plus(RETRY_BASE);
        tracing::warn!(consumer = name, event = %event.id, kind = event.data.kind().name(), %error,
            "an event could not be handled; its key waits");
        let cause = error.to_string();
        parked::add(tx, name, event, ParkedState::Retrying, (1, Some(due_at), &cause))?;
        self.blocked.insert(key);
        self.blocked_changed = true;
        self.retry_at = Some(self.retry_at.map_or(due_at, |at| at.min(due_at)));
        Ok(())
    }

    fn retry_due(&mut self, tx: &mut Tx) -> Result<usize, StoreError> {
        let name = self.subscription.consumer;
        self.blocked_changed = true;
        let due = parked::due(tx, name, tx.now())?;
        let mut handled: usize = 0;
        for first in due {
            handled = handled.saturating_add(self.retry_key(tx, &first.key)?);
        }
        self.reload_blocked(tx)?;
        Ok(handled)
    }

    /// Handles the parked events of one key in order, until one of them fails.
    fn retry_key(&self, tx: &mut Tx, key: &str) -> Result<usize, StoreError> {
        let mut handled: usize = 0;
        for parked_event in parked::of_key(tx, self.subscription.consumer, key)? {
            if parked_event.state == ParkedState::Parked {
                break;
            }
            match self.attempt(tx, std::slice::from_ref(&parked_event.event)) {
                Ok(()) => parked::remove(tx, &parked_event)?,
                Err(error) => {
                    self.failed_again(tx, parked_event, &error)?;
                    break;
                }
            }
            self.stats.handled.fetch_add(1, Ordering::Relaxed);
            handled = handled.saturating_add(1);
        }
        Ok(handled)
    }

    fn failed_again(
        &self,
        tx: &mut Tx,
        mut event: Parked,
        error: &HandlerError,
    ) -> Result<(), StoreError> {
        self.stats.failures.fetch_add(1, Ordering::Relaxed);
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
            event.due_at = Some(tx.now().plus(pause));
        }
        parked::update(tx, &event)
    }

    fn reload_blocked(&mut self, tx: &Tx) -> Result<(), StoreError> {
        let name = self.subscription.consumer;
        self.blocked = parked::keys(tx, name)?.into_iter().collect();
        self.retry_at = parked::next_due(tx, name)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

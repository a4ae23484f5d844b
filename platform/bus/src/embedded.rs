//! The bus in one process: consumers are stages of the store's writer.

use std::sync::Arc;

use contracts::{Event, Position, Timestamp};
use store::parked::{self, ParkedState};
use store::{Stage, Store, StoreError, Tx, log};

use crate::policy::{self, Blocked, ConsumerStats, Wanted, count};
use crate::spans::Traced;
use crate::{Handler, HandlerError, Subscription};

/// Segments read from the table at a time by a consumer that is behind.
const SEGMENTS_MAX: u32 = 64;

/// Adds `subscription` to the writer of `store`; it goes on where it last stood.
pub async fn subscribe(
    store: &Store,
    subscription: Subscription,
) -> Result<Arc<ConsumerStats>, StoreError> {
    let stats = Arc::new(ConsumerStats::default());
    let consumer = Consumer {
        wanted: Wanted::new(subscription.kinds),
        subscription,
        next: Position::start_of(1),
        committed: Position::start_of(1),
        recorded: Position::default(),
        behind: true,
        blocked: Blocked::default(),
        blocked_changed: false,
        stats: Arc::clone(&stats),
    };
    store.attach(Box::new(consumer)).await?;
    Ok(stats)
}

/// One call of a handler, as a value that a piece of work can borrow.
struct Call<'c> {
    handler: &'c dyn Handler,
    batch: &'c [Arc<Event>],
}

struct Consumer {
    subscription: Subscription,
    wanted: Wanted,
    /// The first event that is not handled, in the current transaction.
    next: Position,
    /// The same as of the last COMMIT.
    committed: Position,
    /// The same as the inbox row has it.
    recorded: Position,
    /// Whether there may be committed segments that are not handled.
    behind: bool,
    /// Keys with an unhandled event: later events of the key wait behind it.
    blocked: Blocked,
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
        self.blocked.reload(tx, name)
    }

    fn ready(&self, now: Timestamp) -> bool {
        self.behind || self.blocked.is_due(now)
    }

    fn run(&mut self, tx: &mut Tx) -> Result<usize, StoreError> {
        let mut handled = 0;
        if self.blocked.is_due(tx.now()) {
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
        let batch: Vec<_> =
            fresh.iter().filter(|event| self.wanted.contains(event)).cloned().collect();
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
                self.blocked.doubt();
            }
        }
        self.blocked_changed = false;
        self.blocked.tell(&self.stats);
    }
}

impl Consumer {
    /// Reads committed segments: after a start, or when more was published than one COMMIT handles.
    fn catch_up(&mut self, tx: &mut Tx) -> Result<usize, StoreError> {
        let events = log::read_committed(tx, self.next, SEGMENTS_MAX)?;
        let Some(last) = events.last() else {
            self.next = Position::start_of(tx.segment());
            return Ok(0);
        };
        let after = Position::start_of(last.id.position().segment.saturating_add(1));
        let batch: Vec<_> =
            events.into_iter().filter(|event| self.wanted.contains(event)).collect();
        self.next = after;
        self.handle(tx, &batch)?;
        // Reading counts as progress even if nothing of it was wanted.
        Ok(batch.len().max(1))
    }

    fn handle(&mut self, tx: &mut Tx, batch: &[Arc<Event>]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let (blocked, begun) = (&self.blocked, policy::stopwatch());
        if !batch.iter().any(|event| blocked.blocks(event)) && self.attempt(tx, batch).is_ok() {
            self.stats.handled(batch, tx.now(), begun.elapsed());
            return Ok(());
        }
        for event in batch {
            self.handle_one(tx, event)?;
        }
        Ok(())
    }

    fn attempt(&self, tx: &mut Tx, batch: &[Arc<Event>]) -> Result<(), HandlerError> {
        let traced = Traced::begin(self.subscription.consumer, "millrace", batch);
        let batch = traced.as_ref().map_or(batch, |traced| traced.events.as_slice());
        let call = Call { handler: self.subscription.handler.as_ref(), batch };
        let done = tx.attempt_on(&call, |tx, call| call.handler.handle(tx, call.batch));
        if let Some(traced) = traced {
            traced.end(done.as_ref().err());
        }
        done
    }

    /// Handles one event by itself, so that it fails by itself.
    fn handle_one(&mut self, tx: &mut Tx, event: &Arc<Event>) -> Result<(), StoreError> {
        let name = self.subscription.consumer;
        let place = event.id.position();
        if self.blocked.blocks(event) {
            self.blocked_changed = true;
            return policy::park_behind(tx, name, place, event);
        }
        let Err(error) = self.attempt(tx, std::slice::from_ref(event)) else {
            count(&self.stats.handled, 1);
            return Ok(());
        };
        count(&self.stats.failures, 1);
        let due_at = policy::park_failed(tx, name, place, event, &error.to_string())?;
        self.blocked.add(event, due_at);
        self.blocked_changed = true;
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
        self.blocked.reload(tx, name)?;
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
                    count(&self.stats.failures, 1);
                    let now = tx.now();
                    parked::update(tx, &policy::failed_again(parked_event, &error, now))?;
                    break;
                }
            }
            count(&self.stats.handled, 1);
            handled = handled.saturating_add(1);
        }
        Ok(handled)
    }
}

#[cfg(test)]
mod tests;

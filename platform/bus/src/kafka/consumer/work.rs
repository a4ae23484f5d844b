//! What is done with a batch: in one transaction with the places behind it, else event by event.

use std::sync::Arc;
use std::time::Duration;

use contracts::{Event, Topic};
use store::parked::{self, Parked, ParkedState};
use store::{Store, StoreError};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::super::KafkaError;
use super::super::positions::{self, Move, MoveError};
use super::Work;
use super::deadletters::DeadLetters;
use super::group::Group;
use super::record::{Content, Record, Turn};
use crate::policy::{self, Blocked, ConsumerStats, Wanted, count};
use crate::spans::Traced;
use crate::{Handler, HandlerError};

/// Records without any effect that are read before their place is written for them alone.
const IDLE_MOVES_MAX: i64 = 4_096;
/// How long an act outside may take before its events come again.
const OUTWARD_MAX: Duration = Duration::from_mins(1);

/// Handles what one consumer has read.
pub(super) struct Worker {
    pub(super) name: &'static str,
    pub(super) store: Store,
    pub(super) work: Work,
    pub(super) wanted: Wanted,
    pub(super) blocked: Blocked,
    pub(super) topics: Arc<[Topic]>,
    pub(super) stats: Arc<ConsumerStats>,
    pub(super) dead_letters: DeadLetters,
    pub(super) runtime: Handle,
    pub(super) stopping: CancellationToken,
}

/// Why a batch, or a part of it, was not handled.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The handler says no: it is tried event by event, then parked.
    #[error("{0}")]
    Handler(HandlerError),
    /// Nothing is known against the events: they are read again.
    #[error(transparent)]
    Move(#[from] MoveError),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error("the consumer stops")]
    Stopping,
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Overloaded
            | StoreError::Busy
            | StoreError::RolledBack(_)
            | StoreError::Unavailable(_)
            | StoreError::Unknown(_)
            | StoreError::Stopped => Self::Move(MoveError::Store(error)),
            // A rule that the work broke, a panic, a row that it cannot read.
            StoreError::Stale { .. }
            | StoreError::Damaged { .. }
            | StoreError::Constraint { .. }
            | StoreError::Sql { .. }
            | StoreError::Log(_)
            | StoreError::Waited
            | StoreError::Unsettled
            | StoreError::Panicked(_)
            | StoreError::Open(_) => Self::Handler(error.into()),
        }
    }
}

impl Worker {
    pub(super) fn is_due(&self) -> bool {
        self.blocked.is_due(self.store.clock().now())
    }

    /// Handles `records`. After an error, what is not committed must be read again.
    pub(super) fn settle(&mut self, records: &[Record], group: &Group) -> Result<(), Failed> {
        if records.is_empty() {
            // A quiet moment: what was only passed is written as well.
            return if self.moves(group).is_empty() { Ok(()) } else { self.commit(group, &[]) };
        }
        self.put_aside(records)?;
        let before = group.places().clone();
        let events: Vec<_> =
            records.iter().filter_map(|record| self.enter(record, group, true)).collect();
        if events.is_empty() {
            let moves = self.moves(group);
            let idle: i64 = moves.iter().map(Move::length).sum();
            // They are written with the next effect, unless that is far.
            return if idle < IDLE_MOVES_MAX { Ok(()) } else { self.commit(group, &[]) };
        }
        if matches!(self.work, Work::Outside(_)) {
            return self.commit(group, &events);
        }
        if !events.iter().any(|event| self.blocked.blocks(event)) {
            match self.commit(group, &events) {
                Err(Failed::Handler(_)) => {}
                done => return done,
            }
        }
        *group.places() = before;
        for record in records {
            if let Some(event) = self.enter(record, group, false) {
                self.settle_one(&event, group)?;
            }
        }
        Ok(())
    }

    /// Copies records that are no events, before anything counts as handled.
    fn put_aside(&self, records: &[Record]) -> Result<(), Failed> {
        for record in records {
            let Content::Broken(broken) = &record.content else { continue };
            let Some(topic) = self.topics.get(record.topic) else { continue };
            count(&self.stats.broken, 1);
            tracing::error!(
                consumer = self.name,
                topic = topic.name(),
                cause = broken.cause,
                partition = record.partition,
                offset = record.offset,
                "a record is no event; it is copied to the dead letters"
            );
            let place = (*topic, record.partition, record.offset);
            self.block_on(self.dead_letters.broken(self.name, place, broken))??;
        }
        Ok(())
    }

    /// Moves behind a record, and gives its event if it is to be handled.
    fn enter(&self, record: &Record, group: &Group, first: bool) -> Option<Arc<Event>> {
        let mut places = group.places();
        // What is no longer this member's is handled by another one.
        let place = places.get_mut(&(record.topic, record.partition))?;
        let turn = record.enter(place);
        drop(places);
        if turn != Turn::Next {
            if first {
                self.tell(record, turn);
            }
            return None;
        }
        match &record.content {
            Content::Event(event) => Some(Arc::clone(event)),
            Content::Unknown if first => {
                count(&self.stats.unknown, 1);
                None
            }
            Content::Unwanted | Content::Unknown | Content::Broken(_) => None,
        }
    }

    fn tell(&self, record: &Record, turn: Turn) {
        if turn == Turn::Again {
            count(&self.stats.duplicates, 1);
            return;
        }
        count(&self.stats.gaps, 1);
        let topic = self.topics.get(record.topic).map_or("", |topic| topic.name());
        tracing::error!(
            consumer = self.name,
            topic,
            partition = record.partition,
            offset = record.offset,
            "the event before this one is missing in the topic: it waits \
             for it; if nobody publishes it, run `millrace replay --from-outbox` on its store"
        );
    }

    fn moves(&self, group: &Group) -> Vec<Move> {
        let places = group.places();
        let step = |((topic, partition), place): (&(usize, i32), &positions::Place)| {
            place.step(self.topics.get(*topic)?.name(), *partition)
        };
        let mut moves: Vec<_> = places.iter().filter_map(step).collect();
        // Every transaction takes its rows in the same sequence.
        moves.sort_unstable_by_key(|step| (step.topic, step.partition));
        moves
    }

    /// Handles `events` and writes the places behind them, in one transaction.
    fn commit(&self, group: &Group, events: &[Arc<Event>]) -> Result<(), Failed> {
        let (moves, begun) = (self.moves(group), policy::stopwatch());
        match &self.work {
            Work::Inside(handler) => self.transact(handler, moves, events)?,
            Work::Outside(outward) => {
                let act =
                    async { tokio::time::timeout(OUTWARD_MAX, outward.deliver(events)).await };
                let acted = self.block_on(act)?;
                acted.map_err(|late| Failed::Handler(HandlerError::new(late)))?.map_err(
                    |error| {
                        count(&self.stats.failures, 1);
                        Failed::Handler(error)
                    },
                )?;
                self.advance(moves)?;
            }
        }
        self.committed(group, events, begun.elapsed());
        Ok(())
    }

    fn committed(&self, group: &Group, events: &[Arc<Event>], took: Duration) {
        for place in group.places().values_mut() {
            place.committed();
        }
        self.stats.handled(events, self.store.clock().now(), took);
    }

    fn transact(
        &self,
        handler: &Arc<dyn Handler>,
        moves: Vec<Move>,
        events: &[Arc<Event>],
    ) -> Result<(), Failed> {
        let (name, handler) = (self.name, Arc::clone(handler));
        let mut traced = Traced::begin(name, "kafka", events);
        let given = traced.as_mut().map(|traced| std::mem::take(&mut traced.events));
        let events = given.unwrap_or_else(|| events.to_vec());
        let done = self.block_on(self.store.transact(move |tx| {
            Box::pin(async move {
                // The place last: a handler may only ask before the first change of a transaction.
                if !events.is_empty() {
                    handler.handle(tx, &events).await.map_err(Failed::Handler)?;
                }
                Ok(positions::advance(tx, name, &moves).await?)
            })
        }))?;
        if let Some(traced) = traced {
            traced.end(done.as_ref().err());
        }
        done
    }

    fn advance(&self, moves: Vec<Move>) -> Result<(), Failed> {
        let name = self.name;
        self.block_on(self.store.transact(move |tx| {
            Box::pin(async move { Ok(positions::advance(tx, name, &moves).await?) })
        }))?
    }

    /// Handles one event by itself, so that it fails by itself.
    fn settle_one(&mut self, event: &Arc<Event>, group: &Group) -> Result<(), Failed> {
        if !self.blocked.blocks(event) {
            let handled = self.commit(group, std::slice::from_ref(event));
            let Err(Failed::Handler(error)) = handled else { return handled };
            count(&self.stats.failures, 1);
            return self.park(event, group, Some(error.to_string()));
        }
        self.park(event, group, None)
    }

    /// Keeps an event for later: because of `cause`, or behind an earlier one of its key.
    fn park(
        &mut self,
        event: &Arc<Event>,
        group: &Group,
        cause: Option<String>,
    ) -> Result<(), Failed> {
        let (name, moves, kept) = (self.name, self.moves(group), Arc::clone(event));
        let parked: Result<_, Failed> = self.block_on(self.store.transact(move |tx| {
            Box::pin(async move {
                let place = parked::next_place(tx, name)?;
                let due_at = if let Some(cause) = cause {
                    Some(policy::park_failed(tx, name, place, &kept, &cause)?)
                } else {
                    policy::park_behind(tx, name, place, &kept)?;
                    None
                };
                positions::advance(tx, name, &moves).await?;
                Ok(due_at)
            })
        }))?;
        if let Some(due_at) = parked? {
            self.blocked.add(event, due_at);
        }
        self.blocked.tell(&self.stats);
        for place in group.places().values_mut() {
            place.committed();
        }
        Ok(())
    }

    /// Tries again what is due, and reads anew what waits.
    pub(super) fn retry_due(&mut self) {
        let name = self.name;
        let due = self.block_on(self.store.transact(move |tx| {
            Box::pin(async move {
                let due = parked::due(tx, name, tx.now())?;
                let mut keys: Vec<_> = due.into_iter().map(|first| first.key).collect();
                keys.dedup();
                let mut events = Vec::new();
                for key in keys {
                    events.push(parked::of_key(tx, name, &key)?);
                }
                Ok::<_, StoreError>(events)
            })
        }));
        for events in due.unwrap_or(Ok(Vec::new())).unwrap_or_default() {
            if let Err(error) = self.retry_key(events) {
                tracing::warn!(consumer = name, %error, "a parked event cannot be tried again");
            }
        }
        let reloaded = self.block_on(self.store.transact(move |tx| {
            Box::pin(async move {
                let mut blocked = Blocked::default();
                blocked.reload(tx, name)?;
                Ok::<_, StoreError>(blocked)
            })
        }));
        match reloaded {
            Ok(Ok(blocked)) => self.blocked = blocked,
            Ok(Err(_)) | Err(_) => self.blocked.doubt(),
        }
        self.blocked.tell(&self.stats);
    }

    /// Handles the parked events of one key in order, until one of them fails.
    fn retry_key(&self, events: Vec<Parked>) -> Result<(), Failed> {
        let Work::Inside(handler) = &self.work else { return Ok(()) };
        for parked_event in events {
            if parked_event.state == ParkedState::Parked {
                break;
            }
            let (handler, again) = (Arc::clone(handler), parked_event.clone());
            let alone = std::slice::from_ref(&parked_event.event);
            let mut traced = Traced::begin(self.name, "kafka", alone);
            let given = traced.as_mut().and_then(|traced| traced.events.pop());
            let event = given.unwrap_or_else(|| Arc::clone(&parked_event.event));
            let done: Result<(), Failed> = self.block_on(self.store.transact(move |tx| {
                Box::pin(async move {
                    let event = std::slice::from_ref(&event);
                    handler.handle(tx, event).await.map_err(Failed::Handler)?;
                    Ok(parked::remove(tx, &again)?)
                })
            }))?;
            if let Some(traced) = traced {
                traced.end(done.as_ref().err());
            }
            match done {
                Ok(()) => count(&self.stats.handled, 1),
                Err(Failed::Handler(error)) => return self.failed_again(parked_event, &error),
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    fn failed_again(&self, event: Parked, error: &HandlerError) -> Result<(), Failed> {
        count(&self.stats.failures, 1);
        let next = policy::failed_again(event, error, self.store.clock().now());
        if next.state == ParkedState::Parked {
            // The copy first: whoever reads the dead letters misses none.
            self.block_on(self.dead_letters.parked(self.name, &next.event, &next.cause))??;
        }
        self.block_on(
            self.store.transact(move |tx| Box::pin(async move { Ok(parked::update(tx, &next)?) })),
        )?
    }

    /// Waits for `future`, unless the process stops.
    fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, Failed> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                done = future => Ok(done),
                () = self.stopping.cancelled() => Err(Failed::Stopping),
            }
        })
    }
}

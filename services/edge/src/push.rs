//! Live push: committed events, heard as any other consumer hears them, become what screens show.
//!
//! [`Feed`] takes events in, on whatever thread commits them, and does next to nothing. Once per
//! tick one thread takes them out, [`project`]s them, and publishes to the hub; it also counts for
//! the [`overview`]. What a client missed while it was away comes back from the log.

pub(crate) mod overview;
pub(crate) mod project;
mod recall;
mod snapshots;
mod talk;
#[cfg(test)]
mod tests;
mod times;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use contracts::{Clock, Event, EventKind, Position, Timestamp, Topic};
use futures::future::BoxFuture;
use live::hub::{Channel, Client, Hub, Nature, Options, Seat};
use live::sse::{self, Sender};
use serde::{Deserialize, Serialize};
use telemetry::Tasks;
use tokio::sync::Semaphore;

use overview::Overview;
use snapshots::Snapshots;
pub(crate) use talk::{PATH, session_name};

/// Orders, told by what changed.
pub(crate) const ORDERS: Channel = Channel(0);
/// Levels of stock, told whole.
pub(crate) const STOCK: Channel = Channel(1);
/// Levels that an order moved, in the shape of seed 000.
pub(crate) const SEED: Channel = Channel(2);
const CHANNELS: &[Nature] = &[Nature::Partial, Nature::Whole, Nature::Whole];

/// Events that may wait for the next tick: four ticks at 60,000 a second. More than these are
/// not told, and who listens is told to load anew.
const EVENTS_MAX: usize = 65_536;

/// What an operator may set about live push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveSettings {
    /// How long changes of one thing are gathered before they are told as one, in milliseconds.
    pub tick_ms: u64,
    /// Silence after which a client is sent a sign of life, in seconds.
    pub heartbeat_s: u64,
    /// Clients that may listen at once.
    pub clients_max: usize,
    /// Megabytes of events that are kept for clients that are behind or come back.
    pub ring_mb_max: usize,
    /// After a stop clients come back within this many milliseconds, spread evenly.
    pub return_within_ms: u64,
    /// Where pages in frames find a client of SockJS, for clients of other origins whose browsers need
    /// the iframe transports. Empty: these are not offered.
    pub sockjs_client_url: String,
    /// Origins, besides our own, whose pages may open a WebSocket or a SockJS session:
    /// `https://shop.example`, or `*` for all.
    pub origins: Vec<String>,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            tick_ms: 250,
            heartbeat_s: 15,
            clients_max: 20_000,
            ring_mb_max: 32,
            return_within_ms: 5_000,
            sockjs_client_url: String::new(),
            origins: Vec::new(),
        }
    }
}

impl LiveSettings {
    /// Silence after which a client is sent a sign of life.
    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.heartbeat_s.max(1))
    }

    fn options(&self) -> Options {
        /// For how long the ring waits for clients that are just loading the page again.
        const LINGER: Duration = Duration::from_mins(1);
        Options {
            channels: CHANNELS,
            tick: Duration::from_millis(self.tick_ms.max(10)),
            ring_bytes_max: self.ring_mb_max.saturating_mul(1_024 * 1_024),
            clients_max: self.clients_max,
            linger: LINGER,
            return_within: Duration::from_millis(self.return_within_ms),
        }
    }
}

/// Reads the log: events from a position on, not more than fit a look; empty at its end.
pub type ReadLog =
    Arc<dyn Fn(Position) -> BoxFuture<'static, Result<Vec<Arc<Event>>, String>> + Send + Sync>;

/// When a shared log got an event, and the event.
pub type Dated = (Timestamp, Arc<Event>);

/// Reads a log that several edges hear: what it got since a time, those of each key in their sequence;
/// `None` if it does not keep that any more, or if there are more than so many.
pub type Recall = Arc<
    dyn Fn(Timestamp, usize) -> BoxFuture<'static, Result<Option<Vec<Dated>>, String>>
        + Send
        + Sync,
>;

/// Where what happened can be read again.
#[derive(Clone)]
enum Log {
    /// The log of the store that this edge shares with all services: positions are its own.
    Own(ReadLog),
    /// One that several edges hear, over a network: positions are times ([`times`]).
    Shared(Recall),
}

/// The first and the last position of something.
type Span = (Position, Position);

/// Committed events that the next tick will tell.
#[derive(Debug, Default)]
struct Inbox {
    /// Each with the position at which it is told.
    events: Vec<(Position, Arc<Event>)>,
    /// Where the first and the last of them stand, those that nobody is told of included.
    span: Option<Span>,
    overflowed: bool,
    /// Some before them were passed over: what is remembered of orders may be old.
    has_passed_over: bool,
}

/// Where events come in.
#[derive(Debug, Clone, Default)]
pub struct Feed(Arc<Door>);

#[derive(Debug, Default)]
struct Door {
    inbox: Mutex<Inbox>,
    /// The thread that takes events out, while it waits for the first.
    waiting: Mutex<Option<Thread>>,
    /// The position of what was heard of a shared log last.
    last: Mutex<Option<Position>>,
    /// Whether anybody waits: asked on the thread that commits.
    is_waited_for: AtomicBool,
    /// Held by who takes events out until the hub knows of them.
    turn: Mutex<()>,
}

impl Feed {
    /// Hears what was committed, in the sequence of the log. It is quick: it may be called on the
    /// thread that commits.
    pub fn committed(&self, events: &[Arc<Event>]) {
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return };
        let (first, last) = (first.id.position(), last.id.position());
        let told = events.iter().map(|event| (event.id.position(), event));
        self.put(told, (first, last));
    }

    /// Where `events` of a shared log are told that has been heard up to `up_to`, and the span of that.
    fn placed<'e>(
        &self,
        events: &'e [Dated],
        up_to: Timestamp,
    ) -> (Vec<(Position, &'e Arc<Event>)>, Span) {
        let mut last = self.last();
        let first = times::behind(*last, up_to);
        let mut placed = Vec::with_capacity(events.len());
        let mut to = first;
        for (_, event) in events {
            to = times::behind(*last, up_to);
            *last = Some(to);
            placed.push((to, event));
        }
        *last = Some(to);
        (placed, (first, to))
    }

    fn put<'e>(
        &self,
        events: impl Iterator<Item = (Position, &'e Arc<Event>)>,
        (first, last): Span,
    ) {
        {
            let mut inbox = self.inbox();
            inbox.span = Some((inbox.span.map_or(first, |(from, _)| from), last));
            if inbox.events.len() >= EVENTS_MAX {
                inbox.overflowed = true;
            } else {
                let told = events.filter(|(_, event)| is_told(event.data.kind()));
                inbox.events.extend(told.map(|(position, event)| (position, Arc::clone(event))));
            }
        }
        if self.0.is_waited_for.swap(false, Ordering::AcqRel)
            && let Some(thread) = self.waiting().take()
        {
            thread.unpark();
        }
    }

    fn last(&self) -> MutexGuard<'_, Option<Position>> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // What is inside is taken as a whole and replaced by nothing: it cannot be half changed.
        self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Thread>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, at most for `longest`, until something is there.
    fn wait(&self, longest: Duration) {
        *self.waiting() = Some(std::thread::current());
        self.0.is_waited_for.store(true, Ordering::Release);
        // In this sequence: what comes after the look wakes, what came before it is seen.
        if self.inbox().span.is_none() {
            std::thread::park_timeout(longest);
        }
        self.0.is_waited_for.store(false, Ordering::Release);
    }

    fn has_any(&self) -> bool {
        self.inbox().span.is_some()
    }

    fn take(&self) -> Inbox {
        std::mem::take(&mut *self.inbox())
    }
}

/// Whether an event can change what a screen shows.
fn is_told(kind: EventKind) -> bool {
    Live::TOPICS.contains(&kind.topic())
}

/// Live push of one edge.
#[derive(Clone)]
pub struct Live {
    pub(crate) hub: Hub,
    pub(crate) settings: LiveSettings,
    pub(crate) overview: Arc<Overview>,
    pub(crate) snapshots: Arc<Snapshots>,
    feed: Feed,
    log: Log,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    /// Writes the streams whose connections are handed over, once it runs.
    sender: Arc<OnceLock<Sender>>,
    /// One look into the log at a time: the next client finds what it brought back.
    recalls: Arc<Semaphore>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Live {
    /// The topics whose events are told.
    pub const TOPICS: [Topic; 3] = [Topic::Order, Topic::Payment, Topic::Stock];

    /// Live push that hears nothing yet: give [`Self::feed`] what is committed.
    pub fn new(
        settings: LiveSettings,
        read_log: ReadLog,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Self {
        Self::on(settings, Log::Own(read_log), clock, tasks)
    }

    /// The same for an edge that hears a log which others hear as well: give [`Self::feed`] what is
    /// heard of [`Self::TOPICS`].
    pub fn on_shared_log(
        settings: LiveSettings,
        recall: Recall,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Self {
        Self::on(settings, Log::Shared(recall), clock, tasks)
    }

    fn on(settings: LiveSettings, log: Log, clock: Arc<dyn Clock>, tasks: Tasks) -> Self {
        let hub = Hub::new(settings.options());
        Self {
            hub,
            settings,
            overview: Arc::default(),
            snapshots: Arc::default(),
            feed: Feed::default(),
            log,
            clock,
            tasks,
            sender: Arc::default(),
            recalls: Arc::new(Semaphore::new(1)),
        }
    }

    /// Whether an event of this kind would be told or counted. Events that are not heard because of
    /// this are what [`Self::heard`] is to know as left out.
    pub fn wants(&self, kind: EventKind) -> bool {
        is_told(kind) && (self.hub.is_watched() || self.overview.counts(kind))
    }

    /// Hears what a shared log got, which has been heard up to `up_to`; `has_gap` if something before it
    /// is lost, `leaves_out` if events are missing that were not wanted.
    pub fn heard(&self, events: &[Dated], up_to: Timestamp, has_gap: bool, leaves_out: bool) {
        let (placed, (first, to)) = self.feed.placed(events, up_to);
        if leaves_out && !has_gap {
            let _turn = self.feed.turn();
            // In this sequence: who begins to listen after the question is told to load anew.
            if !self.hub.is_watched() {
                let before = self.feed.take();
                let counted = before.events.iter().map(|(_, event)| event);
                for event in counted.chain(placed.iter().map(|(_, event)| *event)) {
                    self.overview.note(event);
                }
                self.hub.skip(to);
                self.feed.inbox().has_passed_over = true;
                return;
            }
        }
        // What was left out, somebody who has begun to listen meanwhile might have been told.
        self.feed.inbox().overflowed |= has_gap || leaves_out;
        self.feed.put(placed.into_iter(), (first, to));
    }

    /// Where events come in.
    pub fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// A stream of server-sent events: `first`, then what the client hears.
    pub(crate) fn streamed(&self, reader: (Seat, Client), first: Vec<Bytes>) -> Response {
        sse::answer(reader, first, self.settings.heartbeat(), self.sender.get().cloned())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The hub, for its metrics.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }
}

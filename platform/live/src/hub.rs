//! The hub: one ring of serialised events, and a cursor in it for every client.
//!
//! A writer publishes what one tick changed; bytes are made once and shared by everybody. A client
//! is a number in the ring and the groups that wake it, so a slow one costs nothing that grows: when
//! the ring has gone past its cursor it is told to load anew (`reset`) and goes on at the head.

mod client;
mod coalesce;
mod groups;
mod ring;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::Duration;

use bytes::Bytes;
use contracts::Position;
use smol_str::SmolStr;
use tokio::sync::Notify;

pub(crate) use client::Alike;
pub use client::{Client, Opened, Step};
pub use coalesce::{Change, Pending};
pub use groups::Interest;
pub(crate) use groups::Woken;
pub use ring::Entry;
pub(crate) use ring::id;

use groups::Groups;
use ring::Ring;

/// A kind of things that are told of, such as levels; its number is its place in [`Options`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(pub u8);

/// How the events of a channel follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Each event says all there is to say: who is behind needs only the last of each place.
    Whole,
    /// An event says what changed: none may be left out.
    Partial,
}

/// By which protocol a client listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Server-sent events.
    Sse,
    /// STOMP over a WebSocket.
    Stomp,
    /// STOMP through a SockJS session.
    Sockjs,
}

/// How a hub is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// The channels there are.
    pub channels: &'static [Nature],
    /// How long changes of a place are gathered before they are told as one.
    pub tick: Duration,
    /// Bytes that the ring keeps for clients that are behind or come back.
    pub ring_bytes_max: usize,
    /// Clients that may listen at once.
    pub clients_max: usize,
    /// How long the ring goes on recording after the last client has gone.
    pub linger: Duration,
    /// Clients come back after a stop within this span, spread evenly.
    pub return_within: Duration,
}

/// One thing to tell.
#[derive(Debug, Clone)]
pub struct Told {
    /// Of which kind.
    pub channel: Channel,
    /// What clients choose by.
    pub key: SmolStr,
    /// What replaces or follows its own kind: the key, or something finer.
    pub place: SmolStr,
    /// The name of the event.
    pub event: &'static str,
    /// Where in the log it happened; of several that became one, the last.
    pub position: Position,
    /// What is told: one line of JSON.
    pub json: Bytes,
}

/// Why a client must load anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It was too slow, or too much happened.
    Slow,
    /// It came back with a position that is no longer kept, or never was.
    Expired,
    /// What it asked to begin with could not be read.
    Snapshot,
}

impl Reason {
    /// The word that clients are told.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Expired => "expired",
            Self::Snapshot => "snapshot",
        }
    }
}

/// There is no room for another client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{clients_max} clients are listening already")]
pub struct Full {
    /// The limit.
    pub clients_max: usize,
}

/// What the hub counts.
#[derive(Debug, Default)]
pub struct Stats {
    sse: AtomicU64,
    stomp: AtomicU64,
    sockjs: AtomicU64,
    /// Interests that are followed: one for each stream, and for each subscription of a session.
    listeners: AtomicU64,
    /// Times that a client was told to load anew.
    pub resyncs: AtomicU64,
    /// Clients that went on where they had stood.
    pub resumes: AtomicU64,
    /// Ticks that told something.
    pub ticks: AtomicU64,
    /// Events that were told.
    pub events: AtomicU64,
    /// Bytes of the ring.
    pub ring_bytes: AtomicU64,
    /// Clients that were refused for want of room.
    pub refused: AtomicU64,
}

impl Stats {
    const fn of(&self, protocol: Protocol) -> &AtomicU64 {
        match protocol {
            Protocol::Sse => &self.sse,
            Protocol::Stomp => &self.stomp,
            Protocol::Sockjs => &self.sockjs,
        }
    }

    /// Clients that listen by `protocol` now.
    pub fn listening(&self, protocol: Protocol) -> u64 {
        self.of(protocol).load(Ordering::Relaxed)
    }

    fn seats(&self) -> u64 {
        self.listening(Protocol::Sse)
            + self.listening(Protocol::Stomp)
            + self.listening(Protocol::Sockjs)
    }
}

/// Room for one stream or session, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    stats: Arc<Stats>,
    protocol: Protocol,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.stats.of(self.protocol).fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells the thread that writes for many clients that there may be something to write.
type Bell = Box<dyn Fn() + Send + Sync>;

struct Shared {
    options: Options,
    ring: RwLock<Ring>,
    groups: Mutex<Groups>,
    stats: Arc<Stats>,
    stopping: AtomicBool,
    stop: Notify,
    /// Ticks left until the ring stops recording for nobody.
    linger: AtomicU64,
    bell: OnceLock<Bell>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Shared {
    fn wake(&self, number: u64, concerned: impl Fn(&Interest) -> bool) {
        self.groups().wake(number, concerned);
        self.ring();
    }

    fn ring(&self) {
        if let Some(ring) = self.bell.get() {
            ring();
        }
    }

    // A panic while a lock was held cannot leave the ring or the groups half changed: nothing in
    // between can panic but an allocation.
    fn read(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hub. Clones are the same hub.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Shared>);

impl Hub {
    /// A hub that nobody listens to yet.
    pub fn new(options: Options) -> Self {
        let ring = Ring::new(options.channels, options.ring_bytes_max);
        Self(Arc::new(Shared {
            options,
            ring: RwLock::new(ring),
            groups: Mutex::default(),
            stats: Arc::default(),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            linger: AtomicU64::new(0),
            bell: OnceLock::new(),
        }))
    }

    /// What the hub counts.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.0.stats
    }

    /// How long changes are gathered.
    pub fn tick(&self) -> Duration {
        self.0.options.tick
    }

    /// Whether anybody listens, or did so a short while ago.
    pub fn is_watched(&self) -> bool {
        let shared = &self.0;
        shared.stats.listeners.load(Ordering::Relaxed) > 0
            || shared.linger.load(Ordering::Relaxed) > 0
    }

    /// Whether anybody would hear what is published, or may come back for it soon. Ask once per
    /// tick, before its changes are taken.
    pub fn is_wanted(&self) -> bool {
        let shared = &self.0;
        if shared.stats.listeners.load(Ordering::Relaxed) > 0 {
            let tick = shared.options.tick.as_millis().max(1);
            let ticks = shared.options.linger.as_millis().div_euclid(tick);
            shared.linger.store(u64::try_from(ticks).unwrap_or(u64::MAX), Ordering::Relaxed);
            return true;
        }
        let left = shared.linger.load(Ordering::Relaxed);
        shared.linger.store(left.saturating_sub(1), Ordering::Relaxed);
        left > 0
    }

    /// Tells everything that one tick brought: what happened from `from` up to and with `to`.
    pub fn publish(&self, told: Vec<Told>, from: Position, to: Position) {
        let shared = &self.0;
        let count = u64::try_from(told.len()).unwrap_or(0);
        let changed = {
            let mut ring = shared.write();
            let changed = ring.push(told, from, to);
            let bytes = u64::try_from(ring.bytes()).unwrap_or(u64::MAX);
            shared.stats.ring_bytes.store(bytes, Ordering::Relaxed);
            changed
        };
        let Some(number) = changed else { return };
        shared.stats.ticks.fetch_add(1, Ordering::Relaxed);
        shared.stats.events.fetch_add(count, Ordering::Relaxed);
        let ring = shared.read();
        if let Some(tick) = ring.get(number) {
            shared.wake(number, |interest| tick.concerns(interest));
        }
    }

    /// Everything behind this position can be told again, once that is known.
    pub fn floor(&self) -> Option<Position> {
        self.0.read().floor()
    }

    /// Everything up to this position was told, as far as that is known.
    pub fn head(&self) -> Option<Position> {
        self.0.read().head()
    }

    /// Brings back from the log what happened behind `from`, up to and with `to`; `to` must be the
    /// [`Self::floor`] if there is one. `false` if there is no room for it.
    pub fn bring_back(&self, told: Vec<Told>, from: Position, to: Position) -> bool {
        self.0.write().prepend(told, from, to)
    }

    /// Something happened up to `to` that is not told: the ring begins anew behind it, and who
    /// listens meanwhile must load anew.
    pub fn skip(&self, to: Position) {
        let number = self.0.write().restart(to);
        // Whoever stands before it was counted before it began.
        if self.0.stats.listeners.load(Ordering::Relaxed) > 0 {
            self.0.groups().wake_for_loss(number);
            self.0.ring();
        }
    }

    /// Takes a seat for a stream or session, if there is room.
    pub fn seat(&self, protocol: Protocol) -> Result<Seat, Full> {
        let Shared { stats, options, .. } = &*self.0;
        let clients_max = options.clients_max;
        if stats.seats() >= u64::try_from(clients_max).unwrap_or(u64::MAX) {
            stats.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Full { clients_max });
        }
        stats.of(protocol).fetch_add(1, Ordering::Relaxed);
        Ok(Seat { stats: Arc::clone(stats), protocol })
    }

    /// Listens to `interest` from now on.
    pub fn listen(&self, interest: Interest) -> Client {
        Client::open(&self.0, interest)
    }

    /// Tells every client to come back, and ends.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
        self.0.stop.notify_waiters();
        self.0.wake(u64::MAX, |_| true);
    }

    /// Rings `bell` whenever there may be something to write, once clients were told of it; the first
    /// one that is given is kept.
    pub(crate) fn ring_when_told(&self, bell: Bell) {
        drop(self.0.bell.set(bell));
    }

    /// Waits for the stop.
    pub async fn stopped(&self) {
        let stop = self.0.stop.notified();
        // In this sequence: a stop after the question wakes, a stop before it is seen.
        if !self.is_stopping() {
            stop.await;
        }
    }

    /// Whether the hub has been stopped.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    /// When client number `nth` shall come back after a stop: spread by the golden ratio.
    fn return_after(shared: &Shared, nth: u64) -> Duration {
        let span = u64::try_from(shared.options.return_within.as_millis()).unwrap_or(u64::MAX);
        // Fibonacci hashing: neighbours land far from each other, all of them evenly.
        let scattered = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        Duration::from_millis((scattered.saturating_mul(span) >> 32).max(1))
    }
}

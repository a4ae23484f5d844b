//! A client: a cursor in the ring, and the group that wakes it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use contracts::Position;
use tokio::sync::watch;

use super::groups::{Interest, Woken};
use super::ring::{self, Entry};
use super::{Hub, Reason, Shared};

/// What comes next for a client.
#[derive(Debug)]
pub enum Step<T> {
    /// Events, in the sequence of the log, and the position up to which they tell everything.
    Events(T, Position),
    /// It missed something and must load anew; then it goes on.
    Reset(Reason),
    /// The hub stops: come back after this time.
    Stop(Duration),
}

/// How a client that came back goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// The ring has everything that it missed.
    Resumed,
    /// The ring has not: what it missed is in the log, or nowhere.
    TooOld,
}

/// What clients of one interest that stand at the same place are sent alike, made once.
#[derive(Debug, Default)]
pub(crate) struct Alike {
    made: Option<Made>,
}

#[derive(Debug)]
struct Made {
    from: (u64, usize),
    to: (u64, usize),
    told: Option<Position>,
    bytes: Bytes,
}

/// Somebody who listens to one interest.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    interest: Arc<Interest>,
    latest: watch::Receiver<Woken>,
    /// The next tick to look at.
    cursor: u64,
    /// Where it began to be told of ticks: of those before, its group knows nothing.
    joined: u64,
    /// The next piece of it.
    part: usize,
    /// Nothing up to here is told (again).
    seen: Option<Position>,
    /// Everything up to here was told, if that is known.
    told: Option<Position>,
    number: u64,
}

impl Client {
    pub(super) fn open(shared: &Arc<Shared>, interest: Interest) -> Self {
        shared.stats.listeners.fetch_add(1, Ordering::Relaxed);
        let (interest, latest, number) = shared.groups().join(interest);
        let ring = shared.read();
        let (cursor, told) = (ring.next(), ring.head());
        drop(ring);
        let shared = Arc::clone(shared);
        let joined = cursor;
        Self { shared, interest, latest, cursor, joined, part: 0, seen: None, told, number }
    }

    /// Goes on behind `position` if the ring still has what follows it.
    pub fn resume(&mut self, position: Position) -> Opened {
        let Some(cursor) = self.shared.read().behind(position) else { return Opened::TooOld };
        self.cursor = cursor;
        self.part = 0;
        self.seen = Some(position);
        self.told = Some(position);
        // It is behind, perhaps: the next look must not wait for something new.
        self.latest.mark_changed();
        self.shared.stats.resumes.fetch_add(1, Ordering::Relaxed);
        Opened::Resumed
    }

    /// The tick that this client looks at next. Who stands at the same place needs the same snapshot.
    pub const fn place(&self) -> u64 {
        self.cursor
    }

    /// The position up to which this client was told everything, if that is known.
    pub const fn told(&self) -> Option<Position> {
        self.told
    }

    /// Notes that the client was told to load anew by somebody else.
    pub fn was_reset(&self) {
        self.shared.stats.resyncs.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for what comes next, as events. Dropping the future loses nothing.
    pub async fn next_events(&mut self) -> Step<Vec<Arc<Entry>>> {
        loop {
            if let Some(step) = self.look() {
                return step;
            }
            self.changed().await;
        }
    }

    /// Waits for what comes next, as the bytes of server-sent events, shared where they can be.
    /// Dropping the future loses nothing.
    pub async fn next_chunks(&mut self) -> Step<Vec<Bytes>> {
        loop {
            if let Some(step) = self.look_for_chunks() {
                return step;
            }
            self.changed().await;
        }
    }

    /// What comes next, if it is there, as bytes that `frame` makes of the pieces; clients that stand
    /// where `alike` was made get the same bytes.
    pub(crate) fn look_alike(
        &mut self,
        alike: &mut Alike,
        frame: impl FnOnce(&[Bytes]) -> Bytes,
    ) -> Option<Step<Bytes>> {
        let from = (self.cursor, self.part);
        let is_usual = self.seen.is_none();
        if let Some(made) = alike.made.as_ref().filter(|made| is_usual && made.from == from) {
            (self.cursor, self.part) = made.to;
            self.told = made.told;
            return Some(Step::Events(made.bytes.clone(), made.told?));
        }
        match self.look_for_chunks()? {
            Step::Events(chunks, position) => {
                let bytes = frame(&chunks);
                if is_usual {
                    let (to, told) = ((self.cursor, self.part), self.told);
                    alike.made = Some(Made { from, to, told, bytes: bytes.clone() });
                }
                Some(Step::Events(bytes, position))
            }
            Step::Reset(reason) => Some(Step::Reset(reason)),
            Step::Stop(after) => Some(Step::Stop(after)),
        }
    }

    /// What this client listens to, and where it is told that there may be something.
    pub(crate) fn wakes(&self) -> (Arc<Interest>, watch::Receiver<Woken>) {
        (Arc::clone(&self.interest), self.latest.clone())
    }

    async fn changed(&mut self) {
        // A group lives as long as it has members.
        self.latest.changed().await.unwrap_or_default();
    }

    /// The part of every look that does not depend on the form.
    fn outcome<T>(&mut self) -> Option<Step<T>> {
        // First of all: what comes after this look wakes the client again.
        let woken = *self.latest.borrow_and_update();
        if self.shared.stopping.load(Ordering::Acquire) {
            return Some(Step::Stop(Hub::return_after(&self.shared, self.number)));
        }
        let ring = self.shared.read();
        if self.cursor >= ring.first() {
            return None;
        }
        let is_known = self.cursor >= self.joined;
        if is_known && !woken.may_have_missed(self.cursor, ring.first()) {
            // Others were told of much, and this one of nothing: it is not behind.
            self.cursor = ring.first();
            return None;
        }
        self.cursor = ring.next();
        self.part = 0;
        self.told = ring.head();
        drop(ring);
        self.was_reset();
        Some(Step::Reset(Reason::Slow))
    }

    /// Who wants everything takes one tick after the other: what it holds of them stays small, however
    /// far behind it is. Who chose some keys takes all that it missed of them.
    fn look(&mut self) -> Option<Step<Vec<Arc<Entry>>>> {
        loop {
            if let Some(step) = self.outcome() {
                return Some(step);
            }
            let (mut entries, to) = {
                let ring = self.shared.read();
                let from = self.cursor;
                if from >= ring.next() {
                    return None;
                }
                self.cursor = if self.wants_all() { from.saturating_add(1) } else { ring.next() };
                self.part = 0;
                let to = ring.get(self.cursor.checked_sub(1)?).map(ring::Tick::to)?;
                (ring.between(from, self.cursor, &self.interest), to)
            };
            self.told = self.told.max(Some(to));
            if let Some(seen) = self.seen {
                entries.retain(|entry| entry.position > seen);
                // What comes behind this tick lies behind it in the log as well.
                self.seen = self.seen.filter(|seen| *seen > to);
            }
            if !entries.is_empty() {
                return Some(Step::Events(entries, to));
            }
        }
    }

    fn wants_all(&self) -> bool {
        self.interest.chosen().is_empty()
    }

    /// The usual case, without a copy: the next piece of the next tick, the same for everybody who wants
    /// everything. A client that stops reading holds one piece, not a tick.
    fn look_for_piece(&mut self) -> Option<Step<Vec<Bytes>>> {
        let ring = self.shared.read();
        let tick = ring.get(self.cursor)?;
        let (chunks, to) = (tick.chunks(self.interest.channel()), tick.to());
        let piece = chunks.get(self.part).cloned();
        self.part += 1;
        if self.part >= chunks.len() {
            self.cursor = self.cursor.saturating_add(1);
            self.part = 0;
            self.told = Some(to);
        }
        drop(ring);
        piece.map(|piece| Step::Events(vec![piece], to))
    }

    fn look_for_chunks(&mut self) -> Option<Step<Vec<Bytes>>> {
        loop {
            if let Some(step) = self.outcome() {
                return Some(step);
            }
            let is_done = self.cursor >= self.shared.read().next();
            if is_done {
                return None;
            }
            if self.seen.is_some() || !self.wants_all() {
                break;
            }
            if let Some(step) = self.look_for_piece() {
                return Some(step);
            }
        }
        Some(match self.look()? {
            Step::Events(entries, to) => Step::Events(ring::gathered(&entries), to),
            Step::Reset(reason) => Step::Reset(reason),
            Step::Stop(after) => Step::Stop(after),
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.stats.listeners.fetch_sub(1, Ordering::Relaxed);
        self.shared.groups().leave(&self.interest);
    }
}

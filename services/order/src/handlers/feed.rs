//! Changes as they are committed, for those who watch: one ring, and a place in it per watcher.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use contracts::{CustomerId, OrderId, OrderNumber, Timestamp};
use tokio::sync::watch;

use super::change::{Change, locked};
use crate::domain::{Order, Status};

/// Changes that are kept for watchers that come back or are slow: about a second at full load.
const CHANGES_MAX: usize = 65_536;

/// One order that changed.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The order.
    pub id: OrderId,
    /// Its number.
    pub number: OrderNumber,
    /// Where it stands now.
    pub status: Status,
    /// Its version now.
    pub version: u64,
    /// When it changed.
    pub at: Timestamp,
    /// Whose order it is.
    pub customer_id: CustomerId,
}

impl From<&Change> for Changed {
    fn from(change: &Change) -> Self {
        Self {
            id: change.placed.id,
            number: change.placed.number,
            status: change.after.status,
            version: change.version,
            at: change.at,
            customer_id: change.placed.customer_id.clone(),
        }
    }
}

impl Changed {
    /// An order as another instance left it.
    pub(super) fn of(order: &Order) -> Self {
        Self {
            id: order.placed.id,
            number: order.placed.number,
            status: order.status(),
            version: order.version,
            at: order.history.changed_at(),
            customer_id: order.placed.customer_id.clone(),
        }
    }
}

/// The changes of one commit.
#[derive(Debug)]
pub struct Commit {
    /// Grows by one from commit to commit, and never falls when the process is started again.
    pub position: u64,
    /// What changed, in the sequence of the changes.
    pub changes: Vec<Changed>,
}

/// What is kept.
#[derive(Default)]
struct Ring {
    commits: VecDeque<Arc<Commit>>,
    changes: usize,
}

/// The ring.
pub(super) struct Feed {
    ring: Mutex<Ring>,
    last: watch::Sender<u64>,
}

/// The position asked for is no longer kept, or was never given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the changes behind position {after} are no longer kept")]
pub struct WatchError {
    /// What was asked for.
    pub after: u64,
}

/// A watcher: knows the position that it has seen last.
pub struct Watch {
    feed: Arc<super::change::Live>,
    last: watch::Receiver<u64>,
    seen: u64,
}

impl Feed {
    /// Positions begin with the time of the start in microseconds: as long as there are fewer than
    /// a million commits per second, no position is given twice over all starts.
    pub(super) fn new(now: Timestamp) -> Self {
        let first = u64::try_from(now.as_micros()).unwrap_or(0);
        Self { ring: Mutex::default(), last: watch::Sender::new(first) }
    }

    pub(super) fn push(&self, changes: Vec<Changed>) {
        let mut ring = locked(&self.ring);
        let position = *self.last.borrow() + 1;
        ring.changes += changes.len();
        ring.commits.push_back(Arc::new(Commit { position, changes }));
        while ring.changes > CHANGES_MAX && ring.commits.len() > 1 {
            let oldest = ring.commits.pop_front();
            ring.changes -= oldest.map_or(0, |commit| commit.changes.len());
        }
        drop(ring);
        self.last.send_replace(position);
    }

    fn behind(&self, seen: u64) -> Result<Vec<Arc<Commit>>, WatchError> {
        let ring = locked(&self.ring);
        let last = ring.commits.back().map_or_else(|| *self.last.borrow(), |last| last.position);
        let oldest = ring.commits.front().map_or(last + 1, |commit| commit.position);
        if seen.saturating_add(1) < oldest || seen > last {
            return Err(WatchError { after: seen });
        }
        let fresh = ring.commits.iter().filter(|commit| commit.position > seen);
        Ok(fresh.cloned().collect())
    }
}

impl super::Orders {
    /// Watches what is committed from now on, or behind the position `after`.
    pub fn watch(&self, after: Option<u64>) -> Result<Watch, WatchError> {
        let last = self.live.feed.last.subscribe();
        let now = *last.borrow();
        let seen = after.unwrap_or(now);
        self.live.feed.behind(seen)?;
        Ok(Watch { feed: Arc::clone(&self.live), last, seen })
    }
}

impl Watch {
    /// The position that was seen last.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Waits for commits behind the last one seen. Who is too slow gets an error.
    pub async fn next(&mut self) -> Result<Vec<Arc<Commit>>, WatchError> {
        loop {
            self.last.borrow_and_update();
            let fresh = self.feed.feed.behind(self.seen)?;
            if let Some(commit) = fresh.last() {
                self.seen = commit.position;
                return Ok(fresh);
            }
            // The sender lives as long as the feed that this value holds.
            self.last.changed().await.unwrap_or_default();
        }
    }
}

//! What the trailing index does not hold yet.
//!
//! Every committed change is noted here; a flush ([`super::index`]) takes all of it as one
//! *generation* into the index, and lets it go when it is committed there. Three rules make answers
//! exact although the index trails:
//!
//! 1. A reader looks at the tail first and opens its snapshot afterwards. What a flush moves in
//!    between is then in the snapshot.
//! 2. What is found is a candidate: the reader checks it against the order's row in that snapshot.
//! 3. Whatever puts an order into another class says an event in the same commit. So after a start
//!    the log behind the index's position names every order that the index may lack.
//!
//! The index's position is the last segment of the last generation that was flushed whole. A flush
//! that was cut off leaves entries behind its position; they are found there again, or are stale,
//! which rule 2 bears.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use contracts::{OrderNumber, Timestamp};

use super::change::{Change, Standing, locked};
use crate::domain::{Order, Placed};
use crate::store::index::{Entry, Kind, class};

/// Entries that are looked at under the lock at a time: the writer waits for it after a COMMIT.
const SCAN_CHUNK: usize = 2_048;

/// How the index knows an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Indexed {
    /// Not at all: it was placed since.
    Not,
    /// In some class or other: the process has been started since, or another instance changed it.
    Somehow,
    /// As it stood then.
    As(Standing),
}

/// An order that the index does not show as it stands.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    /// What was placed, if the index may not hold that either.
    pub(super) placed: Option<Arc<Placed>>,
    pub(super) indexed: Indexed,
    pub(super) now: Standing,
}

/// The orders of one generation, by number.
pub(super) type Generation = BTreeMap<i64, Pending>;

/// Two generations: the one that grows, and the one that a flush is writing.
#[derive(Default)]
pub(super) struct Tail {
    growing: Generation,
    flushing: Arc<Generation>,
    /// How often a generation was taken; a reader that sees it change begins anew.
    taken: u64,
    /// The last segment of the log that tells of a change in here.
    segment: u64,
    /// When the growing generation began.
    since: Option<Timestamp>,
}

impl Tail {
    /// Notes a committed change.
    pub(super) fn note(&mut self, change: &Change) {
        self.segment = self.segment.max(change.segment.unwrap_or(0));
        if change.before == Some(change.after) {
            return;
        }
        self.since.get_or_insert(change.at);
        let pending = self.growing.entry(change.number()).or_insert_with(|| Pending {
            placed: change.before.is_none().then(|| Arc::clone(&change.placed)),
            indexed: change.before.map_or(Indexed::Not, Indexed::As),
            now: change.after,
        });
        pending.now = change.after;
    }

    /// Notes an order that the log names behind the index's position, or that another instance changed.
    pub(super) fn recover(&mut self, order: &Order, segment: u64) {
        self.segment = self.segment.max(segment);
        let (placed, now) = (Some(Arc::clone(&order.placed)), Standing::of(order));
        let pending = Pending { placed, indexed: Indexed::Somehow, now };
        self.growing.insert(order.placed.number.as_i64(), pending);
        self.since.get_or_insert_with(|| order.history.changed_at());
    }

    /// Goes on behind the index's position.
    pub(super) fn start_at(&mut self, segment: u64) {
        self.segment = self.segment.max(segment);
    }

    /// Orders that the index does not show as they stand.
    pub(super) fn waiting(&self) -> usize {
        self.growing.len().saturating_add(self.flushing.len())
    }

    /// Orders in the growing generation, and since when it grows.
    pub(super) fn size(&self) -> (usize, Option<Timestamp>) {
        (self.growing.len(), self.since)
    }

    /// Whether the growing generation sets all entries of the order anew, whatever the index says.
    pub(super) fn sets_anew(&self, number: i64) -> bool {
        self.growing.get(&number).is_some_and(|pending| pending.indexed == Indexed::Somehow)
    }

    /// Takes the growing generation to be flushed, with the segment up to which it goes.
    pub(super) fn take(&mut self) -> (Arc<Generation>, u64) {
        self.taken += 1;
        self.since = None;
        self.flushing = Arc::new(std::mem::take(&mut self.growing));
        (Arc::clone(&self.flushing), self.segment)
    }

    /// The generation is in the index.
    pub(super) fn flushed(&mut self) {
        self.flushing = Arc::default();
    }

    /// The generation is not, or not whole, in the index: it is to be flushed with the next.
    pub(super) fn put_back(&mut self, now: Timestamp) {
        let flushing = std::mem::take(&mut self.flushing);
        self.taken += 1;
        self.since.get_or_insert(now);
        for (number, old) in flushing.iter() {
            let old = Pending { indexed: Indexed::Somehow, ..old.clone() };
            let pending = self.growing.entry(*number).or_insert_with(|| old.clone());
            pending.indexed = Indexed::Somehow;
            pending.placed = pending.placed.take().or(old.placed);
        }
    }
}

/// Numbers of orders in `tail` that `matches`, ascending.
pub(super) fn candidates(tail: &Mutex<Tail>, matches: impl Fn(i64, &Pending) -> bool) -> Vec<i64> {
    'anew: loop {
        let (taken, flushing) = {
            let tail = locked(tail);
            (tail.taken, Arc::clone(&tail.flushing))
        };
        let mut found = Vec::new();
        let mut after = Bound::Unbounded;
        loop {
            let tail = locked(tail);
            if tail.taken != taken {
                continue 'anew;
            }
            let mut chunk = tail.growing.range((after, Bound::Unbounded)).take(SCAN_CHUNK);
            let mut last = None;
            for (number, pending) in &mut chunk {
                last = Some(*number);
                if matches(*number, pending) {
                    found.push(*number);
                }
            }
            let Some(last) = last else { break };
            after = Bound::Excluded(last);
        }
        found.extend(flushing.iter().filter(|(n, one)| matches(**n, one)).map(|(n, _)| *n));
        found.sort_unstable();
        found.dedup();
        return found;
    }
}

/// What is to be added to the index, and what taken away.
#[derive(Debug, Default)]
pub(super) struct Flush {
    pub(super) insert: Vec<Entry>,
    pub(super) remove: Vec<Entry>,
    /// Whether some of it may be in the index already, from a flush that did not reach its end.
    pub(super) maybe_there: bool,
    /// Hashes of the request keys among them.
    pub(super) keys: Vec<[u8; 16]>,
    /// The largest order number among what was placed.
    pub(super) last_placed: Option<OrderNumber>,
}

impl Flush {
    /// All of `generation`, sorted as the index is.
    pub(super) fn of(generation: &Generation) -> Self {
        let mut flush = Self::default();
        for (number, pending) in generation {
            if let Some(placed) = &pending.placed {
                flush.add_placed(*number, placed);
            }
            flush.add_standing(*number, pending);
        }
        flush.insert.sort_unstable();
        flush.insert.dedup();
        flush.remove.sort_unstable();
        flush
    }

    fn add_placed(&mut self, number: i64, placed: &Placed) {
        let mut add = |kind, value: &[u8]| {
            self.insert.push(Entry { kind, value: value.to_vec(), number });
        };
        add(Kind::Customer, placed.customer_id.as_str().as_bytes());
        for line in &placed.lines {
            add(Kind::Sku, line.sku.as_str().as_bytes());
        }
        if let Some(request) = &placed.request {
            let hash = super::keys::hash(&request.key);
            add(Kind::Key, &hash);
            self.keys.push(hash);
        }
        self.last_placed = self.last_placed.max(Some(placed.number));
    }

    fn add_standing(&mut self, number: i64, pending: &Pending) {
        let now = class(pending.now.status);
        let entry = |kind, value: &[u8]| Entry { kind, value: value.to_vec(), number };
        let (was, attention) = match pending.indexed {
            Indexed::Not => (None, false),
            Indexed::As(standing) => (Some(class(standing.status)), standing.attention),
            Indexed::Somehow => {
                let others = (0..=12).filter(|other| *other != now);
                self.remove.extend(others.map(|other| entry(Kind::Class, &[other])));
                // Whatever it says, it is to be set anew.
                (None, false)
            }
        };
        let unknown = pending.indexed == Indexed::Somehow;
        self.maybe_there |= unknown;
        if was != Some(now) {
            self.insert.push(entry(Kind::Class, &[now]));
            self.remove.extend(was.map(|was| entry(Kind::Class, &[was])));
        }
        if pending.now.attention && !attention {
            self.insert.push(entry(Kind::Attention, &[]));
        } else if (attention || unknown) && !pending.now.attention {
            self.remove.push(entry(Kind::Attention, &[]));
        }
    }
}

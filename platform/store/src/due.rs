//! What is known of all rows of a record type without asking the database: whether any is pending
//! ([`crate::pending`]), and whether any deadline can have passed.
//!
//! A deadline is the column that a record names as [`crate::Record::INDEXED`]. For each record type a
//! bound is kept that no deadline lies below: whoever looks at what is due raises it, whatever is
//! written afterwards lowers it. A bound that is too low costs a look; it is never too high.

use std::any::TypeId;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

/// A bound that is kept is at most so many microseconds before the deadline: an hour. A row whose deadline
/// is days away is then found once, and not when its first deadline would have come as well.
const BEFORE_MAX: i64 = 3_600 * 1_000_000;

/// What the bound of a row becomes that has `kept` in its table ([`crate::Record::INDEXED_IS_BOUND`]). A
/// row that has no deadline now keeps it as well, unless it is settled: mostly it soon has one again.
pub(crate) fn bound(kept: Option<i64>, deadline: Option<i64>, is_settled: bool) -> Option<i64> {
    match (kept, deadline) {
        (Some(kept), Some(at)) if !(0..BEFORE_MAX).contains(&at.saturating_sub(kept)) => Some(at),
        (Some(kept), None) if !is_settled => Some(kept),
        (Some(kept), Some(_)) => Some(kept),
        (None | Some(_), deadline) => deadline,
    }
}

/// The bound of one record type. It is changed on the writer's thread only.
#[derive(Debug)]
pub(crate) struct Due {
    /// The next deadline as of the last look; unknown, so due at once, before the first.
    looked: AtomicI64,
    /// The earliest deadline of rows that were committed since the last look began.
    noted: AtomicI64,
    /// Whether rows are committed that are not in their table.
    is_pending: AtomicBool,
}

impl Default for Due {
    fn default() -> Self {
        Self {
            looked: AtomicI64::new(i64::MIN),
            noted: AtomicI64::new(i64::MAX),
            is_pending: AtomicBool::new(false),
        }
    }
}

impl Due {
    fn bound(&self) -> i64 {
        self.looked.load(Ordering::Acquire).min(self.noted.load(Ordering::Acquire))
    }

    /// Whether a deadline may lie at `at` or before.
    pub(crate) fn is_reached(&self, at: i64) -> bool {
        self.bound() <= at
    }

    /// Whether rows are committed that are not in their table.
    pub(crate) fn is_pending(&self) -> bool {
        self.is_pending.load(Ordering::Acquire)
    }

    /// Says so before their COMMIT, and that there are none after the one that wrote them.
    pub(crate) fn set_pending(&self, is_pending: bool) {
        self.is_pending.store(is_pending, Ordering::Release);
    }

    /// Rows with this as their earliest deadline are committed.
    pub(crate) fn note(&self, earliest: i64) {
        self.noted.fetch_min(earliest, Ordering::AcqRel);
    }

    /// Everything committed so far is being looked at. Should that come to nothing, the bound is what
    /// it was.
    pub(crate) fn begin_look(&self) {
        self.looked.store(self.bound(), Ordering::Release);
        self.noted.store(i64::MAX, Ordering::Release);
    }

    /// The look is committed: what it left begins at `next`.
    pub(crate) fn end_look(&self, next: i64) {
        self.looked.store(next, Ordering::Release);
    }
}

/// The bounds of all record types of a store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dues(Arc<Mutex<HashMap<TypeId, Arc<Due>>>>);

impl Dues {
    /// Every row of every type is in its table.
    pub(crate) fn nothing_is_pending(&self) {
        let bounds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bounds.values().for_each(|due| due.set_pending(false));
    }

    /// Another writer has been at work: nothing is known of any deadline.
    pub(crate) fn forget(&self) {
        let bounds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bounds.values().for_each(|due| due.note(i64::MIN));
    }

    /// What is known of `R`.
    pub(crate) fn of<R: 'static>(&self) -> Arc<Due> {
        let mut bounds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bounds.entry(TypeId::of::<R>()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_a_row_is_never_behind_its_deadline_and_moves_seldom() {
        let minute = 60_000_000;
        for (kept, deadline, expected) in [
            (None, None, None),
            (None, Some(7), Some(7)),
            (Some(7), None, None),
            (Some(7), Some(7), Some(7)),
            (Some(7), Some(7 + minute), Some(7)),
            (Some(7), Some(6), Some(6)),
            (Some(7), Some(7 + 59 * minute), Some(7)),
            (Some(7), Some(7 + 60 * minute), Some(7 + 60 * minute)),
            (Some(i64::MIN), Some(i64::MAX), Some(i64::MAX)),
        ] {
            assert_eq!(bound(kept, deadline, true), expected, "{kept:?} {deadline:?}");
            let expected = if deadline.is_none() { kept } else { expected };
            assert_eq!(
                bound(kept, deadline, false),
                expected,
                "{kept:?} {deadline:?}, not settled"
            );
        }
    }

    #[test]
    fn a_bound_is_unknown_until_somebody_looked_and_falls_with_what_is_written() {
        let due = Due::default();
        assert!(due.is_reached(i64::MIN));
        due.begin_look();
        due.note(70);
        due.end_look(50);
        assert!(!due.is_reached(49) && due.is_reached(50));
        due.note(20);
        assert!(due.is_reached(20) && !due.is_reached(19));
    }

    #[test]
    fn a_look_that_came_to_nothing_forgets_nothing() {
        let due = Due::default();
        due.begin_look();
        due.end_look(100);
        due.note(30);
        due.begin_look();
        assert!(due.is_reached(30), "what was noted before is still due");
        due.begin_look();
        due.note(60);
        due.end_look(i64::MAX);
        assert!(!due.is_reached(59) && due.is_reached(60), "written while it was looked at");
    }
}

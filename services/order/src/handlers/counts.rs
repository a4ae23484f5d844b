//! How many orders are in each state, counted in memory.
//!
//! One byte per order says where it stands, so that an order is counted once, whoever changed it: this
//! process, another instance, or the count of all rows that runs in the background after a start. Such
//! a row may be older than what is known of its order; then it is passed over.

use std::collections::HashMap;

use contracts::OrderNumber;

use super::change::{Change, Standing};
use crate::domain::{Order, Status};

/// Orders in one piece of memory.
const PAGE: i64 = 4_096;
/// Beside the status: somebody has to look at the order.
const ATTENTION: u8 = 0x80;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    by_status: [u64; 12],
    attention: u64,
    /// Where each order stands, by its number; 0 if that is not known.
    known: HashMap<i64, Vec<u8>>,
    /// Rows up to this number are counted.
    counted_to: i64,
    done: bool,
}

fn place(status: Status) -> usize {
    usize::try_from(status.code() - 1).unwrap_or(0)
}

fn mark(standing: Standing) -> u8 {
    let status = u8::try_from(standing.status.code()).unwrap_or(0);
    if standing.attention { status | ATTENTION } else { status }
}

impl Counts {
    fn known(&mut self, number: i64) -> Option<&mut u8> {
        let page = self.known.entry(number.div_euclid(PAGE));
        let page = page.or_insert_with(|| vec![0; usize::try_from(PAGE).unwrap_or(0)]);
        page.get_mut(usize::try_from(number.rem_euclid(PAGE)).ok()?)
    }

    /// The order stands there now.
    fn set(&mut self, number: i64, standing: Standing) {
        let Some(known) = self.known(number) else { return };
        let before = std::mem::replace(known, mark(standing));
        if before != 0 {
            let was = usize::from(before & !ATTENTION).checked_sub(1);
            if let Some(count) = was.and_then(|was| self.by_status.get_mut(was)) {
                *count = count.saturating_sub(1);
            }
            self.attention = self.attention.saturating_sub(u64::from(before & ATTENTION != 0));
        }
        if let Some(count) = self.by_status.get_mut(place(standing.status)) {
            *count += 1;
        }
        self.attention += u64::from(standing.attention);
    }

    /// A committed change.
    pub(super) fn note(&mut self, change: &Change) {
        self.set(change.number(), change.after);
    }

    /// An order that another instance changed.
    pub(super) fn see(&mut self, order: &Order) {
        self.set(order.placed.number.as_i64(), Standing::of(order));
    }

    /// The number behind which the next chunk begins; `None` when everything is counted.
    pub(super) fn next_chunk(&self) -> Option<OrderNumber> {
        let after = OrderNumber::new(u64::try_from(self.counted_to).unwrap_or(0));
        (!self.done).then_some(after)
    }

    /// Counts a chunk of rows, read in ascending order behind [`Self::next_chunk`]; an empty one is
    /// the last.
    pub(super) fn take_chunk(&mut self, rows: &[(OrderNumber, Status, bool)]) {
        for (number, status, attention) in rows {
            let number = number.as_i64();
            if self.known(number).is_some_and(|known| *known == 0) {
                self.set(number, Standing { status: *status, attention: *attention });
            }
            self.counted_to = number;
        }
        self.done |= rows.is_empty();
    }

    /// Whether everything is counted.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Orders in `status`.
    pub(super) fn of(&self, status: Status) -> u64 {
        self.by_status.get(place(status)).copied().unwrap_or(0)
    }

    /// Orders that a person has to look at.
    pub(super) const fn attention(&self) -> u64 {
        self.attention
    }

    /// Orders on their way to being confirmed. While the rows are still being counted this leaves
    /// out those not reached yet, so admission is generous for a moment after a start.
    pub(super) fn unfinished(&self) -> u64 {
        [Status::Placed, Status::Reserved, Status::Paying]
            .map(|status| self.of(status))
            .iter()
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_change_while_they_are_counted_count_once() {
        let number = OrderNumber::new;
        let standing = |status| Standing { status, attention: false };
        let mut counts = Counts::default();
        counts.set(2, standing(Status::Confirmed));
        counts.set(9_000, Standing { status: Status::Placed, attention: true });
        assert_eq!((counts.of(Status::Placed), counts.of(Status::Confirmed)), (1, 1));
        counts.take_chunk(&[(number(1), Status::Placed, false), (number(2), Status::Placed, true)]);
        assert_eq!((counts.of(Status::Placed), counts.of(Status::Confirmed)), (2, 1));
        assert_eq!((counts.next_chunk(), counts.unfinished()), (Some(number(2)), 2));
        counts.set(9_000, standing(Status::Cancelled));
        counts.set(1, standing(Status::Confirmed));
        counts.take_chunk(&[]);
        assert_eq!((counts.of(Status::Placed), counts.of(Status::Confirmed)), (0, 2));
        assert_eq!((counts.attention(), counts.next_chunk()), (0, None));
    }
}

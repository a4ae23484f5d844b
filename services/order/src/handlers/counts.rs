//! How many orders are in each state, counted in memory.
//!
//! After a start the rows are counted in the background, in chunks of ascending numbers. Meanwhile
//! orders behind the chunk that was counted last are only remembered with where they stand now
//! (`moved`); when their chunk comes, that counts instead of the row, which may be older. So the
//! counts are exact once the last chunk is done, without holding up the writer.

use std::collections::HashMap;

use contracts::OrderNumber;

use super::change::{Change, Standing};
use crate::domain::Status;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    by_status: [u64; 12],
    attention: u64,
    /// Orders up to this number are in the counts.
    counted_to: i64,
    /// Where orders behind that stand by now.
    moved: HashMap<i64, Standing>,
    done: bool,
}

fn place(status: Status) -> usize {
    usize::try_from(status.code() - 1).unwrap_or(0)
}

impl Counts {
    fn add(&mut self, standing: Standing) {
        if let Some(count) = self.by_status.get_mut(place(standing.status)) {
            *count += 1;
        }
        self.attention += u64::from(standing.attention);
    }

    fn subtract(&mut self, standing: Standing) {
        if let Some(count) = self.by_status.get_mut(place(standing.status)) {
            *count = count.saturating_sub(1);
        }
        self.attention = self.attention.saturating_sub(u64::from(standing.attention));
    }

    /// A committed change.
    pub(super) fn note(&mut self, change: &Change) {
        let number = change.number();
        if !self.done && number > self.counted_to {
            self.moved.insert(number, change.after);
            return;
        }
        if let Some(before) = change.before {
            self.subtract(before);
        }
        self.add(change.after);
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
            let row = Standing { status: *status, attention: *attention };
            let standing = self.moved.remove(&number).unwrap_or(row);
            self.add(standing);
            self.counted_to = number;
        }
        if rows.is_empty() {
            for (_, standing) in std::mem::take(&mut self.moved) {
                self.add(standing);
            }
            self.done = true;
        }
    }

    /// Whether everything is counted.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Orders in `status`.
    pub(super) fn of(&self, status: Status) -> u64 {
        let waiting = self.moved.values().filter(|standing| standing.status == status).count();
        let counted = self.by_status.get(place(status)).copied().unwrap_or(0);
        counted + u64::try_from(waiting).unwrap_or(0)
    }

    /// Orders that a person has to look at.
    pub(super) fn attention(&self) -> u64 {
        let waiting = self.moved.values().filter(|standing| standing.attention).count();
        self.attention + u64::try_from(waiting).unwrap_or(0)
    }

    /// Orders on their way to being confirmed. While the rows are still being counted this leaves
    /// out those not reached yet, so admission is generous for a moment after a start.
    pub(super) fn unfinished(&self) -> u64 {
        [Status::Placed, Status::Reserved, Status::Paying]
            .iter()
            .map(|status| self.by_status.get(place(*status)).copied().unwrap_or(0))
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
        counts.moved.insert(2, standing(Status::Confirmed));
        counts.moved.insert(9, standing(Status::Placed));
        assert_eq!((counts.of(Status::Placed), counts.of(Status::Confirmed)), (1, 1));
        counts.take_chunk(&[(number(1), Status::Placed, false), (number(2), Status::Placed, true)]);
        assert_eq!((counts.of(Status::Placed), counts.of(Status::Confirmed)), (2, 1));
        assert_eq!(counts.next_chunk(), Some(number(2)));
        counts.take_chunk(&[]);
        assert_eq!((counts.of(Status::Placed), counts.of(Status::Confirmed)), (2, 1));
        assert_eq!((counts.attention(), counts.next_chunk()), (0, None));
    }
}

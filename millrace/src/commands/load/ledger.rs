//! What became of every order: when it was meant to be sent, when it was accepted, how it ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contracts::OrderId;
use contracts_grpc::v1::OrderStatus;
use hdrhistogram::Histogram;
use tokio::time::Instant;

use super::pace::Ticket;

/// Significant digits of the histograms.
const DIGITS: u8 = 3;
/// The longest latency that they tell from a longer one, in microseconds: an hour.
const LATENCY_MAX_US: u64 = 3_600_000_000;
/// Numbers further behind the first than this are not ours: about 10^8 orders in one run.
const NUMBERS_MAX: u64 = 100_000_000;

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has not ended.
    Open,
    Confirmed,
    Rejected,
    /// Cancelled, expired, or waiting for a person.
    Other,
}

impl Fate {
    pub(super) const fn of(status: OrderStatus) -> Self {
        match status {
            OrderStatus::Unspecified
            | OrderStatus::Placed
            | OrderStatus::Reserved
            | OrderStatus::Paying
            | OrderStatus::Cancelling => Self::Open,
            OrderStatus::Confirmed | OrderStatus::Fulfilling | OrderStatus::Completed => {
                Self::Confirmed
            }
            OrderStatus::Rejected => Self::Rejected,
            OrderStatus::AwaitingDecision
            | OrderStatus::OnHold
            | OrderStatus::Cancelled
            | OrderStatus::Expired => Self::Other,
        }
    }
}

/// One order, found by its number. Its answer and its changes may come in any sequence.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The order's id and the intended time of sending, once its answer has come.
    accepted: Option<(OrderId, u64)>,
    fate: Fate,
    ended_us: u64,
}

const UNKNOWN: Entry = Entry { accepted: None, fate: Fate::Open, ended_us: 0 };

/// Counts so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Orders that were meant to be sent.
    pub(super) offered: u64,
    pub(super) accepted: u64,
    pub(super) confirmed: u64,
    pub(super) rejected: u64,
    /// Cancelled, expired or waiting for a person.
    pub(super) other: u64,
    /// Refused, or without any answer.
    pub(super) failed: u64,
    /// Refused because the server had too much to do; part of `failed`.
    pub(super) refused: u64,
    /// Never sent: the server was too far behind the schedule.
    pub(super) dropped: u64,
    /// Sent again with the same key, after too much to do or a broken connection.
    pub(super) retried: u64,
    /// Orders whose end was asked for because it was not seen.
    pub(super) asked: u64,
    /// Microseconds from the start.
    pub(super) last_accepted_us: u64,
    pub(super) last_confirmed_us: u64,
}

impl Counts {
    /// Accepted orders that have not ended.
    pub(super) fn open(&self) -> u64 {
        self.accepted.saturating_sub(self.settled())
    }

    pub(super) fn settled(&self) -> u64 {
        self.confirmed.saturating_add(self.rejected).saturating_add(self.other)
    }
}

/// Everything that is known of the run.
pub(super) struct Book {
    /// The number of the first order that can be ours.
    first: u64,
    entries: Vec<Entry>,
    pub(super) counts: Counts,
    pub(super) accepted_us: Histogram<u64>,
    pub(super) confirmed_us: Histogram<u64>,
    /// The first failure, for people.
    pub(super) failure: Option<String>,
    /// Why the changes could not be followed to the end.
    pub(super) watch_failure: Option<String>,
    /// The index and the id of every order whose answer came, if somebody wants to know.
    pub(super) acknowledged: Option<Vec<(u64, OrderId)>>,
}

/// The book, shared by the tasks of one thread.
#[derive(Clone)]
pub(super) struct Ledger {
    book: Arc<Mutex<Book>>,
    start: Instant,
}

impl Ledger {
    /// A ledger for orders from number `first` on, starting now.
    pub(super) fn try_new(first: u64) -> anyhow::Result<Self> {
        let book = Book {
            first,
            entries: Vec::new(),
            counts: Counts::default(),
            accepted_us: Histogram::new_with_bounds(1, LATENCY_MAX_US, DIGITS)?,
            confirmed_us: Histogram::new_with_bounds(1, LATENCY_MAX_US, DIGITS)?,
            failure: None,
            watch_failure: None,
            acknowledged: None,
        };
        Ok(Self { book: Arc::new(Mutex::new(book)), start: Instant::now() })
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> Counts {
        self.book().counts
    }

    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// Microseconds since the start.
    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Book {
    /// The server has stored the order of `ticket`.
    pub(super) fn accept(&mut self, id: OrderId, ticket: Ticket, now_us: u64) {
        if let Some(acknowledged) = &mut self.acknowledged {
            acknowledged.push((ticket.order, id));
        }
        let intended_us = ticket.intended_us;
        let number = id.number().get();
        let Some(entry) = entry(&mut self.entries, self.first, number) else { return };
        if entry.accepted.replace((id, intended_us)).is_some() {
            return;
        }
        let entry = *entry;
        self.counts.accepted = self.counts.accepted.saturating_add(1);
        self.counts.last_accepted_us = self.counts.last_accepted_us.max(now_us);
        self.accepted_us.saturating_record(now_us.saturating_sub(intended_us).max(1));
        self.count_end(&entry);
    }

    /// The order `number` stands at `status` now.
    pub(super) fn change(&mut self, number: u64, status: OrderStatus, now_us: u64) {
        let fate = Fate::of(status);
        if fate == Fate::Open {
            return;
        }
        let Some(entry) = entry(&mut self.entries, self.first, number) else { return };
        if entry.fate != Fate::Open {
            return;
        }
        (entry.fate, entry.ended_us) = (fate, now_us);
        let entry = *entry;
        self.count_end(&entry);
    }

    /// Counts an order once both its answer and its end are known.
    fn count_end(&mut self, entry: &Entry) {
        let Some((_, intended_us)) = entry.accepted else { return };
        let counts = &mut self.counts;
        let count = match entry.fate {
            Fate::Open => return,
            Fate::Confirmed => &mut counts.confirmed,
            Fate::Rejected => &mut counts.rejected,
            Fate::Other => &mut counts.other,
        };
        *count = count.saturating_add(1);
        if entry.fate == Fate::Confirmed {
            counts.last_confirmed_us = counts.last_confirmed_us.max(entry.ended_us);
            let latency = entry.ended_us.saturating_sub(intended_us).max(1);
            self.confirmed_us.saturating_record(latency);
        }
    }

    pub(super) fn fail(&mut self, why: impl FnOnce() -> String) {
        self.counts.failed = self.counts.failed.saturating_add(1);
        self.failure.get_or_insert_with(why);
    }

    /// Accepted orders whose end has not been seen.
    pub(super) fn missing(&self) -> Vec<OrderId> {
        let open = self.entries.iter().filter(|entry| entry.fate == Fate::Open);
        open.filter_map(|entry| entry.accepted.map(|(id, _)| id)).collect()
    }
}

fn entry(entries: &mut Vec<Entry>, first: u64, number: u64) -> Option<&mut Entry> {
    let index = number.checked_sub(first).filter(|index| *index < NUMBERS_MAX)?;
    let index = usize::try_from(index).ok()?;
    if index >= entries.len() {
        entries.resize(index.saturating_add(1), UNKNOWN);
    }
    entries.get_mut(index)
}

#[cfg(test)]
mod tests {
    use contracts::{OrderNumber, Timestamp};

    use super::*;

    fn id(number: u64) -> OrderId {
        OrderId::new(Timestamp::from_micros(1), OrderNumber::new(number), 0)
    }

    fn sent(intended_us: u64) -> Ticket {
        Ticket { order: 0, intended_us }
    }

    #[test]
    fn every_answer_is_kept_if_somebody_wants_to_know() {
        let ledger = Ledger::try_new(10).unwrap();
        let mut book = ledger.book();
        book.accept(id(10), sent(0), 1);
        assert_eq!(book.acknowledged, None);
        book.acknowledged = Some(Vec::new());
        book.accept(id(11), Ticket { order: 1, intended_us: 0 }, 1);
        // A second order under the same id is what somebody wants to know.
        book.accept(id(11), Ticket { order: 2, intended_us: 0 }, 1);
        assert_eq!(book.acknowledged, Some(vec![(1, id(11)), (2, id(11))]));
    }

    #[test]
    fn an_order_counts_once_whichever_news_comes_first() {
        let ledger = Ledger::try_new(10).unwrap();
        let mut book = ledger.book();
        book.change(11, OrderStatus::Confirmed, 900);
        book.change(10, OrderStatus::Placed, 100);
        assert_eq!(book.counts.confirmed, 0);
        book.accept(id(11), sent(400), 700);
        book.accept(id(10), sent(500), 700);
        book.accept(id(10), sent(500), 800);
        book.change(10, OrderStatus::Rejected, 950);
        book.change(11, OrderStatus::Fulfilling, 999);
        assert_eq!((book.counts.accepted, book.counts.confirmed, book.counts.rejected), (2, 1, 1));
        assert_eq!(book.counts.open(), 0);
        assert_eq!((book.accepted_us.min(), book.confirmed_us.max()), (200, 500));
        book.accept(id(12), sent(0), 2_500_000);
        assert!((2_499_000..2_502_000).contains(&book.accepted_us.max()));
        assert_eq!(book.counts.last_confirmed_us, 900);
    }

    #[test]
    fn orders_of_others_are_not_counted() {
        let ledger = Ledger::try_new(10).unwrap();
        let mut book = ledger.book();
        book.accept(id(9), sent(0), 1);
        book.change(12, OrderStatus::Confirmed, 5);
        book.change(u64::MAX, OrderStatus::Confirmed, 5);
        assert_eq!((book.counts.accepted, book.counts.confirmed), (0, 0));
        book.accept(id(13), sent(0), 1);
        assert_eq!(book.missing(), [id(13)]);
    }
}

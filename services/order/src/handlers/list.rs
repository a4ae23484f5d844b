//! Lists of orders, exact although the index that finds them trails behind: see [`super::tail`].

use std::collections::BTreeSet;
use std::sync::Arc;

use ::store::{Rx, StoreError};
use contracts::{CustomerId, OrderId, OrderNumber, Sku, Timestamp};

use super::Orders;
use super::tail::{self, Pending};
use crate::domain::{Order, Status, Text};
use crate::error::OrderError;
use crate::store;
use crate::store::index::{self, Kind, class};

/// Orders that are looked at for one page. Beyond that the page is cut short; the next one goes on.
const EXAMINED_MAX: usize = 4_000;
/// Candidates fetched at a time.
const CHUNK: usize = 500;
/// A prefix that so many orders have is looked for by walking: the page is soon full.
const PREFIX_MAX: usize = 2_000;
/// Orders beyond their deadline that are listed at most.
const OVERDUE_MAX: u32 = 10_000;

/// What a list asks for: all of it must be true of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In any of these states; empty for all.
    pub statuses: Vec<Status>,
    /// Of this customer.
    pub customer_id: Option<CustomerId>,
    /// With this SKU on a line.
    pub sku: Option<Sku>,
    /// Placed then or later.
    pub placed_from: Option<Timestamp>,
    /// Placed before.
    pub placed_to: Option<Timestamp>,
    /// Whose number, id, customer id or SKU begins with this; empty for all.
    pub query: Text,
    /// Only those that a person has to look at.
    pub needs_attention: bool,
    /// Only those whose deadline has passed.
    pub overdue: bool,
    /// From this channel; empty for all.
    pub channel: Text,
    /// The earliest first.
    pub oldest_first: bool,
}

/// A page of orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The orders.
    pub orders: Vec<Order>,
    /// The number behind which the next page begins; `None` at the end.
    pub next: Option<i64>,
}

impl Filter {
    fn matches(&self, order: &Order, now: Timestamp) -> bool {
        let placed = &order.placed;
        (self.statuses.is_empty() || self.statuses.contains(&order.status()))
            && self.customer_id.as_ref().is_none_or(|id| *id == placed.customer_id)
            && self.sku.as_ref().is_none_or(|sku| placed.lines.iter().any(|one| one.sku == *sku))
            && self.placed_from.is_none_or(|from| placed.at >= from)
            && self.placed_to.is_none_or(|to| placed.at < to)
            && (!self.needs_attention || order.attention.is_some())
            && (!self.overdue || order.deadline.is_some_and(|deadline| deadline < now))
            && (self.channel.is_empty() || self.channel == placed.channel)
            && (self.query.is_empty() || self.begins(order))
    }

    fn begins(&self, order: &Order) -> bool {
        let (query, placed) = (&*self.query, &order.placed);
        placed.customer_id.as_str().starts_with(query)
            || placed.lines.iter().any(|line| line.sku.as_str().starts_with(query))
            || placed.number.to_string().starts_with(query)
            || placed.id.to_string().starts_with(&query.to_ascii_lowercase())
    }

    /// Values of the index that every match has one of; `None` if only walking finds them.
    fn values(&self) -> Option<Vec<(Kind, Vec<u8>)>> {
        if let Some(id) = &self.customer_id {
            return Some(vec![(Kind::Customer, id.as_str().as_bytes().to_vec())]);
        }
        if let Some(sku) = &self.sku {
            return Some(vec![(Kind::Sku, sku.as_str().as_bytes().to_vec())]);
        }
        if self.needs_attention {
            return Some(vec![(Kind::Attention, Vec::new())]);
        }
        let classes: BTreeSet<u8> = self.statuses.iter().map(|status| class(*status)).collect();
        let values = classes.into_iter().map(|class| (Kind::Class, vec![class]));
        (!self.statuses.is_empty()).then(|| values.collect())
    }

    /// Whether an order of the tail may match, by what [`Self::values`] goes by.
    fn may_match(&self, pending: &Pending) -> bool {
        if let Some(placed) = &pending.placed {
            let customer = self.customer_id.as_ref().is_none_or(|id| *id == placed.customer_id);
            let has = |sku: &Sku| placed.lines.iter().any(|line| line.sku == *sku);
            return customer && self.sku.as_ref().is_none_or(has);
        }
        // What was placed is in the index: only what changes has to be found here.
        if self.customer_id.is_some() || self.sku.is_some() {
            return false;
        }
        let status = pending.now.status;
        let in_class = self.statuses.iter().any(|wanted| class(*wanted) == class(status));
        (self.statuses.is_empty() || in_class) && (!self.needs_attention || pending.now.attention)
    }
}

/// Where candidates come from.
enum Source {
    /// Every number.
    Walk,
    /// Entries of the index, and those of the tail.
    Index(Vec<(Kind, Vec<u8>)>, Vec<i64>),
    /// These, ascending, and every number within these ranges.
    Set(Vec<i64>, Vec<(i64, i64)>),
}

/// A list on its way through the candidates.
struct Search {
    filter: Filter,
    /// The numbers that are still to be looked at, both included.
    low: i64,
    high: i64,
    limit: usize,
}

impl Orders {
    /// A page of at most `limit` orders that match, behind the number `after`.
    pub async fn list(
        self: &Arc<Self>,
        filter: Filter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Page, OrderError> {
        // The tail first, the snapshot after it.
        let waiting = self.candidates(&filter);
        let (low, high) = match (after, filter.oldest_first) {
            (None, _) => (1, i64::MAX),
            (Some(after), true) => (after.saturating_add(1), i64::MAX),
            (Some(after), false) => (1, after.saturating_sub(1)),
        };
        let search = Search { filter, low, high, limit };
        Ok(self.store.read(move |rx| Box::pin(search.run(rx, waiting))).await?)
    }

    /// The orders of the tail that the filter's values may find.
    fn candidates(&self, filter: &Filter) -> Vec<i64> {
        if filter.values().is_some() {
            return tail::candidates(&self.live.tail, |_, pending| filter.may_match(pending));
        }
        if filter.query.is_empty() {
            return Vec::new();
        }
        let query = &*filter.query;
        tail::candidates(&self.live.tail, |_, pending| {
            pending.placed.as_ref().is_some_and(|placed| {
                placed.customer_id.as_str().starts_with(query)
                    || placed.lines.iter().any(|line| line.sku.as_str().starts_with(query))
            })
        })
    }
}

impl Search {
    async fn run(mut self, rx: &mut Rx, waiting: Vec<i64>) -> Result<Page, StoreError> {
        self.narrow(rx).await?;
        let source = self.source(rx, waiting).await?;
        let now = rx.now();
        let mut orders = Vec::new();
        let mut examined = 0;
        loop {
            let numbers = self.next(rx, &source).await?;
            if numbers.is_empty() {
                return Ok(Page { orders, next: None });
            }
            for number in numbers {
                let key = OrderNumber::new(u64::try_from(number).unwrap_or(0));
                let found = store::find(rx, key).await?;
                orders.extend(found.filter(|order| self.filter.matches(order, now)));
                examined += 1;
                self.pass(number);
                if orders.len() >= self.limit || examined >= EXAMINED_MAX {
                    return Ok(Page { orders, next: Some(number) });
                }
            }
        }
    }

    /// What is behind `number` is still to be looked at.
    fn pass(&mut self, number: i64) {
        if self.filter.oldest_first {
            self.low = number.saturating_add(1);
        } else {
            self.high = number.saturating_sub(1);
        }
    }

    /// Leaves out the numbers that were placed too early or too late.
    async fn narrow(&mut self, rx: &mut Rx) -> Result<(), StoreError> {
        if let Some(from) = self.filter.placed_from {
            self.low = self.low.max(store::first_placed_from(rx, from).await?);
        }
        if let Some(to) = self.filter.placed_to {
            let behind = store::first_placed_from(rx, to).await?;
            self.high = self.high.min(behind.saturating_sub(1));
        }
        self.high = self.high.min(store::last_number(rx).await?);
        Ok(())
    }

    async fn source(&self, rx: &mut Rx, waiting: Vec<i64>) -> Result<Source, StoreError> {
        let id: Option<OrderId> = self.filter.query.parse().ok();
        if let Some(id) = id {
            return Ok(Source::Set(vec![id.number().as_i64()], Vec::new()));
        }
        if self.filter.overdue {
            let due = store::due(rx, rx.now(), OVERDUE_MAX).await?;
            let mut numbers: Vec<i64> = due.into_iter().map(OrderNumber::as_i64).collect();
            numbers.sort_unstable();
            return Ok(Source::Set(numbers, Vec::new()));
        }
        if let Some(values) = self.filter.values() {
            return Ok(Source::Index(values, waiting));
        }
        self.with_prefix(rx, waiting).await
    }

    /// Orders whose customer, SKU, number or id begins with the query.
    async fn with_prefix(&self, rx: &mut Rx, waiting: Vec<i64>) -> Result<Source, StoreError> {
        let query = &*self.filter.query;
        if query.is_empty() {
            return Ok(Source::Walk);
        }
        let mut numbers = waiting;
        for kind in [Kind::Customer, Kind::Sku] {
            let limit = u32::try_from(PREFIX_MAX).unwrap_or(u32::MAX);
            let found = index::with_prefix(rx, kind, query.as_bytes(), limit).await?;
            if found.len() >= PREFIX_MAX {
                return Ok(Source::Walk);
            }
            numbers.extend(found);
        }
        numbers.sort_unstable();
        numbers.dedup();
        let mut ranges = numbers_beginning_with(query, self.high);
        if let Some((from, to)) = times_beginning_with(query) {
            let first = store::first_placed_from(rx, from).await?;
            let behind = store::first_placed_from(rx, to).await?;
            ranges.push((first, behind.saturating_sub(1)));
        }
        Ok(Source::Set(numbers, ranges))
    }

    /// The next candidates in the list's direction, none at the end.
    async fn next(&self, rx: &mut Rx, source: &Source) -> Result<Vec<i64>, StoreError> {
        if self.low > self.high {
            return Ok(Vec::new());
        }
        let (range, newest) = ((self.low, self.high), !self.filter.oldest_first);
        let limit = u32::try_from(CHUNK).unwrap_or(u32::MAX);
        match source {
            Source::Walk => store::numbers(rx, range, newest, limit).await,
            Source::Set(numbers, ranges) => {
                let mut found: BTreeSet<i64> = numbers.iter().copied().collect();
                for (low, high) in ranges {
                    let range = (self.low.max(*low), self.high.min(*high));
                    found.extend(store::numbers(rx, range, newest, limit).await?);
                }
                Ok(self.first(found))
            }
            Source::Index(values, waiting) => {
                // Each list is complete up to its own end, so together they give at least their
                // first `CHUNK` numbers.
                let mut found: BTreeSet<i64> = waiting.iter().copied().collect();
                for (kind, value) in values {
                    found.extend(index::numbers(rx, (*kind, value), range, newest, limit).await?);
                }
                Ok(self.first(found))
            }
        }
    }

    /// The first of `numbers` within the range, in the list's direction.
    fn first(&self, mut numbers: BTreeSet<i64>) -> Vec<i64> {
        numbers.retain(|number| (self.low..=self.high).contains(number));
        if self.filter.oldest_first {
            numbers.into_iter().take(CHUNK).collect()
        } else {
            numbers.into_iter().rev().take(CHUNK).collect()
        }
    }
}

/// The ranges of numbers up to `last` whose digits begin with `prefix`.
fn numbers_beginning_with(prefix: &str, last: i64) -> Vec<(i64, i64)> {
    let mut ranges = Vec::new();
    let digits = prefix.bytes().all(|byte| byte.is_ascii_digit()) && !prefix.starts_with('0');
    let Some(mut low) = prefix.parse::<i64>().ok().filter(|_| digits) else { return ranges };
    let mut span: i64 = 1;
    while low <= last {
        ranges.push((low, low.saturating_add(span - 1)));
        (low, span) = (low.saturating_mul(10), span.saturating_mul(10));
    }
    ranges
}

/// The times of placement, from and before, of ids that begin with `prefix`: the first twelve
/// digits of an id are its milliseconds.
fn times_beginning_with(prefix: &str) -> Option<(Timestamp, Timestamp)> {
    /// Digits of the milliseconds in an id (RFC 9562).
    const DIGITS: usize = 12;
    let digits: String = prefix.chars().filter(|letter| *letter != '-').take(DIGITS).collect();
    let known = i64::from_str_radix(&digits, 16).ok()?;
    let open = u32::try_from(DIGITS - digits.len()).ok()?;
    let span = 16_i64.pow(open);
    let from = known.checked_mul(span)?;
    let at = |millis: i64| Timestamp::from_micros(millis.saturating_mul(1_000));
    Some((at(from), at(from.saturating_add(span))))
}

//! Keeps the trailing index: brings the tail into it in large batches, and back after a start.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ::store::{BoxFuture, Follower, Rx, StoreError, Tx, log};
use contracts::{Event, EventKey, OrderNumber, Position, Topic};

use super::Orders;
use super::change::{Live, locked};
use super::tail::Flush;
use crate::domain::Order;
use crate::error::OrderError;
use crate::store::index::{self, Kind};

/// Rows in one transaction: about 5 ms on the writer.
const CHUNK_ROWS: usize = 2_000;
/// Pause between two of them, so that orders go first.
const CHUNK_PAUSE: Duration = Duration::from_millis(5);
/// Orders at which a flush is worth its pages: the entries go to random pages of the index, and the
/// more of them share a page, the less an order pays.
const FLUSH_ORDERS: usize = 50_000;
/// Orders that are flushed when they are a second old: too few to be felt.
const QUIET_ORDERS: usize = 2_000;
const QUIET_AGE: Duration = Duration::from_secs(1);
/// Nothing stays longer out of the index, so that a start after a crash is quick.
const AGE_MAX: Duration = Duration::from_secs(30);
/// Rows and keys read at a time in the background.
const SCAN_ROWS: u32 = 5_000;
/// Segments of the log read at a time after a start.
const SEGMENTS: u32 = 64;

/// The two halves of a flush: what is added, then what is taken away.
#[derive(Debug, Clone, Copy)]
enum Step {
    Insert,
    Remove,
}

impl Orders {
    /// Brings the tail into the index if that is worth it now; returns the orders that it took.
    pub async fn flush_index_if_due(self: &Arc<Self>) -> Result<usize, OrderError> {
        let (orders, since) = locked(&self.live.tail).size();
        let age = since.map_or(Duration::ZERO, |since| self.clock().now().since(since));
        let due = orders >= FLUSH_ORDERS
            || (orders > 0 && orders <= QUIET_ORDERS && age >= QUIET_AGE)
            || (orders > 0 && age >= AGE_MAX);
        if due { self.flush_index().await } else { Ok(0) }
    }

    /// Brings the whole tail into the index; returns the orders that it took.
    pub async fn flush_index(self: &Arc<Self>) -> Result<usize, OrderError> {
        if locked(&self.live.tail).size().0 == 0 {
            return Ok(0);
        }
        let (generation, segment) = locked(&self.live.tail).take();
        let orders = generation.len();
        // Another instance may have brought any of it into the index before. One that was not heard of
        // yet makes this flush fail; it is then done once more, anew for every order.
        let is_shared = self.live.has_company();
        // Sorting a large generation takes a while: not on a thread that serves requests.
        let flush = tokio::task::spawn_blocking(move || {
            let mut flush = Flush::of(&generation);
            flush.maybe_there |= is_shared;
            Arc::new(flush)
        })
        .await;
        let written = match flush {
            Ok(flush) => self.write(&flush, segment).await.map(|()| flush),
            Err(panic) => Err(StoreError::Panicked(panic.to_string()).into()),
        };
        match written {
            Ok(flush) => {
                self.live.keys.indexed(&flush.keys, flush.last_placed);
                locked(&self.live.tail).flushed();
                Ok(orders)
            }
            Err(error) => {
                locked(&self.live.tail).put_back(self.clock().now());
                Err(error)
            }
        }
    }

    /// The same before the process ends. One of several instances leaves much of it to the others, which
    /// have it as well: to add only what is missing takes seconds, in which it could not end.
    pub async fn flush_index_at_end(self: &Arc<Self>) -> Result<usize, OrderError> {
        let waiting = locked(&self.live.tail).waiting();
        if self.store.instance().is_some() && waiting > QUIET_ORDERS {
            return Ok(0);
        }
        self.flush_index().await
    }

    async fn write(&self, flush: &Arc<Flush>, segment: u64) -> Result<(), OrderError> {
        for (step, rows) in [(Step::Insert, flush.insert.len()), (Step::Remove, flush.remove.len())]
        {
            for from in (0..rows).step_by(CHUNK_ROWS) {
                let to = rows.min(from.saturating_add(CHUNK_ROWS));
                self.write_chunk(Arc::clone(flush), step, from..to).await?;
                tokio::time::sleep(CHUNK_PAUSE).await;
            }
        }
        self.store
            .transact(move |tx| {
                Box::pin(async move { Ok(index::set_position(tx, segment).await?) })
            })
            .await
    }

    async fn write_chunk(
        &self,
        flush: Arc<Flush>,
        step: Step,
        rows: Range<usize>,
    ) -> Result<(), OrderError> {
        let live = Arc::clone(&self.live);
        self.store
            .transact(move |tx| {
                Box::pin(async move {
                    let all = match step {
                        Step::Insert => &flush.insert,
                        Step::Remove => &flush.remove,
                    };
                    let mut chunk = all.get(rows).unwrap_or_default().to_vec();
                    {
                        // What another instance has changed since is in the index as it left it.
                        let tail = locked(&live.tail);
                        chunk.retain(|entry| {
                            let moves = matches!(entry.kind, Kind::Class | Kind::Attention);
                            !(moves && tail.sets_anew(entry.number))
                        });
                    }
                    match step {
                        Step::Remove => index::remove(tx, &chunk).await?,
                        Step::Insert if flush.maybe_there => {
                            index::insert_missing(tx, &chunk).await?;
                        }
                        Step::Insert => index::insert(tx, &chunk).await?,
                    }
                    Ok(())
                })
            })
            .await
    }

    /// After a start: notes every order that the log names behind the index's position.
    pub(super) async fn recover_index(&self) -> Result<(), StoreError> {
        let position = self.store.read(|rx| Box::pin(index::position(rx))).await?;
        locked(&self.live.tail).start_at(position);
        let mut next = position.saturating_add(1);
        loop {
            let (last, named) = self.store.read(move |rx| Box::pin(named_in_log(rx, next))).await?;
            let Some(last) = last else { return Ok(()) };
            self.recover(named, last).await?;
            next = last.saturating_add(1);
        }
    }

    /// Keeps up with what other instances do to the same orders.
    pub(super) fn follower(&self) -> Arc<dyn Follower> {
        Arc::new(Following(Arc::clone(&self.live)))
    }

    async fn recover(&self, named: BTreeSet<OrderNumber>, segment: u64) -> Result<(), StoreError> {
        let orders = self.store.read(move |rx| Box::pin(find_all(rx, named))).await?;
        self.live.recover(&orders, segment);
        Ok(())
    }

    /// Counts the next chunk of orders; `false` when everything is counted.
    pub async fn count_more(&self) -> Result<bool, OrderError> {
        let Some(after) = locked(&self.live.counts).next_chunk() else { return Ok(false) };
        let rows = self
            .store
            .read(move |rx| Box::pin(crate::store::statuses(rx, after, SCAN_ROWS)))
            .await?;
        locked(&self.live.counts).take_chunk(&rows);
        Ok(true)
    }

    /// Builds the filter over the request keys, if there is none or it has become too small.
    pub async fn build_key_filter(&self) -> Result<(), OrderError> {
        let orders: i64 = self.store.read(|rx| Box::pin(crate::store::last_number(rx))).await?;
        let expected = usize::try_from(orders.saturating_mul(2)).unwrap_or(usize::MAX);
        if !self.live.keys.begin_filter(expected) {
            return Ok(());
        }
        let mut after = [0; 16];
        loop {
            let keys = self
                .store
                .read(move |rx| Box::pin(async move { index::keys(rx, &after, SCAN_ROWS).await }))
                .await?;
            let Some(last) = keys.last() else { break };
            after = *last;
            self.live.keys.add_to_filter(&keys);
        }
        self.live.keys.complete_filter();
        Ok(())
    }
}

async fn find_all(rx: &mut Rx, named: BTreeSet<OrderNumber>) -> Result<Vec<Order>, StoreError> {
    let mut orders = Vec::with_capacity(named.len());
    for number in named {
        orders.extend(crate::store::find(rx, number).await?);
    }
    Ok(orders)
}

/// The orders that segments from `next` on tell of, and the last of those segments.
async fn named_in_log(
    rx: &mut Rx,
    next: u64,
) -> Result<(Option<u64>, BTreeSet<OrderNumber>), StoreError> {
    let events = log::read(rx, Position::start_of(next), SEGMENTS).await?;
    let last = events.last().map(|event| event.id.position().segment);
    Ok((last, orders_of(&events)))
}

/// The orders that events are about.
fn orders_of(events: &[Arc<Event>]) -> BTreeSet<OrderNumber> {
    let orders = events.iter().filter(|event| event.topic() == Topic::Order);
    let named = orders.filter_map(|event| match event.key() {
        EventKey::Order(id) => Some(id.number()),
        EventKey::Text(_) => None,
    });
    named.collect()
}

/// What an instance remembers of orders, kept right while others change them.
struct Following(Arc<Live>);

impl Follower for Following {
    fn follow<'t>(
        &'t self,
        tx: &'t mut Tx,
        events: &'t [Arc<Event>],
    ) -> BoxFuture<'t, Result<(), StoreError>> {
        Box::pin(async move {
            let Some(last) = events.last() else { return Ok(()) };
            let numbers: Vec<_> = orders_of(events).into_iter().collect();
            tx.load::<Order>(&numbers).await?;
            let orders = numbers.iter().filter_map(|number| tx.get::<Order>(number).cloned());
            self.0.follow(&orders.collect::<Vec<_>>(), last.id.position().segment);
            Ok(())
        })
    }
}

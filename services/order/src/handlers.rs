//! Commands and facts, carried out in transactions; and questions, answered from snapshots.

mod change;
mod command;
mod counts;
mod feed;
mod index;
mod keys;
mod list;
mod metrics;
mod place;
mod prices;
mod read;
mod settings;
mod tail;
#[cfg(test)]
mod tests;
mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::store::{Store, StoreError, Tx};
use contracts::{Draft, Event, EventData, OrderId, OrderNumber};
use contracts_grpc::v1::catalog_client::CatalogClient;
use telemetry::Metrics;

use crate::domain::{Cause, Deadlines, Fact, Order, Outcome};
use crate::error::OrderError;

use change::{Change, Changes, Live, locked};
use prices::Prices;

pub use command::{Answer, Asked, Command};
pub use feed::{Changed, Commit, Watch, WatchError};
pub use list::{Filter, Page};
pub use place::{NewLine, NewOrder, Placement};
pub use read::Summary;
pub use settings::Settings;

/// Something heard about an order.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'e> {
    /// The order.
    pub order: OrderId,
    /// The event that tells it.
    pub event: &'e Event,
    /// What it tells.
    pub fact: Fact<'e>,
}

/// The order service.
pub struct Orders {
    store: Store,
    settings: Settings,
    deadlines: Deadlines,
    prices: Prices,
    live: Arc<Live>,
    random: Random,
}

/// A stream of numbers that cannot be told from the order numbers beside them (`SplitMix64`).
struct Random(AtomicU64);

impl Random {
    /// Seeded once per process, from what the standard library takes from the system.
    fn seeded() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self(AtomicU64::new(RandomState::new().hash_one("order ids")))
    }

    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let seed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Orders {
    /// The service over `store`; asks `catalog` for prices.
    ///
    /// Brings back into memory what the trailing index does not hold yet. Nothing may be placed
    /// before that: a request key that is not indexed would be taken for a new one.
    pub async fn open(
        store: Store,
        settings: Settings,
        catalog: CatalogClient<rpc::Transport>,
        metrics: &Metrics,
    ) -> Result<Arc<Self>, StoreError> {
        let live = Arc::new(Live::new(store.clock().now(), metrics));
        let tail = Arc::clone(&live);
        let waiting = move || u64::try_from(locked(&tail.tail).waiting()).unwrap_or(0);
        metrics.value_of("order_index_waiting", "orders that the index trails behind", waiting);
        let orders = Self {
            deadlines: settings.deadlines(),
            prices: Prices::new(catalog),
            store,
            settings,
            live,
            random: Random::seeded(),
        };
        orders.store.follow(orders.follower()).await?;
        orders.recover_index().await?;
        Ok(Arc::new(orders))
    }

    /// What was set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How long an order may stay in a state.
    pub fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// Where time comes from.
    pub(crate) fn clock(&self) -> &Arc<dyn contracts::Clock> {
        self.store.clock()
    }

    /// Takes in what was heard, in the transaction that records it as heard. Facts about orders
    /// that are not ours change nothing.
    pub async fn hear(&self, tx: &mut Tx, batch: &[Heard<'_>]) -> Result<(), OrderError> {
        let numbers: Vec<OrderNumber> = batch.iter().map(|heard| heard.order.number()).collect();
        tx.load::<Order>(&numbers).await?;
        let mut changes = Changes::new(&self.live);
        for heard in batch {
            let cause = Cause::Event(heard.event.id);
            changes.in_trace_of(heard.event);
            self.apply(tx, heard.order, &heard.fact, &cause, &mut changes)?;
        }
        changes.tell_after_commit(tx);
        Ok(())
    }

    /// Prices of a product may be others from now on.
    pub fn product_changed(&self, tx: &mut Tx, event: &EventData) {
        if let Some(known) = prices::Known::of(event) {
            let prices = self.prices.clone();
            tx.after_commit(move || prices.learn(known));
        }
    }

    /// The same from a log that another instance may have handled; `None`: anything may have changed.
    pub fn hear_of_product(&self, event: Option<&EventData>) {
        let Some(event) = event else { return self.prices.forget() };
        if let Some(known) = prices::Known::of(event) {
            self.prices.learn(known);
        }
    }

    /// Lets the deadlines pass that are due; returns how many orders that were.
    pub async fn pass_deadlines(self: &Arc<Self>) -> Result<usize, OrderError> {
        /// Orders in one transaction, so that the writer is never held for long.
        const ORDERS_MAX: u32 = 500;
        let now = self.clock().now();
        let due: Vec<OrderNumber> =
            self.store.read(move |rx| Box::pin(crate::store::due(rx, now, ORDERS_MAX))).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let Err(error) = self.pass_deadlines_together(due.clone()).await else {
            return Ok(due.len());
        };
        tracing::warn!(%error, "deadlines could not pass together; each is tried alone");
        let (mut passed, mut last) = (0, error);
        for number in due {
            match self.pass_deadlines_together(vec![number]).await {
                Ok(()) => passed += 1,
                Err(error) => last = error,
            }
        }
        if passed > 0 { Ok(passed) } else { Err(last) }
    }

    async fn pass_deadlines_together(
        self: &Arc<Self>,
        due: Vec<OrderNumber>,
    ) -> Result<(), OrderError> {
        let orders = Arc::clone(self);
        self.store
            .transact(move |tx| Box::pin(async move { orders.pass_deadlines_of(tx, &due).await }))
            .await
    }

    async fn pass_deadlines_of(&self, tx: &mut Tx, due: &[OrderNumber]) -> Result<(), OrderError> {
        tx.load::<Order>(due).await?;
        let mut changes = Changes::new(&self.live);
        for number in due {
            let Some(id) = tx.get::<Order>(number).map(|order| order.placed.id) else { continue };
            tx.found::<Order>(number);
            self.apply(tx, id, &Fact::DeadlinePassed, &Cause::Deadline, &mut changes)?;
        }
        changes.tell_after_commit(tx);
        Ok(())
    }

    /// Lets `fact` happen to an order that is loaded; nothing happens if it is not ours.
    fn apply(
        &self,
        tx: &mut Tx,
        id: OrderId,
        fact: &Fact<'_>,
        cause: &Cause,
        changes: &mut Changes,
    ) -> Result<(), OrderError> {
        let Some(order) = tx.get::<Order>(&id.number()) else { return Ok(()) };
        if order.placed.id != id {
            return Ok(());
        }
        let before = change::Standing::of(order);
        match order.clone().accept(fact, cause, &self.deadlines, tx.now())? {
            Outcome::AlreadyApplied(_) => Ok(()),
            Outcome::Moved(order, says) => save(tx, Some(before), order, says, cause, changes),
        }
    }
}

/// Stores `order` and says what it says, in one transaction.
fn save(
    tx: &mut Tx,
    before: Option<change::Standing>,
    order: Order,
    says: Vec<EventData>,
    cause: &Cause,
    changes: &mut Changes,
) -> Result<(), OrderError> {
    if let Err(why) = order.check() {
        return Err(OrderError::Unsound { number: order.placed.number.get(), why });
    }
    let id = order.placed.id;
    let said = u64::try_from(says.len()).unwrap_or(0);
    let first = order.events_said.saturating_sub(said).saturating_add(1);
    let segment = (said > 0).then(|| tx.segment());
    for (sequence, data) in (first..).zip(says) {
        let (causation, traceparent) = (cause.event(), changes.traceparent());
        tx.publish(Draft { sequence, correlation: Some(id), causation, traceparent, data });
    }
    changes.push(Change::new(before, &order, segment, tx.now()));
    tx.put(order);
    Ok(())
}

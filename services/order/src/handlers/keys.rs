//! Request keys: each stands for one order, for ever.
//!
//! A key is looked for in three places: among the keys of orders that the index does not hold yet
//! (`recent`, in memory, filled inside the transaction so that two requests of one COMMIT meet), in
//! a Bloom filter over all keys in the index, and, if that does not say no, in the index itself.
//! Until the filter is built the index is always asked. Whatever is found is checked against the
//! order's row, so an entry of a transaction that was undone does no harm.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, RwLock};

use ::store::{StoreError, Tx};
use contracts::OrderNumber;
use fastbloom::BloomFilter;

use super::change::locked;
use crate::domain::{Order, RequestKey};
use crate::store::index;

/// Keys that the first filter has room for.
const CAPACITY_MIN: usize = 1 << 20;
/// One key in a hundred that is not there is looked for in vain: a filter of 1.2 bytes per key.
const FALSE_POSITIVES: f64 = 0.01;

/// The hash by which a key is found. Two keys of one hash do no harm: the key itself decides.
pub(super) fn hash(key: &str) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(key.as_bytes()).as_bytes()[..16]);
    short
}

/// A filter that is being built, or is complete.
struct Filter {
    bloom: BloomFilter,
    capacity: usize,
    keys: usize,
    /// Whether every key in the index is in it.
    complete: bool,
}

impl Filter {
    fn with_room_for(keys: usize) -> Self {
        let capacity = keys.max(CAPACITY_MIN);
        let bloom = BloomFilter::with_false_pos(FALSE_POSITIVES).expected_items(capacity);
        Self { bloom, capacity, keys: 0, complete: false }
    }

    fn add(&mut self, keys: &[[u8; 16]]) {
        for key in keys {
            self.bloom.insert(key);
        }
        self.keys += keys.len();
    }
}

/// Where request keys are looked for.
pub(super) struct Keys {
    recent: Mutex<HashMap<[u8; 16], OrderNumber>>,
    filter: RwLock<Filter>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { recent: Mutex::default(), filter: RwLock::new(Filter::with_room_for(0)) }
    }
}

impl Keys {
    /// The order that was placed with `request`'s key, in this transaction or before.
    pub(super) async fn find(
        &self,
        tx: &mut Tx,
        request: &RequestKey,
    ) -> Result<Option<Order>, StoreError> {
        let hash = hash(&request.key);
        let recent = locked(&self.recent).get(&hash).copied();
        if let Some(order) = has_key(tx, recent.into_iter().collect(), request).await? {
            return Ok(Some(order));
        }
        if self.is_new(&hash) {
            return Ok(None);
        }
        let numbers = index::by_key(tx, &hash).await?;
        let numbers = numbers.into_iter().filter_map(|number| u64::try_from(number).ok());
        has_key(tx, numbers.map(OrderNumber::new).collect(), request).await
    }

    fn is_new(&self, hash: &[u8; 16]) -> bool {
        let filter = self.filter.read().unwrap_or_else(PoisonError::into_inner);
        filter.complete && !filter.bloom.contains(hash)
    }

    /// Order `number` is about to be stored with `key`.
    pub(super) fn claim(&self, key: &str, number: OrderNumber) {
        locked(&self.recent).insert(hash(key), number);
    }

    /// `keys` are in the index, as is every order placed up to `last`.
    pub(super) fn indexed(&self, keys: &[[u8; 16]], last: Option<OrderNumber>) {
        /// Keys added at a time: the writer waits for the lock.
        const CHUNK: usize = 1_024;
        keys.chunks(CHUNK).for_each(|some| self.add_to_filter(some));
        if let Some(last) = last {
            locked(&self.recent).retain(|_, number| *number > last);
        }
    }

    /// Begins a new filter if there is none that is complete and has room; tells whether it did.
    pub(super) fn begin_filter(&self, keys_expected: usize) -> bool {
        let mut filter = self.filter.write().unwrap_or_else(PoisonError::into_inner);
        if filter.complete && filter.keys <= filter.capacity {
            return false;
        }
        *filter = Filter::with_room_for(keys_expected);
        true
    }

    /// Adds keys that the index holds.
    pub(super) fn add_to_filter(&self, keys: &[[u8; 16]]) {
        self.filter.write().unwrap_or_else(PoisonError::into_inner).add(keys);
    }

    /// Every key of the index is in the filter.
    pub(super) fn complete_filter(&self) {
        self.filter.write().unwrap_or_else(PoisonError::into_inner).complete = true;
    }
}

/// The one of `numbers` that was placed with the key of `request`.
async fn has_key(
    tx: &mut Tx,
    numbers: Vec<OrderNumber>,
    request: &RequestKey,
) -> Result<Option<Order>, StoreError> {
    tx.load::<Order>(&numbers).await?;
    let orders = numbers.iter().filter_map(|number| tx.get::<Order>(number));
    let same = |order: &&Order| {
        order.placed.request.as_ref().is_some_and(|other| other.key == request.key)
    };
    Ok(orders.into_iter().find(same).cloned())
}

//! What a transaction has read and is about to write: one cache per record type, one list per
//! appended table ([`crate::append`]). Each piece of work can be undone alone; what is left is flushed
//! once per COMMIT.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use rusqlite::Connection;

use crate::due::{self, Due};
use crate::engine::Engine;
use crate::error::StoreError;
use crate::pending::PendingRows;
use crate::record::{Key, Record};
use crate::server::Server;
use crate::sqlite::Prepared;
use crate::value::{Row, Value};

/// What the transaction does to every cache without knowing its rows.
pub(crate) trait AnyCache: Send {
    /// A piece of work begins.
    fn begin(&mut self);
    /// The rule of the schema that a row of the current piece of work breaks.
    fn broken_rule(&self) -> Option<&'static str>;
    /// The piece of work is kept.
    fn keep(&mut self);
    /// The piece of work is undone.
    fn undo(&mut self);
    /// Rows that the transaction changed.
    fn changed(&self) -> usize;
    /// Whether the current piece of work has changed nothing.
    fn is_untouched(&self) -> bool;
    /// Writes what is not in its table, sorted by key; returns the rows written.
    fn flush(&mut self, engine: &Engine) -> Result<u64, StoreError>;
    /// Adds the rows that this transaction changed to `pending`, to be written by a later flush; what
    /// is never changed again is written. Returns the rows written.
    fn defer(&mut self, engine: &Engine, pending: &mut PendingRows) -> Result<u64, StoreError>;
    /// The COMMIT is durable: if everything is in its table, rows beyond the limit may go.
    fn committed(&mut self, settled: bool);
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

/// A row in memory, or its known absence.
struct Slot<R: Record> {
    key: R::Key,
    /// `None`: the database has no such row.
    row: Option<Box<R>>,
    /// What the database has, if the row is there.
    stored: Option<Stored>,
    /// Changed in the current transaction.
    dirty: bool,
    /// Changed in an earlier one that left it to a later flush.
    is_pending: bool,
    /// Found by its bound, which it no longer needs.
    is_found: bool,
    /// Grows each time the place is given to another row, so that what is left in a queue of places
    /// is known to be old.
    stamp: u32,
}

/// What a row has in the database.
#[derive(Clone, Copy)]
struct Stored {
    version: u64,
    indexed: Option<i64>,
}

impl Stored {
    /// What is stored of `row` once it is written.
    fn after<R: Record>(slot: &Slot<R>, row: &R) -> Self {
        let deadline = row.indexed();
        let indexed = match slot.stored {
            Some(before) if R::INDEXED_IS_BOUND && !slot.is_found => {
                due::bound(before.indexed, deadline, row.is_settled())
            }
            Some(_) | None => deadline,
        };
        Self { version: row.version(), indexed }
    }

    fn read<R: Record>(row: &Row<'_>) -> Result<(R, Self), StoreError> {
        let record = R::read(row)?;
        let indexed = if R::INDEXED_IS_BOUND {
            row.opt_int(R::TABLE.columns.len().saturating_sub(1))?
        } else {
            record.indexed()
        };
        let version = record.version();
        Ok((record, Self { version, indexed }))
    }
}

impl<R: Record> Slot<R> {
    /// Pushes the values of `record` as they are to be stored; returns what will be.
    fn write<'r>(&self, record: &'r R, values: &mut Vec<Value<'r>>) -> Stored {
        let (start, after) = (values.len(), Stored::after(self, record));
        record.write(values);
        if R::INDEXED_IS_BOUND {
            values.push(after.indexed.map_or(Value::Null, Value::Int));
        }
        let columns = R::TABLE.columns.len();
        debug_assert_eq!(values.len().saturating_sub(start), columns, "{}", R::TABLE.name);
        after
    }
}

/// What `put` replaced.
struct Replaced<R> {
    place: usize,
    row: Option<Box<R>>,
    stored: Option<Stored>,
    dirty: bool,
    /// The key was not in memory: the place is given back.
    is_new: bool,
}

/// Rows that nothing more is expected of are kept in memory for so many others, for whoever looks
/// at them once more.
const SETTLED_MAX: usize = 2_048;

/// The rows of one record type.
///
/// Rows lie in boxes behind a small table of places, so that neither a growing table nor an undo
/// list moves whole rows.
pub(crate) struct RecordCache<R: Record> {
    places: HashMap<R::Key, usize>,
    slots: Vec<Slot<R>>,
    free: Vec<usize>,
    /// What `put` replaced in the current piece of work, oldest first.
    undo: Vec<Replaced<R>>,
    dirty: Vec<(R::Key, usize)>,
    dirty_at_begin: usize,
    /// Rows that an earlier transaction left to a later flush.
    pending: Vec<(R::Key, usize)>,
    /// Places and their stamps in the order in which their rows came, for eviction.
    arrivals: VecDeque<(usize, u32)>,
    /// The same for rows that are settled, in the order in which they became so.
    settled: VecDeque<(usize, u32)>,
    /// No row has a whole number above this for its key, neither here nor in the database; `None`
    /// until the database was asked.
    top: Option<i64>,
    /// The largest key that was put before the database was asked.
    top_put: i64,
    /// What is known of the deadlines of all rows, and the earliest that this transaction put.
    due: Arc<Due>,
    earliest_put: i64,
    insert: String,
    update: String,
    update_but_indexed: String,
    select: String,
}

/// The statements of one flush, each prepared when the first row needs it.
struct Writing<'c> {
    insert: Option<Prepared<'c>>,
    update: Option<Prepared<'c>>,
    update_but_indexed: Option<Prepared<'c>>,
}

fn ready<'s, 'c>(
    place: &'s mut Option<Prepared<'c>>,
    connection: &'c Connection,
    sql: &'c str,
) -> Result<&'s mut Prepared<'c>, StoreError> {
    if place.is_none() {
        *place = Some(Prepared::try_new(connection, sql)?);
    }
    place.as_mut().ok_or(StoreError::Stopped)
}

impl<R: Record> RecordCache<R> {
    pub(crate) fn new(due: Arc<Due>) -> Self {
        Self {
            places: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            undo: Vec::new(),
            dirty: Vec::new(),
            dirty_at_begin: 0,
            pending: Vec::new(),
            arrivals: VecDeque::new(),
            settled: VecDeque::new(),
            top: None,
            top_put: 0,
            due,
            earliest_put: i64::MAX,
            insert: R::TABLE.insert(),
            update: R::TABLE.update(None),
            update_but_indexed: R::TABLE.update(R::INDEXED),
            select: R::TABLE.select(),
        }
    }

    pub(crate) fn load(&mut self, engine: &Engine, keys: &[R::Key]) -> Result<(), StoreError> {
        if let Engine::Server(server) = engine {
            return self.load_set(engine, server, keys);
        }
        for key in keys {
            if self.places.contains_key(key) || self.is_beyond(engine, key)? {
                continue;
            }
            let found = engine.query_one(&self.select, &[key.value()], Stored::read)?;
            let (row, stored) = found.unzip();
            self.take_in(key.clone(), row.map(Box::new), stored);
        }
        Ok(())
    }

    /// The same by one query for all of them.
    fn load_set(
        &mut self,
        engine: &Engine,
        server: &Server,
        keys: &[R::Key],
    ) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        for key in keys {
            if !self.places.contains_key(key) && !self.is_beyond(engine, key)? {
                missing.push(key);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable();
        missing.dedup();
        let values: Vec<_> = missing.iter().map(|key| key.value()).collect();
        let rows: Vec<(R, Stored)> = server.select(&R::TABLE, &values, Stored::read)?;
        let mut found: HashMap<_, _> = rows.into_iter().map(|row| (row.0.key(), row)).collect();
        for key in missing {
            let (row, stored) = found.remove(key).unzip();
            self.take_in(key.clone(), row.map(Box::new), stored);
        }
        Ok(())
    }

    /// Whether `key` is larger than that of every row: most rows that are looked for are those of
    /// orders that have just come, and the database need not be asked about them.
    fn is_beyond(&mut self, engine: &Engine, key: &R::Key) -> Result<bool, StoreError> {
        match key.number() {
            Some(number) => Ok(number > self.top(engine)?),
            None => Ok(false),
        }
    }

    fn top(&mut self, engine: &Engine) -> Result<i64, StoreError> {
        if let Some(top) = self.top {
            return Ok(top);
        }
        let top = engine.last_key(&R::TABLE)?.max(self.top_put);
        self.top = Some(top);
        Ok(top)
    }

    fn take_in(&mut self, key: R::Key, row: Option<Box<R>>, stored: Option<Stored>) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                key: key.clone(),
                row: None,
                stored: None,
                dirty: false,
                is_pending: false,
                is_found: false,
                stamp: 0,
            });
            self.slots.len().saturating_sub(1)
        });
        let slot = &mut self.slots[place];
        slot.key = key.clone();
        (slot.row, slot.stored, slot.dirty, slot.is_found) = (row, stored, false, false);
        self.arrivals.push_back((place, slot.stamp));
        self.places.insert(key, place);
        place
    }

    pub(crate) fn get(&self, key: &R::Key) -> Option<&R> {
        let place = *self.places.get(key)?;
        self.slots.get(place)?.row.as_deref()
    }

    pub(crate) fn put(&mut self, record: R) {
        let key = record.key();
        let (place, is_new) = match self.places.get(&key) {
            Some(place) => (*place, false),
            None => (self.take_in(key.clone(), None, None), true),
        };
        if let Some(number) = key.number() {
            self.top_put = self.top_put.max(number);
            self.top = self.top.map(|top| top.max(number));
        }
        if let Some(deadline) = record.indexed() {
            // It counts even if the piece is undone: too early a bound does no harm.
            self.earliest_put = self.earliest_put.min(deadline);
        }
        let slot = &mut self.slots[place];
        let row = slot.row.replace(Box::new(record));
        let (stored, dirty) = (slot.stored, slot.dirty);
        self.undo.push(Replaced { place, row, stored, dirty, is_new });

        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push((key, place));
        }
    }

    /// Writes the row of `key`, if it is here, with its deadline for a bound.
    pub(crate) fn found(&mut self, key: &R::Key) {
        let Some(record) = self.get(key).cloned() else { return };
        self.put(record);
        let slot = self.places.get(key).and_then(|place| self.slots.get_mut(*place));
        if let Some(slot) = slot {
            // It stays so if the piece is undone: a bound that is a deadline is never wrong.
            slot.is_found = true;
        }
    }

    /// The next whole number after the largest key, given once.
    pub(crate) fn number(&mut self, engine: &Engine) -> Result<i64, StoreError> {
        let next = self.top(engine)?.saturating_add(1);
        self.top = Some(next);
        Ok(next)
    }

    /// Writes the rows of `dirty`, which are sorted by key.
    fn write_all(&mut self, engine: &Engine, dirty: &[(R::Key, usize)]) -> Result<(), StoreError> {
        match engine {
            Engine::Sqlite(connection) => self.write_each(connection, dirty)?,
            Engine::Server(server) => self.write_sets(server, dirty)?,
        }
        let Self { slots, settled, .. } = self;
        for (_, place) in dirty {
            let Some(slot) = slots.get_mut(*place) else { continue };
            let Some(record) = &slot.row else { continue };
            if record.is_settled() {
                settled.push_back((*place, slot.stamp));
            }
            slot.stored = Some(Stored::after(slot, record.as_ref()));
            (slot.dirty, slot.is_pending, slot.is_found) = (false, false, false);
        }
        Ok(())
    }

    /// Row by row, by prepared statements.
    fn write_each(
        &self,
        connection: &Connection,
        dirty: &[(R::Key, usize)],
    ) -> Result<(), StoreError> {
        let Self { slots, insert, update, update_but_indexed, .. } = self;
        let mut writing = Writing { insert: None, update: None, update_but_indexed: None };
        for (key, place) in dirty {
            let Some(slot) = slots.get(*place) else { continue };
            let Some(record) = &slot.row else { continue };
            let mut values = Vec::with_capacity(R::TABLE.columns.len().saturating_add(1));
            let after = slot.write(record, &mut values);
            let statement = match slot.stored {
                None => ready(&mut writing.insert, connection, insert)?,
                Some(before) => {
                    values.push(Value::from(before.version));
                    if R::INDEXED.is_some() && before.indexed == after.indexed {
                        ready(&mut writing.update_but_indexed, connection, update_but_indexed)?
                    } else {
                        ready(&mut writing.update, connection, update)?
                    }
                }
            };
            if statement.run(&values)? != 1 {
                return Err(StoreError::Stale { table: R::TABLE.name, key: format!("{key:?}") });
            }
        }
        Ok(())
    }

    /// New rows by one statement, changed ones by another.
    fn write_sets(&self, server: &Server, dirty: &[(R::Key, usize)]) -> Result<(), StoreError> {
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for (_, place) in dirty {
            let Some(slot) = self.slots.get(*place) else { continue };
            let Some(record) = &slot.row else { continue };
            let mut values = Vec::with_capacity(R::TABLE.columns.len().saturating_add(1));
            slot.write(record, &mut values);
            match slot.stored {
                None => new.push(values),
                Some(before) => {
                    values.push(Value::from(before.version));
                    changed.push(values);
                }
            }
        }
        let whole = |touched, rows: &[Vec<Value<'_>>]| {
            let is_whole = touched == u64::try_from(rows.len()).unwrap_or(u64::MAX);
            let key = || format!("of {} rows", rows.len());
            is_whole
                .then_some(())
                .ok_or_else(|| StoreError::Stale { table: R::TABLE.name, key: key() })
        };
        if !new.is_empty() {
            whole(server.insert(&R::TABLE, &new)?, &new)?;
        }
        if !changed.is_empty() {
            whole(server.update(&R::TABLE, &changed)?, &changed)?;
        }
        Ok(())
    }

    /// Forgets the row at `place`; what waits in the queues for it is known by its old stamp.
    fn forget(&mut self, place: usize) {
        let Some(slot) = self.slots.get_mut(place) else { return };
        self.places.remove(&slot.key);
        (slot.row, slot.stored, slot.dirty) = (None, None, false);
        slot.stamp = slot.stamp.wrapping_add(1);
        self.free.push(place);
    }

    fn is_current(&self, (place, stamp): (usize, u32)) -> bool {
        self.slots.get(place).is_some_and(|slot| slot.stamp == stamp)
    }
}

impl<R: Record> AnyCache for RecordCache<R> {
    fn begin(&mut self) {
        self.dirty_at_begin = self.dirty.len();
    }

    fn broken_rule(&self) -> Option<&'static str> {
        let mut rows = self.undo.iter().filter_map(|put| self.slots.get(put.place)?.row.as_deref());
        rows.find_map(R::broken_rule)
    }

    fn keep(&mut self) {
        self.undo.clear();
    }

    fn undo(&mut self) {
        while let Some(Replaced { place, row, stored, dirty, is_new }) = self.undo.pop() {
            if is_new {
                // The row's absence is not known for certain, so it is forgotten, not remembered.
                self.forget(place);
            } else if let Some(slot) = self.slots.get_mut(place) {
                (slot.row, slot.stored, slot.dirty) = (row, stored, dirty);
            }
        }
        self.dirty.truncate(self.dirty_at_begin);
    }

    fn changed(&self) -> usize {
        self.dirty.len()
    }

    fn is_untouched(&self) -> bool {
        self.undo.is_empty()
    }

    fn defer(&mut self, _engine: &Engine, pending: &mut PendingRows) -> Result<u64, StoreError> {
        if self.dirty.is_empty() {
            return Ok(0);
        }
        self.due.set_pending(true);
        pending.begin(&R::TABLE);
        let mut values = Vec::with_capacity(R::TABLE.columns.len());
        for (_, place) in &self.dirty {
            let Some(slot) = self.slots.get(*place) else { continue };
            let Some(record) = slot.row.as_deref() else { continue };
            slot.write(record, &mut values);
            pending.add(&values);
            values.clear();
        }
        for (key, place) in self.dirty.drain(..) {
            let Some(slot) = self.slots.get_mut(place) else { continue };
            slot.dirty = false;
            if !std::mem::replace(&mut slot.is_pending, true) {
                self.pending.push((key, place));
            }
        }
        self.dirty_at_begin = 0;
        Ok(0)
    }

    fn flush(&mut self, engine: &Engine) -> Result<u64, StoreError> {
        let mut dirty = std::mem::take(&mut self.dirty);
        // What was pending and has changed again is among the dirty already.
        let slots = &self.slots;
        let left = self.pending.drain(..);
        dirty.extend(left.filter(|(_, place)| slots.get(*place).is_some_and(|slot| !slot.dirty)));
        dirty.sort_unstable();
        self.write_all(engine, &dirty)?;
        let written = u64::try_from(dirty.len()).unwrap_or(0);
        dirty.clear();
        (self.dirty, self.dirty_at_begin) = (dirty, 0);
        Ok(written)
    }

    fn committed(&mut self, settled: bool) {
        self.due.note(std::mem::replace(&mut self.earliest_put, i64::MAX));
        if !settled {
            return;
        }
        self.due.set_pending(false);
        while self.settled.len() > SETTLED_MAX
            && let Some(oldest) = self.settled.pop_front()
        {
            if self.is_current(oldest) {
                self.forget(oldest.0);
            }
        }
        while self.places.len() > R::CACHE_MAX
            && let Some(oldest) = self.arrivals.pop_front()
        {
            if self.is_current(oldest) {
                self.forget(oldest.0);
            }
        }
        // Rows that went another way leave their place behind: keep the list near the size of the
        // map.
        if self.arrivals.len() > self.places.len().saturating_mul(2).saturating_add(1_024) {
            let slots = &self.slots;
            self.arrivals
                .retain(|(place, stamp)| slots.get(*place).is_some_and(|s| s.stamp == *stamp));
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

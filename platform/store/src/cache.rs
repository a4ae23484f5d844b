//! What a transaction has read and is about to write: one cache per record type, one list per
//! appended table. Each piece of work can be undone alone; what is left is flushed once per COMMIT.

use std::any::Any;
use std::collections::VecDeque;

use hashbrown::HashMap;
use rusqlite::Connection;

use crate::error::StoreError;
use crate::record::{Append, Key, Record};
use crate::sqlite::{self, Prepared};
use crate::value::Value;

/// What the transaction does to every cache without knowing its rows.
pub(crate) trait AnyCache: Send {
    /// A piece of work begins.
    fn begin(&mut self);
    /// The piece of work is kept.
    fn keep(&mut self);
    /// The piece of work is undone.
    fn undo(&mut self);
    /// Writes what is pending, sorted by key; returns the rows written.
    fn flush(&mut self, connection: &Connection) -> Result<u64, StoreError>;
    /// The COMMIT is durable: rows beyond the limit may go.
    fn committed(&mut self);
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

struct Entry<R> {
    /// `None`: the database has no such row.
    row: Option<R>,
    /// What the database has, if the row is there.
    stored: Option<Stored>,
    dirty: bool,
}

/// What a row has in the database.
#[derive(Clone, Copy)]
struct Stored {
    version: u64,
    indexed: Option<i64>,
}

impl Stored {
    fn of<R: Record>(row: &R) -> Self {
        Self { version: row.version(), indexed: row.indexed() }
    }
}

/// The rows of one record type.
pub(crate) struct RecordCache<R: Record> {
    entries: HashMap<R::Key, Entry<R>>,
    /// What `put` replaced in the current piece of work, oldest first.
    undo: Vec<(R::Key, Option<Entry<R>>)>,
    dirty: Vec<R::Key>,
    dirty_at_begin: usize,
    /// Keys in the order in which they came, for eviction.
    arrivals: VecDeque<R::Key>,
    next_number: Option<i64>,
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
    pub(crate) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            undo: Vec::new(),
            dirty: Vec::new(),
            dirty_at_begin: 0,
            arrivals: VecDeque::new(),
            next_number: None,
            insert: R::TABLE.insert(),
            update: R::TABLE.update(None),
            update_but_indexed: R::TABLE.update(R::INDEXED),
            select: R::TABLE.select(),
        }
    }

    pub(crate) fn load(
        &mut self,
        connection: &Connection,
        keys: &[R::Key],
    ) -> Result<(), StoreError> {
        for key in keys {
            if self.entries.contains_key(key) {
                continue;
            }
            let read = |row: &crate::value::Row<'_>| R::read(row);
            let found = sqlite::query_one(connection, &self.select, &[key.value()], read)?;
            let stored = found.as_ref().map(Stored::of);
            self.entries.insert(key.clone(), Entry { row: found, stored, dirty: false });
            self.arrivals.push_back(key.clone());
        }
        Ok(())
    }

    pub(crate) fn get(&self, key: &R::Key) -> Option<&R> {
        self.entries.get(key).and_then(|entry| entry.row.as_ref())
    }

    pub(crate) fn put(&mut self, record: R) {
        let key = record.key();
        let Some(entry) = self.entries.get_mut(&key) else {
            self.entries
                .insert(key.clone(), Entry { row: Some(record), stored: None, dirty: true });
            self.arrivals.push_back(key.clone());
            self.dirty.push(key.clone());
            self.undo.push((key, None));
            return;
        };
        if !entry.dirty {
            self.dirty.push(key.clone());
        }
        let after = Entry { row: Some(record), stored: entry.stored, dirty: true };
        let before = std::mem::replace(entry, after);
        self.undo.push((key, Some(before)));
    }

    /// The next whole number after the largest key, given once.
    pub(crate) fn number(&mut self, connection: &Connection) -> Result<i64, StoreError> {
        let next = match self.next_number {
            Some(next) => next,
            None => sqlite::last_key(connection, &R::TABLE)?.saturating_add(1),
        };
        self.next_number = Some(next.saturating_add(1));
        Ok(next)
    }

    /// Writes the rows of `keys`, which are sorted.
    fn write_all(&mut self, connection: &Connection, keys: &[R::Key]) -> Result<(), StoreError> {
        let Self { entries, insert, update, update_but_indexed, .. } = self;
        let mut writing = Writing { insert: None, update: None, update_but_indexed: None };
        for key in keys {
            let Some(entry) = entries.get_mut(key) else { continue };
            let Some(record) = &entry.row else { continue };
            let now = Stored::of(record);
            let mut values = Vec::with_capacity(R::TABLE.columns.len().saturating_add(1));
            record.write(&mut values);
            debug_assert_eq!(values.len(), R::TABLE.columns.len(), "{}", R::TABLE.name);
            let statement = match entry.stored {
                None => ready(&mut writing.insert, connection, insert)?,
                Some(before) => {
                    values.push(Value::from(before.version));
                    if R::INDEXED.is_some() && before.indexed == now.indexed {
                        ready(&mut writing.update_but_indexed, connection, update_but_indexed)?
                    } else {
                        ready(&mut writing.update, connection, update)?
                    }
                }
            };
            if statement.run(&values)? != 1 {
                return Err(StoreError::Stale { table: R::TABLE.name, key: format!("{key:?}") });
            }
            entry.stored = Some(now);
            entry.dirty = false;
        }
        Ok(())
    }
}

impl<R: Record> AnyCache for RecordCache<R> {
    fn begin(&mut self) {
        self.dirty_at_begin = self.dirty.len();
    }

    fn keep(&mut self) {
        self.undo.clear();
    }

    fn undo(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(entry) => {
                    self.entries.insert(key, entry);
                }
                // The row's absence is not known for certain, so it is forgotten, not remembered.
                None => {
                    self.entries.remove(&key);
                }
            }
        }
        self.dirty.truncate(self.dirty_at_begin);
    }

    fn flush(&mut self, connection: &Connection) -> Result<u64, StoreError> {
        let mut keys = std::mem::take(&mut self.dirty);
        keys.sort_unstable();
        self.write_all(connection, &keys)?;
        self.dirty_at_begin = 0;
        Ok(u64::try_from(keys.len()).unwrap_or(0))
    }

    fn committed(&mut self) {
        while self.entries.len() > R::CACHE_MAX {
            let Some(key) = self.arrivals.pop_front() else {
                return;
            };
            self.entries.remove(&key);
        }
        // Rows that were undone leave their key behind: keep the list near the size of the map.
        if self.arrivals.len() > self.entries.len().saturating_mul(2).saturating_add(1_024) {
            let entries = &self.entries;
            self.arrivals.retain(|key| entries.contains_key(key));
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// The rows to append to one table.
pub(crate) struct AppendList<A: Append> {
    rows: Vec<A>,
    at_begin: usize,
    /// The last position that is given, with those of `rows`.
    last: Option<i64>,
    insert: String,
}

impl<A: Append> AppendList<A> {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), at_begin: 0, last: None, insert: A::TABLE.insert() }
    }

    pub(crate) fn push(
        &mut self,
        connection: &Connection,
        row: impl FnOnce(i64) -> A,
    ) -> Result<i64, StoreError> {
        let last = match self.last {
            Some(last) => last,
            None => sqlite::last_key(connection, &A::TABLE)?,
        };
        let position = last.saturating_add(1);
        self.rows.push(row(position));
        self.last = Some(position);
        Ok(position)
    }
}

impl<A: Append> AnyCache for AppendList<A> {
    fn begin(&mut self) {
        self.at_begin = self.rows.len();
    }

    fn keep(&mut self) {}

    fn undo(&mut self) {
        let undone = self.rows.len().saturating_sub(self.at_begin);
        self.rows.truncate(self.at_begin);
        let undone = i64::try_from(undone).unwrap_or(0);
        self.last = self.last.map(|last| last.saturating_sub(undone));
    }

    fn flush(&mut self, connection: &Connection) -> Result<u64, StoreError> {
        let rows = std::mem::take(&mut self.rows);
        self.at_begin = 0;
        if rows.is_empty() {
            return Ok(0);
        }
        let mut insert = Prepared::try_new(connection, &self.insert)?;
        for row in &rows {
            let mut values = Vec::with_capacity(A::TABLE.columns.len());
            row.write(&mut values);
            debug_assert_eq!(values.len(), A::TABLE.columns.len(), "{}", A::TABLE.name);
            insert.run(&values)?;
        }
        Ok(u64::try_from(rows.len()).unwrap_or(0))
    }

    fn committed(&mut self) {}

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

//! Rows as types: what a table looks like to the services that own it.

use std::fmt::Debug;
use std::hash::Hash;

use contracts::{CustomerId, Location, OrderNumber, Sku};

use crate::error::StoreError;
use crate::value::{Row, Value};

/// A table: its name and its columns in the order in which rows are written and read.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// The name; unique across services.
    pub name: &'static str,
    /// The columns. The first is the primary key; the second of a [`Record`]'s is the version.
    pub columns: &'static [&'static str],
}

impl Table {
    pub(crate) fn insert(&self) -> String {
        let places: Vec<_> = (1..=self.columns.len()).map(|n| format!("?{n}")).collect();
        let columns = self.columns.join(", ");
        format!("INSERT INTO {} ({columns}) VALUES ({})", self.name, places.join(", "))
    }

    /// `UPDATE` of every column behind the key but `left_out`, guarded by the version stored before.
    pub(crate) fn update(&self, left_out: Option<&str>) -> String {
        let set: Vec<_> = (self.columns.iter().zip(1..).skip(1))
            .filter(|(column, _)| Some(**column) != left_out)
            .map(|(column, place)| format!("{column} = ?{place}"))
            .collect();
        let guard = self.columns.len().saturating_add(1);
        let (key, version) = (self.columns[0], self.columns[1]);
        let set = set.join(", ");
        format!("UPDATE {} SET {set} WHERE {key} = ?1 AND {version} = ?{guard}", self.name)
    }

    /// [`Self::insert`] as servers number values.
    pub(crate) fn insert_numbered(&self) -> String {
        self.insert().replace('?', "$")
    }

    /// [`Self::update`] as servers number values.
    pub(crate) fn update_numbered(&self) -> String {
        self.update(None).replace('?', "$")
    }

    /// Reads the rows whose key meets `condition`.
    pub(crate) fn select_any(&self, condition: &str) -> String {
        let columns = self.columns.join(", ");
        format!("SELECT {columns} FROM {} WHERE {} {condition}", self.name, self.columns[0])
    }

    pub(crate) fn select(&self) -> String {
        let columns = self.columns.join(", ");
        format!("SELECT {columns} FROM {} WHERE {} = ?1", self.name, self.columns[0])
    }

    pub(crate) fn last_key(&self) -> String {
        format!("SELECT COALESCE(MAX({}), 0) FROM {}", self.columns[0], self.name)
    }
}

/// What a row is found by.
pub trait Key: Clone + Eq + Hash + Ord + Send + Sync + Debug + 'static {
    /// The key as a value of a statement.
    fn value(&self) -> Value<'_>;
    /// The key, if it is a whole number that only grows from row to row.
    fn number(&self) -> Option<i64> {
        None
    }
}

macro_rules! key {
    ($($type:ty => |$key:ident| $value:expr $(, number $number:expr)?;)*) => {
        $(impl Key for $type {
            fn value(&self) -> Value<'_> {
                let $key = self;
                Value::from($value)
            }
            $(fn number(&self) -> Option<i64> {
                let $key = self;
                Some($number)
            })?
        })*
    };
}

key! {
    i64 => |key| *key, number *key;
    OrderNumber => |key| *key, number key.as_i64();
    Sku => |key| key;
    CustomerId => |key| key;
    Location => |key| key;
    String => |key| key;
}

/// A row that is read once, kept in memory, and written once per COMMIT.
///
/// Inside transactions a record's table is read only by `Tx::load` and written only by `Tx::put`.
pub trait Record: Clone + Send + Sync + 'static {
    /// What the row is found by.
    type Key: Key;
    /// Name and columns.
    const TABLE: Table;
    /// How many rows are kept in memory after their COMMIT.
    const CACHE_MAX: usize;
    /// The column that an index is on, if one is: mostly a deadline. An update that leaves it as it
    /// was does not name it, because SQLite rewrites the index entry of every column that is named.
    const INDEXED: Option<&'static str> = None;

    /// The row's key.
    fn key(&self) -> Self::Key;
    /// Grows with every change; a write expects the version that was read.
    fn version(&self) -> u64;
    /// Whether the column [`Self::INDEXED`] is only a bound of the deadline: then it is the table's last
    /// one, and the store writes it. It says that nobody need look at the row before. It stays as it was
    /// while the deadline moves on a little, or is none before the row is settled, so that most changes
    /// of a row leave its index alone: then PostgreSQL keeps the row on its page, at less than half the
    /// cost (ADR 19). Whoever finds a row by it says so with [`crate::Tx::found`], for its deadline need
    /// not have come.
    const INDEXED_IS_BOUND: bool = false;
    /// The deadline, which is the value of the column [`Self::INDEXED`] or what that is a bound of;
    /// `None` for NULL.
    fn indexed(&self) -> Option<i64> {
        None
    }
    /// The constraint of the schema that the row breaks. The schema refuses it as well, but a row may
    /// come into its table only after its COMMIT was answered, and then it is too late to refuse.
    fn broken_rule(&self) -> Option<&'static str> {
        None
    }
    /// Whether nothing more is expected to happen to it: it need not stay in memory for long.
    fn is_settled(&self) -> bool {
        false
    }
    /// Pushes the values of all columns, in the table's order, but for a bound.
    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>);
    /// Reads a row with the table's columns.
    fn read(row: &Row<'_>) -> Result<Self, StoreError>;
}

/// A row at the end of a journal: written once, never changed, and read only by others.
pub trait Append: Send + 'static {
    /// Name and columns; the first is the position, 1, 2, 3 … without a gap.
    const TABLE: Table;

    /// Pushes the values of all columns, in the table's order.
    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>);
}

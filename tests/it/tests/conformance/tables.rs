//! The tables that the promises are tried on: a counter as a record, an entry as an append.

use std::sync::Arc;

use contracts::clock::ManualClock;
use contracts::events::catalog::ProductRetired;
use contracts::{Draft, Sku, Timestamp};
use store::{
    Append, Place, Record, Row, Schema, Store, StoreError, StoreOptions, Table, Tx, Value,
};

pub(crate) const TABLES: (&str, &str) = (
    "0001_test",
    "CREATE TABLE counters (\n    id INTEGER NOT NULL PRIMARY KEY,\n    version BIGINT NOT NULL,\n    \
     value BIGINT NOT NULL CONSTRAINT counters_not_negative CHECK (value >= 0),\n    due BIGINT\n);\n\
     CREATE TABLE entries (\n    position INTEGER NOT NULL PRIMARY KEY,\n    value BIGINT NOT NULL\n    \
     CONSTRAINT entries_not_1313 CHECK (value <> 1313)\n);\n\
     CREATE TABLE labels (\n    name TEXT NOT NULL PRIMARY KEY,\n    version BIGINT NOT NULL,\n    \
     doc BLOB NOT NULL,\n    note TEXT\n);\n\
     CREATE TABLE index_rows (\n    kind BIGINT NOT NULL,\n    value BLOB NOT NULL,\n    \
     number BIGINT NOT NULL,\n    PRIMARY KEY (kind, value, number)\n) WITHOUT ROWID;\n\
     CREATE INDEX counters_due ON counters (due) WHERE due IS NOT NULL;\n\
     CREATE TABLE chores (\n    id INTEGER NOT NULL PRIMARY KEY,\n    version BIGINT NOT NULL,\n    \
     due BIGINT,\n    look_at BIGINT\n);\n\
     -- postgres: ALTER TABLE chores SET (fillfactor = 50);\n\
     CREATE INDEX chores_look_at ON chores (look_at) WHERE look_at IS NOT NULL;\n",
);
pub(crate) const SCHEMA: Schema = Schema { service: "test", migrations: &[TABLES] };
pub(crate) const NEXT: Schema = Schema {
    service: "test",
    migrations: &[TABLES, ("0002_next", "ALTER TABLE counters ADD COLUMN more TEXT;")],
};
pub(crate) const CHANGED: Schema =
    Schema { service: "test", migrations: &[("0001_test", "CREATE TABLE other (a BIGINT);")] };

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counter {
    pub(crate) id: i64,
    pub(crate) version: u64,
    pub(crate) value: i64,
    pub(crate) due: Option<i64>,
}

impl Record for Counter {
    type Key = i64;
    const TABLE: Table = Table { name: "counters", columns: &["id", "version", "value", "due"] };
    const CACHE_MAX: usize = 4;
    const INDEXED: Option<&'static str> = Some("due");

    fn key(&self) -> i64 {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn indexed(&self) -> Option<i64> {
        self.due
    }

    fn broken_rule(&self) -> Option<&'static str> {
        (self.value < 0).then_some("counters_not_negative")
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([self.id.into(), self.version.into(), self.value.into(), self.due.into()]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let (id, version) = (row.int(0)?, row.count(1)?);
        Ok(Self { id, version, value: row.int(2)?, due: row.opt_int(3)? })
    }
}

/// What has a deadline, of which the store keeps a bound.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chore {
    pub(crate) id: i64,
    pub(crate) version: u64,
    pub(crate) due: Option<i64>,
}

impl Chore {
    /// Nothing more is expected of it from this version on.
    pub(crate) const SETTLED_FROM: u64 = 7;
}

impl Record for Chore {
    type Key = i64;
    const TABLE: Table = Table { name: "chores", columns: &["id", "version", "due", "look_at"] };
    const CACHE_MAX: usize = 4;
    const INDEXED: Option<&'static str> = Some("look_at");
    const INDEXED_IS_BOUND: bool = true;

    fn key(&self) -> i64 {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn indexed(&self) -> Option<i64> {
        self.due
    }

    fn is_settled(&self) -> bool {
        self.version >= Self::SETTLED_FROM
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([self.id.into(), self.version.into(), self.due.into()]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self { id: row.int(0)?, version: row.count(1)?, due: row.opt_int(2)? })
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) doc: Vec<u8>,
    pub(crate) note: Option<String>,
}

impl Record for Label {
    type Key = String;
    const TABLE: Table = Table { name: "labels", columns: &["name", "version", "doc", "note"] };
    const CACHE_MAX: usize = 4;

    fn key(&self) -> String {
        self.name.clone()
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([(&self.name).into(), self.version.into(), (&self.doc).into()]);
        row.push(self.note.as_deref().map_or(Value::Null, Value::Text));
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let (name, note) = (row.text(0)?.to_owned(), row.opt_text(3)?.map(ToOwned::to_owned));
        Ok(Self { name, version: row.count(1)?, doc: row.blob(2)?.to_vec(), note })
    }
}

pub(crate) struct Entry {
    position: i64,
    value: i64,
}

impl Append for Entry {
    const TABLE: Table = Table { name: "entries", columns: &["position", "value"] };

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([self.position.into(), self.value.into()]);
    }
}

/// The moment at which every store's clock stands.
pub(crate) const NOON: Timestamp = Timestamp::from_micros(1_795_262_400_000_000);

pub(crate) fn try_open(
    place: &Place,
    schema: Schema,
    clock: &Arc<ManualClock>,
) -> Result<Store, StoreError> {
    let clock = Arc::<ManualClock>::clone(clock);
    Store::open(StoreOptions { place: place.clone(), schemas: vec![schema], clock, stream: 7 })
}

pub(crate) fn open(place: &Place) -> Store {
    try_open(place, SCHEMA, &Arc::new(ManualClock::at(NOON))).unwrap()
}

/// Adds `delta` to a counter in `tx`, appends an entry and publishes an event.
pub(crate) async fn add_in(tx: &mut Tx, id: i64, delta: i64) -> Result<i64, StoreError> {
    tx.load::<Counter>(&[id]).await?;
    let known = tx.get::<Counter>(&id).cloned();
    let mut counter = known.unwrap_or(Counter { id, version: 0, value: 0, due: None });
    counter.version += 1;
    counter.value += delta;
    let value = counter.value;
    tx.put(counter);
    tx.append(|position| Entry { position, value }).await?;
    let sku = Sku::try_new("x").unwrap();
    tx.publish(Draft::new(1, ProductRetired { sku, version: 1 }));
    Ok(value)
}

/// The same as a transaction, which fails in the end if it is told to.
pub(crate) async fn add(store: &Store, id: i64, delta: i64, fail: bool) -> Result<i64, StoreError> {
    store
        .transact(move |tx| {
            Box::pin(async move {
                let value = add_in(tx, id, delta).await?;
                let insert = "INSERT INTO parked_events (consumer, segment, place, event_key, state, \
                              attempts, due_at, cause, body, parked_at) \
                              VALUES ('add', $1, $2, 'k', 'waiting', 0, NULL, '', $3, 0)";
                let body = [0_u8, 255];
                tx.execute(insert, &[id.into(), value.into(), body.as_slice().into()]).await?;
                if fail { Err(StoreError::Stopped) } else { Ok(value) }
            })
        })
        .await
}

pub(crate) async fn numbers(store: &Store, sql: &'static str) -> Vec<i64> {
    let rows: Result<_, StoreError> = store
        .read(move |rx| Box::pin(async move { rx.query(sql, &[], |row| row.int(0)).await }))
        .await;
    rows.unwrap()
}

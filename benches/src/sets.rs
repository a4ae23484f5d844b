//! What sets are worth on a server: the same orders written to one PostgreSQL, by one transaction for
//! each over many connections, and through our store, whose pieces of work share COMMITs and whose
//! statements are over sets of rows.
//!
//! Per order: its row, a unit held of each of its levels, an entry of the journal for each, one event.
//! Both write the same tables, and what they leave is compared. The numbers of orders are those that
//! the plain way writes in the given time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use contracts::clock::SystemClock;
use contracts::events::catalog::ProductRetired;
use contracts::{Draft, Sku};
use it::database::{Database, Kind};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _, Row as _};
use store::{
    Append, Place, Record, Row, Schema, ServerPlace, Store, StoreError, StoreOptions, Table, Tx,
    Value,
};
use tokio::task::JoinSet;

use crate::table::ratio;

/// Levels that orders take from where they are spread.
const LEVELS: i64 = 10_000;
/// Units of each level: more than any run takes.
const UNITS: i64 = 1_000_000_000;
/// Orders that are asked of the store at the same time, as connections do it under load.
const CALLERS: i64 = 64;
/// Connections of the plain way; with 8 and with 64 of them it was slower on two cores.
const CONNECTIONS: i64 = 32;
/// Bytes of an order's row beside its key, and of an event.
const BODY: usize = 200;
const EVENT: usize = 64;

const TABLES: (&str, &str) = (
    "0001_sets",
    "CREATE TABLE set_orders (\n    number INTEGER NOT NULL PRIMARY KEY,\n    version BIGINT NOT NULL,\n    \
     customer TEXT NOT NULL,\n    body BLOB NOT NULL\n);\n\
     CREATE TABLE set_levels (\n    id INTEGER NOT NULL PRIMARY KEY,\n    version BIGINT NOT NULL,\n    \
     on_hand BIGINT NOT NULL,\n    held BIGINT NOT NULL,\n    \
     CONSTRAINT set_levels_sound CHECK (held <= on_hand)\n);\n\
     CREATE TABLE set_entries (\n    position INTEGER NOT NULL PRIMARY KEY,\n    \
     level_id BIGINT NOT NULL,\n    order_number BIGINT NOT NULL\n);\n",
);

/// What is left, in one line: every order, every level, every entry but for its place.
const LEFT: &str = "SELECT concat_ws(' ', \
    (SELECT md5(string_agg(concat(number, customer, encode(body, 'hex')), ',' ORDER BY number)) \
     FROM set_orders), \
    (SELECT md5(string_agg(concat(id, ' ', held), ',' ORDER BY id)) FROM set_levels), \
    (SELECT md5(string_agg(concat(level_id, ' ', order_number), ',' ORDER BY order_number, level_id)) \
     FROM set_entries))";

#[derive(Clone)]
struct Order {
    number: i64,
}

impl Order {
    fn customer(&self) -> String {
        format!("customer-{}", self.number.rem_euclid(1_000))
    }

    fn body(&self) -> Vec<u8> {
        self.number.to_be_bytes().into_iter().cycle().take(BODY).collect()
    }

    /// The levels that it takes a unit of, in the sequence in which they are locked.
    fn levels(&self, is_hot: bool) -> Vec<i64> {
        if is_hot {
            return vec![1];
        }
        let first = self.number.wrapping_mul(7_919).rem_euclid(LEVELS);
        let second = self.number.wrapping_mul(104_729).wrapping_add(LEVELS >> 1).rem_euclid(LEVELS);
        let second = if second == first { (first + 1).rem_euclid(LEVELS) } else { second };
        vec![first.min(second) + 1, first.max(second) + 1]
    }
}

/// The row of an order as the store writes it.
#[derive(Clone)]
struct OrderRow {
    number: i64,
    customer: String,
    body: Vec<u8>,
}

impl Record for OrderRow {
    type Key = i64;
    const TABLE: Table =
        Table { name: "set_orders", columns: &["number", "version", "customer", "body"] };
    const CACHE_MAX: usize = 4_096;

    fn key(&self) -> i64 {
        self.number
    }

    fn version(&self) -> u64 {
        1
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([self.number.into(), 1_i64.into()]);
        row.extend([(&self.customer).into(), (&self.body).into()]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let (customer, body) = (row.text(2)?.to_owned(), row.blob(3)?.to_vec());
        Ok(Self { number: row.int(0)?, customer, body })
    }
}

#[derive(Clone)]
struct Level {
    id: i64,
    version: u64,
    on_hand: i64,
    held: i64,
}

impl Record for Level {
    type Key = i64;
    const TABLE: Table =
        Table { name: "set_levels", columns: &["id", "version", "on_hand", "held"] };
    const CACHE_MAX: usize = 65_536;

    fn key(&self) -> i64 {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([self.id.into(), self.version.into()]);
        row.extend([self.on_hand.into(), self.held.into()]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.int(0)?,
            version: row.count(1)?,
            on_hand: row.int(2)?,
            held: row.int(3)?,
        })
    }
}

struct Entry {
    position: i64,
    level: i64,
    order: i64,
}

impl Append for Entry {
    const TABLE: Table =
        Table { name: "set_entries", columns: &["position", "level_id", "order_number"] };

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([self.position.into(), self.level.into(), self.order.into()]);
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn now() -> Instant {
    Instant::now()
}

fn open(address: &str) -> anyhow::Result<Store> {
    let place = Place::Server(ServerPlace::try_new(address, "sets")?);
    let schema = Schema { service: "sets", migrations: &[TABLES] };
    let clock = Arc::new(SystemClock);
    Ok(Store::open(StoreOptions { place, schemas: vec![schema], clock, stream: 7 })?)
}

/// Makes the tables and fills the shelves.
async fn prepare(address: &str) -> anyhow::Result<Store> {
    let store = open(address)?;
    let filled: Result<(), StoreError> = store
        .transact(|tx| {
            Box::pin(async move {
                for id in 1..=LEVELS {
                    tx.put(Level { id, version: 1, on_hand: UNITS, held: 0 });
                }
                Ok(())
            })
        })
        .await;
    filled?;
    Ok(store)
}

async fn hold(tx: &mut Tx, order: Order, is_hot: bool) -> Result<(), StoreError> {
    let levels = order.levels(is_hot);
    tx.load::<Level>(&levels).await?;
    let number = order.number;
    tx.put(OrderRow { number, customer: order.customer(), body: order.body() });
    for id in levels {
        let known = tx.get::<Level>(&id).cloned();
        let level = known.ok_or(StoreError::Stopped)?;
        tx.put(Level { version: level.version + 1, held: level.held + 1, ..level });
        tx.append(|position| Entry { position, level: id, order: number }).await?;
    }
    if let Ok(sku) = Sku::try_new("sku-of-an-event-of-some-length") {
        tx.publish(Draft::new(1, ProductRetired { sku, version: 1 }));
    }
    Ok(())
}

/// Writes orders 1 to `orders` through the store.
async fn through_store(store: &Store, orders: i64, is_hot: bool) -> anyhow::Result<Duration> {
    let next = Arc::new(AtomicI64::new(1));
    let mut callers = JoinSet::new();
    let begun = now();
    for _ in 0..CALLERS {
        let (store, next) = (store.clone(), Arc::clone(&next));
        callers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > orders {
                    return Ok(());
                }
                let order = Order { number };
                let done: Result<(), StoreError> =
                    store.transact(move |tx| Box::pin(hold(tx, order, is_hot))).await;
                done?;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended?.map_err(|error: StoreError| error)?;
    }
    Ok(begun.elapsed())
}

async fn connect(address: &str) -> anyhow::Result<PgConnection> {
    let mut connection = PgConnection::connect(address).await?;
    connection.execute("SET search_path TO sets").await?;
    Ok(connection)
}

async fn place(
    connection: &mut PgConnection,
    order: &Order,
    is_hot: bool,
) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    sqlx::query("INSERT INTO set_orders (number, version, customer, body) VALUES ($1, 1, $2, $3)")
        .bind(order.number)
        .bind(order.customer())
        .bind(order.body())
        .execute(&mut *tx)
        .await?;
    for level in order.levels(is_hot) {
        let update = "UPDATE set_levels SET version = version + 1, held = held + 1 \
                      WHERE id = $1 AND on_hand - held >= 1";
        let held = sqlx::query(update).bind(level).execute(&mut *tx).await?;
        if held.rows_affected() != 1 {
            return Err(sqlx::Error::RowNotFound);
        }
        let insert = "INSERT INTO set_entries (position, level_id, order_number) \
                      VALUES (nextval('set_positions'), $1, $2)";
        sqlx::query(insert).bind(level).bind(order.number).execute(&mut *tx).await?;
    }
    let insert = "INSERT INTO outbox (segment, created_at, events, body) \
                  VALUES (nextval('set_segments'), 0, 1, $1)";
    sqlx::query(insert).bind([0xa5_u8; EVENT].as_slice()).execute(&mut *tx).await?;
    tx.commit().await
}

/// Writes orders from 1 on by a transaction each, for `span`; gives how many.
async fn one_by_one(
    address: &str,
    span: Duration,
    is_hot: bool,
) -> anyhow::Result<(i64, Duration)> {
    let mut first = connect(address).await?;
    for name in ["set_positions", "set_segments"] {
        let make = format!("CREATE SEQUENCE {name}");
        first.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(make))).await?;
    }
    let next = Arc::new(AtomicI64::new(1));
    let mut writers = JoinSet::new();
    let mut connections = vec![first];
    for _ in 1..CONNECTIONS {
        connections.push(connect(address).await?);
    }
    let begun = now();
    for mut connection in connections {
        let next = Arc::clone(&next);
        writers.spawn(async move {
            while begun.elapsed() < span {
                let order = Order { number: next.fetch_add(1, Ordering::Relaxed) };
                place(&mut connection, &order, is_hot).await?;
            }
            connection.close().await
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    Ok((next.load(Ordering::Relaxed) - 1, begun.elapsed()))
}

async fn left(address: &str) -> anyhow::Result<String> {
    let mut connection = connect(address).await?;
    let row = connection.fetch_one(LEFT).await?;
    Ok(row.try_get(0)?)
}

fn per_second(orders: i64, span: Duration) -> u64 {
    let (orders, micros) = (u64::try_from(orders), u64::try_from(span.as_micros()));
    let (orders, micros) = (orders.unwrap_or(0), micros.unwrap_or(u64::MAX));
    orders.saturating_mul(1_000_000).checked_div_euclid(micros).unwrap_or(0)
}

async fn compare(database: &Database, span: Duration, is_hot: bool) -> anyhow::Result<String> {
    let (plain, ours) = (database.place(), database.place());
    prepare(&plain).await?.stop().await;
    let (orders, plain_took) = one_by_one(&plain, span, is_hot).await?;
    let store = prepare(&ours).await?;
    let ours_took = through_store(&store, orders, is_hot).await?;
    let commits = store.stats().commits.load(Ordering::Relaxed);
    store.stop().await;
    ensure!(
        left(&plain).await? == left(&ours).await?,
        "one transaction per order and the store do not leave the same rows"
    );
    let (plain, ours) = (per_second(orders, plain_took), per_second(orders, ours_took));
    let what = if is_hot { "one level" } else { "two of 10,000 levels each" };
    Ok(format!(
        "  {what}: {orders} orders\n    {plain:>6}/s  a transaction each, {CONNECTIONS} connections\n    \
         {ours:>6}/s  in sets, {CALLERS} callers, {commits} COMMITs\n    {:>6}    in sets for each of \
         the others",
        ratio(ours, plain)
    ))
}

/// Measures both ways for `seconds` each and tells it, line by line.
pub(crate) fn measure(seconds: u64) -> anyhow::Result<Vec<String>> {
    if !Database::is_found(Kind::Postgres) {
        return Ok(vec![
            "PostgreSQL is not here: `cargo xtask parts postgres` brings it".to_owned(),
        ]);
    }
    let database = Database::start(Kind::Postgres);
    let runtime = tokio::runtime::Runtime::new().context("threads cannot be started")?;
    let mut told =
        vec!["orders in sets, for each in a transaction of its own (PostgreSQL)".to_owned()];
    for is_hot in [false, true] {
        let compared = compare(&database, Duration::from_secs(seconds), is_hot);
        told.push(runtime.block_on(compared)?);
    }
    Ok(told)
}

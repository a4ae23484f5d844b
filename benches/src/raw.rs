//! The raw loop: the rows that Millrace left for its orders, written again into an empty file with
//! the same tables, the same durability and no deciding, encoding or listening.
//!
//! Per order: its row, its hold, its payment, its notifications, its entries of the journal; per
//! COMMIT: each touched level once and one row of the log with as many bytes as Millrace wrote.
//! Left out is what Millrace writes behind: the trailing index.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use contracts::OrderId;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Statement, params_from_iter};
use telemetry::cpu_micros;

use crate::table::Line;

/// The tables with rows per order, and the column that names the order.
const PER_ORDER: [(&str, &str); 5] = [
    ("orders", "number"),
    ("stock_holds", "number"),
    ("payments", "number"),
    ("notifications", "order_id"),
    ("stock_journal", "order_number"),
];
/// Tables that are written once per COMMIT.
const PER_COMMIT: [&str; 2] = ["outbox", "stock_levels"];

/// One row of one table: the table's place in [`PER_ORDER`], and its values.
type TableRow = (usize, Vec<Value>);

/// What one order left.
#[derive(Debug, Default)]
struct OrderRows {
    rows: Vec<TableRow>,
    levels: Vec<i64>,
}

/// What all orders left.
pub(crate) struct Rows {
    /// `CREATE` statements of tables and indexes.
    schema: Vec<String>,
    /// Columns of each table of [`PER_ORDER`].
    columns: Vec<usize>,
    orders: Vec<OrderRows>,
    levels: Vec<Vec<Value>>,
    log_bytes_per_order: usize,
}

/// Reads the rows of at most `orders_max` orders from the database at `path`.
pub(crate) fn read(path: &Path, orders_max: u64) -> anyhow::Result<Rows> {
    let source = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let schema = schema(&source)?;
    let mut orders: BTreeMap<u64, OrderRows> = BTreeMap::new();
    let mut columns = Vec::new();
    for (table, (name, key)) in PER_ORDER.into_iter().enumerate() {
        let mut select = source
            .prepare(&format!("SELECT * FROM {name} WHERE {key} IS NOT NULL ORDER BY rowid"))?;
        let width = select.column_count();
        columns.push(width);
        let key = select.column_index(key)?;
        let level = select.column_index("level").ok();
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let number = order_number(&row.get(key)?);
            if number > orders_max {
                continue;
            }
            let order = orders.entry(number).or_default();
            if let Some(level) = level {
                order.levels.push(row.get(level)?);
            }
            let values = (0..width).map(|column| row.get(column)).collect::<Result<_, _>>()?;
            order.rows.push((table, values));
        }
    }
    ensure!(!orders.is_empty(), "{} holds no orders", path.display());
    let levels = all_rows(&source, "stock_levels")?;
    let log_bytes_per_order = log_bytes(&source)?;
    let orders = orders.into_values().collect();
    Ok(Rows { schema, columns, orders, levels, log_bytes_per_order })
}

/// The order that a column names, by its number or by its id, which ends in the number.
fn order_number(value: &Value) -> u64 {
    match value {
        Value::Integer(number) => u64::try_from(*number).unwrap_or(0),
        Value::Blob(id) => OrderId::try_from_slice(id).map_or(0, |id| id.number().get()),
        Value::Null | Value::Real(_) | Value::Text(_) => 0,
    }
}

fn schema(source: &Connection) -> anyhow::Result<Vec<String>> {
    let tables = PER_ORDER.into_iter().map(|(name, _)| name).chain(PER_COMMIT);
    let mut statements = Vec::new();
    for table in tables {
        let mut select = source.prepare(
            "SELECT sql FROM sqlite_master WHERE tbl_name = ?1 AND sql IS NOT NULL ORDER BY type DESC",
        )?;
        let found: Vec<String> =
            select.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        ensure!(!found.is_empty(), "there is no table {table}");
        statements.extend(found);
    }
    Ok(statements)
}

fn all_rows(source: &Connection, table: &str) -> anyhow::Result<Vec<Vec<Value>>> {
    let mut select = source.prepare(&format!("SELECT * FROM {table}"))?;
    let width = select.column_count();
    let read = |row: &rusqlite::Row<'_>| (0..width).map(|column| row.get(column)).collect();
    Ok(select.query_map([], read)?.collect::<Result<_, _>>()?)
}

/// Bytes of the log for each order, over the whole run.
fn log_bytes(source: &Connection) -> anyhow::Result<usize> {
    let sum = "SELECT SUM(LENGTH(body)) / (SELECT COUNT(*) FROM orders) FROM outbox";
    let bytes: i64 = source.query_row(sum, [], |row| row.get(0))?;
    Ok(usize::try_from(bytes)?)
}

/// Writes all of `rows`, `batch` orders to a COMMIT.
pub(crate) fn measure(rows: &Rows, batch: usize) -> anyhow::Result<Line> {
    let folder = tempfile::tempdir()?;
    let target = Connection::open(folder.path().join("raw.db"))?;
    target.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    for statement in &rows.schema {
        target.execute_batch(statement)?;
    }
    let mut writer = Writer::new(&target, rows)?;
    writer.levels(&rows.levels)?;
    let cpu_before = cpu_micros();
    let begun = now();
    for (commit, orders) in (1_i64..).zip(rows.orders.chunks(batch)) {
        writer.commit(commit, orders)?;
    }
    let micros = u64::try_from(begun.elapsed().as_micros())?;
    let cpu = cpu_micros().saturating_sub(cpu_before);
    let count = u64::try_from(rows.orders.len())?;
    let per_second = count.saturating_mul(1_000_000).checked_div_euclid(micros).unwrap_or(0);
    let per_order = cpu.checked_div_euclid(count).unwrap_or(0);
    let name = format!("raw SQLite loop, {batch} orders per COMMIT");
    Ok(Line::of_loop(name, per_second, per_order))
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Statements held prepared.
struct Writer<'c> {
    connection: &'c Connection,
    inserts: Vec<Statement<'c>>,
    level: Statement<'c>,
    new_level: Statement<'c>,
    log: Statement<'c>,
    log_bytes_per_order: usize,
}

impl<'c> Writer<'c> {
    fn new(connection: &'c Connection, rows: &Rows) -> anyhow::Result<Self> {
        let mut inserts = Vec::new();
        for ((table, _), columns) in PER_ORDER.iter().zip(&rows.columns) {
            inserts.push(connection.prepare(&insert(table, *columns))?);
        }
        let columns = rows.levels.first().map_or(0, Vec::len);
        Ok(Self {
            connection,
            inserts,
            level: connection.prepare(
                "UPDATE stock_levels SET version = version + 1, entries = entries + 1, \
                 changed_at = ?2 WHERE id = ?1",
            )?,
            new_level: connection.prepare(&insert("stock_levels", columns))?,
            log: connection.prepare(
                "INSERT INTO outbox (segment, created_at, events, body) VALUES (?1, 0, 1, ?2)",
            )?,
            log_bytes_per_order: rows.log_bytes_per_order,
        })
    }

    fn levels(&mut self, levels: &[Vec<Value>]) -> anyhow::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        for level in levels {
            self.new_level.execute(params_from_iter(level))?;
        }
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    fn commit(&mut self, number: i64, orders: &[OrderRows]) -> anyhow::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut touched = HashSet::new();
        // Table after table, as Millrace flushes them: each is written where it ends.
        for (table, insert) in self.inserts.iter_mut().enumerate() {
            for order in orders {
                for (_, values) in order.rows.iter().filter(|(of, _)| *of == table) {
                    insert.execute(params_from_iter(values))?;
                }
            }
        }
        for order in orders {
            touched.extend(&order.levels);
        }
        for level in touched {
            self.level.execute([level, number])?;
        }
        let body = vec![0xa5_u8; self.log_bytes_per_order.saturating_mul(orders.len())];
        self.log.execute((number, body))?;
        Ok(self.connection.execute_batch("COMMIT")?)
    }
}

fn insert(table: &str, columns: usize) -> String {
    let places: Vec<_> = (1..=columns).map(|place| format!("?{place}")).collect();
    format!("INSERT INTO {table} VALUES ({})", places.join(", "))
}

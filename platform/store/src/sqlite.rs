//! SQLite: how a connection is opened, proved safe, and spoken to.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, OpenFlags};

use crate::error::StoreError;
use crate::value::{Cells, Row, Value};

/// The first SQLite without the WAL-reset bug that could corrupt a file (3.7.0 to 3.51.2).
const VERSION_MIN: i32 = 3_051_003;
/// Statements kept prepared per connection: every statement of every service, with room.
const STATEMENTS_MAX: usize = 512;
/// Page cache of the writer, in KiB (negative by SQLite's convention): room for what one COMMIT of
/// bulk placement dirties, so that no page is written twice. Not larger: SQLite walks the whole cache
/// after a transaction that rebalanced a tree (9 % of the writer's time with 64 MiB).
const WRITER_CACHE_KIB: i64 = -32_768;

fn refuse(what: &str, cause: impl std::fmt::Display) -> StoreError {
    StoreError::Open(format!("{what}: {cause}"))
}

fn pragma(connection: &Connection, name: &str) -> Result<String, StoreError> {
    let read = |row: &rusqlite::Row<'_>| match row.get_ref(0)? {
        rusqlite::types::ValueRef::Integer(number) => Ok(number.to_string()),
        rusqlite::types::ValueRef::Text(text) => Ok(String::from_utf8_lossy(text).into_owned()),
        rusqlite::types::ValueRef::Null
        | rusqlite::types::ValueRef::Real(_)
        | rusqlite::types::ValueRef::Blob(_) => Ok(String::new()),
    };
    connection
        .query_row(&format!("PRAGMA {name}"), [], read)
        .map_err(|cause| refuse(&format!("PRAGMA {name}"), cause))
}

fn set(connection: &Connection, name: &str, value: &str, expected: &str) -> Result<(), StoreError> {
    // Some pragmas answer with a row and some do not: the value is read back in any case.
    connection
        .execute_batch(&format!("PRAGMA {name} = {value}"))
        .map_err(|cause| refuse(&format!("PRAGMA {name} = {value}"), cause))?;
    let found = pragma(connection, name)?;
    if found == expected {
        return Ok(());
    }
    let why = format!("it stays {found}; this file system or build is not safe to write on");
    Err(refuse(&format!("PRAGMA {name} = {value}"), why))
}

/// Plans depend on the statement alone. Otherwise SQLite prepares a statement anew whenever a value
/// that it compared with the condition of a partial index changes: with every batch, for deadlines.
fn keep_plans(connection: &Connection) -> Result<(), StoreError> {
    let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
    kept.map(drop).map_err(|cause| refuse("SQLITE_DBCONFIG_ENABLE_QPSG", cause))
}

/// Opens the one connection that writes, creating the file if there is none.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    if rusqlite::version_number() < VERSION_MIN {
        let why = "versions before 3.51.3 can corrupt a file in WAL mode";
        return Err(refuse(&format!("SQLite {}", rusqlite::version()), why));
    }
    let connection = Connection::open(path)
        .map_err(|cause| refuse(&format!("cannot open {}", path.display()), cause))?;
    set(&connection, "journal_mode", "WAL", "wal")?;
    set(&connection, "synchronous", "FULL", "2")?;
    set(&connection, "foreign_keys", "ON", "1")?;
    set(&connection, "trusted_schema", "OFF", "0")?;
    // The checkpointer does it, on its own connection.
    set(&connection, "wal_autocheckpoint", "0", "0")?;
    set(&connection, "cache_size", &WRITER_CACHE_KIB.to_string(), &WRITER_CACHE_KIB.to_string())?;
    keep_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// Opens a connection that only reads, beside the writer or beside another process.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    // Read-write at the level of files, because a reader of a WAL file shares its index; the
    // connection itself is then forbidden to write.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|cause| refuse(&format!("cannot open {}", path.display()), cause))?;
    let busy = connection.busy_timeout(std::time::Duration::from_secs(5));
    busy.map_err(|cause| refuse("busy_timeout", cause))?;
    set(&connection, "query_only", "ON", "1")?;
    set(&connection, "cache_size", "-16384", "-16384")?;
    keep_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// The same over several files: the first is `main`, the others are `s1`, `s2` and so on.
pub(crate) fn open_joined(path: &Path, others: &[PathBuf]) -> Result<Connection, StoreError> {
    let connection = open_reader(path)?;
    for (other, number) in others.iter().zip(1..) {
        let text = other.to_string_lossy();
        let attach = format!("ATTACH DATABASE $1 AS s{number}");
        execute(&connection, &attach, &[text.as_ref().into()])?;
    }
    Ok(connection)
}

/// The statement as SQLite numbers its values: it takes `$1`, which the engines share, for a name.
fn numbered(sql: &str) -> Cow<'_, str> {
    if sql.contains('$') { Cow::Owned(sql.replace('$', "?")) } else { Cow::Borrowed(sql) }
}

/// Runs one statement with its values; returns the rows it touched.
pub(crate) fn execute(
    connection: &Connection,
    sql: &str,
    values: &[Value<'_>],
) -> Result<u64, StoreError> {
    let failed = |cause| StoreError::sqlite(sql, cause);
    let mut statement = connection.prepare_cached(&numbered(sql)).map_err(failed)?;
    for (value, place) in values.iter().zip(1..) {
        statement.raw_bind_parameter(place, value).map_err(failed)?;
    }
    let touched = statement.raw_execute().map_err(failed)?;
    Ok(u64::try_from(touched).unwrap_or(u64::MAX))
}

/// A statement that is run for many rows.
pub(crate) struct Prepared<'c> {
    statement: CachedStatement<'c>,
    sql: &'c str,
}

impl<'c> Prepared<'c> {
    /// Prepares `sql`, whose values are numbered (`?1`).
    pub(crate) fn try_new(connection: &'c Connection, sql: &'c str) -> Result<Self, StoreError> {
        let statement = connection.prepare_cached(sql);
        let statement = statement.map_err(|cause| StoreError::sqlite(sql, cause))?;
        Ok(Self { statement, sql })
    }

    /// Runs it for one row; returns the rows it touched.
    pub(crate) fn run(&mut self, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let failed = |cause| StoreError::sqlite(self.sql, cause);
        for (value, place) in values.iter().zip(1..) {
            self.statement.raw_bind_parameter(place, value).map_err(failed)?;
        }
        let touched = self.statement.raw_execute().map_err(failed)?;
        Ok(u64::try_from(touched).unwrap_or(u64::MAX))
    }
}

/// Runs a query and reads every row.
pub(crate) fn query<T>(
    connection: &Connection,
    sql: &str,
    values: &[Value<'_>],
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let failed = |cause| StoreError::sqlite(sql, cause);
    let mut statement = connection.prepare_cached(&numbered(sql)).map_err(failed)?;
    for (value, place) in values.iter().zip(1..) {
        statement.raw_bind_parameter(place, value).map_err(failed)?;
    }
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        found.push(read(&Row { cells: Cells::Sqlite(row), source: sql })?);
    }
    Ok(found)
}

/// Runs a query by key and reads its only row.
pub(crate) fn query_one<T>(
    connection: &Connection,
    sql: &str,
    values: &[Value<'_>],
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    Ok(query(connection, sql, values, read)?.pop())
}

/// Runs statements that take no values.
pub(crate) fn batch(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.execute_batch(sql).map_err(|cause| StoreError::sqlite(sql, cause))
}

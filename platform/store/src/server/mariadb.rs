//! How MariaDB is spoken to.

use sqlx::error::DatabaseError;
use sqlx::mysql::{
    MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlRow,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, MySql,
    Row as _, TypeInfo as _, ValueRef as _,
};

use super::Role;
use crate::error::StoreError;
use crate::value::{Cell, Cells, Row, Value};

/// Statements kept prepared per connection: every statement of every service in the sizes of
/// [`SIZES`], with room.
const STATEMENTS_MAX: usize = 2_048;
/// Rows of one statement: a set is cut into these, so that few texts are prepared.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// Settings under which a power cut loses what was acknowledged: a query that gives the value then,
/// its name, and the cure.
pub(super) const UNSAFE: &[(&str, &str, &str)] = &[
    (
        "SELECT CAST(@@innodb_flush_log_at_trx_commit AS CHAR) FROM DUAL \
         WHERE @@innodb_flush_log_at_trx_commit <> 1",
        "innodb_flush_log_at_trx_commit",
        "set it to 1",
    ),
    (
        "SELECT CAST(@@innodb_doublewrite AS CHAR) FROM DUAL \
         WHERE CAST(@@innodb_doublewrite AS CHAR) IN ('0', 'OFF')",
        "innodb_doublewrite",
        "set it to 1",
    ),
    (
        "SELECT @@default_storage_engine FROM DUAL WHERE @@default_storage_engine <> 'InnoDB'",
        "default_storage_engine",
        "set it to InnoDB",
    ),
];

/// Text is compared byte by byte, nobody waits longer than this for a lock, and a writer that stops in
/// the middle of its turn is cut off.
/// Takes the lock of a schema's one writer.
pub(super) const TRY_LOCK: &str = "SELECT GET_LOCK($1, 0)";

/// Gives it back; the answer is 1 if it was held.
pub(super) const UNLOCK: &str = "SELECT RELEASE_LOCK($1)";

const SETTINGS: &str = "SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin; \
    SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION'; \
    SET SESSION innodb_lock_wait_timeout = 5; SET SESSION lock_wait_timeout = 30; \
    SET SESSION wait_timeout = 28800";
const WRITER: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
    SET SESSION max_statement_time = 30; SET SESSION idle_transaction_timeout = 10";
const READER: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
    SET SESSION max_statement_time = 600; SET SESSION idle_transaction_timeout = 600";

/// Makes a database in which text is compared byte by byte.
pub(super) fn create(database: &str) -> String {
    format!(
        "CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
    )
}

pub(super) async fn connect(url: &str, role: Role) -> Result<MySqlConnection, sqlx::Error> {
    let options: MySqlConnectOptions = url.parse()?;
    let options = options.statement_cache_capacity(STATEMENTS_MAX).disable_statement_logging();
    let mut connection = options.connect().await?;
    let own = match role {
        Role::Writer => WRITER,
        Role::Reader => READER,
    };
    for setting in SETTINGS.split("; ").chain(own.split("; ")) {
        connection.execute(sqlx::raw_sql(AssertSqlSafe(setting.to_owned()))).await?;
    }
    Ok(connection)
}

fn add(arguments: &mut MySqlArguments, value: &Value<'_>) -> Result<(), sqlx::Error> {
    let added = match value {
        Value::Null => arguments.add(None::<i64>),
        Value::Int(number) => arguments.add(*number),
        Value::Text(text) => arguments.add(*text),
        Value::OwnedText(text) => arguments.add(text.as_str()),
        Value::Blob(bytes) => arguments.add(*bytes),
        Value::OwnedBlob(bytes) => arguments.add(bytes.as_slice()),
        Value::Bytes16(bytes) => arguments.add(bytes.as_slice()),
    };
    added.map_err(sqlx::Error::Encode)
}

/// The statement with its values in the sequence of their places: MariaDB does not number them.
fn positional<'v, 'a>(
    sql: &str,
    values: &'v [Value<'a>],
) -> Result<(String, Vec<&'v Value<'a>>), sqlx::Error> {
    let mut text = String::with_capacity(sql.len());
    let mut ordered = Vec::with_capacity(values.len());
    let mut parts = sql.split('$');
    text.push_str(parts.next().unwrap_or(""));
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(digits);
        let place = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let value = place.and_then(|place| values.get(place));
        let missing = || sqlx::Error::Encode(format!("the statement has no value {number}").into());
        ordered.push(value.ok_or_else(missing)?);
        text.push('?');
        text.push_str(rest);
    }
    Ok((text, ordered))
}

fn prepared(
    sql: String,
    arguments: MySqlArguments,
) -> sqlx::query::Query<'static, MySql, MySqlArguments> {
    sqlx::query_with(AssertSqlSafe(sql), arguments)
}

fn statement(
    sql: &str,
    values: &[Value<'_>],
) -> Result<sqlx::query::Query<'static, MySql, MySqlArguments>, sqlx::Error> {
    let (text, ordered) = positional(sql, values)?;
    let mut arguments = MySqlArguments::default();
    for value in ordered {
        add(&mut arguments, value)?;
    }
    Ok(prepared(text, arguments))
}

pub(super) async fn execute(
    connection: &mut MySqlConnection,
    sql: &str,
    values: &[Value<'_>],
) -> Result<u64, sqlx::Error> {
    Ok(statement(sql, values)?.execute(connection).await?.rows_affected())
}

/// The slices of `rows` that are written by one statement each.
fn cut<T>(mut rows: &[T]) -> Vec<&[T]> {
    let mut parts = Vec::new();
    for size in SIZES {
        while rows.len() >= size {
            let (part, rest) = rows.split_at(size);
            parts.push(part);
            rows = rest;
        }
    }
    parts
}

/// Runs a statement that `made` gives for a number of rows.
pub(super) async fn execute_set(
    connection: &mut MySqlConnection,
    made: impl Fn(usize) -> String,
    rows: &[&[Value<'_>]],
) -> Result<u64, sqlx::Error> {
    let mut touched: u64 = 0;
    for part in cut(rows) {
        let mut arguments = MySqlArguments::default();
        for value in part.iter().copied().flatten() {
            add(&mut arguments, value)?;
        }
        let done = prepared(made(part.len()), arguments).execute(&mut *connection).await?;
        touched = touched.saturating_add(done.rows_affected());
    }
    Ok(touched)
}

pub(super) async fn query(
    connection: &mut MySqlConnection,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Vec<MySqlRow>, sqlx::Error> {
    statement(sql, values)?.fetch_all(connection).await
}

/// Runs a query that `made` gives for a number of keys.
pub(super) async fn query_any(
    connection: &mut MySqlConnection,
    made: impl Fn(usize) -> String,
    keys: &[Value<'_>],
) -> Result<Vec<MySqlRow>, sqlx::Error> {
    let mut found = Vec::new();
    for part in cut(keys) {
        let mut arguments = MySqlArguments::default();
        for key in part {
            add(&mut arguments, key)?;
        }
        found.extend(prepared(made(part.len()), arguments).fetch_all(&mut *connection).await?);
    }
    Ok(found)
}

pub(super) async fn batch(connection: &mut MySqlConnection, sql: &str) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.map(drop)
}

/// Reads the rows of a result.
pub(super) fn read<T>(
    rows: &[MySqlRow],
    sql: &str,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let names: Vec<_> = first.columns().iter().map(|column| column.name().to_owned()).collect();
    let mut found = Vec::with_capacity(rows.len());
    let mut cells = Vec::with_capacity(names.len());
    for row in rows {
        cells.clear();
        for column in 0..names.len() {
            cells.push(cell(row, column).map_err(|error| StoreError::sql(sql, error))?);
        }
        found.push(read(&Row { cells: Cells::Server(&cells, &names), source: sql })?);
    }
    Ok(found)
}

fn cell(row: &MySqlRow, column: usize) -> Result<Cell<'_>, sqlx::Error> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let kind = value.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "BIGINT" | "INT" | "MEDIUMINT" | "SMALLINT" | "TINYINT" | "BOOLEAN" => {
            Cell::Int(row.try_get_unchecked(column)?)
        }
        "BIGINT UNSIGNED" | "INT UNSIGNED" | "SMALLINT UNSIGNED" | "TINYINT UNSIGNED" => {
            let number: u64 = row.try_get_unchecked(column)?;
            i64::try_from(number).map_or(Cell::Other, Cell::Int)
        }
        // A sum: its digits.
        "DECIMAL" => {
            let digits: &str = row.try_get_unchecked(column)?;
            digits.parse().map_or(Cell::Other, Cell::Int)
        }
        "VARCHAR" | "CHAR" | "TEXT" | "TINYTEXT" | "MEDIUMTEXT" | "LONGTEXT" => {
            let text: &str = row.try_get_unchecked(column)?;
            Cell::Text(text.as_bytes())
        }
        "VARBINARY" | "BINARY" | "BLOB" | "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" => {
            Cell::Bytes(row.try_get_unchecked(column)?)
        }
        _ => Cell::Other,
    })
}

fn number(said: &dyn DatabaseError) -> Option<u16> {
    said.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// The name of the rule that a statement broke: a CHECK, a key, or NOT NULL.
pub(super) fn broken_rule(said: &dyn DatabaseError) -> Option<String> {
    let message = said.message();
    match number(said)? {
        // "CONSTRAINT `name` failed for `database`.`table`"
        4025 => message.split('`').nth(1).map(ToOwned::to_owned),
        // "Duplicate entry '1' for key 'PRIMARY'"
        1062 => message.rsplit('\'').nth(1).map(ToOwned::to_owned),
        1048 | 1451 | 1452 => Some(message.to_owned()),
        _ => None,
    }
}

/// Whether the transaction came to nothing because of others: a lock that was not given, a deadlock.
pub(super) fn is_contended(said: &dyn DatabaseError) -> bool {
    matches!(number(said), Some(1205 | 1213))
}

/// Whether the server ends the connection: a shutdown, too many clients, killed.
pub(super) fn is_lost(said: &dyn DatabaseError) -> bool {
    matches!(number(said), Some(1040 | 1053 | 1077 | 1152 | 1184 | 1927 | 2006 | 2013 | 4031))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_their_places() {
        let values = [Value::Int(1), Value::Text("two")];
        let (sql, ordered) = positional("a = $2 OR b = $1 OR c = $2", &values).unwrap();
        assert_eq!(sql, "a = ? OR b = ? OR c = ?");
        assert_eq!(ordered, [&values[1], &values[0], &values[1]]);
        assert!(positional("a = $3", &values).is_err());
    }

    #[test]
    fn a_set_is_cut_into_few_sizes() {
        let rows: Vec<_> = (0..700).collect();
        let lengths: Vec<_> = cut(&rows).iter().map(|part| part.len()).collect();
        assert_eq!(lengths, [256, 256, 64, 64, 16, 16, 16, 4, 4, 4]);
    }
}

//! How PostgreSQL is spoken to.

use sqlx::error::DatabaseError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgConnection, PgRow, PgTypeInfo, PgValueFormat,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, ConnectOptions as _, Encode, Executor as _,
    Postgres, Row as _, Type, TypeInfo as _, ValueRef as _,
};

use super::{Kind, Role};
use crate::error::StoreError;
use crate::value::{Cell, Cells, Row, Value};

/// Statements kept prepared per connection: every statement of every service, with room.
const STATEMENTS_MAX: usize = 512;
/// The type by which the server finds out itself what a NULL is.
const UNKNOWN: Oid = Oid(705);

/// Settings under which a power cut loses what was acknowledged: a query that gives the value then,
/// its name, and the cure.
pub(super) const UNSAFE: &[(&str, &str, &str)] = &[
    (
        "SELECT setting FROM pg_settings WHERE name = 'fsync' AND setting <> 'on'",
        "fsync",
        "set it to on",
    ),
    (
        "SELECT setting FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'off'",
        "synchronous_commit",
        "set it to on",
    ),
    (
        "SELECT setting FROM pg_settings WHERE name = 'full_page_writes' AND setting <> 'on'",
        "full_page_writes",
        "set it to on",
    ),
];

/// The columns of a table and their types.
pub(super) const COLUMNS: &str = "SELECT CAST(a.attname AS TEXT), CAST(t.typname AS TEXT) \
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";

/// Takes the lock of a schema's one writer: the number is this program's alone.
pub(super) const TRY_LOCK: &str = "SELECT CASE \
    WHEN pg_try_advisory_lock(hashtextextended($1, 7239451120043)) THEN 1 ELSE 0 END";

/// Gives it back; the answer is 1 if it was held.
pub(super) const UNLOCK: &str = "SELECT CASE \
    WHEN pg_advisory_unlock(hashtextextended($1, 7239451120043)) THEN 1 ELSE 0 END";

/// No statement takes longer, and nobody waits longer for a lock. A writer that stops in the middle
/// of its turn is cut off: the others go on.
const LIMITS: &str = "SET statement_timeout = '30s'; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '10s'; SET tcp_keepalives_idle = 10; \
    SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;";
/// A set is a handful of rows found by key: no plan is better than the index, and none need be made
/// twice. Without this, what is planned over an empty table reads all of it when it is full.
const PLANS: &str = "SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;";
/// Segments of the outbox are large enough to be compressed; the server's own way takes a fifteenth of all that
/// it does for an order. A server that was built without the other one keeps to it.
const QUICK: &str = "SET default_toast_compression = 'lz4'";
/// An audit reads whole tables; and what is read is planned for the size that the table has by now.
const LONG: &str = "SET plan_cache_mode = force_custom_plan; \
    SET statement_timeout = '10min'; SET idle_in_transaction_session_timeout = '10min';";

pub(super) async fn connect(
    url: &str,
    path: &str,
    role: Role,
) -> Result<PgConnection, sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    let options = options
        .application_name("millrace")
        .statement_cache_capacity(STATEMENTS_MAX)
        .disable_statement_logging();
    let mut connection = options.connect().await?;
    let own = match role {
        Role::Writer => PLANS,
        Role::Reader => LONG,
    };
    let settings = format!("{LIMITS} {own} SET search_path TO {path};");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(settings))).await?;
    match connection.execute(QUICK).await {
        Ok(_) | Err(sqlx::Error::Database(_)) => Ok(connection),
        Err(error) => Err(error),
    }
}

/// A value whose type the server finds out.
struct Untyped;

impl Type<Postgres> for Untyped {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UNKNOWN)
    }
}

impl Encode<'_, Postgres> for Untyped {
    fn encode_by_ref(
        &self,
        _buffer: &mut sqlx::postgres::PgArgumentBuffer,
    ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
        Ok(sqlx::encode::IsNull::Yes)
    }
}

fn add(arguments: &mut PgArguments, value: &Value<'_>) -> Result<(), sqlx::Error> {
    let added = match value {
        Value::Null => arguments.add(Untyped),
        Value::Int(number) => arguments.add(*number),
        Value::Text(text) => arguments.add(*text),
        Value::OwnedText(text) => arguments.add(text.as_str()),
        Value::Blob(bytes) => arguments.add(*bytes),
        Value::OwnedBlob(bytes) => arguments.add(bytes.as_slice()),
        Value::Bytes16(bytes) => arguments.add(bytes.as_slice()),
    };
    added.map_err(sqlx::Error::Encode)
}

fn arguments(values: &[Value<'_>]) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        add(&mut arguments, value)?;
    }
    Ok(arguments)
}

fn number(value: &Value<'_>) -> Option<i64> {
    if let Value::Int(number) = value { Some(*number) } else { None }
}

fn text<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::Text(text) => Some(text),
        Value::OwnedText(text) => Some(text),
        Value::Null | Value::Int(_) | Value::Blob(_) | Value::Bytes16(_) | Value::OwnedBlob(_) => {
            None
        }
    }
}

fn bytes<'v>(value: &'v Value<'_>) -> Option<&'v [u8]> {
    match value {
        Value::Blob(bytes) => Some(bytes),
        Value::OwnedBlob(bytes) => Some(bytes),
        Value::Bytes16(bytes) => Some(bytes),
        Value::Null | Value::Int(_) | Value::Text(_) | Value::OwnedText(_) => None,
    }
}

/// Adds one column of `rows` as an array.
fn add_column(
    arguments: &mut PgArguments,
    column: usize,
    kind: Kind,
    rows: &[&[Value<'_>]],
) -> Result<(), sqlx::Error> {
    const NULL: &Value<'static> = &Value::Null;
    let values = || rows.iter().map(|row| row.get(column).unwrap_or(NULL));
    let foreign = values().any(|value| match kind {
        Kind::Int => number(value).is_none() && *value != Value::Null,
        Kind::Text => text(value).is_none() && *value != Value::Null,
        Kind::Blob => bytes(value).is_none() && *value != Value::Null,
    });
    if foreign {
        let why = format!("column {column} of a set holds values of another kind than {kind:?}");
        return Err(sqlx::Error::Encode(why.into()));
    }
    let added = match kind {
        Kind::Int => arguments.add(values().map(number).collect::<Vec<_>>()),
        Kind::Text => arguments.add(values().map(text).collect::<Vec<_>>()),
        Kind::Blob => arguments.add(values().map(bytes).collect::<Vec<_>>()),
    };
    added.map_err(sqlx::Error::Encode)
}

fn prepared(
    sql: &str,
    arguments: PgArguments,
) -> sqlx::query::Query<'static, Postgres, PgArguments> {
    sqlx::query_with(AssertSqlSafe(sql.to_owned()), arguments)
}

pub(super) async fn execute(
    connection: &mut PgConnection,
    sql: &str,
    values: &[Value<'_>],
) -> Result<u64, sqlx::Error> {
    let done = prepared(sql, arguments(values)?).execute(connection).await?;
    Ok(done.rows_affected())
}

/// Runs a statement over arrays, one for each column.
pub(super) async fn execute_set(
    connection: &mut PgConnection,
    sql: &str,
    kinds: &[Kind],
    rows: &[&[Value<'_>]],
) -> Result<u64, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for (column, kind) in kinds.iter().enumerate() {
        add_column(&mut arguments, column, *kind, rows)?;
    }
    Ok(prepared(sql, arguments).execute(connection).await?.rows_affected())
}

pub(super) async fn query(
    connection: &mut PgConnection,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Vec<PgRow>, sqlx::Error> {
    prepared(sql, arguments(values)?).fetch_all(connection).await
}

/// Runs a query over one array of keys.
pub(super) async fn query_any(
    connection: &mut PgConnection,
    sql: &str,
    keys: &[Value<'_>],
) -> Result<Vec<PgRow>, sqlx::Error> {
    let kind = match keys.first() {
        Some(Value::Int(_)) => Kind::Int,
        Some(Value::Blob(_) | Value::Bytes16(_) | Value::OwnedBlob(_)) => Kind::Blob,
        Some(Value::Text(_) | Value::OwnedText(_) | Value::Null) | None => Kind::Text,
    };
    let rows: Vec<_> = keys.iter().map(std::slice::from_ref).collect();
    let mut arguments = PgArguments::default();
    add_column(&mut arguments, 0, kind, &rows)?;
    prepared(sql, arguments).fetch_all(connection).await
}

pub(super) async fn batch(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.map(drop)
}

/// Reads the rows of a result.
pub(super) fn read<T>(
    rows: &[PgRow],
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

fn cell(row: &PgRow, column: usize) -> Result<Cell<'_>, sqlx::Error> {
    let value = row.try_get_raw(column)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let is_binary = value.format() == PgValueFormat::Binary;
    let kind = value.type_info();
    let bytes = value.as_bytes().map_err(sqlx::Error::Decode)?;
    let int = |number: Option<i64>| number.map_or(Cell::Other, Cell::Int);
    Ok(match kind.name() {
        "TEXT" | "VARCHAR" | "NAME" | "CHAR" => Cell::Text(bytes),
        "BYTEA" if is_binary => Cell::Blob(bytes),
        "INT8" | "INT4" | "INT2" | "NUMERIC" | "BOOL" if !is_binary => {
            let text = value.as_str().map_err(sqlx::Error::Decode)?;
            int(text.parse().ok().or(match text {
                "t" => Some(1),
                "f" => Some(0),
                _ => None,
            }))
        }
        "INT8" => int(bytes.try_into().ok().map(i64::from_be_bytes)),
        "INT4" => int(bytes.try_into().ok().map(|four| i32::from_be_bytes(four).into())),
        "INT2" => int(bytes.try_into().ok().map(|two| i16::from_be_bytes(two).into())),
        "BOOL" => int(bytes.first().map(|byte| i64::from(*byte))),
        "NUMERIC" => int(whole(bytes)),
        _ => Cell::Other,
    })
}

/// A NUMERIC that is a whole number, such as a sum: digits to the base of 10,000.
fn whole(bytes: &[u8]) -> Option<i64> {
    let mut shorts = bytes.chunks_exact(2).map(|two| i16::from_be_bytes([two[0], two[1]]));
    let (count, weight) = (shorts.next()?, shorts.next()?);
    let (sign, _scale) = (shorts.next()?, shorts.next()?);
    let digits: Vec<_> = shorts.take(usize::try_from(count).ok()?).collect();
    let places = usize::try_from(i32::from(weight).checked_add(1)?.max(0)).ok()?;
    if digits.iter().skip(places).any(|digit| *digit != 0) {
        return None;
    }
    let mut number: i64 = 0;
    for place in 0..places {
        let digit = digits.get(place).copied().unwrap_or(0);
        number = number.checked_mul(10_000)?.checked_add(digit.into())?;
    }
    match sign {
        0 => Some(number),
        0x4000 => number.checked_neg(),
        _ => None,
    }
}

/// The name of the rule that a statement broke.
pub(super) fn broken_rule(said: &dyn DatabaseError) -> Option<String> {
    let code = said.code()?;
    if !code.starts_with("23") {
        return None;
    }
    Some(said.constraint().map_or_else(|| said.message().to_owned(), ToOwned::to_owned))
}

/// Whether the transaction came to nothing because of others, or of what failed in it before.
pub(super) fn is_contended(said: &dyn DatabaseError) -> bool {
    // Serialization failure, deadlock, lock timeout, and a transaction that is aborted already.
    said.code().is_some_and(|code| ["40001", "40P01", "55P03", "25P02"].contains(&code.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_read_as_a_whole_number_or_not_at_all() {
        let numeric = |shorts: &[i16]| -> Vec<u8> {
            shorts.iter().flat_map(|short| short.to_be_bytes()).collect()
        };
        for (shorts, expected) in [
            (&[0, 0, 0, 0][..], Some(0)),
            (&[1, 0, 0, 0, 42], Some(42)),
            (&[1, 1, 0, 0, 3], Some(30_000)),
            (&[2, 1, 0x4000, 0, 1, 5], Some(-10_005)),
            (&[2, 0, 0, 4, 1, 5_000], None),
        ] {
            assert_eq!(whole(&numeric(shorts)), expected, "{shorts:?}");
        }
    }
}

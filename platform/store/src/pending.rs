//! Rows that are committed before they are in their tables.
//!
//! An order changes in three COMMITs within some milliseconds, and the levels of its SKUs in two.
//! Written to its table each time, each change dirties a page of its own, and pages are what a COMMIT
//! costs. So under load the changed rows of a COMMIT are one blob at the end of `pending_rows`, and
//! the tables are written some COMMITs later, each row once. What SQLite's own log is for pages, this
//! is for rows.
//!
//! The blob says which columns its values are for, so that a later version can apply it before it
//! changes the schema.

use rusqlite::Connection;

use crate::error::StoreError;
use crate::record::Table;
use crate::sqlite;
use crate::value::Value;

/// How a value is written: a tag, then a number as in postcard (zigzag, seven bits a byte), or a
/// length and bytes. Written by hand because a COMMIT of bulk placement has 200,000 of them.
const NULL: u8 = 0;
const INT: u8 = 1;
const TEXT: u8 = 2;
const BLOB: u8 = 3;

/// The changed rows of one COMMIT while they are gathered.
#[derive(Debug, Default)]
pub(crate) struct PendingRows {
    bytes: Vec<u8>,
    rows: usize,
    /// Where the row count of the current table stands.
    count_at: Option<usize>,
    rows_of_table: u32,
}

fn push<T: serde::Serialize + ?Sized>(bytes: Vec<u8>, value: &T) -> Vec<u8> {
    // Plain data always fits a growing buffer.
    postcard::to_extend(value, bytes).unwrap_or_default()
}

impl PendingRows {
    /// Begins the rows of `table`.
    pub(crate) fn begin(&mut self, table: &Table) {
        self.end();
        let bytes = std::mem::take(&mut self.bytes);
        let bytes = push(bytes, table.name);
        self.bytes = push(bytes, table.columns);
        self.count_at = Some(self.bytes.len());
        self.bytes.extend_from_slice(&[0; 4]);
    }

    /// Adds a row of the current table.
    pub(crate) fn add(&mut self, values: &[Value<'_>]) {
        let bytes = &mut self.bytes;
        for value in values {
            match value {
                Value::Null => bytes.push(NULL),
                Value::Int(number) => {
                    bytes.push(INT);
                    push_varint(bytes, ((number << 1) ^ (number >> 63)).cast_unsigned());
                }
                Value::Text(text) => push_bytes(bytes, TEXT, text.as_bytes()),
                Value::OwnedText(text) => push_bytes(bytes, TEXT, text.as_bytes()),
                Value::Blob(blob) => push_bytes(bytes, BLOB, blob),
                Value::OwnedBlob(blob) => push_bytes(bytes, BLOB, blob),
                Value::Bytes16(blob) => push_bytes(bytes, BLOB, blob),
            }
        }
        self.rows = self.rows.saturating_add(1);
        self.rows_of_table = self.rows_of_table.saturating_add(1);
    }

    fn end(&mut self) {
        if let Some(at) = self.count_at.take()
            && let Some(place) = self.bytes.get_mut(at..at.saturating_add(4))
        {
            place.copy_from_slice(&self.rows_of_table.to_le_bytes());
        }
        self.rows_of_table = 0;
    }

    /// Puts what was gathered behind what is pending already; returns how many rows that were.
    pub(crate) fn append(&mut self, connection: &Connection) -> Result<usize, StoreError> {
        self.end();
        if self.rows == 0 {
            return Ok(0);
        }
        let insert = "INSERT INTO pending_rows (body) VALUES (?1)";
        sqlite::execute(connection, insert, &[Value::Blob(&self.bytes)])?;
        self.bytes.clear();
        Ok(std::mem::take(&mut self.rows))
    }
}

fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or(0));
}

fn push_bytes(bytes: &mut Vec<u8>, tag: u8, content: &[u8]) {
    bytes.push(tag);
    push_varint(bytes, u64::try_from(content.len()).unwrap_or(0));
    bytes.extend_from_slice(content);
}

/// Forgets what is pending, in the transaction that wrote it to the tables.
pub(crate) fn clear(connection: &Connection) -> Result<(), StoreError> {
    sqlite::execute(connection, "DELETE FROM pending_rows", &[]).map(drop)
}

/// Whether anything is pending; `false` in a database that is older than the table.
pub(crate) fn is_any(connection: &Connection) -> Result<bool, StoreError> {
    let select = "SELECT EXISTS (SELECT 1 FROM pending_rows)";
    match sqlite::query_one(connection, select, &[], |row| row.int(0)) {
        Ok(found) => Ok(found == Some(1)),
        Err(_) if !has_table(connection)? => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether anything is pending in any of the files that `connection` has attached as `s1`, `s2` and
/// so on, or in `main`. Each is looked at, so that their snapshots begin at the same moment.
pub(crate) fn is_any_of(connection: &Connection, attached: usize) -> Result<bool, StoreError> {
    let mut found = is_any(connection)?;
    for number in 1..=attached {
        let select = format!("SELECT EXISTS (SELECT 1 FROM s{number}.pending_rows)");
        let pending = sqlite::query_one(connection, &select, &[], |row| row.int(0))?;
        found |= pending == Some(1);
    }
    Ok(found)
}

fn has_table(connection: &Connection) -> Result<bool, StoreError> {
    let select = "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'pending_rows'";
    Ok(sqlite::query_one(connection, select, &[], |row| row.int(0))? == Some(1))
}

/// Writes everything that is pending to its tables, in a transaction of its own; returns how many
/// changes that were.
pub(crate) fn apply(connection: &Connection) -> Result<usize, StoreError> {
    if !has_table(connection)? || !is_any(connection)? {
        return Ok(0);
    }
    sqlite::batch(connection, "BEGIN IMMEDIATE")?;
    match apply_all(connection) {
        Ok(rows) => sqlite::batch(connection, "COMMIT").map(|()| rows),
        Err(error) => sqlite::batch(connection, "ROLLBACK").and(Err(error)),
    }
}

fn apply_all(connection: &Connection) -> Result<usize, StoreError> {
    let select = "SELECT id, body FROM pending_rows ORDER BY id";
    let bodies =
        sqlite::query(connection, select, &[], |row| Ok((row.int(0)?, row.blob(1)?.to_vec())))?;
    let mut rows: usize = 0;
    for (id, body) in bodies {
        let applied = apply_one(connection, &body)?;
        let damaged = || StoreError::Damaged {
            table: "pending_rows".to_owned(),
            column: "body".to_owned(),
            row: id.to_string(),
            why: "it cannot be read".to_owned(),
        };
        rows = rows.saturating_add(applied.ok_or_else(damaged)?);
    }
    clear(connection)?;
    Ok(rows)
}

fn take<'b, T: serde::Deserialize<'b>>(bytes: &mut &'b [u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    *bytes = rest;
    Some(value)
}

fn take_value<'b>(bytes: &mut &'b [u8]) -> Option<Value<'b>> {
    let (tag, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(match *tag {
        NULL => Value::Null,
        INT => Value::Int(take(bytes)?),
        TEXT => Value::Text(take(bytes)?),
        BLOB => {
            let len: usize = take(bytes)?;
            let (blob, rest) = bytes.split_at_checked(len)?;
            *bytes = rest;
            Value::Blob(blob)
        }
        _ => return None,
    })
}

/// Writes the rows of one blob; `None` if it is damaged.
fn apply_one(connection: &Connection, mut bytes: &[u8]) -> Result<Option<usize>, StoreError> {
    let mut rows: usize = 0;
    while !bytes.is_empty() {
        let Some((name, columns)) = take::<(&str, Vec<&str>)>(&mut bytes) else { return Ok(None) };
        let Some((count, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
        bytes = rest;
        let places: Vec<_> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
        // A row that is not in its table yet and one that is: the last change is the whole row.
        let sql = format!(
            "INSERT OR REPLACE INTO {name} ({}) VALUES ({})",
            columns.join(", "),
            places.join(", ")
        );
        for _ in 0..u32::from_le_bytes(*count) {
            let mut values = Vec::with_capacity(columns.len());
            for _ in &columns {
                let Some(value) = take_value(&mut bytes) else { return Ok(None) };
                values.push(value);
            }
            sqlite::execute(connection, &sql, &values)?;
            rows = rows.saturating_add(1);
        }
    }
    Ok(Some(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table { name: "things", columns: &["id", "version", "name", "body"] };

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        let sql = "CREATE TABLE things (id INTEGER PRIMARY KEY, version BIGINT NOT NULL, \
                   name TEXT, body BLOB);";
        connection.execute_batch(sql).unwrap();
        connection.execute_batch(include_str!("../migrations/0002_pending.sql")).unwrap();
        connection
    }

    fn rows(connection: &Connection) -> Vec<(i64, i64, Option<String>, Vec<u8>)> {
        let select = "SELECT id, version, name, body FROM things ORDER BY id";
        sqlite::query(connection, select, &[], |row| {
            let name = row.opt_text(2)?.map(ToOwned::to_owned);
            Ok((row.int(0)?, row.int(1)?, name, row.blob(3)?.to_vec()))
        })
        .unwrap()
    }

    #[test]
    fn what_is_pending_comes_into_its_table_in_the_order_of_the_changes() {
        let connection = database();
        let row = |id: i64, version: i64, name: &'static str| {
            [id.into(), version.into(), name.into(), Value::OwnedBlob(vec![0, 255, 7])]
        };
        let mut pending = PendingRows::default();
        pending.begin(&TABLE);
        pending.add(&row(1, 1, "first"));
        pending.add(&row(-5, 1, ""));
        assert_eq!(pending.append(&connection).unwrap(), 2);
        pending.begin(&TABLE);
        pending.add(&[1.into(), 2.into(), Value::Null, Value::Bytes16([3; 16])]);
        pending.append(&connection).unwrap();
        assert!(is_any(&connection).unwrap());
        assert_eq!(apply(&connection).unwrap(), 3);
        assert!(!is_any(&connection).unwrap());
        assert_eq!(
            rows(&connection),
            [(-5, 1, Some(String::new()), vec![0, 255, 7]), (1, 2, None, vec![3; 16])]
        );
        assert_eq!(apply(&connection).unwrap(), 0);
    }

    #[test]
    fn a_damaged_blob_is_refused_and_changes_nothing() {
        let connection = database();
        let mut pending = PendingRows::default();
        pending.begin(&TABLE);
        pending.add(&[1.into(), 1.into(), "whole".into(), Value::Bytes16([1; 16])]);
        pending.append(&connection).unwrap();
        let cut = "UPDATE pending_rows SET body = substr(body, 1, length(body) - 3)";
        sqlite::execute(&connection, cut, &[]).unwrap();
        let refused = apply(&connection).unwrap_err().to_string();
        assert!(refused.contains("pending_rows.body of row 1 is damaged"), "{refused}");
        assert!(rows(&connection).is_empty());
        assert!(is_any(&connection).unwrap());
    }

    #[test]
    fn a_database_older_than_the_table_has_nothing_pending() {
        let connection = Connection::open_in_memory().unwrap();
        assert!(!is_any(&connection).unwrap());
        assert_eq!(apply(&connection).unwrap(), 0);
    }
}

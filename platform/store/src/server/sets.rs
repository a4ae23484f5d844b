//! Many rows at once: what a COMMIT writes and what a batch reads is one statement for each table.

use super::{ANSWER_MAX, Kind, Link, Server, mariadb, postgres, text};
use crate::error::StoreError;
use crate::place::Dialect;
use crate::record::Table;
use crate::value::{Row, Value};

/// Rows of one statement: what they take in memory stays bounded.
const ROWS_MAX: usize = 10_000;

impl Server {
    fn bulk_some(&self, sql: &str, rows: &[Vec<Value<'_>>]) -> Result<u64, StoreError> {
        self.has_written.set(true);
        let kinds = kinds_of(rows);
        let refs: Vec<_> = rows.iter().map(Vec::as_slice).collect();
        let mut link = self.link.borrow_mut();
        let done = match &mut *link {
            None => return Err(StoreError::Unavailable("the connection is lost".to_owned())),
            Some(Link::Postgres(link)) => {
                let text = text::over_arrays(sql, &kinds);
                self.wait(ANSWER_MAX, postgres::execute_set(link, &text, &kinds, &refs))
            }
            Some(Link::Mariadb(link)) => {
                let made = |rows| text::over_rows(sql, kinds.len(), rows);
                self.wait(ANSWER_MAX, mariadb::execute_set(link, made, &refs))
            }
        };
        drop(link);
        done.map_err(|error| self.failed(sql, error))
    }

    /// Runs a statement once per row, as one statement over all of them; returns the rows it touched.
    pub(crate) fn bulk(&self, sql: &str, rows: &[Vec<Value<'_>>]) -> Result<u64, StoreError> {
        let mut touched: u64 = 0;
        for some in rows.chunks(ROWS_MAX) {
            touched = touched.saturating_add(self.bulk_some(sql, some)?);
        }
        Ok(touched)
    }

    /// Inserts rows of a table, all its columns; returns how many.
    pub(crate) fn insert(&self, table: &Table, rows: &[Vec<Value<'_>>]) -> Result<u64, StoreError> {
        let insert = table.insert_numbered();
        self.set(table, &[], &insert, rows)
    }

    /// Changes rows of a table, each with the version before behind its columns; returns how many.
    pub(crate) fn update(&self, table: &Table, rows: &[Vec<Value<'_>>]) -> Result<u64, StoreError> {
        let update = table.update_numbered();
        self.set(table, &[Kind::Int], &update, rows)
    }

    fn set(
        &self,
        table: &Table,
        more: &[Kind],
        sql: &str,
        rows: &[Vec<Value<'_>>],
    ) -> Result<u64, StoreError> {
        if self.place.dialect == Dialect::Mariadb {
            return self.bulk(sql, rows);
        }
        self.has_written.set(true);
        let mut kinds = self.kinds(table)?;
        kinds.extend_from_slice(more);
        let text = text::over_arrays(sql, &kinds);
        let mut touched: u64 = 0;
        for some in rows.chunks(ROWS_MAX) {
            let refs: Vec<_> = some.iter().map(Vec::as_slice).collect();
            let mut link = self.link.borrow_mut();
            let Some(Link::Postgres(found)) = &mut *link else {
                return Err(StoreError::Unavailable("the connection is lost".to_owned()));
            };
            let done = self.wait(ANSWER_MAX, postgres::execute_set(found, &text, &kinds, &refs));
            drop(link);
            touched = touched.saturating_add(done.map_err(|error| self.failed(sql, error))?);
        }
        Ok(touched)
    }

    /// The kinds of a table's columns: a column of a set may be all NULL, so values do not tell.
    fn kinds(&self, table: &Table) -> Result<Vec<Kind>, StoreError> {
        if let Some(known) = self.kinds.borrow().get(table.name) {
            return Ok(known.clone());
        }
        let found = self.query(postgres::COLUMNS, &[table.name.into()], |row| {
            let kind = match row.text(1)? {
                "bytea" => Kind::Blob,
                "int8" | "int4" => Kind::Int,
                _ => Kind::Text,
            };
            Ok((row.text(0)?.to_owned(), kind))
        })?;
        let kinds = table.columns.iter().map(|column| {
            let known = found.iter().find(|(name, _)| name == column);
            known.map(|(_, kind)| *kind).ok_or_else(|| {
                let why = format!("the table {} has no column {column}", table.name);
                StoreError::Open(why)
            })
        });
        let kinds: Vec<_> = kinds.collect::<Result<_, _>>()?;
        self.kinds.borrow_mut().insert(table.name, kinds.clone());
        Ok(kinds)
    }

    /// Reads the rows with these keys, in no sequence.
    pub(crate) fn select<T>(
        &self,
        table: &Table,
        keys: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        for some in keys.chunks(ROWS_MAX) {
            let mut link = self.link.borrow_mut();
            match &mut *link {
                None => return Err(StoreError::Unavailable("the connection is lost".to_owned())),
                Some(Link::Postgres(open)) => {
                    let sql = table.select_any("= ANY($1)");
                    let rows = self.wait(ANSWER_MAX, postgres::query_any(open, &sql, some));
                    drop(link);
                    let rows = rows.map_err(|error| self.failed(&sql, error))?;
                    found.extend(postgres::read(&rows, &sql, &read)?);
                }
                Some(Link::Mariadb(open)) => {
                    let made = |rows| table.select_any(&text::one_of(rows));
                    let rows = self.wait(ANSWER_MAX, mariadb::query_any(open, made, some));
                    drop(link);
                    let sql = table.select_any("= ?");
                    let rows = rows.map_err(|error| self.failed(&sql, error))?;
                    found.extend(mariadb::read(&rows, &sql, &read)?);
                }
            }
        }
        Ok(found)
    }
}

/// The kinds of the values, column by column; a column without any value counts as text.
fn kinds_of(rows: &[Vec<Value<'_>>]) -> Vec<Kind> {
    let width = rows.first().map_or(0, Vec::len);
    let kind = |value: &Value<'_>| match value {
        Value::Null => None,
        Value::Int(_) => Some(Kind::Int),
        Value::Text(_) | Value::OwnedText(_) => Some(Kind::Text),
        Value::Blob(_) | Value::Bytes16(_) | Value::OwnedBlob(_) => Some(Kind::Blob),
    };
    let of = |column| rows.iter().find_map(|row| kind(row.get(column)?));
    (0..width).map(|column| of(column).unwrap_or(Kind::Text)).collect()
}

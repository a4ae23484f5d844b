//! The engines under the store. SQLite is the default and the hot path: it is called directly. A
//! server is asked in sets, because each statement is a way there and back.

use rusqlite::Connection;

use crate::error::StoreError;
use crate::record::Table;
use crate::server::Server;
use crate::sqlite;
use crate::value::{Row, Value};

/// One connection, by its engine.
pub(crate) enum Engine {
    Sqlite(Connection),
    Server(Box<Server>),
}

impl Engine {
    /// Runs one statement with its values; returns the rows it touched.
    pub(crate) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(connection) => sqlite::execute(connection, sql, values),
            Self::Server(server) => server.execute(sql, values),
        }
    }

    /// Runs a query and reads every row.
    pub(crate) fn query<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        match self {
            Self::Sqlite(connection) => sqlite::query(connection, sql, values, read),
            Self::Server(server) => server.query(sql, values, read),
        }
    }

    /// Runs a query by key and reads its only row.
    pub(crate) fn query_one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.query(sql, values, read)?.pop())
    }

    /// Runs a statement once per row; returns the rows it touched.
    pub(crate) fn bulk(&self, sql: &str, rows: &[Vec<Value<'_>>]) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(connection) => {
                let mut touched: u64 = 0;
                for row in rows {
                    touched = touched.saturating_add(sqlite::execute(connection, sql, row)?);
                }
                Ok(touched)
            }
            Self::Server(server) => server.bulk(sql, rows),
        }
    }

    /// The largest key of a table whose keys are whole numbers; 0 for an empty one.
    pub(crate) fn last_key(&self, table: &Table) -> Result<i64, StoreError> {
        Ok(self.query_one(&table.last_key(), &[], |row| row.int(0))?.unwrap_or(0))
    }

    /// Runs statements that take no values.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection) => sqlite::batch(connection, sql),
            Self::Server(server) => server.batch(sql),
        }
    }

    /// Runs a statement of the transaction itself, such as SAVEPOINT.
    pub(crate) fn control(&self, sql: &str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection) => sqlite::execute(connection, sql, &[]).map(drop),
            Self::Server(server) => server.batch(sql),
        }
    }

    /// Undoes a transaction that could not begin in full.
    pub(crate) fn abandon(&self) {
        if let Self::Server(server) = self {
            server.roll_back();
        }
    }

    /// Begins a snapshot of what is committed.
    pub(crate) fn begin_snapshot(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection) => sqlite::execute(connection, "BEGIN", &[]).map(drop),
            Self::Server(server) => server.begin_snapshot(),
        }
    }
}

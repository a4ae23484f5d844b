//! Rows at the ends of journals, gathered until their COMMIT.

use std::any::Any;

use crate::cache::AnyCache;
use crate::engine::Engine;
use crate::error::StoreError;
use crate::pending::PendingRows;
use crate::record::Append;
use crate::sqlite::Prepared;

/// The rows to append to one table.
pub(crate) struct AppendList<A: Append> {
    rows: Vec<A>,
    at_begin: usize,
    /// The last position that is given, with those of `rows`.
    last: Option<i64>,
    insert: String,
}

impl<A: Append> AppendList<A> {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), at_begin: 0, last: None, insert: A::TABLE.insert() }
    }

    pub(crate) fn push(
        &mut self,
        engine: &Engine,
        row: impl FnOnce(i64) -> A,
    ) -> Result<i64, StoreError> {
        let last = match self.last {
            Some(last) => last,
            None => engine.last_key(&A::TABLE)?,
        };
        let position = last.saturating_add(1);
        self.rows.push(row(position));
        self.last = Some(position);
        Ok(position)
    }
}

impl<A: Append> AnyCache for AppendList<A> {
    fn begin(&mut self) {
        self.at_begin = self.rows.len();
    }

    fn broken_rule(&self) -> Option<&'static str> {
        None
    }

    fn keep(&mut self) {}

    fn undo(&mut self) {
        let undone = self.rows.len().saturating_sub(self.at_begin);
        self.rows.truncate(self.at_begin);
        let undone = i64::try_from(undone).unwrap_or(0);
        self.last = self.last.map(|last| last.saturating_sub(undone));
    }

    fn changed(&self) -> usize {
        0
    }

    fn is_untouched(&self) -> bool {
        self.rows.len() == self.at_begin
    }

    fn defer(&mut self, engine: &Engine, _pending: &mut PendingRows) -> Result<u64, StoreError> {
        self.flush(engine)
    }

    fn flush(&mut self, engine: &Engine) -> Result<u64, StoreError> {
        let rows = std::mem::take(&mut self.rows);
        self.at_begin = 0;
        if rows.is_empty() {
            return Ok(0);
        }
        match engine {
            Engine::Sqlite(connection) => {
                let mut insert = Prepared::try_new(connection, &self.insert)?;
                let mut values = Vec::with_capacity(A::TABLE.columns.len());
                for row in &rows {
                    row.write(&mut values);
                    debug_assert_eq!(values.len(), A::TABLE.columns.len(), "{}", A::TABLE.name);
                    insert.run(&values)?;
                    values.clear();
                }
            }
            Engine::Server(server) => {
                let sets: Vec<_> = rows
                    .iter()
                    .map(|row| {
                        let mut values = Vec::with_capacity(A::TABLE.columns.len());
                        row.write(&mut values);
                        values
                    })
                    .collect();
                server.insert(&A::TABLE, &sets)?;
            }
        }
        Ok(u64::try_from(rows.len()).unwrap_or(0))
    }

    fn committed(&mut self, _settled: bool) {}

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

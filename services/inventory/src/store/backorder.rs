//! Places in the queue of a level.

use contracts::Timestamp;
use store::{Record, Row, StoreError, Table, Value};

use crate::domain::LevelId;

/// One line that waits for units of a level.
#[derive(Debug, Clone)]
pub struct BackorderRow {
    /// The place, ascending with time.
    pub ticket: i64,
    /// Grows with every change.
    pub version: u64,
    /// The level.
    pub level: LevelId,
    /// The order's number.
    pub order_number: i64,
    /// Its line.
    pub line: u16,
    /// The ticket behind it.
    pub next: Option<i64>,
    /// When it began to wait.
    pub queued_at: Timestamp,
}

impl Record for BackorderRow {
    type Key = i64;
    const TABLE: Table = Table {
        name: "stock_backorders",
        columns: &["ticket", "version", "level", "order_number", "line", "next", "queued_at"],
    };
    const CACHE_MAX: usize = 4_096;

    fn key(&self) -> i64 {
        self.ticket
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([
            self.ticket.into(),
            self.version.into(),
            self.level.0.into(),
            self.order_number.into(),
            self.line.into(),
            self.next.into(),
            self.queued_at.into(),
        ]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            ticket: row.int(0)?,
            version: row.count(1)?,
            level: LevelId(row.int(2)?),
            order_number: row.int(3)?,
            line: u16::try_from(row.int(4)?).map_err(|why| row.damaged(4, &why.to_string()))?,
            next: row.opt_int(5)?,
            queued_at: row.timestamp(6)?,
        })
    }
}

//! Holds as rows: of orders by number, of owners outside by name.

use std::sync::Arc;

use contracts::{OrderId, Timestamp};
use store::{Record, Row, Rx, StoreError, Table, Tx, Value};

use super::document::{Columns, decode, encode, state_code};
use crate::domain::{Hold, Owner};

/// What is kept for an order.
#[derive(Debug, Clone)]
pub struct HoldRow {
    /// The order; its number is the key.
    pub order: OrderId,
    /// What is kept.
    pub hold: Hold,
    /// Events told of this reservation.
    pub events: u64,
    /// When its deadline was first set.
    pub held_at: Timestamp,
}

impl Record for HoldRow {
    type Key = i64;
    const TABLE: Table = Table {
        name: "stock_holds",
        columns: &[
            "number", "version", "order_id", "state", "deadline", "events", "held_at", "doc",
        ],
    };
    // Orders between placement and allocation, many times over; about 400 bytes each: 13 MB.
    const CACHE_MAX: usize = 32_768;
    const INDEXED: Option<&'static str> = Some("deadline");

    fn key(&self) -> i64 {
        self.order.number().as_i64()
    }

    fn version(&self) -> u64 {
        self.hold.changes
    }

    fn indexed(&self) -> Option<i64> {
        self.hold.deadline().map(Timestamp::as_micros)
    }

    fn is_settled(&self) -> bool {
        self.hold.deadline().is_none()
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([
            self.key().into(),
            self.version().into(),
            self.order.into(),
            state_code(&self.hold.state).into(),
            self.hold.deadline().into(),
            self.events.into(),
            self.held_at.into(),
            encode(&self.hold).into(),
        ]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let order = row.id(2, OrderId::try_from_slice)?;
        let columns = Columns { version: 1, state: 3, deadline: 4, document: 7 };
        let hold = decode(row, columns, Owner::Order(order))?;
        Ok(Self { order, hold, events: row.count(5)?, held_at: row.timestamp(6)? })
    }
}

/// What is kept for an owner outside.
#[derive(Debug, Clone)]
pub struct ReservationRow {
    /// The owner, by the name the caller gave.
    pub owner: Arc<str>,
    /// The id of the hold. Made like an order's: a UUIDv7 needs a clock and bits, no more.
    pub hold_id: OrderId,
    /// What is kept.
    pub hold: Hold,
    /// When its deadline was set.
    pub held_at: Timestamp,
}

impl Record for ReservationRow {
    type Key = String;
    const TABLE: Table = Table {
        name: "stock_reservations",
        columns: &["owner", "version", "hold_id", "state", "deadline", "held_at", "doc"],
    };
    const CACHE_MAX: usize = 4_096;
    const INDEXED: Option<&'static str> = Some("deadline");

    fn key(&self) -> String {
        self.owner.as_ref().to_owned()
    }

    fn version(&self) -> u64 {
        self.hold.changes
    }

    fn indexed(&self) -> Option<i64> {
        self.hold.deadline().map(Timestamp::as_micros)
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([
            self.owner.as_ref().into(),
            self.version().into(),
            self.hold_id.into(),
            state_code(&self.hold.state).into(),
            self.hold.deadline().into(),
            self.held_at.into(),
            encode(&self.hold).into(),
        ]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let owner: Arc<str> = row.text(0)?.into();
        let columns = Columns { version: 1, state: 3, deadline: 4, document: 6 };
        let hold = decode(row, columns, Owner::Outside(Arc::clone(&owner)))?;
        let hold_id = row.id(2, OrderId::try_from_slice)?;
        Ok(Self { owner, hold_id, hold, held_at: row.timestamp(5)? })
    }
}

/// The orders whose deadline is not after now, earliest first, at most `limit`.
pub(crate) async fn due_orders(tx: &mut Tx, limit: usize) -> Result<Vec<i64>, StoreError> {
    let select = "SELECT number\n\
                  FROM stock_holds\n\
                  WHERE deadline IS NOT NULL\n\
                  AND deadline <= $1\n\
                  ORDER BY deadline, number\n\
                  LIMIT $2";
    tx.query(select, &[tx.now().into(), limit.into()], |row| row.int(0)).await
}

/// The first deadline of an order's hold after now.
pub(crate) async fn next_order(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    let select = "SELECT MIN(deadline)\n\
                  FROM stock_holds\n\
                  WHERE deadline IS NOT NULL\n\
                  AND deadline > $1";
    let found = tx.query(select, &[tx.now().into()], |row| row.opt_timestamp(0)).await?;
    Ok(found.into_iter().flatten().next())
}

/// The owners outside whose deadline is not after now, earliest first, at most `limit`.
pub(crate) async fn due_owners(tx: &mut Tx, limit: usize) -> Result<Vec<String>, StoreError> {
    let select = "SELECT owner\n\
                  FROM stock_reservations\n\
                  WHERE deadline IS NOT NULL\n\
                  AND deadline <= $1\n\
                  ORDER BY deadline, owner\n\
                  LIMIT $2";
    tx.query(select, &[tx.now().into(), limit.into()], |row| Ok(row.text(0)?.to_owned())).await
}

/// The first deadline of an owner outside after now.
pub(crate) async fn next_owner(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    let select = "SELECT MIN(deadline)\n\
                  FROM stock_reservations\n\
                  WHERE deadline IS NOT NULL\n\
                  AND deadline > $1";
    let found = tx.query(select, &[tx.now().into()], |row| row.opt_timestamp(0)).await?;
    Ok(found.into_iter().flatten().next())
}

/// A page of all holds of orders by number, behind `after`.
pub(crate) async fn holds_after(
    rx: &mut Rx,
    after: i64,
    limit: usize,
) -> Result<Vec<HoldRow>, StoreError> {
    let select = "SELECT number, version, order_id, state, deadline, events, held_at, doc\n\
                  FROM stock_holds\n\
                  WHERE number > $1\n\
                  ORDER BY number\n\
                  LIMIT $2";
    rx.query(select, &[after.into(), limit.into()], HoldRow::read).await
}

/// A page of all holds of owners outside by name, behind `after`.
pub(crate) async fn reservations_after(
    rx: &mut Rx,
    after: &str,
    limit: usize,
) -> Result<Vec<ReservationRow>, StoreError> {
    let select = "SELECT owner, version, hold_id, state, deadline, held_at, doc\n\
                  FROM stock_reservations\n\
                  WHERE owner > $1\n\
                  ORDER BY owner\n\
                  LIMIT $2";
    rx.query(select, &[after.into(), limit.into()], ReservationRow::read).await
}

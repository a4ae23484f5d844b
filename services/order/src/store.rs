//! Orders and their trailing index in SQL.

mod doc;
pub mod index;
mod state;
mod timeline;

use std::sync::Arc;

use ::store::{Record, Row, Rx, Schema, StoreError, Table, Value};
use contracts::{Currency, CustomerId, Money, OrderId, OrderNumber, Timestamp};

use crate::domain::{Order, Placed, RequestKey, Status};

/// The tables of this service.
pub const SCHEMA: Schema = Schema {
    service: "order",
    migrations: &[
        ("0001_orders", include_str!("../migrations/0001_orders.sql")),
        ("0002_look_at", include_str!("../migrations/0002_look_at.sql")),
    ],
};

/// Orders that stay in memory behind their COMMIT: several times what is unfinished at full load, which
/// between processes is some 20,000 (1 kB each). Settled ones go before.
const CACHE_MAX: usize = 65_536;

macro_rules! columns {
    ($($name:literal),*) => {
        const COLUMNS: &[&str] = &[$($name),*];
        const SELECT_ONE: &str = concat!(
            "SELECT ", columns!(@list $($name),*), " FROM orders WHERE number = $1"
        );
        const SCAN: &str = concat!(
            "SELECT ", columns!(@list $($name),*),
            " FROM orders WHERE number > $1 ORDER BY number LIMIT $2"
        );
    };
    (@list $first:literal $(, $name:literal)*) => { concat!($first $(, ", ", $name)*) };
}

columns! {
    "number", "version", "id", "status", "attention", "customer_id", "placed_at", "deadline",
    "request_key", "request_hash", "total_minor", "currency", "doc", "look_at"
}

impl Record for Order {
    type Key = OrderNumber;
    const TABLE: Table = Table { name: "orders", columns: COLUMNS };
    const CACHE_MAX: usize = CACHE_MAX;
    const INDEXED: Option<&'static str> = Some("look_at");
    const INDEXED_IS_BOUND: bool = true;

    fn key(&self) -> OrderNumber {
        self.placed.number
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn indexed(&self) -> Option<i64> {
        self.deadline.map(Timestamp::as_micros)
    }

    fn broken_rule(&self) -> Option<&'static str> {
        (self.total().minor() < 0).then_some("orders_total")
    }

    fn is_settled(&self) -> bool {
        self.status().is_settled()
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        let placed = &self.placed;
        let total = self.total();
        let request = placed.request.as_ref();
        row.push(placed.number.into());
        row.push(self.version.into());
        row.push(placed.id.into());
        row.push(self.status().code().into());
        row.push(self.attention.is_some().into());
        row.push((&placed.customer_id).into());
        row.push(placed.at.into());
        row.push(self.deadline.into());
        row.push(request.map(|request| &*request.key).into());
        row.push(request.map(|request| request.fingerprint).into());
        row.push(total.minor().into());
        row.push(Value::OwnedText(total.currency().to_string()));
        row.push(doc::encode(self).into());
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let StoredOrder { order, status, attention, total, .. } = StoredOrder::read(row)?;
        order.check().map_err(|why| row.damaged(12, &why.to_string()))?;
        if status != Some(order.status()) || attention != order.attention.is_some() {
            return Err(row.damaged(3, "it is not what the document says"));
        }
        if total != order.total() {
            return Err(row.damaged(10, "it is not what the lines make"));
        }
        Ok(order)
    }
}

/// An order as its document has it, beside what the columns say.
pub struct StoredOrder {
    /// The order.
    pub order: Order,
    /// The column `status`; `None` if there is no such code.
    pub status: Option<Status>,
    /// The column `attention`.
    pub attention: bool,
    /// The columns `total_minor` and `currency`.
    pub total: Money,
    /// The column `look_at`.
    pub look_at: Option<Timestamp>,
}

impl StoredOrder {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let currency = row.parsed(11, Currency::try_new)?;
        let doc = doc::decode(row.blob(12)?, row.timestamp(6)?, currency)
            .map_err(|why| row.damaged(12, &why))?;
        let placed = Placed {
            id: row.id(2, OrderId::try_from_slice)?,
            number: OrderNumber::new(row.count(0)?),
            at: row.timestamp(6)?,
            customer_id: row.parsed(5, CustomerId::try_new)?,
            lines: doc.lines,
            payment: doc.payment,
            channel: doc.channel,
            policy: doc.policy,
            request: request(row)?,
        };
        let order = Order {
            placed: Arc::new(placed),
            state: doc.state,
            balances: doc.balances,
            ledger: doc.ledger,
            hold_lapsed: doc.hold_lapsed,
            attention: doc.attention,
            shipments: doc.shipments,
            confirmed_at: doc.confirmed_at,
            deadline: row.opt_timestamp(7)?,
            version: row.count(1)?,
            events_said: doc.events_said,
            history: doc.history,
        };
        let status = Status::from_code(row.int(3)?);
        let total = Money::new(row.int(10)?, currency);
        let (attention, look_at) = (row.int(4)? != 0, row.opt_timestamp(13)?);
        Ok(Self { order, status, attention, total, look_at })
    }
}

fn request(row: &Row<'_>) -> Result<Option<RequestKey>, StoreError> {
    let (Some(key), Some(hash)) = (row.opt_text(8)?, row.opt_blob(9)?) else { return Ok(None) };
    let fingerprint = hash.try_into().map_err(|_short| row.damaged(9, "it is not 16 bytes"))?;
    Ok(Some(RequestKey { key: key.into(), fingerprint }))
}

/// The order `number`, if there is one.
pub async fn find(rx: &mut Rx, number: OrderNumber) -> Result<Option<Order>, StoreError> {
    Ok(rx.query(SELECT_ONE, &[number.into()], Order::read).await?.pop())
}

/// Orders with a number above `after`, ascending, at most `limit`. What is in a row that nobody of
/// ours wrote is told for each row: the auditor names them all.
pub async fn scan(
    rx: &mut Rx,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, Result<StoredOrder, StoreError>)>, StoreError> {
    rx.query(SCAN, &[after.into(), limit.into()], |row| Ok((row.int(0)?, StoredOrder::read(row))))
        .await
}

/// Number, status and attention of the orders behind `after`, ascending, at most `limit`.
pub async fn statuses(
    rx: &mut Rx,
    after: OrderNumber,
    limit: u32,
) -> Result<Vec<(OrderNumber, Status, bool)>, StoreError> {
    let sql = "SELECT number, status, attention FROM orders \
               WHERE number > $1 ORDER BY number LIMIT $2";
    rx.query(sql, &[after.into(), limit.into()], |row| {
        let status = Status::from_code(row.int(1)?);
        let status = status.ok_or_else(|| row.damaged(1, "there is no such status"))?;
        Ok((OrderNumber::new(row.count(0)?), status, row.int(2)? != 0))
    })
    .await
}

/// The numbers between `low` and `high`, both included; in either direction, at most `limit`.
pub async fn numbers(
    rx: &mut Rx,
    (low, high): (i64, i64),
    newest_first: bool,
    limit: u32,
) -> Result<Vec<i64>, StoreError> {
    let sql = if newest_first {
        "SELECT number FROM orders WHERE number BETWEEN $1 AND $2 ORDER BY number DESC LIMIT $3"
    } else {
        "SELECT number FROM orders WHERE number BETWEEN $1 AND $2 ORDER BY number LIMIT $3"
    };
    rx.query(sql, &[low.into(), high.into(), limit.into()], |row| row.int(0)).await
}

/// The largest number given so far; 0 if there is none.
pub async fn last_number(rx: &mut Rx) -> Result<i64, StoreError> {
    let sql = "SELECT COALESCE(MAX(number), 0) FROM orders";
    Ok(rx.query(sql, &[], |row| row.int(0)).await?.pop().unwrap_or(0))
}

/// The first number that was placed at `at` or later, or one after the last.
///
/// Orders are numbered in the sequence of their placement, so halving finds it.
pub async fn first_placed_from(rx: &mut Rx, at: Timestamp) -> Result<i64, StoreError> {
    let sql = "SELECT placed_at FROM orders WHERE number >= $1 ORDER BY number LIMIT 1";
    let (mut low, mut high) = (1, last_number(rx).await?.saturating_add(1));
    while low < high {
        let middle = low.midpoint(high);
        let placed = rx.query(sql, &[middle.into()], |row| row.timestamp(0)).await?.pop();
        if placed.is_none_or(|placed| placed >= at) {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    Ok(low)
}

/// Orders whose deadline may be at `now` or before, the longest overdue first.
pub async fn due(rx: &mut Rx, now: Timestamp, limit: u32) -> Result<Vec<OrderNumber>, StoreError> {
    let sql = "SELECT number FROM orders WHERE look_at IS NOT NULL AND look_at <= $1 \
               ORDER BY look_at LIMIT $2";
    rx.query(sql, &[now.into(), limit.into()], |row| row.count(0).map(OrderNumber::new)).await
}

/// How many orders have a deadline before `now`.
pub async fn count_overdue(rx: &mut Rx, now: Timestamp) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM orders WHERE look_at IS NOT NULL AND look_at < $1 \
               AND deadline < $1";
    Ok(rx.query(sql, &[now.into()], |row| row.count(0)).await?.pop().unwrap_or(0))
}

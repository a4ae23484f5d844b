//! Rows of several services, a page of orders at a time.

use std::collections::HashMap;

use contracts::OrderNumber;
use inventory::store::HoldRow;
use order::domain::Order;
use store::{Record, Row, Rx, StoreError};

/// Orders read at a time: a few megabytes.
const ORDERS: u32 = 2_000;

/// What the payments table says of one order's money.
#[derive(Debug, Clone)]
pub(super) struct Money {
    pub(super) state: String,
    pub(super) authorized: i64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
    /// An operation is under way.
    pub(super) is_open: bool,
}

impl Money {
    /// What is kept of what was taken.
    pub(super) const fn kept(&self) -> i64 {
        self.captured.saturating_sub(self.refunded)
    }
}

/// Some orders, with what is kept and paid for them.
pub(super) struct Page {
    /// The numbers of the orders, also of those whose rows cannot be read.
    pub(super) numbers: Vec<u64>,
    pub(super) orders: Vec<Order>,
    pub(super) holds: HashMap<u64, HoldRow>,
    pub(super) payments: HashMap<u64, Money>,
    /// The last number looked at; `None` at the end.
    pub(super) last: Option<i64>,
}

/// The orders behind number `after`.
///
/// Rows that cannot be read are left out: their own service's audit names them.
pub(super) async fn read(rx: &mut Rx, after: i64) -> Result<Page, StoreError> {
    let select = format!(
        "SELECT {} FROM orders WHERE number > $1 ORDER BY number LIMIT $2",
        Order::TABLE.columns.join(", ")
    );
    let read = |row: &Row<'_>| Ok((row.int(0)?, Order::read(row).ok()));
    let rows = rx.query(&select, &[after.into(), ORDERS.into()], read).await?;
    let last = rows.last().map(|(number, _)| *number);
    let range = (after, last.unwrap_or(after));
    let numbers = rows.iter().filter_map(|(number, _)| u64::try_from(*number).ok()).collect();
    Ok(Page {
        numbers,
        orders: rows.into_iter().filter_map(|(_, order)| order).collect(),
        holds: holds(rx, range).await?,
        payments: payments(rx, range).await?,
        last,
    })
}

async fn holds(rx: &mut Rx, range: (i64, i64)) -> Result<HashMap<u64, HoldRow>, StoreError> {
    let select = format!(
        "SELECT {} FROM stock_holds WHERE number > $1 AND number <= $2",
        HoldRow::TABLE.columns.join(", ")
    );
    let read = |row: &Row<'_>| Ok((row.count(0)?, HoldRow::read(row).ok()));
    let rows = rx.query(&select, &[range.0.into(), range.1.into()], read).await?;
    Ok(rows.into_iter().filter_map(|(number, hold)| Some((number, hold?))).collect())
}

async fn payments(rx: &mut Rx, range: (i64, i64)) -> Result<HashMap<u64, Money>, StoreError> {
    let select = "SELECT number, state, authorized_minor, captured_minor, refunded_minor, due \
                  FROM payments WHERE number > $1 AND number <= $2";
    let read = |row: &Row<'_>| {
        let money = Money {
            state: row.text(1)?.to_owned(),
            authorized: row.int(2)?,
            captured: row.int(3)?,
            refunded: row.int(4)?,
            is_open: row.opt_int(5)?.is_some(),
        };
        Ok((row.count(0)?, money))
    };
    let rows = rx.query(select, &[range.0.into(), range.1.into()], read).await?;
    Ok(rows.into_iter().collect())
}

/// The number of `order`, as holds and payments are found by.
pub(super) fn number(order: &Order) -> u64 {
    OrderNumber::get(order.placed.number)
}

//! The trailing index in SQL. Who reads it gets candidates, and checks them against the orders.

use ::store::{Rx, StoreError, Tx, Value};

use crate::domain::Status;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Orders of a customer.
    Customer,
    /// Orders with a SKU on a line.
    Sku,
    /// Orders in a class of states: see [`class`].
    Class,
    /// The order of a request key.
    Key,
    /// Orders that a person has to look at.
    Attention,
}

impl Kind {
    const fn code(self) -> i64 {
        match self {
            Self::Customer => 1,
            Self::Sku => 2,
            Self::Class => 3,
            Self::Key => 4,
            Self::Attention => 5,
        }
    }
}

/// The class of a status. An order says an event whenever its class changes, so that what the index
/// lacks can be found in the log. From `reserved` to `paying` it says nothing: they are one class.
pub const fn class(status: Status) -> u8 {
    match status {
        Status::Placed => 1,
        Status::AwaitingDecision => 2,
        Status::Reserved | Status::Paying => 3,
        Status::Confirmed => 5,
        Status::Fulfilling => 6,
        Status::Completed => 7,
        Status::OnHold => 8,
        Status::Cancelling => 9,
        Status::Rejected => 10,
        Status::Cancelled => 11,
        Status::Expired => 12,
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// What it is about.
    pub kind: Kind,
    /// Which customer, SKU, class or key.
    pub value: Vec<u8>,
    /// The order.
    pub number: i64,
}

impl Entry {
    fn values(&self) -> Vec<Value<'_>> {
        vec![self.kind.code().into(), self.value.as_slice().into(), self.number.into()]
    }
}

/// Adds `entries`, none of which is there. At most a few thousand, sorted by the caller: neighbours
/// share pages.
pub async fn insert(tx: &mut Tx, entries: &[Entry]) -> Result<(), StoreError> {
    let sql = "INSERT INTO order_index (kind, value, number) VALUES ($1, $2, $3)";
    let rows: Vec<_> = entries.iter().map(Entry::values).collect();
    match tx.bulk(sql, &rows).await? {
        added if added == u64::try_from(rows.len()).unwrap_or(0) => Ok(()),
        _ => Err(StoreError::Stale { table: "order_index", key: "a chunk".to_owned() }),
    }
}

/// Adds those of `entries` that are not there yet.
pub async fn insert_missing(tx: &mut Tx, entries: &[Entry]) -> Result<(), StoreError> {
    let sql = "INSERT INTO order_index (kind, value, number) SELECT $1, $2, $3 \
               WHERE NOT EXISTS (SELECT 1 FROM order_index \
               WHERE kind = $1 AND value = $2 AND number = $3)";
    let rows: Vec<_> = entries.iter().map(Entry::values).collect();
    // Fewer rows than entries: the rest was there, from a flush that did not reach its end.
    tx.bulk(sql, &rows).await.map(drop)
}

/// Takes away `entries`; those that are not there are not missed.
pub async fn remove(tx: &mut Tx, entries: &[Entry]) -> Result<(), StoreError> {
    let sql = "DELETE FROM order_index WHERE kind = $1 AND value = $2 AND number = $3";
    let rows: Vec<_> = entries.iter().map(Entry::values).collect();
    tx.bulk(sql, &rows).await.map(drop)
}

/// Records that all that happened up to `segment` of the log is in the index.
pub async fn set_position(tx: &mut Tx, segment: u64) -> Result<(), StoreError> {
    let sql = "UPDATE order_index_position SET segment = $1 WHERE id = 1";
    match tx.execute(sql, &[segment.into()]).await? {
        1 => Ok(()),
        _ => Err(StoreError::Stale { table: "order_index_position", key: "1".to_owned() }),
    }
}

/// How far the index has got.
pub async fn position(rx: &mut Rx) -> Result<u64, StoreError> {
    let sql = "SELECT segment FROM order_index_position WHERE id = 1";
    Ok(rx.query(sql, &[], |row| row.count(0)).await?.pop().unwrap_or(0))
}

/// Orders of (`kind`, `value`) between `low` and `high`, both included, at most `limit`.
pub async fn numbers(
    rx: &mut Rx,
    (kind, value): (Kind, &[u8]),
    (low, high): (i64, i64),
    newest_first: bool,
    limit: u32,
) -> Result<Vec<i64>, StoreError> {
    let sql = if newest_first {
        "SELECT number FROM order_index WHERE kind = $1 AND value = $2 \
         AND number BETWEEN $3 AND $4 ORDER BY number DESC LIMIT $5"
    } else {
        "SELECT number FROM order_index WHERE kind = $1 AND value = $2 \
         AND number BETWEEN $3 AND $4 ORDER BY number LIMIT $5"
    };
    let values = [kind.code().into(), value.into(), low.into(), high.into(), limit.into()];
    rx.query(sql, &values, |row| row.int(0)).await
}

/// Orders whose value of `kind` begins with `prefix`, in no useful sequence, at most `limit`.
pub async fn with_prefix(
    rx: &mut Rx,
    kind: Kind,
    prefix: &[u8],
    limit: u32,
) -> Result<Vec<i64>, StoreError> {
    // No UTF-8 text holds the byte 255: every value with the prefix is below.
    let mut end = prefix.to_vec();
    end.push(u8::MAX);
    let sql = "SELECT number FROM order_index WHERE kind = $1 AND value >= $2 AND value < $3 \
               LIMIT $4";
    let values = [kind.code().into(), prefix.into(), end.into(), limit.into()];
    rx.query(sql, &values, |row| row.int(0)).await
}

/// The orders of a request key's hash: one at most, but for two keys of one hash.
pub async fn by_key(tx: &mut Tx, hash: &[u8; 16]) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT number FROM order_index WHERE kind = $1 AND value = $2";
    let values = [Kind::Key.code().into(), hash.as_slice().into()];
    tx.look_up(sql, &values, |row| row.int(0)).await
}

/// Request keys' hashes behind `after`, ascending, at most `limit`.
pub async fn keys(rx: &mut Rx, after: &[u8; 16], limit: u32) -> Result<Vec<[u8; 16]>, StoreError> {
    let sql = "SELECT value FROM order_index WHERE kind = $1 AND value > $2 \
               ORDER BY value LIMIT $3";
    let values = [Kind::Key.code().into(), after.as_slice().into(), limit.into()];
    rx.query(sql, &values, |row| {
        row.blob(0)?.try_into().map_err(|_short| row.damaged(0, "it is not 16 bytes"))
    })
    .await
}

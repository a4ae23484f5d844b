//! The outbox, which in one process is the log itself: one row per COMMIT, in commit order.

use std::sync::Arc;

use contracts::{Event, Position, Timestamp, events::DecodeError, segment};
use rusqlite::Connection;

use crate::error::StoreError;
use crate::reader::Rx;
use crate::sqlite;
use crate::tx::Tx;
use crate::value::Value;

const READ: &str = "SELECT segment, body FROM outbox WHERE segment >= $1 \
    ORDER BY segment LIMIT $2";

/// The body of a segment.
pub(crate) fn encode(events: &[Arc<Event>]) -> Result<Vec<u8>, StoreError> {
    let body = segment::encode(events.iter().map(AsRef::as_ref));
    Ok(body.map_err(|cause| DecodeError::Malformed { event: "segment", cause })?)
}

/// Appends a segment of so many events.
pub(crate) fn append(
    connection: &Connection,
    number: u64,
    now: Timestamp,
    (events, body): (usize, Vec<u8>),
) -> Result<(), StoreError> {
    let insert = "INSERT INTO outbox (segment, created_at, events, body) VALUES ($1, $2, $3, $4)";
    let values = [number.into(), now.into(), events.into(), Value::OwnedBlob(body)];
    sqlite::execute(connection, insert, &values).map(drop)
}

pub(crate) fn last_segment(connection: &Connection) -> Result<u64, StoreError> {
    let last = "SELECT COALESCE(MAX(segment), 0) FROM outbox";
    Ok(sqlite::query_one(connection, last, &[], |row| row.count(0))?.unwrap_or(0))
}

fn decoded(rows: Vec<(u64, Vec<u8>)>) -> Result<Vec<Arc<Event>>, StoreError> {
    let mut events = Vec::new();
    for (number, body) in rows {
        events.extend(segment::decode(number, &body)?.into_iter().map(Arc::new));
    }
    Ok(events)
}

/// Committed events from `from` on, at most `segments_max` segments of them.
pub async fn read(
    rx: &mut Rx,
    from: Position,
    segments_max: u32,
) -> Result<Vec<Arc<Event>>, StoreError> {
    let values = [from.segment.into(), segments_max.into()];
    let rows = rx.query(READ, &values, |row| Ok((row.count(0)?, row.blob(1)?.to_vec()))).await?;
    let mut events = decoded(rows)?;
    events.retain(|event| event.id.position() >= from);
    Ok(events)
}

/// The same inside a transaction: what earlier transactions committed.
pub fn read_committed(
    tx: &Tx,
    from: Position,
    segments_max: u32,
) -> Result<Vec<Arc<Event>>, StoreError> {
    let values = [from.segment.into(), segments_max.into()];
    let read = |row: &crate::value::Row<'_>| Ok((row.count(0)?, row.blob(1)?.to_vec()));
    let mut events = decoded(sqlite::query(tx.connection(), READ, &values, read)?)?;
    events.retain(|event| event.id.position() >= from);
    Ok(events)
}

/// Where `consumer` goes on: everything before is handled.
pub fn position(tx: &Tx, consumer: &str) -> Result<Option<Position>, StoreError> {
    let select = "SELECT segment, place FROM inbox WHERE consumer = $1";
    sqlite::query_one(tx.connection(), select, &[consumer.into()], |row| {
        let index =
            u32::try_from(row.int(1)?).ok().ok_or_else(|| row.damaged(1, "out of range"))?;
        Ok(Position { segment: row.count(0)?, index })
    })
}

/// Records that `consumer` has handled everything before `position`.
pub fn set_position(tx: &mut Tx, consumer: &str, position: Position) -> Result<(), StoreError> {
    let update = "UPDATE inbox SET segment = $2, place = $3 WHERE consumer = $1";
    let values = [consumer.into(), position.segment.into(), position.index.into()];
    if sqlite::execute(tx.connection(), update, &values)? == 1 {
        return Ok(());
    }
    let insert = "INSERT INTO inbox (consumer, segment, place) VALUES ($1, $2, $3)";
    sqlite::execute(tx.connection(), insert, &values).map(drop)
}

//! The outbox, which in one process is the log itself: one row per COMMIT, in commit order.

use std::sync::Arc;

use contracts::{Event, Position, Timestamp, events::DecodeError, segment};

use crate::engine::Engine;
use crate::error::StoreError;
use crate::reader::Rx;
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
    engine: &Engine,
    number: u64,
    now: Timestamp,
    (events, body): (usize, Vec<u8>),
) -> Result<(), StoreError> {
    let insert = "INSERT INTO outbox (segment, created_at, events, body) VALUES ($1, $2, $3, $4)";
    let values = [number.into(), now.into(), events.into(), Value::OwnedBlob(body)];
    engine.execute(insert, &values).map(drop)
}

/// The last segment and its time; the beginning of time if there is none.
pub(crate) fn last(engine: &Engine) -> Result<(u64, Timestamp), StoreError> {
    let last = "SELECT segment, created_at FROM outbox ORDER BY segment DESC LIMIT 1";
    let found = engine.query_one(last, &[], |row| Ok((row.count(0)?, row.timestamp(1)?)))?;
    Ok(found.unwrap_or_default())
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
    let mut events = decoded(tx.engine().query(READ, &values, read)?)?;
    events.retain(|event| event.id.position() >= from);
    Ok(events)
}

/// Where `consumer` goes on: everything before is handled.
pub fn position(tx: &Tx, consumer: &str) -> Result<Option<Position>, StoreError> {
    let select = "SELECT segment, place FROM inbox WHERE consumer = $1";
    tx.engine().query_one(select, &[consumer.into()], |row| {
        let index =
            u32::try_from(row.int(1)?).ok().ok_or_else(|| row.damaged(1, "out of range"))?;
        Ok(Position { segment: row.count(0)?, index })
    })
}

/// Records that `consumer` has handled everything before `position`.
pub fn set_position(tx: &mut Tx, consumer: &str, position: Position) -> Result<(), StoreError> {
    let update = "UPDATE inbox SET segment = $2, place = $3 WHERE consumer = $1";
    let values = [consumer.into(), position.segment.into(), position.index.into()];
    if tx.engine().execute(update, &values)? == 1 {
        return Ok(());
    }
    let insert = "INSERT INTO inbox (consumer, segment, place) VALUES ($1, $2, $3)";
    tx.engine().execute(insert, &values).map(drop)
}

//! Events that a consumer could not handle, kept with those behind them of the same key.

use std::sync::Arc;

use contracts::{Event, Position, Timestamp, events::DecodeError, segment};

use crate::error::StoreError;
use crate::reader::Rx;
use crate::tx::Tx;
use crate::value::{Row, Value};

/// What happens to a parked event next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedState {
    /// Tried again when due.
    Retrying,
    /// Waits for a person: the dead letter.
    Parked,
    /// Waits behind an earlier event of its key.
    Waiting,
}

impl ParkedState {
    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retrying => "retrying",
            Self::Parked => "parked",
            Self::Waiting => "waiting",
        }
    }

    fn read(row: &Row<'_>, column: usize) -> Result<Self, StoreError> {
        match row.text(column)? {
            "retrying" => Ok(Self::Retrying),
            "parked" => Ok(Self::Parked),
            "waiting" => Ok(Self::Waiting),
            _ => Err(row.damaged(column, "no such state")),
        }
    }
}

/// An event that is not handled yet.
#[derive(Debug, Clone)]
pub struct Parked {
    /// Who could not handle it.
    pub consumer: String,
    /// Where it stands among the parked events of its key.
    pub position: Position,
    /// The aggregate's id: events of one key keep their order.
    pub key: String,
    /// What happens next.
    pub state: ParkedState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again.
    pub due_at: Option<Timestamp>,
    /// The last error.
    pub cause: String,
    /// Since when it stands here.
    pub parked_at: Timestamp,
    /// The event.
    pub event: Arc<Event>,
}

const COLUMNS: &str = "consumer, segment, place, event_key, state, attempts, due_at, cause, \
    parked_at, body";

fn read(row: &Row<'_>) -> Result<Parked, StoreError> {
    let small = |column| {
        u32::try_from(row.int(column)?).ok().ok_or_else(|| row.damaged(column, "out of range"))
    };
    let event = segment::decode(row.count(1)?, row.blob(9)?)?.pop();
    Ok(Parked {
        consumer: row.text(0)?.to_owned(),
        position: Position { segment: row.count(1)?, index: small(2)? },
        key: row.text(3)?.to_owned(),
        state: ParkedState::read(row, 4)?,
        attempts: small(5)?,
        due_at: row.opt_timestamp(6)?,
        cause: row.text(7)?.to_owned(),
        parked_at: row.timestamp(8)?,
        event: Arc::new(event.ok_or_else(|| row.damaged(9, "it holds no event"))?),
    })
}

/// Keeps `event` for later, in its place among those of its key: where a consumer hears several
/// logs, that is its own count of arrivals, not a position of one of them.
pub fn add_at(
    tx: &mut Tx,
    consumer: &str,
    place: Position,
    event: &Event,
    state: ParkedState,
    (attempts, due_at, cause): (u32, Option<Timestamp>, &str),
) -> Result<(), StoreError> {
    let body = segment::encode(std::iter::once(event))
        .map_err(|cause| DecodeError::Malformed { event: "parked event", cause })?;
    let insert = format!(
        "INSERT INTO parked_events ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    );
    let key = event.key().to_string();
    let values = [
        consumer.into(),
        place.segment.into(),
        place.index.into(),
        (&key).into(),
        state.as_str().into(),
        attempts.into(),
        due_at.into(),
        cause.into(),
        tx.now().into(),
        Value::OwnedBlob(body),
    ];
    tx.engine().execute(&insert, &values).map(drop)
}

/// The keys that have parked events.
pub fn keys(tx: &Tx, consumer: &str) -> Result<Vec<String>, StoreError> {
    let select = "SELECT DISTINCT event_key FROM parked_events WHERE consumer = $1";
    tx.engine().query(select, &[consumer.into()], |row| Ok(row.text(0)?.to_owned()))
}

/// The events of `key`, in the order in which they must be handled.
pub fn of_key(tx: &Tx, consumer: &str, key: &str) -> Result<Vec<Parked>, StoreError> {
    let select = format!(
        "SELECT {COLUMNS} FROM parked_events WHERE consumer = $1 AND event_key = $2 \
         ORDER BY segment, place"
    );
    tx.engine().query(&select, &[consumer.into(), key.into()], read)
}

/// The place behind every parked event.
pub fn next_place(tx: &Tx, consumer: &str) -> Result<Position, StoreError> {
    let select = "SELECT COALESCE(MAX(segment), 0) FROM parked_events WHERE consumer = $1";
    let last = tx.engine().query_one(select, &[consumer.into()], |row| row.count(0))?;
    Ok(Position::start_of(last.unwrap_or(0).saturating_add(1)))
}

/// The earliest moment at which an event is to be tried again.
pub fn next_due(tx: &Tx, consumer: &str) -> Result<Option<Timestamp>, StoreError> {
    let select = "SELECT MIN(due_at) FROM parked_events WHERE consumer = $1";
    let found = tx.engine().query_one(select, &[consumer.into()], |row| row.opt_timestamp(0))?;
    Ok(found.flatten())
}

/// The events to be tried again now.
pub fn due(tx: &Tx, consumer: &str, now: Timestamp) -> Result<Vec<Parked>, StoreError> {
    let select = format!(
        "SELECT {COLUMNS} FROM parked_events WHERE consumer = $1 AND due_at <= $2 \
         ORDER BY segment, place LIMIT 256"
    );
    tx.engine().query(&select, &[consumer.into(), now.into()], read)
}

/// The event is handled, or discarded.
pub fn remove(tx: &mut Tx, parked: &Parked) -> Result<(), StoreError> {
    let delete = "DELETE FROM parked_events WHERE consumer = $1 AND segment = $2 AND place = $3";
    let values =
        [(&parked.consumer).into(), parked.position.segment.into(), parked.position.index.into()];
    tx.engine().execute(delete, &values).map(drop)
}

/// Writes what happens to the event next.
pub fn update(tx: &mut Tx, parked: &Parked) -> Result<(), StoreError> {
    let update = "UPDATE parked_events SET state = $4, attempts = $5, due_at = $6, cause = $7 \
                  WHERE consumer = $1 AND segment = $2 AND place = $3";
    let values = [
        (&parked.consumer).into(),
        parked.position.segment.into(),
        parked.position.index.into(),
        parked.state.as_str().into(),
        parked.attempts.into(),
        parked.due_at.into(),
        (&parked.cause).into(),
    ];
    tx.engine().execute(update, &values).map(drop)
}

/// Parked events for people and audits, oldest first, at most `limit`.
pub async fn list(rx: &mut Rx, limit: u32) -> Result<Vec<Parked>, StoreError> {
    let select =
        format!("SELECT {COLUMNS} FROM parked_events ORDER BY segment, place, consumer LIMIT $1");
    rx.query(&select, &[limit.into()], read).await
}

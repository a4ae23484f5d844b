//! Where consumers and the relay stand, in the store whose effects they are.

use std::collections::HashMap;

use contracts::Position;
use store::{Row, StoreError, Tx, Value};

/// The name of the relay's row in the inbox: the first event that it has not published.
pub const RELAY: &str = "kafka-relay";

/// A partition, and what a consumer has handled of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The offset of the first record that is not handled, as the store has it.
    pub(crate) stored: i64,
    /// The same, in the transaction that is being prepared.
    pub(crate) next: i64,
    /// The last event of each stream.
    pub(crate) marks: HashMap<u16, Mark>,
    /// The marks no longer say what came before: a record of ours could not be read at all.
    pub(crate) forgets: bool,
}

/// The last event of a stream that was handled in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) position: Position,
    /// The store does not have it yet.
    pub(crate) is_new: bool,
}

/// A step of a consumer in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) topic: &'static str,
    pub(crate) partition: i32,
    from: i64,
    to: i64,
    marks: Vec<(u16, Position)>,
    forgets: bool,
}

impl Place {
    /// The step from what is stored to what is prepared; `None` if that is the same.
    pub(crate) fn step(&self, topic: &'static str, partition: i32) -> Option<Move> {
        let fresh = self.marks.iter().filter(|(_, mark)| mark.is_new);
        let marks: Vec<_> = fresh.map(|(stream, mark)| (*stream, mark.position)).collect();
        let (from, to, forgets) = (self.stored, self.next, self.forgets);
        let moves = from != to || !marks.is_empty() || forgets;
        moves.then_some(Move { topic, partition, from, to, marks, forgets })
    }

    /// What was prepared is committed.
    pub(crate) fn committed(&mut self) {
        self.stored = self.next;
        self.forgets = false;
        for mark in self.marks.values_mut() {
            mark.is_new = false;
        }
    }
}

impl Move {
    /// How many records it passes.
    pub(crate) fn length(&self) -> i64 {
        self.to.saturating_sub(self.from)
    }
}

/// Why a consumer could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MoveError {
    /// Another member of the group has handled those records.
    #[error("of {moves} partitions only {made} stand where this member left them")]
    Taken { made: u64, moves: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn position(row: &Row<'_>, first: usize) -> Result<Position, StoreError> {
    let index = u32::try_from(row.int(first.saturating_add(1))?).ok();
    let index = index.ok_or_else(|| row.damaged(first.saturating_add(1), "out of range"))?;
    Ok(Position { segment: row.count(first)?, index })
}

/// Reads where `consumer` stands in a partition; a row is made for one that it never had.
pub(crate) async fn load(
    tx: &mut Tx,
    consumer: &str,
    topic: &str,
    partition: i32,
) -> Result<Place, StoreError> {
    let key = [consumer.into(), topic.into(), i64::from(partition).into()];
    let select = "SELECT next_offset FROM bus_offsets \
                  WHERE consumer = $1 AND topic = $2 AND part = $3";
    let found = tx.look_up(select, &key, |row| row.int(0)).await?.pop();
    let Some(stored) = found else {
        let insert = "INSERT INTO bus_offsets (consumer, topic, part, next_offset) \
                      VALUES ($1, $2, $3, 0)";
        tx.execute(insert, &key).await?;
        return Ok(Place::default());
    };
    let select = "SELECT stream, segment, place FROM bus_marks \
                  WHERE consumer = $1 AND topic = $2 AND part = $3";
    let read = |row: &Row<'_>| {
        let stream = u16::try_from(row.int(0)?).ok();
        let stream = stream.ok_or_else(|| row.damaged(0, "out of range"))?;
        Ok((stream, Mark { position: position(row, 1)?, is_new: false }))
    };
    let marks = tx.look_up(select, &key, read).await?.into_iter().collect();
    Ok(Place { stored, next: stored, marks, forgets: false })
}

/// Records that `consumer` has made the steps `moves`, unless somebody else has made one of them before.
///
/// A batch is of many partitions, so each statement is over all of them: on a server the way there costs
/// more than the row.
pub(crate) async fn advance(tx: &mut Tx, consumer: &str, moves: &[Move]) -> Result<(), MoveError> {
    let key =
        |step: &Move| vec![consumer.into(), step.topic.into(), i64::from(step.partition).into()];
    let with = |step: &Move, more: &[i64]| {
        let mut row: Vec<Value<'_>> = key(step);
        row.extend(more.iter().map(|number| Value::from(*number)));
        row
    };
    let steps: Vec<_> = moves.iter().map(|step| with(step, &[step.from, step.to])).collect();
    let update = "UPDATE bus_offsets SET next_offset = $5 \
                  WHERE consumer = $1 AND topic = $2 AND part = $3 AND next_offset = $4";
    let made = bulk(tx, update, &steps).await?;
    if made != u64::try_from(moves.len()).unwrap_or(u64::MAX) {
        return Err(MoveError::Taken { made, moves: moves.len() });
    }
    let forgotten: Vec<_> = moves.iter().filter(|step| step.forgets).map(key).collect();
    let delete = "DELETE FROM bus_marks WHERE consumer = $1 AND topic = $2 AND part = $3";
    bulk(tx, delete, &forgotten).await?;
    let mut marks = Vec::new();
    for step in moves {
        for (stream, position) in &step.marks {
            let segment = i64::try_from(position.segment).unwrap_or(i64::MAX);
            marks.push(with(step, &[i64::from(*stream), segment, position.index.into()]));
        }
    }
    let update = "UPDATE bus_marks SET segment = $5, place = $6 \
                  WHERE consumer = $1 AND topic = $2 AND part = $3 AND stream = $4";
    if bulk(tx, update, &marks).await? != u64::try_from(marks.len()).unwrap_or(u64::MAX) {
        let insert = "INSERT INTO bus_marks (consumer, topic, part, stream, segment, place) \
                      SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM bus_marks \
                      WHERE consumer = $1 AND topic = $2 AND part = $3 AND stream = $4)";
        bulk(tx, insert, &marks).await?;
    }
    Ok(())
}

async fn bulk(tx: &mut Tx, sql: &str, rows: &[Vec<Value<'_>>]) -> Result<u64, StoreError> {
    if rows.is_empty() { Ok(0) } else { tx.bulk(sql, rows).await }
}

/// The last event of this store's log in a partition, and the offset behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) position: Position,
    pub(crate) next_offset: i64,
}

/// Reads what the relay has published, by topic and partition.
pub(crate) async fn published(
    tx: &mut Tx,
) -> Result<HashMap<(String, i32), Published>, StoreError> {
    let select = "SELECT topic, part, next_offset, segment, place FROM bus_published";
    let read = |row: &Row<'_>| {
        let part = i32::try_from(row.int(1)?).ok();
        let part = part.ok_or_else(|| row.damaged(1, "out of range"))?;
        let published = Published { next_offset: row.int(2)?, position: position(row, 3)? };
        Ok(((row.text(0)?.to_owned(), part), published))
    };
    Ok(tx.look_up(select, &[], read).await?.into_iter().collect())
}

/// Records what was published, by topic and partition.
pub(crate) async fn set_published(
    tx: &mut Tx,
    published: &[((&'static str, i32), Published)],
) -> Result<(), StoreError> {
    let row = |((topic, partition), published): &((&'static str, i32), Published)| {
        let Published { position, next_offset } = published;
        vec![
            (*topic).into(),
            i64::from(*partition).into(),
            (*next_offset).into(),
            position.segment.into(),
            position.index.into(),
        ]
    };
    let rows: Vec<_> = published.iter().map(row).collect();
    let update = "UPDATE bus_published SET next_offset = $3, segment = $4, place = $5 \
                  WHERE topic = $1 AND part = $2";
    if bulk(tx, update, &rows).await? != u64::try_from(rows.len()).unwrap_or(u64::MAX) {
        let insert = "INSERT INTO bus_published (topic, part, next_offset, segment, place) \
                      SELECT $1, $2, $3, $4, $5 WHERE NOT EXISTS \
                      (SELECT 1 FROM bus_published WHERE topic = $1 AND part = $2)";
        bulk(tx, insert, &rows).await?;
    }
    Ok(())
}

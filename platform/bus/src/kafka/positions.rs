//! Where consumers and the relay stand, in the store whose effects they are.

use std::collections::HashMap;

use contracts::Position;
use store::{Row, StoreError, Tx};

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
    #[error("partition {partition} of {topic} has gone on without this member")]
    Taken { topic: &'static str, partition: i32 },
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

/// Records that `consumer` has made the steps `moves`, unless somebody else has made them before.
pub(crate) async fn advance(tx: &mut Tx, consumer: &str, moves: &[Move]) -> Result<(), MoveError> {
    for step in moves {
        let (topic, partition) = (step.topic, step.partition);
        let key = || [consumer.into(), topic.into(), i64::from(partition).into()];
        let [name, topic_name, part] = key();
        let update = "UPDATE bus_offsets SET next_offset = $5 \
                      WHERE consumer = $1 AND topic = $2 AND part = $3 AND next_offset = $4";
        let values = [name, topic_name, part, step.from.into(), step.to.into()];
        if tx.execute(update, &values).await? != 1 {
            return Err(MoveError::Taken { topic, partition });
        }
        if step.forgets {
            let delete = "DELETE FROM bus_marks WHERE consumer = $1 AND topic = $2 AND part = $3";
            tx.execute(delete, &key()).await?;
        }
        for (stream, position) in &step.marks {
            let [name, topic_name, part] = key();
            let stream = i64::from(*stream).into();
            let (segment, place) = (position.segment.into(), position.index.into());
            let values = [name, topic_name, part, stream, segment, place];
            let update = "UPDATE bus_marks SET segment = $5, place = $6 \
                          WHERE consumer = $1 AND topic = $2 AND part = $3 AND stream = $4";
            if tx.execute(update, &values).await? == 0 {
                let insert = "INSERT INTO bus_marks \
                              (consumer, topic, part, stream, segment, place) \
                              VALUES ($1, $2, $3, $4, $5, $6)";
                tx.execute(insert, &values).await?;
            }
        }
    }
    Ok(())
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

/// Records what was published in one partition.
pub(crate) async fn set_published(
    tx: &mut Tx,
    (topic, partition): (&str, i32),
    published: Published,
) -> Result<(), StoreError> {
    let update = "UPDATE bus_published SET next_offset = $3, segment = $4, place = $5 \
                  WHERE topic = $1 AND part = $2";
    let values = [
        topic.into(),
        i64::from(partition).into(),
        published.next_offset.into(),
        published.position.segment.into(),
        published.position.index.into(),
    ];
    if tx.execute(update, &values).await? == 0 {
        let insert = "INSERT INTO bus_published (topic, part, next_offset, segment, place) \
                      VALUES ($1, $2, $3, $4, $5)";
        tx.execute(insert, &values).await?;
    }
    Ok(())
}

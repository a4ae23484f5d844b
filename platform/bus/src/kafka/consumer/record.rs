//! A record as a consumer sees it, and what it means after what came before in its partition.

use std::sync::Arc;

use contracts::cloudevents::{self, RecordError};
use contracts::{Event, EventId, Position};
use rdkafka::Message;
use rdkafka::message::BorrowedMessage;

use super::super::headers::{Headers, PREVIOUS};
use super::super::positions::{Mark, Place};
use crate::policy::Wanted;

/// A record, read.
#[derive(Debug)]
pub(super) struct Record {
    /// The place of its topic among the consumer's.
    pub(super) topic: usize,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// Its producer's log, and where it stands in it; `None` if that cannot be read.
    origin: Option<EventId>,
    previous: Option<Position>,
    pub(super) content: Content,
}

/// What a record holds.
#[derive(Debug)]
pub(super) enum Content {
    Event(Arc<Event>),
    /// Of a kind that the consumer does not want: it is not read any further.
    Unwanted,
    /// Of a type that this version does not know.
    Unknown,
    /// No event: as it was, with the reason.
    Broken(Box<Broken>),
}

/// A record that is put aside.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) cause: String,
}

/// What a record is after those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The next one.
    Next,
    /// It was handled before.
    Again,
    /// One before it is missing.
    Early,
}

fn parse_position(text: &str) -> Option<Position> {
    let (segment, index) = text.split_once('.')?;
    Some(Position { segment: segment.parse().ok()?, index: index.parse().ok()? })
}

impl Record {
    /// Reads `message` of the consumer's topic number `topic`, as far as it is `wanted`.
    pub(super) fn read(message: &BorrowedMessage<'_>, topic: usize, wanted: &Wanted) -> Self {
        let headers = Headers::of(message);
        // A topic carries what some want and others do not: most of what is read here is only passed.
        let content = if headers.kind().is_some_and(|kind| !wanted.has(kind)) {
            Content::Unwanted
        } else {
            let value = message.payload().unwrap_or_default();
            match cloudevents::decode(|name| headers.get(name), value) {
                Ok(event) => Content::Event(Arc::new(event)),
                Err(RecordError::UnknownType(_)) => Content::Unknown,
                Err(
                    error @ (RecordError::MissingHeader(_)
                    | RecordError::BadHeader { .. }
                    | RecordError::BadValue { .. }),
                ) => Content::Broken(Box::new(Broken::new(message, &headers, &error))),
            }
        };
        Self {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            origin: headers.text("ce_id").and_then(|id| id.parse().ok()),
            previous: headers.text(PREVIOUS).and_then(parse_position),
            content,
        }
    }

    /// Moves `place` behind the record, and says what the record is.
    pub(super) fn enter(&self, place: &mut Place) -> Turn {
        place.next = self.offset.saturating_add(1);
        let Some(origin) = self.origin else {
            // What it was in its log is not known: if it was ours, the next one may not fit.
            place.forgets |= self.previous.is_some();
            if place.forgets {
                place.marks.clear();
            }
            return Turn::Next;
        };
        let (stream, position) = (origin.stream(), origin.position());
        if let Some(mark) = place.marks.get(&stream) {
            if position <= mark.position {
                return Turn::Again;
            }
            if self.previous.is_some_and(|previous| previous > mark.position) {
                return Turn::Early;
            }
        }
        place.marks.insert(stream, Mark { position, is_new: true });
        Turn::Next
    }
}

impl Broken {
    fn new(message: &BorrowedMessage<'_>, headers: &Headers<'_>, cause: &RecordError) -> Self {
        Self {
            key: message.key().unwrap_or_default().to_vec(),
            value: message.payload().unwrap_or_default().to_vec(),
            headers: headers.owned(),
            cause: cause.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Turn::{Again, Early, Next};
    use super::*;

    const STREAM: u16 = 3;

    fn at(segment: u64) -> Position {
        Position { segment, index: 0 }
    }

    fn record(offset: i64, segment: u64, previous: Option<u64>) -> Record {
        let origin = Some(EventId::new(contracts::Timestamp::default(), STREAM, at(segment)));
        let previous = previous.map(at);
        Record { topic: 0, partition: 0, offset, origin, previous, content: Content::Unknown }
    }

    fn turns(place: &mut Place, records: &[(u64, Option<u64>)]) -> Vec<Turn> {
        let next = place.next;
        let mut offset = next;
        let mut turns = Vec::new();
        for (segment, previous) in records {
            turns.push(record(offset, *segment, *previous).enter(place));
            offset += 1;
        }
        assert_eq!(place.next, offset);
        turns
    }

    #[test]
    fn what_was_handled_is_passed_over() {
        let mut place = Place::default();
        let sent = [(1, None), (2, Some(1)), (5, Some(2))];
        assert_eq!(turns(&mut place, &sent), [Next; 3]);
        assert_eq!(turns(&mut place, &sent), [Again; 3]);
        assert_eq!(turns(&mut place, &[(7, Some(5))]), [Next]);
    }

    #[test]
    fn two_relays_that_mix_their_records_lose_nothing() {
        // The old one sends 1 to 6, the new one begins at 3; what the old one sends too early by
        // the count of the new one is sent again by the new one.
        let mut place = Place::default();
        let mixed = [
            (1, None),
            (2, Some(1)),
            (5, Some(4)),
            (3, Some(2)),
            (6, Some(5)),
            (4, Some(3)),
            (5, Some(4)),
            (6, Some(5)),
        ];
        assert_eq!(turns(&mut place, &mixed), [Next, Next, Early, Next, Early, Next, Next, Next]);
    }

    #[test]
    fn a_consumer_may_begin_in_the_middle() {
        let mut place = Place::default();
        let sent = [(40, Some(39)), (41, Some(40)), (43, Some(42))];
        assert_eq!(turns(&mut place, &sent), [Next, Next, Early]);
    }

    #[test]
    fn a_record_of_ours_that_cannot_be_read_does_not_stop_its_partition() {
        let mut place = Place::default();
        assert_eq!(turns(&mut place, &[(1, None)]), [Next]);
        let unreadable = Record { origin: None, ..record(1, 2, Some(1)) };
        assert_eq!(unreadable.enter(&mut place), Next);
        assert!(place.forgets);
        assert_eq!(turns(&mut place, &[(3, Some(2))]), [Next]);
        // Somebody else's says nothing of our log.
        let mut other = Place::default();
        assert_eq!(turns(&mut other, &[(1, None)]), [Next]);
        let foreign = Record { origin: None, ..record(1, 2, None) };
        assert_eq!(foreign.enter(&mut other), Next);
        assert!(!other.forgets);
    }

    #[test]
    fn positions_are_read_as_they_are_written() {
        let position = Position { segment: 12, index: 34 };
        assert_eq!(parse_position(&position.to_string()), Some(position));
        for bad in ["", "1", "1.", ".1", "1.x", "-1.0"] {
            assert_eq!(parse_position(bad), None, "{bad}");
        }
    }
}

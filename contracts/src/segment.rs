//! A segment: the events of one transaction, framed in order, in their compact form.
//!
//! Layout: format byte, then per event the code and the header and the data in postcard, then
//! eight bytes of BLAKE3 over all of it.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::clock::Timestamp;
use crate::envelope::Event;
use crate::events::{DecodeError, EventData};
use crate::ids::{EventId, OrderId};

const FORMAT: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

#[derive(Serialize, Deserialize)]
struct Header {
    code: u16,
    id: EventId,
    sequence: u64,
    time: Timestamp,
    correlation: Option<OrderId>,
    causation: Option<EventId>,
    traceparent: Option<SmolStr>,
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut short = [0; CHECKSUM_BYTES];
    short.copy_from_slice(&blake3::hash(bytes).as_bytes()[..CHECKSUM_BYTES]);
    short
}

/// Frames `events` into the bytes of one segment.
pub fn encode<'e>(events: impl Iterator<Item = &'e Event>) -> Result<Vec<u8>, postcard::Error> {
    let mut bytes = Vec::with_capacity(events.size_hint().0.saturating_mul(128).max(256));
    bytes.push(FORMAT);
    for event in events {
        let header = Header {
            code: event.data.kind().code(),
            id: event.id,
            sequence: event.sequence,
            time: event.time,
            correlation: event.correlation,
            causation: event.causation,
            traceparent: event.traceparent.clone(),
        };
        bytes = postcard::to_extend(&header, bytes)?;
        bytes = event.data.encode(bytes)?;
    }
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    Ok(bytes)
}

/// Reads all events of segment number `segment` from its bytes.
pub fn decode(segment: u64, bytes: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let damaged = DecodeError::Damaged { segment };
    let Some((body, sum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(damaged);
    };
    let Some((&FORMAT, mut rest)) = body.split_first() else {
        return Err(damaged);
    };
    if checksum(body) != *sum {
        return Err(damaged);
    }
    let mut events = Vec::new();
    while !rest.is_empty() {
        let (header, after): (Header, _) = postcard::take_from_bytes(rest)
            .map_err(|cause| DecodeError::Malformed { event: "header", cause })?;
        let (data, after) = EventData::decode(header.code, after)?;
        rest = after;
        events.push(Event {
            id: header.id,
            sequence: header.sequence,
            time: header.time,
            correlation: header.correlation,
            causation: header.causation,
            traceparent: header.traceparent,
            data,
        });
    }
    Ok(events)
}

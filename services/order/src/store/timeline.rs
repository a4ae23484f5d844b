//! The history at rest. An entry is mostly like the one before it, so only the difference is kept:
//! about 12 bytes for an event instead of 40.

use contracts::{EventId, Timestamp};

use crate::domain::{Cause, Entry, History, Status, Step, Text};

/// The cause is the one of the entry before.
const SAME: u64 = 0;
const EVENT: u64 = 1;
const ACTOR: u64 = 2;
const DEADLINE: u64 = 3;
/// The cause, and behind it words.
const WORDS: u64 = 4;

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, u64::try_from(text.len()).unwrap_or(0));
    out.extend_from_slice(text.as_bytes());
}

fn get(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn get_text(bytes: &mut &[u8]) -> Option<Text> {
    let length = usize::try_from(get(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok().map(Text::from)
}

/// An event id in two halves, the first turned so that the time's milliseconds come last.
fn halves(id: EventId) -> (u64, u64) {
    let (high, low) = id.as_bytes().split_at(8);
    let number = |half: &[u8]| half.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    (number(high).rotate_right(16), number(low))
}

fn joined((high, low): (u64, u64)) -> Option<EventId> {
    let whole = (u128::from(high.rotate_left(16)) << 64) | u128::from(low);
    EventId::try_from_slice(&whole.to_be_bytes()).ok()
}

/// What the next entry is compared with.
struct Before {
    at: i64,
    id: (u64, u64),
    cause: Option<Cause>,
}

impl Before {
    fn new(placed_at: Timestamp) -> Self {
        Self { at: placed_at.as_micros(), id: (0, 0), cause: None }
    }
}

/// Appends the history of an order that was placed at `placed_at`.
pub(super) fn encode(history: &History, placed_at: Timestamp, out: &mut Vec<u8>) {
    put(out, history.forgotten);
    put(out, u64::try_from(history.entries.len()).unwrap_or(0));
    let mut before = Before::new(placed_at);
    for entry in &history.entries {
        out.push(entry.step.code());
        out.push(u8::try_from(entry.status.code()).unwrap_or(0));
        // Time does not run backwards here, but a signed difference costs only a bit.
        let passed = entry.at.as_micros().wrapping_sub(before.at);
        put(out, (passed.cast_unsigned() << 1) ^ (passed >> 63).cast_unsigned());
        before.at = entry.at.as_micros();
        encode_cause(entry, &mut before, out);
        if !entry.detail.is_empty() {
            put_text(out, &entry.detail);
        }
    }
}

fn encode_cause(entry: &Entry, before: &mut Before, out: &mut Vec<u8>) {
    let words = if entry.detail.is_empty() { 0 } else { WORDS };
    if before.cause.as_ref() == Some(&entry.cause) {
        return put(out, SAME | words);
    }
    before.cause = Some(entry.cause.clone());
    match &entry.cause {
        Cause::Event(id) => {
            let id = halves(*id);
            put(out, EVENT | words);
            put(out, id.0 ^ before.id.0);
            put(out, id.1 ^ before.id.1);
            before.id = id;
        }
        Cause::Actor(name) => {
            put(out, ACTOR | words);
            put_text(out, name);
        }
        Cause::Deadline => put(out, DEADLINE | words),
    }
}

/// Reads the history of an order that was placed at `placed_at`; `None` if nobody wrote it.
pub(super) fn decode(mut bytes: &[u8], placed_at: Timestamp) -> Option<History> {
    let forgotten = get(&mut bytes)?;
    let count = usize::try_from(get(&mut bytes)?).ok()?;
    let mut entries = Vec::with_capacity(count.min(History::MAX));
    let mut before = Before::new(placed_at);
    for _ in 0..count {
        let (fixed, rest) = bytes.split_first_chunk::<2>()?;
        bytes = rest;
        let passed = get(&mut bytes)?;
        let passed = (passed >> 1).cast_signed() ^ -(passed & 1).cast_signed();
        before.at = before.at.wrapping_add(passed);
        let (cause, words) = decode_cause(&mut bytes, &mut before)?;
        let detail = if words { get_text(&mut bytes)? } else { Text::default() };
        entries.push(Entry {
            step: Step::from_code(fixed[0]),
            at: Timestamp::from_micros(before.at),
            status: Status::from_code(i64::from(fixed[1]))?,
            cause,
            detail,
        });
    }
    // Behind the last entry there is only the room that the document keeps for more.
    let is_room = bytes.iter().all(|byte| *byte == 0);
    is_room.then_some(History { forgotten, entries })
}

fn decode_cause(bytes: &mut &[u8], before: &mut Before) -> Option<(Cause, bool)> {
    let tag = get(bytes)?;
    let cause = match tag & !WORDS {
        SAME => before.cause.clone()?,
        EVENT => {
            before.id.0 ^= get(bytes)?;
            before.id.1 ^= get(bytes)?;
            Cause::Event(joined(before.id)?)
        }
        ACTOR => Cause::Actor(get_text(bytes)?),
        DEADLINE => Cause::Deadline,
        _ => return None,
    };
    before.cause = Some(cause.clone());
    Some((cause, tag & WORDS != 0))
}

#[cfg(test)]
mod tests {
    use contracts::Position;
    use proptest::prelude::*;

    use super::*;

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let cause = prop_oneof![
            (any::<u16>(), 0..1_u64 << 40, 0..1_u32 << 20, 0..1_i64 << 47).prop_map(
                |(stream, segment, index, millis)| {
                    let at = Timestamp::from_micros(millis * 1_000);
                    Cause::Event(EventId::new(at, stream, Position { segment, index }))
                }
            ),
            "[a-z]{0,40}".prop_map(|name| Cause::Actor(name.into())),
            Just(Cause::Deadline),
        ];
        let entry = (any::<u8>(), any::<i64>(), 1..13_i64, cause, ".{0,30}").prop_map(
            |(step, at, status, cause, detail)| Entry {
                step: Step::from_code(step),
                at: Timestamp::from_micros(at),
                status: Status::from_code(status).unwrap(),
                cause,
                detail: detail.into(),
            },
        );
        prop::collection::vec(entry, 0..20)
    }

    proptest! {
        #[test]
        fn a_history_survives_its_row(entries in entries(), forgotten in any::<u64>(), at in any::<i64>()) {
            let history = History { forgotten, entries };
            let at = Timestamp::from_micros(at);
            let mut bytes = Vec::new();
            encode(&history, at, &mut bytes);
            prop_assert_eq!(decode(&bytes, at), Some(history));
            bytes.push(0);
            prop_assert!(decode(&bytes, at).is_some(), "room is no entry");
            bytes.push(1);
            prop_assert_eq!(decode(&bytes, at), None);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            decode(&bytes, Timestamp::default());
        }
    }
}

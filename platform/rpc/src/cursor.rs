//! Cursors: where a list goes on, as text that only this service reads.
//!
//! Base32 (lower case, no padding) over postcard and four bytes of BLAKE3, so that a mistyped or
//! invented cursor is refused instead of answering nonsense. It is not a secret and not a right.

use contracts::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const CHECK_BYTES: usize = 4;

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = blake3::hash(bytes);
    let mut short = [0; CHECK_BYTES];
    short.copy_from_slice(&hash.as_bytes()[..CHECK_BYTES]);
    short
}

fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits = bits.saturating_add(8);
        while bits >= 5 {
            bits = bits.saturating_sub(5);
            push(&mut text, buffer >> bits);
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        push(&mut text, buffer << 5_u32.saturating_sub(bits));
    }
    text
}

fn push(text: &mut String, value: u32) {
    let place = usize::try_from(value & 31).unwrap_or(0);
    text.push(char::from(ALPHABET[place]));
}

fn to_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        buffer = (buffer << 5) | u32::try_from(value).ok()?;
        bits = bits.saturating_add(5);
        if bits >= 8 {
            bits = bits.saturating_sub(8);
            bytes.push(u8::try_from((buffer >> bits) & 0xff).ok()?);
            buffer &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

/// The cursor that stands for `place`.
pub fn encode(place: &impl Serialize) -> String {
    let mut bytes = postcard::to_stdvec(place).unwrap_or_default();
    let check = check(&bytes);
    bytes.extend_from_slice(&check);
    to_text(&bytes)
}

/// The place that `cursor` stands for, or the problem `bad-cursor`.
pub fn decode<T: DeserializeOwned>(cursor: &str) -> Result<T, Problem> {
    let bad = || Problem::bad_cursor("the cursor is not one that this list has given");
    let bytes = to_bytes(cursor).ok_or_else(bad)?;
    let (place, found) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or_else(bad)?;
    if check(place) != *found {
        return Err(bad());
    }
    postcard::from_bytes(place).ok().ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_says_where_it_came_from_and_nothing_else_is_one() {
        for place in [(0_u64, String::new()), (u64::MAX, "item1".to_owned())] {
            let text = encode(&place);
            assert_eq!(decode::<(u64, String)>(&text), Ok(place));
            assert!(decode::<(u64, String)>(&format!("{text}a2")).is_err());
        }
        for bad in ["", "a", "abc", "AAAA", "💥", "aaaaaaaaaaaaaaaa"] {
            assert!(decode::<(u64, String)>(bad).is_err(), "{bad}");
        }
    }
}

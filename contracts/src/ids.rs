//! Identifiers. Ours are UUIDv7 (RFC 9562); customer ids, SKUs and locations are text that clients
//! give.
//!
//! An [`OrderId`] carries its order's number and an [`EventId`] its place in the log, in bits that
//! RFC 9562 leaves to the maker. So both are found by their clustered key alone: no second index
//! is written for them on the way of an order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;
use uuid::Uuid;

use crate::clock::Timestamp;

/// Orders are numbered from 1 in the sequence of their placement.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct OrderNumber(u64);

impl OrderNumber {
    /// The largest number that an [`OrderId`] can carry: 2^40 − 1, about 10^12.
    pub const MAX: u64 = (1 << 40) - 1;

    /// The order number `number`, held within [`Self::MAX`].
    pub const fn new(number: u64) -> Self {
        Self(number & Self::MAX)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number as the database stores it.
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Version 7 and the RFC 9562 variant, over the millisecond and 74 bits of the maker's own.
fn version_7(at: Timestamp, high: u16, low: u64) -> Uuid {
    let high = high & 0x0fff;
    let low = low & ((1 << 62) - 1);
    let upper = (u128::from(at.as_millis()) << 16) | 0x7000 | u128::from(high);
    Uuid::from_u128((upper << 64) | (0b10 << 62) | u128::from(low))
}

fn low_bits(id: Uuid, bits: u32) -> u64 {
    let low = id.as_u128() & ((1 << bits) - 1);
    u64::try_from(low).unwrap_or(0)
}

/// A text that is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Not a UUID at all, or not of version 7.
    #[error("`{0}` is not a UUID of version 7")]
    NotUuid7(String),
    /// Text that cannot be a customer id, a SKU or a location.
    #[error("{what} must be 1 to {max} printable characters without spaces, not `{text}`")]
    NotText {
        /// Which identifier was asked for.
        what: &'static str,
        /// The longest that is accepted, in bytes of UTF-8.
        max: usize,
        /// The beginning of what was given.
        text: String,
    },
}

macro_rules! uuid_id {
    ($name:ident) => {
        impl $name {
            /// The id in a row or a frame: 16 bytes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Reads an id from its 16 bytes.
            pub fn try_from_slice(bytes: &[u8]) -> Result<Self, InvalidId> {
                match Uuid::from_slice(bytes) {
                    Ok(id) if id.get_version_num() == 7 => Ok(Self(id)),
                    _ => Err(InvalidId::NotUuid7(format!("{bytes:02x?}"))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match Uuid::try_parse(text) {
                    Ok(id) if id.get_version_num() == 7 => Ok(Self(id)),
                    _ => Err(InvalidId::NotUuid7(text.chars().take(64).collect())),
                }
            }
        }
    };
}

/// An order, as the outside names it. The last ten hexadecimal digits are its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(Uuid);

impl OrderId {
    /// The id of order `number`, placed at `at`; `random` fills the 34 bits that are left, so that
    /// an id cannot be told from a number alone.
    pub fn new(at: Timestamp, number: OrderNumber, random: u64) -> Self {
        let high = u16::try_from(random & 0x0fff).unwrap_or(0);
        let low = ((random >> 12) << 40) | number.get();
        Self(version_7(at, high, low))
    }

    /// The number that the id carries.
    pub fn number(&self) -> OrderNumber {
        OrderNumber(low_bits(self.0, 40))
    }
}

uuid_id!(OrderId);

/// A place in one producer's log: a segment (one COMMIT) and an event within it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Position {
    /// The segment, from 1.
    pub segment: u64,
    /// The event within the segment, from 0.
    pub index: u32,
}

impl Position {
    /// The most events in one segment: 2^20.
    pub const INDEX_MAX: u32 = (1 << 20) - 1;

    /// The place before the first event of `segment`.
    pub const fn start_of(segment: u64) -> Self {
        Self { segment, index: 0 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.segment, self.index)
    }
}

/// An event. The last 60 bits are its [`Position`], the bits before them its producer's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// The id of the event at `position` of the log of `stream` (14 bits), appended at `at`.
    pub fn new(at: Timestamp, stream: u16, position: Position) -> Self {
        let place = (position.segment << 20) | u64::from(position.index & Position::INDEX_MAX);
        let low = (u64::from(stream & 0b11) << 60) | (place & ((1 << 60) - 1));
        Self(version_7(at, stream >> 2, low))
    }

    /// Where in its producer's log the event stands.
    pub fn position(&self) -> Position {
        let place = low_bits(self.0, 60);
        let index = u32::try_from(place & u64::from(Position::INDEX_MAX)).unwrap_or(0);
        Position { segment: place >> 20, index }
    }

    /// The log that the event stands in: its producer's stream.
    pub fn stream(&self) -> u16 {
        let bits = self.0.as_u128();
        let low = u16::try_from((bits >> 60) & 0b11).unwrap_or(0);
        let high = u16::try_from((bits >> 64) & 0x0fff).unwrap_or(0);
        (high << 2) | low
    }
}

uuid_id!(EventId);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// The longest text accepted, in bytes of UTF-8.
            pub const MAX: usize = $max;

            /// Checks `text`: not empty, not too long, no spaces, no control characters.
            pub fn try_new(text: &str) -> Result<Self, InvalidId> {
                let printable = |c: char| !c.is_whitespace() && !c.is_control();
                if text.is_empty() || text.len() > Self::MAX || !text.chars().all(printable) {
                    let text = text.chars().take(80).collect();
                    return Err(InvalidId::NotText { what: $what, max: $max, text });
                }
                Ok(Self(SmolStr::new(text)))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::try_new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = SmolStr::deserialize(deserializer)?;
                Self::try_new(&text).map_err(de::Error::custom)
            }
        }
    };
}

text_id!(
    /// A customer, by the text its owner gave: `OMS-Cust-001`.
    CustomerId,
    "a customer id",
    64
);
text_id!(
    /// A stock keeping unit: the shop's own code of a product.
    Sku,
    "a SKU",
    64
);
text_id!(
    /// A place where stock is kept.
    Location,
    "a location",
    32
);

impl Location {
    /// The location that is meant where none is named.
    pub fn main() -> Self {
        Self(SmolStr::new_static("main"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_795_268_168_349_911);

    #[test]
    fn an_order_id_is_a_uuid_v7_that_carries_its_number() {
        for number in [1, 42, OrderNumber::MAX] {
            let id = OrderId::new(AT, OrderNumber::new(number), u64::MAX);
            assert_eq!(id.number().get(), number);
            let uuid = Uuid::parse_str(&id.to_string()).unwrap();
            assert_eq!(uuid.get_version_num(), 7);
            assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(OrderId::try_from_slice(id.as_bytes()), Ok(id));
        }
    }

    #[test]
    fn ids_made_later_sort_later() {
        let earlier = OrderId::new(AT, OrderNumber::new(9), u64::MAX);
        let later =
            OrderId::new(AT.plus(std::time::Duration::from_millis(1)), OrderNumber::new(1), 0);
        assert!(earlier < later);
    }

    #[test]
    fn an_event_id_carries_its_position() {
        let position = Position { segment: (1 << 40) - 1, index: Position::INDEX_MAX };
        let id = EventId::new(AT, 0x3fff, position);
        assert_eq!((id.position(), id.stream()), (position, 0x3fff));
        assert_eq!(EventId::new(AT, 0x0805, position).stream(), 0x0805);
        assert_ne!(id, EventId::new(AT, 0x3ffe, position));
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn text_ids_refuse_what_cannot_be_typed_or_stored() {
        for bad in ["", "two words", "tab\there", "nul\0", &"x".repeat(65)] {
            assert!(Sku::try_new(bad).is_err(), "{bad:?}");
            assert!(CustomerId::try_new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Sku::try_new("item1").unwrap().as_str(), "item1");
        assert!("not-a-uuid".parse::<OrderId>().is_err());
        assert!("f5b8c0de-0000-4000-8000-000000000000".parse::<OrderId>().is_err());
    }
}

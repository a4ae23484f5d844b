//! CloudEvents 1.0 in Kafka's binary mode: attributes are headers, the value is the data's JSON.
//!
//! Pure: a [`Record`] is what is written to a topic, and [`decode`] reads an event from the headers
//! and the value of one. Attributes that this version does not know are passed over; data of a type
//! that it does not know is [`RecordError::UnknownType`], which a consumer skips.

use std::borrow::Cow;

use smol_str::SmolStr;

use crate::clock::Timestamp;
use crate::envelope::Event;
use crate::events::EventData;
use crate::ids::{EventId, OrderId};

/// The media type of every value.
pub const CONTENT_TYPE: &str = "application/json";

/// As many headers as an event can have.
const HEADERS_MAX: usize = 12;

/// Names and values of headers.
pub type Headers = Vec<(&'static str, Cow<'static, str>)>;

/// An event as a record of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The aggregate's id.
    pub key: String,
    /// The attributes, in this order.
    pub headers: Headers,
    /// The data as JSON.
    pub value: Vec<u8>,
}

/// A record that is no event of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It tells of something that this version does not know.
    #[error("there is no event of the type `{0}`")]
    UnknownType(String),
    /// An attribute that every event has is not there.
    #[error("the header `{0}` is missing")]
    MissingHeader(&'static str),
    /// An attribute holds what it cannot mean.
    #[error("the header `{name}` cannot be `{value}`")]
    BadHeader {
        /// The header.
        name: &'static str,
        /// The beginning of its value.
        value: String,
    },
    /// The value does not fit the type.
    #[error("the value is no `{kind}`: {cause}")]
    BadValue {
        /// The event's type.
        kind: String,
        /// What the decoder says.
        cause: String,
    },
}

/// The record that tells of `event`.
pub fn encode(event: &Event) -> Record {
    let kind = event.data.kind();
    let key = event.key().to_string();
    let mut headers = Vec::with_capacity(HEADERS_MAX);
    headers.extend([
        ("ce_specversion", "1.0".into()),
        ("ce_id", event.id.to_string().into()),
        ("ce_source", kind.topic().source().into()),
        ("ce_type", kind.name().into()),
        ("ce_subject", key.clone().into()),
        ("ce_time", event.time.to_string().into()),
        ("ce_partitionkey", key.clone().into()),
        ("ce_sequence", event.sequence.to_string().into()),
    ]);
    headers.extend(event.correlation.map(|id| ("ce_correlationid", id.to_string().into())));
    headers.extend(event.causation.map(|id| ("ce_causationid", id.to_string().into())));
    headers.push(("content-type", CONTENT_TYPE.into()));
    let trace = event.traceparent.as_ref();
    headers.extend(trace.map(|trace| ("traceparent", trace.to_string().into())));
    Record { key, headers, value: event.data.to_json_bytes() }
}

/// Reads an event from a record; `header` gives the bytes of a header by its name.
pub fn decode<'r>(
    header: impl Fn(&str) -> Option<&'r [u8]>,
    value: &[u8],
) -> Result<Event, RecordError> {
    let kind = required(&header, "ce_type", |text| Some(text.to_owned()))?;
    let json = std::str::from_utf8(value);
    let data = json.map(|json| EventData::from_json(&kind, json));
    let data = match data {
        Ok(None) => return Err(RecordError::UnknownType(kind.chars().take(80).collect())),
        Ok(Some(Ok(data))) => data,
        Ok(Some(Err(cause))) => {
            return Err(RecordError::BadValue { kind, cause: cause.to_string() });
        }
        Err(cause) => return Err(RecordError::BadValue { kind, cause: cause.to_string() }),
    };
    Ok(Event {
        id: required(&header, "ce_id", |text| text.parse::<EventId>().ok())?,
        sequence: required(&header, "ce_sequence", |text| text.parse().ok())?,
        time: required(&header, "ce_time", |text| text.parse::<Timestamp>().ok())?,
        correlation: optional(&header, "ce_correlationid", |text| text.parse::<OrderId>().ok())?,
        causation: optional(&header, "ce_causationid", |text| text.parse::<EventId>().ok())?,
        traceparent: optional(&header, "traceparent", |text| Some(SmolStr::new(text)))?,
        data,
    })
}

fn required<'r, T>(
    header: &impl Fn(&str) -> Option<&'r [u8]>,
    name: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, RecordError> {
    optional(header, name, parse)?.ok_or(RecordError::MissingHeader(name))
}

fn optional<'r, T>(
    header: &impl Fn(&str) -> Option<&'r [u8]>,
    name: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, RecordError> {
    let Some(bytes) = header(name) else { return Ok(None) };
    let parsed = std::str::from_utf8(bytes).ok().and_then(parse);
    let shown = || String::from_utf8_lossy(bytes).chars().take(80).collect();
    parsed.map(Some).ok_or_else(|| RecordError::BadHeader { name, value: shown() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::catalog::ProductRetired;
    use crate::ids::{OrderNumber, Position, Sku};

    fn retired() -> Event {
        let at = Timestamp::from_micros(1_795_268_168_349_911);
        let order = OrderId::new(at, OrderNumber::new(42), 7);
        Event {
            id: EventId::new(at, 3, Position { segment: 7, index: 4 }),
            sequence: 5,
            time: at,
            correlation: Some(order),
            causation: Some(EventId::new(at, 1, Position { segment: 9, index: 0 })),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            data: ProductRetired { sku: Sku::try_new("item1").unwrap(), version: 5 }.into(),
        }
    }

    fn read(record: &Record) -> Result<Event, RecordError> {
        let header = |name: &str| {
            let found = record.headers.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.as_bytes())
        };
        decode(header, &record.value)
    }

    #[test]
    fn an_event_survives_its_record() {
        let event = retired();
        assert_eq!(read(&encode(&event)), Ok(event.clone()));
        let bare = Event { correlation: None, causation: None, traceparent: None, ..event };
        assert_eq!(read(&encode(&bare)), Ok(bare));
    }

    #[test]
    fn a_record_that_is_no_event_says_why() {
        let good = encode(&retired());
        let without = |name: &str| {
            let mut record = good.clone();
            record.headers.retain(|(known, _)| *known != name);
            read(&record).unwrap_err().to_string()
        };
        for name in ["ce_type", "ce_id", "ce_sequence", "ce_time"] {
            assert_eq!(without(name), format!("the header `{name}` is missing"));
        }
        let with = |name: &str, value: &str| {
            let mut record = good.clone();
            for (known, text) in &mut record.headers {
                if *known == name {
                    *text = value.to_owned().into();
                }
            }
            read(&record).unwrap_err()
        };
        assert_eq!(with("ce_type", "moon.full"), RecordError::UnknownType("moon.full".into()));
        for (name, bad) in [("ce_id", "7"), ("ce_time", "noon"), ("ce_causationid", "x")] {
            let value = bad.to_owned();
            assert_eq!(with(name, bad), RecordError::BadHeader { name, value });
        }
        for bad in [&b"{}"[..], b"", b"\xff", b"[1,2"] {
            let record = Record { value: bad.to_vec(), ..good.clone() };
            let error = read(&record).unwrap_err();
            assert!(matches!(error, RecordError::BadValue { .. }), "{error}");
        }
    }
}

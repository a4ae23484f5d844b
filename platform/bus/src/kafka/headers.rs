//! The headers of a record: made of an event's attributes, and read from the client once, because it makes a
//! call of each look at one of them.

use contracts::{EventKind, Position, cloudevents};
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Header, Headers as _, OwnedHeaders};

/// The header that names the event before this one, of the same log in the same partition.
pub(crate) const PREVIOUS: &str = "millrace-previous";

/// The headers of an event with these attributes that follows `previous` in its partition.
pub(super) fn of(named: &cloudevents::Headers, previous: Option<Position>) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(named.len().saturating_add(1));
    for (key, value) in named {
        headers = headers.insert(Header { key, value: Some(&**value) });
    }
    if let Some(previous) = previous {
        let previous = previous.to_string();
        headers = headers.insert(Header { key: PREVIOUS, value: Some(previous.as_str()) });
    }
    headers
}

/// Headers by their names.
#[derive(Debug)]
pub(super) struct Headers<'m>(Vec<(&'m str, Option<&'m [u8]>)>);

impl<'m> Headers<'m> {
    pub(super) fn of(message: &'m BorrowedMessage<'_>) -> Self {
        let Some(headers) = message.headers() else { return Self(Vec::new()) };
        let mut all = Vec::with_capacity(headers.count());
        all.extend(headers.iter().map(|header| (header.key, header.value)));
        Self(all)
    }

    /// The first header of this name; one without a value is none.
    pub(super) fn get(&self, name: &str) -> Option<&'m [u8]> {
        self.0.iter().find(|(key, _)| *key == name).and_then(|(_, value)| *value)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'m str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// The kind of the event, if this version knows it: told without reading any further.
    pub(super) fn kind(&self) -> Option<EventKind> {
        self.text("ce_type").and_then(EventKind::named)
    }

    /// All of them, as they stand.
    pub(super) fn owned(&self) -> Vec<(String, Vec<u8>)> {
        let owned = |(key, value): &(&str, Option<&[u8]>)| {
            ((*key).to_owned(), value.unwrap_or_default().to_vec())
        };
        self.0.iter().map(owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_counts_and_one_without_a_value_is_none() {
        let headers = Headers(vec![("a", Some(b"1")), ("b", None), ("a", Some(b"\xff"))]);
        assert_eq!(
            (headers.text("a"), headers.get("b"), headers.get("c")),
            (Some("1"), None, None)
        );
        let owned = headers.owned();
        assert_eq!(owned.len(), 3);
        assert_eq!(owned[1], ("b".to_owned(), Vec::new()));
    }
}

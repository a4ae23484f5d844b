//! The headers of a record, read from the client once: it makes a call of each look at one of them.

use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers as _};

/// Headers by their names.
#[derive(Debug)]
pub(super) struct Headers<'m>(Vec<(&'m str, &'m [u8])>);

impl<'m> Headers<'m> {
    pub(super) fn of(message: &'m BorrowedMessage<'_>) -> Self {
        let Some(headers) = message.headers() else { return Self(Vec::new()) };
        let mut all = Vec::with_capacity(headers.count());
        all.extend(headers.iter().map(|header| (header.key, header.value.unwrap_or_default())));
        Self(all)
    }

    /// The first header of this name.
    pub(super) fn get(&self, name: &str) -> Option<&'m [u8]> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'m str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// All of them, as they stand.
    pub(super) fn owned(&self) -> Vec<(String, Vec<u8>)> {
        self.0.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect()
    }
}

//! Lines to the brokers: what a log publishes goes to each partition in the order of the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use contracts::{Event, Position, Topic, cloudevents};
use rdkafka::producer::BaseRecord;

use super::answers::Producer;
use super::positions::Published;
use super::{KafkaError, Settings, Topics, headers, partition};
use crate::policy::count;

/// Bytes of a record: below the broker's limit of 1 MiB, with room for headers.
const RECORD_BYTES_MAX: usize = 900 * 1_024;
/// How long the client waits for more records of a partition: just so long that what a relay hands over at
/// once is one request for each partition, and not one for the first record and another for the rest.
const LINGER_MS: &str = "1";

/// Records of a topic are alike, headers above all: brokers and their disks get an eighth of the bytes (ADR
/// 20).
const COMPRESSION: &str = "lz4";

/// The producer, and the last event of the log in each partition.
pub(super) struct Lines {
    producer: Producer,
    topics: Topics,
    last: HashMap<(Topic, i32), Position>,
}

impl Lines {
    pub(super) fn open(
        settings: &Settings,
        topics: Topics,
        last: HashMap<(Topic, i32), Position>,
    ) -> Result<Self, KafkaError> {
        let mut config = settings.client("relay");
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // Never a later record without the earlier one: an error ends the session instead, and
            // nothing is given up while brokers are away.
            .set("enable.gapless.guarantee", "true")
            .set("message.timeout.ms", "0");
        settings.prefer(&mut config, "linger.ms", LINGER_MS);
        settings.prefer(&mut config, "compression.type", COMPRESSION);
        Ok(Self { producer: Producer::open(&config)?, topics, last })
    }

    /// Publishes `events` and waits until the brokers have them; gives the last one per partition. One
    /// that is too large is left out, loudly, and counted as `refused`: its row stays.
    pub(super) async fn send(
        &mut self,
        events: &[Arc<Event>],
        refused: &AtomicU64,
    ) -> Result<HashMap<(Topic, i32), Published>, KafkaError> {
        let names = Topic::ALL.map(|topic| (topic, self.topics.name(topic)));
        let mut places = Places::default();
        let mut writing = self.producer.begin("cannot publish");
        for event in events {
            let record = cloudevents::encode(event);
            if record.value.len() > RECORD_BYTES_MAX {
                count(refused, 1);
                tracing::error!(event = %event.id, kind = event.data.kind().name(),
                    bytes = record.value.len(),
                    "an event is too large for its topic; it is left out");
                continue;
            }
            let topic = event.topic();
            let Some((_, name)) = names.iter().find(|(known, _)| *known == topic) else { continue };
            let partition = partition::of(record.key.as_bytes(), self.topics.partitions);
            let position = event.id.position();
            let previous = self.last.insert((topic, partition), position);
            let place = places.enter((topic, partition), position);
            let millis = i64::try_from(event.time.as_millis()).unwrap_or(i64::MAX);
            let headers = headers::of(&record.headers, previous);
            let (key, value) = (record.key.as_str(), record.value.as_slice());
            let next = |kept| {
                let next = BaseRecord::with_opaque_to(name, kept).partition(partition);
                next.key(key).payload(value).timestamp(millis).headers(headers)
            };
            writing.send(place, next).await?;
        }
        Ok(places.published(&writing.end().await?))
    }

    /// Takes note of events that are not published now, but were.
    pub(super) fn pass(&mut self, events: &[Arc<Event>]) {
        for event in events {
            let record = cloudevents::encode(event);
            if record.value.len() <= RECORD_BYTES_MAX {
                let partition = partition::of(record.key.as_bytes(), self.topics.partitions);
                self.last.insert((event.topic(), partition), event.id.position());
            }
        }
    }
}

/// The partitions that a batch goes to, numbered as they come, and the last event for each.
#[derive(Debug, Default)]
struct Places {
    numbers: HashMap<(Topic, i32), usize>,
    last: Vec<((Topic, i32), Position)>,
}

impl Places {
    /// The number of `place`, to which `position` goes now.
    fn enter(&mut self, place: (Topic, i32), position: Position) -> usize {
        let number = *self.numbers.entry(place).or_insert(self.last.len());
        match self.last.get_mut(number) {
            Some(last) => last.1 = position,
            None => self.last.push((place, position)),
        }
        number
    }

    fn published(self, next_offsets: &[i64]) -> HashMap<(Topic, i32), Published> {
        let last = self.last.into_iter().zip(next_offsets);
        last.map(|((place, position), next_offset)| {
            (place, Published { position, next_offset: *next_offset })
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_knows_the_last_event_and_the_end_of_each_place() {
        let at = |segment| Position { segment, index: 0 };
        let mut places = Places::default();
        let (one, other) = ((Topic::Order, 3), (Topic::Order, 4));
        let entered = [(one, at(1)), (other, at(2)), (one, at(3))];
        assert_eq!(entered.map(|(place, position)| places.enter(place, position)), [0, 1, 0]);
        let published = places.published(&[12, 71]);
        assert_eq!(published.len(), 2);
        assert_eq!(published[&one], Published { position: at(3), next_offset: 12 });
        assert_eq!(published[&other], Published { position: at(2), next_offset: 71 });
    }
}

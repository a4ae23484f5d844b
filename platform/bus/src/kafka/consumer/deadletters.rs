//! Dead letters: what could not be handled is copied to the topic's `-dlt`, with the reason.

use std::sync::Arc;
use std::time::Duration;

use contracts::{Event, Topic, cloudevents};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;

use super::super::{Client, KafkaError, Topics};
use super::record::Broken;

/// The headers that a dead letter has besides those of its record.
const CAUSE: &str = "millrace-cause";
const CONSUMER: &str = "millrace-consumer";
const TOPIC: &str = "millrace-topic";
const PARTITION: &str = "millrace-partition";
const OFFSET: &str = "millrace-offset";
/// On a letter that was too large as a whole: the bytes that its value had.
const CUT: &str = "millrace-cut";
/// What is left of such a letter's value, and of its key and each header.
const VALUE_MAX: usize = 64 * 1_024;
const NAME_MAX: usize = 1_024;
/// How many headers such a letter keeps.
const HEADERS_MAX: usize = 64;
/// How long the client's queue may stay full.
const QUEUE_MAX: Duration = Duration::from_secs(5);

/// Writes dead letters.
pub(super) struct DeadLetters {
    producer: FutureProducer,
    topics: Topics,
}

/// A record to be written.
struct Letter<'l> {
    key: &'l [u8],
    value: &'l [u8],
    headers: Vec<(&'l str, &'l [u8])>,
}

fn start(bytes: &[u8], length_max: usize) -> &[u8] {
    bytes.get(..length_max).unwrap_or(bytes)
}

impl<'l> Letter<'l> {
    /// The letter where the whole is more than brokers take: enough to see what it was.
    fn cut(&self, length: &'l str) -> Self {
        let fits = |header: &&(&str, &[u8])| header.0.len().max(header.1.len()) <= NAME_MAX;
        let mut headers: Vec<_> =
            self.headers.iter().filter(fits).take(HEADERS_MAX).copied().collect();
        headers.push((CUT, length.as_bytes()));
        Self { key: start(self.key, NAME_MAX), value: start(self.value, VALUE_MAX), headers }
    }

    fn headers(&self, added: &[(&str, &[u8])]) -> OwnedHeaders {
        let mut all = OwnedHeaders::new();
        for (key, value) in self.headers.iter().chain(added) {
            all = all.insert(Header { key, value: Some(*value) });
        }
        all
    }
}

impl DeadLetters {
    pub(super) fn open(client: &Client) -> Result<Self, KafkaError> {
        let mut config = client.settings.client("dead-letters");
        config.set("enable.idempotence", "true").set("acks", "all");
        // A letter that brokers do not take in time is written again, with its whole batch.
        config.set("message.timeout.ms", "30000");
        let failed = |cause| KafkaError::client("cannot make a producer", cause);
        let producer = config.create().map_err(failed)?;
        Ok(Self { producer, topics: client.topics.clone() })
    }

    /// Copies a record that is no event.
    pub(super) async fn broken(
        &self,
        consumer: &str,
        (topic, partition, offset): (Topic, i32, i64),
        broken: &Broken,
    ) -> Result<(), KafkaError> {
        let headers = broken.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let letter = Letter { key: &broken.key, value: &broken.value, headers: headers.collect() };
        let (partition, offset) = (partition.to_string(), offset.to_string());
        let place = [(PARTITION, partition.as_bytes()), (OFFSET, offset.as_bytes())];
        self.send(topic, &letter, &place, (consumer, &broken.cause)).await
    }

    /// Copies an event that waits for a person.
    pub(super) async fn parked(
        &self,
        consumer: &str,
        event: &Arc<Event>,
        cause: &str,
    ) -> Result<(), KafkaError> {
        let record = cloudevents::encode(event);
        let headers = record.headers.iter().map(|(name, value)| (&**name, value.as_bytes()));
        let letter = Letter {
            key: record.key.as_bytes(),
            value: record.value.as_slice(),
            headers: headers.collect(),
        };
        self.send(event.topic(), &letter, &[], (consumer, cause)).await
    }

    /// Writes `letter`, or the beginning of it: one that cannot be written would stop its partition.
    async fn send(
        &self,
        topic: Topic,
        letter: &Letter<'_>,
        place: &[(&str, &[u8])],
        (consumer, cause): (&str, &str),
    ) -> Result<(), KafkaError> {
        let from = self.topics.name(topic);
        let why = start(cause.as_bytes(), NAME_MAX);
        let mut added = place.to_vec();
        added.extend([(CAUSE, why), (CONSUMER, consumer.as_bytes()), (TOPIC, from.as_bytes())]);
        let name = self.topics.dlt(topic);
        let mut sent = self.write(&name, letter, &added).await;
        let too_large = ClientError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
        if sent.as_ref().is_err_and(|cause| *cause == too_large) {
            let length = letter.value.len().to_string();
            sent = self.write(&name, &letter.cut(&length), &added).await;
        }
        sent.map_err(|cause| KafkaError::client("cannot write a dead letter", cause))
    }

    async fn write(
        &self,
        name: &str,
        letter: &Letter<'_>,
        added: &[(&str, &[u8])],
    ) -> Result<(), ClientError> {
        let headers = letter.headers(added);
        let record = FutureRecord::to(name).key(letter.key).payload(letter.value).headers(headers);
        self.producer.send(record, QUEUE_MAX).await.map(drop).map_err(|(cause, _)| cause)
    }
}

//! Dead letters: what could not be handled is copied to the topic's `-dlt`, with the reason.

use std::sync::Arc;
use std::time::Duration;

use contracts::{Event, Topic, cloudevents};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::super::{Client, KafkaError, Topics};
use super::record::Broken;

/// The headers that a dead letter has besides those of its record.
const CAUSE: &str = "millrace-cause";
const CONSUMER: &str = "millrace-consumer";
const TOPIC: &str = "millrace-topic";
const PARTITION: &str = "millrace-partition";
const OFFSET: &str = "millrace-offset";
/// How long the client's queue may stay full.
const QUEUE_MAX: Duration = Duration::from_secs(5);

/// Writes dead letters.
pub(super) struct DeadLetters {
    producer: FutureProducer,
    topics: Topics,
}

fn header(headers: OwnedHeaders, key: &str, value: &[u8]) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
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
        let mut headers = OwnedHeaders::new();
        for (name, value) in &broken.headers {
            headers = header(headers, name, value);
        }
        headers = header(headers, PARTITION, partition.to_string().as_bytes());
        headers = header(headers, OFFSET, offset.to_string().as_bytes());
        self.send(topic, (&broken.key, &broken.value), headers, (consumer, &broken.cause)).await
    }

    /// Copies an event that waits for a person.
    pub(super) async fn parked(
        &self,
        consumer: &str,
        event: &Arc<Event>,
        cause: &str,
    ) -> Result<(), KafkaError> {
        let record = cloudevents::encode(event);
        let mut headers = OwnedHeaders::new();
        for (name, value) in &record.headers {
            headers = header(headers, name, value.as_bytes());
        }
        let letter = (record.key.as_bytes(), record.value.as_slice());
        self.send(event.topic(), letter, headers, (consumer, cause)).await
    }

    async fn send(
        &self,
        topic: Topic,
        (key, value): (&[u8], &[u8]),
        headers: OwnedHeaders,
        (consumer, cause): (&str, &str),
    ) -> Result<(), KafkaError> {
        let name = self.topics.dlt(topic);
        let headers = header(headers, CAUSE, cause.as_bytes());
        let headers = header(headers, CONSUMER, consumer.as_bytes());
        let headers = header(headers, TOPIC, self.topics.name(topic).as_bytes());
        let record = FutureRecord::to(&name).key(key).payload(value).headers(headers);
        let sent = self.producer.send(record, QUEUE_MAX).await;
        sent.map(drop).map_err(|(cause, _)| KafkaError::client("cannot write a dead letter", cause))
    }
}

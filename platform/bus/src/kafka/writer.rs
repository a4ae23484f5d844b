//! Writes records that are not events of our own log: mirrors in other shapes.

use std::time::Duration;

use contracts::cloudevents;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;

use super::{Client, KafkaError, Topics, partition};

/// The pause when the client's own queue is full.
const FULL: Duration = Duration::from_millis(5);

/// A record of any shape.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'r> {
    /// The topic, without the configured prefix.
    pub topic: &'r str,
    /// The key; records without one are spread over the partitions.
    pub key: Option<&'r str>,
    /// The headers.
    pub headers: &'r cloudevents::Headers,
    /// The bytes.
    pub value: &'r [u8],
}

/// Writes records in their sequence.
pub struct Writer {
    producer: FutureProducer,
    topics: Topics,
}

/// A record on its way.
#[must_use]
pub struct Pending(DeliveryFuture);

impl Writer {
    /// A writer under the client's settings; `id` tells it apart in the brokers' logs.
    pub fn open(client: &Client, id: &str) -> Result<Self, KafkaError> {
        let mut config = client.settings.client(id);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // What brokers do not take in time is written again, with its whole batch.
            .set("message.timeout.ms", "30000");
        let failed = |cause| KafkaError::client("cannot make a producer", cause);
        let producer = config.create().map_err(failed)?;
        Ok(Self { producer, topics: client.topics.clone() })
    }

    /// Hands a record to the client.
    pub async fn send(&self, outgoing: Outgoing<'_>) -> Result<Pending, KafkaError> {
        let name = self.topics.named(outgoing.topic);
        let mut headers = OwnedHeaders::new_with_capacity(outgoing.headers.len());
        for (key, value) in outgoing.headers {
            headers = headers.insert(Header { key, value: Some(&**value) });
        }
        let mut next = FutureRecord::to(&name).payload(outgoing.value).headers(headers);
        if let Some(key) = outgoing.key {
            next = next.key(key).partition(partition::of(key.as_bytes(), self.topics.partitions));
        }
        loop {
            next = match self.producer.send_result(next) {
                Ok(answer) => return Ok(Pending(answer)),
                Err((
                    rdkafka::error::KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull),
                    record,
                )) => record,
                Err((cause, _)) => return Err(KafkaError::client("cannot write", cause)),
            };
            tokio::time::sleep(FULL).await;
        }
    }
}

impl Pending {
    /// Waits until the brokers have the record.
    pub async fn done(self) -> Result<(), KafkaError> {
        let failed = |cause| KafkaError::client("cannot write", cause);
        match self.0.await {
            Ok(delivered) => delivered.map(drop).map_err(|(cause, _)| failed(cause)),
            Err(_) => Err(failed(rdkafka::error::KafkaError::Canceled)),
        }
    }
}

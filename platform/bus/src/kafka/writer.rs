//! Writes records that are not events of our own log: mirrors in other shapes.

use contracts::cloudevents;
use rdkafka::producer::BaseRecord;
use tokio::sync::Mutex;

use super::answers::Producer;
use super::{Client, KafkaError, Topics, headers, partition};

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

/// Writes records in their sequence, batch by batch.
pub struct Writer {
    producer: Mutex<Producer>,
    topics: Topics,
}

impl Writer {
    /// A writer under the client's settings; `id` tells it apart in the brokers' logs.
    pub fn open(client: &Client, id: &str) -> Result<Self, KafkaError> {
        let mut config = client.settings.client(id);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // What brokers do not take in time is written again, with its whole batch.
            .set("message.timeout.ms", "30000");
        let producer = Mutex::new(Producer::open(&config)?);
        Ok(Self { producer, topics: client.topics.clone() })
    }

    /// Writes `records` and waits until the brokers have them. After an error, or if it is given up,
    /// some of them may be there.
    pub async fn write(
        &self,
        records: impl Iterator<Item = Outgoing<'_>> + Send,
    ) -> Result<(), KafkaError> {
        let mut producer = self.producer.lock().await;
        let mut writing = producer.begin("cannot write");
        for outgoing in records {
            let Outgoing { topic, key, headers: named, value } = outgoing;
            let topic = self.topics.named(topic);
            let next = |kept| {
                let next = BaseRecord::with_opaque_to(&topic, kept).payload(value);
                let next = next.headers(headers::of(named, None));
                let Some(key) = key else { return next };
                next.key(key).partition(partition::of(key.as_bytes(), self.topics.partitions))
            };
            writing.send(0, next).await?;
        }
        writing.end().await.map(drop)
    }
}

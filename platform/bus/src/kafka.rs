//! The bus over Kafka: each store's relay publishes its log, and consumers of other stores read it.
//!
//! The outbox stays the truth; a topic is a copy of it that can be made again ([`Relay`],
//! [`replay`]). A consumer keeps its place in its own store and writes it in the transaction of the
//! effect ([`positions`]): Kafka's group only says who reads which partition. Every record names the
//! one before it in its partition, so that a repetition is passed over and a hole is seen, whoever
//! sent what how often.
//!
//! **Invariants:** all events of a key are in one partition, in the order of the log. An effect and
//! the place behind it are committed together or not at all.

mod answers;
mod client;
mod consumer;
mod headers;
mod lines;
mod listener;
mod partition;
pub mod positions;
mod relay;
mod settings;
mod topics;
mod writer;

pub use client::Client;
pub use consumer::{Outward, OutwardSubscription, consume, deliver};
pub use listener::{Dated, Hear, Heard, ListenerStats, listen, recall};
pub use relay::{Relay, RelayStats, replay};
pub use settings::Settings;
pub use topics::{DLT, Topics};
pub use writer::{Outgoing, Writer};

use store::Schema;

/// The tables of a store whose events travel over Kafka.
pub const SCHEMA: Schema = Schema {
    service: "bus",
    migrations: &[("0001_kafka", include_str!("../migrations/0001_kafka.sql"))],
};

/// What can go wrong between a store and Kafka.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The client or the brokers say no.
    #[error("kafka, {what}: {cause}")]
    Client {
        /// What was tried.
        what: String,
        /// What the client says.
        cause: rdkafka::error::KafkaError,
    },
    /// A topic is there, but not as it is configured.
    #[error(
        "the topic {topic} has {found} partitions and kafka.partitions is {wanted}: set it to \
         {found}, or choose another kafka.topic_prefix (partitions are not changed under events)"
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// Its partitions.
        found: usize,
        /// The partitions that are configured.
        wanted: usize,
    },
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

impl KafkaError {
    pub(crate) fn client(what: &str, cause: rdkafka::error::KafkaError) -> Self {
        Self::Client { what: what.to_owned(), cause }
    }
}

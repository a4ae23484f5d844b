//! What can be set of Kafka.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

/// The brokers, and how topics are made on them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Some brokers of the cluster, `host:port`, separated by commas.
    pub bootstrap_servers: String,
    /// What every topic's name and every group's name begins with.
    pub topic_prefix: String,
    /// The partitions of each topic: as many instances of a service can share its work.
    pub partitions: u16,
    /// The copies of each topic. Three in production; one is no protection.
    pub replication: u16,
    /// Hours for which topics keep records.
    pub retention_hours: u32,
    /// Groups by consumer, where it is not the consumer's own name.
    pub groups: BTreeMap<String, String>,
    /// A name of this process that stays the same when it is started again: its partitions then wait
    /// for it. Two processes that run at the same time must not share one. Default: by the store.
    pub instance: String,
    /// Further settings of the client, by librdkafka's names.
    pub properties: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bootstrap_servers: "127.0.0.1:9092".to_owned(),
            topic_prefix: String::new(),
            partitions: 12,
            replication: 1,
            retention_hours: 7 * 24,
            groups: BTreeMap::new(),
            instance: String::new(),
            properties: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// What every client begins with.
    pub(crate) fn client(&self, id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", format!("millrace-{id}"))
            // A broker that comes back is found at once, not after a pause that has grown.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true")
            .set("allow.auto.create.topics", "false");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    /// Sets what is only a default: `kafka.properties` may say otherwise.
    pub(crate) fn prefer(&self, config: &mut ClientConfig, name: &str, value: &str) {
        if !self.properties.contains_key(name) {
            config.set(name, value);
        }
    }

    /// The group of `consumer`.
    pub(crate) fn group(&self, consumer: &str) -> String {
        let own = || format!("{}{consumer}", self.topic_prefix);
        self.groups.get(consumer).cloned().unwrap_or_else(own)
    }
}

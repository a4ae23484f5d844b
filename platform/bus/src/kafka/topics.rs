//! Topics: made as they are configured, and refused if they are there otherwise.

use std::time::Duration;

use contracts::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use super::{KafkaError, Settings};

/// What the name of the topic ends with that takes what could not be handled.
pub const DLT: &str = "-dlt";
/// How long brokers may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Milliseconds in an hour.
const HOUR_MS: u64 = 3_600_000;

/// The names of the topics.
#[derive(Debug, Clone)]
pub struct Topics {
    prefix: String,
    pub(crate) partitions: u16,
}

impl Topics {
    /// The topics of a system with these settings.
    pub fn new(settings: &Settings) -> Self {
        Self { prefix: settings.topic_prefix.clone(), partitions: settings.partitions }
    }

    /// The name of `topic` on the brokers.
    pub fn name(&self, topic: Topic) -> String {
        self.named(topic.name())
    }

    /// The name of the topic that takes what could not be handled of `topic`.
    pub fn dlt(&self, topic: Topic) -> String {
        format!("{}{DLT}", self.name(topic))
    }

    /// The name on the brokers of a topic that is none of [`Topic::ALL`].
    pub fn named(&self, plain: &str) -> String {
        format!("{}{plain}", self.prefix)
    }
}

/// Makes every topic of [`Topic::ALL`] with its `-dlt`, and `extra` ones, where they are missing.
pub(crate) async fn ensure(settings: &Settings, extra: &[String]) -> Result<(), KafkaError> {
    let admin: AdminClient<DefaultClientContext> = settings
        .client("admin")
        .create()
        .map_err(|cause| KafkaError::client("cannot make a client", cause))?;
    let topics = Topics::new(settings);
    let retention = u64::from(settings.retention_hours).saturating_mul(HOUR_MS).to_string();
    let in_sync = if settings.replication >= 3 { "2" } else { "1" };
    let wanted = Topic::ALL.map(|topic| topics.name(topic));
    let dlts = Topic::ALL.map(|topic| topics.dlt(topic));
    let partitions = i32::from(settings.partitions);
    let many = wanted.iter().chain(extra).map(|name| (name, partitions));
    let all: Vec<_> = many.chain(dlts.iter().map(|name| (name, 1))).collect();
    let new = all.iter().map(|(name, partitions)| {
        let replication = TopicReplication::Fixed(i32::from(settings.replication));
        NewTopic::new(name, *partitions, replication)
            .set("retention.ms", &retention)
            .set("cleanup.policy", "delete")
            // The brokers' time: what comes later is never older, whoever sent it. Live streams go on
            // from a time ([`super::listener`]).
            .set("message.timestamp.type", "LogAppendTime")
            .set("min.insync.replicas", in_sync)
            .set("unclean.leader.election.enable", "false")
    });
    let new: Vec<_> = new.collect();
    let options =
        AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    let answers = admin.create_topics(&new, &options).await;
    let answers = answers.map_err(|cause| KafkaError::client("cannot make topics", cause))?;
    for answer in answers {
        match answer {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                let cause = rdkafka::error::KafkaError::AdminOp(code);
                return Err(KafkaError::client(&format!("cannot make the topic {topic}"), cause));
            }
        }
    }
    check(admin, wanted.to_vec(), settings.partitions).await
}

/// Refuses topics with other partitions than are configured: keys would not be where they were.
async fn check(
    admin: AdminClient<DefaultClientContext>,
    wanted: Vec<String>,
    partitions: u16,
) -> Result<(), KafkaError> {
    let look = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(None, PATIENCE));
    let metadata = look.await.map_err(|_ended| store::StoreError::Stopped)?;
    let metadata = metadata.map_err(|cause| KafkaError::client("cannot list topics", cause))?;
    let partitions = usize::from(partitions);
    for topic in metadata.topics() {
        let found = topic.partitions().len();
        if found != partitions && found > 0 && wanted.iter().any(|name| name == topic.name()) {
            let topic = topic.name().to_owned();
            return Err(KafkaError::Partitions { topic, found, wanted: partitions });
        }
    }
    Ok(())
}

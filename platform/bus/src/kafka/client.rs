//! This process's connection to the brokers: topics first, then everything else.

use std::sync::Arc;
use std::time::Duration;

use telemetry::Tasks;
use tokio::sync::watch;

use super::{KafkaError, Settings, Topics, topics};

/// Between two attempts to reach brokers that do not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// The brokers, as this process uses them. Clones share the connection's state.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) settings: Arc<Settings>,
    pub(crate) topics: Topics,
    ready: watch::Receiver<bool>,
}

impl Client {
    /// Makes the topics that are missing, `extra` ones besides our own.
    ///
    /// Brokers that do not answer are asked again in the background, since what is committed waits in
    /// the outbox. Topics that are there with other partitions are an error.
    pub async fn connect(
        settings: Settings,
        extra: Vec<String>,
        tasks: &Tasks,
    ) -> Result<Self, KafkaError> {
        let topics = Topics::new(&settings);
        let settings = Arc::new(settings);
        let (done, ready) = watch::channel(false);
        let client = Self { settings: Arc::clone(&settings), topics, ready };
        match topics::ensure(&settings, &extra).await {
            Ok(()) => {
                done.send_replace(true);
                // The receivers keep what was sent last.
                return Ok(client);
            }
            Err(error @ KafkaError::Partitions { .. }) => return Err(error),
            Err(error) => tracing::warn!(%error, "the brokers do not answer; trying on"),
        }
        let background = tasks.clone();
        tasks.spawn("kafka-topics", async move {
            while background.pause(AGAIN).await {
                match topics::ensure(&settings, &extra).await {
                    Ok(()) => {
                        done.send_replace(true);
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "the topics are not ready"),
                }
            }
        });
        Ok(client)
    }

    /// Whether the topics are there.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until the topics are there.
    pub(crate) async fn ready(&self) {
        let mut ready = self.ready.clone();
        if ready.wait_for(|is_ready| *is_ready).await.is_err() {
            // Nobody makes them any more: the process stops, and so does whoever waits here.
            std::future::pending::<()>().await;
        }
    }

    /// The topics.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }
}

//! `millrace replay --from-outbox`: publishes a store's log to Kafka once more.
//!
//! After a loss in the cluster, the outbox still has everything. Consumers pass over what they have
//! handled and take what they have missed, so more may be published than is needed. It reads beside
//! the running services and writes nothing to the store.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use contracts::Topic;
use contracts::clock::SystemClock;
use store::Reader;

use crate::cli::ConfigArgs;
use crate::config::BusKind;
use crate::wire::{self, Chosen};

/// What `millrace replay` may be told.
#[derive(Args)]
pub(crate) struct ReplayArgs {
    /// Publish from the outbox of the store; there is no other source.
    #[arg(long, required = true)]
    from_outbox: bool,
    /// The first COMMIT of the log that is published.
    #[arg(long, value_name = "SEGMENT", default_value_t = 1)]
    from: u64,
    /// Only this topic, named without the configured prefix.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// The services whose store it is, where a database server has a schema for each set of them.
    #[arg(long, value_delimiter = ',')]
    services: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Publishes; says how many events that were.
pub(crate) async fn run(args: ReplayArgs) -> anyhow::Result<String> {
    let config = args.config.read()?;
    if !args.from_outbox || config.bus != BusKind::Kafka {
        bail!("bus: with the embedded bus there is nothing to publish to; set bus = \"kafka\"");
    }
    let topic = args.topic.as_deref().map(topic).transpose()?;
    let chosen = Chosen::read(&args.services, config.bus)?;
    let place = wire::place(&config, &chosen)?;
    let reader = Reader::open_places(std::slice::from_ref(&place), Arc::new(SystemClock))
        .with_context(|| format!("cannot read the store in {place}"))?;
    let events = bus::kafka::replay(&config.kafka, &reader, args.from, topic).await?;
    Ok(format!("{events} events published from {place}"))
}

fn topic(name: &str) -> anyhow::Result<Topic> {
    let found = Topic::ALL.into_iter().find(|topic| topic.name() == name);
    found.with_context(|| {
        let known = Topic::ALL.map(Topic::name).join(", ");
        format!("--topic: there is no topic `{name}`; there are {known}")
    })
}

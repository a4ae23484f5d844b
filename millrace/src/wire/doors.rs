//! How each service is reached: in this process, or at its configured address.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, bail};
use rpc::Transport;
use telemetry::Tasks;

use crate::config::Config;

/// The ways to every service.
pub(super) struct Doors<'c> {
    config: &'c Config,
    open: HashMap<&'static str, Transport>,
    /// Services of other processes that somebody here calls.
    called: BTreeSet<&'static str>,
}

impl<'c> Doors<'c> {
    pub(super) fn new(config: &'c Config) -> Self {
        Self { config, open: HashMap::new(), called: BTreeSet::new() }
    }

    /// The service `name` is called through `transport` from now on.
    pub(super) fn open(&mut self, name: &'static str, transport: Transport) {
        self.open.insert(name, transport);
    }

    /// Whether the service `name` is called in this process.
    pub(super) fn is_open(&self, name: &str) -> bool {
        self.open.contains_key(name)
    }

    /// The way to the service `name`.
    pub(super) fn to(&mut self, name: &'static str, tasks: &Tasks) -> anyhow::Result<Transport> {
        if let Some(transport) = self.open.get(name) {
            return Ok(transport.clone());
        }
        let url = self.config.services.url(name);
        if url.is_empty() {
            bail!(
                "services.{name}.url is missing: {name} is not among --services, and what is needs \
                 to know where it is"
            );
        }
        self.called.insert(name);
        let transport = Transport::remote(url, tasks);
        transport.with_context(|| format!("services.{name}.url"))
    }

    /// The services of other processes that are called from here, and where they are.
    pub(super) fn called(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.called.iter().map(|name| (*name, self.config.services.url(name)))
    }
}

//! Which services a process runs.

use std::fmt;

use anyhow::bail;
use store::Schema;

use super::SCHEMAS;
use crate::config::BusKind;

/// Every service that a process can run. Those behind the first have tables.
const SERVICES: [&str; 7] =
    ["edge", "order", "inventory", "catalog", "customer", "payment", "notification"];

/// Some of the services, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen(Vec<&'static str>);

impl Chosen {
    /// Every service.
    pub(crate) fn all() -> Self {
        Self(SERVICES.to_vec())
    }

    /// The services `asked` for, or all of them if none is named.
    pub(crate) fn read(asked: &[String], bus: BusKind) -> anyhow::Result<Self> {
        let names = SERVICES;
        if let Some(unknown) = asked.iter().find(|name| !names.contains(&name.as_str())) {
            bail!("--services: there is no service `{unknown}`; there are {}", names.join(", "));
        }
        if asked.is_empty() {
            return Ok(Self::all());
        }
        let is_asked = |name: &&'static str| asked.iter().any(|asked| asked == *name);
        let chosen = Self(names.into_iter().filter(is_asked).collect());
        if bus == BusKind::Embedded && chosen.has_tables() && !chosen.is_all_tables() {
            let missing = names.iter().find(|name| **name != "edge" && !is_asked(name));
            bail!(
                "--services: `{}` is missing, and on the embedded bus all services but the edge \
                 share one process; leave --services out, or set bus = \"kafka\"",
                missing.unwrap_or(&"")
            );
        }
        Ok(chosen)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.clone()
    }

    /// Whether any of them needs a store.
    pub(crate) fn has_tables(&self) -> bool {
        self.0.iter().any(|name| *name != "edge")
    }

    /// Whether every service that has tables is among them.
    pub(crate) fn is_all_tables(&self) -> bool {
        SERVICES.iter().all(|name| *name == "edge" || self.has(name))
    }

    /// Their tables.
    pub(crate) fn schemas(&self) -> Vec<Schema> {
        SCHEMAS.into_iter().filter(|schema| self.has(schema.service)).collect()
    }

    /// The number of the log that they write: another one for every set of services, so that the
    /// logs of one system never have the same. All together they write log 0.
    pub(crate) fn stream(&self) -> u16 {
        if self.is_all_tables() {
            return 0;
        }
        let mut stream = 0;
        for (name, bit) in SERVICES.iter().skip(1).zip(0_u16..) {
            stream |= u16::from(self.has(name)) << bit;
        }
        stream
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &str, bus: BusKind) -> anyhow::Result<Chosen> {
        let names: Vec<_> = names.split_whitespace().map(ToOwned::to_owned).collect();
        Chosen::read(&names, bus)
    }

    #[test]
    fn no_two_sets_of_services_share_a_log() {
        let mut streams = std::collections::HashSet::new();
        for bits in 1_u8..64 {
            let with = |bit: &usize| bits & (1 << bit) != 0;
            let names: Vec<_> = (0..6).filter(with).map(|bit| SERVICES[bit + 1]).collect();
            let set = chosen(&names.join(" "), BusKind::Kafka).unwrap();
            assert!(streams.insert(set.stream()), "{set}");
            assert_eq!(set.schemas().len(), names.len());
        }
        assert_eq!(Chosen::all().stream(), 0);
    }

    #[test]
    fn the_embedded_bus_keeps_services_with_tables_together() {
        let error = chosen("edge order", BusKind::Embedded).unwrap_err().to_string();
        assert!(error.contains("`inventory` is missing"), "{error}");
        assert!(chosen("edge", BusKind::Embedded).is_ok());
        assert!(chosen("edge order", BusKind::Kafka).is_ok());
        let error = chosen("tax", BusKind::Kafka).unwrap_err().to_string();
        assert!(error.contains("no service `tax`"), "{error}");
        assert_eq!(chosen("", BusKind::Embedded).unwrap(), Chosen::all());
    }
}

//! Configuration: built-in defaults < file < environment < flags.
//!
//! The file is TOML. Sections under `[profiles.NAME]` apply on top of it when the profile NAME is
//! chosen by `profile = "NAME"` or `MILLRACE_PROFILE`. In the environment, `MILLRACE_ORDER__PROMISE_DAYS`
//! is `promise_days` of section `order`. Unknown keys and bad values refuse to start, with one line
//! that names the key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use contracts::compat::Profile;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::registry;

const DEFAULT_FILE: &str = "millrace.toml";
const PREFIX: &str = "MILLRACE_";
/// Variables by which other programs are told the same, and the keys that they stand for.
const OTHERS: [(&str, &str); 3] = [
    ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA__BOOTSTRAP_SERVERS"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "TRACING__OTLP"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "TRACING__OTLP"),
];
/// Parts of key names whose values are never printed.
const SECRETS: [&str; 5] = ["password", "secret", "token_key", "acl_token", "url"];

/// Everything that an operator may set.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The name of the profile in force.
    pub(crate) profile: String,
    /// The folder of the database.
    pub(crate) data: PathBuf,
    /// The database server, if there is one instead of the folder.
    pub(crate) database: Database,
    /// Where HTTP is served.
    pub(crate) http: Listener,
    /// Where gRPC is served.
    pub(crate) grpc: Listener,
    /// What is logged, and how.
    pub(crate) log: Log,
    /// Where the steps of each piece of work are told.
    pub(crate) tracing: telemetry::trace::Settings,
    /// How events travel between services.
    pub(crate) bus: BusKind,
    /// The cache that edges share, where events travel over Kafka.
    pub(crate) redis: cache::Settings,
    /// The brokers, where events travel over Kafka.
    pub(crate) kafka: bus::kafka::Settings,
    /// Where services are that run in other processes.
    pub(crate) services: Addresses,
    /// Where it is told that services are in this one.
    pub(crate) consul: registry::Settings,
    /// What is written for consumers that know only older systems.
    pub(crate) compat: Compat,
    pub(crate) edge: edge::Settings,
    pub(crate) order: order::Settings,
    pub(crate) inventory: inventory::Settings,
    pub(crate) catalog: catalog::Settings,
    pub(crate) customer: customer::Settings,
    pub(crate) payment: payment::Settings,
    pub(crate) notification: notification::Settings,
}

/// Where data is kept that is not in the folder.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Database {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE` or `mysql://…`; empty for SQLite in the folder. A
    /// schema (MariaDB: a database) for each set of services is made by itself; `?schema=` names another.
    pub(crate) url: String,
}

/// Where a protocol is served.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    /// Address and port; port 0 takes a free one.
    pub(crate) addr: SocketAddr,
}

/// What is logged, and how.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// A level, or a list such as `store=debug,info`.
    pub(crate) filter: String,
    /// `auto`: for people on a terminal, JSON otherwise.
    pub(crate) format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    #[default]
    Auto,
    Text,
    Json,
}

/// How events travel between services.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BusKind {
    /// All services share one store, whose log they read.
    #[default]
    Embedded,
    /// Each process has a store of its own, and publishes its log.
    Kafka,
}

/// What is written for consumers that know only older systems.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Compat {
    /// The systems whose topics are written as well: `"000"`, `"002"`, `"004"`.
    pub(crate) profiles: Vec<Profile>,
}

/// Where services are that run in other processes.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Addresses {
    pub(crate) order: Address,
    pub(crate) inventory: Address,
    pub(crate) catalog: Address,
    pub(crate) customer: Address,
    pub(crate) payment: Address,
    pub(crate) notification: Address,
}

/// Where a service is.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Address {
    /// `http://HOST:PORT` of its gRPC, or several of those separated by commas.
    pub(crate) url: String,
    /// Its own database server, where it runs by itself: as `database.url`, which it overrides.
    pub(crate) database: String,
}

impl Addresses {
    fn of(&self, name: &str) -> Option<&Address> {
        match name {
            "order" => Some(&self.order),
            "inventory" => Some(&self.inventory),
            "catalog" => Some(&self.catalog),
            "customer" => Some(&self.customer),
            "payment" => Some(&self.payment),
            "notification" => Some(&self.notification),
            _ => None,
        }
    }

    /// Where the service `name` is; empty if it is not said.
    pub(crate) fn url(&self, name: &str) -> &str {
        self.of(name).map_or("", |address| &address.url)
    }

    /// The database server of the service `name` alone; empty if it is not said.
    pub(crate) fn database(&self, name: &str) -> &str {
        self.of(name).map_or("", |address| &address.database)
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Auto }
    }
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| Listener { addr: SocketAddr::from(([127, 0, 0, 1], port)) };
        Self {
            profile: "dev".to_owned(),
            data: PathBuf::from("millrace-data"),
            database: Database::default(),
            http: local(8090),
            grpc: local(9090),
            log: Log::default(),
            tracing: telemetry::trace::Settings::default(),
            bus: BusKind::Embedded,
            redis: cache::Settings::default(),
            kafka: bus::kafka::Settings::default(),
            services: Addresses::default(),
            consul: registry::Settings::default(),
            compat: Compat::default(),
            edge: edge::Settings::default(),
            order: order::Settings::default(),
            inventory: inventory::Settings::default(),
            catalog: catalog::Settings::default(),
            customer: customer::Settings::default(),
            payment: payment::Settings::default(),
            notification: notification::Settings::default(),
        }
    }
}

impl Config {
    /// The configuration as a file would say it, without secrets.
    pub(crate) fn to_toml(&self) -> anyhow::Result<String> {
        let mut table = Table::try_from(self).context("the configuration cannot be printed")?;
        hide_secrets(&mut table);
        Ok(toml::to_string(&table)?)
    }
}

fn hide_secrets(table: &mut Table) {
    for (key, value) in table {
        match value {
            // Where our own services are is no secret; where their databases are is.
            Value::Table(services) if key == "services" => {
                let each = services.iter_mut().filter_map(|(_, service)| service.as_table_mut());
                let databases = each.filter_map(|service| service.get_mut("database"));
                for database in databases.filter(|database| database.as_str() != Some("")) {
                    *database = "(hidden)".into();
                }
            }
            Value::Table(inner) => hide_secrets(inner),
            Value::String(text) if SECRETS.iter().any(|word| key.contains(word)) => {
                if !text.is_empty() {
                    "(hidden)".clone_into(text);
                }
            }
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => {}
        }
    }
}

/// What the command line says about the configuration.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) file: Option<PathBuf>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) grpc: Option<SocketAddr>,
}

/// Reads the configuration from all its sources.
pub(crate) fn read(overrides: &Overrides) -> anyhow::Result<Config> {
    let ours = |(key, value): (String, String)| Some((key.strip_prefix(PREFIX)?.to_owned(), value));
    let shared = OTHERS.iter().filter_map(|(name, key)| {
        let (_, value) =
            std::env::vars().find(|(known, value)| known == name && !value.is_empty())?;
        Some(((*key).to_owned(), value))
    });
    // What is said to us alone comes later, and wins.
    let environment: Vec<_> = shared.chain(std::env::vars().filter_map(ours)).collect();
    let file = read_file(overrides.file.as_deref())?;
    let mut config = merge(file, &environment)?;
    if let Some(data) = &overrides.data {
        config.data.clone_from(data);
    }
    if let Some(addr) = overrides.http {
        config.http.addr = addr;
    }
    if let Some(addr) = overrides.grpc {
        config.grpc.addr = addr;
    }
    Ok(config)
}

fn read_file(path: Option<&Path>) -> anyhow::Result<Table> {
    let (path, required) =
        path.map_or_else(|| (Path::new(DEFAULT_FILE), false), |path| (path, true));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {
            return Ok(Table::new());
        }
        Err(error) => bail!("cannot read {}: {error}", path.display()),
    };
    text.parse().map_err(|error: toml::de::Error| {
        anyhow::anyhow!("{} is not TOML: {}", path.display(), one_line(&error.to_string()))
    })
}

/// Lays the profile and the environment over the file and checks the result.
fn merge(mut file: Table, environment: &[(String, String)]) -> anyhow::Result<Config> {
    let chosen = environment.iter().find(|(key, _)| key == "PROFILE").map(|(_, value)| value);
    if let Some(profile) = chosen {
        file.insert("profile".to_owned(), profile.clone().into());
    }
    let profiles = file.remove("profiles");
    if let Some(Value::String(name)) = file.get("profile") {
        let name = name.clone();
        match profiles.as_ref().and_then(|profiles| profiles.get(&name)) {
            Some(Value::Table(profile)) => lay_over(&mut file, profile.clone()),
            Some(_) => bail!("profiles.{name} must be a table"),
            None => {}
        }
    }
    for (key, value) in environment {
        if key != "PROFILE" {
            set(&mut file, key, value)?;
        }
    }
    let config = Config::deserialize(file)
        .map_err(|error| anyhow::anyhow!("configuration: {}", one_line(&error.to_string())))?;
    if config.bus == BusKind::Embedded && !config.compat.profiles.is_empty() {
        bail!("compat.profiles: mirrors are topics of Kafka; set bus = \"kafka\", or name none");
    }
    if config.bus == BusKind::Embedded && config.redis.is_on() {
        bail!(
            "redis.url: events over Kafka keep the shared cache right; set bus = \"kafka\", or leave \
             redis.url empty"
        );
    }
    Ok(config)
}

/// What a TOML error says, on one line: its picture of the file is cut down to the key at fault.
fn one_line(text: &str) -> String {
    let word = |line: &str| match line.trim().split_once('|') {
        None => Some(line.trim().to_owned()),
        Some(("", _)) => None,
        // The value may be a secret: only the key is shown.
        Some((_, source)) => {
            let key = source.split('=').next().unwrap_or("").trim();
            Some(format!("near `{key}`:"))
        }
    };
    let words = text.lines().filter_map(word).filter(|line| !line.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

fn lay_over(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => lay_over(inner, value),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn set(table: &mut Table, key: &str, value: &str) -> anyhow::Result<()> {
    let path: Vec<_> = key.split("__").map(str::to_lowercase).collect();
    let Some((last, sections)) = path.split_last() else {
        return Ok(());
    };
    let mut inner = table;
    for section in sections {
        let entry = inner.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(next) = entry else {
            bail!("{PREFIX}{key}: `{section}` is not a section");
        };
        inner = next;
    }
    // Numbers and booleans as TOML writes them; everything else is text.
    let parsed = format!("value = {value}").parse::<Table>().ok();
    let parsed = parsed.and_then(|mut parsed| parsed.remove("value"));
    let text = || Value::String(value.to_owned());
    let scalar = parsed.filter(|value| !matches!(value, Value::Datetime(_) | Value::Table(_)));
    inner.insert(last.clone(), scalar.unwrap_or_else(text));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(file: &str, environment: &[(&str, &str)]) -> anyhow::Result<Config> {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(pair).collect();
        merge(file.parse()?, &environment)
    }

    #[test]
    fn the_environment_overrides_the_profile_and_the_profile_the_file() {
        let file = "profile = 'prod'\n[http]\naddr = '127.0.0.1:1'\n[log]\nfilter = 'warn'\n\
                    [profiles.prod.http]\naddr = '127.0.0.1:2'\n";
        let config = merged(file, &[]).unwrap();
        assert_eq!((config.http.addr.port(), config.log.filter.as_str()), (2, "warn"));
        let config = merged(file, &[("HTTP__ADDR", "127.0.0.1:3")]).unwrap();
        assert_eq!(config.http.addr.port(), 3);
        let config = merged(file, &[("PROFILE", "dev")]).unwrap();
        assert_eq!(config.http.addr.port(), 1);
    }

    #[test]
    fn unknown_keys_and_bad_values_are_refused_with_one_line_that_names_the_key() {
        for (file, environment, named) in [
            ("colour = 1", &[][..], "colour"),
            ("[http]\nport = 1", &[], "port"),
            ("[http]\naddr = 'x'", &[], "addr"),
            ("[log]\nformat = 'xml'", &[], "format"),
            ("", &[("LOG__FORMAT", "xml")], "xml"),
            ("", &[("BIN", "x")], "bin"),
            ("bus = 'carrier pigeon'", &[], "bus"),
            ("[kafka]\nservers = 'x'", &[], "servers"),
            ("[tracing]\nzipkin = 'x'", &[], "zipkin"),
            ("[services.tax]\nurl = 'http://x:1'", &[], "tax"),
            ("bus = 'kafka'\n[compat]\nprofiles = ['003']", &[], "profiles"),
            ("[compat]\nprofiles = ['004']", &[], "compat.profiles"),
            ("bus = 'kafka'\n[redis]\naddress = 'x'", &[], "address"),
            ("", &[("REDIS__URL", "redis://:hush@cache")], "redis.url"),
        ] {
            let error = format!("{:#}", merged(file, environment).unwrap_err());
            assert!(error.contains(named), "{file}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_toml_is_refused_with_one_line() {
        for text in ["not toml", "a = 1\na = 2", "[http"] {
            let error = one_line(&text.parse::<Table>().unwrap_err().to_string());
            assert!(error.contains("line") && error.contains("near"), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn the_printed_configuration_can_be_read_back_and_hides_secrets() {
        let printed = Config::default().to_toml().unwrap();
        merged(&printed, &[]).unwrap();
        let mut table: Table = "url = 'smtp://me:pass@host'\npassword = ''".parse().unwrap();
        hide_secrets(&mut table);
        assert_eq!(table.to_string(), "password = \"\"\nurl = \"(hidden)\"\n");
        let file = "bus = 'kafka'\n[redis]\nurl = 'redis://:hush@cache:6379'\n\
                    [database]\nurl = 'postgres://me:hush@db/shop'\n\
                    [services.order]\nurl = 'http://there:1'\ndatabase = 'postgres://me:hush@o/x'";
        let printed = merged(file, &[]).unwrap().to_toml().unwrap();
        assert!(!printed.contains("hush") && printed.contains("http://there:1"), "{printed}");
    }
}

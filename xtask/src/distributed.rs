//! `make up-distributed`: the product as people run it who need more than one process, without any
//! container: Kafka, PostgreSQL, Redis, and with `TRACE=1` a collector and Zipkin, then a process per service with the
//! mirrors on and demo data, in the foreground until Ctrl-C ends them all in order.
//!
//! With `--check` it ends by itself: it places the order of the README, scrapes every process, and
//! with `TRACE=1` reads the order's trace back from Zipkin.

#![expect(clippy::disallowed_methods, reason = "programs are waited for by the clock on the wall")]

mod check;
mod child;
mod servers;
mod trial;

pub(crate) use trial::tests;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::environment::variable;
use child::Child;

/// The services in the sequence in which they start; they are stopped the other way round, so that no
/// order comes in while those are going that work on it.
const SERVICES: [&str; 7] =
    ["catalog", "customer", "inventory", "payment", "notification", "order", "edge"];

/// Longer than any of them needs, also while all the others start.
const START_MAX: Duration = Duration::from_mins(2);
/// Between two looks at whether somebody is ready, or has gone.
const LOOK: Duration = Duration::from_millis(100);
/// Ports of the services behind the edge are above the edge's own by this much, and one more each.
const BEHIND: u16 = 101;

/// Settings of every process, unless the environment says otherwise. One machine has no use for the twelve
/// partitions that the product makes by itself: each is a request of its own to the broker, so an order took
/// four times as long under load.
const DEFAULTS: [(&str, &str); 2] = [
    ("MILLRACE_KAFKA__PARTITIONS", "3"),
    ("MILLRACE_COMPAT__PROFILES", r#"["000", "002", "004"]"#),
];

/// Where everything listens, on 127.0.0.1.
#[derive(Clone, Copy)]
struct Ports {
    http: u16,
    grpc: u16,
    kafka: u16,
    postgres: u16,
    redis: u16,
    otlp: u16,
    zipkin: u16,
}

/// A port that has to be free, and how to say another one.
struct Wanted {
    port: u16,
    who: String,
    variable: &'static str,
}

impl Ports {
    fn read() -> Result<Self> {
        Ok(Self {
            http: port("HTTP_PORT", 8090)?,
            grpc: port("GRPC_PORT", 9090)?,
            kafka: port("KAFKA_PORT", 9092)?,
            postgres: port("POSTGRES_PORT", 5432)?,
            redis: port("REDIS_PORT", 6379)?,
            otlp: port("OTLP_PORT", 4317)?,
            zipkin: port("ZIPKIN_PORT", 9411)?,
        })
    }

    /// HTTP and gRPC of a service.
    fn of(&self, service: &str) -> (u16, u16) {
        let behind = SERVICES.iter().filter(|name| **name != "edge");
        let above = behind.zip(BEHIND..).find(|(name, _)| **name == service);
        let above = above.map_or(0, |(_, above)| above);
        (self.http.saturating_add(above), self.grpc.saturating_add(above))
    }

    fn wanted(&self, stored: Stored, traced: bool) -> Vec<Wanted> {
        let one = |port, who: &str, variable| Wanted { port, who: who.to_owned(), variable };
        let mut wanted = vec![
            one(self.kafka, "Kafka", "KAFKA_PORT"),
            one(self.kafka.saturating_add(1), "Kafka's controller", "KAFKA_PORT"),
            one(self.redis, "Redis", "REDIS_PORT"),
        ];
        for service in SERVICES {
            let (http, grpc) = self.of(service);
            wanted.push(one(http, &format!("HTTP of {service}"), "HTTP_PORT"));
            wanted.push(one(grpc, &format!("gRPC of {service}"), "GRPC_PORT"));
        }
        if stored == Stored::Postgres {
            wanted.push(one(self.postgres, "PostgreSQL", "POSTGRES_PORT"));
        }
        if traced {
            wanted.push(one(self.otlp, "the collector", "OTLP_PORT"));
            wanted.push(one(self.zipkin, "Zipkin", "ZIPKIN_PORT"));
        }
        wanted
    }
}

fn port(name: &str, default: u16) -> Result<u16> {
    let Some(text) = variable(name) else { return Ok(default) };
    // Ports of services and of Kafka's controller are counted up from it.
    let port = text.parse::<u16>().ok().filter(|port| (1..65_000).contains(port));
    port.with_context(|| format!("{name}: `{text}` is not a port from 1 to 64999"))
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Refuses ports that somebody has, all at once.
fn refuse_taken(wanted: &[Wanted]) -> Result<()> {
    let is_taken = |wanted: &&Wanted| TcpListener::bind(local(wanted.port)).is_err();
    let taken: Vec<_> = wanted
        .iter()
        .filter(is_taken)
        .map(|one| format!("  {} for {}: say another by {}=…", one.port, one.who, one.variable))
        .collect();
    if !taken.is_empty() {
        bail!("these ports of 127.0.0.1 are in use:\n{}", taken.join("\n"));
    }
    Ok(())
}

/// Where the services keep their tables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// A schema each on one server.
    Postgres,
    /// A file each.
    Sqlite,
}

impl Stored {
    fn read() -> Result<Self> {
        match variable("STORE").as_deref() {
            None | Some("postgres") => Ok(Self::Postgres),
            Some("sqlite") => Ok(Self::Sqlite),
            Some(other) => bail!("STORE: there is no `{other}`; there are postgres and sqlite"),
        }
    }
}

/// What runs, where it writes, and what ends it.
struct Street {
    folder: PathBuf,
    ports: Ports,
    stored: Stored,
    /// In the sequence in which they were started.
    children: Vec<Child>,
    told_to_stop: Arc<AtomicBool>,
}

/// Starts everything, and stops it when told to.
pub(crate) fn run(root: &Path, is_check: bool) -> Result<()> {
    let program = variable("MILLRACE_BIN").context(
        "MILLRACE_BIN must name the millrace program: run `make up-distributed`, or build it with \
         `cargo build --profile ship-test -p millrace`",
    )?;
    let program =
        fs::canonicalize(&program).with_context(|| format!("MILLRACE_BIN: no {program}"))?;
    let traced = variable("TRACE").is_some_and(|value| value != "0");
    let folder = variable("DATA").map_or_else(|| root.join("millrace-data"), PathBuf::from);
    let folder = folder.join("distributed");
    fs::create_dir_all(folder.join("logs"))
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let folder = fs::canonicalize(&folder).context("the folder is gone")?;
    let ports = Ports::read()?;
    let stored = Stored::read()?;
    refuse_taken(&ports.wanted(stored, traced))?;
    let told_to_stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&told_to_stop))
            .context("cannot listen for Ctrl-C")?;
    }
    let mut street = Street { folder, ports, stored, children: Vec::new(), told_to_stop };
    let outcome = street.up(&program, traced).and_then(|()| {
        if is_check {
            return check::run(&street.ports, traced);
        }
        street.say_where(traced);
        street.watch()
    });
    street.down();
    // Ctrl-C while things start is no failure.
    if street.is_told() { Ok(()) } else { outcome }
}

impl Street {
    fn is_told(&self) -> bool {
        self.told_to_stop.load(Ordering::Relaxed)
    }

    fn up(&mut self, program: &Path, traced: bool) -> Result<()> {
        // What has to be fetched or built takes minutes the first time: nobody waits for it running.
        let mut servers = vec![
            ("kafka", servers::kafka(&self.folder, self.ports.kafka)?),
            ("redis", servers::redis(&self.folder, self.ports.redis)?),
        ];
        if self.stored == Stored::Postgres {
            servers.push(("postgres", servers::postgres(&self.folder, self.ports.postgres)?));
        }
        if traced {
            let (otlp, zipkin) = (local(self.ports.otlp), self.ports.zipkin);
            servers.push(("zipkin", servers::zipkin(zipkin)?));
            servers.push(("otelcol", servers::collector(&self.folder, otlp, zipkin)?));
        }
        for (name, command) in &servers {
            self.start(name, command)?;
        }
        let kafka_at = local(self.ports.kafka);
        self.wait("kafka", || servers::kafka_answers(kafka_at))?;
        let redis_at = local(self.ports.redis);
        self.wait("redis", || servers::redis_answers(redis_at))?;
        if self.stored == Stored::Postgres {
            let port = self.ports.postgres;
            self.wait("postgres", || servers::postgres_answers(port))?;
        }
        if traced {
            let (otlp, zipkin) = (local(self.ports.otlp), self.ports.zipkin);
            self.wait("zipkin", || check::status(zipkin, "/health") == Some(200))?;
            self.wait("otelcol", || std::net::TcpStream::connect(otlp).is_ok())?;
        }
        for service in SERVICES {
            self.start(service, &self.service(program, service, traced))?;
        }
        for service in SERVICES {
            let (http, _) = self.ports.of(service);
            self.wait(service, || check::is_ready(http))?;
        }
        Ok(())
    }

    /// A process of the product that runs one service.
    fn service(&self, program: &Path, service: &str, traced: bool) -> Command {
        let (http, grpc) = self.ports.of(service);
        let mut command = Command::new(program);
        // What is ours and not the product's would be refused; settings of sections go through.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("MILLRACE_") && !name.contains("__") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(&self.folder)
            .args(["up", "--services", service])
            .args(["--http", &local(http).to_string(), "--grpc", &local(grpc).to_string()])
            .arg("--data")
            .arg(self.folder.join(service))
            .env("MILLRACE_BUS", "kafka")
            .env("MILLRACE_KAFKA__BOOTSTRAP_SERVERS", local(self.ports.kafka).to_string());
        for (name, value) in DEFAULTS {
            if variable(name).is_none() {
                command.env(name, value);
            }
        }
        for other in SERVICES.iter().filter(|name| **name != "edge") {
            let (_, grpc) = self.ports.of(other);
            let name = format!("MILLRACE_SERVICES__{}__URL", other.to_uppercase());
            command.env(name, format!("http://{}", local(grpc)));
        }
        if self.stored == Stored::Postgres {
            let url = format!("postgres://millrace@{}/postgres", local(self.ports.postgres));
            command.env("MILLRACE_DATABASE__URL", url);
        }
        if traced {
            command.env("MILLRACE_TRACING__OTLP", format!("http://{}", local(self.ports.otlp)));
        }
        if service == "edge" {
            command.env("MILLRACE_REDIS__URL", format!("redis://{}", local(self.ports.redis)));
            command.arg("--demo");
        }
        command
    }

    fn start(&mut self, name: &'static str, command: &Command) -> Result<()> {
        let log = self.folder.join("logs").join(format!("{name}.log"));
        println!("== up: {name} starts (log: {})", log.display());
        self.children.push(Child::start(name, command, log)?);
        Ok(())
    }

    fn wait(&mut self, name: &str, is_ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + START_MAX;
        let begun = Instant::now();
        while !is_ready() {
            if self.is_told() {
                bail!("told to stop");
            }
            self.look()?;
            if Instant::now() > deadline {
                let child = self.children.iter().find(|child| child.name == name);
                let log = child.map_or(String::new(), Child::last_lines);
                bail!("{name} is not ready after {} s:\n{log}", START_MAX.as_secs());
            }
            thread::sleep(LOOK);
        }
        println!("== up: {name} is ready ({} ms)", begun.elapsed().as_millis());
        Ok(())
    }

    /// An error if anything has ended by itself.
    fn look(&mut self) -> Result<()> {
        for child in &mut self.children {
            if let Some(status) = child.ended()? {
                bail!("{} has ended by itself ({status}):\n{}", child.name, child.last_lines());
            }
        }
        Ok(())
    }

    fn watch(&mut self) -> Result<()> {
        while !self.is_told() {
            self.look()?;
            thread::sleep(LOOK);
        }
        Ok(())
    }

    fn say_where(&self, traced: bool) {
        let ports = &self.ports;
        println!(
            "\nmillrace is up: http://127.0.0.1:{} (screens at /ui/, API at /docs)",
            ports.http
        );
        println!("  Kafka      127.0.0.1:{}", ports.kafka);
        println!("  Redis      127.0.0.1:{}", ports.redis);
        if self.stored == Stored::Postgres {
            println!("  PostgreSQL 127.0.0.1:{}", ports.postgres);
        }
        for service in SERVICES {
            let (http, grpc) = ports.of(service);
            println!("  {service:<12} metrics http://127.0.0.1:{http}/metrics, gRPC {grpc}");
        }
        if traced {
            println!("  Zipkin     http://127.0.0.1:{}/zipkin/", ports.zipkin);
        }
        println!("  logs       {}", self.folder.join("logs").display());
        println!(
            "try it:\n  curl --location 'localhost:{}/orders' --header 'Content-Type: \
             application/json' \\\n    --data '{}'\nCtrl-C stops everything.",
            ports.http,
            check::ORDER
        );
    }

    /// Ends everything, the last first, and waits for each.
    fn down(&mut self) {
        println!();
        while let Some(mut child) = self.children.pop() {
            println!("== down: {}", child.name);
            if let Err(error) = child.end() {
                eprintln!("xtask: {error:#}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports() -> Ports {
        let (kafka, postgres, redis) = (9092, 5432, 6379);
        Ports { http: 8090, grpc: 9090, kafka, postgres, redis, otlp: 4317, zipkin: 9411 }
    }

    #[test]
    fn no_two_listen_on_one_port() {
        let mut wanted: Vec<_> =
            ports().wanted(Stored::Postgres, true).iter().map(|one| one.port).collect();
        assert_eq!(wanted.len(), 3 + 2 * SERVICES.len() + 3);
        wanted.sort_unstable();
        let count = wanted.len();
        wanted.dedup();
        assert_eq!(wanted.len(), count);
        assert_eq!(ports().of("edge"), (8090, 9090));
    }

    #[test]
    fn a_port_in_use_is_refused_with_the_variable_that_says_another() {
        let listener = TcpListener::bind(local(0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let wanted = [Wanted { port, who: "Kafka".to_owned(), variable: "KAFKA_PORT" }];
        let error = refuse_taken(&wanted).unwrap_err().to_string();
        assert!(error.contains(&format!("{port} for Kafka")), "{error}");
        assert!(error.contains("KAFKA_PORT="), "{error}");
    }
}

//! The running product: one process, or one for each service with Kafka between them.

mod processes;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::broker::{Broker, free_address};
use crate::client::{Call, Client};
use crate::database::{self, Database};
use crate::process::{LOOK, Process, START_MAX, log_of};
use crate::program;
use crate::redis::Redis;
use crate::shop::Shop;

/// The variable that chooses how the product runs: `distributed`, or one process.
const SHAPE: &str = "MILLRACE_TEST_SHAPE";

/// The services that have a process each in the distributed shape, the one that all HTTP goes to last.
const SERVICES: [&str; 7] =
    ["catalog", "customer", "inventory", "payment", "order", "notification", "edge"];

/// Between two audits, and how many: 20 s, beside what the audits themselves take.
const SETTLE_LOOK: Duration = Duration::from_millis(100);
const SETTLE_LOOKS_MAX: u32 = 200;

/// Topics of servers on one broker do not meet.
static SERVERS: AtomicU32 = AtomicU32::new(1);

/// Whether each service runs in a process of its own.
#[must_use]
pub fn is_distributed() -> bool {
    #[expect(clippy::disallowed_methods, reason = "how the tests run is told to them")]
    let shape = std::env::var(SHAPE);
    shape.is_ok_and(|shape| shape == "distributed")
}

/// How to start the product.
#[derive(Debug, Clone, Default)]
pub struct Options {
    demo: bool,
    distributed: bool,
    broker: Option<Arc<Broker>>,
    database: Option<Arc<Database>>,
    redis: Option<Arc<Redis>>,
    config: String,
    /// Services that may have a second process, which is started later.
    seconds: Vec<&'static str>,
    /// Variables of every process; `{service}` in a value is the name of what it runs.
    settings: Vec<(String, String)>,
}

impl Options {
    /// With demo data.
    #[must_use]
    pub fn demo() -> Self {
        Self { demo: true, ..Self::default() }
    }

    /// The same, as a process for each service with Kafka between them.
    #[must_use]
    pub fn distributed(mut self) -> Self {
        self.distributed = true;
        self
    }

    /// The same, with this broker between them instead of the one that tests share.
    #[must_use]
    pub fn on_broker(mut self, broker: Arc<Broker>) -> Self {
        (self.distributed, self.broker) = (true, Some(broker));
        self
    }

    /// The same, with this variable for every process. `{service}` in `value` becomes the name of the
    /// service that the process runs: for databases that each has to itself.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, on this database server instead of the one that tests share, if they do.
    #[must_use]
    pub fn on_database(mut self, database: Arc<Database>) -> Self {
        self.database = Some(database);
        self
    }

    /// The same, with an address for a second process of `service`: everybody knows it from the start, and
    /// it is started by [`Server::revive`], as `service-2`.
    #[must_use]
    pub fn with_second(mut self, service: &'static str) -> Self {
        self.seconds.push(service);
        self
    }

    /// The same, as a process for each service, with this cache instead of the one that tests share.
    #[must_use]
    pub fn cached_by(mut self, redis: Arc<Redis>) -> Self {
        (self.distributed, self.redis) = (true, Some(redis));
        self
    }

    /// The same, with this configuration file.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.config);
        self
    }
}

/// The product, running in a temporary folder until it is dropped.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    options: Options,
    /// The processes by the services that they run; `None` for all of them in one.
    parts: Vec<Part>,
    /// What all of them have in their environment.
    environment: Vec<(String, String)>,
    /// What carries their events, if they do not share a log.
    broker: Option<Arc<Broker>>,
    /// Where their stores are, if they are on a server.
    database: Option<(Arc<Database>, String)>,
    /// Their cache, if they have one; it lives as long as they do.
    _redis: Option<Arc<Redis>>,
    http: Client,
    url: String,
    grpc: SocketAddr,
    ready_after: Duration,
}

/// One process of the product, whether it runs or not.
#[derive(Debug)]
struct Part {
    service: Option<&'static str>,
    /// The service, and behind a dash the number of a process that is not its first; `all` for all of them.
    name: String,
    /// Where its HTTP and gRPC are to be; port 0 takes a free one at each start.
    http_at: SocketAddr,
    grpc: SocketAddr,
    http: Client,
    process: Option<Process>,
}

impl Part {
    fn new(service: Option<&'static str>, http_at: SocketAddr, grpc: SocketAddr) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let name = service.unwrap_or("all").to_owned();
        Self { service, name, http_at, grpc, http: Client::new(nowhere), process: None }
    }

    /// Another process for the same service.
    fn second(service: &'static str) -> Self {
        let part = Self::new(Some(service), free_address(), free_address());
        Self { name: format!("{service}-2"), ..part }
    }

    /// Whether it is the first process of what it runs: there from the start, and with tables that no
    /// other one of them has.
    fn is_first(&self) -> bool {
        self.name == self.service.unwrap_or("all")
    }
}

impl Server {
    /// Starts it with demo data.
    pub async fn start() -> Self {
        Self::start_with(Options::demo()).await
    }

    /// Starts it with demo data and this configuration file.
    pub async fn configured(toml: &str) -> Self {
        Self::start_with(Options::demo().config(toml)).await
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// If it does not become ready.
    pub async fn start_with(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (mut environment, mut broker, mut redis) = (Vec::new(), None, None);
        let parts = if options.distributed || is_distributed() {
            let shared = if let Some(broker) = options.broker.clone() {
                broker
            } else {
                let shared = tokio::task::spawn_blocking(Broker::shared).await;
                shared.expect("the broker starts")
            };
            // Others know where a process is, so it is there again after a restart.
            let part = |service| Part::new(Some(service), free_address(), free_address());
            let seconds = options.seconds.iter().map(|service| Part::second(service));
            let parts: Vec<_> = SERVICES.into_iter().map(part).chain(seconds).collect();
            environment = distributed(&shared, &parts);
            redis = Some(Redis::given_or_shared(options.redis.clone(), &mut environment).await);
            broker = Some(shared);
            parts
        } else {
            vec![Part::new(None, any, any)]
        };
        let (on, kind) = (options.database.clone(), database::chosen());
        let database = if on.is_some() || kind.is_some() {
            let begun = tokio::task::spawn_blocking(move || {
                let shared = || kind.map(Database::shared);
                let database = on.or_else(shared).expect("a server is given or chosen");
                let place = database.place();
                (database, place)
            });
            Some(begun.await.expect("the database starts"))
        } else {
            None
        };
        if let Some((_, address)) = &database {
            environment.push(("MILLRACE_DATABASE__URL".to_owned(), address.clone()));
        }
        let mut server = Self {
            folder,
            options,
            parts,
            environment,
            broker,
            database,
            _redis: redis,
            http: Client::new(nowhere),
            url: String::new(),
            grpc: nowhere,
            ready_after: Duration::ZERO,
        };
        server.begin().await;
        server
    }

    /// Starts it again on the same folder, with fresh ports.
    ///
    /// # Panics
    ///
    /// If it is running.
    pub async fn restart(&mut self) {
        assert!(self.parts.iter().all(|part| part.process.is_none()), "it is running");
        self.begin().await;
    }

    async fn begin(&mut self) {
        let begun = Instant::now();
        // Once for all: a process that reads the file while it is written takes the half for the whole.
        if !self.options.config.is_empty() {
            fs::write(self.config_path(), &self.options.config)
                .expect("the folder can be written to");
        }
        for index in 0..self.parts.len() {
            if self.parts[index].is_first() {
                let command = self.command(&self.parts[index]);
                let log = self.log_path(&self.parts[index]);
                self.parts[index].process = Some(Process::start(command, log));
            }
        }
        for part in self.parts.iter_mut().filter(|part| part.is_first()) {
            let process = part.process.as_mut().expect("it was started");
            let (http, grpc) = process.ready().await;
            part.http = Client::new(http);
            if part.service.is_none_or(|service| service == "edge") {
                (self.http, self.url) = (Client::new(http), format!("http://{http}"));
            }
            if part.service.is_none_or(|service| service == "order") {
                self.grpc = grpc;
            }
        }
        self.ready_after = begun.elapsed();
    }

    fn command(&self, part: &Part) -> Command {
        let mut command = program::command(&["up"]);
        command.arg("--http").arg(part.http_at.to_string());
        command.arg("--grpc").arg(part.grpc.to_string());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let name = part.service.unwrap_or("all");
        let set = self.options.settings.iter();
        command.envs(set.map(|(key, value)| (key, value.replace("{service}", name))));
        command.arg("--data").arg(self.data_of(part));
        if let Some(service) = part.service {
            command.args(["--services", service]);
        }
        if self.options.demo && part.service.is_none_or(|service| service == "edge") {
            command.arg("--demo");
        }
        if !self.options.config.is_empty() {
            command.arg("--config").arg(self.config_path());
        }
        command
    }

    fn config_path(&self) -> PathBuf {
        self.folder.path().join("millrace.toml")
    }

    fn log_path(&self, part: &Part) -> PathBuf {
        self.folder.path().join(format!("{}.log", part.name))
    }

    /// The last lines of the logs.
    fn log(&self) -> String {
        let log = |part: &Part| format!("--- {}\n{}\n", part.name, log_of(&self.log_path(part)));
        self.parts.iter().map(log).collect()
    }

    fn data_of(&self, part: &Part) -> PathBuf {
        let data = self.data();
        if part.service.is_some() { data.join(&part.name) } else { data }
    }

    /// The folder with its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder that goes away with the server.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until every part works of what answers HTTP: a cache, say, is not there before the topics that
    /// keep it right are heard, and requests can be served before.
    ///
    /// # Panics
    ///
    /// If that takes longer than any start.
    pub async fn is_whole(&self) {
        let deadline = Instant::now() + START_MAX;
        loop {
            let told = self.get("/readyz").send().await.json();
            if told["status"] == "ready" {
                return;
            }
            assert!(Instant::now() < deadline, "{told:#}");
            sleep(LOOK).await;
        }
    }

    /// A client of its HTTP port.
    #[must_use]
    pub fn http(&self) -> &Client {
        &self.http
    }

    /// Where its HTTP port is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The broker between the processes.
    ///
    /// # Panics
    ///
    /// If there is one process only.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("services have processes of their own")
    }

    /// What the names of all topics begin with.
    #[must_use]
    pub fn topic_prefix(&self) -> &str {
        let set = self.environment.iter().find(|(name, _)| name.ends_with("TOPIC_PREFIX"));
        set.map_or("", |(_, prefix)| prefix)
    }

    /// A client of the HTTP port of the process that runs `service`.
    ///
    /// # Panics
    ///
    /// If there is no such service.
    #[must_use]
    pub fn http_of(&self, service: &str) -> &Client {
        let runs = |part: &&Part| part.service.is_none_or(|name| name == service);
        &self.parts.iter().find(runs).expect("a process runs the service").http
    }

    /// Where its gRPC port is: where orders are, if services have ports of their own.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where the gRPC port of `service` is.
    #[must_use]
    pub fn grpc_of(&self, service: &str) -> SocketAddr {
        let part = self.parts.iter().find(|part| part.service == Some(service));
        part.map_or(self.grpc, |part| part.grpc)
    }

    /// The words of the business.
    #[must_use]
    pub fn shop(&self) -> Shop {
        Shop::new(self.http.clone())
    }

    /// How long the last start took, from the start of the process to the first 200 of `/readyz`.
    #[must_use]
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// A GET of `path`, to be sent.
    #[must_use]
    pub fn get(&self, path: &str) -> Call {
        self.http.get(path)
    }

    /// A POST of `body` to `path`, to be sent.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.http.post(path, body)
    }

    /// A PUT of `body` to `path`, to be sent.
    #[must_use]
    pub fn put(&self, path: &str, body: &Value) -> Call {
        self.http.put(path, body)
    }

    /// Audits the data, beside the running process or without it.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold, or the data could not be checked.
    pub fn audit(&self) -> Value {
        let (is_clean, report) = self.try_audit();
        assert!(is_clean, "the audit is not clean: {report:#}");
        report
    }

    /// Audits the data; gives whether everything holds, and the report.
    pub fn try_audit(&self) -> (bool, Value) {
        let Some((database, address)) = &self.database else {
            return program::try_audit("--data", &self.stores());
        };
        let has_tables = |part: &&Part| part.service != Some("edge") && part.is_first();
        let schema = |part: &Part| {
            let schema = database.schema(address, part.service.unwrap_or("millrace"));
            format!("{address}?schema={schema}")
        };
        let addresses: Vec<_> = self.parts.iter().filter(has_tables).map(schema).collect();
        program::try_audit("--database", &addresses)
    }

    /// The folders of the stores.
    fn stores(&self) -> Vec<PathBuf> {
        let has_tables = |part: &&Part| part.service != Some("edge") && part.is_first();
        self.parts.iter().filter(has_tables).map(|part| self.data_of(part)).collect()
    }

    /// Ends the test: audits once every event is handled, and ends the process.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold, or events stay on the way.
    pub fn finish(self) {
        // Nobody is waited for but the other process, so this thread may rest.
        for _ in 0..SETTLE_LOOKS_MAX {
            if self.audit()["unsettled"] == 0 {
                return;
            }
            thread::sleep(SETTLE_LOOK);
        }
        panic!("some orders have events on the way that nobody handles: {:#}", self.audit());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for part in &mut self.parts {
            if let Some(mut process) = part.process.take() {
                process.end();
            }
        }
        if thread::panicking() {
            eprintln!("the last lines of the logs:\n{}", self.log());
        }
    }
}

/// What tells processes of each other.
fn distributed(broker: &Broker, parts: &[Part]) -> Vec<(String, String)> {
    let number = SERVERS.fetch_add(1, Ordering::Relaxed);
    let own = |name: &str, value: String| (format!("MILLRACE_{name}"), value);
    let mut environment = vec![
        own("BUS", "kafka".to_owned()),
        own("KAFKA__BOOTSTRAP_SERVERS", broker.bootstrap()),
        own("KAFKA__TOPIC_PREFIX", format!("it{}.{number}.", std::process::id())),
        own("KAFKA__PARTITIONS", "3".to_owned()),
    ];
    for service in SERVICES.into_iter().filter(|name| *name != "edge") {
        let of_it = parts.iter().filter(|part| part.service == Some(service));
        let urls: Vec<_> = of_it.map(|part| format!("http://{}", part.grpc)).collect();
        environment
            .push(own(&format!("SERVICES__{}__URL", service.to_uppercase()), urls.join(",")));
    }
    environment
}

//! The running product: one process, or one for each service with Kafka between them.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
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
use crate::process::{LOOK, Process, log_of};
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
    twins: &'static [&'static str],
    redis: Option<Arc<Redis>>,
    config: String,
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

    /// The same, where each of `services` may have a second instance: [`Server::join`] starts it.
    #[must_use]
    pub fn with_twins_of(mut self, services: &'static [&'static str]) -> Self {
        self.twins = services;
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
    /// Whether it is the second instance of its service, which runs only now and then.
    is_twin: bool,
    /// Where its HTTP and gRPC are to be; port 0 takes a free one at each start.
    http_at: SocketAddr,
    grpc: SocketAddr,
    http: Client,
    process: Option<Process>,
}

impl Part {
    fn new(service: Option<&'static str>, http_at: SocketAddr, grpc: SocketAddr) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let (is_twin, process) = (false, None);
        Self { service, is_twin, http_at, grpc, http: Client::new(nowhere), process }
    }

    /// The name of its files.
    fn name(&self) -> String {
        let name = self.service.unwrap_or("all");
        if self.is_twin { format!("{name}-twin") } else { name.to_owned() }
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
            let mut parts: Vec<_> = SERVICES.into_iter().map(part).collect();
            parts.extend(options.twins.iter().map(|twin| Part { is_twin: true, ..part(*twin) }));
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
        let first = self.parts.iter().filter(|part| !part.is_twin).count();
        for index in 0..first {
            let command = self.command(&self.parts[index]);
            let log = self.log_path(&self.parts[index]);
            self.parts[index].process = Some(Process::start(command, log));
        }
        for part in &mut self.parts[..first] {
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
        self.folder.path().join(format!("{}.log", part.name()))
    }

    /// The last lines of the logs.
    fn log(&self) -> String {
        let log = |part: &Part| {
            let lines = log_of(&self.log_path(part));
            format!("--- {}\n{lines}\n", part.name())
        };
        self.parts.iter().map(log).collect()
    }

    fn data_of(&self, part: &Part) -> PathBuf {
        let data = self.folder.path().join("data");
        if part.service.is_none() { data } else { data.join(part.name()) }
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

    /// Ends every process at once, as a power cut would.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn kill_9(&mut self) {
        for part in &mut self.parts {
            let is_twin = part.is_twin;
            match part.process.take() {
                Some(process) => process.kill_9(),
                None => assert!(is_twin, "it is running"),
            }
        }
    }

    /// Starts the second instance of `service`.
    ///
    /// # Panics
    ///
    /// If it runs, is not one of the twins, or does not become ready.
    pub async fn join(&mut self, service: &str) {
        let place = self.twin_of(service);
        assert!(self.parts[place].process.is_none(), "{service} has two instances");
        let command = self.command(&self.parts[place]);
        let mut process = Process::start(command, self.log_path(&self.parts[place]));
        process.ready().await;
        self.parts[place].process = Some(process);
    }

    /// Ends the second instance of `service`: at once, or as it is asked to (SIGTERM).
    ///
    /// # Panics
    ///
    /// If it does not run, or does not end when it is asked to.
    pub fn leave(&mut self, service: &str, at_once: bool) {
        let place = self.twin_of(service);
        let mut process = self.parts[place].process.take().expect("it is running");
        if at_once { process.kill_9() } else { process.end() }
    }

    fn twin_of(&self, service: &str) -> usize {
        let is_it = |part: &Part| part.is_twin && part.service == Some(service);
        self.parts.iter().position(is_it).expect("the service may have a second instance")
    }

    /// Ends the process that runs `service` at once, and starts it again on the same data.
    ///
    /// # Panics
    ///
    /// If there is no such process, or it does not become ready again.
    pub async fn kill_and_restart(&mut self, service: &str) {
        self.kill(service);
        self.revive(service).await;
    }

    fn place_of(&self, service: &str) -> usize {
        let place = self.parts.iter().position(|part| part.service == Some(service));
        place.expect("the service has a process of its own")
    }

    /// Ends the process that runs `service` at once, and leaves it so.
    ///
    /// # Panics
    ///
    /// If there is no such process, or it does not run.
    pub fn kill(&mut self, service: &str) {
        let place = self.place_of(service);
        self.parts[place].process.take().expect("it is running").kill_9();
    }

    /// Starts the process that runs `service` again, on the same data and ports.
    ///
    /// # Panics
    ///
    /// If it runs, or does not become ready.
    pub async fn revive(&mut self, service: &str) {
        let place = self.place_of(service);
        assert!(self.parts[place].process.is_none(), "{service} is running");
        let command = self.command(&self.parts[place]);
        let mut process = Process::start(command, self.log_path(&self.parts[place]));
        let (http, _) = process.ready().await;
        self.parts[place].http = Client::new(http);
        if service == "edge" {
            (self.http, self.url) = (Client::new(http), format!("http://{http}"));
        }
        self.parts[place].process = Some(process);
    }

    /// Sends the process that runs `service` the signal `name`, such as `STOP`.
    ///
    /// # Panics
    ///
    /// If there is no such process, or it does not run.
    pub fn signal(&self, service: &str, name: &str) {
        let process = self.parts[self.place_of(service)].process.as_ref();
        process.expect("it is running").signal(name);
    }

    /// The ids of the processes that run.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        self.parts.iter().filter_map(|part| Some(part.process.as_ref()?.id())).collect()
    }

    /// Bytes that all processes have logged.
    #[must_use]
    pub fn logged_bytes(&self) -> u64 {
        let length = |part: &Part| fs::metadata(self.log_path(part)).map_or(0, |log| log.len());
        self.parts.iter().map(length).sum()
    }

    /// Asks every process to end (SIGTERM); gives how the first that failed ended, or all of them,
    /// and how long that took.
    ///
    /// # Panics
    ///
    /// If one does not end within `max`.
    pub async fn stop(&mut self, max: Duration) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let runs = |part: &Part| !part.is_twin || part.process.is_some();
        for part in self.parts.iter().filter(|part| runs(part)) {
            part.process.as_ref().expect("it is running").ask_to_stop();
        }
        let mut outcome = ExitStatus::default();
        for index in 0..self.parts.len() {
            if !runs(&self.parts[index]) {
                continue;
            }
            let process = self.parts[index].process.as_mut().expect("it is running");
            let status = loop {
                if let Some(status) = process.ended() {
                    break status;
                }
                let in_time = begun.elapsed() <= max;
                assert!(in_time, "it is still running {max:?} after SIGTERM:\n{}", self.log());
                sleep(LOOK).await;
            };
            self.parts[index].process = None;
            if outcome.success() {
                outcome = status;
            }
        }
        (outcome, begun.elapsed())
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
        let has_tables = |part: &&Part| part.service != Some("edge") && !part.is_twin;
        let schema = |part: &Part| {
            let schema = database.schema(address, part.service.unwrap_or("millrace"));
            format!("{address}?schema={schema}")
        };
        let addresses: Vec<_> = self.parts.iter().filter(has_tables).map(schema).collect();
        program::try_audit("--database", &addresses)
    }

    /// The folders of the stores.
    fn stores(&self) -> Vec<PathBuf> {
        let has_tables = |part: &&Part| part.service != Some("edge") && !part.is_twin;
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
    for part in parts.iter().filter(|part| !part.is_twin) {
        let same = parts.iter().filter(|other| other.service == part.service);
        let all: Vec<_> = same.map(|one| format!("http://{}", one.grpc)).collect();
        let service = part.service.unwrap_or_default().to_uppercase();
        environment.push(own(&format!("SERVICES__{service}__URL"), all.join(",")));
    }
    environment.retain(|(name, _)| !name.ends_with("EDGE__URL"));
    environment
}

//! The running product.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{Call, Client};
use crate::program;
use crate::shop::Shop;

/// Longer than any start may take, also beside other work on the same machine.
const START_MAX: Duration = Duration::from_secs(30);

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(5);

/// Between two audits, and how many: 20 s, beside what the audits themselves take.
const SETTLE_LOOK: Duration = Duration::from_millis(100);
const SETTLE_LOOKS_MAX: u32 = 200;

/// Lines of the log that are shown when a test fails.
const LOG_LINES: usize = 40;

/// How to start the product.
#[derive(Debug, Clone, Default)]
pub struct Options {
    demo: bool,
    config: String,
}

impl Options {
    /// With demo data.
    #[must_use]
    pub fn demo() -> Self {
        Self { demo: true, ..Self::default() }
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
    starts: u32,
    process: Option<Child>,
    http: Client,
    url: String,
    grpc: SocketAddr,
    ready_after: Duration,
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
        let mut server = Self {
            folder,
            options,
            starts: 0,
            process: None,
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
        assert!(self.process.is_none(), "it is running");
        self.begin().await;
    }

    async fn begin(&mut self) {
        self.starts += 1;
        let begun = Instant::now();
        let mut process = self.command().spawn().expect("the program can be started");
        let stdout = process.stdout.take().expect("stdout is piped");
        self.process = Some(process);
        let Ok(Ok(line)) = timeout(START_MAX, ready_line(stdout)).await else {
            panic!("the product does not say that it is ready:\n{}", self.log());
        };
        let (http, grpc) = addresses(&line);
        (self.http, self.url, self.grpc) = (Client::new(http), format!("http://{http}"), grpc);
        let is_ready = async || {
            let answer = self.http.get("/readyz").try_send().await;
            answer.is_ok_and(|answer| answer.status == 200)
        };
        self.until("it is ready", is_ready).await;
        self.ready_after = begun.elapsed();
    }

    fn command(&self) -> Command {
        let mut command =
            program::command(&["up", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
        command.arg("--data").arg(self.data());
        if self.options.demo {
            command.arg("--demo");
        }
        if !self.options.config.is_empty() {
            let file = self.folder.path().join("millrace.toml");
            fs::write(&file, &self.options.config).expect("the folder can be written to");
            command.arg("--config").arg(file);
        }
        let log = File::options().create(true).append(true).open(self.log_path());
        let log = log.expect("the folder can be written to");
        command.stdout(Stdio::piped()).stderr(log);
        command
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The last lines of the log.
    fn log(&self) -> String {
        let text = fs::read(self.log_path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        lines.get(from..).unwrap_or_default().join("\n")
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

    /// Where its gRPC port is.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
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

    /// Waits until `condition` is true.
    ///
    /// # Panics
    ///
    /// If it is not true in time.
    async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + START_MAX;
        while !condition().await {
            assert!(Instant::now() < deadline, "waited in vain until {what}:\n{}", self.log());
            sleep(LOOK).await;
        }
    }

    /// Ends the process at once, as a power cut would.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn kill_9(&mut self) {
        let mut process = self.process.take().expect("it is running");
        process.kill().expect("our own child can be killed");
        process.wait().expect("our own child can be waited for");
    }

    /// Asks the process to end (SIGTERM) and gives how it ended and how long that took.
    ///
    /// # Panics
    ///
    /// If it does not end within `max`.
    pub async fn stop(&mut self, max: Duration) -> (ExitStatus, Duration) {
        let mut process = self.process.take().expect("it is running");
        let begun = Instant::now();
        let asked = Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
        assert!(asked.is_ok_and(|status| status.success()), "`kill` can send a signal");
        loop {
            if let Some(status) = process.try_wait().expect("our own child can be waited for") {
                return (status, begun.elapsed());
            }
            if begun.elapsed() > max {
                self.process = Some(process);
                panic!("it is still running {max:?} after SIGTERM:\n{}", self.log());
            }
            sleep(LOOK).await;
        }
    }

    /// Audits the data, beside the running process or without it.
    pub fn audit(&self) -> Value {
        program::audit(&self.data())
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
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself, which a test that minds has seen.
            drop(process.kill());
            drop(process.wait());
        }
        if thread::panicking() {
            eprintln!("the last lines of the log:\n{}", self.log());
        }
    }
}

/// The line that says where the product listens. Goes on reading, so that it can go on writing.
fn ready_line(stdout: ChildStdout) -> oneshot::Receiver<String> {
    let (found, line) = oneshot::channel();
    thread::spawn(move || {
        let mut found = Some(found);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if line.starts_with("millrace ready: ")
                && let Some(found) = found.take()
            {
                // Nobody waits any more if the start took too long.
                drop(found.send(line));
            }
        }
    });
    line
}

/// Reads `millrace ready: http http://127.0.0.1:8090 grpc 127.0.0.1:9090`.
fn addresses(line: &str) -> (SocketAddr, SocketAddr) {
    let after = |word: &str| {
        let mut words = line.split_whitespace().skip_while(|found| *found != word);
        let address = words.nth(1).unwrap_or_default();
        let address = address.trim_start_matches("http://");
        address.parse().unwrap_or_else(|_| panic!("no address after `{word}` in `{line}`"))
    };
    (after("http"), after("grpc"))
}

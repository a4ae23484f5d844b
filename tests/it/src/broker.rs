//! A real Kafka broker of this test's own: one node, `KRaft`, free ports, a temporary folder.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

/// The folder with Kafka's jars, if it is not the one that `cargo xtask parts kafka` fills.
const JARS: &str = "MILLRACE_KAFKA_JARS";
/// The folder below `parts` in the cache. `xtask/src/maven.rs` names it as well.
const CACHED: &str = "kafka-4.1.1";
/// Ports that tests take: Linux gives those from 32,768 on to connections.
const PORT_MIN: u32 = 20_000;
const PORTS: u32 = 12_000;
/// Longer than a broker needs to start, also beside other work on the same machine.
const START_MAX: Duration = Duration::from_mins(1);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(20);
/// A `KRaft` cluster has a name; any will do.
const CLUSTER: &str = "bWlsbHJhY2UtdGVzdHMtMQ";
/// A small heap and the compiler that starts fast: a broker of a test lives for a minute.
const JAVA: [&str; 5] =
    ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
/// Ends the broker as soon as this process is gone, however it went: its end closes the pipe.
/// The folder of a broker that lives as long as this process is removed as well.
const LEASH: &str = r#""$@" </dev/null & broker=$!; read -r _; kill -9 $broker; wait $broker
    test -z "$FOLDER_TO_REMOVE" || rm -rf "$FOLDER_TO_REMOVE""#;

/// A running broker. It ends when this is dropped, or when the process ends.
#[derive(Debug)]
pub struct Broker {
    folder: TempDir,
    address: SocketAddr,
    process: Mutex<Option<Child>>,
    is_shared: bool,
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The folder of the cache with what tests need and cargo does not build.
#[must_use]
pub fn parts() -> PathBuf {
    let home = variable("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from).or(home);
    cache.unwrap_or_default().join("millrace/parts")
}

/// The jars, wherever they are.
///
/// # Panics
///
/// If there are none: a test of Kafka without Kafka has tested nothing.
fn jars() -> PathBuf {
    if let Some(given) = variable(JARS) {
        return given.into();
    }
    let folder = parts().join(CACHED);
    assert!(folder.is_dir(), "Kafka is missing: run `cargo xtask parts kafka`, or `make test`");
    folder
}

/// A port that is free now, and stays so while nobody listens on it: below those that the system
/// gives to connections, and another one at each call.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn free_address() -> SocketAddr {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    // Test programs that run at the same time begin far apart.
    let first = std::process::id().wrapping_mul(97);
    loop {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        assert!(call < PORTS, "there is no free port");
        let port = PORT_MIN + first.wrapping_add(call) % PORTS;
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap_or(0)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn java(folder: &Path) -> Vec<String> {
    let classes = format!("{}/*", jars().display());
    let logging = format!("-Dlog4j2.configurationFile={}/log4j2.properties", folder.display());
    let fixed = JAVA.iter().map(|word| (*word).to_owned());
    std::iter::once("java".to_owned())
        .chain(fixed)
        .chain([logging, "-cp".to_owned(), classes])
        .collect()
}

impl Broker {
    /// The broker that the tests of this process share.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Broker>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| Arc::new(Self::begin(true))))
    }

    /// Starts a broker and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[must_use]
    pub fn start() -> Self {
        Self::begin(false)
    }

    fn begin(is_shared: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (address, controller) = (free_address(), free_address());
        let here = folder.path().display();
        let properties = format!(
            "process.roles=broker,controller\nnode.id=1\n\
             listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
             advertised.listeners=PLAINTEXT://{address}\n\
             controller.quorum.voters=1@{controller}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             log.dirs={here}/log\noffsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=4\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=2\ngroup.initial.rebalance.delay.ms=0\n\
             auto.create.topics.enable=false\n"
        );
        let logging = format!(
            "appender.file.type=File\nappender.file.name=file\n\
             appender.file.fileName={here}/broker.log\nappender.file.layout.type=PatternLayout\n\
             appender.file.layout.pattern=%d %p %c: %m%n\nrootLogger.level=WARN\n\
             rootLogger.appenderRef.file.ref=file\n"
        );
        for (name, text) in [("server.properties", properties), ("log4j2.properties", logging)] {
            fs::write(folder.path().join(name), text).expect("the folder can be written to");
        }
        let broker = Self { folder, address, process: Mutex::default(), is_shared };
        broker.format();
        broker.resume();
        broker
    }

    /// Where clients find it.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("server.properties")
    }

    fn format(&self) {
        let words = java(self.folder.path());
        let (program, arguments) = words.split_first().expect("java is named");
        let output = Command::new(program)
            .args(arguments)
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
            .arg(self.settings())
            .output()
            .expect("java can be started: install Java 17 or newer");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the broker's folder cannot be formatted: {said}");
    }

    /// Starts it again on the same folder and ports, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it is running, or does not answer.
    pub fn resume(&self) {
        let out = self.folder.path().join("out");
        let out = fs::File::options().create(true).append(true).open(out);
        let out = out.expect("the folder can be written to");
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(process.is_none(), "the broker is running");
        let started = Command::new("sh")
            .args(["-c", LEASH, "broker"])
            .env("FOLDER_TO_REMOVE", if self.is_shared { self.folder.path() } else { "".as_ref() })
            .args(java(self.folder.path()))
            .arg("kafka.Kafka")
            .arg(self.settings())
            .stdin(Stdio::piped())
            .stdout(out.try_clone().expect("a file can be shared"))
            .stderr(out)
            .spawn();
        *process = Some(started.expect("`sh` can be started"));
        drop(process);
        let deadline = Instant::now() + START_MAX;
        while !answers(self.address) {
            assert!(Instant::now() < deadline, "the broker does not answer:\n{}", self.log());
            thread::sleep(LOOK);
        }
    }

    /// Ends it at once, as a power cut would.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn kill_9(&self) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut process = process.expect("the broker is running");
        // The end of the pipe is the end of the broker; its shell waits for it.
        drop(process.stdin.take());
        process.wait().expect("our own child can be waited for");
    }

    fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}{}", read("out"), read("broker.log"))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.process.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.kill_9();
        }
    }
}

/// Whether a broker at `address` answers what it can do (`ApiVersions`, version 0): it does so only
/// once it is ready for everything.
fn answers(address: SocketAddr) -> bool {
    let request: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let mut length = [0; 4];
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    let patience = stream.set_read_timeout(Some(Duration::from_secs(5)));
    patience.is_ok() && stream.write_all(&request).is_ok() && stream.read_exact(&mut length).is_ok()
}

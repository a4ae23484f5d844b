//! A real Redis of this test's own, on a free port, in a temporary folder. It writes to the disk only
//! when it is told to, so that what it remembers after a restart is what the test wants it to.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::broker::free_address;

/// The program, if it is not in a usual place.
const PROGRAM: &str = "MILLRACE_REDIS";
/// Longer than it needs to start, also beside other work on the same machine.
const START_MAX: Duration = Duration::from_mins(1);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);
/// Ends the server as soon as this process is gone, however it went: its end closes the pipe. The
/// folder of a server that lives as long as this process is removed as well.
const LEASH: &str = r#""$@" </dev/null & server=$!; echo $server; read -r _; kill -9 $server; wait $server
    test -z "$FOLDER_TO_REMOVE" || rm -rf "$FOLDER_TO_REMOVE""#;

/// A running server. It ends when this is dropped, or when the process ends.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    address: SocketAddr,
    /// The shell that holds the leash, and the id of the server.
    process: Mutex<Option<(Child, String)>>,
    is_shared: bool,
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The server's program.
///
/// # Panics
///
/// If there is none: a test of a cache without one has tested nothing.
fn program() -> PathBuf {
    let path = variable("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("redis-server"));
    let given = variable(PROGRAM).map(PathBuf::from).into_iter();
    let found = given.chain(on_path).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("`redis-server` is missing: run `cargo xtask parts redis`, or `make test`")
    })
}

impl Redis {
    /// The server that the tests of this process share.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Redis>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| Arc::new(Self::begin(true))))
    }

    /// The server that is given, or the shared one, as `environment` then tells the product.
    pub(crate) async fn given_or_shared(
        given: Option<Arc<Self>>,
        environment: &mut Vec<(String, String)>,
    ) -> Arc<Self> {
        let redis = match given {
            Some(given) => given,
            None => tokio::task::spawn_blocking(Self::shared).await.expect("Redis starts"),
        };
        let prefix = environment.iter().find(|(name, _)| name.ends_with("TOPIC_PREFIX"));
        let prefix = prefix.map_or("it", |(_, prefix)| prefix).to_owned();
        environment.push(("MILLRACE_REDIS__URL".to_owned(), redis.url()));
        environment.push(("MILLRACE_REDIS__PREFIX".to_owned(), prefix));
        redis
    }

    /// Starts a server and waits until it answers.
    #[must_use]
    pub fn start() -> Self {
        Self::begin(false)
    }

    fn begin(is_shared: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let redis = Self { folder, address: free_address(), process: Mutex::default(), is_shared };
        redis.resume();
        redis
    }

    /// Its address, as the product is told it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// The file that `SAVE` writes.
    #[must_use]
    pub fn saved(&self) -> PathBuf {
        self.folder.path().join("dump.rdb")
    }

    /// Starts it again, with what it had written to the disk, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it is running, or does not answer.
    pub fn resume(&self) {
        let out = File::options().create(true).append(true).open(self.folder.path().join("out"));
        let out = out.expect("the folder can be written to");
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(process.is_none(), "the server is running");
        let started = Command::new("sh")
            .args(["-c", LEASH, "server"])
            .env("FOLDER_TO_REMOVE", if self.is_shared { self.folder.path() } else { "".as_ref() })
            .arg(program())
            .args(["--port", &self.address.port().to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--logfile"])
            .arg(self.folder.path().join("log"))
            .arg("--dir")
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(out)
            .spawn();
        let mut child = started.expect("`sh` can be started");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut id = String::new();
        BufReader::new(stdout).read_line(&mut id).expect("the shell says its child's id");
        *process = Some((child, id.trim().to_owned()));
        drop(process);
        let deadline = Instant::now() + START_MAX;
        while self.try_say("PING").is_none_or(|answer| !answer.starts_with("+PONG")) {
            assert!(Instant::now() < deadline, "Redis does not answer:\n{}", self.log());
            thread::sleep(LOOK);
        }
    }

    /// The first bytes of the answer to a command without arguments that need quotes.
    fn try_say(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, LOOK).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut answer = [0; 256];
        let length = stream.read(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    /// Gives it a command, such as `FLUSHALL`, or `SAVE` to write what it has to the disk.
    ///
    /// # Panics
    ///
    /// If it refuses.
    pub fn say(&self, command: &str) -> String {
        let answer = self.try_say(command).unwrap_or_default();
        assert!(!answer.is_empty() && !answer.starts_with('-'), "{command}: {answer}");
        answer
    }

    /// Ends it at once, as a power cut would.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn kill_9(&self) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (mut leash, _) = process.expect("the server is running");
        // The end of the pipe is the end of the server; its shell waits for it.
        drop(leash.stdin.take());
        leash.wait().expect("our own child can be waited for");
    }

    /// Sends it the signal `name`, such as `STOP`.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn signal(&self, name: &str) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, id) = process.as_ref().expect("the server is running");
        let sent = Command::new("kill").args([&format!("-{name}"), id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "`kill` can send a signal");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if self.process.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.kill_9();
        }
    }
}

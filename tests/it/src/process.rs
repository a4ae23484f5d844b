//! One process of the product.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::client::Client;

/// Longer than any start may take, also beside other work on the same machine.
pub(crate) const START_MAX: Duration = Duration::from_mins(1);

/// Between two looks at a condition.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// Lines of the log that are shown when a test fails.
const LOG_LINES: usize = 40;

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    ready: Option<oneshot::Receiver<String>>,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it logs goes to the end of `log`.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log);
        let file = file.expect("the folder can be written to");
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn();
        let child_out = child.as_mut().expect("the program can be started").stdout.take();
        let ready = Some(ready_line(child_out.expect("stdout is piped")));
        Self { child: child.expect("the program can be started"), ready, log }
    }

    /// Waits until it says that it is ready; gives where it serves HTTP and gRPC.
    pub(crate) async fn ready(&mut self) -> (SocketAddr, SocketAddr) {
        let ready = self.ready.take().expect("it is asked once");
        let Ok(Ok(line)) = timeout(START_MAX, ready).await else {
            panic!("the product does not say that it is ready:\n{}", log_of(&self.log));
        };
        let (http, grpc) = addresses(&line);
        let client = Client::new(http);
        let deadline = Instant::now() + START_MAX;
        while client.get("/readyz").try_send().await.map_or(true, |answer| answer.status != 200) {
            assert!(Instant::now() < deadline, "it is not ready:\n{}", log_of(&self.log));
            sleep(LOOK).await;
        }
        (http, grpc)
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill_9(mut self) {
        self.child.kill().expect("our own child can be killed");
        self.child.wait().expect("our own child can be waited for");
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn ask_to_stop(&self) {
        self.signal("TERM");
    }

    /// Sends it the signal `name`.
    pub(crate) fn signal(&self, name: &str) {
        let signal = format!("-{name}");
        let sent = Command::new("kill").args([signal, self.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "`kill` can send a signal");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child can be waited for")
    }

    /// Ends it; it may have ended by itself, which a test that minds has seen.
    pub(crate) fn end(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The last lines of a log.
pub(crate) fn log_of(path: &PathBuf) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
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

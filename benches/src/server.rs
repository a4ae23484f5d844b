//! The real binary, as a server and as a generator of load.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// The variable that names the binary to measure. It is not configuration of Millrace itself.
const BINARY: &str = "MILLRACE_BIN";
/// How long a server may take to be ready.
const READY_TRIES: u32 = 200;
const READY_PAUSE: Duration = Duration::from_millis(50);

/// The binary to measure: `MILLRACE_BIN`, or the one beside this program, built if need be.
#[expect(clippy::disallowed_methods, reason = "a tool is told by the environment what to measure")]
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    if let Ok(path) = std::env::var(BINARY) {
        return Ok(PathBuf::from(path));
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "-p", "millrace"])
        .status()
        .context("cannot start cargo; set MILLRACE_BIN to what is to be measured")?;
    ensure!(built.success(), "millrace cannot be built");
    let own = std::env::current_exe()?;
    let beside = own.parent().context("this program stands nowhere")?;
    Ok(beside.join(format!("millrace{}", std::env::consts::EXE_SUFFIX)))
}

/// A running server with a database of its own; it ends with this value.
pub(crate) struct Server {
    child: Child,
    http: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    pub(crate) fn start(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        let (http, grpc) = free_addresses()?;
        let child = Command::new(binary)
            .args(["up", "--http", &http.to_string(), "--grpc", &grpc.to_string(), "--data"])
            .arg(folder)
            .env_remove(BINARY)
            .env("MILLRACE_LOG__FILTER", "warn")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut server = Self { child, http };
        for _ in 0..READY_TRIES {
            if is_ready(http) {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended before it was ready: {status}");
            }
            sleep(READY_PAUSE);
        }
        bail!("the server is not ready after ten seconds")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }
}

/// Two addresses that nobody uses now.
fn free_addresses() -> anyhow::Result<(SocketAddr, SocketAddr)> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((first.local_addr()?, second.local_addr()?))
}

fn is_ready(addr: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&addr, READY_PAUSE)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// `millrace load`.
pub(crate) struct Generator {
    pub(crate) binary: PathBuf,
    pub(crate) seconds: u64,
}

impl Generator {
    /// Runs the load against `url` and returns its report.
    pub(crate) fn run(&self, url: &str, flags: &[&str]) -> anyhow::Result<Value> {
        let output = Command::new(&self.binary)
            .args(["load", "--json", "--url", url, "--seconds", &self.seconds.to_string()])
            .args(flags)
            .env_remove(BINARY)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("the load {flags:?} has no report: {}", output.status))
    }
}

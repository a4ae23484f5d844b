//! A real database server of this test's own: PostgreSQL or MariaDB, on a free port, in a temporary
//! folder, with the settings that they come with: every COMMIT is on the disk.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::broker::free_address;

/// The variable that chooses the database of the product: `sqlite`, `postgres` or `mariadb`.
const CHOICE: &str = "MILLRACE_TEST_DATABASE";
/// Longer than a server needs to start, also beside other work on the same machine.
const START_MAX: Duration = Duration::from_mins(1);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(20);
/// Ends the server as soon as this process is gone, however it went: its end closes the pipe. The
/// folder of a server that lives as long as this process is removed as well.
const LEASH: &str = r#""$@" </dev/null & server=$!; read -r _; kill -9 $server; wait $server
    test -z "$FOLDER_TO_REMOVE" || rm -rf "$FOLDER_TO_REMOVE""#;

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    Mariadb,
}

/// A running server. It ends when this is dropped, or when the process ends.
#[derive(Debug)]
pub struct Database {
    kind: Kind,
    folder: TempDir,
    address: SocketAddr,
    process: Mutex<Option<Child>>,
    is_shared: bool,
}

/// Which server the product is to run on, as the environment says; `None` for SQLite.
///
/// # Panics
///
/// If it says anything else.
#[must_use]
pub fn chosen() -> Option<Kind> {
    let choice = variable(CHOICE)?;
    match choice.to_string_lossy().as_ref() {
        "sqlite" => None,
        "postgres" => Some(Kind::Postgres),
        "mariadb" => Some(Kind::Mariadb),
        other => panic!("{CHOICE} is {other}; there are sqlite, postgres and mariadb"),
    }
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The program of a server, if it is installed.
fn program(kind: Kind) -> Option<PathBuf> {
    let (named, program) = match kind {
        Kind::Postgres => ("MILLRACE_POSTGRES", "postgres"),
        Kind::Mariadb => ("MILLRACE_MARIADB", "mariadbd"),
    };
    let path = variable("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(program));
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> =
        versions.map(|version| version.path().join("bin").join(program)).collect();
    versions.sort();
    let given = variable(named).map(PathBuf::from).into_iter();
    let places = given.chain(versions.into_iter().rev()).chain(on_path);
    places.chain([PathBuf::from("/usr/sbin").join(program)]).find(|file| file.is_file())
}

/// The folder with the programs of a server.
fn programs(kind: Kind) -> PathBuf {
    let name = if kind == Kind::Postgres { "postgres" } else { "mariadb" };
    let found = program(kind).unwrap_or_else(|| {
        panic!("{} is missing: run `cargo xtask parts {name}`, or `make test`", kind.name())
    });
    let found = fs::canonicalize(&found).unwrap_or(found);
    found.parent().map(Path::to_owned).unwrap_or_default()
}

fn is_root() -> bool {
    let asked = Command::new("id").arg("-u").output().expect("`id` can be started");
    asked.stdout.trim_ascii() == b"0"
}

impl Kind {
    /// As a table shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Mariadb => "MariaDB",
        }
    }
}

impl Database {
    /// Whether such a server is installed.
    #[must_use]
    pub fn is_found(kind: Kind) -> bool {
        program(kind).is_some()
    }

    /// The server that the tests of this process share.
    #[must_use]
    pub fn shared(kind: Kind) -> Arc<Self> {
        static POSTGRES: OnceLock<Arc<Database>> = OnceLock::new();
        static MARIADB: OnceLock<Arc<Database>> = OnceLock::new();
        let shared = if kind == Kind::Postgres { &POSTGRES } else { &MARIADB };
        Arc::clone(shared.get_or_init(|| Arc::new(Self::begin(kind, true))))
    }

    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[must_use]
    pub fn start(kind: Kind) -> Self {
        Self::begin(kind, false)
    }

    fn begin(kind: Kind, is_shared: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let process = Mutex::default();
        let database = Self { kind, folder, address: free_address(), process, is_shared };
        database.make();
        database.resume();
        database
    }

    /// A command as the user that the server accepts.
    fn command(&self, program: &str) -> Vec<OsString> {
        let program = programs(self.kind).join(program).into_os_string();
        if self.kind == Kind::Postgres && is_root() {
            let user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"];
            return user.into_iter().map(OsString::from).chain([program]).collect();
        }
        vec![program]
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(words: &[OsString], arguments: &[&str]) {
        let (program, first) = words.split_first().expect("a program is named");
        let output = Command::new(program).args(first).args(arguments).output();
        let output = output
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {arguments:?}: {said}", program.display());
    }

    fn make(&self) {
        let data = self.data();
        let data = data.to_str().expect("a temporary folder has a plain name");
        match self.kind {
            Kind::Postgres => {
                if is_root() {
                    let folder = self.folder.path().to_str().unwrap_or_default();
                    Self::run(&["chown".into()], &["postgres", folder]);
                }
                let flags = ["-A", "trust", "-U", "millrace", "-E", "UTF8", "--locale=C.UTF-8"];
                let more = ["--no-sync", "-D", data];
                let words = self.command("initdb");
                Self::run(&words, &[&flags[..], &more[..]].concat());
            }
            Kind::Mariadb => {
                let place = format!("--datadir={data}");
                let words = ["mariadb-install-db".into()];
                let root = if is_root() { "--user=root" } else { "--skip-name-resolve" };
                Self::run(
                    &words,
                    &[
                        "--no-defaults",
                        "--auth-root-authentication-method=normal",
                        "--skip-test-db",
                        root,
                        &place,
                    ],
                );
            }
        }
    }

    /// Starts it again on the same folder and port, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it is running, or does not answer.
    pub fn resume(&self) {
        let (here, port) = (self.folder.path().display().to_string(), self.address.port());
        let arguments = match self.kind {
            Kind::Postgres => vec![
                "-D".to_owned(),
                format!("{here}/data"),
                "-p".to_owned(),
                port.to_string(),
                "-k".to_owned(),
                here,
                "-c".to_owned(),
                "listen_addresses=127.0.0.1".to_owned(),
                "-c".to_owned(),
                "max_connections=200".to_owned(),
            ],
            Kind::Mariadb => vec![
                "--no-defaults".to_owned(),
                format!("--datadir={here}/data"),
                format!("--socket={here}/socket"),
                format!("--port={port}"),
                "--bind-address=127.0.0.1".to_owned(),
                "--max-connections=200".to_owned(),
                if is_root() { "--user=root".to_owned() } else { "--skip-name-resolve".to_owned() },
            ],
        };
        let out = File::options().create(true).append(true).open(self.folder.path().join("out"));
        let out = out.expect("the folder can be written to");
        let program = if self.kind == Kind::Postgres { "postgres" } else { "mariadbd" };
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(process.is_none(), "the server is running");
        let started = Command::new("sh")
            .args(["-c", LEASH, "server"])
            .env("FOLDER_TO_REMOVE", if self.is_shared { self.folder.path() } else { "".as_ref() })
            .args(self.command(program))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(out.try_clone().expect("a file can be shared"))
            .stderr(out)
            .spawn();
        *process = Some(started.expect("`sh` can be started"));
        drop(process);
        let deadline = Instant::now() + START_MAX;
        while !self.answers() {
            assert!(Instant::now() < deadline, "the server does not answer:\n{}", self.log());
            thread::sleep(LOOK);
        }
    }

    fn answers(&self) -> bool {
        match self.kind {
            Kind::Postgres => {
                let ready = programs(self.kind).join("pg_isready");
                let port = self.address.port().to_string();
                let asked =
                    Command::new(ready).args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
                asked.is_ok_and(|status| status.success())
            }
            // It listens once it is ready.
            Kind::Mariadb => TcpStream::connect_timeout(&self.address, LOOK).is_ok(),
        }
    }

    /// Ends it at once, as a power cut would.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn kill_9(&self) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut process = process.expect("the server is running");
        // The end of the pipe is the end of the server; its shell waits for it.
        drop(process.stdin.take());
        process.wait().expect("our own child can be waited for");
    }

    /// Ends it as its operator would who is in a hurry: sessions are cut off, what is committed is written.
    ///
    /// # Panics
    ///
    /// If it is not running, or does not end.
    pub fn shut_down(&self) {
        let port = self.address.port().to_string();
        match self.kind {
            Kind::Postgres => {
                let data = self.data();
                let data = data.to_str().expect("a temporary folder has a plain name");
                let words = self.command("pg_ctl");
                Self::run(&words, &["stop", "-s", "-w", "-m", "fast", "-D", data]);
            }
            Kind::Mariadb => {
                let user = ["--no-defaults", "-h", "127.0.0.1", "-P", &port, "-u", "root"];
                let words = ["mariadb-admin".into()];
                Self::run(&words, &[&user[..], &["shutdown"]].concat());
            }
        }
        // Only its shell is left.
        self.kill_9();
    }

    /// Removes a place that nobody uses any more.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub fn remove(&self, address: &str) {
        let name = address.rsplit('/').next().unwrap_or_default();
        match self.kind {
            Kind::Postgres => self.sql(&format!("DROP DATABASE \"{name}\" WITH (FORCE)")),
            Kind::Mariadb => {
                for service in [
                    "",
                    "_order",
                    "_inventory",
                    "_catalog",
                    "_customer",
                    "_payment",
                    "_notification",
                ] {
                    self.sql(&format!("DROP DATABASE IF EXISTS `{name}{service}`"));
                }
            }
        }
    }

    /// The address of a place that no other test uses.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    #[must_use]
    pub fn place(&self) -> String {
        static PLACES: AtomicU32 = AtomicU32::new(1);
        let name = format!("it{}", PLACES.fetch_add(1, Ordering::Relaxed));
        match self.kind {
            Kind::Postgres => {
                let createdb = programs(self.kind).join("createdb").into_os_string();
                let port = self.address.port().to_string();
                Self::run(
                    &[createdb],
                    &["-h", "127.0.0.1", "-p", &port, "-U", "millrace", "-T", "template0", &name],
                );
                format!("postgres://millrace@{}/{name}", self.address)
            }
            Kind::Mariadb => format!("mysql://root@{}/{name}", self.address),
        }
    }

    /// The schema of a service in a place: what the product makes there by itself.
    #[must_use]
    pub fn schema(&self, address: &str, service: &str) -> String {
        let name = address.rsplit('/').next().unwrap_or_default();
        match self.kind {
            Kind::Postgres => service.to_owned(),
            Kind::Mariadb if service == "millrace" => name.to_owned(),
            Kind::Mariadb => format!("{name}_{service}"),
        }
    }

    /// Runs a statement as the one who may do everything.
    ///
    /// # Panics
    ///
    /// If the server refuses it.
    pub fn sql(&self, statement: &str) {
        let port = self.address.port().to_string();
        match self.kind {
            Kind::Postgres => {
                let psql = programs(self.kind).join("psql").into_os_string();
                let user = ["-h", "127.0.0.1", "-p", &port, "-U", "millrace", "-d", "postgres"];
                Self::run(&[psql], &[&user[..], &["-c", statement]].concat());
            }
            Kind::Mariadb => {
                let user = ["--no-defaults", "-h", "127.0.0.1", "-P", &port, "-u", "root"];
                Self::run(&["mariadb".into()], &[&user[..], &["-e", statement]].concat());
            }
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("out")).unwrap_or_default()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.process.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.kill_9();
        }
    }
}

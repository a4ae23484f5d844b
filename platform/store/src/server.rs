//! A connection to a database server: PostgreSQL or MariaDB.
//!
//! Each connection has a small runtime of its own and blocks its thread until the server answers: work
//! in a transaction finishes at once from its own view, as on SQLite, and no statement costs a hop
//! between threads.
//!
//! **Turns.** Several processes may share a schema. Each transaction begins by locking row 0 of
//! `writer_turns`; if another instance wrote since, all that is known in memory is read anew. The same
//! statement that records the turn records it in the instance's own row: if the answer to a COMMIT is
//! lost, that row, read under the lock, says whether it happened.

mod locks;
mod mariadb;
mod postgres;
mod sets;
mod text;
mod turns;

pub(crate) use text::migration;
pub(crate) use turns::{CommitError, Turn};

use std::cell::{Cell as Held, RefCell};
use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use tokio::runtime::Runtime;

use crate::error::StoreError;
use crate::place::{Dialect, ServerPlace};
use crate::value::{Row, Value};

/// The longest wait for an answer: beyond the server's own limit of 30 s, the way there is broken.
const ANSWER_MAX: Duration = Duration::from_secs(40);
/// The longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Between two attempts to connect: doubled each time up to the second, plus up to half at random.
const AGAIN_MIN: Duration = Duration::from_millis(50);
const AGAIN_MAX: Duration = Duration::from_secs(1);
/// How long a store waits at its start for the server, or for the writer before it to be gone.
const OPEN_MAX: Duration = Duration::from_secs(20);

/// An open connection.
enum Link {
    Postgres(Box<PgConnection>),
    Mariadb(Box<MySqlConnection>),
}

/// What a column of a record's table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Text,
    Blob,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
}

/// A connection that opens itself again.
pub(crate) struct Server {
    place: ServerPlace,
    /// The schemas that unqualified names are looked for in, if not only the place's own.
    path: Vec<String>,
    role: Role,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    link: RefCell<Option<Link>>,
    kinds: RefCell<HashMap<&'static str, Vec<Kind>>>,
    /// On MariaDB, which has no path of schemas: in which of several a table is.
    owners: RefCell<HashMap<String, String>>,
    /// This writer among all writers of the schema.
    instance: i64,
    /// The last turn, and whose it was, whose effects are in memory; `None` if that may be old.
    turn: Held<Option<(i64, i64)>>,
    /// Whose turn it was last, and which, when that was looked at.
    seen: Held<Option<(i64, i64)>>,
    /// The same, as of what this instance has heard of.
    heard: Held<Option<(i64, i64)>>,
    /// Which of the instances that share the schema this one is: the lowest number that was free.
    slot: Held<Option<u32>>,
    /// The turn of the transaction that is open.
    next_turn: Held<i64>,
    /// Whether that transaction has written anything.
    has_written: Held<bool>,
    /// Why the last attempt to connect failed, and when the next may be made.
    refusal: RefCell<String>,
    pause: Held<Duration>,
    not_before: Held<Option<Instant>>,
}

#[expect(clippy::disallowed_methods, reason = "how long the server takes, which decides no row")]
fn instant() -> Instant {
    Instant::now()
}

/// A number that no other instance has, and that differs from call to call.
fn random() -> i64 {
    let number = std::hash::RandomState::new().build_hasher().finish();
    i64::try_from(number >> 1).unwrap_or(1).max(1)
}

/// Tries `work` until it succeeds, or [`OPEN_MAX`] is over.
fn patiently(work: impl Fn() -> Result<(), StoreError>) -> Result<(), StoreError> {
    let begun = instant();
    loop {
        match work() {
            Err(error) if begun.elapsed() >= OPEN_MAX => return Err(error),
            Err(_) => std::thread::sleep(AGAIN_MIN),
            Ok(()) => return Ok(()),
        }
    }
}

/// Whether the connection is of no use any more: what the server said last, if it said anything.
fn is_lost(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(said) = error else {
        return matches!(
            error,
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)
        );
    };
    let code = said.code().unwrap_or_default();
    // Shutdown, crash, start, too many clients, idle too long, and all that concerns the connection
    // itself.
    code.starts_with("08")
        || code.starts_with("57P")
        || code == "53300"
        || code == "25P03"
        || mariadb::is_lost(said.as_ref())
}

impl Server {
    /// Prepares a connection; it is made when it is first needed.
    pub(crate) fn try_new(
        place: ServerPlace,
        path: Vec<String>,
        role: Role,
    ) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::Open(error.to_string()))?;
        Ok(Self {
            place,
            path,
            role,
            runtime: Some(runtime),
            link: RefCell::new(None),
            kinds: RefCell::new(HashMap::new()),
            owners: RefCell::new(HashMap::new()),
            instance: random(),
            turn: Held::new(None),
            seen: Held::new(None),
            heard: Held::new(None),
            slot: Held::new(None),
            next_turn: Held::new(0),
            has_written: Held::new(false),
            refusal: RefCell::default(),
            pause: Held::new(Duration::ZERO),
            not_before: Held::new(None),
        })
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.place.dialect
    }

    /// Waits for the server; a way there that is broken is given up.
    fn wait<T>(
        &self,
        max: Duration,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let Some(runtime) = &self.runtime else { return Err(sqlx::Error::WorkerCrashed) };
        let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        runtime.block_on(async { tokio::time::timeout(max, work).await.map_err(late)? })
    }

    /// Connects if there is no connection, unless the last attempt is too young.
    pub(crate) fn connect(&self) -> Result<(), StoreError> {
        if self.link.borrow().is_some() {
            return Ok(());
        }
        let now = instant();
        if self.not_before.get().is_some_and(|moment| now < moment) {
            return Err(StoreError::Unavailable(self.refusal.borrow().clone()));
        }
        let connected = self.open();
        match &connected {
            Ok(()) => {
                self.pause.set(Duration::ZERO);
                self.not_before.set(None);
            }
            Err(error) => {
                let why = if let StoreError::Unavailable(why) = error {
                    why.clone()
                } else {
                    error.to_string()
                };
                self.refusal.replace(why);
                let pause = self.pause.get().saturating_mul(2).clamp(AGAIN_MIN, AGAIN_MAX);
                self.pause.set(pause);
                let half = i64::try_from(pause.as_millis()).unwrap_or(0).wrapping_div(2).max(1);
                let jitter = u64::try_from(random().wrapping_rem(half)).unwrap_or(0);
                let wait = pause.saturating_add(Duration::from_millis(jitter));
                self.not_before.set(now.checked_add(wait));
            }
        }
        connected
    }

    fn open(&self) -> Result<(), StoreError> {
        let link = match self.place.dialect {
            Dialect::Postgres => {
                let path = self.path.iter().map(|name| Dialect::Postgres.quoted(name));
                let path = path.collect::<Vec<_>>().join(", ");
                let made = postgres::connect(&self.place.url, &path, self.role);
                self.wait(CONNECT_MAX, made).map(|link| Link::Postgres(Box::new(link)))
            }
            Dialect::Mariadb => {
                let made = mariadb::connect(&self.place.url, self.role);
                self.wait(CONNECT_MAX, made).map(|link| Link::Mariadb(Box::new(link)))
            }
        };
        let link = link.map_err(|error| {
            StoreError::Unavailable(format!("cannot connect to {}: {error}", self.place))
        })?;
        self.link.replace(Some(link));
        let ready = match (self.place.dialect, self.role) {
            (Dialect::Postgres, _) => Ok(()),
            (Dialect::Mariadb, Role::Reader) => self
                .batch(&format!("USE {}", self.place.quoted()))
                .and_then(|()| self.find_owners()),
            (Dialect::Mariadb, Role::Writer) => {
                // Made here, because a connection cannot stand in a database that is not there.
                self.batch(&mariadb::create(&self.place.quoted()))
                    .and_then(|()| self.batch(&format!("USE {}", self.place.quoted())))
            }
        };
        let ready = ready.and_then(|()| match (self.role, self.place.is_shared) {
            (Role::Writer, false) => self.exclude_others(),
            (Role::Writer, true) => self.take_slot(),
            (Role::Reader, _) => Ok(()),
        });
        if ready.is_err() {
            self.link.replace(None);
        }
        ready
    }

    /// Looks which tables are in only one of the schemas that are read together.
    fn find_owners(&self) -> Result<(), StoreError> {
        if self.path.len() < 2 {
            return Ok(());
        }
        let select = "SELECT table_name FROM information_schema.tables WHERE table_schema = $1";
        let mut owners = HashMap::new();
        for schema in self.path.iter().rev() {
            let read = |row: &Row<'_>| Ok(row.text(0)?.to_owned());
            for table in self.query(select, &[schema.into()], read)? {
                owners.insert(table, Dialect::Mariadb.quoted(schema));
            }
        }
        self.owners.replace(owners);
        Ok(())
    }

    /// Whether a connection is open, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        self.link.borrow().is_some()
    }

    /// Refuses servers that may lose what they acknowledged, and makes the schema.
    pub(crate) fn prepare(&self) -> Result<(), StoreError> {
        // A process that was killed may not be forgotten by the server yet.
        patiently(|| self.connect())?;
        let (checks, what) = match self.place.dialect {
            Dialect::Postgres => (postgres::UNSAFE, "PostgreSQL"),
            Dialect::Mariadb => (mariadb::UNSAFE, "MariaDB"),
        };
        for (select, setting, cure) in checks {
            let found =
                self.query(select, &[], |row| Ok(row.opt_text(0)?.map(ToOwned::to_owned)))?;
            let Some(value) = found.into_iter().flatten().next() else { continue };
            if self.place.is_unsafe {
                tracing::warn!(setting, value, "a power cut may lose what was acknowledged");
                continue;
            }
            return Err(StoreError::Open(format!(
                "{what} has {setting} = {value}: a power cut would lose what was acknowledged; \
                 {cure}, or, where that does not matter, add unsafe_durability=accept to the address"
            )));
        }
        if self.place.is_shared {
            // Two that start at once would both make the tables.
            patiently(|| self.exclude_others())?;
        }
        if self.place.dialect == Dialect::Postgres {
            self.batch(&format!("CREATE SCHEMA IF NOT EXISTS {}", self.place.quoted()))?;
        }
        Ok(())
    }

    /// Which of the instances that share the schema this one is; `None` if it shares it with nobody.
    pub(crate) fn slot(&self) -> Option<u32> {
        self.slot.get()
    }

    /// Whether other instances may write the schema.
    pub(crate) fn is_shared(&self) -> bool {
        self.place.is_shared
    }

    /// Makes the instance's own row, in a transaction of its own.
    pub(crate) fn enlist(&self) -> Result<(), StoreError> {
        let select = "SELECT COUNT(*) FROM writer_turns WHERE id = $1";
        let me = || [self.instance.into()];
        if self.query(select, &me(), |row| row.int(0))?.pop() == Some(0) {
            let insert = "INSERT INTO writer_turns (id, owner, turn) VALUES ($1, $1, 0)";
            self.execute(insert, &me())?;
        }
        Ok(())
    }

    /// Takes the instance's row away: it has no COMMIT in doubt.
    pub(crate) fn retire(&self) {
        if !self.is_open() {
            return;
        }
        let delete = "DELETE FROM writer_turns WHERE id = $1";
        if let Err(error) = self.execute(delete, &[self.instance.into()]) {
            tracing::debug!(%error, "this instance's row is left behind");
        }
    }

    /// Gives the connection up; what it had open is undone by the server.
    pub(crate) fn give_up(&self) {
        self.link.replace(None);
        self.turn.set(None);
    }

    fn failed(&self, sql: &str, error: sqlx::Error) -> StoreError {
        if is_lost(&error) {
            tracing::warn!(%error, "the connection to the database server is lost");
            self.give_up();
            return StoreError::Unavailable(error.to_string());
        }
        if let sqlx::Error::Database(said) = &error {
            if let Some(name) = match self.place.dialect {
                Dialect::Postgres => postgres::broken_rule(said.as_ref()),
                Dialect::Mariadb => mariadb::broken_rule(said.as_ref()),
            } {
                return StoreError::Constraint { name };
            }
            let is_contended = match self.place.dialect {
                Dialect::Postgres => postgres::is_contended(said.as_ref()),
                Dialect::Mariadb => mariadb::is_contended(said.as_ref()),
            };
            if is_contended {
                if self.place.dialect == Dialect::Mariadb {
                    // After a deadlock nothing is open any more, and each statement would stand alone.
                    self.give_up();
                }
                return StoreError::RolledBack(error.to_string());
            }
        }
        StoreError::sql(sql, error)
    }

    /// Runs one statement with its values; returns the rows it touched.
    pub(crate) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.has_written.set(true);
        let mut link = self.link.borrow_mut();
        let done = match &mut *link {
            None => return Err(StoreError::Unavailable("the connection is lost".to_owned())),
            Some(Link::Postgres(link)) => {
                self.wait(ANSWER_MAX, postgres::execute(link, sql, values))
            }
            Some(Link::Mariadb(link)) => self.wait(ANSWER_MAX, mariadb::execute(link, sql, values)),
        };
        drop(link);
        done.map_err(|error| self.failed(sql, error))
    }

    /// Runs a query and reads every row.
    pub(crate) fn query<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut link = self.link.borrow_mut();
        match &mut *link {
            None => Err(StoreError::Unavailable("the connection is lost".to_owned())),
            Some(Link::Postgres(found)) => {
                let rows = self.wait(ANSWER_MAX, postgres::query(found, sql, values));
                drop(link);
                postgres::read(&rows.map_err(|error| self.failed(sql, error))?, sql, read)
            }
            Some(Link::Mariadb(found)) => {
                let text = text::qualified(sql, &self.owners.borrow());
                let rows = self.wait(ANSWER_MAX, mariadb::query(found, &text, values));
                drop(link);
                mariadb::read(&rows.map_err(|error| self.failed(sql, error))?, sql, read)
            }
        }
    }

    /// Runs statements that take no values.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        let mut link = self.link.borrow_mut();
        let done = match &mut *link {
            None => return Err(StoreError::Unavailable("the connection is lost".to_owned())),
            Some(Link::Postgres(link)) => self.wait(ANSWER_MAX, postgres::batch(link, sql)),
            Some(Link::Mariadb(link)) => self.wait(ANSWER_MAX, mariadb::batch(link, sql)),
        };
        drop(link);
        done.map_err(|error| self.failed(sql, error))
    }

    /// Begins a snapshot of what is committed; a connection that had been idle may have been cut.
    pub(crate) fn begin_snapshot(&self) -> Result<(), StoreError> {
        let begin = match self.place.dialect {
            Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Dialect::Mariadb => "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        };
        self.again(|| self.batch(begin))
    }

    /// Does what begins a transaction, once more if the connection turns out to be lost.
    fn again<T>(&self, work: impl Fn() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let was_open = self.is_open();
        self.connect()?;
        match work() {
            Err(error) if error.is_unavailable() && was_open => {
                self.connect()?;
                work()
            }
            done => done,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.link.replace(None);
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped where nobody may block.
            runtime.shutdown_background();
        }
    }
}

//! Reading beside the writer: a few connections, each call a snapshot of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contracts::{Clock, Timestamp};
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::engine::Engine;
use crate::error::StoreError;
use crate::pending;
use crate::place::{Place, ServerPlace};
use crate::server::{Role, Server};
use crate::settling::{Settling, Waiting};
use crate::sqlite;
use crate::tx::finish_now;
use crate::value::{Row, Value};
use crate::writer::Store;

/// Connections that read at the same time; more would only take turns on two cores.
const READERS_MAX: usize = 4;

/// Times that a snapshot is taken anew because rows were pending in it. Beside our own writer the
/// second finds none. Another process's writer settles every few COMMITs, and is met between two of
/// them: with [`PAUSE`], this is ten seconds of trying.
const TRIES_MAX: u32 = 20_000;
/// Pause between two of them beside another process: a fraction of a COMMIT.
const PAUSE: Duration = Duration::from_micros(500);

/// What became of a try to read.
enum Tried<T, E, F> {
    /// It was read.
    Read(Result<T, E>),
    /// Rows are pending in this snapshot: the work is to be done over a later one.
    Pending(F),
}

/// A snapshot of what is committed.
pub struct Rx {
    engine: Engine,
    now: Timestamp,
}

impl Rx {
    /// The time at which the snapshot was asked for.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Reads rows by SQL.
    #[expect(clippy::unused_async, reason = "a server database answers later; SQLite answers now")]
    pub async fn query<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError> + Send,
    ) -> Result<Vec<T>, StoreError> {
        self.engine.query(sql, values, read)
    }
}

/// What is read.
#[derive(Debug)]
enum Source {
    /// A file, and other stores, whose tables are read as if they were of the first.
    Files(PathBuf, Vec<PathBuf>),
    /// A schema, and all that are looked through for a table.
    Server(ServerPlace, Vec<String>),
}

impl Source {
    fn open(&self) -> Result<Engine, StoreError> {
        match self {
            Self::Files(path, others) => sqlite::open_joined(path, others).map(Engine::Sqlite),
            Self::Server(place, path) => {
                let server = Server::try_new(place.clone(), path.clone(), Role::Reader)?;
                Ok(Engine::Server(Box::new(server)))
            }
        }
    }
}

/// Reads a database, beside its writer or beside another process that writes it.
#[derive(Clone)]
pub struct Reader {
    source: Arc<Source>,
    idle: Arc<Mutex<Vec<Engine>>>,
    permits: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
    /// The writer, if it is in this process.
    beside: Option<Beside>,
}

/// The writer beside which one reads: what is shared with it, and how it is roused.
#[derive(Clone)]
struct Beside {
    settling: Arc<Settling>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Reader {
    /// Prepares to read the database file at `path`, which must exist.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_joined(path, &[], clock)
    }

    /// The same for several database files: a table that only one of them has is read by its name,
    /// others by the name of the file before it, `main`, `s1`, `s2` and so on. Each file is a
    /// snapshot of its own, taken when it is first read.
    pub fn open_joined(
        path: &Path,
        others: &[PathBuf],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let source = Source::Files(path.to_owned(), others.to_vec());
        let first = source.open()?;
        Ok(Self::over(source, vec![first], clock))
    }

    /// Prepares to read a schema of a server. It is asked when something is read.
    pub(crate) fn on_server(place: ServerPlace, clock: Arc<dyn Clock>) -> Self {
        let path = vec![place.schema.clone()];
        Self::over(Source::Server(place, path), Vec::new(), clock)
    }

    /// Prepares to read several stores as if they were one: files of this machine, or schemas of one
    /// database. On a server they are one snapshot.
    pub fn open_places(places: &[Place], clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let refused = |why: &str| Err(StoreError::Open(why.to_owned()));
        let (mut files, mut schemas) = (Vec::new(), Vec::new());
        for place in places {
            match place {
                Place::Folder(folder) => files.push(folder.join(Store::FILE)),
                Place::Server(server) => schemas.push(server),
            }
        }
        match (files.split_first(), schemas.split_first()) {
            (Some((first, others)), None) => Self::open_joined(first, others, clock),
            (None, Some((first, others))) => {
                if !others.iter().all(|other| first.is_beside(other)) {
                    return refused(
                        "stores that are read together must be schemas of one database; check each \
                         of these by itself",
                    );
                }
                let path = schemas.iter().map(|place| place.schema.clone()).collect();
                Ok(Self::over(Source::Server((*first).clone(), path), Vec::new(), clock))
            }
            (Some(_), Some(_)) => refused("files and schemas of a server cannot be read together"),
            (None, None) => refused("there is no store to read"),
        }
    }

    fn over(source: Source, idle: Vec<Engine>, clock: Arc<dyn Clock>) -> Self {
        Self {
            source: Arc::new(source),
            idle: Arc::new(Mutex::new(idle)),
            permits: Arc::new(Semaphore::new(READERS_MAX)),
            clock,
            beside: None,
        }
    }

    /// What each store's tables are named by, where every store has such a table.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        match self.source.as_ref() {
            Source::Files(_, others) => {
                let more = (1..=others.len()).map(|number| format!("s{number}"));
                std::iter::once("main".to_owned()).chain(more).collect()
            }
            Source::Server(place, path) => {
                path.iter().map(|name| place.dialect.quoted(name)).collect()
            }
        }
    }

    /// The same beside a writer in this process, which is roused by `wake`.
    pub(crate) fn beside(self, settling: Arc<Settling>, wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { beside: Some(Beside { settling, wake }), ..self }
    }

    /// Runs `work` over one snapshot, on a thread where reading may block.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Rx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let Ok(permit) = permit else {
            return Err(StoreError::Stopped.into());
        };
        let mut work = work;
        for _ in 0..TRIES_MAX {
            let waiting = match &self.beside {
                Some(beside) => Some(Arc::clone(&beside.settling).wait(|| (beside.wake)()).await),
                None => None,
            };
            let reader = self.clone();
            let task = tokio::task::spawn_blocking(move || reader.snapshot(work, waiting));
            let tried = task.await.map_err(|error| StoreError::Panicked(error.to_string()))?;
            match tried {
                Tried::Read(result) => {
                    drop(permit);
                    return result;
                }
                Tried::Pending(again) => work = again,
            }
            if self.beside.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Err(StoreError::Busy.into())
    }

    /// The same, whether rows of other tables are pending or not.
    pub(crate) async fn read_at_once<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Rx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return Err(StoreError::Stopped.into());
        };
        let reader = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let (rx, _) = reader.begin()?;
            let result = reader.run(rx, work);
            drop(permit);
            result
        });
        task.await.map_err(|error| E::from(StoreError::Panicked(error.to_string())))?
    }

    fn take(&self) -> Result<Engine, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.source.open(), Ok)
    }

    /// Begins a snapshot; says whether rows are pending in it.
    fn begin(&self) -> Result<(Rx, bool), StoreError> {
        let engine = self.take()?;
        engine.begin_snapshot()?;
        let is_pending = match (&engine, self.source.as_ref()) {
            (Engine::Sqlite(connection), Source::Files(_, others)) => {
                pending::is_any_of(connection, others.len())?
            }
            (Engine::Sqlite(_) | Engine::Server(_), _) => false,
        };
        Ok((Rx { engine, now: self.clock.now() }, is_pending))
    }

    fn snapshot<T, E, F>(&self, work: F, waiting: Option<Waiting>) -> Tried<T, E, F>
    where
        F: for<'t> FnOnce(&'t mut Rx) -> BoxFuture<'t, Result<T, E>>,
        E: From<StoreError>,
    {
        let begun = self.begin();
        // The snapshot is taken: rows may wait again.
        drop(waiting);
        match begun {
            Ok((rx, true)) => {
                self.end(rx);
                Tried::Pending(work)
            }
            Ok((rx, false)) => Tried::Read(self.run(rx, work)),
            Err(error) => Tried::Read(Err(error.into())),
        }
    }

    fn run<T, E, F>(&self, mut rx: Rx, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Rx) -> BoxFuture<'t, Result<T, E>>,
        E: From<StoreError>,
    {
        let result = finish_now(work(&mut rx)).unwrap_or_else(|| Err(StoreError::Waited.into()));
        self.end(rx);
        result
    }

    /// A connection that cannot end its snapshot is closed instead of used again.
    fn end(&self, rx: Rx) {
        if rx.engine.control("COMMIT").is_ok() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(rx.engine);
        }
    }
}

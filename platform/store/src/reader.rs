//! Reading beside the writer: a few connections, each call a snapshot of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use contracts::{Clock, Timestamp};
use futures::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::error::StoreError;
use crate::sqlite;
use crate::tx::finish_now;
use crate::value::{Row, Value};

/// Connections that read at the same time; more would only take turns on two cores.
const READERS_MAX: usize = 4;

/// A snapshot of what is committed.
pub struct Rx {
    connection: Connection,
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
        sqlite::query(&self.connection, sql, values, read)
    }
}

/// Reads a database, beside its writer or beside another process that writes it.
#[derive(Clone)]
pub struct Reader {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

impl Reader {
    /// Prepares to read the database file at `path`, which must exist.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let first = sqlite::open_reader(path)?;
        Ok(Self {
            path: path.to_owned(),
            idle: Arc::new(Mutex::new(vec![first])),
            permits: Arc::new(Semaphore::new(READERS_MAX)),
            clock,
        })
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
        let reader = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let result = reader.snapshot(work);
            drop(permit);
            result
        });
        task.await.map_err(|error| E::from(StoreError::Panicked(error.to_string())))?
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| sqlite::open_reader(&self.path), Ok)
    }

    fn snapshot<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Rx) -> BoxFuture<'t, Result<T, E>>,
        E: From<StoreError>,
    {
        let mut rx = Rx { connection: self.take()?, now: self.clock.now() };
        sqlite::execute(&rx.connection, "BEGIN", &[])?;
        let result = finish_now(work(&mut rx)).unwrap_or_else(|| Err(StoreError::Waited.into()));
        // A connection that cannot end its snapshot is closed instead of used again.
        if sqlite::execute(&rx.connection, "COMMIT", &[]).is_ok() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(rx.connection);
        }
        result
    }
}

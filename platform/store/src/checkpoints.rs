//! Moves what is committed from the write-ahead log into the database file, beside the writer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::error::StoreError;
use crate::sqlite;

/// Moves pages from the write-ahead log into the database on a thread of its own, small and often,
/// so that the writer only has to finish the last few.
pub(crate) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// The thread has moved all but what was committed meanwhile: the writer may finish, and the
    /// log starts again from its beginning.
    nearly_done: Arc<AtomicBool>,
    commits: u32,
}

/// Pages in the log (4 KiB each) below which it is left alone.
const LOG_PAGES_MIN: i64 = 8_192;
/// COMMITs between two looks at the log.
const COMMITS_PER_LOOK: u32 = 16;

/// Moves what can be moved without waiting for readers; returns (pages in the log, pages moved).
fn checkpoint(connection: &Connection, mode: &str) -> Result<(i64, i64), StoreError> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let found = sqlite::query_one(connection, &sql, &[], |row| Ok((row.int(1)?, row.int(2)?)))?;
    Ok(found.unwrap_or((0, 0)))
}

/// Moves the log's pages if there are many; returns whether it did.
fn checkpoint_if_long(connection: &Connection) -> Result<bool, StoreError> {
    let (pages, _) = checkpoint(connection, "NOOP")?;
    if pages < LOG_PAGES_MIN {
        return Ok(false);
    }
    checkpoint(connection, "PASSIVE").map(|_| true)
}

impl Checkpointer {
    pub(crate) fn start(path: &Path) -> Result<Self, StoreError> {
        let connection = sqlite::open_writer(path)?;
        let (wake, woken) = sync_channel::<()>(1);
        let nearly_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&nearly_done);
        let thread = std::thread::Builder::new().name("store-checkpoint".into());
        let thread = thread.spawn(move || {
            while woken.recv().is_ok() {
                let moved = checkpoint_if_long(&connection).unwrap_or_else(|error| {
                    tracing::warn!(%error, "a checkpoint failed; it is tried again");
                    false
                });
                done.fetch_or(moved, Ordering::Release);
            }
        });
        let thread = thread
            .map_err(|error| StoreError::Open(format!("cannot start checkpoints: {error}")))?;
        Ok(Self { wake: Some(wake), thread: Some(thread), nearly_done, commits: 0 })
    }

    /// Returns whether the writer finished a checkpoint just now.
    pub(crate) fn after_commit(&mut self, connection: &Connection) -> bool {
        if self.nearly_done.swap(false, Ordering::AcqRel) {
            if let Err(error) = checkpoint(connection, "PASSIVE") {
                tracing::warn!(%error, "a checkpoint failed; it is tried again");
            }
            return true;
        }
        self.commits = self.commits.saturating_add(1);
        if self.commits >= COMMITS_PER_LOOK {
            self.commits = 0;
            if let Some(wake) = &self.wake {
                // Full means that a look is on its way already.
                wake.try_send(()).unwrap_or_default();
            }
        }
        false
    }

    pub(crate) fn stop(&mut self, connection: &Connection) {
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the checkpoint thread had panicked");
        }
        finish(connection);
    }
}

/// Moves everything and empties the log.
fn finish(connection: &Connection) {
    if let Err(error) = checkpoint(connection, "TRUNCATE") {
        tracing::warn!(%error, "the last checkpoint failed; the log is read at the next start");
    }
}

//! What the rest of the program has of the writer: how it is opened, asked, and watched.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use contracts::Clock;
use futures::future::BoxFuture;
use telemetry::trace;
use tokio::sync::oneshot;

use super::{Beginning, CommitHook, Follower, Message, QUEUE_MAX, Reply, lock};
use crate::due::Dues;
use crate::error::StoreError;
use crate::migrations::Schema;
use crate::place::Place;
use crate::reader::{Reader, Rx};
use crate::record::Record;
use crate::settling::Settling;
use crate::tx::{Stage, Tx};
use crate::{pending, sqlite};

/// How a store is opened.
pub struct StoreOptions {
    /// The folder or the schema of the database; created if it is not there.
    pub place: Place,
    /// The tables of the services that use it.
    pub schemas: Vec<Schema>,
    /// Where its time comes from.
    pub clock: Arc<dyn Clock>,
    /// The number of its log among all logs of the system: no two stores may share one.
    pub stream: u16,
}

/// What the writer has done since it started.
#[derive(Debug, Default)]
pub struct Stats {
    /// COMMITs.
    pub commits: AtomicU64,
    /// Pieces of work in them.
    pub pieces: AtomicU64,
    /// Events published.
    pub events: AtomicU64,
    /// Rows written by records and appended tables.
    pub rows: AtomicU64,
    /// Microseconds spent in COMMIT.
    pub commit_micros: AtomicU64,
    /// Microseconds from the first piece of work to the end of COMMIT.
    pub busy_micros: AtomicU64,
    /// COMMITs that left changed rows to a later one.
    pub deferred: AtomicU64,
    /// Shared transactions that were rolled back.
    pub rollbacks: AtomicU64,
    /// Checkpoints that the writer had to finish itself.
    pub checkpoints: AtomicU64,
    /// Whether the database server cannot be reached.
    pub is_down: AtomicBool,
}

/// The store of one process.
#[derive(Clone)]
pub struct Store {
    sender: SyncSender<Message>,
    reader: Reader,
    clock: Arc<dyn Clock>,
    stats: Arc<Stats>,
    dues: Dues,
    place: Arc<Place>,
    instance: Option<u32>,
}

impl Store {
    /// The name of the database file in its folder.
    pub const FILE: &'static str = "millrace.db";

    /// Opens the store at its place, brings its tables up to date, and starts the writer.
    pub fn open(options: StoreOptions) -> Result<Self, StoreError> {
        let StoreOptions { place, schemas, clock, stream } = options;
        let (sender, receiver) = sync_channel(QUEUE_MAX);
        let (settling, stats, dues) = (Settling::new(), Arc::default(), Dues::default());
        let (opened, has_opened) = sync_channel(1);
        let beginning = Beginning {
            place: place.clone(),
            schemas,
            stream,
            receiver,
            clock: Arc::clone(&clock),
            stats: Arc::clone(&stats),
            settling: Arc::clone(&settling),
            dues: dues.clone(),
        };
        let thread = std::thread::Builder::new().name("store-writer".into());
        // Opened where it is used: a connection to a server must not be waited for by a task.
        let writer = thread.spawn(move || match beginning.open() {
            Ok(writer) => {
                drop(opened.send(Ok(writer.instance())));
                writer.run();
            }
            Err(error) => drop(opened.send(Err(error))),
        });
        let failed = |error: &dyn std::fmt::Display| {
            StoreError::Open(format!("cannot start the writer: {error}"))
        };
        writer.map_err(|error| failed(&error))?;
        let instance = has_opened.recv().map_err(|error| failed(&error))??;
        let reader = match &place {
            Place::Folder(folder) => {
                let wake = sender.clone();
                // Full means that a COMMIT is due anyway.
                let wake = Arc::new(move || drop(wake.try_send(Message::Wake)));
                let reader = Reader::open(&folder.join(Self::FILE), Arc::clone(&clock))?;
                reader.beside(settling, wake)
            }
            Place::Server(server) => Reader::on_server(server.clone(), Arc::clone(&clock)),
        };
        Ok(Self { sender, reader, clock, stats, dues, place: place.into(), instance })
    }

    /// Brings rows that a crash left pending into their tables, as the next start would; nothing if a
    /// process has the folder open, which does so itself.
    pub fn settle_after_crash(folder: &Path) -> Result<(), StoreError> {
        let path = folder.join(Self::FILE);
        if !path.is_file() {
            return Ok(());
        }
        let reader = sqlite::open_reader(&path)?;
        if !pending::is_any(&reader)? {
            return Ok(());
        }
        let Ok(_lock) = lock(folder) else { return Ok(()) };
        pending::apply(&sqlite::open_writer(&path)?).map(drop)
    }

    /// Runs `work` in a transaction and answers after COMMIT.
    ///
    /// It runs to its end even if the caller goes away. If it returns an error, panics, or waits
    /// for anything but the transaction, all that it did is undone.
    pub async fn transact<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let context = trace::current();
        let run = move |tx: Result<&mut Tx, StoreError>| -> Reply {
            let result = match tx {
                Ok(tx) => tx.attempt(|tx| trace::carried(context, work(tx))),
                Err(error) => Err(error.into()),
            };
            // The caller may have gone; its work is done all the same.
            Box::new(move |outcome| drop(sender.send(outcome.of(result))))
        };
        self.send(Message::Work(Box::new(run)))?;
        receiver.await.unwrap_or_else(|_| Err(StoreError::Stopped.into()))
    }

    /// Runs `work` over a snapshot of what is committed.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Rx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.reader.read(work).await
    }

    /// Runs `work` over a snapshot of what is committed, where it reads no table but that of `R`.
    ///
    /// Quicker than [`Self::read`] under load: rows of other types need not be in their tables.
    pub async fn read_only_of<R, T, E, F>(&self, work: F) -> Result<T, E>
    where
        R: Record,
        F: for<'t> FnOnce(&'t mut Rx) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        if self.dues.of::<R>().is_pending() {
            return self.reader.read(work).await;
        }
        self.reader.read_at_once(work).await
    }

    /// Adds a consumer that runs inside the writer's COMMITs.
    pub async fn attach(&self, stage: Box<dyn Stage>) -> Result<(), StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.send(Message::Attach(stage, sender))?;
        receiver.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Tells `follower` of all that other instances commit in this schema from now on.
    pub async fn follow(&self, follower: Arc<dyn Follower>) -> Result<(), StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.send(Message::Follow(follower, sender))?;
        receiver.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Which of the instances that share the schema this one is, from 0; `None` if it is alone there.
    pub fn instance(&self) -> Option<u32> {
        self.instance
    }

    /// Calls `hook` after each COMMIT with the events that it published; where several instances share
    /// a schema, also with what the others have published, a moment later.
    pub fn on_commit(&self, hook: CommitHook) -> Result<(), StoreError> {
        self.send(Message::Hook(hook))
    }

    /// Finishes what is waiting, checkpoints, and ends the writer.
    pub async fn stop(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.send(Message::Stop(sender)).is_ok() && receiver.await.is_err() {
            tracing::debug!("the writer had stopped already");
        }
    }

    /// Whether any row of `R` can have a deadline ([`Record::INDEXED`]) now or before.
    pub fn may_be_due<R: Record>(&self) -> bool {
        self.dues.of::<R>().is_reached(self.clock.now().as_micros())
    }

    /// Where time comes from.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// What the writer has done.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// The reader of the same database.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Where the database is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the database can be reached, as far as is known.
    pub fn is_available(&self) -> bool {
        !self.stats.is_down.load(Ordering::Acquire)
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        self.sender.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Stopped,
        })
    }
}

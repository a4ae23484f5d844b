//! The writer: one thread, one connection, one COMMIT for everything that is ready.
//!
//! Why one thread: SQLite takes one writer at a time in any case; and a COMMIT costs so much more
//! than a statement that sharing it is what makes the store fast. Work is polled on this thread, so
//! that no statement costs a hop.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use contracts::{Clock, Event};
use tokio::sync::oneshot;

use crate::checkpoints::Checkpointer;
use crate::due::Dues;
use crate::engine::Engine;
use crate::error::StoreError;
use crate::migrations::{self, Schema};
use crate::place::{Place, ServerPlace};
use crate::server::{CommitError, Role, Server};
use crate::settling::Settling;
use crate::tx::{Stage, Tx};
use crate::{log, pending, sqlite};

mod beside;
mod store;

pub use beside::Follower;
pub use store::{Stats, Store, StoreOptions};

/// Transactions that may wait; one more is refused as overload.
const QUEUE_MAX: usize = 8_192;
/// Pieces of work that share a COMMIT.
const PIECES_MAX: usize = 1_024;
/// Events after which no further work joins a COMMIT, so that bulk work keeps it bounded.
const EVENTS_MAX: usize = 16_384;
/// How long work is gathered for one COMMIT. Only what is there already: nobody waits for more.
const GATHER_MAX: Duration = Duration::from_millis(2);
/// How often stages are asked whether something is due while nothing else happens.
const IDLE_POLL: Duration = Duration::from_millis(20);
/// Times that the stages are asked in turn within one COMMIT; what is left goes into the next.
const ROUNDS_MAX: usize = 32;
/// A COMMIT may leave its changed rows to a later one if it follows the one before it so closely:
/// others will follow.
const BUSY_GAP: Duration = Duration::from_millis(20);
/// Changed rows of a COMMIT from which on they do not wait: so many share their pages already, and
/// what a row costs is then more than what its page costs.
const ROWS_TO_WAIT_MAX: usize = 2_000;
/// Events of a COMMIT from which on it may do so although it is one piece of work: a batch.
const EVENTS_TO_WAIT: usize = 32;
/// COMMITs that rows wait for at most.
const COMMITS_TO_WAIT: u32 = 24;
/// Changes that wait at most, so that a start after a crash is quick and memory bounded.
const CHANGES_TO_WAIT: usize = 60_000;
/// COMMITs in which each piece is flushed alone, after one of them broke a shared COMMIT.
const ISOLATED_CYCLES: u32 = 64;

/// Times that a transaction is begun while other instances have their turn, each of some seconds.
const TURNS_MAX: u32 = 3;
/// What is told of each COMMIT, on the writer's thread: it must be quick.
pub type CommitHook = Arc<dyn Fn(&[Arc<Event>]) + Send + Sync>;

/// What became of a transaction.
#[derive(Debug, Clone, Copy)]
enum Outcome<'w> {
    /// It is durable.
    Committed,
    /// Nothing of it happened.
    RolledBack(&'w str),
    /// Whether it happened could not be found out.
    Unknown(&'w str),
}

impl Outcome<'_> {
    fn of<T, E: From<StoreError>>(self, result: Result<T, E>) -> Result<T, E> {
        match self {
            Self::Committed => result,
            Self::RolledBack(why) => Err(StoreError::RolledBack(why.to_owned()).into()),
            Self::Unknown(why) => Err(StoreError::Unknown(why.to_owned()).into()),
        }
    }
}

/// Called once it is known what became of the transaction.
type Reply = Box<dyn FnOnce(Outcome<'_>) + Send>;

/// Runs a piece of work, or says why it cannot be run.
type Piece = Box<dyn FnOnce(Result<&mut Tx, StoreError>) -> Reply + Send>;

enum Message {
    Work(Piece),
    Attach(Box<dyn Stage>, oneshot::Sender<Result<(), StoreError>>),
    Hook(CommitHook),
    Follow(Arc<dyn Follower>, oneshot::Sender<Result<(), StoreError>>),
    /// Nothing but a COMMIT: somebody waits for rows to be in their tables.
    Wake,
    Stop(oneshot::Sender<()>),
}

/// What a writer is made of, on its own thread.
struct Beginning {
    place: Place,
    schemas: Vec<Schema>,
    stream: u16,
    receiver: Receiver<Message>,
    clock: Arc<dyn Clock>,
    stats: Arc<Stats>,
    settling: Arc<Settling>,
    dues: Dues,
}

/// What belongs to one engine.
struct Opened {
    engine: Engine,
    checkpoints: Option<Checkpointer>,
    lock: Option<File>,
}

impl Opened {
    fn folder(folder: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(|error| {
            StoreError::Open(format!("cannot make the folder {}: {error}", folder.display()))
        })?;
        let lock = lock(folder)?;
        let path = folder.join(Store::FILE);
        let connection = sqlite::open_writer(&path)?;
        let settled = pending::apply(&connection)?;
        if settled > 0 {
            tracing::info!(changes = settled, "brought rows into their tables after a crash");
        }
        let checkpoints = Some(Checkpointer::start(&path)?);
        Ok(Self { engine: Engine::Sqlite(connection), checkpoints, lock: Some(lock) })
    }

    fn server(place: &ServerPlace) -> Result<Self, StoreError> {
        let path = vec![place.schema.clone()];
        let server = Server::try_new(place.clone(), path, Role::Writer)?;
        server.prepare()?;
        Ok(Self { engine: Engine::Server(Box::new(server)), checkpoints: None, lock: None })
    }
}

impl Beginning {
    fn open(self) -> Result<Writer, StoreError> {
        let Opened { engine, checkpoints, lock } = match &self.place {
            Place::Folder(folder) => Opened::folder(folder)?,
            Place::Server(place) => Opened::server(place)?,
        };
        let applied = migrations::apply(&engine, &self.schemas, self.clock.now())?;
        if !applied.is_empty() {
            tracing::info!(migrations = applied.join(", "), "database brought up to date");
        }
        if let Engine::Server(server) = &engine {
            server.enlist()?;
            if server.is_shared() {
                server.admit_others()?;
            }
        }
        let (last_segment, _) = log::last(&engine)?;
        Ok(Writer {
            tx: Tx::new(engine, self.stream, last_segment, self.dues),
            receiver: self.receiver,
            stages: Vec::new(),
            hooks: Vec::new(),
            followers: Vec::new(),
            heard: last_segment,
            clock: self.clock,
            stats: self.stats,
            isolated_left: 0,
            settling: self.settling,
            deferred: 0,
            last_ended: None,
            looked_around: None,
            beside: None,
            checkpoints,
            stopped: None,
            _lock: lock,
        })
    }
}

/// Keeps a second process from writing the same file.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join("millrace.lock");
    let failed = |error: &dyn std::fmt::Display| {
        StoreError::Open(format!("cannot lock {}: {error}", path.display()))
    };
    let file = File::create(&path).map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Open(format!(
            "{} is in use by another millrace process: stop it, or choose another --data folder",
            folder.display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(&error)),
    }
}

struct Writer {
    tx: Tx,
    receiver: Receiver<Message>,
    stages: Vec<Box<dyn Stage>>,
    hooks: Vec<CommitHook>,
    followers: Vec<Arc<dyn Follower>>,
    /// The last segment of the log that hooks and followers have been told of.
    heard: u64,
    clock: Arc<dyn Clock>,
    stats: Arc<Stats>,
    isolated_left: u32,
    settling: Arc<Settling>,
    /// COMMITs since every row was in its table.
    deferred: u32,
    /// When the last COMMIT was done with.
    last_ended: Option<Instant>,
    /// When a server was last asked what happened there.
    looked_around: Option<Instant>,
    /// When another instance was last seen to write.
    beside: Option<Instant>,
    checkpoints: Option<Checkpointer>,
    stopped: Option<oneshot::Sender<()>>,
    _lock: Option<File>,
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "measures the writer itself, decides nothing")]
fn instant() -> Instant {
    Instant::now()
}

/// Stops the process: what the database holds is no longer known, and only reading it anew from
/// the file is safe.
fn die(what: &str, error: &StoreError) -> ! {
    tracing::error!(%error, "{what}; stopping, because what is in memory may not be what is stored");
    std::process::abort()
}

impl Writer {
    fn run(mut self) {
        while self.stopped.is_none() {
            let is_down = self.stats.is_down.load(Ordering::Relaxed);
            let is_due = self.is_due();
            let wait = if is_due && !is_down { Duration::ZERO } else { IDLE_POLL };
            match self.receiver.recv_timeout(wait) {
                Ok(message) => self.cycle(Some(message)),
                Err(RecvTimeoutError::Timeout) if is_due || self.is_due() => self.cycle(None),
                Err(RecvTimeoutError::Timeout) if self.tx.unsettled() > 0 => self.cycle(None),
                Err(RecvTimeoutError::Timeout) => self.look_around(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if self.tx.unsettled() > 0 {
            self.cycle(None);
        }
        match self.tx.engine() {
            Engine::Sqlite(connection) => {
                if let Some(checkpoints) = &mut self.checkpoints {
                    checkpoints.stop(connection);
                }
            }
            Engine::Server(server) => server.retire(),
        }
        let stopped = self.stopped.take();
        drop(self);
        if let Some(stopped) = stopped {
            // Whoever waits learns that the file is closed and unlocked.
            stopped.send(()).unwrap_or_default();
        }
    }

    fn set_down(&self, why: Option<&StoreError>) {
        let was_down = self.stats.is_down.swap(why.is_some(), Ordering::AcqRel);
        match why {
            Some(error) if !was_down => tracing::error!(%error, "transactions are refused"),
            None if was_down => tracing::info!("the database is there again"),
            Some(_) | None => {}
        }
    }

    fn is_due(&self) -> bool {
        let now = self.clock.now();
        self.stages.iter().any(|stage| stage.ready(now))
    }

    fn cycle(&mut self, first: Option<Message>) {
        let started = instant();
        match self.begin() {
            Ok(()) => {}
            Err(error @ StoreError::Open(_)) => die("a transaction cannot begin", &error),
            Err(error) if self.tx.may_defer() => die("a transaction cannot begin", &error),
            Err(error) => return self.refuse(first, &error),
        }
        self.isolated_left = self.isolated_left.saturating_sub(1);
        let replies = self.gather(first, started);
        self.run_stages();
        let may_wait = self.may_rows_wait(started, replies.len());
        let prepared = self.finish_stages().and_then(|()| self.tx.prepare(may_wait));
        match prepared {
            Ok(()) => self.commit(replies, started),
            Err(error) => self.roll_back(replies, &error, false),
        }
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        let mut begun = Err(StoreError::Stopped);
        for _ in 0..TURNS_MAX {
            begun = self.tx.begin(self.clock.now(), self.isolated_left > 0);
            // Another instance has not ended its turn in time.
            if !matches!(begun, Err(StoreError::RolledBack(_))) {
                break;
            }
        }
        if begun? {
            // Another instance may have written since.
            if let Err(error) = self.catch_up() {
                self.tx.engine().abandon();
                return Err(error);
            }
            self.restart_stages();
        }
        self.set_down(None);
        Ok(())
    }

    /// Another writer has been at work: consumers stand where it left them.
    fn restart_stages(&mut self) {
        for stage in &mut self.stages {
            stage.ended(false);
            if let Err(error) = stage.start(&mut self.tx) {
                tracing::error!(%error, "a consumer cannot read where it stands");
            }
        }
    }

    /// Looks whether a COMMIT happened whose answer was lost, until that is known: those who wait for
    /// it, and what services remember, depend on it. `None` if the store is stopped before.
    fn find_out(&mut self, error: &StoreError) -> Option<bool> {
        tracing::warn!(%error, "the answer to a COMMIT is lost; looking whether it happened");
        loop {
            match self.tx.outcome() {
                Ok(happened) => return Some(happened),
                Err(error) => tracing::debug!(%error, "the outcome of a COMMIT is looked for"),
            }
            self.refuse(None, error);
            if self.stopped.is_some() {
                return None;
            }
            match self.receiver.recv_timeout(IDLE_POLL) {
                Ok(message) => self.refuse(Some(message), error),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Answers what waits: nothing can be done now, and all of it may be tried again.
    fn refuse(&mut self, first: Option<Message>, error: &StoreError) {
        self.set_down(Some(error));
        let refused = || StoreError::Unavailable(error.to_string());
        let mut next = first.or_else(|| self.receiver.try_recv().ok());
        while let Some(message) = next {
            match message {
                Message::Work(run) => run(Err(refused()))(Outcome::Committed),
                Message::Attach(_, done) | Message::Follow(_, done) => {
                    drop(done.send(Err(refused())));
                }
                Message::Hook(hook) => self.hooks.push(hook),
                Message::Wake => {}
                Message::Stop(done) => self.stopped = Some(done),
            }
            next = self.receiver.try_recv().ok();
        }
    }

    /// Whether the changed rows of this COMMIT are left to a later one.
    ///
    /// Not those of one client that waits for each answer: it will read what it wrote.
    fn may_rows_wait(&self, started: Instant, pieces: usize) -> bool {
        let is_shared = pieces > 1 || self.tx.published().len() >= EVENTS_TO_WAIT;
        is_shared
            && self.tx.may_defer()
            && self.tx.changed() <= ROWS_TO_WAIT_MAX
            && self.last_ended.is_some_and(|ended| started.duration_since(ended) <= BUSY_GAP)
            && self.deferred < COMMITS_TO_WAIT
            && self.tx.unsettled() < CHANGES_TO_WAIT
            && self.isolated_left == 0
            && self.stopped.is_none()
            && !self.settling.is_wanted()
    }

    fn gather(&mut self, first: Option<Message>, started: Instant) -> Vec<Reply> {
        let mut replies = Vec::new();
        let mut next = first;
        while let Some(message) = next {
            self.take(message, &mut replies);
            let full = replies.len() >= PIECES_MAX
                || self.tx.published().len() >= EVENTS_MAX
                || started.elapsed() >= GATHER_MAX;
            next = if full { None } else { self.receiver.try_recv().ok() };
        }
        replies
    }

    fn take(&mut self, message: Message, replies: &mut Vec<Reply>) {
        match message {
            Message::Work(run) => replies.push(run(Ok(&mut self.tx))),
            Message::Hook(hook) => self.hooks.push(hook),
            Message::Follow(follower, done) => {
                self.followers.push(follower);
                drop(done.send(Ok(())));
            }
            Message::Wake => {}
            Message::Stop(done) => self.stopped = Some(done),
            Message::Attach(mut stage, done) => {
                let started = stage.start(&mut self.tx);
                if started.is_ok() {
                    self.stages.push(stage);
                }
                replies.push(Box::new(move |outcome| drop(done.send(outcome.of(started)))));
            }
        }
    }

    fn run_stages(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut handled: usize = 0;
            for stage in &mut self.stages {
                match stage.run(&mut self.tx) {
                    Ok(events) => handled = handled.saturating_add(events),
                    Err(error) => tracing::error!(%error, "a consumer cannot read its events"),
                }
            }
            if handled == 0 {
                return;
            }
        }
    }

    fn finish_stages(&mut self) -> Result<(), StoreError> {
        for stage in &mut self.stages {
            stage.finish(&mut self.tx)?;
        }
        Ok(())
    }

    fn commit(&mut self, replies: Vec<Reply>, started: Instant) {
        let committing = instant();
        let committed = match self.tx.commit() {
            Ok(committed) => committed,
            Err(CommitError::Unknown(error)) if self.tx.may_defer() => die("COMMIT failed", &error),
            Err(CommitError::Unknown(error)) => match self.find_out(&error) {
                Some(true) => self.tx.committed(),
                Some(false) => return self.roll_back(replies, &error, false),
                None => return self.roll_back(replies, &error, true),
            },
            Err(CommitError::Refused(error)) => return self.roll_back(replies, &error, false),
        };
        let settled = self.tx.unsettled() == 0;
        self.deferred = if settled { 0 } else { self.deferred.saturating_add(1) };
        let stats = &self.stats;
        let add = |counter: &AtomicU64, more: u64| counter.fetch_add(more, Ordering::Relaxed);
        let length = |len: usize| u64::try_from(len).unwrap_or(0);
        add(&stats.commits, 1);
        add(&stats.deferred, u64::from(!settled));
        add(&stats.pieces, length(replies.len()));
        add(&stats.events, length(committed.events.len()));
        add(&stats.rows, std::mem::take(&mut self.tx.rows_written));
        add(&stats.commit_micros, micros(committing.elapsed()));
        add(&stats.busy_micros, micros(started.elapsed()));
        // Behind the counts, which a reader may look at once it is let in; before anybody is answered,
        // because who reads what it wrote must wait for it.
        self.settling.committed(settled);
        for stage in &mut self.stages {
            stage.ended(true);
        }
        for act in committed.acts {
            act();
        }
        for reply in replies {
            reply(Outcome::Committed);
        }
        if let Some(last) = committed.events.last() {
            self.heard = last.id.position().segment;
            for hook in &self.hooks {
                hook(&committed.events);
            }
        }
        if let (Engine::Sqlite(connection), Some(checkpoints)) =
            (self.tx.engine(), &mut self.checkpoints)
            && checkpoints.after_commit(connection)
        {
            add(&self.stats.checkpoints, 1);
        }
        self.last_ended = Some(instant());
    }

    /// A rule of the schema was broken by somebody in this COMMIT. Nothing of it happened; for a
    /// while each piece of work is flushed alone, so that the culprit fails by itself. Or a server
    /// broke off, and whether it happened may be unknown.
    fn roll_back(&mut self, replies: Vec<Reply>, error: &StoreError, is_unknown: bool) {
        tracing::error!(%error, is_unknown, "a shared transaction was rolled back");
        if let Err(error) = self.tx.roll_back() {
            die("a transaction cannot be rolled back", &error);
        }
        self.deferred = 0;
        self.settling.committed(true);
        if !error.is_unavailable() {
            self.isolated_left = ISOLATED_CYCLES;
        }
        self.stats.rollbacks.fetch_add(1, Ordering::Relaxed);
        for stage in &mut self.stages {
            stage.ended(false);
        }
        let why = error.to_string();
        let outcome = if is_unknown { Outcome::Unknown(&why) } else { Outcome::RolledBack(&why) };
        for reply in replies {
            reply(outcome);
        }
    }
}

#[cfg(test)]
mod tests;

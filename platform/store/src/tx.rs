//! A transaction, as services see it.

use std::any::TypeId;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use contracts::{Draft, Event, EventId, Position, Timestamp};
use futures::future::BoxFuture;
use hashbrown::HashMap;
use telemetry::trace;

use crate::append::AppendList;
use crate::cache::{AnyCache, RecordCache};
use crate::due::{Due, Dues};
use crate::engine::Engine;
use crate::error::StoreError;
use crate::pending::{self, PendingRows};
use crate::record::{Append, Record};
use crate::server::{CommitError, Turn};
use crate::sqlite;
use crate::value::{Row, Value};

type Act = Box<dyn FnOnce() + Send>;

/// Events from which on their segment is encoded on a thread of its own while the rows are written:
/// a thread costs as much as some hundred of them.
const EVENTS_ASIDE: usize = 2_048;

/// A consumer of the log that runs inside the writer's COMMIT.
pub trait Stage: Send + 'static {
    /// Reads where the consumer stands. Called once, before anything else.
    fn start(&mut self, tx: &mut Tx) -> Result<(), StoreError>;
    /// Whether there is anything to do at `now` but for the events of the current transaction.
    fn ready(&self, now: Timestamp) -> bool;
    /// Handles what is there; returns how many events that were.
    fn run(&mut self, tx: &mut Tx) -> Result<usize, StoreError>;
    /// Records where the consumer stands, before the flush.
    fn finish(&mut self, tx: &mut Tx) -> Result<(), StoreError>;
    /// The transaction ended; after a rollback the consumer stands where it stood before.
    fn ended(&mut self, committed: bool);
}

/// One transaction on the writer. Everything it does is kept together or not at all.
pub struct Tx {
    engine: Engine,
    now: Timestamp,
    stream: u16,
    segment: u64,
    events: Vec<Arc<Event>>,
    acts: Vec<Act>,
    caches: Vec<Box<dyn AnyCache>>,
    places: HashMap<TypeId, usize>,
    /// Whether the current piece of work has an SQL savepoint: only once it ran a statement.
    savepoint: bool,
    /// Whether each piece of work is flushed by itself, to find the one that breaks a rule.
    isolated: bool,
    begun: (usize, usize),
    /// The changed rows of this transaction, if they are left to a later flush.
    pending: PendingRows,
    /// Changes in the database that are not in their tables.
    unsettled: usize,
    dues: Dues,
    pub(crate) rows_written: u64,
}

/// Finishes a future that waits for nothing but this transaction.
pub(crate) fn finish_now<T>(mut future: BoxFuture<'_, T>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown".into())
}

impl Tx {
    pub(crate) fn new(engine: Engine, stream: u16, last_segment: u64, dues: Dues) -> Self {
        Self {
            engine,
            now: Timestamp::default(),
            stream,
            segment: last_segment.saturating_add(1),
            events: Vec::new(),
            acts: Vec::new(),
            caches: Vec::new(),
            places: HashMap::new(),
            savepoint: false,
            isolated: false,
            begun: (0, 0),
            pending: PendingRows::default(),
            unsettled: 0,
            dues,
            rows_written: 0,
        }
    }

    /// The time of this transaction.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Reads rows of any table by SQL, as all COMMITs before this one left them.
    ///
    /// It must come before anything that this piece of work changes, because rows that are pending
    /// are brought into their tables first. It is dear under load: look records up by key instead.
    #[expect(clippy::unused_async, reason = "a server database answers later; SQLite answers now")]
    pub async fn query<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError> + Send,
    ) -> Result<Vec<T>, StoreError> {
        if self.unsettled > 0 {
            if self.savepoint || !self.caches.iter().all(|cache| cache.is_untouched()) {
                return Err(StoreError::Unsettled);
            }
            self.settle()?;
        }
        self.engine.query(sql, values, read)
    }

    /// Reads rows of a table that holds no records, such as a journal or an index: they are in it
    /// with their COMMIT. What this transaction appends is not seen.
    #[expect(clippy::unused_async, reason = "a server database answers later; SQLite answers now")]
    pub async fn look_up<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, StoreError> + Send,
    ) -> Result<Vec<T>, StoreError> {
        self.engine.query(sql, values, read)
    }

    /// Runs a statement; returns the rows it touched, which the caller must check.
    #[expect(clippy::unused_async, reason = "a server database answers later; SQLite answers now")]
    pub async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.protect()?;
        self.engine.execute(sql, values)
    }

    /// Runs a statement once per row; returns the rows it touched.
    ///
    /// A server runs it once over all of them, so no two rows may be the same, and none may depend on
    /// what the statement did for another. Its form is `INSERT … VALUES ($1, …)`, each value once, or
    /// one with a WHERE: `INSERT … SELECT $1, … WHERE`, `UPDATE … WHERE`, `DELETE … WHERE`.
    #[expect(clippy::unused_async, reason = "a server database answers later; SQLite answers now")]
    pub async fn bulk(&mut self, sql: &str, rows: &[Vec<Value<'_>>]) -> Result<u64, StoreError> {
        self.protect()?;
        self.engine.bulk(sql, rows)
    }

    /// Makes sure that the rows of `keys` are in memory, or known to be absent.
    #[expect(clippy::unused_async, reason = "a server database answers later; SQLite answers now")]
    pub async fn load<R: Record>(&mut self, keys: &[R::Key]) -> Result<(), StoreError> {
        let place = self.records::<R>();
        let cache = self.caches[place].as_any_mut().downcast_mut::<RecordCache<R>>();
        cache.map_or(Ok(()), |cache| cache.load(&self.engine, keys))
    }

    /// A row that was loaded or put; `None` if there is no such row.
    pub fn get<R: Record>(&self, key: &R::Key) -> Option<&R> {
        let place = self.places.get(&TypeId::of::<RecordCache<R>>())?;
        let cache = self.caches.get(*place)?.as_any().downcast_ref::<RecordCache<R>>()?;
        cache.get(key)
    }

    /// Inserts or changes a row. It must have been loaded before, unless its key is new.
    pub fn put<R: Record>(&mut self, record: R) {
        let place = self.records::<R>();
        if let Some(cache) = self.caches[place].as_any_mut().downcast_mut::<RecordCache<R>>() {
            cache.put(record);
        }
    }

    /// Says that a row that is in memory was found by its bound ([`Record::INDEXED_IS_BOUND`]), whether its
    /// deadline had come or not: from this transaction on it is found by its deadline.
    pub fn found<R: Record>(&mut self, key: &R::Key) {
        let place = self.records::<R>();
        if let Some(cache) = self.caches[place].as_any_mut().downcast_mut::<RecordCache<R>>() {
            cache.found(key);
        }
    }

    /// The next whole number for a new row of `R`: larger than every key before it.
    #[expect(clippy::unused_async, reason = "a server database answers later; SQLite answers now")]
    pub async fn number<R: Record>(&mut self) -> Result<i64, StoreError> {
        let place = self.records::<R>();
        let cache = self.caches[place].as_any_mut().downcast_mut::<RecordCache<R>>();
        cache.map_or(Err(StoreError::Stopped), |cache| cache.number(&self.engine))
    }

    /// Whether any row of `R` can have a deadline ([`Record::INDEXED`]) at `at` or before. If not, the
    /// database need not be asked.
    pub fn may_be_due<R: Record>(&self, at: Timestamp) -> bool {
        self.dues.of::<R>().is_reached(at.as_micros())
    }

    /// Says that everything due is being looked at; to be called before it is read.
    pub fn begin_look<R: Record>(&self) {
        self.dues.of::<R>().begin_look();
    }

    /// Says, once this transaction is committed, that no deadline is left before `next`.
    pub fn end_look<R: Record>(&mut self, next: Option<Timestamp>) {
        let due: Arc<Due> = self.dues.of::<R>();
        let next = next.map_or(i64::MAX, Timestamp::as_micros);
        self.after_commit(move || due.end_look(next));
    }

    /// Appends a row at the next position, and returns the position.
    #[expect(clippy::unused_async, reason = "a server database answers later; SQLite answers now")]
    pub async fn append<A: Append>(
        &mut self,
        row: impl FnOnce(i64) -> A + Send,
    ) -> Result<i64, StoreError> {
        let place = self.place::<AppendList<A>>(|_| Box::new(AppendList::<A>::new()));
        let list = self.caches[place].as_any_mut().downcast_mut::<AppendList<A>>();
        list.map_or(Err(StoreError::Stopped), |list| list.push(&self.engine, row))
    }

    /// Tells the world, once this transaction is committed and only then.
    pub fn publish(&mut self, draft: Draft) -> EventId {
        let index = u32::try_from(self.events.len()).unwrap_or(Position::INDEX_MAX);
        let position = Position { segment: self.segment, index };
        let id = EventId::new(self.now, self.stream, position);
        self.events.push(Arc::new(Event {
            id,
            sequence: draft.sequence,
            time: self.now,
            correlation: draft.correlation,
            causation: draft.causation,
            traceparent: draft.traceparent.or_else(trace::traceparent),
            data: draft.data,
        }));
        id
    }

    /// Does something once this transaction is committed and only then; it must be quick.
    pub fn after_commit(&mut self, act: impl FnOnce() + Send + 'static) {
        self.acts.push(Box::new(act));
    }

    /// The number that this transaction's segment will have, if it publishes anything.
    pub fn segment(&self) -> u64 {
        self.segment
    }

    /// The events published so far in this transaction, all pieces of work together.
    pub fn published(&self) -> &[Arc<Event>] {
        &self.events
    }

    /// Runs `work` as a piece of its own: kept whole, or undone whole if it fails or panics.
    pub fn attempt<T, E: From<StoreError>>(
        &mut self,
        work: impl for<'t> FnOnce(&'t mut Self) -> BoxFuture<'t, Result<T, E>>,
    ) -> Result<T, E> {
        self.attempt_on(&(), |tx, ()| work(tx))
    }

    /// The same for work that borrows `input`.
    pub fn attempt_on<I: ?Sized, T, E: From<StoreError>>(
        &mut self,
        input: &I,
        work: impl for<'t> FnOnce(&'t mut Self, &'t I) -> BoxFuture<'t, Result<T, E>>,
    ) -> Result<T, E> {
        self.begin_piece();
        // On a server a statement that fails takes its whole transaction with it, unless a savepoint
        // stands before it.
        if self.isolated && !self.may_defer() {
            self.protect()?;
        }
        let ran = catch_unwind(AssertUnwindSafe(|| finish_now(work(self, input))));
        let result = match ran {
            Ok(Some(result)) => result,
            Ok(None) => Err(StoreError::Waited.into()),
            Err(panic) => Err(StoreError::Panicked(panic_text(panic.as_ref())).into()),
        };
        let result = result.and_then(|value| self.keep_piece().map(|()| value).map_err(E::from));
        if result.is_err() {
            self.undo_piece();
        }
        result
    }

    fn records<R: Record>(&mut self) -> usize {
        self.place::<RecordCache<R>>(|dues| Box::new(RecordCache::<R>::new(dues.of::<R>())))
    }

    fn place<C: 'static>(&mut self, make: impl FnOnce(&Dues) -> Box<dyn AnyCache>) -> usize {
        let (caches, dues) = (&mut self.caches, &self.dues);
        *self.places.entry(TypeId::of::<C>()).or_insert_with(|| {
            let mut cache = make(dues);
            cache.begin();
            caches.push(cache);
            caches.len().saturating_sub(1)
        })
    }

    /// Opens the SQL savepoint of the current piece of work, the first time it is needed.
    fn protect(&mut self) -> Result<(), StoreError> {
        if self.savepoint {
            return Ok(());
        }
        self.engine.control("SAVEPOINT piece")?;
        self.savepoint = true;
        Ok(())
    }

    fn flush_rows(&mut self) -> Result<(), StoreError> {
        for cache in &mut self.caches {
            let written = cache.flush(&self.engine)?;
            self.rows_written = self.rows_written.saturating_add(written);
        }
        Ok(())
    }

    /// Brings every row into its table.
    fn settle(&mut self) -> Result<(), StoreError> {
        self.flush_rows()?;
        if self.unsettled > 0
            && let Engine::Sqlite(connection) = &self.engine
        {
            pending::clear(connection)?;
            self.unsettled = 0;
        }
        Ok(())
    }

    fn begin_piece(&mut self) {
        self.begun = (self.events.len(), self.acts.len());
        for cache in &mut self.caches {
            cache.begin();
        }
    }

    fn keep_piece(&mut self) -> Result<(), StoreError> {
        if let Some(name) = self.caches.iter().find_map(|cache| cache.broken_rule()) {
            return Err(StoreError::Constraint { name: name.to_owned() });
        }
        if self.isolated {
            self.protect()?;
            self.flush_rows()?;
        }
        if self.savepoint {
            self.engine.control("RELEASE SAVEPOINT piece")?;
            self.savepoint = false;
        }
        for cache in &mut self.caches {
            cache.keep();
        }
        Ok(())
    }

    fn undo_piece(&mut self) {
        if self.savepoint {
            let back = self
                .engine
                .control("ROLLBACK TO SAVEPOINT piece")
                .and_then(|()| self.engine.control("RELEASE SAVEPOINT piece"));
            match (back, &self.engine) {
                (Ok(()), _) => {}
                // The server has undone the whole transaction: its last statement will say so.
                (Err(error), Engine::Server(server)) => {
                    tracing::debug!(%error, "a savepoint went with its transaction");
                    server.give_up();
                }
                (Err(error), Engine::Sqlite(_)) => {
                    // The connection no longer knows what it holds: only a restart is safe.
                    tracing::error!(%error, "a savepoint cannot be rolled back; stopping");
                    std::process::abort();
                }
            }
            self.savepoint = false;
        }
        self.events.truncate(self.begun.0);
        self.acts.truncate(self.begun.1);
        for cache in &mut self.caches {
            cache.undo();
        }
    }

    /// Begins; says whether another writer has been at work, so that what was known is read anew.
    pub(crate) fn begin(&mut self, now: Timestamp, isolated: bool) -> Result<bool, StoreError> {
        // Never before the last one: what is appended later must not look earlier.
        self.now = self.now.max(now);
        self.isolated = isolated;
        let turn = match &self.engine {
            Engine::Sqlite(connection) => {
                return sqlite::execute(connection, "BEGIN IMMEDIATE", &[]).map(|_| false);
            }
            Engine::Server(server) => server.begin_turn()?,
        };
        match turn {
            Turn::Next => return Ok(false),
            Turn::Anew => self.forget(),
            Turn::Lost => {
                let why = "another process has written this schema, so what this one knows is old";
                return Err(StoreError::Open(why.to_owned()));
            }
        }
        let last = crate::log::last(&self.engine);
        let (segment, at) = last.inspect_err(|_| self.engine.abandon())?;
        self.segment = segment.saturating_add(1);
        self.now = self.now.max(at);
        Ok(true)
    }

    /// Nothing in memory is known to be in the database any more.
    fn forget(&mut self) {
        self.caches.clear();
        self.places.clear();
        self.pending = PendingRows::default();
        self.dues.forget();
    }

    /// Others have written, and it is not this instance's turn: what is known is to be read anew.
    pub(crate) fn doubt(&mut self) {
        self.forget();
    }

    /// Whether changed rows may be left to a later COMMIT: only where pages are what a COMMIT costs.
    pub(crate) fn may_defer(&self) -> bool {
        matches!(self.engine, Engine::Sqlite(_))
    }

    /// Rows that this transaction changed.
    pub(crate) fn changed(&self) -> usize {
        self.caches.iter().map(|cache| cache.changed()).sum()
    }

    /// Changes in the database that are not in their tables.
    pub(crate) fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// Writes what was changed, and the outbox segment. If `may_wait`, changed rows are left to a
    /// later flush; otherwise every row is in its table afterwards.
    pub(crate) fn prepare(&mut self, may_wait: bool) -> Result<(), StoreError> {
        let events = std::mem::take(&mut self.events);
        let written = if events.len() < EVENTS_ASIDE {
            self.write_rows(may_wait).and_then(|()| crate::log::encode(&events))
        } else {
            std::thread::scope(|scope| {
                let body = scope.spawn(|| crate::log::encode(&events));
                let rows = self.write_rows(may_wait);
                let body = body
                    .join()
                    .unwrap_or_else(|panic| Err(StoreError::Panicked(panic_text(panic.as_ref()))));
                rows.and(body)
            })
        };
        let count = events.len();
        self.events = events;
        let body = written?;
        if count > 0 {
            crate::log::append(&self.engine, self.segment, self.now, (count, body))?;
        }
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Server(server) => server.record_turn(),
        }
    }

    fn write_rows(&mut self, may_wait: bool) -> Result<(), StoreError> {
        if !may_wait {
            return self.settle();
        }
        for cache in &mut self.caches {
            let written = cache.defer(&self.engine, &mut self.pending)?;
            self.rows_written = self.rows_written.saturating_add(written);
        }
        if let Engine::Sqlite(connection) = &self.engine {
            let more = self.pending.append(connection)?;
            self.unsettled = self.unsettled.saturating_add(more);
        }
        Ok(())
    }

    /// COMMIT. On SQLite an error here is neither success nor failure: the process must stop.
    pub(crate) fn commit(&mut self) -> Result<Committed, CommitError> {
        match &self.engine {
            Engine::Sqlite(connection) => {
                let committed = sqlite::execute(connection, "COMMIT", &[]);
                committed.map_err(CommitError::Unknown)?;
            }
            Engine::Server(server) => server.commit()?,
        }
        Ok(self.committed())
    }

    /// Whether the COMMIT happened whose answer was lost; an error if that cannot be asked now.
    pub(crate) fn outcome(&self) -> Result<bool, StoreError> {
        match &self.engine {
            Engine::Sqlite(_) => Err(StoreError::Stopped),
            Engine::Server(server) => server.outcome(),
        }
    }

    /// The COMMIT is durable.
    pub(crate) fn committed(&mut self) -> Committed {
        for cache in &mut self.caches {
            cache.committed(self.unsettled == 0);
        }
        if !self.events.is_empty() {
            self.segment = self.segment.saturating_add(1);
        }
        let events = std::mem::take(&mut self.events);
        Committed { events, acts: std::mem::take(&mut self.acts) }
    }

    pub(crate) fn roll_back(&mut self) -> Result<(), StoreError> {
        self.savepoint = false;
        self.events.clear();
        self.acts.clear();
        self.forget();
        match &self.engine {
            Engine::Sqlite(connection) => {
                sqlite::execute(connection, "ROLLBACK", &[])?;
                // What earlier COMMITs left pending was in those caches: it comes from the database
                // now.
                pending::apply(connection)?;
            }
            Engine::Server(server) => server.roll_back(),
        }
        self.dues.nothing_is_pending();
        self.unsettled = 0;
        Ok(())
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// What a COMMIT leaves to be done.
pub(crate) struct Committed {
    pub(crate) events: Vec<Arc<Event>>,
    pub(crate) acts: Vec<Act>,
}

//! A session: messages that wait for their client, and a client that comes and goes.
//!
//! The application holds a [`Connection`]; a transport attaches as the one [`Receiver`] of the
//! session. What waits is bounded: an application that sends faster than its client fetches waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use hashbrown::HashMap;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use super::{Options, Service, frame};

/// Messages of a client that wait for the application.
const INBOUND_MAX: usize = 64;

/// The session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the session is over")]
pub struct Over;

#[derive(Debug, Default)]
struct State {
    /// Whether the client was told that the session is open.
    is_open: bool,
    /// Messages for the client, each in quotes already.
    queue: VecDeque<String>,
    queued_bytes: usize,
    is_attached: bool,
    /// When the client was last there.
    left_at: Option<Instant>,
    /// Why it is over, if it is.
    closed: Option<(u16, String)>,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    state: Mutex<State>,
    /// Something is there for the client.
    filled: Notify,
    /// There is room for the application again, or it is over.
    drained: Notify,
    inbound: mpsc::Sender<Bytes>,
    queue_bytes_max: usize,
}

/// What a transport writes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// A frame, after which more may come.
    Frame(String),
    /// The frame that ends the session.
    Last(String),
}

impl Session {
    fn new(options: &Options, is_raw: bool) -> (Arc<Self>, Connection) {
        let (inbound, receiver) = mpsc::channel(INBOUND_MAX);
        let session = Arc::new(Self {
            state: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            inbound,
            queue_bytes_max: options.queue_bytes_max,
        });
        let connection = Connection { session: Arc::clone(&session), inbound: receiver, is_raw };
        (session, connection)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment or one push.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session, unless it is over.
    pub(super) fn close(&self, code: u16, reason: &str) {
        {
            let mut state = self.state();
            if state.closed.is_none() {
                state.closed = Some((code, reason.to_owned()));
            }
        }
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    fn is_closed(&self) -> bool {
        self.state().closed.is_some()
    }

    /// Hands a message of the client to the application, waiting while it is busy.
    pub(super) async fn hear(&self, message: String) -> Result<(), Over> {
        if self.is_closed() {
            return Err(Over);
        }
        tokio::select! {
            sent = self.inbound.send(message.into()) => sent.ok().ok_or(Over),
            () = self.over() => Err(Over),
        }
    }

    /// Waits until the session is over.
    async fn over(&self) {
        loop {
            let drained = self.drained.notified();
            if self.is_closed() {
                return;
            }
            drained.await;
        }
    }

    /// Becomes the session's receiver; `None` if it has one.
    pub(super) fn attach(self: &Arc<Self>) -> Option<Receiver> {
        let mut state = self.state();
        if state.is_attached {
            return None;
        }
        state.is_attached = true;
        drop(state);
        Some(Receiver { session: Arc::clone(self), is_done: false })
    }

    /// When the session has been without its client for `span`.
    async fn abandoned(&self, span: Duration) {
        loop {
            let (is_attached, left_at) = {
                let state = self.state();
                (state.is_attached, state.left_at)
            };
            let due = left_at.unwrap_or_else(Instant::now) + span;
            if !is_attached && due <= Instant::now() {
                return;
            }
            sleep_until(if is_attached { Instant::now() + span } else { due }).await;
        }
    }
}

/// The one transport that a session writes to, until it is dropped.
#[derive(Debug)]
pub(super) struct Receiver {
    session: Arc<Session>,
    is_done: bool,
}

impl Receiver {
    /// What is there to be written, if anything is.
    fn ready(&self) -> Option<Next> {
        let mut state = self.session.state();
        if !state.is_open {
            state.is_open = true;
            return Some(Next::Frame(frame::OPEN.to_owned()));
        }
        if !state.queue.is_empty() {
            let queued = std::mem::take(&mut state.queue);
            state.queued_bytes = 0;
            drop(state);
            self.session.drained.notify_waiters();
            return Some(Next::Frame(frame::messages(&queued)));
        }
        let (code, reason) = state.closed.as_ref()?;
        Some(Next::Last(frame::close(*code, reason)))
    }

    /// Waits for what is to be written; a sign of life after `heartbeat` of silence.
    pub(super) async fn next(&mut self, heartbeat: Duration) -> Next {
        let beat = Instant::now() + heartbeat;
        loop {
            if let Some(next) = self.ready() {
                return next;
            }
            tokio::select! {
                () = self.session.filled.notified() => {}
                () = sleep_until(beat) => return Next::Frame(frame::HEARTBEAT.to_owned()),
            }
        }
    }

    /// The answer ends as it should: the client will come back for more.
    pub(super) const fn done(&mut self) {
        self.is_done = true;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        {
            let mut state = self.session.state();
            state.is_attached = false;
            state.left_at = Some(Instant::now());
        }
        if !self.is_done {
            self.session.close(1002, "Connection interrupted");
        }
    }
}

/// What an application holds of a session.
#[derive(Debug)]
pub struct Connection {
    session: Arc<Session>,
    inbound: mpsc::Receiver<Bytes>,
    is_raw: bool,
}

impl Connection {
    /// Whether it is a WebSocket without SockJS's framing.
    pub const fn is_raw(&self) -> bool {
        self.is_raw
    }

    /// The next message of the client; `None` if there will be none. Dropping the future loses
    /// nothing.
    pub async fn receive(&mut self) -> Option<Bytes> {
        tokio::select! {
            biased;
            message = self.inbound.recv() => message,
            () = self.session.over() => None,
        }
    }

    /// Sends a message, waiting while too much waits for the client. What is not UTF-8 is sent with
    /// its faults replaced.
    pub async fn send(&self, message: &[u8]) -> Result<(), Over> {
        let quoted = frame::message(&String::from_utf8_lossy(message));
        loop {
            let drained = self.session.drained.notified();
            {
                let mut state = self.session.state();
                if state.closed.is_some() {
                    return Err(Over);
                }
                let bytes = state.queued_bytes + quoted.len();
                // A message that is larger than the queue goes alone.
                if bytes <= self.session.queue_bytes_max || state.queue.is_empty() {
                    state.queued_bytes = bytes;
                    state.queue.push_back(quoted);
                    drop(state);
                    self.session.filled.notify_one();
                    return Ok(());
                }
            }
            drained.await;
        }
    }

    /// Ends the session.
    pub fn close(&self, code: u16, reason: &str) {
        self.session.close(code, reason);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.session.close(3000, "Go away!");
    }
}

/// All sessions of a service whose clients come and go.
#[derive(Debug, Clone)]
pub struct Sessions {
    by_id: Arc<Mutex<HashMap<String, Arc<Session>>>>,
    pub(super) options: Arc<Options>,
    pub(super) service: Service,
}

impl Sessions {
    /// No sessions yet.
    pub fn new(options: Options, service: Service) -> Self {
        Self { by_id: Arc::default(), options: Arc::new(options), service }
    }

    fn by_id(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        // Each change is one insertion or one removal.
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session `id`, if there is one.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.by_id().get(id).cloned()
    }

    /// The session `id`, or a new one; `None` if there is no room for it.
    pub(super) fn get_or_open(&self, id: &str) -> Option<Arc<Session>> {
        let mut by_id = self.by_id();
        if let Some(known) = by_id.get(id) {
            return Some(Arc::clone(known));
        }
        if by_id.len() >= self.options.sessions_max {
            return None;
        }
        let (session, application) = self.begin(false)?;
        by_id.insert(id.to_owned(), Arc::clone(&session));
        drop(by_id);
        let (sessions, id, known) = (self.clone(), id.to_owned(), Arc::clone(&session));
        (self.service.spawn)(Box::pin(async move {
            let span = sessions.options.disconnect_after;
            tokio::select! {
                () = application => {}
                () = known.abandoned(span) => {}
            }
            known.close(3000, "Go away!");
            // The client is told so for a while, however often it asks.
            tokio::select! {
                () = known.abandoned(span) => {}
                () = (sessions.service.stopping)() => {}
            }
            sessions.by_id().remove(&id);
        }));
        Some(session)
    }

    /// A session that nobody can come back to, and what serves it.
    pub(super) fn begin(&self, is_raw: bool) -> Option<(Arc<Session>, BoxFuture<'static, ()>)> {
        let (session, connection) = Session::new(&self.options, is_raw);
        let application = (self.service.open)(connection)?;
        Some((session, application))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_id().len()
    }
}

//! One thread that writes the streams of all readers whose connections were handed over.
//!
//! A reader is a socket and a cursor: nothing waits for it, no task is woken for it. When the hub has
//! told something, the thread goes through the groups that it concerns and writes the same bytes to
//! every member; what a socket does not take waits for it alone. Only then, and for the end of a
//! connection, the system is asked to say when something happens.

mod connection;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender as Channel, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use tokio::sync::watch;

use super::Live;
use crate::hub::{Alike, Hub, Interest, Woken};
use connection::{Connection, Outcome};

/// What the system tells in one look.
const EVENTS_MAX: usize = 1_024;
/// How often signs of life are thought of.
const BEATS: Duration = Duration::from_secs(1);
/// How long readers may take to hear of the end.
const FAREWELL: Duration = Duration::from_secs(3);
/// The token that wakes the thread.
const BELL: Token = Token(usize::MAX);

/// Writes streams. Clones are the same thread.
#[derive(Clone)]
pub struct Sender {
    adopted: Channel<(TcpStream, Live)>,
    bell: Arc<Waker>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl Sender {
    /// Starts the thread that writes what `hub` tells; it ends after the hub was stopped.
    pub fn start(hub: &Hub) -> io::Result<Self> {
        let poll = Poll::new()?;
        let bell = Arc::new(Waker::new(poll.registry(), BELL)?);
        let (adopted, arrivals) = channel();
        let rung = Arc::clone(&bell);
        hub.ring_when_told(Box::new(move || {
            // It fails only if the system has no memory for it; the thread looks by itself, too.
            rung.wake().unwrap_or_default();
        }));
        let desk = Desk {
            hub: hub.clone(),
            poll,
            arrivals,
            connections: Vec::new(),
            free: Vec::new(),
            groups: HashMap::new(),
        };
        let thread = std::thread::Builder::new().name("live-send".into());
        let thread = thread.spawn(move || desk.run())?;
        Ok(Self { adopted, bell, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Waits, blocking, until the thread has ended.
    pub fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes streams has ended by itself");
        }
    }

    /// Takes over a connection.
    pub(super) fn adopt(&self, socket: TcpStream, live: Live) {
        // Once the thread has ended, the connection ends here.
        if self.adopted.send((socket, live)).is_ok() {
            self.bell.wake().unwrap_or_default();
        }
    }
}

/// Readers that want the same.
struct Group {
    latest: watch::Receiver<Woken>,
    members: Vec<usize>,
}

/// Everything that the thread works with.
struct Desk {
    hub: Hub,
    poll: Poll,
    arrivals: Receiver<(TcpStream, Live)>,
    connections: Vec<Option<Connection>>,
    /// Places in `connections` where nobody is.
    free: Vec<usize>,
    groups: HashMap<Arc<Interest>, Group>,
}

#[expect(clippy::disallowed_methods, reason = "paces a thread, decides nothing")]
fn now() -> Instant {
    Instant::now()
}

impl Desk {
    fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut beat_at = now() + BEATS;
        while !self.hub.is_stopping() {
            // Nobody is waited for who has more to take at once.
            let wait = beat_at.saturating_duration_since(now());
            if let Err(error) = self.poll.poll(&mut events, Some(wait)) {
                if error.kind() != io::ErrorKind::Interrupted {
                    tracing::error!(%error, "the sockets of streams cannot be watched");
                    std::thread::sleep(BEATS);
                }
                continue;
            }
            self.arrive();
            self.happened(&events);
            self.deliver();
            if now() >= beat_at {
                beat_at = now() + BEATS;
                self.beat();
            }
        }
        self.farewell(&mut events);
    }

    /// Takes in those who came.
    fn arrive(&mut self) {
        while let Ok((socket, live)) = self.arrivals.try_recv() {
            let place = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len().saturating_sub(1)
            });
            let (interest, latest) = live.client.wakes();
            let opened = Connection::open(socket, live, (self.poll.registry(), Token(place)));
            let mut connection = match opened {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::debug!(%error, "a stream ended before it began");
                    self.free.push(place);
                    continue;
                }
            };
            let group = self
                .groups
                .entry(interest)
                .or_insert_with(|| Group { latest, members: Vec::new() });
            connection.seat_in_group = group.members.len();
            group.members.push(place);
            if let Some(slot) = self.connections.get_mut(place) {
                *slot = Some(connection);
            }
            // What it came for may be there already.
            self.advance(place, &mut Alike::default());
        }
    }

    /// What the system says of sockets: there is room again, or the reader is gone.
    fn happened(&mut self, events: &Events) {
        for event in events {
            let Token(place) = event.token();
            if event.token() == BELL {
                continue;
            }
            let Some(Some(connection)) = self.connections.get_mut(place) else { continue };
            let may_be_gone = event.is_readable() || event.is_read_closed() || event.is_error();
            if may_be_gone && connection.is_gone() {
                self.close(place);
            } else if event.is_writable() {
                self.advance(place, &mut Alike::default());
            }
        }
    }

    /// Writes to everybody whose group was told something.
    fn deliver(&mut self) {
        let mut closed = Vec::new();
        for group in self.groups.values_mut() {
            // A sender is there as long as a client is.
            if !group.latest.has_changed().unwrap_or(false) {
                continue;
            }
            group.latest.borrow_and_update();
            let mut alike = Alike::default();
            for place in &group.members {
                if let Some(Some(connection)) = self.connections.get_mut(*place)
                    && connection.advance(&mut alike, self.poll.registry()) == Outcome::Gone
                {
                    closed.push(*place);
                }
            }
        }
        for place in closed {
            self.close(place);
        }
    }

    fn advance(&mut self, place: usize, alike: &mut Alike) {
        let Some(Some(connection)) = self.connections.get_mut(place) else { return };
        if connection.advance(alike, self.poll.registry()) == Outcome::Gone {
            self.close(place);
        }
    }

    fn close(&mut self, place: usize) {
        let Some(connection) = self.connections.get_mut(place).and_then(Option::take) else {
            return;
        };
        self.free.push(place);
        let (interest, _) = connection.client.wakes();
        let Some(group) = self.groups.get_mut(&interest) else { return };
        group.members.swap_remove(connection.seat_in_group);
        if let Some(moved) = group.members.get(connection.seat_in_group)
            && let Some(Some(moved)) = self.connections.get_mut(*moved)
        {
            moved.seat_in_group = connection.seat_in_group;
        }
        if group.members.is_empty() {
            self.groups.remove(&interest);
        }
    }

    /// Signs of life for those who were told nothing for a while.
    fn beat(&mut self) {
        let at = now();
        for place in 0..self.connections.len() {
            let Some(Some(connection)) = self.connections.get_mut(place) else { continue };
            if connection.beat(at, self.poll.registry()) == Outcome::Gone {
                self.close(place);
            }
        }
    }

    /// Tells everybody when to come back, and lets them take it.
    fn farewell(mut self, events: &mut Events) {
        self.arrive();
        for place in 0..self.connections.len() {
            self.advance(place, &mut Alike::default());
        }
        let until = now() + FAREWELL;
        while self.connections.iter().any(Option::is_some) && now() < until {
            let wait = until.saturating_duration_since(now());
            if self.poll.poll(events, Some(wait)).is_ok() {
                self.happened(events);
            }
        }
    }
}

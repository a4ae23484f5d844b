//! A connection whose stream is written by the one thread.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use contracts::Position;
use mio::{Interest, Registry, Token};

use super::super::{Live, bye, event_at, id, reset_json};
use super::now;
use crate::hub::{Alike, Client, Seat, Step};

/// Pieces that one reader is given before others have their turn: it is far behind, and they are not.
const PIECES_MAX: usize = 64;

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It goes on.
    Open,
    /// Nothing can be written to it any more.
    Gone,
}

/// A reader.
pub(super) struct Connection {
    socket: mio::net::TcpStream,
    token: Token,
    pub(super) client: Client,
    /// Its place among the members of its group.
    pub(super) seat_in_group: usize,
    heartbeat: Duration,
    /// When it was told something last.
    spoke_at: Instant,
    /// The position that the last heartbeat gave.
    beaten: Option<Position>,
    /// What the socket has not taken, if there is anything.
    untaken: VecDeque<Bytes>,
    ended: bool,
    _seat: Seat,
}

/// `pieces` as one chunk of HTTP/1.1.
fn framed(pieces: &[Bytes]) -> Bytes {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let size = format!("{length:x}\r\n");
    let mut chunk = BytesMut::with_capacity(size.len() + length + 2);
    chunk.extend_from_slice(size.as_bytes());
    for piece in pieces {
        chunk.extend_from_slice(piece);
    }
    chunk.extend_from_slice(b"\r\n");
    chunk.freeze()
}

impl Connection {
    pub(super) fn open(
        socket: TcpStream,
        live: Live,
        (registry, token): (&Registry, Token),
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let mut socket = mio::net::TcpStream::from_std(socket);
        registry.register(&mut socket, token, Interest::READABLE)?;
        let Live { client, seat, first, heartbeat, .. } = live;
        let mut untaken = VecDeque::with_capacity(first.len() * 3);
        for piece in first.into_iter().filter(|piece| !piece.is_empty()) {
            // The bytes are shared with others who came for the same: only what is around them is new.
            untaken.push_back(format!("{:x}\r\n", piece.len()).into());
            untaken.push_back(piece);
            untaken.push_back(Bytes::from_static(b"\r\n"));
        }
        Ok(Self {
            socket,
            token,
            client,
            seat_in_group: 0,
            heartbeat,
            spoke_at: now(),
            beaten: None,
            untaken,
            ended: false,
            _seat: seat,
        })
    }

    /// Writes what there is, as far as it is taken.
    pub(super) fn advance(&mut self, alike: &mut Alike, registry: &Registry) -> Outcome {
        match self.try_advance(alike, registry) {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::debug!(%error, "a stream ended");
                Outcome::Gone
            }
        }
    }

    fn try_advance(&mut self, alike: &mut Alike, registry: &Registry) -> io::Result<Outcome> {
        for _ in 0..PIECES_MAX {
            if !self.flush(registry)? {
                return Ok(Outcome::Open);
            }
            if self.ended {
                self.socket.shutdown(Shutdown::Write)?;
                return Ok(Outcome::Gone);
            }
            let bytes = match self.client.look_alike(alike, framed) {
                None => return Ok(Outcome::Open),
                Some(Step::Events(bytes, _)) => bytes,
                Some(Step::Reset(reason)) => {
                    let json = reset_json(reason);
                    framed(&[event_at("reset", &json, self.client.told())])
                }
                Some(Step::Stop(after)) => {
                    self.ended = true;
                    let mut farewell = BytesMut::from(framed(&[bye(after)]));
                    farewell.extend_from_slice(b"0\r\n\r\n");
                    farewell.freeze()
                }
            };
            self.spoke_at = now();
            self.say(bytes, registry)?;
        }
        // It goes on when the system says that there is room, which is at once.
        registry.reregister(
            &mut self.socket,
            self.token,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        Ok(Outcome::Open)
    }

    fn say(&mut self, mut bytes: Bytes, registry: &Registry) -> io::Result<()> {
        if !self.untaken.is_empty() {
            self.untaken.push_back(bytes);
            return Ok(());
        }
        loop {
            match self.socket.write(&bytes) {
                Ok(written) if written == bytes.len() => return Ok(()),
                // Bytes are never empty, and a socket takes at least one or says that it is full.
                Ok(written) => drop(bytes.split_to(written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.untaken = VecDeque::from([bytes]);
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.reregister(&mut self.socket, self.token, both)
    }

    /// Writes what was not taken; whether all of it is taken now.
    fn flush(&mut self, registry: &Registry) -> io::Result<bool> {
        if self.untaken.is_empty() {
            return Ok(true);
        }
        while let Some(first) = self.untaken.front_mut() {
            match self.socket.write(first) {
                Ok(written) if written == first.len() => drop(self.untaken.pop_front()),
                Ok(written) => drop(first.split_to(written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let both = Interest::READABLE | Interest::WRITABLE;
                    registry.reregister(&mut self.socket, self.token, both)?;
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // Its memory is given back: hardly any reader needs it again.
        self.untaken = VecDeque::new();
        registry.reregister(&mut self.socket, self.token, Interest::READABLE)?;
        Ok(true)
    }

    /// A sign of life, if it is time for one. A reader that takes nothing needs none.
    pub(super) fn beat(&mut self, at: Instant, registry: &Registry) -> Outcome {
        if at.saturating_duration_since(self.spoke_at) < self.heartbeat || !self.untaken.is_empty()
        {
            return Outcome::Open;
        }
        // What did not concern it has gone by: it must not fall behind the ring for that.
        if self.advance(&mut Alike::default(), registry) == Outcome::Gone {
            return Outcome::Gone;
        }
        if self.spoke_at >= at || !self.untaken.is_empty() {
            return Outcome::Open;
        }
        self.spoke_at = at;
        let told = self.client.told();
        // An id lets a client for whom nothing happened come back from far.
        let beat = match told.filter(|_| told != self.beaten) {
            Some(position) => Bytes::from(format!(":\nid: {}\n\n", id(position))),
            None => Bytes::from_static(b":\n\n"),
        };
        self.beaten = told;
        match self.say(framed(&[beat]), registry) {
            Ok(()) => Outcome::Open,
            Err(_) => Outcome::Gone,
        }
    }

    /// Whether the reader has closed its side; what it says until then is of no interest.
    pub(super) fn is_gone(&mut self) -> bool {
        let mut ignored = [0; 256];
        loop {
            match self.socket.read(&mut ignored) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return true,
            }
        }
    }
}

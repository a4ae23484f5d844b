//! Server-sent events: what is written on the wire, and the body of an endless answer.
//!
//! An answer is read either as a body, by whoever serves the connection, or its connection is handed
//! over to the [`Sender`], one thread that writes the streams of all such connections.

mod sender;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use contracts::Position;
use futures::Stream;
use futures::stream;
use http_body::Frame;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::hub::{Client, Reason, Seat, Step};

pub use sender::Sender;

/// The header that browsers send when they come back.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Tells proxies (nginx) not to gather the answer.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// How long a browser waits before it comes back by itself.
pub const RETRY: &str = "retry: 3000\n\n";
/// What the longest id takes, in bytes: two numbers of 64 and 32 bits and a dash.
const ID_BYTES_MAX: usize = 32;

/// One event; `json` must be one line.
pub fn event(name: &str, json: &str) -> Bytes {
    format!("event: {name}\ndata: {json}\n\n").into()
}

/// One event with an id to come back to.
pub fn event_at(name: &str, json: &str, position: Option<Position>) -> Bytes {
    let Some(position) = position else { return event(name, json) };
    format!("event: {name}\nid: {}\ndata: {json}\n\n", id(position)).into()
}

/// Tells a client to load anew.
pub fn reset(reason: Reason) -> Bytes {
    event("reset", &reset_json(reason))
}

/// What a client is told that must load anew.
pub(crate) fn reset_json(reason: Reason) -> String {
    format!(r#"{{"reason":"{}"}}"#, reason.word())
}

/// The id of an event at `position`.
pub fn id(position: Position) -> String {
    crate::hub::id(position)
}

/// The position that an id stands for.
pub fn parse_id(text: &str) -> Option<Position> {
    if text.len() > ID_BYTES_MAX {
        return None;
    }
    let (segment, index) = text.split_once('-')?;
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !plain(segment) || !plain(index) {
        return None;
    }
    Some(Position { segment: segment.parse().ok()?, index: index.parse().ok()? })
}

/// Tells a client when to come back.
fn bye(after: Duration) -> Bytes {
    event("bye", &format!(r#"{{"reconnectAfterMs":{}}}"#, after.as_millis()))
}

/// A client's stream: what is to be said first, then what happens.
struct Live {
    client: Client,
    seat: Seat,
    first: VecDeque<Bytes>,
    heartbeat: Duration,
    /// Made when the stream is first read as a body.
    beats: Option<Interval>,
    /// Whether something was said since the last heartbeat.
    spoke: bool,
    /// The position that the last heartbeat gave.
    beaten: Option<Position>,
    ended: bool,
}

impl Live {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(first) = self.first.pop_front() {
                return Some(first);
            }
            if self.ended {
                return None;
            }
            let heartbeat = self.heartbeat;
            let beats = self.beats.get_or_insert_with(|| {
                let mut beats = interval_at(Instant::now() + heartbeat, heartbeat);
                beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
                beats
            });
            tokio::select! {
                biased;
                step = self.client.next_chunks() => self.take(step),
                _ = beats.tick() => {
                    if !std::mem::take(&mut self.spoke) {
                        return Some(self.beat());
                    }
                }
            }
        }
    }

    fn take(&mut self, step: Step<Vec<Bytes>>) {
        self.spoke = true;
        match step {
            Step::Events(chunks, _) => self.first.extend(chunks),
            Step::Reset(reason) => {
                let json = reset_json(reason);
                self.first.push_back(event_at("reset", &json, self.client.told()));
            }
            Step::Stop(after) => {
                self.first.push_back(bye(after));
                self.ended = true;
            }
        }
    }

    /// A comment; and, so that a client for whom nothing happened can still come back from far, the
    /// position up to which that is so. An event without data is not shown to anybody.
    fn beat(&mut self) -> Bytes {
        let told = self.client.told();
        if told.is_none() || told == self.beaten {
            return Bytes::from_static(b":\n\n");
        }
        self.beaten = told;
        told.map_or_else(Bytes::new, |told| format!(":\nid: {}\n\n", id(told)).into())
    }
}

/// A stream whose connection may be handed over: in the extensions of its answer.
#[derive(Clone)]
pub struct Handover {
    live: Arc<Mutex<Option<Live>>>,
    sender: Option<Sender>,
}

impl Handover {
    /// Takes the stream out of `answer` if its sender is there; the body is empty from then on.
    pub fn of<B>(answer: &mut http::Response<B>) -> Option<Self> {
        let handover = answer.extensions_mut().remove::<Self>()?;
        handover.sender.is_some().then_some(handover)
    }

    /// Lets the sender write the stream on `socket`, to which the head of the answer has been written
    /// and whose body is written in the chunks of HTTP/1.1.
    pub fn give(self, socket: std::net::TcpStream) {
        let live = self.take();
        if let (Some(live), Some(sender)) = (live, self.sender) {
            sender.adopt(socket, live);
        }
    }

    fn take(&self) -> Option<Live> {
        // It is taken whole: nothing can be left half done in it.
        self.live.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The answer that never ends by itself: `first`, then what `client` hears, and a sign of life after
/// each `heartbeat` of silence. Who serves it may hand its connection over to `sender`.
pub fn answer(
    (seat, client): (Seat, Client),
    first: Vec<Bytes>,
    heartbeat: Duration,
    sender: Option<Sender>,
) -> Response {
    let mut opening = VecDeque::from(first);
    opening.push_front(Bytes::from_static(RETRY.as_bytes()));
    let live = Live {
        client,
        seat,
        first: opening,
        heartbeat,
        beats: None,
        spoke: false,
        beaten: None,
        ended: false,
    };
    let handover = Handover { live: Arc::new(Mutex::new(Some(live))), sender };
    let state = (handover.clone(), None);
    let chunks = stream::unfold(state, |(handover, mut live): (Handover, Option<Live>)| async {
        if live.is_none() {
            live = handover.take();
        }
        let chunk = live.as_mut()?.next().await?;
        Some((chunk, (handover, live)))
    });
    let mut response = Response::new(Body::new(Endless(Box::pin(chunks))));
    endless_headers(&mut response, HeaderValue::from_static("text/event-stream"));
    response.extensions_mut().insert(handover);
    response
}

/// Headers of an answer that must reach its reader piece by piece.
pub(crate) fn endless_headers(response: &mut Response, content_type: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
}

/// A body of chunks whose end nobody knows.
pub(crate) struct Endless<S>(pub(crate) Pin<Box<S>>);

impl<S: Stream<Item = Bytes>> http_body::Body for Endless<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.as_mut().poll_next(context).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_nothing_else_is_taken_for_one() {
        let position = Position { segment: 812, index: 3 };
        assert_eq!((id(position), parse_id("812-3")), ("812-3".to_owned(), Some(position)));
        for bad in ["", "-", "1", "1-", "-1", "1-2-3", "+1-2", "1-99999999999", "x-1", " 1-2"] {
            assert_eq!(parse_id(bad), None, "{bad}");
        }
    }
}

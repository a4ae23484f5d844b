//! The WebSocket transports: a session of its own for each socket.

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};

use super::frame;
use super::session::{Next, Receiver, Session, Sessions};

/// Bytes that one read of a socket may take: clients say little.
const READ_BUFFER_BYTES: usize = 4 * 1_024;
/// The largest message of a client, in bytes.
const MESSAGE_BYTES_MAX: usize = 128 * 1_024;
/// Bytes that wait to be written to one socket before its sender waits.
const WRITE_BUFFER_BYTES_MAX: usize = 256 * 1_024;

/// Limits for every WebSocket of ours, and little memory for each.
pub fn upgrade_options(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
}

/// How messages stand in a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// In SockJS frames.
    Sockjs,
    /// One by one, as they are.
    Raw,
}

/// Serves a socket to its end.
pub(super) async fn serve(sessions: Sessions, socket: WebSocket, framing: Framing) {
    let Some((session, application)) = sessions.begin(framing == Framing::Raw) else { return };
    let Some(receiver) = session.attach() else { return };
    let pump = Pump { sessions, session, receiver, framing };
    // The application ends when its connection does, and the socket when the application does.
    futures::future::join(application, pump.run(socket)).await;
}

struct Pump {
    sessions: Sessions,
    session: Arc<Session>,
    receiver: Receiver,
    framing: Framing,
}

impl Pump {
    async fn run(mut self, mut socket: WebSocket) {
        let heartbeat = self.sessions.options.heartbeat;
        loop {
            let goes_on = tokio::select! {
                received = socket.recv() => self.hear(received).await,
                next = self.receiver.next(heartbeat) => self.say(&mut socket, next).await,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Takes a message of the client; `false` ends the socket.
    async fn hear(&self, received: Option<Result<Message, axum::Error>>) -> bool {
        let text = match received {
            Some(Ok(Message::Text(text))) => text.to_string(),
            Some(Ok(Message::Binary(bytes))) => String::from_utf8_lossy(&bytes).into_owned(),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return true,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return false,
        };
        let messages = match self.framing {
            Framing::Raw => vec![text],
            Framing::Sockjs => match frame::parse_socket(&text) {
                Ok(messages) => messages,
                // The protocol has no word for it: the socket is closed.
                Err(_) => return false,
            },
        };
        for message in messages {
            if self.session.hear(message).await.is_err() {
                // What the application said last is still to be written.
                return true;
            }
        }
        true
    }

    async fn say(&mut self, socket: &mut WebSocket, next: Next) -> bool {
        let (frame, is_last) = match next {
            Next::Frame(frame) => (frame, false),
            Next::Last(frame) => (frame, true),
        };
        let messages = match self.framing {
            Framing::Sockjs => vec![Message::Text(frame.into())],
            Framing::Raw => raw(&frame),
        };
        for message in messages {
            if socket.send(message).await.is_err() {
                return false;
            }
        }
        if is_last {
            self.receiver.done();
            // Raw sockets know no SockJS codes; the protocol closes both with 1000.
            let bye = CloseFrame { code: 1000, reason: "Normal closure".into() };
            socket.send(Message::Close(Some(bye))).await.unwrap_or_default();
        }
        !is_last
    }
}

/// What a frame is without its framing.
fn raw(frame: &str) -> Vec<Message> {
    match frame.split_at_checked(1) {
        Some(("a", array)) => {
            let messages: Vec<String> = serde_json::from_str(array).unwrap_or_default();
            messages.into_iter().map(|message| Message::Text(message.into())).collect()
        }
        Some(("h", _)) => vec![Message::Ping(bytes::Bytes::new())],
        _ => Vec::new(),
    }
}

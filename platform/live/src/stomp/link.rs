//! What a session is carried by: a WebSocket, or a SockJS session of any transport.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;

use crate::sockjs::Connection;

/// The close code of a server that is about to be started again (IANA's registry of WebSocket).
const SERVICE_RESTART: u16 = 1012;

/// What comes from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A piece of the stream of frames.
    Bytes(Bytes),
    /// Nothing comes any more.
    Closed,
}

/// The client cannot be reached any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is gone")]
pub struct Gone;

/// What a session is carried by.
#[derive(Debug)]
pub enum Link {
    /// A WebSocket whose messages are the frames.
    WebSocket(Box<WebSocket>),
    /// A SockJS session.
    Sockjs(Connection),
}

impl Link {
    /// Waits for the client. Dropping the future loses nothing.
    pub async fn receive(&mut self) -> Received {
        match self {
            Self::WebSocket(socket) => loop {
                match socket.recv().await {
                    Some(Ok(Message::Text(text))) => return Received::Bytes(text.into()),
                    Some(Ok(Message::Binary(bytes))) => return Received::Bytes(bytes),
                    // Pings are answered by the library.
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Received::Closed,
                }
            },
            Self::Sockjs(connection) => {
                connection.receive().await.map_or(Received::Closed, Received::Bytes)
            }
        }
    }

    /// Sends bytes, waiting while the client takes none.
    pub async fn send(&mut self, bytes: Bytes) -> Result<(), Gone> {
        match self {
            Self::WebSocket(socket) => {
                // Text is what clients in browsers expect; a body that is none goes as it is.
                let message = match Utf8Bytes::try_from(bytes.clone()) {
                    Ok(text) => Message::Text(text),
                    Err(_) => Message::Binary(bytes),
                };
                socket.send(message).await.ok().ok_or(Gone)
            }
            Self::Sockjs(connection) => connection.send(&bytes).await.ok().ok_or(Gone),
        }
    }

    /// Closes: `is_restart` tells the client that it may come back at once.
    pub async fn close(self, is_restart: bool) {
        let (code, reason) = if is_restart {
            (SERVICE_RESTART, "Service restart")
        } else {
            (1000, "Normal closure")
        };
        match self {
            Self::WebSocket(mut socket) => {
                let frame = CloseFrame { code, reason: reason.into() };
                // A client that has gone needs no goodbye.
                socket.send(Message::Close(Some(frame))).await.unwrap_or_default();
            }
            Self::Sockjs(connection) => connection.close(code, reason),
        }
    }
}

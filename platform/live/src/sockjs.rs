//! SockJS, the server's side: a message channel through whatever a browser and its proxies let pass.
//!
//! [`frame`] is the codec; `session` is a session whose client comes and goes; `http` is every
//! transport: WebSocket, raw WebSocket, XHR polling and streaming, EventSource and htmlfile, with the
//! greeting, the info and the iframe page. What is said through it is up to the application: each
//! session hands it one [`Connection`].

pub mod frame;
mod http;
mod origin;
mod pages;
mod session;
mod socket;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

pub use http::{Framed, routes, welcome};
pub use origin::Origins;
pub use session::{Connection, Sessions};
pub use socket::upgrade_options;

/// How a SockJS service is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it is mounted, without a slash at the end.
    pub prefix: String,
    /// Who may use it from a browser.
    pub origins: Origins,
    /// The script that the iframe page loads: a client of SockJS. `None`: there is no such page.
    pub client_url: Option<String>,
    /// Subprotocols of WebSocket that the application speaks.
    pub protocols: Vec<&'static str>,
    /// Whether WebSockets may be used.
    pub websocket: bool,
    /// Whether load balancers need the session cookie.
    pub cookie_needed: bool,
    /// Silence after which a client is sent a sign of life.
    pub heartbeat: Duration,
    /// How long a session waits for its client to come back.
    pub disconnect_after: Duration,
    /// Bytes after which a streaming answer ends, so that browsers do not keep all of it.
    pub response_bytes_max: usize,
    /// Sessions at once.
    pub sessions_max: usize,
    /// Bytes of one request of a client.
    pub body_bytes_max: usize,
    /// Bytes that wait for a client that does not fetch them.
    pub queue_bytes_max: usize,
}

impl Options {
    /// The defaults of the protocol, at `prefix`.
    pub fn at(prefix: &str, origins: Origins) -> Self {
        Self {
            prefix: prefix.trim_end_matches('/').to_owned(),
            origins,
            client_url: None,
            protocols: Vec::new(),
            websocket: true,
            cookie_needed: false,
            heartbeat: Duration::from_secs(25),
            disconnect_after: Duration::from_secs(5),
            response_bytes_max: 128 * 1_024,
            sessions_max: 20_000,
            body_bytes_max: 128 * 1_024,
            queue_bytes_max: 256 * 1_024,
        }
    }
}

/// What serves a session, and how tasks are started.
#[derive(Clone)]
pub struct Service {
    /// Serves one session to its end; `None` if there is no room for another.
    pub open: Arc<dyn Fn(Connection) -> Option<BoxFuture<'static, ()>> + Send + Sync>,
    /// Runs a task that a shutdown waits for.
    pub spawn: Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>,
    /// Waits for the shutdown.
    pub stopping: Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Service")
    }
}

//! A small HTTP client: keeps its connections, says JSON, and never takes half an answer for one.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Longer than anything the product may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// An answer that did not come, or not to its end: nobody knows what became of the request.
#[derive(Debug, Clone)]
pub struct Lost(String);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer is lost: {}", self.0)
    }
}

fn lost(cause: impl fmt::Display) -> Lost {
    Lost(cause.to_string())
}

/// Speaks HTTP to one address. Clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    drivers: Mutex<JoinSet<()>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// A client of `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let (idle, drivers) = (Mutex::default(), Mutex::new(JoinSet::new()));
        Self { shared: Arc::new(Shared { address, idle, drivers }) }
    }

    /// A GET of `path`, to be sent.
    #[must_use]
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// A POST of `body` to `path`, to be sent.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.call(Method::POST, path).json(body)
    }

    /// A PUT of `body` to `path`, to be sent.
    #[must_use]
    pub fn put(&self, path: &str, body: &Value) -> Call {
        self.call(Method::PUT, path).json(body)
    }

    /// A request, to be sent.
    #[must_use]
    pub fn call(&self, method: Method, path: &str) -> Call {
        Call {
            client: self.clone(),
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    async fn connection(&self) -> Result<SendRequest<Full<Bytes>>, Lost> {
        loop {
            let Some(mut idle) = locked(&self.shared.idle).pop() else { break };
            if idle.ready().await.is_ok() {
                return Ok(idle);
            }
        }
        let stream = TcpStream::connect(self.shared.address).await.map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        locked(&self.shared.drivers).spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Lost> {
        let (connection, response) = loop {
            let mut connection = self.connection().await?;
            match connection.send_request(request.clone()).await {
                Ok(response) => break (connection, response),
                // The server closed an idle connection, as it does behind a body that it refused to
                // read: nothing of this request was sent.
                Err(error) if error.is_canceled() => {}
                Err(error) => return Err(lost(error)),
            }
        };
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(lost)?.to_bytes();
        locked(&self.shared.idle).push(connection);
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}

/// A request on its way.
#[derive(Debug, Clone)]
pub struct Call {
    client: Client,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Call {
    /// The same request with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same request under an `Idempotency-Key`.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// The same request, to be answered when the outcome is there.
    #[must_use]
    pub fn wait(self) -> Self {
        self.header("prefer", "wait=20")
    }

    /// The same request with `body` as JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header(CONTENT_TYPE.as_str(), "application/json").bytes(body.to_string())
    }

    /// The same request with these bytes as they are.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it.
    ///
    /// # Panics
    ///
    /// If the answer is lost.
    pub async fn send(self) -> Answer {
        let shown = format!("{} {}", self.method, self.path);
        self.try_send().await.unwrap_or_else(|lost| panic!("{shown}: {lost}"))
    }

    /// Sends it to a server that may go away.
    pub async fn try_send(self) -> Result<Answer, Lost> {
        let host = self.client.shared.address.to_string();
        let mut request = Request::builder().method(self.method).uri(self.path).header(HOST, host);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(self.body)).map_err(lost)?;
        let exchange = self.client.exchange(request);
        tokio::time::timeout(PATIENCE, exchange).await.map_err(lost)?
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The header `name`, empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        let json = serde_json::from_slice(&self.body);
        json.unwrap_or_else(|cause| panic!("no JSON, {cause}: {} {}", self.status, self.text()))
    }

    /// The body of an answer that must have `status`.
    ///
    /// # Panics
    ///
    /// If it has another.
    #[track_caller]
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "answered {}: {}", self.status, self.text());
        self.json()
    }

    /// The body of a refusal that must have `status` and the slug `slug`.
    ///
    /// # Panics
    ///
    /// If it is another, or no problem document.
    #[track_caller]
    pub fn refuses(&self, status: u16, slug: &str) -> Value {
        let problem = self.is(status);
        assert_eq!(self.header("content-type"), "application/problem+json", "{problem}");
        assert_eq!(problem["type"], format!("/problems/{slug}"), "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        problem
    }
}

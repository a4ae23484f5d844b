//! A service on a real port, and a client of HTTP that shows every byte.
#![expect(clippy::disallowed_methods, reason = "a test ends its tasks itself")]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use live::sockjs::{Connection, Options, Origins, Service, Sessions, routes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the services of the protocol's own tests do.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    /// Says again what it hears.
    Echo,
    /// Closes at once.
    Close,
}

async fn serve(mut connection: Connection, does: Does) {
    match does {
        Does::Close => connection.close(3000, "Go away!"),
        Does::Echo => {
            while let Some(message) = connection.receive().await {
                if connection.send(&message).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn service(does: Does) -> Service {
    Service {
        open: Arc::new(move |connection| -> Option<BoxFuture<'static, ()>> {
            Some(Box::pin(serve(connection, does)))
        }),
        stopping: Arc::new(|| Box::pin(std::future::pending())),
        spawn: Arc::new(|task| drop(tokio::task::spawn(task))),
    }
}

/// The service at `prefix` that the protocol's tests expect there.
pub(crate) async fn start(prefix: &str, does: Does, change: impl FnOnce(&mut Options)) -> Server {
    let mut options = Options::at(prefix, Origins::any());
    options.client_url = Some("http://localhost/sockjs.js".to_owned());
    options.response_bytes_max = 4_096;
    change(&mut options);
    let sessions = Sessions::new(options, service(does));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = routes(sessions.clone());
    let serving = tokio::task::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { address, prefix: prefix.to_owned(), sessions, serving }
}

pub(crate) struct Server {
    pub(crate) address: String,
    prefix: String,
    pub(crate) sessions: Sessions,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An answer whose body is still coming.
pub(crate) struct Streaming {
    stream: TcpStream,
    pub(crate) head: Answer,
    raw: Vec<u8>,
    is_chunked: bool,
    length: Option<usize>,
    is_over: bool,
}

const PATIENCE: Duration = Duration::from_secs(10);

impl Server {
    pub(crate) async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Streaming {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let mut request = format!("{method} {}{path} HTTP/1.1\r\nHost: test\r\n", self.prefix);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
            request.push_str("Connection: close\r\n");
        }
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        if method == "POST" || !body.is_empty() {
            write!(request, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        request.push_str("\r\n");
        request.push_str(body);
        stream.write_all(request.as_bytes()).await.unwrap();
        Streaming::begin(stream).await
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut streaming = self.open(method, path, headers, body).await;
        let no_body = method == "HEAD" || matches!(streaming.head.status, 204 | 304);
        if !no_body {
            streaming.end().await;
        }
        streaming.head
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, &[], body).await
    }
}

impl Streaming {
    async fn begin(mut stream: TcpStream) -> Self {
        let mut raw = Vec::new();
        let end = loop {
            if let Some(end) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut raw)).await;
            assert!(read.expect("the head comes").unwrap() > 0, "the connection ended in the head");
        };
        let head = String::from_utf8(raw[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<_> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let head = Answer { status, headers, body: String::new() };
        let is_chunked = head.header("transfer-encoding") == Some("chunked");
        let length = head.header("content-length").map(|length| length.parse().unwrap());
        let raw = raw[end + 4..].to_vec();
        Self { stream, head, raw, is_chunked, length, is_over: false }
    }

    /// Moves what has come from the wire into the body.
    fn decode(&mut self) {
        if !self.is_chunked {
            // A piece may end within a character: it is read as a whole.
            if self.is_over || self.length.is_some_and(|length| self.raw.len() >= length) {
                let all = String::from_utf8(std::mem::take(&mut self.raw)).unwrap();
                self.head.body.push_str(&all);
                self.is_over = true;
            }
            return;
        }
        while let Some(end) = self.raw.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&self.raw[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if self.raw.len() < end + 2 + size + 2 {
                return;
            }
            let chunk = self.raw[end + 2..end + 2 + size].to_vec();
            self.raw.drain(..end + 2 + size + 2);
            self.head.body.push_str(std::str::from_utf8(&chunk).unwrap());
            if size == 0 {
                self.is_over = true;
                return;
            }
        }
    }

    async fn more(&mut self) {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.raw)).await;
        let read = read.unwrap_or_else(|_| panic!("nothing comes behind {:?}", self.head.body));
        self.is_over |= read.unwrap() == 0;
        self.decode();
    }

    /// Waits until the body ends with `text`.
    pub(crate) async fn until(&mut self, text: &str) {
        self.decode();
        while !self.head.body.ends_with(text) {
            assert!(!self.is_over, "it ended with {:?}, not {text:?}", self.head.body);
            self.more().await;
        }
    }

    /// Waits for the end.
    pub(crate) async fn end(&mut self) -> &str {
        self.decode();
        while !self.is_over {
            self.more().await;
        }
        &self.head.body
    }
}

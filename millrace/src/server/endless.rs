//! Endless answers, written without the machinery for short ones.
//!
//! A connection of hyper keeps two buffers of 8 KiB and its state, 28 KB as measured, however little
//! passes. Ten thousand readers of a stream would take 300 MB. A connection whose first request asks
//! for a stream is therefore served here: the router answers it as always, and the answer is written
//! chunk by chunk with nothing kept in between; a stream of server-sent events is handed over, socket and
//! all, to the one thread that writes them. Whatever is not plainly such a request goes to hyper.

use std::io::{self, IoSlice};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, Version, header};
use bytes::Bytes;
use contracts::Clock as _;
use contracts::clock::SystemClock;
use http_body_util::BodyExt as _;
use live::sse::Handover;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tower::ServiceExt as _;

/// Bytes of a head that is looked at; a longer one is hyper's.
const HEAD_BYTES_MAX: usize = 4 * 1_024;
/// Headers of a head that is looked at.
const HEADERS_MAX: usize = 64;
/// What a request for a stream accepts, at the end of its path.
const STREAMS: [&str; 3] = ["/api/v1/orders/stream", "/api/v1/stock/stream", "/order-events"];

/// The request for a stream that is all that waits on `stream`, taken off it; `None` leaves the bytes
/// where they are.
pub(super) async fn request(stream: &mut TcpStream) -> io::Result<Option<Request<Body>>> {
    let mut seen = [0; HEAD_BYTES_MAX];
    let length = stream.peek(&mut seen).await?;
    let Some(request) = parse(&seen[..length]) else { return Ok(None) };
    // They are there: it takes one look.
    stream.read_exact(&mut seen[..length]).await?;
    Ok(Some(request))
}

/// A whole head of a request for a stream, and nothing behind it.
fn parse(bytes: &[u8]) -> Option<Request<Body>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = head.parse(bytes) else { return None };
    let target = head.path?;
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let is_stream =
        head.method == Some("GET") && head.version == Some(1) && STREAMS.contains(&path);
    if !is_stream || length != bytes.len() {
        return None;
    }
    let mut request = Request::builder().method(Method::GET).uri(target).version(Version::HTTP_11);
    for one in head.headers.iter() {
        let name = HeaderName::from_bytes(one.name.as_bytes()).ok()?;
        // A body, or a protocol to change to, is not expected here.
        if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::UPGRADE].contains(&name) {
            return None;
        }
        request = request.header(name, HeaderValue::from_bytes(one.value).ok()?);
    }
    request.body(Body::empty()).ok().filter(|request| request.headers().contains_key(header::HOST))
}

/// Answers `request` and closes the connection.
pub(super) async fn serve(
    mut stream: TcpStream,
    request: Request<Body>,
    router: Router,
) -> io::Result<()> {
    let Ok(mut answer) = Box::pin(router.oneshot(request)).await;
    if let Some(handover) = Handover::of(&mut answer) {
        stream.write_all(&head(&answer)).await?;
        handover.give(stream.into_std()?);
        return Ok(());
    }
    let (mut incoming, mut outgoing) = stream.split();
    outgoing.write_all(&head(&answer)).await?;
    let mut body = answer.into_body();
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = gone(&mut incoming) => return Ok(()),
        };
        let Some(frame) = frame else { break };
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            chunk(&mut outgoing, data).await?;
        }
    }
    outgoing.write_all(b"0\r\n\r\n").await?;
    outgoing.shutdown().await
}

/// Waits until the client has closed its side, whatever it says until then.
async fn gone(incoming: &mut ReadHalf<'_>) {
    let mut ignored = [0; 64];
    while matches!(incoming.read(&mut ignored).await, Ok(1..)) {}
}

fn head(answer: &Response<Body>) -> Vec<u8> {
    let status = answer.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    let date = date();
    let own = [("date", date.as_str()), ("transfer-encoding", "chunked"), ("connection", "close")];
    let own = own.iter().map(|(name, value)| (*name, value.as_bytes()));
    let headers = answer.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    // The answer is cut into chunks here, whatever its length is.
    for (name, value) in headers.filter(|(name, _)| *name != "content-length").chain(own) {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Now, as HTTP writes it.
fn date() -> String {
    let now = jiff::Timestamp::from_microsecond(SystemClock.now().as_micros()).unwrap_or_default();
    now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

async fn chunk(outgoing: &mut WriteHalf<'_>, data: Bytes) -> io::Result<()> {
    // A chunk of nothing would end the answer.
    if data.is_empty() {
        return Ok(());
    }
    let size = format!("{:x}\r\n", data.len());
    // One call for all three, which is nearly always enough.
    let parts = [IoSlice::new(size.as_bytes()), IoSlice::new(&data), IoSlice::new(b"\r\n")];
    let mut written = outgoing.write_vectored(&parts).await?;
    for part in [size.as_bytes(), &data, b"\r\n"] {
        if written >= part.len() {
            written -= part.len();
        } else {
            outgoing.write_all(&part[written..]).await?;
            written = 0;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "GET /api/v1/stock/stream?sku=a HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n";

    #[test]
    fn a_request_for_a_stream_is_taken_and_no_other() {
        let request = parse(PLAIN.as_bytes()).unwrap();
        assert_eq!(request.uri(), "/api/v1/stock/stream?sku=a");
        assert_eq!(request.headers()["accept"], "*/*");
        for other in [
            "",
            "GET /api/v1/stock/stream HTTP/1.1\r\nHost: x\r\n",
            "GET /api/v1/stock/stream HTTP/1.0\r\nHost: x\r\n\r\n",
            "GET /api/v1/stock/stream HTTP/1.1\r\n\r\n",
            "GET /api/v1/stock HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /api/v1/stock/streams HTTP/1.1\r\nHost: x\r\n\r\n",
            "POST /api/v1/stock/stream HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /api/v1/stock/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
            "GET /api/v1/stock/stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET /api/v1/stock/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
            "GET /api/v1/stock/stream HTTP/1.1\r\nHost: x\r\n\r\nGET /",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            assert!(parse(other.as_bytes()).is_none(), "{other:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_written_in_chunks_and_the_connection_is_closed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        client.write_all(PLAIN.as_bytes()).await.unwrap();
        let request = request(&mut stream).await.unwrap().unwrap();
        let handler = || async {
            let parts = ["one", "", "three"].map(|part| Ok::<_, io::Error>(Bytes::from(part)));
            Body::from_stream(futures::stream::iter(parts))
        };
        let router = Router::new().route("/api/v1/stock/stream", axum::routing::get(handler));
        serve(stream, request, router).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("\r\ntransfer-encoding: chunked\r\nconnection: close"), "{head}");
        assert!(head.contains(" GMT\r\n"), "{head}");
        assert_eq!(body, "3\r\none\r\n5\r\nthree\r\n0\r\n\r\n");
    }
}

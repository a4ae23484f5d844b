//! One HTTP/1.1 connection that sends prepared bytes and reads answers into one buffer.
//!
//! The generator shares its processors with the server that it measures, so it spends nothing on
//! header maps and allocations per request. It speaks to Millrace only: answers have a
//! `Content-Length` or are chunked, as RFC 9112 has them.

use std::io;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of room that a read always finds.
const READ_ROOM: usize = 16 * 1_024;
/// The longest head of an answer.
const HEAD_MAX: usize = 64 * 1_024;
/// The longest `Retry-After` that is believed.
const RETRY_AFTER_MAX: u64 = 5;

/// The server under load.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Target {
    /// The URL as given, without a path: for gRPC.
    pub(in crate::commands) url: String,
    /// Host and port.
    pub(in crate::commands) authority: String,
}

impl Target {
    pub(in crate::commands) fn try_new(url: &str) -> anyhow::Result<Self> {
        let uri: http::Uri = url.parse().with_context(|| format!("`{url}` is not a URL"))?;
        let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            bail!("`{url}` must be like http://127.0.0.1:8090");
        };
        let authority = format!("{host}:{}", uri.port_u16().unwrap_or(80));
        Ok(Self { url: format!("http://{authority}"), authority })
    }

    /// The head of a request up to its first header of its own.
    pub(in crate::commands) fn head(&self, method: &str, path: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.authority)
    }
}

/// What the server said.
#[derive(Debug)]
pub(in crate::commands) struct Answer<'c> {
    pub(in crate::commands) status: u16,
    /// How long to wait, if the server asked for that.
    pub(in crate::commands) retry_after: Option<Duration>,
    pub(in crate::commands) body: &'c [u8],
}

impl Answer<'_> {
    pub(in crate::commands) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the server has too much to do now.
    pub(in crate::commands) fn is_overload(&self) -> bool {
        is_overload(self.status)
    }

    /// The beginning of the answer, for people.
    pub(in crate::commands) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(self.body);
        format!("{} {}", self.status, text.chars().take(300).collect::<String>())
    }
}

/// Whether `status` says that the server has too much to do now.
pub(in crate::commands) const fn is_overload(status: u16) -> bool {
    status == 429 || status == 503
}

/// How the body of an answer is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    bytes: usize,
    status: u16,
    framing: Framing,
    retry_after: Option<Duration>,
    closes: bool,
}

/// A connection, opened when it is first needed and again after it broke.
pub(in crate::commands) struct Connection {
    authority: String,
    stream: Option<TcpStream>,
    /// Bytes as they came.
    raw: Vec<u8>,
    /// The body of a chunked answer.
    joined: Vec<u8>,
}

impl Connection {
    pub(in crate::commands) fn new(target: &Target) -> Self {
        let authority = target.authority.clone();
        Self { authority, stream: None, raw: Vec::new(), joined: Vec::new() }
    }

    /// Sends one request and reads its answer. After an error the outcome is not known.
    pub(in crate::commands) async fn send(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => open(&self.authority).await?,
        };
        let (mut incoming, mut outgoing) = stream.split();
        // Both at once: the server may answer a long upload while it arrives.
        let sending = outgoing.write_all(request);
        let reading = read_answer(&mut incoming, &mut self.raw, &mut self.joined);
        let ((), head) = futures::future::try_join(sending, reading).await?;
        if !head.closes {
            self.stream = Some(stream);
        }
        let body = match head.framing {
            Framing::Length(length) => &self.raw[head.bytes..head.bytes.saturating_add(length)],
            Framing::Chunked => &self.joined,
        };
        Ok(Answer { status: head.status, retry_after: head.retry_after, body })
    }
}

async fn open(authority: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn read_answer(
    stream: &mut tokio::net::tcp::ReadHalf<'_>,
    raw: &mut Vec<u8>,
    joined: &mut Vec<u8>,
) -> io::Result<Head> {
    raw.clear();
    joined.clear();
    let head = loop {
        more(stream, raw).await?;
        if let Some(head) = parse_head(raw)? {
            break head;
        }
    };
    match head.framing {
        Framing::Length(length) => {
            while raw.len() < head.bytes.saturating_add(length) {
                more(stream, raw).await?;
            }
        }
        Framing::Chunked => {
            let mut at = head.bytes;
            while !join_chunks(raw, &mut at, joined)? {
                more(stream, raw).await?;
            }
        }
    }
    Ok(head)
}

async fn more(stream: &mut tokio::net::tcp::ReadHalf<'_>, raw: &mut Vec<u8>) -> io::Result<()> {
    raw.reserve(READ_ROOM);
    if stream.read_buf(raw).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer is not HTTP/1.1: {what}"))
}

pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.trim().parse().ok()
}

/// The head of the answer, if all of it is there.
fn parse_head(raw: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = find(raw, b"\r\n\r\n") else {
        return if raw.len() > HEAD_MAX { Err(malformed("an endless head")) } else { Ok(None) };
    };
    let bytes = end.saturating_add(4);
    let mut lines = raw[..end].split(|byte| *byte == b'\n');
    let line = lines.next().unwrap_or_default();
    let status = line.get(9..12).and_then(number).ok_or_else(|| malformed("no status"))?;
    let framing = Framing::Length(0);
    let mut head = Head { bytes, status, framing, retry_after: None, closes: false };
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon.saturating_add(1)..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = number(value).ok_or_else(|| malformed("no length"))?;
            head.framing = Framing::Length(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            head.framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case(b"retry-after") {
            let seconds = number::<u64>(value).map(|seconds| seconds.min(RETRY_AFTER_MAX));
            head.retry_after = seconds.map(Duration::from_secs);
        } else if name.eq_ignore_ascii_case(b"connection") {
            head.closes = value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok(Some(head))
}

/// Moves the chunks that are there from `raw` to `joined`; whether the last was among them.
fn join_chunks(raw: &[u8], at: &mut usize, joined: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let rest = &raw[*at..];
        let Some(line) = find(rest, b"\r\n") else { return Ok(false) };
        let digits = rest[..line].split(|byte| *byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(digits).ok();
        let size = size.and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
        let size = size.ok_or_else(|| malformed("a chunk without a size"))?;
        let start = line.saturating_add(2);
        let end = start.saturating_add(size);
        if rest.len() < end.saturating_add(2) {
            return Ok(false);
        }
        if size == 0 {
            return Ok(true);
        }
        joined.extend_from_slice(&rest[start..end]);
        *at = at.saturating_add(end).saturating_add(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_and_a_port() {
        let target = Target::try_new("http://localhost:8090/ignored").unwrap();
        assert_eq!(
            (target.authority.as_str(), target.url.as_str()),
            ("localhost:8090", "http://localhost:8090")
        );
        assert_eq!(Target::try_new("http://shop.example").unwrap().authority, "shop.example:80");
        for bad in ["", "localhost:8090", "https://localhost", "/orders"] {
            assert!(Target::try_new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let text = b"HTTP/1.1 202 Accepted\r\nContent-Length: 12\r\nRetry-After: 900\r\n\r\nbody";
        assert_eq!(parse_head(&text[..40]).unwrap(), None);
        let head = parse_head(text).unwrap().unwrap();
        assert_eq!((head.status, head.framing, head.closes), (202, Framing::Length(12), false));
        assert_eq!(head.retry_after, Some(Duration::from_secs(RETRY_AFTER_MAX)));
        assert_eq!(&text[head.bytes..], b"body");
        assert!(parse_head(b"SMTP ready\r\n\r\n").is_err());
    }

    #[test]
    fn chunks_are_joined_as_they_arrive() {
        let text = b"4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\n\r\n";
        let (mut at, mut joined) = (0, Vec::new());
        for end in 0..text.len() {
            assert!(!join_chunks(&text[..end], &mut at, &mut joined).unwrap(), "{end}");
        }
        assert!(join_chunks(text, &mut at, &mut joined).unwrap());
        assert_eq!(joined, b"Wikipedia");
        assert!(join_chunks(b"zz\r\n", &mut 0, &mut joined).is_err());
    }
}

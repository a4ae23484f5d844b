//! The codec: frames of STOMP 1.0, 1.1 and 1.2 out of bytes, and into them.
//!
//! A [`Decoder`] takes bytes as they come, in any pieces, and never holds more than its [`Limits`].

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// STOMP 1.0: no escapes, no heart-beats.
    V1_0,
    /// STOMP 1.1: `\n`, `\c` and `\\` in headers.
    V1_1,
    /// STOMP 1.2: `\r` too, and lines may end with it.
    V1_2,
}

impl Version {
    /// All of them, the newest first.
    pub const ALL: [Self; 3] = [Self::V1_2, Self::V1_1, Self::V1_0];

    /// Its name in `accept-version` and `version`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// Its name as a subprotocol of WebSocket.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::V1_0 => "v10.stomp",
            Self::V1_1 => "v11.stomp",
            Self::V1_2 => "v12.stomp",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How large a frame may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Headers of a frame.
    pub headers_max: usize,
    /// Bytes of one header line, and of the command.
    pub line_bytes_max: usize,
    /// Bytes of a body.
    pub body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { headers_max: 64, line_bytes_max: 8 * 1_024, body_bytes_max: 64 * 1_024 }
    }
}

/// Bytes that are not STOMP, or more of it than is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A line goes on for too long.
    #[error("a line is longer than {max} bytes")]
    LineTooLong {
        /// The limit.
        max: usize,
    },
    /// Too many headers.
    #[error("a frame has more than {max} headers")]
    TooManyHeaders {
        /// The limit.
        max: usize,
    },
    /// The body goes on for too long.
    #[error("a body is longer than {max} bytes")]
    BodyTooLong {
        /// The limit.
        max: usize,
    },
    /// Not text.
    #[error("the {what} is not UTF-8")]
    NotText {
        /// Which part.
        what: &'static str,
    },
    /// A header without a colon, or without a name.
    #[error("`{line}` is not a header: it must be name:value")]
    NotAHeader {
        /// The beginning of the line.
        line: String,
    },
    /// An escape that the version does not know.
    #[error("`\\{escape}` is not an escape of STOMP {version}")]
    UnknownEscape {
        /// What follows the backslash.
        escape: String,
        /// The version.
        version: Version,
    },
    /// `content-length` is not a number.
    #[error("content-length `{value}` is not a number of bytes")]
    BadLength {
        /// What was given.
        value: String,
    },
    /// Something else where the frame must end.
    #[error("a body of {length} bytes is not followed by a NUL")]
    NoEnd {
        /// What `content-length` says.
        length: usize,
    },
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// What it is.
    pub command: String,
    /// Names and values, in the sequence given; of a name that is repeated the first counts.
    pub headers: Vec<(String, String)>,
    /// What it carries.
    pub body: Bytes,
}

impl Frame {
    /// A frame without headers and body.
    pub fn new(command: &str) -> Self {
        Self { command: command.to_owned(), ..Self::default() }
    }

    /// The same with a header more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether its headers are written as they are, in every version.
    fn is_bare(&self) -> bool {
        is_bare(&self.command)
    }

    /// The frame's bytes in `version`.
    pub fn encode(&self, version: Version) -> Bytes {
        let headers: usize =
            self.headers.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        let mut out = BytesMut::with_capacity(self.command.len() + headers + self.body.len() + 32);
        out.extend_from_slice(self.command.as_bytes());
        out.extend_from_slice(b"\n");
        let escapes = if self.is_bare() { None } else { Some(version) };
        for (name, value) in &self.headers {
            escape(name, escapes, &mut out);
            out.extend_from_slice(b":");
            escape(value, escapes, &mut out);
            out.extend_from_slice(b"\n");
        }
        out.extend_from_slice(b"\n");
        out.extend_from_slice(&self.body);
        out.extend_from_slice(b"\0");
        out.freeze()
    }
}

fn is_bare(command: &str) -> bool {
    matches!(command, "CONNECT" | "CONNECTED")
}

/// Appends `text` so that it is one part of a header line. Where there are no escapes, what would
/// end the line becomes a space.
pub(crate) fn escape(text: &str, version: Option<Version>, out: &mut BytesMut) {
    let with_cr = version == Some(Version::V1_2);
    let escapes = version.is_some_and(|version| version > Version::V1_0);
    for byte in text.bytes() {
        match byte {
            b'\\' if escapes => out.extend_from_slice(b"\\\\"),
            b':' if escapes => out.extend_from_slice(b"\\c"),
            b'\n' if escapes => out.extend_from_slice(b"\\n"),
            b'\r' if with_cr => out.extend_from_slice(b"\\r"),
            b'\n' | b'\r' | b'\0' => out.extend_from_slice(b" "),
            other => out.extend_from_slice(&[other]),
        }
    }
}

fn unescape(text: &str, version: Version) -> Result<String, DecodeError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        let escape = rest.next();
        out.push(match escape {
            Some('n') => '\n',
            Some('c') => ':',
            Some('\\') => '\\',
            Some('r') if version == Version::V1_2 => '\r',
            other => {
                let escape = other.map(String::from).unwrap_or_default();
                return Err(DecodeError::UnknownEscape { escape, version });
            }
        });
    }
    Ok(out)
}

/// What comes out of a decoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A frame.
    Frame(Frame),
    /// A sign of life: a line end between frames.
    Heartbeat,
}

#[derive(Debug)]
enum State {
    /// Between frames.
    Idle,
    /// In the headers of this frame.
    Head(Frame),
    /// In the body of this frame, of so many bytes if it said so.
    Body(Frame, Option<usize>),
}

/// Makes frames out of bytes.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    version: Version,
    buffer: BytesMut,
    /// Bytes at the beginning of the buffer that are known to hold no end.
    scanned: usize,
    state: State,
}

impl Decoder {
    /// A decoder of the newest version, until the client's is known.
    pub fn new(limits: Limits) -> Self {
        let buffer = BytesMut::new();
        Self { limits, version: Version::V1_2, buffer, scanned: 0, state: State::Idle }
    }

    /// From now on frames are of `version`.
    pub const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Takes in bytes; call [`Self::decode`] until it gives nothing more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that are held.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame or heart-beat, if there is one.
    pub fn decode(&mut self) -> Result<Option<Decoded>, DecodeError> {
        loop {
            match std::mem::replace(&mut self.state, State::Idle) {
                State::Idle => {
                    if self.skip_line_end() {
                        return Ok(Some(Decoded::Heartbeat));
                    }
                    let Some(line) = self.line()? else { return Ok(None) };
                    let command = text(&line, "command")?.to_owned();
                    self.state = State::Head(Frame { command, ..Frame::default() });
                }
                State::Head(frame) => {
                    if !self.head(frame)? {
                        return Ok(None);
                    }
                }
                State::Body(frame, length) => {
                    return Ok(self.body(frame, length)?.map(Decoded::Frame));
                }
            }
        }
    }

    fn skip_line_end(&mut self) -> bool {
        let end = match self.buffer.first_chunk::<2>() {
            Some(b"\r\n") => 2,
            _ if self.buffer.first() == Some(&b'\n') => 1,
            _ => return false,
        };
        self.buffer.advance(end);
        true
    }

    /// One line without its end.
    fn line(&mut self) -> Result<Option<BytesMut>, DecodeError> {
        let max = self.limits.line_bytes_max;
        let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
        let found = unseen.iter().position(|byte| *byte == b'\n').map(|at| at + self.scanned);
        let Some(end) = found else {
            self.scanned = self.buffer.len();
            if self.scanned > max {
                return Err(DecodeError::LineTooLong { max });
            }
            return Ok(None);
        };
        if end > max {
            return Err(DecodeError::LineTooLong { max });
        }
        self.scanned = 0;
        let mut line = self.buffer.split_to(end);
        self.buffer.advance(1);
        // Before the version is agreed on, it is the newest: lines of every client can be read.
        if self.version == Version::V1_2 && line.last() == Some(&b'\r') {
            line.truncate(end.saturating_sub(1));
        }
        Ok(Some(line))
    }

    /// Reads one header line, or the end of the headers; `false` if that is not there yet.
    fn head(&mut self, mut frame: Frame) -> Result<bool, DecodeError> {
        let Some(line) = self.line()? else {
            self.state = State::Head(frame);
            return Ok(false);
        };
        if line.is_empty() {
            let length = self.length_of(&frame)?;
            self.state = State::Body(frame, length);
            return Ok(true);
        }
        let max = self.limits.headers_max;
        if frame.headers.len() >= max {
            return Err(DecodeError::TooManyHeaders { max });
        }
        let header = self.header(&line, is_bare(&frame.command))?;
        frame.headers.push(header);
        self.state = State::Head(frame);
        Ok(true)
    }

    fn header(&self, line: &[u8], is_bare: bool) -> Result<(String, String), DecodeError> {
        let line = text(line, "header")?;
        let not_a_header =
            || DecodeError::NotAHeader { line: line.chars().take(80).collect::<String>() };
        let (name, value) = line.split_once(':').ok_or_else(not_a_header)?;
        if name.is_empty() {
            return Err(not_a_header());
        }
        if self.version == Version::V1_0 {
            return Ok((name.trim().to_owned(), value.trim().to_owned()));
        }
        if is_bare {
            return Ok((name.to_owned(), value.to_owned()));
        }
        Ok((unescape(name, self.version)?, unescape(value, self.version)?))
    }

    fn length_of(&self, frame: &Frame) -> Result<Option<usize>, DecodeError> {
        let Some(value) = frame.header("content-length") else { return Ok(None) };
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let length = value.parse::<usize>().ok().filter(|_| is_number);
        let max = self.limits.body_bytes_max;
        match length {
            None if is_number => Err(DecodeError::BodyTooLong { max }),
            None => {
                Err(DecodeError::BadLength { value: value.chars().take(80).collect::<String>() })
            }
            Some(length) if length > max => Err(DecodeError::BodyTooLong { max }),
            Some(length) => Ok(Some(length)),
        }
    }

    /// Where a body of `length` bytes ends, if it is all there.
    fn end_of(&self, length: usize) -> Result<Option<usize>, DecodeError> {
        match self.buffer.get(length) {
            Some(0) => Ok(Some(length)),
            Some(_) => Err(DecodeError::NoEnd { length }),
            None => Ok(None),
        }
    }

    fn first_nul(&self) -> Option<usize> {
        let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
        unseen.iter().position(|byte| *byte == 0).map(|at| at + self.scanned)
    }

    fn body(
        &mut self,
        mut frame: Frame,
        length: Option<usize>,
    ) -> Result<Option<Frame>, DecodeError> {
        let end = match length {
            Some(length) => self.end_of(length)?,
            None => self.first_nul(),
        };
        let max = self.limits.body_bytes_max;
        if end.unwrap_or(self.buffer.len()) > max {
            return Err(DecodeError::BodyTooLong { max });
        }
        let Some(end) = end else {
            self.scanned = self.buffer.len();
            self.state = State::Body(frame, length);
            return Ok(None);
        };
        self.scanned = 0;
        frame.body = self.buffer.split_to(end).freeze();
        self.buffer.advance(1);
        Ok(Some(frame))
    }
}

fn text<'b>(bytes: &'b [u8], what: &'static str) -> Result<&'b str, DecodeError> {
    std::str::from_utf8(bytes).ok().ok_or(DecodeError::NotText { what })
}

#[cfg(test)]
mod tests;

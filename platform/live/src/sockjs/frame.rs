//! The codec: frames to clients, and the arrays of messages that clients send.

use std::fmt::Write as _;

/// Messages in one request of a client.
pub const MESSAGES_MAX: usize = 1_024;

/// The session is open.
pub const OPEN: &str = "o";
/// A sign of life.
pub const HEARTBEAT: &str = "h";

/// Why what a client sent is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Nothing at all.
    #[error("Payload expected.")]
    Empty,
    /// Not an array of texts.
    #[error("Broken JSON encoding.")]
    Broken,
    /// More messages than are taken at once.
    #[error("Too many messages.")]
    TooMany,
}

/// Code points that some browsers or proxies change on the way, so that they are sent escaped.
const fn is_fragile(char: char) -> bool {
    matches!(char,
        '\0'..='\x1f'
        | '\u{200c}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fff0}'..='\u{ffff}')
}

/// Appends `text` as JSON, in a form that survives every transport.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            fragile if is_fragile(fragile) => {
                // Writing to a string cannot fail.
                write!(out, "\\u{:04x}", u32::from(fragile)).unwrap_or_default();
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// `text` as one element of [`messages`].
pub fn message(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + (text.len() >> 3) + 8);
    quote(text, &mut out);
    out
}

/// The frame of messages, each made by [`message`].
pub fn messages<'m>(quoted: impl IntoIterator<Item = &'m String>) -> String {
    let mut out = String::from("a[");
    for (index, one) in quoted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(one);
    }
    out.push(']');
    out
}

/// The frame that closes.
pub fn close(code: u16, reason: &str) -> String {
    let mut out = format!("c[{code},");
    quote(reason, &mut out);
    out.push(']');
    out
}

/// The messages of one request: an array of texts.
pub fn parse_array(payload: &[u8]) -> Result<Vec<String>, PayloadError> {
    if payload.is_empty() {
        return Err(PayloadError::Empty);
    }
    let parsed: Vec<String> = serde_json::from_slice(payload).ok().ok_or(PayloadError::Broken)?;
    if parsed.len() > MESSAGES_MAX {
        return Err(PayloadError::TooMany);
    }
    Ok(parsed)
}

/// The messages of one WebSocket message: an array of texts, or one text. Nothing is nothing.
pub fn parse_socket(payload: &str) -> Result<Vec<String>, PayloadError> {
    if payload.is_empty() {
        return Ok(Vec::new());
    }
    if payload.starts_with('[') {
        return parse_array(payload.as_bytes());
    }
    serde_json::from_str(payload).ok().map(|one| vec![one]).ok_or(PayloadError::Broken)
}

#[cfg(test)]
mod tests;

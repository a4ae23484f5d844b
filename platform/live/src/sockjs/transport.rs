//! The transports over plain HTTP: how a frame is written, and when an answer ends.

use axum::body::Body;
use axum::http::HeaderValue;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;

use super::session::{Next, Receiver};
use super::{Options, pages};
use crate::sse::{Endless, endless_headers};

/// A transport that brings frames to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Transport {
    /// One frame in each answer.
    Xhr,
    /// An answer that goes on.
    XhrStreaming,
    /// The same, as server-sent events.
    EventSource,
    /// The same, as scripts in a page that calls this function of its parent.
    HtmlFile(String),
}

impl Transport {
    pub(super) const fn content_type(&self) -> &'static str {
        match self {
            Self::Xhr | Self::XhrStreaming => "application/javascript; charset=UTF-8",
            Self::EventSource => "text/event-stream",
            Self::HtmlFile(_) => "text/html; charset=UTF-8",
        }
    }

    /// What is written before the first frame, so that browsers begin to read.
    fn prelude(&self) -> Option<String> {
        /// Bytes that some browsers gather before they show any.
        const PADDING: usize = 2_048;
        match self {
            Self::Xhr => None,
            Self::XhrStreaming => Some("h".repeat(PADDING) + "\n"),
            Self::EventSource => Some("\r\n".to_owned()),
            Self::HtmlFile(callback) => Some(pages::htmlfile_head(callback)),
        }
    }

    /// A frame as it is written.
    pub(super) fn wrap(&self, frame: &str) -> String {
        match self {
            Self::Xhr | Self::XhrStreaming => format!("{frame}\n"),
            Self::EventSource => format!("data: {frame}\r\n\r\n"),
            Self::HtmlFile(_) => {
                // In quotes once more, and so that no `</script>` ends the script.
                let quoted = super::frame::message(frame).replace('/', "\\/");
                format!("<script>\np({quoted});\n</script>\r\n")
            }
        }
    }
}

/// An answer that writes frames until it is long enough.
struct Streaming {
    transport: Transport,
    receiver: Receiver,
    left: usize,
    heartbeat: std::time::Duration,
    prelude: Option<String>,
    is_over: bool,
}

impl Streaming {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(prelude) = self.prelude.take() {
            return Some(prelude.into());
        }
        if self.is_over {
            return None;
        }
        let frame = match self.receiver.next(self.heartbeat).await {
            Next::Frame(frame) => frame,
            Next::Last(frame) => {
                self.end();
                frame
            }
        };
        let written = self.transport.wrap(&frame);
        self.left = self.left.saturating_sub(written.len());
        if self.left == 0 {
            self.end();
        }
        Some(written.into())
    }

    const fn end(&mut self) {
        self.is_over = true;
        self.receiver.done();
    }
}

/// Answers with what the session has for its client.
pub(super) async fn answer(
    transport: Transport,
    mut receiver: Receiver,
    options: &Options,
) -> Response {
    let content_type = HeaderValue::from_static(transport.content_type());
    let heartbeat = options.heartbeat;
    if transport == Transport::Xhr {
        let (Next::Frame(frame) | Next::Last(frame)) = receiver.next(heartbeat).await;
        receiver.done();
        let mut response = Response::new(Body::from(transport.wrap(&frame)));
        endless_headers(&mut response, content_type);
        return response;
    }
    let prelude = transport.prelude();
    let left = options.response_bytes_max;
    let streaming = Streaming { transport, receiver, left, heartbeat, prelude, is_over: false };
    let chunks = stream::unfold(streaming, |mut streaming| async move {
        let chunk = streaming.next().await?;
        Some((chunk, streaming))
    });
    let mut response = Response::new(Body::new(Endless(Box::pin(chunks))));
    endless_headers(&mut response, content_type);
    response
}

/// Answers one frame and ends: for a client that cannot be the session's receiver.
pub(super) fn refuse(transport: &Transport, frame: &str) -> Response {
    let mut body = transport.prelude().unwrap_or_default();
    body.push_str(&transport.wrap(frame));
    let mut response = Response::new(Body::from(body));
    endless_headers(&mut response, HeaderValue::from_static(transport.content_type()));
    response
}

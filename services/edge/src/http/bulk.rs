//! `POST /orders:batch`: lines of JSON in, a verdict for each line out, while the upload goes on.
//!
//! Wait for one line, take what else is there already, place them in one call, tell the verdicts,
//! and begin again. Nothing but one such batch is ever held in memory.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::BytesMut;
use contracts::{FieldError, Problem};
use contracts_grpc::v1;
use contracts_grpc::v1::place_order_outcome::Outcome;
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;

use super::calls::call;
use crate::Edge;
use crate::dto::order_requests::BulkOrder;
use crate::dto::orders::Verdict;
use crate::error::Refusal;
use crate::idempotency::{self, KEY_BYTES_MAX, Key};
use crate::{json, problem};

/// Orders in one call (the contract of `PlaceOrders`).
const ORDERS_MAX: usize = 1_000;
/// Order lines in one call, before the last order: the contract allows 10,000, an order 500.
const ORDER_LINES_MAX: usize = 9_500;
/// Bytes of JSON in one call: a message has 4 MiB at most, and an order takes less in it.
const CALL_BYTES_MAX: usize = 2 * 1_024 * 1_024;
/// What a line number adds to the key of the upload: a colon and up to 100,000.
const KEY_SUFFIX_BYTES: usize = 7;
const MEDIA_TYPES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];

/// Places the orders of an upload.
pub(super) async fn place(
    State(edge): State<Arc<Edge>>,
    Key(key): Key,
    request: Request,
) -> Result<Response, Refusal> {
    let given = json::media_type(request.headers());
    if !MEDIA_TYPES.contains(&given.as_str()) {
        return Err(json::unsupported(&given, MEDIA_TYPES[0]));
    }
    json::announced_within(request.headers(), edge.settings.batch_bytes_max)?;
    if key.len() + KEY_SUFFIX_BYTES > KEY_BYTES_MAX {
        let detail = format!(
            "the key of an upload has at most {} characters: each line adds its number",
            KEY_BYTES_MAX - KEY_SUFFIX_BYTES
        );
        return Err(Problem::bad_idempotency_key(detail).into());
    }
    let Ok(slot) = Arc::clone(&edge.batches).try_acquire_owned() else {
        let uploads = edge.settings.batches_in_flight_max;
        let detail = format!("{uploads} uploads are being worked on; try again in a moment");
        return Err(Problem::overloaded(detail).into());
    };
    let upload = Upload {
        splitter: Splitter::new(edge.settings.batch_line_bytes_max),
        edge,
        key,
        body: request.into_body(),
        bytes: 0,
        has_ended: false,
        _slot: slot,
    };
    let verdicts = futures::stream::unfold(upload, Upload::step);
    let mut response = Response::new(Body::from_stream(verdicts));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPES[0]));
    Ok(response)
}

/// An upload on its way.
struct Upload {
    edge: Arc<Edge>,
    key: String,
    body: Body,
    splitter: Splitter,
    bytes: usize,
    has_ended: bool,
    _slot: OwnedSemaphorePermit,
}

/// A line, read or refused.
struct Entry {
    line: u64,
    order: Result<v1::PlaceOrderRequest, Refusal>,
}

impl Entry {
    const fn refused(line: u64, refusal: Refusal) -> Self {
        Self { line, order: Err(refusal) }
    }
}

/// Lines that go into one call.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    order_lines: usize,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, entry: Entry, bytes: usize) {
        self.order_lines += entry.order.as_ref().map_or(0, |order| order.lines.len());
        self.bytes += bytes;
        self.entries.push(entry);
    }

    const fn is_full(&self) -> bool {
        self.entries.len() >= ORDERS_MAX
            || self.order_lines > ORDER_LINES_MAX
            || self.bytes >= CALL_BYTES_MAX
    }
}

impl Upload {
    /// The verdicts of the next batch.
    async fn step(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.has_ended {
            return None;
        }
        let batch = self.gather().await;
        if batch.entries.is_empty() {
            return None;
        }
        let verdicts = verdicts(&self.edge, batch.entries).await;
        Some((Ok(verdicts), self))
    }

    /// Waits for one line and takes what else is there.
    async fn gather(&mut self) -> Batch {
        let mut batch = Batch::default();
        loop {
            self.take_lines(&mut batch);
            if batch.is_full() || self.has_ended {
                return batch;
            }
            let timeout = self.edge.body_timeout();
            let frame = if batch.entries.is_empty() {
                tokio::time::timeout(timeout, self.body.frame()).await
            } else {
                match self.body.frame().now_or_never() {
                    Some(frame) => Ok(frame),
                    None => return batch,
                }
            };
            match frame {
                Ok(Some(Ok(frame))) => {
                    self.feed(&frame.into_data().unwrap_or_default(), &mut batch);
                }
                Ok(Some(Err(cause))) => {
                    let detail = format!("the upload broke off: {cause}");
                    self.end_with(Problem::malformed(detail).into(), &mut batch);
                }
                Ok(None) => {
                    self.has_ended = true;
                    self.read_last(&mut batch);
                }
                Err(_) => {
                    let detail = format!("nothing arrived for {} s", timeout.as_secs());
                    self.end_with(Problem::timeout(detail).into(), &mut batch);
                }
            }
        }
    }

    fn feed(&mut self, data: &[u8], batch: &mut Batch) {
        let limit = self.edge.settings.batch_bytes_max;
        self.bytes += data.len();
        if self.bytes > limit {
            // What came before is placed; what comes after is not read.
            self.take_lines(batch);
            self.end_with(json::too_large(limit), batch);
            return;
        }
        self.splitter.feed(data);
    }

    fn take_lines(&mut self, batch: &mut Batch) {
        while !batch.is_full() && !self.has_ended {
            let Some(piece) = self.splitter.next_piece() else { return };
            self.read(piece, batch);
        }
    }

    fn read(&mut self, piece: Piece, batch: &mut Batch) {
        let lines_max = self.edge.settings.batch_lines_max;
        if piece.line > lines_max {
            let detail = format!("the upload has over {lines_max} lines: send the rest in another");
            batch.push(Entry::refused(piece.line, Problem::too_large(detail).into()), 0);
            self.has_ended = true;
            return;
        }
        let Some(text) = piece.text else {
            let limit = self.edge.settings.batch_line_bytes_max;
            let detail = format!("the line is longer than {limit} bytes");
            batch.push(Entry::refused(piece.line, Problem::too_large(detail).into()), 0);
            return;
        };
        if !text.trim_ascii().is_empty() {
            let order = read_order(&text, &self.key, piece.line);
            batch.push(Entry { line: piece.line, order }, text.len());
        }
    }

    fn read_last(&mut self, batch: &mut Batch) {
        if let Some(last) = self.splitter.last() {
            self.read(last, batch);
        }
    }

    fn end_with(&mut self, refusal: Refusal, batch: &mut Batch) {
        batch.push(Entry::refused(self.splitter.line + 1, refusal), 0);
        self.has_ended = true;
    }
}

/// Places what can be placed, and says what became of each line.
async fn verdicts(edge: &Edge, entries: Vec<Entry>) -> Bytes {
    let mut orders = Vec::with_capacity(entries.len());
    let mut refusals = Vec::with_capacity(entries.len());
    for entry in entries {
        match entry.order {
            Ok(order) => {
                orders.push(order);
                refusals.push((entry.line, None));
            }
            Err(refusal) => refusals.push((entry.line, Some(refusal.into_problem()))),
        }
    }
    let mut outcomes = place_all(edge, orders).await;
    let mut text = Vec::with_capacity(refusals.len() * 128);
    for (line, refusal) in refusals {
        match refusal {
            Some(problem) => write_refused(&mut text, line, problem),
            None => write(&mut text, line, outcomes.next()),
        }
    }
    text.into()
}

async fn place_all(edge: &Edge, orders: Vec<v1::PlaceOrderRequest>) -> Outcomes {
    if orders.is_empty() {
        return Outcomes::Placed(Vec::new().into_iter());
    }
    let mut client = edge.services.orders.clone();
    let request = v1::PlaceOrdersRequest { orders };
    match call(edge, client.place_orders(request)).await {
        Ok(answer) => Outcomes::Placed(answer.outcomes.into_iter()),
        Err(refusal) => Outcomes::Refused(Box::new(refusal.into_problem())),
    }
}

/// What became of the orders of one call.
enum Outcomes {
    Placed(std::vec::IntoIter<v1::PlaceOrderOutcome>),
    Refused(Box<Problem>),
}

impl Outcomes {
    fn next(&mut self) -> Result<v1::PlaceOrderOutcome, Refusal> {
        match self {
            Self::Placed(outcomes) => {
                let forgotten = || Problem::internal("a service forgot an order").into();
                outcomes.next().ok_or_else(forgotten)
            }
            Self::Refused(problem) => Err((**problem).clone().into()),
        }
    }
}

fn read_order(text: &[u8], key: &str, line: u64) -> Result<v1::PlaceOrderRequest, Refusal> {
    let (own_key, order) = json::parse::<BulkOrder>(text)?.split();
    let key = match own_key {
        Some(own) => idempotency::checked(own.as_bytes())?.to_owned(),
        None if key.is_empty() => String::new(),
        None => format!("{key}:{line}"),
    };
    order.request(key, 0)
}

fn write(text: &mut Vec<u8>, line: u64, outcome: Result<v1::PlaceOrderOutcome, Refusal>) {
    match outcome {
        Ok(v1::PlaceOrderOutcome { outcome: Some(Outcome::Order(order)), replayed }) => {
            let order_id = Some(order.order_id.as_str());
            let number = Some(order.number);
            let problem = None;
            write_verdict(
                text,
                &Verdict { line, status: 202, order_id, number, replayed, problem },
            );
        }
        Ok(v1::PlaceOrderOutcome { outcome: Some(Outcome::Problem(message)), .. }) => {
            write_refused(text, line, problem_of(message));
        }
        Ok(v1::PlaceOrderOutcome { outcome: None, .. }) => {
            write_refused(text, line, Problem::internal("a service gave no verdict"));
        }
        Err(refusal) => write_refused(text, line, refusal.into_problem()),
    }
}

fn write_refused(text: &mut Vec<u8>, line: u64, problem: Problem) {
    let status = problem.status;
    let problem = Some(problem::document(problem));
    let verdict = Verdict { line, status, order_id: None, number: None, replayed: false, problem };
    write_verdict(text, &verdict);
}

fn write_verdict(text: &mut Vec<u8>, verdict: &Verdict<'_>) {
    if let Err(cause) = serde_json::to_writer(&mut *text, verdict) {
        tracing::error!(%cause, line = verdict.line, "a verdict cannot be written");
    }
    text.push(b'\n');
}

fn problem_of(message: v1::Problem) -> Problem {
    let error = |error: v1::FieldError| FieldError::new(error.pointer, error.code, error.detail);
    let extra = message.extra.into_iter().map(|(name, text)| {
        let value = serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text));
        (name, value)
    });
    Problem {
        slug: message.r#type,
        title: message.title,
        status: u16::try_from(message.status).unwrap_or(500),
        detail: message.detail,
        errors: message.errors.into_iter().map(error).collect(),
        extra: extra.collect(),
    }
}

/// Cuts an upload into lines, without ever holding more than one line that is too long.
struct Splitter {
    buffer: BytesMut,
    /// Bytes of the buffer that are known to hold no end of line.
    seen: usize,
    line_bytes_max: usize,
    /// The last line that was begun.
    line: u64,
    /// The line that is being read was refused already.
    is_skipping: bool,
}

/// A line; without its text if it is too long.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    line: u64,
    text: Option<Bytes>,
}

impl Splitter {
    fn new(line_bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), seen: 0, line_bytes_max, line: 0, is_skipping: false }
    }

    fn feed(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    fn next_piece(&mut self) -> Option<Piece> {
        loop {
            let rest = self.buffer.get(self.seen..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                self.seen = self.buffer.len();
                return self.refuse_endless();
            };
            let mut text = self.buffer.split_to(self.seen + end + 1);
            text.truncate(self.seen + end);
            self.seen = 0;
            if std::mem::take(&mut self.is_skipping) {
                continue;
            }
            return Some(self.piece(text));
        }
    }

    /// What is left when the upload ends without a line break.
    fn last(&mut self) -> Option<Piece> {
        let text = std::mem::take(&mut self.buffer);
        self.seen = 0;
        (!text.is_empty() && !self.is_skipping).then(|| self.piece(text))
    }

    fn piece(&mut self, text: BytesMut) -> Piece {
        self.line += 1;
        let fits = text.len() <= self.line_bytes_max;
        Piece { line: self.line, text: fits.then(|| text.freeze()) }
    }

    /// Refuses a line that is too long before it has ended, and forgets it.
    fn refuse_endless(&mut self) -> Option<Piece> {
        if self.buffer.len() <= self.line_bytes_max && !self.is_skipping {
            return None;
        }
        self.buffer.clear();
        self.seen = 0;
        if std::mem::replace(&mut self.is_skipping, true) {
            return None;
        }
        self.line += 1;
        Some(Piece { line: self.line, text: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `text` when it arrives in parts of `part` bytes; `None` is a line too long.
    fn lines(text: &str, part: usize) -> Vec<(u64, Option<String>)> {
        let mut splitter = Splitter::new(8);
        let mut found = Vec::new();
        for part in text.as_bytes().chunks(part) {
            splitter.feed(part);
            while let Some(piece) = splitter.next_piece() {
                found.push(piece);
            }
        }
        found.extend(splitter.last());
        let text = |text: Bytes| String::from_utf8(text.to_vec()).unwrap();
        found.into_iter().map(|piece| (piece.line, piece.text.map(text))).collect()
    }

    #[test]
    fn lines_are_the_same_however_the_upload_is_cut() {
        let some = |text: &str| Some(text.to_owned());
        for (text, expected) in [
            ("", vec![]),
            ("a\nb\n", vec![(1, some("a")), (2, some("b"))]),
            ("a\nb", vec![(1, some("a")), (2, some("b"))]),
            ("a\n\nc\n", vec![(1, some("a")), (2, some("")), (3, some("c"))]),
            ("12345678\n123456789\nx\n", vec![(1, some("12345678")), (2, None), (3, some("x"))]),
            ("1234567890123456789012345\nx", vec![(1, None), (2, some("x"))]),
            ("x\n12345678901234567890", vec![(1, some("x")), (2, None)]),
        ] {
            for part in 1..=text.len().max(1) {
                assert_eq!(lines(text, part), expected, "{text:?} in parts of {part}");
            }
        }
    }

    #[test]
    fn a_line_has_its_own_key_or_one_made_from_the_uploads() {
        let key = |text: &str, key: &str| {
            read_order(text.as_bytes(), key, 7).map(|order| order.idempotency_key)
        };
        let plain = r#"{"customerId":"c","lines":[{"sku":"a","quantity":1}]}"#;
        let keyed =
            r#"{"idempotencyKey":"own","customerId":"c","lines":[{"sku":"a","quantity":1}]}"#;
        assert_eq!(key(plain, "").unwrap(), "");
        assert_eq!(key(plain, "up").unwrap(), "up:7");
        assert_eq!(key(keyed, "up").unwrap(), "own");
        let bad = keyed.replace("own", "two words");
        assert_eq!(key(&bad, "").unwrap_err().problem().slug, "bad-idempotency-key");
    }

    #[test]
    fn a_verdict_is_one_compact_line() {
        let mut text = Vec::new();
        let order = v1::Order { order_id: "o-1".into(), number: 9, ..v1::Order::default() };
        let outcome = Some(Outcome::Order(Box::new(order)));
        write(&mut text, 1, Ok(v1::PlaceOrderOutcome { outcome, replayed: false }));
        write(&mut text, 2, Err(Problem::field("/lines", "out-of-range", "no lines").into()));
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], r#"{"line":1,"status":202,"orderId":"o-1","number":9}"#);
        assert!(lines[1].starts_with(r#"{"line":2,"status":422,"problem":{"#), "{}", lines[1]);
        assert_eq!(lines.len(), 2);
    }
}

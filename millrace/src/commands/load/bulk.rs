//! Many orders per request: `POST /api/v1/orders:batch`, NDJSON both ways.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Run;
use super::http::{Connection, find, is_overload};
use super::pace::Ticket;
use super::single::{BROKEN_MAX, BROKEN_PAUSE, OVERLOAD_MAX, OVERLOAD_PAUSE, order_id};

/// An order of the next upload.
#[derive(Debug, Clone, Copy)]
struct Line {
    ticket: Ticket,
    /// How often it was sent already.
    tries: u32,
}

/// Sends uploads over one connection until the run is over and every line has its verdict.
pub(super) async fn send(run: Arc<Run>) {
    let mut connection = Connection::new(&run.target);
    let (mut lines, mut request) = (Vec::new(), Vec::new());
    let mut broken = 0;
    loop {
        fill(&run, &mut lines).await;
        if lines.is_empty() {
            return;
        }
        write(&run, &lines, &mut request);
        let pause = match connection.send(&request).await {
            Ok(answer) if answer.is_success() => {
                broken = 0;
                read_verdicts(&run, answer.body, &mut lines)
            }
            Ok(answer) if answer.is_overload() => {
                let pause = answer.retry_after.unwrap_or(OVERLOAD_PAUSE);
                again(&run, &mut lines, |_| true, &answer.excerpt());
                Some(pause)
            }
            Ok(answer) => {
                again(&run, &mut lines, |_| false, &answer.excerpt());
                None
            }
            Err(error) => {
                broken += 1;
                again(&run, &mut lines, |_| broken <= BROKEN_MAX, &error.to_string());
                Some(BROKEN_PAUSE.saturating_mul(broken))
            }
        };
        if let Some(pause) = pause {
            sleep(pause).await;
        }
    }
}

/// Adds what is due to the lines that are sent again.
async fn fill(run: &Run, lines: &mut Vec<Line>) {
    while lines.len() < run.bulk_lines {
        let Some(ticket) = run.pace.next(&run.ledger).await else { return };
        lines.push(Line { ticket, tries: 0 });
    }
}

fn write(run: &Run, lines: &[Line], out: &mut Vec<u8>) {
    let mut line = Vec::new();
    run.plan.write_line(0, &mut line);
    let length = line.len().saturating_mul(lines.len());
    let head = run.target.head("POST", "/api/v1/orders:batch");
    out.clear();
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(b"content-type: application/x-ndjson\r\n");
    out.extend_from_slice(format!("content-length: {length}\r\n\r\n").as_bytes());
    for line in lines {
        run.plan.write_line(line.ticket.order, out);
    }
}

/// Notes one verdict per line and keeps the lines that are to be sent again.
fn read_verdicts(run: &Run, body: &[u8], lines: &mut Vec<Line>) -> Option<Duration> {
    let mut book = run.ledger.book();
    let now_us = run.ledger.now_us();
    let mut verdicts = body.split(|byte| *byte == b'\n').filter(|verdict| !verdict.is_empty());
    let mut overloaded = false;
    lines.retain_mut(|line| {
        let Some(verdict) = verdicts.next() else {
            book.fail(|| "the answer has fewer verdicts than the upload has lines".to_owned());
            return false;
        };
        if let Some(id) = order_id(verdict) {
            book.accept(id, line.ticket, now_us);
            return false;
        }
        line.tries += 1;
        let is_overload = status(verdict).is_some_and(is_overload);
        overloaded |= is_overload;
        if is_overload && !run.pace.is_open() && line.tries <= OVERLOAD_MAX {
            book.counts.retried = book.counts.retried.saturating_add(1);
            return true;
        }
        if is_overload {
            book.counts.refused = book.counts.refused.saturating_add(1);
        }
        book.fail(|| String::from_utf8_lossy(verdict).into_owned());
        false
    });
    overloaded.then_some(OVERLOAD_PAUSE)
}

/// The status of a verdict.
fn status(verdict: &[u8]) -> Option<u16> {
    const NAME: &[u8] = b"\"status\":";
    let start = find(verdict, NAME)?.checked_add(NAME.len())?;
    std::str::from_utf8(verdict.get(start..start.checked_add(3)?)?).ok()?.parse().ok()
}

/// The upload as a whole was not taken: keeps the lines that are worth another try.
fn again(run: &Run, lines: &mut Vec<Line>, worth: impl Fn(&Line) -> bool, why: &str) {
    let mut book = run.ledger.book();
    lines.retain_mut(|line| {
        line.tries += 1;
        let goes_on = worth(line) && !run.pace.is_open() && line.tries <= OVERLOAD_MAX;
        if goes_on {
            book.counts.retried = book.counts.retried.saturating_add(1);
        } else {
            book.fail(|| why.to_owned());
        }
        goes_on
    });
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn the_status_of_a_verdict_is_read() {
        assert_eq!(status(br#"{"line":1,"status":503,"problem":{}}"#), Some(503));
        assert_eq!(status(b"{}"), None);
        assert_eq!(status(br#"{"status":"#), None);
    }
}

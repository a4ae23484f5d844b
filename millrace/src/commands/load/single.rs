//! One order per request: `POST /api/v1/orders`.

use std::sync::Arc;
use std::time::Duration;

use contracts::OrderId;
use tokio::time::sleep;

use super::Run;
use super::http::{Answer, Connection, find};
use super::pace::Ticket;

/// How often an order is sent again over a broken connection.
pub(super) const BROKEN_MAX: u32 = 5;
/// The pause before that, times the number of the try.
pub(super) const BROKEN_PAUSE: Duration = Duration::from_millis(100);
/// The pause after a server that has too much to do and does not say how long.
pub(super) const OVERLOAD_PAUSE: Duration = Duration::from_millis(100);
/// How often an order is sent again to a server that has too much to do.
pub(super) const OVERLOAD_MAX: u32 = 60;

/// The bytes of a request, but for its key and its order.
struct Template {
    before_key: Vec<u8>,
    after_key: Vec<u8>,
}

impl Template {
    fn new(run: &Run) -> Self {
        let mut body = Vec::new();
        run.plan.write_order(0, &mut body);
        let head = run.target.head("POST", "/api/v1/orders");
        let before = format!("{head}content-type: application/json\r\nidempotency-key: ");
        let after = format!("\r\ncontent-length: {}\r\n\r\n", body.len());
        Self { before_key: before.into_bytes(), after_key: after.into_bytes() }
    }

    fn write(&self, run: &Run, order: u64, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.before_key);
        run.plan.write_key(order, out);
        out.extend_from_slice(&self.after_key);
        run.plan.write_order(order, out);
    }
}

/// The order's id in a JSON answer.
pub(super) fn order_id(json: &[u8]) -> Option<OrderId> {
    const NAME: &[u8] = b"\"orderId\":\"";
    const LENGTH: usize = 36;
    let start = find(json, NAME)?.checked_add(NAME.len())?;
    let text = json.get(start..start.checked_add(LENGTH)?)?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Sends orders over one connection until the run is over.
pub(super) async fn send(run: Arc<Run>) {
    let template = Template::new(&run);
    let mut connection = Connection::new(&run.target);
    let mut request = Vec::with_capacity(1_024);
    while let Some(ticket) = run.pace.next(&run.ledger).await {
        template.write(&run, ticket.order, &mut request);
        deliver(&run, &mut connection, &request, ticket).await;
    }
}

/// What to do after one try.
pub(super) enum Next {
    Done,
    Again(Duration),
}

async fn deliver(run: &Run, connection: &mut Connection, request: &[u8], ticket: Ticket) {
    let (mut broken, mut overloads) = (0, 0);
    loop {
        let next = match connection.send(request).await {
            Ok(answer) => judge(run, &answer, ticket, &mut overloads),
            Err(error) => {
                broken += 1;
                if broken > BROKEN_MAX {
                    run.ledger.book().fail(|| error.to_string());
                    Next::Done
                } else {
                    Next::Again(BROKEN_PAUSE.saturating_mul(broken))
                }
            }
        };
        let Next::Again(pause) = next else { return };
        count_retry(run);
        sleep(pause).await;
    }
}

fn judge(run: &Run, answer: &Answer<'_>, ticket: Ticket, overloads: &mut u32) -> Next {
    if answer.is_success()
        && let Some(id) = order_id(answer.body)
    {
        let now_us = run.ledger.now_us();
        run.ledger.book().accept(id, ticket, now_us);
        return Next::Done;
    }
    *overloads += 1;
    if answer.is_overload() && !run.pace.is_open() && *overloads <= OVERLOAD_MAX {
        return Next::Again(answer.retry_after.unwrap_or(OVERLOAD_PAUSE));
    }
    let mut book = run.ledger.book();
    if answer.is_overload() {
        book.counts.refused = book.counts.refused.saturating_add(1);
    }
    book.fail(|| answer.excerpt());
    Next::Done
}

pub(super) fn count_retry(run: &Run) {
    let counts = &mut run.ledger.book().counts;
    counts.retried = counts.retried.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_is_found_in_an_answer() {
        let id =
            OrderId::new(contracts::Timestamp::from_micros(1), contracts::OrderNumber::new(7), 9);
        let json = format!("{{\"orderId\":\"{id}\",\"number\":7}}");
        assert_eq!(order_id(json.as_bytes()), Some(id));
        for none in ["", "{}", "{\"orderId\":\"f5b8\"}", &json[..30]] {
            assert_eq!(order_id(none.as_bytes()), None, "{none}");
        }
    }
}

//! The invariants of payments, checked over every row.

use std::collections::HashMap;
use std::time::Duration;

use contracts::Timestamp;
use contracts::events::payment::PaymentOperation;
use store::audit::Check;
use store::{Rx, StoreError};

use crate::domain::{Attempt, AttemptState, Payment};
use crate::provider;
use crate::store::{self as rows, StoredPayment};

/// Rows read at a time: a few megabytes.
const PAGE: i64 = 10_000;

/// How long an operation may wait past its deadline before somebody has to look.
const PATIENCE: Duration = Duration::from_mins(15);

/// Every predicate over all payments of one snapshot.
pub async fn audit(rx: &mut Rx) -> Result<Vec<Check>, StoreError> {
    let mut audit = Audit::new(rx.now());
    let mut last = 0;
    loop {
        let page = rows::after(rx, last, PAGE).await?;
        let Some(row) = page.last() else {
            return Ok(audit.into_checks());
        };
        last = row.number;
        for row in page {
            audit.look(row);
        }
    }
}

struct Audit {
    now: Timestamp,
    amounts: Check,
    captures: Check,
    keys: Check,
    waiting: Check,
    books: Check,
}

impl Audit {
    fn new(now: Timestamp) -> Self {
        Self {
            now,
            amounts: Check::new(
                "PY-1",
                "refunded is at most captured, captured at most authorized, that at most asked for",
            ),
            captures: Check::new("PY-2", "at most one capture of an order's payment succeeded"),
            keys: Check::new(
                "PY-3",
                "every provider key is the one of its operation, and had one amount",
            ),
            waiting: Check::new(
                "PY-5",
                "every open operation has a deadline that is at most 15 minutes past",
            ),
            books: Check::new("PY-8", "state and amounts are what the attempts add up to"),
        }
    }

    fn into_checks(self) -> Vec<Check> {
        vec![self.amounts, self.captures, self.keys, self.waiting, self.books]
    }

    fn look(&mut self, row: StoredPayment) {
        let StoredPayment { number, payment, look_at } = row;
        let payment = match payment {
            Ok(payment) => payment,
            // Amounts that cannot be the state's, or a document that nobody wrote.
            Err(error) => {
                self.books.expect(false, || format!("{number}: {error}"));
                return;
            }
        };
        let name = || payment.order_id.to_string();
        let state = payment.state;
        let (authorized, captured, refunded) =
            (state.authorized(), state.captured(), state.refunded());
        let is_ordered = 0 <= refunded
            && refunded <= captured
            && captured <= authorized
            && authorized <= payment.amount;
        self.amounts.expect(is_ordered, name);
        self.captures.expect(succeeded(&payment, PaymentOperation::Capture).count() <= 1, name);
        self.keys.expect(has_right_keys(&payment), name);
        let late = self.now.minus(PATIENCE);
        let is_watched = match payment.due {
            Some(due) => due > late,
            None => payment.open_attempt().is_none(),
        };
        // What is not looked for at its deadline is not found then.
        let is_found = payment.due.is_none_or(|due| look_at.is_some_and(|at| at <= due));
        self.waiting.expect(is_watched && is_found, name);
        self.books.expect(agrees(&payment), name);
    }
}

fn succeeded(payment: &Payment, operation: PaymentOperation) -> impl Iterator<Item = &Attempt> {
    payment.attempts.iter().filter(move |attempt| {
        attempt.operation == operation && attempt.state == AttemptState::Succeeded
    })
}

fn sum(payment: &Payment, operation: PaymentOperation) -> i64 {
    succeeded(payment, operation).fold(0, |sum, attempt| sum.saturating_add(attempt.amount))
}

fn has_right_keys(payment: &Payment) -> bool {
    let mut amounts = HashMap::with_capacity(payment.attempts.len());
    payment.attempts.iter().all(|attempt| {
        let derived = provider::key(&payment.order_id, attempt.operation, attempt.epoch);
        attempt.key == derived && amounts.insert(attempt.key, attempt.amount).is_none()
    })
}

/// Whether the columns are the sums of what succeeded, and nothing is held that was given up.
fn agrees(payment: &Payment) -> bool {
    let state = payment.state;
    let is_voided = succeeded(payment, PaymentOperation::Void).next().is_some();
    sum(payment, PaymentOperation::Authorize) == state.authorized()
        && sum(payment, PaymentOperation::Capture) == state.captured()
        && sum(payment, PaymentOperation::Refund) == state.refunded()
        && is_voided <= (state.word() == "voided")
}

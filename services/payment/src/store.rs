//! Payments as rows: one per order, and the queries over them.

use contracts::events::order::PaymentInstruction;
use contracts::events::payment::PaymentOperation;
use contracts::{Currency, OrderId, OrderNumber, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Record, Row, Rx, Schema, StoreError, Table, Value};

use crate::domain::{Attempt, AttemptState, Payment, ProviderKey, State};

/// The tables of this service.
pub const SCHEMA: Schema = Schema {
    service: "payment",
    migrations: &[
        ("0001_payments", include_str!("../migrations/0001_payments.sql")),
        ("0002_look_at", include_str!("../migrations/0002_look_at.sql")),
    ],
};

/// The first byte of every document.
const FORMAT: u8 = 1;

/// Payments kept in memory: more than are open at a time, at a few hundred bytes each.
const CACHE_MAX: usize = 65_536;

/// What a payment knows besides its columns.
#[derive(Serialize, Deserialize)]
struct Document<'a> {
    token: &'a str,
    owed: i64,
    allocated: bool,
    cancelling: bool,
    said: u64,
    updated_at: Timestamp,
    #[serde(borrow)]
    attempts: Vec<AttemptEntry<'a>>,
}

#[derive(Serialize, Deserialize)]
struct AttemptEntry<'a> {
    operation: PaymentOperation,
    epoch: u32,
    key: [u8; 16],
    amount: i64,
    state: AttemptWord,
    inquiries: u32,
    at: Timestamp,
    reference: &'a str,
    code: &'a str,
}

/// [`AttemptState`] at rest: only ever added to at the end.
#[derive(Serialize, Deserialize)]
enum AttemptWord {
    Pending,
    Unknown,
    Succeeded,
    Declined,
}

impl<'a> From<&'a Attempt> for AttemptEntry<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self {
            operation: attempt.operation,
            epoch: attempt.epoch,
            key: attempt.key.0,
            amount: attempt.amount,
            state: match attempt.state {
                AttemptState::Pending => AttemptWord::Pending,
                AttemptState::Unknown => AttemptWord::Unknown,
                AttemptState::Succeeded => AttemptWord::Succeeded,
                AttemptState::Declined => AttemptWord::Declined,
            },
            inquiries: attempt.inquiries,
            at: attempt.at,
            reference: &attempt.reference,
            code: &attempt.code,
        }
    }
}

impl From<AttemptEntry<'_>> for Attempt {
    fn from(entry: AttemptEntry<'_>) -> Self {
        Self {
            operation: entry.operation,
            epoch: entry.epoch,
            key: ProviderKey(entry.key),
            amount: entry.amount,
            state: match entry.state {
                AttemptWord::Pending => AttemptState::Pending,
                AttemptWord::Unknown => AttemptState::Unknown,
                AttemptWord::Succeeded => AttemptState::Succeeded,
                AttemptWord::Declined => AttemptState::Declined,
            },
            inquiries: entry.inquiries,
            at: entry.at,
            reference: entry.reference.to_owned(),
            code: entry.code.to_owned(),
        }
    }
}

/// The state that `word` and the amounts tell; `None` if they do not fit each other.
fn state_of(word: &str, authorized: i64, captured: i64, refunded: i64) -> Option<State> {
    let state = match word {
        "requested" => State::Requested,
        "unknown" => State::Unknown,
        "authorized" => State::Authorized { authorized },
        "captured" => State::Captured { authorized, captured },
        "partially_refunded" => State::PartiallyRefunded { authorized, captured, refunded },
        "refunded" => State::Refunded { authorized, captured },
        "voided" => State::Voided { authorized },
        "declined" => State::Declined,
        _ => return None,
    };
    let told = (state.authorized(), state.captured(), state.refunded());
    (told == (authorized, captured, refunded)).then_some(state)
}

const COLUMNS: &[&str] = &[
    "number",
    "version",
    "order_id",
    "state",
    "method",
    "currency",
    "amount_minor",
    "authorized_minor",
    "captured_minor",
    "refunded_minor",
    "created_at",
    "due",
    "doc",
    "look_at",
];

/// The least size of a document, in bytes: that of an authorisation and a capture, rounded up.
const ROOM_MIN: usize = 192;
/// Larger documents grow in steps of so many bytes.
const ROOM_STEP: usize = 64;

impl Record for Payment {
    type Key = OrderNumber;
    const TABLE: Table = Table { name: "payments", columns: COLUMNS };
    const CACHE_MAX: usize = CACHE_MAX;
    const INDEXED: Option<&'static str> = Some("look_at");
    const INDEXED_IS_BOUND: bool = true;

    fn key(&self) -> OrderNumber {
        self.number()
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn indexed(&self) -> Option<i64> {
        self.due.map(Timestamp::as_micros)
    }

    fn broken_rule(&self) -> Option<&'static str> {
        let state = &self.state;
        let (authorized, captured) = (state.authorized(), state.captured());
        if !(0..=self.amount).contains(&authorized) {
            return Some("payments_never_authorized_beyond_amount");
        }
        if !(0..=authorized).contains(&captured) {
            return Some("payments_never_captured_beyond_authorized");
        }
        let refunded = (0..=captured).contains(&state.refunded());
        (!refunded).then_some("payments_never_refunded_beyond_captured")
    }

    fn is_settled(&self) -> bool {
        self.state.has_ended() || matches!(self.state, State::Captured { .. })
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        let document = Document {
            token: &self.instruction.token,
            owed: self.owed,
            allocated: self.allocated,
            cancelling: self.cancelling,
            said: self.said,
            updated_at: self.updated_at,
            attempts: self.attempts.iter().map(AttemptEntry::from).collect(),
        };
        let room = self.attempts.len().saturating_mul(80).saturating_add(64);
        let mut bytes = Vec::with_capacity(room);
        bytes.push(FORMAT);
        // Plain data always fits a growing buffer; a row without it could not be read back.
        let mut bytes = postcard::to_extend(&document, bytes).unwrap_or_default();
        // Room for the next attempt: a row that keeps its size stays on its page.
        bytes.resize(bytes.len().max(ROOM_MIN).next_multiple_of(ROOM_STEP), 0);
        row.extend([
            Value::from(self.number()),
            Value::from(self.version),
            Value::from(self.order_id),
            Value::from(self.state.word()),
            Value::from(self.instruction.method.as_str()),
            Value::from(self.currency.as_str()),
            Value::from(self.amount),
            Value::from(self.state.authorized()),
            Value::from(self.state.captured()),
            Value::from(self.state.refunded()),
            Value::from(self.created_at),
            Value::from(self.due),
            Value::from(bytes),
        ]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let document: Document<'_> = match row.blob(12)?.split_first() {
            Some((&FORMAT, bytes)) => {
                postcard::from_bytes(bytes).map_err(|why| row.damaged(12, &why.to_string()))?
            }
            _ => return Err(row.damaged(12, "its format is not known")),
        };
        let (authorized, captured, refunded) = (row.int(7)?, row.int(8)?, row.int(9)?);
        let state = state_of(row.text(3)?, authorized, captured, refunded);
        let order_id = row.id(2, OrderId::try_from_slice)?;
        if order_id.number().as_i64() != row.int(0)? {
            return Err(row.damaged(2, "it belongs to another number"));
        }
        Ok(Self {
            order_id,
            version: row.count(1)?,
            instruction: PaymentInstruction {
                method: row.text(4)?.into(),
                token: document.token.into(),
            },
            currency: row.parsed(5, Currency::try_new)?,
            amount: row.int(6)?,
            owed: document.owed,
            state: state.ok_or_else(|| row.damaged(3, "it does not fit the amounts"))?,
            allocated: document.allocated,
            cancelling: document.cancelling,
            attempts: document.attempts.into_iter().map(Attempt::from).collect(),
            said: document.said,
            due: row.opt_timestamp(11)?,
            created_at: row.timestamp(10)?,
            updated_at: document.updated_at,
        })
    }
}

/// All columns of a payment, in the order in which `Payment::read` wants them.
macro_rules! select_payments {
    ($($rest:tt)*) => {
        concat!(
            "SELECT number, version, order_id, state, method, currency, amount_minor,\n",
            " authorized_minor, captured_minor, refunded_minor, created_at, due, doc, look_at\n",
            "FROM payments\n",
            $($rest)*
        )
    };
}

/// The payment of order `number`, if there is one.
pub(crate) async fn find(rx: &mut Rx, number: OrderNumber) -> Result<Option<Payment>, StoreError> {
    const SQL: &str = select_payments!("WHERE number = $1");
    Ok(rx.query(SQL, &[number.into()], Payment::read).await?.pop())
}

/// A row as the auditor sees it.
pub(crate) struct StoredPayment {
    pub(crate) number: i64,
    /// What it holds; a damaged one is the error.
    pub(crate) payment: Result<Payment, StoreError>,
    /// The column `look_at`.
    pub(crate) look_at: Option<Timestamp>,
}

/// Payments numbered above `after`, at most `limit`, by number.
pub(crate) async fn after(
    rx: &mut Rx,
    after: i64,
    limit: i64,
) -> Result<Vec<StoredPayment>, StoreError> {
    const SQL: &str = select_payments!("WHERE number > $1\nORDER BY number\nLIMIT $2");
    let read = |row: &Row<'_>| {
        let (number, look_at) = (row.int(0)?, row.opt_timestamp(13)?);
        Ok(StoredPayment { number, payment: Payment::read(row), look_at })
    };
    rx.query(SQL, &[after.into(), limit.into()], read).await
}

/// The largest number that has a payment; 0 if there is none.
pub(crate) async fn last_number(rx: &mut Rx) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COALESCE(MAX(number), 0)\nFROM payments";
    Ok(rx.query(SQL, &[], |row| row.int(0)).await?.pop().unwrap_or(0))
}

/// Numbers whose deadline may be at `until` or before, at most `limit`, the earliest first.
pub(crate) async fn due(
    rx: &mut Rx,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<OrderNumber>, StoreError> {
    const SQL: &str = "SELECT number\nFROM payments\nWHERE look_at IS NOT NULL AND look_at <= $1\n\
                       ORDER BY look_at\nLIMIT $2";
    let number = |row: &Row<'_>| row.count(0).map(OrderNumber::new);
    rx.query(SQL, &[until.into(), limit.into()], number).await
}

/// How many payments wait for an answer.
pub(crate) async fn open_count(rx: &mut Rx) -> Result<i64, StoreError> {
    const SQL: &str =
        "SELECT COUNT(*)\nFROM payments\nWHERE look_at IS NOT NULL AND due IS NOT NULL";
    Ok(rx.query(SQL, &[], |row| row.int(0)).await?.pop().unwrap_or(0))
}

/// Which payments a list shows.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    /// Words of states; empty for all.
    pub(crate) states: Vec<&'static str>,
    /// Empty for all.
    pub(crate) method: String,
    pub(crate) created_from: Timestamp,
    pub(crate) created_to: Timestamp,
}

/// How many different states there are: the most that a filter can name.
const STATES: usize = 8;

impl Filter {
    /// The values of `$4` and on. A filter of fewer states names one of them again and again.
    fn values(&self) -> Vec<Value<'_>> {
        let mut values = vec![
            Value::from(self.created_from),
            Value::from(self.created_to),
            Value::from(&self.method),
        ];
        let first = self.states.first().copied().unwrap_or_default();
        let words = self.states.iter().copied().chain(std::iter::repeat(first));
        values.extend(words.take(STATES).map(Value::from));
        values
    }
}

macro_rules! list_payments {
    ($order:literal) => {
        select_payments!(
            "WHERE number > $1 AND number < $2\n",
            " AND created_at >= $4 AND created_at < $5\n",
            " AND ($6 = '' OR method = $6)\n",
            " AND ($7 = '' OR state IN ($7, $8, $9, $10, $11, $12, $13, $14))\n",
            "ORDER BY number ",
            $order,
            "\nLIMIT $3"
        )
    };
}

/// Payments that match `filter`, with numbers between the two given (neither included).
pub(crate) async fn list(
    rx: &mut Rx,
    filter: &Filter,
    (above, below): (i64, i64),
    limit: i64,
    newest_first: bool,
) -> Result<Vec<Payment>, StoreError> {
    const NEWEST: &str = list_payments!("DESC");
    const OLDEST: &str = list_payments!("ASC");
    let mut values = vec![Value::from(above), Value::from(below), Value::from(limit)];
    values.extend(filter.values());
    let sql = if newest_first { NEWEST } else { OLDEST };
    rx.query(sql, &values, Payment::read).await
}

#[cfg(test)]
mod tests {
    use contracts::Money;

    use super::*;
    use crate::domain::{Fact, Outcome};

    #[test]
    fn a_row_of_the_order_path_is_small() {
        let at = Timestamp::from_micros(1_795_268_168_000_000);
        let order_id = OrderId::new(at, OrderNumber::new(1_000_000), 7);
        let instruction =
            PaymentInstruction { method: "simulated".into(), token: "approve".into() };
        let total = Money::new(259_999, Currency::USD);
        let (mut payment, _) =
            Payment::request(order_id, total, instruction, at, crate::provider::key);
        for _ in ["authorized", "allocated", "captured"] {
            let reference = "sim_0123456789abcdef".to_owned();
            let fact = payment.open_attempt().map_or(Fact::Allocated, |attempt| Fact::Answered {
                key: attempt.key,
                outcome: Outcome::Approved { reference },
            });
            payment.accept(fact, at, crate::provider::key);
        }
        assert_eq!(payment.state.word(), "captured");
        let mut row = Vec::new();
        payment.write(&mut row);
        let bytes: usize = row
            .iter()
            .map(|value| match value {
                Value::Null => 0,
                Value::Int(_) => 8,
                Value::Text(text) => text.len(),
                Value::Blob(bytes) => bytes.len(),
                Value::Bytes16(bytes) => bytes.len(),
                Value::OwnedText(text) => text.len(),
                Value::OwnedBlob(bytes) => bytes.len(),
            })
            .sum();
        assert!(bytes <= 400, "{bytes} bytes");
    }
}

//! Notifications as rows, and the queries over them.

use contracts::events::order::{EndReason, LineUnits};
use contracts::{CustomerId, EventId, Money, OrderId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Record, Row, Rx, Schema, StoreError, Table, Tx, Value};

use crate::domain::{Channel, KINDS, Notification, Recipient, State, Words};

/// The tables of this service.
pub const SCHEMA: Schema = Schema {
    service: "notification",
    migrations: &[("0001_notifications", include_str!("../migrations/0001_notifications.sql"))],
};

/// The first byte of every document.
const FORMAT: u8 = 1;

/// Notifications kept in memory: those that are being sent. Nobody else reads one twice.
const CACHE_MAX: usize = 1_024;

/// [`Words`] at rest.
#[derive(Serialize, Deserialize)]
struct Document<'a> {
    total: Option<Money>,
    reason: Option<EndReason>,
    detail: &'a str,
    shipment: u16,
    lines: Vec<LineUnits>,
}

const COLUMNS: &[&str] = &[
    "id",
    "version",
    "event_id",
    "order_id",
    "recipient",
    "channel",
    "template",
    "state",
    "attempts",
    "created_at",
    "due",
    "sent_at",
    "last_error",
    "doc",
];

impl Record for Notification {
    type Key = i64;
    const TABLE: Table = Table { name: "notifications", columns: COLUMNS };
    const CACHE_MAX: usize = CACHE_MAX;

    fn key(&self) -> i64 {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn is_settled(&self) -> bool {
        !matches!(self.state, State::Pending { .. })
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        let document = Document {
            total: self.words.total,
            reason: self.words.reason,
            detail: &self.words.detail,
            shipment: self.words.shipment,
            lines: self.words.lines.clone(),
        };
        let bytes = Vec::from([FORMAT]);
        // Plain data always fits a growing buffer; a row without it could not be read back.
        let bytes = postcard::to_extend(&document, bytes).unwrap_or_default();
        let (due, sent_at) = match self.state {
            State::Pending { due } => (Some(due), None),
            State::Sent { at } | State::Logged { at } => (None, Some(at)),
            State::Failed => (None, None),
        };
        let recipient = match &self.recipient {
            Recipient::Known(recipient) => recipient.as_str(),
            Recipient::Buyer => "",
        };
        let last_error = Some(self.last_error.as_str()).filter(|error| !error.is_empty());
        row.extend([
            Value::from(self.id),
            Value::from(self.version),
            Value::from(self.event_id),
            Value::from(self.order_id),
            Value::from(recipient),
            Value::from(self.channel.word()),
            Value::from(self.template),
            Value::from(self.state.word()),
            Value::from(self.attempts),
            Value::from(self.created_at),
            Value::from(due),
            Value::from(sent_at),
            Value::from(last_error),
            Value::from(bytes),
        ]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let document: Document<'_> = match row.blob(13)?.split_first() {
            Some((&FORMAT, bytes)) => {
                postcard::from_bytes(bytes).map_err(|why| row.damaged(13, &why.to_string()))?
            }
            _ => return Err(row.damaged(13, "its format is not known")),
        };
        let recipient = match row.text(4)? {
            "" => Recipient::Buyer,
            _ => Recipient::Known(row.parsed(4, CustomerId::try_new)?),
        };
        let channel = Channel::of_word(row.text(5)?);
        let template = row.text(6)?;
        let mut names = KINDS.iter().map(|kind| kind.name());
        let template = names.find(|name| *name == template);
        let attempts = u32::try_from(row.int(8)?).ok();
        Ok(Self {
            id: row.int(0)?,
            version: row.count(1)?,
            event_id: row.id(2, EventId::try_from_slice)?,
            order_id: row.id(3, OrderId::try_from_slice)?,
            recipient,
            channel: channel.ok_or_else(|| row.damaged(5, "there is no such channel"))?,
            template: template.ok_or_else(|| row.damaged(6, "there is no such template"))?,
            state: read_state(row)?,
            attempts: attempts.ok_or_else(|| row.damaged(8, "it cannot be counted"))?,
            created_at: row.timestamp(9)?,
            last_error: row.opt_text(12)?.unwrap_or_default().to_owned(),
            words: Words {
                total: document.total,
                reason: document.reason,
                detail: document.detail.to_owned(),
                shipment: document.shipment,
                lines: document.lines,
            },
        })
    }
}

fn read_state(row: &Row<'_>) -> Result<State, StoreError> {
    match (row.text(7)?, row.opt_timestamp(10)?, row.opt_timestamp(11)?) {
        ("pending", Some(due), None) => Ok(State::Pending { due }),
        ("sent", None, Some(at)) => Ok(State::Sent { at }),
        ("logged", None, Some(at)) => Ok(State::Logged { at }),
        ("failed", None, None) => Ok(State::Failed),
        _ => Err(row.damaged(7, "it does not fit the times")),
    }
}

/// All columns of a notification, in the order in which `Notification::read` wants them.
macro_rules! select_notifications {
    ($($rest:tt)*) => {
        concat!(
            "SELECT id, version, event_id, order_id, recipient, channel, template, state,\n",
            " attempts, created_at, due, sent_at, last_error, doc\n",
            $($rest)*
        )
    };
}

/// The largest id on record; 0 if there is none. Pending rows are not seen.
pub(crate) async fn last_id(tx: &mut Tx) -> Result<i64, StoreError> {
    Ok(tx.query(LAST_ID, &[], |row| row.int(0)).await?.pop().unwrap_or(0))
}

const LAST_ID: &str = "SELECT COALESCE(MAX(id), 0)\nFROM notifications";

/// Notifications to be tried at `now`, at most `limit`, the longest waiting first.
pub(crate) async fn due(
    rx: &mut Rx,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Notification>, StoreError> {
    const SQL: &str = select_notifications!(
        "FROM notifications\nWHERE due IS NOT NULL AND due <= $1\nORDER BY due\nLIMIT $2"
    );
    rx.query(SQL, &[now.into(), limit.into()], Notification::read).await
}

/// How many notifications wait.
pub(crate) async fn pending_count(rx: &mut Rx) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*)\nFROM notifications\nWHERE due IS NOT NULL";
    Ok(rx.query(SQL, &[], |row| row.int(0)).await?.pop().unwrap_or(0))
}

/// The first notification with an id from `first` to `last`, both included.
pub(crate) async fn find(
    rx: &mut Rx,
    (first, last): (i64, i64),
) -> Result<Option<Notification>, StoreError> {
    const SQL: &str = select_notifications!(
        "FROM notifications\nWHERE id >= $1 AND id <= $2\nORDER BY id\nLIMIT 1"
    );
    Ok(rx.query(SQL, &[first.into(), last.into()], Notification::read).await?.pop())
}

/// Notifications after `after`, at most `limit`, by id; damaged ones as the error.
pub(crate) async fn after(
    rx: &mut Rx,
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, Result<Notification, StoreError>)>, StoreError> {
    const SQL: &str =
        select_notifications!("FROM notifications\nWHERE id > $1\nORDER BY id\nLIMIT $2");
    rx.query(SQL, &[after.into(), limit.into()], |row| Ok((row.int(0)?, Notification::read(row))))
        .await
}

/// Which notifications a list shows. Empty texts and lists match everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Words of states.
    pub(crate) states: Vec<&'static str>,
    pub(crate) channel: &'static str,
    pub(crate) recipient: String,
    pub(crate) template: String,
}

impl Filter {
    /// Whether `notification` is shown.
    pub(crate) fn matches(&self, notification: &Notification) -> bool {
        let recipient = match &notification.recipient {
            Recipient::Known(recipient) => recipient.as_str(),
            Recipient::Buyer => "",
        };
        let is_any = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        (self.states.is_empty() || self.states.contains(&notification.state.word()))
            && is_any(self.channel, notification.channel.word())
            && is_any(&self.recipient, recipient)
            && is_any(&self.template, notification.template)
    }
}

/// A page, and where the next one begins if there may be more.
pub(crate) struct Page {
    pub(crate) notifications: Vec<Notification>,
    pub(crate) next: Option<i64>,
}

/// Rows that one page looks at, whether they match the filter or not.
const SCAN_MAX: i64 = 200_000;

/// The states that a filter can name.
const STATES: usize = 4;

macro_rules! list_notifications {
    ($scan:literal, $order:literal) => {
        select_notifications!(
            "FROM (SELECT *\n FROM notifications\n ",
            $scan,
            "\n LIMIT $2) AS part\n",
            "WHERE ($4 = '' OR state IN ($4, $5, $6, $7))\n",
            " AND ($8 = '' OR channel = $8)\n",
            " AND ($9 = '' OR recipient = $9)\n",
            " AND ($10 = '' OR template = $10)\n",
            "ORDER BY id ",
            $order,
            "\nLIMIT $3"
        )
    };
}

/// Notifications behind `from`, or from the beginning, at most `limit`.
pub(crate) async fn list(
    rx: &mut Rx,
    filter: &Filter,
    from: Option<i64>,
    limit: i64,
    newest_first: bool,
) -> Result<Page, StoreError> {
    const NEWEST: &str = list_notifications!("WHERE id < $1 ORDER BY id DESC", "DESC");
    const OLDEST: &str = list_notifications!("WHERE id > $1 ORDER BY id", "ASC");
    const NEWEST_EDGE: &str = "SELECT MIN(id), COUNT(*)\nFROM (SELECT id\n FROM notifications\n \
                               WHERE id < $1 ORDER BY id DESC LIMIT $2) AS part";
    const OLDEST_EDGE: &str = "SELECT MAX(id), COUNT(*)\nFROM (SELECT id\n FROM notifications\n \
                               WHERE id > $1 ORDER BY id LIMIT $2) AS part";
    let (sql, edge, first) =
        if newest_first { (NEWEST, NEWEST_EDGE, i64::MAX) } else { (OLDEST, OLDEST_EDGE, 0) };
    let place = [Value::from(from.unwrap_or(first)), Value::from(SCAN_MAX)];
    let mut values = place.to_vec();
    values.push(Value::from(limit));
    let any = filter.states.first().copied().unwrap_or_default();
    let states = filter.states.iter().copied().chain(std::iter::repeat(any));
    values.extend(states.take(STATES).map(Value::from));
    values.extend([filter.channel, &filter.recipient, &filter.template].map(Value::from));
    let notifications = rx.query(sql, &values, Notification::read).await?;
    if i64::try_from(notifications.len()).unwrap_or(i64::MAX) >= limit {
        let next = notifications.last().map(|notification| notification.id);
        return Ok(Page { notifications, next });
    }
    // Not full: all that was looked at is shown. There may be more behind it.
    let edge = rx.query(edge, &place, |row| Ok((row.opt_int(0)?, row.int(1)?))).await?.pop();
    let next = edge.and_then(|(edge, count)| edge.filter(|_| count >= SCAN_MAX));
    Ok(Page { notifications, next })
}

/// The most notifications of one order that are shown.
const OF_ORDER_MAX: i64 = 1_000;

/// All that was told about an order, the oldest first.
pub(crate) async fn of_order(rx: &mut Rx, order: OrderId) -> Result<Vec<Notification>, StoreError> {
    const SQL: &str = select_notifications!(
        "FROM notifications\nWHERE id >= $1 AND order_id = $2\nORDER BY id\nLIMIT $3"
    );
    // There is no index by order. But nothing is told about one before it is placed, and ids grow
    // with time: what is older need not be looked at.
    let first = first_since(rx, placed_at(order)).await?;
    let values = [Value::from(first), Value::from(order), Value::from(OF_ORDER_MAX)];
    rx.query(SQL, &values, Notification::read).await
}

/// When an order was placed, to the millisecond: the time that a UUID of version 7 carries.
fn placed_at(order: OrderId) -> Timestamp {
    let mut millis = [0; 8];
    millis[2..].copy_from_slice(&order.as_bytes()[..6]);
    Timestamp::from_micros(i64::from_be_bytes(millis).saturating_mul(1_000))
}

/// An id at or before the first notification made at `time` or later; found by halving.
async fn first_since(rx: &mut Rx, time: Timestamp) -> Result<i64, StoreError> {
    const AT: &str = "SELECT id, created_at\nFROM notifications\nWHERE id >= $1\n\
                      ORDER BY id\nLIMIT 1";
    let last = rx.query(LAST_ID, &[], |row| row.int(0)).await?.pop().unwrap_or(0);
    // Everything below `low` is older than `time`; something at `high` or above is not, if any is.
    let (mut low, mut high) = (0, last.saturating_add(1));
    while low < high {
        let middle = low.midpoint(high);
        let read = |row: &Row<'_>| Ok((row.int(0)?, row.timestamp(1)?));
        match rx.query(AT, &[middle.into()], read).await?.pop() {
            Some((id, at)) if at < time => low = id.saturating_add(1),
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

//! Which events are told to whom, and how a message ends.

#[cfg(test)]
mod tests;

use std::time::Duration;

use contracts::events::notification::{NotificationFailed, NotificationSent};
use contracts::events::order::{EndReason, LineUnits};
use contracts::{
    CustomerId, Event, EventData, EventId, EventKind, Money, OrderId, Position, Timestamp,
};

/// The recipient of what only staff can mend.
pub(crate) const STAFF: &str = "@staff";

/// Pauses after a try that failed; after the last of them a message has one more try.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_mins(1)];

/// The longest reason in words that is kept, in characters.
const DETAIL_MAX: usize = 1_000;

/// The events that are told.
pub(crate) const KINDS: &[EventKind] = &[
    EventKind::OrderConfirmed,
    EventKind::OrderRejected,
    EventKind::OrderCancelled,
    EventKind::OrderExpired,
    EventKind::OrderCompleted,
    EventKind::OrderFulfilling,
    EventKind::OrderNeedsAttention,
];

/// The way a message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Over SMTP.
    Mail,
    /// No transport: the row is the message.
    Log,
}

impl Channel {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Log => "log",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Self::Mail, Self::Log].into_iter().find(|channel| channel.word() == word)
    }

    /// The channel's own bits in the id of a notification.
    const fn bits(self) -> i64 {
        match self {
            Self::Log => 0,
            Self::Mail => 1,
        }
    }
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// To be sent, at `due` or later.
    Pending { due: Timestamp },
    /// The channel took it.
    Sent { at: Timestamp },
    /// It stands in the log, where it is read.
    Logged { at: Timestamp },
    /// It could not be sent and is not tried again.
    Failed,
}

impl State {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Sent { .. } => "sent",
            Self::Logged { .. } => "logged",
            Self::Failed => "failed",
        }
    }
}

/// For whom a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// A customer, or [`STAFF`].
    Known(CustomerId),
    /// Whoever placed the order: the event does not say who that is.
    Buyer,
}

/// What a template is filled with: what the event says, and nothing about the person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Words {
    pub(crate) total: Option<Money>,
    pub(crate) reason: Option<EndReason>,
    pub(crate) detail: String,
    pub(crate) shipment: u16,
    pub(crate) lines: Vec<LineUnits>,
}

/// Something to be told, once per event, recipient and channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notification {
    /// See [`id`].
    pub(crate) id: i64,
    /// Grows by one with every change.
    pub(crate) version: u64,
    pub(crate) event_id: EventId,
    pub(crate) order_id: OrderId,
    pub(crate) recipient: Recipient,
    pub(crate) channel: Channel,
    /// The type of the event; the template has the same name.
    pub(crate) template: &'static str,
    pub(crate) state: State,
    pub(crate) attempts: u32,
    pub(crate) created_at: Timestamp,
    /// What went wrong last; empty if nothing did.
    pub(crate) last_error: String,
    pub(crate) words: Words,
}

/// How a try to send a message ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The channel took it.
    Delivered,
    /// It may work later.
    NotNow { detail: String },
    /// It will never work.
    Never { detail: String },
}

/// The id of what is told about an event by a channel. It is made of the event's place in the log, so
/// an event that is heard twice leads to the same id, and ids made later are larger. All orders are
/// told of in one log; places of two logs would have to be told apart.
pub(crate) fn id(event: EventId, channel: Channel) -> i64 {
    (place(event) << 3) | channel.bits()
}

/// All ids that an event can lead to: from the first to the second, both included.
pub(crate) fn ids(event: EventId) -> (i64, i64) {
    let first = place(event) << 3;
    (first, first | 0b111)
}

fn place(event: EventId) -> i64 {
    let Position { segment, index } = event.position();
    // 40 bits of segment and 20 of index: 60, and three more for the channel.
    let place = (segment << 20) | u64::from(index & Position::INDEX_MAX);
    i64::try_from(place & ((1 << 60) - 1)).unwrap_or(0)
}

/// What an event says, and for whom that is; `None` for an event that nobody is told of.
struct Told {
    order_id: OrderId,
    recipient: Recipient,
    words: Words,
}

fn told(data: &EventData) -> Option<Told> {
    let of = |order_id, customer: &CustomerId, words| {
        Some(Told { order_id, recipient: Recipient::Known(customer.clone()), words })
    };
    let because = |reason, detail: &str| Words {
        reason: Some(reason),
        detail: detail.chars().take(DETAIL_MAX).collect(),
        ..Words::default()
    };
    if let EventData::OrderConfirmed(said) = data {
        let words = Words { total: Some(said.total), ..Words::default() };
        return of(said.order_id, &said.customer_id, words);
    }
    if let EventData::OrderRejected(said) = data {
        return of(said.order_id, &said.customer_id, because(said.reason, &said.detail));
    }
    if let EventData::OrderCancelled(said) = data {
        return of(said.order_id, &said.customer_id, because(said.reason, &said.detail));
    }
    if let EventData::OrderExpired(said) = data {
        return of(said.order_id, &said.customer_id, because(said.reason, ""));
    }
    if let EventData::OrderCompleted(said) = data {
        return of(said.order_id, &said.customer_id, Words::default());
    }
    if let EventData::OrderFulfilling(said) = data {
        let (shipment, lines) = (said.shipment, said.lines.clone());
        let words = Words { shipment, lines, ..Words::default() };
        return Some(Told { order_id: said.order_id, recipient: Recipient::Buyer, words });
    }
    if let EventData::OrderNeedsAttention(said) = data {
        let detail = said.detail.chars().take(DETAIL_MAX).collect();
        let words = Words { detail, ..Words::default() };
        return of(said.order_id, &staff()?, words);
    }
    None
}

/// The name of [`STAFF`] as a recipient.
pub(crate) fn staff() -> Option<CustomerId> {
    CustomerId::try_new(STAFF).ok()
}

/// Which recipients can be reached by mail; the others read the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) customers: bool,
    pub(crate) staff: bool,
}

impl Notification {
    /// What is to be told about `event`, and what is said of that at once; `None` if nobody is told.
    pub(crate) fn about(event: &Event, reach: Reach) -> Option<(Self, Option<EventData>)> {
        let Told { order_id, recipient, words } = told(&event.data)?;
        let is_staff = matches!(&recipient, Recipient::Known(known) if known.as_str() == STAFF);
        let has_mail = if is_staff { reach.staff } else { reach.customers };
        let channel = if has_mail { Channel::Mail } else { Channel::Log };
        let mut notification = Self {
            id: id(event.id, channel),
            version: 1,
            event_id: event.id,
            order_id,
            recipient,
            channel,
            template: event.data.kind().name(),
            state: State::Pending { due: event.time },
            attempts: 0,
            created_at: event.time,
            last_error: String::new(),
            words,
        };
        // What has no transport and a recipient needs nobody to carry it.
        let said = match (&notification.recipient, channel) {
            (Recipient::Known(_), Channel::Log) => notification.end_well(event.time),
            (Recipient::Known(_) | Recipient::Buyer, Channel::Mail)
            | (Recipient::Buyer, Channel::Log) => None,
        };
        Some((notification, said))
    }

    /// Names the recipient that was not known before.
    pub(crate) fn address_to(&mut self, customer: CustomerId) {
        if self.recipient == Recipient::Buyer {
            self.recipient = Recipient::Known(customer);
        }
    }

    /// Takes the outcome of a try, and returns what is said of it. Nothing changes after the end.
    pub(crate) fn accept(&mut self, outcome: Outcome, at: Timestamp) -> Option<EventData> {
        if !self.is_pending() {
            return None;
        }
        self.version += 1;
        match outcome {
            Outcome::Delivered => self.end_well(at),
            Outcome::NotNow { detail } => {
                self.attempts += 1;
                let tries = usize::try_from(self.attempts).unwrap_or(usize::MAX);
                let Some(pause) = PAUSES.get(tries - 1) else {
                    return self.fail(detail);
                };
                self.last_error = detail;
                self.state = State::Pending { due: at.plus(*pause) };
                None
            }
            Outcome::Never { detail } => {
                self.attempts += 1;
                self.fail(detail)
            }
        }
    }

    pub(crate) const fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending { .. })
    }

    fn end_well(&mut self, at: Timestamp) -> Option<EventData> {
        let Recipient::Known(recipient) = &self.recipient else {
            return None;
        };
        self.attempts += 1;
        self.last_error.clear();
        self.state = match self.channel {
            Channel::Mail => State::Sent { at },
            Channel::Log => State::Logged { at },
        };
        let said = NotificationSent {
            notification: self.id.unsigned_abs(),
            event_id: self.event_id,
            order_id: self.order_id,
            channel: self.channel.word().into(),
            recipient: recipient.clone(),
        };
        Some(said.into())
    }

    /// Ends it for good. Where nobody could say who the buyer is, staff is told.
    fn fail(&mut self, detail: String) -> Option<EventData> {
        self.state = State::Failed;
        self.last_error.clone_from(&detail);
        let recipient = match &self.recipient {
            Recipient::Known(recipient) => recipient.clone(),
            Recipient::Buyer => staff()?,
        };
        let said = NotificationFailed {
            notification: self.id.unsigned_abs(),
            event_id: self.event_id,
            order_id: self.order_id,
            channel: self.channel.word().into(),
            recipient,
            detail: detail.into(),
        };
        Some(said.into())
    }
}

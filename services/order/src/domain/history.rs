//! The history of an order: one entry for every fact heard and every event said.

use contracts::{EventId, EventKind, Timestamp, Topic};

use super::Text;
use super::state::Status;

/// What happened, as the code of the event that tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step(u8);

impl Step {
    /// A person settled what could not go on by itself. No event tells it.
    pub const ATTENTION_RESOLVED: Self = Self(200);

    /// The step that an event of `kind` tells.
    pub fn of(kind: EventKind) -> Self {
        // The codes of what an order hears and says are below 100.
        Self(u8::try_from(kind.code()).unwrap_or(u8::MAX))
    }

    /// The step of a row.
    pub const fn from_code(code: u8) -> Self {
        Self(code)
    }

    /// The number that stands for it in rows.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The event that tells it; `None` if there is none.
    pub fn kind(self) -> Option<EventKind> {
        let code = u16::from(self.0);
        EventKind::ALL.iter().copied().find(|kind| kind.code() == code)
    }

    /// The name in the timeline.
    pub fn name(self) -> &'static str {
        if self == Self::ATTENTION_RESOLVED {
            return "attention.resolved";
        }
        self.kind().map_or("unknown", EventKind::name)
    }

    /// The service that tells it.
    pub fn service(self) -> &'static str {
        match self.kind().map(EventKind::topic) {
            Some(Topic::OrderCheck | Topic::Customer) => "customer",
            Some(Topic::Reservation | Topic::Stock) => "inventory",
            Some(Topic::Payment) => "payment",
            Some(Topic::Product) => "catalog",
            Some(Topic::Notification) => "notification",
            Some(Topic::Order) | None => "order",
        }
    }
}

/// What made something happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// An event.
    Event(EventId),
    /// A person or a program, by name.
    Actor(Text),
    /// Time.
    Deadline,
}

impl Cause {
    /// The event, if one did.
    pub const fn event(&self) -> Option<EventId> {
        match self {
            Self::Event(id) => Some(*id),
            Self::Actor(_) | Self::Deadline => None,
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What.
    pub step: Step,
    /// When.
    pub at: Timestamp,
    /// Where the order stood afterwards.
    pub status: Status,
    /// What made it happen.
    pub cause: Cause,
    /// More about it for people; may be empty.
    pub detail: Text,
}

/// The entries, oldest first. At most [`History::MAX`]: beyond that the oldest are forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// How many entries were forgotten.
    pub forgotten: u64,
    /// The entries that are kept.
    pub entries: Vec<Entry>,
}

impl History {
    /// The most entries kept for one order.
    pub const MAX: usize = 500;

    pub(super) fn push(&mut self, entry: Entry) {
        if self.entries.len() >= Self::MAX {
            self.entries.remove(0);
            self.forgotten += 1;
        }
        self.entries.push(entry);
    }

    /// Whether the event `id` was heard as `step` before.
    pub(super) fn has_heard(&self, step: Step, id: EventId) -> bool {
        self.entries.iter().any(|entry| entry.step == step && entry.cause.event() == Some(id))
    }

    /// When the order last changed.
    pub fn changed_at(&self) -> Timestamp {
        self.entries.last().map(|entry| entry.at).unwrap_or_default()
    }
}

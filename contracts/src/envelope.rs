//! The envelope of every event: CloudEvents 1.0 attributes around typed data.

use std::fmt;

use serde_json::{Value, json};
use smol_str::SmolStr;

use crate::clock::Timestamp;
use crate::events::EventData;
use crate::ids::{EventId, OrderId};
use crate::topics::Topic;

/// What an event is about, and what keeps its order: the aggregate's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKey {
    /// An order, its reservation, its payment or its check.
    Order(OrderId),
    /// A SKU, a customer id or a recipient.
    Text(SmolStr),
}

impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(id) => id.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// A fact that has happened and cannot be taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique, and carries the event's place in its producer's log.
    pub id: EventId,
    /// 1, 2, 3 … for each aggregate, without a gap.
    pub sequence: u64,
    /// When it happened, by the producer's clock.
    pub time: Timestamp,
    /// The order whose flow this belongs to, if any.
    pub correlation: Option<OrderId>,
    /// The event that made this one happen, if any.
    pub causation: Option<EventId>,
    /// W3C trace context of the work that made it.
    pub traceparent: Option<SmolStr>,
    /// What happened.
    pub data: EventData,
}

/// An event that a transaction is about to append: the log gives it its id and time.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The aggregate's next number: 1, 2, 3 …
    pub sequence: u64,
    /// The order whose flow this belongs to, if any.
    pub correlation: Option<OrderId>,
    /// The event that makes this one happen, if any.
    pub causation: Option<EventId>,
    /// W3C trace context of the work that makes it, where that is not the transaction's own.
    pub traceparent: Option<SmolStr>,
    /// What happened.
    pub data: EventData,
}

impl Draft {
    /// An event of its own accord: no event made it happen.
    pub fn new(sequence: u64, data: impl Into<EventData>) -> Self {
        Self { sequence, correlation: None, causation: None, traceparent: None, data: data.into() }
    }

    /// An event that `cause` makes happen, in the same flow and the same trace.
    pub fn caused_by(cause: &Event, sequence: u64, data: impl Into<EventData>) -> Self {
        let (correlation, causation) = (cause.correlation, Some(cause.id));
        let traceparent = cause.traceparent.clone();
        Self { sequence, correlation, causation, traceparent, data: data.into() }
    }

    /// The same, in the trace of `traceparent`.
    #[must_use]
    pub fn traced(mut self, traceparent: Option<SmolStr>) -> Self {
        self.traceparent = traceparent;
        self
    }

    /// The same, in the flow of `order`.
    #[must_use]
    pub fn correlated(mut self, order: OrderId) -> Self {
        self.correlation = Some(order);
        self
    }
}

impl Event {
    /// The topic that carries the event.
    pub fn topic(&self) -> Topic {
        self.data.kind().topic()
    }

    /// The aggregate's id.
    pub fn key(&self) -> EventKey {
        self.data.key()
    }

    /// The CloudEvents 1.0 document of the event in structured JSON mode.
    ///
    /// `source` names the producing service, such as `/millrace/order`.
    pub fn to_cloudevent(&self, source: &str) -> Value {
        let key = self.key().to_string();
        let mut document = json!({
            "specversion": "1.0",
            "id": self.id.to_string(),
            "source": source,
            "type": self.data.kind().name(),
            "subject": key,
            "time": self.time.to_string(),
            "partitionkey": key,
            "sequence": self.sequence,
            "datacontenttype": "application/json",
            "data": self.data.to_json(),
        });
        let mut set = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                document[name] = value.into();
            }
        };
        set("correlationid", self.correlation.map(|id| id.to_string()));
        set("causationid", self.causation.map(|id| id.to_string()));
        set("traceparent", self.traceparent.as_ref().map(ToString::to_string));
        document
    }
}

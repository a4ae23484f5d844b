//! The predicates of the log: one pass over the outbox, a small struct per order in memory.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use contracts::events::DecodeError;
use contracts::{
    Event, EventData, EventKey, OrderId, OrderNumber, Position, Timestamp, Topic, segment,
};
use store::audit::Check;
use store::{Row, Rx, StoreError};

use super::stores::File;

/// Topics whose key is an order: their sequences are kept in a row of numbers.
const ORDER_TOPICS: usize = 4;
/// How long an event may be parked before it counts as a violation.
const PARKED_MAX: Duration = Duration::from_hours(24);

/// What the log says of one order.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    /// Its id; `None` if the log says nothing of it.
    pub(super) id: Option<OrderId>,
    said: [Last; ORDER_TOPICS],
    /// It was cancelled, rejected or expired.
    pub(super) ended_badly: bool,
    /// Its money is due on dispatch.
    pub(super) due_on_dispatch: bool,
    /// A consumer has not handled all of its events.
    unsettled: bool,
}

/// The last event of an aggregate.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    sequence: u64,
    /// Damaged segments before it: what was in them is not known.
    damages: u32,
}

/// What the log says.
pub(super) struct Log {
    /// By number.
    orders: Vec<Trace>,
    others: HashMap<(Topic, EventKey), Last>,
    /// Messages to people: each is an aggregate of one event, whose key is only the recipient.
    messages: HashSet<u64>,
    /// The largest number of a stored order.
    number_max: u64,
    /// Everything before in this store's log is handled by every consumer.
    handled: Position,
    /// Topics whose events may be on their way all the same.
    lagging: HashSet<Topic>,
    /// The place behind the last event.
    end: Position,
    next_segment: u64,
    damages: u32,
    contiguous: Check,
    sequences: Check,
    ids: Check,
    decodes: Check,
    /// Begun here, ended where the orders are read.
    pub(super) stored: Check,
}

/// Reads the whole logs of all stores. What they say is kept for the comparisons between services.
pub(super) async fn fold(
    rx: &mut Rx,
    files: &[File],
    has_orders: bool,
) -> Result<(Log, Vec<Check>), StoreError> {
    let number_max = if has_orders { number_max(rx).await? } else { OrderNumber::MAX };
    let mut log = Log::new(number_max);
    let mut inbox = Check::new("IB-5", "no consumer stands behind the end of the log");
    let mut parked = Check::new("PK-1", "no event has been parked for more than a day");
    for file in files {
        log.begin(file);
        {
            let fold = RefCell::new(&mut log);
            let read = move |row: &Row<'_>| {
                let (number, events) = (row.count(0)?, row.count(1)?);
                fold.borrow_mut().segment(number, events, row.blob(2).ok());
                Ok(())
            };
            let name = &file.name;
            let select =
                format!("SELECT segment, events, body FROM {name}.outbox ORDER BY segment");
            rx.query(&select, &[], read).await?;
        }
        log.positions_exist(&file.positions, &mut inbox);
    }
    for file in files {
        log.parked(rx, &file.name, &mut parked).await?;
    }
    let take = |check: &mut Check| std::mem::replace(check, Check::new("", ""));
    let mut checks = vec![
        take(&mut log.contiguous),
        take(&mut log.sequences),
        take(&mut log.ids),
        take(&mut log.decodes),
    ];
    checks.extend([inbox, parked]);
    Ok((log, checks))
}

async fn number_max(rx: &mut Rx) -> Result<u64, StoreError> {
    let select = "SELECT COALESCE(MAX(number), 0) FROM orders";
    Ok(rx.query(select, &[], |row| row.count(0)).await?.pop().unwrap_or(0))
}

/// The place of an order's topic among its sequences; `None` for topics of other keys.
pub(super) const fn order_topic(topic: Topic) -> Option<usize> {
    match topic {
        Topic::Order => Some(0),
        Topic::OrderCheck => Some(1),
        Topic::Reservation => Some(2),
        Topic::Payment => Some(3),
        Topic::Stock | Topic::Product | Topic::Customer | Topic::Notification => None,
    }
}

/// The message to people that an event tells of.
const fn message(data: &EventData) -> Option<u64> {
    if let EventData::NotificationSent(sent) = data {
        return Some(sent.notification);
    }
    if let EventData::NotificationFailed(failed) = data {
        return Some(failed.notification);
    }
    None
}

impl Log {
    fn new(number_max: u64) -> Self {
        Self {
            orders: Vec::new(),
            others: HashMap::new(),
            messages: HashSet::new(),
            number_max,
            handled: Position::start_of(1),
            lagging: HashSet::new(),
            end: Position::start_of(1),
            next_segment: 1,
            damages: 0,
            contiguous: Check::new(
                "EV-1",
                "segments of the log are numbered 1 to n, and each has its right checksum",
            ),
            sequences: Check::new(
                "EV-2",
                "the events of an aggregate in a topic are numbered 1 to n, in that order",
            ),
            ids: Check::new("EV-3", "the id of every event is its place in the log: no two alike"),
            decodes: Check::new("EV-4", "every stored event can be read"),
            stored: Check::new("OB-4", "every order that the log tells of is stored"),
        }
    }

    /// Begins to read the log of another store.
    fn begin(&mut self, file: &File) {
        self.handled = file.handled;
        self.lagging.clone_from(&file.lagging);
        self.next_segment = 1;
        self.end = Position::start_of(1);
    }

    fn segment(&mut self, number: u64, count: u64, body: Option<&[u8]>) {
        self.contiguous.saw();
        if number != self.next_segment {
            let expected = self.next_segment;
            self.contiguous.violated(format!("segment {number} follows where {expected} should"));
            self.damages = self.damages.saturating_add(1);
        }
        self.next_segment = number.saturating_add(1);
        self.end = Position::start_of(self.next_segment);
        let events = match body.map(|body| segment::decode(number, body)) {
            Some(Ok(events)) => events,
            Some(Err(error @ DecodeError::Damaged { .. })) => {
                self.contiguous.violated(error.to_string());
                Vec::new()
            }
            Some(Err(error @ (DecodeError::UnknownCode(_) | DecodeError::Malformed { .. }))) => {
                self.decodes.expect(false, || format!("segment {number}: {error}"));
                Vec::new()
            }
            None => {
                self.contiguous.violated(format!("segment {number} has no bytes"));
                Vec::new()
            }
        };
        if events.is_empty() {
            self.damages = self.damages.saturating_add(1);
            return;
        }
        if super::length(&events) != count {
            self.contiguous.violated(format!("segment {number} does not hold {count} events"));
        }
        for (index, event) in (0_u32..).zip(&events) {
            self.event(Position { segment: number, index }, event);
        }
    }

    fn event(&mut self, place: Position, event: &Event) {
        self.decodes.saw();
        self.ids.expect(event.id.position() == place, || format!("{} at {place}", event.id));
        let is_on_its_way = place >= self.handled || self.lagging.contains(&event.topic());
        if is_on_its_way && let Some(id) = event.correlation {
            self.unsettle(id);
        }
        if let Some(message) = message(&event.data) {
            let is_first = self.messages.insert(message) && event.sequence == 1;
            self.sequences.expect(is_first, || format!("message {message} again, at {place}"));
            return;
        }
        let (topic, key) = (event.topic(), event.key());
        let damages = self.damages;
        let last = match (&key, order_topic(topic)) {
            (EventKey::Order(id), Some(column)) => {
                let id = *id;
                let Some(trace) = self.trace_mut(id) else { return };
                trace.note(&event.data);
                &mut trace.said[column]
            }
            (EventKey::Order(_) | EventKey::Text(_), _) => {
                self.others.entry((topic, key.clone())).or_default()
            }
        };
        let before = std::mem::replace(last, Last { sequence: event.sequence, damages });
        let is_next = event.sequence == before.sequence.saturating_add(1);
        // What a damaged segment took away is EV-1, not a gap of its own.
        let may_jump = before.damages < damages && event.sequence > before.sequence;
        self.sequences.expect(is_next || may_jump, || {
            let (name, sequence) = (event.data.kind().name(), event.sequence);
            format!("{name} {key}: {sequence} follows {}, at {place}", before.sequence)
        });
    }

    /// The trace of an order. An order that is not stored is a violation and has none.
    fn trace_mut(&mut self, id: OrderId) -> Option<&mut Trace> {
        let number = id.number().get();
        let index = usize::try_from(number).ok().filter(|_| number <= self.number_max);
        let Some(index) = index else {
            self.stored.expect(false, || format!("{id}: there is no order {number}"));
            return None;
        };
        if index >= self.orders.len() {
            self.orders.resize(index.saturating_add(1), Trace::default());
        }
        let trace = self.orders.get_mut(index)?;
        let known = *trace.id.get_or_insert(id);
        if known != id {
            self.stored.violated(format!("{id} has the number of {known}"));
        }
        Some(trace)
    }

    fn unsettle(&mut self, id: OrderId) {
        let number = id.number().get();
        let Some(index) = usize::try_from(number).ok().filter(|_| number <= self.number_max) else {
            return;
        };
        // What is on its way may be all that the log has said of it so far.
        if index >= self.orders.len() {
            self.orders.resize(index.saturating_add(1), Trace::default());
        }
        if let Some(trace) = self.orders.get_mut(index) {
            trace.unsettled = true;
        }
    }

    fn positions_exist(&self, positions: &[(String, Position)], check: &mut Check) {
        for (consumer, position) in positions {
            check.expect(*position <= self.end, || {
                format!("{consumer} at {position}, the log ends at {}", self.end)
            });
        }
    }

    /// Lists what waits to be handled, and marks its orders.
    async fn parked(
        &mut self,
        rx: &mut Rx,
        name: &str,
        check: &mut Check,
    ) -> Result<(), StoreError> {
        let select = format!(
            "SELECT consumer, segment, place, event_key, parked_at FROM {name}.parked_events \
             ORDER BY segment, place, consumer"
        );
        let read = |row: &Row<'_>| {
            let place = format!("{}.{} of {}", row.int(1)?, row.int(2)?, row.text(0)?);
            Ok((place, row.text(3)?.to_owned(), row.timestamp(4)?))
        };
        let oldest: Timestamp = rx.now().minus(PARKED_MAX);
        for (place, key, since) in rx.query(&select, &[], read).await? {
            check.expect(since >= oldest, || format!("{place}, key {key}, since {since}"));
            if let Ok(id) = key.parse() {
                self.unsettle(id);
            }
        }
        Ok(())
    }

    /// Orders with events on the way.
    pub(super) fn unsettled(&self) -> u64 {
        let count = self.orders.iter().filter(|trace| trace.unsettled).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// The orders that the log tells of, by number.
    pub(super) fn orders(&self) -> impl Iterator<Item = (u64, OrderId)> {
        (0_u64..).zip(&self.orders).filter_map(|(number, trace)| Some((number, trace.id?)))
    }

    /// What the log says of the order `number`.
    pub(super) fn order(&self, number: u64) -> Option<&Trace> {
        let trace = self.orders.get(usize::try_from(number).ok()?)?;
        trace.id.map(|_| trace)
    }

    /// Whether a part of the log is lost, so that what it does not say proves nothing.
    pub(super) const fn is_damaged(&self) -> bool {
        self.damages > 0
    }

    /// Whether the last event of an aggregate has the number `counted`, as far as is known.
    pub(super) fn has_said(&self, trace: Option<&Trace>, topic: Topic, counted: u64) -> bool {
        let last = trace.zip(order_topic(topic)).map(|(trace, column)| trace.said[column]);
        self.agrees(last, counted)
    }

    /// The same for an aggregate that is not an order.
    pub(super) fn has_said_of(&self, topic: Topic, key: &str, counted: u64) -> bool {
        let key = (topic, EventKey::Text(key.into()));
        self.agrees(self.others.get(&key).copied(), counted)
    }

    fn agrees(&self, last: Option<Last>, counted: u64) -> bool {
        let last = last.unwrap_or_default();
        last.sequence == counted || (last.damages < self.damages && last.sequence < counted)
    }
}

impl Trace {
    /// Whether every consumer has handled all that the log says of it.
    pub(super) const fn is_settled(&self) -> bool {
        !self.unsettled
    }

    fn note(&mut self, data: &EventData) {
        if let EventData::PaymentAuthorized(authorized) = data {
            self.due_on_dispatch = authorized.due_on_dispatch;
        }
        self.ended_badly |= matches!(
            data,
            EventData::OrderCancelled(_) | EventData::OrderRejected(_) | EventData::OrderExpired(_)
        );
    }
}

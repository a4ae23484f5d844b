//! The ring: the last ticks, each with its events as the bytes that clients get.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use contracts::Position;
use hashbrown::{HashMap, HashSet};
use smol_str::SmolStr;

use super::groups::Interest;
use super::{Channel, Nature, Told};

/// What an entry takes in memory beside its bytes: itself, its place in the index.
const ENTRY_BYTES: usize = 256;
/// The first tick's number: below it there is room for what is brought back from the log.
const FIRST_NUMBER: u64 = 1 << 40;
/// What a client that stopped reading may keep alive of a shared tick, in bytes.
const CHUNK_BYTES_MAX: usize = 64 * 1_024;

/// One event as it is kept.
#[derive(Debug)]
pub struct Entry {
    /// Of which kind.
    pub channel: Channel,
    /// What clients choose by.
    pub key: SmolStr,
    /// The name of the event.
    pub event: &'static str,
    /// Where in the log it happened.
    pub position: Position,
    /// What is told, in JSON.
    pub json: Bytes,
    /// The same as a server-sent event.
    pub sse: Bytes,
    place: SmolStr,
}

/// The id of a server-sent event at `position`.
pub(crate) fn id(position: Position) -> String {
    format!("{}-{}", position.segment, position.index)
}

impl Entry {
    /// Makes the bytes, once for all clients.
    pub(super) fn new(told: Told) -> Self {
        let Told { channel, key, place, event, position, json } = told;
        let mut head = String::with_capacity(64 + json.len());
        let Position { segment, index } = position;
        // Writing to a string cannot fail.
        write!(head, "event: {event}\nid: {segment}-{index}\ndata: ").unwrap_or_default();
        let (from, to) = (head.len(), head.len() + json.len());
        let mut sse = BytesMut::with_capacity(to + 2);
        sse.extend_from_slice(head.as_bytes());
        sse.extend_from_slice(&json);
        sse.extend_from_slice(b"\n\n");
        let sse = sse.freeze();
        Self { channel, key, event, position, json: sse.slice(from..to), sse, place }
    }

    fn bytes(&self) -> usize {
        self.sse.len() + ENTRY_BYTES
    }
}

/// The events of one channel in one tick.
#[derive(Debug, Default)]
struct Section {
    entries: Vec<Arc<Entry>>,
    by_key: OnceLock<HashMap<SmolStr, Vec<usize>>>,
    chunks: OnceLock<Vec<Bytes>>,
}

impl Section {
    fn by_key(&self) -> &HashMap<SmolStr, Vec<usize>> {
        self.by_key.get_or_init(|| {
            let mut by_key: HashMap<SmolStr, Vec<usize>> = HashMap::new();
            for (index, entry) in self.entries.iter().enumerate() {
                by_key.entry(entry.key.clone()).or_default().push(index);
            }
            by_key
        })
    }

    fn wanted(&self, interest: &Interest) -> Vec<Arc<Entry>> {
        if interest.chosen().is_empty() {
            return self.entries.clone();
        }
        let by_key = self.by_key();
        let found = interest.chosen().iter().filter_map(|key| by_key.get(key)).flatten();
        let mut found: Vec<usize> = found.copied().collect();
        found.sort_unstable();
        found.into_iter().filter_map(|index| self.entries.get(index)).map(Arc::clone).collect()
    }

    /// All of it as server-sent events, in pieces that are not too large to be kept by a client that
    /// stopped reading.
    fn chunks(&self) -> &[Bytes] {
        self.chunks.get_or_init(|| gathered(&self.entries))
    }
}

/// The bytes of `entries` in as few pieces as may be.
pub(super) fn gathered(entries: &[Arc<Entry>]) -> Vec<Bytes> {
    if let [only] = entries {
        return vec![only.sse.clone()];
    }
    let mut chunks = Vec::new();
    let mut chunk = BytesMut::new();
    for entry in entries {
        if !chunk.is_empty() && chunk.len() + entry.sse.len() > CHUNK_BYTES_MAX {
            chunks.push(std::mem::take(&mut chunk).freeze());
        }
        chunk.extend_from_slice(&entry.sse);
    }
    if !chunk.is_empty() {
        chunks.push(chunk.freeze());
    }
    chunks
}

/// What one tick told.
#[derive(Debug)]
pub(super) struct Tick {
    to: Position,
    sections: Box<[Section]>,
    bytes: usize,
}

impl Tick {
    fn section(&self, channel: Channel) -> Option<&Section> {
        self.sections.get(usize::from(channel.0))
    }

    /// Whether anything here is of interest.
    pub(super) fn concerns(&self, interest: &Interest) -> bool {
        let Some(section) = self.section(interest.channel()) else { return false };
        if interest.chosen().is_empty() {
            return !section.entries.is_empty();
        }
        !section.entries.is_empty()
            && interest.chosen().iter().any(|key| section.by_key().contains_key(key))
    }

    pub(super) fn wanted(&self, interest: &Interest) -> Vec<Arc<Entry>> {
        self.section(interest.channel()).map_or_else(Vec::new, |section| section.wanted(interest))
    }

    /// All of a channel, as server-sent events.
    pub(super) fn chunks(&self, channel: Channel) -> &[Bytes] {
        self.section(channel).map_or(&[], Section::chunks)
    }

    pub(super) const fn to(&self) -> Position {
        self.to
    }
}

/// The last ticks.
#[derive(Debug)]
pub(super) struct Ring {
    channels: &'static [Nature],
    bytes_max: usize,
    /// The number of the oldest tick.
    first: u64,
    ticks: VecDeque<Tick>,
    bytes: usize,
    /// Everything behind this position is in the ring, once it is known.
    floor: Option<Position>,
    /// The last position that was heard of.
    head: Option<Position>,
}

impl Ring {
    pub(super) fn new(channels: &'static [Nature], bytes_max: usize) -> Self {
        let ticks = VecDeque::new();
        let first = FIRST_NUMBER;
        Self { channels, bytes_max, first, ticks, bytes: 0, floor: None, head: None }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) const fn head(&self) -> Option<Position> {
        self.head
    }

    /// The number that the next tick gets.
    pub(super) fn next(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.ticks.len()).unwrap_or(0))
    }

    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn get(&self, number: u64) -> Option<&Tick> {
        let index = number.checked_sub(self.first)?;
        self.ticks.get(usize::try_from(index).ok()?)
    }

    /// Adds a tick, if it tells anything, and drops the oldest that there is no room for.
    pub(super) fn push(&mut self, told: Vec<Told>, from: Position, to: Position) -> Option<u64> {
        if self.floor.is_none() {
            self.floor = Some(before(from));
        }
        // What was brought back from the log may have run ahead of what the writer told.
        let to = self.head.map_or(to, |head| head.max(to));
        self.head = Some(to);
        if told.is_empty() {
            return None;
        }
        let tick = self.tick(told, to);
        let number = self.next();
        self.bytes += tick.bytes;
        self.ticks.push_back(tick);
        while self.bytes > self.bytes_max && self.ticks.len() > 1 {
            self.drop_oldest();
        }
        Some(number)
    }

    /// Brings back what was told behind `from`, up to and with `to`, and is older than what is here.
    /// `false` if there is no room, or if it does not fit to what is here.
    pub(super) fn prepend(&mut self, told: Vec<Told>, from: Position, to: Position) -> bool {
        if self.floor.is_some_and(|floor| floor != to) {
            return self.floor.is_some_and(|floor| floor <= from);
        }
        let tick = self.tick(told, to);
        if self.bytes + tick.bytes > self.bytes_max {
            return false;
        }
        self.bytes += tick.bytes;
        self.ticks.push_front(tick);
        self.first = self.first.saturating_sub(1);
        self.floor = Some(from);
        self.head = self.head.max(Some(to));
        true
    }

    fn tick(&self, told: Vec<Told>, to: Position) -> Tick {
        let mut sections: Vec<Section> = self.channels.iter().map(|_| Section::default()).collect();
        let mut bytes = 0;
        let mut entries: Vec<_> = told.into_iter().map(|told| Arc::new(Entry::new(told))).collect();
        // Ids must rise: who goes on behind one has seen all before it.
        entries.sort_by_key(|entry| entry.position);
        for entry in entries {
            if let Some(section) = sections.get_mut(usize::from(entry.channel.0)) {
                bytes += entry.bytes();
                section.entries.push(entry);
            }
        }
        Tick { to, sections: sections.into(), bytes }
    }

    /// Everything behind this position is here, once that is known.
    pub(super) const fn floor(&self) -> Option<Position> {
        self.floor
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.ticks.pop_front() else { return };
        self.first = self.first.saturating_add(1);
        self.bytes = self.bytes.saturating_sub(oldest.bytes);
        self.floor = Some(oldest.to);
    }

    /// Forgets everything up to `to`; every cursor is behind now. Returns the number that wakes.
    pub(super) fn restart(&mut self, to: Position) -> u64 {
        self.first = self.next().saturating_add(1);
        self.ticks.clear();
        self.bytes = 0;
        self.floor = Some(to);
        self.head = Some(to);
        self.first
    }

    /// The tick to go on with for who has seen everything up to `position`; `None` if that is not
    /// known here.
    pub(super) fn behind(&self, position: Position) -> Option<u64> {
        if self.floor.is_none_or(|floor| position < floor)
            || self.head.is_none_or(|head| position > head)
        {
            return None;
        }
        let seen = self.ticks.partition_point(|tick| tick.to <= position);
        Some(self.first.saturating_add(u64::try_from(seen).unwrap_or(0)))
    }

    /// What is wanted of the ticks from `from` up to but not with `to`, the superseded left out where
    /// that is allowed.
    pub(super) fn between(&self, from: u64, to: u64, interest: &Interest) -> Vec<Arc<Entry>> {
        let nature = self.channels.get(usize::from(interest.channel().0));
        let ticks = (from..to).filter_map(|number| self.get(number));
        let mut entries: Vec<_> = ticks.flat_map(|tick| tick.wanted(interest)).collect();
        let is_behind = to.saturating_sub(from) > 1;
        if nature == Some(&Nature::Whole) && is_behind {
            let mut seen = HashSet::new();
            entries.reverse();
            entries.retain(|entry| seen.insert(entry.place.clone()));
            entries.reverse();
        }
        entries
    }
}

/// The position right before `position`: a floor that lets it in.
fn before(position: Position) -> Position {
    if let Some(index) = position.index.checked_sub(1) {
        return Position { index, ..position };
    }
    let segment = position.segment.saturating_sub(1);
    Position { segment, index: Position::INDEX_MAX }
}

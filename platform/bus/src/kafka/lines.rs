//! Lines to the brokers: what a log publishes goes to each partition in the order of the log.
//!
//! Some fifteen records tell of one order, so what is done for each of them counts: the client says of every
//! record that the brokers have it, and that is a number here, not a future.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contracts::{Event, Position, Topic, cloudevents};
use rdkafka::error::KafkaError as Cause;
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, config::FromClientConfigAndContext as _};
use tokio::sync::Notify;

use super::positions::Published;
use super::{KafkaError, Settings, Topics, partition};
use crate::policy::count;

/// The header that names the event before this one, of the same log in the same partition.
pub(crate) const PREVIOUS: &str = "millrace-previous";
/// Bytes of a record: below the broker's limit of 1 MiB, with room for headers.
const RECORD_BYTES_MAX: usize = 900 * 1_024;
/// How long the client waits for more records of a partition: just so long that what a relay hands over at
/// once is one request for each partition, and not one for the first record and another for the rest.
const LINGER_MS: &str = "1";
/// The pause when the client's own queue is full.
const FULL: Duration = Duration::from_millis(5);

/// The producer, and the last event of the log in each partition.
pub(super) struct Lines {
    producer: ThreadedProducer<Answers>,
    answers: Answers,
    topics: Topics,
    last: HashMap<(Topic, i32), Position>,
}

impl Lines {
    pub(super) fn open(
        settings: &Settings,
        topics: Topics,
        last: HashMap<(Topic, i32), Position>,
    ) -> Result<Self, KafkaError> {
        let mut config = settings.client("relay");
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // Never a later record without the earlier one: an error ends the session instead, and
            // nothing is given up while brokers are away.
            .set("enable.gapless.guarantee", "true")
            .set("message.timeout.ms", "0");
        settings.prefer(&mut config, "linger.ms", LINGER_MS);
        let answers = Answers::default();
        let producer = ThreadedProducer::from_config_and_context(&config, answers.clone())
            .map_err(|cause| KafkaError::client("cannot make a producer", cause))?;
        Ok(Self { producer, answers, topics, last })
    }

    /// Publishes `events` and waits until the brokers have them; gives the last one per partition. One
    /// that is too large is left out, loudly, and counted as `refused`: its row stays.
    pub(super) async fn send(
        &mut self,
        events: &[Arc<Event>],
        refused: &AtomicU64,
    ) -> Result<HashMap<(Topic, i32), Published>, KafkaError> {
        let names = Topic::ALL.map(|topic| (topic, self.topics.name(topic)));
        let mut places = Places::default();
        let batch = self.answers.begin();
        let mut sent: i64 = 0;
        for event in events {
            let record = cloudevents::encode(event);
            if record.value.len() > RECORD_BYTES_MAX {
                count(refused, 1);
                tracing::error!(event = %event.id, kind = event.data.kind().name(),
                    bytes = record.value.len(),
                    "an event is too large for its topic; it is left out");
                continue;
            }
            let topic = event.topic();
            let Some((_, name)) = names.iter().find(|(known, _)| *known == topic) else { continue };
            let partition = partition::of(record.key.as_bytes(), self.topics.partitions);
            let position = event.id.position();
            let previous = self.last.insert((topic, partition), position);
            let place = places.enter((topic, partition), position);
            let millis = i64::try_from(event.time.as_millis()).unwrap_or(i64::MAX);
            let next = BaseRecord::with_opaque_to(name, batch.of(place))
                .partition(partition)
                .key(&record.key)
                .payload(&record.value)
                .timestamp(millis)
                .headers(headers(&record, previous));
            self.hand_over(next).await?;
            sent = sent.saturating_add(1);
        }
        let offsets = self.answers.end(batch, sent).await;
        let offsets = offsets.map_err(|cause| KafkaError::client("cannot publish", cause))?;
        Ok(places.published(&offsets))
    }

    /// Hands a record to the client.
    async fn hand_over(
        &self,
        mut next: BaseRecord<'_, String, Vec<u8>, usize>,
    ) -> Result<(), KafkaError> {
        loop {
            next = match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((Cause::MessageProduction(RDKafkaErrorCode::QueueFull), record)) => record,
                Err((cause, _)) => return Err(KafkaError::client("cannot publish", cause)),
            };
            tokio::time::sleep(FULL).await;
        }
    }

    /// Takes note of events that are not published now, but were.
    pub(super) fn pass(&mut self, events: &[Arc<Event>]) {
        for event in events {
            let record = cloudevents::encode(event);
            if record.value.len() <= RECORD_BYTES_MAX {
                let partition = partition::of(record.key.as_bytes(), self.topics.partitions);
                self.last.insert((event.topic(), partition), event.id.position());
            }
        }
    }
}

fn headers(record: &cloudevents::Record, previous: Option<Position>) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len().saturating_add(1));
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: Some(&**value) });
    }
    if let Some(previous) = previous {
        let previous = previous.to_string();
        headers = headers.insert(Header { key: PREVIOUS, value: Some(previous.as_str()) });
    }
    headers
}

/// The partitions that a batch goes to, numbered as they come, and the last event for each.
#[derive(Debug, Default)]
struct Places {
    numbers: HashMap<(Topic, i32), usize>,
    last: Vec<((Topic, i32), Position)>,
}

impl Places {
    /// The number of `place`, to which `position` goes now.
    fn enter(&mut self, place: (Topic, i32), position: Position) -> usize {
        let number = *self.numbers.entry(place).or_insert(self.last.len());
        match self.last.get_mut(number) {
            Some(last) => last.1 = position,
            None => self.last.push((place, position)),
        }
        number
    }

    fn published(self, next_offsets: &[i64]) -> HashMap<(Topic, i32), Published> {
        let last = self.last.into_iter().zip(next_offsets);
        last.map(|((place, position), next_offset)| {
            (place, Published { position, next_offset: *next_offset })
        })
        .collect()
    }
}

/// What the brokers have said of the records of the current batch. Clones are one and the same.
#[derive(Debug, Clone, Default)]
struct Answers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    /// Records answered.
    answered: i64,
    /// Behind the last record of each place, by its number in the batch.
    next_offsets: Vec<i64>,
    failure: Option<Cause>,
    /// How many answers are waited for, once that is known.
    wanted: Option<i64>,
}

/// The number of a batch. Whoever gave up waiting may begin another one while answers are still on their
/// way, and those must not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Batch(u32);

/// A batch and a place share the word that the client keeps for a record.
const PLACE_BITS: u32 = 32;
const _: () = assert!(usize::BITS > PLACE_BITS, "a word holds both");

impl Batch {
    /// What the client keeps for a record of this batch that goes to the place of this number.
    fn of(self, place: usize) -> usize {
        let batch = usize::try_from(self.0).unwrap_or(usize::MAX);
        (batch << PLACE_BITS) | place
    }

    fn read(opaque: usize) -> (Self, usize) {
        let number = opaque >> PLACE_BITS;
        let place = opaque & ((1 << PLACE_BITS) - 1);
        (Self(u32::try_from(number).unwrap_or(u32::MAX)), place)
    }
}

impl Answers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Batch {
        let mut state = self.state();
        let batch = Batch(state.batch.0.wrapping_add(1));
        *state = State { batch, ..State::default() };
        batch
    }

    /// Takes the answer to a record: where it is, or why it is not.
    fn take(&self, opaque: usize, answer: Result<i64, &Cause>) {
        let (batch, place) = Batch::read(opaque);
        let mut state = self.state();
        if state.batch != batch {
            return;
        }
        state.answered = state.answered.saturating_add(1);
        match answer {
            Ok(offset) => {
                if state.next_offsets.len() <= place {
                    state.next_offsets.resize(place.saturating_add(1), 0);
                }
                if let Some(next) = state.next_offsets.get_mut(place) {
                    *next = (*next).max(offset.saturating_add(1));
                }
            }
            Err(cause) => {
                state.failure.get_or_insert_with(|| cause.clone());
            }
        }
        if state.is_done() {
            self.0.changed.notify_one();
        }
    }

    /// Waits until all `sent` records of `batch` are answered; gives the next offset of each place.
    async fn end(&self, batch: Batch, sent: i64) -> Result<Vec<i64>, Cause> {
        loop {
            {
                let mut state = self.state();
                if state.batch != batch {
                    return Err(Cause::Canceled);
                }
                state.wanted = Some(sent);
                if let Some(cause) = state.failure.take() {
                    return Err(cause);
                }
                if state.is_done() {
                    return Ok(std::mem::take(&mut state.next_offsets));
                }
            }
            self.0.changed.notified().await;
        }
    }
}

impl State {
    fn is_done(&self) -> bool {
        self.failure.is_some() || self.wanted == Some(self.answered)
    }
}

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        match result {
            Ok(message) => self.take(opaque, Ok(message.offset())),
            Err((cause, _)) => self.take(opaque, Err(cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: (Topic, i32) = (Topic::Order, 3);

    fn at(segment: u64) -> Position {
        Position { segment, index: 0 }
    }

    #[tokio::test]
    async fn a_batch_ends_with_its_last_answer_and_knows_the_end_of_each_place() {
        let (answers, mut places) = (Answers::default(), Places::default());
        let batch = answers.begin();
        let one = batch.of(places.enter(PLACE, at(1)));
        let other = batch.of(places.enter((Topic::Order, 4), at(2)));
        let again = batch.of(places.enter(PLACE, at(3)));
        assert_eq!(one, again);
        answers.take(one, Ok(10));
        answers.take(other, Ok(70));
        let waiting = tokio::time::timeout(Duration::from_millis(20), answers.end(batch, 3)).await;
        assert!(waiting.is_err(), "one answer is missing");
        answers.take(again, Ok(11));
        let published = places.published(&answers.end(batch, 3).await.unwrap());
        assert_eq!(published.len(), 2);
        assert_eq!(published[&PLACE], Published { position: at(3), next_offset: 12 });
        let other = published[&(Topic::Order, 4)];
        assert_eq!(other, Published { position: at(2), next_offset: 71 });
    }

    #[tokio::test]
    async fn the_last_answer_wakes_whoever_waits() {
        let answers = Answers::default();
        let batch = answers.begin();
        let answering = async {
            for offset in 0..2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                answers.take(batch.of(0), Ok(offset));
            }
        };
        let (ended, ()) = tokio::join!(answers.end(batch, 2), answering);
        assert_eq!(ended, Ok(vec![2]));
    }

    #[tokio::test]
    async fn one_record_that_is_not_taken_fails_its_batch_at_once() {
        let answers = Answers::default();
        let batch = answers.begin();
        answers.take(batch.of(0), Ok(1));
        answers.take(batch.of(0), Err(&Cause::Canceled));
        assert_eq!(answers.end(batch, 9).await, Err(Cause::Canceled));
    }

    #[tokio::test]
    async fn answers_of_a_batch_that_was_given_up_count_for_no_other() {
        let answers = Answers::default();
        let old = answers.begin();
        let new = answers.begin();
        assert_eq!(Batch::read(new.of(5)), (new, 5));
        answers.take(old.of(0), Err(&Cause::Canceled));
        answers.take(old.of(0), Ok(4));
        answers.take(new.of(0), Ok(8));
        assert_eq!(answers.end(old, 1).await, Err(Cause::Canceled));
        assert_eq!(answers.end(new, 1).await, Ok(vec![9]));
    }
}

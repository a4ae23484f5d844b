//! A producer of batches: the client says of every record that the brokers have it, and that is a number
//! here, not a future.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError as Cause;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, config::FromClientConfigAndContext as _};
use tokio::sync::Notify;

use super::KafkaError;

/// The pause when the client's own queue is full.
const FULL: Duration = Duration::from_millis(5);

/// Writes records batch by batch. Each record goes to a place, which is a number below 2³² that the caller
/// chooses; it learns the next offset of every place.
pub(super) struct Producer {
    client: ThreadedProducer<Answers>,
    answers: Answers,
}

/// A batch that is being written. Dropped before its end, its answers count for no other.
pub(super) struct Writing<'p> {
    producer: &'p Producer,
    batch: Batch,
    sent: i64,
    what: &'static str,
}

impl Producer {
    pub(super) fn open(config: &ClientConfig) -> Result<Self, KafkaError> {
        let answers = Answers::default();
        let client = ThreadedProducer::from_config_and_context(config, answers.clone())
            .map_err(|cause| KafkaError::client("cannot make a producer", cause))?;
        Ok(Self { client, answers })
    }

    /// Begins a batch; `what` begins its errors. There is one at a time, which the exclusive borrow says.
    pub(super) fn begin(&mut self, what: &'static str) -> Writing<'_> {
        let batch = self.answers.begin();
        Writing { producer: self, batch, sent: 0, what }
    }
}

impl Writing<'_> {
    /// Hands a record to the client, as soon as it has room; `record` makes it from what the client keeps
    /// for it.
    pub(super) async fn send<'r>(
        &mut self,
        place: usize,
        record: impl FnOnce(usize) -> BaseRecord<'r, str, [u8], usize>,
    ) -> Result<(), KafkaError> {
        let mut next = record(self.batch.of(place));
        loop {
            next = match self.producer.client.send(next) {
                Ok(()) => break,
                Err((Cause::MessageProduction(RDKafkaErrorCode::QueueFull), record)) => record,
                Err((cause, _)) => return Err(KafkaError::client(self.what, cause)),
            };
            tokio::time::sleep(FULL).await;
        }
        self.sent = self.sent.saturating_add(1);
        Ok(())
    }

    /// Waits until the brokers have all of it; gives the next offset of each place.
    pub(super) async fn end(self) -> Result<Vec<i64>, KafkaError> {
        let offsets = self.producer.answers.end(self.batch, self.sent).await;
        offsets.map_err(|cause| KafkaError::client(self.what, cause))
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

    #[tokio::test]
    async fn a_batch_ends_with_its_last_answer_and_knows_the_end_of_each_place() {
        let answers = Answers::default();
        let batch = answers.begin();
        answers.take(batch.of(0), Ok(10));
        answers.take(batch.of(1), Ok(70));
        let waiting = tokio::time::timeout(Duration::from_millis(20), answers.end(batch, 3)).await;
        assert!(waiting.is_err(), "one answer is missing");
        answers.take(batch.of(0), Ok(11));
        assert_eq!(answers.end(batch, 3).await, Ok(vec![12, 71]));
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

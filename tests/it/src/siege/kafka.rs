//! What a stranger with access to the topics can do to them.

use std::time::Duration;

use contracts::{EventKind, Topic};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, Message as _};
use tokio::time::Instant;

use crate::random::Random;
use crate::server::Server;

/// Longer than anything here takes, also after a restart of the broker.
const PATIENCE: Duration = Duration::from_secs(30);
/// A message of this size is no event of anybody.
const LARGE: usize = 300_000;
/// The id of an event of a store that does not exist.
const STRANGER: &str = "01a1fe52-4a9d-7000-8000-000000700004";

/// A topic as the server under siege names it.
fn name(server: &Server, topic: &str) -> String {
    format!("{}{topic}", server.topic_prefix())
}

fn producer(server: &Server, transaction: Option<&str>) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", server.broker().bootstrap());
    config.set("queue.buffering.max.messages", "1000000");
    if let Some(id) = transaction {
        config.set("transactional.id", id).set("transaction.timeout.ms", "60000");
    }
    config.create().expect("a producer can be made")
}

/// Takes a consumer of no group, which reads where it is told to.
fn reader(server: &Server) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", server.broker().bootstrap());
    config.set("group.id", name(server, "stranger")).set("enable.auto.commit", "false");
    config.create().expect("a consumer can be made")
}

fn partitions(reader: &BaseConsumer, topic: &str) -> i32 {
    let metadata = reader.fetch_metadata(Some(topic), PATIENCE).expect("the broker answers");
    let found = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    i32::try_from(found).expect("partitions are few")
}

/// A message that is no event: its value, and its headers.
type Broken = (Vec<u8>, Vec<(&'static str, String)>);

/// What is wrong with messages that come to `topic`: not JSON, no headers, a value that does not fit, an
/// id that is none, nothing at all, too much.
fn broken(topic: &str, random: &mut Random) -> [Broken; 5] {
    let known = Topic::ALL.into_iter().find(|known| known.name() == topic);
    let kind = EventKind::ALL.iter().find(|kind| Some(kind.topic()) == known);
    let kind = kind.map_or("", |kind| kind.name());
    let headers = |id: &str| {
        let fixed = [("ce_specversion", "1.0"), ("content-type", "application/json")];
        let fixed = fixed.map(|(name, value)| (name, value.to_owned())).into_iter();
        let named = [("ce_type", kind.to_owned()), ("ce_id", id.to_owned())];
        fixed.chain(named).collect::<Vec<_>>()
    };
    let mut noise = vec![0; LARGE];
    for byte in &mut noise {
        *byte = u8::try_from(random.below(256)).expect("below 256");
    }
    [
        (b"not json".to_vec(), Vec::new()),
        (b"{\"orderId\":".to_vec(), headers(STRANGER)),
        (b"{\"orderId\":7,\"lines\":\"none\"}".to_vec(), headers(STRANGER)),
        (b"{}".to_vec(), headers("no id")),
        (noise, vec![("__TypeId__", "com.example.Unknown".to_owned())]),
    ]
}

/// Writes broken messages to every partition of `topics`; gives how many.
pub(super) fn poison(server: &Server, topics: &[&str], seed: u64) -> usize {
    let mut random = Random::new(seed);
    let mut sent = 0;
    tokio::task::block_in_place(|| {
        let (producer, reader) = (producer(server, None), reader(server));
        for topic in topics {
            let name = name(server, topic);
            for partition in 0..partitions(&reader, &name) {
                for (value, headers) in broken(topic, &mut random) {
                    let mut all = OwnedHeaders::new();
                    for (key, value) in &headers {
                        all = all.insert(Header { key, value: Some(value) });
                    }
                    let record = BaseRecord::to(&name).partition(partition).headers(all);
                    let record: BaseRecord<'_, str, [u8]> = record.key("stranger").payload(&value);
                    producer.send(record).map_err(|(error, _)| error).expect("there is room");
                    sent += 1;
                }
            }
        }
        producer.flush(PATIENCE).expect("the broker takes them");
    });
    sent
}

/// Writes what the first partition of each topic holds to it once more; gives how many messages.
pub(super) fn duplicate(server: &Server) -> usize {
    let mut sent = 0;
    tokio::task::block_in_place(|| {
        let (producer, reader) = (producer(server, None), reader(server));
        for topic in Topic::ALL {
            let name = name(server, topic.name());
            sent += repeat(&producer, &reader, &name);
        }
        producer.flush(PATIENCE).expect("the broker takes them");
    });
    sent
}

fn repeat(producer: &BaseProducer, reader: &BaseConsumer, topic: &str) -> usize {
    let (low, high) = reader.fetch_watermarks(topic, 0, PATIENCE).expect("the broker answers");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(low)).expect("an offset");
    reader.assign(&list).expect("a partition can be read");
    let deadline = Instant::now() + PATIENCE;
    let (mut next, mut sent) = (low, 0);
    while next < high {
        assert!(Instant::now() < deadline, "{topic}: read up to {next} of {high}");
        let Some(message) = reader.poll(Duration::from_millis(100)) else {
            // The end may be marks of transactions, which are no messages.
            let position = reader.position().expect("it knows where it stands");
            let at = position.find_partition(topic, 0).map(|found| found.offset());
            if let Some(Offset::Offset(at)) = at {
                next = next.max(at);
            }
            continue;
        };
        let message = message.expect("a record can be read");
        next = message.offset() + 1;
        if message.offset() >= high {
            break;
        }
        let mut headers = OwnedHeaders::new();
        for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
            headers = headers.insert(header);
        }
        let record: BaseRecord<'_, [u8], [u8]> =
            BaseRecord::to(topic).partition(0).headers(headers);
        let record = message.key().into_iter().fold(record, BaseRecord::key);
        let record = message.payload().into_iter().fold(record, BaseRecord::payload);
        producer.send(record).map_err(|(error, _)| error).expect("there is room");
        producer.poll(Duration::ZERO);
        sent += 1;
    }
    sent
}

/// Holds one partition of each topic back for `span`: behind the first message of a transaction that has
/// not ended, readers of committed messages see nothing. It is aborted then, and was never there.
pub(super) async fn hold_back(server: &Server, span: Duration) {
    let id = name(server, "hold-back");
    let producer = producer(server, Some(&id));
    tokio::task::block_in_place(|| {
        producer.init_transactions(PATIENCE).expect("the broker knows transactions");
        producer.begin_transaction().expect("a transaction can begin");
        for (topic, partition) in Topic::ALL.into_iter().zip((0..3).cycle()) {
            let name = name(server, topic.name());
            let record: BaseRecord<'_, str, str> = BaseRecord::to(&name).partition(partition);
            let record = record.key("stranger").payload("never there");
            producer.send(record).map_err(|(error, _)| error).expect("there is room");
        }
        producer.flush(PATIENCE).expect("the broker takes them");
    });
    tokio::time::sleep(span).await;
    tokio::task::block_in_place(|| {
        producer.abort_transaction(PATIENCE).expect("the transaction can be aborted");
    });
}

/// How many messages are among the dead letters of `topics`.
pub(super) fn dead_letters(server: &Server) -> usize {
    let reader = reader(server);
    let count = |topic: Topic| {
        let name = name(server, &format!("{}-dlt", topic.name()));
        let (low, high) = reader.fetch_watermarks(&name, 0, PATIENCE).expect("the broker answers");
        usize::try_from(high - low).expect("marks are in order")
    };
    tokio::task::block_in_place(|| Topic::ALL.into_iter().map(count).sum())
}

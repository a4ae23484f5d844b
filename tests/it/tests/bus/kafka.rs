//! What only a real broker can do to the bus.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bus::kafka::{Client, KafkaError, Settings, replay};
use contracts::{Position, Topic};
use it::Broker;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message as _};
use store::{StoreError, log};
use telemetry::Tasks;
use tokio::time::Instant;

use crate::world::{Process, Shape, World};

/// A record as a reader sees it.
#[derive(Debug)]
struct Read {
    key: String,
    value: String,
    headers: Vec<(String, String)>,
}

impl Read {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// Reads the first `count` records of a topic of this world.
fn read(world: &World, topic: &str, count: usize) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &world.settings.bootstrap_servers)
        .set("group.id", format!("{}reader-{topic}", world.settings.topic_prefix))
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&[&format!("{}{topic}", world.settings.topic_prefix)]).unwrap();
    let mut found = Vec::new();
    let deadline = Instant::now() + Duration::from_mins(1);
    while found.len() < count {
        assert!(Instant::now() < deadline, "{topic}: only {found:?}");
        // Nothing is also what it gives when partitions came.
        let Some(message) = consumer.poll(Duration::from_secs(1)) else { continue };
        let message = message.unwrap();
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap()).into_owned();
        let headers = message.headers().into_iter().flat_map(|headers| {
            headers.iter().map(|header| (header.key.to_owned(), text(header.value)))
        });
        found.push(Read {
            key: text(message.key()),
            value: text(message.payload()),
            headers: headers.collect(),
        });
    }
    found
}

async fn write(world: &World, topic: &str, key: &str, value: &str, headers: &[(&str, &str)]) {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &world.settings.bootstrap_servers)
        // More than ours sends: the broker decides.
        .set("message.max.bytes", "2000000")
        .create()
        .unwrap();
    let mut all = OwnedHeaders::new();
    for (key, value) in headers {
        all = all.insert(Header { key, value: Some(*value) });
    }
    let name = format!("{}{topic}", world.settings.topic_prefix);
    let record = FutureRecord::to(&name).key(key).payload(value).partition(0).headers(all);
    producer.send(record, Duration::from_secs(30)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_cloudevents_in_binary_mode() {
    let world = World::open(Shape::Kafka).await;
    world.publish("item1", 1).await;
    let found = tokio::task::block_in_place(|| read(&world, "product", 1));
    let record = &found[0];
    assert_eq!(record.key, "item1");
    assert_eq!(record.value, r#"{"sku":"item1","version":1}"#);
    for (name, value) in [
        ("ce_specversion", "1.0"),
        ("ce_type", "product.retired"),
        ("ce_source", "/millrace/catalog"),
        ("ce_subject", "item1"),
        ("ce_partitionkey", "item1"),
        ("ce_sequence", "1"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(record.header(name), value, "{name}");
    }
    assert!(record.header("ce_time").starts_with("2026-11-21T12:00:00"), "{record:?}");
    assert_eq!(record.header("ce_id").len(), 36);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_sends_everything_twice_has_no_second_effect() {
    let mut world = World::open(Shape::Kafka).await;
    world.listen().await;
    for sequence in 1..=30 {
        world.publish("a", sequence).await;
    }
    world.until_seen("a", 30).await;
    world.reopen().await;
    // As if nothing had ever been recorded as published.
    let forgotten: Result<(), StoreError> = world
        .producer
        .store
        .transact(|tx| {
            Box::pin(async move {
                log::set_position(tx, bus::kafka::positions::RELAY, Position::start_of(1))?;
                tx.execute("DELETE FROM bus_published", &[]).await.map(drop)
            })
        })
        .await;
    forgotten.unwrap();
    world.reopen().await;
    let stats = world.listen().await;
    world
        .until("30 repetitions came", async || stats.duplicates.load(Ordering::Relaxed) >= 30)
        .await;
    world.publish("a", 31).await;
    world.until_seen("a", 31).await;
    assert_eq!(world.seen("a"), (1..=31).collect::<Vec<_>>());
    world.must_have_effects(31).await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_record_goes_to_the_dead_letters_and_its_partition_goes_on() {
    let world = World::open(Shape::Kafka).await;
    let stats = world.listen().await;
    world.publish("a", 1).await;
    world.until_seen("a", 1).await;
    let id = "01a1fe52-4a9d-7000-8000-000000700004";
    write(&world, "product", "a", "not json", &[("ce_type", "product.retired"), ("ce_id", id)])
        .await;
    write(&world, "product", "a", "{}", &[]).await;
    let next = id.replace("0004", "0005");
    write(&world, "product", "a", "{}", &[("ce_type", "product.painted"), ("ce_id", &next)]).await;
    for sequence in 2..=10 {
        for key in ["a", "b", "c", "d"] {
            world.publish(key, sequence).await;
        }
    }
    for key in ["a", "b", "c", "d"] {
        world.until_seen(key, 9).await;
    }
    let letters = tokio::task::block_in_place(|| read(&world, "product-dlt", 2));
    let broken = &letters[0];
    assert_eq!((broken.key.as_str(), broken.value.as_str()), ("a", "not json"));
    assert!(broken.header("millrace-cause").contains("product.retired"), "{broken:?}");
    assert_eq!(broken.header("millrace-consumer"), "recorder");
    assert!(broken.header("millrace-topic").ends_with("product"), "{broken:?}");
    assert_eq!(broken.header("ce_id"), id);
    assert!(letters[1].header("millrace-cause").contains("ce_type"), "{letters:?}");
    assert_eq!(stats.broken.load(Ordering::Relaxed), 2);
    assert_eq!(stats.unknown.load(Ordering::Relaxed), 1);
    assert_eq!(stats.gaps.load(Ordering::Relaxed), 0);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_too_large_to_be_copied_is_cut_and_its_partition_goes_on() {
    // As much as a broker takes by default, which is more than a client sends by default.
    const LENGTH: usize = 1_048_000;
    let world = World::open(Shape::Kafka).await;
    world.listen().await;
    world.publish("a", 1).await;
    world.until_seen("a", 1).await;
    let (value, id) = ("x".repeat(LENGTH), "01a1fe52-4a9d-7000-8000-000000700004");
    let headers = [("ce_type", "product.retired"), ("ce_id", id)];
    write(&world, "product", "a", &value, &headers).await;
    let long = "h".repeat(LENGTH - 10_000);
    write(&world, "product", &"k".repeat(2_000), "", &[("long", &long)]).await;
    for sequence in 2..=10 {
        for key in ["a", "b", "c", "d"] {
            world.publish(key, sequence).await;
        }
    }
    for key in ["a", "b", "c", "d"] {
        world.until_seen(key, 9).await;
    }
    let letters = tokio::task::block_in_place(|| read(&world, "product-dlt", 2));
    let [cut, headless] = letters.as_slice() else { panic!("{}", letters.len()) };
    assert_eq!(cut.header("millrace-cut"), LENGTH.to_string());
    assert!(value.starts_with(&cut.value) && cut.value.len() > 1_000, "{}", cut.value.len());
    assert_eq!((cut.key.as_str(), cut.header("ce_id")), ("a", id));
    assert!(cut.header("millrace-cause").contains("product.retired"));
    assert_eq!((headless.header("long"), headless.header("millrace-cut")), ("", "0"));
    assert!("k".repeat(2_000).starts_with(&headless.key), "{}", headless.key.len());
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_waits_for_a_person_is_copied_to_the_dead_letters() {
    let world = World::open(Shape::Kafka).await;
    world.fail("fail");
    world.listen().await;
    world.publish("fail", 1).await;
    for (attempts, span) in [(1, 1), (2, 10)] {
        world.until_parked(&[("fail", store::parked::ParkedState::Retrying, attempts)]).await;
        world.clock.advance(Duration::from_secs(span));
    }
    let letters = tokio::task::block_in_place(|| read(&world, "product-dlt", 1));
    assert_eq!(letters[0].header("ce_type"), "product.retired");
    assert_eq!(letters[0].header("millrace-cause"), "the store is stopped");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_while_the_broker_is_away_is_published_when_it_is_back() {
    let broker = tokio::task::spawn_blocking(|| Arc::new(Broker::start())).await.unwrap();
    let world = World::open_on(Shape::Kafka, Some(Arc::clone(&broker))).await;
    world.listen().await;
    world.publish("a", 1).await;
    world.until_seen("a", 1).await;
    let away = Arc::clone(&broker);
    tokio::task::spawn_blocking(move || away.kill_9()).await.unwrap();
    for sequence in 2..=100 {
        world.publish("a", sequence).await;
    }
    let back = Arc::clone(&broker);
    tokio::task::spawn_blocking(move || back.resume()).await.unwrap();
    world.until_seen("a", 100).await;
    assert_eq!(world.seen("a"), (1..=100).collect::<Vec<_>>());
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_come_and_go_lose_and_double_nothing() {
    let world = World::open(Shape::Kafka).await;
    let keys: Vec<_> = (0..20).map(|key| format!("key{key}")).collect();
    let store = world.consumers_store().clone();
    let mut sequence = 0;
    // Members on one store, as instances of a service are: they come and go while events flow.
    for _ in 0..4 {
        let member = Process { store: store.clone(), tasks: Tasks::default() };
        let subscription = bus::Subscription {
            consumer: "recorder",
            kinds: &[contracts::EventKind::ProductRetired],
            handler: Arc::<crate::world::Recorder>::clone(&world.recorder),
        };
        let client = world.client(&member.tasks).await;
        let one = bus::kafka::consume(&client, &store, &subscription, &member.tasks).unwrap();
        let two = bus::kafka::consume(&client, &store, &subscription, &member.tasks).unwrap();
        for _ in 0..10 {
            sequence += 1;
            for key in &keys {
                world.publish(key, sequence).await;
            }
        }
        world
            .until("both members have partitions", async || {
                let part = |stats: &bus::ConsumerStats| stats.partitions.load(Ordering::Relaxed);
                part(&one) > 0 && part(&two) > 0
            })
            .await;
        assert!(member.tasks.stop(Duration::from_mins(1)).await);
    }
    world.listen().await;
    for key in &keys {
        world.until_seen(key, usize::try_from(sequence).unwrap()).await;
        // What a member did whose transaction was undone is seen, but is no effect.
        let mut seen = world.seen(key);
        seen.dedup();
        assert_eq!(seen, (1..=sequence).collect::<Vec<_>>(), "{key}");
    }
    world.must_have_effects(i64::try_from(sequence * 20).unwrap()).await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_made_again_from_the_outbox() {
    let mut world = World::open(Shape::Kafka).await;
    for sequence in 1..=40 {
        world.publish("a", sequence).await;
    }
    // Other topics, as after a loss of the cluster.
    world.settings.topic_prefix = format!("again-{}", world.settings.topic_prefix);
    let reader = world.producer.store.reader().clone();
    let published = replay(&world.settings, &reader, 1, Some(Topic::Product)).await.unwrap();
    assert_eq!(published, 40);
    let stats = world.listen().await;
    world.until_seen("a", 40).await;
    // Again, from the middle on: nothing new, and nothing is missing.
    replay(&world.settings, &reader, 20, None).await.unwrap();
    world
        .until("21 repetitions came", async || stats.duplicates.load(Ordering::Relaxed) == 21)
        .await;
    assert_eq!(world.seen("a"), (1..=40).collect::<Vec<_>>());
    assert_eq!(stats.gaps.load(Ordering::Relaxed), 0);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_its_group_has_fenced_joins_it_again() {
    let mut world = World::open(Shape::Kafka).await;
    world.settings.instance = "one".to_owned();
    world.listen().await;
    world.publish("a", 1).await;
    world.until_seen("a", 1).await;
    // A broker that died may take a member for another one of its name: here there is another one.
    let other = ClientConfig::new()
        .set("bootstrap.servers", &world.settings.bootstrap_servers)
        .set("client.id", "other")
        .set("group.id", format!("{}recorder", world.settings.topic_prefix))
        .set("group.instance.id", &world.settings.instance)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .create::<BaseConsumer>();
    let other = other.unwrap();
    other.subscribe(&[&format!("{}product", world.settings.topic_prefix)]).unwrap();
    world
        .until("the other one has the partitions", async || {
            drop(other.poll(Duration::ZERO));
            other.assignment().unwrap().count() == 3
        })
        .await;
    // The group gives each member another id.
    let group = format!("{}recorder", world.settings.topic_prefix);
    let asking: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &world.settings.bootstrap_servers)
        .create()
        .unwrap();
    let members = || {
        let found = asking.fetch_group_list(Some(&group), Duration::from_secs(5)).unwrap();
        let members = found.groups().iter().flat_map(rdkafka::groups::GroupInfo::members);
        members.map(|member| member.id().to_owned()).collect::<Vec<_>>()
    };
    let fenced_by = members();
    assert_eq!(fenced_by.len(), 1, "{fenced_by:?}");
    drop(other);
    world
        .until("the first one is a member again", async || {
            members().iter().any(|member| !fenced_by.contains(member))
        })
        .await;
    world.publish("a", 2).await;
    world.until_seen("a", 2).await;
    assert_eq!(world.seen("a"), [1, 2]);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_with_other_partitions_are_refused_with_the_cure() {
    let world = World::open(Shape::Kafka).await;
    let other = Settings { partitions: 7, ..world.settings.clone() };
    let refused = Client::connect(other, Vec::new(), &Tasks::default()).await.unwrap_err();
    assert!(matches!(refused, KafkaError::Partitions { found: 3, wanted: 7, .. }), "{refused}");
    assert!(refused.to_string().contains("kafka.partitions"), "{refused}");
    world.close().await;
}

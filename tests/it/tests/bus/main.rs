//! The bus keeps its promises on every transport: the same cases on the embedded log and on Kafka.
#![expect(clippy::unwrap_used, reason = "a test")]

mod kafka;
mod world;

use std::time::Duration;

use bus::ATTEMPTS_MAX;
use store::parked::ParkedState::{Parked, Retrying, Waiting};
use world::{Shape, World};

const SHAPES: [Shape; 2] = [Shape::Embedded, Shape::Kafka];

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_handled_once_and_in_order() {
    for shape in SHAPES {
        let world = World::open(shape).await;
        world.listen().await;
        for sequence in 1..=50 {
            for key in ["a", "b", "c"] {
                world.publish(key, sequence).await;
            }
        }
        world.until_seen("a", 50).await;
        for key in ["a", "b", "c"] {
            world.until_seen(key, 50).await;
            assert_eq!(world.seen(key), (1..=50).collect::<Vec<_>>(), "{shape:?} {key}");
        }
        // The effects are there as often as they were recorded.
        world.must_have_effects(150).await;
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_comes_late_reads_what_was_committed_before() {
    for shape in SHAPES {
        let world = World::open(shape).await;
        for sequence in 1..=200 {
            world.publish("a", sequence).await;
        }
        world.listen().await;
        world.publish("a", 201).await;
        world.until_seen("a", 201).await;
        assert_eq!(world.seen("a"), (1..=201).collect::<Vec<_>>(), "{shape:?}");
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_started_again_goes_on_where_it_stood() {
    for shape in SHAPES {
        let mut world = World::open(shape).await;
        world.listen().await;
        for sequence in 1..=20 {
            world.publish("a", sequence).await;
        }
        world.until_seen("a", 20).await;
        world.reopen().await;
        for sequence in 21..=40 {
            world.publish("a", sequence).await;
        }
        world.listen().await;
        world.until_seen("a", 40).await;
        assert_eq!(world.seen("a"), (1..=40).collect::<Vec<_>>(), "{shape:?}");
        world.must_have_effects(40).await;
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_key_waits_while_others_flow_and_goes_on_in_order_when_it_is_mended() {
    for shape in SHAPES {
        for poison in ["fail", "panic"] {
            let world = World::open(shape).await;
            world.fail(poison);
            world.listen().await;
            for sequence in 1..=2 {
                world.publish(poison, sequence).await;
                world.publish("b", sequence).await;
            }
            world.until_seen("b", 2).await;
            world.until_parked(&[(poison, Retrying, 1), (poison, Waiting, 0)]).await;
            assert_eq!(world.seen(poison), [0_u64; 0], "{shape:?}");
            world.mend();
            world.clock.advance(Duration::from_secs(1));
            world.until_seen(poison, 2).await;
            world.until_parked(&[]).await;
            world.publish(poison, 3).await;
            world.until_seen(poison, 3).await;
            assert_eq!(world.seen(poison), [1, 2, 3], "{shape:?} {poison}");
            world.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_attempts_the_key_is_parked_for_a_person() {
    for shape in SHAPES {
        let world = World::open(shape).await;
        world.fail("fail");
        world.listen().await;
        world.publish("fail", 1).await;
        world.until_parked(&[("fail", Retrying, 1)]).await;
        world.clock.advance(Duration::from_secs(1));
        world.until_parked(&[("fail", Retrying, 2)]).await;
        world.clock.advance(Duration::from_secs(10));
        world.until_parked(&[("fail", Parked, ATTEMPTS_MAX)]).await;
        world.publish("fail", 2).await;
        world.until_parked(&[("fail", Parked, ATTEMPTS_MAX), ("fail", Waiting, 0)]).await;
        // Nothing of the failed attempts is left behind.
        world.must_have_effects(0).await;
        assert!(world.seen("fail").is_empty(), "{shape:?}");
        world.close().await;
    }
}

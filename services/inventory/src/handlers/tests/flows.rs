use std::sync::Arc;
use std::time::Duration;

use contracts::events::order::ShortagePolicy;
use proptest::prelude::*;

use super::World;
use super::world::{
    TTL, adjusted, asked_again, authorized, cancelling, expired, fulfilling, placed, placed_as,
    rejected, units, unknown,
};
use crate::domain::{Command, HoldState};
use crate::error::InventoryError;
use crate::handlers;

#[tokio::test]
async fn an_order_goes_from_hold_to_dispatch() {
    let world = World::new(&[("a", 5), ("b", 5)]).await;
    let lines = [("a", 2), ("b", 1), ("a", 1)];
    assert_eq!(world.one(placed(1, &lines)).await, ["reserved 4", "a 2", "b 4"]);
    assert_eq!(world.counts("a").await, (5, 3, 0));
    assert_eq!(world.one(authorized(1)).await, ["allocated 4", "a 2", "b 4"]);
    assert_eq!(world.counts("a").await, (5, 0, 3));
    let first = fulfilling(1, 1, vec![units(1, "a", 2), units(2, "b", 1)]);
    assert_eq!(world.one(first).await, ["consumed 3", "a 2", "b 4"]);
    assert_eq!(world.hold(1).await.unwrap().state, HoldState::Allocated);
    let second = fulfilling(1, 2, vec![units(3, "a", 1)]);
    assert_eq!(world.one(second).await, ["consumed 1", "a 2"]);
    assert_eq!(world.hold(1).await.unwrap().state, HoldState::Consumed);
    assert_eq!(world.counts("a").await, (2, 0, 0));
    world.assert_sound().await;
}

#[tokio::test]
async fn what_was_reserved_is_given_back_once_and_always_answered() {
    let world = World::new(&[("a", 5)]).await;
    for (number, allocated) in [(1, false), (2, true)] {
        world.one(placed(number, &[("a", 5)])).await;
        if allocated {
            world.one(authorized(number)).await;
        }
        let said = world.one(cancelling(number)).await;
        assert_eq!(said, ["released 5 and ended", "a 5", "a back"]);
        assert_eq!(world.one(cancelling(number)).await, ["released 0 and ended"]);
        assert_eq!(world.one(authorized(number)).await, Vec::<String>::new());
    }
    // Nothing was ever held of these.
    assert_eq!(world.one(cancelling(3)).await, ["released 0 and ended"]);
    assert_eq!(world.one(rejected(4)).await, Vec::<String>::new());
    assert_eq!(world.one(expired(5)).await, Vec::<String>::new());
    // An order that ended before its lines were seen gets nothing.
    assert_eq!(world.one(placed(3, &[("a", 1)])).await, ["released 0 and ended"]);
    world.one(placed(6, &[("a", 2)])).await;
    assert_eq!(world.one(rejected(6)).await, ["released 2 and ended", "a 5"]);
    world.assert_sound().await;
}

#[tokio::test]
async fn asked_again_the_answer_is_the_same() {
    let world = World::new(&[("a", 5)]).await;
    assert_eq!(world.one(placed(1, &[("a", 3)])).await, ["reserved 3", "a 2"]);
    assert_eq!(world.one(asked_again(1, &[("a", 3)])).await, ["reserved 3"]);
    assert_eq!(world.one(placed(2, &[("a", 3)])).await, ["rejected Insufficient"]);
    world.one(cancelling(1)).await;
    // What was refused stays refused: the order may have been told already.
    assert_eq!(world.one(asked_again(2, &[("a", 3)])).await, ["rejected Insufficient"]);
    // Asked for the first time by way of the second question.
    assert_eq!(world.one(asked_again(3, &[("x", 1)])).await, ["rejected UnknownSku"]);
    world.assert_sound().await;
}

#[tokio::test]
async fn lines_that_get_smaller_give_back_the_difference() {
    let world = World::new(&[("a", 5)]).await;
    world.one(placed(1, &[("a", 4)])).await;
    let smaller = adjusted(1, units(1, "a", 3), 1);
    assert_eq!(world.one(Arc::clone(&smaller)).await, ["released 1", "a 2"]);
    assert_eq!(world.one(smaller).await, ["released 0"]);
    world.one(authorized(1)).await;
    assert_eq!(world.one(adjusted(1, units(1, "a", 1), 2)).await, ["released 2", "a 4"]);
    assert_eq!(world.counts("a").await, (5, 0, 1));
    world.assert_sound().await;
}

#[tokio::test]
async fn a_due_hold_stops_counting_before_anything_is_decided() {
    let world = World::new(&[("a", 5)]).await;
    world.one(placed(1, &[("a", 5)])).await;
    world.pass(TTL);
    // No sweeper ran: the next order decides it, and gets the units.
    let said = world.one(placed(2, &[("a", 4)])).await;
    assert_eq!(said, ["expired 5", "reserved 4", "a 1", "a back"]);
    assert_eq!(world.one(authorized(1)).await, ["rejected Lost"]);
    world.one(cancelling(2)).await;
    world.assert_sound().await;
}

#[tokio::test]
async fn money_that_comes_while_the_row_still_says_held_wins() {
    let world = World::new(&[("a", 5)]).await;
    world.one(placed(1, &[("a", 5)])).await;
    world.pass(TTL * 2);
    let said = world.hear(&[authorized(1), placed(2, &[("a", 1)])]).await.unwrap();
    assert_eq!(said, ["allocated 5", "rejected Insufficient", "a 0"]);
    world.assert_sound().await;
}

#[tokio::test]
async fn money_that_comes_after_the_deadline_gets_the_units_if_they_are_there() {
    let world = World::new(&[("a", 5)]).await;
    world.one(placed(1, &[("a", 5)])).await;
    world.pass(TTL);
    assert!(!handlers::sweep(&world.store).await.unwrap());
    assert_eq!(world.counts("a").await, (5, 0, 0));
    assert_eq!(world.one(authorized(1)).await, ["allocated 5", "a 0", "a out"]);
    assert_eq!(world.counts("a").await, (5, 0, 5));
    world.assert_sound().await;
}

#[tokio::test]
async fn a_silent_payment_provider_extends_the_hold_once() {
    let world = World::new(&[("a", 5)]).await;
    world.one(placed(1, &[("a", 5)])).await;
    world.pass(Duration::from_mins(10));
    let mut late = (*unknown(1)).clone();
    late.time = late.time.plus(Duration::from_mins(10));
    world.one(late.into()).await;
    world.pass(Duration::from_mins(10));
    handlers::sweep(&world.store).await.unwrap();
    assert_eq!(world.counts("a").await, (5, 5, 0), "twenty minutes: still held");
    world.pass(Duration::from_mins(5));
    handlers::sweep(&world.store).await.unwrap();
    assert_eq!(world.counts("a").await, (5, 0, 0));
    world.assert_sound().await;
}

#[tokio::test]
async fn the_sweeper_ends_what_is_due_in_bounded_batches() {
    let world = World::new(&[("a", 600)]).await;
    let orders: Vec<_> = (1..=300).map(|number| placed(number, &[("a", 1)])).collect();
    world.hear(&orders).await.unwrap();
    world.pass(TTL);
    assert!(handlers::sweep(&world.store).await.unwrap(), "there is more");
    assert_eq!(world.counts("a").await, (600, 300 - 256, 0));
    assert!(!handlers::sweep(&world.store).await.unwrap());
    assert_eq!(world.counts("a").await, (600, 0, 0));
    world.assert_sound().await;
}

#[tokio::test]
async fn a_thousand_orders_for_one_sku_write_one_level() {
    let world = World::new(&[("hot", 900)]).await;
    let orders: Vec<_> = (1..=1_000).map(|number| placed(number, &[("hot", 1)])).collect();
    let before = world.store.stats().rows.load(std::sync::atomic::Ordering::Relaxed);
    let said = world.hear(&orders).await.unwrap();
    // Whoever reads brings what waits for a later COMMIT into its table.
    assert_eq!(world.level("hot").await.row.level.available(), 0);
    let rows = world.store.stats().rows.load(std::sync::atomic::Ordering::Relaxed) - before;
    // A hold per order, an entry per order that got something, one level.
    assert_eq!(rows, 1_000 + 900 + 1);
    assert_eq!(said.iter().filter(|said| *said == "reserved 1").count(), 900);
    assert_eq!(said.iter().filter(|said| *said == "rejected Insufficient").count(), 100);
    assert_eq!(said[1_000..], ["hot 0", "hot out"]);
    world.assert_sound().await;
}

#[tokio::test]
async fn who_waits_is_served_first_come_first_served() {
    let world = World::new(&[("a", 2)]).await;
    let wait = |number, units| placed_as(number, &[("a", units)], ShortagePolicy::Backorder);
    assert_eq!(world.one(wait(1, 4)).await[0], "partially 2 + 2");
    assert_eq!(world.one(wait(2, 3)).await[0], "partially 0 + 3");
    assert_eq!(world.one(wait(3, 1)).await[0], "partially 0 + 1");
    assert_eq!(world.one(authorized(2)).await, ["allocated 0"]);
    // The second goes away and comes no more; its place is void.
    world.change("a", Command::Receive { units: 3 }).await.unwrap();
    let counts = |hold: crate::domain::Hold| {
        let line = &hold.lines[0];
        (line.held, line.allocated, line.backordered)
    };
    assert_eq!(counts(world.hold(1).await.unwrap()), (4, 0, 0));
    assert_eq!(counts(world.hold(2).await.unwrap()), (0, 1, 2));
    assert_eq!(counts(world.hold(3).await.unwrap()), (0, 0, 1));
    assert_eq!(world.one(cancelling(2)).await, ["released 1 and ended", "reserved 1", "a 0"]);
    assert_eq!(counts(world.hold(3).await.unwrap()), (1, 0, 0));
    // Nobody waits any more: what comes is free, and who waits next begins a new queue.
    world.change("a", Command::Receive { units: 1 }).await.unwrap();
    assert_eq!(world.level("a").await.row.level.available(), 1);
    world.one(wait(4, 2)).await;
    world.change("a", Command::Adjust { delta: 1 }).await.unwrap();
    assert_eq!(counts(world.hold(4).await.unwrap()), (2, 0, 0));
    world.assert_sound().await;
}

#[tokio::test]
async fn an_expired_hold_serves_who_waits() {
    let world = World::new(&[("a", 2)]).await;
    world.one(placed(1, &[("a", 2)])).await;
    world.pass(TTL / 2);
    world.one(placed_as(2, &[("a", 2)], ShortagePolicy::Backorder)).await;
    world.pass(TTL / 2);
    handlers::sweep(&world.store).await.unwrap();
    assert_eq!(world.hold(2).await.unwrap().lines[0].held, 2);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_batch_that_fails_anywhere_leaves_nothing_behind() {
    let world = World::new(&[("a", 9), ("b", 2)]).await;
    world.one(placed(1, &[("a", 2)])).await;
    world.one(placed_as(2, &[("b", 5)], ShortagePolicy::Backorder)).await;
    let batch = [
        placed(3, &[("a", 1), ("b", 1)]),
        authorized(1),
        placed_as(4, &[("b", 1)], ShortagePolicy::Backorder),
        authorized(2),
        fulfilling(1, 1, vec![units(1, "a", 1)]),
        cancelling(2),
        cancelling(1),
    ];
    let before = world.state().await;
    let impossible = fulfilling(3, 9, vec![units(1, "a", 99)]);
    for step in 0..=batch.len() {
        let mut failing = batch[..step].to_vec();
        failing.push(Arc::clone(&impossible));
        // The hold of order 3 must be there for the shipment to be refused.
        failing.insert(0, placed(3, &[("a", 1)]));
        assert!(world.hear(&failing).await.is_err(), "step {step}");
        assert_eq!(world.state().await, before, "step {step}");
    }
    world.hear(&batch).await.unwrap();
    world.assert_sound().await;
}

#[tokio::test]
async fn every_event_handled_twice_changes_nothing_the_second_time() {
    let world = World::new(&[("a", 9), ("b", 2)]).await;
    let wait = placed_as(2, &[("b", 5), ("a", 1)], ShortagePolicy::Backorder);
    let history = [
        placed(1, &[("a", 2)]),
        wait,
        placed(3, &[("b", 9)]),
        unknown(1),
        authorized(1),
        adjusted(1, units(1, "a", 1), 1),
        fulfilling(1, 1, vec![units(1, "a", 1)]),
        authorized(2),
        cancelling(2),
        rejected(3),
        expired(2),
    ];
    for event in history {
        world.one(Arc::clone(&event)).await;
        let once = world.state().await;
        world.one(event).await;
        assert_eq!(world.state().await, once);
    }
    world.assert_sound().await;
}

/// What the orders of a random history want and what becomes of them.
fn history() -> impl Strategy<Value = Vec<(u64, u8, i64, bool)>> {
    prop::collection::vec((1..8_u64, 0..6_u8, 1..6_i64, any::<bool>()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// However a history is cut into batches, stock ends the same, and sound.
    #[test]
    fn batches_change_nothing_but_speed(history in history(), cut in 2..12_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let make = |step: &(u64, u8, i64, bool)| {
            let (number, kind, count, waits) = *step;
            let policy = if waits { ShortagePolicy::Backorder } else { ShortagePolicy::Reject };
            match kind {
                0..=2 => placed_as(number, &[("a", count), ("b", 1), ("a", 1)], policy),
                3 => authorized(number),
                4 => cancelling(number),
                _ => adjusted(number, units(1, "a", 1), count),
            }
        };
        let events: Vec<_> = history.iter().map(make).collect();
        let outcome = |size: usize| {
            runtime.block_on(async {
                let world = World::new(&[("a", 12), ("b", 4)]).await;
                for batch in events.chunks(size) {
                    world.hear(batch).await.unwrap();
                }
                world.assert_sound().await;
                (world.counts("a").await, world.counts("b").await)
            })
        };
        prop_assert_eq!(outcome(1), outcome(cut));
    }
}

#[tokio::test]
async fn on_the_bus_the_answer_is_in_the_commit_of_the_question() {
    let world = World::new(&[("a", 5)]).await;
    let inventory = crate::Inventory::try_new(world.store.clone(), crate::Settings::default());
    for subscription in crate::subscriptions(&inventory.unwrap()) {
        bus::embedded::subscribe(&world.store, subscription).await.unwrap();
    }
    let question = placed(1, &[("a", 2)]);
    let asked = world.store.transact(move |tx| {
        Box::pin(async move {
            tx.publish(contracts::Draft::new(1, question.data.clone()));
            Ok::<_, InventoryError>(())
        })
    });
    asked.await.unwrap();
    assert_eq!(world.counts("a").await, (5, 2, 0));
    world.assert_sound().await;
}

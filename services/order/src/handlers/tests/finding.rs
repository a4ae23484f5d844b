//! Finding orders, wherever the trailing index stands.

use std::time::Duration;

use contracts::{OrderId, Timestamp};

use super::world::*;
use crate::Orders;
use crate::domain::Status;
use crate::handlers::Filter;

/// Numbers of all orders that match, page by page.
async fn all(orders: &std::sync::Arc<Orders>, filter: &Filter, limit: usize) -> Vec<u64> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = orders.list(filter.clone(), after, limit).await.unwrap();
        found.extend(page.orders.iter().map(|order| order.placed.number.get()));
        let Some(next) = page.next else { return found };
        after = Some(next);
    }
}

/// Eight orders: customers `even` and `odd`, `item3` on every third, one in each of some states.
async fn filled() -> (World, Vec<OrderId>, Vec<Timestamp>) {
    let mut world = World::new().await;
    let (mut ids, mut times) = (Vec::new(), Vec::new());
    for number in 1..=8 {
        let mut request = request();
        request.customer_id = if number % 2 == 0 { "even".into() } else { "odd".into() };
        request.channel = if number < 5 { "web".into() } else { String::new() };
        if number % 3 == 0 {
            request.lines[0].sku = "item3".into();
        }
        ids.push(world.place(request).await);
        times.push(world.now());
        world.store.clock.advance(Duration::from_millis(10));
    }
    (world, ids, times)
}

fn filters(ids: &[OrderId], times: &[Timestamp]) -> Vec<(Filter, Vec<u64>)> {
    let base = Filter::default;
    let query = |text: &str| Filter { query: text.into(), ..base() };
    let statuses = |statuses: &[Status]| Filter { statuses: statuses.to_vec(), ..base() };
    let (even, item3) = ("even".parse().ok(), "item3".parse().ok());
    let between = Filter { placed_from: Some(times[2]), placed_to: Some(times[5]), ..base() };
    vec![
        (base(), vec![8, 7, 6, 5, 4, 3, 2, 1]),
        (Filter { oldest_first: true, ..base() }, vec![1, 2, 3, 4, 5, 6, 7, 8]),
        (Filter { customer_id: even.clone(), ..base() }, vec![8, 6, 4, 2]),
        (Filter { sku: item3.clone(), ..base() }, vec![6, 3]),
        (Filter { sku: item3, customer_id: even, ..base() }, vec![6]),
        (between, vec![5, 4, 3]),
        (Filter { channel: "web".into(), ..base() }, vec![4, 3, 2, 1]),
        (statuses(&[Status::Confirmed]), vec![2]),
        (statuses(&[Status::Reserved]), vec![3]),
        (statuses(&[Status::Paying]), vec![4]),
        (statuses(&[Status::Cancelling, Status::Confirmed]), vec![5, 2]),
        (statuses(&[Status::Placed]), vec![8, 7, 6, 1]),
        (statuses(&[Status::Expired]), vec![]),
        (Filter { needs_attention: true, ..base() }, vec![]),
        (Filter { overdue: true, ..base() }, vec![]),
        (query("ev"), vec![8, 6, 4, 2]),
        (query("item3"), vec![6, 3]),
        (query("7"), vec![7]),
        (query(&ids[3].to_string()), vec![4]),
        (query(&ids[3].to_string()[..14].to_uppercase()), {
            let prefix = ids[3].to_string()[..14].to_owned();
            let same = ids.iter().zip(1..).filter(|(id, _)| id.to_string().starts_with(&prefix));
            let mut numbers: Vec<u64> = same.map(|(_, number)| number).collect();
            numbers.reverse();
            numbers
        }),
        (query("nobody"), vec![]),
    ]
}

async fn check(orders: &std::sync::Arc<Orders>, ids: &[OrderId], times: &[Timestamp]) {
    for (filter, expected) in filters(ids, times) {
        for limit in [1, 3, 200] {
            assert_eq!(all(orders, &filter, limit).await, expected, "{filter:?} by {limit}");
        }
    }
}

async fn into_states(world: &World, ids: &[OrderId]) {
    world.bring_to(ids[1], Status::Confirmed).await;
    world.bring_to(ids[2], Status::Reserved).await;
    world.bring_to(ids[3], Status::Paying).await;
    world.bring_to(ids[4], Status::Paying).await;
    world.say(declined(ids[4])).await;
}

#[tokio::test]
async fn lists_are_exact_wherever_the_index_stands() {
    let (world, ids, times) = filled().await;
    world.orders.flush_index().await.unwrap();
    into_states(&world, &ids).await;
    // The orders are in the index, where they stand now is in the tail.
    check(&world.orders, &ids, &times).await;
    // After a start the tail is made of the log.
    check(&world.restarted().await.0, &ids, &times).await;
    world.orders.flush_index().await.unwrap();
    check(&world.orders, &ids, &times).await;
    let (restarted, _) = world.restarted().await;
    check(&restarted, &ids, &times).await;
    restarted.flush_index().await.unwrap();
    check(&restarted, &ids, &times).await;
}

#[tokio::test]
async fn lists_are_exact_before_the_first_flush() {
    let (world, ids, times) = filled().await;
    into_states(&world, &ids).await;
    check(&world.orders, &ids, &times).await;
    check(&world.restarted().await.0, &ids, &times).await;
}

#[tokio::test]
async fn a_flush_that_fails_loses_nothing() {
    let (world, ids, times) = filled().await;
    into_states(&world, &ids).await;
    let broken: Result<u64, ::store::StoreError> = world
        .store
        .transact(|tx| Box::pin(tx.execute("DELETE FROM order_index_position", &[])))
        .await;
    assert_eq!(broken.unwrap(), 1);
    world.orders.flush_index().await.unwrap_err();
    check(&world.orders, &ids, &times).await;
}

#[tokio::test]
async fn small_flushes_wait_a_second_and_no_flush_waits_for_long() {
    let (world, _, _) = filled().await;
    assert_eq!(world.orders.flush_index_if_due().await.unwrap(), 0);
    world.store.clock.advance(Duration::from_secs(1));
    assert_eq!(world.orders.flush_index_if_due().await.unwrap(), 8);
    world.store.clock.advance(Duration::from_mins(1));
    assert_eq!(world.orders.flush_index_if_due().await.unwrap(), 0);
}

#[tokio::test]
async fn a_watcher_goes_on_where_it_was_or_learns_that_it_cannot() {
    let mut world = World::new().await;
    let start = world.orders.watch(None).unwrap().seen();
    let id = world.place(request()).await;
    world.bring_to(id, Status::Reserved).await;
    let mut again = world.orders.watch(Some(start)).unwrap();
    let commits = again.next().await.unwrap();
    assert_eq!(commits[0].position, start + 1);
    assert_eq!(commits[0].changes[0].id, id);
    assert!(world.orders.watch(Some(1)).is_err());
    assert!(world.orders.watch(Some(u64::MAX)).is_err());
}

#[tokio::test]
async fn lists_are_exact_while_the_index_is_written() {
    let mut world = World::new().await;
    let orders = std::sync::Arc::clone(&world.orders);
    let stop = std::cell::Cell::new(false);
    let flushing = async {
        let mut flushes = 0;
        while !stop.get() {
            flushes += usize::from(orders.flush_index().await.unwrap() > 0);
            tokio::task::yield_now().await;
        }
        flushes
    };
    let placing = async {
        let customer = Filter { customer_id: "OMS-Cust-001".parse().ok(), ..Filter::default() };
        let reserved = Filter { statuses: vec![Status::Reserved], ..Filter::default() };
        let placed = Filter { statuses: vec![Status::Placed], ..Filter::default() };
        for count in 1..=60_usize {
            let id = world.place(request()).await;
            assert_eq!(all(&world.orders, &customer, 7).await.len(), count);
            assert_eq!(all(&world.orders, &placed, 200).await.len(), 1);
            world.bring_to(id, Status::Reserved).await;
            assert_eq!(all(&world.orders, &reserved, 200).await.len(), count);
            assert_eq!(all(&world.orders, &placed, 200).await.len(), 0);
        }
        stop.set(true);
    };
    let (flushes, ()) = tokio::join!(flushing, placing);
    assert!(flushes > 3, "{flushes}");
}

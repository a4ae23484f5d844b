//! What is left after a start, and what the auditor finds.

use std::sync::Arc;

use contracts::{Currency, Money};
use contracts_grpc::v1;

use super::world::*;
use crate::domain::{Order, Status};
use crate::handlers::Filter;

fn keyed(key: &str) -> v1::PlaceOrderRequest {
    v1::PlaceOrderRequest { idempotency_key: key.to_owned(), ..request() }
}

#[tokio::test]
async fn a_key_is_known_after_a_start() {
    let mut world = World::new().await;
    let first = world.place(keyed("before the flush")).await;
    world.orders.flush_index().await.unwrap();
    let second = world.place(keyed("behind the flush")).await;
    let (orders, mut api) = world.restarted().await;
    for filter in [false, true] {
        if filter {
            orders.build_key_filter().await.unwrap();
        }
        for (key, id) in [("before the flush", first), ("behind the flush", second)] {
            let again = api.place_order(keyed(key)).await.unwrap().into_inner();
            assert!(again.replayed, "{key}");
            assert_eq!(again.order.unwrap().order_id, id.to_string());
        }
    }
    assert!(!api.place_order(keyed("new")).await.unwrap().into_inner().replayed);
    world.audit().await;
}

#[tokio::test]
async fn the_position_of_the_index_never_falls() {
    let mut world = World::new().await;
    world.place(request()).await;
    world.orders.flush_index().await.unwrap();
    let position = async || {
        let read = world.store.read(|rx| Box::pin(crate::store::index::position(rx))).await;
        read.unwrap()
    };
    let before = position().await;
    assert!(before > 0);
    let (orders, _) = world.restarted().await;
    assert_eq!(orders.flush_index().await.unwrap(), 0);
    let id: contracts::OrderId =
        world.orders.list(Filter::default(), None, 1).await.unwrap().orders[0].placed.id;
    // Noted, but no change of where the order stands.
    world.say(validated(id)).await;
    world.orders.flush_index().await.unwrap();
    assert_eq!(position().await, before);
    let (orders, mut api) = world.restarted().await;
    api.place_order(request()).await.unwrap();
    orders.flush_index().await.unwrap();
    assert!(position().await > before);
}

#[tokio::test]
async fn one_order_that_cannot_move_does_not_stop_the_others() {
    let mut world = World::new().await;
    let (damaged, other) = (world.place(request()).await, world.place(request()).await);
    let (orders, _) = world.restarted().await;
    let number = damaged.number();
    let sql = "UPDATE orders SET doc = X'01' WHERE number = $1";
    let done: Result<u64, ::store::StoreError> = world
        .store
        .transact(move |tx| {
            Box::pin(async move {
                // What is cached would hide the damage: it is in memory alone, the row is as it was.
                tx.load::<Order>(&[number]).await?;
                let mut order = tx.get::<Order>(&number).unwrap().clone();
                order.balances[0].held = -1;
                order.version += 1;
                tx.put(order);
                tx.execute(sql, &[number.into()]).await
            })
        })
        .await;
    assert_eq!(done.unwrap(), 1);
    world.store.clock.advance(std::time::Duration::from_secs(30));
    assert_eq!(orders.pass_deadlines().await.unwrap(), 1);
    orders.pass_deadlines().await.unwrap_err();
    assert_eq!(world.order(other).await.history.entries.len(), 2);
}

#[tokio::test]
async fn orders_are_counted_after_a_start() {
    let mut world = World::new().await;
    for status in [Status::Placed, Status::Confirmed, Status::Confirmed] {
        let id = world.place(request()).await;
        world.bring_to(id, status).await;
    }
    let (orders, _) = world.restarted().await;
    assert!(orders.summary().await.unwrap().counting);
    while orders.count_more().await.unwrap() {}
    let summary = orders.summary().await.unwrap();
    let of = |status| summary.by_status.iter().find(|one| one.0 == status).unwrap().1;
    assert_eq!((of(Status::Placed), of(Status::Confirmed), summary.counting), (1, 2, false));
}

#[tokio::test]
async fn the_auditor_names_what_is_broken() {
    let planted = [
        ("OR-1", "UPDATE orders SET status = 7 WHERE number = 1"),
        ("OR-1", "UPDATE orders SET attention = 1 WHERE number = 1"),
        ("OR-1", "UPDATE orders SET doc = X'01' WHERE number = 1"),
        ("OR-1", "UPDATE orders SET id = X'01' WHERE number = 1"),
        ("OR-3", "UPDATE orders SET total_minor = 1 WHERE number = 1"),
        ("OR-1", "UPDATE orders SET look_at = deadline + 1 WHERE number = 1"),
        ("OR-1", "UPDATE orders SET look_at = NULL WHERE number = 1"),
        ("OR-8", "UPDATE orders SET deadline = 1, look_at = 1 WHERE number = 1"),
        ("OR-8", "UPDATE orders SET deadline = NULL, look_at = NULL WHERE number = 1"),
        ("OR-10", "UPDATE orders SET request_key = 'b' WHERE number = 1"),
    ];
    for (id, sql) in planted {
        let mut world = World::new().await;
        let first = world.place(keyed("a")).await;
        world.place(keyed("b")).await;
        world.bring_to(first, Status::Confirmed).await;
        world.audit().await;
        let done: Result<u64, ::store::StoreError> =
            world.store.transact(move |tx| Box::pin(tx.execute(sql, &[]))).await;
        assert_eq!(done.unwrap(), 1);
        let checks = world.store.read(|rx| Box::pin(crate::audit::audit(rx))).await.unwrap();
        let broken: Vec<_> = checks.iter().filter(|check| check.violations > 0).collect();
        assert_eq!(broken.iter().map(|check| check.id).collect::<Vec<_>>(), [id], "{sql}");
        assert_eq!(broken[0].violators.len(), 1);
    }
}

/// Breaks a rule.
type Spoil = fn(&mut Order);

#[tokio::test]
async fn the_auditor_reads_documents_too() {
    let planted: [(&str, Spoil); 3] = [
        ("OR-2", |order| drop(order.history.entries.drain(1..4))),
        ("OR-4", |order| {
            let line = &mut Arc::make_mut(&mut order.placed).lines[0];
            line.unit_price = Money::new(-1, Currency::USD);
        }),
        ("OR-LINES", |order| order.balances[0].allocated -= 1),
    ];
    for (id, spoil) in planted {
        let mut world = World::new().await;
        let first = world.place(request()).await;
        world.bring_to(first, Status::Confirmed).await;
        let done: Result<(), ::store::StoreError> = world
            .store
            .transact(move |tx| {
                Box::pin(async move {
                    tx.load::<Order>(&[first.number()]).await?;
                    let mut order = tx.get::<Order>(&first.number()).unwrap().clone();
                    spoil(&mut order);
                    order.version += 1;
                    tx.put(order);
                    Ok(())
                })
            })
            .await;
        done.unwrap();
        let checks = world.store.read(|rx| Box::pin(crate::audit::audit(rx))).await.unwrap();
        let broken: Vec<_> = checks.iter().filter(|check| check.violations > 0).collect();
        assert_eq!(broken.iter().map(|check| check.id).collect::<Vec<_>>(), [id]);
    }
}

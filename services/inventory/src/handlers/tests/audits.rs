//! For every predicate one row is forged; the auditor must name it under that predicate.

use contracts::events::order::ShortagePolicy;

use super::World;
use super::world::{TTL, authorized, fulfilling, placed, placed_as, units};
use crate::error::InventoryError;

async fn world() -> World {
    let world = World::new(&[("a", 9), ("b", 1)]).await;
    world.one(placed(1, &[("a", 2)])).await;
    world.one(placed(2, &[("a", 2)])).await;
    world.one(authorized(1)).await;
    world.one(placed_as(3, &[("b", 2)], ShortagePolicy::Backorder)).await;
    world.one(fulfilling(1, 1, vec![units(1, "a", 1)])).await;
    world.assert_sound().await;
    world
}

async fn violated(world: &World) -> Vec<&'static str> {
    let checks = world.audit().await;
    checks.iter().filter(|check| check.violations > 0).map(|check| check.id).collect()
}

/// The entries so far: 1 received a, 2 received b, 3 and 4 held a, 5 allocated, 6 held b, 7 consumed.
#[tokio::test]
async fn every_predicate_sees_what_breaks_it() {
    let copy = "INSERT INTO stock_journal SELECT 8, level, sequence + 1, kind, d_on_hand, d_held, \
                d_allocated, d_quarantined, on_hand, held, allocated, quarantined, order_number, \
                step, document, actor, reason, at, position, hop_64, hop_4096, hash, lot_id \
                FROM stock_journal WHERE position = ";
    let planted = [
        ("ST-1", "UPDATE stock_levels SET held = held + 9 WHERE id = 1".to_owned()),
        ("ST-2", "UPDATE stock_levels SET held = held - 1 WHERE id = 1".to_owned()),
        ("ST-3", "UPDATE stock_levels SET on_hand = on_hand + 1 WHERE id = 1".to_owned()),
        ("ST-4", format!("{copy} 7")),
        ("ST-5", "UPDATE stock_journal SET sequence = 9 WHERE position = 4".to_owned()),
        ("ST-5", "UPDATE stock_levels SET entries = 9 WHERE id = 1".to_owned()),
        ("ST-6", "UPDATE stock_journal SET held = 1 WHERE position = 3".to_owned()),
        ("ST-7", "UPDATE stock_journal SET kind = 2 WHERE position = 5".to_owned()),
        ("ST-9", format!("{copy} 4")),
        ("ST-10", "UPDATE stock_levels SET backordered = 1 WHERE id = 1".to_owned()),
        ("RS-2", "UPDATE stock_journal SET order_number = 1 WHERE position = 4".to_owned()),
        ("RS-4", "UPDATE stock_holds SET state = 4, deadline = NULL WHERE number = 2".to_owned()),
        ("MN-5", "UPDATE stock_journal SET reason = 'x' WHERE position = 4".to_owned()),
        ("MN-5", "UPDATE stock_journal SET previous = 1 WHERE position = 4".to_owned()),
        ("MN-5", "UPDATE stock_journal SET at = at + 1 WHERE position = 7".to_owned()),
    ];
    for (id, sql) in planted {
        let world = world().await;
        let text = sql.clone();
        let forged = world.store.transact(move |tx| {
            Box::pin(async move {
                tx.execute("PRAGMA ignore_check_constraints = 1", &[]).await?;
                Ok::<_, InventoryError>(tx.execute(&text, &[]).await?)
            })
        });
        assert_eq!(forged.await.unwrap(), 1, "{sql}");
        let violated = violated(&world).await;
        assert!(violated.contains(&id), "{sql}: {violated:?}");
    }
}

#[tokio::test]
async fn a_hold_that_nobody_ends_is_seen() {
    let world = world().await;
    world.pass(TTL + std::time::Duration::from_secs(61));
    assert_eq!(violated(&world).await, ["RS-3"]);
}

#[tokio::test]
async fn the_schema_refuses_what_the_domain_would_never_decide() {
    let world = world().await;
    for (sql, rule) in [
        ("UPDATE stock_levels SET held = held + 9", "stock_levels_never_oversold"),
        ("UPDATE stock_levels SET held = -1", "stock_levels_held"),
        ("UPDATE stock_levels SET on_hand = 0", "stock_levels_never_oversold"),
        ("UPDATE stock_holds SET deadline = NULL", "stock_holds_deadline"),
    ] {
        let refused = world.store.transact(move |tx| {
            Box::pin(async move { Ok::<_, InventoryError>(tx.execute(sql, &[]).await?) })
        });
        let refused = refused.await.unwrap_err().to_string();
        assert!(refused.contains(rule), "{sql}: {refused}");
    }
    world.assert_sound().await;
}

//! Stock by hand: received, adjusted, counted; and why it is what it is.

use it::{Server, lines, text};
use serde_json::json;

#[tokio::test]
async fn received_adjusted_and_counted_units_are_in_the_journal_with_their_reasons() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 0).await;
    let note = json!({"quantity": 100, "document": "delivery note 4711"});
    let received = server.post("/api/v1/stock/lamp/receive", &note).send().await.is(200);
    assert_eq!(received["level"]["onHand"], 100);
    assert_eq!(received["entry"]["cause"]["id"], "delivery note 4711");
    let broken = json!({"delta": -3, "reason": "broken in storage"});
    server.post("/api/v1/stock/lamp/adjust", &broken).send().await.is(200);
    let count = json!({"expected": 97, "new": 95, "reason": "counted"});
    server.post("/api/v1/stock/lamp/set", &count).send().await.is(200);
    server.post("/api/v1/stock/lamp/set", &count).send().await.refuses(409, "expectation-failed");

    let (kinds, entries) = shop.journal("lamp").await;
    assert_eq!(kinds, ["receive", "adjust", "count"]);
    assert_eq!(entries[1]["reason"], "broken in storage");
    assert_eq!(entries[2]["deltas"]["onHand"], -2);
    assert_eq!(entries[2]["balances"]["onHand"], 95);
    let mut hashes: Vec<_> = entries.iter().map(|entry| text(entry, "hash")).collect();
    assert!(hashes.iter().all(|hash| hash.len() >= 32), "{hashes:?}");
    hashes.dedup();
    assert_eq!(hashes.len(), 3, "each hash is another");
    server.finish();
}

#[tokio::test]
async fn promised_units_cannot_be_taken_away() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    shop.settled(&lines(&[("lamp", 6)])).await;
    let too_many = json!({"delta": -5, "reason": "lost"});
    let refused = server.post("/api/v1/stock/lamp/adjust", &too_many).send().await;
    assert!(matches!(refused.status, 409 | 422), "{}", refused.text());
    let below = json!({"expected": 10, "new": 5, "reason": "lost"});
    let refused = server.post("/api/v1/stock/lamp/set", &below).send().await;
    assert!(matches!(refused.status, 409 | 422), "{}", refused.text());
    let enough = json!({"delta": -4, "reason": "lost"});
    server.post("/api/v1/stock/lamp/adjust", &enough).send().await.is(200);
    assert_eq!(shop.stock("lamp").await, [6, 0, 6, 0]);
    server.finish();
}

#[tokio::test]
async fn the_stock_of_any_moment_can_be_told_from_the_journal() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 0).await;
    for units in [5, 7, 11] {
        shop.receive("lamp", units).await;
    }
    let id = text(&shop.settled(&lines(&[("lamp", 4)])).await, "orderId");
    let (_, entries) = shop.journal("lamp").await;
    let mut on_hand = 0;
    for entry in &entries {
        on_hand += it::number(&entry["deltas"], "onHand");
        let path = format!("/api/v1/stock/lamp?as_of={}", text(entry, "at"));
        let then = server.get(&path).send().await.is(200);
        // Hold and allocation may share an instant, and all that happened in it counts.
        assert_eq!(then["total"]["onHand"], on_hand, "{then}");
    }
    let last = entries.last().expect("there are entries");
    assert_eq!(last["cause"], json!({"kind": "order", "id": id}));
    assert_eq!(last["balances"]["allocated"], 4);
    let long_ago = server.get("/api/v1/stock/lamp?as_of=2001-01-01T00:00:00Z").send().await;
    assert_eq!(long_ago.is(200)["total"]["onHand"], 0);
    server.finish();
}

#[tokio::test]
async fn what_is_low_or_out_can_be_listed() {
    let server = Server::start_with(it::Options::default()).await;
    let shop = server.shop();
    shop.customer("OMS-Cust-001", "").await;
    for (sku, units) in [("few", 3), ("many", 50), ("none", 1)] {
        shop.product(sku, "5.00", units).await;
        let settings = json!({"safety": 0, "lowThreshold": 5});
        let path = format!("/api/v1/stock/{sku}/settings");
        server.put(&path, &settings).header("if-match", "*").send().await.is(200);
    }
    shop.settled(&lines(&[("none", 1)])).await;
    let listed = async |filter: &str| {
        let levels = shop.all(&format!("/api/v1/stock?filter={filter}")).await;
        levels.iter().map(|level| text(level, "sku")).collect::<Vec<_>>()
    };
    assert_eq!(listed("low").await, ["few", "none"]);
    assert_eq!(listed("out").await, ["none"]);
    server.finish();
}

//! Edits name the version they edit, and readers are spared what they have already seen.

use std::time::Duration;

use it::{Server, is_distributed, lines, text};
use serde_json::{Value, json};
use tokio::time::Instant;

fn change(price: &str) -> Value {
    json!({"name": "Lamp", "price": {"amount": price, "currency": "USD"}})
}

#[tokio::test]
async fn an_edit_of_a_product_must_name_the_version_that_it_edits() {
    let server = Server::start().await;
    server.shop().product("lamp", "10.00", 0).await;
    let path = "/api/v1/products/lamp";
    let seen = server.get(path).send().await;
    let tag = seen.header("etag").to_owned();
    assert_eq!(tag, format!("\"{}\"", seen.json()["version"]));

    server.put(path, &change("11.00")).send().await.refuses(428, "precondition-required");
    let edited = server.put(path, &change("11.00")).header("if-match", &tag).send().await;
    assert_eq!(edited.is(200)["price"]["amount"], "11.00");
    assert_ne!(edited.header("etag"), tag);
    let stale = server.put(path, &change("12.00")).header("if-match", &tag).send().await;
    let problem = stale.refuses(412, "stale-version");
    assert_eq!(problem["currentVersion"], edited.json()["version"], "{problem}");
    assert_eq!(server.get(path).send().await.is(200)["price"]["amount"], "11.00");
    for bad in ["7", "W/\"1\"", "\"1\", \"2\""] {
        let refused = server.put(path, &change("12.00")).header("if-match", bad).send().await;
        refused.refuses(400, "malformed-request");
    }
    server.finish();
}

#[tokio::test]
async fn of_many_edits_of_one_version_one_wins() {
    let server = Server::start().await;
    server.shop().product("lamp", "10.00", 0).await;
    let path = "/api/v1/products/lamp";
    let tag = server.get(path).send().await.header("etag").to_owned();
    let edits = (1..=30).map(|cents| {
        let change = change(&format!("10.{cents:02}"));
        server.put(path, &change).header("if-match", &tag).send()
    });
    let answers = futures::future::join_all(edits).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    let lost = answers.iter().filter(|answer| answer.status == 412).count();
    assert_eq!((won, lost), (1, 29));
    server.finish();
}

#[tokio::test]
async fn an_edit_of_a_customer_must_name_the_version_that_it_edits() {
    let server = Server::start().await;
    server.shop().customer("ada", "100.00").await;
    let path = "/api/v1/customers/ada";
    let tag = server.get(path).send().await.header("etag").to_owned();
    let name = json!({"name": "Ada King"});
    server.put(path, &name).send().await.refuses(428, "precondition-required");
    let edited = server.put(path, &name).header("if-match", &tag).send().await.is(200);
    assert_eq!((&edited["name"], &edited["creditLimit"]), (&json!("Ada King"), &Value::Null));
    let stale = server.put(path, &name).header("if-match", &tag).send().await;
    assert_eq!(stale.refuses(412, "stale-version")["currentVersion"], edited["version"]);
    server.finish();
}

#[tokio::test]
async fn stock_settings_change_under_the_version_of_the_level() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let path = "/api/v1/stock/lamp/settings";
    let safety = json!({"safety": 4, "lowThreshold": 2});
    server.put(path, &safety).send().await.refuses(428, "precondition-required");
    let tag = server.get("/api/v1/stock/lamp").send().await.header("etag").to_owned();
    let level = server.put(path, &safety).header("if-match", &tag).send().await.is(200);
    assert_eq!((&level["safety"], &level["available"]), (&json!(4), &json!(6)));
    server.put(path, &safety).header("if-match", &tag).send().await.refuses(412, "stale-version");
    let order = shop.settled(&lines(&[("lamp", 7)])).await;
    assert_eq!(order["status"], "rejected", "the safety stock is never promised");
    server.finish();
}

#[tokio::test]
async fn who_has_seen_a_version_is_told_that_nothing_has_changed() {
    let server = Server::start().await;
    let shop = server.shop();
    let order = shop.settled(&lines(&[("item1", 1)])).await;
    let order = format!("/api/v1/orders/{}", text(&order, "orderId"));
    let paths = [
        order.as_str(),
        "/api/v1/products/item1",
        "/api/v1/customers/OMS-Cust-001",
        "/api/v1/stock/item1",
    ];
    for path in paths {
        let tag = server.get(path).send().await.header("etag").to_owned();
        assert!(tag.starts_with('"'), "{path} has the ETag `{tag}`");
        let seen = server.get(path).header("if-none-match", &tag).send().await;
        assert_eq!((seen.status, seen.body.len()), (304, 0), "{path}");
        let other = server.get(path).header("if-none-match", "\"4711\"").send().await;
        assert_eq!(other.status, 200, "{path}");
    }
    server.finish();
}

#[tokio::test]
async fn a_product_is_made_once_and_a_retired_one_cannot_be_ordered() {
    let server = Server::start().await;
    let shop = server.shop();
    let made = shop.product("lamp", "10.00", 5_000).await;
    assert_eq!((&made["status"], &made["version"]), (&json!("active"), &json!(1)));
    let twice = json!({"sku": "lamp", "name": "x", "price": {"amount": "1", "currency": "USD"}});
    server.post("/api/v1/products", &twice).send().await.refuses(409, "already-exists");
    let open = text(&shop.settled(&lines(&[("lamp", 1)])).await, "orderId");
    let retire = server.post("/api/v1/products/lamp/retire", &json!({})).header("if-match", "*");
    assert_eq!(retire.send().await.is(200)["status"], "retired");
    let deadline = Instant::now() + Duration::from_secs(30);
    let refused = loop {
        let answer = shop.place(&lines(&[("lamp", 1)])).await;
        // In another process the catalog is heard a moment later.
        if answer.status == 422 || !is_distributed() {
            break answer.refuses(422, "invalid-request");
        }
        assert!(Instant::now() < deadline, "{}", answer.text());
    };
    assert_eq!(refused["errors"][0]["pointer"], "/lines/0/sku", "{refused}");
    shop.ask(&open, "shipments", &json!({})).await.is(201);
    shop.order_in(&open, "completed").await;
    assert_eq!(shop.all("/api/v1/products?status=retired").await.len(), 1);
    server.finish();
}

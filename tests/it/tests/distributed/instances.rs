//! Several instances of a service on one schema: they share the work, come and go, and nothing is lost
//! or doubled.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use it::database::{Database, Kind};
use it::{Options, Server, Shop, lines, text};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// The services whose schema is shared.
const TWINS: &[&str] = &["catalog", "customer", "inventory", "payment", "order", "notification"];
const PATIENCE: Duration = Duration::from_mins(1);
/// Those who order at the same time.
const BUYERS: usize = 6;
const UNITS: i64 = 100_000;

async fn database(kind: Kind) -> Arc<Database> {
    let shared = tokio::task::spawn_blocking(move || Database::shared(kind)).await;
    shared.expect("the database starts")
}

async fn with_twins(kind: Kind) -> Server {
    let options = Options::demo().distributed().on_database(database(kind).await);
    let with_second = |options: Options, service: &&'static str| options.with_second(service);
    Server::start_with(TWINS.iter().fold(options, with_second)).await
}

/// Orders one after the other, each once, until it is told to end; gives the ids.
async fn buy(shop: Shop, buyer: usize, ends: Arc<AtomicBool>) -> Vec<String> {
    let mut accepted = Vec::new();
    while !ends.load(Ordering::Acquire) {
        let key = format!("buyer-{buyer}-{}", accepted.len());
        accepted.push(shop.placed_once(&key, &lines(&[("lamp", 1)])).await);
    }
    accepted
}

async fn instances_come_and_go(kind: Kind) {
    let mut server = with_twins(kind).await;
    server.shop().product("lamp", "5.00", UNITS).await;
    let ends = Arc::new(AtomicBool::new(false));
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        buyers.spawn(buy(server.shop(), buyer, Arc::clone(&ends)));
    }
    for (turn, service) in TWINS.iter().enumerate() {
        let second = format!("{service}-2");
        server.revive(&second).await;
        sleep(Duration::from_secs(2)).await;
        // Half of them without a word.
        if turn % 2 == 0 {
            server.kill(&second);
        } else {
            server.leave(&second, PATIENCE).await;
        }
    }
    // And the first instance leaves while the second stays.
    server.revive("order-2").await;
    server.kill("order");
    sleep(Duration::from_secs(1)).await;
    server.revive("order").await;
    ends.store(true, Ordering::Release);
    let accepted: Vec<_> = buyers.join_all().await.concat();
    assert!(accepted.len() > BUYERS, "{} orders", accepted.len());
    let distinct: BTreeSet<_> = accepted.iter().collect();
    assert_eq!(distinct.len(), accepted.len(), "two keys got one order");
    let shop = server.shop();
    for id in &accepted {
        shop.order_in(id, "confirmed").await;
    }
    let orders = i64::try_from(accepted.len()).expect("a number of orders");
    shop.stock_is("lamp", [UNITS, 0, orders, UNITS - orders]).await;
    server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_come_and_go_on_postgres_while_orders_are_on_their_way() {
    instances_come_and_go(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_are_as_one() {
    let mut server = with_twins(Kind::Postgres).await;
    for service in TWINS {
        server.revive(&format!("{service}-2")).await;
    }
    let shop = server.shop();
    shop.product("lamp", "5.00", UNITS).await;
    // One key is one order, whichever instances are asked, also all at once.
    let mut same = JoinSet::new();
    for _ in 0..8 {
        let call = server.post("/api/v1/orders", &lines(&[("lamp", 2)])).key("the-same").wait();
        same.spawn(call.send());
    }
    let answers = same.join_all().await;
    let ids: BTreeSet<_> = answers.iter().map(|answer| text(&answer.json(), "orderId")).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    // Who waits is told at once, and every list has what was placed, whoever did it.
    for number in 1..=20 {
        let call = server.post("/api/v1/orders", &lines(&[("lamp", 1)]));
        let answer = call.key(&format!("waits-{number}")).wait().send().await.json();
        assert_eq!(text(&answer, "status"), "confirmed");
        let id = text(&answer, "orderId");
        let deadline = Instant::now() + Duration::from_secs(1);
        let path = "/api/v1/orders?status=confirmed&limit=5";
        // Both instances are asked in turn.
        for _ in 0..4 {
            while !server.get(path).send().await.text().contains(&id) {
                assert!(Instant::now() < deadline, "{id} is in no list");
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
    // A price that was changed is the price, whichever instance places the order.
    let product = server.get("/api/v1/products/lamp").send().await;
    let tag = product.header("etag").to_owned();
    let body = json!({ "name": "lamp", "price": { "amount": "7.00", "currency": "USD" } });
    server.put("/api/v1/products/lamp", &body).header("if-match", &tag).send().await.is(200);
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut right = 0;
    for number in 0.. {
        let call = server.post("/api/v1/orders", &lines(&[("lamp", 1)]));
        let order = call.key(&format!("price-{number}")).send().await.json();
        right = if order["total"]["amount"] == "7.00" { right + 1 } else { 0 };
        if right == 10 {
            break;
        }
        assert!(Instant::now() < deadline, "the old price after 5 s: {order:#}");
    }
    server.finish();
}

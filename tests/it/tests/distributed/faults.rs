//! Each process is killed while orders come in, and the broker as well: nothing is lost or doubled.

use std::sync::Arc;

use it::{Options, Server, lines};

/// Every service that can be lost while others go on.
const SERVICES: [&str; 6] =
    ["catalog", "customer", "inventory", "payment", "order", "notification"];

/// Places orders one after the other, each once; gives their ids.
async fn place(server: &Server, round: &str, orders: u32) -> Vec<String> {
    let shop = server.shop();
    let mut accepted = Vec::new();
    for number in 0..orders {
        let key = format!("{round}-{number}");
        accepted.push(shop.placed_once(&key, &lines(&[("lamp", 1)])).await);
    }
    accepted
}

async fn all_end(server: &Server, orders: &[String]) {
    let shop = server.shop();
    for id in orders {
        shop.order_in(id, "confirmed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_may_be_killed_while_orders_are_on_their_way() {
    let mut server = Server::start_with(Options::demo().distributed()).await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 1_000).await;
    let mut accepted = Vec::new();
    for service in SERVICES {
        // What is accepted now is anywhere on its way when the service dies.
        accepted.extend(place(&server, service, 10).await);
        server.kill_and_restart(service).await;
    }
    accepted.extend(place(&server, "last", 10).await);
    all_end(&server, &accepted).await;
    let mut distinct = accepted.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), accepted.len(), "two keys got one order");
    let orders = i64::try_from(accepted.len()).unwrap_or(0);
    shop.stock_is("lamp", [1_000, 0, orders, 1_000 - orders]).await;
    server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_taken_while_the_broker_is_away_and_end_when_it_is_back() {
    let broker = tokio::task::spawn_blocking(|| Arc::new(it::Broker::start())).await;
    let broker = broker.unwrap_or_else(|_| panic!("the broker starts"));
    let options = Options::demo().on_broker(Arc::clone(&broker));
    let server = Server::start_with(options).await;
    server.shop().product("lamp", "5.00", 1_000).await;
    let mut accepted = place(&server, "before", 5).await;
    all_end(&server, &accepted).await;
    tokio::task::block_in_place(|| broker.kill_9());
    accepted.extend(place(&server, "away", 20).await);
    tokio::task::block_in_place(|| broker.resume());
    accepted.extend(place(&server, "back", 5).await);
    all_end(&server, &accepted).await;
    server.shop().stock_is("lamp", [1_000, 0, 30, 970]).await;
    server.finish();
}

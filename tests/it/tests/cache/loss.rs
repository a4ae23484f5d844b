//! The cache goes away in every way there is: answers stay right.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn without_its_cache_the_edge_serves_and_when_it_is_back_it_is_used() {
    let world = World::open().await;
    world.server.shop().product("lamp", "10.00", 3).await;
    world.kept("/api/v1/products/lamp", "product").await;
    world.kept("/api/v1/stock/lamp", "stock").await;
    tokio::task::block_in_place(|| world.redis.kill_9());
    assert_eq!(world.price("lamp").await, "10.00");
    world.until_away().await;
    let (_, detail) = world.part().await;
    assert!(detail.contains("is away; reads go to the services"), "{detail}");
    assert_eq!(world.metric("millrace_cache_is_there").await, 0);
    world.reprice("lamp", 20).await.is(200);
    assert_eq!(world.price("lamp").await, "20.00");
    let stock = world.server.get("/api/v1/stock/lamp").send().await.is(200);
    assert_eq!(stock["available"], 3);
    tokio::task::block_in_place(|| world.redis.resume());
    world.until_used().await;
    world.kept("/api/v1/products/lamp", "product").await;
    assert_eq!(world.price("lamp").await, "20.00");
    assert_eq!(world.metric("millrace_cache_is_there").await, 1);
    let log = world.log();
    assert_eq!(log.matches("the cache is given up").count(), 1, "{log}");
    assert_eq!(log.matches("the cache is there").count(), 2, "{log}");
    world.server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_hangs_delays_one_request_and_makes_none_wrong() {
    let world = World::open().await;
    world.server.shop().product("lamp", "10.00", 3).await;
    world.kept("/api/v1/products/lamp", "product").await;
    world.redis.signal("STOP");
    let begun = Instant::now();
    assert_eq!(world.reprice("lamp", 20).await.is(200)["price"]["amount"], "20.00");
    let first = begun.elapsed();
    assert!(first < Duration::from_secs(5), "{first:?}");
    world.until_away().await;
    let losses = world.metric("millrace_cache_losses_total").await;
    for _ in 0..100 {
        assert_eq!(world.price("lamp").await, "20.00");
    }
    assert_eq!(
        world.metric("millrace_cache_losses_total").await,
        losses,
        "nobody waits for it again"
    );
    world.redis.signal("CONT");
    world.until_used().await;
    for _ in 0..20 {
        assert_eq!(world.price("lamp").await, "20.00", "what it remembers is old");
    }
    world.kept("/api/v1/products/lamp", "product").await;
    world.server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_comes_back_with_old_data_is_not_believed() {
    let world = World::open().await;
    world.server.shop().product("lamp", "10.00", 3).await;
    let key = format!("{}:product:lamp", world.server.topic_prefix());
    // The event of its beginning may end it once more: what is there after SAVE was there before.
    let is_saved = async || {
        world.price("lamp").await;
        world.redis.say("SAVE");
        world.redis.say(&format!("EXISTS {key}")).starts_with(":1")
    };
    world.until("the first price is kept and saved", is_saved).await;
    world.reprice("lamp", 20).await.is(200);
    world.server.shop().receive("lamp", 4).await;
    tokio::task::block_in_place(|| world.redis.kill_9());
    world.until_away().await;
    tokio::task::block_in_place(|| world.redis.resume());
    let old = world.redis.say(&format!("EXISTS {key}"));
    assert!(old.starts_with(":1"), "it remembers the first price: {old}");
    world.until_used().await;
    for _ in 0..20 {
        assert_eq!(world.price("lamp").await, "20.00");
        let stock = world.server.get("/api/v1/stock/lamp").send().await.is(200);
        assert_eq!(stock["available"], json!(7));
    }
    world.server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_starts_and_serves_before_its_cache_is_there() {
    let mut world = World::open().await;
    world.server.shop().product("lamp", "10.00", 3).await;
    tokio::task::block_in_place(|| world.redis.kill_9());
    world.server.kill_and_restart("edge").await;
    assert_eq!(world.price("lamp").await, "10.00");
    assert!(!world.part().await.0);
    tokio::task::block_in_place(|| world.redis.resume());
    world.until_used().await;
    world.kept("/api/v1/products/lamp", "product").await;
    world.server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_events_are_not_heard_nothing_is_read_from_the_cache() {
    let broker = tokio::task::block_in_place(it::Broker::start);
    let broker = std::sync::Arc::new(broker);
    let redis = std::sync::Arc::new(tokio::task::block_in_place(it::Redis::start));
    let options = it::Options::demo().on_broker(std::sync::Arc::clone(&broker));
    let options = options.cached_by(std::sync::Arc::clone(&redis));
    let options = options.set("MILLRACE_REDIS__TTL_S", "3600");
    let world = World { redis, server: it::Server::start_with(options).await };
    world.until_used().await;
    world.server.shop().product("lamp", "10.00", 3).await;
    world.kept("/api/v1/products/lamp", "product").await;
    tokio::task::block_in_place(|| broker.kill_9());
    world.until_away().await;
    let (_, detail) = world.part().await;
    assert!(detail.contains("events are not heard"), "{detail}");
    let before = world.hits("product").await;
    assert_eq!(world.price("lamp").await, "10.00");
    assert_eq!(world.hits("product").await, before);
    world.reprice("lamp", 20).await.is(200);
    tokio::task::block_in_place(|| broker.resume());
    world.until_used().await;
    world.kept("/api/v1/products/lamp", "product").await;
    assert_eq!(world.price("lamp").await, "20.00");
    world.server.finish();
}

//! The product is asked to end while orders come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use it::{Client, Server, lines, text};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

const CONNECTIONS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(10);

/// Places orders until it may not, and gives those that were accepted.
async fn buy(http: Client, worker: usize, until: Arc<AtomicBool>) -> Vec<(String, Value)> {
    let body = lines(&[("lamp", 1)]);
    let mut accepted = Vec::new();
    for number in 0.. {
        if until.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{worker}-{number}");
        let call = http.post("/api/v1/orders", &body).key(&key);
        match call.try_send().await {
            Ok(answer) if answer.status == 202 => accepted.push((key, answer.json())),
            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
            Err(_) => break,
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_no_accepted_order_and_ends_in_time() {
    let mut server = Server::start().await;
    server.shop().product("lamp", "5.00", 1_000_000).await;
    let until = Arc::new(AtomicBool::new(false));
    let mut buyers = JoinSet::new();
    for worker in 0..CONNECTIONS {
        buyers.spawn(buy(server.http().clone(), worker, Arc::clone(&until)));
    }
    sleep(Duration::from_secs(2)).await;
    let (status, took) = server.stop(PATIENCE).await;
    until.store(true, Ordering::Relaxed);
    assert!(status.success(), "it ended with {status}");
    let accepted: Vec<_> = buyers.join_all().await.into_iter().flatten().collect();
    println!("{} orders were accepted; it ended after {took:?}", accepted.len());
    assert!(accepted.len() > CONNECTIONS, "there was load");
    server.audit();

    server.restart().await;
    let shop = server.shop();
    for (key, order) in accepted {
        let id = text(&order, "orderId");
        let kept = shop.order_in(&id, "confirmed").await;
        assert_eq!(kept["total"], order["total"], "{key}");
    }
    server.finish();
}

#[tokio::test]
async fn who_waits_for_an_outcome_is_answered_before_the_end() {
    let mut server = Server::configured("[payment]\nsimulated_slow_ms = 1000\n").await;
    let body = it::with_token(lines(&[("item1", 1)]), "slow");
    let call = server.post("/api/v1/orders", &body).header("prefer", "wait=3");
    let waiting = JoinSet::from_iter([call.try_send()]);
    let begun = async || server.shop().all("/api/v1/orders").await.len() == 1;
    while !begun().await {
        tokio::task::yield_now().await;
    }
    let (status, _) = server.stop(PATIENCE + PATIENCE).await;
    assert!(status.success(), "it ended with {status}");
    let answers = waiting.join_all().await;
    let answer = answers.into_iter().next().expect("there was one call");
    let answer = answer.expect("an open request is answered");
    assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
    server.restart().await;
    let id = text(&answer.json(), "orderId");
    server.shop().order_in(&id, "confirmed").await;
    server.finish();
}

#[tokio::test]
async fn what_waited_when_the_process_died_goes_on_after_the_restart() {
    let config = "[payment]\nsimulated_slow_ms = 60000\n[order]\ndecision_s = 2\n";
    let mut server = Server::configured(config).await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 3).await;
    let mut ask = lines(&[("lamp", 5)]);
    ask["policy"] = serde_json::json!("ask");
    let asked = shop.placed(&ask).await;
    shop.order_in(&asked, "awaiting_decision").await;
    let paying = shop.paid_with("slow", &[("item1", 1)]).await;
    shop.order_in(&paying, "paying").await;
    server.kill_9();
    server.restart().await;
    let shop = server.shop();
    // The provider is asked again under the same key, or what became of it.
    shop.order_in(&paying, "confirmed").await;
    let order = shop.order_in(&asked, "cancelled").await;
    assert_eq!(order["reason"]["code"], "decision_timed_out");
    server.finish();
}

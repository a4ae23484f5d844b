//! The product as a process for each service, with a cache of the test's own.

use std::sync::Arc;
use std::time::Duration;

use it::{Answer, Options, Redis, Server};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

pub(crate) struct World {
    pub(crate) redis: Arc<Redis>,
    pub(crate) server: Server,
}

impl World {
    /// Whatever is in the cache stays there for an hour unless something ends it.
    pub(crate) async fn open() -> Self {
        let redis = Arc::new(tokio::task::block_in_place(Redis::start));
        let options = Options::demo().cached_by(Arc::clone(&redis));
        let options = options.set("MILLRACE_REDIS__TTL_S", "3600");
        // Beside other work a pause is no failure.
        let options = options.set("MILLRACE_REDIS__RESPONSE_TIMEOUT_MS", "1000");
        let world = Self { redis, server: Server::start_with(options).await };
        world.until_used().await;
        world
    }

    /// The part of readiness that tells of the cache: whether it is used, and what it says.
    pub(crate) async fn part(&self) -> (bool, String) {
        let ready = self.server.get("/readyz").send().await.is(200);
        let parts = ready["parts"].as_array().expect("parts");
        let part = parts.iter().find(|part| part["name"] == "cache").expect("there is a cache");
        (part["ok"] == true, it::text(part, "detail"))
    }

    pub(crate) async fn until_used(&self) {
        self.until("the cache is used", async || self.part().await.0).await;
    }

    pub(crate) async fn until_away(&self) {
        self.until("the cache is away", async || !self.part().await.0).await;
    }

    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let waited = timeout(PATIENCE, async {
            while !is_so().await {
                sleep(LOOK).await;
            }
        });
        assert!(waited.await.is_ok(), "not in time: {what}");
    }

    /// A metric of the edge.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.server.get("/metrics").send().await.text();
        let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(is_value));
        let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in\n{text}"))
    }

    pub(crate) async fn hits(&self, of: &str) -> u64 {
        self.metric(&format!("millrace_cache_hits_total{{of=\"{of}\"}}")).await
    }

    /// Reads `path` until it is answered from the cache; gives the answer.
    pub(crate) async fn kept(&self, path: &str, of: &str) -> Answer {
        let before = self.hits(of).await;
        let begun = Instant::now();
        loop {
            let answer = self.server.get(path).send().await;
            if self.hits(of).await > before {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{path} is never answered from the cache");
            sleep(LOOK).await;
        }
    }

    /// Reads `path` until the answer `is_new`.
    pub(crate) async fn told(&self, path: &str, is_new: impl Fn(&Value) -> bool) {
        let what = format!("the change is seen at {path}");
        self.until(&what, async || is_new(&self.server.get(path).send().await.is(200))).await;
    }

    /// Gives a product the price of `dollars` by the edge, whatever version it has.
    pub(crate) async fn reprice(&self, sku: &str, dollars: u64) -> Answer {
        let price = json!({"amount": format!("{dollars}.00"), "currency": "USD"});
        let body = json!({"name": "Lamp", "price": price});
        let path = format!("/api/v1/products/{sku}");
        self.server.put(&path, &body).header("if-match", "*").send().await
    }

    /// The price of a product as a reader gets it.
    pub(crate) async fn price(&self, sku: &str) -> String {
        let product = self.server.get(&format!("/api/v1/products/{sku}")).send().await.is(200);
        it::text(&product["price"], "amount")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.server.folder().join("edge.log")).expect("the edge logs")
    }
}

fn is_value(rest: &str) -> bool {
    rest.starts_with(' ')
}

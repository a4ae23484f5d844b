//! What is done to the product while it is loaded.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Teller, kafka};
use crate::broker::Broker;
use crate::database::Database;
use crate::redis::Redis;
use crate::server::Server;
use crate::shop::{lines, text, with_token};

/// How long what was killed is away.
const DOWN: Duration = Duration::from_secs(3);
/// Longer than every window that is set for this.
const LONGER: Duration = Duration::from_secs(12);
/// How long a process stands still, or a partition is held back.
const STILL: Duration = Duration::from_secs(5);
/// How long each state lasts while instances come and go.
const STAY: Duration = Duration::from_secs(2);
/// Longer than a process needs to end its work, or to be ready once its database is there.
const PATIENCE: Duration = Duration::from_mins(1);
/// Topics that services read.
const READ: [&str; 4] = ["order", "order-check", "reservation", "payment"];

/// Something that happens to the product.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// kill -9 of a service; it is started again after some seconds.
    Kill(&'static str),
    /// The same for all of them at once.
    KillAll,
    /// A service is away for longer than every window.
    Down(&'static str),
    /// A service stands still (SIGSTOP), and goes on as if nothing had been.
    Pause(&'static str),
    /// kill -9 of the broker; it is started again after some seconds.
    BrokerKill,
    /// The broker is away for longer than every window.
    BrokerAway,
    /// The database server is told to restart at once: sessions are cut off.
    DatabaseRestart,
    /// kill -9 of the database server; it is started again after some seconds, and recovers.
    DatabaseKill,
    /// The database server is away for longer than every window.
    DatabaseAway,
    /// kill -9 of the cache, started again empty after some seconds: reads go on, and are right.
    CacheKill,
    /// The cache stands still (SIGSTOP), and goes on as if nothing had been: what it holds is old.
    CachePause,
    /// A second process of a service comes, and the two of them go and come back in turn: asked to, and
    /// by kill -9. One is always there.
    Instances(&'static str),
    /// Messages that are no events, on every partition of these topics.
    Poison(&'static [&'static str]),
    /// What a partition of each topic holds is written to it once more.
    Duplicate,
    /// A partition of each topic is held back while the others flow.
    HoldBack,
    /// An order that never ends, and one that was never placed counts as acknowledged: see
    /// [`super::CONTROL`].
    Lie,
}

/// What the product stands on.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) broker: &'a Arc<Broker>,
    pub(super) database: Option<&'a Arc<Database>>,
    pub(super) redis: &'a Arc<Redis>,
    pub(super) seed: u64,
}

impl Fault {
    /// Whether it can only happen where the stores are on a server.
    pub(super) const fn needs_server(self) -> bool {
        matches!(
            self,
            Self::DatabaseRestart | Self::DatabaseKill | Self::DatabaseAway | Self::Instances(_)
        )
    }

    /// The service that has a second process in it.
    pub(super) const fn second(self) -> Option<&'static str> {
        if let Self::Instances(service) = self { Some(service) } else { None }
    }

    /// Does it; gives how many messages must be among the dead letters for it, at least.
    pub(super) async fn happen(
        self,
        server: &mut Server,
        around: Around<'_>,
        teller: &Teller,
    ) -> usize {
        let Around { broker, seed, .. } = around;
        match self {
            Self::DatabaseRestart => {
                database_away(server, around, Database::shut_down, Duration::ZERO, teller).await;
            }
            Self::DatabaseKill => {
                database_away(server, around, Database::kill_9, DOWN, teller).await;
            }
            Self::DatabaseAway => {
                database_away(server, around, Database::kill_9, LONGER, teller).await;
            }
            Self::CacheKill => {
                cache_away(server, around.redis, [Redis::kill_9, Redis::resume], teller).await;
            }
            Self::CachePause => {
                let signals: [fn(&Redis); 2] =
                    [|redis| redis.signal("STOP"), |redis| redis.signal("CONT")];
                cache_away(server, around.redis, signals, teller).await;
            }
            Self::Instances(service) => come_and_go(server, service, teller).await,
            Self::Kill(service) => away(server, service, DOWN, teller).await,
            Self::Down(service) => away(server, service, LONGER, teller).await,
            Self::KillAll => {
                teller.say("kill -9 of all processes");
                server.kill_9();
                sleep(DOWN).await;
                server.restart().await;
                teller.say("all are ready again");
            }
            Self::Pause(service) => {
                teller.say(&format!("{service} stands still"));
                server.signal(service, "STOP");
                sleep(STILL).await;
                server.signal(service, "CONT");
                teller.say(&format!("{service} goes on"));
            }
            Self::BrokerKill => broker_away(broker, DOWN, teller).await,
            Self::BrokerAway => broker_away(broker, LONGER, teller).await,
            Self::Poison(topics) => {
                let sent = kafka::poison(server, topics, seed);
                teller.say(&format!("{sent} broken messages on {}", topics.join(", ")));
                // Where nobody reads, nobody finds that they are broken.
                let is_read = topics.iter().all(|topic| READ.contains(topic));
                return if is_read { sent } else { 0 };
            }
            Self::Duplicate => {
                let sent = kafka::duplicate(server);
                teller
                    .say(&format!("{sent} messages of one partition per topic written once more"));
            }
            Self::HoldBack => {
                teller.say("a partition of each topic is held back");
                kafka::hold_back(server, STILL).await;
                teller.say("they flow again");
            }
            Self::Lie => {
                let shop = server.shop();
                shop.customer("liar", "").await;
                let levels = shop.all("/api/v1/stock?limit=200").await;
                let sku = text(levels.first().expect("there is stock"), "sku");
                let mut body = with_token(lines(&[(&sku, 2)]), "silent");
                body["customerId"] = "liar".into();
                shop.placed(&body).await;
            }
        }
        0
    }
}

async fn away(server: &mut Server, service: &str, span: Duration, teller: &Teller) {
    teller.say(&format!("kill -9 of {service}"));
    server.kill(service);
    sleep(span).await;
    server.revive(service).await;
    teller.say(&format!("{service} is ready again"));
}

async fn broker_away(broker: &Arc<Broker>, span: Duration, teller: &Teller) {
    teller.say("kill -9 of the broker");
    let on = async |act: fn(&Broker)| {
        let broker = Arc::clone(broker);
        let done = tokio::task::spawn_blocking(move || act(&broker)).await;
        done.expect("the broker does as it is told");
    };
    on(Broker::kill_9).await;
    sleep(span).await;
    on(Broker::resume).await;
    teller.say("the broker answers again");
}

async fn database_away(
    server: &Server,
    around: Around<'_>,
    end: fn(&Database),
    span: Duration,
    teller: &Teller,
) {
    let database = around.database.expect("the stores are on a server");
    let on = async |act: fn(&Database)| {
        let database = Arc::clone(database);
        let done = tokio::task::spawn_blocking(move || act(&database)).await;
        done.expect("the database server does as it is told");
    };
    teller.say("the database server ends");
    on(end).await;
    sleep(span).await;
    teller.say("it is started again");
    on(Database::resume).await;
    teller.say("it answers again");
    let deadline = Instant::now() + PATIENCE;
    while let Some(service) = server.one_that_is_not_ready().await {
        assert!(Instant::now() < deadline, "{service} is not ready again");
        sleep(Duration::from_millis(50)).await;
    }
    teller.say("every process is ready again");
}

/// Reads through the edge while the cache is away, and behind that: every answer comes, and is as the list
/// says, which the cache has no part in.
async fn cache_away(
    server: &Server,
    redis: &Arc<Redis>,
    [end, resume]: [fn(&Redis); 2],
    teller: &Teller,
) {
    let on = async |act: fn(&Redis)| {
        let redis = Arc::clone(redis);
        let done = tokio::task::spawn_blocking(move || act(&redis)).await;
        done.expect("the cache does as it is told");
    };
    let mut reads = 0;
    teller.say("the cache is gone");
    on(end).await;
    let until = Instant::now() + DOWN;
    while Instant::now() < until {
        reads += read_all(server).await;
    }
    on(resume).await;
    teller.say(&format!("the cache is there again; {reads} reads were answered without it"));
    let until = Instant::now() + DOWN;
    while Instant::now() < until {
        read_all(server).await;
    }
}

async fn read_all(server: &Server) -> usize {
    let products = server.get("/api/v1/products?limit=20").send().await.is(200);
    let products = products["items"].as_array().expect("a list has items");
    for product in products {
        let sku = text(product, "sku");
        let read = server.get(&format!("/api/v1/products/{sku}")).send().await.is(200);
        assert_eq!(read["price"], product["price"], "nobody has changed {sku}");
        server.get(&format!("/api/v1/stock/{sku}")).send().await.is(200);
    }
    products.len() * 2
}

async fn come_and_go(server: &mut Server, service: &str, teller: &Teller) {
    let second = format!("{service}-2");
    let steps: [(&str, Step); 8] = [
        (&second, Step::Join),
        (service, Step::Leave),
        (service, Step::Join),
        (&second, Step::Kill),
        (&second, Step::Join),
        (service, Step::Kill),
        (service, Step::Join),
        (&second, Step::Leave),
    ];
    for (name, step) in steps {
        match step {
            Step::Join => server.revive(name).await,
            Step::Leave => server.leave(name, PATIENCE).await,
            Step::Kill => server.kill(name),
        }
        teller.say(&format!("{name} {}", step.told()));
        sleep(STAY).await;
    }
}

/// What a process does of several for one service.
#[derive(Clone, Copy)]
enum Step {
    Join,
    Leave,
    Kill,
}

impl Step {
    const fn told(self) -> &'static str {
        match self {
            Self::Join => "has come",
            Self::Leave => "was asked to go, and has gone",
            Self::Kill => "is killed",
        }
    }
}

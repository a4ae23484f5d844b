//! What is done to the product while it is loaded.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::{Teller, kafka};
use crate::broker::Broker;
use crate::server::Server;
use crate::shop::{lines, text, with_token};

/// How long what was killed is away.
const DOWN: Duration = Duration::from_secs(3);
/// Longer than every window that is set for this.
const LONGER: Duration = Duration::from_secs(12);
/// How long a process stands still, or a partition is held back.
const STILL: Duration = Duration::from_secs(5);
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

impl Fault {
    /// Does it; gives how many messages must be among the dead letters for it, at least.
    pub(super) async fn happen(
        self,
        server: &mut Server,
        broker: &Arc<Broker>,
        seed: u64,
        teller: &Teller,
    ) -> usize {
        match self {
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

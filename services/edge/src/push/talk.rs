//! STOMP, directly and through SockJS: which destinations there are and what may be done there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use contracts::{OrderId, Position, Sku};
use futures::future::BoxFuture;
use live::hub::{Client, Interest, Protocol};
use live::sockjs::{self, Origins, Sessions};
use live::stomp::frame::{Limits, Version};
use live::stomp::{Application, Link, Server, serve};
use smol_str::SmolStr;

use super::{Live, ORDERS, STOCK};

/// Where both are served.
pub(crate) const PATH: &str = "/ws-orders";

/// What can be subscribed to.
struct Destinations(Live);

const KNOWN: &str = "/topic/orders, /topic/orders.{id}, /topic/stock and /topic/stock.{sku}";

impl Application for Destinations {
    fn interest(&self, destination: &str) -> Result<Interest, String> {
        let one = |channel, key: SmolStr| Ok(Interest::keys(channel, vec![key]));
        let unknown = || {
            let shown: String = destination.chars().take(80).collect();
            format!("there is no destination `{shown}`; there are {KNOWN}")
        };
        match destination.strip_prefix("/topic/").ok_or_else(unknown)? {
            "orders" => Ok(Interest::all(ORDERS)),
            "stock" => Ok(Interest::all(STOCK)),
            other => match other.split_once('.') {
                Some(("orders", id)) => match id.parse::<OrderId>() {
                    Ok(id) => one(ORDERS, SmolStr::new(id.to_string())),
                    Err(why) => Err(why.to_string()),
                },
                Some(("stock", sku)) => match Sku::try_new(sku) {
                    Ok(sku) => one(STOCK, SmolStr::new(sku.as_str())),
                    Err(why) => Err(why.to_string()),
                },
                _ => Err(unknown()),
            },
        }
    }

    fn may_send(&self, _: &str, _: &[u8]) -> Result<(), String> {
        Err("nothing can be sent here, this server only tells: place orders with POST \
             /api/v1/orders"
            .to_owned())
    }

    fn resume<'c>(&'c self, client: &'c mut Client, position: Position) -> BoxFuture<'c, bool> {
        Box::pin(self.0.resume(client, position))
    }
}

/// The name of the next session: for people who compare logs.
pub(crate) fn session_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("session-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Live {
    /// Who may talk to us from a browser.
    pub(crate) fn origins(&self) -> Origins {
        Origins::new(&self.settings.origins)
    }

    /// Runs a task that the shutdown waits for.
    pub(crate) fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.tasks.spawn("live session", task);
    }

    /// STOMP, and SockJS that carries it.
    pub(crate) fn talkers(&self) -> (Arc<Server>, Sessions) {
        let application = Arc::new(Destinations(self.clone()));
        let (hub, limits) = (self.hub.clone(), Limits::default());
        let stomp = Arc::new(Server { hub, application, limits });
        let mut options = sockjs::Options::at(PATH, self.origins());
        options.protocols = Version::ALL.map(Version::subprotocol).to_vec();
        options.sessions_max = self.settings.clients_max;
        let client_url = self.settings.sockjs_client_url.clone();
        options.client_url = Some(client_url).filter(|url| !url.is_empty());
        let server = Arc::clone(&stomp);
        let (tasks, stopping) = (self.tasks.clone(), self.tasks.stopping());
        let service = sockjs::Service {
            open: Arc::new(move |connection| {
                let is_raw = connection.is_raw();
                let protocol = if is_raw { Protocol::Stomp } else { Protocol::Sockjs };
                let seat = server.hub.seat(protocol).ok()?;
                let link = Link::Sockjs(connection);
                Some(Box::pin(serve(Arc::clone(&server), link, session_name(), seat)))
            }),
            spawn: Arc::new(move |task| tasks.spawn("live session", task)),
            stopping: Arc::new(move || Box::pin(stopping.clone().cancelled_owned())),
        };
        (stomp, Sessions::new(options, service))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::LiveSettings;

    #[test]
    fn every_destination_of_the_contract_is_known_and_no_other() {
        let nothing: crate::ReadLog = Arc::new(|_| Box::pin(async { Ok(Vec::new()) }));
        let clock = Arc::new(contracts::clock::SystemClock);
        let settings = LiveSettings::default();
        let live = Live::new(settings, nothing, clock, telemetry::Tasks::default());
        let destinations = Destinations(live);
        let order = "019aa68e-7c6d-7000-8000-000000000001";
        for (destination, wants) in [
            ("/topic/orders", Some((ORDERS, "anything"))),
            ("/topic/stock", Some((STOCK, "anything"))),
            ("/topic/stock.item.1", Some((STOCK, "item.1"))),
            (&format!("/topic/orders.{order}"), Some((ORDERS, order))),
            ("/topic/orders.7", None),
            ("/topic/customers", None),
            ("/queue/orders", None),
            ("", None),
        ] {
            match (destinations.interest(destination), wants) {
                (Ok(interest), Some((channel, key))) => assert!(interest.wants(channel, key)),
                (Err(why), None) => assert!(!why.is_empty()),
                (got, _) => panic!("{destination}: {got:?}"),
            }
        }
    }
}

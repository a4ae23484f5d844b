//! What can be done to the product, by name.

use super::Fault;
use Fault::{
    BrokerAway, BrokerKill, CacheKill, CachePause, DatabaseAway, DatabaseKill, DatabaseRestart,
    Down, Duplicate, HoldBack, Instances, Kill, KillAll, Pause, Poison,
};

/// What is done while the load runs, and what may become of orders then.
#[derive(Debug)]
pub struct Scenario {
    /// The name on the command line and in the table.
    pub name: &'static str,
    /// What it does, for people.
    pub about: &'static str,
    /// One after the other, a second apart.
    pub faults: &'static [Fault],
    /// Everything that an order waits for has a deadline of seconds: orders may expire, and be cancelled.
    /// Otherwise every order that was acknowledged must be confirmed.
    pub has_short_windows: bool,
}

const fn one(name: &'static str, about: &'static str, faults: &'static [Fault]) -> Scenario {
    Scenario { name, about, faults, has_short_windows: false }
}

const fn short(name: &'static str, about: &'static str, faults: &'static [Fault]) -> Scenario {
    Scenario { name, about, faults, has_short_windows: true }
}

impl Scenario {
    /// Whether it can only be run where the stores are on a server.
    #[must_use]
    pub fn needs_server(&self) -> bool {
        self.faults.iter().any(|fault| fault.needs_server())
    }

    /// The services that have a second process in it.
    pub(super) fn seconds(&self) -> impl Iterator<Item = &'static str> {
        self.faults.iter().filter_map(|fault| fault.second())
    }

    /// Whether it is several others in one.
    #[must_use]
    pub fn is_sum(&self) -> bool {
        self.name.starts_with("everything")
    }
}

/// Every scenario.
pub static SCENARIOS: &[Scenario] = &[
    one("nothing", "no fault: what the others are compared with", &[]),
    one("kill-edge", "kill -9 of the edge, started again after 3 s", &[Kill("edge")]),
    one("kill-order", "the same, of the order service", &[Kill("order")]),
    one("kill-inventory", "the same, of inventory", &[Kill("inventory")]),
    one("kill-payment", "the same, of payment", &[Kill("payment")]),
    one("kill-customer", "the same, of customer", &[Kill("customer")]),
    one("kill-catalog", "the same, of catalog", &[Kill("catalog")]),
    one("kill-notification", "the same, of notification", &[Kill("notification")]),
    one("kill-all", "kill -9 of all seven at once, started again after 3 s", &[KillAll]),
    one("pause-order", "the order service stands still for 5 s", &[Pause("order")]),
    one("pause-inventory", "inventory stands still for 5 s", &[Pause("inventory")]),
    one("pause-payment", "payment stands still for 5 s", &[Pause("payment")]),
    one("kafka-restart", "kill -9 of the broker, started again after 3 s", &[BrokerKill]),
    short("kafka-away", "the broker is away for longer than every window", &[BrokerAway]),
    one(
        "database-restart",
        "the database server is restarted at once, all sessions cut off",
        &[DatabaseRestart],
    ),
    one(
        "database-kill",
        "kill -9 of the database server, started again after 3 s",
        &[DatabaseKill],
    ),
    short(
        "database-away",
        "the database server is away for longer than every window",
        &[DatabaseAway],
    ),
    one("redis-restart", "kill -9 of Redis, started again empty after 3 s", &[CacheKill]),
    one("redis-pause", "Redis stands still for 3 s", &[CachePause]),
    one("instances-order", "two processes of order come and go in turn", &[Instances("order")]),
    one("instances-inventory", "the same, of inventory", &[Instances("inventory")]),
    one("instances-payment", "the same, of payment", &[Instances("payment")]),
    one("instances-notification", "the same, of notification", &[Instances("notification")]),
    short("away-inventory", "inventory is away for longer than every window", &[Down("inventory")]),
    short("away-payment", "payment is away for longer than every window", &[Down("payment")]),
    short("away-customer", "customer is away for longer than every window", &[Down("customer")]),
    short("away-order", "order is away for longer than every window", &[Down("order")]),
    one("poison-order", "broken messages on every partition of `order`", &[Poison(&["order"])]),
    one("poison-order-check", "the same, on `order-check`", &[Poison(&["order-check"])]),
    one("poison-reservation", "the same, on `reservation`", &[Poison(&["reservation"])]),
    one("poison-payment", "the same, on `payment`", &[Poison(&["payment"])]),
    one(
        "poison-others",
        "the same, on `stock`, `product`, `customer`, `notification`",
        &[Poison(&["stock", "product", "customer", "notification"])],
    ),
    one("duplicate", "a partition of each topic is written once more", &[Duplicate]),
    one("delay", "a partition of each topic is held back for 5 s while others flow", &[HoldBack]),
    one(
        "everything",
        "each service killed in turn, then the broker, broken, repeated and delayed messages",
        &[
            Kill("customer"),
            Kill("catalog"),
            Kill("inventory"),
            Kill("payment"),
            Kill("order"),
            Kill("notification"),
            Kill("edge"),
            Poison(&["order", "order-check", "reservation", "payment"]),
            Duplicate,
            HoldBack,
            BrokerKill,
        ],
    ),
    one(
        "everything-server",
        "the same on a database server, which is restarted and killed as well",
        &[
            Kill("inventory"),
            DatabaseRestart,
            Kill("payment"),
            Kill("order"),
            DatabaseKill,
            Kill("customer"),
            Kill("edge"),
            Poison(&["order", "order-check", "reservation", "payment"]),
            Duplicate,
            HoldBack,
            BrokerKill,
        ],
    ),
];

/// What must be found wrong: a siege that finds nothing here would find nothing anywhere.
pub static CONTROL: Scenario = one("control", "one order is lost and one is stuck", &[Fault::Lie]);

/// The scenarios whose name is `name`, or begins with it and a dash.
#[must_use]
pub fn named(name: &str) -> Vec<&'static Scenario> {
    let is_meant = |scenario: &&Scenario| {
        let rest = scenario.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    SCENARIOS.iter().filter(is_meant).collect()
}

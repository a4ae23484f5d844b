//! The one place where services meet their adapters: which store, which bus, which transport.
//!
//! A process runs any of the services. Those that it runs are called in process, the others by their
//! configured address; on the embedded bus all that have tables share one process and one store.

mod chosen;
mod consumers;
mod doors;
mod forward;
mod mirrors;
mod neighbours;
mod operations;
mod push;
mod reads;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, bail};
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use bus::Subscription;
use bus::kafka::{self, Relay};
use contracts::clock::SystemClock;
use contracts::{Clock as _, Topic};
use contracts_grpc::v1::catalog_client::CatalogClient;
use contracts_grpc::v1::customers_client::CustomersClient;
use contracts_grpc::v1::inventory_client::InventoryClient;
use contracts_grpc::v1::notifications_client::NotificationsClient;
use contracts_grpc::v1::operations_server::OperationsServer;
use contracts_grpc::v1::orders_client::OrdersClient;
use contracts_grpc::v1::payments_client::PaymentsClient;
use rpc::Traced;
use store::{Place, Schema, ServerPlace, Stats, Store, StoreError, StoreOptions};
use telemetry::{Metrics, Tasks};
use tonic::server::NamedService;
use tower::Service;

pub(crate) use chosen::Chosen;
use consumers::Consumers;
use doors::Doors;
use neighbours::Neighbours;

use crate::config::{BusKind, Config};

/// The services that have tables, and those tables.
pub(crate) const SCHEMAS: [Schema; 6] = [
    catalog::SCHEMA,
    customer::SCHEMA,
    inventory::SCHEMA,
    payment::SCHEMA,
    order::SCHEMA,
    notification::SCHEMA,
];

/// Everything that runs in this process.
pub(crate) struct House {
    /// The store of its services, if any of them has tables.
    pub(crate) store: Option<Store>,
    /// The tasks to stop, the store apart.
    pub(crate) tasks: Tasks,
    /// How the services are called, if the edge is here.
    pub(crate) services: Option<edge::Services>,
    /// What the HTTP port serves: REST or only probes, and gRPC beside it.
    pub(crate) http: Router,
    /// What the gRPC port serves.
    pub(crate) grpc: Router,
    /// Set once everything has begun.
    pub(crate) started: Arc<AtomicBool>,
}

/// Where the store of the chosen services is.
pub(crate) fn place(config: &Config, chosen: &Chosen) -> anyhow::Result<Place> {
    let services: Vec<_> = chosen.schemas().iter().map(|schema| schema.service).collect();
    let own = services.iter().map(|name| (name, config.services.database(name)));
    let own = own.filter(|(_, address)| !address.is_empty()).collect::<Vec<_>>();
    let (key, address) = match own.as_slice() {
        [] => ("database.url".to_owned(), config.database.url.as_str()),
        [(name, address)] if services.len() == 1 => (format!("services.{name}.database"), *address),
        [(name, _), ..] => bail!(
            "services.{name}.database: a process has one database, and this one runs {chosen}; \
             start {name} by itself, or set database.url"
        ),
    };
    if address.is_empty() {
        return Ok(Place::Folder(config.data.clone()));
    }
    let set = services.join("_");
    let set = if chosen.is_all_tables() { "millrace" } else { &set };
    let server = ServerPlace::try_new(address, set).with_context(|| key)?;
    // The log of one process reaches its own consumers only; on Kafka, instances share the work.
    let is_shared = config.bus == BusKind::Kafka;
    Ok(Place::Server(if is_shared { server.shared() } else { server }))
}

/// Opens the store at `place`, with the tables of the chosen services.
pub(crate) fn open_store(place: Place, chosen: &Chosen, bus: BusKind) -> anyhow::Result<Store> {
    let mut schemas = chosen.schemas();
    if bus == BusKind::Kafka {
        schemas.push(kafka::SCHEMA);
    }
    let options =
        StoreOptions { place, schemas, clock: Arc::new(SystemClock), stream: chosen.stream() };
    let shown = options.place.to_string();
    Store::open(options).with_context(|| format!("cannot open the store in {shown}"))
}

/// Refuses a store that other services have written: the ids of its events would not be its own.
async fn check_stream(store: &Store, chosen: &Chosen) -> anyhow::Result<()> {
    let last: Result<_, StoreError> = store
        .read(|rx| {
            Box::pin(async move {
                let select = "SELECT segment, body FROM outbox ORDER BY segment DESC LIMIT 1";
                let read = |row: &store::Row<'_>| Ok((row.count(0)?, row.blob(1)?.to_vec()));
                Ok(rx.query(select, &[], read).await?.pop())
            })
        })
        .await;
    let Some((number, body)) = last? else { return Ok(()) };
    let events = contracts::segment::decode(number, &body)?;
    let foreign = events.iter().find(|event| event.id.stream() != chosen.stream());
    match foreign {
        None => Ok(()),
        Some(_) => bail!(
            "{} was written by other services than {chosen}: give each set of services a folder of \
             its own (--data), or a schema",
            store.place()
        ),
    }
}

/// Opens the store and puts the chosen services on it.
pub(crate) async fn assemble(config: &Config, chosen: &Chosen) -> anyhow::Result<House> {
    let store = if chosen.has_tables() {
        Some(open_store(place(config, chosen)?, chosen, config.bus)?)
    } else {
        None
    };
    let mut building = Building {
        config,
        tasks: Tasks::default(),
        metrics: Metrics::default(),
        doors: Doors::new(config),
        subscriptions: Vec::new(),
        grpc: Router::new(),
        served: Vec::new(),
        stream: chosen.stream(),
        orders: None,
    };
    let mut consumers = Consumers::new(&building.metrics);
    tell_of_process(&building.metrics);
    if let Some(store) = &store {
        check_stream(store, chosen).await?;
        tell_of_store(&building.metrics, store);
        building.services(store, chosen).await?;
        building.listen(store, &mut consumers).await?;
    }
    let started = Arc::new(AtomicBool::new(false));
    let (kept, told) = (store.clone(), building.metrics.clone());
    let own = operations::Own::new(chosen, kept, told, consumers, Arc::clone(&started));
    building.served.push(<OperationsServer<operations::Own> as NamedService>::NAME);
    let grpc = mount(std::mem::take(&mut building.grpc), own.server());
    let mut grpc = with_health_and_reflection(grpc, &building.served).await?;
    if chosen.has("edge") {
        grpc = forward::others(grpc, &mut building.doors, &building.tasks)?;
    }
    let Building { tasks, metrics, mut doors, .. } = building;
    // An edge that cannot place orders is of no use; without any other service it serves the rest.
    let is_needed = |name: &str| chosen.has("edge") && name == "order";
    let neighbours = Neighbours::new(&doors, &tasks, is_needed)?;
    let hooks = own.hooks(neighbours, answered(&metrics));
    let reads = reads::open(config, chosen, &metrics, &tasks)?;
    let hooks = reads::told(hooks, reads.as_ref());
    let (services, http) = if chosen.has("edge") {
        let services = edge::Services {
            orders: OrdersClient::new(doors.to("order", &tasks)?),
            inventory: InventoryClient::new(doors.to("inventory", &tasks)?),
            catalog: CatalogClient::new(doors.to("catalog", &tasks)?),
            customers: CustomersClient::new(doors.to("customer", &tasks)?),
            payments: PaymentsClient::new(doors.to("payment", &tasks)?),
            notifications: NotificationsClient::new(doors.to("notification", &tasks)?),
        };
        let ways = push::Ways { config, services: &services, metrics: &metrics, tasks: &tasks };
        let whole = chosen.is_all_tables().then(|| store.clone()).flatten();
        let live = ways.open(whole, reads.as_ref()).await?;
        let http = edge::router(services.clone(), config.edge.clone(), hooks, live, reads);
        (Some(services), http)
    } else {
        (None, edge::probes(hooks))
    };
    let http = http.merge(grpc.clone());
    Ok(House { store, tasks, services, http, grpc, started })
}

/// A house while it is built.
struct Building<'c> {
    config: &'c Config,
    tasks: Tasks,
    metrics: Metrics,
    doors: Doors<'c>,
    subscriptions: Vec<Subscription>,
    grpc: Router,
    /// The gRPC services of this process.
    served: Vec<&'static str>,
    /// The number of this process's log.
    stream: u16,
    /// The order service, if it is in this process.
    orders: Option<Arc<order::Orders>>,
}

impl Building<'_> {
    /// Puts the chosen services on the store: those that others ask come first.
    async fn services(&mut self, store: &Store, chosen: &Chosen) -> anyhow::Result<()> {
        let (config, metrics) = (self.config, self.metrics.clone());
        if chosen.has("catalog") {
            let catalog = catalog::Catalog::new(store.clone(), config.catalog.clone(), &metrics);
            self.open("catalog", catalog::Catalog::server(Arc::new(catalog)));
        }
        if chosen.has("customer") {
            let settings = config.customer.clone();
            let customers = customer::Customers::new(store.clone(), settings, &metrics);
            let customers = Arc::new(customers);
            customers.follow().await?;
            self.subscriptions.extend(customers.subscriptions());
            self.open("customer", customer::Customers::server(customers));
        }
        if chosen.has("inventory") {
            let settings = config.inventory.clone();
            let inventory = inventory::Inventory::try_new(store.clone(), settings)?;
            self.subscriptions.extend(inventory::subscriptions(&inventory));
            inventory::timers::run(Arc::clone(&inventory), &self.tasks);
            self.open("inventory", inventory::server(inventory));
        }
        if chosen.has("payment") {
            let settings = config.payment.clone();
            let payments = payment::Payments::new(store.clone(), settings, &metrics);
            let payments = Arc::new(payments);
            self.subscriptions.extend(payments.subscriptions());
            payment::timers::run(&payments, &self.tasks);
            self.open("payment", payment::Payments::server(payments));
        }
        if chosen.has("order") {
            let products = CatalogClient::new(self.doors.to("catalog", &self.tasks)?);
            let settings = config.order.clone();
            let orders = order::Orders::open(store.clone(), settings, products, &metrics).await?;
            self.subscriptions.extend(order::subscriptions(&orders));
            order::timers::run(Arc::clone(&orders), &self.tasks);
            self.orders = Some(Arc::clone(&orders));
            self.open("order", order::server(orders));
        }
        if chosen.has("notification") {
            let notifications = Arc::new(notification::Notifications::try_new(
                store.clone(),
                &config.notification,
                CustomersClient::new(self.doors.to("customer", &self.tasks)?),
                OrdersClient::new(self.doors.to("order", &self.tasks)?),
                &metrics,
            )?);
            notifications.follow().await?;
            self.subscriptions.extend(notifications.subscriptions());
            notification::timers::run(&notifications, &self.tasks);
            self.open("notification", notification::Notifications::server(notifications));
        }
        Ok(())
    }

    /// Lets others call a service: in process, and over the network.
    fn open<S>(&mut self, name: &'static str, server: S)
    where
        S: NamedService,
        Traced<S>: Service<http::Request<Body>, Error = Infallible>
            + Service<
                http::Request<tonic::body::Body>,
                Response = http::Response<tonic::body::Body>,
                Error = Infallible,
            > + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        <Traced<S> as Service<http::Request<Body>>>::Response: IntoResponse,
        <Traced<S> as Service<http::Request<Body>>>::Future: Send + 'static,
        <Traced<S> as Service<http::Request<tonic::body::Body>>>::Future: Send + 'static,
    {
        let server = Traced::new(name, server);
        self.doors.open(name, rpc::Transport::in_process(server.clone()));
        self.served.push(S::NAME);
        self.grpc = mount(std::mem::take(&mut self.grpc), server);
    }

    /// Starts what carries events to this process's services, and from them.
    async fn listen(&mut self, store: &Store, consumers: &mut Consumers) -> anyhow::Result<()> {
        let subscriptions = std::mem::take(&mut self.subscriptions);
        if self.config.bus == BusKind::Embedded {
            for subscription in subscriptions {
                let name = subscription.consumer;
                let stats = bus::embedded::subscribe(store, subscription).await?;
                consumers.add(name, stats);
            }
            return Ok(());
        }
        let mut settings = self.config.kafka.clone();
        if settings.instance.is_empty() {
            // No two processes that run at the same time have both numbers.
            settings.instance = match store.instance() {
                None => format!("store-{}", self.stream),
                Some(instance) => format!("store-{}-{instance}", self.stream),
            };
        }
        let mirrors = mirrors::topics(&self.config.compat.profiles, &settings);
        let client = kafka::Client::connect(settings, mirrors, &self.tasks).await?;
        for subscription in subscriptions {
            let stats = kafka::consume(&client, store, &subscription, &self.tasks)?;
            consumers.add(subscription.consumer, stats);
        }
        if let Some(orders) = self.orders.take().filter(|_| store.instance().is_some()) {
            // A change of a product is handled by one of several instances; each must know the price.
            let hear = move |heard: kafka::Heard| {
                if heard.has_gap {
                    orders.hear_of_product(None);
                }
                let told = heard.events.iter();
                told.for_each(|(_, event)| orders.hear_of_product(Some(&event.data)));
            };
            let (now, topics) = (SystemClock.now(), [Topic::Product]);
            kafka::listen(&client, &topics, now, hear, &self.tasks)?;
        }
        if self.doors.is_open("order") && !self.config.compat.profiles.is_empty() {
            let orders = OrdersClient::new(self.doors.to("order", &self.tasks)?);
            let profiles = self.config.compat.profiles.clone();
            let mirror = mirrors::subscription(&client, profiles, orders)?;
            let stats = kafka::deliver(&client, store, &mirror, &self.tasks)?;
            consumers.add(mirror.consumer, stats);
        }
        let relay = Relay::start(&client, store, &self.tasks).await?;
        consumers.add_relay(client, relay, &self.metrics);
        Ok(())
    }
}

fn mount<S>(router: Router, server: S) -> Router
where
    S: Service<http::Request<Body>, Error = Infallible>
        + NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    router.route_service(&format!("/{}/{{*rpc}}", S::NAME), server)
}

async fn with_health_and_reflection(
    router: Router,
    served: &[&'static str],
) -> anyhow::Result<Router> {
    let (reporter, health) = tonic_health::server::health_reporter();
    for name in served {
        reporter.set_service_status(*name, tonic_health::ServingStatus::Serving).await;
    }
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(contracts_grpc::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let router = mount(router, health);
    // Tools ask by either name: grpcurl by the older, newer ones by v1.
    let router = mount(router, builder().build_v1()?);
    Ok(mount(router, builder().build_v1alpha()?))
}

fn tell_of_store(metrics: &Metrics, store: &Store) {
    let read = |pick: fn(&Stats) -> &AtomicU64| {
        let stats = Arc::clone(store.stats());
        move || pick(&stats).load(Ordering::Relaxed)
    };
    metrics.count_of("store_commits", "COMMITs", read(|stats| &stats.commits));
    metrics.count_of("store_pieces", "pieces of work committed", read(|stats| &stats.pieces));
    metrics.count_of("store_events", "events published", read(|stats| &stats.events));
    metrics.count_of("store_rows", "rows written", read(|stats| &stats.rows));
    metrics.count_of(
        "store_deferred",
        "COMMITs that left changed rows to a later one",
        read(|stats| &stats.deferred),
    );
    metrics.count_of("store_rollbacks", "COMMITs undone", read(|stats| &stats.rollbacks));
    metrics.count_of("store_checkpoints", "checkpoints", read(|stats| &stats.checkpoints));
    metrics.count_of(
        "store_commit_micros",
        "microseconds in COMMIT",
        read(|stats| &stats.commit_micros),
    );
    metrics.count_of(
        "store_busy_micros",
        "microseconds in transactions, COMMIT included",
        read(|stats| &stats.busy_micros),
    );
}

fn tell_of_process(metrics: &Metrics) {
    metrics.count_of("cpu_micros", "CPU time of the process", telemetry::cpu_micros);
    metrics.value_of("resident_bytes", "memory of the process", telemetry::resident_bytes);
}

/// Counts answers by the first digit of their status, and times them.
fn answered(metrics: &Metrics) -> Arc<dyn Fn(u16, std::time::Duration) + Send + Sync> {
    const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
    let family = metrics.family("http_answers", "answers by the class of their status", "class");
    let counts: Arc<[AtomicU64; CLASSES.len()]> = Arc::default();
    for (place, class) in CLASSES.into_iter().enumerate() {
        let counts = Arc::clone(&counts);
        family.count(class, move || counts[place].load(Ordering::Relaxed));
    }
    let took = metrics.histogram("http_answer_seconds", "time until an answer began");
    Arc::new(move |status, span| {
        let class = usize::from(status.div_euclid(100)).saturating_sub(1);
        if let Some(count) = counts.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        took.observe(span.as_secs_f64());
    })
}

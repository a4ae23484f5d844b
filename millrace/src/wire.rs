//! The one place where services meet their adapters: which store, which bus, which transport.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use bus::{ConsumerStats, Subscription, embedded};
use contracts::clock::SystemClock;
use contracts_grpc::v1::catalog_client::CatalogClient;
use contracts_grpc::v1::customers_client::CustomersClient;
use contracts_grpc::v1::inventory_client::InventoryClient;
use contracts_grpc::v1::notifications_client::NotificationsClient;
use contracts_grpc::v1::orders_client::OrdersClient;
use contracts_grpc::v1::payments_client::PaymentsClient;
use rpc::Transport;
use store::{Schema, Stats, Store, StoreOptions};
use telemetry::{Metrics, Tasks};
use tonic::server::NamedService;
use tower::Service;

use crate::commands::audit;
use crate::config::Config;

/// The services of one process, and the tables that each owns.
pub(crate) const SCHEMAS: [Schema; 6] = [
    catalog::SCHEMA,
    customer::SCHEMA,
    inventory::SCHEMA,
    payment::SCHEMA,
    order::SCHEMA,
    notification::SCHEMA,
];

/// Every service that a process can run.
pub(crate) const SERVICES: [&str; 7] =
    ["edge", "order", "inventory", "catalog", "customer", "payment", "notification"];

/// Everything that runs in this process.
pub(crate) struct House {
    /// The store that all services share.
    pub(crate) store: Store,
    /// The tasks to stop, the store apart.
    pub(crate) tasks: Tasks,
    /// How the services are called from within.
    pub(crate) services: edge::Services,
    /// What the HTTP port serves: REST, and gRPC beside it.
    pub(crate) http: Router,
    /// What the gRPC port serves.
    pub(crate) grpc: Router,
    /// Set once everything has begun.
    pub(crate) started: Arc<AtomicBool>,
}

/// Opens the store in `folder`, with the tables of every service.
pub(crate) fn open_store(folder: &Path) -> anyhow::Result<Store> {
    let options = StoreOptions {
        folder: folder.to_owned(),
        schemas: SCHEMAS.to_vec(),
        clock: Arc::new(SystemClock),
        stream: 0,
    };
    Store::open(options).with_context(|| format!("cannot open the store in {}", folder.display()))
}

/// Opens the store and puts every service on it.
pub(crate) async fn assemble(config: &Config) -> anyhow::Result<House> {
    let store = open_store(&config.data)?;
    let tasks = Tasks::default();
    let metrics = Metrics::default();
    tell_of_store(&metrics, &store);

    let catalog = Arc::new(catalog::Catalog::new(store.clone(), config.catalog.clone(), &metrics));
    let catalog = catalog::Catalog::server(catalog);
    let products = Transport::in_process(catalog.clone());
    let customers =
        Arc::new(customer::Customers::new(store.clone(), config.customer.clone(), &metrics));
    let people = Transport::in_process(customer::Customers::server(Arc::clone(&customers)));
    let inventory = inventory::Inventory::try_new(store.clone(), config.inventory.clone())?;
    let payments =
        Arc::new(payment::Payments::new(store.clone(), config.payment.clone(), &metrics));
    let products_client = CatalogClient::new(products.clone());
    let orders =
        order::Orders::open(store.clone(), config.order.clone(), products_client, &metrics).await?;
    let placed = Transport::in_process(order::server(Arc::clone(&orders)));
    let notifications = Arc::new(notification::Notifications::try_new(
        store.clone(),
        &config.notification,
        CustomersClient::new(people.clone()),
        OrdersClient::new(placed.clone()),
        &metrics,
    )?);

    let subscriptions = [
        customers.subscriptions(),
        inventory::subscriptions(&inventory),
        order::subscriptions(&orders),
        payments.subscriptions(),
        notifications.subscriptions(),
    ];
    let mut consumers = Vec::new();
    for subscription in subscriptions.into_iter().flatten() {
        consumers.push(subscribe(&store, &metrics, subscription).await?);
    }
    inventory::timers::run(Arc::clone(&inventory), &tasks);
    payment::timers::run(&payments, &tasks);
    order::timers::run(Arc::clone(&orders), &tasks);
    notification::timers::run(&notifications, &tasks);

    let grpc = Router::new();
    let grpc = mount(grpc, catalog);
    let grpc = mount(grpc, customer::Customers::server(customers));
    let grpc = mount(grpc, inventory::server(Arc::clone(&inventory)));
    let grpc = mount(grpc, payment::Payments::server(Arc::clone(&payments)));
    let grpc = mount(grpc, order::server(orders));
    let grpc = mount(grpc, notification::Notifications::server(Arc::clone(&notifications)));
    let grpc = with_health_and_reflection(grpc).await?;

    let services = edge::Services {
        orders: OrdersClient::new(placed),
        inventory: InventoryClient::new(Transport::in_process(inventory::server(inventory))),
        catalog: CatalogClient::new(products),
        customers: CustomersClient::new(people),
        payments: PaymentsClient::new(Transport::in_process(payment::Payments::server(payments))),
        notifications: NotificationsClient::new(Transport::in_process(
            notification::Notifications::server(notifications),
        )),
    };
    let started = Arc::new(AtomicBool::new(false));
    let hooks = hooks(&store, metrics, consumers, Arc::clone(&started));
    let http = edge::router(services.clone(), config.edge.clone(), hooks).merge(grpc.clone());
    Ok(House { store, tasks, services, http, grpc, started })
}

/// A consumer and what it has done.
struct Running {
    name: &'static str,
    stats: Arc<ConsumerStats>,
}

async fn subscribe(
    store: &Store,
    metrics: &Metrics,
    subscription: Subscription,
) -> anyhow::Result<Running> {
    let name = subscription.consumer;
    let stats = embedded::subscribe(store, subscription).await?;
    let read = |pick: fn(&ConsumerStats) -> &AtomicU64| {
        let stats = Arc::clone(&stats);
        move || pick(&stats).load(Ordering::Relaxed)
    };
    let metric = |what: &str| format!("consumer_{name}_{what}");
    metrics.count_of(&metric("events"), "events handled", read(|stats| &stats.handled));
    metrics.count_of(&metric("failures"), "attempts that failed", read(|stats| &stats.failures));
    metrics.value_of(
        &metric("blocked_keys"),
        "keys that wait behind a failed event",
        read(|stats| &stats.blocked_keys),
    );
    Ok(Running { name, stats })
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

async fn with_health_and_reflection(router: Router) -> anyhow::Result<Router> {
    let (reporter, health) = tonic_health::server::health_reporter();
    for service in ["Orders", "Inventory", "Catalog", "Customers", "Payments", "Notifications"] {
        let name = format!("millrace.v1.{service}");
        reporter.set_service_status(name, tonic_health::ServingStatus::Serving).await;
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
    metrics.count_of("cpu_micros", "CPU time of the process", telemetry::cpu_micros);
    metrics.value_of("resident_bytes", "memory of the process", telemetry::resident_bytes);
}

fn hooks(
    store: &Store,
    metrics: Metrics,
    consumers: Vec<Running>,
    started: Arc<AtomicBool>,
) -> edge::Hooks {
    let reader = store.reader().clone();
    edge::Hooks {
        metrics: Arc::new(move || metrics.render()),
        ready: Arc::new(move || readiness(&consumers, &started)),
        audit: Arc::new(move || {
            let reader = reader.clone();
            Box::pin(async move { audit::report_json(&reader).await })
        }),
    }
}

fn readiness(consumers: &[Running], started: &AtomicBool) -> edge::Readiness {
    let started = started.load(Ordering::Acquire);
    let parts = consumers.iter().map(|consumer| {
        let blocked = consumer.stats.blocked_keys.load(Ordering::Relaxed);
        let handled = consumer.stats.handled.load(Ordering::Relaxed);
        edge::Part {
            name: consumer.name.to_owned(),
            // A blocked key is somebody's order, not the whole service: it serves all others.
            ok: true,
            detail: format!("{handled} events handled, {blocked} keys blocked"),
        }
    });
    edge::Readiness { started, ready: started, parts: parts.collect() }
}

//! Edge: the only HTTP of Millrace, and nothing but a view on the gRPC services.
//!
//! **Hears** HTTP/1.1 and HTTP/2 requests, and committed events for those who watch (`push`).
//! **Says** nothing on the bus.
//! **Serves** REST under `/api/v1` with OpenAPI 3.1 and a viewer at `/docs`, the screens at `/ui/`,
//! the doors of the seeds at `/orders` and `/api/orders`, and probes and metrics for operators.
//!
//! A request takes one path: `limits` (request id, slots, headers) → `http` (one table of
//! routes) → `json` and `dto` (strict reading) → one gRPC call → `dto` (writing). What is
//! refused anywhere on the way is a `error::Refusal`, and `problem` renders all of them.
//!
//! **Invariant:** a route exists if and only if it is described, because a `http::Route` cannot
//! be made without its description; and every answer from 400 up is an RFC 9457 problem, the 503
//! of a probe apart.

mod conditional;
mod dto;
mod error;
mod http;
mod idempotency;
mod json;
mod limits;
mod openapi;
mod paging;
mod prefer;
mod problem;
mod push;
mod reads;

pub use reads::{Hearing, Reads};

pub use push::{Dated, Feed, Live, LiveSettings, ReadLog, Recall};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use contracts::{Currency, Problem};
use contracts_grpc::v1::catalog_client::CatalogClient;
use contracts_grpc::v1::customers_client::CustomersClient;
use contracts_grpc::v1::inventory_client::InventoryClient;
use contracts_grpc::v1::notifications_client::NotificationsClient;
use contracts_grpc::v1::orders_client::OrdersClient;
use contracts_grpc::v1::payments_client::PaymentsClient;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;

/// The services behind the edge, in this process or elsewhere.
#[derive(Clone)]
pub struct Services {
    /// Orders.
    pub orders: OrdersClient<rpc::Transport>,
    /// Stock.
    pub inventory: InventoryClient<rpc::Transport>,
    /// Products.
    pub catalog: CatalogClient<rpc::Transport>,
    /// Customers.
    pub customers: CustomersClient<rpc::Transport>,
    /// Payments.
    pub payments: PaymentsClient<rpc::Transport>,
    /// Notifications.
    pub notifications: NotificationsClient<rpc::Transport>,
}

/// What an operator may set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Requests being worked on at once. One more is answered 503 with Retry-After.
    pub requests_in_flight_max: usize,
    /// Bulk uploads being worked on at once.
    pub batches_in_flight_max: usize,
    /// The largest body of a single request, in bytes.
    pub body_bytes_max: usize,
    /// How long the next bytes of a body may take, in seconds.
    pub body_timeout_s: u64,
    /// How long a service may take for one call, in seconds, waiting that the caller asks for apart.
    pub call_timeout_s: u64,
    /// The largest bulk upload, in bytes.
    pub batch_bytes_max: usize,
    /// The longest line of a bulk upload, in bytes.
    pub batch_line_bytes_max: usize,
    /// The most lines of a bulk upload.
    pub batch_lines_max: u64,
    /// The currency that amounts of seed clients are in.
    pub default_currency: Currency,
    /// The customer that orders of seed clients without one are for.
    pub seed_customer: String,
    /// Live push.
    pub live: LiveSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // As many as the writer takes in a few group commits.
            requests_in_flight_max: 4_096,
            batches_in_flight_max: 64,
            body_bytes_max: 256 * 1_024,
            body_timeout_s: 30,
            call_timeout_s: 10,
            batch_bytes_max: 50 * 1_024 * 1_024,
            batch_line_bytes_max: 64 * 1_024,
            batch_lines_max: 100_000,
            default_currency: Currency::USD,
            seed_customer: "OMS-Cust-001".to_owned(),
            live: LiveSettings::default(),
        }
    }
}

/// Whether the process can serve.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    /// Everything has been started once.
    pub started: bool,
    /// Requests can be served now.
    pub ready: bool,
    /// The parts, one by one.
    pub parts: Vec<Part>,
}

/// One part of the process, such as the store, a consumer, or a service that it asks.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Whether it works.
    pub ok: bool,
    /// What there is to say about it.
    pub detail: String,
}

/// One process of the system, as far as this one knows.
#[derive(Debug, Clone)]
pub struct Process {
    /// The services that it runs.
    pub services: Vec<String>,
    /// Its version of Millrace; empty if it does not answer.
    pub version: String,
    /// How it is; not started if it does not answer.
    pub readiness: Readiness,
    /// Its metrics but the buckets of histograms, by their names with labels.
    pub metrics: BTreeMap<String, f64>,
}

/// What the process tells about itself. Each hook is called once per request that asks for it.
#[derive(Clone)]
pub struct Hooks {
    /// All metrics in the text format of Prometheus.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Told of every answer but those to probes: its status, and how long it took to begin. Quick.
    pub answered: Arc<dyn Fn(u16, Duration) + Send + Sync>,
    /// Whether everything in this process has begun. Must be quick.
    pub started: Arc<dyn Fn() -> Readiness + Send + Sync>,
    /// Whether the process can serve, with the services that it asks in other processes.
    pub ready: Arc<dyn Fn() -> BoxFuture<'static, Readiness> + Send + Sync>,
    /// Every process of the system, this one first.
    pub processes: Arc<dyn Fn() -> BoxFuture<'static, Vec<Process>> + Send + Sync>,
    /// Runs the auditor and gives its findings.
    pub audit: Arc<dyn Fn() -> BoxFuture<'static, Result<Value, Problem>> + Send + Sync>,
}

/// What every handler works with.
struct Edge {
    services: Services,
    settings: Settings,
    hooks: Hooks,
    live: Live,
    /// The cache before the services, if there is one.
    reads: Option<Arc<Reads>>,
    /// STOMP for everybody who listens.
    stomp: Arc<live::stomp::Server>,
    /// The same through SockJS.
    sockjs: live::sockjs::Sessions,
    /// Slots of bulk uploads.
    batches: Arc<Semaphore>,
    /// One audit at a time: it reads everything.
    audits: Semaphore,
}

impl Edge {
    fn new(
        services: Services,
        settings: Settings,
        hooks: Hooks,
        live: Live,
        reads: Option<Arc<Reads>>,
    ) -> Self {
        let batches = Arc::new(Semaphore::new(settings.batches_in_flight_max));
        let (stomp, sockjs) = live.talkers();
        let audits = Semaphore::new(1);
        Self { services, settings, hooks, live, reads, stomp, sockjs, batches, audits }
    }

    fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.settings.body_timeout_s)
    }

    fn call_timeout(&self) -> Duration {
        Duration::from_secs(self.settings.call_timeout_s)
    }
}

/// All of the HTTP interface; `reads` is the cache that readers are answered from, if there is one.
pub fn router(
    services: Services,
    settings: Settings,
    hooks: Hooks,
    live: Live,
    reads: Option<Arc<Reads>>,
) -> Router {
    http::router(Arc::new(Edge::new(services, settings, hooks, live, reads)))
}

/// Probes and metrics alone: what a process serves over HTTP that runs other services only.
pub fn probes(hooks: Hooks) -> Router {
    http::probes(hooks)
}

/// The OpenAPI 3.1 document of exactly the routes that [`router`] serves.
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::document()
}

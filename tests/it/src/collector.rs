//! A collector of traces: a gRPC server that takes OTLP and keeps what it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::broker::free_address;

/// Longer than the product keeps spans before it tells them, which is 5 s by default.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at what has come.
const LOOK: Duration = Duration::from_millis(50);

/// A step of a trace as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The trace, in hexadecimal digits.
    pub trace: String,
    /// The step itself.
    pub id: String,
    /// The step above it; empty if there is none.
    pub parent: String,
    /// The service that it is of.
    pub service: String,
    /// What was done.
    pub name: String,
    /// What else is said of it.
    pub attributes: BTreeMap<String, String>,
    /// Whether it failed.
    pub has_failed: bool,
    /// When it began and when it ended, in nanoseconds since 1970.
    pub times: (u64, u64),
}

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Step>>>);

impl Told {
    fn steps(&self) -> MutexGuard<'_, Vec<Step>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A collector that runs until it is dropped.
pub struct Collector {
    told: Told,
    address: SocketAddr,
    /// The server ends with this.
    _server: JoinSet<()>,
}

impl Collector {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// If it stops by itself.
    #[must_use]
    pub fn start() -> Self {
        let (told, address) = (Told::default(), free_address());
        let service = TraceServiceServer::new(told.clone());
        let mut server = JoinSet::new();
        server.spawn(async move {
            let ended = Server::builder().add_service(service).serve(address).await;
            ended.expect("the collector can listen");
        });
        Self { told, address, _server: server }
    }

    /// The configuration that tells the product of it.
    #[must_use]
    pub fn config(&self, sampling: &str) -> String {
        format!("[tracing]\notlp = \"http://{}\"\nsampling = {sampling}\n", self.address)
    }

    /// Every step that was told so far.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        self.told.steps().clone()
    }

    /// The steps of `trace`, as soon as `is_whole` says that they are all.
    ///
    /// # Panics
    ///
    /// If they do not come.
    pub async fn trace(&self, trace: &str, is_whole: impl Fn(&[Step]) -> bool) -> Vec<Step> {
        self.when(|step| step.trace == trace, is_whole).await
    }

    /// Every step, as soon as `is_whole` says that they are all.
    ///
    /// # Panics
    ///
    /// If they do not come.
    pub async fn all(&self, is_whole: impl Fn(&[Step]) -> bool) -> Vec<Step> {
        self.when(|_| true, is_whole).await
    }

    async fn when(
        &self,
        is_asked_for: impl Fn(&Step) -> bool,
        is_whole: impl Fn(&[Step]) -> bool,
    ) -> Vec<Step> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut steps = self.steps();
            steps.retain(&is_asked_for);
            if is_whole(&steps) {
                return steps;
            }
            let lines: Vec<_> = steps
                .iter()
                .map(|step| format!("{} {} {} < {}", step.service, step.name, step.id, step.parent))
                .collect();
            assert!(Instant::now() < deadline, "steps are missing:\n{}", lines.join("\n"));
            sleep(LOOK).await;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
    bytes.iter().flat_map(digits).flatten().collect()
}

fn shown(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn named(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|pair| (pair.key, shown(pair.value))).collect()
}

#[tonic::async_trait]
impl TraceService for Told {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_service in request.into_inner().resource_spans {
            let resource = named(of_service.resource.unwrap_or_default().attributes);
            let service = resource.get("service.name").cloned().unwrap_or_default();
            let spans = of_service.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.steps().extend(spans.map(|span| Step {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                service: service.clone(),
                name: span.name,
                attributes: named(span.attributes),
                has_failed: span.status.is_some_and(|status| status.code() == StatusCode::Error),
                times: (span.start_time_unix_nano, span.end_time_unix_nano),
            }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

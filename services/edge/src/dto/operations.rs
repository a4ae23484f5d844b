//! What the process tells about itself, in JSON; and the shape of every refusal.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{Process, Readiness};

/// How the process is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Health {
    /// `ready`, `degraded` (some part does not work, the rest does), `not_ready` or `starting`.
    #[schema(example = "ready")]
    status: &'static str,
    /// The version of Millrace.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The parts, one by one.
    parts: Vec<HealthPart>,
}

/// How one part is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthPart {
    /// Its name.
    #[schema(example = "store")]
    name: String,
    /// Whether it works.
    ok: bool,
    /// What there is to say about it.
    detail: String,
}

impl Health {
    /// What a process that works answers.
    pub(crate) fn sample() -> Self {
        let parts = ["store", "bus"];
        let part =
            |name: &str| HealthPart { name: name.to_owned(), ok: true, detail: String::new() };
        Self {
            status: "ready",
            version: env!("CARGO_PKG_VERSION"),
            parts: parts.map(part).into_iter().collect(),
        }
    }
}

impl From<Readiness> for Health {
    fn from(readiness: Readiness) -> Self {
        let status = status(&readiness);
        Self { status, version: env!("CARGO_PKG_VERSION"), parts: parts(readiness) }
    }
}

fn status(readiness: &Readiness) -> &'static str {
    match (readiness.started, readiness.ready) {
        (false, _) => "starting",
        (true, false) => "not_ready",
        (true, true) if readiness.parts.iter().any(|part| !part.ok) => "degraded",
        (true, true) => "ready",
    }
}

fn parts(readiness: Readiness) -> Vec<HealthPart> {
    let part = |part: crate::Part| HealthPart { name: part.name, ok: part.ok, detail: part.detail };
    readiness.parts.into_iter().map(part).collect()
}

/// The status of a process that does not answer.
const UNREACHABLE: &str = "unreachable";

/// How the whole system is, as the edge that is asked knows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SystemHealth {
    /// How the edge that answers is: `ready`, `degraded`, `not_ready` or `starting`.
    #[schema(example = "ready")]
    status: &'static str,
    /// Its version of Millrace.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Its parts, and the services that it asks, one by one.
    parts: Vec<HealthPart>,
    /// Every process, the one that answers first.
    processes: Vec<ProcessHealth>,
}

/// How one process is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProcessHealth {
    /// The services that it runs.
    services: Vec<String>,
    /// `ready`, `degraded`, `not_ready`, `starting`, or `unreachable`.
    #[schema(example = "ready")]
    status: &'static str,
    /// Its version of Millrace; empty if it does not answer.
    #[schema(example = "0.1.0")]
    version: String,
    /// Its parts, one by one.
    parts: Vec<HealthPart>,
    /// Its metrics but the buckets of histograms, by their names with labels.
    metrics: BTreeMap<String, f64>,
}

impl SystemHealth {
    /// What `/api/v1/health` answers.
    pub(crate) fn new(readiness: Readiness, processes: Vec<Process>) -> Self {
        let process = |process: Process| ProcessHealth {
            status: if process.version.is_empty() {
                UNREACHABLE
            } else {
                status(&process.readiness)
            },
            services: process.services,
            version: process.version,
            parts: parts(process.readiness),
            metrics: process.metrics,
        };
        let Health { status, version, parts } = readiness.into();
        Self { status, version, parts, processes: processes.into_iter().map(process).collect() }
    }

    /// What a process that works alone answers.
    pub(crate) fn sample() -> Self {
        let Health { status, version, parts } = Health::sample();
        let alone = ProcessHealth {
            services: vec!["edge".to_owned(), "order".to_owned()],
            status,
            version: version.to_owned(),
            parts: Health::sample().parts,
            metrics: BTreeMap::from([("millrace_orders_open".to_owned(), 3.0)]),
        };
        Self { status, version, parts, processes: vec![alone] }
    }
}

/// A refusal, as RFC 9457 describes it. Further members depend on the type, such as
/// `currentVersion` or `nextActions`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub(crate) struct ProblemDetails {
    /// The stable name of the kind of problem, `/problems/<slug>`.
    #[schema(example = "/problems/total-mismatch")]
    r#type: String,
    /// What this kind of problem is.
    #[schema(example = "The total does not match")]
    title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// What happened this time, and the cure.
    #[schema(example = "the total is 2599.98 USD by the catalog, not 2599.99 USD")]
    detail: String,
    /// The path of the request.
    #[schema(example = "/api/v1/orders")]
    instance: String,
    /// The id of the request, as `X-Request-Id`.
    #[schema(example = "5f1c0c6e5a4d7b21")]
    request_id: String,
    /// The fields at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldError>>,
}

/// A field that cannot be accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// A JSON Pointer into the body, or `?name` for a parameter of the query.
    #[schema(example = "/total/amount")]
    pointer: String,
    /// A stable word for programs.
    #[schema(example = "total-mismatch")]
    code: String,
    /// A sentence for people, with the cure.
    #[schema(example = "send 2599.98, or leave the total out")]
    detail: String,
}

/// What the auditor found: an object with a member for each invariant that it checked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(value_type = Object)]
pub(crate) struct AuditReport(Value);

impl AuditReport {
    /// The report that says `findings`.
    pub(crate) const fn new(findings: Value) -> Self {
        Self(findings)
    }
}

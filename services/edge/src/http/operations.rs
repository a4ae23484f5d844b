//! For operators: the health of each part, and the auditor.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use contracts::Problem;
use serde_json::json;

use super::{Route, get, post};
use crate::Edge;
use crate::dto::operations::{AuditReport, SystemHealth};
use crate::error::Refusal;
use crate::json;
use crate::openapi::{Tag, operation};

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/v1/health",
            health,
            operation(
                Tag::Operations,
                "getHealth",
                "Show how each process and part is",
                "Always 200. Services in processes of their own are asked, each for at most a second.",
            )
            .answers(200, "The processes and their parts.", &SystemHealth::sample()),
        ),
        post(
            "/api/v1/audit",
            audit,
            operation(
                Tag::Operations,
                "audit",
                "Check every invariant",
                "Reads everything that is stored, and changes nothing. One at a time. Services with \
                 stores of their own check each their own; what they say of each other is compared by \
                 `millrace audit --config FILE` alone, and `partial` is true.",
            )
            .answers(200, "The findings.", &AuditReport::new(json!({"violations": []})))
            .refuses(&["too-many-requests", "unavailable", "timeout"]),
        ),
    ]
}

async fn health(State(edge): State<Arc<Edge>>) -> Result<Response, Refusal> {
    let (readiness, processes) = tokio::join!((edge.hooks.ready)(), (edge.hooks.processes)());
    json::answer(StatusCode::OK, &SystemHealth::new(readiness, processes))
}

async fn audit(State(edge): State<Arc<Edge>>) -> Result<Response, Refusal> {
    let Ok(_turn) = edge.audits.try_acquire() else {
        let detail = "an audit is running already: wait for it to end";
        return Err(Problem::too_many_requests(detail).into());
    };
    let findings = (edge.hooks.audit)().await?;
    json::answer(StatusCode::OK, &AuditReport::new(findings))
}

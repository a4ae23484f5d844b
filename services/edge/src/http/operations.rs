//! For operators: the health of each part, and the auditor.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use contracts::Problem;
use serde_json::json;

use super::{Route, get, post};
use crate::Edge;
use crate::dto::operations::{AuditReport, Health};
use crate::error::Refusal;
use crate::json;
use crate::openapi::{Tag, operation};

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/v1/health",
            health,
            operation(Tag::Operations, "getHealth", "Show how each part is", "Always 200.")
                .answers(200, "The parts.", &Health::sample()),
        ),
        post(
            "/api/v1/audit",
            audit,
            operation(
                Tag::Operations,
                "audit",
                "Check every invariant",
                "Reads everything that is stored, and changes nothing. One at a time.",
            )
            .answers(200, "The findings.", &AuditReport::new(json!({"violations": []})))
            .refuses(&["too-many-requests"]),
        ),
    ]
}

async fn health(State(edge): State<Arc<Edge>>) -> Result<Response, Refusal> {
    json::answer(StatusCode::OK, &Health::from((edge.hooks.ready)()))
}

async fn audit(State(edge): State<Arc<Edge>>) -> Result<Response, Refusal> {
    let Ok(_turn) = edge.audits.try_acquire() else {
        let detail = "an audit is running already: wait for it to end";
        return Err(Problem::too_many_requests(detail).into());
    };
    let findings = (edge.hooks.audit)().await;
    json::answer(StatusCode::OK, &AuditReport::new(findings))
}

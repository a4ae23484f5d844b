//! Probes and metrics, at the paths where orchestrators look for them.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing;

use super::{Route, get};
use crate::dto::operations::Health;
use crate::error::Refusal;
use crate::json;
use crate::openapi::{Tag, operation};
use crate::{Edge, Hooks};

/// What scrapers of Prometheus' text format expect.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    let sample = Health::sample();
    let probe = |id, summary, text| operation(Tag::Operations, id, summary, text);
    vec![
        get(
            "/livez",
            alive,
            probe("getLive", "Is the process alive?", "Restart it if this is not answered.")
                .shows("text/plain", "It is."),
        ),
        get(
            "/readyz",
            ready,
            probe(
                "getReady",
                "Can requests be served?",
                "Send it none while this is 503. `degraded` is 200: what can be served is served.",
            )
            .answers(200, "They can.", &sample)
            .answers(503, "They cannot.", &sample),
        ),
        get(
            "/startupz",
            started,
            probe("getStarted", "Has everything been started?", "Migrations included.")
                .answers(200, "It has.", &sample)
                .answers(503, "Not yet.", &sample),
        ),
        get(
            "/metrics",
            metrics,
            probe("getMetrics", "Show all metrics", "In the text format that Prometheus reads.")
                .shows("application/openmetrics-text", "The metrics."),
        ),
    ]
}

async fn alive() -> &'static str {
    "ok\n"
}

/// The same without the edge: what a process serves that runs other services only.
pub(crate) fn probes(hooks: Hooks) -> Router {
    Router::new()
        .route("/livez", routing::get(alive))
        .route(
            "/readyz",
            routing::get(|State(hooks): State<Hooks>| async move { is_ready(&hooks).await }),
        )
        .route(
            "/startupz",
            routing::get(|State(hooks): State<Hooks>| async move { has_started(&hooks) }),
        )
        .route("/metrics", routing::get(|State(hooks): State<Hooks>| async move { shown(&hooks) }))
        .with_state(hooks)
}

async fn ready(State(edge): State<Arc<Edge>>) -> Result<Response, Refusal> {
    is_ready(&edge.hooks).await
}

async fn started(State(edge): State<Arc<Edge>>) -> Result<Response, Refusal> {
    has_started(&edge.hooks)
}

async fn metrics(State(edge): State<Arc<Edge>>) -> Response {
    shown(&edge.hooks)
}

async fn is_ready(hooks: &Hooks) -> Result<Response, Refusal> {
    let readiness = (hooks.ready)().await;
    let is_ready = readiness.started && readiness.ready;
    json::answer(status(is_ready), &Health::from(readiness))
}

fn has_started(hooks: &Hooks) -> Result<Response, Refusal> {
    let readiness = (hooks.started)();
    json::answer(status(readiness.started), &Health::from(readiness))
}

const fn status(is_good: bool) -> StatusCode {
    if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn shown(hooks: &Hooks) -> Response {
    let text = (hooks.metrics)();
    ([(CONTENT_TYPE, HeaderValue::from_static(METRICS))], text).into_response()
}

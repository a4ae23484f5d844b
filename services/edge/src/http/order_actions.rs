//! What people ask of an order after it is placed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use contracts::Problem;
use contracts_grpc::v1;
use serde_json::json;

use super::calls::{call, present};
use super::paths::OrderPath;
use super::{Route, orders, post};
use crate::Edge;
use crate::conditional::{self, IfMatch};
use crate::dto::order_requests::{Cancel, Decide, Hold, Settle, Ship, line_quantities};
use crate::dto::orders::{Dispatched, Order, Shipment};
use crate::dto::samples;
use crate::dto::words::Word as _;
use crate::error::Refusal;
use crate::idempotency::{self, Key};
use crate::json::{self, Json, OptionalJson};
use crate::openapi::{AnswerHeader, Described, Tag, operation};

const AFTERWARDS: &str = "The order afterwards.";

fn action(id: &'static str, summary: &'static str, text: &'static str) -> Described {
    operation(Tag::Orders, id, summary, text)
        .guarded()
        .says(AnswerHeader::ETag)
        .refuses(&["illegal-transition"])
}

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    let order = samples::order();
    let shipment = samples::shipment();
    let shipped =
        Dispatched { order: Order::from(&order), shipment: Some(Shipment::from(&shipment)) };
    let order = Order::from(&order);
    let reason = "ordered by mistake";
    vec![
        post(
            "/api/v1/orders/{orderId}/cancel",
            cancel,
            action(
                "cancelOrder",
                "Cancel an order or part of it",
                "Any time before dispatch. Stock and money go back, each once.",
            )
            .body::<Cancel>(json!({"reason": reason}))
            .answers(200, AFTERWARDS, &order),
        ),
        post(
            "/api/v1/orders/{orderId}/decision",
            decide,
            action(
                "decideOrder",
                "Decide about an order of which only a part is in stock",
                "`accept` goes on with what there is, `amend` with the given quantities, `cancel` \
                 not at all.",
            )
            .body::<Decide>(json!({"action": "accept"}))
            .answers(200, AFTERWARDS, &order),
        ),
        post(
            "/api/v1/orders/{orderId}/shipments",
            ship,
            action(
                "createShipment",
                "Dispatch units of an order",
                "All that is allocated, or some.",
            )
            .optional_body::<Ship>(json!({"carrier": "DHL", "tracking": "JD014600003RU"}))
            .answers(201, "The shipment, and the order afterwards.", &shipped),
        ),
        post(
            "/api/v1/orders/{orderId}/hold",
            hold,
            action("holdOrder", "Stop an order where it is", "")
                .body::<Hold>(json!({"reason": "address to be checked"}))
                .answers(200, AFTERWARDS, &order),
        ),
        post(
            "/api/v1/orders/{orderId}/resume",
            resume,
            action("resumeOrder", "Let a held order go on", "It goes on where it stopped.")
                .answers(200, AFTERWARDS, &order),
        ),
        post(
            "/api/v1/orders/{orderId}/attention",
            settle,
            action(
                "resolveAttention",
                "Settle an order that cannot go on by itself",
                "`retry` tries the step again, `skip` leaves it out, `force` takes it as done.",
            )
            .body::<Settle>(json!({"action": "retry", "reason": "the provider is back"}))
            .answers(200, AFTERWARDS, &order),
        ),
    ]
}

/// A reason for people has to be one.
fn reason(text: String) -> Result<String, Refusal> {
    if text.trim().is_empty() {
        let detail = "say why: the reason is kept with the order";
        return Err(Problem::field("/reason", "missing", detail).into());
    }
    Ok(text)
}

fn afterwards(order: Option<v1::Order>, replayed: bool) -> Result<Response, Refusal> {
    let order = present(order, "the order")?;
    let mut response = orders::shown(StatusCode::OK, &order)?;
    idempotency::mark(&mut response, replayed);
    Ok(response)
}

async fn cancel(
    State(edge): State<Arc<Edge>>,
    OrderPath(order_id): OrderPath,
    Key(idempotency_key): Key,
    IfMatch(expected_version): IfMatch,
    Json(body): Json<Cancel>,
) -> Result<Response, Refusal> {
    let request = v1::CancelOrderRequest {
        idempotency_key,
        order_id,
        expected_version,
        lines: line_quantities(body.lines),
        reason: reason(body.reason)?,
    };
    let mut orders = edge.services.orders.clone();
    let answer = call(&edge, orders.cancel_order(request)).await?;
    afterwards(answer.order, answer.replayed)
}

async fn decide(
    State(edge): State<Arc<Edge>>,
    OrderPath(order_id): OrderPath,
    Key(idempotency_key): Key,
    IfMatch(expected_version): IfMatch,
    Json(body): Json<Decide>,
) -> Result<Response, Refusal> {
    let request = v1::DecideOrderRequest {
        idempotency_key,
        order_id,
        expected_version,
        decision: body.action.number(),
        lines: line_quantities(body.lines),
        reason: body.reason.unwrap_or_default(),
    };
    let mut orders = edge.services.orders.clone();
    let answer = call(&edge, orders.decide_order(request)).await?;
    afterwards(answer.order, answer.replayed)
}

async fn ship(
    State(edge): State<Arc<Edge>>,
    OrderPath(order_id): OrderPath,
    Key(idempotency_key): Key,
    IfMatch(expected_version): IfMatch,
    OptionalJson(body): OptionalJson<Ship>,
) -> Result<Response, Refusal> {
    let request = v1::CreateShipmentRequest {
        idempotency_key,
        order_id,
        expected_version,
        lines: line_quantities(body.lines),
        carrier: body.carrier.unwrap_or_default(),
        tracking: body.tracking.unwrap_or_default(),
    };
    let mut orders = edge.services.orders.clone();
    let answer = call(&edge, orders.create_shipment(request)).await?;
    let order = present(answer.order, "the order")?;
    let shipment = answer.shipment.as_ref().map(Shipment::from);
    let shipped = Dispatched { order: Order::from(&order), shipment };
    let mut response = json::answer(StatusCode::CREATED, &shipped)?;
    conditional::tag(&mut response, order.version);
    idempotency::mark(&mut response, answer.replayed);
    Ok(response)
}

async fn hold(
    State(edge): State<Arc<Edge>>,
    OrderPath(order_id): OrderPath,
    Key(idempotency_key): Key,
    IfMatch(expected_version): IfMatch,
    Json(body): Json<Hold>,
) -> Result<Response, Refusal> {
    let reason = reason(body.reason)?;
    let request = v1::HoldOrderRequest { idempotency_key, order_id, expected_version, reason };
    let mut orders = edge.services.orders.clone();
    let answer = call(&edge, orders.hold_order(request)).await?;
    afterwards(answer.order, answer.replayed)
}

async fn resume(
    State(edge): State<Arc<Edge>>,
    OrderPath(order_id): OrderPath,
    Key(idempotency_key): Key,
    IfMatch(expected_version): IfMatch,
) -> Result<Response, Refusal> {
    let request = v1::ResumeOrderRequest { idempotency_key, order_id, expected_version };
    let mut orders = edge.services.orders.clone();
    let answer = call(&edge, orders.resume_order(request)).await?;
    afterwards(answer.order, answer.replayed)
}

async fn settle(
    State(edge): State<Arc<Edge>>,
    OrderPath(order_id): OrderPath,
    Key(idempotency_key): Key,
    IfMatch(expected_version): IfMatch,
    Json(body): Json<Settle>,
) -> Result<Response, Refusal> {
    let request = v1::ResolveAttentionRequest {
        idempotency_key,
        order_id,
        expected_version,
        action: body.action.number(),
        reason: reason(body.reason)?,
    };
    let mut orders = edge.services.orders.clone();
    let answer = call(&edge, orders.resolve_attention(request)).await?;
    afterwards(answer.order, answer.replayed)
}

//! Placing orders and looking at them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use contracts_grpc::v1;
use serde_json::json;

use super::calls::{call, call_within, present};
use super::paths::OrderPath;
use super::{Route, bulk, get, post};
use crate::Edge;
use crate::conditional::{self, IfNoneMatch};
use crate::dto::order_requests::{BulkOrder, NewOrder};
use crate::dto::orders::{Order, Summary, TimelineEntry, Transitions, Verdict};
use crate::dto::samples;
use crate::dto::words::{OrderStatus, TimeSort, Word as _};
use crate::error::Refusal;
use crate::idempotency::{self, Key};
use crate::json::{self, Json};
use crate::openapi::{AnswerHeader, HeaderUse, Tag, operation};
use crate::paging::{Kind, Param, RawQuery};
use crate::prefer::Wait;

const LIST: &[Param] = &[
    Param::new("status", Kind::Words(OrderStatus::words), "Orders in any of these states."),
    Param::new("customer", Kind::Text, "Orders of this customer."),
    Param::new("sku", Kind::Text, "Orders with this SKU on a line."),
    Param::new("from", Kind::Time, "Orders placed at this time or later."),
    Param::new("to", Kind::Time, "Orders placed before this time."),
    Param::new("q", Kind::Text, "Orders whose number, id, customer or SKU begins with this."),
    Param::new("channel", Kind::Text, "Orders that came from here."),
    Param::new("needs_attention", Kind::Flag, "`true` for those that cannot go on by themselves."),
    Param::new("overdue", Kind::Flag, "`true` for those whose deadline has passed."),
    Param::new("sort", Kind::Word(TimeSort::words), "By the time of placement, `newest` first."),
    Param::LIMIT,
    Param::CURSOR,
];

const PAGE: &[Param] = &[Param::LIMIT, Param::CURSOR];

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    let order = samples::order();
    let line = json!({"customerId": "OMS-Cust-001", "lines": [{"sku": "item1", "quantity": 1}]});
    let mut routes =
        vec![
        post(
            "/api/v1/orders",
            place,
            operation(
                Tag::Orders,
                "placeOrder",
                "Place an order",
                "Stores the order; the customer, the stock and the payment are checked afterwards. \
                 With `Prefer: wait=N` the answer is 200 with the outcome if there is one in time.",
            )
            .idempotent()
            .reads(HeaderUse::PreferWait)
            .body::<NewOrder>(json!({
                "customerId": "OMS-Cust-001",
                "lines": [{"sku": "item1", "quantity": 1}, {"sku": "item2", "quantity": 1}],
                "total": {"amount": "2599.99", "currency": "USD"},
                "payment": {"method": "simulated", "token": "approve"},
            }))
            .answers(202, "The order is stored and goes on by itself.", &Order::from(&order))
            .answers(200, "The caller waited, and the order is settled.", &Order::from(&order))
            .says(AnswerHeader::Location)
            .says(AnswerHeader::ETag)
            .refuses(&["total-mismatch"]),
        ),
        post(
            "/api/v1/orders:batch",
            bulk::place,
            operation(
                Tag::Orders,
                "placeOrders",
                "Place many orders",
                "NDJSON in, NDJSON out: one verdict for each line, in their sequence, while the \
                 upload goes on. A line that is refused changes nothing for the others. At most \
                 100,000 lines, 64 KiB each, 50 MiB in all. With an Idempotency-Key each line has \
                 the key `<key>:<line>`, unless it brings its own as `idempotencyKey`.",
            )
            .idempotent()
            .lines_body::<BulkOrder>(&format!("{line}\n{line}\n"))
            .lines("One verdict for each line.", &verdicts(&order)),
        ),
        get(
            "/api/v1/orders",
            list,
            operation(Tag::Orders, "listOrders", "List orders", "Filters narrow the list together.")
                .query(LIST)
                .pages("A page of orders.", &Order::from(&order)),
        ),
    ];
    routes.extend(views(&order));
    routes
}

fn verdicts(order: &v1::Order) -> [Verdict<'_>; 2] {
    let refused = json!({"type": "/problems/malformed-request", "status": 400});
    let stored = Verdict {
        line: 1,
        status: 202,
        order_id: Some(&order.order_id),
        number: Some(order.number),
        replayed: false,
        problem: None,
    };
    let refused = Verdict {
        line: 2,
        status: 400,
        order_id: None,
        number: None,
        replayed: false,
        problem: Some(refused),
    };
    [stored, refused]
}

fn views(order: &v1::Order) -> Vec<Route> {
    vec![
        get(
            "/api/v1/orders/summary",
            summary,
            operation(Tag::Orders, "getSummary", "Count orders by state", "").answers(
                200,
                "The counts.",
                &Summary::from(&samples::summary()),
            ),
        ),
        get(
            "/api/v1/orders/transitions",
            transitions,
            operation(
                Tag::Orders,
                "getTransitions",
                "Show the state machine of orders",
                "Every legal move as data; what is not listed is refused.",
            )
            .answers(200, "The table.", &Transitions::from(&samples::transitions())),
        ),
        get(
            "/api/v1/orders/{orderId}",
            show,
            operation(
                Tag::Orders,
                "getOrder",
                "Show an order",
                "With `Prefer: wait=N` the answer waits until the order is settled.",
            )
            .reads(HeaderUse::PreferWait)
            .reads(HeaderUse::IfNoneMatch)
            .answers(200, "The order.", &Order::from(order))
            .says_nothing(304, "Nothing has changed.")
            .says(AnswerHeader::ETag),
        ),
        get(
            "/api/v1/orders/{orderId}/timeline",
            timeline,
            operation(
                Tag::Orders,
                "getTimeline",
                "Show what happened to an order",
                "Oldest first.",
            )
            .query(PAGE)
            .pages("The steps.", &TimelineEntry::from(&samples::timeline_entry())),
        ),
    ]
}

async fn place(
    State(edge): State<Arc<Edge>>,
    Key(key): Key,
    wait: Wait,
    Json(order): Json<NewOrder>,
) -> Result<Response, Refusal> {
    let request = order.request(key, wait.millis())?;
    place_one(&edge, wait, request).await
}

/// Places an order and answers as every door does.
pub(super) async fn place_one(
    edge: &Edge,
    wait: Wait,
    request: v1::PlaceOrderRequest,
) -> Result<Response, Refusal> {
    let mut orders = edge.services.orders.clone();
    let placed = call_within(edge, wait.span(), orders.place_order(request)).await?;
    let order = present(placed.order, "the order")?;
    edge.shows(std::slice::from_ref(&order)).await;
    let is_outcome = wait.is_wanted() && OrderStatus::of(order.status).is_settled();
    let status = if is_outcome { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut response = shown(status, &order)?;
    if let Ok(location) = HeaderValue::try_from(format!("/api/v1/orders/{}", order.order_id)) {
        response.headers_mut().insert(LOCATION, location);
    }
    wait.mark(&mut response);
    idempotency::mark(&mut response, placed.replayed);
    Ok(response)
}

/// Answers with an order and its version.
pub(super) fn shown(status: StatusCode, order: &v1::Order) -> Result<Response, Refusal> {
    let mut response = json::answer(status, &Order::from(order))?;
    conditional::tag(&mut response, order.version);
    Ok(response)
}

async fn list(State(edge): State<Arc<Edge>>, query: RawQuery) -> Result<Response, Refusal> {
    let query = query.read(LIST)?;
    let request = v1::ListOrdersRequest {
        cursor: query.cursor()?,
        limit: query.limit()?,
        statuses: query.words::<OrderStatus>("status")?,
        customer_id: query.text("customer"),
        sku: query.text("sku"),
        placed_from: query.time("from")?,
        placed_to: query.time("to")?,
        query: query.text("q"),
        sort: query.word::<TimeSort>("sort")?,
        needs_attention: query.flag("needs_attention")?.unwrap_or_default(),
        overdue: query.flag("overdue")?.unwrap_or_default(),
        channel: query.text("channel"),
    };
    let mut orders = edge.services.orders.clone();
    let page = call(&edge, orders.list_orders(request)).await?;
    edge.shows(&page.orders).await;
    query.page(page.orders.iter().map(Order::from).collect(), &page.next_cursor)
}

async fn summary(State(edge): State<Arc<Edge>>) -> Result<Response, Refusal> {
    let mut orders = edge.services.orders.clone();
    let summary = call(&edge, orders.get_summary(v1::GetSummaryRequest {})).await?;
    json::answer(StatusCode::OK, &Summary::from(&summary))
}

async fn transitions(State(edge): State<Arc<Edge>>) -> Result<Response, Refusal> {
    let mut orders = edge.services.orders.clone();
    let table = call(&edge, orders.get_transition_table(v1::GetTransitionTableRequest {})).await?;
    json::answer(StatusCode::OK, &Transitions::from(&table))
}

async fn show(
    State(edge): State<Arc<Edge>>,
    OrderPath(order_id): OrderPath,
    wait: Wait,
    seen: IfNoneMatch,
) -> Result<Response, Refusal> {
    let request = v1::GetOrderRequest { order_id: order_id.clone(), wait_ms: wait.millis() };
    let mut orders = edge.services.orders.clone();
    let ask = async {
        let answer = call_within(&edge, wait.span(), orders.get_order(request)).await?;
        edge.shows(answer.order.as_slice()).await;
        Ok(answer)
    };
    let answer =
        if wait.is_wanted() { ask.await? } else { edge.read_order(&order_id, ask).await? };
    let order = present(answer.order, "the order")?;
    let mut response = if seen.has_seen(order.version) {
        conditional::not_modified(order.version)
    } else {
        shown(StatusCode::OK, &order)?
    };
    wait.mark(&mut response);
    Ok(response)
}

async fn timeline(
    State(edge): State<Arc<Edge>>,
    OrderPath(order_id): OrderPath,
    query: RawQuery,
) -> Result<Response, Refusal> {
    let query = query.read(PAGE)?;
    let request =
        v1::GetTimelineRequest { order_id, cursor: query.cursor()?, limit: query.limit()? };
    let mut orders = edge.services.orders.clone();
    let page = call(&edge, orders.get_timeline(request)).await?;
    query.page(page.entries.iter().map(TimelineEntry::from).collect(), &page.next_cursor)
}

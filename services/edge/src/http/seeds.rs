//! The doors of the seeds: their paths and shapes, our orders.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use contracts_grpc::v1;
use serde_json::json;

use super::calls::call;
use super::orders::place_one;
use super::{Route, get, post};
use crate::Edge;
use crate::dto::orders::Order;
use crate::dto::samples;
use crate::dto::seeds::{ListedOrder, SeedOrder, in_shape};
use crate::error::Refusal;
use crate::idempotency::Key;
use crate::json::{self, Json};
use crate::openapi::{AnswerHeader, Described, HeaderUse, Tag, operation};
use crate::paging::{LIMIT_MAX, Param, RawQuery};
use crate::prefer::Wait;

const LIST: &[Param] = &[Param::LIMIT, Param::CURSOR];

fn placing(id: &'static str) -> Described {
    let order = samples::order();
    operation(
        Tag::Seeds,
        id,
        "Place an order in a seed's shape",
        "Takes `customerId`, `totalAmount` and `productIds`, where an id that is repeated counts as \
         often; or `product` and `quantity`. Answers like `POST /api/v1/orders`.",
    )
    .idempotent()
    .reads(HeaderUse::PreferWait)
    .body::<SeedOrder>(json!({
        "customerId": "OMS-Cust-001",
        "totalAmount": 2599.99,
        "productIds": ["item1", "item2"],
    }))
    .answers(202, "The order is stored and goes on by itself.", &Order::from(&order))
    .answers(200, "The caller waited, and the order is settled.", &Order::from(&order))
    .says(AnswerHeader::Location)
    .says(AnswerHeader::ETag)
    .refuses(&["total-mismatch"])
}

fn listing(id: &'static str) -> Option<Described> {
    let order = samples::order();
    let listed = ListedOrder::try_new(&order).ok()?;
    let described = operation(
        Tag::Seeds,
        id,
        "List orders in a seed's shape",
        "The newest 200 unless `limit` says otherwise; `Link` leads to the next.",
    );
    Some(described.query(LIST).lists("The orders.", &listed))
}

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        post("/orders", place, placing("placeSeedOrder")),
        post("/api/orders", place, placing("placeSeedOrderUnderApi")),
    ];
    let lists = [("/orders", "listSeedOrders"), ("/api/orders", "listSeedOrdersUnderApi")];
    for (path, id) in lists {
        routes.extend(listing(id).map(|described| get(path, list, described)));
    }
    routes
}

async fn place(
    State(edge): State<Arc<Edge>>,
    Key(key): Key,
    wait: Wait,
    Json(order): Json<SeedOrder>,
) -> Result<Response, Refusal> {
    let settings = &edge.settings;
    let (request, shape) =
        order.request(&settings.seed_customer, settings.default_currency, key, wait.millis())?;
    place_one(&edge, wait, request).await.map_err(|refusal| in_shape(refusal, shape))
}

async fn list(State(edge): State<Arc<Edge>>, query: RawQuery) -> Result<Response, Refusal> {
    let query = query.read(LIST)?;
    // The original answers everything it has; a page is as near as a bounded answer comes.
    let limit = if query.text("limit").is_empty() { LIMIT_MAX } else { query.limit()? };
    let request = v1::ListOrdersRequest {
        cursor: query.cursor()?,
        limit,
        ..v1::ListOrdersRequest::default()
    };
    let mut orders = edge.services.orders.clone();
    let page = call(&edge, orders.list_orders(request)).await?;
    let listed: Result<Vec<_>, _> = page.orders.iter().map(ListedOrder::try_new).collect();
    let mut response = json::answer_of(StatusCode::OK, &listed?, page.orders.len() * 256)?;
    query.link_next(&mut response, &page.next_cursor);
    Ok(response)
}

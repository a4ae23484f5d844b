//! Streams of server-sent events, and the overview that goes with them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use contracts::{OrderId, Problem, Sku};
use contracts_grpc::v1;
use live::hub::{Channel, Client, Interest, Protocol, Reason, Seat};
use live::sse::{self, LAST_EVENT_ID};
use serde::Serialize;
use smol_str::SmolStr;

use super::calls::call;
use super::{Route, get};
use crate::Edge;
use crate::dto::orders::Order;
use crate::dto::stock::StockLevel;
use crate::error::Refusal;
use crate::json;
use crate::openapi::{Described, Tag, operation};
use crate::paging::{Kind, LIMIT_MAX, Param, Query, RawQuery};
use crate::problem::malformed_parameter;
use crate::push::overview::OverviewReport;
use crate::push::{ORDERS, SEED, STOCK};

/// Things that one stream may be limited to.
const CHOSEN_MAX: usize = 200;
/// Orders that a stream begins with.
const ORDERS_FIRST: u32 = 50;

const FROM: Param = Param::new(
    "lastEventId",
    Kind::Text,
    "Where to go on: the `id` of the last event that was seen. Browsers send it as a header when they \
     come back by themselves.",
);
const SNAPSHOT: Param = Param::new(
    "snapshot",
    Kind::Flag,
    "`false` to begin with what happens next, without what there is.",
);

const STOCK_STREAM: &[Param] =
    &[Param::new("sku", Kind::Texts, "Only these SKUs, at most 200; repeated."), SNAPSHOT, FROM];
const ORDER_STREAM: &[Param] = &[
    Param::new("order", Kind::Texts, "Only these orders, at most 200; repeated."),
    SNAPSHOT,
    FROM,
];
const SEED_STREAM: &[Param] = &[FROM];

fn stream(tag: Tag, id: &'static str, summary: &'static str, text: &'static str) -> Described {
    operation(tag, id, summary, text)
        .shows("text/event-stream", "Events, until either side ends it.")
}

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    let overview = OverviewReport::sample();
    vec![
        get(
            "/api/v1/stock/stream",
            stock,
            stream(
                Tag::Stock,
                "streamStock",
                "Follow the stock",
                "Server-sent events: `snapshot` (a page of levels as the list shows them), `ready`, then \
                 `stock` for each level that changed. `reset` says that something was missed: load \
                 anew and go on. `bye` says when to come back.",
            )
            .query(STOCK_STREAM),
        ),
        get(
            "/api/v1/orders/stream",
            orders,
            stream(
                Tag::Orders,
                "streamOrders",
                "Follow orders",
                "Server-sent events: `snapshot` (the newest 50, or those asked for), `ready`, then \
                 `order` with what changed of an order: what is absent did not change, and an event \
                 whose `updatedAt` is before what is known is to be left aside. `reset` and `bye` as \
                 with the stock.",
            )
            .query(ORDER_STREAM),
        ),
        get(
            "/order-events",
            seed,
            stream(
                Tag::Seeds,
                "streamSeedEvents",
                "Follow the stock in a seed's shape",
                "Server-sent events named `stock-update` with `orderId`, `product` and `stock`.",
            )
            .query(SEED_STREAM),
        ),
        get(
            "/api/v1/overview",
            show_overview,
            operation(
                Tag::Operations,
                "getOverview",
                "Show the shop at a glance",
                "Counts, rates and times of the last two minutes, and what needs somebody.",
            )
            .answers(200, "The shop.", &overview),
        ),
    ]
}

/// A stream that is being opened.
struct Opening<'e> {
    edge: &'e Edge,
    seat: Seat,
    client: Client,
    wants_snapshot: bool,
    first: Vec<Bytes>,
}

#[derive(Serialize)]
struct Items<T> {
    items: Vec<T>,
}

impl<'e> Opening<'e> {
    fn new(edge: &'e Edge, interest: Interest, query: &Query) -> Result<Self, Refusal> {
        let wants_snapshot = query.flag("snapshot")?.unwrap_or(true);
        let (seat, client) = (seat(edge)?, edge.live.hub.listen(interest));
        Ok(Self { edge, seat, client, wants_snapshot, first: Vec::new() })
    }

    /// Goes on where the client had stood, if it says where: then it needs no snapshot.
    async fn resume(&mut self, headers: &HeaderMap, query: &Query) {
        let header = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
        let asked = query.text("lastEventId");
        let Some(id) = header.or(Some(asked.as_str())).filter(|id| !id.is_empty()) else { return };
        self.wants_snapshot = false;
        let position = sse::parse_id(id);
        let has_resumed = match position {
            Some(position) => self.edge.live.resume(&mut self.client, position).await,
            None => false,
        };
        if !has_resumed {
            self.reset(Reason::Expired);
        }
    }

    fn reset(&mut self, reason: Reason) {
        self.client.was_reset();
        self.first.push(sse::reset(reason));
    }

    /// Says what there is; `None` if that could not be read.
    fn begin(&mut self, snapshot: Option<Vec<Bytes>>) {
        match snapshot {
            Some(frames) => self.first.extend(frames),
            None => self.reset(Reason::Snapshot),
        }
    }

    fn answer(mut self) -> Response {
        self.first.push(sse::event_at("ready", "{}", self.client.told()));
        self.edge.live.streamed((self.seat, self.client), self.first)
    }
}

fn seat(edge: &Edge) -> Result<Seat, Refusal> {
    edge.live.hub.seat(Protocol::Sse).map_err(|full| {
        let detail = format!("{full}; come back in a moment, or ask an operator for more room");
        Problem::overloaded(detail).into()
    })
}

fn interest(channel: Channel, keys: &[String]) -> Interest {
    Interest::keys(channel, keys.iter().map(SmolStr::from).collect())
}

/// The values of `name`, each of which must be what `check` accepts.
fn chosen<T, E: std::fmt::Display>(
    query: &Query,
    name: &'static str,
    check: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<String>, Refusal>
where
    T: std::fmt::Display,
{
    let given = query.texts(name);
    if given.len() > CHOSEN_MAX {
        let detail = format!("at most {CHOSEN_MAX} of `{name}`, not {}", given.len());
        return Err(malformed_parameter(name, "out-of-range", detail));
    }
    let checked = given.iter().map(|text| check(text).map(|checked| checked.to_string()));
    let checked: Result<Vec<_>, _> = checked.collect();
    checked.map_err(|cause| malformed_parameter(name, "wrong-type", cause.to_string()))
}

async fn stock(
    State(edge): State<Arc<Edge>>,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let query = query.read(STOCK_STREAM)?;
    let skus = chosen(&query, "sku", Sku::try_new)?;
    let mut opening = Opening::new(&edge, interest(STOCK, &skus), &query)?;
    opening.resume(&headers, &query).await;
    if opening.wants_snapshot {
        let at = (STOCK, opening.client.place());
        let snapshot = if skus.is_empty() {
            edge.live.snapshots.at(at, stock_now(&edge, &skus)).await
        } else {
            stock_now(&edge, &skus).await
        };
        opening.begin(snapshot);
    }
    Ok(opening.answer())
}

/// A snapshot of one page.
fn framed<T: Serialize>(items: Vec<T>) -> Option<Vec<Bytes>> {
    let json = serde_json::to_string(&Items { items }).ok()?;
    Some(vec![sse::event("snapshot", &json)])
}

async fn stock_now(edge: &Edge, skus: &[String]) -> Option<Vec<Bytes>> {
    let levels = levels(edge, skus).await.ok()?;
    framed(levels.iter().map(StockLevel::from).collect())
}

async fn levels(edge: &Edge, skus: &[String]) -> Result<Vec<v1::StockLevel>, Refusal> {
    let mut inventory = edge.services.inventory.clone();
    if skus.is_empty() {
        let question = v1::ListStockRequest { limit: LIMIT_MAX, ..v1::ListStockRequest::default() };
        return Ok(call(edge, inventory.list_stock(question)).await?.levels);
    }
    let mut levels = Vec::new();
    for sku in skus {
        let question = v1::GetStockRequest { sku: sku.clone(), location: String::new() };
        match inventory.get_stock(question).await {
            Ok(found) => levels.extend(found.into_inner().levels),
            // Followed before it is there: it comes with its first change.
            Err(status) if status.code() == tonic::Code::NotFound => {}
            Err(status) => return Err(status.into()),
        }
    }
    Ok(levels)
}

async fn orders(
    State(edge): State<Arc<Edge>>,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let query = query.read(ORDER_STREAM)?;
    let ids = chosen(&query, "order", str::parse::<OrderId>)?;
    let mut opening = Opening::new(&edge, interest(ORDERS, &ids), &query)?;
    opening.resume(&headers, &query).await;
    if opening.wants_snapshot {
        let at = (ORDERS, opening.client.place());
        let snapshot = if ids.is_empty() {
            edge.live.snapshots.at(at, orders_now(&edge, &ids)).await
        } else {
            orders_now(&edge, &ids).await
        };
        opening.begin(snapshot);
    }
    Ok(opening.answer())
}

async fn orders_now(edge: &Edge, ids: &[String]) -> Option<Vec<Bytes>> {
    let orders = newest_or(edge, ids).await.ok()?;
    framed(orders.iter().map(Order::from).collect())
}

async fn newest_or(edge: &Edge, ids: &[String]) -> Result<Vec<v1::Order>, Refusal> {
    let mut orders = edge.services.orders.clone();
    if ids.is_empty() {
        let question =
            v1::ListOrdersRequest { limit: ORDERS_FIRST, ..v1::ListOrdersRequest::default() };
        return Ok(call(edge, orders.list_orders(question)).await?.orders);
    }
    let mut found = Vec::new();
    for order_id in ids {
        let question = v1::GetOrderRequest { order_id: order_id.clone(), wait_ms: 0 };
        match orders.get_order(question).await {
            Ok(answer) => found.extend(answer.into_inner().order),
            Err(status) if status.code() == tonic::Code::NotFound => {}
            Err(status) => return Err(status.into()),
        }
    }
    Ok(found)
}

async fn seed(
    State(edge): State<Arc<Edge>>,
    query: RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let query = query.read(SEED_STREAM)?;
    let (seat, mut client) = (seat(&edge)?, edge.live.hub.listen(Interest::all(SEED)));
    let header = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
    let asked = query.text("lastEventId");
    let position = header.or(Some(asked.as_str())).and_then(sse::parse_id);
    if let Some(position) = position
        && !edge.live.resume(&mut client, position).await
    {
        // The original has no word for what was missed: the next change says what there is.
        client.was_reset();
    }
    Ok(edge.live.streamed((seat, client), Vec::new()))
}

async fn show_overview(State(edge): State<Arc<Edge>>) -> Result<Response, Refusal> {
    let mut orders = edge.services.orders.clone();
    let summary = call(&edge, orders.get_summary(v1::GetSummaryRequest {})).await?;
    json::answer(StatusCode::OK, &OverviewReport::new(edge.live.now(), &summary, &edge.live))
}

//! The door of STOMP: a WebSocket whose messages are frames. What stands below it is SockJS.

use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use contracts::Problem;
use live::hub::Protocol;
use live::sockjs::{upgrade_options, welcome};
use live::stomp::frame::Version;
use live::stomp::{Link, serve};

use super::{Route, get};
use crate::Edge;
use crate::error::Refusal;
use crate::openapi::{Tag, operation};
use crate::push::{PATH, session_name};

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    vec![get(
        PATH,
        open,
        operation(
            Tag::Orders,
            "openStomp",
            "Follow orders and stock by STOMP",
            "A WebSocket that speaks STOMP 1.0, 1.1 and 1.2. Subscribe to `/topic/orders`, \
             `/topic/orders.{id}`, `/topic/stock` or `/topic/stock.{sku}`; messages say what the streams \
             of server-sent events say. Below this path SockJS carries the same.",
        )
        .shows("text/plain", "Without an upgrade: the greeting of SockJS.")
        .says_nothing(101, "The connection is a WebSocket now."),
    )]
}

async fn open(
    State(edge): State<Arc<Edge>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let Ok(upgrade) = upgrade else {
        return Ok(welcome());
    };
    if !edge.live.origins().allow(&headers) {
        let detail = "this origin may not open a WebSocket here: an operator must name it in the \
                      setting `edge.live.origins`";
        return Err(Problem::forbidden_origin(detail).into());
    }
    let seat = edge.live.hub.seat(Protocol::Stomp).map_err(|full| {
        Refusal::from(Problem::overloaded(format!("{full}; come back in a moment")))
    })?;
    let upgrade = upgrade_options(upgrade).protocols(Version::ALL.map(Version::subprotocol));
    Ok(upgrade.on_upgrade(move |socket| async move {
        let link = Link::WebSocket(Box::new(socket));
        let stomp = Arc::clone(&edge.stomp);
        edge.live.spawn(Box::pin(serve(stomp, link, session_name(), seat)));
    }))
}

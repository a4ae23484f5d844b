//! Every way into the edge: one table of routes, and the router and the description made from it.

mod bulk;
mod calls;
mod customers;
mod docs;
mod health;
mod notifications;
mod operations;
mod order_actions;
mod orders;
mod paths;
mod payments;
mod products;
mod screens;
mod seeds;
mod sockets;
mod stock;
mod streams;

pub(crate) use health::probes;

use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use contracts::Problem;
use utoipa::openapi::OpenApi;

use crate::Edge;
use crate::error::Refusal;
use crate::limits::{Gate, outermost};
use crate::openapi::Described;
use crate::openapi::document;
use crate::reads::forget_changed;

/// A way in: where, how, by which handler, and what it says of itself.
pub(crate) struct Route {
    path: &'static str,
    method: Method,
    handler: MethodRouter<Arc<Edge>>,
    described: Described,
}

impl Route {
    fn new<H, T>(
        method: Method,
        filter: MethodFilter,
        path: &'static str,
        handler: H,
        described: Described,
    ) -> Self
    where
        H: Handler<T, Arc<Edge>>,
        T: 'static,
    {
        Self { path, method, handler: on(filter, handler), described }
    }
}

macro_rules! methods {
    ($($name:ident $method:ident)*) => { $(
        fn $name<H, T>(path: &'static str, handler: H, described: Described) -> Route
        where
            H: Handler<T, Arc<Edge>>,
            T: 'static,
        {
            Route::new(Method::$method, MethodFilter::$method, path, handler, described)
        }
    )* };
}
methods! { get GET post POST put PUT patch PATCH delete DELETE }

/// All ways in, in the sequence of the description.
fn table() -> Vec<Route> {
    [
        orders::routes(),
        order_actions::routes(),
        stock::routes(),
        streams::routes(),
        sockets::routes(),
        products::routes(),
        customers::routes(),
        payments::routes(),
        notifications::routes(),
        operations::routes(),
        health::routes(),
        seeds::routes(),
        docs::routes(),
        screens::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The router over the table.
pub(crate) fn router(edge: Arc<Edge>) -> Router {
    let gate =
        Arc::new(Gate::new(edge.settings.requests_in_flight_max, Arc::clone(&edge.hooks.answered)));
    let mut router = Router::new();
    for route in table() {
        router = router.route(route.path, route.handler);
    }
    // What SockJS has below its path is its own protocol, not described as ours.
    let sockjs = live::sockjs::routes(edge.sockjs.clone());
    if edge.reads.is_some() {
        router = router.layer(from_fn_with_state(Arc::clone(&edge), forget_changed));
    }
    router
        .route_service("/ws-orders/", sockjs.clone())
        .route_service("/ws-orders/{*rest}", sockjs)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(gate, outermost))
        .with_state(edge)
}

/// The description of the table.
pub(crate) fn document() -> OpenApi {
    let table = table();
    document::build(table.iter().map(|route| (route.path, route.method.clone(), &route.described)))
}

async fn not_found(OriginalUri(uri): OriginalUri) -> Refusal {
    let path: String = uri.path().chars().take(200).collect();
    let detail = format!("there is nothing at {path}; /docs lists what there is");
    Problem::not_found(detail).into()
}

async fn method_not_allowed(method: Method, State(_): State<Arc<Edge>>) -> Refusal {
    let detail = format!("{method} is not allowed here; the header Allow says what is");
    Problem::method_not_allowed(detail).into()
}

#[cfg(test)]
mod tests;

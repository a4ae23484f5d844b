//! The gRPC of services that run in other processes, at the edge's ports as well: whoever knows the edge
//! knows the whole product, in both shapes.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use contracts_grpc::v1;
use rpc::Transport;
use telemetry::Tasks;
use tower::Service;

use super::doors::Doors;

/// Services by name, and what their calls begin with.
const SERVED: [(&str, &str); 6] = [
    ("catalog", v1::catalog_server::SERVICE_NAME),
    ("customer", v1::customers_server::SERVICE_NAME),
    ("inventory", v1::inventory_server::SERVICE_NAME),
    ("payment", v1::payments_server::SERVICE_NAME),
    ("order", v1::orders_server::SERVICE_NAME),
    ("notification", v1::notifications_server::SERVICE_NAME),
];

/// Adds the calls of every service that does not run in this process.
pub(super) fn others(
    mut router: Router,
    doors: &mut Doors<'_>,
    tasks: &Tasks,
) -> anyhow::Result<Router> {
    for (name, calls) in SERVED {
        if !doors.is_open(name) {
            let forward = Forward(doors.to(name, tasks)?);
            router = router.route_service(&format!("/{calls}/{{*rpc}}"), forward);
        }
    }
    Ok(router)
}

/// Passes calls on, as they are.
#[derive(Clone)]
struct Forward(Transport);

impl Service<http::Request<Body>> for Forward {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The way to a service is always ready, also when the service is not.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.0.call(request.map(tonic::body::Body::new));
        Box::pin(async move {
            let answer = answer.await.unwrap_or_else(|error| {
                tracing::debug!(%error, "a call cannot be passed on");
                tonic::Status::unavailable("the service does not answer").into_http()
            });
            Ok(answer.map(Body::new))
        })
    }
}

//! An HTTP server that reads every order and answers at once: what HTTP alone costs.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use contracts::{OrderId, OrderNumber, Timestamp};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// The server; it ends with this value.
pub(crate) struct Handler {
    addr: SocketAddr,
    _runtime: Runtime,
}

impl Handler {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let addr = listener.local_addr()?;
        let router = Router::new()
            .route("/api/v1/orders", post(accept))
            .with_state(Arc::new(AtomicU64::new(1)));
        drop(runtime.spawn(async move { axum::serve(listener, router).await }));
        Ok(Self { addr, _runtime: runtime })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

async fn accept(State(next): State<Arc<AtomicU64>>, body: Bytes) -> impl IntoResponse {
    let number = next.fetch_add(1, Ordering::Relaxed);
    let id = OrderId::new(Timestamp::from_micros(1), OrderNumber::new(number), 0);
    let answer = format!("{{\"orderId\":\"{id}\",\"read\":{}}}", body.len());
    (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], answer)
}

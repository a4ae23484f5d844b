//! How a call reaches its server.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use telemetry::Tasks;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use crate::remote::{self, BadUrl, Retry};
use crate::traced;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Carries the calls of a generated client to its server.
#[derive(Clone)]
pub struct Transport(BoxCloneSyncService<Request<Body>, Response<Body>, BoxError>);

impl Transport {
    /// Calls `server` in the same process: no network, no HTTP/2, the same messages.
    pub fn in_process<S>(server: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        Self(BoxCloneSyncService::new(server.map_err(|never: Infallible| match never {})))
    }

    /// Calls servers at `url`: `http://HOST:PORT`, or several of those separated by commas, which
    /// take turns. Connections are made when they are needed.
    pub fn remote(url: &str, tasks: &Tasks) -> Result<Self, BadUrl> {
        let channel = remote::channel(url, tasks)?;
        Ok(Self(BoxCloneSyncService::new(Retry::new(channel.map_err(BoxError::from)))))
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        traced::carry(request.headers_mut());
        self.0.call(request)
    }
}

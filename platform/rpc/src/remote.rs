//! Calls over the network: to one address or several, found anew while the process runs.
//!
//! A call that reads is tried again if the connection fails; a call that changes something only if it
//! was never sent. Every call has a deadline, streams apart. Nothing else is retried here: who knows
//! what a refusal means decides.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use telemetry::Tasks;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::transport::channel::Change;
use tonic::transport::{Channel, Endpoint};
use tower::{Service, ServiceExt as _};

use crate::transport::{BoxError, BoxFuture};

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// A silent connection is asked whether it lives, and closed if it does not say so.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(5);
/// The deadline of a call: longer than the longest wait that a caller may ask for. Whoever is in a hurry
/// hangs up before.
const CALL_MAX: Duration = Duration::from_mins(1);
/// How often a host's name is looked up again.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(10);
/// How often it is looked which of several addresses somebody listens at, and how long that may take.
/// A dead one answers soonest of all, with an error: it would be given most of the calls.
const PROBE_AGAIN: Duration = Duration::from_millis(500);
const PROBE_MAX: Duration = Duration::from_millis(400);
/// How often a call is tried, and the pause before it is tried again; it doubles. Together they last
/// longer than it takes to find out that one of several addresses is dead.
const TRIES_MAX: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a request that are kept for another try.
const REQUEST_MAX: usize = 4 * 1_024 * 1_024;
/// How the names of calls begin that only read.
const READS: [&str; 7] = ["Get", "List", "BatchGet", "Check", "Preview", "RunAudit", "Watch"];
/// How the names of calls begin that stay open.
const STREAMS: &str = "Watch";

/// An address that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not http://HOST:PORT, or several of those separated by commas")]
pub struct BadUrl(String);

/// The hosts of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hosts(Vec<(String, u16)>);

impl Hosts {
    fn parse(url: &str) -> Result<Self, BadUrl> {
        let bad = || BadUrl(url.to_owned());
        let one = |text: &str| {
            let uri: http::Uri = text.trim().parse().ok()?;
            let plain = uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/");
            let host = uri.host()?.trim_matches(['[', ']']).to_owned();
            let port = uri.port_u16().filter(|_| plain && !host.is_empty())?;
            Some((host, port))
        };
        let hosts: Option<Vec<_>> = url.split(',').map(one).collect();
        hosts.map(Self).ok_or_else(bad)
    }

    /// Every address that the names stand for now; `None` if a name cannot be looked up, which is no
    /// reason to let go of the addresses that are known.
    async fn look_up(&self) -> Option<HashSet<SocketAddr>> {
        let mut found = HashSet::new();
        for (host, port) in &self.0 {
            match tokio::net::lookup_host((host.as_str(), *port)).await {
                Ok(addresses) => found.extend(addresses),
                Err(error) => {
                    tracing::debug!(%error, host, "a host cannot be looked up");
                    return None;
                }
            }
        }
        Some(found)
    }
}

fn endpoint(address: SocketAddr) -> Option<Endpoint> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_MAX)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_MAX)
        .keep_alive_while_idle(true)
        .http2_adaptive_window(true);
    Some(endpoint)
}

/// A channel to every address of `url`, which are looked up again while the process runs.
pub(crate) fn channel(url: &str, tasks: &Tasks) -> Result<Channel, BadUrl> {
    let hosts = Hosts::parse(url)?;
    if let [(host, port)] = hosts.0.as_slice()
        && let Ok(address) = host.parse()
        && let Some(endpoint) = endpoint(SocketAddr::new(address, *port))
    {
        return Ok(endpoint.connect_lazy());
    }
    let (channel, changes) = Channel::balance_channel(64);
    let background = tasks.clone();
    tasks.spawn("look-up", async move {
        let (mut known, mut found) = (HashSet::new(), HashSet::new());
        let mut looked_up: Option<Instant> = None;
        loop {
            if looked_up.is_none_or(|at| at.elapsed() >= LOOK_UP_AGAIN) {
                found = hosts.look_up().await.unwrap_or(found);
                // Until there is any address at all, looking is more urgent.
                looked_up = (!found.is_empty()).then(Instant::now);
            }
            let listening = listening(&found).await;
            tell(&changes, &known, &listening).await;
            known = listening;
            let pause = if known.is_empty() { PAUSE } else { PROBE_AGAIN };
            if !background.pause(pause).await {
                return;
            }
        }
    });
    Ok(channel)
}

/// Those of several addresses that somebody listens at; all of them if nobody does, so that calls
/// learn of it themselves.
async fn listening(addresses: &HashSet<SocketAddr>) -> HashSet<SocketAddr> {
    if addresses.len() < 2 {
        return addresses.clone();
    }
    let probe = |address: SocketAddr| async move {
        let connected = tokio::time::timeout(PROBE_MAX, TcpStream::connect(address)).await;
        matches!(connected, Ok(Ok(_))).then_some(address)
    };
    let found = futures::future::join_all(addresses.iter().copied().map(probe)).await;
    let found: HashSet<_> = found.into_iter().flatten().collect();
    if found.is_empty() { addresses.clone() } else { found }
}

async fn tell(
    changes: &Sender<Change<SocketAddr, Endpoint>>,
    known: &HashSet<SocketAddr>,
    found: &HashSet<SocketAddr>,
) {
    for address in found.difference(known) {
        if let Some(endpoint) = endpoint(*address) {
            // Nobody listens any more when the channel is gone, and this task with it.
            drop(changes.send(Change::Insert(*address, endpoint)).await);
        }
    }
    for address in known.difference(found) {
        drop(changes.send(Change::Remove(*address)).await);
    }
}

/// Tries calls again where that is safe.
#[derive(Clone)]
pub(crate) struct Retry<S> {
    inner: S,
}

impl<S> Retry<S> {
    pub(crate) const fn new(inner: S) -> Self {
        Self { inner }
    }
}

fn name(parts: &Parts) -> &str {
    parts.uri.path().rsplit('/').next().unwrap_or_default()
}

/// Whether the request that failed with `error` cannot have reached its server.
fn was_never_sent(error: &BoxError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error.as_ref());
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What a caller is told of a call that has no answer: that it may be sent again, or that nobody knows
/// whether it was carried out.
fn unanswered(error: &BoxError, reads: bool) -> tonic::Status {
    tracing::debug!(%error, "a call has no answer");
    if reads || was_never_sent(error) {
        return tonic::Status::unavailable("a service cannot be reached");
    }
    tonic::Status::cancelled(
        "the connection to a service was cut before its answer: whether it acted is not known; ask, or \
         send the same again under the same key",
    )
}

impl<S> Service<Request<Body>> for Retry<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<Result<Response<Body>, BoxError>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), BoxError>> {
        // Each try waits for the channel by itself.
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut inner = self.inner.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let stays_open = name(&parts).starts_with(STREAMS);
            let reads = READS.iter().any(|begin| name(&parts).starts_with(begin));
            let tries = tries(&mut inner, parts, body, reads);
            let answer = if stays_open {
                tries.await
            } else {
                let late = || tonic::Status::deadline_exceeded("a service did not answer in time");
                let answer = tokio::time::timeout(CALL_MAX, tries).await;
                answer.unwrap_or_else(|_| Ok(late().into_http()))
            };
            Ok(answer.unwrap_or_else(|error| unanswered(&error, reads).into_http()))
        })
    }
}

async fn tries<S>(
    inner: &mut S,
    parts: Parts,
    body: Body,
    reads: bool,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
{
    let body = http_body_util::Limited::new(body, REQUEST_MAX).collect().await?.to_bytes();
    let mut pause = PAUSE;
    for left in (0..TRIES_MAX).rev() {
        let again = Request::from_parts(parts.clone(), Body::new(Full::new(Bytes::clone(&body))));
        let failed = match inner.ready().await {
            Ok(open) => match open.call(again).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            },
            Err(error) => return Err(error),
        };
        if left == 0 || !(reads || was_never_sent(&failed)) {
            return Err(failed);
        }
        tracing::debug!(error = %failed, call = name(&parts), "a call is tried again");
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2);
    }
    Err(Arc::new(tonic::Status::unavailable("not tried")).into())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn urls_name_hosts_and_ports_and_nothing_else() {
        let hosts = Hosts::parse("http://127.0.0.1:9090, http://order.local:9091/").unwrap();
        let wanted = [("127.0.0.1".to_owned(), 9090), ("order.local".to_owned(), 9091)];
        assert_eq!(hosts.0, wanted);
        assert_eq!(Hosts::parse("http://[::1]:9090").unwrap().0, [("::1".to_owned(), 9090)]);
        for bad in ["", "order:9090", "https://order:1", "http://order", "http://order:1/path"] {
            assert_eq!(Hosts::parse(bad), Err(BadUrl(bad.to_owned())), "{bad}");
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cut")]
    struct Cut;

    #[derive(Debug, thiserror::Error)]
    #[error("transport")]
    struct Transport(#[source] tonic::ConnectError);

    /// Answers with the errors it is given, then well.
    #[derive(Clone)]
    struct Scripted(Arc<Mutex<(VecDeque<BoxError>, u32)>>);

    impl Service<Request<Body>> for Scripted {
        type Response = Response<Body>;
        type Error = BoxError;
        type Future = std::future::Ready<Result<Response<Body>, BoxError>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), BoxError>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            let mut script = self.0.lock().unwrap();
            script.1 += 1;
            let next = script.0.pop_front();
            std::future::ready(next.map_or_else(|| Ok(Response::new(Body::empty())), Err))
        }
    }

    /// The status of the answer, none if it is well, and how often it was tried.
    async fn calls(name: &str, errors: Vec<BoxError>) -> (String, u32) {
        let script = Scripted(Arc::new(Mutex::new((errors.into(), 0))));
        let request = Request::builder().uri(format!("/millrace.v1.Orders/{name}"));
        let request = request.body(Body::empty()).unwrap();
        let answer = Retry::new(script.clone()).oneshot(request).await.unwrap();
        let calls = script.0.lock().unwrap().1;
        let failed = answer.headers().get("grpc-status");
        (failed.map_or("", |code| code.to_str().unwrap()).to_owned(), calls)
    }

    #[tokio::test(start_paused = true)]
    async fn reads_are_tried_again_and_changes_only_if_they_were_never_sent() {
        let cut = || BoxError::from(Cut);
        let unreached = || BoxError::from(Transport(tonic::ConnectError(Box::new(Cut))));
        let (cancelled, unavailable) =
            (|tries| ("1".to_owned(), tries), |tries| ("14".to_owned(), tries));
        let well = |tries| (String::new(), tries);
        assert_eq!(calls("GetOrder", vec![cut(), cut()]).await, well(3));
        assert_eq!(calls("PlaceOrder", vec![cut()]).await, cancelled(1));
        assert_eq!(calls("PlaceOrder", vec![unreached(), unreached()]).await, well(3));
        assert_eq!(calls("PlaceOrder", vec![unreached(), cut()]).await, cancelled(2));
        let many = (0..9).map(|_| cut()).collect();
        assert_eq!(calls("ListOrders", many).await, unavailable(TRIES_MAX));
        // An audit that was cut by the end of its service has changed nothing.
        assert_eq!(calls("RunAudit", vec![cut()]).await, well(2));
        let many = (0..9).map(|_| unreached()).collect();
        assert_eq!(calls("PlaceOrder", many).await, unavailable(TRIES_MAX));
    }
}

//! Serving connections: HTTP/1.1 and HTTP/2 on one port, with limits, until the process stops.

mod endless;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use telemetry::Tasks;
use tokio::net::{TcpListener, TcpStream};

/// How long the headers of a request may take.
const HEADERS_MAX: Duration = Duration::from_secs(10);
/// How long open requests may take once the process stops.
const DRAIN_MAX: Duration = Duration::from_secs(8);
/// Bytes of headers that HTTP/2 accepts.
const HEADER_LIST_MAX: u32 = 16 * 1_024;
/// Requests in flight on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// Bytes of an answer that wait in memory for a client that does not take them.
const UNTAKEN_MAX: usize = 64 * 1_024;
/// How long a client may take nothing of what it was sent before the system ends its connection.
const UNTAKEN_FOR_MAX: Duration = Duration::from_mins(1);
/// Connections waiting to be accepted.
const BACKLOG: i32 = 1_024;

/// Takes the port; `what` names the protocol in the error.
pub(crate) fn bind(what: &str, addr: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = || -> io::Result<TcpListener> {
        let domain = socket2::Domain::for_address(addr);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    bound().map_err(|error| {
        anyhow::anyhow!("cannot serve {what} on {addr}: {error}; choose another with --{what} ADDR")
    })
}

/// Serves `router` on `listener` until the process stops, then lets open requests finish.
pub(crate) async fn serve(listener: TcpListener, router: Router, tasks: Tasks) {
    let stopping = tasks.stopping();
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_MAX)
        .max_buf_size(UNTAKEN_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_LIST_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .adaptive_window(true);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => open(stream, &builder, &router, &graceful, &tasks),
            Err(error) => {
                // Out of descriptors, mostly: what is open goes on, and some of it will close.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time; their connections are closed");
    }
}

/// Sends at once, does not keep a client that has gone without a word, and leaves little with the system
/// for one that takes nothing: it would keep megabytes for each, and, once they are many, have less for all
/// others.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(UNTAKEN_FOR_MAX))?;
        socket.set_tcp_notsent_lowat(u32::try_from(UNTAKEN_MAX).unwrap_or(u32::MAX))?;
    }
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(UNTAKEN_FOR_MAX))
}

fn open(
    stream: TcpStream,
    builder: &Builder<TokioExecutor>,
    router: &Router,
    graceful: &GracefulShutdown,
    tasks: &Tasks,
) {
    if let Err(error) = prepare(&stream) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    let (builder, router, watcher) = (builder.clone(), router.clone(), graceful.watcher());
    let stopping = tasks.stopping();
    tasks.spawn("connection", async move {
        let mut stream = stream;
        // In boxes, so that a reader of a stream does not keep room for what it does not need.
        let first = Box::pin(endless::request(&mut stream));
        let asked = tokio::select! {
            asked = tokio::time::timeout(HEADERS_MAX, first) => asked,
            () = stopping.cancelled() => return,
        };
        let ended = match asked {
            Ok(Ok(Some(request))) => {
                endless::serve(stream, request, router).await.map_err(Into::into)
            }
            Ok(Ok(None)) => {
                let service = TowerToHyperService::new(router);
                let connection =
                    builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                Box::pin(watcher.watch(connection.into_owned())).await
            }
            // Nothing came, or the connection is gone.
            Ok(Err(_)) | Err(_) => return,
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection ended");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_system_keeps_little_for_a_client_that_takes_nothing() {
        const QUIET: Duration = Duration::from_millis(200);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        prepare(&stream).unwrap();
        let (piece, mut taken) = ([0; 4_096], 0);
        while tokio::time::timeout(QUIET, stream.writable()).await.is_ok() {
            taken += stream.try_write(&piece).unwrap_or(0);
        }
        // What the client's own side keeps, which has not grown, and what waits here.
        assert!((UNTAKEN_MAX..1_024 * 1_024).contains(&taken), "{taken} bytes");
        drop(client);
    }
}

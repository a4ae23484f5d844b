//! The way to the server: made in the background, given up at the first failure, made again.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};
use tokio_util::sync::CancellationToken;

use crate::{Inner, count};

/// Between two signs of life: a server that hangs is noticed also when nobody reads.
const PING: Duration = Duration::from_secs(1);
/// The first pause behind a failure, and the longest.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A connection on which everything is void that was there before it.
pub(crate) struct Link(MultiplexedConnection);

impl Link {
    /// A handle of the connection, which all requests share.
    pub(crate) fn connection(&self) -> MultiplexedConnection {
        self.0.clone()
    }
}

/// Keeps a link to the server until the process stops.
pub(crate) async fn keep(inner: Arc<Inner>, stopping: CancellationToken) {
    let mut pause = PAUSE;
    let mut is_told = false;
    while !stopping.is_cancelled() {
        match connected(&inner).await {
            Ok(link) => {
                tracing::info!(place = inner.place, "the cache is there, and begins empty");
                (pause, is_told) = (PAUSE, false);
                let link = Arc::new(link);
                *inner.link.write().unwrap_or_else(PoisonError::into_inner) =
                    Some(Arc::clone(&link));
                tokio::select! {
                    () = watched(&inner, &link) => {}
                    () = stopping.cancelled() => return,
                }
            }
            Err(why) => {
                if !is_told {
                    let place = &inner.place;
                    tracing::warn!(place, why, "the cache cannot be reached; trying on");
                }
                is_told = true;
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stopping.cancelled() => return,
                }
                pause = pause.saturating_mul(2).min(PAUSE_MAX);
            }
        }
    }
}

/// Connects and begins an era: what was there is void from now on, for all who read.
async fn connected(inner: &Inner) -> Result<Link, String> {
    let (connect, response) = (inner.settings.connect_timeout(), inner.settings.response_timeout());
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(connect))
        .set_response_timeout(Some(response));
    let reached = async {
        let mut connection =
            inner.client.get_multiplexed_async_connection_with_config(&config).await?;
        let era = inner.new_name();
        redis::cmd("SET").arg(inner.era_key()).arg(era).query_async::<()>(&mut connection).await?;
        Ok::<_, RedisError>(Link(connection))
    };
    match tokio::time::timeout(connect + response, reached).await {
        Ok(Ok(link)) => {
            count(&inner.stats.eras, 1);
            Ok(link)
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it does not answer in time".to_owned()),
    }
}

/// Looks after the link until it is gone.
async fn watched(inner: &Inner, link: &Arc<Link>) {
    loop {
        tokio::select! {
            () = inner.gone.notified() => return,
            () = tokio::time::sleep(PING) => {}
        }
        let mut connection = link.connection();
        let ping = redis::cmd("PING");
        inner.answered(link, ping.query_async::<()>(&mut connection)).await;
    }
}

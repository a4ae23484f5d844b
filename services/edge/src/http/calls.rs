//! Calls to the services: each has a deadline, and its refusal is the caller's.

use std::time::Duration;

use contracts::Problem;
use tonic::{Response, Status};

use crate::Edge;
use crate::error::Refusal;

/// Waits for the answer of a service.
pub(super) async fn call<T>(
    edge: &Edge,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Refusal> {
    call_within(edge, Duration::ZERO, answer).await
}

/// Waits for an answer that the service itself may hold back for `wait`.
pub(super) async fn call_within<T>(
    edge: &Edge,
    wait: Duration,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Refusal> {
    match tokio::time::timeout(edge.call_timeout() + wait, answer).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(status.into()),
        Err(_) => {
            let detail = format!("a service took over {} s", edge.settings.call_timeout_s);
            Err(Problem::timeout(detail).into())
        }
    }
}

/// What a service has to send with a good answer.
pub(super) fn present<T>(part: Option<T>, what: &str) -> Result<T, Refusal> {
    part.ok_or_else(|| Problem::internal(format!("a service answered without {what}")).into())
}

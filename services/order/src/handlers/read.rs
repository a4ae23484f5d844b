//! Questions about single orders and about all of them.

use std::sync::Arc;
use std::time::Duration;

use contracts::OrderId;

use super::Orders;
use super::change::locked;
use crate::domain::{Order, Status};
use crate::error::OrderError;

/// How often a waiting caller looks again, in case that its wake-up was lost.
const POLL: Duration = Duration::from_millis(250);
/// Deadlines are looked at twice a second; later than this is overdue.
const GRACE: Duration = Duration::from_secs(2);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How many orders there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// By status, in the sequence of the codes.
    pub by_status: Vec<(Status, u64)>,
    /// Whose deadline has passed and who have not moved.
    pub overdue: u64,
    /// That a person has to look at.
    pub attention: u64,
    /// Whether orders are still being counted after a start, so that the counts grow.
    pub counting: bool,
}

impl Orders {
    /// The order `id` as it stands.
    pub async fn find(&self, id: OrderId) -> Result<Order, OrderError> {
        let found: Option<Order> =
            self.store.read(move |rx| Box::pin(crate::store::find(rx, id.number()))).await?;
        let found = found.filter(|order| order.placed.id == id);
        found.ok_or(OrderError::NotFound(id))
    }

    /// The order `id` once it is confirmed, needs a decision or has ended, or as it stands when
    /// `wait` is over.
    pub async fn find_settled(
        self: &Arc<Self>,
        id: OrderId,
        wait: Duration,
    ) -> Result<Order, OrderError> {
        let settled = async {
            loop {
                let woken = self.live.waiters.wait_for(id.number());
                let order = self.find(id).await;
                if !order.as_ref().is_ok_and(|order| !order.status().is_settled()) {
                    return order;
                }
                // Whether it was woken or has waited long enough, it looks again.
                drop(tokio::time::timeout(POLL, woken).await);
            }
        };
        let outcome = tokio::time::timeout(wait.min(WAIT_MAX), settled).await;
        self.live.waiters.leave(id.number());
        match outcome {
            Ok(outcome) => outcome,
            Err(_elapsed) => self.find(id).await,
        }
    }

    /// How many orders should have moved and have not. The timers get a moment to see them first.
    pub async fn count_overdue(&self) -> Result<u64, OrderError> {
        let late = self.clock().now().minus(GRACE);
        let overdue: u64 =
            self.store.read(move |rx| Box::pin(crate::store::count_overdue(rx, late))).await?;
        self.live.metrics.overdue.set(i64::try_from(overdue).unwrap_or(i64::MAX));
        Ok(overdue)
    }

    /// How many orders there are in each state.
    pub async fn summary(&self) -> Result<Summary, OrderError> {
        let overdue = self.count_overdue().await?;
        let counts = locked(&self.live.counts);
        let by_status = Status::ALL.iter().map(|status| (*status, counts.of(*status)));
        Ok(Summary {
            by_status: by_status.collect(),
            overdue,
            attention: counts.attention(),
            counting: !counts.is_done(),
        })
    }
}

//! When the next order is due, and which one it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::ledger::Ledger;

/// How far behind its schedule an open loop may be when its time is over; what is then still not
/// sent is dropped.
const GRACE: Duration = Duration::from_secs(5);

/// Whether orders are sent as answers come, or by the clock whatever the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loop {
    /// Each connection sends as soon as it has an answer.
    Closed,
    /// So many orders per second.
    Open { rate: u64 },
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Orders(u64),
    Time(Duration),
}

/// An order to send now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    pub(super) order: u64,
    /// Microseconds since the start: latency counts from here.
    pub(super) intended_us: u64,
}

/// Gives out tickets to all connections.
pub(super) struct Pace {
    pub(super) kind: Loop,
    pub(super) limit: Limit,
    next: AtomicU64,
}

impl Pace {
    pub(super) const fn new(kind: Loop, limit: Limit) -> Self {
        Self { kind, limit, next: AtomicU64::new(0) }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.kind, Loop::Open { .. })
    }

    /// The next order, when it is due; `None` when the run is over.
    pub(super) async fn next(&self, ledger: &Ledger) -> Option<Ticket> {
        match self.kind {
            Loop::Closed => self.next_now(ledger),
            Loop::Open { rate } => self.next_due(rate, ledger).await,
        }
    }

    /// The next order of a closed loop.
    pub(super) fn next_now(&self, ledger: &Ledger) -> Option<Ticket> {
        let now_us = ledger.now_us();
        if let Limit::Time(span) = self.limit
            && u128::from(now_us) >= span.as_micros()
        {
            return None;
        }
        let order = self.next.fetch_add(1, Ordering::Relaxed);
        if let Limit::Orders(orders) = self.limit
            && order >= orders
        {
            return None;
        }
        count_offer(ledger);
        Some(Ticket { order, intended_us: now_us })
    }

    async fn next_due(&self, rate: u64, ledger: &Ledger) -> Option<Ticket> {
        loop {
            let order = self.next.fetch_add(1, Ordering::Relaxed);
            let due = due_after(order, rate);
            let is_over = match self.limit {
                Limit::Orders(orders) => order >= orders,
                Limit::Time(span) => due >= span,
            };
            if is_over {
                return None;
            }
            count_offer(ledger);
            let due_at = ledger.start() + due;
            if due_at > Instant::now() {
                sleep_until(due_at).await;
            } else if self.is_hopeless(rate, ledger) {
                let counts = &mut ledger.book().counts;
                counts.dropped = counts.dropped.saturating_add(1);
                continue;
            }
            let intended_us = u64::try_from(due.as_micros()).unwrap_or(u64::MAX);
            return Some(Ticket { order, intended_us });
        }
    }

    /// Whether the schedule ended long ago.
    fn is_hopeless(&self, rate: u64, ledger: &Ledger) -> bool {
        ledger.start().elapsed() > self.span(rate).saturating_add(GRACE)
    }

    /// How long the schedule is.
    fn span(&self, rate: u64) -> Duration {
        match self.limit {
            Limit::Time(span) => span,
            Limit::Orders(orders) => due_after(orders, rate),
        }
    }
}

/// When order number `order` of a schedule is due, from its start.
fn due_after(order: u64, rate: u64) -> Duration {
    Duration::from_micros(order.saturating_mul(1_000_000).div_euclid(rate.max(1)))
}

fn count_offer(ledger: &Ledger) {
    let counts = &mut ledger.book().counts;
    counts.offered = counts.offered.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_open_loop_keeps_its_schedule_whatever_the_time_is() {
        let ledger = Ledger::try_new(1).unwrap();
        let pace = Pace::new(Loop::Open { rate: 100_000 }, Limit::Orders(500));
        for order in 0..500 {
            let ticket = pace.next(&ledger).await.unwrap();
            assert_eq!((ticket.order, ticket.intended_us), (order, order * 10));
            assert!(ledger.now_us() >= ticket.intended_us, "sent before its time");
        }
        assert!(pace.next(&ledger).await.is_none());
        assert_eq!((ledger.counts().offered, ledger.counts().dropped), (500, 0));
        assert_eq!(pace.span(100_000), Duration::from_millis(5));
    }

    #[tokio::test]
    async fn a_closed_loop_ends_after_its_orders_or_its_time() {
        let ledger = Ledger::try_new(1).unwrap();
        let pace = Pace::new(Loop::Closed, Limit::Orders(3));
        let mut orders = Vec::new();
        while let Some(ticket) = pace.next(&ledger).await {
            orders.push(ticket.order);
        }
        assert_eq!(orders, [0, 1, 2]);
        let over = Pace::new(Loop::Closed, Limit::Time(Duration::ZERO));
        assert!(over.next(&ledger).await.is_none());
    }
}

//! Callers that wait for the outcome of an order.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use contracts::OrderNumber;
use tokio::sync::oneshot;

use super::change::locked;

/// Who waits, by order.
#[derive(Default)]
pub(super) struct Waiters {
    by_order: Mutex<HashMap<OrderNumber, Vec<oneshot::Sender<()>>>>,
    /// How many orders are waited for, so that a COMMIT need not lock when nobody waits.
    orders: AtomicUsize,
}

impl Waiters {
    /// Waits for `number`. A wake-up is only a hint: the caller looks again, and polls beside it.
    pub(super) fn wait_for(&self, number: OrderNumber) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut by_order = locked(&self.by_order);
        let waiting = by_order.entry(number).or_default();
        // Those that gave up leave their place behind.
        waiting.retain(|other| !other.is_closed());
        waiting.push(sender);
        self.orders.store(by_order.len(), Ordering::Release);
        receiver
    }

    /// Forgets the order if nobody waits for it any more.
    pub(super) fn leave(&self, number: OrderNumber) {
        let mut by_order = locked(&self.by_order);
        if by_order.get(&number).is_some_and(|all| all.iter().all(oneshot::Sender::is_closed)) {
            by_order.remove(&number);
        }
        self.orders.store(by_order.len(), Ordering::Release);
    }

    pub(super) fn wake(&self, number: OrderNumber) {
        if self.orders.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut by_order = locked(&self.by_order);
        for waiting in by_order.remove(&number).unwrap_or_default() {
            // An error means that the caller has gone.
            waiting.send(()).unwrap_or_default();
        }
        self.orders.store(by_order.len(), Ordering::Release);
    }
}

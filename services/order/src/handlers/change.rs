//! What is told after COMMIT: every change of an order, to everything that lives in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::store::Tx;
use contracts::{Event, Timestamp};
use smol_str::SmolStr;
use telemetry::Metrics;

use super::counts::Counts;
use super::feed::{Changed, Feed};
use super::keys::Keys;
use super::metrics::OrderMetrics;
use super::tail::Tail;
use super::wait::Waiters;
use crate::domain::{Order, Placed, Status};

/// Where an order stands, as far as it can be found by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) status: Status,
    pub(super) attention: bool,
}

impl Standing {
    pub(super) fn of(order: &Order) -> Self {
        Self { status: order.status(), attention: order.attention.is_some() }
    }
}

/// A committed change of one order.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) placed: Arc<Placed>,
    /// `None`: the order was placed by this change.
    pub(super) before: Option<Standing>,
    pub(super) after: Standing,
    pub(super) version: u64,
    /// The segment of the log that tells it, if one does.
    pub(super) segment: Option<u64>,
    pub(super) at: Timestamp,
}

impl Change {
    pub(super) fn new(
        before: Option<Standing>,
        order: &Order,
        segment: Option<u64>,
        at: Timestamp,
    ) -> Self {
        let (placed, version) = (Arc::clone(&order.placed), order.version);
        Self { placed, before, after: Standing::of(order), version, segment, at }
    }

    pub(super) fn number(&self) -> i64 {
        self.placed.number.as_i64()
    }
}

/// The changes of one transaction.
pub(super) struct Changes {
    live: Arc<Live>,
    list: Vec<Change>,
    /// The trace that the event belongs to which makes the next changes.
    traceparent: Option<SmolStr>,
}

impl Changes {
    pub(super) fn new(live: &Arc<Live>) -> Self {
        Self { live: Arc::clone(live), list: Vec::new(), traceparent: None }
    }

    /// The changes that follow belong to the trace of `event`.
    pub(super) fn in_trace_of(&mut self, event: &Event) {
        self.traceparent.clone_from(&event.traceparent);
    }

    pub(super) fn traceparent(&self) -> Option<SmolStr> {
        self.traceparent.clone()
    }

    pub(super) fn push(&mut self, change: Change) {
        self.list.push(change);
    }

    pub(super) fn tell_after_commit(self, tx: &mut Tx) {
        let Self { live, list, .. } = self;
        if !list.is_empty() {
            tx.after_commit(move || live.committed(&list));
        }
    }
}

/// What is kept in memory beside the orders. Every part can be made anew from the database.
pub(super) struct Live {
    pub(super) tail: Mutex<Tail>,
    pub(super) keys: Keys,
    pub(super) counts: Arc<Mutex<Counts>>,
    pub(super) feed: Feed,
    pub(super) waiters: Waiters,
    pub(super) metrics: OrderMetrics,
    /// Whether another instance has changed orders since this one was started.
    has_company: AtomicBool,
}

/// A panic while a lock was held cannot leave these values half changed in a way that matters: each
/// is a cache that is checked against the database when it is used.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub(super) fn new(now: Timestamp, metrics: &Metrics) -> Self {
        let counts = Arc::new(Mutex::new(Counts::default()));
        let open = Arc::clone(&counts);
        let open = move || locked(&open).unfinished();
        metrics.value_of("orders_open", "orders on their way to being confirmed", open);
        Self {
            tail: Mutex::default(),
            keys: Keys::default(),
            counts,
            feed: Feed::new(now),
            waiters: Waiters::default(),
            metrics: OrderMetrics::new(metrics),
            has_company: AtomicBool::new(false),
        }
    }

    /// Orders on their way to being confirmed: what admission looks at.
    pub(super) fn unfinished(&self) -> u64 {
        locked(&self.counts).unfinished()
    }

    pub(super) fn has_company(&self) -> bool {
        self.has_company.load(Ordering::Acquire)
    }

    /// Orders that the log names up to `segment`, and that the index may lack.
    pub(super) fn recover(&self, orders: &[Order], segment: u64) {
        let mut tail = locked(&self.tail);
        for order in orders {
            if let Some(request) = &order.placed.request {
                self.keys.claim(&request.key, order.placed.number);
            }
            tail.recover(order, segment);
        }
    }

    /// Orders that another instance changed in commits up to `segment`. On the writer's thread.
    pub(super) fn follow(&self, orders: &[Order], segment: u64) {
        self.has_company.store(true, Ordering::Release);
        self.recover(orders, segment);
        {
            let mut counts = locked(&self.counts);
            for order in orders {
                counts.see(order);
            }
        }
        for order in orders.iter().filter(|order| order.status().is_settled()) {
            self.waiters.wake(order.placed.number);
        }
        self.feed.push(orders.iter().map(Changed::of).collect());
    }

    /// Called on the writer's thread after COMMIT: quick.
    fn committed(&self, changes: &[Change]) {
        {
            let mut tail = locked(&self.tail);
            for change in changes {
                tail.note(change);
            }
        }
        {
            let mut counts = locked(&self.counts);
            for change in changes {
                counts.note(change);
            }
        }
        for change in changes {
            self.metrics.note(change);
            if change.after.status.is_settled() {
                self.waiters.wake(change.placed.number);
            }
        }
        self.feed.push(changes.iter().map(Changed::from).collect());
    }
}

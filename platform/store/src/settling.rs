//! How a reader gets a snapshot in which no row is pending.
//!
//! Readers speak SQL over the tables, so they must not look while rows are pending
//! ([`crate::pending`]). Whoever wants to read says so; from then on until it has its snapshot, the
//! writer brings every row into its table with each COMMIT. Without readers nothing is written twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// How long a reader waits for the writer before it looks again by itself.
const PATIENCE: Duration = Duration::from_millis(50);

/// What the writer and its readers share.
#[derive(Debug)]
pub(crate) struct Settling {
    /// Readers that wait for a snapshot.
    waiting: AtomicUsize,
    /// Whether no row is pending as of the last COMMIT.
    settled: watch::Sender<bool>,
}

/// A reader that waits; the writer settles each COMMIT while it is there.
pub(crate) struct Waiting(Arc<Settling>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Settling {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { waiting: AtomicUsize::new(0), settled: watch::Sender::new(true) })
    }

    /// Whether a reader waits.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Called by the writer, after COMMIT and before anybody is answered.
    pub(crate) fn committed(&self, settled: bool) {
        self.settled.send_if_modified(|known| std::mem::replace(known, settled) != settled);
    }

    /// Says that a snapshot is wanted; `wake` rouses a writer that has nothing to do.
    pub(crate) async fn wait(self: Arc<Self>, wake: impl Fn() + Send) -> Waiting {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let mut settled = self.settled.subscribe();
        let waiting = Waiting(self);
        while !*settled.borrow_and_update() {
            wake();
            // A writer that has stopped has settled everything: the wait is bounded all the same.
            if tokio::time::timeout(PATIENCE, settled.changed()).await.is_err() {
                tracing::debug!("a reader looks again whether rows are pending");
            }
        }
        waiting
    }
}

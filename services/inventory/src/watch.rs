//! Tells watchers which SKUs changed, as soon as it is committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use contracts::{Event, EventData, Sku};
use tokio::sync::broadcast;

/// Changes that a watcher may be behind; past that it begins with a snapshot again.
const BEHIND_MAX: usize = 4_096;

/// SKUs that one COMMIT changed.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    /// The place of the last of these events in the log, as one number that never falls.
    pub(crate) position: u64,
    /// The SKUs.
    pub(crate) skus: Arc<[Sku]>,
}

/// Where watchers listen.
#[derive(Debug)]
pub(crate) struct Watch {
    sender: broadcast::Sender<Changed>,
    position: AtomicU64,
}

impl Default for Watch {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(BEHIND_MAX), position: AtomicU64::new(0) }
    }
}

impl Watch {
    /// Hears what was committed. On the writer's thread: it does next to nothing.
    pub(crate) fn committed(&self, events: &[Arc<Event>]) {
        let Some(last) = events.last() else { return };
        let place = last.id.position();
        let position = (place.segment << 20) | u64::from(place.index);
        self.position.store(position, Ordering::Release);
        if self.sender.receiver_count() == 0 {
            return;
        }
        let skus: Arc<[Sku]> = events.iter().filter_map(|event| changed_sku(event)).collect();
        if !skus.is_empty() && self.sender.send(Changed { position, skus }).is_err() {
            tracing::trace!("the last watcher has just gone");
        }
    }

    /// Listens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Changed> {
        self.sender.subscribe()
    }

    /// The place of the last event that was committed since the start.
    pub(crate) fn position(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }
}

fn changed_sku(event: &Event) -> Option<Sku> {
    if let EventData::StockChanged(data) = &event.data { Some(data.sku.clone()) } else { None }
}

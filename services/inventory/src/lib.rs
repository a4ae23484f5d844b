//! Inventory: promises stock to orders and never promises a unit twice.
//!
//! **Hears** `order.placed`, `.check_requested`, `.adjusted`, `.cancelling`, `.rejected`, `.expired`,
//! `.fulfilling`, `payment.authorized`, `payment.unknown`, and the passing of time.
//! **Says** `inventory.*` per order and `stock.*` per SKU.
//! **Serves** `Inventory` over gRPC: levels, journal, corrections, holds for owners outside.
//!
//! A batch of facts takes one path: [`events`] → [`handlers`] → [`store`] (read) → [`domain`]
//! (decide, in memory) → [`store`] (each level once, the journal in sequence) and the events.
//!
//! **Invariant:** `held + allocated + quarantined <= on_hand` for every level after every COMMIT, and
//! every level is the fold of its journal. The domain keeps it, `migrations/0001_stock.sql` enforces
//! it, [`audit`] checks it. Nothing but [`domain::Levels`] changes a balance.

pub mod audit;
pub mod domain;
pub mod error;
pub mod events;
pub mod grpc;
pub mod handlers;
pub mod store;
pub mod timers;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use ::store::{Schema, Store, StoreError};
use serde::{Deserialize, Serialize};

pub use events::subscriptions;
pub use grpc::server;

/// Inventory's tables.
pub const SCHEMA: Schema = Schema {
    service: "inventory",
    migrations: &[
        ("0001_stock", include_str!("../migrations/0001_stock.sql")),
        ("0002_room", include_str!("../migrations/0002_room.sql")),
    ],
};

/// What can be set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Seconds for which stock is held for an order that is not paid yet; also the extension.
    pub hold_ttl_s: u64,
    /// Available units that count as low, for SKUs that become known.
    pub low_threshold: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { hold_ttl_s: 15 * 60, low_threshold: 0 }
    }
}

impl Settings {
    /// For how long stock is held.
    pub const fn hold_ttl(&self) -> Duration {
        Duration::from_secs(self.hold_ttl_s)
    }
}

/// The service.
pub struct Inventory {
    store: Store,
    settings: Settings,
    watch: Arc<watch::Watch>,
}

impl Inventory {
    /// Inventory over `store`, whose tables must include [`SCHEMA`].
    pub fn try_new(store: Store, settings: Settings) -> Result<Arc<Self>, StoreError> {
        let watch = Arc::new(watch::Watch::default());
        let hook = Arc::clone(&watch);
        store.on_commit(Arc::new(move |events| hook.committed(events)))?;
        Ok(Arc::new(Self { store, settings, watch }))
    }
}

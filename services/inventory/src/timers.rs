//! What inventory does because time passes.

use std::sync::Arc;
use std::time::Duration;

use telemetry::Tasks;

use crate::{Inventory, handlers};

/// How often holds are looked at whose time may be over. What is due does not count in any decision
/// even before that.
const SWEEP_INTERVAL: Duration = Duration::from_millis(50);
/// The pause after a sweep that failed.
const SWEEP_RETRY: Duration = Duration::from_secs(1);

/// Starts what runs by the clock; it ends with the other tasks.
pub fn run(inventory: Arc<Inventory>, tasks: &Tasks) {
    let supervisor = tasks.clone();
    tasks.spawn("inventory.sweep", async move {
        let mut pause = SWEEP_INTERVAL;
        while supervisor.pause(pause).await {
            pause = match handlers::sweep(&inventory.store).await {
                Ok(true) => Duration::ZERO,
                Ok(false) => SWEEP_INTERVAL,
                Err(error) => {
                    tracing::warn!(%error, "due holds could not be ended; they are tried again");
                    SWEEP_RETRY
                }
            };
        }
    });
}

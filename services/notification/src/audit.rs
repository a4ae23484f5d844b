//! The invariants of notifications, checked over every row.

use std::time::Duration;

use store::audit::Check;
use store::{Rx, StoreError};

use crate::domain::{self, Notification, State};
use crate::store as rows;

/// Rows read at a time: a few megabytes.
const PAGE: i64 = 10_000;

/// How long a message may wait past its time: longer than all pauses between tries.
const PATIENCE: Duration = Duration::from_mins(15);

/// Every predicate over all notifications of one snapshot.
pub async fn audit(rx: &mut Rx) -> Result<Vec<Check>, StoreError> {
    let late = rx.now().minus(PATIENCE);
    let mut once = Check::new("NT-1", "a notification is where its event and channel put it");
    let mut waiting = Check::new("NT-3", "no message waits 15 minutes past its time");
    let mut last = 0;
    loop {
        let page = rows::after(rx, last, PAGE).await?;
        let Some((id, _)) = page.last() else {
            return Ok(vec![once, waiting]);
        };
        last = *id;
        for (id, notification) in page {
            let notification: Notification = match notification {
                Ok(notification) => notification,
                Err(error) => {
                    once.expect(false, || format!("{id}: {error}"));
                    continue;
                }
            };
            let place = domain::id(notification.event_id, notification.channel);
            once.expect(place == id, || id.to_string());
            let is_late = matches!(notification.state, State::Pending { due } if due < late);
            waiting.expect(!is_late, || id.to_string());
        }
    }
}

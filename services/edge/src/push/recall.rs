//! What happened while a client was away and the ring has no more, or not yet: brought back from the
//! log, once for all clients that come back.

use std::sync::Arc;

use contracts::{Event, Position};
use live::hub::{Client, Opened};

use super::Live;
use super::project::{Kept, Projection};

/// Events that are read from the log for those who come back: some seconds of full load. Who was
/// away for longer loads anew, which is cheaper.
const EVENTS_MAX: usize = 131_072;

impl Live {
    /// Lets `client` go on behind `position`; `false` if that cannot be done.
    pub(crate) async fn resume(&self, client: &mut Client, position: Position) -> bool {
        if client.resume(position) == Opened::Resumed {
            return true;
        }
        // The semaphore is never closed.
        let Ok(_turn) = self.recalls.acquire().await else { return false };
        // Whoever had the turn before may have brought it back.
        if client.resume(position) == Opened::Resumed {
            return true;
        }
        self.recall(position).await && client.resume(position) == Opened::Resumed
    }

    /// Brings into the ring what happened behind `from` and is not there.
    async fn recall(&self, from: Position) -> bool {
        let floor = self.hub.floor();
        let Some(events) = self.events_behind(from, floor).await else { return false };
        let to = match (floor, events.last()) {
            (Some(floor), _) => floor,
            (None, Some(last)) => last.id.position(),
            (None, None) => from,
        };
        let mut projection = Projection::new();
        let mut kept = Kept::default();
        for event in &events {
            projection.take(event, &mut kept);
        }
        projection.told().is_some_and(|told| self.hub.bring_back(told, from, to))
    }

    /// The events behind `from`, up to and with `until`; `None` if `from` is not a position of the
    /// log, or if there are too many.
    async fn events_behind(
        &self,
        from: Position,
        until: Option<Position>,
    ) -> Option<Vec<Arc<Event>>> {
        let mut events: Vec<Arc<Event>> = Vec::new();
        let mut next = from;
        let mut is_known = false;
        loop {
            let read = match (self.read_log)(next).await {
                Ok(read) => read,
                Err(error) => {
                    tracing::warn!(error, "the log cannot be read for those who come back");
                    return None;
                }
            };
            is_known = is_known || read.first().is_some_and(|first| first.id.position() == from);
            let Some(last) = read.last().map(|last| last.id.position()) else { break };
            if !is_known {
                return None;
            }
            next = Position::start_of(last.segment.saturating_add(1));
            let is_past = until.is_some_and(|until| last >= until);
            let wanted = |event: &Arc<Event>| {
                let position = event.id.position();
                position > from && until.is_none_or(|until| position <= until)
            };
            events.extend(read.into_iter().filter(wanted));
            if events.len() > EVENTS_MAX {
                return None;
            }
            if is_past {
                break;
            }
        }
        is_known.then_some(events)
    }
}

//! What happened while a client was away and the ring has no more, or not yet: brought back from the
//! log, once for all clients that come back.

use std::sync::Arc;

use contracts::{Event, Position};
use live::hub::{Client, Opened};

use super::project::{Kept, Projection};
use super::{Live, Log, ReadLog, Recall, times};

/// Events that are read from the log for those who come back: some seconds of full load. Who was
/// away for longer loads anew, which is cheaper.
const EVENTS_MAX: usize = 131_072;

impl Live {
    /// Lets `client` go on behind `position`; `false` if that cannot be done.
    pub(crate) async fn resume(&self, client: &mut Client, position: Position) -> bool {
        let from = match &self.log {
            Log::Own(_) => Some(position),
            Log::Shared(_) => times::since(position, self.now()),
        };
        let Some(from) = from else { return false };
        if self.is_in_ring(client, from) {
            return true;
        }
        // The semaphore is never closed.
        let Ok(_turn) = self.recalls.acquire().await else { return false };
        // Whoever had the turn before may have brought it back.
        if self.is_in_ring(client, from) {
            return true;
        }
        let is_back = match &self.log {
            Log::Own(read_log) => self.recall(read_log, from).await,
            Log::Shared(recall) => self.recall_shared(recall, from).await,
        };
        is_back && self.is_in_ring(client, from)
    }

    /// Goes on from the ring, if it reaches back so far.
    fn is_in_ring(&self, client: &mut Client, from: Position) -> bool {
        let from = match &self.log {
            Log::Own(_) => from,
            // Another edge may have heard more than this one has: nothing behind what it has is told yet.
            Log::Shared(_) => self.hub.head().map_or(from, |head| from.min(head)),
        };
        client.resume(from) == Opened::Resumed
    }

    /// Brings into the ring what a shared log got since `from`.
    async fn recall_shared(&self, recall: &Recall, from: Position) -> bool {
        let floor = self.hub.floor();
        let events = match recall(times::time(from), EVENTS_MAX).await {
            Ok(Some(events)) => events,
            Ok(None) => return false,
            Err(error) => {
                tracing::warn!(error, "the log cannot be read for those who come back");
                return false;
            }
        };
        // What came later than the ring begins is in the ring; told here, it would come too early.
        let is_wanted = |time| floor.is_none_or(|floor| times::is_before(time, floor));
        let mut projection = Projection::new();
        let mut kept = Kept::of_several_logs();
        let mut last = from;
        for (time, event) in events.iter().filter(|(time, _)| is_wanted(*time)) {
            let position = times::behind(Some(last), *time);
            last = floor.map_or(position, |floor| position.min(floor));
            projection.take_at(last, event, &mut kept);
        }
        let to = floor.unwrap_or(last);
        projection.told().is_some_and(|told| self.hub.bring_back(told, from, to))
    }

    /// Brings into the ring what happened behind `from` and is not there.
    async fn recall(&self, read_log: &ReadLog, from: Position) -> bool {
        let floor = self.hub.floor();
        let Some(events) = events_behind(read_log, from, floor).await else { return false };
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
}

/// The events behind `from`, up to and with `until`; `None` if `from` is not a position of the
/// log, or if there are too many.
async fn events_behind(
    read_log: &ReadLog,
    from: Position,
    until: Option<Position>,
) -> Option<Vec<Arc<Event>>> {
    let mut events: Vec<Arc<Event>> = Vec::new();
    let mut next = from;
    let mut is_known = false;
    loop {
        let read = match read_log(next).await {
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

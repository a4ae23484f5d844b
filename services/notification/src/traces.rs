//! The traces that waiting messages belong to: kept in memory, because only this process can go on
//! with them. A message that waits longer than the process lives is sent all the same, untraced.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use contracts::Event;
use telemetry::trace::{Context, Kind, Span};

use crate::domain::Notification;

/// Messages whose traces are kept: more than are sent within the seconds that a trace is looked at.
const KEPT_MAX: usize = 4_096;

/// By the ids of messages.
#[derive(Default)]
pub(crate) struct Traces(Mutex<HashMap<i64, Context>>);

impl Traces {
    /// The message `id` is sent in the trace of `event`.
    pub(crate) fn keep(&self, id: i64, event: &Event) {
        let Some(context) = event.traceparent.as_deref().and_then(Context::parse) else { return };
        let mut kept = self.kept();
        if kept.len() < KEPT_MAX {
            kept.insert(id, context);
        }
    }

    /// The step of sending a message, where that is part of a trace.
    pub(crate) fn sending(&self, notification: &Notification) -> Option<Span> {
        let parent = self.kept().get(&notification.id).copied();
        let name = || format!("send {}", notification.channel.word());
        let mut span = Span::start("notification", Kind::Client, parent, name)?;
        span.set("millrace.correlation", notification.order_id.to_string());
        Some(span)
    }

    /// The message `id` waits no longer.
    pub(crate) fn forget(&self, id: i64) {
        self.kept().remove(&id);
    }

    /// A panic in between cannot leave the map half changed.
    fn kept(&self) -> MutexGuard<'_, HashMap<i64, Context>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

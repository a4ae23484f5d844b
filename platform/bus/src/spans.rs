//! Each event that is handled is a step of its trace.
//!
//! A handler is given its events as they are but for `traceparent`: that is the step of handling
//! them, so what the handler publishes because of an event belongs below it.

use std::fmt;
use std::sync::Arc;

use contracts::Event;
use telemetry::trace::{self, Context, Kind, Span};

/// A batch of which somebody is told.
pub(crate) struct Traced {
    /// The batch as the handler is given it.
    pub(crate) events: Vec<Arc<Event>>,
    spans: Vec<Span>,
}

impl Traced {
    /// Begins the steps of `consumer` that handle `batch`; `None` if nobody is told of any.
    pub(crate) fn begin(
        consumer: &'static str,
        transport: &'static str,
        batch: &[Arc<Event>],
    ) -> Option<Self> {
        if !trace::is_on() || batch.iter().all(|event| event.traceparent.is_none()) {
            return None;
        }
        let mut spans = Vec::new();
        let events = batch.iter().map(|event| {
            let Some(mut span) = begin_one(consumer, event) else { return Arc::clone(event) };
            span.set("messaging.system", transport);
            span.set("messaging.batch.message_count", i64::try_from(batch.len()).unwrap_or(0));
            let traceparent = Some(span.context().traceparent());
            spans.push(span);
            Arc::new(Event { traceparent, ..Event::clone(event) })
        });
        let events = events.collect();
        Some(Self { events, spans })
    }

    /// Ends the steps: well, or because of `error`.
    pub(crate) fn end<E: fmt::Display>(self, error: Option<&E>) {
        let Some(error) = error else { return };
        for mut span in self.spans {
            span.fail(error);
        }
    }
}

fn begin_one(consumer: &'static str, event: &Event) -> Option<Span> {
    let parent = Context::parse(event.traceparent.as_deref()?);
    let kind = event.data.kind();
    let mut span =
        Span::start(consumer, Kind::Consumer, parent, || format!("process {}", kind.name()))?;
    span.set("messaging.operation.type", "process");
    span.set("messaging.destination.name", kind.topic().name());
    span.set("messaging.message.id", event.id.to_string());
    if let Some(correlation) = event.correlation {
        span.set("millrace.correlation", correlation.to_string());
    }
    Some(span)
}

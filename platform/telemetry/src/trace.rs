//! Traces: which work belongs together, and how long each part of it took.
//!
//! A [`Context`] says where a piece of work stands in its trace; it travels as W3C `traceparent`, in
//! headers of requests and with events. A [`Span`] is one step, told to a collector over OTLP. Both
//! follow the context alone: work without one costs a look at a thread's variable and nothing else,
//! and where no collector is named ([`start`]) no trace begins here, but those of callers go on.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{KeyValue, Value};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// The name of the header that carries a [`Context`].
pub const TRACEPARENT: &str = "traceparent";
/// What this instrumentation is called in what it tells.
const SCOPE: &str = "millrace";
/// How long the last spans may take to be told once the process stops.
const FLUSH_MAX: Duration = Duration::from_secs(3);
/// Bytes of a `traceparent` of the version that we write: `00-<32>-<16>-<2>`.
const LENGTH: usize = 55;

/// What an operator may set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The collector: `http://HOST:PORT` of its OTLP over gRPC. Empty: nothing is told.
    pub otlp: String,
    /// The share of requests without a trace of their caller's that begin one: 0.0 to 1.0.
    pub sampling: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { otlp: String::new(), sampling: 1.0 }
    }
}

/// Why tracing could not begin.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The collector's address is none.
    #[error("tracing.otlp: `{0}` is not http://HOST:PORT, where a collector takes OTLP over gRPC")]
    Endpoint(String),
    /// The share is none.
    #[error("tracing.sampling: `{0}` is not a share from 0.0 to 1.0")]
    Sampling(f64),
    /// The exporter cannot be made.
    #[error("tracing.otlp: {0}")]
    Exporter(String),
    /// Tracing has begun already.
    #[error("tracing is set up already")]
    Twice,
}

/// Where spans go, by the service that they are of.
struct Tracers {
    providers: Vec<SdkTracerProvider>,
    by_service: HashMap<&'static str, SdkTracer>,
}

static TRACERS: OnceLock<Tracers> = OnceLock::new();

tokio::task_local! {
    static CURRENT: Context;
}

/// Begins to tell spans of `services`, each under its own name. Called once, in a runtime; it does
/// nothing if no collector is named.
pub fn start(settings: &Settings, services: &[&'static str]) -> Result<(), TraceError> {
    if settings.otlp.is_empty() {
        return Ok(());
    }
    let host = settings.otlp.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    if host.is_none_or(|host| host.is_empty() || host.contains('/')) {
        return Err(TraceError::Endpoint(settings.otlp.clone()));
    }
    if !(0.0..=1.0).contains(&settings.sampling) {
        return Err(TraceError::Sampling(settings.sampling));
    }
    let mut tracers = Tracers {
        providers: Vec::with_capacity(services.len()),
        by_service: HashMap::with_capacity(services.len()),
    };
    // Who calls with a trace decides for all of it.
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sampling)));
    for service in services {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(&settings.otlp).build();
        let exporter = exporter.map_err(|cause| TraceError::Exporter(cause.to_string()))?;
        let resource = Resource::builder()
            .with_service_name(*service)
            .with_attribute(KeyValue::new("service.namespace", SCOPE))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler.clone())
            .with_resource(resource)
            .build();
        tracers.by_service.insert(service, provider.tracer(SCOPE));
        tracers.providers.push(provider);
    }
    TRACERS.set(tracers).or(Err(TraceError::Twice))
}

/// Whether spans are told to anybody.
pub fn is_on() -> bool {
    TRACERS.get().is_some()
}

/// Tells what has not been told yet. It blocks the thread, at most for some seconds.
pub fn stop() {
    let Some(tracers) = TRACERS.get() else { return };
    for provider in &tracers.providers {
        if let Err(error) = provider.shutdown_with_timeout(FLUSH_MAX) {
            tracing::warn!(%error, "the last spans could not be told");
        }
    }
}

/// The place of a piece of work in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    trace: u128,
    span: u64,
    is_sampled: bool,
}

impl Context {
    /// Reads a `traceparent`; `None` if it is none, or of the version that nobody may use.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        // Later versions may be longer, behind another dash (W3C Trace Context, 2.2.4).
        let version = text.get(..2)?;
        let fits = bytes.len() == LENGTH
            || (bytes.len() > LENGTH && version != "00" && bytes.get(LENGTH) == Some(&b'-'));
        let dashes = [2, 35, 52].iter().all(|place| bytes.get(*place) == Some(&b'-'));
        if !fits || !dashes || version == "ff" {
            return None;
        }
        let hex = |from: usize, to: usize| {
            let digits = text.get(from..to)?;
            let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            if !digits.bytes().all(is_hex) {
                return None;
            }
            u128::from_str_radix(digits, 16).ok()
        };
        hex(0, 2)?;
        let (trace, span, flags) = (hex(3, 35)?, u64::try_from(hex(36, 52)?).ok()?, hex(53, 55)?);
        (trace != 0 && span != 0).then_some(Self { trace, span, is_sampled: flags & 1 == 1 })
    }

    /// The context as it travels.
    pub fn traceparent(self) -> SmolStr {
        smol_str::format_smolstr!("{self}")
    }

    fn remote(self) -> SpanContext {
        SpanContext::new(
            TraceId::from_bytes(self.trace.to_be_bytes()),
            SpanId::from_bytes(self.span.to_be_bytes()),
            if self.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() },
            true,
            TraceState::default(),
        )
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.is_sampled))
    }
}

/// The context of the work that asks, if it has one.
pub fn current() -> Option<Context> {
    CURRENT.try_with(|context| *context).ok()
}

/// The same as it travels.
pub fn traceparent() -> Option<SmolStr> {
    current().map(Context::traceparent)
}

/// Does `work` in `context`, if there is one.
pub async fn within<F: Future>(context: Option<Context>, work: F) -> F::Output {
    match context {
        Some(context) => CURRENT.scope(context, work).await,
        None => work.await,
    }
}

/// The same for work that is in a box already: without a context it is given back as it is.
pub fn carried<'w, T: 'w>(
    context: Option<Context>,
    work: Pin<Box<dyn Future<Output = T> + Send + 'w>>,
) -> Pin<Box<dyn Future<Output = T> + Send + 'w>> {
    match context {
        Some(context) => Box::pin(CURRENT.scope(context, work)),
        None => work,
    }
}

/// What a step does for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It answers a request.
    Server,
    /// It asks somebody outside.
    Client,
    /// It handles an event.
    Consumer,
}

/// A step of a trace. It ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    span: opentelemetry_sdk::trace::Span,
    context: Context,
}

impl Span {
    /// Begins a step of `service` under `parent`; `None` if nobody is to be told of it.
    pub fn start(
        service: &str,
        kind: Kind,
        parent: Option<Context>,
        name: impl FnOnce() -> String,
    ) -> Option<Self> {
        let parent = parent.filter(|parent| parent.is_sampled)?;
        let above = opentelemetry::Context::new().with_remote_span_context(parent.remote());
        Self::under(service, kind, &above, name)
    }

    /// Begins a step that answers a request: in the trace of its caller as `traceparent` names it, or
    /// in a new one. Also gives the context for what belongs below it, which is the caller's where
    /// nobody is told of the step.
    pub fn answering(
        service: &str,
        traceparent: Option<&str>,
        name: impl FnOnce() -> String,
    ) -> (Option<Context>, Option<Self>) {
        let parent = traceparent.and_then(Context::parse);
        let span = if parent.is_some() {
            Self::start(service, Kind::Server, parent, name)
        } else {
            Self::under(service, Kind::Server, &opentelemetry::Context::new(), name)
        };
        (span.as_ref().map(|span| span.context).or(parent), span)
    }

    fn under(
        service: &str,
        kind: Kind,
        above: &opentelemetry::Context,
        name: impl FnOnce() -> String,
    ) -> Option<Self> {
        let tracer = TRACERS.get()?.by_service.get(service)?;
        let kind = match kind {
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
            Kind::Consumer => SpanKind::Consumer,
        };
        let span = tracer.span_builder(name()).with_kind(kind).start_with_context(tracer, above);
        let told = span.span_context();
        let context = Context {
            trace: u128::from_be_bytes(told.trace_id().to_bytes()),
            span: u64::from_be_bytes(told.span_id().to_bytes()),
            is_sampled: told.is_sampled(),
        };
        context.is_sampled.then_some(Self { span, context })
    }

    /// What belongs below this step.
    pub fn context(&self) -> Context {
        self.context
    }

    /// Says something of the step.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.span.set_attribute(KeyValue::new(name, value));
    }

    /// Says that the step has failed.
    pub fn fail(&mut self, why: impl fmt::Display) {
        self.span.set_status(Status::error(why.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_is_written_as_it_was_read() {
        assert_eq!(Context::parse(GIVEN).unwrap().traceparent(), GIVEN);
        let unsampled = GIVEN.replace("-01", "-00");
        assert_eq!(Context::parse(&unsampled).unwrap().traceparent(), unsampled);
        // Flags and versions that came later are read as far as they are known.
        let later = format!("cc{}-more", GIVEN[2..].replace("-01", "-09"));
        assert_eq!(Context::parse(&later).unwrap().traceparent(), GIVEN);
    }

    #[test]
    fn what_is_no_context_is_none() {
        let bad = [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319é-b7ad6b716920333-01",
        ];
        for text in bad {
            assert_eq!(Context::parse(text), None, "{text}");
        }
    }

    #[test]
    fn settings_that_cannot_be_are_refused_by_name() {
        let refused = |otlp: &str, sampling| {
            let settings = Settings { otlp: otlp.to_owned(), sampling };
            start(&settings, &["edge"]).unwrap_err().to_string()
        };
        for bad in ["collector:4317", "https://collector:4317", "http://", "http://x:1/v1/traces"] {
            assert!(refused(bad, 1.0).starts_with("tracing.otlp: "), "{bad}");
        }
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(refused("http://127.0.0.1:4317", bad).starts_with("tracing.sampling: "));
        }
        assert!(!is_on());
    }

    #[tokio::test]
    async fn work_knows_its_context_and_other_work_does_not() {
        assert_eq!(current(), None);
        let context = Context::parse(GIVEN);
        let inner = within(context, async { (current(), traceparent()) }).await;
        assert_eq!(inner, (context, Some(GIVEN.into())));
        assert_eq!(carried(context, Box::pin(async { current() })).await, context);
        assert_eq!(within(None, async { current() }).await, None);
        assert_eq!(current(), None);
    }
}

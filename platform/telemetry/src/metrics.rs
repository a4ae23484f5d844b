//! Metrics: one registry per process, names prefixed `millrace_`, rendered as OpenMetrics text.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};

use crate::families::Family;

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Registry::with_prefix("millrace"))))
    }
}

/// A number that is read when somebody asks.
struct Read<F> {
    name: String,
    help: &'static str,
    value: F,
    counts: bool,
}

impl<F> std::fmt::Debug for Read<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl<F: Fn() -> u64 + Send + Sync + 'static> Collector for Read<F> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let value = (self.value)();
        if self.counts {
            let counter = ConstCounter::new(value);
            let kind = counter.metric_type();
            return counter.encode(encoder.encode_descriptor(&self.name, self.help, None, kind)?);
        }
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        let kind = gauge.metric_type();
        gauge.encode(encoder.encode_descriptor(&self.name, self.help, None, kind)?)
    }
}

impl Metrics {
    /// A number that only grows. The name gets the suffix `_total` when it is rendered.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.register(name, help, counter.clone());
        counter
    }

    /// A number that goes up and down.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.register(name, help, gauge.clone());
        gauge
    }

    /// Durations in seconds, in buckets from 0.5 ms to 16 s that double.
    pub fn histogram(&self, name: &str, help: &str) -> Histogram {
        let histogram = Histogram::new(exponential_buckets(0.0005, 2.0, 16));
        self.register(name, help, histogram.clone());
        histogram
    }

    /// A counter whose value is kept elsewhere.
    pub fn count_of(
        &self,
        name: &str,
        help: &'static str,
        value: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.collect(Read { name: name.to_owned(), help, value, counts: true });
    }

    /// A gauge whose value is kept elsewhere.
    pub fn value_of(
        &self,
        name: &str,
        help: &'static str,
        value: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        self.collect(Read { name: name.to_owned(), help, value, counts: false });
    }

    /// A metric that several members have, told apart by `label`.
    pub fn family(&self, name: &'static str, help: &'static str, label: &'static str) -> Family {
        let family = Family::new(name, help, label);
        self.collect(family.clone());
        family
    }

    /// Everything, as OpenMetrics text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if text::encode(&mut out, &registry).is_err() {
            tracing::error!("the metrics cannot be rendered");
        }
        out
    }

    fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).register(name, help, metric);
    }

    fn collect(&self, collector: impl Collector) {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(collector));
    }
}

/// CPU time that this process has used, in microseconds; 0 where the system does not tell.
///
/// Linux counts it in ticks of 10 ms (`USER_HZ` is 100 on every Linux that Rust supports).
pub fn cpu_micros() -> u64 {
    const MICROS_PER_TICK: u64 = 10_000;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15 (proc(5)), counted behind the name, which may hold anything but `)`.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks.saturating_mul(MICROS_PER_TICK)
}

/// Memory that this process holds, in bytes; 0 where the system does not tell.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_as_openmetrics() {
        let metrics = Metrics::default();
        metrics.counter("orders_placed", "orders placed").inc_by(3);
        metrics.value_of("open", "open things", || 7);
        metrics.count_of("commits", "COMMITs", || 9);
        let text = metrics.render();
        assert!(text.contains("millrace_orders_placed_total 3"), "{text}");
        assert!(text.contains("millrace_open 7"), "{text}");
        assert!(text.contains("millrace_commits_total 9"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_process_knows_its_own_size() {
        assert!(resident_bytes() > 100_000);
    }
}

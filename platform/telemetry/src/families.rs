//! Metrics that several members of one kind have: one name, and a label that tells them apart.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// How long something took: from 0.5 ms to 16 s, in buckets that double.
#[derive(Debug, Clone)]
pub struct Seconds(Histogram);

/// How many there were: from 1 to 16,384, in buckets that double twice.
#[derive(Debug, Clone)]
pub struct Sizes(Histogram);

impl Default for Seconds {
    fn default() -> Self {
        Self(Histogram::new(exponential_buckets(0.0005, 2.0, 16)))
    }
}

impl Default for Sizes {
    fn default() -> Self {
        Self(Histogram::new(exponential_buckets(1.0, 4.0, 8)))
    }
}

impl Seconds {
    /// One more.
    pub fn observe(&self, span: Duration) {
        self.0.observe(span.as_secs_f64());
    }
}

impl Sizes {
    /// One more.
    pub fn observe(&self, size: usize) {
        self.0.observe(f64::from(u32::try_from(size).unwrap_or(u32::MAX)));
    }
}

/// Where the number of a member is.
enum Source {
    /// Counted elsewhere; it only grows.
    Count(Box<dyn Fn() -> u64 + Send + Sync>),
    /// Kept elsewhere.
    Value(Box<dyn Fn() -> u64 + Send + Sync>),
    /// Kept elsewhere in microseconds, told in seconds.
    Micros(Box<dyn Fn() -> u64 + Send + Sync>),
    Histogram(Histogram),
}

impl Source {
    const fn kind(&self) -> MetricType {
        match self {
            Self::Count(_) => MetricType::Counter,
            Self::Value(_) | Self::Micros(_) => MetricType::Gauge,
            Self::Histogram(_) => MetricType::Histogram,
        }
    }

    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self {
            Self::Count(read) => ConstCounter::new(read()).encode(encoder),
            Self::Value(read) => {
                ConstGauge::new(i64::try_from(read()).unwrap_or(i64::MAX)).encode(encoder)
            }
            Self::Micros(read) => {
                ConstGauge::new(Duration::from_micros(read()).as_secs_f64()).encode(encoder)
            }
            Self::Histogram(histogram) => histogram.encode(encoder),
        }
    }
}

/// A metric of every member, under one name. Clones are the same.
#[derive(Clone)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    members: Arc<Mutex<Vec<(String, Source)>>>,
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Family {
    pub(crate) fn new(name: &'static str, help: &'static str, label: &'static str) -> Self {
        Self { name, help, label, members: Arc::default() }
    }

    /// The member `name` has a count that is kept elsewhere. All members are told in one way.
    pub fn count(&self, name: &str, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.add(name, Source::Count(Box::new(read)));
    }

    /// The member `name` has a number that is kept elsewhere.
    pub fn value(&self, name: &str, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.add(name, Source::Value(Box::new(read)));
    }

    /// The member `name` has a time that is kept elsewhere, in microseconds.
    pub fn micros(&self, name: &str, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.add(name, Source::Micros(Box::new(read)));
    }

    /// The member `name` has these times.
    pub fn seconds(&self, name: &str, seconds: &Seconds) {
        self.add(name, Source::Histogram(seconds.0.clone()));
    }

    /// The member `name` has these sizes.
    pub fn sizes(&self, name: &str, sizes: &Sizes) {
        self.add(name, Source::Histogram(sizes.0.clone()));
    }

    fn add(&self, name: &str, source: Source) {
        self.members().push((name.to_owned(), source));
    }

    /// A panic in between cannot leave the list half changed.
    fn members(&self) -> MutexGuard<'_, Vec<(String, Source)>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Family {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let members = self.members();
        let Some((_, first)) = members.first() else { return Ok(()) };
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, first.kind())?;
        for (name, source) in members.iter() {
            source.encode(metric.encode_family(&[(self.label, name.as_str())])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Metrics, Seconds, Sizes};

    #[test]
    fn members_are_told_apart_by_their_label() {
        let metrics = Metrics::default();
        let counts = metrics.family("stage_events", "events", "stage");
        counts.count("order", || 3);
        counts.count("payment", || 4);
        let (seconds, sizes) = (Seconds::default(), Sizes::default());
        seconds.observe(std::time::Duration::from_millis(3));
        sizes.observe(300);
        metrics.family("stage_batch_seconds", "times", "stage").seconds("order", &seconds);
        metrics.family("stage_batch_events", "sizes", "stage").sizes("order", &sizes);
        metrics.family("stage_delay_seconds", "age", "stage").micros("order", || 1_500_000);
        metrics.family("stage_keys", "keys", "stage").value("order", || 2);
        metrics.family("stage_none", "nothing", "stage");
        let text = metrics.render();
        for line in [
            "# TYPE millrace_stage_events counter",
            "millrace_stage_events_total{stage=\"order\"} 3",
            "millrace_stage_events_total{stage=\"payment\"} 4",
            "millrace_stage_batch_seconds_count{stage=\"order\"} 1",
            "millrace_stage_batch_seconds_bucket{le=\"0.004\",stage=\"order\"} 1",
            "millrace_stage_batch_events_bucket{le=\"256.0\",stage=\"order\"} 0",
            "millrace_stage_batch_events_bucket{le=\"1024.0\",stage=\"order\"} 1",
            "millrace_stage_delay_seconds{stage=\"order\"} 1.5",
            "millrace_stage_keys{stage=\"order\"} 2",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert_eq!(text.matches("# TYPE millrace_stage_events ").count(), 1);
    }
}

//! What a run of readers found.

use std::fmt;

use anyhow::Context as _;
use serde::Serialize;

use super::super::load::{Connection, Target};
use super::scan::Scan;

const BYTES_PER_MB: u64 = 1_024 * 1_024;
const MICROS_PER_MILLI: u64 = 1_000;

/// What the server says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server {
    resident_bytes: u64,
    cpu_us: u64,
    confirmed: u64,
}

impl Server {
    /// Asks the server for its metrics.
    pub(super) async fn ask(target: &Target) -> anyhow::Result<Self> {
        let mut connection = Connection::new(target);
        let request = format!("{}\r\n", target.head("GET", "/metrics"));
        let answer = connection.send(request.as_bytes()).await.context("no metrics")?;
        let text = std::str::from_utf8(answer.body)?;
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
            lines.find_map(|rest| rest.strip_prefix(' ')?.parse::<u64>().ok()).unwrap_or(0)
        };
        Ok(Self {
            resident_bytes: value("millrace_resident_bytes"),
            cpu_us: value("millrace_cpu_micros_total"),
            confirmed: value("millrace_orders_confirmed_total"),
        })
    }
}

/// How a run went, as its readers saw it.
pub(super) struct Run<'s> {
    pub(super) readers: u64,
    pub(super) stuck: u64,
    pub(super) lost: u64,
    pub(super) seconds: u64,
    pub(super) updates: u64,
    /// CPU time of the readers.
    pub(super) cpu_us: u64,
    pub(super) scan: &'s Scan,
    /// The server before, with the readers, and after.
    pub(super) servers: [Server; 3],
}

/// What a run of readers found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    readers: u64,
    stuck_readers: u64,
    lost_readers: u64,
    seconds: u64,
    updates: u64,
    events: u64,
    resets: u64,
    latency_p50_ms: u64,
    latency_p99_ms: u64,
    latency_max_ms: u64,
    server_mb_before: u64,
    server_mb_with_readers: u64,
    server_mb_after: u64,
    server_cpu_percent: u64,
    /// What the readers themselves took.
    readers_cpu_percent: u64,
    orders_confirmed_per_second: u64,
}

impl Report {
    pub(super) fn new(run: &Run<'_>) -> Self {
        let Run { readers, stuck, lost, seconds, updates, cpu_us, scan, servers } = *run;
        let [before, with, after] = servers;
        let millis =
            |quantile| scan.latency_us.value_at_quantile(quantile).div_euclid(MICROS_PER_MILLI);
        let megabytes = |server: Server| server.resident_bytes.div_euclid(BYTES_PER_MB);
        // The last second waits for what is on its way.
        let measured = seconds + 1;
        let per_second = |count: u64| count.div_euclid(measured);
        Self {
            readers,
            stuck_readers: stuck,
            lost_readers: lost,
            seconds,
            updates,
            events: scan.events,
            resets: scan.resets,
            latency_p50_ms: millis(0.5),
            latency_p99_ms: millis(0.99),
            latency_max_ms: scan.latency_us.max().div_euclid(MICROS_PER_MILLI),
            server_mb_before: megabytes(before),
            server_mb_with_readers: megabytes(with),
            server_mb_after: megabytes(after),
            server_cpu_percent: per_second(after.cpu_us.saturating_sub(with.cpu_us))
                .div_euclid(10_000),
            readers_cpu_percent: per_second(cpu_us).div_euclid(10_000),
            orders_confirmed_per_second: per_second(after.confirmed.saturating_sub(with.confirmed)),
        }
    }

    /// Whether every reader was there to the end.
    pub(super) const fn is_good(&self) -> bool {
        self.lost_readers == 0 && self.events > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "readers    {} that read, {} stuck, {} lost",
            self.readers, self.stuck_readers, self.lost_readers
        )?;
        writeln!(
            f,
            "events     {} in {} s for {} updates, {} resets",
            self.events, self.seconds, self.updates, self.resets
        )?;
        writeln!(
            f,
            "latency    p50 {} ms, p99 {} ms, max {} ms, from commit to reader",
            self.latency_p50_ms, self.latency_p99_ms, self.latency_max_ms
        )?;
        writeln!(
            f,
            "server     {} MB before, {} MB with the readers, {} MB after",
            self.server_mb_before, self.server_mb_with_readers, self.server_mb_after
        )?;
        write!(
            f,
            "           {} % of one processor, readers {} %, {} orders/s confirmed meanwhile",
            self.server_cpu_percent, self.readers_cpu_percent, self.orders_confirmed_per_second
        )
    }
}

//! What a run measured: one JSON object, or a page for people.

use std::fmt;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use super::ledger::Book;

/// What the auditor says after the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// Every invariant holds.
    Clean,
    /// At least one does not.
    Violations,
    /// The auditor could not be asked.
    Unchecked,
}

/// Thousandths, shown as a decimal: of microseconds in milliseconds, of milliseconds in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Thousandths(u64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0.div_euclid(1_000), self.0.rem_euclid(1_000))
    }
}

impl Serialize for Thousandths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number: f64 = self.to_string().parse().map_err(serde::ser::Error::custom)?;
        serializer.serialize_f64(number)
    }
}

/// Percentiles of a latency.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Percentiles {
    p50: Thousandths,
    p99: Thousandths,
}

impl Percentiles {
    fn of(micros: &Histogram<u64>) -> Self {
        let at = |quantile| Thousandths(micros.value_at_quantile(quantile));
        Self { p50: at(0.50), p99: at(0.99) }
    }
}

/// How the run was made.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Setup {
    pub(super) mode: &'static str,
    pub(super) mix: &'static str,
    pub(super) connections: u64,
    /// Orders per second of the schedule; none in a closed loop.
    pub(super) rate: Option<u64>,
}

/// What the run measured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    accepted: u64,
    confirmed: u64,
    rejected: u64,
    failed: u64,
    accepted_per_second: u64,
    confirmed_per_second: u64,
    accepted_ms: Percentiles,
    confirmed_ms: Percentiles,
    /// Server CPU for each order that ended; none if the server does not tell.
    server_cpu_micros_per_order: Option<u64>,
    audit: Verdict,
    offered: u64,
    dropped: u64,
    refused: u64,
    retried: u64,
    /// Cancelled, expired or waiting for a person.
    other: u64,
    /// Accepted orders that had not ended half a minute after the last was sent.
    unsettled: u64,
    /// Orders whose end was asked for, because its change was not seen: their latency is too long.
    asked: u64,
    seconds: Thousandths,
    #[serde(flatten)]
    setup: Setup,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    watch_failure: Option<String>,
}

/// `count` per second, when it took `micros`.
pub(super) fn per_second(count: u64, micros: u64) -> u64 {
    count.saturating_mul(1_000_000).checked_div_euclid(micros).unwrap_or(0)
}

impl Report {
    /// Everything in `book`, after the server used `cpu_us` of its processors.
    pub(super) fn new(book: &Book, setup: Setup, cpu_us: Option<u64>, audit: Verdict) -> Self {
        let counts = book.counts;
        let per_order = cpu_us.and_then(|cpu| cpu.checked_div_euclid(counts.settled()));
        let span_us = counts.last_accepted_us.max(counts.last_confirmed_us);
        Self {
            accepted: counts.accepted,
            confirmed: counts.confirmed,
            rejected: counts.rejected,
            failed: counts.failed,
            accepted_per_second: per_second(counts.accepted, counts.last_accepted_us),
            confirmed_per_second: per_second(counts.confirmed, counts.last_confirmed_us),
            accepted_ms: Percentiles::of(&book.accepted_us),
            confirmed_ms: Percentiles::of(&book.confirmed_us),
            server_cpu_micros_per_order: per_order,
            audit,
            offered: counts.offered,
            dropped: counts.dropped,
            refused: counts.refused,
            retried: counts.retried,
            other: counts.other,
            unsettled: counts.open(),
            asked: counts.asked,
            seconds: Thousandths(span_us.div_euclid(1_000)),
            setup,
            first_failure: book.failure.clone(),
            watch_failure: book.watch_failure.clone(),
        }
    }

    /// Whether the run counts: something was confirmed and no invariant is broken.
    pub(super) fn is_good(&self) -> bool {
        self.audit == Verdict::Clean && self.confirmed > 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setup { mode, mix, connections, rate } = &self.setup;
        write!(f, "{mode}, {mix}, {connections} connections, ")?;
        match rate {
            Some(rate) => writeln!(f, "{rate} orders/s by schedule")?,
            None => writeln!(f, "as fast as answers come")?,
        }
        let line = |f: &mut fmt::Formatter<'_>, name, count, rate, ms: &Percentiles| {
            writeln!(
                f,
                "  {name:<10}{count:>10}{rate:>10}/s   p50 {:>9} ms   p99 {:>9} ms",
                ms.p50.to_string(),
                ms.p99.to_string(),
            )
        };
        writeln!(f, "  {:<10}{:>10}", "offered", self.offered)?;
        line(f, "accepted", self.accepted, self.accepted_per_second, &self.accepted_ms)?;
        line(f, "confirmed", self.confirmed, self.confirmed_per_second, &self.confirmed_ms)?;
        for (name, count) in [
            ("rejected", self.rejected),
            ("other", self.other),
            ("failed", self.failed),
            ("refused", self.refused),
            ("dropped", self.dropped),
            ("retried", self.retried),
            ("unsettled", self.unsettled),
        ] {
            if count > 0 {
                writeln!(f, "  {name:<10}{count:>10}")?;
            }
        }
        if let Some(why) = &self.first_failure {
            writeln!(f, "  first failure: {why}")?;
        }
        if let Some(why) = &self.watch_failure {
            writeln!(f, "  the changes were not followed to the end: {why}")?;
        }
        if self.asked > 0 {
            writeln!(f, "  {} ends were asked for, their latency is too long", self.asked)?;
        }
        match self.server_cpu_micros_per_order {
            Some(cpu) => writeln!(f, "  server CPU {cpu} µs per order")?,
            None => writeln!(f, "  server CPU not known")?,
        }
        match self.audit {
            Verdict::Clean => write!(f, "  audit clean"),
            Verdict::Violations => write!(f, "  audit: VIOLATIONS"),
            Verdict::Unchecked => write!(f, "  audit: could not check"),
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::{OrderId, OrderNumber, Timestamp};
    use contracts_grpc::v1::OrderStatus;

    use super::super::ledger::Ledger;
    use super::super::pace::Ticket;
    use super::*;

    fn report() -> Report {
        let ledger = Ledger::try_new(1).unwrap();
        let mut book = ledger.book();
        for number in 1..=4 {
            let id = OrderId::new(Timestamp::from_micros(1), OrderNumber::new(number), 0);
            book.accept(id, Ticket { order: number, intended_us: 0 }, 2_000);
            let status = if number == 4 { OrderStatus::Rejected } else { OrderStatus::Confirmed };
            book.change(number, status, 500_000);
        }
        let setup = Setup { mode: "single", mix: "uniform", connections: 64, rate: None };
        Report::new(&book, setup, Some(240), Verdict::Clean)
    }

    #[test]
    fn the_object_has_the_names_that_scripts_rely_on() {
        let report = serde_json::to_value(report()).unwrap();
        for (name, expected) in [
            ("accepted", 4),
            ("confirmed", 3),
            ("rejected", 1),
            ("failed", 0),
            ("acceptedPerSecond", 2_000),
            ("confirmedPerSecond", 6),
            ("serverCpuMicrosPerOrder", 60),
            ("connections", 64),
        ] {
            assert_eq!(report[name], expected, "{name}");
        }
        assert_eq!(report["acceptedMs"]["p50"], 2.0);
        assert!(report["confirmedMs"]["p99"].is_number());
        assert_eq!((&report["audit"], &report["mode"]), (&"clean".into(), &"single".into()));
    }

    #[test]
    fn a_run_counts_only_with_a_clean_audit_and_something_confirmed() {
        let mut report = report();
        assert!(report.is_good());
        report.audit = Verdict::Unchecked;
        assert!(!report.is_good());
        (report.audit, report.confirmed) = (Verdict::Clean, 0);
        assert!(!report.is_good());
    }
}

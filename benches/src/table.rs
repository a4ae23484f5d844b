//! The table of results, with ratios in hundredths: integers are enough for that.

use std::io::{self, Write as _};

use anyhow::Context as _;
use serde_json::Value;

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) per_second: u64,
    /// Percentiles of accepted and confirmed, in milliseconds, as the generator shows them.
    latency: Option<[String; 4]>,
    /// CPU per order, in microseconds.
    pub(crate) cpu_us: Option<u64>,
    audit: Option<String>,
}

fn number(report: &Value, name: &str) -> anyhow::Result<u64> {
    report[name].as_u64().with_context(|| format!("the report has no {name}"))
}

fn percentiles(report: &Value) -> [String; 4] {
    let at = |what: &str, place: &str| report[what][place].to_string();
    [
        at("acceptedMs", "p50"),
        at("acceptedMs", "p99"),
        at("confirmedMs", "p50"),
        at("confirmedMs", "p99"),
    ]
}

impl Line {
    /// A limit: orders per second and CPU, no latency.
    pub(crate) fn of_loop(name: String, per_second: u64, cpu_us: u64) -> Self {
        Self { name, per_second, latency: None, cpu_us: Some(cpu_us), audit: None }
    }

    /// Confirmed orders of a run under load.
    pub(crate) fn of_load(name: &str, report: &Value) -> anyhow::Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            per_second: number(report, "confirmedPerSecond")?,
            latency: Some(percentiles(report)),
            cpu_us: report["serverCpuMicrosPerOrder"].as_u64(),
            audit: Some(report["audit"].as_str().unwrap_or("unchecked").to_owned()),
        })
    }

    /// Answers of a run against a server that does nothing.
    pub(crate) fn of_answers(name: &str, report: &Value) -> anyhow::Result<Self> {
        let [p50, p99, ..] = percentiles(report);
        let none = "-".to_owned();
        Ok(Self {
            name: name.to_owned(),
            per_second: number(report, "acceptedPerSecond")?,
            latency: Some([p50, p99, none.clone(), none]),
            cpu_us: None,
            audit: None,
        })
    }
}

/// All rows: what was measured, and the limits that it is compared with.
#[derive(Debug, Default)]
pub(crate) struct Table {
    ours: Vec<Line>,
    limits: Vec<Line>,
}

/// `part` of `whole` with two decimals.
pub(crate) fn ratio(part: u64, whole: u64) -> String {
    let hundredths = part.saturating_mul(100).checked_div_euclid(whole).unwrap_or(0);
    format!("{}.{:02}", hundredths.div_euclid(100), hundredths.rem_euclid(100))
}

impl Table {
    pub(crate) fn add(&mut self, line: Line) {
        self.ours.push(line);
    }

    pub(crate) fn add_limit(&mut self, line: Line) {
        self.limits.push(line);
    }

    /// Whether every run passed its audit.
    pub(crate) fn all_clean(&self) -> bool {
        self.ours.iter().all(|line| line.audit.as_deref() == Some("clean"))
    }

    pub(crate) fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "\n{:<50}{:>10}{:>8}{:>24}{:>24}  audit",
            "", "orders/s", "CPU µs", "accepted p50/p99 ms", "confirmed p50/p99 ms"
        )?;
        for line in self.limits.iter().chain(&self.ours) {
            let [a50, a99, c50, c99] =
                line.latency.clone().unwrap_or_else(|| ["-"; 4].map(Into::into));
            writeln!(
                out,
                "{:<50}{:>10}{:>8}{:>24}{:>24}  {}",
                line.name,
                line.per_second,
                line.cpu_us.map_or_else(|| "-".to_owned(), |cpu| cpu.to_string()),
                format!("{a50} / {a99}"),
                format!("{c50} / {c99}"),
                line.audit.as_deref().unwrap_or("-"),
            )?;
        }
        writeln!(out, "\nratios: what Millrace confirms for each order of")?;
        for limit in &self.limits {
            writeln!(out, "  {}", limit.name)?;
            for line in &self.ours {
                writeln!(
                    out,
                    "    {:>6}  {}",
                    ratio(line.per_second, limit.per_second),
                    line.name
                )?;
            }
        }
        if let [single, _, flash] = self.ours.as_slice() {
            let hot = ratio(flash.per_second, single.per_second);
            writeln!(out, "  {}\n    {hot:>6}  {}", single.name, flash.name)?;
        }
        Ok(())
    }
}

/// Prints what was measured beside the table.
pub(crate) fn tell(lines: &[String]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ratios_have_two_decimals_and_survive_zero() {
        for (part, whole, expected) in
            [(1, 2, "0.50"), (12_345, 47_300, "0.26"), (3, 1, "3.00"), (5, 0, "0.00")]
        {
            assert_eq!(ratio(part, whole), expected);
        }
    }

    #[test]
    fn a_run_with_violations_makes_the_table_unclean() {
        let report = |audit: &str| {
            json!({"confirmedPerSecond": 5, "serverCpuMicrosPerOrder": 70, "audit": audit,
                   "acceptedMs": {"p50": 1.5, "p99": 2.0}, "confirmedMs": {"p50": 2, "p99": 3}})
        };
        let mut table = Table::default();
        table.add(Line::of_load("a", &report("clean")).unwrap());
        assert!(table.all_clean());
        table.add(Line::of_load("b", &report("violations")).unwrap());
        assert!(!table.all_clean());
        assert!(Line::of_load("c", &json!({})).is_err());
    }
}

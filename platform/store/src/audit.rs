//! What a check of the invariants found.

use serde::Serialize;

/// Violators that are named; the rest is only counted.
pub const VIOLATORS_MAX: usize = 20;

/// The outcome of one predicate over all rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// The predicate's stable name, such as `ST-1`.
    pub id: &'static str,
    /// What must hold, in one line.
    pub states: &'static str,
    /// Rows or aggregates looked at.
    pub checked: u64,
    /// How many of them break it.
    pub violations: u64,
    /// The first [`VIOLATORS_MAX`] of those.
    pub violators: Vec<String>,
}

impl Check {
    /// A predicate that nothing has broken yet.
    pub fn new(id: &'static str, states: &'static str) -> Self {
        Self { id, states, checked: 0, violations: 0, violators: Vec::new() }
    }

    /// One more row was looked at.
    pub fn saw(&mut self) {
        self.checked = self.checked.saturating_add(1);
    }

    /// A row breaks the predicate.
    pub fn violated(&mut self, violator: impl Into<String>) {
        self.violations = self.violations.saturating_add(1);
        if self.violators.len() < VIOLATORS_MAX {
            self.violators.push(violator.into());
        }
    }

    /// Looks at one row: `holds` must be true of it.
    pub fn expect(&mut self, holds: bool, violator: impl FnOnce() -> String) {
        self.saw();
        if !holds {
            self.violated(violator());
        }
    }
}

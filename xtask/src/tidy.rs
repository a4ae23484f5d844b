//! The house rules that no compiler knows. STYLE.md says why; this program says where.

mod arrows;
mod files;
mod layers;
mod tables;
mod vocabulary;

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use crate::repository::Repository;

/// A place where a rule is broken, and what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    fault: String,
    cure: String,
}

impl Finding {
    fn new(path: &str, line: usize, fault: String, cure: &str) -> Self {
        Self { path: path.to_owned(), line, fault, cure: cure.to_owned() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, fault, cure } = self;
        write!(f, "{path}:{line}: {fault}\n    cure: {cure}")
    }
}

type Rule = fn(&Repository) -> Vec<Finding>;

/// Every rule by name, in the order of the report.
const RULES: [(&str, Rule); 12] = [
    ("crate arrows", arrows::between_crates),
    ("shared lints", arrows::shared_lints),
    ("layers of a service", layers::inside_services),
    ("pure domain", layers::pure_domain),
    ("transactions", layers::transactions),
    ("platform vocabulary", vocabulary::platform),
    ("adapters", vocabulary::adapters),
    ("tables", tables::owned_tables),
    ("file sizes", files::sizes),
    ("open work", files::open_work),
    ("file names", files::names),
    ("machine paths", files::machine_paths),
];

/// Checks every rule and prints what it found.
pub(crate) fn run(root: &Path) -> Result<()> {
    let repository = Repository::read(root)?;
    let mut count = 0;
    for (name, rule) in RULES {
        let mut findings = rule(&repository);
        findings.sort();
        findings.dedup();
        count += findings.len();
        for finding in findings {
            println!("[{name}] {finding}");
        }
    }
    println!("tidy: {} rules, {} files, {count} findings", RULES.len(), repository.files.len());
    if count > 0 {
        bail!("the house rules are broken in {count} places");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_place_fault_and_cure() {
        let finding = Finding::new("a/b.rs", 7, "it is wrong".into(), "make it right");
        assert_eq!(finding.to_string(), "a/b.rs:7: it is wrong\n    cure: make it right");
    }
}

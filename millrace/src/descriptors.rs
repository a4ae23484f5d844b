//! How many connections this process may have open: the system's limit on descriptors.

use anyhow::Context as _;

/// Raises the limit to `wanted`, as far as the system lets us; returns what it is then.
pub(crate) fn allow(wanted: u64) -> anyhow::Result<u64> {
    rlimit::increase_nofile_limit(wanted).context("the limit on descriptors cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_never_falls() {
        let now = allow(0).unwrap();
        assert!(now > 0 && allow(now).unwrap() >= now);
    }
}

//! What can be set of the cache.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Longer than this a cache is no help, in milliseconds.
const TIMEOUT_MS_MAX: u64 = 1_000;
/// Longer than this nothing may stay that nobody says has changed.
const TTL_S_MAX: u64 = 3_600;
/// Longest prefix, in bytes.
const PREFIX_BYTES_MAX: usize = 64;

/// Where the cache is, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `redis://[USER:PASSWORD@]HOST:PORT[/DATABASE]`, or `rediss://…` with TLS; empty for none.
    pub url: String,
    /// What every key begins with. Systems that share a server need one each.
    pub prefix: String,
    /// How long the server may take to be reached, in milliseconds: 1 to 1000.
    pub connect_timeout_ms: u64,
    /// How long it may take to answer, in milliseconds: 1 to 1000. Then it is given up.
    pub response_timeout_ms: u64,
    /// How long something stays that nobody says has changed, in seconds: 1 to 3600.
    pub ttl_s: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: String::new(),
            prefix: "millrace".to_owned(),
            connect_timeout_ms: 300,
            // A thousand times what it takes, so that a busy machine is not taken for a broken one.
            response_timeout_ms: 100,
            ttl_s: 10,
        }
    }
}

/// A setting that is not to be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("redis.{key}: {cure}")]
pub struct SettingsError {
    key: &'static str,
    cure: String,
}

impl Settings {
    /// Whether there is to be a cache.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.url.is_empty()
    }

    /// Checks everything; the address is not repeated, because it may hold a password.
    pub(crate) fn client(&self) -> Result<redis::Client, SettingsError> {
        for (key, value, max) in [
            ("connect_timeout_ms", self.connect_timeout_ms, TIMEOUT_MS_MAX),
            ("response_timeout_ms", self.response_timeout_ms, TIMEOUT_MS_MAX),
            ("ttl_s", self.ttl_s, TTL_S_MAX),
        ] {
            if !(1..=max).contains(&value) {
                return Err(SettingsError { key, cure: format!("{value} is not from 1 to {max}") });
            }
        }
        let is_plain = |byte: u8| byte.is_ascii_graphic();
        let length = self.prefix.len();
        if !(1..=PREFIX_BYTES_MAX).contains(&length) || !self.prefix.bytes().all(is_plain) {
            let cure = format!("1 to {PREFIX_BYTES_MAX} visible ASCII characters are needed");
            return Err(SettingsError { key: "prefix", cure });
        }
        redis::Client::open(self.url.as_str()).map_err(|_cause| SettingsError {
            key: "url",
            cure: "it must be redis://[USER:PASSWORD@]HOST:PORT[/DATABASE], or rediss://…"
                .to_owned(),
        })
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn response_timeout(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_setting_is_refused_by_its_name_and_without_the_password() {
        let good = Settings { url: "redis://127.0.0.1:6379".to_owned(), ..Settings::default() };
        assert!(good.client().is_ok());
        let url = |url: &str| Settings { url: url.to_owned(), ..good.clone() };
        for (bad, named) in [
            (url("http://me:hush@cache:6379"), "redis.url"),
            (url("redis://me:hush@cache:many"), "redis.url"),
            (Settings { ttl_s: 0, ..good.clone() }, "redis.ttl_s"),
            (Settings { response_timeout_ms: 1_001, ..good.clone() }, "redis.response_timeout_ms"),
            (Settings { connect_timeout_ms: 0, ..good.clone() }, "redis.connect_timeout_ms"),
            (Settings { prefix: "a b".to_owned(), ..good.clone() }, "redis.prefix"),
            (Settings { prefix: String::new(), ..good.clone() }, "redis.prefix"),
        ] {
            let error = bad.client().unwrap_err().to_string();
            assert!(error.starts_with(named) && !error.contains("hush"), "{error}");
        }
        assert!(url("rediss://:hush@cache.example:6380/1").client().is_ok());
        assert!(url("redis+unix:///run/redis.sock").client().is_ok());
    }
}

//! Logs: one line per fact, for people on a terminal, as JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people if standard error is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("`{0}` is not a log filter such as info or store=debug,info")]
    Filter(String),
    /// Logging has begun already.
    #[error("logging is set up already")]
    Twice,
}

/// Starts logging to standard error. `filter` is a level or a list such as `store=debug,info`.
pub fn start(filter: &str, format: Format) -> Result<(), LogError> {
    let parsed =
        EnvFilter::try_new(filter).ok().ok_or_else(|| LogError::Filter(filter.to_owned()))?;
    let terminal = std::io::stderr().is_terminal();
    let builder = fmt().with_env_filter(parsed).with_writer(std::io::stderr);
    let started = match format {
        Format::Auto if terminal => builder.compact().with_ansi(true).try_init(),
        Format::Text => builder.compact().with_ansi(terminal).try_init(),
        Format::Auto | Format::Json => builder.json().flatten_event(true).try_init(),
    };
    started.or(Err(LogError::Twice))
}

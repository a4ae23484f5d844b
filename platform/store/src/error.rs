//! What can go wrong between a service and its database.

use contracts::Problem;

/// Why a transaction or a read did not happen. Unless it says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The row was changed by somebody else since it was read.
    #[error("{table} {key} has another version by now")]
    Stale {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
    },
    /// A row holds what no version of this program writes.
    #[error("{table}.{column} of row {row} is damaged: {why}")]
    Damaged {
        /// The table, or the query if it joins several.
        table: String,
        /// The column.
        column: String,
        /// The row's key.
        row: String,
        /// What is wrong with the value.
        why: String,
    },
    /// A named rule of the schema refused the change.
    #[error("the rule {name} refused the change")]
    Constraint {
        /// The constraint's name, or SQLite's description of it.
        name: String,
    },
    /// The engine refused a statement.
    #[error("the database refused `{statement}`: {cause}")]
    Sql {
        /// The beginning of the statement.
        statement: String,
        /// The engine's own error.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database server cannot be reached, or broke off; try again.
    #[error("the database server is not available: {0}")]
    Unavailable(String),
    /// The connection broke while a COMMIT was on its way, and whether it happened could not be found
    /// out in time: what was sent may be sent again under its key.
    #[error("whether the change was committed is not known: {0}")]
    Unknown(String),
    /// An event could not be encoded or read back.
    #[error("an event cannot be stored or read: {0}")]
    Log(#[from] contracts::events::DecodeError),
    /// Work inside a transaction waited for something that is not the transaction.
    #[error("work in a transaction must not wait for anything but the database")]
    Waited,
    /// A query came behind a change of the same piece of work, while rows were pending.
    #[error("a query over records must come before the first change of its piece of work")]
    Unsettled,
    /// Work panicked; its changes were undone.
    #[error("work panicked: {0}")]
    Panicked(String),
    /// Another piece of work in the same COMMIT broke a rule; this one may be tried again.
    #[error("the shared transaction was rolled back: {0}")]
    RolledBack(String),
    /// Another process writes the database and never comes to rest; try again.
    #[error("the database is being written without a pause; try again")]
    Busy,
    /// The queue of waiting transactions is full.
    #[error("too many transactions are waiting")]
    Overloaded,
    /// The store is shut down.
    #[error("the store is stopped")]
    Stopped,
    /// The store cannot be opened as it is.
    #[error("{0}")]
    Open(String),
}

impl StoreError {
    pub(crate) fn sqlite(statement: &str, cause: rusqlite::Error) -> Self {
        if let rusqlite::Error::SqliteFailure(failure, message) = &cause
            && failure.code == rusqlite::ErrorCode::ConstraintViolation
        {
            let message = message.clone().unwrap_or_default();
            let name = message.rsplit(": ").next().unwrap_or_default().to_owned();
            return Self::Constraint { name };
        }
        Self::sql(statement, cause)
    }

    pub(crate) fn sql(
        statement: &str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Sql { statement: statement.chars().take(120).collect(), cause: cause.into() }
    }

    /// Whether nothing is known against the work itself: the server broke off.
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// What the outside may know of this error; its cause is logged, never sent.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Stale { .. } => Problem::stale_version("the resource was changed meanwhile"),
            Self::Overloaded | Self::Busy => {
                Problem::overloaded("too many requests are waiting; try again")
            }
            Self::RolledBack(_) | Self::Stopped | Self::Unavailable(_) | Self::Unknown(_) => {
                Problem::unavailable("the store could not take the change; try again")
            }
            Self::Damaged { .. }
            | Self::Constraint { .. }
            | Self::Sql { .. }
            | Self::Log(_)
            | Self::Waited
            | Self::Unsettled
            | Self::Panicked(_)
            | Self::Open(_) => Problem::internal("the change could not be stored"),
        }
    }
}

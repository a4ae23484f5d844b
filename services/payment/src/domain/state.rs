//! Where the money of a payment is.

/// Where the money is. Amounts are minor units of the payment's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The provider is asked to hold the money ready.
    Requested,
    /// The provider was asked, and its answer was lost.
    Unknown,
    /// The money is held ready.
    Authorized { authorized: i64 },
    /// The money is taken.
    Captured { authorized: i64, captured: i64 },
    /// The money is taken, and some of it went back.
    PartiallyRefunded { authorized: i64, captured: i64, refunded: i64 },
    /// All that was taken went back.
    Refunded { authorized: i64, captured: i64 },
    /// What was held ready was given up; zero if nothing ever was.
    Voided { authorized: i64 },
    /// The provider refused.
    Declined,
}

impl State {
    /// The word for it, in rows and lists.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Unknown => "unknown",
            Self::Authorized { .. } => "authorized",
            Self::Captured { .. } => "captured",
            Self::PartiallyRefunded { .. } => "partially_refunded",
            Self::Refunded { .. } => "refunded",
            Self::Voided { .. } => "voided",
            Self::Declined => "declined",
        }
    }

    /// Whether no money is held or kept, and none will be.
    pub(crate) const fn has_ended(self) -> bool {
        matches!(self, Self::Refunded { .. } | Self::Voided { .. } | Self::Declined)
    }

    pub(crate) const fn authorized(self) -> i64 {
        match self {
            Self::Requested | Self::Unknown | Self::Declined => 0,
            Self::Authorized { authorized }
            | Self::Captured { authorized, .. }
            | Self::PartiallyRefunded { authorized, .. }
            | Self::Refunded { authorized, .. }
            | Self::Voided { authorized } => authorized,
        }
    }

    pub(crate) const fn captured(self) -> i64 {
        match self {
            Self::Requested
            | Self::Unknown
            | Self::Declined
            | Self::Authorized { .. }
            | Self::Voided { .. } => 0,
            Self::Captured { captured, .. }
            | Self::PartiallyRefunded { captured, .. }
            | Self::Refunded { captured, .. } => captured,
        }
    }

    pub(crate) const fn refunded(self) -> i64 {
        match self {
            Self::Requested
            | Self::Unknown
            | Self::Declined
            | Self::Authorized { .. }
            | Self::Voided { .. }
            | Self::Captured { .. } => 0,
            Self::PartiallyRefunded { refunded, .. } => refunded,
            Self::Refunded { captured, .. } => captured,
        }
    }
}

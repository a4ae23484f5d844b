//! A level: the units of one SKU at one location, and what of them can still be promised.

use std::ops::Add;

/// A level's key inside the store. Text is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LevelId(pub i64);

/// The four quantities that the journal keeps, in units: as balances, or as a change of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balances {
    /// On the shelf, whatever it is promised to.
    pub on_hand: i64,
    /// Of these, held for a limited time.
    pub held: i64,
    /// Of these, belonging to orders.
    pub allocated: i64,
    /// Of these, not fit to be sold.
    pub quarantined: i64,
}

impl Balances {
    /// A change of the shelf alone.
    pub const fn on_hand(units: i64) -> Self {
        Self { on_hand: units, held: 0, allocated: 0, quarantined: 0 }
    }

    /// A change of what is held.
    pub const fn held(units: i64) -> Self {
        Self { on_hand: 0, held: units, allocated: 0, quarantined: 0 }
    }

    /// A change of what is allocated.
    pub const fn allocated(units: i64) -> Self {
        Self { on_hand: 0, held: 0, allocated: units, quarantined: 0 }
    }

    /// Whether nothing is, or nothing changes.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Units that are spoken for: these the shelf must never hold fewer than.
    pub const fn spoken_for(self) -> i64 {
        self.held + self.allocated + self.quarantined
    }

    /// Whether such balances may be: nothing below zero, nothing promised that is not there.
    pub const fn are_sound(self) -> bool {
        self.held >= 0
            && self.allocated >= 0
            && self.quarantined >= 0
            && self.on_hand <= Level::UNITS_MAX
            && self.spoken_for() <= self.on_hand
    }
}

impl Add for Balances {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            on_hand: self.on_hand + other.on_hand,
            held: self.held + other.held,
            allocated: self.allocated + other.allocated,
            quarantined: self.quarantined + other.quarantined,
        }
    }
}

/// What was last said about how much is left.
///
/// `Low` is said when available falls to the threshold, `Out` when it falls to nothing, each once;
/// `Back` is said when available rises above the threshold again. Between, nothing is said: a level
/// that was out and has a few units again stays `Out` until it is clearly back. So the state is
/// other than `Enough` exactly while available is at the threshold or below, or at nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Alert {
    /// Nothing to say.
    #[default]
    Enough,
    /// It was said that stock is low.
    Low,
    /// It was said that stock is out.
    Out,
}

/// A movement that would leave balances that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("level {id:?} cannot go from {from:?} by {delta:?}")]
pub struct LevelError {
    /// The level.
    pub id: LevelId,
    /// Its balances, which stay.
    pub from: Balances,
    /// The movement that is refused.
    pub delta: Balances,
}

/// The units of one SKU at one location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Level {
    /// What the journal keeps.
    pub balances: Balances,
    /// Units announced but not yet arrived.
    pub incoming: i64,
    /// Units never promised to anyone.
    pub safety: i64,
    /// At this many available units or fewer the stock counts as low.
    pub low_threshold: i64,
    /// What was last said about how much is left.
    pub alert: Alert,
    /// Units that orders wait for, over the whole queue.
    pub backordered: i64,
    /// Entries in the journal: the sequence of the last.
    pub entries: u64,
    /// Grows by one with every change of balances or settings.
    pub version: u64,
}

impl Level {
    /// The most units on one shelf: far from where sums of levels could overflow.
    pub const UNITS_MAX: i64 = 1_000_000_000_000;

    /// What can be promised; below zero when the safety stock is more than what is free. The one
    /// place where this is computed.
    pub const fn available(&self) -> i64 {
        self.balances.on_hand - self.balances.spoken_for() - self.safety
    }

    /// What a new owner can get: what is available and nobody waits for.
    pub fn free(&self) -> i64 {
        (self.available() - self.backordered).max(0)
    }

    /// The alert that is due now, compared with the one that was said.
    pub const fn alert_due(&self) -> Alert {
        let available = self.available();
        if available > self.low_threshold && available > 0 {
            return Alert::Enough;
        }
        match self.alert {
            Alert::Out => Alert::Out,
            Alert::Enough | Alert::Low if available <= 0 => Alert::Out,
            Alert::Enough | Alert::Low => Alert::Low,
        }
    }
}

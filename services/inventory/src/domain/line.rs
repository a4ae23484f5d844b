//! A line of a hold: what of its units stands where.

use contracts::events::order::{LineUnits, ShortagePolicy};
use contracts::ids::Sku;

use super::level::LevelId;

/// What is kept for one line. Units of the line that stand in none of the counts were never had, or
/// were given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldLine {
    /// The owner's number of the line.
    pub line: u16,
    /// What is wanted.
    pub sku: Sku,
    /// The level that it comes from; none if inventory does not know the SKU.
    pub level: Option<LevelId>,
    /// What to do when not all is there.
    pub policy: ShortagePolicy,
    /// Units wanted when it was placed.
    pub ordered: i64,
    /// Units held for a limited time.
    pub held: i64,
    /// Units that belong to the owner.
    pub allocated: i64,
    /// Units that the line waits for.
    pub backordered: i64,
    /// Units that left the house.
    pub shipped: i64,
    /// Units that the deadline took, held and awaited: what is asked for if it is tried again.
    pub expired: i64,
    /// The line's place in the queue of its level, given when it begins to wait; 0 if it has none.
    pub ticket: i64,
}

impl HoldLine {
    /// A line of which nothing is kept yet.
    pub const fn new(line: u16, sku: Sku, policy: ShortagePolicy, ordered: i64) -> Self {
        Self {
            line,
            sku,
            level: None,
            policy,
            ordered,
            held: 0,
            allocated: 0,
            backordered: 0,
            shipped: 0,
            expired: 0,
            ticket: 0,
        }
    }

    /// Units that are still kept or awaited for the line.
    pub const fn kept(&self) -> i64 {
        self.held + self.allocated + self.backordered + self.expired
    }

    /// Gives up the place in the queue when nothing is awaited any more.
    pub(super) const fn leave_queue_if_served(&mut self) {
        if self.backordered == 0 {
            self.ticket = 0;
        }
    }

    /// `units` of this line, as events name them.
    pub fn units(&self, units: i64) -> LineUnits {
        LineUnits { line: self.line, sku: self.sku.clone(), units }
    }
}

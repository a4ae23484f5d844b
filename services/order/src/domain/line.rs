//! Lines: how many units were ordered and where each of them is now.

/// Where the units of one line are. What is in none of the fields is pending: stock has not
/// answered for it yet, or its hold has lapsed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// Held for a limited time.
    pub held: i64,
    /// Belongs to the order.
    pub allocated: i64,
    /// Promised for later.
    pub backordered: i64,
    /// Left the house.
    pub shipped: i64,
    /// Given up one by one: a shortage, an amendment, a cancelled line. Not to be paid.
    pub dropped: i64,
    /// Given up with the whole order. The total does not change by it.
    pub ended: i64,
}

/// A number of units of one line, as a caller names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    /// The line, from 1.
    pub line: u16,
    /// The units.
    pub units: i64,
}

/// Takes up to `wanted` units out of `from` and returns how many that were.
fn take(from: &mut i64, wanted: i64) -> i64 {
    let taken = wanted.clamp(0, (*from).max(0));
    *from -= taken;
    taken
}

impl Balance {
    /// Units that were given up, singly or with the order.
    pub const fn cancelled(&self) -> i64 {
        self.dropped + self.ended
    }

    /// Units that stock keeps for the order.
    pub const fn kept(&self) -> i64 {
        self.held + self.allocated + self.backordered
    }

    /// Units of `ordered` that stock has not answered for.
    pub const fn pending(&self, ordered: i64) -> i64 {
        ordered - self.kept() - self.shipped - self.cancelled()
    }

    /// Units of `ordered` that are neither dispatched nor given up.
    pub const fn open(&self, ordered: i64) -> i64 {
        ordered - self.shipped - self.cancelled()
    }

    /// Whether no field is negative and no unit is counted twice.
    pub const fn is_sound(&self, ordered: i64) -> bool {
        self.held >= 0
            && self.allocated >= 0
            && self.backordered >= 0
            && self.shipped >= 0
            && self.dropped >= 0
            && self.ended >= 0
            && self.pending(ordered) >= 0
    }

    /// Stock's verdict: so many of the pending units are held and so many promised for later.
    pub(super) fn hold(&mut self, ordered: i64, held: i64, backordered: i64) {
        let mut pending = self.pending(ordered);
        self.held += take(&mut pending, held);
        self.backordered += take(&mut pending, backordered);
    }

    /// A promise came true before the payment did: `held` units are held now.
    pub(super) fn fill(&mut self, held: i64) {
        let more = held - self.held;
        self.held += take(&mut self.backordered, more);
    }

    /// The hold ended by its deadline.
    pub(super) fn lapse(&mut self) {
        self.held = 0;
    }

    /// `units` belong to the order now: first what was held, then what is pending because the
    /// hold had lapsed, then what was promised.
    pub(super) fn allocate(&mut self, ordered: i64, units: i64) {
        let mut pending = self.pending(ordered);
        let mut rest = units;
        for source in [&mut self.held, &mut pending, &mut self.backordered] {
            let taken = take(source, rest);
            self.allocated += taken;
            rest -= taken;
        }
    }

    /// What is wanted and was not allocated with the rest is promised for later.
    pub(super) fn owe(&mut self, ordered: i64) {
        self.backordered += self.pending(ordered) + self.held;
        self.held = 0;
    }

    /// Gives up `units`, those first that are furthest from leaving, and returns how many of them
    /// stock kept.
    pub(super) fn give_up(&mut self, ordered: i64, units: i64) -> i64 {
        let mut pending = self.pending(ordered);
        let mut rest = units - take(&mut pending, units);
        let mut kept = 0;
        for source in [&mut self.backordered, &mut self.held, &mut self.allocated] {
            let taken = take(source, rest);
            kept += taken;
            rest -= taken;
        }
        self.dropped += units - rest;
        kept
    }

    /// `units` leave the house.
    pub(super) fn ship(&mut self, units: i64) {
        self.shipped += take(&mut self.allocated, units);
    }

    /// The order ends: what is still open is given up.
    pub(super) fn end(&mut self, ordered: i64) {
        self.ended += self.open(ordered);
        (self.held, self.allocated, self.backordered) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_unit_is_lost_or_counted_twice(ordered in 1..50_i64, steps in prop::collection::vec((0..8_u8, 0..60_i64), 0..40)) {
            let mut balance = Balance::default();
            for (step, units) in steps {
                match step {
                    0 => balance.hold(ordered, units, ordered),
                    1 => balance.fill(units),
                    2 => balance.lapse(),
                    3 => balance.allocate(ordered, units),
                    4 => balance.owe(ordered),
                    5 => { balance.give_up(ordered, units); }
                    6 => balance.ship(units),
                    _ => balance.end(ordered),
                }
                prop_assert!(balance.is_sound(ordered), "{balance:?}");
            }
        }
    }
}

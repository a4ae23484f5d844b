//! A hold: what is kept for one owner, and how facts change it.
//!
//! ```text
//!   place ──▶ Held ── authorized ──▶ Allocated ── last unit shipped ──▶ Consumed
//!     │        │ ╲ due                 │
//!     │        │  ▼                    │ ended
//!     │        │  Expired ─ authorized, and it can be had again ─▶ Allocated
//!     │        ▼ ended │                ▼
//!     │      Released ◀┴──────────── Released
//!     └──▶ Rejected ◀── Expired, authorized, and the stock is gone
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use contracts::clock::Timestamp;
use contracts::events::inventory::{LineReservation, StockRefusal};
use contracts::events::order::LineUnits;

use super::fact::{Ending, Fact, HoldState, IllegalFact, Owner, Said};
use super::level::{Balances, LevelError};
use super::levels::{Cause, Kind, Levels, Why};
use super::line::HoldLine;
use super::reserve::{Moves, Purpose, Refused, reserve};

/// What is kept for one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Who for.
    pub owner: Owner,
    /// Where it stands.
    pub state: HoldState,
    /// What is kept, per line.
    pub lines: Vec<HoldLine>,
    /// Shipments that left: the number of the last.
    pub shipments: u16,
    /// Changes and answers so far; grows with each.
    pub changes: u64,
}

type Outcome = Result<Option<Said>, IllegalFact>;

impl Hold {
    /// Takes a hold on all lines of an owner that has none yet, or remembers why not.
    pub fn place(
        owner: Owner,
        lines: Vec<HoldLine>,
        until: Timestamp,
        levels: &mut Levels,
    ) -> Result<(Self, Option<Said>), IllegalFact> {
        let state = HoldState::Held { until, extended: false };
        let mut hold = Self { owner, state, lines, shipments: 0, changes: 1 };
        let said = hold.reserve(Purpose::Hold, until, levels)?;
        Ok((hold, said))
    }

    /// The hold of an owner who ended before its lines were ever seen: nothing is kept, and nothing
    /// ever will be.
    pub const fn never(owner: Owner) -> Self {
        Self { owner, state: HoldState::Released, lines: Vec::new(), shipments: 0, changes: 0 }
    }

    /// The hold of an order that paid before its lines were ever seen: the stock is not there.
    pub const fn lost(owner: Owner) -> Self {
        let reason = StockRefusal::Lost;
        let state = HoldState::Rejected { reason, shortages: Vec::new() };
        Self { owner, state, lines: Vec::new(), shipments: 0, changes: 0 }
    }

    /// The only way a hold changes: a fact goes in, the next hold and what is said come out. A fact
    /// heard twice changes nothing the second time.
    pub fn accept(
        mut self,
        fact: Fact,
        levels: &mut Levels,
    ) -> Result<(Self, Option<Said>), IllegalFact> {
        let before = (self.state.clone(), self.shipments, self.changes);
        self.changes += 1;
        let mut lines_changed = false;
        let said = match fact {
            Fact::AskedAgain { until } => match self.state {
                HoldState::Expired => self.reserve(Purpose::HoldAgain, until, levels)?,
                HoldState::Held { .. }
                | HoldState::Allocated
                | HoldState::Consumed
                | HoldState::Released
                | HoldState::Rejected { .. } => self.repeat(),
            },
            Fact::PlacedAgain => self.repeat(),
            Fact::Authorized => self.authorize(levels)?,
            Fact::PaymentUnknown { until } => {
                self.extend(until);
                None
            }
            Fact::Adjusted { lines, release } => {
                let (said, changed) = self.adjust(&lines, &release, levels)?;
                lines_changed = changed;
                said
            }
            Fact::Ended { ending, reason } => self.end(ending, reason, levels)?,
            Fact::Shipped { shipment, lines } => self.ship(shipment, lines, levels)?,
            Fact::TimePassed { now } => self.expire(now, levels)?,
        };
        let changed = lines_changed || before.0 != self.state || before.1 != self.shipments;
        if said.is_none() && !changed {
            self.changes = before.2;
        }
        Ok((self, said))
    }

    /// Gives `units` that became free to the line numbered `line`, which waits for them.
    pub fn fill(
        mut self,
        line: u16,
        units: i64,
        levels: &mut Levels,
    ) -> Result<(Self, Option<Said>), IllegalFact> {
        let state = self.state.name();
        let refused = IllegalFact::NotWaiting { line, units, state };
        self.changes += 1;
        let why = self.why(self.changes, Cow::Borrowed("backorder filled"));
        let is_waiting = |l: &&mut HoldLine| l.line == line && l.backordered >= units && units > 0;
        let Some(filled) = self.lines.iter_mut().find(is_waiting) else { return Err(refused) };
        let Some(level) = filled.level else { return Err(refused) };
        let said = match &self.state {
            HoldState::Held { .. } => {
                filled.held += units;
                levels.apply(level, Kind::Hold, Balances::held(units), &why)?;
                None
            }
            HoldState::Allocated => {
                filled.allocated += units;
                levels.apply(level, Kind::Allocate, Balances::allocated(units), &why)?;
                Some(Said::Allocated(vec![filled.units(units)]))
            }
            HoldState::Consumed
            | HoldState::Released
            | HoldState::Expired
            | HoldState::Rejected { .. } => return Err(refused),
        };
        filled.backordered -= units;
        filled.leave_queue_if_served();
        levels.change(level, |level| level.backordered -= units);
        let said = said.or_else(|| self.repeat());
        Ok((self, said))
    }

    /// When the hold ends by itself, if it does.
    pub const fn deadline(&self) -> Option<Timestamp> {
        match self.state {
            HoldState::Held { until, .. } => Some(until),
            HoldState::Allocated
            | HoldState::Consumed
            | HoldState::Released
            | HoldState::Expired
            | HoldState::Rejected { .. } => None,
        }
    }

    fn why(&self, step: u64, reason: Cow<'static, str>) -> Why {
        let cause = match &self.owner {
            Owner::Order(id) => Cause::Order { id: *id, step },
            Owner::Outside(name) => Cause::Document(Arc::clone(name)),
        };
        Why { cause, actor: None, reason }
    }

    fn reserve(&mut self, purpose: Purpose, until: Timestamp, levels: &mut Levels) -> Outcome {
        let why = self.why(self.changes, Cow::Borrowed(""));
        self.state = match reserve(&mut self.lines, purpose, levels, &why)? {
            Ok(()) => HoldState::Held { until, extended: false },
            Err(Refused { reason, shortages }) => {
                self.lines.clear();
                HoldState::Rejected { reason, shortages }
            }
        };
        Ok(self.repeat())
    }

    fn authorize(&mut self, levels: &mut Levels) -> Outcome {
        let why = self.why(self.changes, Cow::Borrowed(""));
        match &self.state {
            HoldState::Held { .. } => {
                let mut moves = Moves::default();
                let mut told = Vec::with_capacity(self.lines.len());
                for line in self.lines.iter_mut().filter(|line| line.held > 0) {
                    let units = std::mem::take(&mut line.held);
                    line.allocated += units;
                    told.push(line.units(units));
                    if let Some(level) = line.level {
                        moves.add(level, Balances::allocated(units) + Balances::held(-units));
                    }
                }
                moves.apply(Kind::Allocate, levels, &why)?;
                self.state = HoldState::Allocated;
                Ok(Some(Said::Allocated(told)))
            }
            HoldState::Expired => {
                match reserve(&mut self.lines, Purpose::AllocateAgain, levels, &why)? {
                    Ok(()) => {
                        self.state = HoldState::Allocated;
                        let has = self.lines.iter().filter(|line| line.allocated > 0);
                        let told = has.map(|line| line.units(line.allocated)).collect();
                        Ok(Some(Said::Allocated(told)))
                    }
                    Err(Refused { shortages, .. }) => {
                        self.lines.clear();
                        self.state = HoldState::Rejected { reason: StockRefusal::Lost, shortages };
                        Ok(self.repeat())
                    }
                }
            }
            HoldState::Rejected { .. } => Ok(self.repeat()),
            HoldState::Allocated | HoldState::Consumed | HoldState::Released => Ok(None),
        }
    }

    fn extend(&mut self, later: Timestamp) {
        if let HoldState::Held { until, extended: false } = self.state
            && later > until
        {
            self.state = HoldState::Held { until: later, extended: true };
        }
    }

    /// Takes the new size of lines, and gives back what is kept beyond it. The size is absolute, so
    /// hearing it twice gives back once.
    fn adjust(
        &mut self,
        sizes: &[LineUnits],
        release: &[LineUnits],
        levels: &mut Levels,
    ) -> Result<(Option<Said>, bool), LevelError> {
        let before = self.lines.clone();
        for size in sizes {
            if let Some(line) = self.lines.iter_mut().find(|line| line.line == size.line) {
                line.ordered = size.units;
                // What an expired hold would ask for again is not more than is still wanted.
                let had = line.shipped + line.held + line.allocated + line.backordered;
                line.expired = line.expired.min((line.ordered - had).max(0));
            }
        }
        let over = |line: &HoldLine| {
            let named = release.iter().find(|named| named.line == line.line)?;
            let is_sized = sizes.iter().any(|size| size.line == line.line);
            let over = line.kept() + line.shipped - line.ordered;
            let over = if is_sized { over.max(0) } else { line.kept() };
            Some(named.units.min(over))
        };
        let wanted: Vec<i64> = self.lines.iter().map(|line| over(line).unwrap_or(0)).collect();
        let lines = self.give_back(&wanted, Cow::Borrowed("order adjusted"), levels)?;
        self.finish_if_nothing_is_left();
        let said = (!release.is_empty()).then_some(Said::Released { lines, ended: false });
        Ok((said, before != self.lines))
    }

    fn end(&mut self, ending: Ending, reason: Cow<'static, str>, levels: &mut Levels) -> Outcome {
        let mut lines = Vec::new();
        let is_open = match self.state {
            HoldState::Held { .. } | HoldState::Allocated | HoldState::Expired => true,
            HoldState::Consumed | HoldState::Released | HoldState::Rejected { .. } => false,
        };
        if is_open {
            let wanted: Vec<i64> = self.lines.iter().map(HoldLine::kept).collect();
            lines = self.give_back(&wanted, reason, levels)?;
            self.state = HoldState::Released;
        }
        let is_answered = is_open || ending == Ending::Awaited;
        Ok(is_answered.then_some(Said::Released { lines, ended: true }))
    }

    /// Gives units of each line back: what it waits for first, then what is held, then what is
    /// allocated. Returns the units that the shelf got.
    fn give_back(
        &mut self,
        shares: &[i64],
        reason: Cow<'static, str>,
        levels: &mut Levels,
    ) -> Result<Vec<LineUnits>, LevelError> {
        let why = self.why(self.changes, reason);
        let mut moves = Moves::default();
        let mut told = Vec::new();
        for (line, share) in self.lines.iter_mut().zip(shares) {
            let mut rest = *share;
            let mut take = |units: &mut i64| {
                let taken = rest.min(*units).max(0);
                rest -= taken;
                *units -= taken;
                taken
            };
            take(&mut line.expired);
            let waited = take(&mut line.backordered);
            let (held, allocated) = (take(&mut line.held), take(&mut line.allocated));
            line.leave_queue_if_served();
            let Some(level) = line.level else { continue };
            if waited > 0 {
                levels.change(level, |level| level.backordered -= waited);
            }
            if held + allocated > 0 {
                told.push(line.units(held + allocated));
                moves.add(level, Balances::held(-held) + Balances::allocated(-allocated));
            }
        }
        moves.apply(Kind::Release, levels, &why)?;
        Ok(told)
    }

    fn ship(&mut self, shipment: u16, lines: Vec<LineUnits>, levels: &mut Levels) -> Outcome {
        if shipment <= self.shipments {
            return Ok(None);
        }
        let why = self.why(u64::from(shipment), Cow::Borrowed(""));
        let state = self.state.name();
        let mut moves = Moves::default();
        for LineUnits { line: number, units, .. } in &lines {
            let (line, units) = (*number, *units);
            let found = self.lines.iter_mut().find(|line| line.line == *number);
            let allocated = found.as_ref().map_or(0, |line| line.allocated);
            let refused = IllegalFact::NotAllocated { shipment, line, units, allocated, state };
            let Some(found) = found.filter(|_| units >= 0 && units <= allocated) else {
                return Err(refused);
            };
            found.allocated -= units;
            found.shipped += units;
            if let Some(level) = found.level {
                moves.add(level, Balances::allocated(-units) + Balances::on_hand(-units));
            }
        }
        moves.apply(Kind::Consume, levels, &why)?;
        self.shipments = shipment;
        self.finish_if_nothing_is_left();
        Ok(Some(Said::Consumed { shipment, lines }))
    }

    fn finish_if_nothing_is_left(&mut self) {
        let is_left = |line: &HoldLine| line.allocated > 0 || line.backordered > 0;
        let has_shipped = self.lines.iter().any(|line| line.shipped > 0);
        if self.state == HoldState::Allocated && has_shipped && !self.lines.iter().any(is_left) {
            self.state = HoldState::Consumed;
        }
    }

    fn expire(&mut self, now: Timestamp, levels: &mut Levels) -> Outcome {
        if self.deadline().is_none_or(|until| until > now) {
            return Ok(None);
        }
        let why = self.why(self.changes, Cow::Borrowed(""));
        let mut moves = Moves::default();
        let mut told = Vec::with_capacity(self.lines.len());
        for line in &mut self.lines {
            let held = std::mem::take(&mut line.held);
            let waited = std::mem::take(&mut line.backordered);
            line.expired = held + waited;
            line.leave_queue_if_served();
            let Some(level) = line.level else { continue };
            if waited > 0 {
                levels.change(level, |level| level.backordered -= waited);
            }
            if held > 0 {
                told.push(line.units(held));
                moves.add(level, Balances::held(-held));
            }
        }
        moves.apply(Kind::Expire, levels, &why)?;
        self.state = HoldState::Expired;
        Ok(Some(Said::Expired(told)))
    }

    /// The answer that was given last, as it is true now.
    fn repeat(&self) -> Option<Said> {
        match &self.state {
            HoldState::Held { until, .. } => Some(self.verdict(*until)),
            HoldState::Rejected { reason, shortages } => {
                Some(Said::Rejected { reason: *reason, shortages: shortages.clone() })
            }
            HoldState::Expired => Some(Said::Expired(Vec::new())),
            HoldState::Released => Some(Said::Released { lines: Vec::new(), ended: true }),
            HoldState::Allocated | HoldState::Consumed => None,
        }
    }

    fn verdict(&self, expires_at: Timestamp) -> Said {
        if self.lines.iter().all(|line| line.held >= line.ordered) {
            let lines = self.lines.iter().map(|line| line.units(line.held)).collect();
            return Said::Reserved { lines, expires_at };
        }
        let lines = self.lines.iter().map(|line| LineReservation {
            line: line.line,
            sku: line.sku.clone(),
            held: line.held,
            backordered: line.backordered,
            short: (line.ordered - line.held - line.backordered).max(0),
        });
        Said::PartiallyReserved { lines: lines.collect(), expires_at }
    }
}

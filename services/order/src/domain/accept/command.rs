//! Commands of people and programs: obeyed, or refused with what may be asked instead.

use contracts::events::order::EndReason;

use super::{Effect, Move, Refusal};
use crate::domain::Text;
use crate::domain::fact::{AttentionAction, Fact};
use crate::domain::line::Units;
use crate::domain::state::{Ending, State, Status, StockAnswer};

/// The states in which units can be given up one by one.
const SMALLER: &[Status] =
    &[Status::Placed, Status::Reserved, Status::Paying, Status::Confirmed, Status::Fulfilling];

/// The states in which an order can be stopped.
const STOPPABLE: &[Status] = &[
    Status::Placed,
    Status::AwaitingDecision,
    Status::Reserved,
    Status::Paying,
    Status::Confirmed,
    Status::Fulfilling,
];

/// The states in which a whole order can be cancelled, as long as nothing was dispatched.
const CANCELLABLE: &[Status] = &[
    Status::Placed,
    Status::AwaitingDecision,
    Status::Reserved,
    Status::Paying,
    Status::Confirmed,
    Status::OnHold,
];

fn requested(reason: &str) -> Ending {
    Ending { reason: EndReason::Requested, detail: reason.into() }
}

impl Move<'_> {
    pub(super) fn obey(&mut self, fact: &Fact<'_>) -> Result<Effect, Refusal> {
        match *fact {
            Fact::Cancel { reason } => self.cancel_whole(fact, reason),
            Fact::CancelLines { lines, reason } => self.cancel_lines(fact, lines, reason),
            Fact::DecideAccept => self.decide(fact, None),
            Fact::DecideAmend { lines } => self.decide(fact, Some(lines)),
            Fact::DecideCancel { reason } => self.decide_cancel(fact, reason),
            Fact::Dispatch { lines, carrier, tracking } => {
                self.dispatch(fact, lines, carrier, tracking)
            }
            Fact::Hold { reason } => self.hold(fact, reason),
            Fact::Resume => self.resume(fact),
            Fact::Attention { action, .. } => self.settle(fact, action),
            // Not commands: see `apply`.
            Fact::CustomerValidated
            | Fact::CustomerRejected(_)
            | Fact::InventoryReserved(_)
            | Fact::InventoryPartiallyReserved(_)
            | Fact::InventoryRejected(_)
            | Fact::InventoryAllocated(_)
            | Fact::InventoryReleased { .. }
            | Fact::InventoryExpired
            | Fact::InventoryConsumed
            | Fact::PaymentRequested
            | Fact::PaymentAuthorized { .. }
            | Fact::PaymentCaptured { .. }
            | Fact::PaymentDeclined { .. }
            | Fact::PaymentUnknown
            | Fact::PaymentVoided { .. }
            | Fact::PaymentRefunded { .. }
            | Fact::DeadlinePassed => Ok(Effect::Nothing),
        }
    }

    fn refuse(&self, fact: &Fact<'_>) -> Refusal {
        Refusal::IllegalTransition {
            from: self.order.status(),
            fact: fact.name(),
            next_actions: self.order.next_actions(),
        }
    }

    /// The units that `lines` names, by the line's index; refuses a line that is named twice.
    fn by_index(&self, lines: &[Units]) -> Result<Vec<Option<i64>>, Refusal> {
        let mut by_index = vec![None; self.order.balances.len()];
        for Units { line, units } in lines {
            let index = self.order.placed.lines.iter().position(|one| one.line == *line);
            let slot = index.and_then(|index| by_index.get_mut(index));
            let slot = slot.ok_or(Refusal::UnknownLine { line: *line })?;
            if slot.replace(*units).is_some() {
                return Err(Refusal::RepeatedLine { line: *line });
            }
        }
        Ok(by_index)
    }

    fn cancel_whole(&mut self, fact: &Fact<'_>, reason: &str) -> Result<Effect, Refusal> {
        let status = self.order.status();
        if matches!(status, Status::Cancelling | Status::Cancelled) {
            // Asked twice: it is done, or being done.
            return Ok(Effect::Nothing);
        }
        let shipped = self.order.balances.iter().any(|balance| balance.shipped > 0);
        if shipped || !CANCELLABLE.contains(&status) {
            return Err(self.refuse(fact));
        }
        self.cancel(requested(reason));
        Ok(Effect::Moved)
    }

    fn cancel_lines(
        &mut self,
        fact: &Fact<'_>,
        lines: &[Units],
        reason: &str,
    ) -> Result<Effect, Refusal> {
        if !SMALLER.contains(&self.order.status()) {
            return Err(self.refuse(fact));
        }
        let wanted = self.by_index(lines)?;
        let wanted = |index: usize| wanted.get(index).copied().flatten().unwrap_or(0);
        let mut asked_in_all = 0;
        for (index, (line, balance)) in self.order.lines().enumerate() {
            let asked = wanted(index);
            let available = balance.open(line.quantity.get());
            if asked > available || asked < 0 {
                return Err(Refusal::TooMany { line: line.line, asked, available });
            }
            asked_in_all += asked;
        }
        if asked_in_all == 0 {
            return Ok(Effect::Nothing);
        }
        let shipped = self.order.balances.iter().any(|balance| balance.shipped > 0);
        if asked_in_all == self.order.open_units() && !shipped {
            self.cancel(requested(reason));
            return Ok(Effect::Moved);
        }
        self.drop_units(|index, _| wanted(index));
        if shipped {
            self.complete_if_nothing_is_open();
        }
        self.recheck_shortage();
        self.advance();
        Ok(Effect::Moved)
    }

    /// What was short may have been given up.
    fn recheck_shortage(&mut self) {
        let short = self.order.lines().any(|(line, one)| one.pending(line.quantity.get()) > 0);
        if let State::Placed(checks) = &mut self.order.state
            && checks.stock.is_some()
            && !short
        {
            checks.stock = Some(StockAnswer::Full);
        }
    }

    /// Drops `units(index, pending)` of each line, tells it, and tells stock what it keeps too
    /// much.
    pub(super) fn drop_units(&mut self, units: impl Fn(usize, i64) -> i64) {
        let previous_total = self.order.total();
        let before: Vec<i64> = self.order.balances.iter().map(|one| one.dropped).collect();
        // Before stock has answered it may be holding all of them.
        let unanswered = matches!(&self.order.state, State::Placed(now) if now.stock.is_none());
        let mut release = Vec::with_capacity(before.len());
        let lines = self.order.placed.lines.iter().zip(&mut self.order.balances);
        for (index, (line, balance)) in lines.enumerate() {
            let ordered = line.quantity.get();
            let dropped = units(index, balance.pending(ordered));
            let kept = balance.give_up(ordered, dropped);
            release.push(if unanswered { dropped } else { kept });
        }
        self.say_adjusted(&before, &release, previous_total);
    }

    /// Goes on with what is offered, or with the units that `amended` names.
    fn decide(&mut self, fact: &Fact<'_>, amended: Option<&[Units]>) -> Result<Effect, Refusal> {
        let State::AwaitingDecision { offer } = &self.order.state else {
            return Err(self.refuse(fact));
        };
        let wanted = match amended {
            Some(lines) => self.by_index(lines)?,
            None => offer.iter().copied().map(Some).collect(),
        };
        let mut dropped = Vec::with_capacity(offer.len());
        for (index, (line, balance)) in self.order.lines().enumerate() {
            let open = balance.open(line.quantity.get());
            let asked = wanted.get(index).copied().flatten().unwrap_or(open);
            let available = offer.get(index).copied().unwrap_or(0);
            if asked > available || asked < 0 {
                return Err(Refusal::TooMany { line: line.line, asked, available });
            }
            dropped.push(open - asked);
        }
        let dropped_in_all: i64 = dropped.iter().sum();
        if dropped_in_all == self.order.open_units() {
            self.cancel(requested("nothing of it is wanted"));
            return Ok(Effect::Moved);
        }
        if dropped_in_all > 0 {
            self.drop_units(|index, _| dropped.get(index).copied().unwrap_or(0));
        }
        self.reserve();
        Ok(Effect::Moved)
    }

    fn decide_cancel(&mut self, fact: &Fact<'_>, reason: &str) -> Result<Effect, Refusal> {
        if self.order.status() != Status::AwaitingDecision {
            return Err(self.refuse(fact));
        }
        self.cancel(requested(reason));
        Ok(Effect::Moved)
    }

    fn dispatch(
        &mut self,
        fact: &Fact<'_>,
        lines: &[Units],
        carrier: &str,
        tracking: &str,
    ) -> Result<Effect, Refusal> {
        if !matches!(self.order.status(), Status::Confirmed | Status::Fulfilling) {
            return Err(self.refuse(fact));
        }
        let wanted = self.by_index(lines)?;
        let mut leaving = Vec::new();
        for (index, (line, balance)) in self.order.lines().enumerate() {
            let available = balance.allocated;
            let unnamed = if lines.is_empty() { available } else { 0 };
            let asked = wanted.get(index).copied().flatten().unwrap_or(unnamed);
            if asked > available || asked < 0 {
                return Err(Refusal::TooMany { line: line.line, asked, available });
            }
            if asked > 0 {
                leaving.push((index, asked));
            }
        }
        if leaving.is_empty() {
            return Err(Refusal::NothingAllocated);
        }
        for (index, units) in &leaving {
            if let Some(balance) = self.order.balances.get_mut(*index) {
                balance.ship(*units);
            }
        }
        self.dispatched(&leaving, carrier, tracking);
        Ok(Effect::Moved)
    }

    fn hold(&mut self, fact: &Fact<'_>, reason: &str) -> Result<Effect, Refusal> {
        if !STOPPABLE.contains(&self.order.status()) {
            return Err(self.refuse(fact));
        }
        let resume = Box::new(self.order.state.clone());
        self.enter(State::OnHold { resume, reason: reason.into() });
        self.say_held(reason);
        Ok(Effect::Moved)
    }

    fn resume(&mut self, fact: &Fact<'_>) -> Result<Effect, Refusal> {
        let State::OnHold { resume, reason } = &self.order.state else {
            return Err(self.refuse(fact));
        };
        let (resume, reason) = ((**resume).clone(), Text::clone(reason));
        self.enter(resume);
        self.say_resumed(&reason);
        self.advance();
        Ok(Effect::Moved)
    }

    /// A person settles what cannot go on by itself.
    fn settle(&mut self, fact: &Fact<'_>, action: AttentionAction) -> Result<Effect, Refusal> {
        if self.order.attention.is_none() {
            return Err(self.refuse(fact));
        }
        self.order.attention = None;
        if let State::Cancelling(now) = &self.order.state {
            match action {
                AttentionAction::Retry => self.say_cancelling(),
                AttentionAction::Skip | AttentionAction::Force => {
                    let ending = now.ending.clone();
                    self.cancelled(ending);
                }
            }
        }
        self.restart_deadline();
        Ok(Effect::Moved)
    }
}

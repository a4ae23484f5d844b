//! What customer and inventory say about an order.

use contracts::events::customer::CustomerRefusal;
use contracts::events::inventory::StockRefusal;
use contracts::events::order::{EndReason, LineUnits, PlacedLine};

use super::{Effect, Move};
use crate::domain::Balance;
use crate::domain::state::{Paying, State, StockAnswer};

impl Move<'_> {
    pub(super) fn customer_validated(&mut self) -> Effect {
        if let State::Placed(checks) = &mut self.order.state {
            return Effect::of(!std::mem::replace(&mut checks.customer_accepted, true));
        }
        Effect::Nothing
    }

    pub(super) fn customer_rejected(&mut self, refusal: CustomerRefusal) -> Effect {
        // Who was accepted stays accepted: the first verdict counts.
        if !matches!(&self.order.state, State::Placed(checks) if !checks.customer_accepted) {
            return Effect::Nothing;
        }
        self.reject(match refusal {
            CustomerRefusal::Unknown => EndReason::UnknownCustomer,
            CustomerRefusal::Blocked => EndReason::CustomerBlocked,
            CustomerRefusal::CreditExceeded => EndReason::CreditExceeded,
        });
        Effect::Moved
    }

    /// Inventory holds and promises `answer(line)` units.
    pub(super) fn stock_answered(&mut self, answer: impl Fn(u16) -> Option<(i64, i64)>) -> Effect {
        if self.order.hold_lapsed {
            return self.held_again(answer);
        }
        if let State::Placed(checks) = &mut self.order.state {
            if checks.stock.is_some() {
                return Effect::Nothing;
            }
            let mut stock = StockAnswer::Full;
            for (line, balance) in self.order.placed.lines.iter().zip(&mut self.order.balances) {
                let ordered = line.quantity.get();
                let (held, backordered) = answer(line.line).unwrap_or((0, 0));
                balance.hold(ordered, held, backordered);
                if balance.pending(ordered) > 0 {
                    stock = StockAnswer::Short;
                }
            }
            checks.stock = Some(stock);
            return Effect::Moved;
        }
        self.promise_came_true(answer)
    }

    /// What a lapsed hold had is held again: the reservation's events come in their sequence, so
    /// this answer is younger than the lapse.
    fn held_again(&mut self, answer: impl Fn(u16) -> Option<(i64, i64)>) -> Effect {
        if !self.waits_for_allocation() && !matches!(self.order.state, State::Placed(_)) {
            return Effect::Nothing;
        }
        for (line, balance) in self.order.placed.lines.iter().zip(&mut self.order.balances) {
            let (held, backordered) = answer(line.line).unwrap_or((0, 0));
            balance.hold(line.quantity.get(), held, backordered);
        }
        let pending = |(line, one): (&PlacedLine, &Balance)| one.pending(line.quantity.get()) > 0;
        let lapsed = self.order.lines().any(pending);
        self.order.hold_lapsed = lapsed;
        Effect::Moved
    }

    /// What was promised for later can be held before the payment is through.
    fn promise_came_true(&mut self, answer: impl Fn(u16) -> Option<(i64, i64)>) -> Effect {
        if !self.waits_for_allocation() {
            return Effect::Nothing;
        }
        let mut effect = Effect::Nothing;
        for (line, balance) in self.order.placed.lines.iter().zip(&mut self.order.balances) {
            let before = balance.held;
            balance.fill(answer(line.line).map_or(0, |one| one.0));
            if balance.held != before {
                effect = Effect::Moved;
            }
        }
        effect
    }

    fn waits_for_allocation(&self) -> bool {
        matches!(self.order.state, State::Reserved | State::Paying(Paying { allocated: false, .. }))
    }

    pub(super) fn stock_rejected(&mut self, refusal: StockRefusal) -> Effect {
        let reason = match refusal {
            StockRefusal::Insufficient => EndReason::InsufficientStock,
            StockRefusal::UnknownSku => EndReason::UnknownSku,
            StockRefusal::Lost => EndReason::StockLost,
        };
        if matches!(&self.order.state, State::Placed(checks) if checks.stock.is_none()) {
            self.reject(reason);
            return Effect::Moved;
        }
        if self.waits_for_allocation() && refusal == StockRefusal::Lost {
            self.cancel_because(reason);
            return Effect::Moved;
        }
        Effect::Nothing
    }

    /// Units belong to the order now: with the first such answer it is allocated as a whole, later
    /// ones are promises that came true.
    pub(super) fn allocated(&mut self, lines: &[LineUnits]) -> Effect {
        if self.order.state == State::Reserved {
            self.enter(State::Paying(Paying::default()));
        }
        let first = match &mut self.order.state {
            State::Paying(paying) => !std::mem::replace(&mut paying.allocated, true),
            State::Confirmed | State::Fulfilling => false,
            State::Placed(_)
            | State::AwaitingDecision { .. }
            | State::Reserved
            | State::Completed
            | State::OnHold { .. }
            | State::Cancelling(_)
            | State::Rejected(_)
            | State::Cancelled(_)
            | State::Expired(_) => return Effect::Nothing,
        };
        let mut changed = first;
        for (line, balance) in self.order.placed.lines.iter().zip(&mut self.order.balances) {
            let ordered = line.quantity.get();
            let before = balance.allocated;
            let units = lines.iter().filter(|one| one.line == line.line).map(|one| one.units);
            balance.allocate(ordered, units.sum());
            if first {
                balance.owe(ordered);
            }
            changed |= balance.allocated != before;
        }
        if first {
            self.order.hold_lapsed = false;
        }
        Effect::of(changed)
    }

    pub(super) fn released(&mut self, ended: bool) -> Effect {
        if let State::Cancelling(now) = &mut self.order.state
            && ended
        {
            if !std::mem::replace(&mut now.stock_awaited, false) {
                return Effect::Nothing;
            }
            self.end_lines();
            return Effect::Moved;
        }
        // What an adjustment gave back: the lines have shown it since then.
        Effect::of(!ended && !self.order.status().is_terminal())
    }

    pub(super) fn hold_expired(&mut self) -> Effect {
        let waiting = match &self.order.state {
            State::Placed(checks) => checks.stock.is_some(),
            State::AwaitingDecision { .. } | State::Reserved => true,
            State::Paying(paying) => !paying.allocated,
            State::Confirmed
            | State::Fulfilling
            | State::Completed
            | State::OnHold { .. }
            | State::Cancelling(_)
            | State::Rejected(_)
            | State::Cancelled(_)
            | State::Expired(_) => false,
        };
        if !waiting || self.order.hold_lapsed {
            return Effect::Nothing;
        }
        self.order.hold_lapsed = true;
        for balance in &mut self.order.balances {
            balance.lapse();
        }
        Effect::Moved
    }
}

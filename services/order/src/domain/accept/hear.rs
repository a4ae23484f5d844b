//! Events heard and deadlines passed. Nothing here refuses: what comes twice or too late is
//! nothing.

use contracts::events::order::{EndReason, ShortagePolicy};

use super::{Effect, Move};
use crate::domain::fact::Fact;
use crate::domain::state::{State, Status, StockAnswer};
use crate::domain::{Balance, Text};

impl Move<'_> {
    /// Hears an event; on hold it is noted in the state to go on from, and the order stays there.
    pub(super) fn hear_event(&mut self, fact: &Fact<'_>) -> Effect {
        let State::OnHold { resume, reason } = &self.order.state else {
            let effect = self.hear(fact);
            self.advance();
            return effect;
        };
        let (resume, reason) = ((**resume).clone(), Text::clone(reason));
        let (deadline, attention) = (self.order.deadline, self.order.attention.clone());
        self.order.state = resume;
        let effect = self.hear(fact);
        let status = self.order.status();
        if !status.is_terminal() && status != Status::Cancelling {
            let resume = Box::new(std::mem::replace(&mut self.order.state, State::Reserved));
            self.order.state = State::OnHold { resume, reason };
            self.order.deadline = deadline;
            if attention.is_some() {
                self.order.attention = attention;
            }
        }
        effect
    }

    /// Moves on if what is known suffices.
    pub(super) fn advance(&mut self) {
        if let State::Placed(checks) = &self.order.state
            && checks.customer_accepted
        {
            match checks.stock {
                Some(StockAnswer::Full) => self.reserve(),
                Some(StockAnswer::Short) => self.settle_shortage(),
                None => {}
            }
        } else if let State::Paying(paying) = &self.order.state
            && paying.is_settled()
        {
            self.confirm();
        } else if let State::Cancelling(now) = &self.order.state
            && !now.stock_awaited
            && !now.money_awaited
        {
            let ending = now.ending.clone();
            self.cancelled(ending);
        }
    }

    /// Some units cannot be had: a line that asks decides for all, else they are dropped.
    fn settle_shortage(&mut self) {
        let asks = self.order.lines().any(|(line, balance)| {
            line.policy == ShortagePolicy::Ask && balance.pending(line.quantity.get()) > 0
        });
        let kept: i64 = self.order.balances.iter().map(Balance::kept).sum();
        if kept == 0 && !self.order.hold_lapsed {
            self.reject(EndReason::InsufficientStock);
        } else if asks {
            self.ask_for_decision();
        } else {
            self.drop_units(|_, pending| pending);
            self.reserve();
        }
    }

    fn hear(&mut self, fact: &Fact<'_>) -> Effect {
        match *fact {
            Fact::CustomerValidated => self.customer_validated(),
            Fact::CustomerRejected(refusal) => self.customer_rejected(refusal),
            Fact::InventoryReserved(lines) => {
                let answer = |line| lines.iter().find(|one| one.line == line);
                self.stock_answered(|line| answer(line).map(|one| (one.units, 0)))
            }
            Fact::InventoryPartiallyReserved(lines) => {
                let answer = |line| lines.iter().find(|one| one.line == line);
                self.stock_answered(|line| answer(line).map(|one| (one.held, one.backordered)))
            }
            Fact::InventoryRejected(refusal) => self.stock_rejected(refusal),
            Fact::InventoryAllocated(lines) => self.allocated(lines),
            Fact::InventoryReleased { ended } => self.released(ended),
            Fact::InventoryExpired => self.hold_expired(),
            Fact::InventoryConsumed => self.note_in(&[Status::Fulfilling, Status::Completed]),
            Fact::PaymentRequested => self.payment_requested(),
            Fact::PaymentAuthorized { amount, due_on_dispatch } => {
                self.authorized(amount, due_on_dispatch)
            }
            Fact::PaymentCaptured { amount } => self.captured(amount),
            Fact::PaymentDeclined { operation, .. } => self.declined(operation),
            Fact::PaymentUnknown => {
                self.note_in(&[Status::Reserved, Status::Paying, Status::Cancelling])
            }
            Fact::PaymentVoided { amount } => self.voided(amount),
            Fact::PaymentRefunded { kept } => self.refunded(kept),
            // Not events: see `apply`.
            Fact::DeadlinePassed
            | Fact::Cancel { .. }
            | Fact::CancelLines { .. }
            | Fact::DecideAccept
            | Fact::DecideAmend { .. }
            | Fact::DecideCancel { .. }
            | Fact::Dispatch { .. }
            | Fact::Hold { .. }
            | Fact::Resume
            | Fact::Attention { .. } => Effect::Nothing,
        }
    }

    /// Only the history shows it.
    fn note_in(&self, statuses: &[Status]) -> Effect {
        Effect::of(statuses.contains(&self.order.status()))
    }

    /// What the passing of the deadline means where the order stands.
    pub(super) fn deadline_passed(&mut self) -> Effect {
        if self.order.deadline.is_none_or(|deadline| deadline > self.now) {
            return Effect::Nothing;
        }
        match &mut self.order.state {
            State::Placed(checks) => {
                let last = self.order.placed.at.plus(self.deadlines.checks);
                if self.now >= last {
                    self.expire(EndReason::ChecksTimedOut);
                } else {
                    checks.attempts += 1;
                    let attempt = checks.attempts;
                    let next = self.now.plus(self.deadlines.check_again).min(last);
                    self.ask_checks_again(attempt, next);
                }
            }
            State::AwaitingDecision { .. } => self.cancel_because(EndReason::DecisionTimedOut),
            State::Reserved | State::Paying(_) => self.cancel_because(EndReason::PaymentTimedOut),
            State::Confirmed | State::Fulfilling | State::OnHold { .. } => {
                self.order.deadline = None;
                self.flag("the promised date has passed");
            }
            State::Cancelling(_) => {
                if self.order.attention.is_none() {
                    self.flag("the cancellation does not end");
                }
                self.say_cancelling();
                self.restart_deadline();
            }
            State::Completed | State::Rejected(_) | State::Cancelled(_) | State::Expired(_) => {
                return Effect::Nothing;
            }
        }
        Effect::Moved
    }
}

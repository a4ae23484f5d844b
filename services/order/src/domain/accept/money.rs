//! What payment says about an order. Money that moves after a cancellation is only noted: payment
//! gives it back by itself.

use contracts::Money;
use contracts::events::order::EndReason;
use contracts::events::payment::PaymentOperation;

use super::{Effect, Move};
use crate::domain::Ledger;
use crate::domain::state::{Paying, State, Status};

impl Move<'_> {
    pub(super) fn payment_requested(&mut self) -> Effect {
        if self.order.state != State::Reserved {
            return Effect::Nothing;
        }
        self.enter(State::Paying(Paying::default()));
        Effect::Moved
    }

    /// Sets what is known of the money and tells whether that is news. Before it is reserved, and
    /// after it was refused, an order has no money.
    fn note_money(&mut self, note: impl FnOnce(&mut Ledger)) -> Effect {
        let moneyless =
            [Status::Placed, Status::AwaitingDecision, Status::Rejected, Status::Expired];
        if moneyless.contains(&self.order.status()) {
            return Effect::Nothing;
        }
        let before = self.order.ledger;
        note(&mut self.order.ledger);
        Effect::of(self.order.ledger != before)
    }

    /// The payment under way, even if nobody has said that it was begun.
    fn paying(&mut self) -> Option<&mut Paying> {
        if self.order.state == State::Reserved {
            self.enter(State::Paying(Paying::default()));
        }
        if let State::Paying(paying) = &mut self.order.state { Some(paying) } else { None }
    }

    pub(super) fn authorized(&mut self, amount: Money, due_on_dispatch: bool) -> Effect {
        let noted = self.note_money(|ledger| ledger.authorized = amount.minor().max(0));
        let Some(paying) = self.paying() else { return noted };
        if paying.due_on_dispatch.is_some() {
            return noted;
        }
        paying.due_on_dispatch = Some(due_on_dispatch);
        Effect::Moved
    }

    pub(super) fn captured(&mut self, amount: Money) -> Effect {
        let noted = self.note_money(|ledger| {
            ledger.captured = ledger.captured.max(amount.minor());
        });
        let Some(paying) = self.paying() else { return noted };
        if std::mem::replace(&mut paying.captured, true) { noted } else { Effect::Moved }
    }

    pub(super) fn declined(&mut self, operation: PaymentOperation) -> Effect {
        let authorizing = operation == PaymentOperation::Authorize;
        match self.order.status() {
            Status::Reserved | Status::Paying => {
                self.order.ledger.declined = authorizing;
                self.cancel_because(EndReason::PaymentDeclined);
                Effect::Moved
            }
            Status::Cancelling if authorizing => self.note_money(|ledger| ledger.declined = true),
            Status::Cancelling | Status::Confirmed | Status::Fulfilling | Status::Completed => {
                if self.order.attention.is_some() {
                    return Effect::Nothing;
                }
                self.flag("the payment provider refuses");
                Effect::Moved
            }
            Status::Placed
            | Status::AwaitingDecision
            | Status::OnHold
            | Status::Rejected
            | Status::Cancelled
            | Status::Expired => Effect::Nothing,
        }
    }

    pub(super) fn voided(&mut self, amount: Money) -> Effect {
        if !matches!(self.order.status(), Status::Cancelling | Status::Cancelled) {
            return Effect::Nothing;
        }
        let reserved = amount.is_positive();
        let noted = self.note_money(|ledger| ledger.voided |= reserved);
        self.money_is_back(noted)
    }

    pub(super) fn refunded(&mut self, kept: Money) -> Effect {
        let noted = self.note_money(|ledger| {
            let refunded = ledger.captured - kept.minor();
            ledger.refunded = refunded.clamp(ledger.refunded, ledger.captured);
        });
        if kept.is_positive() { noted } else { self.money_is_back(noted) }
    }

    fn money_is_back(&mut self, noted: Effect) -> Effect {
        if let State::Cancelling(now) = &mut self.order.state
            && std::mem::replace(&mut now.money_awaited, false)
        {
            return Effect::Moved;
        }
        noted
    }
}

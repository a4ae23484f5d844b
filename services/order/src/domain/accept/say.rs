//! What an order says, and the moves that say it.

use contracts::events::order as event;
use contracts::events::order::{EndReason, LineUnits};
use contracts::{Money, Timestamp};

use super::Move;
use crate::domain::state::{Cancelling, Ending, State};
use crate::domain::{Balance, Cause, Shipment, Text};

/// The code of a reason in the API.
pub(in crate::domain) const fn reason_code(reason: EndReason) -> &'static str {
    match reason {
        EndReason::UnknownCustomer => "unknown_customer",
        EndReason::CustomerBlocked => "customer_blocked",
        EndReason::CreditExceeded => "credit_exceeded",
        EndReason::InsufficientStock => "insufficient_stock",
        EndReason::UnknownSku => "unknown_sku",
        EndReason::PaymentDeclined => "payment_declined",
        EndReason::PaymentTimedOut => "payment_timed_out",
        EndReason::StockLost => "stock_lost",
        EndReason::DecisionTimedOut => "decision_timed_out",
        EndReason::ChecksTimedOut => "checks_timed_out",
        EndReason::Requested => "requested",
    }
}

/// What people are told if nobody gave words.
const fn reason_words(reason: EndReason) -> &'static str {
    match reason {
        EndReason::UnknownCustomer => "there is no such customer",
        EndReason::CustomerBlocked => "the customer is blocked",
        EndReason::CreditExceeded => "the customer's credit limit does not allow it",
        EndReason::InsufficientStock => "not enough in stock",
        EndReason::UnknownSku => "inventory does not know a SKU",
        EndReason::PaymentDeclined => "the payment was declined",
        EndReason::PaymentTimedOut => "the payment took too long",
        EndReason::StockLost => "the stock was gone when the payment arrived",
        EndReason::DecisionTimedOut => "nobody decided in time",
        EndReason::ChecksTimedOut => "the checks did not answer in time",
        EndReason::Requested => "it was asked for",
    }
}

impl Ending {
    fn because(reason: EndReason) -> Self {
        Self { reason, detail: Text::from(reason_words(reason)) }
    }
}

impl Move<'_> {
    fn actor(&self) -> Text {
        match self.cause {
            Cause::Actor(name) => Text::clone(name),
            Cause::Event(_) | Cause::Deadline => Text::from("system"),
        }
    }

    /// The lines for which `units` of the line's index is above zero.
    fn line_units(&self, units: impl Fn(usize) -> i64) -> Vec<LineUnits> {
        let lines = self.order.placed.lines.iter().enumerate();
        lines
            .map(|(index, line)| (line, units(index)))
            .filter(|(_, units)| *units > 0)
            .map(|(line, units)| LineUnits { line: line.line, sku: line.sku.clone(), units })
            .collect()
    }

    /// Both checks passed: payment may begin.
    pub(super) fn reserve(&mut self) {
        self.enter(State::Reserved);
        let placed = &self.order.placed;
        let said = event::OrderReserved {
            order_id: placed.id,
            customer_id: placed.customer_id.clone(),
            total: self.order.total(),
            payment: placed.payment.clone(),
        };
        self.says.push(said.into());
    }

    /// A person has to decide about what is short.
    pub(super) fn ask_for_decision(&mut self) {
        let offer: Vec<i64> = self.order.balances.iter().map(Balance::kept).collect();
        let available = self.line_units(|index| offer.get(index).copied().unwrap_or(0));
        self.enter(State::AwaitingDecision { offer });
        let said = event::OrderDecisionRequested {
            order_id: self.order.placed.id,
            available,
            decide_by: self.order.deadline.unwrap_or(self.now),
        };
        self.says.push(said.into());
    }

    /// Lines got smaller than they were with `before` units dropped; `release` is what stock keeps
    /// too much of each.
    pub(super) fn say_adjusted(&mut self, before: &[i64], release: &[i64], previous_total: Money) {
        let changed = self.order.lines().zip(before);
        let lines = changed
            .filter(|((_, balance), before)| balance.dropped != **before)
            .map(|((line, balance), _)| LineUnits {
                line: line.line,
                sku: line.sku.clone(),
                units: line.quantity.get() - balance.dropped,
            })
            .collect();
        let release = self.line_units(|index| release.get(index).copied().unwrap_or(0));
        let total = self.order.total();
        let order_id = self.order.placed.id;
        let said = event::OrderAdjusted { order_id, lines, release, total, previous_total };
        self.says.push(said.into());
    }

    /// Paid, or due on dispatch, and the stock belongs to the order.
    pub(super) fn confirm(&mut self) {
        self.enter(State::Confirmed);
        self.order.confirmed_at = Some(self.now);
        let placed = &self.order.placed;
        let said = event::OrderConfirmed {
            order_id: placed.id,
            number: placed.number,
            customer_id: placed.customer_id.clone(),
            total: self.order.total(),
        };
        self.says.push(said.into());
    }

    /// Units left: the order is under way, or complete if nothing is open.
    pub(super) fn dispatched(&mut self, leaving: &[(usize, i64)], carrier: &str, tracking: &str) {
        let units = |index| leaving.iter().find(|one| one.0 == index).map_or(0, |one| one.1);
        let lines = self.line_units(units);
        let shipment = Shipment {
            number: u16::try_from(self.order.shipments.len() + 1).unwrap_or(u16::MAX),
            lines: lines.iter().map(|one| (one.line, one.units)).collect(),
            carrier: carrier.into(),
            tracking: tracking.into(),
            at: self.now,
            actor: self.actor(),
        };
        let order_id = self.order.placed.id;
        let said = event::OrderFulfilling { order_id, shipment: shipment.number, lines };
        self.says.push(said.into());
        self.order.shipments.push(shipment);
        self.enter(State::Fulfilling);
        self.complete_if_nothing_is_open();
    }

    /// Ends well if nothing is open.
    pub(super) fn complete_if_nothing_is_open(&mut self) {
        if self.order.open_units() > 0 {
            return;
        }
        self.enter(State::Completed);
        let placed = &self.order.placed;
        let customer_id = placed.customer_id.clone();
        self.says.push(event::OrderCompleted { order_id: placed.id, customer_id }.into());
    }

    /// Ended by a check: nothing was taken, and what is held goes back by itself.
    pub(super) fn reject(&mut self, reason: EndReason) {
        let ending = Ending::because(reason);
        let placed = &self.order.placed;
        let said = event::OrderRejected {
            order_id: placed.id,
            number: placed.number,
            customer_id: placed.customer_id.clone(),
            reason,
            detail: ending.detail.as_ref().into(),
        };
        self.says.push(said.into());
        self.end_lines();
        self.enter(State::Rejected(ending));
    }

    /// Ended by a deadline.
    pub(super) fn expire(&mut self, reason: EndReason) {
        let placed = &self.order.placed;
        let said = event::OrderExpired {
            order_id: placed.id,
            number: placed.number,
            customer_id: placed.customer_id.clone(),
            reason,
        };
        self.says.push(said.into());
        self.end_lines();
        self.enter(State::Expired(Ending::because(reason)));
    }

    /// Compensation begins.
    pub(super) fn cancel_because(&mut self, reason: EndReason) {
        self.cancel(Ending::because(reason));
    }

    /// Compensation begins, for a reason in words.
    pub(super) fn cancel(&mut self, ending: Ending) {
        let actor = self.actor();
        let (stock_awaited, money_awaited) = (true, true);
        self.enter(State::Cancelling(Cancelling { ending, actor, stock_awaited, money_awaited }));
        self.say_cancelling();
    }

    /// Asks for the compensations, for the first time or again.
    pub(super) fn say_cancelling(&mut self) {
        let State::Cancelling(Cancelling { ending, actor, .. }) = &self.order.state else { return };
        let said = event::OrderCancelling {
            order_id: self.order.placed.id,
            reason: ending.reason,
            detail: ending.detail.as_ref().into(),
            actor: actor.as_ref().into(),
        };
        self.says.push(said.into());
    }

    /// Everything is given back.
    pub(super) fn cancelled(&mut self, ending: Ending) {
        let placed = &self.order.placed;
        let said = event::OrderCancelled {
            order_id: placed.id,
            number: placed.number,
            customer_id: placed.customer_id.clone(),
            reason: ending.reason,
            detail: ending.detail.as_ref().into(),
        };
        self.says.push(said.into());
        self.end_lines();
        self.enter(State::Cancelled(ending));
    }

    /// A person has to look.
    pub(super) fn flag(&mut self, detail: &'static str) {
        self.order.attention = Some(Text::from(detail));
        let order_id = self.order.placed.id;
        self.says.push(event::OrderNeedsAttention { order_id, detail: detail.into() }.into());
    }

    /// Asks the checks once more.
    pub(super) fn ask_checks_again(&mut self, attempt: u64, next: Timestamp) {
        let placed = &self.order.placed;
        let said = event::OrderCheckRequested {
            order_id: placed.id,
            customer_id: placed.customer_id.clone(),
            lines: placed.lines.clone(),
            total: self.order.total(),
            attempt,
        };
        self.says.push(said.into());
        self.order.deadline = Some(next);
    }

    pub(super) fn say_held(&mut self, reason: &str) {
        let order_id = self.order.placed.id;
        self.says.push(event::OrderHeld { order_id, reason: reason.into() }.into());
    }

    pub(super) fn say_resumed(&mut self, reason: &str) {
        let order_id = self.order.placed.id;
        self.says.push(event::OrderResumed { order_id, reason: reason.into() }.into());
    }
}

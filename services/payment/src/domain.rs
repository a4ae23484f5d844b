//! The payment of one order: which operation may follow which, and what is said of it.
//!
//! A payment knows what its order wants (`owed`, `allocated`, `cancelling`) and what its money does
//! ([`State`]). After every fact it compares the two and asks for the one operation that brings them
//! together; so a fact that comes late, twice or in another sequence leads to the same end.

mod attempt;
mod fact;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use attempt::{Attempt, AttemptState, DeriveKey, Outcome, ProviderKey};
pub(crate) use fact::{Act, Change, Fact, Step};
pub(crate) use state::State;

use std::time::Duration;

use contracts::events::order::PaymentInstruction;
use contracts::events::payment::{
    PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentOperation, PaymentRefunded,
    PaymentRequested, PaymentUnknown, PaymentVoided,
};
use contracts::{Currency, EventData, Money, OrderId, OrderNumber, Timestamp};

/// The method without a provider: the money is due when the goods leave.
pub(crate) const TERMS: &str = "terms";

/// How long an answer is awaited before it is asked for: longer than any call may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long after a lost answer, and after each fruitless inquiry, the provider is asked.
const INQUIRY_DELAYS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];

/// A provider that refuses to give money back is asked anew after this, and then after twice as
/// long each time.
const REFUSED_DELAY: Duration = Duration::from_mins(1);
/// The longest of those pauses is 2^6 minutes, about an hour.
const REFUSED_DOUBLINGS_MAX: u32 = 6;

/// The payment of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) order_id: OrderId,
    /// Grows by one with every change.
    pub(crate) version: u64,
    pub(crate) instruction: PaymentInstruction,
    pub(crate) currency: Currency,
    /// What was to be held ready.
    pub(crate) amount: i64,
    /// What the order comes to now; never more than `amount`.
    pub(crate) owed: i64,
    pub(crate) state: State,
    /// The order has its stock.
    pub(crate) allocated: bool,
    /// The order wants everything back.
    pub(crate) cancelling: bool,
    pub(crate) attempts: Vec<Attempt>,
    /// How many events were said of it.
    pub(crate) said: u64,
    /// When to look again if nothing is heard before.
    pub(crate) due: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// `at`, or the next whole second: attempts that follow each other at once share a deadline, and
/// its index entry is not written again.
fn on_grid(at: Timestamp) -> Timestamp {
    const SECOND_US: i64 = 1_000_000;
    let past = at.as_micros().rem_euclid(SECOND_US);
    if past == 0 { at } else { at.plus(Duration::from_micros((SECOND_US - past).unsigned_abs())) }
}

impl Payment {
    /// The payment of an order that is to be paid now: the authorisation is on record.
    pub(crate) fn request(
        order_id: OrderId,
        total: Money,
        instruction: PaymentInstruction,
        at: Timestamp,
        derive: DeriveKey,
    ) -> (Self, Change) {
        let mut payment = Self::blank(order_id, total, instruction, at);
        let method = payment.instruction.method.clone();
        let mut change = Change::default();
        change.says.push(PaymentRequested { order_id, method, amount: total }.into());
        payment.open(PaymentOperation::Authorize, total.minor(), &mut change, (at, derive));
        payment.said(&change);
        (payment, change)
    }

    /// The payment of an order that is cancelled before it asked to be paid. It stays, so that a
    /// request that comes late finds it ended.
    pub(crate) fn never_requested(order_id: OrderId, at: Timestamp) -> (Self, Change) {
        let instruction = PaymentInstruction { method: "none".into(), token: "".into() };
        let nothing = Money::zero(no_currency());
        let mut payment = Self::blank(order_id, nothing, instruction, at);
        payment.state = State::Voided { authorized: 0 };
        payment.cancelling = true;
        let mut change = Change::default();
        change.says.push(PaymentVoided { order_id, amount: nothing }.into());
        payment.said(&change);
        (payment, change)
    }

    fn blank(
        order_id: OrderId,
        total: Money,
        instruction: PaymentInstruction,
        at: Timestamp,
    ) -> Self {
        Self {
            order_id,
            version: 1,
            instruction,
            currency: total.currency(),
            amount: total.minor(),
            owed: total.minor(),
            state: State::Requested,
            allocated: false,
            cancelling: false,
            attempts: Vec::with_capacity(2),
            said: 0,
            due: None,
            created_at: at,
            updated_at: at,
        }
    }

    pub(crate) fn number(&self) -> OrderNumber {
        self.order_id.number()
    }

    /// An amount in the payment's currency.
    pub(crate) const fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.currency)
    }

    /// The attempt whose end is not known. There is at most one: the last.
    pub(crate) fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.state.is_open())
    }

    /// The provider's id of the authorisation, by which it knows what to capture or void.
    pub(crate) fn authorization(&self) -> &str {
        let granted = |attempt: &&Attempt| {
            attempt.operation == PaymentOperation::Authorize
                && attempt.state == AttemptState::Succeeded
        };
        self.attempts.iter().find(granted).map_or("", |attempt| &attempt.reference)
    }

    fn is_on_terms(&self) -> bool {
        self.instruction.method == TERMS
    }

    /// The only way a payment changes: a fact goes in, events and at most one call come out.
    pub(crate) fn accept(&mut self, fact: Fact, at: Timestamp, derive: DeriveKey) -> Step {
        let mut change = Change::default();
        match fact {
            Fact::Requested => return Step::AlreadyApplied,
            Fact::Allocated | Fact::Adjusted { .. } if self.state.has_ended() => {
                return Step::AlreadyApplied;
            }
            Fact::Allocated if self.allocated => return Step::AlreadyApplied,
            Fact::Allocated => self.allocated = true,
            Fact::Adjusted { total } if total >= self.owed => return Step::AlreadyApplied,
            Fact::Adjusted { total } => self.owed = total.max(0),
            Fact::Cancelling if self.cancelling => return Step::AlreadyApplied,
            Fact::Cancelling => self.cancel(&mut change),
            Fact::Answered { key, outcome } => {
                if let Err(refused) = self.answer(key, outcome, &mut change, at) {
                    return refused;
                }
            }
            Fact::Overdue if self.due.is_none() => return Step::AlreadyApplied,
            Fact::Overdue => self.look_again(&mut change, at),
        }
        self.settle(&mut change, (at, derive));
        self.version += 1;
        self.updated_at = at;
        self.said(&change);
        Step::Moved(change)
    }

    fn said(&mut self, change: &Change) {
        self.said += u64::try_from(change.says.len()).unwrap_or(0);
    }

    /// Remembers that everything goes back. Where nothing is kept, that is the answer.
    fn cancel(&mut self, change: &mut Change) {
        self.cancelling = true;
        match self.state {
            State::Declined => change.says.push(self.voided(0)),
            State::Voided { authorized } => change.says.push(self.voided(authorized)),
            State::Refunded { .. } => change.says.push(self.refunded_of(0)),
            State::Requested
            | State::Unknown
            | State::Authorized { .. }
            | State::Captured { .. }
            | State::PartiallyRefunded { .. } => {}
        }
    }

    fn answer(
        &mut self,
        key: ProviderKey,
        outcome: Outcome,
        change: &mut Change,
        at: Timestamp,
    ) -> Result<(), Step> {
        let Some(attempt) = self.attempts.iter_mut().find(|attempt| attempt.key == key) else {
            return Err(Step::NeverAsked);
        };
        let (operation, amount) = (attempt.operation, attempt.amount);
        match (attempt.state, outcome) {
            (AttemptState::Succeeded, Outcome::Declined { .. })
            | (AttemptState::Declined, Outcome::Approved { .. }) => Err(Step::Contradicts),
            (AttemptState::Succeeded | AttemptState::Declined, _)
            | (AttemptState::Unknown, Outcome::Unknown) => Err(Step::AlreadyApplied),
            (AttemptState::Pending, Outcome::Unknown) => {
                (attempt.state, attempt.at) = (AttemptState::Unknown, at);
                self.lost(operation, change, at);
                Ok(())
            }
            (AttemptState::Pending | AttemptState::Unknown, Outcome::Approved { reference }) => {
                (attempt.state, attempt.at) = (AttemptState::Succeeded, at);
                attempt.reference = reference;
                self.due = None;
                self.succeeded(operation, amount, change);
                Ok(())
            }
            (AttemptState::Pending | AttemptState::Unknown, Outcome::Declined { code }) => {
                (attempt.state, attempt.at) = (AttemptState::Declined, at);
                attempt.code.clone_from(&code);
                self.due = None;
                self.declined(operation, &code, change, at);
                Ok(())
            }
        }
    }

    fn lost(&mut self, operation: PaymentOperation, change: &mut Change, at: Timestamp) {
        if self.state == State::Requested {
            self.state = State::Unknown;
        }
        self.due = Some(at.plus(inquiry_delay(0)));
        change.says.push(PaymentUnknown { order_id: self.order_id, operation }.into());
    }

    fn succeeded(&mut self, operation: PaymentOperation, amount: i64, change: &mut Change) {
        let order_id = self.order_id;
        let (authorized, captured) = (self.state.authorized(), self.state.captured());
        let said = match operation {
            PaymentOperation::Authorize => {
                self.state = State::Authorized { authorized: amount };
                let due_on_dispatch = self.is_on_terms();
                PaymentAuthorized { order_id, amount: self.money(amount), due_on_dispatch }.into()
            }
            PaymentOperation::Capture => {
                self.state = State::Captured { authorized, captured: amount };
                PaymentCaptured { order_id, amount: self.money(amount) }.into()
            }
            PaymentOperation::Void => {
                self.state = State::Voided { authorized };
                self.voided(authorized)
            }
            PaymentOperation::Refund => {
                let refunded = self.state.refunded() + amount;
                self.state = if refunded >= captured {
                    State::Refunded { authorized, captured }
                } else {
                    State::PartiallyRefunded { authorized, captured, refunded }
                };
                self.refunded_of(amount)
            }
        };
        change.says.push(said);
    }

    fn declined(
        &mut self,
        operation: PaymentOperation,
        code: &str,
        change: &mut Change,
        at: Timestamp,
    ) {
        let order_id = self.order_id;
        change.says.push(PaymentDeclined { order_id, operation, code: code.into() }.into());
        match operation {
            PaymentOperation::Authorize => {
                self.state = State::Declined;
                if self.cancelling {
                    change.says.push(self.voided(0));
                }
            }
            PaymentOperation::Capture => {}
            // Nobody but us can give the money back: ask anew, later, under another key.
            PaymentOperation::Void | PaymentOperation::Refund => {
                let doublings = self.epoch_of(operation).min(REFUSED_DOUBLINGS_MAX + 1) - 1;
                self.due = Some(at.plus(REFUSED_DELAY * 2_u32.pow(doublings)));
            }
        }
    }

    /// Asks what became of the open attempt; without one, the pause after a refusal is over.
    fn look_again(&mut self, change: &mut Change, at: Timestamp) {
        self.due = None;
        let Some(attempt) = self.attempts.last_mut().filter(|last| last.state.is_open()) else {
            return;
        };
        attempt.inquiries += 1;
        attempt.at = at;
        self.due = Some(at.plus(inquiry_delay(attempt.inquiries)));
        change.act = Act::Inquire;
    }

    /// Opens the operation that brings the money to where the order wants it, if none is open.
    fn settle(&mut self, change: &mut Change, now: (Timestamp, DeriveKey)) {
        if self.due.is_some() {
            return; // An attempt is open, or a pause after a refusal is not over.
        }
        let kept = self.state.captured() - self.state.refunded();
        match self.state {
            State::Authorized { authorized } if self.cancelling => {
                self.open(PaymentOperation::Void, authorized, change, now);
            }
            State::Authorized { authorized } if self.may_capture() => {
                let amount = self.owed.min(authorized);
                self.open(PaymentOperation::Capture, amount, change, now);
            }
            State::Captured { authorized, captured }
            | State::PartiallyRefunded { authorized, captured, .. } => {
                let wanted = if self.cancelling { 0 } else { self.owed };
                if kept > wanted {
                    self.open(PaymentOperation::Refund, kept - wanted, change, now);
                } else if self.cancelling {
                    self.state = State::Refunded { authorized, captured };
                    change.says.push(self.refunded_of(0));
                }
            }
            State::Requested
            | State::Unknown
            | State::Authorized { .. }
            | State::Refunded { .. }
            | State::Voided { .. }
            | State::Declined => {}
        }
    }

    /// Money is taken once, when the stock is there, and not again after a refusal.
    fn may_capture(&self) -> bool {
        self.allocated && !self.is_on_terms() && self.epoch_of(PaymentOperation::Capture) == 0
    }

    /// How many attempts at `operation` there were.
    fn epoch_of(&self, operation: PaymentOperation) -> u32 {
        let attempts = self.attempts.iter().filter(|attempt| attempt.operation == operation);
        u32::try_from(attempts.count()).unwrap_or(u32::MAX)
    }

    /// Puts an attempt on record. On terms nobody has to be asked: it succeeds at once.
    fn open(
        &mut self,
        operation: PaymentOperation,
        amount: i64,
        change: &mut Change,
        (at, derive): (Timestamp, DeriveKey),
    ) {
        let epoch = self.epoch_of(operation) + 1;
        let key = derive(&self.order_id, operation, epoch);
        let on_terms = self.is_on_terms();
        let state = if on_terms { AttemptState::Succeeded } else { AttemptState::Pending };
        let (reference, code) = (String::new(), String::new());
        self.attempts.push(Attempt {
            operation,
            epoch,
            key,
            amount,
            state,
            inquiries: 0,
            at,
            reference,
            code,
        });
        if on_terms {
            self.succeeded(operation, amount, change);
        } else {
            self.due = Some(on_grid(at.plus(PATIENCE)));
            change.act = Act::Perform;
        }
    }

    fn voided(&self, amount: i64) -> EventData {
        PaymentVoided { order_id: self.order_id, amount: self.money(amount) }.into()
    }

    fn refunded_of(&self, amount: i64) -> EventData {
        let kept = self.money(self.state.captured() - self.state.refunded());
        PaymentRefunded { order_id: self.order_id, amount: self.money(amount), kept }.into()
    }
}

fn inquiry_delay(inquiries: u32) -> Duration {
    let place = usize::try_from(inquiries).unwrap_or(usize::MAX).min(INQUIRY_DELAYS.len() - 1);
    INQUIRY_DELAYS[place]
}

/// ISO 4217 has a code for "no currency": an order that never asked for money has none.
fn no_currency() -> Currency {
    Currency::try_new("XXX").unwrap_or(Currency::USD)
}

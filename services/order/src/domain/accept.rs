//! The only way an order changes: a fact goes in, the order and what it says come out.

mod command;
mod hear;
mod money;
mod say;
mod verdict;

use contracts::{EventData, Timestamp};

use super::fact::{Fact, FactName};
use super::history::{Cause, Entry, Step};
use super::state::{State, Status};
use super::{Deadlines, Order, Text};

pub(super) use say::reason_code;

/// What became of a fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The order changed and says this.
    Moved(Order, Vec<EventData>),
    /// The fact came twice or too late: the order is as before, and nothing is said.
    AlreadyApplied(Order),
}

/// A command that the order cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The state does not allow it.
    #[error("an order that is {} does not allow {}", from.name(), fact.name())]
    IllegalTransition {
        /// Where the order stands.
        from: Status,
        /// What was asked.
        fact: FactName,
        /// What may be asked instead.
        next_actions: Vec<&'static str>,
    },
    /// The order has no such line.
    #[error("the order has no line {line}")]
    UnknownLine {
        /// Which was named.
        line: u16,
    },
    /// The line is named twice in one command.
    #[error("line {line} is named twice")]
    RepeatedLine {
        /// Which.
        line: u16,
    },
    /// The line does not have so many units to do this with.
    #[error("line {line} has {available} units for this, not {asked}")]
    TooMany {
        /// Which line.
        line: u16,
        /// Units asked for.
        asked: i64,
        /// Units that can be had.
        available: i64,
    },
    /// Nothing is allocated, so nothing can be dispatched.
    #[error("no unit is allocated yet, so nothing can be dispatched")]
    NothingAllocated,
}

/// Whether a fact changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Moved,
    Nothing,
}

impl Effect {
    const fn of(changed: bool) -> Self {
        if changed { Self::Moved } else { Self::Nothing }
    }
}

/// A fact on its way through an order.
struct Move<'a> {
    order: Order,
    says: Vec<EventData>,
    cause: &'a Cause,
    deadlines: &'a Deadlines,
    now: Timestamp,
}

impl Order {
    /// Takes in `fact`, which `cause` made known at `now`.
    ///
    /// Events that come twice or too late change nothing; only commands are refused.
    pub fn accept(
        self,
        fact: &Fact<'_>,
        cause: &Cause,
        deadlines: &Deadlines,
        now: Timestamp,
    ) -> Result<Outcome, Refusal> {
        let heard = fact.name().heard().map(Step::of);
        if let (Some(step), Some(id)) = (heard, cause.event())
            && self.history.has_heard(step, id)
        {
            return Ok(Outcome::AlreadyApplied(self));
        }
        let mut moving = Move { order: self, says: Vec::new(), cause, deadlines, now };
        let effect = moving.apply(fact)?;
        let Move { mut order, says, .. } = moving;
        if effect == Effect::Nothing {
            return Ok(Outcome::AlreadyApplied(order));
        }
        order.version += 1;
        order.events_said += u64::try_from(says.len()).unwrap_or(0);
        order.record(heard, fact, cause, &says, now);
        Ok(Outcome::Moved(order, says))
    }

    /// Enters in the history what was heard and what is said.
    fn record(
        &mut self,
        heard: Option<Step>,
        fact: &Fact<'_>,
        cause: &Cause,
        says: &[EventData],
        now: Timestamp,
    ) {
        let status = self.status();
        let resolved = matches!(fact, Fact::Attention { .. }).then_some(Step::ATTENTION_RESOLVED);
        let said = says.iter().map(|data| Step::of(data.kind()));
        let words = fact.detail();
        let mut detail = if words.is_empty() { Text::default() } else { Text::from(words) };
        for step in heard.into_iter().chain(resolved).chain(said) {
            // The words belong to the first entry only.
            let detail = std::mem::take(&mut detail);
            self.history.push(Entry { step, at: now, status, cause: cause.clone(), detail });
        }
    }
}

impl Move<'_> {
    fn apply(&mut self, fact: &Fact<'_>) -> Result<Effect, Refusal> {
        if fact.name().heard().is_some() {
            return Ok(self.hear_event(fact));
        }
        if matches!(fact, Fact::DeadlinePassed) {
            return Ok(self.deadline_passed());
        }
        self.obey(fact)
    }

    /// Changes the state and sets the deadline that it has.
    fn enter(&mut self, state: State) {
        // One deadline for all of the payment: from the request to the capture.
        let is_same = matches!((&self.order.state, &state), (State::Paying(_), State::Paying(_)));
        self.order.state = state;
        self.order.attention = None;
        if !is_same {
            self.restart_deadline();
        }
    }

    /// The state's deadline counts from now.
    fn restart_deadline(&mut self) {
        let span = match &self.order.state {
            State::Placed(_) => Some(self.deadlines.check_again),
            State::AwaitingDecision { .. } => Some(self.deadlines.decision),
            State::Reserved => Some(self.deadlines.reserved),
            State::Paying(_) => Some(self.deadlines.paying),
            State::Confirmed | State::Fulfilling | State::OnHold { .. } => {
                Some(self.deadlines.promise)
            }
            State::Cancelling(_) => Some(self.deadlines.cancelling),
            State::Completed | State::Rejected(_) | State::Cancelled(_) | State::Expired(_) => None,
        };
        self.order.deadline = span.map(|span| self.now.plus(span));
    }

    /// Gives up every open unit: the order has ended.
    fn end_lines(&mut self) {
        self.order.hold_lapsed = false;
        for (line, balance) in self.order.placed.lines.iter().zip(&mut self.order.balances) {
            balance.end(line.quantity.get());
        }
    }
}

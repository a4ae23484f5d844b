//! What an order is and how it moves. Pure: no I/O, no clock, no randomness.
//!
//! ```text
//! placed ──► reserved ──► paying ──► confirmed ──► fulfilling ──► completed
//!   │ └─► awaiting_decision ─┘│         │   (on_hold: stops anywhere before completed)
//!   ├─► rejected, expired     └───┬─────┘
//!   └──────────────────────► cancelling ──► cancelled
//! ```
//!
//! [`Order::accept`] is the only way an order changes; [`TABLE`] lists every move it allows.

mod accept;
mod fact;
mod history;
mod line;
mod state;
mod table;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::Duration;

use contracts::events::order::{PaymentInstruction, PlacedLine, ShortagePolicy};
use contracts::{Currency, CustomerId, Money, OrderId, OrderNumber, Timestamp};

pub use accept::{Outcome, Refusal};
pub use fact::{AttentionAction, Fact, FactName};
pub use history::{Cause, Entry, History, Step};
pub use line::{Balance, Units};
pub use state::{Cancelling, Checks, Ending, Paying, State, Status, StockAnswer};
pub use table::TABLE;

/// Text that is given once and shared by all versions of an order.
pub type Text = Arc<str>;

/// The most lines in one order.
pub const LINES_MAX: usize = 500;

/// How long an order may stay in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// After this the checks are asked again.
    pub check_again: Duration,
    /// After this an order whose checks are silent expires.
    pub checks: Duration,
    /// After this an undecided order is cancelled.
    pub decision: Duration,
    /// After this an order whose payment was never begun is cancelled.
    pub reserved: Duration,
    /// After this a payment that does not end is cancelled.
    pub paying: Duration,
    /// What is promised to customers; after this a person is told.
    pub promise: Duration,
    /// After this a person is told that a cancellation does not end.
    pub cancelling: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const DAY: u64 = 24 * 60 * MINUTE;
        Self {
            check_again: Duration::from_secs(30),
            checks: Duration::from_secs(10 * MINUTE),
            decision: Duration::from_secs(DAY),
            reserved: Duration::from_secs(15 * MINUTE),
            paying: Duration::from_secs(15 * MINUTE),
            promise: Duration::from_secs(7 * DAY),
            cancelling: Duration::from_secs(15 * MINUTE),
        }
    }
}

/// The key of the request that placed an order, and what it asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The key, as the client gave it.
    pub key: Text,
    /// A fingerprint of the whole request.
    pub fingerprint: [u8; 16],
}

/// What was placed. It never changes, so all versions of an order share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The id.
    pub id: OrderId,
    /// The number.
    pub number: OrderNumber,
    /// When.
    pub at: Timestamp,
    /// Who bought.
    pub customer_id: CustomerId,
    /// What, with the prices of that moment. Not empty; all in one currency.
    pub lines: Vec<PlacedLine>,
    /// How it is to be paid.
    pub payment: PaymentInstruction,
    /// Where it came from.
    pub channel: Text,
    /// What to do when stock is short, unless a line says otherwise.
    pub policy: ShortagePolicy,
    /// The key of the request, if it carried one.
    pub request: Option<RequestKey>,
}

impl Placed {
    /// The currency of the order.
    pub fn currency(&self) -> Currency {
        self.lines.first().map_or(Currency::USD, |line| line.unit_price.currency())
    }
}

/// What is known of the money of an order, in minor units of its currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Reserved by the provider.
    pub authorized: i64,
    /// Taken.
    pub captured: i64,
    /// Given back of what was taken.
    pub refunded: i64,
    /// The provider refused to reserve.
    pub declined: bool,
    /// The reservation was given up.
    pub voided: bool,
}

/// Where the money of an order stands. Derived, never set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    /// No money is promised.
    None,
    /// Reserved.
    Authorized,
    /// Taken.
    Paid,
    /// Some of it went back.
    PartiallyRefunded,
    /// All of it went back.
    Refunded,
    /// The reservation was given up.
    Voided,
    /// Refused.
    Failed,
}

/// Where the goods of an order stand. Derived, never set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FulfillmentStatus {
    /// Nothing is dispatched.
    Unfulfilled,
    /// Nothing is dispatched and something is not in stock yet.
    Backorder,
    /// Something is dispatched, something is open.
    Partial,
    /// Everything that was not cancelled is dispatched.
    Fulfilled,
}

/// Units that left together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// From 1 within the order.
    pub number: u16,
    /// What left: line and units.
    pub lines: Vec<(u16, i64)>,
    /// Who carries it; may be empty.
    pub carrier: Text,
    /// The carrier's number; may be empty.
    pub tracking: Text,
    /// When.
    pub at: Timestamp,
    /// Who dispatched it.
    pub actor: Text,
}

/// An order at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What was placed.
    pub placed: Arc<Placed>,
    /// Where it stands.
    pub state: State,
    /// Where the units of each line are, in the sequence of the lines.
    pub balances: Vec<Balance>,
    /// What is known of its money.
    pub ledger: Ledger,
    /// The hold ended before the payment: units are pending until inventory holds them again.
    pub hold_lapsed: bool,
    /// What a person has to look at, if anything.
    pub attention: Option<Text>,
    /// What was dispatched.
    pub shipments: Vec<Shipment>,
    /// When it was confirmed.
    pub confirmed_at: Option<Timestamp>,
    /// When the state ends by itself.
    pub deadline: Option<Timestamp>,
    /// 1, 2, 3 …: grows with every change.
    pub version: u64,
    /// How many events it has said: the sequence of the last.
    pub events_said: u64,
    /// What happened to it.
    pub history: History,
}

/// A rule that an order breaks. Never seen unless there is a mistake in this service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// Units of a line are lost or counted twice.
    #[error("line {line}: ordered {ordered} and {balance:?} do not add up")]
    Line {
        /// The line.
        line: usize,
        /// Units ordered.
        ordered: i64,
        /// Where they are said to be.
        balance: Balance,
    },
    /// More or fewer balances than lines.
    #[error("{balances} balances for {lines} lines")]
    Shape {
        /// Lines.
        lines: usize,
        /// Balances.
        balances: usize,
    },
    /// Money came back that was never taken, or less than nothing was.
    #[error("{0:?} cannot be")]
    Money(Ledger),
}

impl Order {
    /// The order as it is when it has just been placed.
    pub fn place(placed: Arc<Placed>, actor: Text, deadlines: &Deadlines) -> Self {
        let at = placed.at;
        let lines = placed.lines.len();
        let first = Entry {
            step: Step::of(contracts::EventKind::OrderPlaced),
            at,
            status: Status::Placed,
            cause: Cause::Actor(actor),
            detail: Text::default(),
        };
        let checks = Checks { customer_accepted: false, stock: None, attempts: 1 };
        Self {
            placed,
            state: State::Placed(checks),
            balances: vec![Balance::default(); lines],
            ledger: Ledger::default(),
            hold_lapsed: false,
            attention: None,
            shipments: Vec::new(),
            confirmed_at: None,
            deadline: Some(at.plus(deadlines.check_again)),
            version: 1,
            events_said: 1,
            history: History { forgotten: 0, entries: vec![first] },
        }
    }

    /// The order as it was when it had just been placed: what a repeated request is answered.
    #[must_use]
    pub fn as_placed(&self, deadlines: &Deadlines) -> Self {
        Self::place(Arc::clone(&self.placed), Text::default(), deadlines)
    }

    /// The name of its state.
    pub const fn status(&self) -> Status {
        self.state.status()
    }

    /// The sum over the units that were not dropped.
    pub fn total(&self) -> Money {
        let minor = self.lines().map(|(line, balance)| {
            line.unit_price.minor() * (line.quantity.get() - balance.dropped)
        });
        Money::new(minor.sum(), self.placed.currency())
    }

    /// Every line with where its units are.
    pub fn lines(&self) -> impl Iterator<Item = (&PlacedLine, &Balance)> {
        self.placed.lines.iter().zip(&self.balances)
    }

    /// Units of all lines that are neither dispatched nor given up.
    pub fn open_units(&self) -> i64 {
        self.lines().map(|(line, balance)| balance.open(line.quantity.get())).sum()
    }

    /// Where its money stands.
    pub const fn payment_status(&self) -> PaymentStatus {
        let Ledger { authorized, captured, refunded, declined, voided } = self.ledger;
        if captured > 0 && refunded >= captured {
            PaymentStatus::Refunded
        } else if captured > 0 && refunded > 0 {
            PaymentStatus::PartiallyRefunded
        } else if captured > 0 {
            PaymentStatus::Paid
        } else if declined {
            PaymentStatus::Failed
        } else if authorized > 0 && voided {
            PaymentStatus::Voided
        } else if authorized > 0 {
            PaymentStatus::Authorized
        } else {
            PaymentStatus::None
        }
    }

    /// Where its goods stand.
    pub fn fulfillment_status(&self) -> FulfillmentStatus {
        let shipped = self.balances.iter().any(|balance| balance.shipped > 0);
        match (shipped, self.open_units() > 0) {
            (true, true) => FulfillmentStatus::Partial,
            (true, false) => FulfillmentStatus::Fulfilled,
            (false, _) if self.balances.iter().any(|balance| balance.backordered > 0) => {
                FulfillmentStatus::Backorder
            }
            (false, _) => FulfillmentStatus::Unfulfilled,
        }
    }

    /// Why it is held, being cancelled or ended: the kind and the words.
    pub fn reason(&self) -> Option<(&'static str, &str)> {
        match &self.state {
            State::OnHold { reason, .. } => Some(("held", reason)),
            State::Cancelling(Cancelling { ending, .. })
            | State::Rejected(ending)
            | State::Cancelled(ending)
            | State::Expired(ending) => Some((accept::reason_code(ending.reason), &ending.detail)),
            State::Placed(_)
            | State::AwaitingDecision { .. }
            | State::Reserved
            | State::Paying(_)
            | State::Confirmed
            | State::Fulfilling
            | State::Completed => None,
        }
    }

    /// What may be asked of it now.
    pub fn next_actions(&self) -> Vec<&'static str> {
        let status = self.status();
        let mut actions = Vec::new();
        for (from, fact, _) in TABLE {
            let Some(action) = fact.action() else { continue };
            if *from == status && self.is_ready_for(*fact) && !actions.contains(&action) {
                actions.push(action);
            }
        }
        actions
    }

    fn is_ready_for(&self, fact: FactName) -> bool {
        let attention =
            [FactName::AttentionRetry, FactName::AttentionSkip, FactName::AttentionForce];
        let any = |test: fn(&Balance) -> bool| self.balances.iter().any(test);
        if fact == FactName::Dispatch {
            return any(|balance| balance.allocated > 0);
        }
        if fact == FactName::CancelLines {
            return self.open_units() > 0;
        }
        if fact == FactName::Cancel {
            return !any(|balance| balance.shipped > 0);
        }
        self.attention.is_some() || !attention.contains(&fact)
    }

    /// Whether units may be pending: stock has not answered, or its hold has lapsed.
    fn may_be_pending(&self) -> bool {
        match self.state.underlying() {
            State::Placed(_) | State::AwaitingDecision { .. } | State::Cancelling(_) => true,
            State::Reserved | State::Paying(_) => self.hold_lapsed,
            State::Confirmed
            | State::Fulfilling
            | State::Completed
            | State::OnHold { .. }
            | State::Rejected(_)
            | State::Cancelled(_)
            | State::Expired(_) => false,
        }
    }

    /// Asserts what must hold of every order at every moment.
    pub fn check(&self) -> Result<(), Unsound> {
        let (lines, balances) = (self.placed.lines.len(), self.balances.len());
        if lines != balances {
            return Err(Unsound::Shape { lines, balances });
        }
        let pending_allowed = self.may_be_pending();
        for (index, (line, balance)) in self.lines().enumerate() {
            let ordered = line.quantity.get();
            let adds_up = balance.pending(ordered) == 0 || pending_allowed;
            if !balance.is_sound(ordered) || !adds_up {
                return Err(Unsound::Line { line: index + 1, ordered, balance: *balance });
            }
        }
        let Ledger { authorized, captured, refunded, .. } = self.ledger;
        if authorized < 0 || captured < 0 || refunded < 0 || refunded > captured {
            return Err(Unsound::Money(self.ledger));
        }
        Ok(())
    }
}

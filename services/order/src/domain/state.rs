//! The states of an order. Each variant carries exactly the facts that are true in it.

use contracts::events::order::EndReason;

use super::Text;

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Stored; customer and stock are being checked.
    Placed(Checks),
    /// Only a part is in stock and a person has to decide.
    AwaitingDecision {
        /// The units of each line that can be delivered.
        offer: Vec<i64>,
    },
    /// The customer may buy, and every open unit is held or promised.
    Reserved,
    /// The payment is on record.
    Paying(Paying),
    /// Authorised and allocated; the money is taken, or due on dispatch.
    Confirmed,
    /// Something was dispatched, something is open.
    Fulfilling,
    /// Nothing is open.
    Completed,
    /// Stopped. What is heard meanwhile is noted in the state to go on from.
    OnHold {
        /// Where it goes on.
        resume: Box<State>,
        /// Why it was stopped.
        reason: Text,
    },
    /// Stock and money are being given back.
    Cancelling(Cancelling),
    /// Ended by a check.
    Rejected(Ending),
    /// Ended by a person, the payment or lost stock.
    Cancelled(Ending),
    /// Ended by a deadline.
    Expired(Ending),
}

/// The checks of a placed order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checks {
    /// Whether the customer service has accepted.
    pub customer_accepted: bool,
    /// What inventory has answered.
    pub stock: Option<StockAnswer>,
    /// How often both were asked.
    pub attempts: u64,
}

/// What inventory could do for a placed order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockAnswer {
    /// Every unit is held or promised.
    Full,
    /// Some units cannot be had.
    Short,
}

/// What is known of a payment under way. The facts come over several topics, in any sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Paying {
    /// Authorised, and whether the money is due on dispatch only.
    pub due_on_dispatch: Option<bool>,
    /// The stock belongs to the order.
    pub allocated: bool,
    /// The money is taken.
    pub captured: bool,
}

impl Paying {
    /// Whether nothing is missing for the order to be confirmed.
    pub fn is_settled(&self) -> bool {
        self.allocated && (self.captured || self.due_on_dispatch == Some(true))
    }
}

/// Why an order ended, or is ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The kind of reason.
    pub reason: EndReason,
    /// The reason in words.
    pub detail: Text,
}

/// Compensations under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelling {
    /// Why.
    pub ending: Ending,
    /// Who wanted it.
    pub actor: Text,
    /// Inventory has not confirmed yet that nothing is kept.
    pub stock_awaited: bool,
    /// Payment has not confirmed yet that no money is reserved or kept.
    pub money_awaited: bool,
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal $text:literal;)*) => {
        /// The name of a state, without its facts.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
        )]
        pub enum Status { $($(#[$doc])* $name,)* }

        impl Status {
            /// Every status, in the sequence of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number that stands for it in rows.
            pub const fn code(self) -> i64 {
                match self { $(Self::$name => $code,)* }
            }

            /// The status of a row; `None` for a number that no version of ours has written.
            pub const fn from_code(code: i64) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// The name in the API.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

statuses! {
    /// See [`State::Placed`].
    Placed = 1 "placed";
    /// See [`State::AwaitingDecision`].
    AwaitingDecision = 2 "awaiting_decision";
    /// See [`State::Reserved`].
    Reserved = 3 "reserved";
    /// See [`State::Paying`].
    Paying = 4 "paying";
    /// See [`State::Confirmed`].
    Confirmed = 5 "confirmed";
    /// See [`State::Fulfilling`].
    Fulfilling = 6 "fulfilling";
    /// See [`State::Completed`].
    Completed = 7 "completed";
    /// See [`State::OnHold`].
    OnHold = 8 "on_hold";
    /// See [`State::Cancelling`].
    Cancelling = 9 "cancelling";
    /// See [`State::Rejected`].
    Rejected = 10 "rejected";
    /// See [`State::Cancelled`].
    Cancelled = 11 "cancelled";
    /// See [`State::Expired`].
    Expired = 12 "expired";
}

impl Status {
    /// Whether no other state follows.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Rejected | Self::Cancelled | Self::Expired)
    }

    /// Whether the order is on its way to being confirmed: what admission counts.
    pub const fn is_unfinished(self) -> bool {
        matches!(self, Self::Placed | Self::Reserved | Self::Paying)
    }

    /// Whether a caller that waits for the outcome is answered.
    pub const fn is_settled(self) -> bool {
        !self.is_unfinished() && !matches!(self, Self::Cancelling)
    }
}

impl State {
    /// The name of the state.
    pub const fn status(&self) -> Status {
        match self {
            Self::Placed(_) => Status::Placed,
            Self::AwaitingDecision { .. } => Status::AwaitingDecision,
            Self::Reserved => Status::Reserved,
            Self::Paying(_) => Status::Paying,
            Self::Confirmed => Status::Confirmed,
            Self::Fulfilling => Status::Fulfilling,
            Self::Completed => Status::Completed,
            Self::OnHold { .. } => Status::OnHold,
            Self::Cancelling(_) => Status::Cancelling,
            Self::Rejected(_) => Status::Rejected,
            Self::Cancelled(_) => Status::Cancelled,
            Self::Expired(_) => Status::Expired,
        }
    }

    /// The state, or the one to go on from if it is on hold.
    pub fn underlying(&self) -> &Self {
        match self {
            Self::OnHold { resume, .. } => resume,
            Self::Placed(_)
            | Self::AwaitingDecision { .. }
            | Self::Reserved
            | Self::Paying(_)
            | Self::Confirmed
            | Self::Fulfilling
            | Self::Completed
            | Self::Cancelling(_)
            | Self::Rejected(_)
            | Self::Cancelled(_)
            | Self::Expired(_) => self,
        }
    }
}

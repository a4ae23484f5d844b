//! What a hold is for, where it stands, what it hears and what is said of it.

use std::borrow::Cow;
use std::sync::Arc;

use contracts::clock::Timestamp;
use contracts::events::inventory::{LineReservation, Shortage, StockRefusal};
use contracts::events::order::LineUnits;
use contracts::ids::OrderId;

use super::level::LevelError;

/// Who stock is kept for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// An order.
    Order(OrderId),
    /// Somebody outside, by the name the caller gave.
    Outside(Arc<str>),
}

/// Where a hold stands, with what is true there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldState {
    /// Units are held until a moment.
    Held {
        /// When the hold ends by itself.
        until: Timestamp,
        /// Whether it was given more time because the payment provider did not answer.
        extended: bool,
    },
    /// Units belong to the owner.
    Allocated,
    /// Every unit left the house.
    Consumed,
    /// Everything was given back.
    Released,
    /// The deadline took everything; the lines remember what.
    Expired,
    /// Nothing could be had.
    Rejected {
        /// Why.
        reason: StockRefusal,
        /// The SKUs at fault.
        shortages: Vec<Shortage>,
    },
}

impl HoldState {
    /// The state's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Held { .. } => "held",
            Self::Allocated => "allocated",
            Self::Consumed => "consumed",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Rejected { .. } => "rejected",
        }
    }
}

/// How an owner ends a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The owner waits for the answer, also if nothing was held.
    Awaited,
    /// The owner has ended already; it is told only what was given back.
    Told,
}

/// What a hold hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// It is asked what is held. What an expired hold had is held again until `until`, if it can be.
    AskedAgain {
        /// The deadline of a new hold.
        until: Timestamp,
    },
    /// The order was placed before; it is heard again.
    PlacedAgain,
    /// The money is reserved: what is held belongs to the owner from now on.
    Authorized,
    /// The provider has not answered: the hold is given until `until`, once.
    PaymentUnknown {
        /// The later deadline.
        until: Timestamp,
    },
    /// Lines got smaller.
    Adjusted {
        /// The units that each changed line now has.
        lines: Vec<LineUnits>,
        /// The units to be given back.
        release: Vec<LineUnits>,
    },
    /// Nothing is wanted any more.
    Ended {
        /// Whether the owner waits for an answer.
        ending: Ending,
        /// Why, for people.
        reason: Cow<'static, str>,
    },
    /// A shipment left.
    Shipped {
        /// The shipment, from 1 within the order.
        shipment: u16,
        /// What it contains.
        lines: Vec<LineUnits>,
    },
    /// It is `now`; the hold may be due.
    TimePassed {
        /// The moment.
        now: Timestamp,
    },
}

/// What the owner is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Every line is held in full.
    Reserved {
        /// Units held, per line.
        lines: Vec<LineUnits>,
        /// When the hold ends.
        expires_at: Timestamp,
    },
    /// A part is held.
    PartiallyReserved {
        /// What could be done, per line.
        lines: Vec<LineReservation>,
        /// When the hold ends.
        expires_at: Timestamp,
    },
    /// Nothing is held.
    Rejected {
        /// Why.
        reason: StockRefusal,
        /// The SKUs at fault.
        shortages: Vec<Shortage>,
    },
    /// These units belong to the owner now.
    Allocated(Vec<LineUnits>),
    /// These units were given back.
    Released {
        /// Units, per line.
        lines: Vec<LineUnits>,
        /// Whether nothing is kept any more.
        ended: bool,
    },
    /// The deadline took these units.
    Expired(Vec<LineUnits>),
    /// These units left the house.
    Consumed {
        /// The shipment.
        shipment: u16,
        /// Units, per line.
        lines: Vec<LineUnits>,
    },
}

/// A fact that cannot be true of the hold. Nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalFact {
    /// A shipment of units that do not belong to the owner.
    #[error(
        "shipment {shipment} has {units} units of line {line}, of which {allocated} are allocated ({state})"
    )]
    NotAllocated {
        /// The shipment.
        shipment: u16,
        /// The line.
        line: u16,
        /// Units shipped.
        units: i64,
        /// Units allocated.
        allocated: i64,
        /// Where the hold stands.
        state: &'static str,
    },
    /// A line is known by a number that is not one of the hold's, or waits for nothing.
    #[error("line {line} does not wait for {units} units ({state})")]
    NotWaiting {
        /// The line.
        line: u16,
        /// Units offered.
        units: i64,
        /// Where the hold stands.
        state: &'static str,
    },
    /// The levels do not bear what the hold says.
    #[error(transparent)]
    Level(#[from] LevelError),
}

//! Facts: everything that can happen to an order. Events are borrowed, never copied.

use contracts::events::customer::CustomerRefusal;
use contracts::events::inventory::{LineReservation, StockRefusal};
use contracts::events::order::LineUnits;
use contracts::events::payment::PaymentOperation;
use contracts::{EventKind, Money};

use super::line::Units;

/// What a person does about an order that cannot go on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionAction {
    /// Try the step again.
    Retry,
    /// Leave the step out.
    Skip,
    /// Treat the step as done.
    Force,
}

/// Something that happened: an event heard, time passed, or a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact<'a> {
    /// The customer may buy.
    CustomerValidated,
    /// The customer may not buy.
    CustomerRejected(CustomerRefusal),
    /// Every line is held.
    InventoryReserved(&'a [LineUnits]),
    /// A part is held.
    InventoryPartiallyReserved(&'a [LineReservation]),
    /// Nothing is held, or what was held is lost.
    InventoryRejected(StockRefusal),
    /// Units belong to the order now.
    InventoryAllocated(&'a [LineUnits]),
    /// Units were given back; `ended` if nothing is kept any more.
    InventoryReleased {
        /// Whether nothing is kept for the order any more.
        ended: bool,
    },
    /// The hold ended by its deadline.
    InventoryExpired,
    /// A shipment was taken off the shelf.
    InventoryConsumed,
    /// The payment is on record.
    PaymentRequested,
    /// The money is reserved.
    PaymentAuthorized {
        /// How much.
        amount: Money,
        /// Whether it is taken on dispatch only.
        due_on_dispatch: bool,
    },
    /// The money is taken.
    PaymentCaptured {
        /// How much.
        amount: Money,
    },
    /// The provider said no.
    PaymentDeclined {
        /// To what.
        operation: PaymentOperation,
        /// The provider's code.
        code: &'a str,
    },
    /// The provider's answer was lost.
    PaymentUnknown,
    /// No money is reserved any more.
    PaymentVoided {
        /// How much had been.
        amount: Money,
    },
    /// Money went back.
    PaymentRefunded {
        /// How much is still kept.
        kept: Money,
    },
    /// The deadline of the state has passed.
    DeadlinePassed,
    /// The whole order is to be cancelled.
    Cancel {
        /// Why.
        reason: &'a str,
    },
    /// Units are to be given up.
    CancelLines {
        /// Which.
        lines: &'a [Units],
        /// Why.
        reason: &'a str,
    },
    /// Go on with what is in stock.
    DecideAccept,
    /// Go on with other quantities.
    DecideAmend {
        /// The units that the named lines shall have.
        lines: &'a [Units],
    },
    /// Do not go on.
    DecideCancel {
        /// Why.
        reason: &'a str,
    },
    /// Units leave the house.
    Dispatch {
        /// Which; all that are allocated if empty.
        lines: &'a [Units],
        /// Who carries them.
        carrier: &'a str,
        /// The carrier's number.
        tracking: &'a str,
    },
    /// Stop.
    Hold {
        /// Why.
        reason: &'a str,
    },
    /// Go on.
    Resume,
    /// Settle what cannot go on by itself.
    Attention {
        /// How.
        action: AttentionAction,
        /// Why.
        reason: &'a str,
    },
}

macro_rules! fact_names {
    ($($name:ident $text:literal $action:expr, $heard:expr;)*) => {
        /// The name of a fact, without what it carries.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FactName {
            $(
                #[doc = concat!("`", $text, "`")]
                $name,
            )*
        }

        impl FactName {
            /// Every name.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in the API.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What a client calls it among the next actions; `None` for what no client does.
            pub const fn action(self) -> Option<&'static str> {
                match self { $(Self::$name => $action,)* }
            }

            /// The event that tells it; `None` for commands and deadlines.
            pub const fn heard(self) -> Option<EventKind> {
                match self { $(Self::$name => $heard,)* }
            }
        }
    };
}

fact_names! {
    CustomerValidated "customer_validated" None, Some(EventKind::CustomerValidated);
    CustomerRejected "customer_rejected" None, Some(EventKind::CustomerRejected);
    InventoryReserved "inventory_reserved" None, Some(EventKind::InventoryReserved);
    InventoryPartiallyReserved "inventory_partially_reserved"
        None, Some(EventKind::InventoryPartiallyReserved);
    InventoryRejected "inventory_rejected" None, Some(EventKind::InventoryRejected);
    InventoryAllocated "inventory_allocated" None, Some(EventKind::InventoryAllocated);
    InventoryReleased "inventory_released" None, Some(EventKind::InventoryReleased);
    InventoryExpired "inventory_expired" None, Some(EventKind::InventoryExpired);
    InventoryConsumed "inventory_consumed" None, Some(EventKind::InventoryConsumed);
    PaymentRequested "payment_requested" None, Some(EventKind::PaymentRequested);
    PaymentAuthorized "payment_authorized" None, Some(EventKind::PaymentAuthorized);
    PaymentCaptured "payment_captured" None, Some(EventKind::PaymentCaptured);
    PaymentDeclined "payment_declined" None, Some(EventKind::PaymentDeclined);
    PaymentUnknown "payment_unknown" None, Some(EventKind::PaymentUnknown);
    PaymentVoided "payment_voided" None, Some(EventKind::PaymentVoided);
    PaymentRefunded "payment_refunded" None, Some(EventKind::PaymentRefunded);
    DeadlinePassed "deadline_passed" None, None;
    Cancel "cancel" Some("cancel"), None;
    CancelLines "cancel_lines" Some("cancel_lines"), None;
    DecideAccept "decide_accept" Some("accept"), None;
    DecideAmend "decide_amend" Some("amend"), None;
    DecideCancel "decide_cancel" None, None;
    Dispatch "dispatch" Some("create_shipment"), None;
    Hold "hold" Some("hold"), None;
    Resume "resume" Some("resume"), None;
    AttentionRetry "attention_retry" Some("retry"), None;
    AttentionSkip "attention_skip" Some("skip"), None;
    AttentionForce "attention_force" Some("force"), None;
}

impl Fact<'_> {
    /// The name of the fact.
    pub const fn name(&self) -> FactName {
        match self {
            Self::CustomerValidated => FactName::CustomerValidated,
            Self::CustomerRejected(_) => FactName::CustomerRejected,
            Self::InventoryReserved(_) => FactName::InventoryReserved,
            Self::InventoryPartiallyReserved(_) => FactName::InventoryPartiallyReserved,
            Self::InventoryRejected(_) => FactName::InventoryRejected,
            Self::InventoryAllocated(_) => FactName::InventoryAllocated,
            Self::InventoryReleased { .. } => FactName::InventoryReleased,
            Self::InventoryExpired => FactName::InventoryExpired,
            Self::InventoryConsumed => FactName::InventoryConsumed,
            Self::PaymentRequested => FactName::PaymentRequested,
            Self::PaymentAuthorized { .. } => FactName::PaymentAuthorized,
            Self::PaymentCaptured { .. } => FactName::PaymentCaptured,
            Self::PaymentDeclined { .. } => FactName::PaymentDeclined,
            Self::PaymentUnknown => FactName::PaymentUnknown,
            Self::PaymentVoided { .. } => FactName::PaymentVoided,
            Self::PaymentRefunded { .. } => FactName::PaymentRefunded,
            Self::DeadlinePassed => FactName::DeadlinePassed,
            Self::Cancel { .. } => FactName::Cancel,
            Self::CancelLines { .. } => FactName::CancelLines,
            Self::DecideAccept => FactName::DecideAccept,
            Self::DecideAmend { .. } => FactName::DecideAmend,
            Self::DecideCancel { .. } => FactName::DecideCancel,
            Self::Dispatch { .. } => FactName::Dispatch,
            Self::Hold { .. } => FactName::Hold,
            Self::Resume => FactName::Resume,
            Self::Attention { action: AttentionAction::Retry, .. } => FactName::AttentionRetry,
            Self::Attention { action: AttentionAction::Skip, .. } => FactName::AttentionSkip,
            Self::Attention { action: AttentionAction::Force, .. } => FactName::AttentionForce,
        }
    }

    /// More about it for the timeline; empty if its name says it all.
    pub(super) fn detail(&self) -> &str {
        match self {
            Self::CustomerRejected(CustomerRefusal::Unknown) => "there is no such customer",
            Self::CustomerRejected(CustomerRefusal::Blocked) => "the customer is blocked",
            Self::CustomerRejected(CustomerRefusal::CreditExceeded) => "the credit is exceeded",
            Self::InventoryRejected(StockRefusal::Insufficient) => "not enough in stock",
            Self::InventoryRejected(StockRefusal::UnknownSku) => "a SKU is unknown",
            Self::InventoryRejected(StockRefusal::Lost) => "the stock is gone",
            Self::PaymentDeclined { code, .. } => code,
            Self::Cancel { reason }
            | Self::CancelLines { reason, .. }
            | Self::DecideCancel { reason }
            | Self::Hold { reason }
            | Self::Attention { reason, .. } => reason,
            Self::CustomerValidated
            | Self::InventoryReserved(_)
            | Self::InventoryPartiallyReserved(_)
            | Self::InventoryAllocated(_)
            | Self::InventoryReleased { .. }
            | Self::InventoryExpired
            | Self::InventoryConsumed
            | Self::PaymentRequested
            | Self::PaymentAuthorized { .. }
            | Self::PaymentCaptured { .. }
            | Self::PaymentUnknown
            | Self::PaymentVoided { .. }
            | Self::PaymentRefunded { .. }
            | Self::DeadlinePassed
            | Self::DecideAccept
            | Self::DecideAmend { .. }
            | Self::Dispatch { .. }
            | Self::Resume => "",
        }
    }
}

//! Every event that services tell each other, one row each: code, name, topic and data.
//!
//! The data of an event is a plain struct. At rest it is postcard (compact, positional), behind a
//! code that names event and version; in JSON it is camelCase. A change inside a major version only
//! adds: a new struct under a new code, and the old code decodes for ever.

pub mod catalog;
pub mod customer;
pub mod inventory;
pub mod notification;
pub mod order;
pub mod payment;

use serde_json::Value;

use crate::envelope::EventKey;
use crate::topics::Topic;

/// Bytes at rest that no event of ours has written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A code that this version does not know: written by a newer one.
    #[error("no event has the code {0}")]
    UnknownCode(u16),
    /// The bytes do not fit the event.
    #[error("the bytes of {event} cannot be decoded: {cause}")]
    Malformed {
        /// The event's name, or the part of the frame.
        event: &'static str,
        /// What the decoder says.
        cause: postcard::Error,
    },
    /// The checksum of a segment does not match its bytes.
    #[error("segment {segment} is damaged: its checksum does not match")]
    Damaged {
        /// The segment's number.
        segment: u64,
    },
}

macro_rules! events {
    ($($code:literal $name:literal $topic:ident $variant:ident($data:path);)*) => {
        /// What happened.
        #[derive(Debug, Clone, PartialEq)]
        pub enum EventData {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant($data),
            )*
        }

        /// The name of what happened, without its data.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant,
            )*
        }

        impl EventKind {
            /// Every kind, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The CloudEvents `type`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The kind whose CloudEvents `type` this is.
            pub fn named(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            /// The topic that carries it.
            pub const fn topic(self) -> Topic {
                match self { $(Self::$variant => Topic::$topic,)* }
            }

            /// The number that stands for it at rest; never reused.
            pub const fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)* }
            }
        }

        impl EventData {
            /// The name of what happened.
            pub const fn kind(&self) -> EventKind {
                match self { $(Self::$variant(_) => EventKind::$variant,)* }
            }

            /// The aggregate that it happened to.
            pub fn key(&self) -> EventKey {
                match self { $(Self::$variant(data) => data.key(),)* }
            }

            /// The data as the outside sees it.
            pub fn to_json(&self) -> Value {
                let value = match self { $(Self::$variant(data) => serde_json::to_value(data),)* };
                value.unwrap_or_default()
            }

            /// The data as the outside sees it, as bytes, with the fields in the order of the struct.
            pub fn to_json_bytes(&self) -> Vec<u8> {
                let bytes = match self { $(Self::$variant(data) => serde_json::to_vec(data),)* };
                // Plain structs with text keys: nothing in them can refuse.
                bytes.unwrap_or_default()
            }

            /// Reads the data of the event `name` from its JSON; `None` for a name not listed here.
            pub fn from_json(name: &str, json: &str) -> Option<Result<Self, serde_json::Error>> {
                match name {
                    $($name => Some(serde_json::from_str(json).map(Self::$variant)),)*
                    _ => None,
                }
            }

            /// Appends the data's bytes at rest to `out`.
            pub fn encode(&self, out: Vec<u8>) -> Result<Vec<u8>, postcard::Error> {
                match self { $(Self::$variant(data) => postcard::to_extend(data, out),)* }
            }

            /// Reads data from its bytes at rest and returns what follows it.
            pub fn decode(code: u16, bytes: &[u8]) -> Result<(Self, &[u8]), DecodeError> {
                match code {
                    $($code => postcard::take_from_bytes(bytes)
                        .map(|(data, rest)| (Self::$variant(data), rest))
                        .map_err(|cause| DecodeError::Malformed { event: $name, cause }),)*
                    unknown => Err(DecodeError::UnknownCode(unknown)),
                }
            }
        }

        $(
            impl From<$data> for EventData {
                fn from(data: $data) -> Self {
                    Self::$variant(data)
                }
            }
        )*
    };
}

events! {
    1 "order.placed" Order OrderPlaced(order::OrderPlaced);
    2 "order.adjusted" Order OrderAdjusted(order::OrderAdjusted);
    3 "order.decision_requested" Order OrderDecisionRequested(order::OrderDecisionRequested);
    4 "order.reserved" Order OrderReserved(order::OrderReserved);
    5 "order.confirmed" Order OrderConfirmed(order::OrderConfirmed);
    6 "order.fulfilling" Order OrderFulfilling(order::OrderFulfilling);
    7 "order.completed" Order OrderCompleted(order::OrderCompleted);
    8 "order.held" Order OrderHeld(order::OrderHeld);
    9 "order.resumed" Order OrderResumed(order::OrderResumed);
    10 "order.cancelling" Order OrderCancelling(order::OrderCancelling);
    11 "order.cancelled" Order OrderCancelled(order::OrderCancelled);
    12 "order.rejected" Order OrderRejected(order::OrderRejected);
    13 "order.expired" Order OrderExpired(order::OrderExpired);
    14 "order.needs_attention" Order OrderNeedsAttention(order::OrderNeedsAttention);
    15 "order.check_requested" Order OrderCheckRequested(order::OrderCheckRequested);

    20 "customer.validated" OrderCheck CustomerValidated(customer::CustomerValidated);
    21 "customer.rejected" OrderCheck CustomerRejected(customer::CustomerRejected);
    22 "customer.created" Customer CustomerCreated(customer::CustomerCreated);
    23 "customer.updated" Customer CustomerUpdated(customer::CustomerUpdated);
    24 "customer.blocked" Customer CustomerBlocked(customer::CustomerBlocked);
    25 "customer.erased" Customer CustomerErased(customer::CustomerErased);

    40 "inventory.reserved" Reservation InventoryReserved(inventory::InventoryReserved);
    41 "inventory.partially_reserved" Reservation
        InventoryPartiallyReserved(inventory::InventoryPartiallyReserved);
    42 "inventory.rejected" Reservation InventoryRejected(inventory::InventoryRejected);
    43 "inventory.allocated" Reservation InventoryAllocated(inventory::InventoryAllocated);
    44 "inventory.released" Reservation InventoryReleased(inventory::InventoryReleased);
    45 "inventory.expired" Reservation InventoryExpired(inventory::InventoryExpired);
    46 "inventory.consumed" Reservation InventoryConsumed(inventory::InventoryConsumed);
    47 "stock.changed" Stock StockChanged(inventory::StockChanged);
    48 "stock.low" Stock StockLow(inventory::StockLow);
    49 "stock.out" Stock StockOut(inventory::StockOut);
    50 "stock.back" Stock StockBack(inventory::StockBack);

    60 "payment.requested" Payment PaymentRequested(payment::PaymentRequested);
    61 "payment.authorized" Payment PaymentAuthorized(payment::PaymentAuthorized);
    62 "payment.captured" Payment PaymentCaptured(payment::PaymentCaptured);
    63 "payment.declined" Payment PaymentDeclined(payment::PaymentDeclined);
    64 "payment.unknown" Payment PaymentUnknown(payment::PaymentUnknown);
    65 "payment.voided" Payment PaymentVoided(payment::PaymentVoided);
    66 "payment.refunded" Payment PaymentRefunded(payment::PaymentRefunded);

    80 "product.created" Product ProductCreated(catalog::ProductCreated);
    81 "product.updated" Product ProductUpdated(catalog::ProductUpdated);
    82 "product.retired" Product ProductRetired(catalog::ProductRetired);

    90 "notification.sent" Notification NotificationSent(notification::NotificationSent);
    91 "notification.failed" Notification NotificationFailed(notification::NotificationFailed);
}

/// Declares the data of an event: a struct, and the aggregate that it is about.
macro_rules! event_data {
    ($(#[$doc:meta])* $name:ident keyed by $key:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            pub(crate) fn key(&self) -> $crate::envelope::EventKey {
                $crate::events::Keyed::to_key(&self.$key)
            }
        }
    };
}
pub(crate) use event_data;

/// What can be the key of an event.
pub(crate) trait Keyed {
    fn to_key(&self) -> EventKey;
}

impl Keyed for crate::ids::OrderId {
    fn to_key(&self) -> EventKey {
        EventKey::Order(*self)
    }
}

impl Keyed for crate::ids::Sku {
    fn to_key(&self) -> EventKey {
        EventKey::Text(self.as_str().into())
    }
}

impl Keyed for crate::ids::CustomerId {
    fn to_key(&self) -> EventKey {
        EventKey::Text(self.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_name_and_by_no_other() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::named(kind.name()), Some(*kind));
        }
        assert_eq!(EventKind::named("order.place"), None);
        assert_eq!(EventKind::named(""), None);
    }

    #[test]
    fn codes_and_names_are_unique() {
        let mut codes: Vec<_> = EventKind::ALL.iter().map(|kind| kind.code()).collect();
        let mut names: Vec<_> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
        codes.sort_unstable();
        names.sort_unstable();
        codes.dedup();
        names.dedup();
        assert_eq!((codes.len(), names.len()), (EventKind::ALL.len(), EventKind::ALL.len()));
    }
}

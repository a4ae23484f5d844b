//! The words that stand for states and kinds in JSON, in the query and in the description.

use std::borrow::Cow;

use contracts_grpc::v1;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A word out of a fixed list, and the number that the gRPC contracts have for it.
pub(crate) trait Word: Sized {
    /// All words, in the order of the contract.
    fn words() -> Vec<&'static str>;
    /// What a message of the contracts says.
    fn of(number: i32) -> Self;
    /// The word that `text` is.
    fn parse(text: &str) -> Option<Self>;
    /// Its number.
    fn number(self) -> i32;
}

/// Text that is none of the words; written, never read.
const UNKNOWN: &str = "unknown";

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($word:literal = $variant:ident),* $(,)? })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name(i32);

        impl $name {
            /// The word.
            pub(crate) fn word(self) -> &'static str {
                match v1::$name::try_from(self.0) {
                    $(Ok(v1::$name::$variant) => $word,)*
                    Ok(v1::$name::Unspecified) | Err(_) => UNKNOWN,
                }
            }
        }

        impl Word for $name {
            fn words() -> Vec<&'static str> {
                vec![$($word),*]
            }

            fn of(number: i32) -> Self {
                Self(number)
            }

            fn parse(text: &str) -> Option<Self> {
                match text {
                    $($word => Some(Self(v1::$name::$variant.into())),)*
                    _ => None,
                }
            }

            fn number(self) -> i32 {
                self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<str>::deserialize(deserializer)?;
                let unknown = || de::Error::unknown_variant(&text, &[$($word),*]);
                Self::parse(&text).ok_or_else(unknown)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = ObjectBuilder::new().schema_type(Type::String);
                RefOr::T(Schema::Object(words.enum_values(Some([$($word),*])).build()))
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )* };
}

words! {
    /// Where an order stands.
    OrderStatus {
        "placed" = Placed, "awaiting_decision" = AwaitingDecision, "reserved" = Reserved,
        "paying" = Paying, "confirmed" = Confirmed, "fulfilling" = Fulfilling,
        "completed" = Completed, "on_hold" = OnHold, "cancelling" = Cancelling,
        "rejected" = Rejected, "cancelled" = Cancelled, "expired" = Expired,
    }
    /// Where the money of an order stands.
    PaymentStatus {
        "none" = None, "authorized" = Authorized, "paid" = Paid,
        "partially_refunded" = PartiallyRefunded, "refunded" = Refunded, "voided" = Voided,
        "failed" = Failed,
    }
    /// Where the goods of an order stand.
    FulfillmentStatus {
        "unfulfilled" = Unfulfilled, "backorder" = Backorder, "partial" = Partial,
        "fulfilled" = Fulfilled, "partially_returned" = PartiallyReturned, "returned" = Returned,
    }
    /// What to do when less is in stock than ordered.
    ShortagePolicy {
        "reject" = Reject, "allow_partial" = AllowPartial, "backorder" = Backorder, "ask" = Ask,
    }
    /// What to do with an order of which only a part is in stock.
    Decision { "accept" = Accept, "amend" = Amend, "cancel" = Cancel }
    /// How to settle an order that cannot go on by itself.
    AttentionAction { "retry" = Retry, "skip" = Skip, "force" = Force }
    /// How a list without a natural key is sorted.
    TimeSort { "newest" = Newest, "oldest" = Oldest }
    /// What changed the stock.
    JournalKind {
        "receive" = Receive, "adjust" = Adjust, "hold" = Hold, "release" = Release,
        "expire" = Expire, "allocate" = Allocate, "consume" = Consume, "return" = Return,
        "transfer_out" = TransferOut, "transfer_in" = TransferIn, "count" = Count,
    }
    /// What kind of thing stands behind a change of stock.
    CauseKind { "order" = Order, "document" = Document, "person" = Person }
    /// Which levels to list.
    StockFilter { "low" = Low, "out" = Out }
    /// How a list of levels is sorted; a minus turns it round.
    StockSort { "sku" = Sku, "-sku" = SkuDescending }
    /// Whether a product can be ordered.
    ProductStatus { "active" = Active, "retired" = Retired }
    /// How a list of products is sorted; a minus turns it round.
    ProductSort {
        "sku" = Sku, "-sku" = SkuDescending, "newest" = Newest, "oldest" = Oldest,
    }
    /// How a list of customers is sorted; a minus turns it round.
    CustomerSort { "id" = Id, "-id" = IdDescending, "newest" = Newest, "oldest" = Oldest }
    /// Where a payment stands.
    PaymentState {
        "requested" = Requested, "unknown" = Unknown, "authorized" = Authorized,
        "captured" = Captured, "partially_refunded" = PartiallyRefunded, "refunded" = Refunded,
        "voided" = Voided, "declined" = Declined,
    }
    /// What a payment provider was asked to do.
    AttemptKind {
        "authorize" = Authorize, "capture" = Capture, "void" = Void, "refund" = Refund,
        "inquire" = Inquire,
    }
    /// What became of an attempt.
    AttemptState {
        "pending" = Pending, "succeeded" = Succeeded, "declined" = Declined, "unknown" = Unknown,
    }
    /// The way a notification takes.
    NotificationChannel { "mail" = Mail, "sms" = Sms, "webhook" = Webhook, "in_app" = InApp }
    /// Where a notification stands.
    NotificationState { "pending" = Pending, "sent" = Sent, "failed" = Failed }
}

impl OrderStatus {
    /// Whether the order waits for nothing but people: nothing will change in a moment.
    pub(crate) fn is_settled(self) -> bool {
        !matches!(self.word(), "placed" | "reserved" | "paying" | "cancelling" | UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_word_and_is_read_back() {
        for number in 1..=12 {
            let status = OrderStatus::of(number);
            assert_ne!(status.word(), UNKNOWN, "{number}");
            assert_eq!(OrderStatus::parse(status.word()), Some(status));
        }
        assert_eq!(OrderStatus::of(0).word(), UNKNOWN);
        assert_eq!(OrderStatus::of(99).word(), UNKNOWN);
        assert_eq!(OrderStatus::words().len(), 12);
    }

    #[test]
    fn a_word_that_is_not_listed_is_refused_with_the_list() {
        let refused = serde_json::from_str::<ShortagePolicy>("\"maybe\"").unwrap_err();
        assert!(refused.to_string().contains("`allow_partial`"), "{refused}");
    }
}

//! What a customer is, how it may change, and whether it may buy. Pure: values in, values out.

use std::sync::atomic::{AtomicU64, Ordering};

use contracts::events::customer::{
    CustomerBlocked, CustomerCreated, CustomerErased, CustomerRefusal, CustomerUpdated,
};
use contracts::{CustomerId, EventData, Money, OrderNumber, Timestamp};

/// The longest name and single address field, in characters.
pub const NAME_MAX: usize = 200;
/// The longest mail address (RFC 5321).
pub const EMAIL_MAX: usize = 254;
/// The longest telephone number, with some room for how people write it.
pub const PHONE_MAX: usize = 32;
/// The longest reason, in bytes of UTF-8.
pub const REASON_MAX: usize = 4_096;
/// Addresses of one customer.
pub const ADDRESSES_MAX: usize = 20;

/// A place where a customer can be reached. Stored in the customer's row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// What the customer calls it.
    pub label: String,
    /// Who receives there.
    pub recipient: String,
    /// Street and number.
    pub lines: Vec<String>,
    /// The city.
    pub city: String,
    /// The state or region.
    pub region: String,
    /// The postal code.
    pub postal_code: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

/// What people say of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// The name.
    pub name: String,
    /// The mail address; empty if not known.
    pub email: String,
    /// The telephone number; empty if not known.
    pub phone: String,
    /// The addresses; the first is the default.
    pub addresses: Vec<Address>,
    /// What all open orders together may come to; `None` for no limit.
    pub credit_limit: Option<Money>,
}

/// A field that cannot be accepted: its pointer and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct InvalidDetails {
    /// JSON Pointer to the field.
    pub pointer: String,
    /// What it must be.
    pub why: String,
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Given by the shop.
    pub id: CustomerId,
    /// Grows by one with every change but those of reserved credit.
    pub version: u64,
    /// What may be changed.
    pub details: Details,
    /// Why the customer may not buy; `None` if not blocked.
    pub blocked: Option<String>,
    /// Minor units of the limit's currency that open orders take up.
    pub reserved_minor: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When its personal data was erased.
    pub erased_at: Option<Timestamp>,
    /// Grows by one with every write.
    pub row_version: u64,
}

/// Credit that an order takes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The order.
    pub order: OrderNumber,
    /// Whose credit.
    pub customer: CustomerId,
    /// Minor units.
    pub amount_minor: i64,
    /// Whether it was given back.
    pub released: bool,
}

/// Orders that are known to take up no credit, so that nothing is looked up when they are paid.
///
/// It forgets an order when a later one needs its place; forgetting costs a look into the store.
#[derive(Debug)]
pub struct WithoutCredit {
    places: Vec<AtomicU64>,
}

impl WithoutCredit {
    /// Several seconds of orders between verdict and payment at full speed; 512 KiB.
    const PLACES: u64 = 1 << 16;

    /// The place of `order`, and what stands there if it is remembered: never 0.
    fn place(&self, order: OrderNumber) -> Option<(&AtomicU64, u64)> {
        let place = usize::try_from(order.get().rem_euclid(Self::PLACES)).ok()?;
        Some((self.places.get(place)?, order.get()))
    }

    /// Remembers that `order` takes up nothing.
    pub fn note(&self, order: OrderNumber) {
        if let Some((place, mark)) = self.place(order) {
            place.store(mark, Ordering::Relaxed);
        }
    }

    /// No longer knows that `order` takes up nothing.
    pub fn forget(&self, order: OrderNumber) {
        if self.knows(order)
            && let Some((place, _)) = self.place(order)
        {
            place.store(0, Ordering::Relaxed);
        }
    }

    /// Whether `order` certainly takes up nothing.
    pub fn knows(&self, order: OrderNumber) -> bool {
        let place = self.place(order);
        place.is_some_and(|(place, mark)| mark != 0 && place.load(Ordering::Relaxed) == mark)
    }
}

impl Default for WithoutCredit {
    fn default() -> Self {
        Self { places: (0..Self::PLACES).map(|_| AtomicU64::new(0)).collect() }
    }
}

fn text(pointer: &str, text: &str, max: usize) -> Result<(), InvalidDetails> {
    let invalid = |why: String| Err(InvalidDetails { pointer: pointer.to_owned(), why });
    let length = text.chars().count();
    if length > max {
        return invalid(format!("it must have at most {max} characters, not {length}"));
    }
    if text.chars().any(char::is_control) {
        return invalid("it must not contain control characters".to_owned());
    }
    Ok(())
}

impl Details {
    /// Checks lengths, signs and the form of the mail address.
    pub fn check(&self) -> Result<(), InvalidDetails> {
        let invalid = |pointer: &str, why: &str| {
            Err(InvalidDetails { pointer: pointer.to_owned(), why: why.to_owned() })
        };
        if self.name.trim().is_empty() {
            return invalid("/name", "a name is required");
        }
        text("/name", &self.name, NAME_MAX)?;
        text("/email", &self.email, EMAIL_MAX)?;
        let parts = self.email.split_once('@');
        let plausible = parts.is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !self.email.contains(char::is_whitespace)
        });
        if !self.email.is_empty() && !plausible {
            return invalid("/email", "it must be a mail address such as ada@example.com");
        }
        text("/phone", &self.phone, PHONE_MAX)?;
        if self.addresses.len() > ADDRESSES_MAX {
            return invalid("/addresses", "there may be at most 20 addresses");
        }
        for (address, place) in self.addresses.iter().zip(0..) {
            address.check(place)?;
        }
        match self.credit_limit {
            Some(limit) if limit.minor() < 0 => {
                invalid("/creditLimit/amount", "a credit limit must not be negative")
            }
            _ => Ok(()),
        }
    }
}

impl Address {
    fn check(&self, place: usize) -> Result<(), InvalidDetails> {
        let named = [
            ("label", &self.label),
            ("recipient", &self.recipient),
            ("city", &self.city),
            ("region", &self.region),
            ("postalCode", &self.postal_code),
            ("country", &self.country),
        ];
        for (name, value) in named {
            text(&format!("/addresses/{place}/{name}"), value, NAME_MAX)?;
        }
        if self.lines.len() > 5 {
            let pointer = format!("/addresses/{place}/lines");
            return Err(InvalidDetails { pointer, why: "there may be at most 5 lines".to_owned() });
        }
        for (line, number) in self.lines.iter().zip(0..) {
            text(&format!("/addresses/{place}/lines/{number}"), line, NAME_MAX)?;
        }
        Ok(())
    }
}

impl Customer {
    /// A new customer, and what is told of it.
    pub fn create(id: CustomerId, details: Details, now: Timestamp) -> (Self, EventData) {
        let told = CustomerCreated { customer_id: id.clone(), version: 1 };
        let customer = Self {
            id,
            version: 1,
            details,
            blocked: None,
            reserved_minor: 0,
            created_at: now,
            updated_at: now,
            erased_at: None,
            row_version: 1,
        };
        (customer, told.into())
    }

    fn changed(mut self, now: Timestamp) -> Self {
        self.version = self.version.saturating_add(1);
        self.row_version = self.row_version.saturating_add(1);
        self.updated_at = now;
        self
    }

    /// The customer with other details; `None` if they are what they were.
    pub fn update(self, details: Details, now: Timestamp) -> Option<(Self, EventData)> {
        if self.details == details {
            return None;
        }
        let changed = Self { details, ..self.changed(now) };
        let told = CustomerUpdated { customer_id: changed.id.clone(), version: changed.version };
        Some((changed, told.into()))
    }

    /// Whether `limit` may become the limit: open orders cannot be counted in another currency.
    pub fn may_take_limit(&self, limit: Option<Money>) -> bool {
        match (self.details.credit_limit, limit) {
            (Some(old), Some(new)) => self.reserved_minor == 0 || old.currency() == new.currency(),
            (None, _) | (_, None) => true,
        }
    }

    /// Whether no order of the customer takes up credit, and none will by being asked about.
    pub fn is_free_of_credit(&self) -> bool {
        self.details.credit_limit.is_none() && self.reserved_minor == 0
    }

    /// The customer, blocked for a reason or not blocked; `None` if it was so before.
    pub fn block(self, reason: Option<String>, now: Timestamp) -> Option<(Self, EventData)> {
        if self.blocked == reason {
            return None;
        }
        let changed = Self { blocked: reason, ..self.changed(now) };
        let told = CustomerBlocked {
            customer_id: changed.id.clone(),
            blocked: changed.blocked.is_some(),
            version: changed.version,
        };
        Some((changed, told.into()))
    }

    /// The customer without its personal data; `None` if that was erased before.
    pub fn erase(self, now: Timestamp) -> Option<(Self, EventData)> {
        if self.erased_at.is_some() {
            return None;
        }
        let details = Details { credit_limit: self.details.credit_limit, ..Details::default() };
        let blocked = self.blocked.as_ref().map(|_| "erased".to_owned());
        let changed = Self { details, blocked, erased_at: Some(now), ..self.changed(now) };
        let told = CustomerErased { customer_id: changed.id.clone(), version: changed.version };
        Some((changed, told.into()))
    }

    /// Whether the customer may buy for `total`, over and above what it has open.
    pub fn may_buy(&self, total: Money) -> Result<(), CustomerRefusal> {
        // Who asked to be forgotten is no longer known.
        if self.erased_at.is_some() {
            return Err(CustomerRefusal::Unknown);
        }
        if self.blocked.is_some() {
            return Err(CustomerRefusal::Blocked);
        }
        let Some(limit) = self.details.credit_limit else {
            return Ok(());
        };
        let wanted = self.reserved_minor.checked_add(total.minor());
        let fits = wanted.is_some_and(|wanted| wanted <= limit.minor());
        if limit.currency() == total.currency() && fits {
            return Ok(());
        }
        Err(CustomerRefusal::CreditExceeded)
    }

    /// The customer with more (or, negative, less) credit taken up.
    #[must_use]
    pub fn reserving(mut self, minor: i64) -> Self {
        self.reserved_minor = self.reserved_minor.saturating_add(minor);
        self.row_version = self.row_version.saturating_add(1);
        self
    }
}

#[cfg(test)]
mod tests {
    use contracts::{Currency, EventKind};
    use proptest::prelude::*;

    use super::*;

    fn usd(minor: i64) -> Money {
        Money::new(minor, Currency::USD)
    }

    fn customer(limit: Option<Money>) -> Customer {
        let id = CustomerId::try_new("OMS-Cust-001").unwrap();
        let details = Details { name: "Ada".to_owned(), credit_limit: limit, ..Details::default() };
        Customer::create(id, details, Timestamp::default()).0
    }

    #[test]
    fn the_verdict_is_exactly_what_the_customer_allows() {
        let now = Timestamp::default();
        let blocked = customer(None).block(Some("fraud".to_owned()), now).unwrap().0;
        let erased = customer(None).erase(now).unwrap().0;
        let limited = customer(Some(usd(100)));
        let used = limited.clone().reserving(60);
        let euro = customer(Some(Money::new(1_000, Currency::EUR)));
        for (customer, total, verdict) in [
            (&customer(None), i64::MAX, Ok(())),
            (&blocked, 1, Err(CustomerRefusal::Blocked)),
            (&erased, 1, Err(CustomerRefusal::Unknown)),
            (&limited, 100, Ok(())),
            (&limited, 101, Err(CustomerRefusal::CreditExceeded)),
            (&used, 40, Ok(())),
            (&used, 41, Err(CustomerRefusal::CreditExceeded)),
            (&used, i64::MAX, Err(CustomerRefusal::CreditExceeded)),
            (&euro, 1, Err(CustomerRefusal::CreditExceeded)),
        ] {
            assert_eq!(customer.may_buy(usd(total)), verdict, "{customer:?} {total}");
        }
    }

    #[test]
    fn every_change_is_told_once_and_erasing_leaves_no_personal_data() {
        let now = Timestamp::from_micros(9);
        let ada = customer(Some(usd(5)));
        assert_eq!(ada.clone().update(ada.details.clone(), now), None);
        assert_eq!(ada.clone().block(None, now), None);
        let (blocked, told) = ada.block(Some("Ada did it".to_owned()), now).unwrap();
        assert_eq!((blocked.version, told.kind()), (2, EventKind::CustomerBlocked));
        let (erased, told) = blocked.erase(now).unwrap();
        assert_eq!((erased.version, told.kind()), (3, EventKind::CustomerErased));
        assert!(!format!("{erased:?}").contains("Ada"));
        assert_eq!(erased.erase(now), None);
    }

    #[test]
    fn what_takes_up_no_credit_is_known_until_its_place_is_needed() {
        let memory = WithoutCredit::default();
        let order = OrderNumber::new;
        assert!(!memory.knows(order(0)) && !memory.knows(order(7)));
        memory.note(order(7));
        assert!(memory.knows(order(7)) && !memory.knows(order(7 + WithoutCredit::PLACES)));
        memory.forget(order(7 + WithoutCredit::PLACES));
        assert!(memory.knows(order(7)));
        memory.note(order(7 + WithoutCredit::PLACES));
        assert!(!memory.knows(order(7)));
        memory.forget(order(7 + WithoutCredit::PLACES));
        assert!(!memory.knows(order(7 + WithoutCredit::PLACES)));
    }

    #[test]
    fn a_limit_keeps_its_currency_while_credit_is_taken_up() {
        let euro = Some(Money::new(5, Currency::EUR));
        let limited = customer(Some(usd(100)));
        assert!(limited.may_take_limit(euro));
        let used = limited.reserving(1);
        assert!(!used.may_take_limit(euro));
        assert!(used.may_take_limit(None) && used.may_take_limit(Some(usd(0))));
    }

    #[test]
    fn details_that_cannot_be_accepted_name_their_field() {
        let good = customer(None).details;
        let address = Address { city: "x".repeat(201), ..Address::default() };
        let cases = [
            (Details { name: " ".to_owned(), ..good.clone() }, "/name"),
            (Details { name: "x".repeat(201), ..good.clone() }, "/name"),
            (Details { name: "a\u{0}".to_owned(), ..good.clone() }, "/name"),
            (Details { email: "nobody".to_owned(), ..good.clone() }, "/email"),
            (Details { email: "@".to_owned(), ..good.clone() }, "/email"),
            (Details { phone: "0".repeat(33), ..good.clone() }, "/phone"),
            (Details { addresses: vec![Address::default(); 21], ..good.clone() }, "/addresses"),
            (Details { addresses: vec![address], ..good.clone() }, "/addresses/0/city"),
            (Details { credit_limit: Some(usd(-1)), ..good.clone() }, "/creditLimit/amount"),
        ];
        for (details, pointer) in cases {
            assert_eq!(details.check().unwrap_err().pointer, pointer);
        }
        assert_eq!(good.check(), Ok(()));
        let accented = Details { name: "é".repeat(NAME_MAX), ..good };
        assert_eq!(accented.check(), Ok(()));
    }

    proptest! {
        #[test]
        fn credit_is_never_promised_beyond_the_limit(
            limit in 0_i64..10_000,
            orders in proptest::collection::vec((0_i64..5_000, any::<bool>()), 1..60),
        ) {
            let mut customer = customer(Some(usd(limit)));
            let mut open = Vec::new();
            for (total, release) in orders {
                if customer.may_buy(usd(total)).is_ok() {
                    customer = customer.reserving(total);
                    open.push(total);
                }
                if release && let Some(total) = open.pop() {
                    customer = customer.reserving(-total);
                }
                prop_assert!(customer.reserved_minor <= limit);
                prop_assert_eq!(customer.reserved_minor, open.iter().sum::<i64>());
            }
        }
    }
}

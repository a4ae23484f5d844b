//! What a product is, and how it may change. Pure: values in, values out.

use contracts::events::catalog::{ProductCreated, ProductRetired, ProductUpdated};
use contracts::{EventData, Money, Sku, Timestamp};

/// The longest name and tax category, in characters.
pub const NAME_MAX: usize = 200;
/// The longest description, in bytes of UTF-8.
pub const TEXT_MAX: usize = 4_096;

/// A product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// The shop's own code.
    pub sku: Sku,
    /// Grows by one with every change.
    pub version: u64,
    /// What may be changed.
    pub facts: Facts,
    /// Whether it can no longer be bought.
    pub retired: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What people say of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// The price of one unit.
    pub price: Money,
    /// The tax category.
    pub tax_category: String,
}

/// A field that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFacts {
    /// Empty or too long.
    #[error("the name must have 1 to {NAME_MAX} characters, not {0}")]
    Name(usize),
    /// Too long.
    #[error("the description must have at most {TEXT_MAX} bytes, not {0}")]
    Description(usize),
    /// Too long.
    #[error("the tax category must have at most {NAME_MAX} characters, not {0}")]
    TaxCategory(usize),
    /// Negative.
    #[error("the price must not be negative: {0}")]
    Price(Money),
    /// Text with control characters.
    #[error("the {0} must not contain control characters")]
    Control(&'static str),
}

impl Facts {
    /// Checks lengths and signs.
    pub fn check(&self) -> Result<(), InvalidFacts> {
        let name_length = self.name.chars().count();
        if self.name.trim().is_empty() || name_length > NAME_MAX {
            return Err(InvalidFacts::Name(name_length));
        }
        if self.description.len() > TEXT_MAX {
            return Err(InvalidFacts::Description(self.description.len()));
        }
        let category_length = self.tax_category.chars().count();
        if category_length > NAME_MAX {
            return Err(InvalidFacts::TaxCategory(category_length));
        }
        if self.price.minor() < 0 {
            return Err(InvalidFacts::Price(self.price));
        }
        let control = |text: &str| text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
        let texts = [
            ("name", &self.name),
            ("description", &self.description),
            ("tax category", &self.tax_category),
        ];
        match texts.iter().find(|(_, text)| control(text)) {
            Some((what, _)) => Err(InvalidFacts::Control(what)),
            None => Ok(()),
        }
    }
}

impl Product {
    /// A new product, and what is told of it.
    pub fn create(sku: Sku, facts: Facts, now: Timestamp) -> (Self, EventData) {
        let told = ProductCreated {
            sku: sku.clone(),
            name: facts.name.as_str().into(),
            price: facts.price,
            version: 1,
        };
        let product =
            Self { sku, version: 1, facts, retired: false, created_at: now, updated_at: now };
        (product, told.into())
    }

    /// The product with other facts; `None` if they are what they were.
    pub fn update(self, facts: Facts, retired: bool, now: Timestamp) -> Option<(Self, EventData)> {
        if self.facts == facts && self.retired == retired {
            return None;
        }
        let version = self.version.saturating_add(1);
        let ends = retired && !self.retired;
        let changed = Self { version, facts, retired, updated_at: now, ..self };
        let sku = changed.sku.clone();
        if ends {
            return Some((changed, ProductRetired { sku, version }.into()));
        }
        let name = changed.facts.name.as_str().into();
        let told = ProductUpdated { sku, name, price: changed.facts.price, version };
        Some((changed, told.into()))
    }

    /// The product, no longer for sale; `None` if it was not before.
    pub fn retire(self, now: Timestamp) -> Option<(Self, EventData)> {
        let facts = self.facts.clone();
        self.update(facts, true, now)
    }
}

#[cfg(test)]
mod tests {
    use contracts::{Currency, EventKind};

    use super::*;

    fn facts(name: &str, minor: i64) -> Facts {
        Facts {
            name: name.to_owned(),
            description: String::new(),
            price: Money::new(minor, Currency::USD),
            tax_category: String::new(),
        }
    }

    fn product() -> Product {
        let sku = Sku::try_new("item1").unwrap();
        Product::create(sku, facts("Laptop", 100), Timestamp::default()).0
    }

    #[test]
    fn every_change_grows_the_version_and_is_told_once() {
        let now = Timestamp::from_micros(5);
        assert_eq!(product().update(facts("Laptop", 100), false, now), None);
        let (changed, told) = product().update(facts("Laptop", 90), false, now).unwrap();
        assert_eq!((changed.version, told.kind()), (2, EventKind::ProductUpdated));
        let (retired, told) = changed.retire(now).unwrap();
        assert_eq!((retired.version, told.kind()), (3, EventKind::ProductRetired));
        assert_eq!(retired.clone().retire(now), None);
        let (back, told) = retired.update(facts("Laptop", 90), false, now).unwrap();
        assert_eq!((back.retired, told.kind()), (false, EventKind::ProductUpdated));
    }

    #[test]
    fn facts_are_checked() {
        let long = "x".repeat(5_000);
        for (bad, expected) in [
            (facts("", 1), InvalidFacts::Name(0)),
            (facts(&long, 1), InvalidFacts::Name(5_000)),
            (facts("a\u{7}", 1), InvalidFacts::Control("name")),
            (facts("a", -1), InvalidFacts::Price(Money::new(-1, Currency::USD))),
            (
                Facts { description: long.clone(), ..facts("a", 1) },
                InvalidFacts::Description(5_000),
            ),
            (
                Facts { tax_category: long.clone(), ..facts("a", 1) },
                InvalidFacts::TaxCategory(5_000),
            ),
        ] {
            assert_eq!(bad.check(), Err(expected));
        }
        assert_eq!(facts("Laptop", 0).check(), Ok(()));
        assert_eq!(facts(&"é".repeat(NAME_MAX), 0).check(), Ok(()));
    }
}

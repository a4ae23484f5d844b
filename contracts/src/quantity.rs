//! Units of a SKU.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A number of units in an order line or a movement: 1 to [`Quantity::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Quantity(i64);

/// A number of units that cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quantity must be a whole number from 1 to {max}, not {given}", max = Quantity::MAX)]
pub struct InvalidQuantity {
    /// What was given.
    pub given: i64,
}

impl Quantity {
    /// One unit.
    pub const ONE: Self = Self(1);
    /// The most units in one line or movement.
    pub const MAX: i64 = 1_000_000;

    /// Checks that `units` lies between 1 and [`Self::MAX`].
    pub const fn try_new(units: i64) -> Result<Self, InvalidQuantity> {
        if units < 1 || units > Self::MAX {
            return Err(InvalidQuantity { given: units });
        }
        Ok(Self(units))
    }

    /// The units.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_new(i64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_to_a_million_units_are_a_quantity() {
        for (units, valid) in
            [(i64::MIN, false), (0, false), (1, true), (1_000_000, true), (1_000_001, false)]
        {
            assert_eq!(Quantity::try_new(units).is_ok(), valid, "{units}");
        }
        assert!(serde_json::from_str::<Quantity>("1.5").is_err());
        assert!(serde_json::from_str::<Quantity>("0").is_err());
    }
}

//! Money: a whole number of minor units and an ISO 4217 currency. No floating point anywhere.
//!
//! In JSON `{"amount":"2599.99","currency":"USD"}`. A plain JSON number is read from its text, digit
//! by digit, so that `2599.99` is exactly 259,999 cents.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An ISO 4217 currency code, such as `USD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Why a text is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not one of the codes of ISO 4217.
    #[error("`{0}` is not an ISO 4217 currency code such as USD")]
    UnknownCurrency(String),
    /// Not a plain decimal number.
    #[error("`{0}` is not a decimal amount such as 19.99")]
    NotDecimal(String),
    /// More decimals than the currency has.
    #[error("`{text}` has more decimals than {currency} has: {exponent} at most")]
    TooPrecise {
        /// The amount as given.
        text: String,
        /// Its currency.
        currency: Currency,
        /// How many decimals the currency has.
        exponent: u32,
    },
    /// Outside what 64 bits of minor units hold.
    #[error("the amount is too large to be counted exactly")]
    Overflow,
    /// Two currencies in one sum.
    #[error("{left} and {right} cannot be added")]
    CurrencyMismatch {
        /// The currency of the first amount.
        left: Currency,
        /// The currency of the second.
        right: Currency,
    },
}

impl Currency {
    /// The United States dollar.
    pub const USD: Self = Self(*b"USD");
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");

    /// Checks that `code` is three capital letters that ISO 4217 lists.
    pub fn try_new(code: &str) -> Result<Self, MoneyError> {
        let unknown = || MoneyError::UnknownCurrency(code.chars().take(16).collect());
        let Ok(letters) = <[u8; 3]>::try_from(code.as_bytes()) else {
            return Err(unknown());
        };
        // The two that nearly every order uses need no search of the whole list.
        if matches!(&letters, b"USD" | b"EUR") {
            return Ok(Self(letters));
        }
        if !letters.iter().all(u8::is_ascii_uppercase) {
            return Err(unknown());
        }
        iso_currency::Currency::from_code(code).map(|_| Self(letters)).ok_or_else(unknown)
    }

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// How many decimals an amount has: 2 for USD, 0 for JPY, 3 for BHD.
    pub fn exponent(self) -> u32 {
        if matches!(&self.0, b"USD" | b"EUR") {
            return 2;
        }
        let known = iso_currency::Currency::from_code(self.as_str());
        known.and_then(iso_currency::Currency::exponent).map_or(0, u32::from)
    }

    fn minor_per_unit(self) -> i64 {
        10_i64.pow(self.exponent())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        Self::try_new(code)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.as_str())
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let code = smol_str::SmolStr::deserialize(deserializer)?;
            return Self::try_new(&code).map_err(de::Error::custom);
        }
        let letters = <[u8; 3]>::deserialize(deserializer)?;
        let code = std::str::from_utf8(&letters).map_err(de::Error::custom)?;
        Self::try_new(code).map_err(de::Error::custom)
    }
}

/// An exact amount: `minor` units (cents) of `currency`. May be negative where a difference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// `minor` units of `currency`.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// Minor units: cents for USD, yen for JPY.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Whether the amount is above zero.
    pub const fn is_positive(self) -> bool {
        self.minor > 0
    }

    /// Reads the decimal text `text` (`2599.99`, `-3`, `1e3` is refused) as an amount of `currency`.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let not_decimal = || MoneyError::NotDecimal(text.chars().take(40).collect());
        let (negative, digits) =
            text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(not_decimal()),
            None => (digits, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return Err(not_decimal());
        }
        let exponent = currency.exponent();
        // Zeros behind the last decimal say nothing: 600.000 is 600.00.
        let fraction = fraction.trim_end_matches('0');
        let missing = usize::try_from(exponent).unwrap_or(0).checked_sub(fraction.len());
        let Some(missing) = missing else {
            let text = text.chars().take(40).collect();
            return Err(MoneyError::TooPrecise { text, currency, exponent });
        };
        let zeros = std::iter::repeat_n(b'0', missing);
        let mut minor: i64 = 0;
        for digit in whole.bytes().chain(fraction.bytes()).chain(zeros) {
            let grown = minor.checked_mul(10).and_then(|m| m.checked_add(i64::from(digit - b'0')));
            minor = grown.ok_or(MoneyError::Overflow)?;
        }
        Ok(Self::new(if negative { -minor } else { minor }, currency))
    }

    /// The amount in units, without the currency: `2599.99`.
    pub fn to_decimal(self) -> String {
        let exponent = usize::try_from(self.currency.exponent()).unwrap_or(0);
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        if exponent == 0 {
            return format!("{sign}{minor}");
        }
        let base = self.currency.minor_per_unit().unsigned_abs();
        let (whole, fraction) = (minor.div_euclid(base), minor.rem_euclid(base));
        format!("{sign}{whole}.{fraction:0exponent$}")
    }

    /// The sum, if both are of one currency and it can be counted.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    /// The difference, if both are of one currency and it can be counted.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    /// The amount taken `times` times.
    pub fn checked_mul(self, times: i64) -> Result<Self, MoneyError> {
        let minor = self.minor.checked_mul(times).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(minor, self.currency))
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(MoneyError::CurrencyMismatch { left: self.currency, right: other.currency })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_decimal(), self.currency)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json<'a> {
    #[serde(borrow)]
    amount: std::borrow::Cow<'a, str>,
    currency: Currency,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Json { amount: self.to_decimal().into(), currency: self.currency }
                .serialize(serializer);
        }
        (self.minor, self.currency).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let json = Json::deserialize(deserializer)?;
            return Self::parse(&json.amount, json.currency).map_err(de::Error::custom);
        }
        let (minor, currency) = <(i64, Currency)>::deserialize(deserializer)?;
        Ok(Self { minor, currency })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(text: &str) -> Result<i64, MoneyError> {
        Money::parse(text, Currency::USD).map(Money::minor)
    }

    #[test]
    fn decimals_are_read_exactly() {
        for (text, minor) in [
            ("2599.99", 259_999),
            ("600", 60_000),
            ("600.0", 60_000),
            ("600.000", 60_000),
            ("0.01", 1),
            ("-0.10", -10),
            ("92233720368547758.07", i64::MAX),
        ] {
            assert_eq!(usd(text), Ok(minor), "{text}");
        }
        for text in ["", ".5", "5.", "1e3", "+1", "1,5", "--1", "NaN", "1.2.3", " 1"] {
            assert!(matches!(usd(text), Err(MoneyError::NotDecimal(_))), "{text:?}");
        }
        assert!(matches!(usd("1.999"), Err(MoneyError::TooPrecise { .. })));
        assert_eq!(usd("92233720368547758.08"), Err(MoneyError::Overflow));
    }

    #[test]
    fn a_currency_has_its_own_decimals() {
        let yen = Currency::try_new("JPY").unwrap();
        let dinar = Currency::try_new("BHD").unwrap();
        assert_eq!(Money::parse("12", yen).unwrap().to_decimal(), "12");
        assert!(Money::parse("12.5", yen).is_err());
        assert_eq!(Money::parse("1.005", dinar).unwrap().to_decimal(), "1.005");
        assert!(Currency::try_new("usd").is_err());
        assert!(Currency::try_new("ABC").is_err());
    }

    #[test]
    fn json_is_a_decimal_string_and_a_code() {
        let price = Money::new(259_999, Currency::USD);
        let json = r#"{"amount":"2599.99","currency":"USD"}"#;
        assert_eq!(serde_json::to_string(&price).unwrap(), json);
        assert_eq!(serde_json::from_str::<Money>(json).unwrap(), price);
    }

    #[test]
    fn sums_refuse_two_currencies_and_overflow() {
        let dollar = Money::new(100, Currency::USD);
        assert!(dollar.checked_add(Money::new(1, Currency::EUR)).is_err());
        assert_eq!(dollar.checked_mul(i64::MAX), Err(MoneyError::Overflow));
        assert_eq!(dollar.checked_sub(dollar), Ok(Money::zero(Currency::USD)));
    }

    proptest! {
        #[test]
        fn every_amount_survives_its_text(minor in any::<i64>().prop_filter("magnitude", |m| *m != i64::MIN)) {
            for currency in [Currency::USD, Currency(*b"JPY"), Currency(*b"BHD")] {
                let money = Money::new(minor, currency);
                prop_assert_eq!(Money::parse(&money.to_decimal(), currency), Ok(money));
            }
        }
    }
}

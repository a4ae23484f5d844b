//! What JSON looks like: one module for each resource, requests and answers.
//!
//! Requests own their texts, because they move into a gRPC message as they are. Answers borrow
//! from the gRPC message they show.

pub(crate) mod customers;
pub(crate) mod notifications;
pub(crate) mod operations;
pub(crate) mod order_requests;
pub(crate) mod orders;
pub(crate) mod payments;
pub(crate) mod products;
pub(crate) mod samples;
pub(crate) mod seeds;
pub(crate) mod stock;
pub(crate) mod words;

use std::borrow::Cow;

use contracts::money::MoneyError;
use contracts::{Currency, Money, Problem, Timestamp};
use contracts_grpc::v1;
use serde::de::{self, Unexpected};
use serde::ser::{self, SerializeStruct as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{RefOr, schema};
use utoipa::{PartialSchema, ToSchema};

use crate::error::Refusal;

/// An amount of money in an answer; `null` if there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount<'a>(pub(crate) Option<&'a v1::Money>);

/// An amount that must be there.
pub(crate) fn amount(money: Option<&v1::Money>) -> Amount<'_> {
    Amount(money)
}

/// An amount that may be missing.
pub(crate) fn optional_amount(money: Option<&v1::Money>) -> Option<Amount<'_>> {
    money.map(|money| Amount(Some(money)))
}

impl Serialize for Amount<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(money) = self.0 else { return serializer.serialize_none() };
        let money = rpc::parse_money(money).map_err(ser::Error::custom)?;
        let mut object = serializer.serialize_struct("Money", 2)?;
        object.serialize_field("amount", &money.to_decimal())?;
        object.serialize_field("currency", money.currency().as_str())?;
        object.end()
    }
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn money_schema(amount: impl Into<RefOr<Schema>>) -> RefOr<Schema> {
    let currency = string()
        .pattern(Some("^[A-Z]{3}$"))
        .description(Some("Three capital letters of ISO 4217."))
        .examples([json!("USD")]);
    let money = ObjectBuilder::new()
        .description(Some("An exact amount of money."))
        .property("amount", amount)
        .required("amount")
        .property("currency", currency)
        .required("currency");
    RefOr::T(Schema::Object(money.build()))
}

impl PartialSchema for Amount<'_> {
    fn schema() -> RefOr<Schema> {
        let amount = string()
            .pattern(Some(r"^-?[0-9]+(\.[0-9]+)?$"))
            .description(Some("A decimal number with as many decimals as the currency has."))
            .examples([json!("2599.99")]);
        money_schema(amount)
    }
}

impl ToSchema for Amount<'_> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Money")
    }
}

/// A decimal number as it was written, in quotes or not. No floating point comes near it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal(pub(crate) String);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let expected = &"a decimal number such as 2599.99 or \"2599.99\"";
        let wrong = |found| Err(de::Error::invalid_type(found, expected));
        match raw.get().as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw.get()).map(Self).map_err(de::Error::custom),
            Some(b'{') => wrong(Unexpected::Map),
            Some(b'[') => wrong(Unexpected::Seq),
            Some(b'n') => wrong(Unexpected::Unit),
            Some(b't' | b'f') => wrong(Unexpected::Other("a boolean")),
            _ => Ok(Self(raw.get().to_owned())),
        }
    }
}

/// An amount of money in a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMoney {
    amount: Decimal,
    currency: String,
}

impl NewMoney {
    /// The amount, 0 or more, of the field at `pointer`.
    pub(crate) fn read(&self, pointer: &str) -> Result<v1::Money, Refusal> {
        let currency = Currency::try_new(&self.currency).map_err(|cause| {
            let pointer = format!("{pointer}/currency");
            Refusal::from(Problem::field(&pointer, "unknown-currency", cause.to_string()))
        })?;
        not_negative(&self.amount, currency, &format!("{pointer}/amount"))
    }
}

/// Reads `amount`, 0 or more, of the field at `pointer`.
pub(crate) fn not_negative(
    amount: &Decimal,
    currency: Currency,
    pointer: &str,
) -> Result<v1::Money, Refusal> {
    let refuse = |code: &str, detail: String| Err(Problem::field(pointer, code, detail).into());
    match Money::parse(&amount.0, currency) {
        Ok(money) if money.minor() < 0 => {
            refuse("out-of-range", format!("an amount is 0 or more, not {}", money.to_decimal()))
        }
        Ok(money) => Ok(rpc::money(money)),
        Err(cause @ MoneyError::TooPrecise { .. }) => refuse("too-precise", cause.to_string()),
        Err(cause @ MoneyError::Overflow) => refuse("out-of-range", cause.to_string()),
        Err(
            cause @ (MoneyError::NotDecimal(_)
            | MoneyError::UnknownCurrency(_)
            | MoneyError::CurrencyMismatch { .. }),
        ) => refuse("not-an-amount", cause.to_string()),
    }
}

impl PartialSchema for NewMoney {
    fn schema() -> RefOr<Schema> {
        let amount = schema::OneOfBuilder::new()
            .item(string().pattern(Some(r"^[0-9]+(\.[0-9]+)?$")))
            .item(ObjectBuilder::new().schema_type(Type::Number))
            .description(Some(
                "A decimal number, 0 or more, with at most as many decimals as the currency has. A \
                 JSON number is read from its digits, exactly.",
            ))
            .examples([json!("2599.99"), json!(2599)]);
        money_schema(amount)
    }
}

impl ToSchema for NewMoney {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("NewMoney")
    }
}

/// A time in an answer, in RFC 3339 with `Z`; `null` if there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub(crate) Option<Timestamp>);

/// A time that must be there.
pub(crate) fn moment(time: Option<&prost_types::Timestamp>) -> Moment {
    Moment(time.and_then(rpc::parse_timestamp))
}

/// A time that may be missing.
pub(crate) fn optional_moment(time: Option<&prost_types::Timestamp>) -> Option<Moment> {
    time.map(|time| Moment(rpc::parse_timestamp(time)))
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let time = string()
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A time in RFC 3339, UTC."))
            .examples([json!("2026-11-21T13:36:08.349911Z")]);
        RefOr::T(Schema::Object(time.build()))
    }
}

impl ToSchema for Moment {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Moment")
    }
}

/// A text that is left out when it says nothing.
pub(crate) fn optional_text(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[derive(Debug, Deserialize)]
    struct Priced {
        total: NewMoney,
    }

    fn read(total: &str) -> Result<(i64, String), Refusal> {
        let text = format!(r#"{{"total":{total}}}"#);
        let priced: Priced = parse(text.as_bytes())?;
        let money = priced.total.read("/total")?;
        Ok((money.minor_units, money.currency))
    }

    #[test]
    fn an_amount_is_read_exactly_in_both_forms() {
        for (total, minor, currency) in [
            (r#"{"amount":"2599.99","currency":"USD"}"#, 259_999, "USD"),
            (r#"{"amount":2599.99,"currency":"USD"}"#, 259_999, "USD"),
            (r#"{"amount":90071992547409.93,"currency":"USD"}"#, 9_007_199_254_740_993, "USD"),
            (r#"{"amount":0.1,"currency":"EUR"}"#, 10, "EUR"),
            (r#"{"currency":"JPY","amount":12}"#, 12, "JPY"),
            (r#"{"amount":"1.005","currency":"BHD"}"#, 1_005, "BHD"),
        ] {
            assert_eq!(read(total).unwrap(), (minor, currency.to_owned()), "{total}");
        }
    }

    #[test]
    fn an_amount_that_cannot_be_is_refused_where_it_stands() {
        for (total, status, pointer, code) in [
            (r#"{"amount":"-1","currency":"USD"}"#, 422, "/total/amount", "out-of-range"),
            (r#"{"amount":-0.01,"currency":"USD"}"#, 422, "/total/amount", "out-of-range"),
            (r#"{"amount":1e30,"currency":"USD"}"#, 422, "/total/amount", "not-an-amount"),
            (
                r#"{"amount":99999999999999999999,"currency":"USD"}"#,
                422,
                "/total/amount",
                "out-of-range",
            ),
            (r#"{"amount":1.999,"currency":"USD"}"#, 422, "/total/amount", "too-precise"),
            (r#"{"amount":1.5,"currency":"JPY"}"#, 422, "/total/amount", "too-precise"),
            (r#"{"amount":"ten","currency":"USD"}"#, 422, "/total/amount", "not-an-amount"),
            (r#"{"amount":"1","currency":"usd"}"#, 422, "/total/currency", "unknown-currency"),
            (r#"{"amount":"1","currency":"ABC"}"#, 422, "/total/currency", "unknown-currency"),
            (r#"{"amount":true,"currency":"USD"}"#, 400, "/total/amount", "wrong-type"),
            (r#"{"amount":null,"currency":"USD"}"#, 400, "/total/amount", "wrong-type"),
            (r#"{"amount":{},"currency":"USD"}"#, 400, "/total/amount", "wrong-type"),
            (r#"{"amount":"1"}"#, 400, "/total/currency", "missing"),
            (
                r#"{"amount":"1","amount":"2","currency":"USD"}"#,
                400,
                "/total/amount",
                "duplicate-field",
            ),
            (r#"{"amount":"1","currency":"USD","tax":1}"#, 400, "/total/tax", "unknown-field"),
        ] {
            let problem = read(total).unwrap_err().into_problem();
            let error = &problem.errors[0];
            assert_eq!(
                (problem.status, error.pointer.as_str(), error.code.as_str()),
                (status, pointer, code),
                "{total}"
            );
        }
    }

    #[test]
    fn an_amount_is_written_with_the_decimals_of_its_currency() {
        for (minor_units, currency, json) in [
            (259_999, "USD", r#"{"amount":"2599.99","currency":"USD"}"#),
            (-5, "EUR", r#"{"amount":"-0.05","currency":"EUR"}"#),
            (12, "JPY", r#"{"amount":"12","currency":"JPY"}"#),
        ] {
            let money = Some(v1::Money { minor_units, currency: currency.to_owned() });
            assert_eq!(serde_json::to_string(&amount(money.as_ref())).unwrap(), json);
        }
        assert_eq!(serde_json::to_string(&amount(None)).unwrap(), "null");
        let broken = Some(v1::Money { minor_units: 1, currency: "?".to_owned() });
        assert!(serde_json::to_string(&amount(broken.as_ref())).is_err());
    }

    #[test]
    fn times_are_rfc_3339_with_a_z() {
        let time = Some(rpc::timestamp(Timestamp::from_micros(1_795_268_168_349_911)));
        let json = serde_json::to_string(&moment(time.as_ref())).unwrap();
        assert_eq!(json, "\"2026-11-21T13:36:08.349911Z\"");
        assert_eq!(serde_json::to_string(&moment(None)).unwrap(), "null");
    }
}

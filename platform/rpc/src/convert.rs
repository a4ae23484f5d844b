//! The types of the contracts as messages, and back.

use contracts::money::MoneyError;
use contracts::{Currency, Money, Timestamp};
use contracts_grpc::v1;

/// Money as a message.
pub fn money(amount: Money) -> v1::Money {
    v1::Money { minor_units: amount.minor(), currency: amount.currency().to_string() }
}

/// Money from a message.
pub fn parse_money(message: &v1::Money) -> Result<Money, MoneyError> {
    Currency::try_new(&message.currency).map(|currency| Money::new(message.minor_units, currency))
}

/// A time as a message.
pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let micros = at.as_micros();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000)).unwrap_or(0).saturating_mul(1_000);
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

/// A time from a message; `None` outside of what microseconds can count.
pub fn parse_timestamp(message: &prost_types::Timestamp) -> Option<Timestamp> {
    let micros = message.seconds.checked_mul(1_000_000)?;
    let rest = i64::from(message.nanos).div_euclid(1_000);
    micros.checked_add(rest).map(Timestamp::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_money_survive_their_messages() {
        for micros in [0, 1, -1, 1_795_268_168_349_911] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(parse_timestamp(&timestamp(at)), Some(at));
        }
        let price = Money::new(-199_999, Currency::EUR);
        assert_eq!(parse_money(&money(price)), Ok(price));
        let unknown = v1::Money { minor_units: 1, currency: "???".into() };
        assert!(parse_money(&unknown).is_err());
    }
}

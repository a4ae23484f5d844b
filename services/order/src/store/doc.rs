//! The document of an order: what no column holds, in postcard behind a format byte, and the
//! history behind that ([`super::timeline`]). It is written field by field, so that nothing in the
//! domain becomes a promise by being serializable.

use contracts::events::order::{PaymentInstruction, PlacedLine, ShortagePolicy};
use contracts::{Currency, Money, Quantity, Sku, Timestamp};
use serde::{Deserialize, Serialize};

use super::{state, timeline};
use crate::domain::{Balance, History, Ledger, Order, Shipment, State, Text};

const FORMAT: u8 = 1;
/// What a document of two lines takes, so that it is rarely moved while it grows.
const TYPICAL_BYTES: usize = 384;

/// The least size of a document: that of a confirmed order of two lines, 179 bytes, rounded up.
const ROOM_MIN: usize = 192;
/// Larger documents grow in steps of so many bytes.
const ROOM_STEP: usize = 64;

/// What a document holds.
pub(super) struct Document {
    pub(super) lines: Vec<PlacedLine>,
    pub(super) payment: PaymentInstruction,
    pub(super) channel: Text,
    pub(super) policy: ShortagePolicy,
    pub(super) state: State,
    pub(super) balances: Vec<Balance>,
    pub(super) ledger: Ledger,
    pub(super) hold_lapsed: bool,
    pub(super) attention: Option<Text>,
    pub(super) shipments: Vec<Shipment>,
    pub(super) confirmed_at: Option<Timestamp>,
    pub(super) events_said: u64,
    pub(super) history: History,
}

/// A line as it was placed (SKU, name, units, minor units, policy) and where its units are. Its
/// number is its place, its currency the order's.
type Line<'b> = (&'b str, &'b str, i64, i64, ShortagePolicy, [i64; 6]);
/// Method, token, channel, policy.
type Payment<'b> = (&'b str, &'b str, &'b str, ShortagePolicy);
/// Authorized, captured, refunded, declined, voided.
type Money5 = (i64, i64, i64, bool, bool);
/// The hold has lapsed; attention; microseconds from placement to confirmation; events said.
type Rest<'b> = (bool, Option<&'b str>, Option<i64>, u64);
/// Number, lines, carrier, tracking, time, actor.
type Parcel<'b> = (u16, Vec<(u16, i64)>, &'b str, &'b str, Timestamp, &'b str);

/// Appends `value`. Encoding plain data into memory cannot fail: postcard fails only for sequences
/// of unknown length and for buffers that are full.
pub(super) fn push(bytes: Vec<u8>, value: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(value, bytes).unwrap_or_default()
}

pub(super) fn take<'b, T: Deserialize<'b>>(bytes: &mut &'b [u8]) -> Result<T, String> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|cause| cause.to_string())?;
    *bytes = rest;
    Ok(value)
}

pub(super) fn encode(order: &Order) -> Vec<u8> {
    let placed = &order.placed;
    let mut bytes = Vec::with_capacity(TYPICAL_BYTES);
    bytes.push(FORMAT);
    bytes = push(bytes, &u16::try_from(placed.lines.len()).unwrap_or(u16::MAX));
    for (line, one) in order.lines() {
        let units = [one.held, one.allocated, one.backordered, one.shipped, one.dropped, one.ended];
        let (sku, name) = (line.sku.as_str(), line.name.as_str());
        let line: Line<'_> =
            (sku, name, line.quantity.get(), line.unit_price.minor(), line.policy, units);
        bytes = push(bytes, &line);
    }
    let (method, token) = (placed.payment.method.as_str(), placed.payment.token.as_str());
    let payment: Payment<'_> = (method, token, &placed.channel, placed.policy);
    bytes = push(bytes, &payment);
    bytes = state::push_state(bytes, &order.state);
    let Ledger { authorized, captured, refunded, declined, voided } = order.ledger;
    let money: Money5 = (authorized, captured, refunded, declined, voided);
    bytes = push(bytes, &money);
    let confirmed = order.confirmed_at.map(|at| at.as_micros().wrapping_sub(placed.at.as_micros()));
    let rest: Rest<'_> =
        (order.hold_lapsed, order.attention.as_deref(), confirmed, order.events_said);
    bytes = push(bytes, &rest);
    bytes = push(bytes, &u16::try_from(order.shipments.len()).unwrap_or(u16::MAX));
    for one in &order.shipments {
        let lines = one.lines.clone();
        let parcel: Parcel<'_> =
            (one.number, lines, &one.carrier, &one.tracking, one.at, &one.actor);
        bytes = push(bytes, &parcel);
    }
    timeline::encode(&order.history, placed.at, &mut bytes);
    bytes.resize(roomy(bytes.len()), 0);
    bytes
}

/// The size of a document with room to grow, so that a row that is written three times on its way
/// to confirmed stays on its page: a page that overflows is rebalanced with its neighbours.
fn roomy(len: usize) -> usize {
    len.max(ROOM_MIN).next_multiple_of(ROOM_STEP)
}

/// Reads the document of an order that was placed at `at` in `currency`.
pub(super) fn decode(bytes: &[u8], at: Timestamp, currency: Currency) -> Result<Document, String> {
    let Some((&FORMAT, mut bytes)) = bytes.split_first() else {
        return Err("its format is not known".to_owned());
    };
    let (lines, balances) = take_lines(&mut bytes, currency)?;
    let (method, token, channel, policy): Payment<'_> = take(&mut bytes)?;
    let state = state::take_state(&mut bytes)?;
    let (authorized, captured, refunded, declined, voided): Money5 = take(&mut bytes)?;
    let (hold_lapsed, attention, confirmed, events_said): Rest<'_> = take(&mut bytes)?;
    let shipments = take_shipments(&mut bytes)?;
    let history = timeline::decode(bytes, at).ok_or("its history cannot be read")?;
    let confirmed = confirmed.map(|micros| at.as_micros().wrapping_add(micros));
    Ok(Document {
        lines,
        payment: PaymentInstruction { method: method.into(), token: token.into() },
        channel: channel.into(),
        policy,
        state,
        balances,
        ledger: Ledger { authorized, captured, refunded, declined, voided },
        hold_lapsed,
        attention: attention.map(Text::from),
        shipments,
        confirmed_at: confirmed.map(Timestamp::from_micros),
        events_said,
        history,
    })
}

fn take_lines(
    bytes: &mut &[u8],
    currency: Currency,
) -> Result<(Vec<PlacedLine>, Vec<Balance>), String> {
    let count: u16 = take(bytes)?;
    if count == 0 {
        return Err("it has no lines".to_owned());
    }
    let mut lines = Vec::with_capacity(usize::from(count));
    let mut balances = Vec::with_capacity(usize::from(count));
    for number in 1..=count {
        let (sku, name, quantity, price, policy, units): Line<'_> = take(bytes)?;
        lines.push(PlacedLine {
            line: number,
            sku: Sku::try_new(sku).map_err(|why| why.to_string())?,
            name: name.into(),
            quantity: Quantity::try_new(quantity).map_err(|why| why.to_string())?,
            unit_price: Money::new(price, currency),
            policy,
        });
        let [held, allocated, backordered, shipped, dropped, ended] = units;
        balances.push(Balance { held, allocated, backordered, shipped, dropped, ended });
    }
    Ok((lines, balances))
}

fn take_shipments(bytes: &mut &[u8]) -> Result<Vec<Shipment>, String> {
    let count: u16 = take(bytes)?;
    let mut shipments = Vec::new();
    for _ in 0..count {
        let (number, lines, carrier, tracking, at, actor): Parcel<'_> = take(bytes)?;
        let (carrier, tracking, actor) = (carrier.into(), tracking.into(), actor.into());
        shipments.push(Shipment { number, lines, carrier, tracking, at, actor });
    }
    Ok(shipments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::samples::states;

    #[test]
    fn every_order_survives_its_row() {
        for order in states() {
            let placed = &order.placed;
            let bytes = encode(&order);
            let document = decode(&bytes, placed.at, placed.currency()).unwrap();
            let back = Order {
                placed: std::sync::Arc::clone(placed),
                state: document.state,
                balances: document.balances,
                ledger: document.ledger,
                hold_lapsed: document.hold_lapsed,
                attention: document.attention,
                shipments: document.shipments,
                confirmed_at: document.confirmed_at,
                deadline: order.deadline,
                version: order.version,
                events_said: document.events_said,
                history: document.history,
            };
            assert_eq!(back, order);
            assert_eq!(
                (document.lines, document.payment),
                (placed.lines.clone(), placed.payment.clone())
            );
            // Behind the last byte that is not zero there may be nothing but room.
            let told = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            for end in 0..=told {
                assert!(decode(&bytes[..end], placed.at, placed.currency()).is_err());
            }
        }
    }
}

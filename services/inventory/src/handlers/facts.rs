//! Hears what happens to orders and their payments, a batch at a time.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use contracts::events::inventory::{
    InventoryAllocated, InventoryConsumed, InventoryExpired, InventoryPartiallyReserved,
    InventoryRejected, InventoryReleased, InventoryReserved,
};
use contracts::events::order::PlacedLine;
use contracts::events::payment::PaymentOperation;
use contracts::{Draft, Event, EventData, OrderId, Sku};
use store::{StoreError, Tx};

use super::desk::Desk;
use super::sweep::Due;
use super::{queue, sweep};
use crate::domain::{Ending, Fact, Hold, HoldLine, HoldState, LevelId, Owner, Said};
use crate::error::InventoryError;
use crate::store::{HoldRow, ItemRow};

/// Handles a batch of events in the bus's transaction. Everything that the batch needs is brought
/// first; then each event is decided in memory.
pub async fn hear(
    tx: &mut Tx,
    hold_ttl: Duration,
    batch: &[Arc<Event>],
) -> Result<(), InventoryError> {
    let mut desk = Desk::default();
    let mut due = sweep::find_due(tx).await?;
    bring(tx, &mut desk, batch).await?;
    for event in batch {
        hear_one(tx, &mut desk, &mut due, hold_ttl, event).await?;
    }
    queue::fill(tx, &mut desk).await?;
    desk.save(tx).await?;
    Ok(())
}

/// What an event asks of inventory.
enum Heard<'e> {
    /// Stock for these lines.
    Lines(&'e [PlacedLine]),
    /// Stock for these lines, or the answer once more.
    LinesAgain(&'e [PlacedLine]),
    /// A fact about what is kept.
    Fact(Fact),
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the subscription lists these kinds and no more"
)]
fn heard(event: &Event, hold_ttl: Duration) -> Option<(OrderId, Heard<'_>)> {
    let ended = |ending, detail: &str| {
        Heard::Fact(Fact::Ended { ending, reason: Cow::Owned(detail.to_owned()) })
    };
    Some(match &event.data {
        EventData::OrderPlaced(data) => (data.order_id, Heard::Lines(&data.lines)),
        EventData::OrderCheckRequested(data) => (data.order_id, Heard::LinesAgain(&data.lines)),
        EventData::PaymentAuthorized(data) => (data.order_id, Heard::Fact(Fact::Authorized)),
        EventData::PaymentUnknown(data) if data.operation == PaymentOperation::Authorize => {
            let until = event.time.plus(hold_ttl);
            (data.order_id, Heard::Fact(Fact::PaymentUnknown { until }))
        }
        EventData::OrderAdjusted(data) => {
            let (lines, release) = (data.lines.clone(), data.release.clone());
            (data.order_id, Heard::Fact(Fact::Adjusted { lines, release }))
        }
        EventData::OrderCancelling(data) => (data.order_id, ended(Ending::Awaited, &data.detail)),
        EventData::OrderRejected(data) => (data.order_id, ended(Ending::Told, &data.detail)),
        EventData::OrderExpired(data) => (data.order_id, ended(Ending::Told, "order expired")),
        EventData::OrderFulfilling(data) => {
            let (shipment, lines) = (data.shipment, data.lines.clone());
            (data.order_id, Heard::Fact(Fact::Shipped { shipment, lines }))
        }
        _ => return None,
    })
}

/// Brings the holds, items and levels that `batch` speaks of, each once.
async fn bring(tx: &mut Tx, desk: &mut Desk, batch: &[Arc<Event>]) -> Result<(), StoreError> {
    let mut numbers = Vec::with_capacity(batch.len());
    let mut skus: Vec<Sku> = Vec::new();
    for event in batch {
        match heard(event, Duration::ZERO) {
            Some((order, Heard::Lines(lines) | Heard::LinesAgain(lines))) => {
                numbers.push(order.number().as_i64());
                skus.extend(lines.iter().map(|line| line.sku.clone()));
            }
            Some((order, Heard::Fact(_))) => numbers.push(order.number().as_i64()),
            None => {}
        }
    }
    tx.load::<HoldRow>(&numbers).await?;
    tx.load::<ItemRow>(&skus).await?;
    let mut levels: Vec<(LevelId, Sku)> = Vec::with_capacity(skus.len());
    for sku in skus {
        levels.extend(tx.get::<ItemRow>(&sku).map(|item| (item.level, sku)));
    }
    for number in numbers {
        let lines = tx.get::<HoldRow>(&number).map(|row| row.hold.lines.as_slice());
        levels.extend(levels_of(lines.unwrap_or_default()));
    }
    desk.bring(tx, &levels).await
}

/// The levels that lines come from.
pub(super) fn levels_of(lines: &[HoldLine]) -> impl Iterator<Item = (LevelId, Sku)> {
    lines.iter().filter_map(|line| line.level.map(|level| (level, line.sku.clone())))
}

async fn hear_one(
    tx: &mut Tx,
    desk: &mut Desk,
    due: &mut Option<Due>,
    hold_ttl: Duration,
    event: &Event,
) -> Result<(), InventoryError> {
    let Some((order, heard)) = heard(event, hold_ttl) else { return Ok(()) };
    let until = tx.now().plus(hold_ttl);
    let known = tx.get::<HoldRow>(&order.number().as_i64()).cloned();
    let (fact, lines) = match heard {
        Heard::Lines(lines) => (Fact::PlacedAgain, lines),
        Heard::LinesAgain(lines) => (Fact::AskedAgain { until }, lines),
        Heard::Fact(fact) => (fact, [].as_slice()),
    };
    let is_reserving = known.as_ref().map_or(!lines.is_empty(), |row| {
        row.hold.state == HoldState::Expired
            && matches!(fact, Fact::AskedAgain { .. } | Fact::Authorized)
    });
    if is_reserving && let Some(due) = due.take() {
        // What is due stops counting before anything new is decided, whoever comes first. A hold that
        // is late but has been paid for before that is kept: the row decides, not the clock.
        due.end(tx, desk).await?;
    }
    let (row, said) = if let Some(mut row) = known {
        let before = row.hold.changes;
        let (hold, said) = row.hold.accept(fact, &mut desk.levels)?;
        row.hold = hold;
        if row.hold.changes == before {
            return Ok(());
        }
        (row, said)
    } else {
        let Some((hold, said)) = first_heard(tx, desk, order, fact, lines, until)? else {
            return Ok(());
        };
        let held_at = tx.now();
        (HoldRow { order, hold, events: 0, held_at }, said)
    };
    save_hold(tx, desk, row, said, Some(event)).await
}

/// What becomes of an order of which nothing is kept yet.
fn first_heard(
    tx: &Tx,
    desk: &mut Desk,
    order: OrderId,
    fact: Fact,
    lines: &[PlacedLine],
    until: contracts::Timestamp,
) -> Result<Option<(Hold, Option<Said>)>, InventoryError> {
    let owner = Owner::Order(order);
    Ok(match fact {
        Fact::PlacedAgain | Fact::AskedAgain { .. } => {
            let lines = lines.iter().map(|line| hold_line(tx, line)).collect();
            Some(Hold::place(owner, lines, until, &mut desk.levels)?)
        }
        Fact::Authorized => Some(Hold::lost(owner).accept(fact, &mut desk.levels)?),
        Fact::Ended { ending: Ending::Awaited, .. } => {
            Some(Hold::never(owner).accept(fact, &mut desk.levels)?)
        }
        Fact::Ended { ending: Ending::Told, .. }
        | Fact::PaymentUnknown { .. }
        | Fact::Adjusted { .. }
        | Fact::Shipped { .. }
        | Fact::TimePassed { .. } => None,
    })
}

fn hold_line(tx: &Tx, line: &PlacedLine) -> HoldLine {
    let mut held = HoldLine::new(line.line, line.sku.clone(), line.policy, line.quantity.get());
    held.level = tx.get::<ItemRow>(&line.sku).map(|item| item.level);
    held
}

/// Saves a changed hold, queues what waits, and tells what is to be said.
pub(super) async fn save_hold(
    tx: &mut Tx,
    desk: &Desk,
    mut row: HoldRow,
    said: Option<Said>,
    cause: Option<&Event>,
) -> Result<(), InventoryError> {
    queue::join(tx, desk, &mut row).await?;
    if let Some(said) = said {
        row.events += 1;
        let data = event_data(row.order, said);
        let draft = match cause {
            Some(cause) => Draft::caused_by(cause, row.events, data),
            None => Draft::new(row.events, data),
        };
        tx.publish(draft.correlated(row.order));
    }
    tx.put(row);
    Ok(())
}

fn event_data(order_id: OrderId, said: Said) -> EventData {
    match said {
        Said::Reserved { lines, expires_at } => {
            InventoryReserved { order_id, lines, expires_at }.into()
        }
        Said::PartiallyReserved { lines, expires_at } => {
            InventoryPartiallyReserved { order_id, lines, expires_at }.into()
        }
        Said::Rejected { reason, shortages } => {
            InventoryRejected { order_id, reason, shortages }.into()
        }
        Said::Allocated(lines) => InventoryAllocated { order_id, lines }.into(),
        Said::Released { lines, ended } => InventoryReleased { order_id, lines, ended }.into(),
        Said::Expired(lines) => InventoryExpired { order_id, lines }.into(),
        Said::Consumed { shipment, lines } => {
            InventoryConsumed { order_id, shipment, lines }.into()
        }
    }
}

//! Holds for owners outside Millrace: all lines or none, for a limited time.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use contracts::events::order::ShortagePolicy;
use contracts::{OrderId, OrderNumber, Sku, Timestamp};
use store::requests::Once;
use store::{Store, Tx};

use super::commands::Answer;
use super::desk::Desk;
use super::facts::levels_of;
use super::queries::{LineSupply, supplies};
use super::{queue, sweep};
use crate::domain::{Ending, Fact, Hold, HoldLine, Owner};
use crate::error::InventoryError;
use crate::store::{ItemRow, ReservationRow};

/// What an owner wants held.
#[derive(Debug, Clone)]
pub struct OwnerRequest {
    /// The owner.
    pub owner: String,
    /// SKU and units, per line.
    pub lines: Vec<(Sku, i64)>,
    /// For how long.
    pub ttl: Duration,
}

/// What an owner is answered.
#[derive(Debug, Clone)]
pub enum OwnerReply {
    /// The hold, and whether it had ended before.
    Hold(Box<ReservationRow>, bool),
    /// Too little is there of these.
    Short(Vec<LineSupply>),
}

/// Holds stock for an owner, once per key.
pub async fn reserve_owner(
    store: &Store,
    once: Once,
    request: OwnerRequest,
    encode: fn(&OwnerReply) -> Vec<u8>,
) -> Result<Answer, InventoryError> {
    store
        .transact(move |tx| {
            Box::pin(async move {
                if let Some(answer) = Answer::recall(&once, tx).await? {
                    return Ok(answer);
                }
                let reply = reserve(tx, request).await?;
                Answer::keep(&once, tx, encode(&reply)).await
            })
        })
        .await
}

/// Gives back what an owner holds, once per key.
pub async fn release_owner(
    store: &Store,
    once: Once,
    owner: String,
    reason: String,
    encode: fn(&OwnerReply) -> Vec<u8>,
) -> Result<Answer, InventoryError> {
    store
        .transact(move |tx| {
            Box::pin(async move {
                if let Some(answer) = Answer::recall(&once, tx).await? {
                    return Ok(answer);
                }
                let reply = release(tx, owner, reason).await?;
                Answer::keep(&once, tx, encode(&reply)).await
            })
        })
        .await
}

async fn reserve(tx: &mut Tx, request: OwnerRequest) -> Result<OwnerReply, InventoryError> {
    let OwnerRequest { owner, lines, ttl } = request;
    let mut desk = Desk::default();
    if let Some(due) = sweep::find_due(tx).await? {
        due.end(tx, &mut desk).await?;
    }
    tx.load::<ReservationRow>(std::slice::from_ref(&owner)).await?;
    let before = tx.get::<ReservationRow>(&owner);
    if let Some(row) = before.filter(|row| row.hold.deadline().is_some()) {
        let hold_id = row.hold_id;
        return Err(InventoryError::AlreadyHeld { owner, hold_id });
    }
    let changes = before.map_or(0, |row| row.hold.changes);
    let skus: Vec<Sku> = lines.iter().map(|(sku, _)| sku.clone()).collect();
    tx.load::<ItemRow>(&skus).await?;
    let numbered = (1..).zip(lines);
    let lines: Vec<HoldLine> = numbered
        .map(|(number, (sku, units))| {
            let level = tx.get::<ItemRow>(&sku).map(|item| item.level);
            let line = HoldLine::new(number, sku, ShortagePolicy::Reject, units);
            HoldLine { level, ..line }
        })
        .collect();
    let levels: Vec<_> = levels_of(&lines).collect();
    desk.bring(tx, &levels).await?;
    let supplies = supplies(&lines, |level| desk.levels.level(level).copied());
    let (now, owner) = (tx.now(), Arc::<str>::from(owner));
    let keeper = Owner::Outside(Arc::clone(&owner));
    let (mut hold, _) = Hold::place(keeper, lines, now.plus(ttl), &mut desk.levels)?;
    let reply = if hold.deadline().is_some() {
        hold.changes += changes;
        let hold_id = hold_id(&owner, now);
        let row = ReservationRow { owner, hold_id, hold, held_at: now };
        tx.put(row.clone());
        OwnerReply::Hold(Box::new(row), false)
    } else {
        let short = supplies.into_iter().filter(|line| line.supplied < line.requested);
        OwnerReply::Short(short.collect())
    };
    queue::fill(tx, &mut desk).await?;
    desk.save(tx).await?;
    Ok(reply)
}

async fn release(tx: &mut Tx, owner: String, reason: String) -> Result<OwnerReply, InventoryError> {
    tx.load::<ReservationRow>(std::slice::from_ref(&owner)).await?;
    let Some(mut row) = tx.get::<ReservationRow>(&owner).cloned() else {
        return Err(InventoryError::UnknownOwner(owner));
    };
    let had_ended = row.hold.deadline().is_none();
    if had_ended {
        return Ok(OwnerReply::Hold(Box::new(row), true));
    }
    let mut desk = Desk::default();
    let levels: Vec<_> = levels_of(&row.hold.lines).collect();
    desk.bring(tx, &levels).await?;
    let fact = Fact::Ended { ending: Ending::Awaited, reason: Cow::Owned(reason) };
    let (hold, _) = row.hold.accept(fact, &mut desk.levels)?;
    row.hold = hold;
    tx.put(row.clone());
    queue::fill(tx, &mut desk).await?;
    desk.save(tx).await?;
    Ok(OwnerReply::Hold(Box::new(row), false))
}

/// An id that another hold of the same owner, or of another one, does not have.
fn hold_id(owner: &str, now: Timestamp) -> OrderId {
    let hash = blake3::hash(format!("{owner}\0{}", now.as_micros()).as_bytes());
    let mut halves = hash
        .as_bytes()
        .chunks_exact(8)
        .map(|half| half.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte)));
    let (low, high) = (halves.next().unwrap_or(0), halves.next().unwrap_or(0));
    OrderId::new(now, OrderNumber::new(low), high)
}

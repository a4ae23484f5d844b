//! Ends holds whose time is over.

use contracts::Timestamp;
use store::{Store, Tx};

use super::desk::Desk;
use super::facts::{levels_of, save_hold};
use super::queue;
use crate::domain::Fact;
use crate::error::InventoryError;
use crate::store::{HoldRow, ReservationRow, due_orders, due_owners};

/// Holds ended at a time by the sweeper; what is left waits for the next turn.
const BATCH_MAX: usize = 256;

/// Ends a bounded number of due holds of orders and as many of owners outside. Returns whether there
/// may be more.
pub async fn sweep(store: &Store) -> Result<bool, InventoryError> {
    store
        .transact(move |tx| {
            Box::pin(async move {
                let mut desk = Desk::default();
                let orders = end_orders(tx, &mut desk, (Timestamp::default(), 0)).await?;
                let first = (Timestamp::default(), String::new());
                let owners = end_owners(tx, &mut desk, &first).await?;
                queue::fill(tx, &mut desk).await?;
                desk.save(tx).await?;
                Ok(orders.is_some() || owners.is_some())
            })
        })
        .await
}

/// Ends everything that is due, so that it does not count in what is decided next.
pub(super) async fn end_due(tx: &mut Tx, desk: &mut Desk) -> Result<(), InventoryError> {
    let mut orders = Some((Timestamp::default(), 0));
    while let Some(after) = orders {
        orders = end_orders(tx, desk, after).await?;
    }
    let mut owners = Some((Timestamp::default(), String::new()));
    while let Some(after) = owners {
        owners = end_owners(tx, desk, &after).await?;
    }
    desk.is_swept = true;
    Ok(())
}

/// Ends a batch of due holds of orders behind `after`; returns the last if there may be more.
async fn end_orders(
    tx: &mut Tx,
    desk: &mut Desk,
    after: (Timestamp, i64),
) -> Result<Option<(Timestamp, i64)>, InventoryError> {
    let due = due_orders(tx, after, BATCH_MAX).await?;
    let numbers: Vec<i64> = due.iter().map(|(_, number)| *number).collect();
    tx.load::<HoldRow>(&numbers).await?;
    let now = tx.now();
    for number in numbers {
        let Some(mut row) = tx.get::<HoldRow>(&number).cloned() else { continue };
        let levels: Vec<_> = levels_of(&row.hold.lines).collect();
        desk.bring(tx, &levels).await?;
        let (hold, said) = row.hold.accept(Fact::TimePassed { now }, &mut desk.levels)?;
        row.hold = hold;
        if said.is_some() {
            save_hold(tx, desk, row, said, None).await?;
        }
    }
    Ok(due.last().copied().filter(|_| due.len() == BATCH_MAX))
}

/// The same for owners outside, who are told nothing.
async fn end_owners(
    tx: &mut Tx,
    desk: &mut Desk,
    after: &(Timestamp, String),
) -> Result<Option<(Timestamp, String)>, InventoryError> {
    let due = due_owners(tx, after, BATCH_MAX).await?;
    let now = tx.now();
    for (_, owner) in &due {
        tx.load::<ReservationRow>(std::slice::from_ref(owner)).await?;
        let Some(mut row) = tx.get::<ReservationRow>(owner).cloned() else { continue };
        let levels: Vec<_> = levels_of(&row.hold.lines).collect();
        desk.bring(tx, &levels).await?;
        let (hold, said) = row.hold.accept(Fact::TimePassed { now }, &mut desk.levels)?;
        row.hold = hold;
        if said.is_some() {
            tx.put(row);
        }
    }
    Ok(due.last().cloned().filter(|_| due.len() == BATCH_MAX))
}

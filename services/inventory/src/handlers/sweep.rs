//! Ends holds whose time is over.

use contracts::Timestamp;
use store::{Store, Tx};

use super::desk::Desk;
use super::facts::{levels_of, save_hold};
use super::queue;
use crate::domain::Fact;
use crate::error::InventoryError;
use crate::store::{HoldRow, ReservationRow, due_orders, due_owners, next_order, next_owner};

/// Holds ended at a time by the sweeper; what is left waits for the next turn.
const BATCH_MAX: usize = 256;

/// Ends a bounded number of due holds of orders and as many of owners outside. Returns whether there
/// may be more.
pub async fn sweep(store: &Store) -> Result<bool, InventoryError> {
    if !store.may_be_due::<HoldRow>() && !store.may_be_due::<ReservationRow>() {
        return Ok(false);
    }
    store
        .transact(move |tx| {
            Box::pin(async move {
                let mut desk = Desk::default();
                let due = Due::look(tx, BATCH_MAX).await?;
                let is_cut_off = due.is_cut_off;
                due.end(tx, &mut desk).await?;
                queue::fill(tx, &mut desk).await?;
                desk.save(tx).await?;
                Ok(is_cut_off)
            })
        })
        .await
}

/// Finds everything that is due, to be ended before anything new is decided; `None` if nothing can
/// be. It must come before any change of the same piece of work.
pub(super) async fn find_due(tx: &mut Tx) -> Result<Option<Due>, InventoryError> {
    let now = tx.now();
    if tx.may_be_due::<HoldRow>(now) || tx.may_be_due::<ReservationRow>(now) {
        return Ok(Some(Due::look(tx, usize::MAX).await?));
    }
    Ok(None)
}

/// The holds whose time is over.
pub(super) struct Due {
    orders: Vec<i64>,
    owners: Vec<String>,
    /// The first deadlines behind them.
    next: (Option<Timestamp>, Option<Timestamp>),
    /// There may be more.
    is_cut_off: bool,
}

impl Due {
    /// Finds at most `limit` holds of orders and as many of owners outside.
    async fn look(tx: &mut Tx, limit: usize) -> Result<Self, InventoryError> {
        tx.begin_look::<HoldRow>();
        tx.begin_look::<ReservationRow>();
        let orders = due_orders(tx, limit).await?;
        let owners = due_owners(tx, limit).await?;
        let is_cut_off = orders.len() >= limit || owners.len() >= limit;
        let next = (next_order(tx).await?, next_owner(tx).await?);
        Ok(Self { orders, owners, next, is_cut_off })
    }

    /// Ends them, but for those that were saved by what was decided meanwhile.
    pub(super) async fn end(self, tx: &mut Tx, desk: &mut Desk) -> Result<(), InventoryError> {
        end_orders(tx, desk, &self.orders).await?;
        end_owners(tx, desk, &self.owners).await?;
        if !self.is_cut_off {
            tx.end_look::<HoldRow>(self.next.0);
            tx.end_look::<ReservationRow>(self.next.1);
        }
        Ok(())
    }
}

async fn end_orders(tx: &mut Tx, desk: &mut Desk, numbers: &[i64]) -> Result<(), InventoryError> {
    tx.load::<HoldRow>(numbers).await?;
    let now = tx.now();
    for number in numbers {
        let Some(mut row) = tx.get::<HoldRow>(number).cloned() else { continue };
        let levels: Vec<_> = levels_of(&row.hold.lines).collect();
        desk.bring(tx, &levels).await?;
        let (hold, said) = row.hold.accept(Fact::TimePassed { now }, &mut desk.levels)?;
        row.hold = hold;
        if said.is_some() {
            save_hold(tx, desk, row, said, None).await?;
        }
    }
    Ok(())
}

/// The same for owners outside, who are told nothing.
async fn end_owners(tx: &mut Tx, desk: &mut Desk, owners: &[String]) -> Result<(), InventoryError> {
    tx.load::<ReservationRow>(owners).await?;
    let now = tx.now();
    for owner in owners {
        let Some(mut row) = tx.get::<ReservationRow>(owner).cloned() else { continue };
        let levels: Vec<_> = levels_of(&row.hold.lines).collect();
        desk.bring(tx, &levels).await?;
        let (hold, said) = row.hold.accept(Fact::TimePassed { now }, &mut desk.levels)?;
        row.hold = hold;
        if said.is_some() {
            tx.put(row);
        }
    }
    Ok(())
}

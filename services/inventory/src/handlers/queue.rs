//! Lines that wait for stock, first come first served.

use contracts::Sku;
use store::{StoreError, Tx};

use super::desk::Desk;
use super::facts::save_hold;
use crate::domain::LevelId;
use crate::error::InventoryError;
use crate::store::{BackorderRow, HoldRow, LevelRow};

/// Gives every line of `row` that begins to wait its place at the end of its level's queue.
pub(super) async fn join(tx: &mut Tx, desk: &Desk, row: &mut HoldRow) -> Result<(), StoreError> {
    let order_number = row.order.number().as_i64();
    for line in &mut row.hold.lines {
        let Some(level) = line.level.filter(|_| line.backordered > 0 && line.ticket == 0) else {
            continue;
        };
        let ticket = tx.number::<BackorderRow>().await?;
        let Some(mut behind) = tx.get::<LevelRow>(&level.0).cloned() else { continue };
        // Where nobody else waits, what is left of the queue is void.
        let waited_before =
            desk.levels.level(level).is_some_and(|l| l.backordered > line.backordered);
        let queue = behind.queue.filter(|_| waited_before);
        if let Some((_, tail)) = queue {
            tx.load::<BackorderRow>(&[tail]).await?;
            if let Some(mut last) = tx.get::<BackorderRow>(&tail).cloned() {
                last.next = Some(ticket);
                last.version += 1;
                tx.put(last);
            }
        }
        behind.queue = Some((queue.map_or(ticket, |(head, _)| head), ticket));
        let (version, next, queued_at) = (1, None, tx.now());
        let line_number = line.line;
        tx.put(BackorderRow {
            ticket,
            version,
            level,
            order_number,
            line: line_number,
            next,
            queued_at,
        });
        tx.put(behind);
        line.ticket = ticket;
    }
    Ok(())
}

/// Gives what is available to those who wait. It ends: each round either serves units that became
/// free or leaves a void place behind.
pub(super) async fn fill(tx: &mut Tx, desk: &mut Desk) -> Result<(), InventoryError> {
    let mut place = 0;
    while let Some(slot) = desk.levels.slots().get(place) {
        place += 1;
        if slot.level.backordered > 0 && slot.level.available() > 0 {
            let (level, sku) = (slot.id, slot.sku.clone());
            fill_level(tx, desk, level, &sku).await?;
        }
    }
    Ok(())
}

async fn fill_level(
    tx: &mut Tx,
    desk: &mut Desk,
    id: LevelId,
    sku: &Sku,
) -> Result<(), InventoryError> {
    loop {
        let Some(level) = desk.levels.level(id) else { return Ok(()) };
        let available = level.available();
        let queue = tx.get::<LevelRow>(&id.0).and_then(|row| row.queue);
        if level.backordered == 0 || available <= 0 {
            return Ok(());
        }
        let Some((head, tail)) = queue else {
            tracing::error!(%sku, backordered = level.backordered, "units are awaited by nobody");
            return Ok(());
        };
        tx.load::<BackorderRow>(&[head]).await?;
        let Some(first) = tx.get::<BackorderRow>(&head).cloned() else { return Ok(()) };
        tx.load::<HoldRow>(&[first.order_number]).await?;
        let row = tx.get::<HoldRow>(&first.order_number).cloned();
        let waiting = row.and_then(|row| {
            let mut lines = row.hold.lines.iter();
            let line = lines.find(|line| line.line == first.line && line.ticket == head)?;
            Some((line.backordered, row))
        });
        let mut is_served = true;
        if let Some((awaited, mut row)) = waiting {
            let units = awaited.min(available);
            is_served = units == awaited;
            let (hold, said) = row.hold.fill(first.line, units, &mut desk.levels)?;
            row.hold = hold;
            save_hold(tx, desk, row, said, None).await?;
        }
        if is_served && let Some(mut row) = tx.get::<LevelRow>(&id.0).cloned() {
            row.queue = first.next.map(|next| (next, tail));
            tx.put(row);
        }
    }
}

//! The desk: what one piece of work has before it. Levels are brought once, changed in memory, and
//! saved once; a thousand orders for one SKU write one level and a thousand journal rows.

use contracts::events::inventory::{StockBack, StockChanged, StockLow, StockOut};
use contracts::{Draft, EventData, Sku};
use store::{StoreError, Tx};

use crate::domain::{Alert, LevelId, Levels, Slot};
use crate::store::{JournalRow, LevelRow, Tip, tip};

/// What one piece of work has before it.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// The levels.
    pub(super) levels: Levels,
}

impl Desk {
    /// Brings levels that are not here yet.
    pub(super) async fn bring(
        &mut self,
        tx: &mut Tx,
        levels: &[(LevelId, Sku)],
    ) -> Result<(), StoreError> {
        let new = levels.iter().filter(|(id, _)| !self.levels.has(*id));
        let keys: Vec<i64> = new.map(|(id, _)| id.0).collect();
        if keys.is_empty() {
            return Ok(());
        }
        tx.load::<LevelRow>(&keys).await?;
        for (id, sku) in levels {
            if let Some(row) = tx.get::<LevelRow>(&id.0) {
                self.levels.place(*id, sku, row.level);
            }
        }
        Ok(())
    }

    /// Writes the journal and the levels, and tells of each level once. Returns the first entry.
    pub(super) async fn save(self, tx: &mut Tx) -> Result<Option<JournalRow>, StoreError> {
        let (slots, entries) = self.levels.into_parts();
        let mut tips = tips(tx, &slots).await?;
        let now = tx.now();
        let mut first = None;
        for entry in entries {
            let place = entry.slot;
            let (Some(slot), Some(before)) = (slots.get(place), tips.get(place).copied()) else {
                continue;
            };
            let mut after = before;
            let is_first = first.is_none();
            let kept = &mut first;
            tx.append(|position| {
                let (row, tip) = JournalRow::chained(entry, slot.id, now, before, position);
                after = tip;
                if is_first {
                    *kept = Some(row.clone());
                }
                row
            })
            .await?;
            if let Some(tip) = tips.get_mut(place) {
                *tip = after;
            }
        }
        for (slot, tip) in slots.iter().zip(tips).filter(|(slot, _)| slot.is_changed) {
            save_level(tx, slot, tip);
        }
        Ok(first)
    }
}

/// The ends of the chains of changed levels.
async fn tips(tx: &mut Tx, slots: &[Slot]) -> Result<Vec<Tip>, StoreError> {
    let mut tips = Vec::with_capacity(slots.len());
    for slot in slots {
        let row = tx.get::<LevelRow>(&slot.id.0);
        let (known, last) = row.map_or((None, 0), |row| (row.tip, row.last_entry));
        let found = match known {
            Some(known) => known,
            None if slot.is_changed => tip(tx, last).await?,
            None => Tip::default(),
        };
        tips.push(found);
    }
    Ok(tips)
}

fn save_level(tx: &mut Tx, slot: &Slot, tip: Tip) {
    let Some(row) = tx.get::<LevelRow>(&slot.id.0) else { return };
    let mut row = row.clone();
    row.level = slot.level;
    row.last_entry = tip.position;
    row.tip = Some(tip);
    row.changed_at = tx.now();
    let before = slot.level.alert;
    row.level.alert = slot.level.alert_due();
    let mut tell = |row: &mut LevelRow, data: EventData| {
        row.events += 1;
        tx.publish(Draft::new(row.events, data));
    };
    let changed = changed(slot, &row);
    tell(&mut row, changed.into());
    for alert in alerts(before, slot, &row) {
        tell(&mut row, alert);
    }
    tx.put(row);
}

fn changed(slot: &Slot, row: &LevelRow) -> StockChanged {
    let balances = row.level.balances;
    StockChanged {
        sku: slot.sku.clone(),
        location: row.location.clone(),
        on_hand: balances.on_hand,
        held: balances.held,
        allocated: balances.allocated,
        quarantined: balances.quarantined,
        available: row.level.available(),
        version: row.level.version,
        order_id: slot.last_order,
    }
}

/// What is to be said about how much is left. From enough to nothing, low is said first where there
/// is a mark for it: who listens for low must not miss it.
fn alerts(before: Alert, slot: &Slot, row: &LevelRow) -> Vec<EventData> {
    let (sku, location) = (slot.sku.clone(), row.location.clone());
    let (available, threshold) = (row.level.available(), row.level.low_threshold);
    let low = || StockLow { sku: sku.clone(), location: location.clone(), available, threshold };
    let out = || StockOut { sku: sku.clone(), location: location.clone() };
    match (before, row.level.alert) {
        (Alert::Enough, Alert::Low) => vec![low().into()],
        (Alert::Enough, Alert::Out) if threshold > 0 => vec![low().into(), out().into()],
        (Alert::Enough | Alert::Low, Alert::Out) => vec![out().into()],
        (Alert::Low | Alert::Out, Alert::Enough) => {
            vec![StockBack { sku, location, available }.into()]
        }
        (Alert::Enough, Alert::Enough)
        | (Alert::Low, Alert::Low)
        | (Alert::Out, Alert::Low | Alert::Out) => Vec::new(),
    }
}

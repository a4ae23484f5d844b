//! Checks from the tables alone that nothing was promised twice and nothing was forged.
//!
//! Two predicates are one statement each; the others are one pass over the holds and one over the
//! journal, in pages, with sums per level and two numbers per order in memory.

use std::collections::HashMap;
use std::time::Duration;

use contracts::Sku;
use store::audit::Check;
use store::{Row, Rx, StoreError};

use crate::domain::{Balances, Hold, HoldState};
use crate::store::read::{holds_after, journal_after, levels_after, reservations_after};
use crate::store::{JournalRow, LevelRow, Tip};

/// Rows read at a time.
const PAGE: usize = 10_000;
/// A held row may be this much behind its deadline before somebody has to look.
const SWEEP_GRACE: Duration = Duration::from_mins(1);

/// Every predicate that inventory's own tables can break, in one snapshot.
pub async fn audit(rx: &mut Rx) -> Result<Vec<Check>, StoreError> {
    let mut auditor = Auditor::new();
    auditor.levels(rx).await?;
    auditor.holds(rx).await?;
    auditor.reservations(rx).await?;
    auditor.journal(rx).await?;
    auditor.sums();
    let [st1, st2, st3, st5, st6, st7, rs2, rs3, rs4, mn5, st10] = auditor.checks;
    let (st4, st9) = (one_shipment_one_entry(rx).await?, one_change_one_entry(rx).await?);
    Ok(vec![st1, st2, st3, st4, st5, st6, st7, st9, st10, rs2, rs3, rs4, mn5])
}

/// Entries that share level, kind, order and step.
const TWICE: &str = "SELECT level, kind, order_number, step\n\
                     FROM stock_journal\n\
                     WHERE order_number IS NOT NULL\n\
                     AND (kind = 7) = ($1 = 7)\n\
                     GROUP BY order_number, step, level, kind\n\
                     HAVING COUNT(*) > 1";

async fn one_shipment_one_entry(rx: &mut Rx) -> Result<Check, StoreError> {
    let states = "a shipment of an order consumes a level at most once";
    twice(rx, Check::new("ST-4", states), 7).await
}

async fn one_change_one_entry(rx: &mut Rx) -> Result<Check, StoreError> {
    let states = "a change of a hold is summed per level: at most one entry of a kind on each";
    twice(rx, Check::new("ST-9", states), 0).await
}

async fn twice(rx: &mut Rx, mut check: Check, kind: i64) -> Result<Check, StoreError> {
    let count = "SELECT COUNT(*)\n\
                 FROM stock_journal\n\
                 WHERE order_number IS NOT NULL\n\
                 AND (kind = 7) = ($1 = 7)";
    let counted = rx.query(count, &[kind.into()], |row| row.count(0)).await?;
    check.checked = counted.first().copied().unwrap_or(0);
    let name = |row: &Row<'_>| {
        let (level, kind, order, step) = (row.int(0)?, row.int(1)?, row.int(2)?, row.int(3)?);
        Ok(format!("level {level}, kind {kind}, order {order}, step {step}"))
    };
    for violator in rx.query(TWICE, &[kind.into()], name).await? {
        check.violated(violator);
    }
    Ok(check)
}

/// What is known of one level.
struct Known {
    sku: Sku,
    row: LevelRow,
    /// Sums over the holds.
    kept: Balances,
    awaited: i64,
    /// Fold of the journal.
    folded: Balances,
    sequence: u64,
    tip: Tip,
}

const ST1: usize = 0;
const ST2: usize = 1;
const ST3: usize = 2;
const ST5: usize = 3;
const ST6: usize = 4;
const ST7: usize = 5;
const RS2: usize = 6;
const RS3: usize = 7;
const RS4: usize = 8;
const MN5: usize = 9;
const ST10: usize = 10;

struct Auditor {
    checks: [Check; 11],
    levels: HashMap<i64, Known>,
    /// By order number: units held and allocated by the hold, less what the journal says.
    orders: Vec<(i64, i64)>,
}

impl Auditor {
    fn new() -> Self {
        let checks = [
            Check::new("ST-1", "no balance is below zero, and no more is promised than on hand"),
            Check::new("ST-2", "held, allocated and backordered of a level are the sums of holds"),
            Check::new("ST-3", "the balances of a level are the fold of its journal"),
            Check::new("ST-5", "entries of a level are numbered 1 to n, and the level knows n"),
            Check::new("ST-6", "no moment in the journal promised more than there was"),
            Check::new("ST-7", "every entry moves units only as its kind may"),
            Check::new("RS-2", "the journal moved for an order exactly what its hold keeps"),
            Check::new("RS-3", "no hold outlives its deadline by more than a minute"),
            Check::new("RS-4", "a hold that has ended keeps nothing"),
            Check::new("MN-5", "every entry has the hash chained over it and the one before"),
            Check::new("ST-10", "nobody waits for a unit that is available"),
        ];
        Self { checks, levels: HashMap::new(), orders: Vec::new() }
    }

    fn expect(&mut self, check: usize, holds: bool, violator: impl FnOnce() -> String) {
        if let Some(check) = self.checks.get_mut(check) {
            check.expect(holds, violator);
        }
    }

    async fn levels(&mut self, rx: &mut Rx) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = levels_after(rx, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.row.id.0;
            for view in page {
                let (sku, row) = (view.sku, view.row);
                let name = || format!("{sku}: {:?}", row.level);
                let balances = row.level.balances;
                self.expect(ST1, balances.are_sound() && balances.on_hand >= 0, name);
                let waits = row.level.backordered > 0 && row.level.available() > 0;
                self.expect(ST10, !waits, name);
                let (zero, tip) = (Balances::default(), Tip::default());
                let known =
                    Known { sku, row, kept: zero, awaited: 0, folded: zero, sequence: 0, tip };
                self.levels.insert(known.row.id.0, known);
            }
        }
    }

    async fn holds(&mut self, rx: &mut Rx) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = holds_after(rx, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.order.number().as_i64();
            for row in page {
                let number = row.order.number().as_i64();
                let kept = self.hold(rx, &row.hold, || format!("order {number}"));
                *self.order(number) = (kept.held, kept.allocated);
            }
        }
    }

    async fn reservations(&mut self, rx: &mut Rx) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let page = reservations_after(rx, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            last.owner.as_ref().clone_into(&mut after);
            for row in page {
                self.hold(rx, &row.hold, || format!("owner {}", row.owner));
            }
        }
    }

    /// Adds one hold to the sums of its levels; returns what it keeps in all.
    fn hold(&mut self, rx: &Rx, hold: &Hold, name: impl Fn() -> String) -> Balances {
        let mut kept = Balances::default();
        let mut awaited = 0;
        for line in &hold.lines {
            let units = Balances::held(line.held) + Balances::allocated(line.allocated);
            kept = kept + units;
            awaited += line.backordered;
            let level = line.level.and_then(|level| self.levels.get_mut(&level.0));
            if let Some(level) = level {
                level.kept = level.kept + units;
                level.awaited += line.backordered;
            }
        }
        let fits = match hold.state {
            HoldState::Held { .. } => kept.allocated == 0,
            HoldState::Allocated => kept.held == 0,
            HoldState::Consumed
            | HoldState::Released
            | HoldState::Expired
            | HoldState::Rejected { .. } => kept.is_zero() && awaited == 0,
        };
        self.expect(RS4, fits, || {
            format!("{} is {} and keeps {kept:?}", name(), hold.state.name())
        });
        let overdue = rx.now().minus(SWEEP_GRACE);
        let in_time = hold.deadline().is_none_or(|until| until >= overdue);
        self.expect(RS3, in_time, || format!("{}: {:?}", name(), hold.state));
        kept
    }

    fn order(&mut self, number: i64) -> &mut (i64, i64) {
        let place = usize::try_from(number).unwrap_or(0);
        if self.orders.len() <= place {
            self.orders.resize(place + 1, (0, 0));
        }
        &mut self.orders[place]
    }

    async fn journal(&mut self, rx: &mut Rx) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = journal_after(rx, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.position;
            for entry in page {
                self.entry(&entry);
            }
        }
    }

    fn entry(&mut self, entry: &JournalRow) {
        let name = || format!("entry {} of level {}", entry.position, entry.level.0);
        if let Some((number, _)) = entry.order {
            let order = self.order(number);
            order.0 -= entry.delta.held;
            order.1 -= entry.delta.allocated;
        }
        let Some(known) = self.levels.get_mut(&entry.level.0) else {
            self.expect(ST5, false, || format!("{}: there is no such level", name()));
            return;
        };
        let before = known.tip;
        let is_next = entry.sequence == known.sequence + 1;
        known.folded = known.folded + entry.delta;
        let is_sound = entry.balances.are_sound() && entry.balances == known.folded;
        known.sequence = entry.sequence;
        known.tip = entry.tip();
        let links = (entry.previous, entry.near, entry.far);
        let is_linked = links == (before.position, before.near, before.far);
        let is_hashed = entry.hash == entry.hash_after(&before.hash);
        self.expect(ST5, is_next, || format!("{} has the number {}", name(), entry.sequence));
        self.expect(ST6, is_sound, || format!("{}: {:?}", name(), entry.balances));
        self.expect(ST7, entry.kind.allows(entry.delta), || {
            format!("{}: {:?} by {:?}", name(), entry.kind, entry.delta)
        });
        self.expect(MN5, is_linked && is_hashed, name);
    }

    /// Compares what was added up with what the rows say.
    fn sums(&mut self) {
        let levels = std::mem::take(&mut self.levels);
        for known in levels.into_values() {
            let Known { sku, row, kept, awaited, folded, sequence, tip } = known;
            let balances = row.level.balances;
            let is_kept = (kept.held, kept.allocated) == (balances.held, balances.allocated);
            self.expect(ST2, is_kept && awaited == row.level.backordered, || {
                format!("{sku}: {balances:?}, the holds keep {kept:?} and await {awaited}")
            });
            self.expect(ST3, folded == balances, || {
                format!("{sku}: {balances:?}, the journal says {folded:?}")
            });
            let is_last = sequence == row.level.entries && tip.position == row.last_entry;
            self.expect(ST5, is_last, || {
                format!("{sku}: the level counts {}, the journal {sequence}", row.level.entries)
            });
        }
        for (number, rest) in std::mem::take(&mut self.orders).into_iter().enumerate().skip(1) {
            self.expect(RS2, rest == (0, 0), || {
                format!("order {number}: the hold keeps {rest:?} (held, allocated) more")
            });
        }
    }
}

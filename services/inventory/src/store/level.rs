//! Items and levels as rows.

use contracts::{Location, Sku, Timestamp};
use store::{Record, Row, Rx, StoreError, Table, Value};

use super::journal::Tip;
use crate::domain::{Alert, Balances, Level, LevelId};

/// A SKU and the level that holds its units.
#[derive(Debug, Clone)]
pub struct ItemRow {
    /// The SKU.
    pub sku: Sku,
    /// Grows with every change.
    pub version: u64,
    /// Its level.
    pub level: LevelId,
}

impl Record for ItemRow {
    type Key = Sku;
    const TABLE: Table = Table { name: "stock_items", columns: &["sku", "version", "level_id"] };
    // As many as the levels: both are needed for every line that is placed.
    const CACHE_MAX: usize = 65_536;

    fn key(&self) -> Sku {
        self.sku.clone()
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([(&self.sku).into(), self.version.into(), self.level.0.into()]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let sku = row.parsed(0, Sku::try_new)?;
        Ok(Self { sku, version: row.count(1)?, level: LevelId(row.int(2)?) })
    }
}

/// A level with what the domain does not decide about.
#[derive(Debug, Clone)]
pub struct LevelRow {
    /// The key.
    pub id: LevelId,
    /// Where.
    pub location: Location,
    /// Balances and settings.
    pub level: Level,
    /// First and last ticket of those who wait.
    pub queue: Option<(i64, i64)>,
    /// Position of the last journal entry, 0 if there is none.
    pub last_entry: i64,
    /// The end of the journal's chain, once it is known.
    pub tip: Option<Tip>,
    /// Events told of the SKU.
    pub events: u64,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// The columns, as one text for queries that join.
const COLUMNS: &[&str] = &[
    "id",
    "version",
    "location",
    "on_hand",
    "held",
    "allocated",
    "quarantined",
    "incoming",
    "safety",
    "low_threshold",
    "alert",
    "backordered",
    "queue_head",
    "queue_tail",
    "entries",
    "last_entry",
    "events",
    "changed_at",
];

pub(super) const LEVEL_COLUMNS: &str = "l.id, l.version, l.location, l.on_hand, l.held, \
     l.allocated, l.quarantined, l.incoming, l.safety, l.low_threshold, l.alert, l.backordered, \
     l.queue_head, l.queue_tail, l.entries, l.last_entry, l.events, l.changed_at";

impl LevelRow {
    /// An empty level that nothing was ever heard of.
    pub fn empty(id: LevelId, low_threshold: i64, now: Timestamp) -> Self {
        let level = Level { low_threshold, ..Level::default() };
        let (location, tip) = (Location::main(), Some(Tip::default()));
        Self { id, location, level, queue: None, last_entry: 0, tip, events: 0, changed_at: now }
    }

    fn alert(row: &Row<'_>, column: usize) -> Result<Alert, StoreError> {
        match row.int(column)? {
            0 => Ok(Alert::Enough),
            1 => Ok(Alert::Low),
            2 => Ok(Alert::Out),
            _ => Err(row.damaged(column, "no such alert")),
        }
    }
}

impl Record for LevelRow {
    type Key = i64;
    const TABLE: Table = Table { name: "stock_levels", columns: COLUMNS };
    // About 200 bytes each: 13 MB when full.
    const CACHE_MAX: usize = 65_536;

    fn key(&self) -> i64 {
        self.id.0
    }

    fn version(&self) -> u64 {
        self.level.version
    }

    fn broken_rule(&self) -> Option<&'static str> {
        let Level { balances, incoming, safety, low_threshold, backordered, .. } = self.level;
        let Balances { on_hand, held, allocated, quarantined } = balances;
        let rules = [
            (on_hand >= 0, "stock_levels_on_hand"),
            (held >= 0, "stock_levels_held"),
            (allocated >= 0, "stock_levels_allocated"),
            (quarantined >= 0, "stock_levels_quarantined"),
            (held + allocated + quarantined <= on_hand, "stock_levels_never_oversold"),
            (safety >= 0 && low_threshold >= 0 && incoming >= 0, "stock_levels_settings"),
            (backordered >= 0, "stock_levels_backordered"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, name)| name)
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        let Level { balances, incoming, safety, low_threshold, alert, .. } = self.level;
        let Balances { on_hand, held, allocated, quarantined } = balances;
        let alert = match alert {
            Alert::Enough => 0,
            Alert::Low => 1,
            Alert::Out => 2,
        };
        row.extend([
            self.id.0.into(),
            self.level.version.into(),
            (&self.location).into(),
            on_hand.into(),
            held.into(),
            allocated.into(),
            quarantined.into(),
            incoming.into(),
            safety.into(),
            low_threshold.into(),
            Value::Int(alert),
            self.level.backordered.into(),
            self.queue.map(|queue| queue.0).into(),
            self.queue.map(|queue| queue.1).into(),
            self.level.entries.into(),
            self.last_entry.into(),
            self.events.into(),
            self.changed_at.into(),
        ]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let balances = Balances {
            on_hand: row.int(3)?,
            held: row.int(4)?,
            allocated: row.int(5)?,
            quarantined: row.int(6)?,
        };
        let level = Level {
            balances,
            incoming: row.int(7)?,
            safety: row.int(8)?,
            low_threshold: row.int(9)?,
            alert: Self::alert(row, 10)?,
            backordered: row.int(11)?,
            entries: row.count(14)?,
            version: row.count(1)?,
        };
        let queue = row.opt_int(12)?.zip(row.opt_int(13)?);
        let last_entry = row.int(15)?;
        Ok(Self {
            id: LevelId(row.int(0)?),
            location: row.parsed(2, Location::try_new)?,
            level,
            queue,
            last_entry,
            tip: (last_entry == 0).then(Tip::default),
            events: row.count(16)?,
            changed_at: row.timestamp(17)?,
        })
    }
}

/// A level with its SKU, as it is shown.
#[derive(Debug, Clone)]
pub struct LevelView {
    /// The SKU.
    pub sku: Sku,
    /// The level.
    pub row: LevelRow,
}

impl LevelView {
    /// Reads the columns of [`LEVEL_COLUMNS`], then the SKU.
    pub(super) fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let sku = row.parsed(COLUMNS.len(), Sku::try_new)?;
        Ok(Self { sku, row: LevelRow::read(row)? })
    }
}

/// The level of `sku`, if inventory knows the SKU.
pub(crate) async fn level_by_sku(rx: &mut Rx, sku: &Sku) -> Result<Option<LevelView>, StoreError> {
    let select = format!(
        "SELECT {LEVEL_COLUMNS}, i.sku\n\
         FROM stock_items AS i\n\
         JOIN stock_levels AS l ON l.id = i.level_id\n\
         WHERE i.sku = $1"
    );
    Ok(rx.query(&select, &[sku.into()], LevelView::read).await?.pop())
}

/// The levels of those of `skus` that inventory knows.
pub(crate) async fn levels_by_sku(rx: &mut Rx, skus: &[Sku]) -> Result<Vec<LevelView>, StoreError> {
    let mut levels = Vec::with_capacity(skus.len());
    for sku in skus {
        levels.extend(level_by_sku(rx, sku).await?);
    }
    Ok(levels)
}

/// A page of all levels by key, behind `after`.
pub(crate) async fn levels_after(
    rx: &mut Rx,
    after: i64,
    limit: usize,
) -> Result<Vec<LevelView>, StoreError> {
    let select = format!(
        "SELECT {LEVEL_COLUMNS}, i.sku\n\
         FROM stock_levels AS l\n\
         JOIN stock_items AS i ON i.level_id = l.id\n\
         WHERE l.id > $1\n\
         ORDER BY l.id\n\
         LIMIT $2"
    );
    rx.query(&select, &[after.into(), limit.into()], LevelView::read).await
}

//! Answers questions, over snapshots of what is committed.

use contracts::events::order::ShortagePolicy;
use contracts::{Sku, Timestamp};
use store::Store;

use crate::domain::{Alert, Ask, HoldLine, Kind, Level, LevelId, supply};
use crate::error::InventoryError;
use crate::store::read::{
    JournalPage, ListQuery, as_of, journal, level_by_sku, levels_by_sku, list,
};
use crate::store::{JournalRow, JournalView, LevelView};

/// What could be supplied of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineSupply {
    /// The SKU.
    pub sku: Sku,
    /// Units asked for.
    pub requested: i64,
    /// Units that could be supplied after the lines before.
    pub supplied: i64,
    /// What could be promised in all.
    pub available: i64,
}

/// What could be supplied of `lines`, by the same rule that reserves.
pub(super) fn supplies(
    lines: &[HoldLine],
    level: impl Fn(LevelId) -> Option<Level>,
) -> Vec<LineSupply> {
    let ask = |line: &HoldLine| Ask { level: line.level, wanted: line.ordered, is_must: true };
    let asks: Vec<Ask> = lines.iter().map(ask).collect();
    let free = |id| level(id).map_or(0, |level| level.free());
    let lines = lines.iter().zip(supply(&asks, free));
    let of_line = |(line, supplied): (&HoldLine, i64)| LineSupply {
        sku: line.sku.clone(),
        requested: line.ordered,
        supplied,
        available: line.level.map_or(0, free),
    };
    lines.map(of_line).collect()
}

/// Whether lines could be supplied now. Promises nothing.
pub async fn availability(
    store: &Store,
    lines: Vec<(Sku, i64)>,
) -> Result<Vec<LineSupply>, InventoryError> {
    store
        .read(move |rx| {
            Box::pin(async move {
                let mut asked = Vec::with_capacity(lines.len());
                let mut known: Vec<(LevelId, Level)> = Vec::with_capacity(lines.len());
                for (sku, units) in lines {
                    let found = level_by_sku(rx, &sku).await?;
                    let mut line = HoldLine::new(0, sku, ShortagePolicy::Reject, units);
                    line.level = found.as_ref().map(|view| view.row.id);
                    known.extend(found.map(|view| (view.row.id, view.row.level)));
                    asked.push(line);
                }
                let level = |id| known.iter().find(|(at, _)| *at == id).map(|(_, level)| *level);
                Ok(supplies(&asked, level))
            })
        })
        .await
}

/// The level of a SKU.
pub async fn stock_of(store: &Store, sku: Sku) -> Result<LevelView, InventoryError> {
    store
        .read(move |rx| {
            Box::pin(
                async move { level_by_sku(rx, &sku).await?.ok_or(InventoryError::UnknownSku(sku)) },
            )
        })
        .await
}

/// The levels of those of `skus` that are known.
pub async fn stock_of_many(
    store: &Store,
    skus: Vec<Sku>,
) -> Result<Vec<LevelView>, InventoryError> {
    store.read(move |rx| Box::pin(async move { Ok(levels_by_sku(rx, &skus).await?) })).await
}

/// A page of levels by SKU.
#[derive(Debug, Clone, Default)]
pub struct ListPage {
    /// Go on behind this SKU; empty starts at the beginning.
    pub after: String,
    /// SKUs that begin so.
    pub prefix: String,
    /// SKUs that contain this, in any case.
    pub contains: String,
    /// Only levels at this mark or beyond.
    pub at_least: Alert,
    /// Z to A.
    pub descending: bool,
    /// Levels on the page.
    pub limit: usize,
}

/// The levels of a page, and where the next one begins if there may be one.
pub async fn list_stock(
    store: &Store,
    page: ListPage,
) -> Result<(Vec<LevelView>, Option<String>), InventoryError> {
    store
        .read(move |rx| {
            Box::pin(async move {
                let query = ListQuery {
                    after: page.after,
                    prefix: page.prefix,
                    contains: page.contains,
                    only_low: page.at_least > Alert::Enough,
                    descending: page.descending,
                    limit: page.limit,
                };
                let mut levels = list(rx, &query).await?;
                let is_full = levels.len() == page.limit;
                let next = levels.last().map(|view| view.sku.to_string()).filter(|_| is_full);
                // A level that was out and has a few units again is low, not out.
                levels.retain(|view| page.at_least < Alert::Out || view.row.level.available() <= 0);
                Ok((levels, next))
            })
        })
        .await
}

/// The last entry of a SKU's journal up to a moment, if there was one by then.
pub async fn stock_as_of(
    store: &Store,
    sku: Sku,
    at: Timestamp,
) -> Result<(LevelView, Option<JournalRow>), InventoryError> {
    store
        .read(move |rx| {
            Box::pin(async move {
                let level = level_by_sku(rx, &sku).await?.ok_or(InventoryError::UnknownSku(sku))?;
                let entry = as_of(rx, &level, at).await?;
                Ok((level, entry))
            })
        })
        .await
}

/// A page of the journal of a SKU.
#[derive(Debug, Clone)]
pub struct JournalRequest {
    /// The SKU.
    pub sku: Sku,
    /// Go on behind the entry of this sequence.
    pub after: Option<u64>,
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// Only entries of these kinds; empty for all.
    pub kinds: Vec<Kind>,
    /// Whether the earliest come first.
    pub oldest_first: bool,
    /// Entries to look at.
    pub limit: usize,
}

/// The entries of a page, and the sequence behind which the next one begins if there may be one.
pub async fn journal_of(
    store: &Store,
    request: JournalRequest,
) -> Result<(LevelView, Vec<JournalView>, Option<u64>), InventoryError> {
    store
        .read(move |rx| {
            Box::pin(async move {
                let JournalRequest { sku, after, from, to, kinds, oldest_first, limit } = request;
                let level = level_by_sku(rx, &sku).await?.ok_or(InventoryError::UnknownSku(sku))?;
                let page = JournalPage { after, from, to, oldest_first, limit };
                let mut entries = journal(rx, &level, page).await?;
                let is_full = entries.len() == limit;
                let next = entries.last().map(|view| view.row.sequence).filter(|_| is_full);
                entries.retain(|view| kinds.is_empty() || kinds.contains(&view.row.kind));
                Ok((level, entries, next))
            })
        })
        .await
}

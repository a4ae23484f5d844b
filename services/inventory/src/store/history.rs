//! The journal read beside transactions: from a level's last entry backward, over its hops.

use contracts::{OrderId, Timestamp};
use store::{Row, Rx, StoreError};

use super::journal::{JOURNAL_COLUMNS, JournalRow, missing};
use super::level::LevelView;

/// An entry with the id of the order behind it.
#[derive(Debug, Clone)]
pub struct JournalView {
    /// The entry.
    pub row: JournalRow,
    /// The order behind it.
    pub order: Option<OrderId>,
}

/// An entry that must be there, because another links to it.
async fn linked(rx: &mut Rx, position: i64) -> Result<JournalRow, StoreError> {
    let select = format!("SELECT {JOURNAL_COLUMNS}\nFROM stock_journal\nWHERE position = $1");
    let found = rx.query(&select, &[position.into()], JournalRow::read).await?.pop();
    found.ok_or_else(|| missing(position))
}

/// The last entry at or before `last` of which `wanted` is true, where `wanted` is true of every
/// entry before one of which it is true.
async fn descend(
    rx: &mut Rx,
    last: i64,
    wanted: impl Fn(&JournalRow) -> bool + Send + Sync,
) -> Result<Option<JournalRow>, StoreError> {
    if last == 0 {
        return Ok(None);
    }
    let mut at = linked(rx, last).await?;
    while !wanted(&at) {
        // The longest hop that does not go past the one that is looked for.
        let mut next = None;
        for hop in [at.far, at.near].into_iter().filter(|hop| *hop > 0) {
            let over = linked(rx, hop).await?;
            if !wanted(&over) {
                next = Some(over);
                break;
            }
        }
        at = match next {
            Some(over) => over,
            None if at.previous == 0 => return Ok(None),
            None => linked(rx, at.previous).await?,
        };
    }
    Ok(Some(at))
}

/// The last entry of a level up to the moment `at`.
pub(crate) async fn as_of(
    rx: &mut Rx,
    level: &LevelView,
    at: Timestamp,
) -> Result<Option<JournalRow>, StoreError> {
    descend(rx, level.row.last_entry, |entry| entry.at <= at).await
}

/// Which entries of a level are wanted, and in which direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JournalPage {
    /// Go on behind the entry of this sequence.
    pub(crate) after: Option<u64>,
    /// From this time on.
    pub(crate) from: Option<Timestamp>,
    /// Before this time.
    pub(crate) to: Option<Timestamp>,
    /// Whether the earliest come first.
    pub(crate) oldest_first: bool,
    /// How many entries to look at.
    pub(crate) limit: usize,
}

/// A page of a level's journal.
pub(crate) async fn journal(
    rx: &mut Rx,
    level: &LevelView,
    page: JournalPage,
) -> Result<Vec<JournalView>, StoreError> {
    let last = level.row.last_entry;
    let span = u64::try_from(page.limit).unwrap_or(u64::MAX);
    // Walk backward from the newest entry of the page, whichever way it is shown.
    let ceiling = if page.oldest_first {
        let first = match (page.after, page.from) {
            (Some(after), _) => after,
            (None, None) => 0,
            (None, Some(from)) => {
                descend(rx, last, |entry| entry.at < from).await?.map_or(0, |entry| entry.sequence)
            }
        };
        first.saturating_add(span)
    } else {
        page.after.map_or(u64::MAX, |after| after.saturating_sub(1))
    };
    let newest = descend(rx, last, |entry| {
        entry.sequence <= ceiling && page.to.is_none_or(|to| entry.at < to)
    });
    let mut at = newest.await?;
    let floor = if page.oldest_first { page.after.unwrap_or(0) } else { 0 };
    let mut found = Vec::new();
    while let Some(entry) = at {
        let is_before = page.from.is_some_and(|from| entry.at < from) || entry.sequence <= floor;
        if is_before || found.len() >= page.limit {
            break;
        }
        at = if entry.previous == 0 { None } else { Some(linked(rx, entry.previous).await?) };
        found.push(JournalView { order: order_id(rx, entry.order).await?, row: entry });
    }
    if page.oldest_first {
        found.reverse();
    }
    Ok(found)
}

async fn order_id(rx: &mut Rx, order: Option<(i64, u64)>) -> Result<Option<OrderId>, StoreError> {
    let Some((number, _)) = order else { return Ok(None) };
    let select = "SELECT order_id\nFROM stock_holds\nWHERE number = $1";
    let read = |row: &Row<'_>| row.id(0, OrderId::try_from_slice);
    Ok(rx.query(select, &[number.into()], read).await?.pop())
}

/// A page of the whole journal, in its sequence, behind `after`.
pub(crate) async fn journal_after(
    rx: &mut Rx,
    after: i64,
    limit: usize,
) -> Result<Vec<JournalRow>, StoreError> {
    let select = format!(
        "SELECT {JOURNAL_COLUMNS}\n\
         FROM stock_journal\n\
         WHERE position > $1\n\
         ORDER BY position\n\
         LIMIT $2"
    );
    rx.query(&select, &[after.into(), limit.into()], JournalRow::read).await
}

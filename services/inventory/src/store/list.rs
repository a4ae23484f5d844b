//! Lists of levels by SKU.

use store::{Rx, StoreError};

use super::level::{LEVEL_COLUMNS, LevelView};

/// Which levels are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListQuery {
    /// Go on behind this SKU; empty starts at the beginning.
    pub(crate) after: String,
    /// SKUs that begin so.
    pub(crate) prefix: String,
    /// SKUs that contain this, in any case of ASCII letters.
    pub(crate) contains: String,
    /// Only levels of which it was said that stock is low or out: exactly those at their mark.
    pub(crate) only_low: bool,
    /// Z to A.
    pub(crate) descending: bool,
    /// Levels wanted.
    pub(crate) limit: usize,
}

/// Above every SKU: the largest character.
const TOP: char = '\u{10FFFF}';

/// The levels that match, by SKU.
pub(crate) async fn list(rx: &mut Rx, query: &ListQuery) -> Result<Vec<LevelView>, StoreError> {
    let top = format!("{}{TOP}", query.prefix);
    let (from, to) = match (query.descending, query.after.is_empty()) {
        (_, true) => (query.prefix.clone(), top),
        (false, false) => (query.after.clone(), top),
        (true, false) => (query.prefix.clone(), query.after.clone()),
    };
    let pattern: String = query.contains.chars().flat_map(escaped).collect();
    let pattern = format!("%{pattern}%");
    let lowest_alert = i64::from(query.only_low);
    let order = if query.descending { "DESC" } else { "ASC" };
    // A prefix may itself be a SKU; a cursor never comes again.
    let from_is_prefix = query.descending || query.after.is_empty();
    let above = if from_is_prefix { ">=" } else { ">" };
    let select = format!(
        "SELECT {LEVEL_COLUMNS}, i.sku\n\
         FROM stock_items AS i\n\
         JOIN stock_levels AS l ON l.id = i.level_id\n\
         WHERE i.sku {above} $1\n\
         AND i.sku < $2\n\
         AND lower(i.sku) LIKE lower($3) ESCAPE '\\'\n\
         AND l.alert >= $4\n\
         ORDER BY i.sku {order}\n\
         LIMIT $5"
    );
    let values = [from.into(), to.into(), pattern.into(), lowest_alert.into(), query.limit.into()];
    rx.query(&select, &values, LevelView::read).await
}

/// A character as it stands for itself in a pattern.
fn escaped(character: char) -> impl Iterator<Item = char> {
    let escape = matches!(character, '%' | '_' | '\\').then_some('\\');
    escape.into_iter().chain([character])
}

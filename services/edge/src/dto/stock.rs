//! Stock in JSON.

use contracts_grpc::v1;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words::{CauseKind, JournalKind, Word as _};
use super::{Moment, moment, optional_text};

/// How much there is of a SKU at a location. All numbers are units.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StockLevel<'a> {
    /// The SKU.
    sku: &'a str,
    /// The location; `null` in a sum over several.
    location: Option<&'a str>,
    /// On the shelf, whatever it is promised to.
    on_hand: i64,
    /// Of these, held for a limited time.
    held: i64,
    /// Of these, allocated to paid orders.
    allocated: i64,
    /// Of these, not fit to be sold.
    quarantined: i64,
    /// Announced but not yet arrived.
    incoming: i64,
    /// Never promised to anyone.
    safety: i64,
    /// What can be promised: `onHand - held - allocated - quarantined - safety`.
    available: i64,
    /// At this many available units or fewer the stock counts as low.
    low_threshold: i64,
    /// Grows by one with every change; its entity tag. 0 in a sum over several locations.
    version: u64,
    /// When it last changed.
    updated_at: Moment,
}

impl<'a> From<&'a v1::StockLevel> for StockLevel<'a> {
    fn from(level: &'a v1::StockLevel) -> Self {
        Self {
            sku: &level.sku,
            location: optional_text(&level.location),
            on_hand: level.on_hand,
            held: level.held,
            allocated: level.allocated,
            quarantined: level.quarantined,
            incoming: level.incoming,
            safety: level.safety,
            available: level.available,
            low_threshold: level.low_threshold,
            version: level.version,
            updated_at: moment(level.updated_at.as_ref()),
        }
    }
}

/// The stock of a SKU: of its only location, or the sum over all of them, and each by itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stock<'a> {
    /// The only location's level, or the sum.
    #[serde(flatten)]
    total: StockLevel<'a>,
    /// One level for each location.
    levels: Vec<StockLevel<'a>>,
}

impl<'a> Stock<'a> {
    /// The answer, unless the service gave no stock at all; and its version, if it is about one
    /// location.
    pub(crate) fn of(stock: &'a v1::GetStockResponse) -> Option<(Self, Option<u64>)> {
        let only = match stock.levels.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        let total = StockLevel::from(only.or(stock.total.as_ref())?);
        let levels = stock.levels.iter().map(StockLevel::from).collect();
        Some((Self { total, levels }, only.map(|only| only.version)))
    }
}

/// The quantities that the journal keeps, in units: as a change or as a balance.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Quantities {
    /// On the shelf.
    on_hand: i64,
    /// Held for a limited time.
    held: i64,
    /// Allocated to paid orders.
    allocated: i64,
    /// Not fit to be sold.
    quarantined: i64,
}

fn quantities(quantities: Option<&v1::StockQuantities>) -> Quantities {
    let zero = Quantities::default();
    quantities.map_or(zero, |quantities| Quantities {
        on_hand: quantities.on_hand,
        held: quantities.held,
        allocated: quantities.allocated,
        quarantined: quantities.quarantined,
    })
}

/// The stock of a SKU as it was, computed from the journal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StockAsOf<'a> {
    /// The SKU.
    sku: &'a str,
    /// The time asked about.
    as_of: Moment,
    /// The sum over the locations.
    total: Quantities,
    /// Each location by itself.
    balances: Vec<Balance<'a>>,
}

/// What the journal held at a location.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Balance<'a> {
    /// The location.
    location: &'a str,
    /// The quantities.
    quantities: Quantities,
    /// The sequence of the last journal entry up to that time.
    sequence: u64,
}

impl<'a> StockAsOf<'a> {
    /// What the journal says of `sku` at `as_of`.
    pub(crate) fn new(sku: &'a str, as_of: Moment, stock: &'a v1::GetStockAsOfResponse) -> Self {
        let balance = |balance: &'a v1::StockBalance| Balance {
            location: &balance.location,
            quantities: quantities(balance.quantities.as_ref()),
            sequence: balance.sequence,
        };
        let balances = stock.balances.iter().map(balance).collect();
        Self { sku, as_of, total: quantities(stock.total.as_ref()), balances }
    }
}

/// One change of the stock of a SKU at a location. Entries are never changed or removed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JournalEntry<'a> {
    /// The place in the whole journal.
    position: u64,
    /// The SKU.
    sku: &'a str,
    /// The location.
    location: &'a str,
    /// The place among the entries of this SKU and location, from 1 without gaps.
    sequence: u64,
    /// What changed the stock.
    kind: JournalKind,
    /// By how much each quantity changed.
    deltas: Quantities,
    /// Each quantity afterwards.
    balances: Quantities,
    /// What stands behind the change.
    cause: Option<Cause<'a>>,
    /// Who made it.
    actor: &'a str,
    /// Why, for people.
    reason: Option<&'a str>,
    /// When it was made.
    at: Moment,
    /// The hash of this entry and the hash before it (BLAKE3).
    hash: &'a str,
    /// The lot, where lots are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    lot_id: Option<&'a str>,
}

/// What stands behind a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cause<'a> {
    /// The kind of thing.
    kind: CauseKind,
    /// Its id: an order, a document, a person.
    id: &'a str,
}

impl<'a> From<&'a v1::JournalEntry> for JournalEntry<'a> {
    fn from(entry: &'a v1::JournalEntry) -> Self {
        let cause = |cause: &'a v1::Cause| Cause { kind: CauseKind::of(cause.kind), id: &cause.id };
        Self {
            position: entry.position,
            sku: &entry.sku,
            location: &entry.location,
            sequence: entry.sequence,
            kind: JournalKind::of(entry.kind),
            deltas: quantities(entry.deltas.as_ref()),
            balances: quantities(entry.balances.as_ref()),
            cause: entry.cause.as_ref().map(cause),
            actor: &entry.actor,
            reason: optional_text(&entry.reason),
            at: moment(entry.at.as_ref()),
            hash: &entry.hash,
            lot_id: entry.lot_id.as_deref(),
        }
    }
}

/// The stock after a change, and the journal entry of the change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed<'a> {
    /// The stock afterwards.
    pub(crate) level: StockLevel<'a>,
    /// What was written; `null` if nothing had to change.
    pub(crate) entry: Option<JournalEntry<'a>>,
}

/// Adds units that arrived.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Receive {
    /// Units that arrived.
    #[schema(minimum = 1, maximum = 1_000_000, example = 100)]
    pub(crate) quantity: i64,
    /// Where they are put. Not given, the default location.
    #[schema(example = "main")]
    pub(crate) location: Option<String>,
    /// The document they came with.
    #[schema(example = "delivery note 4711")]
    pub(crate) document: Option<String>,
    /// Why, for people.
    pub(crate) reason: Option<String>,
}

/// Adds or takes away units.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Adjust {
    /// Units to add, or to take away if below zero. Promised units cannot be taken away.
    #[schema(minimum = -1_000_000, maximum = 1_000_000, example = -2)]
    pub(crate) delta: i64,
    /// Where. Not given, the default location.
    #[schema(example = "main")]
    pub(crate) location: Option<String>,
    /// Why, for people.
    #[schema(example = "broken in storage")]
    pub(crate) reason: String,
}

/// Sets the units on the shelf to a counted number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Set {
    /// The units on the shelf that the caller saw: refused if they have changed since.
    #[schema(minimum = 0, example = 100)]
    pub(crate) expected: i64,
    /// The units on the shelf from now on.
    #[schema(minimum = 0, example = 98)]
    pub(crate) new: i64,
    /// Where. Not given, the default location.
    #[schema(example = "main")]
    pub(crate) location: Option<String>,
    /// Why, for people.
    #[schema(example = "counted")]
    pub(crate) reason: String,
}

/// Changes the settings of a SKU at a location. What is not given stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StockSettings {
    /// Where. Not given, the default location.
    #[schema(example = "main")]
    pub(crate) location: Option<String>,
    /// Units never to be promised.
    #[schema(minimum = 0, example = 5)]
    pub(crate) safety: Option<i64>,
    /// Available units at which the stock counts as low.
    #[schema(minimum = 0, example = 20)]
    pub(crate) low_threshold: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(location: &str, version: u64) -> v1::StockLevel {
        v1::StockLevel {
            sku: "item1".to_owned(),
            location: location.to_owned(),
            version,
            ..v1::StockLevel::default()
        }
    }

    #[test]
    fn one_location_has_a_version_and_a_sum_over_several_has_none() {
        let one =
            v1::GetStockResponse { levels: vec![level("main", 7)], total: Some(level("", 0)) };
        let (stock, version) = Stock::of(&one).unwrap();
        assert_eq!(version, Some(7));
        let json = serde_json::to_value(&stock).unwrap();
        assert_eq!((&json["location"], &json["levels"][0]["version"]), (&"main".into(), &7.into()));

        let two = v1::GetStockResponse {
            levels: vec![level("east", 1), level("main", 7)],
            total: Some(level("", 0)),
        };
        let (stock, version) = Stock::of(&two).unwrap();
        assert_eq!(version, None);
        assert!(serde_json::to_value(&stock).unwrap()["location"].is_null());
        assert!(Stock::of(&v1::GetStockResponse::default()).is_none());
    }
}

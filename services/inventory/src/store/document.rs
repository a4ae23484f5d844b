//! The document of a hold at rest: a format byte, then postcard.

use contracts::Sku;
use contracts::events::inventory::{Shortage, StockRefusal};
use contracts::events::order::ShortagePolicy;
use serde::{Deserialize, Serialize};
use store::{Row, StoreError};

use crate::domain::{Hold, HoldLine, HoldState, LevelId, Owner};

/// The format that is written.
const FORMAT: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Document<Lines> {
    extended: bool,
    shipments: u16,
    refusal: Option<(StockRefusal, Vec<Shortage>)>,
    lines: Lines,
}

#[derive(Serialize, Deserialize)]
struct Line<S> {
    number: u16,
    sku: S,
    /// 0 if inventory does not know the SKU.
    level: i64,
    policy: ShortagePolicy,
    ordered: i64,
    held: i64,
    allocated: i64,
    backordered: i64,
    shipped: i64,
    expired: i64,
    ticket: i64,
}

/// The number that stands for a state in its column.
pub(super) const fn state_code(state: &HoldState) -> i64 {
    match state {
        HoldState::Held { .. } => 1,
        HoldState::Allocated => 2,
        HoldState::Consumed => 3,
        HoldState::Released => 4,
        HoldState::Expired => 5,
        HoldState::Rejected { .. } => 6,
    }
}

/// The lines of a hold, and what its state knows besides the deadline.
pub(super) fn encode(hold: &Hold) -> Vec<u8> {
    let lines: Vec<Line<&Sku>> = hold.lines.iter().map(line_at_rest).collect();
    let (extended, refusal) = match &hold.state {
        HoldState::Held { extended, .. } => (*extended, None),
        HoldState::Rejected { reason, shortages } => (false, Some((*reason, shortages.clone()))),
        HoldState::Allocated | HoldState::Consumed | HoldState::Released | HoldState::Expired => {
            (false, None)
        }
    };
    let document = Document { extended, shipments: hold.shipments, refusal, lines };
    let mut bytes = Vec::with_capacity(160);
    bytes.push(FORMAT);
    // Writing plain values into memory cannot fail; an empty document would be refused when read.
    postcard::to_extend(&document, bytes).unwrap_or_default()
}

fn line_at_rest(line: &HoldLine) -> Line<&Sku> {
    Line {
        number: line.line,
        sku: &line.sku,
        level: line.level.map_or(0, |level| level.0),
        policy: line.policy,
        ordered: line.ordered,
        held: line.held,
        allocated: line.allocated,
        backordered: line.backordered,
        shipped: line.shipped,
        expired: line.expired,
        ticket: line.ticket,
    }
}

fn line_in_memory(line: Line<Sku>) -> HoldLine {
    HoldLine {
        line: line.number,
        sku: line.sku,
        level: (line.level != 0).then_some(LevelId(line.level)),
        policy: line.policy,
        ordered: line.ordered,
        held: line.held,
        allocated: line.allocated,
        backordered: line.backordered,
        shipped: line.shipped,
        expired: line.expired,
        ticket: line.ticket,
    }
}

/// Where a row's version, state, deadline and document stand.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub(super) version: usize,
    pub(super) state: usize,
    pub(super) deadline: usize,
    pub(super) document: usize,
}

/// Reads a hold of `owner` from its row.
pub(super) fn decode(row: &Row<'_>, at: Columns, owner: Owner) -> Result<Hold, StoreError> {
    let bytes = row.blob(at.document)?;
    let Some((&FORMAT, bytes)) = bytes.split_first() else {
        return Err(row.damaged(at.document, "no such format"));
    };
    let document: Document<Vec<Line<Sku>>> = postcard::from_bytes(bytes)
        .map_err(|cause| row.damaged(at.document, &cause.to_string()))?;
    let Document { extended, shipments, refusal, lines } = document;
    let state = match (row.int(at.state)?, row.opt_timestamp(at.deadline)?, refusal) {
        (1, Some(until), None) => HoldState::Held { until, extended },
        (2, None, None) => HoldState::Allocated,
        (3, None, None) => HoldState::Consumed,
        (4, None, None) => HoldState::Released,
        (5, None, None) => HoldState::Expired,
        (6, None, Some((reason, shortages))) => HoldState::Rejected { reason, shortages },
        (_, _, _) => return Err(row.damaged(at.state, "state and facts do not fit")),
    };
    let lines = lines.into_iter().map(line_in_memory).collect();
    Ok(Hold { owner, state, lines, shipments, changes: row.count(at.version)? })
}

//! Shapes answers.

use std::fmt::Write as _;

use contracts::{Location, Problem, Sku};
use contracts_grpc::v1;
use prost::Message;

use crate::domain::{Balances, HoldState};
use crate::handlers::{
    Done, JournalRow, JournalView, LevelView, LineSupply, OwnerReply, ReservationRow,
};

pub(super) fn level(view: &LevelView) -> v1::StockLevel {
    let LevelView { sku, row } = view;
    let Balances { on_hand, held, allocated, quarantined } = row.level.balances;
    v1::StockLevel {
        sku: sku.to_string(),
        location: row.location.to_string(),
        on_hand,
        held,
        allocated,
        quarantined,
        incoming: row.level.incoming,
        safety: row.level.safety,
        available: row.level.available(),
        low_threshold: row.level.low_threshold,
        version: row.level.version,
        updated_at: Some(rpc::timestamp(row.changed_at)),
    }
}

pub(super) const fn quantities(balances: Balances) -> v1::StockQuantities {
    let Balances { on_hand, held, allocated, quarantined } = balances;
    v1::StockQuantities { on_hand, held, allocated, quarantined }
}

pub(super) fn entry(sku: &Sku, location: &Location, view: &JournalView) -> v1::JournalEntry {
    let row = &view.row;
    let actor = row.actor.as_deref().unwrap_or("inventory").to_owned();
    let (kind, id) = match (&row.order, &row.document) {
        (Some((number, _)), _) => {
            let id = view.order.map_or_else(|| number.to_string(), |id| id.to_string());
            (v1::CauseKind::Order, id)
        }
        (None, Some(document)) => (v1::CauseKind::Document, document.as_ref().to_owned()),
        (None, None) => (v1::CauseKind::Person, actor.clone()),
    };
    v1::JournalEntry {
        position: u64::try_from(row.position).unwrap_or(0),
        sku: sku.to_string(),
        location: location.to_string(),
        sequence: row.sequence,
        kind: row.kind.code(),
        deltas: Some(quantities(row.delta)),
        balances: Some(quantities(row.balances)),
        cause: Some(v1::Cause { kind: kind.into(), id }),
        actor,
        reason: row.reason.clone().into_owned(),
        at: Some(rpc::timestamp(row.at)),
        hash: hex(&row.hash),
        lot_id: None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

fn written(done: &Done) -> Option<v1::JournalEntry> {
    let view = |row: &JournalRow| JournalView { row: row.clone(), order: None };
    let level = &done.level;
    done.entry.as_ref().map(|row| entry(&level.sku, &level.row.location, &view(row)))
}

pub(super) fn received(done: &Done) -> Vec<u8> {
    let (level, entry) = (Some(level(&done.level)), written(done));
    v1::ReceiveStockResponse { level, entry, replayed: false }.encode_to_vec()
}

pub(super) fn adjusted(done: &Done) -> Vec<u8> {
    let (level, entry) = (Some(level(&done.level)), written(done));
    v1::AdjustStockResponse { level, entry, replayed: false }.encode_to_vec()
}

pub(super) fn set(done: &Done) -> Vec<u8> {
    let (level, entry) = (Some(level(&done.level)), written(done));
    v1::SetStockResponse { level, entry, replayed: false }.encode_to_vec()
}

pub(super) fn settings(done: &Done) -> Vec<u8> {
    let level = Some(level(&done.level));
    v1::UpdateStockSettingsResponse { level, replayed: false }.encode_to_vec()
}

pub(super) fn outcome(reply: v1::ReceiveStockResponse, replayed: bool) -> v1::ReceiveStockOutcome {
    let outcome = reply.level.map(v1::receive_stock_outcome::Outcome::Level);
    v1::ReceiveStockOutcome { outcome, replayed }
}

pub(super) fn refused(problem: Problem) -> v1::ReceiveStockOutcome {
    let errors = problem.errors.into_iter().map(|error| v1::FieldError {
        pointer: error.pointer,
        code: error.code,
        detail: error.detail,
    });
    let extra = problem.extra.into_iter().map(|(name, value)| (name, value.to_string()));
    let problem = v1::Problem {
        r#type: problem.slug,
        title: problem.title,
        status: problem.status.into(),
        detail: problem.detail,
        errors: errors.collect(),
        extra: extra.collect(),
    };
    let outcome = Some(v1::receive_stock_outcome::Outcome::Problem(problem));
    v1::ReceiveStockOutcome { outcome, replayed: false }
}

pub(super) fn supply(line: &LineSupply) -> v1::LineAvailability {
    let lost_by = if line.supplied == 0 { "nothing-available" } else { "" };
    let candidate = v1::SourcingCandidate {
        location: Location::main().to_string(),
        available: line.available,
        taken: line.supplied,
        lost_by: lost_by.to_owned(),
    };
    v1::LineAvailability {
        sku: line.sku.to_string(),
        requested: line.requested,
        supplied: line.supplied,
        candidates: vec![candidate],
    }
}

fn hold(row: &ReservationRow) -> v1::Hold {
    let (state, until) = match row.hold.state {
        HoldState::Held { until, .. } => (v1::HoldState::Held, until),
        HoldState::Allocated => (v1::HoldState::Allocated, row.held_at),
        HoldState::Consumed => (v1::HoldState::Consumed, row.held_at),
        HoldState::Expired => (v1::HoldState::Expired, row.held_at),
        HoldState::Released | HoldState::Rejected { .. } => (v1::HoldState::Released, row.held_at),
    };
    let lines = row.hold.lines.iter().map(|line| v1::StockLine {
        sku: line.sku.to_string(),
        quantity: line.ordered,
        location: Location::main().to_string(),
    });
    v1::Hold {
        hold_id: row.hold_id.to_string(),
        owner: row.owner.as_ref().to_owned(),
        state: state.into(),
        lines: lines.collect(),
        expires_at: Some(rpc::timestamp(until)),
    }
}

pub(super) fn reserved(reply: &OwnerReply) -> Vec<u8> {
    use v1::reserve_response::Outcome;
    let outcome = match reply {
        OwnerReply::Hold(row, _) => Outcome::Hold(hold(row)),
        OwnerReply::Short(lines) => {
            let lines = lines.iter().map(supply).collect();
            Outcome::Shortage(v1::Shortage { lines })
        }
    };
    v1::ReserveResponse { outcome: Some(outcome), replayed: false }.encode_to_vec()
}

pub(super) fn released(reply: &OwnerReply) -> Vec<u8> {
    let (hold, already_ended) = match reply {
        OwnerReply::Hold(row, had_ended) => (Some(hold(row)), *had_ended),
        OwnerReply::Short(_) => (None, true),
    };
    v1::ReleaseResponse { hold, already_ended, replayed: false }.encode_to_vec()
}

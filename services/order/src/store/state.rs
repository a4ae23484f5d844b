//! The state of an order at rest: the code of its status, and behind it the facts that are true in
//! that state.

use contracts::events::order::EndReason;

use super::doc::{push, take};
use crate::domain::{Cancelling, Checks, Ending, Paying, State, Status, StockAnswer};

/// A reason's kind and its words.
type Why<'b> = (EndReason, &'b str);

/// Appends `state`.
pub(super) fn push_state(mut bytes: Vec<u8>, state: &State) -> Vec<u8> {
    bytes.push(u8::try_from(state.status().code()).unwrap_or(0));
    match state {
        State::Placed(Checks { customer_accepted, stock, attempts }) => {
            let full = stock.map(|answer| answer == StockAnswer::Full);
            push(bytes, &(customer_accepted, full, attempts))
        }
        State::AwaitingDecision { offer } => push(bytes, offer),
        State::Reserved | State::Confirmed | State::Fulfilling | State::Completed => bytes,
        State::Paying(Paying { due_on_dispatch, allocated, captured }) => {
            push(bytes, &(due_on_dispatch, allocated, captured))
        }
        State::OnHold { resume, reason } => push_state(push(bytes, &&**reason), resume),
        State::Cancelling(Cancelling { ending, actor, stock_awaited, money_awaited }) => {
            let bytes = push_why(bytes, ending);
            push(bytes, &(&**actor, stock_awaited, money_awaited))
        }
        State::Rejected(ending) | State::Cancelled(ending) | State::Expired(ending) => {
            push_why(bytes, ending)
        }
    }
}

fn push_why(bytes: Vec<u8>, ending: &Ending) -> Vec<u8> {
    let why: Why<'_> = (ending.reason, &ending.detail);
    push(bytes, &why)
}

/// Reads a state.
pub(super) fn take_state(bytes: &mut &[u8]) -> Result<State, String> {
    let status = take_status(bytes)?;
    if status != Status::OnHold {
        return take_running(bytes, status);
    }
    let reason: &str = take(bytes)?;
    let resume = take_status(bytes)?;
    let resume = Box::new(take_running(bytes, resume)?);
    Ok(State::OnHold { resume, reason: reason.into() })
}

fn take_status(bytes: &mut &[u8]) -> Result<Status, String> {
    let code: u8 = take(bytes)?;
    Status::from_code(code.into()).ok_or_else(|| format!("there is no status {code}"))
}

/// Reads a state that is not on hold.
fn take_running(bytes: &mut &[u8], status: Status) -> Result<State, String> {
    Ok(match status {
        Status::Placed => {
            let (customer_accepted, full, attempts): (bool, Option<bool>, u64) = take(bytes)?;
            let answer = |full| if full { StockAnswer::Full } else { StockAnswer::Short };
            State::Placed(Checks { customer_accepted, stock: full.map(answer), attempts })
        }
        Status::AwaitingDecision => State::AwaitingDecision { offer: take(bytes)? },
        Status::Reserved => State::Reserved,
        Status::Paying => {
            let (due_on_dispatch, allocated, captured) = take(bytes)?;
            State::Paying(Paying { due_on_dispatch, allocated, captured })
        }
        Status::Confirmed => State::Confirmed,
        Status::Fulfilling => State::Fulfilling,
        Status::Completed => State::Completed,
        Status::OnHold => return Err("it is on hold twice".to_owned()),
        Status::Cancelling => {
            let ending = take_why(bytes)?;
            let (actor, stock_awaited, money_awaited): (&str, bool, bool) = take(bytes)?;
            let actor = actor.into();
            State::Cancelling(Cancelling { ending, actor, stock_awaited, money_awaited })
        }
        Status::Rejected => State::Rejected(take_why(bytes)?),
        Status::Cancelled => State::Cancelled(take_why(bytes)?),
        Status::Expired => State::Expired(take_why(bytes)?),
    })
}

fn take_why(bytes: &mut &[u8]) -> Result<Ending, String> {
    let (reason, detail): Why<'_> = take(bytes)?;
    Ok(Ending { reason, detail: detail.into() })
}

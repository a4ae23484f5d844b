//! The table is complete, and the rules hold on every path.

mod paths;
mod properties;
pub(crate) mod samples;

use std::collections::BTreeSet;

use super::*;
use samples::{cause, facts, later, states};

/// One row of the table.
type Row = (Status, FactName, Status);

/// What `fact` does to `order`: the move that it makes, if it makes one.
fn tried(order: &Order, fact: &Fact<'_>) -> Option<Row> {
    let (from, name) = (order.status(), fact.name());
    let outcome = order.clone().accept(fact, &cause(99), &Deadlines::default(), later(order));
    match outcome {
        Ok(Outcome::Moved(moved, says)) => {
            moved.check().unwrap();
            assert_eq!(moved.version, order.version + 1);
            assert_eq!(moved.events_said, order.events_said + u64::try_from(says.len()).unwrap());
            assert!(moved.history.entries.len() > order.history.entries.len());
            assert!(!from.is_terminal() || moved.status() == from, "{from:?} {fact:?}");
            Some((from, name, moved.status()))
        }
        Ok(Outcome::AlreadyApplied(same)) => {
            assert_eq!(same, *order, "{fact:?}");
            None
        }
        Err(Refusal::IllegalTransition { from: told, fact: what, .. }) => {
            assert_eq!((told, what), (from, name));
            assert!(name.heard().is_none() && name != FactName::DeadlinePassed);
            None
        }
        // The state allows it, but not for these lines.
        Err(refusal) => {
            let known = TABLE.iter().any(|row| (row.0, row.1) == (from, name));
            assert!(known || TABLE.is_empty(), "{refusal} for {fact:?} in {from:?}");
            None
        }
    }
}

#[test]
fn orders_move_as_the_table_says_and_not_otherwise() {
    let mut seen = BTreeSet::new();
    for order in states() {
        order.check().unwrap();
        seen.extend(facts().iter().filter_map(|fact| tried(&order, fact)));
    }
    let listed: BTreeSet<_> = TABLE.iter().copied().collect();
    assert_eq!(listed.len(), TABLE.len(), "a move is listed twice");
    let missing: Vec<_> = seen.difference(&listed).collect();
    let unreachable: Vec<_> = listed.difference(&seen).collect();
    assert!(missing.is_empty(), "made but not listed: {missing:?}");
    assert!(unreachable.is_empty(), "listed but never made: {unreachable:?}");
}

#[test]
fn an_event_heard_twice_changes_nothing_the_second_time() {
    for order in states() {
        for fact in facts().iter().filter(|fact| fact.name().heard().is_some()) {
            let now = later(&order);
            let deadlines = Deadlines::default();
            let Ok(Outcome::Moved(once, _)) =
                order.clone().accept(fact, &cause(99), &deadlines, now)
            else {
                continue;
            };
            let twice = once.clone().accept(fact, &cause(99), &deadlines, now);
            assert_eq!(twice, Ok(Outcome::AlreadyApplied(once)), "{fact:?}");
        }
    }
}

#[test]
fn every_open_order_has_a_deadline_or_a_person_looks_at_it() {
    for order in states() {
        let timed = order.deadline.is_some() || order.attention.is_some();
        assert_eq!(timed || order.attention.is_some(), !order.status().is_terminal() || timed);
        if order.status().is_terminal() {
            assert_eq!(order.deadline, None);
        } else {
            assert!(timed, "{:?}", order.state);
        }
    }
}

#[test]
fn what_may_be_asked_next_is_never_refused_for_the_state() {
    for order in states() {
        let actions = order.next_actions();
        for fact in &facts() {
            let Some(action) = fact.name().action() else { continue };
            let outcome =
                order.clone().accept(fact, &cause(99), &Deadlines::default(), later(&order));
            let refused = matches!(outcome, Err(Refusal::IllegalTransition { .. }));
            let offered = actions.contains(&action);
            assert!(!(offered && refused), "{action} in {:?}", order.state);
            let done = matches!(outcome, Ok(Outcome::Moved(..)));
            assert!(offered || !done, "{action} not offered in {:?}", order.state);
        }
    }
}

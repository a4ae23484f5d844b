use std::borrow::Cow;

use contracts::clock::Timestamp;
use contracts::events::inventory::StockRefusal;
use contracts::events::order::{LineUnits, ShortagePolicy};
use contracts::ids::{OrderId, OrderNumber, Sku};
use proptest::prelude::*;

use super::*;

const UNTIL: Timestamp = Timestamp::from_micros(1_000_000);
const LATER: Timestamp = Timestamp::from_micros(2_000_000);

fn sku(number: i64) -> Sku {
    Sku::try_new(&format!("item{number}")).unwrap()
}

fn order(number: u64) -> Owner {
    Owner::Order(OrderId::new(Timestamp::default(), OrderNumber::new(number), 7))
}

fn person() -> Why {
    Why { cause: Cause::Person, actor: Some("test".into()), reason: Cow::Borrowed("test") }
}

/// Levels 1, 2, 3 … with these units on hand.
fn levels(units: &[i64]) -> Levels {
    let mut levels = Levels::default();
    for (number, units) in (1..).zip(units) {
        levels.place(LevelId(number), &sku(number), Level::default());
        if *units > 0 {
            let receive = Command::Receive { units: *units };
            receive.run(LevelId(number), &mut levels, &person()).unwrap();
        }
    }
    levels
}

/// A line of `units` of level `level`; level 0 stands for a SKU that nobody knows.
fn line(number: u16, level: i64, units: i64, policy: ShortagePolicy) -> HoldLine {
    let known = (level > 0).then_some(LevelId(level));
    HoldLine { level: known, ..HoldLine::new(number, sku(level), policy, units) }
}

fn units(line: u16, level: i64, units: i64) -> LineUnits {
    LineUnits { line, sku: sku(level), units }
}

fn available(levels: &Levels, level: i64) -> i64 {
    levels.level(LevelId(level)).unwrap().available()
}

/// Per line what is held, backordered and short; `None` if the order is refused.
type Got = Option<Vec<(i64, i64, i64)>>;

fn place(on_hand: &[i64], lines: Vec<HoldLine>) -> (Got, Levels, Hold) {
    let mut levels = levels(on_hand);
    let (hold, said) = Hold::place(order(1), lines, UNTIL, &mut levels).unwrap();
    let got = match said.unwrap() {
        Said::Reserved { lines, .. } => Some(lines.iter().map(|line| (line.units, 0, 0)).collect()),
        Said::PartiallyReserved { lines, .. } => {
            Some(lines.iter().map(|line| (line.held, line.backordered, line.short)).collect())
        }
        Said::Rejected { .. } => None,
        other @ (Said::Allocated(_)
        | Said::Released { .. }
        | Said::Expired(_)
        | Said::Consumed { .. }) => panic!("{other:?}"),
    };
    (got, levels, hold)
}

#[test]
fn all_lines_of_an_order_are_decided_as_one_set() {
    use ShortagePolicy::{AllowPartial, Ask, Backorder, Reject};
    let table: [(&str, &[i64], Vec<HoldLine>, Got); 13] = [
        ("enough", &[5], vec![line(1, 1, 5, Reject)], Some(vec![(5, 0, 0)])),
        ("one too many", &[5], vec![line(1, 1, 6, Reject)], None),
        (
            "the same SKU twice, together too many",
            &[5],
            vec![line(1, 1, 3, Reject), line(2, 1, 3, Reject)],
            None,
        ),
        (
            "the same SKU twice, together enough",
            &[6],
            vec![line(1, 1, 3, Reject), line(2, 1, 3, Reject)],
            Some(vec![(3, 0, 0), (3, 0, 0)]),
        ),
        (
            "one line short refuses the other too",
            &[9, 0],
            vec![line(1, 1, 1, Reject), line(2, 2, 1, Reject)],
            None,
        ),
        ("a part", &[2], vec![line(1, 1, 5, AllowPartial)], Some(vec![(2, 0, 3)])),
        ("a part of nothing", &[0], vec![line(1, 1, 5, AllowPartial)], None),
        ("asked about nothing", &[0], vec![line(1, 1, 5, Ask)], None),
        ("asked", &[1], vec![line(1, 1, 5, Ask)], Some(vec![(1, 0, 4)])),
        ("waits for all", &[0], vec![line(1, 1, 5, Backorder)], Some(vec![(0, 5, 0)])),
        ("waits for the rest", &[2], vec![line(1, 1, 5, Backorder)], Some(vec![(2, 3, 0)])),
        (
            "what must be whole comes first",
            &[7],
            vec![line(1, 1, 5, AllowPartial), line(2, 1, 5, Reject)],
            Some(vec![(2, 0, 3), (5, 0, 0)]),
        ),
        (
            "unknown can be dropped",
            &[7],
            vec![line(1, 0, 5, AllowPartial), line(2, 1, 5, Reject)],
            Some(vec![(0, 0, 5), (5, 0, 0)]),
        ),
    ];
    for (name, on_hand, lines, expected) in table {
        let (got, levels, hold) = place(on_hand, lines);
        assert_eq!(got, expected, "{name}");
        let in_levels: i64 = levels.slots().iter().map(|slot| slot.level.balances.held).sum();
        assert_eq!(in_levels, hold.lines.iter().map(|line| line.held).sum::<i64>(), "{name}");
        let holds = levels.entries().iter().filter(|entry| entry.kind == Kind::Hold).count();
        assert!(holds <= on_hand.len(), "{name}: one entry per level");
    }
}

#[test]
fn a_refusal_names_every_sku_at_fault_once() {
    let lines = vec![
        line(1, 1, 3, ShortagePolicy::Reject),
        line(2, 1, 3, ShortagePolicy::Reject),
        line(3, 2, 1, ShortagePolicy::Reject),
        line(4, 0, 1, ShortagePolicy::Backorder),
    ];
    let (_, _, hold) = place(&[5, 9], lines);
    let HoldState::Rejected { reason, shortages } = hold.state else { panic!("{hold:?}") };
    let named = shortages.iter().map(|s| (s.sku.as_str(), s.requested, s.available));
    let named: Vec<_> = named.collect();
    assert_eq!(reason, StockRefusal::UnknownSku);
    assert_eq!(named, [("item1", 6, 5), ("item0", 1, 0)]);
}

#[test]
fn who_waits_comes_before_who_comes_later() {
    let mut levels = levels(&[1]);
    let waits = vec![line(1, 1, 4, ShortagePolicy::Backorder)];
    let (hold, _) = Hold::place(order(1), waits, UNTIL, &mut levels).unwrap();
    Command::Receive { units: 2 }.run(LevelId(1), &mut levels, &person()).unwrap();
    assert_eq!(available(&levels, 1), 2);
    let late = vec![line(1, 1, 1, ShortagePolicy::Reject)];
    let (late, _) = Hold::place(order(2), late, UNTIL, &mut levels).unwrap();
    assert!(matches!(late.state, HoldState::Rejected { .. }), "two units, three are awaited");
    let (hold, said) = hold.fill(1, 2, &mut levels).unwrap();
    assert_eq!((hold.lines[0].held, hold.lines[0].backordered), (3, 1));
    assert!(matches!(said, Some(Said::PartiallyReserved { .. })));
    assert!(hold.fill(1, 2, &mut levels).is_err(), "it waits for one");
}

/// A hold of four units of level 1 that stands in every state a hold can stand in.
fn states() -> Vec<(&'static str, Hold, Levels)> {
    let facts: [(&str, Vec<Fact>); 5] = [
        ("held", vec![]),
        ("allocated", vec![Fact::Authorized]),
        ("consumed", vec![Fact::Authorized, shipped(1, 4)]),
        ("released", vec![ended(Ending::Told)]),
        ("expired", vec![Fact::TimePassed { now: UNTIL }]),
    ];
    let mut states: Vec<_> = facts
        .into_iter()
        .map(|(name, facts)| {
            let lines = vec![line(1, 1, 4, ShortagePolicy::Reject)];
            let (_, mut levels, mut hold) = place(&[10], lines);
            for fact in facts {
                hold = hold.accept(fact, &mut levels).unwrap().0;
            }
            (name, hold, levels)
        })
        .collect();
    let (_, levels, hold) = place(&[3], vec![line(1, 1, 4, ShortagePolicy::Reject)]);
    states.push(("rejected", hold, levels));
    states
}

fn shipped(shipment: u16, count: i64) -> Fact {
    Fact::Shipped { shipment, lines: vec![units(1, 1, count)] }
}

fn ended(ending: Ending) -> Fact {
    Fact::Ended { ending, reason: Cow::Borrowed("") }
}

fn adjusted(now: i64, release: i64) -> Fact {
    let release = if release > 0 { vec![units(1, 1, release)] } else { Vec::new() };
    Fact::Adjusted { lines: vec![units(1, 1, now)], release }
}

fn facts() -> Vec<(&'static str, Fact)> {
    vec![
        ("placed", Fact::PlacedAgain),
        ("asked", Fact::AskedAgain { until: LATER }),
        ("authorized", Fact::Authorized),
        ("unknown", Fact::PaymentUnknown { until: LATER }),
        ("adjusted", adjusted(3, 1)),
        ("shipped 2", shipped(2, 2)),
        ("shipped 1 again", shipped(1, 4)),
        ("cancelling", ended(Ending::Awaited)),
        ("ended", ended(Ending::Told)),
        ("time", Fact::TimePassed { now: UNTIL }),
        ("no time", Fact::TimePassed { now: Timestamp::default() }),
    ]
}

/// The state after the fact, what was said, and held, allocated, shipped of the line.
type After = (&'static str, &'static str, (i64, i64, i64));

fn said_name(said: Option<&Said>) -> &'static str {
    match said {
        None => "",
        Some(Said::Reserved { .. }) => "reserved",
        Some(Said::PartiallyReserved { .. }) => "partially",
        Some(Said::Rejected { .. }) => "rejected",
        Some(Said::Allocated(_)) => "allocated",
        Some(Said::Released { ended: true, .. }) => "released",
        Some(Said::Released { ended: false, .. }) => "gave back",
        Some(Said::Expired(_)) => "expired",
        Some(Said::Consumed { .. }) => "consumed",
    }
}

#[expect(clippy::match_same_arms, reason = "a table: one row for each state and fact")]
fn expected(state: &str, fact: &str) -> Option<After> {
    let (held, kept, left) = ((4, 0, 0), (0, 4, 0), (0, 0, 4));
    let none = (0, 0, 0);
    Some(match (state, fact) {
        ("held", "placed" | "asked") => ("held", "reserved", held),
        ("held", "authorized") => ("allocated", "allocated", kept),
        ("held", "unknown" | "no time") => ("held", "", held),
        ("held", "adjusted") => ("held", "gave back", (3, 0, 0)),
        ("held", "cancelling" | "ended") => ("released", "released", none),
        ("held", "time") => ("expired", "expired", none),

        ("allocated", "adjusted") => ("allocated", "gave back", (0, 3, 0)),
        ("allocated", "shipped 2") => ("allocated", "consumed", (0, 2, 2)),
        ("allocated", "shipped 1 again") => ("consumed", "consumed", left),
        ("allocated", "cancelling" | "ended") => ("released", "released", none),
        ("allocated", _) => ("allocated", "", kept),

        // It shipped its shipment 1 before; a shipment 2 of nothing it has cannot be.
        ("consumed", "shipped 2") => return None,
        ("consumed", "adjusted") => ("consumed", "gave back", left),
        ("consumed", "cancelling") => ("consumed", "released", left),
        ("consumed", _) => ("consumed", "", left),

        ("released", "placed" | "asked" | "cancelling") => ("released", "released", none),
        ("released", "adjusted") => ("released", "gave back", none),

        ("expired", "placed") => ("expired", "expired", none),
        ("expired", "asked") => ("held", "reserved", held),
        ("expired", "authorized") => ("allocated", "allocated", kept),
        ("expired", "adjusted") => ("expired", "gave back", none),
        ("expired", "cancelling" | "ended") => ("released", "released", none),

        ("rejected", "placed" | "asked" | "authorized") => ("rejected", "rejected", none),
        ("rejected", "cancelling") => ("rejected", "released", none),
        ("rejected", "adjusted") => ("rejected", "gave back", none),

        // Units that are not allocated cannot have left.
        (_, "shipped 2" | "shipped 1 again") => return None,
        ("released" | "expired" | "rejected", _) => match state {
            "released" => ("released", "", none),
            "expired" => ("expired", "", none),
            _ => ("rejected", "", none),
        },
        (state, fact) => panic!("{state} + {fact} is not in the table"),
    })
}

#[test]
fn every_fact_in_every_state_does_what_the_table_says() {
    for (state, hold, levels) in states() {
        for (fact_name, fact) in facts() {
            let mut after_levels = levels.clone();
            let accepted = hold.clone().accept(fact, &mut after_levels);
            let name = format!("{state} + {fact_name}");
            let Some((to, says, counts)) = expected(state, fact_name) else {
                assert!(accepted.is_err(), "{name}");
                continue;
            };
            let (after, said) = accepted.unwrap();
            assert_eq!(after.state.name(), to, "{name}");
            assert_eq!(said_name(said.as_ref()), says, "{name}");
            let of_line = |line: &HoldLine| (line.held, line.allocated, line.shipped);
            let line = after.lines.first().map_or((0, 0, 0), of_line);
            assert_eq!(line, counts, "{name}");
            let balances = after_levels.level(LevelId(1)).unwrap().balances;
            assert_eq!((balances.held, balances.allocated), (counts.0, counts.1), "{name}");
            let is_same = said.is_none() && after.state == hold.state;
            assert_eq!(after.changes == hold.changes, is_same, "{name}: changes are counted");
        }
    }
}

#[test]
fn a_fact_heard_twice_moves_no_unit_twice() {
    for (state, hold, levels) in states() {
        for (name, fact) in facts() {
            let mut once = levels.clone();
            let Ok((first, _)) = hold.clone().accept(fact.clone(), &mut once) else { continue };
            let mut twice = once.clone();
            let (second, _) = first.clone().accept(fact, &mut twice).unwrap();
            assert_eq!(once.entries(), twice.entries(), "{state} + {name}");
            assert_eq!(
                (first.state, first.lines),
                (second.state, second.lines),
                "{state} + {name}"
            );
        }
    }
}

#[test]
fn a_hold_is_extended_once_and_never_shortened() {
    let (_, mut levels, hold) = place(&[9], vec![line(1, 1, 4, ShortagePolicy::Reject)]);
    let sooner = Fact::PaymentUnknown { until: Timestamp::default() };
    let hold = hold.accept(sooner, &mut levels).unwrap().0;
    assert_eq!(hold.state, HoldState::Held { until: UNTIL, extended: false });
    let hold = hold.accept(Fact::PaymentUnknown { until: LATER }, &mut levels).unwrap().0;
    assert_eq!(hold.state, HoldState::Held { until: LATER, extended: true });
    let much_later = Timestamp::from_micros(9_000_000);
    let hold = hold.accept(Fact::PaymentUnknown { until: much_later }, &mut levels).unwrap().0;
    assert_eq!(hold.deadline(), Some(LATER));
}

#[test]
fn paid_after_the_hold_was_lost_it_is_had_again_or_refused() {
    let lines = vec![line(1, 1, 4, ShortagePolicy::AllowPartial)];
    let (_, mut levels, hold) = place(&[9], lines);
    let expired = hold.accept(Fact::TimePassed { now: LATER }, &mut levels).unwrap().0;
    let rival = vec![line(1, 1, 6, ShortagePolicy::Reject)];
    Hold::place(order(2), rival, LATER, &mut levels).unwrap();
    // Three are left, four are paid for: a part is not what was paid.
    let (lost, said) = expired.accept(Fact::Authorized, &mut levels).unwrap();
    let is_lost = matches!(said, Some(Said::Rejected { reason: StockRefusal::Lost, ref shortages }) if shortages.len() == 1);
    assert!(is_lost, "{said:?}");
    assert!(matches!(lost.state, HoldState::Rejected { .. }));
    assert_eq!(available(&levels, 1), 3);
}

#[test]
fn an_expired_hold_asks_again_only_for_what_is_still_wanted() {
    let (_, mut levels, hold) = place(&[9], vec![line(1, 1, 4, ShortagePolicy::Reject)]);
    let hold = hold.accept(Fact::TimePassed { now: UNTIL }, &mut levels).unwrap().0;
    let hold = hold.accept(adjusted(3, 0), &mut levels).unwrap().0;
    let (_, said) = hold.accept(Fact::Authorized, &mut levels).unwrap();
    assert_eq!(said, Some(Said::Allocated(vec![units(1, 1, 3)])));
}

#[test]
fn lines_that_get_smaller_give_back_what_waits_first() {
    let lines = vec![line(1, 1, 6, ShortagePolicy::Backorder)];
    let (_, mut levels, hold) = place(&[4], lines);
    let (hold, said) = hold.accept(adjusted(3, 3), &mut levels).unwrap();
    assert_eq!(said, Some(Said::Released { lines: vec![units(1, 1, 1)], ended: false }));
    let line = &hold.lines[0];
    assert_eq!((line.ordered, line.held, line.backordered, line.ticket), (3, 3, 0, 0));
    let level = levels.level(LevelId(1)).unwrap();
    assert_eq!((level.balances.held, level.backordered, level.available()), (3, 0, 1));
    // Adjusting without anything to release only takes note of the new size.
    let (hold, said) = hold.accept(adjusted(2, 0), &mut levels).unwrap();
    assert_eq!((hold.lines[0].ordered, hold.lines[0].held, said), (2, 3, None));
}

#[test]
fn a_shipment_of_more_than_is_allocated_changes_nothing() {
    let (_, mut levels, hold) = place(&[9], vec![line(1, 1, 4, ShortagePolicy::Reject)]);
    let hold = hold.accept(Fact::Authorized, &mut levels).unwrap().0;
    let before = levels.entries().len();
    for fact in [
        shipped(1, 5),
        Fact::Shipped { shipment: 1, lines: vec![units(2, 1, 1)] },
        Fact::Shipped { shipment: 1, lines: vec![units(1, 1, 3), units(1, 1, 3)] },
    ] {
        assert!(hold.clone().accept(fact, &mut levels).is_err());
        assert_eq!(levels.entries().len(), before);
    }
}

#[test]
fn commands_do_what_the_table_says() {
    use Command::{Adjust, Receive, Set, Settings};
    // 10 on hand, 4 held.
    let settings =
        |expected_version| Settings { expected_version, safety: Some(2), low_threshold: Some(5) };
    let table = [
        (Receive { units: 5 }, Ok((15, 11))),
        (Receive { units: 0 }, Err("cannot be moved")),
        (Receive { units: Level::UNITS_MAX }, Err("at most")),
        (Adjust { delta: 3 }, Ok((13, 9))),
        (Adjust { delta: -6 }, Ok((4, 0))),
        (Adjust { delta: -7 }, Err("cannot hold 3")),
        (Adjust { delta: 0 }, Err("cannot be moved")),
        (Set { expected: 10, new: 7 }, Ok((7, 3))),
        (Set { expected: 10, new: 10 }, Ok((10, 6))),
        (Set { expected: 9, new: 7 }, Err("not 9")),
        (Set { expected: 10, new: 3 }, Err("cannot hold 3")),
        (settings(None), Ok((10, 4))),
        (settings(Some(2)), Ok((10, 4))),
        (settings(Some(1)), Err("version 2")),
    ];
    for (command, expected) in table {
        let (_, mut levels, _) = place(&[10], vec![line(1, 1, 4, ShortagePolicy::Reject)]);
        let before = levels.clone();
        let done = command.run(LevelId(1), &mut levels, &person());
        match expected {
            Ok((on_hand, left)) => {
                done.unwrap();
                let level = levels.level(LevelId(1)).unwrap();
                assert_eq!((level.balances.on_hand, level.available()), (on_hand, left));
            }
            Err(why) => {
                let refused = done.unwrap_err().to_string();
                assert!(refused.contains(why), "{command:?}: {refused}");
                assert_eq!(before.entries(), levels.entries(), "{command:?}");
                assert_eq!(before.level(LevelId(1)), levels.level(LevelId(1)), "{command:?}");
            }
        }
    }
}

#[test]
fn low_out_and_back_are_said_once_on_crossing() {
    use Alert::{Enough, Low, Out};
    let table = [
        (5, &[(9, Enough), (5, Low), (4, Low), (0, Out), (3, Out), (5, Out), (6, Enough)][..]),
        (5, &[(6, Enough), (-1, Out), (0, Out), (6, Enough), (5, Low), (6, Enough)][..]),
        (0, &[(1, Enough), (0, Out), (1, Enough), (0, Out)][..]),
    ];
    for (low_threshold, steps) in table {
        let mut level = Level { low_threshold, ..Level::default() };
        for (available, alert) in steps {
            level.balances.on_hand = *available;
            level.alert = level.alert_due();
            assert_eq!(level.alert, *alert, "{available} of {low_threshold}");
            let is_at_mark = *available <= low_threshold || *available <= 0;
            assert_eq!(level.alert != Enough, is_at_mark, "{available} of {low_threshold}");
        }
    }
}

/// What a test run does, by numbers that proptest picks.
#[derive(Debug, Clone)]
enum Step {
    Place(Vec<(i64, i64, u8)>),
    Fact(usize, u8),
    Receive(i64, i64),
    Adjust(i64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let lines = prop::collection::vec((0..4_i64, 1..9_i64, 0..4_u8), 1..5);
    prop_oneof![
        4 => lines.prop_map(Step::Place),
        4 => (0..30_usize, 0..8_u8).prop_map(|(order, fact)| Step::Fact(order, fact)),
        1 => (1..4_i64, 1..9_i64).prop_map(|(level, units)| Step::Receive(level, units)),
        1 => (1..4_i64, -9..9_i64).prop_map(|(level, units)| Step::Adjust(level, units)),
    ]
}

fn policy(number: u8) -> ShortagePolicy {
    match number {
        0 => ShortagePolicy::Reject,
        1 => ShortagePolicy::AllowPartial,
        2 => ShortagePolicy::Backorder,
        _ => ShortagePolicy::Ask,
    }
}

fn fact(hold: &Hold, number: u8) -> Fact {
    let all = hold.lines.iter().map(|line| line.units(line.allocated)).collect();
    match number {
        0 => Fact::Authorized,
        1 => Fact::TimePassed { now: LATER },
        2 => ended(Ending::Awaited),
        3 => Fact::AskedAgain { until: UNTIL },
        4 => Fact::Shipped { shipment: hold.shipments + 1, lines: all },
        5 => Fact::PaymentUnknown { until: LATER },
        6 => {
            let lines =
                hold.lines.iter().map(|line| line.units(line.ordered.div_euclid(2))).collect();
            let release = hold.lines.iter().map(|line| line.units(line.ordered)).collect();
            Fact::Adjusted { lines, release }
        }
        _ => Fact::PlacedAgain,
    }
}

fn run(step: &Step, levels: &mut Levels, holds: &mut Vec<Hold>) {
    match step {
        Step::Place(lines) => {
            let lines =
                (1..).zip(lines).map(|(n, (level, units, p))| line(n, *level, *units, policy(*p)));
            let number = u64::try_from(holds.len() + 1).unwrap();
            holds.push(Hold::place(order(number), lines.collect(), UNTIL, levels).unwrap().0);
        }
        Step::Fact(place, number) => {
            let Some(hold) = holds.get(*place).cloned() else { return };
            let before = levels.clone();
            let fact = fact(&hold, *number);
            match hold.accept(fact, levels) {
                Ok((after, _)) => holds[*place] = after,
                Err(_) => *levels = before,
            }
        }
        Step::Receive(level, units) => {
            let receive = Command::Receive { units: *units };
            receive.run(LevelId(*level), levels, &person()).unwrap();
        }
        Step::Adjust(level, delta) => {
            // A refusal must leave everything as it was; the checks below see if it does not.
            Command::Adjust { delta: *delta }.run(LevelId(*level), levels, &person()).ok();
        }
    }
}

proptest! {
    /// However orders, payments, deadlines and corrections are mixed, no unit is promised twice,
    /// every level is the fold of its journal, and every hold is backed by its levels.
    #[test]
    fn never_oversells(
        on_hand in prop::collection::vec(0..20_i64, 3),
        steps in prop::collection::vec(step(), 1..60),
        cut in 1..9_usize,
    ) {
        let mut levels = levels(&on_hand);
        let mut journal = levels.entries().to_vec();
        let mut holds = Vec::new();
        for batch in steps.chunks(cut) {
            // Each batch has a shelf of its own, as each piece of work has.
            let mut fresh = Levels::default();
            for slot in levels.slots() {
                fresh.place(slot.id, &slot.sku, slot.level);
            }
            levels = fresh;
            for step in batch {
                run(step, &mut levels, &mut holds);
            }
            journal.extend(levels.entries().iter().cloned());
        }
        for (place, slot) in levels.slots().iter().enumerate() {
            let level = slot.level;
            let entries: Vec<_> = journal.iter().filter(|entry| entry.slot == place).collect();
            let mut folded = Balances::default();
            for (number, entry) in (1..).zip(&entries) {
                folded = folded + entry.delta;
                prop_assert_eq!(entry.sequence, number);
                prop_assert_eq!(entry.balances, folded);
                prop_assert!(folded.are_sound());
                prop_assert!(entry.kind.allows(entry.delta));
            }
            prop_assert_eq!(folded, level.balances);
            let lines = || holds.iter().flat_map(|hold| &hold.lines).filter(|line| line.level == Some(slot.id));
            prop_assert_eq!(level.balances.held, lines().map(|line| line.held).sum::<i64>());
            prop_assert_eq!(level.balances.allocated, lines().map(|line| line.allocated).sum::<i64>());
            prop_assert_eq!(level.backordered, lines().map(|line| line.backordered).sum::<i64>());
        }
        for hold in &holds {
            for line in &hold.lines {
                let parts = [line.held, line.allocated, line.backordered, line.shipped, line.expired];
                prop_assert!(parts.iter().all(|units| *units >= 0), "{:?}", line);
            }
        }
    }

    /// What is supplied never exceeds what is free, however often a level is asked for.
    #[test]
    fn supply_is_bounded_by_what_is_free(
        free in prop::collection::vec(0..20_i64, 3),
        asks in prop::collection::vec((0..3_i64, 1..9_i64, any::<bool>()), 1..9),
    ) {
        let asks: Vec<Ask> = asks
            .into_iter()
            .map(|(level, wanted, is_must)| Ask { level: Some(LevelId(level)), wanted, is_must })
            .collect();
        let at = |level: LevelId| free[usize::try_from(level.0).unwrap()];
        let got = supply(&asks, at);
        for level in (0..3).map(LevelId) {
            let of_level = || asks.iter().zip(&got).filter(move |(ask, _)| ask.level == Some(level));
            let wanted: i64 = of_level().map(|(ask, _)| ask.wanted).sum();
            prop_assert_eq!(of_level().map(|(_, got)| *got).sum::<i64>(), wanted.min(at(level)));
        }
    }
}

//! The paths that people will ask about, one by one.

use contracts::EventKind;
use contracts::events::inventory::StockRefusal;

use super::samples::*;
use super::*;

/// The names of what an order said on its way.
fn steps(order: &Order) -> Vec<&'static str> {
    order.history.entries.iter().map(|entry| entry.step.name()).collect()
}

fn kinds(says: &[contracts::EventData]) -> Vec<EventKind> {
    says.iter().map(contracts::EventData::kind).collect()
}

#[test]
fn the_happy_path_is_told_step_by_step() {
    let order = walk(order_of(ShortagePolicy::Reject), &to_confirmed());
    assert_eq!(order.status(), Status::Confirmed);
    assert_eq!(order.payment_status(), PaymentStatus::Paid);
    assert_eq!(order.total(), TOTAL);
    assert_eq!(
        steps(&order),
        [
            "order.placed",
            "customer.validated",
            "inventory.reserved",
            "order.reserved",
            "payment.requested",
            "payment.authorized",
            "inventory.allocated",
            "payment.captured",
            "order.confirmed",
        ]
    );
}

#[test]
fn the_facts_of_a_payment_may_arrive_in_any_sequence() {
    let paid = [AUTHORIZED, allocated(), CAPTURED];
    for (first, second, third) in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    {
        let order = walk(order_of(ShortagePolicy::Reject), &[Fact::CustomerValidated, full()]);
        let mut order = order;
        for index in [first, second, third] {
            let cause = cause(50 + u32::try_from(index).unwrap());
            let fact: &Fact<'_> = &paid[index];
            order = match order.accept(fact, &cause, &Deadlines::default(), AT).unwrap() {
                Outcome::Moved(order, _) | Outcome::AlreadyApplied(order) => order,
            };
        }
        assert_eq!(order.status(), Status::Confirmed, "{first} {second} {third}");
        assert_eq!(order.payment_status(), PaymentStatus::Paid);
    }
}

#[test]
fn a_declined_payment_ends_in_a_cancelled_order() {
    let order = order_of(ShortagePolicy::Reject);
    let facts = [Fact::CustomerValidated, full(), Fact::PaymentRequested, DECLINED];
    let order = walk(order, &facts);
    assert_eq!(order.status(), Status::Cancelling);
    let nothing = Fact::PaymentVoided { amount: Money::zero(Currency::USD) };
    let (order, says) = tell(walk(order, &[RELEASED]), &nothing);
    assert_eq!(order.reason().unwrap().0, "payment_declined");
    assert_eq!(kinds(&says), [EventKind::OrderCancelled]);
    assert_eq!(order.payment_status(), PaymentStatus::Failed);
    assert_eq!(order.total(), TOTAL);
    assert!(order.balances.iter().all(|balance| balance.kept() == 0));
}

#[test]
fn a_shortage_is_dropped_promised_or_asked_about() {
    let dropped = order_of(ShortagePolicy::AllowPartial);
    let (order, says) = tell(walk(dropped, &[Fact::CustomerValidated]), &short());
    assert_eq!(kinds(&says), [EventKind::OrderAdjusted, EventKind::OrderReserved]);
    assert_eq!(order.total().minor(), 4_000);

    let promised = walk(order_of(ShortagePolicy::Backorder), &[Fact::CustomerValidated]);
    let (order, _) = tell(promised, &backordered());
    assert_eq!((order.status(), order.total()), (Status::Reserved, TOTAL));
    assert_eq!(order.fulfillment_status(), FulfillmentStatus::Backorder);

    let asked = walk(order_of(ShortagePolicy::Ask), &[short(), Fact::CustomerValidated]);
    assert_eq!(asked.status(), Status::AwaitingDecision);
    let amend = Fact::DecideAmend { lines: &[Units { line: 2, units: 0 }] };
    let (order, says) = tell(asked.clone(), &amend);
    let contracts::EventData::OrderAdjusted(adjusted) = &says[0] else { panic!("{says:?}") };
    assert_eq!(adjusted.release, units(&[(2, "b", 1)]));
    assert_eq!((order.status(), order.total().minor()), (Status::Reserved, 2_000));
    let amend = Fact::DecideAmend { lines: &[Units { line: 1, units: 1 }] };
    let refused = asked.accept(&amend, &cause(9), &Deadlines::default(), AT);
    assert_eq!(refused, Err(Refusal::TooMany { line: 2, asked: 3, available: 1 }));
}

#[test]
fn a_hold_that_lapsed_is_taken_again_or_the_stock_is_lost() {
    let paying = [Fact::CustomerValidated, full(), Fact::PaymentRequested, Fact::InventoryExpired];
    let order = walk(order_of(ShortagePolicy::Reject), &paying);
    assert_eq!(order.balances[0].pending(2), 2);
    let again = walk(order.clone(), &[allocated(), AUTHORIZED, CAPTURED]);
    assert_eq!((again.status(), again.hold_lapsed), (Status::Confirmed, false));
    let lost = walk(order, &[AUTHORIZED, Fact::InventoryRejected(StockRefusal::Lost)]);
    assert_eq!((lost.status(), lost.reason().unwrap().0), (Status::Cancelling, "stock_lost"));
}

#[test]
fn a_partial_cancellation_gives_back_units_and_money() {
    let order = walk(order_of(ShortagePolicy::Reject), &to_confirmed());
    let fewer = Fact::CancelLines { lines: &[Units { line: 2, units: 1 }], reason: "two will do" };
    let (order, says) = tell(order, &fewer);
    let contracts::EventData::OrderAdjusted(adjusted) = &says[0] else { panic!("{says:?}") };
    assert_eq!(adjusted.lines, units(&[(2, "b", 2)]));
    assert_eq!(adjusted.release, units(&[(2, "b", 1)]));
    assert_eq!((adjusted.total.minor(), adjusted.previous_total.minor()), (6_000, 8_000));
    let kept = Fact::PaymentRefunded { kept: Money::new(6_000, Currency::USD) };
    let (order, _) = tell(order, &kept);
    assert_eq!(order.payment_status(), PaymentStatus::PartiallyRefunded);

    let rest = [Units { line: 1, units: 2 }, Units { line: 2, units: 2 }];
    let (order, says) = tell(order, &Fact::CancelLines { lines: &rest, reason: "none will" });
    assert_eq!(kinds(&says), [EventKind::OrderCancelling]);
    assert_eq!(order.status(), Status::Cancelling);
}

#[test]
fn an_order_completes_when_its_last_open_unit_leaves() {
    let order = walk(order_of(ShortagePolicy::Reject), &to_confirmed());
    let one = Fact::Dispatch { lines: &[Units { line: 1, units: 2 }], carrier: "", tracking: "" };
    let (order, says) = tell(order, &one);
    assert_eq!(kinds(&says), [EventKind::OrderFulfilling]);
    assert_eq!(order.fulfillment_status(), FulfillmentStatus::Partial);
    let all = Fact::Dispatch { lines: &[], carrier: "", tracking: "" };
    let now = AT;
    let moved = order.accept(&all, &cause(8), &Deadlines::default(), now);
    let Ok(Outcome::Moved(order, says)) = moved else { panic!("{moved:?}") };
    assert_eq!(kinds(&says), [EventKind::OrderFulfilling, EventKind::OrderCompleted]);
    assert_eq!(order.status(), Status::Completed);
    assert_eq!(order.shipments.len(), 2);
}

#[test]
fn a_held_order_notes_what_it_hears_and_goes_on_when_resumed() {
    let hold = Fact::Hold { reason: "look at it" };
    let order = walk(order_of(ShortagePolicy::Reject), &[hold, Fact::CustomerValidated, full()]);
    assert_eq!(order.status(), Status::OnHold);
    let (order, says) = tell(order, &Fact::Resume);
    assert_eq!(kinds(&says), [EventKind::OrderResumed, EventKind::OrderReserved]);
    assert_eq!(order.status(), Status::Reserved);
}

#[test]
fn silent_checks_are_asked_again_until_the_order_expires() {
    let deadlines = Deadlines::default();
    let mut order = order_of(ShortagePolicy::Reject);
    let mut asked = 0;
    while let Some(now) = order.deadline {
        let moved = order.accept(&Fact::DeadlinePassed, &Cause::Deadline, &deadlines, now);
        let Ok(Outcome::Moved(next, says)) = moved else { panic!("{moved:?}") };
        asked +=
            kinds(&says).iter().filter(|kind| **kind == EventKind::OrderCheckRequested).count();
        order = next;
    }
    assert_eq!((order.status(), asked), (Status::Expired, 19));
    assert_eq!(order.history.changed_at(), AT.plus(deadlines.checks));
}

#[test]
fn the_history_forgets_its_oldest_entries_only() {
    let mut history = History::default();
    let entry = order_of(ShortagePolicy::Reject).history.entries[0].clone();
    for micros in 0..600 {
        history.push(Entry { at: Timestamp::from_micros(micros), ..entry.clone() });
    }
    assert_eq!((history.entries.len(), history.forgotten), (History::MAX, 100));
    assert_eq!(history.entries[0].at, Timestamp::from_micros(100));
}

//! One order in every state and substate, and every fact.

use contracts::events::customer::CustomerRefusal;
use contracts::events::inventory::{LineReservation, StockRefusal};
use contracts::events::order::LineUnits;
use contracts::events::payment::PaymentOperation;
use contracts::{EventData, EventId, Position, Quantity, Sku};

use super::*;

pub(super) const AT: Timestamp = Timestamp::from_micros(1_795_268_168_000_000);
pub(super) const TOTAL: Money = Money::new(8_000, Currency::USD);
const NOTHING: Money = Money::zero(Currency::USD);

/// The cause of a sample fact: event number `n`.
pub(super) fn cause(n: u32) -> Cause {
    Cause::Event(EventId::new(AT, 1, Position { segment: 1, index: n }))
}

/// A moment after the order's deadline.
pub(super) fn later(order: &Order) -> Timestamp {
    order.deadline.unwrap_or(AT)
}

pub(super) fn placed_line(line: u16, sku: &str, units: i64, policy: ShortagePolicy) -> PlacedLine {
    PlacedLine {
        line,
        sku: Sku::try_new(sku).unwrap(),
        name: "a product of twenty.".into(),
        quantity: Quantity::try_new(units).unwrap(),
        unit_price: Money::new(1_000 * i64::from(line), Currency::USD),
        policy,
    }
}

/// Two units of `a` at 10.00 and three of `b` at 20.00.
pub(super) fn order_of(policy: ShortagePolicy) -> Order {
    let number = OrderNumber::new(7);
    let placed = Placed {
        id: OrderId::new(AT, number, 5),
        number,
        at: AT,
        customer_id: CustomerId::try_new("OMS-Cust-001").unwrap(),
        lines: vec![placed_line(1, "a", 2, policy), placed_line(2, "b", 3, policy)],
        payment: PaymentInstruction { method: "simulated".into(), token: "approve".into() },
        channel: "api".into(),
        policy,
        request: None,
    };
    Order::place(Arc::new(placed), "alice".into(), &Deadlines::default())
}

/// Lets the facts happen, each one moving the order.
pub(super) fn walk(mut order: Order, facts: &[Fact<'_>]) -> Order {
    for (index, fact) in facts.iter().enumerate() {
        let cause = cause(u32::try_from(index).unwrap());
        match order.accept(fact, &cause, &Deadlines::default(), AT) {
            Ok(Outcome::Moved(moved, _)) => order = moved,
            other => panic!("{fact:?} did not move it: {other:?}"),
        }
    }
    order
}

/// What an order says when `fact` happens to it, and the order after that.
pub(super) fn tell(order: Order, fact: &Fact<'_>) -> (Order, Vec<EventData>) {
    let now = later(&order);
    match order.accept(fact, &cause(1_000), &Deadlines::default(), now) {
        Ok(Outcome::Moved(order, says)) => (order, says),
        other => panic!("{fact:?} did not move it: {other:?}"),
    }
}

pub(super) fn units(lines: &[(u16, &str, i64)]) -> &'static [LineUnits] {
    let sku = |text: &str| Sku::try_new(text).unwrap();
    let all = lines.iter().map(|(line, text, units)| LineUnits {
        line: *line,
        sku: sku(text),
        units: *units,
    });
    Vec::leak(all.collect())
}

pub(super) fn part(lines: &[(u16, &str, i64, i64, i64)]) -> &'static [LineReservation] {
    let all = lines.iter().map(|(line, text, held, backordered, short)| LineReservation {
        line: *line,
        sku: Sku::try_new(text).unwrap(),
        held: *held,
        backordered: *backordered,
        short: *short,
    });
    Vec::leak(all.collect())
}

pub(super) fn full() -> Fact<'static> {
    Fact::InventoryReserved(units(&[(1, "a", 2), (2, "b", 3)]))
}

pub(super) fn short() -> Fact<'static> {
    Fact::InventoryPartiallyReserved(part(&[(1, "a", 2, 0, 0), (2, "b", 1, 0, 2)]))
}

pub(super) fn backordered() -> Fact<'static> {
    Fact::InventoryPartiallyReserved(part(&[(1, "a", 2, 0, 0), (2, "b", 1, 2, 0)]))
}

pub(super) fn allocated() -> Fact<'static> {
    Fact::InventoryAllocated(units(&[(1, "a", 2), (2, "b", 3)]))
}

pub(super) const AUTHORIZED: Fact<'static> =
    Fact::PaymentAuthorized { amount: TOTAL, due_on_dispatch: false };
pub(super) const ON_TERMS: Fact<'static> =
    Fact::PaymentAuthorized { amount: TOTAL, due_on_dispatch: true };
pub(super) const CAPTURED: Fact<'static> = Fact::PaymentCaptured { amount: TOTAL };
pub(super) const DECLINED: Fact<'static> =
    Fact::PaymentDeclined { operation: PaymentOperation::Authorize, code: "no" };
pub(super) const CANCEL: Fact<'static> = Fact::Cancel { reason: "changed my mind" };
pub(super) const VOIDED: Fact<'static> = Fact::PaymentVoided { amount: TOTAL };
pub(super) const RELEASED: Fact<'static> = Fact::InventoryReleased { ended: true };
const REFUSED: Fact<'static> =
    Fact::PaymentDeclined { operation: PaymentOperation::Refund, code: "no" };
const HOLD: Fact<'static> = Fact::Hold { reason: "look at it" };
const ONE: Units = Units { line: 1, units: 1 };

/// The facts that lead to a confirmed order.
pub(super) fn to_confirmed() -> Vec<Fact<'static>> {
    let paid = [AUTHORIZED, allocated(), CAPTURED];
    let mut facts = vec![Fact::CustomerValidated, full(), Fact::PaymentRequested];
    facts.extend(paid);
    facts
}

fn ship(lines: &'static [Units]) -> Fact<'static> {
    Fact::Dispatch { lines, carrier: "post", tracking: "1" }
}

fn open_states() -> Vec<Order> {
    let order = order_of(ShortagePolicy::Backorder);
    let reserved = walk(order.clone(), &[Fact::CustomerValidated, full()]);
    let paying = walk(reserved.clone(), &[Fact::PaymentRequested]);
    let confirmed = walk(order.clone(), &to_confirmed());
    let late = walk(order.clone(), &[Fact::CustomerValidated, backordered()]);
    let late =
        walk(late, &[ON_TERMS, Fact::InventoryAllocated(units(&[(1, "a", 2), (2, "b", 1)]))]);
    let ask = order_of(ShortagePolicy::Ask);
    let asked = walk(ask.clone(), &[Fact::CustomerValidated, short()]);
    vec![
        walk(order.clone(), &[Fact::CustomerValidated]),
        walk(order.clone(), &[full()]),
        walk(order.clone(), &[full(), Fact::InventoryExpired]),
        walk(ask.clone(), &[short()]),
        walk(ask.clone(), &[Fact::CustomerValidated]),
        walk(order_of(ShortagePolicy::AllowPartial), &[short()]),
        walk(order_of(ShortagePolicy::AllowPartial), &[Fact::InventoryPartiallyReserved(&[])]),
        order.clone(),
        ask,
        walk(order.clone(), &[Fact::CustomerValidated, backordered()]),
        walk(order, &[Fact::CustomerValidated, backordered(), Fact::PaymentRequested]),
        walk(asked.clone(), &[Fact::InventoryExpired]),
        asked,
        walk(reserved.clone(), &[Fact::InventoryExpired]),
        walk(reserved.clone(), &[allocated()]),
        walk(reserved.clone(), &[allocated(), AUTHORIZED]),
        walk(reserved.clone(), &[CAPTURED]),
        walk(paying.clone(), &[AUTHORIZED]),
        walk(paying.clone(), &[ON_TERMS, Fact::InventoryExpired]),
        reserved,
        paying,
        tell(confirmed.clone(), &Fact::DeadlinePassed).0,
        walk(confirmed.clone(), &[ship(&[ONE])]),
        walk(confirmed.clone(), &[ship(&[ONE]), REFUSED]),
        walk(confirmed.clone(), &[ship(&[])]),
        confirmed,
        walk(late.clone(), &[ship(&[])]),
        late,
    ]
}

/// An order in every state.
pub(crate) fn states() -> Vec<Order> {
    let open = open_states();
    let order = order_of(ShortagePolicy::Reject);
    let cancelling = walk(order.clone(), &[CANCEL]);
    let paid = walk(order.clone(), &to_confirmed());
    let mut all: Vec<Order> = open
        .iter()
        .filter(|order| !order.status().is_terminal())
        .map(|order| walk(order.clone(), &[HOLD]))
        .collect();
    let empty = walk(
        order_of(ShortagePolicy::AllowPartial),
        &[HOLD, Fact::CustomerValidated, Fact::InventoryPartiallyReserved(&[])],
    );
    all.push(empty);
    let held = all.clone();
    all.extend(held.iter().map(|order| tell(order.clone(), &Fact::DeadlinePassed).0));
    all.extend(open);
    all.extend([
        walk(order.clone(), &[Fact::CustomerRejected(CustomerRefusal::Blocked)]),
        tell(cancelling.clone(), &Fact::DeadlinePassed).0,
        walk(cancelling.clone(), &[VOIDED]),
        walk(cancelling.clone(), &[RELEASED]),
        walk(cancelling.clone(), &[RELEASED, REFUSED]),
        walk(cancelling.clone(), &[RELEASED, VOIDED]),
        walk(paid.clone(), &[CANCEL]),
        skipped(walk(paid.clone(), &[CANCEL])),
        nearly_expired(order.clone()),
        on_terms(&order),
        walk(paid.clone(), &[CANCEL, RELEASED]),
        walk(paid.clone(), &[ship(&[]), REFUSED]),
        walk(paid, &[CANCEL, RELEASED, Fact::PaymentRefunded { kept: NOTHING }]),
        cancelling,
        expired(order),
    ]);
    all
}

/// Cancelled by a person who did not wait for the money to come back.
fn skipped(cancelling: Order) -> Order {
    let flagged = tell(cancelling, &Fact::DeadlinePassed).0;
    walk(flagged, &[attention(AttentionAction::Skip)])
}

/// Placed, and the checks have been asked for the last time.
fn nearly_expired(mut order: Order) -> Order {
    let last = AT.plus(Deadlines::default().checks);
    while order.deadline < Some(last) {
        order = tell(order, &Fact::DeadlinePassed).0;
    }
    order
}

/// Completed, with the money still due.
fn on_terms(order: &Order) -> Order {
    let confirmed = [Fact::CustomerValidated, full(), ON_TERMS, allocated()];
    walk(walk(order.clone(), &confirmed), &[ship(&[])])
}

fn expired(order: Order) -> Order {
    let now = AT.plus(Deadlines::default().checks);
    match order.accept(&Fact::DeadlinePassed, &Cause::Deadline, &Deadlines::default(), now) {
        Ok(Outcome::Moved(order, _)) => order,
        other => panic!("{other:?}"),
    }
}

const fn attention(action: AttentionAction) -> Fact<'static> {
    Fact::Attention { action, reason: "seen" }
}

/// Every fact, with what it can carry.
pub(super) fn facts() -> Vec<Fact<'static>> {
    let mut all = FACTS.to_vec();
    all.extend([full(), short(), backordered(), allocated()]);
    all
}

static FACTS: &[Fact<'static>] = &[
    Fact::CustomerValidated,
    Fact::CustomerRejected(CustomerRefusal::Unknown),
    Fact::CustomerRejected(CustomerRefusal::CreditExceeded),
    Fact::InventoryReserved(&[]),
    Fact::InventoryPartiallyReserved(&[]),
    Fact::InventoryRejected(StockRefusal::Insufficient),
    Fact::InventoryRejected(StockRefusal::UnknownSku),
    Fact::InventoryRejected(StockRefusal::Lost),
    Fact::InventoryAllocated(&[]),
    Fact::InventoryReleased { ended: true },
    Fact::InventoryReleased { ended: false },
    Fact::InventoryExpired,
    Fact::InventoryConsumed,
    Fact::PaymentRequested,
    AUTHORIZED,
    ON_TERMS,
    CAPTURED,
    DECLINED,
    REFUSED,
    Fact::PaymentUnknown,
    VOIDED,
    Fact::PaymentVoided { amount: NOTHING },
    Fact::PaymentRefunded { kept: NOTHING },
    Fact::PaymentRefunded { kept: Money::new(1, Currency::USD) },
    Fact::DeadlinePassed,
    CANCEL,
    Fact::CancelLines { lines: &[ONE], reason: "too many" },
    Fact::CancelLines { lines: &[Units { line: 1, units: 2 }], reason: "too many" },
    Fact::CancelLines {
        lines: &[Units { line: 1, units: 2 }, Units { line: 2, units: 3 }],
        reason: "too many",
    },
    Fact::CancelLines { lines: &[ONE, Units { line: 2, units: 3 }], reason: "too many" },
    Fact::CancelLines { lines: &[Units { line: 2, units: 2 }], reason: "too many" },
    Fact::DecideAccept,
    Fact::DecideAmend { lines: &[Units { line: 2, units: 1 }] },
    Fact::DecideAmend { lines: &[Units { line: 1, units: 0 }, Units { line: 2, units: 0 }] },
    Fact::DecideCancel { reason: "no" },
    Fact::Dispatch { lines: &[], carrier: "", tracking: "" },
    Fact::Dispatch { lines: &[ONE], carrier: "", tracking: "" },
    Fact::Hold { reason: "look at it" },
    Fact::Resume,
    attention(AttentionAction::Retry),
    attention(AttentionAction::Skip),
    attention(AttentionAction::Force),
];

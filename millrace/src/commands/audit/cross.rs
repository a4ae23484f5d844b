//! The predicates between services: what order, inventory, payment and the log say of the same
//! order must be one story. One pass over the orders, with their holds and payments beside them.

use std::collections::HashMap;

use contracts::{Sku, Topic};
use inventory::domain::HoldState;
use inventory::store::HoldRow;
use order::domain::{Order, Status};
use store::audit::Check;
use store::{Row, Rx, StoreError};

use super::log::{Log, Trace};
use super::page::{self, Money, Page};

/// Units that came in or were written off, by SKU. Kind 7 is what was dispatched.
const CAME_IN: &str = "SELECT stock_items.sku, SUM(stock_journal.d_on_hand) \
    FROM stock_journal JOIN stock_items ON stock_items.level_id = stock_journal.level \
    WHERE stock_journal.kind <> 7 GROUP BY stock_journal.level, stock_items.sku";

/// Holds that still keep something are in state 1 or 2.
const HOLDS_WITHOUT_ORDER: &str = "SELECT stock_holds.number FROM stock_holds \
    LEFT JOIN orders ON orders.number = stock_holds.number \
    WHERE orders.number IS NULL AND stock_holds.state IN (1, 2)";

/// Entries of kind 4 stand for request keys.
const KEYS_WITHOUT_ORDER: &str = "SELECT order_index.number FROM order_index \
    LEFT JOIN orders ON orders.number = order_index.number \
    WHERE order_index.kind = 4 AND orders.request_key IS NULL";

/// What tells of itself: its topic, and how many events it counts. The version of a product or a
/// customer grows with every event.
const TELLERS: [(&str, Topic, &str); 3] = [
    (
        "level",
        Topic::Stock,
        "SELECT stock_items.sku, SUM(stock_levels.events) \
         FROM stock_levels JOIN stock_items ON stock_items.level_id = stock_levels.id \
         GROUP BY stock_items.sku",
    ),
    ("product", Topic::Product, "SELECT sku, version FROM products"),
    ("customer", Topic::Customer, "SELECT customer_id, version FROM customers"),
];

/// Checks what only several services together can break.
pub(super) async fn check(rx: &mut Rx, log: &Log) -> Result<Vec<Check>, StoreError> {
    let mut cross = Cross::new(log);
    let mut after = 0;
    loop {
        let page = page::read(rx, after).await?;
        let Some(last) = page.last else { break };
        after = last;
        cross.page(&page);
    }
    cross.holds_without_order(rx).await?;
    cross.tellers(rx).await?;
    cross.orders_of_log();
    let keys = keys(rx).await?;
    let sold = cross.sold_existed(rx).await?;
    let Cross { allocated, dispatched, leaks, paid, repaid, one_end, counters, stored, .. } = cross;
    Ok(vec![sold, allocated, dispatched, leaks, paid, repaid, one_end, keys, counters, stored])
}

/// Whether an order that ended gives everything back.
const fn is_undone(status: Status) -> bool {
    matches!(status, Status::Rejected | Status::Cancelled | Status::Expired)
}

/// Whether an order is paid and its units belong to it.
const fn is_sold(status: Status) -> bool {
    matches!(status, Status::Confirmed | Status::Fulfilling | Status::Completed)
}

struct Cross<'l> {
    log: &'l Log,
    /// Units that belong to sold orders or left with them.
    sold: HashMap<Sku, i64>,
    /// By number: whether there is such an order.
    exists: Vec<bool>,
    allocated: Check,
    dispatched: Check,
    leaks: Check,
    paid: Check,
    repaid: Check,
    one_end: Check,
    counters: Check,
    stored: Check,
}

impl<'l> Cross<'l> {
    fn new(log: &'l Log) -> Self {
        Self {
            log,
            sold: HashMap::new(),
            exists: Vec::new(),
            stored: log.stored.clone(),
            allocated: Check::new(
                "RS-5",
                "the hold of a confirmed order is allocated and covers its lines exactly",
            ),
            dispatched: Check::new(
                "RS-6",
                "what an order says was dispatched, its hold has consumed, line by line",
            ),
            leaks: Check::new(
                "RS-8",
                "no stock is kept for an order that has ended or does not exist",
            ),
            paid: Check::new(
                "OR-5",
                "a confirmed order is paid exactly: captured is its total, or due on dispatch",
            ),
            repaid: Check::new(
                "OR-6",
                "of an order that was rejected, cancelled or expired no money is kept or reserved",
            ),
            one_end: Check::new("OR-7", "no order is both sold and cancelled"),
            counters: Check::new(
                "OB-1",
                "orders, holds, levels, products and customers count as many events as the log has of them",
            ),
        }
    }

    fn page(&mut self, page: &Page) {
        for number in &page.numbers {
            let index = usize::try_from(*number).unwrap_or(0);
            self.exists.resize(self.exists.len().max(index.saturating_add(1)), false);
            self.exists[index] = true;
        }
        for order in &page.orders {
            let number = page::number(order);
            let trace = self.log.order(number);
            let (hold, money) = (page.holds.get(&number), page.payments.get(&number));
            self.count_events(order, hold, trace);
            self.add_sold(order);
            self.check_end(order, trace);
            // An order whose events are on the way is not one story yet.
            if trace.is_none_or(Trace::is_settled) {
                self.check_stock(order, hold);
                self.check_money(order, money, trace);
            }
        }
    }

    fn orders_of_log(&mut self) {
        for (number, id) in self.log.orders() {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            let exists = self.exists.get(index).copied().unwrap_or(false);
            self.stored.expect(exists, || format!("{id}: there is no order {number}"));
        }
    }

    fn count_events(&mut self, order: &Order, hold: Option<&HoldRow>, trace: Option<&Trace>) {
        if let Some(id) = trace.and_then(|trace| trace.id)
            && id != order.placed.id
        {
            self.stored.violated(format!("{}: the log knows its number as {id}", name(order)));
        }
        let said = order.events_said;
        self.counters.expect(self.log.has_said(trace, Topic::Order, said), || {
            format!("order {}: it counts {said} events", name(order))
        });
        let Some(hold) = hold else { return };
        let said = hold.events;
        self.counters.expect(self.log.has_said(trace, Topic::Reservation, said), || {
            format!("hold {}: it counts {said} events", name(order))
        });
    }

    fn add_sold(&mut self, order: &Order) {
        if !is_sold(order.status()) {
            return;
        }
        for (line, balance) in order.lines() {
            let units = balance.allocated.saturating_add(balance.shipped);
            if let Some(sold) = self.sold.get_mut(&line.sku) {
                *sold = sold.saturating_add(units);
            } else {
                self.sold.insert(line.sku.clone(), units);
            }
        }
    }

    fn check_end(&mut self, order: &Order, trace: Option<&Trace>) {
        let status = order.status();
        let shipped = order.balances.iter().any(|balance| balance.shipped > 0);
        let both = (is_sold(status) && trace.is_some_and(|trace| trace.ended_badly))
            || (is_undone(status) && shipped);
        self.one_end.expect(!both, || format!("{} is {}", name(order), status.name()));
    }

    fn check_stock(&mut self, order: &Order, hold: Option<&HoldRow>) {
        let status = order.status();
        if is_sold(status) {
            let is_allocated = hold.is_some_and(|hold| {
                let is_allocated =
                    matches!(hold.hold.state, HoldState::Allocated | HoldState::Consumed);
                is_allocated && covers(order, hold)
            });
            self.allocated.expect(is_allocated, || story(order, hold));
            let is_consumed = hold.is_some_and(|hold| has_consumed(order, hold));
            self.dispatched.expect(is_consumed, || story(order, hold));
        }
        if is_undone(status) {
            self.leaks.expect(hold.is_none_or(|hold| kept(hold) == 0), || story(order, hold));
        }
    }

    fn check_money(&mut self, order: &Order, money: Option<&Money>, trace: Option<&Trace>) {
        let status = order.status();
        if money.is_some_and(|money| money.is_open) {
            return;
        }
        let say = || format!("{} is {}, its payment {money:?}", name(order), status.name());
        if is_sold(status) {
            let may_be_due =
                self.log.is_damaged() || trace.is_some_and(|trace| trace.due_on_dispatch);
            let total = order.total().minor();
            let is_paid = money.is_some_and(|money| {
                let is_due = may_be_due && money.captured == 0 && money.authorized >= total;
                money.kept() == total || is_due
            });
            self.paid.expect(is_paid, say);
        }
        if is_undone(status) {
            let is_free = money.is_none_or(|money| {
                let is_reserved =
                    ["authorized", "requested", "unknown"].contains(&money.state.as_str());
                money.kept() == 0 && !is_reserved
            });
            self.repaid.expect(is_free, say);
        }
    }

    async fn holds_without_order(&mut self, rx: &mut Rx) -> Result<(), StoreError> {
        for number in rx.query(HOLDS_WITHOUT_ORDER, &[], |row| row.int(0)).await? {
            self.leaks.expect(false, || format!("{number}: there is no such order"));
        }
        Ok(())
    }

    /// Levels, products and customers tell of themselves, under their own names.
    async fn tellers(&mut self, rx: &mut Rx) -> Result<(), StoreError> {
        for (what, topic, select) in TELLERS {
            let read = |row: &Row<'_>| Ok((row.text(0)?.to_owned(), row.count(1)?));
            for (key, said) in rx.query(select, &[], read).await? {
                self.counters.expect(self.log.has_said_of(topic, &key, said), || {
                    format!("{what} {key}: it counts {said} events")
                });
            }
        }
        Ok(())
    }

    async fn sold_existed(&mut self, rx: &mut Rx) -> Result<Check, StoreError> {
        let states = "no more units of a SKU belong to sold orders than ever came in";
        let mut check = Check::new("ST-8", states);
        let read = |row: &Row<'_>| Ok((row.text(0)?.to_owned(), row.int(1)?));
        let came_in: HashMap<_, _> = rx.query(CAME_IN, &[], read).await?.into_iter().collect();
        for (sku, sold) in std::mem::take(&mut self.sold) {
            let units = came_in.get(sku.as_str()).copied().unwrap_or(0);
            check.expect(sold <= units, || format!("{sku}: {sold} sold of {units}"));
        }
        Ok(check)
    }
}

async fn keys(rx: &mut Rx) -> Result<Check, StoreError> {
    let mut check = Check::new("IK-1", "every request key that is found stands for a stored order");
    let count = "SELECT COUNT(*) FROM order_index WHERE kind = 4";
    check.checked = rx.query(count, &[], |row| row.count(0)).await?.pop().unwrap_or(0);
    for number in rx.query(KEYS_WITHOUT_ORDER, &[], |row| row.int(0)).await? {
        check.violated(format!("order {number} is not stored, or has no key"));
    }
    Ok(check)
}

fn name(order: &Order) -> String {
    format!("{} ({})", order.placed.number, order.placed.id)
}

fn story(order: &Order, hold: Option<&HoldRow>) -> String {
    let status = order.status().name();
    match hold {
        Some(hold) => {
            let lines: Vec<_> =
                hold.hold.lines.iter().map(|line| (line.allocated, line.shipped)).collect();
            let state = hold.hold.state.name();
            format!("{} is {status}, its hold {state}, lines {lines:?}", name(order))
        }
        None => format!("{} is {status} and has no hold", name(order)),
    }
}

/// Whether the hold keeps for each line what the order says belongs to it or is promised.
fn covers(order: &Order, hold: &HoldRow) -> bool {
    let lines = &hold.hold.lines;
    lines.len() == order.balances.len()
        && order.lines().zip(lines).all(|((placed, balance), line)| {
            line.line == placed.line
                && line.sku == placed.sku
                && line.allocated == balance.allocated
                && line.backordered == balance.backordered
        })
}

fn has_consumed(order: &Order, hold: &HoldRow) -> bool {
    let lines = hold.hold.lines.iter();
    order.balances.iter().zip(lines).all(|(balance, line)| line.shipped == balance.shipped)
}

fn kept(hold: &HoldRow) -> i64 {
    let lines = hold.hold.lines.iter();
    lines
        .map(|line| line.held.saturating_add(line.allocated).saturating_add(line.backordered))
        .sum()
}

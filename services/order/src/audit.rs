//! What the auditor checks of orders, and shows of them to the checks across services.

use std::collections::HashSet;

use contracts::{Money, OrderId, OrderNumber};
use store::audit::Check;
use store::{Rx, StoreError};

use crate::domain::{LINES_MAX, Order, Status, TABLE};
use crate::store::StoredOrder;

/// Orders read at a time.
const PAGE: u32 = 10_000;
/// How long after its deadline an order must have moved, in microseconds.
const GRACE_MICROS: i64 = 60_000_000;

/// What a check across services needs to know of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The order.
    pub id: OrderId,
    /// Its number.
    pub number: OrderNumber,
    /// Where it stands.
    pub status: Status,
    /// What it costs.
    pub total: Money,
    /// Its lines, in their sequence.
    pub lines: Vec<ViewLine>,
}

/// Where the units of a line are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewLine {
    /// From 1.
    pub line: u16,
    /// Held for a limited time.
    pub held: i64,
    /// Belonging to the order.
    pub allocated: i64,
    /// Dispatched.
    pub shipped: i64,
}

impl View {
    fn of(order: &Order) -> Self {
        let lines = order.lines().map(|(line, balance)| ViewLine {
            line: line.line,
            held: balance.held,
            allocated: balance.allocated,
            shipped: balance.shipped,
        });
        Self {
            id: order.placed.id,
            number: order.placed.number,
            status: order.status(),
            total: order.total(),
            lines: lines.collect(),
        }
    }
}

/// Shows every order to `look`, in the sequence of their numbers. Rows that cannot be read are left
/// out: [`audit`] names them.
pub async fn visit(rx: &mut Rx, mut look: impl FnMut(View) + Send) -> Result<(), StoreError> {
    let look = |_, row: Result<StoredOrder, StoreError>| {
        if let Ok(stored) = row {
            look(View::of(&stored.order));
        }
    };
    each(rx, look).await
}

async fn each(
    rx: &mut Rx,
    mut look: impl FnMut(i64, Result<StoredOrder, StoreError>) + Send,
) -> Result<(), StoreError> {
    let mut after = 0;
    loop {
        let page = crate::store::scan(rx, after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        for (number, row) in page {
            look(number, row);
        }
    }
}

/// The checks of one run.
struct Checks {
    columns: Check,
    history: Check,
    total: Check,
    limits: Check,
    deadline: Check,
    keys: Check,
    lines: Check,
    seen_keys: HashSet<[u8; 16]>,
    now: i64,
}

/// Checks every order.
pub async fn audit(rx: &mut Rx) -> Result<Vec<Check>, StoreError> {
    let mut checks = Checks {
        columns: Check::new("OR-1", "the columns of an order say what its document says"),
        history: Check::new("OR-2", "the history of an order is a path of the transition table"),
        total: Check::new("OR-3", "the total of an order is the sum of its lines"),
        limits: Check::new(
            "OR-4",
            "an order has 1 to 500 lines of 1 to 1,000,000 units, no price below 0",
        ),
        deadline: Check::new("OR-8", "an open order is not overdue, or a person looks at it"),
        keys: Check::new("OR-10", "a request key stands for one order for ever"),
        lines: Check::new(
            "OR-LINES",
            "ordered = held + allocated + backordered + shipped + cancelled",
        ),
        seen_keys: HashSet::new(),
        now: rx.now().as_micros(),
    };
    let look = |number, row: Result<StoredOrder, StoreError>| match row {
        Ok(stored) => checks.look(&stored),
        Err(error) => checks.columns.expect(false, || format!("order {number}: {error}")),
    };
    each(rx, look).await?;
    let Checks { columns, history, total, limits, deadline, keys, lines, .. } = checks;
    Ok(vec![columns, history, total, limits, deadline, keys, lines])
}

impl Checks {
    fn look(&mut self, stored: &StoredOrder) {
        let order = &stored.order;
        let name = || format!("order {} ({})", order.placed.id, order.placed.number);
        let agrees = stored.status == Some(order.status())
            && stored.attention == order.attention.is_some()
            && order.placed.id.number() == order.placed.number
            && order.deadline.is_none_or(|due| stored.look_at.is_some_and(|at| at <= due));
        self.columns.expect(agrees, name);
        self.history.expect(is_path(order), name);
        self.total.expect(stored.total == sum(order), name);
        self.limits.expect(within_limits(order), name);
        let timed = order.deadline.map(|at| at.as_micros().saturating_add(GRACE_MICROS));
        let alive = order.status().is_terminal()
            || order.attention.is_some()
            || timed.is_some_and(|latest| latest >= self.now);
        self.deadline.expect(alive, name);
        if let Some(request) = &order.placed.request {
            let mut hash = [0; 16];
            let full = blake3::hash(request.key.as_bytes());
            hash.copy_from_slice(&full.as_bytes()[..16]);
            self.keys.expect(self.seen_keys.insert(hash), name);
        }
        self.lines.expect(order.check().is_ok(), name);
    }
}

/// Adds the lines up anew, from what was placed and what was dropped.
fn sum(order: &Order) -> Money {
    let amounts = order.lines().map(|(line, balance)| {
        let units = line.quantity.get().saturating_sub(balance.dropped);
        line.unit_price.minor().saturating_mul(units)
    });
    Money::new(amounts.sum(), order.placed.currency())
}

fn within_limits(order: &Order) -> bool {
    let lines = &order.placed.lines;
    let currency = order.placed.currency();
    (1..=LINES_MAX).contains(&lines.len())
        && lines
            .iter()
            .all(|line| line.unit_price.minor() >= 0 && line.unit_price.currency() == currency)
}

/// Whether every change of status in the history is a row of the table, made by the event that was
/// heard if one was, and the last one leads to where the order stands.
fn is_path(order: &Order) -> bool {
    let history = &order.history;
    let entries = &history.entries;
    let begins = entries.first().is_some_and(|first| {
        history.forgotten > 0
            || (first.status == Status::Placed && first.step.name() == "order.placed")
    });
    let moves = entries.windows(2).all(|pair| {
        let [from, to] = pair else { return true };
        let kind = to.step.kind();
        let heard = TABLE.iter().any(|row| row.1.heard().is_some() && row.1.heard() == kind);
        from.status == to.status
            || TABLE.iter().any(|(before, fact, after)| {
                (*before, *after) == (from.status, to.status) && (!heard || fact.heard() == kind)
            })
    });
    let ends = entries.last().is_some_and(|last| last.status == order.status());
    begins && moves && ends
}

//! A store with stock in it, events to hear, and what can be asked afterwards.

use std::sync::Arc;
use std::time::Duration;

use contracts::events::order::{EndReason, OrderExpired, OrderRejected};
use contracts::events::order::{
    LineUnits, OrderAdjusted, OrderCancelling, OrderCheckRequested, OrderFulfilling, OrderPlaced,
    PaymentInstruction, PlacedLine, ShortagePolicy,
};
use contracts::events::payment::{PaymentAuthorized, PaymentOperation, PaymentUnknown};
use contracts::{
    Currency, CustomerId, Event, EventData, EventId, Money, OrderId, OrderNumber, Position,
    Quantity, Sku, Timestamp,
};
use store::testing::TestStore;

use crate::domain::{Balances, Command, Hold};
use crate::error::InventoryError;
use crate::handlers::{self, Answer, Done, StockRequest};
use crate::store::{HoldRow, LevelView};
use crate::{SCHEMA, Settings};

pub(super) struct World {
    pub(super) store: TestStore,
}

pub(super) const TTL: Duration = Duration::from_mins(15);

pub(super) fn sku(name: &str) -> Sku {
    Sku::try_new(name).unwrap()
}

pub(super) fn id(number: u64) -> OrderId {
    OrderId::new(Timestamp::default(), OrderNumber::new(number), 7)
}

pub(super) fn units(line: u16, name: &str, units: i64) -> LineUnits {
    LineUnits { line, sku: sku(name), units }
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::USD)
}

pub(super) fn event(data: impl Into<EventData>) -> Arc<Event> {
    let data = data.into();
    Arc::new(Event {
        id: EventId::new(Timestamp::default(), 0, Position { segment: 1, index: 0 }),
        sequence: 1,
        time: Timestamp::from_micros(1_795_262_400_000_000),
        correlation: None,
        causation: None,
        traceparent: None,
        data,
    })
}

fn placed_lines(lines: &[(&str, i64)], policy: ShortagePolicy) -> Vec<PlacedLine> {
    let line = |(number, (name, quantity)): (u16, &(&str, i64))| PlacedLine {
        line: number,
        sku: sku(name),
        name: "a thing".into(),
        quantity: Quantity::try_new(*quantity).unwrap(),
        unit_price: usd(100),
        policy,
    };
    (1..).zip(lines).map(line).collect()
}

pub(super) fn placed_as(number: u64, lines: &[(&str, i64)], policy: ShortagePolicy) -> Arc<Event> {
    event(OrderPlaced {
        order_id: id(number),
        number: OrderNumber::new(number),
        customer_id: CustomerId::try_new("c").unwrap(),
        lines: placed_lines(lines, policy),
        total: usd(100),
        payment: PaymentInstruction { method: "simulated".into(), token: "ok".into() },
        channel: "web".into(),
    })
}

pub(super) fn placed(number: u64, lines: &[(&str, i64)]) -> Arc<Event> {
    placed_as(number, lines, ShortagePolicy::Reject)
}

pub(super) fn asked_again(number: u64, lines: &[(&str, i64)]) -> Arc<Event> {
    event(OrderCheckRequested {
        order_id: id(number),
        customer_id: CustomerId::try_new("c").unwrap(),
        lines: placed_lines(lines, ShortagePolicy::Reject),
        total: usd(100),
        attempt: 2,
    })
}

pub(super) fn authorized(number: u64) -> Arc<Event> {
    event(PaymentAuthorized { order_id: id(number), amount: usd(100), due_on_dispatch: false })
}

pub(super) fn unknown(number: u64) -> Arc<Event> {
    event(PaymentUnknown { order_id: id(number), operation: PaymentOperation::Authorize })
}

pub(super) fn cancelling(number: u64) -> Arc<Event> {
    let (reason, detail, actor) = (EndReason::Requested, "no".into(), "me".into());
    event(OrderCancelling { order_id: id(number), reason, detail, actor })
}

pub(super) fn rejected(number: u64) -> Arc<Event> {
    event(OrderRejected {
        order_id: id(number),
        number: OrderNumber::new(number),
        customer_id: CustomerId::try_new("c").unwrap(),
        reason: EndReason::CustomerBlocked,
        detail: "blocked".into(),
    })
}

pub(super) fn expired(number: u64) -> Arc<Event> {
    event(OrderExpired {
        order_id: id(number),
        number: OrderNumber::new(number),
        customer_id: CustomerId::try_new("c").unwrap(),
        reason: EndReason::ChecksTimedOut,
    })
}

pub(super) fn adjusted(number: u64, now: LineUnits, release: i64) -> Arc<Event> {
    let release = vec![LineUnits { units: release, ..now.clone() }];
    let (total, previous_total) = (usd(50), usd(100));
    let lines = vec![now];
    event(OrderAdjusted { order_id: id(number), lines, release, total, previous_total })
}

pub(super) fn fulfilling(number: u64, shipment: u16, lines: Vec<LineUnits>) -> Arc<Event> {
    event(OrderFulfilling { order_id: id(number), shipment, lines })
}

/// What was said, by name and the units that it names.
#[expect(clippy::wildcard_enum_match_arm, reason = "inventory says nothing else")]
pub(super) fn told(events: &[Arc<Event>]) -> Vec<String> {
    let sum = |lines: &[LineUnits]| lines.iter().map(|line| line.units).sum::<i64>();
    let tell = |event: &Arc<Event>| match &event.data {
        EventData::InventoryReserved(data) => format!("reserved {}", sum(&data.lines)),
        EventData::InventoryPartiallyReserved(data) => {
            let held: i64 = data.lines.iter().map(|line| line.held).sum();
            let waits: i64 = data.lines.iter().map(|line| line.backordered).sum();
            format!("partially {held} + {waits}")
        }
        EventData::InventoryRejected(data) => format!("rejected {:?}", data.reason),
        EventData::InventoryAllocated(data) => format!("allocated {}", sum(&data.lines)),
        EventData::InventoryReleased(data) => {
            format!("released {}{}", sum(&data.lines), if data.ended { " and ended" } else { "" })
        }
        EventData::InventoryExpired(data) => format!("expired {}", sum(&data.lines)),
        EventData::InventoryConsumed(data) => format!("consumed {}", sum(&data.lines)),
        EventData::StockChanged(data) => format!("{} {}", data.sku, data.available),
        EventData::StockLow(data) => format!("{} low", data.sku),
        EventData::StockOut(data) => format!("{} out", data.sku),
        EventData::StockBack(data) => format!("{} back", data.sku),
        other => panic!("{other:?}"),
    };
    events.iter().map(tell).collect()
}

impl World {
    pub(super) async fn new(stock: &[(&str, i64)]) -> Self {
        let world = Self { store: store::testing::open(&[SCHEMA]).unwrap() };
        for (name, units) in stock {
            world.change(name, Command::Receive { units: *units }).await.unwrap();
        }
        world
    }

    pub(super) async fn change(
        &self,
        name: &str,
        command: Command,
    ) -> Result<Answer, InventoryError> {
        self.change_as("", name, command).await
    }

    pub(super) async fn change_as(
        &self,
        key: &str,
        name: &str,
        command: Command,
    ) -> Result<Answer, InventoryError> {
        let mut fingerprint = [0; 16];
        let hash = blake3::hash(format!("{name} {command:?}").as_bytes());
        fingerprint.copy_from_slice(&hash.as_bytes()[..16]);
        let once = store::requests::Once { scope: "test", key: key.to_owned(), fingerprint };
        let request = StockRequest {
            sku: sku(name),
            command,
            document: None,
            actor: "test".into(),
            reason: "because".to_owned(),
            first_low_threshold: Settings::default().low_threshold,
        };
        let encode = |done: &Done| format!("{:?}", done.level.row.level.balances).into_bytes();
        handlers::change_stock(&self.store, once, request, encode).await
    }

    /// Hears a batch in a transaction of its own; returns what was said.
    pub(super) async fn hear(&self, batch: &[Arc<Event>]) -> Result<Vec<String>, InventoryError> {
        let batch = batch.to_vec();
        let said = self.store.transact(move |tx| {
            Box::pin(async move {
                let before = tx.published().len();
                handlers::hear(tx, TTL, &batch).await?;
                Ok::<_, InventoryError>(told(&tx.published()[before..]))
            })
        });
        said.await
    }

    /// The same for one event.
    pub(super) async fn one(&self, event: Arc<Event>) -> Vec<String> {
        self.hear(&[event]).await.unwrap()
    }

    pub(super) async fn level(&self, name: &str) -> LevelView {
        handlers::stock_of(&self.store, sku(name)).await.unwrap()
    }

    /// On hand, held and allocated.
    pub(super) async fn counts(&self, name: &str) -> (i64, i64, i64) {
        let Balances { on_hand, held, allocated, .. } = self.level(name).await.row.level.balances;
        (on_hand, held, allocated)
    }

    pub(super) async fn hold(&self, number: u64) -> Option<Hold> {
        let number = id(number).number().as_i64();
        let found = self.store.transact(move |tx| {
            Box::pin(async move {
                tx.load::<HoldRow>(&[number]).await?;
                let hold = tx.get::<HoldRow>(&number).map(|row| row.hold.clone());
                Ok::<_, InventoryError>(hold)
            })
        });
        found.await.unwrap()
    }

    pub(super) fn pass(&self, span: Duration) {
        self.store.clock.advance(span);
    }

    /// Everything there is but what only counts answers: levels, holds and journal.
    pub(super) async fn state(&self) -> Vec<String> {
        let state = self.store.read(|rx| {
            Box::pin(async move {
                let levels = crate::store::read::levels_after(rx, 0, 1_000).await?;
                let holds = crate::store::read::holds_after(rx, 0, 1_000).await?;
                let journal = crate::store::read::journal_after(rx, 0, 10_000).await?;
                let levels = levels.iter().map(|view| {
                    let row = &view.row;
                    format!("{} {:?} {:?}", view.sku, row.level, row.queue)
                });
                let holds = holds
                    .iter()
                    .map(|row| format!("{} {:?} {:?}", row.order, row.hold.state, row.hold.lines));
                let journal = journal.iter().map(|entry| format!("{entry:?}"));
                Ok::<_, InventoryError>(levels.chain(holds).chain(journal).collect())
            })
        });
        state.await.unwrap()
    }

    pub(super) async fn audit(&self) -> Vec<store::audit::Check> {
        let checks = self.store.read(|rx| {
            Box::pin(async move { Ok::<_, InventoryError>(crate::audit::audit(rx).await?) })
        });
        checks.await.unwrap()
    }

    pub(super) async fn assert_sound(&self) {
        for check in self.audit().await {
            assert_eq!(check.violators, Vec::<String>::new(), "{} {}", check.id, check.states);
        }
    }
}

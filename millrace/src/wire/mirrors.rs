//! Mirrors: our events once more, under the topics and in the shapes of older systems.
//!
//! They are written by a consumer beside the order service (ADR 9), because what they say of the
//! whole order is asked there. A record may come twice after a crash, as the older systems' own did.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem;
use std::sync::Arc;

use bus::HandlerError;
use bus::kafka::Outward;
use bus::kafka::{Client, KafkaError, Outgoing, OutwardSubscription, Settings, Topics, Writer};
use contracts::compat::{OrderFacts, Profile};
use contracts::events::order::OrderPlaced;
use contracts::{Event, EventData, EventKind, Money, OrderId, Timestamp};
use contracts_grpc::v1;
use contracts_grpc::v1::orders_client::OrdersClient;
use futures::future::BoxFuture;
use rpc::Transport;
use tokio::sync::Mutex;

/// Everything that some mirror tells of.
const KINDS: &[EventKind] = &[
    EventKind::OrderPlaced,
    EventKind::OrderAdjusted,
    EventKind::OrderDecisionRequested,
    EventKind::OrderReserved,
    EventKind::OrderConfirmed,
    EventKind::OrderFulfilling,
    EventKind::OrderCompleted,
    EventKind::OrderHeld,
    EventKind::OrderResumed,
    EventKind::OrderCancelling,
    EventKind::OrderCancelled,
    EventKind::OrderRejected,
    EventKind::OrderExpired,
    EventKind::OrderNeedsAttention,
    EventKind::CustomerValidated,
    EventKind::CustomerRejected,
    EventKind::InventoryReserved,
    EventKind::InventoryPartiallyReserved,
    EventKind::InventoryRejected,
    EventKind::PaymentAuthorized,
    EventKind::PaymentCaptured,
    EventKind::StockChanged,
];

/// Why a mirror could not be written.
#[derive(Debug, thiserror::Error)]
enum MirrorError {
    #[error("order {0} cannot be read: {1}")]
    Order(OrderId, tonic::Status),
    #[error("order {0} is answered without {1}")]
    Incomplete(OrderId, &'static str),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

/// The names of the topics of `profiles` on the brokers.
pub(super) fn topics(profiles: &[Profile], settings: &Settings) -> Vec<String> {
    let topics = Topics::new(settings);
    let plain = profiles.iter().flat_map(|profile| profile.topics());
    plain.map(|name| topics.named(name)).collect()
}

/// The consumer that writes the mirrors of `profiles`.
pub(super) fn subscription(
    client: &Client,
    profiles: Vec<Profile>,
    orders: OrdersClient<Transport>,
) -> Result<OutwardSubscription, KafkaError> {
    let writer = Writer::open(client, "mirror")?;
    let outward = Arc::new(Mirrors { writer, profiles, orders, placed: Mutex::default() });
    Ok(OutwardSubscription { consumer: "mirror", kinds: KINDS, outward })
}

struct Mirrors {
    writer: Writer,
    profiles: Vec<Profile>,
    orders: OrdersClient<Transport>,
    placed: Mutex<Placed>,
}

/// Orders as they were placed: nearly all stay so, and what is told of them later needs no question.
#[derive(Debug, Default)]
struct Placed {
    now: HashMap<OrderId, OrderFacts>,
    before: HashMap<OrderId, OrderFacts>,
    /// The units in `now`.
    units: usize,
}

impl Placed {
    fn keep(&mut self, facts: OrderFacts) {
        if self.units >= PLACED_UNITS_MAX {
            self.before = mem::take(&mut self.now);
            self.units = 0;
        }
        self.units = self.units.saturating_add(facts.product_ids.len());
        self.now.insert(facts.order_id, facts);
    }

    /// The order that `event` tells of, unless it may be another one by then.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others change nothing")]
    fn of(&mut self, id: OrderId, event: &Event) -> Option<&OrderFacts> {
        match &event.data {
            EventData::OrderAdjusted(_) | EventData::InventoryPartiallyReserved(_) => {
                self.now.remove(&id);
                self.before.remove(&id);
                None
            }
            // Topics are read in any sequence: what made it another one may not have been read yet.
            EventData::PaymentAuthorized(data) => self.worth(id, data.amount),
            EventData::PaymentCaptured(data) => self.worth(id, data.amount),
            _ => self.get(id),
        }
    }

    fn get(&self, id: OrderId) -> Option<&OrderFacts> {
        self.now.get(&id).or_else(|| self.before.get(&id))
    }

    fn worth(&self, id: OrderId, amount: Money) -> Option<&OrderFacts> {
        self.get(id).filter(|facts| facts.total == amount)
    }
}

impl Outward for Mirrors {
    fn deliver<'b>(&'b self, batch: &'b [Arc<Event>]) -> BoxFuture<'b, Result<(), HandlerError>> {
        Box::pin(async move { self.write(batch).await.map_err(HandlerError::new) })
    }
}

impl Mirrors {
    async fn write(&self, batch: &[Arc<Event>]) -> Result<(), MirrorError> {
        // One consumer calls it, batch by batch.
        let mut placed = self.placed.lock().await;
        // An order may have several events in a batch, and is asked for once.
        let mut asked: HashMap<OrderId, OrderFacts> = HashMap::new();
        let mut records = Vec::new();
        for event in batch {
            let kind = event.data.kind();
            if let EventData::OrderPlaced(data) = &event.data {
                placed.keep(as_placed(data, event.time));
            }
            let mut order = None;
            if let Some(id) = event.correlation {
                order = placed.of(id, event);
                if order.is_none() && self.profiles.iter().any(|one| one.needs_order(kind)) {
                    if let Entry::Vacant(place) = asked.entry(id) {
                        place.insert(self.ask(id).await?);
                    }
                    order = asked.get(&id);
                }
            }
            records.extend(self.profiles.iter().flat_map(|one| one.records(event, order)));
        }
        let outgoing = records.iter().map(|record| Outgoing {
            topic: record.topic,
            key: record.key.as_deref(),
            headers: &record.headers,
            value: &record.value,
        });
        Ok(self.writer.write(outgoing).await?)
    }

    async fn ask(&self, id: OrderId) -> Result<OrderFacts, MirrorError> {
        let request = v1::GetOrderRequest { order_id: id.to_string(), ..Default::default() };
        let answer = self.orders.clone().get_order(request).await;
        let answer = answer.map_err(|status| MirrorError::Order(id, status))?.into_inner();
        let missing = |what| MirrorError::Incomplete(id, what);
        let order = answer.order.ok_or_else(|| missing("the order"))?;
        let total = order.total.as_ref().and_then(|total| rpc::parse_money(total).ok());
        let placed_at = order.placed_at.as_ref().and_then(rpc::parse_timestamp);
        let lines = order.lines.iter();
        Ok(OrderFacts {
            order_id: id,
            product_ids: lines.flat_map(|line| repeated(&line.sku, line.ordered)).collect(),
            customer_id: order.customer_id,
            total: total.ok_or_else(|| missing("a total"))?,
            placed_at: placed_at.ok_or_else(|| missing("the time of its placement"))?,
        })
    }
}

fn as_placed(data: &OrderPlaced, at: Timestamp) -> OrderFacts {
    let units = data.lines.iter().flat_map(|line| repeated(line.sku.as_str(), line.quantity.get()));
    OrderFacts {
        order_id: data.order_id,
        product_ids: units.collect(),
        customer_id: data.customer_id.to_string(),
        total: data.total,
        placed_at: at,
    }
}

/// `sku` once per unit.
fn repeated(sku: &str, units: i64) -> impl Iterator<Item = String> {
    let units = usize::try_from(units).unwrap_or(0).min(UNITS_MAX);
    std::iter::repeat_n(sku.to_owned(), units)
}

/// Units of a line that are listed one by one, so that a record stays within its topic's limit.
const UNITS_MAX: usize = 10_000;

/// Units of placed orders that are remembered, twice: some megabytes, and seconds of full load.
const PLACED_UNITS_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use contracts::events::inventory::InventoryPartiallyReserved;
    use contracts::events::order::OrderAdjusted;
    use contracts::events::payment::PaymentAuthorized;
    use contracts::{Currency, EventId, OrderNumber, Position};

    use super::*;

    fn order(number: u64) -> OrderFacts {
        let at = Timestamp::from_micros(1_795_268_168_349_911);
        OrderFacts {
            order_id: OrderId::new(at, OrderNumber::new(number), 7),
            product_ids: vec!["item1".to_owned(); UNITS_MAX],
            customer_id: "c1".to_owned(),
            total: Money::new(500, Currency::USD),
            placed_at: at,
        }
    }

    fn event(data: impl Into<EventData>) -> Event {
        let at = Timestamp::default();
        Event {
            id: EventId::new(at, 0, Position { segment: 1, index: 0 }),
            sequence: 1,
            time: at,
            correlation: None,
            causation: None,
            traceparent: None,
            data: data.into(),
        }
    }

    fn authorized(order_id: OrderId, cents: i64) -> Event {
        let amount = Money::new(cents, Currency::USD);
        event(PaymentAuthorized { order_id, amount, due_on_dispatch: false })
    }

    #[test]
    fn an_order_is_as_it_was_placed_until_something_says_otherwise() {
        let (mut placed, facts) = (Placed::default(), order(1));
        let id = facts.order_id;
        assert_eq!(placed.of(id, &authorized(id, 500)), None, "never heard of");
        placed.keep(facts.clone());
        assert_eq!(placed.of(id, &authorized(id, 500)), Some(&facts));
        assert_eq!(placed.of(id, &authorized(id, 400)), None, "it was made smaller meanwhile");
        let adjusted = |total: i64, previous_total: i64| {
            let [total, previous_total] =
                [total, previous_total].map(|cents| Money::new(cents, Currency::USD));
            let (lines, release) = (Vec::new(), Vec::new());
            event(OrderAdjusted { order_id: id, lines, release, total, previous_total })
        };
        assert_eq!(placed.of(id, &adjusted(500, 500)), None);
        assert_eq!(placed.of(id, &authorized(id, 500)), None, "it is asked for from now on");
        placed.keep(facts);
        let (lines, expires_at) = (Vec::new(), Timestamp::default());
        let part = event(InventoryPartiallyReserved { order_id: id, lines, expires_at });
        assert_eq!(placed.of(id, &part), None);
    }

    #[test]
    fn the_oldest_orders_are_forgotten() {
        let mut placed = Placed::default();
        let held = u64::try_from(PLACED_UNITS_MAX.div_ceil(UNITS_MAX)).unwrap();
        let ids: Vec<_> = (0..=2 * held).map(|number| order(number).order_id).collect();
        for number in 0..=2 * held {
            placed.keep(order(number));
        }
        let known: Vec<_> = ids.iter().map(|id| placed.get(*id).is_some()).collect();
        let split = usize::try_from(held).unwrap();
        assert!(known[..split].iter().all(|is_known| !is_known), "{known:?}");
        assert!(known[split..].iter().all(|is_known| *is_known), "{known:?}");
    }
}

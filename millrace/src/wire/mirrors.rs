//! Mirrors: our events once more, under the topics and in the shapes of older systems.
//!
//! They are written by a consumer beside the order service (ADR 9), because what they say of the
//! whole order is asked there. A record may come twice after a crash, as the older systems' own did.

use std::collections::HashMap;
use std::sync::Arc;

use bus::HandlerError;
use bus::kafka::Outward;
use bus::kafka::{Client, KafkaError, Outgoing, OutwardSubscription, Settings, Topics, Writer};
use contracts::compat::{OrderFacts, Profile};
use contracts::{Event, EventData, EventKind, OrderId};
use contracts_grpc::v1;
use contracts_grpc::v1::orders_client::OrdersClient;
use futures::future::BoxFuture;
use rpc::Transport;

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
    let outward = Arc::new(Mirrors { writer, profiles, orders });
    Ok(OutwardSubscription { consumer: "mirror", kinds: KINDS, outward })
}

struct Mirrors {
    writer: Writer,
    profiles: Vec<Profile>,
    orders: OrdersClient<Transport>,
}

impl Outward for Mirrors {
    fn deliver<'b>(&'b self, batch: &'b [Arc<Event>]) -> BoxFuture<'b, Result<(), HandlerError>> {
        Box::pin(async move { self.write(batch).await.map_err(HandlerError::new) })
    }
}

impl Mirrors {
    async fn write(&self, batch: &[Arc<Event>]) -> Result<(), MirrorError> {
        // An order has several events in a batch, and is asked for once.
        let mut orders: HashMap<OrderId, OrderFacts> = HashMap::new();
        let mut pending = Vec::new();
        for event in batch {
            let kind = event.data.kind();
            let needs_order = self.profiles.iter().any(|profile| profile.needs_order(kind));
            if let Some(id) = event.correlation.filter(|_| needs_order) {
                self.learn(&mut orders, id, event).await?;
            }
            let order = event.correlation.and_then(|id| orders.get(&id));
            for profile in &self.profiles {
                for record in profile.records(event, order) {
                    let outgoing = Outgoing {
                        topic: record.topic,
                        key: record.key.as_deref(),
                        headers: &record.headers,
                        value: &record.value,
                    };
                    pending.push(self.writer.send(outgoing).await?);
                }
            }
        }
        for record in pending {
            record.done().await?;
        }
        Ok(())
    }

    async fn learn(
        &self,
        orders: &mut HashMap<OrderId, OrderFacts>,
        id: OrderId,
        event: &Event,
    ) -> Result<(), MirrorError> {
        if orders.contains_key(&id) {
            return Ok(());
        }
        let facts = if let EventData::OrderPlaced(placed) = &event.data {
            let lines = placed.lines.iter();
            let units = lines.flat_map(|line| repeated(line.sku.as_str(), line.quantity.get()));
            OrderFacts {
                order_id: id,
                product_ids: units.collect(),
                customer_id: placed.customer_id.to_string(),
                total: placed.total,
                placed_at: event.time,
            }
        } else {
            self.ask(id).await?
        };
        orders.insert(id, facts);
        Ok(())
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

/// `sku` once per unit.
fn repeated(sku: &str, units: i64) -> impl Iterator<Item = String> {
    let units = usize::try_from(units).unwrap_or(0).min(UNITS_MAX);
    std::iter::repeat_n(sku.to_owned(), units)
}

/// Units of a line that are listed one by one, so that a record stays within its topic's limit.
const UNITS_MAX: usize = 10_000;

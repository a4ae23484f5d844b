//! What this service hears.

use std::sync::Arc;

use bus::{Handler, HandlerError, Subscription};
use contracts::{Event, EventData, EventKind, OrderId};
use store::{BoxFuture, Tx};

use crate::domain::Fact;
use crate::handlers::{Heard, Orders};

/// The name of this consumer.
pub const CONSUMER: &str = "order";

const KINDS: &[EventKind] = &[
    EventKind::CustomerValidated,
    EventKind::CustomerRejected,
    EventKind::InventoryReserved,
    EventKind::InventoryPartiallyReserved,
    EventKind::InventoryRejected,
    EventKind::InventoryAllocated,
    EventKind::InventoryReleased,
    EventKind::InventoryExpired,
    EventKind::InventoryConsumed,
    EventKind::PaymentRequested,
    EventKind::PaymentAuthorized,
    EventKind::PaymentCaptured,
    EventKind::PaymentDeclined,
    EventKind::PaymentUnknown,
    EventKind::PaymentVoided,
    EventKind::PaymentRefunded,
    EventKind::ProductUpdated,
    EventKind::ProductRetired,
];

/// The subscriptions of the order service.
pub fn subscriptions(orders: &Arc<Orders>) -> Vec<Subscription> {
    let handler = Arc::new(Listener(Arc::clone(orders)));
    vec![Subscription { consumer: CONSUMER, kinds: KINDS, handler }]
}

struct Listener(Arc<Orders>);

impl Handler for Listener {
    fn handle<'t>(
        &'t self,
        tx: &'t mut Tx,
        batch: &'t [Arc<Event>],
    ) -> BoxFuture<'t, Result<(), HandlerError>> {
        Box::pin(async move {
            let mut heard = Vec::with_capacity(batch.len());
            for event in batch {
                match fact(&event.data) {
                    Some((order, fact)) => heard.push(Heard { order, event, fact }),
                    None => self.0.product_changed(tx, &event.data),
                }
            }
            self.0.hear(tx, &heard).await.map_err(HandlerError::new)
        })
    }
}

/// The fact that an event tells, and of which order; `None` for what is not about an order.
fn fact(data: &EventData) -> Option<(OrderId, Fact<'_>)> {
    verdict(data).or_else(|| stock(data)).or_else(|| payment(data))
}

fn verdict(data: &EventData) -> Option<(OrderId, Fact<'_>)> {
    if let EventData::CustomerValidated(data) = data {
        return Some((data.order_id, Fact::CustomerValidated));
    }
    if let EventData::CustomerRejected(data) = data {
        return Some((data.order_id, Fact::CustomerRejected(data.reason)));
    }
    None
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not about stock is asked elsewhere")]
fn stock(data: &EventData) -> Option<(OrderId, Fact<'_>)> {
    Some(match data {
        EventData::InventoryReserved(data) => (data.order_id, Fact::InventoryReserved(&data.lines)),
        EventData::InventoryPartiallyReserved(data) => {
            (data.order_id, Fact::InventoryPartiallyReserved(&data.lines))
        }
        EventData::InventoryRejected(data) => (data.order_id, Fact::InventoryRejected(data.reason)),
        EventData::InventoryAllocated(data) => {
            (data.order_id, Fact::InventoryAllocated(&data.lines))
        }
        EventData::InventoryReleased(data) => {
            (data.order_id, Fact::InventoryReleased { ended: data.ended })
        }
        EventData::InventoryExpired(data) => (data.order_id, Fact::InventoryExpired),
        EventData::InventoryConsumed(data) => (data.order_id, Fact::InventoryConsumed),
        _ => return None,
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not about money is asked elsewhere")]
fn payment(data: &EventData) -> Option<(OrderId, Fact<'_>)> {
    Some(match data {
        EventData::PaymentRequested(data) => (data.order_id, Fact::PaymentRequested),
        EventData::PaymentAuthorized(data) => {
            let (amount, due_on_dispatch) = (data.amount, data.due_on_dispatch);
            (data.order_id, Fact::PaymentAuthorized { amount, due_on_dispatch })
        }
        EventData::PaymentCaptured(data) => {
            (data.order_id, Fact::PaymentCaptured { amount: data.amount })
        }
        EventData::PaymentDeclined(data) => {
            let (operation, code) = (data.operation, data.code.as_str());
            (data.order_id, Fact::PaymentDeclined { operation, code })
        }
        EventData::PaymentUnknown(data) => (data.order_id, Fact::PaymentUnknown),
        EventData::PaymentVoided(data) => {
            (data.order_id, Fact::PaymentVoided { amount: data.amount })
        }
        EventData::PaymentRefunded(data) => {
            (data.order_id, Fact::PaymentRefunded { kept: data.kept })
        }
        _ => return None,
    })
}

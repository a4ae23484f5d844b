//! What the service does: everything that changes a payment, each in one transaction.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus::HandlerError;
use contracts::events::order::OrderReserved;
use contracts::events::payment::PaymentOperation;
use contracts::{Draft, Event, EventData, OrderId, OrderNumber, Timestamp};
use smol_str::SmolStr;
use store::{BoxFuture, Store, StoreError, Tx};
use telemetry::Metrics;
use telemetry::trace::{Context, Kind, Span};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::config::Settings;
use crate::domain::{Act, Change, Fact, Outcome, Payment, Step, TERMS};
use crate::error::PaymentError;
use crate::metrics::Meters;
use crate::provider::simulated::{self, Simulated};
use crate::provider::{self, Answer, Call, Delivery, Providers};
pub(crate) use crate::store::Filter;

/// The payments of all orders.
pub struct Payments {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) meters: Meters,
    providers: Providers,
    started: Timestamp,
    calls: UnboundedSender<Call>,
    inbox: Mutex<Option<Inbox>>,
}

/// What waits for the worker. The queues have no limit of their own: a payment has at most one open
/// operation, so they hold no more than there are open orders, and those are limited at the door.
/// What is lost from them with the process is found again by its deadline.
pub(crate) struct Inbox {
    pub(crate) calls: UnboundedReceiver<Call>,
    pub(crate) webhooks: UnboundedReceiver<Delivery>,
}

/// A page of payments, and the number to go on from if there may be more.
pub(crate) struct Page {
    pub(crate) payments: Vec<Payment>,
    pub(crate) next: Option<i64>,
}

/// Numbers that one page looks at, whether they match the filter or not.
const SCAN_MAX: i64 = 200_000;

/// What an event asks of a payment.
enum Wish<'e> {
    Pay(&'e OrderReserved),
    GiveBack,
    Hear(Fact),
}

/// The order that an event is about, and what it asks; `None` if it asks nothing.
fn wish(data: &EventData) -> Option<(OrderId, Wish<'_>)> {
    if let EventData::OrderReserved(said) = data {
        return Some((said.order_id, Wish::Pay(said)));
    }
    if let EventData::InventoryAllocated(said) = data {
        return Some((said.order_id, Wish::Hear(Fact::Allocated)));
    }
    if let EventData::OrderAdjusted(said) = data {
        return Some((said.order_id, Wish::Hear(Fact::Adjusted { total: said.total.minor() })));
    }
    if let EventData::OrderCancelling(said) = data {
        return Some((said.order_id, Wish::GiveBack));
    }
    None
}

impl Payments {
    /// The payments in `store`, with the providers that are built in.
    pub fn new(store: Store, settings: Settings, metrics: &Metrics) -> Self {
        let (calls, waiting_calls) = mpsc::unbounded_channel();
        let (webhooks, waiting_webhooks) = mpsc::unbounded_channel();
        let slow = Duration::from_millis(settings.simulated_slow_ms);
        let simulated = Arc::new(Simulated::new(slow, webhooks));
        let inbox = Inbox { calls: waiting_calls, webhooks: waiting_webhooks };
        Self {
            started: store.clock().now(),
            store,
            settings,
            meters: Meters::new(metrics),
            providers: Providers::default().with(simulated::METHOD, simulated),
            calls,
            inbox: Mutex::new(Some(inbox)),
        }
    }

    /// Gives the waiting calls to their worker, once.
    pub(crate) fn take_inbox(&self) -> Option<Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Hears a batch of events: what they ask is on record with them, and is done after COMMIT.
    pub(crate) async fn hear(&self, tx: &mut Tx, batch: &[Arc<Event>]) -> Result<(), HandlerError> {
        let wishes: Vec<_> = (batch.iter())
            .filter_map(|event| wish(&event.data).map(|(order, wish)| (event, order, wish)))
            .collect();
        let numbers: Vec<_> = wishes.iter().map(|(_, order, _)| order.number()).collect();
        tx.load::<Payment>(&numbers).await?;
        let mut calls = Vec::new();
        for (event, order, wish) in wishes {
            let known = tx.get::<Payment>(&order.number()).cloned();
            let at = tx.now();
            let changed = match (known, wish) {
                (Some(payment), Wish::Pay(_)) => changed(payment, Fact::Requested, at),
                (Some(payment), Wish::GiveBack) => changed(payment, Fact::Cancelling, at),
                (Some(payment), Wish::Hear(fact)) => changed(payment, fact, at),
                (None, Wish::Pay(reserved)) => Some(self.request(reserved, at)),
                (None, Wish::GiveBack) => Some(Payment::never_requested(order, at)),
                // Nothing was asked of a provider yet: the request will name the total of then.
                (None, Wish::Hear(_)) => None,
            };
            if let Some((payment, change)) = changed {
                keep(tx, &Origin::of(event), payment, change, &mut calls);
            }
        }
        self.send(tx, calls);
        Ok(())
    }

    /// A new payment. A method that nobody serves is declined at once.
    fn request(&self, reserved: &OrderReserved, at: Timestamp) -> (Payment, Change) {
        let (order, instruction) = (reserved.order_id, reserved.payment.clone());
        let is_served =
            instruction.method == TERMS || self.providers.get(&instruction.method).is_some();
        let (payment, change) =
            Payment::request(order, reserved.total, instruction, at, provider::key);
        if is_served {
            return (payment, change);
        }
        let Some(key) = payment.open_attempt().map(|attempt| attempt.key) else {
            return (payment, change);
        };
        let outcome = Outcome::Declined { code: "unknown_method".to_owned() };
        let Some((declined, then)) = changed(payment.clone(), Fact::Answered { key, outcome }, at)
        else {
            return (payment, change);
        };
        let says = change.says.into_iter().chain(then.says).collect();
        (declined, Change { says, act: Act::Rest })
    }

    /// Records what providers answered, a batch in one transaction.
    pub(crate) async fn record(self: &Arc<Self>, answers: Vec<Answer>) -> Result<(), StoreError> {
        let me = Arc::clone(self);
        self.store.transact(move |tx| Box::pin(async move { me.apply(tx, answers).await })).await
    }

    async fn apply(&self, tx: &mut Tx, answers: Vec<Answer>) -> Result<(), StoreError> {
        let numbers: Vec<_> = answers.iter().map(|answer| answer.order_id.number()).collect();
        tx.load::<Payment>(&numbers).await?;
        let mut calls = Vec::new();
        for Answer { order_id, operation, key, outcome, traceparent } in answers {
            let known = tx.get::<Payment>(&order_id.number()).cloned();
            let Some(mut payment) = known.filter(|payment| payment.order_id == order_id) else {
                tracing::warn!(order = %order_id, %key, "an answer for an order without a payment");
                continue;
            };
            match payment.accept(Fact::Answered { key, outcome }, tx.now(), provider::key) {
                Step::Moved(change) => {
                    let origin = Origin { event: None, traceparent };
                    keep(tx, &origin, payment, change, &mut calls);
                }
                Step::AlreadyApplied => {}
                Step::NeverAsked => {
                    tracing::warn!(order = %order_id, %key, "an answer to what was never asked");
                }
                Step::Contradicts => {
                    self.meters.contradictions.inc();
                    tracing::error!(
                        order = %order_id, ?operation, %key,
                        "the provider says the opposite of its first answer; compare its records"
                    );
                }
            }
        }
        self.send(tx, calls);
        Ok(())
    }

    /// Asks again about those of `numbers` whose deadline has passed, or that an earlier process
    /// left open: no call of this one is under way for them.
    pub(crate) async fn look_again(
        self: &Arc<Self>,
        numbers: Vec<OrderNumber>,
    ) -> Result<(), StoreError> {
        let me = Arc::clone(self);
        self.store.transact(move |tx| Box::pin(async move { me.take_up(tx, &numbers).await })).await
    }

    async fn take_up(&self, tx: &mut Tx, numbers: &[OrderNumber]) -> Result<(), StoreError> {
        tx.load::<Payment>(numbers).await?;
        let (at, mut calls) = (tx.now(), Vec::new());
        for number in numbers {
            let is_overdue = |payment: &&Payment| {
                let has_passed = payment.due.is_some_and(|due| due <= at);
                has_passed || payment.updated_at <= self.started
            };
            tx.found::<Payment>(number);
            let overdue = tx.get::<Payment>(number).filter(is_overdue).cloned();
            let taken_up = overdue.and_then(|payment| changed(payment, Fact::Overdue, at));
            if let Some((payment, change)) = taken_up {
                keep(tx, &Origin::default(), payment, change, &mut calls);
            }
        }
        self.send(tx, calls);
        Ok(())
    }

    /// Takes a webhook: what it says is recorded like an answer, and twice is once.
    pub async fn receive_webhook(
        self: &Arc<Self>,
        method: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Result<(), PaymentError> {
        let delivery = Delivery { method: method.into(), headers, body };
        let provider = self.providers.get(&delivery.method);
        let provider = provider.ok_or_else(|| PaymentError::UnknownMethod(method.to_owned()))?;
        let answer = provider.verify_webhook(&delivery)?;
        Ok(self.record(vec![answer]).await?)
    }

    /// Makes a call and waits for its answer, but not for ever.
    pub(crate) fn ask(&self, call: Call) -> BoxFuture<'static, Answer> {
        let provider = self.providers.get(&call.method).cloned();
        let limit = self.settings.call_timeout();
        if call.is_inquiry {
            self.meters.inquiries.inc();
        }
        Box::pin(async move {
            let mut span = traced(&call);
            let outcome = match provider {
                Some(provider) => {
                    let asked = provider::ask(provider.as_ref(), &call);
                    tokio::time::timeout(limit, asked).await.unwrap_or(Outcome::Unknown)
                }
                // The method is no longer configured: nobody can tell until it is again.
                None => Outcome::Unknown,
            };
            if let Some(span) = &mut span {
                match &outcome {
                    Outcome::Approved { .. } => {}
                    Outcome::Declined { code } => span.set("millrace.declined", code.clone()),
                    Outcome::Unknown => span.fail("it did not answer"),
                }
            }
            let below = span.as_ref().map(|span| span.context().traceparent());
            Answer {
                order_id: call.order_id,
                operation: call.operation,
                key: call.key,
                outcome,
                traceparent: below.or(call.traceparent),
            }
        })
    }

    /// Hands `calls` to the worker once what they are for is on record, and only then.
    fn send(&self, tx: &mut Tx, calls: Vec<Call>) {
        if calls.is_empty() {
            return;
        }
        let queue = self.calls.clone();
        // A worker that has ended takes none of them: their deadlines bring them back.
        tx.after_commit(move || drop(calls.into_iter().try_for_each(|call| queue.send(call))));
    }

    /// Numbers whose deadline is at `until` or before.
    pub(crate) async fn due(
        &self,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<OrderNumber>, StoreError> {
        self.store.read(move |rx| Box::pin(crate::store::due(rx, until, limit))).await
    }

    /// Shows how many operations are open.
    pub(crate) async fn count_open(&self) -> Result<(), StoreError> {
        let open = self.store.read(|rx| Box::pin(crate::store::open_count(rx))).await?;
        self.meters.open.set(open);
        Ok(())
    }

    /// The payment of an order.
    pub(crate) async fn find(&self, order: OrderId) -> Result<Payment, PaymentError> {
        let found: Option<Payment> =
            self.store.read(move |rx| Box::pin(crate::store::find(rx, order.number()))).await?;
        // The number alone is not the id: an id that was made up finds nothing.
        let found = found.filter(|payment| payment.order_id == order);
        found.ok_or(PaymentError::NotFound(order))
    }

    /// A page of payments behind `from`, or from the beginning.
    pub(crate) async fn list(
        &self,
        filter: Filter,
        from: Option<i64>,
        limit: i64,
        newest_first: bool,
    ) -> Result<Page, StoreError> {
        self.store.read(move |rx| Box::pin(read_page(rx, filter, from, limit, newest_first))).await
    }
}

/// Reads one page: at most `limit` payments out of at most [`SCAN_MAX`] numbers.
async fn read_page(
    rx: &mut store::Rx,
    filter: Filter,
    from: Option<i64>,
    limit: i64,
    newest_first: bool,
) -> Result<Page, StoreError> {
    let last = crate::store::last_number(rx).await?;
    let first = if newest_first { last.saturating_add(1) } else { 0 };
    let start = from.unwrap_or(first);
    let (above, below) = if newest_first {
        (start.saturating_sub(SCAN_MAX).max(0), start)
    } else {
        (start, start.saturating_add(SCAN_MAX))
    };
    let payments = crate::store::list(rx, &filter, (above, below), limit, newest_first).await?;
    let is_full = i64::try_from(payments.len()).unwrap_or(i64::MAX) >= limit;
    let seen = payments.last().map(|payment| payment.number().as_i64()).filter(|_| is_full);
    // Past the numbers that were looked at, `above` or what lies before `below` comes next.
    let edge = if newest_first { above.saturating_add(1) } else { below.saturating_sub(1) };
    let reached = seen.unwrap_or(edge);
    let has_more = if newest_first { reached > 1 } else { reached < last };
    Ok(Page { payments, next: has_more.then_some(reached) })
}

/// `payment` after `fact`, if that changes it.
fn changed(mut payment: Payment, fact: Fact, at: Timestamp) -> Option<(Payment, Change)> {
    match payment.accept(fact, at, provider::key) {
        Step::Moved(change) => Some((payment, change)),
        Step::AlreadyApplied | Step::NeverAsked | Step::Contradicts => None,
    }
}

/// The step of asking a provider, where that is part of a trace.
fn traced(call: &Call) -> Option<Span> {
    let parent = call.traceparent.as_deref().and_then(Context::parse);
    let asks = match call.operation {
        _ if call.is_inquiry => "inquire",
        PaymentOperation::Authorize => "authorize",
        PaymentOperation::Capture => "capture",
        PaymentOperation::Void => "void",
        PaymentOperation::Refund => "refund",
    };
    let mut span =
        Span::start("payment", Kind::Client, parent, || format!("{} {asks}", call.method))?;
    span.set("millrace.correlation", call.order_id.to_string());
    Some(span)
}

/// What makes a payment change: an event, or the answer of a provider in the trace of the question.
#[derive(Default)]
struct Origin<'e> {
    event: Option<&'e Event>,
    traceparent: Option<SmolStr>,
}

impl<'e> Origin<'e> {
    fn of(event: &'e Event) -> Self {
        Self { event: Some(event), traceparent: event.traceparent.clone() }
    }
}

/// Puts a changed payment and what is said of it into the transaction; adds the call that follows.
fn keep(tx: &mut Tx, origin: &Origin<'_>, payment: Payment, change: Change, calls: &mut Vec<Call>) {
    let count = u64::try_from(change.says.len()).unwrap_or(0);
    let first = payment.said.saturating_sub(count).saturating_add(1);
    for (said, sequence) in change.says.into_iter().zip(first..) {
        let draft = match origin.event {
            Some(event) => Draft::caused_by(event, sequence, said),
            None => Draft::new(sequence, said).traced(origin.traceparent.clone()),
        };
        tx.publish(draft.correlated(payment.order_id));
    }
    let call = match change.act {
        Act::Rest => None,
        Act::Perform => Call::of(&payment, false),
        Act::Inquire => Call::of(&payment, true),
    };
    let traceparent = origin.traceparent.clone();
    calls.extend(call.map(|call| Call { traceparent, ..call }));
    tx.put(payment);
}

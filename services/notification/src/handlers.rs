//! What the service does: writes messages down, and how sending them ended.

mod sender;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use bus::HandlerError;
use contracts::{CustomerId, Draft, Event, EventData, EventId, OrderId, OrderNumber, Timestamp};
use contracts_grpc::v1::customers_client::CustomersClient;
use contracts_grpc::v1::orders_client::OrdersClient;
use rpc::Transport;
use smol_str::SmolStr;
use store::{BoxFuture, Follower, Store, StoreError, Tx};
use telemetry::Metrics;
use telemetry::trace::{self, Context, Span};
use tokio::sync::Notify;

use crate::config::Settings;
use crate::domain::{self, Channel, Notification, Outcome, Reach, Recipient, STAFF, Words};
use crate::error::{NotificationError, TemplateError};
use crate::mail::Mailer;
use crate::metrics::Meters;
use crate::people::{People, Person};
pub(crate) use crate::store::{Filter, Page};
use crate::templates::{self, Places, Text};
use crate::traces::Traces;

/// No notification of this process is on record yet.
const UNREAD: i64 = -1;

/// The messages about all orders.
pub struct Notifications {
    pub(crate) store: Store,
    pub(crate) meters: Meters,
    mailer: Option<Mailer>,
    reach: Reach,
    people: People,
    /// The largest id that may be on record. What is larger is new, and need not be looked for.
    last: Arc<AtomicI64>,
    /// Until when this instance, and no other, sends what waits.
    turn: Mutex<Option<Timestamp>>,
    traces: Traces,
    /// Tells the sender that something waits. Only a hint: it looks by itself too.
    pub(crate) waiting: Arc<Notify>,
}

/// Other instances have written: what was the largest id may not be it any more.
struct Following(Arc<AtomicI64>);

impl Follower for Following {
    fn follow<'t>(
        &'t self,
        _: &'t mut Tx,
        _: &'t [Arc<Event>],
    ) -> BoxFuture<'t, Result<(), StoreError>> {
        self.0.store(UNREAD, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// How a try to send one message ended, and to whom it was.
pub(crate) struct Tried {
    id: i64,
    buyer: Option<CustomerId>,
    outcome: Outcome,
    traceparent: Option<SmolStr>,
}

impl Notifications {
    /// The notifications in `store`. Addresses are asked for by `customers`, and whose an order is by
    /// `orders`.
    pub fn try_new(
        store: Store,
        settings: &Settings,
        customers: CustomersClient<Transport>,
        orders: OrdersClient<Transport>,
        metrics: &Metrics,
    ) -> Result<Self, NotificationError> {
        let mailer = settings.smtp.as_ref().map(Mailer::try_new).transpose()?;
        let staff = mailer.as_ref().is_some_and(|mailer| mailer.staff.is_some());
        Ok(Self {
            store,
            meters: Meters::new(metrics),
            reach: Reach { customers: mailer.is_some(), staff },
            mailer,
            people: People::new(customers, orders),
            last: Arc::new(AtomicI64::new(UNREAD)),
            turn: Mutex::default(),
            traces: Traces::default(),
            waiting: Arc::default(),
        })
    }

    /// Keeps up with other instances, if there may be any.
    pub async fn follow(&self) -> Result<(), StoreError> {
        self.store.follow(Arc::new(Following(Arc::clone(&self.last)))).await
    }

    /// Writes down what is to be told about a batch of events.
    pub(crate) async fn hear(&self, tx: &mut Tx, batch: &[Arc<Event>]) -> Result<(), HandlerError> {
        let mut waits = false;
        for event in batch {
            let Some((notification, said)) = Notification::about(event, self.reach) else {
                continue;
            };
            if self.is_known(tx, notification.id).await? {
                continue;
            }
            if notification.is_pending() {
                waits = true;
                self.traces.keep(notification.id, event);
            }
            if let Some(said) = said {
                tx.publish(Draft::caused_by(event, 1, said).correlated(notification.order_id));
                self.meters.logged.inc();
            }
            tx.put(notification);
        }
        if waits {
            let waiting = Arc::clone(&self.waiting);
            tx.after_commit(move || waiting.notify_one());
        }
        Ok(())
    }

    /// Whether the event was heard before. Ids grow with the log, so this is nearly always told
    /// without a look into the table.
    async fn is_known(&self, tx: &mut Tx, id: i64) -> Result<bool, StoreError> {
        let mut last = self.last.load(Ordering::Relaxed);
        if last == UNREAD {
            last = crate::store::last_id(tx).await?;
        }
        self.last.store(last.max(id), Ordering::Relaxed);
        if id > last {
            return Ok(false);
        }
        tx.load::<Notification>(&[id]).await?;
        Ok(tx.get::<Notification>(&id).is_some())
    }

    /// Messages to be tried now, at most `limit`.
    pub(crate) async fn due(&self, limit: i64) -> Result<Vec<Notification>, StoreError> {
        let now = self.store.clock().now();
        self.store.read(move |rx| Box::pin(crate::store::due(rx, now, limit))).await
    }

    /// Shows how many messages wait.
    pub(crate) async fn count_pending(&self) -> Result<(), StoreError> {
        let pending = self.store.read(|rx| Box::pin(crate::store::pending_count(rx))).await?;
        self.meters.pending.set(pending);
        Ok(())
    }

    /// Tries to send one message. Changes nothing: how it ended is recorded by [`Self::record`].
    pub(crate) async fn send(&self, notification: Notification) -> Tried {
        let mut span = self.traces.sending(&notification);
        let context = span.as_ref().map(Span::context);
        let mut tried = trace::within(context, self.try_to_send(notification)).await;
        if let (Some(span), Outcome::NotNow { detail } | Outcome::Never { detail }) =
            (&mut span, &tried.outcome)
        {
            span.fail(detail);
        }
        tried.traceparent = context.map(Context::traceparent);
        tried
    }

    async fn try_to_send(&self, notification: Notification) -> Tried {
        let (id, traceparent) = (notification.id, None);
        let (recipient, buyer) = match &notification.recipient {
            Recipient::Known(recipient) => (recipient.clone(), None),
            Recipient::Buyer => match self.people.buyer(notification.order_id).await {
                Ok(buyer) => (buyer.clone(), Some(buyer)),
                Err(problem) => {
                    let outcome = unanswered(problem.status, "the buyer of the order");
                    return Tried { id, buyer: None, outcome, traceparent };
                }
            },
        };
        let outcome = match (notification.channel, &self.mailer) {
            (Channel::Log, _) => Outcome::Delivered,
            (Channel::Mail, Some(mailer)) => self.mail(mailer, &notification, &recipient).await,
            (Channel::Mail, None) => {
                Outcome::Never { detail: "no mail server is configured any more".to_owned() }
            }
        };
        Tried { id, buyer, outcome, traceparent }
    }

    async fn mail(
        &self,
        mailer: &Mailer,
        notification: &Notification,
        recipient: &CustomerId,
    ) -> Outcome {
        let person = if recipient.as_str() == STAFF {
            let email = mailer.staff.clone().unwrap_or_default();
            Ok(Person { name: String::new(), email })
        } else {
            self.people.person(recipient).await
        };
        let person = match person {
            Ok(person) => person,
            Err(problem) => return unanswered(problem.status, "the customer"),
        };
        if person.email.is_empty() {
            return Outcome::Never { detail: "there is no mail address".to_owned() };
        }
        match text_for(notification, recipient.as_str(), &person.name) {
            Ok(text) => mailer.send(&public_id(notification.id), &person.email, text).await,
            Err(error) => Outcome::Never { detail: error.to_string() },
        }
    }

    /// Records how tries ended, a batch in one transaction.
    pub(crate) async fn record(self: &Arc<Self>, tried: Vec<Tried>) -> Result<(), StoreError> {
        let me = Arc::clone(self);
        self.store.transact(move |tx| Box::pin(async move { me.apply(tx, tried).await })).await
    }

    async fn apply(&self, tx: &mut Tx, tried: Vec<Tried>) -> Result<(), StoreError> {
        let ids: Vec<_> = tried.iter().map(|tried| tried.id).collect();
        tx.load::<Notification>(&ids).await?;
        for Tried { id, buyer, outcome, traceparent } in tried {
            let known = tx.get::<Notification>(&id).cloned();
            let Some(mut notification) = known.filter(Notification::is_pending) else {
                continue;
            };
            if let Some(buyer) = buyer {
                notification.address_to(buyer);
            }
            if let Some(said) = notification.accept(outcome, tx.now()) {
                self.count(&said);
                let mut draft = Draft::new(1, said).correlated(notification.order_id);
                draft.causation = Some(notification.event_id);
                tx.publish(draft.traced(traceparent));
                self.traces.forget(notification.id);
            }
            tx.put(notification);
        }
        Ok(())
    }

    fn count(&self, said: &EventData) {
        if matches!(said, EventData::NotificationFailed(_)) {
            self.meters.failed.inc();
        } else {
            self.meters.sent.inc();
        }
    }

    /// One notification by its public id.
    pub(crate) async fn find(&self, text: &str) -> Result<Notification, NotificationError> {
        let not_found = || NotificationError::NotFound(text.chars().take(64).collect());
        let id = private_id(text).ok_or_else(not_found)?;
        let found = self.store.read(move |rx| Box::pin(crate::store::find(rx, id))).await;
        found.map_err(|error: StoreError| error)?.ok_or_else(not_found)
    }

    /// A page of notifications behind `from`, or from the beginning.
    pub(crate) async fn list(
        &self,
        filter: Filter,
        from: Option<i64>,
        limit: i64,
        newest_first: bool,
    ) -> Result<Page, StoreError> {
        self.store
            .read(move |rx| {
                Box::pin(
                    async move { crate::store::list(rx, &filter, from, limit, newest_first).await },
                )
            })
            .await
    }

    /// The same for one order: it has few, so all are read and cut into pages.
    pub(crate) async fn list_of_order(
        &self,
        order: OrderId,
        filter: Filter,
        from: Option<i64>,
        limit: usize,
        newest_first: bool,
    ) -> Result<Page, StoreError> {
        let read = self.store.read(move |rx| Box::pin(crate::store::of_order(rx, order)));
        let mut notifications: Vec<Notification> = read.await?;
        notifications.retain(|notification| {
            let is_behind = match from {
                Some(from) if newest_first => notification.id < from,
                Some(from) => notification.id > from,
                None => true,
            };
            is_behind && filter.matches(notification)
        });
        if newest_first {
            notifications.reverse();
        }
        let has_more = notifications.len() > limit;
        notifications.truncate(limit);
        let last = notifications.last().map(|notification| notification.id);
        Ok(Page { notifications, next: last.filter(|_| has_more) })
    }

    /// What a template says about an order, or about a sample; `subject` and `body` stand in for the
    /// stored ones.
    pub(crate) async fn preview(
        &self,
        name: &str,
        order: Option<OrderId>,
        subject: Option<&str>,
        body: Option<&str>,
    ) -> Result<Text, NotificationError> {
        let source = templates::find(name)?;
        let places = match order {
            None => sample(),
            Some(order) => self.places_of(order).await?,
        };
        if subject.is_none() && body.is_none() {
            return Ok(templates::render(source, &places)?);
        }
        let (subject, body) = (subject.unwrap_or(source.subject), body.unwrap_or(source.body));
        Ok(templates::try_out(subject, body, &places)?)
    }

    async fn places_of(&self, order: OrderId) -> Result<Places, NotificationError> {
        let found = self.people.order(order).await.map_err(NotificationError::Asked)?;
        let total = found.total.as_ref().and_then(|total| rpc::parse_money(total).ok());
        let detail = found.attention_reason;
        let words = Words { total, detail, shipment: 1, ..Words::default() };
        Ok(Places::new(order, &words, &found.customer_id, ""))
    }
}

/// What to do when a question about `whom` was not answered: a 404 stays one, the rest may pass.
fn unanswered(status: u16, whom: &str) -> Outcome {
    if status == 404 {
        return Outcome::Never { detail: format!("{whom} is not known") };
    }
    Outcome::NotNow { detail: format!("{whom} cannot be asked for at present") }
}

/// The text of a message, for somebody who is called `name`.
pub(crate) fn text_for(
    notification: &Notification,
    recipient: &str,
    name: &str,
) -> Result<Text, TemplateError> {
    let source = templates::find(notification.template)?;
    let places = Places::new(notification.order_id, &notification.words, recipient, name);
    templates::render(source, &places)
}

/// An order that shows what a template looks like.
fn sample() -> Places {
    use contracts::events::order::{EndReason, LineUnits};
    use contracts::{Currency, Money, Sku};

    let order = OrderId::new(Timestamp::default(), OrderNumber::new(1_001), 0);
    let line = |line, text| Sku::try_new(text).map(|sku| LineUnits { line, sku, units: 2 });
    let words = Words {
        total: Some(Money::new(259_999, Currency::USD)),
        reason: Some(EndReason::Requested),
        detail: "no longer needed".to_owned(),
        shipment: 1,
        lines: [line(1, "item1"), line(2, "item2")].into_iter().flatten().collect(),
    };
    Places::new(order, &words, "OMS-Cust-001", "Ada Lovelace")
}

/// The id of a notification as others see it: a UUID of version 8 that carries ours.
pub(crate) fn public_id(id: i64) -> String {
    let id = u128::from(id.unsigned_abs());
    // 62 bits stand behind the variant, the rest before it, behind the version.
    let (high, low) = (id >> 62, id & ((1 << 62) - 1));
    let number = (0x8000 | high) << 64 | (0b10 << 62) | low;
    uuid::Uuid::from_u128(number).as_hyphenated().to_string()
}

/// The ids on record that a public id, or the id of the event told of, can stand for.
fn private_id(text: &str) -> Option<(i64, i64)> {
    if let Ok(event) = text.parse::<EventId>() {
        return Some(domain::ids(event));
    }
    let number = uuid::Uuid::try_parse(text).ok()?.as_u128();
    let id = ((number >> 64) & 0x0fff) << 62 | (number & ((1 << 62) - 1));
    let id = i64::try_from(id).ok()?;
    (public_id(id) == text.to_ascii_lowercase()).then_some((id, id))
}

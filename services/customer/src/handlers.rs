//! Commands, facts and questions. The only home of transactions.

use std::sync::Arc;

use contracts::events::customer::{CustomerRefusal, CustomerRejected, CustomerValidated};
use contracts::{CustomerId, Draft, Event, EventData, Money, OrderId, OrderNumber};
use serde::{Deserialize, Serialize};
use store::requests::Once;
use store::{BoxFuture, Follower, Store, StoreError, Tx};
use telemetry::Metrics;

use crate::domain::{Customer, Details, Reservation, WithoutCredit};
use crate::error::CustomerError;
use crate::store as table;
pub(crate) use crate::store::{Filter, Sequence};

/// What an operator may set. Nothing yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {}

/// The customer service.
pub struct Customers {
    store: Store,
    without_credit: Arc<WithoutCredit>,
}

/// What another instance has said of an order is not known here.
struct Following(Arc<WithoutCredit>);

impl Follower for Following {
    fn follow<'t>(
        &'t self,
        _: &'t mut Tx,
        events: &'t [Arc<Event>],
    ) -> BoxFuture<'t, Result<(), StoreError>> {
        let orders = events.iter().filter_map(|event| event.correlation);
        orders.for_each(|order| self.0.forget(order.number()));
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What can be done to a customer.
#[derive(Debug, Clone)]
pub enum Change {
    /// A new customer.
    Create(Details),
    /// Other details.
    Update(Details),
    /// May not buy, for a reason; `None`: may buy again.
    Block(Option<String>),
    /// Forget the personal data.
    Erase,
}

/// A change of one customer, once per key, of a version if one is named.
#[derive(Debug, Clone)]
pub struct Command {
    /// Under which key.
    pub once: Once,
    /// Whom.
    pub customer: CustomerId,
    /// The version that the caller saw.
    pub expected: Option<u64>,
    /// What.
    pub change: Change,
}

/// The customer after a command, and whether the command had been carried out before.
///
/// What is remembered under a key is that it was done, not the answer: the answer holds personal
/// data, which must be gone everywhere once it is erased. A replay shows the customer as it is now.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The customer.
    pub customer: Customer,
    /// Whether an earlier call did it.
    pub replayed: bool,
}

/// A question about an order: may this customer buy for so much?
struct Question<'e> {
    order: OrderId,
    customer: &'e CustomerId,
    total: Money,
    attempt: u64,
}

fn question(data: &EventData) -> Option<Question<'_>> {
    if let EventData::OrderPlaced(placed) = data {
        let (order, total) = (placed.order_id, placed.total);
        return Some(Question { order, customer: &placed.customer_id, total, attempt: 1 });
    }
    if let EventData::OrderCheckRequested(asked) = data {
        let (order, total, attempt) = (asked.order_id, asked.total, asked.attempt);
        return Some(Question { order, customer: &asked.customer_id, total, attempt });
    }
    None
}

impl Customers {
    /// The customers in `store`.
    pub fn new(store: Store, _: Settings, _: &Metrics) -> Self {
        Self { store, without_credit: Arc::default() }
    }

    /// Keeps up with other instances, if there may be any.
    pub async fn follow(&self) -> Result<(), StoreError> {
        self.store.follow(Arc::new(Following(Arc::clone(&self.without_credit)))).await
    }

    /// Judges placed orders, and releases the credit of those that are paid or ended.
    pub(crate) async fn hear(
        &self,
        tx: &mut Tx,
        batch: &[Arc<Event>],
    ) -> Result<(), CustomerError> {
        let asked: Vec<_> = batch.iter().filter_map(|event| question(&event.data)).collect();
        let customers: Vec<_> = asked.iter().map(|asked| asked.customer.clone()).collect();
        tx.load::<Customer>(&customers).await?;
        for event in batch {
            if let Some(question) = question(&event.data) {
                self.judge(tx, event, &question).await?;
                continue;
            }
            let order = event.correlation.map(|order| order.number());
            if let Some(order) = order.filter(|order| !self.without_credit.knows(*order)) {
                release(tx, order).await?;
            }
        }
        Ok(())
    }

    async fn judge(
        &self,
        tx: &mut Tx,
        event: &Event,
        asked: &Question<'_>,
    ) -> Result<(), CustomerError> {
        let (order_id, customer_id) = (asked.order, asked.customer.clone());
        let known = tx.get::<Customer>(asked.customer);
        if known.is_none_or(Customer::is_free_of_credit) {
            self.without_credit.note(order_id.number());
        } else {
            self.without_credit.forget(order_id.number());
        }
        let is_limited = known.is_some_and(|customer| customer.details.credit_limit.is_some());
        let verdict = if is_limited {
            judge_credit(tx, asked).await?
        } else {
            known.map_or(Err(CustomerRefusal::Unknown), |customer| customer.may_buy(asked.total))
        };
        let said: EventData = match verdict {
            Ok(()) => CustomerValidated { order_id, customer_id }.into(),
            Err(reason) => CustomerRejected { order_id, customer_id, reason }.into(),
        };
        tx.publish(Draft::caused_by(event, asked.attempt, said).correlated(order_id));
        Ok(())
    }

    /// Carries out one command.
    pub async fn change(&self, command: Command) -> Result<Answer, CustomerError> {
        self.store.transact(|tx| Box::pin(async move { carry_out(tx, command).await })).await
    }

    /// Carries out many commands in one transaction; each is accepted or refused by itself.
    pub async fn change_all(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Answer, CustomerError>>, CustomerError> {
        self.store
            .transact(|tx| {
                Box::pin(async move {
                    let mut answers = Vec::with_capacity(commands.len());
                    for command in commands {
                        // A refusal is decided before anything is written.
                        match carry_out(tx, command).await {
                            Err(CustomerError::Store(error)) => return Err(error.into()),
                            answer => answers.push(answer),
                        }
                    }
                    Ok(answers)
                })
            })
            .await
    }

    /// One customer.
    pub async fn find(&self, id: CustomerId) -> Result<Customer, CustomerError> {
        self.store
            .read(move |rx| {
                Box::pin(
                    async move { table::find(rx, &id).await?.ok_or(CustomerError::NotFound(id)) },
                )
            })
            .await
    }

    /// One page of customers.
    pub async fn list(&self, filter: Filter) -> Result<Vec<Customer>, CustomerError> {
        self.store
            .read(move |rx| Box::pin(async move { Ok(table::list(rx, &filter).await?) }))
            .await
    }
}

/// The verdict on an order of a customer with a limit; credit is taken up once per order.
async fn judge_credit(
    tx: &mut Tx,
    asked: &Question<'_>,
) -> Result<Result<(), CustomerRefusal>, CustomerError> {
    let order = asked.order.number();
    tx.load::<Reservation>(&[order]).await?;
    if tx.get::<Reservation>(&order).is_some() {
        return Ok(Ok(()));
    }
    let Some(customer) = tx.get::<Customer>(asked.customer).cloned() else {
        return Ok(Err(CustomerRefusal::Unknown));
    };
    if let Err(refusal) = customer.may_buy(asked.total) {
        return Ok(Err(refusal));
    }
    let amount_minor = asked.total.minor();
    tx.put(Reservation { order, customer: customer.id.clone(), amount_minor, released: false });
    tx.put(customer.reserving(amount_minor));
    Ok(Ok(()))
}

/// Gives back what an order takes up, if anything; a second time does nothing.
async fn release(tx: &mut Tx, order: OrderNumber) -> Result<(), CustomerError> {
    tx.load::<Reservation>(&[order]).await?;
    let Some(reservation) = tx.get::<Reservation>(&order).cloned() else {
        return Ok(());
    };
    if reservation.released {
        return Ok(());
    }
    if let Some(customer) = table::load(tx, &reservation.customer).await? {
        tx.put(customer.reserving(-reservation.amount_minor));
    }
    tx.put(Reservation { released: true, ..reservation });
    Ok(())
}

async fn carry_out(tx: &mut Tx, command: Command) -> Result<Answer, CustomerError> {
    let Command { once, customer: id, expected, change } = command;
    if once.first_answer(tx).await?.is_some() {
        let customer = table::load(tx, &id).await?.ok_or(CustomerError::NotFound(id))?;
        return Ok(Answer { customer, replayed: true });
    }
    let customer = decide(tx, id, expected, change).await?;
    once.keep_answer(tx, customer.id.as_str().as_bytes()).await?;
    Ok(Answer { customer, replayed: false })
}

async fn decide(
    tx: &mut Tx,
    id: CustomerId,
    expected: Option<u64>,
    change: Change,
) -> Result<Customer, CustomerError> {
    let now = tx.now();
    let known = table::load(tx, &id).await?;
    if let Change::Create(details) = change {
        details.check()?;
        if known.is_some() {
            return Err(CustomerError::Exists(id));
        }
        let (customer, told) = Customer::create(id, details, now);
        return Ok(save(tx, customer, told));
    }
    let Some(known) = known else {
        return Err(CustomerError::NotFound(id));
    };
    if expected.is_some_and(|expected| expected != known.version) {
        return Err(CustomerError::Stale { id, current: known.version });
    }
    let changed = match change {
        Change::Create(details) | Change::Update(details) => {
            details.check()?;
            if known.erased_at.is_some() {
                return Err(CustomerError::Erased(id));
            }
            if !known.may_take_limit(details.credit_limit) {
                return Err(CustomerError::CreditInUse(id));
            }
            known.clone().update(details, now)
        }
        Change::Block(reason) => known.clone().block(reason, now),
        Change::Erase => known.clone().erase(now),
    };
    Ok(match changed {
        Some((customer, told)) => save(tx, customer, told),
        None => known,
    })
}

fn save(tx: &mut Tx, customer: Customer, told: EventData) -> Customer {
    tx.publish(Draft::new(customer.version, told));
    tx.put(customer.clone());
    customer
}

#[cfg(test)]
mod tests;

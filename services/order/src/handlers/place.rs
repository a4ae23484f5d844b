//! Placing orders: checked and priced before the transaction, stored within it.

use std::collections::HashMap;
use std::sync::Arc;

use ::store::Tx;
use contracts::events::order::{OrderPlaced, PaymentInstruction, PlacedLine, ShortagePolicy};
use contracts::{
    CustomerId, FieldError, Money, OrderId, OrderNumber, Problem, Quantity, Sku, Timestamp,
};

use super::change::Changes;
use super::prices::Product;
use super::{Orders, save};
use crate::domain::{Cause, LINES_MAX, Order, Placed, RequestKey, Text};
use crate::error::OrderError;

/// Orders in one request.
const ORDERS_MAX: usize = 1_000;
/// The longest method, channel or token, in bytes.
const WORD_MAX: usize = 200;

/// A line that a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// The SKU, unchecked.
    pub sku: String,
    /// The units, unchecked.
    pub quantity: i64,
    /// What to do when it is short; `None` takes the order's policy.
    pub policy: Option<ShortagePolicy>,
}

/// An order that a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// Who buys, unchecked.
    pub customer_id: String,
    /// What, unchecked.
    pub lines: Vec<NewLine>,
    /// What the client believes it costs.
    pub total: Option<Money>,
    /// What to do when stock is short.
    pub policy: ShortagePolicy,
    /// Method and token; `None` takes the default.
    pub payment: Option<(String, String)>,
    /// Where it comes from; empty stands for `api`.
    pub channel: String,
    /// The request's key and fingerprint, if it carries one.
    pub request: Option<RequestKey>,
    /// Who asks.
    pub actor: Text,
}

/// What became of a request to place an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The order as it was placed.
    pub order: Order,
    /// Whether an earlier request with the same key had placed it.
    pub replayed: bool,
}

/// An order that can be stored: everything is checked and priced.
struct Priced {
    customer_id: CustomerId,
    lines: Vec<PlacedLine>,
    payment: PaymentInstruction,
    channel: Text,
    policy: ShortagePolicy,
    request: Option<RequestKey>,
    actor: Text,
}

/// An order whose fields are well formed, without prices.
struct Formed {
    customer_id: CustomerId,
    lines: Vec<(Sku, Quantity, ShortagePolicy)>,
    payment: PaymentInstruction,
    new: NewOrder,
}

impl Orders {
    /// Stores an order.
    pub async fn place(self: &Arc<Self>, new: NewOrder) -> Result<Placement, OrderError> {
        let mut placed = self.place_all(vec![new]).await?;
        placed.pop().unwrap_or_else(|| Err(Problem::malformed("there is no order").into()))
    }

    /// Stores many orders in one transaction, each accepted or refused by itself.
    pub async fn place_all(
        self: &Arc<Self>,
        new: Vec<NewOrder>,
    ) -> Result<Vec<Result<Placement, OrderError>>, OrderError> {
        if new.len() > ORDERS_MAX {
            let detail = format!("at most {ORDERS_MAX} orders can be placed at once");
            return Err(Problem::field("/orders", "too-many", detail).into());
        }
        let open = self.live.unfinished();
        if open >= self.settings.open_orders_max {
            return Err(OrderError::Overloaded { open });
        }
        let formed: Vec<_> = new.into_iter().map(|new| self.form(new)).collect();
        let skus = formed.iter().flatten().flat_map(|order| &order.lines).map(|line| &line.0);
        let products = self.prices.of(skus).await?;
        let priced: Vec<_> = formed
            .into_iter()
            .map(|order| order.and_then(|order| price(order, &products)))
            .collect();
        if priced.iter().all(Result::is_err) {
            return Ok(priced.into_iter().filter_map(Result::err).map(refused).collect());
        }
        let orders = Arc::clone(self);
        self.store
            .transact(move |tx| Box::pin(async move { orders.store_all(tx, priced).await }))
            .await
    }

    async fn store_all(
        &self,
        tx: &mut Tx,
        priced: Vec<Result<Priced, Problem>>,
    ) -> Result<Vec<Result<Placement, OrderError>>, OrderError> {
        let mut outcomes = Vec::with_capacity(priced.len());
        let mut changes = Changes::new(&self.live);
        for order in priced {
            outcomes.push(match order {
                Err(problem) => refused(problem),
                Ok(order) => match self.store_one(tx, order, &mut changes).await {
                    // Refused before anything was done: the others are not concerned.
                    Err(OrderError::KeyReused) => Err(OrderError::KeyReused),
                    outcome => Ok(outcome?),
                },
            });
        }
        changes.tell_after_commit(tx);
        Ok(outcomes)
    }

    async fn store_one(
        &self,
        tx: &mut Tx,
        priced: Priced,
        changes: &mut Changes,
    ) -> Result<Placement, OrderError> {
        if let Some(request) = &priced.request
            && let Some(first) = self.live.keys.find(tx, request).await?
        {
            let same = first.placed.request.as_ref() == Some(request);
            if !same {
                return Err(OrderError::KeyReused);
            }
            return Ok(Placement { order: first.as_placed(&self.deadlines), replayed: true });
        }
        let number = tx.number::<Order>().await?;
        let number = OrderNumber::new(u64::try_from(number).unwrap_or(0));
        let id = OrderId::new(tx.now(), number, self.random.next());
        let actor = Text::clone(&priced.actor);
        let placed = priced.into_placed(id, number, tx.now());
        if let Some(request) = &placed.request {
            self.live.keys.claim(&request.key, number);
        }
        let order = Order::place(Arc::new(placed), Text::clone(&actor), &self.deadlines);
        let said = said(&order);
        save(tx, None, order.clone(), vec![said.into()], &Cause::Actor(actor), changes)?;
        Ok(Placement { order, replayed: false })
    }

    /// Checks every field and names all that are at fault.
    fn form(&self, new: NewOrder) -> Result<Formed, Problem> {
        let mut errors = Vec::new();
        let mut fault = |pointer: String, code: &str, detail: String| {
            errors.push(FieldError::new(pointer, code, detail));
        };
        let customer_id = CustomerId::try_new(&new.customer_id);
        if let Err(why) = &customer_id {
            fault("/customerId".to_owned(), "invalid", why.to_string());
        }
        if new.lines.is_empty() || new.lines.len() > LINES_MAX {
            let detail = format!("an order has 1 to {LINES_MAX} lines, not {}", new.lines.len());
            fault("/lines".to_owned(), "out-of-range", detail);
        }
        let mut lines = Vec::with_capacity(new.lines.len());
        for (index, line) in new.lines.iter().take(LINES_MAX).enumerate() {
            let sku = Sku::try_new(&line.sku);
            if let Err(why) = &sku {
                fault(format!("/lines/{index}/sku"), "invalid", why.to_string());
            }
            let quantity = Quantity::try_new(line.quantity);
            if let Err(why) = &quantity {
                fault(format!("/lines/{index}/quantity"), "out-of-range", why.to_string());
            }
            if let (Ok(sku), Ok(quantity)) = (sku, quantity) {
                lines.push((sku, quantity, line.policy.unwrap_or(new.policy)));
            }
        }
        self.check_words(&new, &mut fault);
        match customer_id {
            Ok(customer_id) if errors.is_empty() => {
                let payment = self.payment(new.payment.as_ref());
                Ok(Formed { customer_id, lines, payment, new })
            }
            Ok(_) | Err(_) => Err(invalid(errors)),
        }
    }

    fn check_words(&self, new: &NewOrder, fault: &mut impl FnMut(String, &str, String)) {
        let (method, token) = match &new.payment {
            Some((method, token)) => (method.as_str(), token.as_str()),
            None => ("", ""),
        };
        let known = self.settings.payment_methods.iter().any(|known| known == method);
        if !method.is_empty() && !known {
            let known = self.settings.payment_methods.join(", ");
            let detail = format!("the methods of payment are {known}");
            fault("/payment/method".to_owned(), "unknown-method", detail);
        }
        for (pointer, text) in [("/payment/token", token), ("/channel", new.channel.as_str())] {
            if text.len() > WORD_MAX || text.chars().any(char::is_control) {
                let detail = format!("at most {WORD_MAX} bytes without control characters");
                fault(pointer.to_owned(), "invalid", detail);
            }
        }
    }

    /// What is given, with the defaults for what is not.
    fn payment(&self, given: Option<&(String, String)>) -> PaymentInstruction {
        let (method, token) = given.map_or(("", ""), |(method, token)| (method, token));
        let settings = &self.settings;
        let (method, token) = match (method, token) {
            ("", "") => (settings.payment_method.as_str(), settings.payment_token.as_str()),
            ("", token) => (settings.payment_method.as_str(), token),
            given => given,
        };
        PaymentInstruction { method: method.into(), token: token.into() }
    }
}

fn refused(problem: Problem) -> Result<Placement, OrderError> {
    Err(problem.into())
}

fn invalid(errors: Vec<FieldError>) -> Problem {
    let detail = errors.first().map(|error| error.detail.clone()).unwrap_or_default();
    let mut problem = Problem::invalid(detail);
    problem.errors = errors;
    problem
}

fn said(order: &Order) -> OrderPlaced {
    let placed = &order.placed;
    OrderPlaced {
        order_id: placed.id,
        number: placed.number,
        customer_id: placed.customer_id.clone(),
        lines: placed.lines.clone(),
        total: order.total(),
        payment: placed.payment.clone(),
        channel: placed.channel.as_ref().into(),
    }
}

/// Puts the catalog's names and prices on the lines and adds them up.
fn price(formed: Formed, products: &HashMap<Sku, Arc<Product>>) -> Result<Priced, Problem> {
    let Formed { customer_id, lines, payment, new } = formed;
    let mut errors = Vec::new();
    let mut placed = Vec::with_capacity(lines.len());
    for (index, (sku, quantity, policy)) in lines.into_iter().enumerate() {
        let pointer = format!("/lines/{index}/sku");
        let Some(product) = products.get(&sku) else {
            let detail = format!("there is no product `{sku}`");
            errors.push(FieldError::new(pointer, "unknown-sku", detail));
            continue;
        };
        if product.retired {
            let detail = format!("`{sku}` is no longer sold");
            errors.push(FieldError::new(pointer, "retired-sku", detail));
            continue;
        }
        placed.push(PlacedLine {
            line: u16::try_from(index + 1).unwrap_or(u16::MAX),
            sku,
            name: product.name.clone(),
            quantity,
            unit_price: product.price,
            policy,
        });
    }
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    let total = add_up(&placed)?;
    if let Some(given) = new.total.filter(|given| *given != total) {
        return Err(mismatch(total, given));
    }
    Ok(Priced {
        customer_id,
        lines: placed,
        payment,
        channel: if new.channel.is_empty() { "api".into() } else { new.channel.into() },
        policy: new.policy,
        request: new.request,
        actor: new.actor,
    })
}

fn add_up(lines: &[PlacedLine]) -> Result<Money, Problem> {
    let mut total: Option<Money> = None;
    for (index, line) in lines.iter().enumerate() {
        let amount = line.unit_price.checked_mul(line.quantity.get());
        let sum = amount.and_then(|amount| match total {
            Some(sum) => sum.checked_add(amount),
            None => Ok(amount),
        });
        total = Some(sum.map_err(|why| {
            Problem::field(&format!("/lines/{index}/sku"), "cannot-be-added", why.to_string())
        })?);
    }
    total.ok_or_else(|| Problem::field("/lines", "out-of-range", "an order has at least one line"))
}

fn mismatch(expected: Money, given: Money) -> Problem {
    let json = |money: Money| serde_json::to_value(money).unwrap_or_default();
    let detail = format!("the order costs {expected}, not {given}");
    let error = FieldError::new("/total", "total-mismatch", detail.clone());
    Problem::total_mismatch(detail)
        .with_error(error)
        .with("expected", json(expected))
        .with("given", json(given))
}

impl Priced {
    fn into_placed(self, id: OrderId, number: OrderNumber, at: Timestamp) -> Placed {
        Placed {
            id,
            number,
            at,
            customer_id: self.customer_id,
            lines: self.lines,
            payment: self.payment,
            channel: self.channel,
            policy: self.policy,
            request: self.request,
        }
    }
}

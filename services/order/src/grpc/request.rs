//! Messages that ask, as the handlers understand them.

use contracts::events::order::ShortagePolicy;
use contracts::{CustomerId, OrderId, Problem, Sku};
use contracts_grpc::v1;
use prost::Message;
use store::requests::Once;
use tonic::Request;

use crate::domain::{AttentionAction, RequestKey, Status, Text, Units};
use crate::handlers::{Asked, Command, Filter, NewLine, NewOrder};

/// The longest text that a client may give, in bytes.
const TEXT_MAX: usize = 4_096;
/// The longest name of an actor, a carrier or a tracking number, in bytes.
const NAME_MAX: usize = 200;
/// Orders in one call.
const ORDERS_MAX: usize = 1_000;
/// Lines of all orders in one call.
const LINES_MAX: usize = 10_000;
/// The metadata that names who calls.
const ACTOR: &str = "millrace-actor";

type Asking = Result<(Asked, Command), Problem>;

/// Who calls.
pub(super) fn actor<T>(request: &Request<T>) -> Text {
    let name = request.metadata().get(ACTOR).and_then(|value| value.to_str().ok());
    let name = name.filter(|name| !name.is_empty() && name.len() <= NAME_MAX);
    Text::from(name.unwrap_or("api"))
}

pub(super) fn order_id(text: &str) -> Result<OrderId, Problem> {
    // What cannot be an order's id is the id of no order.
    text.parse().map_err(|why: contracts::ids::InvalidId| Problem::not_found(why.to_string()))
}

fn text(pointer: &str, given: String, max: usize) -> Result<String, Problem> {
    if given.len() > max {
        let detail = format!("at most {max} bytes, not {}", given.len());
        return Err(Problem::field(pointer, "too-long", detail));
    }
    Ok(given)
}

fn reason(given: String) -> Result<String, Problem> {
    if given.trim().is_empty() {
        return Err(Problem::field("/reason", "required", "say why"));
    }
    text("/reason", given, TEXT_MAX)
}

fn policy(given: v1::ShortagePolicy) -> Option<ShortagePolicy> {
    match given {
        v1::ShortagePolicy::Unspecified => None,
        v1::ShortagePolicy::Reject => Some(ShortagePolicy::Reject),
        v1::ShortagePolicy::AllowPartial => Some(ShortagePolicy::AllowPartial),
        v1::ShortagePolicy::Backorder => Some(ShortagePolicy::Backorder),
        v1::ShortagePolicy::Ask => Some(ShortagePolicy::Ask),
    }
}

/// Units of lines; `least` is the smallest number that the request gives a meaning.
fn units(lines: &[v1::LineQuantity], least: i64) -> Result<Vec<Units>, Problem> {
    let read = |(index, line): (usize, &v1::LineQuantity)| {
        let number = u16::try_from(line.line_number).map_err(|_large| {
            let detail = format!("there is no line {}", line.line_number);
            Problem::field(&format!("/lines/{index}/line"), "unknown-line", detail)
        })?;
        if !(least..=contracts::Quantity::MAX).contains(&line.quantity) {
            let detail = format!("{least} to {}, not {}", contracts::Quantity::MAX, line.quantity);
            let pointer = format!("/lines/{index}/quantity");
            return Err(Problem::field(&pointer, "out-of-range", detail));
        }
        Ok(Units { line: number, units: line.quantity })
    };
    lines.iter().enumerate().map(read).collect()
}

/// An order to place.
pub(super) fn new_order(
    mut message: v1::PlaceOrderRequest,
    actor: &Text,
) -> Result<NewOrder, Problem> {
    let key = std::mem::take(&mut message.idempotency_key);
    // How long the caller waits does not make it another request.
    message.wait_ms = 0;
    let request = match key.as_str() {
        "" => None,
        key => {
            let Once { key, fingerprint, .. } = rpc::once("order.place", key, &message)?;
            Some(RequestKey { key: key.into(), fingerprint })
        }
    };
    let total = message.total.as_ref().map(rpc::parse_money).transpose();
    let total =
        total.map_err(|why| Problem::field("/total/currency", "invalid", why.to_string()))?;
    let order_policy = policy(message.shortage_policy()).unwrap_or_default();
    let lines = message.lines.into_iter().map(|line| NewLine {
        quantity: line.quantity,
        policy: policy(line.shortage_policy()),
        sku: line.sku,
    });
    Ok(NewOrder {
        lines: lines.collect(),
        customer_id: message.customer_id,
        total,
        policy: order_policy,
        payment: message.payment.map(|payment| (payment.method, payment.token)),
        channel: message.channel,
        request,
        actor: Text::clone(actor),
    })
}

/// Orders to place, and for each one asked for the problem that keeps it from being one of them.
pub(super) fn new_orders(
    message: v1::PlaceOrdersRequest,
    actor: &Text,
) -> Result<(Vec<NewOrder>, Vec<Option<Problem>>), Problem> {
    let orders = message.orders;
    if orders.is_empty() || orders.len() > ORDERS_MAX {
        let detail = format!("1 to {ORDERS_MAX} orders can be placed at once");
        return Err(Problem::field("/orders", "out-of-range", detail));
    }
    let lines: usize = orders.iter().map(|order| order.lines.len()).sum();
    if lines > LINES_MAX {
        let detail = format!("at most {LINES_MAX} lines can be placed at once");
        return Err(Problem::field("/orders", "out-of-range", detail));
    }
    if orders.iter().any(|order| order.wait_ms > 0) {
        return Err(Problem::field("/orders", "cannot-wait", "a batch cannot wait"));
    }
    let (mut new, mut places) = (Vec::with_capacity(orders.len()), Vec::new());
    for order in orders {
        match new_order(order, actor) {
            Ok(order) => {
                new.push(order);
                places.push(None);
            }
            Err(problem) => places.push(Some(problem)),
        }
    }
    Ok((new, places))
}

fn status(given: v1::OrderStatus) -> Option<Status> {
    match given {
        v1::OrderStatus::Unspecified => None,
        v1::OrderStatus::Placed => Some(Status::Placed),
        v1::OrderStatus::AwaitingDecision => Some(Status::AwaitingDecision),
        v1::OrderStatus::Reserved => Some(Status::Reserved),
        v1::OrderStatus::Paying => Some(Status::Paying),
        v1::OrderStatus::Confirmed => Some(Status::Confirmed),
        v1::OrderStatus::Fulfilling => Some(Status::Fulfilling),
        v1::OrderStatus::Completed => Some(Status::Completed),
        v1::OrderStatus::OnHold => Some(Status::OnHold),
        v1::OrderStatus::Cancelling => Some(Status::Cancelling),
        v1::OrderStatus::Rejected => Some(Status::Rejected),
        v1::OrderStatus::Cancelled => Some(Status::Cancelled),
        v1::OrderStatus::Expired => Some(Status::Expired),
    }
}

/// What a list asks for.
pub(super) fn filter(message: v1::ListOrdersRequest) -> Result<Filter, Problem> {
    let invalid = |pointer: &'static str| {
        move |why: contracts::ids::InvalidId| Problem::field(pointer, "invalid", why.to_string())
    };
    let time = |given: Option<&prost_types::Timestamp>| given.and_then(rpc::parse_timestamp);
    let customer_id = Some(message.customer_id.as_str()).filter(|text| !text.is_empty());
    let sku = Some(message.sku.as_str()).filter(|text| !text.is_empty());
    let statuses = message.statuses().filter_map(status).collect();
    Ok(Filter {
        statuses,
        customer_id: customer_id
            .map(CustomerId::try_new)
            .transpose()
            .map_err(invalid("/customerId"))?,
        sku: sku.map(Sku::try_new).transpose().map_err(invalid("/sku"))?,
        placed_from: time(message.placed_from.as_ref()),
        placed_to: time(message.placed_to.as_ref()),
        oldest_first: message.sort() == v1::TimeSort::Oldest,
        needs_attention: message.needs_attention,
        overdue: message.overdue,
        query: text("/query", message.query, NAME_MAX)?.trim().into(),
        channel: text("/channel", message.channel, NAME_MAX)?.into(),
    })
}

/// A message that asks for something to be done with an order.
trait Commanding: Message {
    const SCOPE: &'static str;
    fn key(&mut self) -> &mut String;
    fn order(&self) -> &str;
    fn version(&self) -> Option<u64>;
}

macro_rules! commanding {
    ($($message:ident $scope:literal;)*) => {
        $(impl Commanding for v1::$message {
            const SCOPE: &'static str = $scope;

            fn key(&mut self) -> &mut String {
                &mut self.idempotency_key
            }

            fn order(&self) -> &str {
                &self.order_id
            }

            fn version(&self) -> Option<u64> {
                self.expected_version
            }
        })*
    };
}

commanding! {
    CancelOrderRequest "order.cancel";
    DecideOrderRequest "order.decide";
    CreateShipmentRequest "order.ship";
    HoldOrderRequest "order.hold";
    ResumeOrderRequest "order.resume";
    ResolveAttentionRequest "order.settle";
}

/// Who asks, about which order, under which key; and the message.
fn asked<M: Commanding>(request: Request<M>) -> Result<(Asked, M), Problem> {
    let actor = actor(&request);
    let mut message = request.into_inner();
    let key = std::mem::take(message.key());
    let once = if key.is_empty() {
        Once { scope: M::SCOPE, key, fingerprint: [0; 16] }
    } else {
        rpc::once(M::SCOPE, &key, &message)?
    };
    let order = order_id(message.order())?;
    let asked = Asked { order, version: message.version(), actor, once };
    Ok((asked, message))
}

pub(super) fn cancel(request: Request<v1::CancelOrderRequest>) -> Asking {
    let (asked, message) = asked(request)?;
    let reason = reason(message.reason)?;
    let lines = units(&message.lines, 1)?;
    let whole = lines.is_empty();
    let command =
        if whole { Command::Cancel { reason } } else { Command::CancelLines { lines, reason } };
    Ok((asked, command))
}

pub(super) fn decide(request: Request<v1::DecideOrderRequest>) -> Asking {
    let (asked, message) = asked(request)?;
    let decision = message.decision();
    if !message.lines.is_empty() && decision != v1::Decision::Amend {
        return Err(Problem::field("/lines", "not-expected", "only an amendment names lines"));
    }
    let command = match decision {
        v1::Decision::Unspecified => {
            let detail = "say what to do: accept, amend or cancel";
            return Err(Problem::field("/decision", "required", detail));
        }
        v1::Decision::Accept => Command::Accept,
        v1::Decision::Amend if message.lines.is_empty() => {
            let detail = "an amendment names at least one line";
            return Err(Problem::field("/lines", "required", detail));
        }
        v1::Decision::Amend => Command::Amend { lines: units(&message.lines, 0)? },
        v1::Decision::Cancel => Command::Decline { reason: reason(message.reason)? },
    };
    Ok((asked, command))
}

pub(super) fn dispatch(request: Request<v1::CreateShipmentRequest>) -> Asking {
    let (asked, message) = asked(request)?;
    let command = Command::Dispatch {
        lines: units(&message.lines, 1)?,
        carrier: text("/carrier", message.carrier, NAME_MAX)?,
        tracking: text("/tracking", message.tracking, NAME_MAX)?,
    };
    Ok((asked, command))
}

pub(super) fn hold(request: Request<v1::HoldOrderRequest>) -> Asking {
    let (asked, message) = asked(request)?;
    Ok((asked, Command::Hold { reason: reason(message.reason)? }))
}

pub(super) fn resume(request: Request<v1::ResumeOrderRequest>) -> Asking {
    let (asked, _) = asked(request)?;
    Ok((asked, Command::Resume))
}

pub(super) fn settle(
    request: Request<v1::ResolveAttentionRequest>,
    action: AttentionAction,
) -> Asking {
    let (asked, message) = asked(request)?;
    Ok((asked, Command::Settle { action, reason: reason(message.reason)? }))
}

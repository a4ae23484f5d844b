//! What others may ask about payments.

use std::sync::Arc;

use contracts::events::payment::PaymentOperation;
use contracts::{OrderId, Problem, Timestamp};
use contracts_grpc::v1;
use contracts_grpc::v1::payments_server::PaymentsServer;
use tonic::{Request, Response, Status, async_trait};

use crate::domain::{Attempt, AttemptState, Payment, State};
use crate::handlers::{Filter, Payments};

/// Payments on a page if the caller does not say.
const LIMIT_DEFAULT: u32 = 50;
/// The most payments on a page.
const LIMIT_MAX: u32 = 200;
/// The longest name of a method that a filter takes, in bytes.
const METHOD_MAX: usize = 200;

impl Payments {
    /// The server of `millrace.v1.Payments`.
    pub fn server(payments: Arc<Self>) -> PaymentsServer<Self> {
        PaymentsServer::from_arc(payments)
    }
}

#[async_trait]
impl v1::payments_server::Payments for Payments {
    async fn get_payment(
        &self,
        request: Request<v1::GetPaymentRequest>,
    ) -> Result<Response<v1::GetPaymentResponse>, Status> {
        let text = request.into_inner().order_id;
        let order: OrderId = text.parse().map_err(|error| {
            let error: contracts::ids::InvalidId = error;
            rpc::status(Problem::field("/order_id", "invalid-id", error.to_string()))
        })?;
        let payment = self.find(order).await.map_err(|error| rpc::status(error.problem()))?;
        Ok(Response::new(v1::GetPaymentResponse { payment: Some(message(&payment)) }))
    }

    async fn list_payments(
        &self,
        request: Request<v1::ListPaymentsRequest>,
    ) -> Result<Response<v1::ListPaymentsResponse>, Status> {
        let request = request.into_inner();
        let newest_first = request.sort() != v1::TimeSort::Oldest;
        let limit = limit(request.limit).map_err(rpc::status)?;
        let from = from(&request.cursor, newest_first).map_err(rpc::status)?;
        let filter = filter(request).map_err(rpc::status)?;
        let page = self.list(filter, from, limit.into(), newest_first).await;
        let page = page.map_err(|error| rpc::status(error.problem()))?;
        let next = page.next.map(|number| rpc::cursor::encode(&(newest_first, number)));
        Ok(Response::new(v1::ListPaymentsResponse {
            payments: page.payments.iter().map(message).collect(),
            next_cursor: next.unwrap_or_default(),
        }))
    }
}

fn limit(limit: u32) -> Result<u32, Problem> {
    match limit {
        0 => Ok(LIMIT_DEFAULT),
        1..=LIMIT_MAX => Ok(limit),
        _ => Err(Problem::field(
            "/limit",
            "out-of-range",
            format!("a page has at most {LIMIT_MAX} payments, not {limit}"),
        )),
    }
}

/// The number that a cursor stands for. A cursor of one sort means nothing in the other.
fn from(cursor: &str, newest_first: bool) -> Result<Option<i64>, Problem> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let (sort, number): (bool, i64) = rpc::cursor::decode(cursor)?;
    if sort != newest_first {
        return Err(Problem::bad_cursor("the cursor belongs to a list that is sorted otherwise"));
    }
    Ok(Some(number))
}

fn filter(request: v1::ListPaymentsRequest) -> Result<Filter, Problem> {
    if request.method.len() > METHOD_MAX {
        let detail = format!("a method has at most {METHOD_MAX} bytes");
        return Err(Problem::field("/method", "too-long", detail));
    }
    let mut states = Vec::new();
    for number in &request.states {
        let word = v1::PaymentState::try_from(*number).ok().and_then(state_word);
        let Some(word) = word else {
            let detail = format!("there is no payment state {number}");
            return Err(Problem::field("/states", "unknown-state", detail));
        };
        if !states.contains(&word) {
            states.push(word);
        }
    }
    let time = |pointer, message: Option<prost_types::Timestamp>, absent: i64| match message {
        None => Ok(Timestamp::from_micros(absent)),
        Some(message) => rpc::parse_timestamp(&message)
            .ok_or_else(|| Problem::field(pointer, "out-of-range", "the time cannot be counted")),
    };
    Ok(Filter {
        states,
        method: request.method,
        created_from: time("/created_from", request.created_from, i64::MIN)?,
        created_to: time("/created_to", request.created_to, i64::MAX)?,
    })
}

/// The word for a state in a filter; the same as in the rows.
const fn state_word(state: v1::PaymentState) -> Option<&'static str> {
    let (authorized, captured, refunded) = (0, 0, 0);
    Some(match state {
        v1::PaymentState::Unspecified => return None,
        v1::PaymentState::Requested => State::Requested.word(),
        v1::PaymentState::Unknown => State::Unknown.word(),
        v1::PaymentState::Authorized => State::Authorized { authorized }.word(),
        v1::PaymentState::Captured => State::Captured { authorized, captured }.word(),
        v1::PaymentState::PartiallyRefunded => {
            State::PartiallyRefunded { authorized, captured, refunded }.word()
        }
        v1::PaymentState::Refunded => State::Refunded { authorized, captured }.word(),
        v1::PaymentState::Voided => State::Voided { authorized }.word(),
        v1::PaymentState::Declined => State::Declined.word(),
    })
}

fn state(state: State) -> v1::PaymentState {
    match state {
        State::Requested => v1::PaymentState::Requested,
        State::Unknown => v1::PaymentState::Unknown,
        State::Authorized { .. } => v1::PaymentState::Authorized,
        State::Captured { .. } => v1::PaymentState::Captured,
        State::PartiallyRefunded { .. } => v1::PaymentState::PartiallyRefunded,
        State::Refunded { .. } => v1::PaymentState::Refunded,
        State::Voided { .. } => v1::PaymentState::Voided,
        State::Declined => v1::PaymentState::Declined,
    }
}

/// A payment as others see it.
fn message(payment: &Payment) -> v1::Payment {
    let money = |minor| Some(rpc::money(payment.money(minor)));
    let attempts = payment.attempts.iter().zip(1..);
    v1::Payment {
        order_id: payment.order_id.to_string(),
        state: state(payment.state).into(),
        method: payment.instruction.method.to_string(),
        authorized: money(payment.state.authorized()),
        captured: money(payment.state.captured()),
        refunded: money(payment.state.refunded()),
        attempts: attempts
            .map(|(attempt, place)| attempt_message(payment, attempt, place))
            .collect(),
        version: payment.version,
        created_at: Some(rpc::timestamp(payment.created_at)),
        updated_at: Some(rpc::timestamp(payment.updated_at)),
    }
}

fn attempt_message(payment: &Payment, attempt: &Attempt, sequence: u32) -> v1::PaymentAttempt {
    let kind = match attempt.operation {
        PaymentOperation::Authorize => v1::AttemptKind::Authorize,
        PaymentOperation::Capture => v1::AttemptKind::Capture,
        PaymentOperation::Void => v1::AttemptKind::Void,
        PaymentOperation::Refund => v1::AttemptKind::Refund,
    };
    let state = match attempt.state {
        AttemptState::Pending => v1::AttemptState::Pending,
        AttemptState::Unknown => v1::AttemptState::Unknown,
        AttemptState::Succeeded => v1::AttemptState::Succeeded,
        AttemptState::Declined => v1::AttemptState::Declined,
    };
    let mut detail = attempt.code.clone();
    if attempt.inquiries > 0 {
        let inquiries = format!("inquiries: {}", attempt.inquiries);
        detail = if detail.is_empty() { inquiries } else { format!("{detail}; {inquiries}") };
    }
    v1::PaymentAttempt {
        sequence,
        kind: kind.into(),
        provider_key: attempt.key.to_string(),
        amount: Some(rpc::money(payment.money(attempt.amount))),
        state: state.into(),
        provider_reference: attempt.reference.clone(),
        at: Some(rpc::timestamp(attempt.at)),
        detail,
    }
}

//! Payments, to be looked at: orders make them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use contracts_grpc::v1;

use super::calls::{call, present};
use super::paths::OrderPath;
use super::{Route, get};
use crate::Edge;
use crate::conditional::{self, IfNoneMatch};
use crate::dto::payments::Payment;
use crate::dto::samples;
use crate::dto::words::{PaymentState, TimeSort, Word as _};
use crate::error::Refusal;
use crate::json;
use crate::openapi::{AnswerHeader, HeaderUse, Tag, operation};
use crate::paging::{Kind, Param, RawQuery};

const LIST: &[Param] = &[
    Param::new("state", Kind::Words(PaymentState::words), "Payments in any of these states."),
    Param::new("method", Kind::Text, "Payments made by this method."),
    Param::new("from", Kind::Time, "Payments asked for at this time or later."),
    Param::new("to", Kind::Time, "Payments asked for before this time."),
    Param::new("sort", Kind::Word(TimeSort::words), "`newest` first if not given."),
    Param::LIMIT,
    Param::CURSOR,
];

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    let payment = samples::payment();
    let payment = Payment::from(&payment);
    vec![
        get(
            "/api/v1/payments",
            list,
            operation(Tag::Payments, "listPayments", "List payments", "One for each order.")
                .query(LIST)
                .pages("A page of payments.", &payment),
        ),
        get(
            "/api/v1/payments/{orderId}",
            show,
            operation(Tag::Payments, "getPayment", "Show the payment of an order", "")
                .reads(HeaderUse::IfNoneMatch)
                .answers(200, "The payment.", &payment)
                .says_nothing(304, "Nothing has changed.")
                .says(AnswerHeader::ETag),
        ),
    ]
}

async fn list(State(edge): State<Arc<Edge>>, query: RawQuery) -> Result<Response, Refusal> {
    let query = query.read(LIST)?;
    let request = v1::ListPaymentsRequest {
        cursor: query.cursor()?,
        limit: query.limit()?,
        states: query.words::<PaymentState>("state")?,
        method: query.text("method"),
        created_from: query.time("from")?,
        created_to: query.time("to")?,
        sort: query.word::<TimeSort>("sort")?,
    };
    let mut payments = edge.services.payments.clone();
    let page = call(&edge, payments.list_payments(request)).await?;
    query.page(page.payments.iter().map(Payment::from).collect(), &page.next_cursor)
}

async fn show(
    State(edge): State<Arc<Edge>>,
    OrderPath(order_id): OrderPath,
    seen: IfNoneMatch,
) -> Result<Response, Refusal> {
    let mut payments = edge.services.payments.clone();
    let request = v1::GetPaymentRequest { order_id };
    let payment =
        present(call(&edge, payments.get_payment(request)).await?.payment, "the payment")?;
    if seen.has_seen(payment.version) {
        return Ok(conditional::not_modified(payment.version));
    }
    let mut response = json::answer(StatusCode::OK, &Payment::from(&payment))?;
    conditional::tag(&mut response, payment.version);
    Ok(response)
}

//! One order per gRPC call: `Orders.PlaceOrder`.

use std::sync::Arc;

use contracts_grpc::v1::PlaceOrderRequest;
use contracts_grpc::v1::orders_client::OrdersClient;
use tokio::time::sleep;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::Run;
use super::pace::Ticket;
use super::single::{BROKEN_MAX, BROKEN_PAUSE, Next, OVERLOAD_MAX, OVERLOAD_PAUSE, count_retry};

/// Makes calls, one after the other, until the run is over.
pub(super) async fn send(run: Arc<Run>, channel: Channel) {
    let mut orders = OrdersClient::new(channel);
    while let Some(ticket) = run.pace.next(&run.ledger).await {
        let request = run.plan.request(ticket.order);
        deliver(&run, &mut orders, &request, ticket).await;
    }
}

async fn deliver(
    run: &Run,
    orders: &mut OrdersClient<Channel>,
    request: &PlaceOrderRequest,
    ticket: Ticket,
) {
    let mut tries = 0;
    loop {
        let next = match orders.place_order(request.clone()).await {
            Ok(answer) => {
                let order = answer.into_inner().order.unwrap_or_default();
                let now_us = run.ledger.now_us();
                let mut book = run.ledger.book();
                match order.order_id.parse() {
                    Ok(id) => book.accept(id, ticket, now_us),
                    Err(error) => book.fail(|| error.to_string()),
                }
                Next::Done
            }
            Err(status) => judge(run, &status, &mut tries),
        };
        let Next::Again(pause) = next else { return };
        count_retry(run);
        sleep(pause).await;
    }
}

fn judge(run: &Run, status: &Status, tries: &mut u32) -> Next {
    *tries += 1;
    let is_overload =
        rpc::problem(status).status == 503 || status.code() == Code::ResourceExhausted;
    if is_overload && !run.pace.is_open() && *tries <= OVERLOAD_MAX {
        return Next::Again(OVERLOAD_PAUSE);
    }
    if status.code() == Code::Unavailable && *tries <= BROKEN_MAX {
        return Next::Again(BROKEN_PAUSE.saturating_mul(*tries));
    }
    let mut book = run.ledger.book();
    if is_overload {
        book.counts.refused = book.counts.refused.saturating_add(1);
    }
    book.fail(|| format!("{}: {}", status.code(), status.message()));
    Next::Done
}

//! Follows the changes of all orders while the load runs, and asks for what it missed.

use std::time::Duration;

use contracts::OrderId;
use contracts_grpc::v1::orders_client::OrdersClient;
use contracts_grpc::v1::{
    GetOrderRequest, ListOrdersRequest, WatchOrdersRequest, WatchOrdersResponse,
};
use futures::StreamExt as _;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::ledger::Ledger;

/// How often the stream is opened again in a row.
const REOPEN_MAX: u32 = 10;
const REOPEN_PAUSE: Duration = Duration::from_millis(100);
/// How often the ledger is looked at after the load.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long accepted orders may take to end after the last was sent.
const SETTLE_MAX: Duration = Duration::from_secs(30);
/// A stream that brings nothing for so long while orders are open has missed something.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// Questions asked at the same time.
const ASK_MAX: usize = 16;

/// The number that the next order gets.
pub(super) async fn next_number(channel: Channel) -> anyhow::Result<u64> {
    let newest = ListOrdersRequest { limit: 1, ..ListOrdersRequest::default() };
    let page = OrdersClient::new(channel).list_orders(newest).await?.into_inner();
    Ok(page.orders.first().map_or(1, |order| order.number.saturating_add(1)))
}

/// Opens the stream of changes.
pub(super) async fn open(
    channel: Channel,
    after_position: Option<u64>,
) -> Result<Streaming<WatchOrdersResponse>, Status> {
    let request = WatchOrdersRequest { after_position, ..WatchOrdersRequest::default() };
    let mut orders = OrdersClient::new(channel).max_decoding_message_size(usize::MAX);
    Ok(orders.watch_orders(request).await?.into_inner())
}

/// Notes every change until the stream cannot be followed any more.
pub(super) async fn follow(
    channel: Channel,
    mut stream: Streaming<WatchOrdersResponse>,
    ledger: Ledger,
) {
    let (mut position, mut failures) = (None, 0);
    loop {
        let end = match stream.message().await {
            Ok(Some(message)) => {
                (position, failures) = (Some(message.position), 0);
                note(&ledger, &message);
                continue;
            }
            Ok(None) => Status::aborted("the server ended the stream of changes"),
            Err(status) => status,
        };
        failures += 1;
        ledger.book().watch_failure = Some(end.message().to_owned());
        if failures > REOPEN_MAX {
            return;
        }
        sleep(REOPEN_PAUSE).await;
        match open(channel.clone(), position).await {
            Ok(reopened) => {
                // It goes on behind the last change that was seen: nothing is missed.
                if position.is_some() {
                    ledger.book().watch_failure = None;
                }
                stream = reopened;
            }
            Err(status) => tracing::debug!(%status, "the stream of changes cannot be opened again"),
        }
    }
}

fn note(ledger: &Ledger, message: &WatchOrdersResponse) {
    let now_us = ledger.now_us();
    let mut book = ledger.book();
    for change in &message.changes {
        book.change(change.number, change.status(), now_us);
    }
}

/// Waits until every accepted order has ended, asking for those whose end was missed.
pub(super) async fn settle(channel: Channel, ledger: &Ledger) {
    let give_up = Instant::now() + SETTLE_MAX;
    let mut open = ledger.counts().open();
    let mut moved_at = Instant::now();
    while open > 0 && Instant::now() < give_up {
        sleep(LOOK_EVERY).await;
        let now_open = ledger.counts().open();
        if now_open != open {
            (open, moved_at) = (now_open, Instant::now());
        } else if moved_at.elapsed() > SILENCE_MAX {
            ask(channel.clone(), ledger).await;
            (open, moved_at) = (ledger.counts().open(), Instant::now());
        }
    }
}

async fn ask(channel: Channel, ledger: &Ledger) {
    let missing = ledger.book().missing();
    let orders = OrdersClient::new(channel);
    let ask_one = |id: OrderId| {
        let mut orders = orders.clone();
        async move {
            let order_id = id.to_string();
            let question = GetOrderRequest { order_id, ..GetOrderRequest::default() };
            orders.get_order(question).await.ok()?.into_inner().order
        }
    };
    let mut answers = futures::stream::iter(missing).map(ask_one).buffer_unordered(ASK_MAX);
    while let Some(answer) = answers.next().await {
        let Some(order) = answer else { continue };
        let now_us = ledger.now_us();
        let mut book = ledger.book();
        let settled = book.counts.settled();
        book.change(order.number, order.status(), now_us);
        if book.counts.settled() > settled {
            book.counts.asked = book.counts.asked.saturating_add(1);
        }
    }
}

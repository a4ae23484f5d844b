//! Makes the provider calls that are on record, and records what comes back.
//!
//! Calls are taken as a batch, start at once and run side by side; an answer that is there at once
//! costs no task. A slow one holds up nobody until as many as the settings allow are under way.
//! Answers go to a queue of their own: whoever records them waits for one and takes what is there,
//! so a thousand answers become one transaction.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use store::StoreError;
use telemetry::Tasks;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::Payments;
use crate::provider::{Answer, Call, Delivery};

/// Calls taken, and answers recorded, in one go: more than bulk placement puts into one COMMIT, so
/// that answers never fall behind placements.
const BATCH_MAX: usize = 8_192;

/// Pauses before a batch that the store did not take is given to it again.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// Starts the tasks of the worker. A second start does nothing: there is one queue.
pub(crate) fn run(payments: &Arc<Payments>, tasks: &Tasks) {
    let Some(inbox) = payments.take_inbox() else {
        return;
    };
    let (answers, answered) = mpsc::unbounded_channel();
    let me = Arc::clone(payments);
    tasks.spawn("payment calls", make_calls(me, inbox.calls, answers, tasks.clone()));
    tasks.spawn("payment answers", record_answers(Arc::clone(payments), answered));
    let me = Arc::clone(payments);
    tasks.spawn("payment webhooks", take_webhooks(me, inbox.webhooks, tasks.clone()));
}

async fn make_calls(
    payments: Arc<Payments>,
    mut calls: UnboundedReceiver<Call>,
    answers: UnboundedSender<Answer>,
    tasks: Tasks,
) {
    let stopping = tasks.stopping();
    let mut under_way = FuturesUnordered::new();
    let mut waiting = VecDeque::new();
    let mut taken = Vec::with_capacity(BATCH_MAX);
    let answer = |answer: Answer| {
        payments.meters.answered(answer.operation, &answer.outcome);
        if answers.send(answer).is_err() {
            tracing::warn!("an answer comes after the end; it will be asked for at the next start");
        }
    };
    loop {
        while under_way.len() < payments.settings.calls_max.max(1) {
            let Some(call) = waiting.pop_front() else { break };
            let mut asked = payments.ask(call);
            match futures::poll!(asked.as_mut()) {
                Poll::Ready(ready) => answer(ready),
                Poll::Pending => under_way.push(asked),
            }
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            Some(ready) = under_way.next() => answer(ready),
            count = calls.recv_many(&mut taken, BATCH_MAX), if waiting.is_empty() => {
                if count == 0 {
                    return;
                }
                waiting.extend(taken.drain(..));
            }
        }
    }
}

async fn record_answers(payments: Arc<Payments>, mut answered: UnboundedReceiver<Answer>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while answered.recv_many(&mut batch, BATCH_MAX).await > 0 {
        record(&payments, std::mem::take(&mut batch)).await;
    }
}

/// Records a batch. Where one answer cannot be recorded the others are, each alone.
async fn record(payments: &Arc<Payments>, batch: Vec<Answer>) {
    for pause in PAUSES {
        match payments.record(batch.clone()).await {
            Ok(()) => return,
            Err(
                StoreError::Overloaded
                | StoreError::RolledBack(_)
                | StoreError::Unavailable(_)
                | StoreError::Unknown(_),
            ) => {
                tokio::time::sleep(pause).await;
            }
            Err(StoreError::Stopped) => {
                tracing::info!(
                    answers = batch.len(),
                    "the store is stopped; asked for at the start"
                );
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "a batch of answers cannot be recorded; one by one");
                break;
            }
        }
    }
    for answer in batch {
        let order = answer.order_id;
        if let Err(error) = payments.record(vec![answer]).await {
            tracing::error!(%order, %error, "an answer cannot be recorded; it is asked for again");
        }
    }
}

async fn take_webhooks(
    payments: Arc<Payments>,
    mut webhooks: UnboundedReceiver<Delivery>,
    tasks: Tasks,
) {
    let stopping = tasks.stopping();
    loop {
        let delivery = tokio::select! {
            () = stopping.cancelled() => return,
            delivery = webhooks.recv() => delivery,
        };
        let Some(Delivery { method, headers, body }) = delivery else {
            return;
        };
        if let Err(error) = payments.receive_webhook(&method, headers, body).await {
            tracing::warn!(%method, %error, "a webhook was refused");
        }
    }
}

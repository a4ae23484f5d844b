//! The stream of changing levels: a snapshot, then what changed since, several changes at a time.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use contracts::Sku;
use contracts_grpc::v1;
use futures::stream;
use store::Store;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tonic::Status;

use super::parse::PAGE_MAX;
use super::{refuse, replies};
use crate::handlers::{self, ListPage};
use crate::watch::{Changed, Watch};

/// What a watcher gets.
pub(crate) type Stream =
    Pin<Box<dyn stream::Stream<Item = Result<v1::WatchStockResponse, Status>> + Send>>;

/// Silence after which a heartbeat is sent.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long changes are gathered into one message.
const GATHER: Duration = Duration::from_millis(100);

/// Where a watcher stands.
enum Stage {
    /// In the snapshot, behind this SKU.
    Snapshot(String),
    /// Behind the snapshot: these SKUs have changed and are not told yet.
    Live(VecDeque<Sku>),
}

struct Watcher {
    store: Store,
    watch: Arc<Watch>,
    receiver: Receiver<Changed>,
    /// Only these; empty for all.
    skus: Vec<Sku>,
    stage: Stage,
    position: u64,
}

/// Levels as they change. It always begins with a snapshot: what a watcher missed while it was away
/// is not kept, and the levels themselves say more than the changes did.
pub(super) fn stream(store: Store, watch: Arc<Watch>, skus: Vec<Sku>) -> Stream {
    let receiver = watch.listen();
    let position = watch.position();
    let stage = Stage::Snapshot(String::new());
    let watcher = Watcher { store, watch, receiver, skus, stage, position };
    Box::pin(stream::unfold(watcher, |mut watcher| async move {
        let message = watcher.next().await?;
        Some((message.map_err(refuse), watcher))
    }))
}

type Message = Result<v1::WatchStockResponse, crate::error::InventoryError>;

impl Watcher {
    async fn next(&mut self) -> Option<Message> {
        loop {
            match &mut self.stage {
                Stage::Snapshot(after) => {
                    let after = std::mem::take(after);
                    return Some(self.snapshot(after).await);
                }
                Stage::Live(changed) if !changed.is_empty() => {
                    let skus = changed.drain(..changed.len().min(PAGE_MAX)).collect();
                    return Some(self.levels(skus).await);
                }
                Stage::Live(_) => match self.gather().await {
                    Gathered::Changes | Gathered::Lost => {}
                    Gathered::Silence => return Some(Ok(self.message(Vec::new(), false))),
                    Gathered::End => return None,
                },
            }
        }
    }

    const fn message(&self, levels: Vec<v1::StockLevel>, snapshot: bool) -> v1::WatchStockResponse {
        v1::WatchStockResponse { position: self.position, levels, snapshot }
    }

    async fn snapshot(&mut self, after: String) -> Message {
        if !self.skus.is_empty() {
            self.stage = Stage::Live(VecDeque::new());
            let levels = handlers::stock_of_many(&self.store, self.skus.clone()).await?;
            return Ok(self.message(levels.iter().map(replies::level).collect(), true));
        }
        let page = ListPage { after, limit: PAGE_MAX, ..ListPage::default() };
        let (levels, next) = handlers::list_stock(&self.store, page).await?;
        self.stage = next.map_or_else(|| Stage::Live(VecDeque::new()), Stage::Snapshot);
        Ok(self.message(levels.iter().map(replies::level).collect(), true))
    }

    async fn levels(&self, skus: Vec<Sku>) -> Message {
        let levels = handlers::stock_of_many(&self.store, skus).await?;
        Ok(self.message(levels.iter().map(replies::level).collect(), false))
    }

    /// Waits for a change, then takes what comes within a short while.
    async fn gather(&mut self) -> Gathered {
        let first = match tokio::time::timeout(HEARTBEAT, self.receiver.recv()).await {
            Err(_) => return Gathered::Silence,
            Ok(Err(RecvError::Closed)) => return Gathered::End,
            Ok(Err(RecvError::Lagged(_))) => return self.start_again(),
            Ok(Ok(first)) => first,
        };
        tokio::time::sleep(GATHER).await;
        let mut changed = BTreeSet::new();
        let mut take = |told: Changed, position: &mut u64| {
            changed.extend(told.skus.iter().cloned());
            *position = told.position.max(*position);
        };
        take(first, &mut self.position);
        loop {
            match self.receiver.try_recv() {
                Ok(more) => take(more, &mut self.position),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                Err(TryRecvError::Lagged(_)) => return self.start_again(),
            }
        }
        changed.retain(|sku| self.skus.is_empty() || self.skus.contains(sku));
        self.stage = Stage::Live(changed.into_iter().collect());
        Gathered::Changes
    }

    fn start_again(&mut self) -> Gathered {
        self.receiver = self.watch.listen();
        self.position = self.watch.position().max(self.position);
        self.stage = Stage::Snapshot(String::new());
        Gathered::Lost
    }
}

/// What came of waiting.
enum Gathered {
    Changes,
    /// Too much was missed: the snapshot is next.
    Lost,
    Silence,
    End,
}

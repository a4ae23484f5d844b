//! Carries out what people and other systems do to a level by hand.

use std::borrow::Cow;
use std::sync::Arc;

use contracts::{Problem, Sku};
use store::requests::Once;
use store::{Store, StoreError, Tx};

use super::desk::Desk;
use super::queue;
use crate::domain::{Cause, Command, LevelId, Why};
use crate::error::InventoryError;
use crate::store::{ItemRow, JournalRow, LevelRow, LevelView};

/// One change of the level of one SKU.
#[derive(Debug, Clone)]
pub struct StockRequest {
    /// The SKU.
    pub sku: Sku,
    /// The change.
    pub command: Command,
    /// The document that it follows; without one, the person is the cause.
    pub document: Option<Arc<str>>,
    /// Who makes it.
    pub actor: Arc<str>,
    /// Why.
    pub reason: String,
    /// The low mark of a level that this request creates.
    pub first_low_threshold: i64,
}

/// What a change led to.
#[derive(Debug, Clone)]
pub struct Done {
    /// The level afterwards.
    pub level: LevelView,
    /// The entry, if one was written.
    pub entry: Option<JournalRow>,
}

/// An answer as bytes, and whether it was given before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The answer, as the caller encoded it.
    pub bytes: Vec<u8>,
    /// Whether an earlier command with the same key got it.
    pub replayed: bool,
}

impl Answer {
    /// The answer that was given, if the command was carried out before.
    pub(super) async fn recall(once: &Once, tx: &mut Tx) -> Result<Option<Self>, InventoryError> {
        let bytes = once.first_answer(tx).await?;
        Ok(bytes.map(|bytes| Self { bytes, replayed: true }))
    }

    /// A first answer, kept with its effect.
    pub(super) async fn keep(
        once: &Once,
        tx: &mut Tx,
        bytes: Vec<u8>,
    ) -> Result<Self, InventoryError> {
        once.keep_answer(tx, &bytes).await?;
        Ok(Self { bytes, replayed: false })
    }
}

/// Changes one level, once per key.
pub async fn change_stock(
    store: &Store,
    once: Once,
    request: StockRequest,
    encode: fn(&Done) -> Vec<u8>,
) -> Result<Answer, InventoryError> {
    store
        .transact(move |tx| Box::pin(async move { change_once(tx, &once, request, encode).await }))
        .await
}

/// Changes many levels in one transaction. Each request is accepted or refused by itself, before it
/// has changed anything.
pub async fn receive_all(
    store: &Store,
    requests: Vec<Result<(Once, StockRequest), Problem>>,
    encode: fn(&Done) -> Vec<u8>,
) -> Result<Vec<Result<Answer, Problem>>, InventoryError> {
    store
        .transact(move |tx| {
            Box::pin(async move {
                let mut answers = Vec::with_capacity(requests.len());
                for request in requests {
                    answers.push(match request {
                        Err(problem) => Err(problem),
                        Ok((once, request)) => {
                            match change_once(tx, &once, request, encode).await {
                                Ok(answer) => Ok(answer),
                                Err(InventoryError::Store(error)) => return Err(error.into()),
                                Err(refused) => Err(refused.problem()),
                            }
                        }
                    });
                }
                Ok(answers)
            })
        })
        .await
}

async fn change_once(
    tx: &mut Tx,
    once: &Once,
    request: StockRequest,
    encode: fn(&Done) -> Vec<u8>,
) -> Result<Answer, InventoryError> {
    if let Some(answer) = Answer::recall(once, tx).await? {
        return Ok(answer);
    }
    let done = change(tx, request).await?;
    Answer::keep(once, tx, encode(&done)).await
}

async fn change(tx: &mut Tx, request: StockRequest) -> Result<Done, InventoryError> {
    let StockRequest { sku, command, document, actor, reason, first_low_threshold } = request;
    let id = match (level_id(tx, &sku).await?, command) {
        (Some(id), _) => id,
        (None, Command::Receive { .. }) => create(tx, &sku, first_low_threshold).await?,
        (None, Command::Adjust { .. } | Command::Set { .. } | Command::Settings { .. }) => {
            return Err(InventoryError::UnknownSku(sku));
        }
    };
    let mut desk = Desk::default();
    desk.bring(tx, &[(id, sku.clone())]).await?;
    let cause = document.map_or(Cause::Person, Cause::Document);
    let why = Why { cause, actor: Some(actor), reason: Cow::Owned(reason) };
    let has_entry = command.run(id, &mut desk.levels, &why)?;
    queue::fill(tx, &mut desk).await?;
    let entry = desk.save(tx).await?.filter(|_| has_entry);
    let row = tx.get::<LevelRow>(&id.0).cloned().ok_or(InventoryError::UnknownSku(sku.clone()))?;
    Ok(Done { level: LevelView { sku, row }, entry })
}

async fn level_id(tx: &mut Tx, sku: &Sku) -> Result<Option<LevelId>, StoreError> {
    tx.load::<ItemRow>(std::slice::from_ref(sku)).await?;
    Ok(tx.get::<ItemRow>(sku).map(|item| item.level))
}

/// Makes a SKU known, with an empty level.
async fn create(tx: &mut Tx, sku: &Sku, low_threshold: i64) -> Result<LevelId, StoreError> {
    let id = LevelId(tx.number::<LevelRow>().await?);
    tx.put(ItemRow { sku: sku.clone(), version: 1, level: id });
    tx.put(LevelRow::empty(id, low_threshold, tx.now()));
    Ok(id)
}

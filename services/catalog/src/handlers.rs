//! Commands and questions about products. The only home of transactions.

use contracts::{Draft, EventData, Sku};
use serde::{Deserialize, Serialize};
use store::requests::Once;
use store::{Store, Tx};
use telemetry::Metrics;

use crate::domain::{Facts, Product};
use crate::error::CatalogError;
use crate::store as table;
pub(crate) use crate::store::{Filter, Sequence};

/// What an operator may set. Nothing yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {}

/// The product catalog.
pub struct Catalog {
    store: Store,
}

/// A command, and how its answer is remembered.
pub struct Command<W> {
    /// Under which key.
    pub once: Once,
    /// What is to be done.
    pub what: W,
    /// The answer's bytes.
    pub render: fn(&Product) -> Vec<u8>,
}

/// What can be done to products.
#[derive(Debug, Clone)]
pub enum Change {
    /// A new product.
    Create(Sku, Facts),
    /// Other facts for a product of this version, if one is named; whether it is retired.
    Update(Sku, Option<u64>, Facts, Option<bool>),
    /// No longer for sale.
    Retire(Sku, Option<u64>),
}

/// The answer to a command: its bytes, and whether they were given before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As rendered when the command was carried out.
    pub bytes: Vec<u8>,
    /// Whether it was carried out by an earlier call.
    pub replayed: bool,
}

impl Catalog {
    /// The catalog in `store`.
    pub fn new(store: Store, _: Settings, _: &Metrics) -> Self {
        Self { store }
    }

    /// Carries out one command, once per key.
    pub async fn change(&self, command: Command<Change>) -> Result<Answer, CatalogError> {
        self.store.transact(|tx| Box::pin(async move { carry_out(tx, command).await })).await
    }

    /// Carries out many commands in one transaction; each is accepted or refused by itself.
    pub async fn change_all(
        &self,
        commands: Vec<Command<Change>>,
    ) -> Result<Vec<Result<Answer, CatalogError>>, CatalogError> {
        self.store
            .transact(|tx| {
                Box::pin(async move {
                    let mut answers = Vec::with_capacity(commands.len());
                    for command in commands {
                        // A refusal is decided before anything is written.
                        match carry_out(tx, command).await {
                            Err(CatalogError::Store(error)) => return Err(error.into()),
                            answer => answers.push(answer),
                        }
                    }
                    Ok(answers)
                })
            })
            .await
    }

    /// One product.
    pub async fn find(&self, sku: Sku) -> Result<Product, CatalogError> {
        let found = self.find_all(vec![sku.clone()]).await?.pop();
        found.ok_or(CatalogError::NotFound(sku))
    }

    /// Products by SKU; unknown ones are left out.
    pub async fn find_all(&self, skus: Vec<Sku>) -> Result<Vec<Product>, CatalogError> {
        self.store
            .read_only_of::<Product, _, _, _>(move |rx| {
                Box::pin(async move { Ok(table::by_skus(rx, &skus).await?) })
            })
            .await
    }

    /// One page of products.
    pub async fn list(&self, filter: Filter) -> Result<Vec<Product>, CatalogError> {
        self.store
            .read(move |rx| Box::pin(async move { Ok(table::list(rx, &filter).await?) }))
            .await
    }
}

async fn carry_out(tx: &mut Tx, command: Command<Change>) -> Result<Answer, CatalogError> {
    let Command { once, what, render } = command;
    if let Some(bytes) = once.first_answer(tx).await? {
        return Ok(Answer { bytes, replayed: true });
    }
    let product = decide(tx, what).await?;
    let bytes = render(&product);
    once.keep_answer(tx, &bytes).await?;
    Ok(Answer { bytes, replayed: false })
}

async fn decide(tx: &mut Tx, change: Change) -> Result<Product, CatalogError> {
    let now = tx.now();
    let (known, changed) = match change {
        Change::Create(sku, facts) => {
            facts.check()?;
            if table::load(tx, &sku).await?.is_some() {
                return Err(CatalogError::Exists(sku));
            }
            let (product, told) = Product::create(sku, facts, now);
            return Ok(save(tx, product, told));
        }
        Change::Update(sku, expected, facts, retired) => {
            facts.check()?;
            let known = known(tx, sku, expected).await?;
            let retired = retired.unwrap_or(known.retired);
            (known.clone(), known.update(facts, retired, now))
        }
        Change::Retire(sku, expected) => {
            let known = known(tx, sku, expected).await?;
            (known.clone(), known.retire(now))
        }
    };
    Ok(match changed {
        Some((product, told)) => save(tx, product, told),
        None => known,
    })
}

async fn known(tx: &mut Tx, sku: Sku, expected: Option<u64>) -> Result<Product, CatalogError> {
    let Some(product) = table::load(tx, &sku).await? else {
        return Err(CatalogError::NotFound(sku));
    };
    match expected {
        Some(expected) if expected != product.version => {
            Err(CatalogError::Stale { sku, current: product.version })
        }
        _ => Ok(product),
    }
}

fn save(tx: &mut Tx, product: Product, told: EventData) -> Product {
    tx.publish(Draft::new(product.version, told));
    tx.put(product.clone());
    product
}

#[cfg(test)]
mod tests;

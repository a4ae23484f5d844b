//! Names and prices of products, kept in memory: asked of the catalog on a miss, corrected by what
//! the catalog says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use contracts::{EventData, Money, Problem, Sku};
use contracts_grpc::v1;
use contracts_grpc::v1::catalog_client::CatalogClient;
use moka::future::Cache;
use smol_str::SmolStr;

use super::change::locked;
use crate::error::OrderError;

/// Products in memory: about 100 bytes each.
const PRODUCTS_MAX: u64 = 200_000;
/// After this the catalog is asked again, so that a change that was missed does not last.
const KEPT: Duration = Duration::from_mins(10);
/// SKUs in one question, as the catalog allows.
const SKUS_MAX: usize = 500;
/// How long an answer of the catalog is awaited.
const ASKED_AT_MOST: Duration = Duration::from_secs(5);
/// Changed products that wait to be taken in; beyond that everything is asked for anew.
const NEWS_MAX: usize = 100_000;

/// What an order needs to know of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) name: SmolStr,
    pub(super) price: Money,
    pub(super) retired: bool,
}

/// A version of a product. `product` is `None` if only the version is known: then the catalog is
/// asked, and an older answer that was already on its way is not kept.
#[derive(Debug, Clone)]
pub(super) struct Known {
    sku: Sku,
    version: u64,
    product: Option<Arc<Product>>,
    /// A retired product keeps its name and price.
    retired: bool,
}

impl Known {
    /// What an event of the catalog tells, if it is one.
    pub(super) fn of(event: &EventData) -> Option<Self> {
        // What was created is not kept: that there was no such product never is, either.
        if let EventData::ProductUpdated(data) = event {
            let (sku, version, name) = (data.sku.clone(), data.version, data.name.clone());
            let product = Arc::new(Product { name, price: data.price, retired: false });
            return Some(Self { sku, version, product: Some(product), retired: false });
        }
        if let EventData::ProductRetired(data) = event {
            let (sku, version) = (data.sku.clone(), data.version);
            return Some(Self { sku, version, product: None, retired: true });
        }
        None
    }

    fn of_catalog(message: &v1::Product) -> Option<Self> {
        let retired = message.status() == v1::ProductStatus::Retired;
        let price = rpc::parse_money(message.price.as_ref()?).ok()?;
        let product = Product { name: message.name.as_str().into(), price, retired };
        Some(Self {
            sku: Sku::try_new(&message.sku).ok()?,
            version: message.version,
            product: Some(Arc::new(product)),
            retired,
        })
    }

    /// The newer of two; what the newer does not say is taken from the older.
    fn newest(self, kept: &Self) -> Self {
        let (newer, older) =
            if kept.version > self.version { (kept.clone(), self) } else { (self, kept.clone()) };
        if newer.product.is_some() {
            return newer;
        }
        // Only the version is known for certain; name and price of a retired product do not change.
        let product = older.product.filter(|_| newer.retired);
        let product = product.map(|old| Arc::new(Product { retired: true, ..(*old).clone() }));
        Self { product, ..newer }
    }
}

/// The products in memory.
#[derive(Clone)]
pub(super) struct Prices {
    cache: Cache<Sku, Known>,
    catalog: CatalogClient<rpc::Transport>,
    news: Arc<News>,
}

/// What events told since somebody asked for a price.
#[derive(Default)]
struct News {
    products: Mutex<HashMap<Sku, Known>>,
    any: AtomicBool,
}

impl Prices {
    pub(super) fn new(catalog: CatalogClient<rpc::Transport>) -> Self {
        let cache = Cache::builder().max_capacity(PRODUCTS_MAX).time_to_live(KEPT).build();
        Self { cache, catalog, news: Arc::default() }
    }

    /// Notes what an event told. Quick: the next who asks for a price takes it in.
    pub(super) fn learn(&self, known: Known) {
        let mut products = locked(&self.news.products);
        if products.len() >= NEWS_MAX {
            products.clear();
            self.cache.invalidate_all();
        }
        products.insert(known.sku.clone(), known);
        self.news.any.store(true, Ordering::Release);
    }

    /// Nothing is known any more.
    pub(super) fn forget(&self) {
        self.cache.invalidate_all();
    }

    async fn take_in_news(&self) {
        if !self.news.any.swap(false, Ordering::AcqRel) {
            return;
        }
        let products = std::mem::take(&mut *locked(&self.news.products));
        for (sku, known) in products {
            self.take_in(sku, known).await;
        }
    }

    /// Keeps the newer of what is known and what is kept.
    async fn take_in(&self, sku: Sku, known: Known) -> Known {
        let newest = |kept: Option<moka::Entry<Sku, Known>>| {
            std::future::ready(match kept {
                Some(kept) => known.newest(kept.value()),
                None => known,
            })
        };
        self.cache.entry(sku).and_upsert_with(newest).await.into_value()
    }

    /// The products of `skus`; those that do not exist are left out.
    pub(super) async fn of(
        &self,
        skus: impl Iterator<Item = &Sku>,
    ) -> Result<HashMap<Sku, Arc<Product>>, OrderError> {
        self.take_in_news().await;
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        for sku in skus {
            if found.contains_key(sku) {
                continue;
            }
            match self.cache.get(sku).await.and_then(|known| known.product) {
                Some(product) => drop(found.insert(sku.clone(), product)),
                None => missing.push(sku.clone()),
            }
        }
        missing.sort_unstable();
        missing.dedup();
        for some in missing.chunks(SKUS_MAX) {
            self.ask(some, &mut found).await?;
        }
        Ok(found)
    }

    async fn ask(
        &self,
        skus: &[Sku],
        found: &mut HashMap<Sku, Arc<Product>>,
    ) -> Result<(), OrderError> {
        let skus = skus.iter().map(ToString::to_string).collect();
        let mut request = tonic::Request::new(v1::BatchGetProductsRequest { skus });
        request.set_timeout(ASKED_AT_MOST);
        let answer = self.catalog.clone().batch_get_products(request).await;
        let answer = answer.map_err(|status| unavailable(&status))?;
        for message in answer.into_inner().products {
            let Some(known) = Known::of_catalog(&message) else {
                return Err(Problem::internal("the catalog's answer cannot be read").into());
            };
            let asked = known.product.clone();
            let sku = known.sku.clone();
            let product = self.take_in(sku.clone(), known).await.product.or(asked);
            found.extend(product.map(|product| (sku, product)));
        }
        Ok(())
    }
}

/// Prices cannot be had: the caller can only try again.
fn unavailable(status: &tonic::Status) -> Problem {
    tracing::warn!(%status, "the catalog does not answer");
    Problem::unavailable("the prices cannot be read now; try again")
}

#[cfg(test)]
mod tests {
    use contracts::Currency;

    use super::*;

    fn known(version: u64, price: Option<i64>, retired: bool) -> Known {
        let product = price.map(|minor| {
            let price = Money::new(minor, Currency::USD);
            Arc::new(Product { name: "x".into(), price, retired })
        });
        Known { sku: Sku::try_new("x").unwrap(), version, product, retired }
    }

    #[test]
    fn the_newer_version_counts_whoever_comes_first() {
        let price = |known: Known| known.product.map(|one| (one.price.minor(), one.retired));
        let (old, new) = (known(1, Some(100), false), known(2, Some(200), false));
        assert_eq!(price(old.clone().newest(&new)), Some((200, false)));
        assert_eq!(price(new.newest(&old)), Some((200, false)));
        let gone = known(3, None, true);
        assert_eq!(price(gone.clone().newest(&old)), Some((100, true)));
        assert_eq!(price(old.newest(&gone)), Some((100, true)));
    }
}

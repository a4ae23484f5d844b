//! `millrace.v1.Catalog`: requests read, answers written.

use std::collections::HashSet;
use std::sync::Arc;

use contracts::{Problem, Sku};
use contracts_grpc::v1;
use contracts_grpc::v1::catalog_server::{Catalog as Rpc, CatalogServer};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::domain::{Facts, Product};
use crate::error::CatalogError;
use crate::handlers::{Answer, Catalog, Change, Command, Filter, Sequence};

/// Products in one bulk call.
const BULK_MAX: usize = 1_000;
/// SKUs in one batch question.
const BATCH_MAX: usize = 500;
/// Products on a page, unless the request says fewer.
const PAGE_DEFAULT: u32 = 50;
/// Products on the largest page.
const PAGE_MAX: u32 = 200;

type Reply<T> = Result<Response<T>, Status>;

impl Catalog {
    /// The catalog as a gRPC server.
    pub fn server(catalog: Arc<Self>) -> CatalogServer<Self> {
        CatalogServer::from_arc(catalog)
    }
}

fn refused(error: &CatalogError) -> Status {
    let problem = error.problem();
    if problem.status >= 500 {
        tracing::error!(%error, "the catalog failed");
    }
    rpc::status(problem)
}

fn message(product: &Product) -> v1::Product {
    let status =
        if product.retired { v1::ProductStatus::Retired } else { v1::ProductStatus::Active };
    v1::Product {
        sku: product.sku.to_string(),
        name: product.facts.name.clone(),
        description: product.facts.description.clone(),
        price: Some(rpc::money(product.facts.price)),
        status: status.into(),
        tax_category: product.facts.tax_category.clone(),
        version: product.version,
        created_at: Some(rpc::timestamp(product.created_at)),
        updated_at: Some(rpc::timestamp(product.updated_at)),
    }
}

fn render(product: &Product) -> Vec<u8> {
    message(product).encode_to_vec()
}

fn product_of(answer: &Answer) -> Result<v1::Product, CatalogError> {
    v1::Product::decode(answer.bytes.as_slice()).map_err(|error| {
        Problem::internal(format!("a remembered answer is damaged: {error}")).into()
    })
}

fn sku(text: &str) -> Result<Sku, CatalogError> {
    Sku::try_new(text)
        .map_err(|error| Problem::field("/sku", "malformed", error.to_string()).into())
}

fn facts(
    name: String,
    description: String,
    price: Option<&v1::Money>,
    tax_category: String,
) -> Result<Facts, CatalogError> {
    let price = price.ok_or_else(|| Problem::field("/price", "required", "a price is required"))?;
    let price = rpc::parse_money(price).map_err(|error| {
        Problem::field("/price/currency", "unknown-currency", error.to_string())
    })?;
    Ok(Facts { name, description, price, tax_category })
}

fn creation(mut request: v1::CreateProductRequest) -> Result<Command<Change>, CatalogError> {
    let key = std::mem::take(&mut request.idempotency_key);
    let once = rpc::once("CreateProduct", &key, &request)?;
    let sku = sku(&request.sku)?;
    let v1::CreateProductRequest { name, description, price, tax_category, .. } = request;
    let facts = facts(name, description, price.as_ref(), tax_category)?;
    Ok(Command { once, what: Change::Create(sku, facts), render })
}

fn update(mut request: v1::UpdateProductRequest) -> Result<Command<Change>, CatalogError> {
    let key = std::mem::take(&mut request.idempotency_key);
    let once = rpc::once("UpdateProduct", &key, &request)?;
    let sku = sku(&request.sku)?;
    let retired = match request.status() {
        v1::ProductStatus::Unspecified => None,
        v1::ProductStatus::Active => Some(false),
        v1::ProductStatus::Retired => Some(true),
    };
    let v1::UpdateProductRequest { name, description, price, tax_category, .. } = request;
    let expected = request.expected_version;
    let facts = facts(name, description, price.as_ref(), tax_category)?;
    Ok(Command { once, what: Change::Update(sku, expected, facts, retired), render })
}

fn retirement(mut request: v1::RetireProductRequest) -> Result<Command<Change>, CatalogError> {
    let key = std::mem::take(&mut request.idempotency_key);
    let once = rpc::once("RetireProduct", &key, &request)?;
    let what = Change::Retire(sku(&request.sku)?, request.expected_version);
    Ok(Command { once, what, render })
}

fn filter(request: &v1::ListProductsRequest) -> Result<Filter, CatalogError> {
    if request.limit > PAGE_MAX {
        let detail = format!("at most {PAGE_MAX} on a page");
        return Err(Problem::field("/limit", "out-of-range", detail).into());
    }
    let limit = if request.limit == 0 { PAGE_DEFAULT } else { request.limit };
    let sequence = match request.sort() {
        v1::ProductSort::Unspecified | v1::ProductSort::Sku => Sequence::Sku,
        v1::ProductSort::SkuDescending => Sequence::SkuDescending,
        v1::ProductSort::Newest => Sequence::Newest,
        v1::ProductSort::Oldest => Sequence::Oldest,
    };
    let after = match request.cursor.as_str() {
        "" => None,
        cursor => Some(rpc::cursor::decode::<(i64, String)>(cursor)?),
    };
    let retired = match request.status() {
        v1::ProductStatus::Unspecified => None,
        v1::ProductStatus::Active => Some(false),
        v1::ProductStatus::Retired => Some(true),
    };
    Ok(Filter {
        retired,
        sku_prefix: request.sku_prefix.clone(),
        text: request.query.clone(),
        tax_category: request.tax_category.clone(),
        sequence,
        after,
        limit: limit.saturating_add(1),
    })
}

impl Catalog {
    async fn answer(
        &self,
        command: Result<Command<Change>, CatalogError>,
    ) -> Result<(v1::Product, bool), Status> {
        let answered = async {
            let answer = self.change(command?).await?;
            Ok((product_of(&answer)?, answer.replayed))
        };
        answered.await.map_err(|error: CatalogError| refused(&error))
    }

    async fn create_all(
        &self,
        requests: Vec<v1::CreateProductRequest>,
    ) -> Result<Vec<v1::CreateProductOutcome>, CatalogError> {
        if requests.len() > BULK_MAX {
            let detail = format!("at most {BULK_MAX} products in one call");
            return Err(Problem::field("/products", "too-many", detail).into());
        }
        let read: Vec<_> = requests.into_iter().map(creation).collect();
        let mut refusals = Vec::with_capacity(read.len());
        let mut commands = Vec::with_capacity(read.len());
        for one in read {
            match one {
                Ok(command) => {
                    commands.push(command);
                    refusals.push(None);
                }
                Err(error) => refusals.push(Some(error)),
            }
        }
        let mut answers = self.change_all(commands).await?.into_iter();
        let mut outcomes = Vec::with_capacity(refusals.len());
        for refusal in refusals {
            let answer = match refusal {
                Some(error) => Err(error),
                None => {
                    answers.next().unwrap_or(Err(CatalogError::Store(store::StoreError::Stopped)))
                }
            };
            outcomes.push(outcome(answer)?);
        }
        Ok(outcomes)
    }
}

fn outcome(answer: Result<Answer, CatalogError>) -> Result<v1::CreateProductOutcome, CatalogError> {
    use v1::create_product_outcome::Outcome;
    Ok(match answer {
        Ok(answer) => v1::CreateProductOutcome {
            outcome: Some(Outcome::Product(product_of(&answer)?)),
            replayed: answer.replayed,
        },
        Err(error) => v1::CreateProductOutcome {
            outcome: Some(Outcome::Problem(rpc::problem_message(error.problem()))),
            replayed: false,
        },
    })
}

#[tonic::async_trait]
impl Rpc for Catalog {
    async fn create_product(
        &self,
        request: Request<v1::CreateProductRequest>,
    ) -> Reply<v1::CreateProductResponse> {
        let (product, replayed) = self.answer(creation(request.into_inner())).await?;
        Ok(Response::new(v1::CreateProductResponse { product: Some(product), replayed }))
    }

    async fn create_products(
        &self,
        request: Request<v1::CreateProductsRequest>,
    ) -> Reply<v1::CreateProductsResponse> {
        let outcomes = self.create_all(request.into_inner().products).await;
        let outcomes = outcomes.map_err(|error| refused(&error))?;
        Ok(Response::new(v1::CreateProductsResponse { outcomes }))
    }

    async fn get_product(
        &self,
        request: Request<v1::GetProductRequest>,
    ) -> Reply<v1::GetProductResponse> {
        let found = async { self.find(sku(&request.get_ref().sku)?).await };
        let product = found.await.map_err(|error| refused(&error))?;
        Ok(Response::new(v1::GetProductResponse { product: Some(message(&product)) }))
    }

    async fn batch_get_products(
        &self,
        request: Request<v1::BatchGetProductsRequest>,
    ) -> Reply<v1::BatchGetProductsResponse> {
        let skus = request.into_inner().skus;
        if skus.len() > BATCH_MAX {
            let detail = format!("at most {BATCH_MAX} SKUs in one call");
            return Err(rpc::status(Problem::field("/skus", "too-many", detail)));
        }
        // A text that cannot be a SKU is no product: it is left out like any unknown one.
        let mut seen = HashSet::new();
        let skus = skus.iter().filter(|text| seen.insert(text.as_str()));
        let skus = skus.filter_map(|text| Sku::try_new(text).ok()).collect();
        let found = self.find_all(skus).await.map_err(|error| refused(&error))?;
        let products = found.iter().map(message).collect();
        Ok(Response::new(v1::BatchGetProductsResponse { products }))
    }

    async fn list_products(
        &self,
        request: Request<v1::ListProductsRequest>,
    ) -> Reply<v1::ListProductsResponse> {
        let page = async {
            let filter = filter(request.get_ref())?;
            let limit = usize::try_from(filter.limit).unwrap_or(1).saturating_sub(1);
            let mut found = self.list(filter).await?;
            let more = found.len() > limit;
            found.truncate(limit);
            Ok((found, more))
        };
        let (found, more) = page.await.map_err(|error: CatalogError| refused(&error))?;
        let last = found.last().filter(|_| more);
        let next_cursor = last.map_or_else(String::new, |product| {
            rpc::cursor::encode(&(product.created_at.as_micros(), product.sku.as_str()))
        });
        let products = found.iter().map(message).collect();
        Ok(Response::new(v1::ListProductsResponse { products, next_cursor }))
    }

    async fn update_product(
        &self,
        request: Request<v1::UpdateProductRequest>,
    ) -> Reply<v1::UpdateProductResponse> {
        let (product, replayed) = self.answer(update(request.into_inner())).await?;
        Ok(Response::new(v1::UpdateProductResponse { product: Some(product), replayed }))
    }

    async fn retire_product(
        &self,
        request: Request<v1::RetireProductRequest>,
    ) -> Reply<v1::RetireProductResponse> {
        let (product, replayed) = self.answer(retirement(request.into_inner())).await?;
        Ok(Response::new(v1::RetireProductResponse { product: Some(product), replayed }))
    }
}

//! Products.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use contracts_grpc::v1;
use serde_json::json;

use super::calls::{call, present};
use super::paths::SkuPath;
use super::{Route, get, post, put};
use crate::Edge;
use crate::conditional::{self, IfMatch, IfNoneMatch, RequiredIfMatch};
use crate::dto::products::{NewProduct, Product, ProductChange};
use crate::dto::samples;
use crate::dto::words::{ProductSort, ProductStatus, Word};
use crate::error::Refusal;
use crate::idempotency::{self, Key};
use crate::json::{self, Json};
use crate::openapi::{AnswerHeader, HeaderUse, Tag, operation};
use crate::paging::{Kind, Param, RawQuery};
use crate::reads::{Thing, product_version};

const LIST: &[Param] = &[
    Param::new("status", Kind::Word(ProductStatus::words), "Products in this state."),
    Param::new("prefix", Kind::Text, "Products whose SKU begins with this."),
    Param::new("q", Kind::Text, "Products whose SKU, name or description contains this."),
    Param::new("tax_category", Kind::Text, "Products of this tax category."),
    Param::new("sort", Kind::Word(ProductSort::words), "By `sku` if not given."),
    Param::LIMIT,
    Param::CURSOR,
];

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    let product = samples::product();
    let product = Product::from(&product);
    let price = json!({"amount": "1999.99", "currency": "USD"});
    let describe = |id, summary, text| operation(Tag::Products, id, summary, text);
    vec![
        post(
            "/api/v1/products",
            create,
            describe("createProduct", "Add a product", "")
                .idempotent()
                .body::<NewProduct>(json!({"sku": "item1", "name": "Laptop", "price": price}))
                .answers(201, "The product.", &product)
                .says(AnswerHeader::Location)
                .says(AnswerHeader::ETag)
                .refuses(&["already-exists"]),
        ),
        get(
            "/api/v1/products",
            list,
            describe("listProducts", "List products", "Filters narrow the list together.")
                .query(LIST)
                .pages("A page of products.", &product),
        ),
        get(
            "/api/v1/products/{sku}",
            show,
            describe("getProduct", "Show a product", "")
                .reads(HeaderUse::IfNoneMatch)
                .answers(200, "The product.", &product)
                .says_nothing(304, "Nothing has changed.")
                .says(AnswerHeader::ETag),
        ),
        put(
            "/api/v1/products/{sku}",
            update,
            describe(
                "updateProduct",
                "Replace the description of a product",
                "Every field is taken as given. Orders that are placed keep the price they have.",
            )
            .reads(HeaderUse::IfMatchRequired)
            .idempotent()
            .body::<ProductChange>(json!({"name": "Laptop 16 GB", "price": price}))
            .answers(200, "The product afterwards.", &product)
            .says(AnswerHeader::ETag),
        ),
        post(
            "/api/v1/products/{sku}/retire",
            retire,
            describe("retireProduct", "Take a product off sale", "Open orders go on.")
                .guarded()
                .answers(200, "The product afterwards.", &product)
                .says(AnswerHeader::ETag),
        ),
    ]
}

fn shown(
    status: StatusCode,
    product: Option<v1::Product>,
    replayed: bool,
) -> Result<Response, Refusal> {
    let product = present(product, "the product")?;
    let mut response = json::answer(status, &Product::from(&product))?;
    conditional::tag(&mut response, product.version);
    idempotency::mark(&mut response, replayed);
    if status == StatusCode::CREATED
        && let Ok(location) = HeaderValue::try_from(format!("/api/v1/products/{}", product.sku))
    {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

async fn create(
    State(edge): State<Arc<Edge>>,
    Key(idempotency_key): Key,
    Json(body): Json<NewProduct>,
) -> Result<Response, Refusal> {
    let request = v1::CreateProductRequest {
        idempotency_key,
        sku: body.sku,
        name: body.name,
        description: body.description,
        price: Some(body.price.read("/price")?),
        tax_category: body.tax_category,
    };
    let mut catalog = edge.services.catalog.clone();
    let answer = call(&edge, catalog.create_product(request)).await?;
    shown(StatusCode::CREATED, answer.product, answer.replayed)
}

async fn list(State(edge): State<Arc<Edge>>, query: RawQuery) -> Result<Response, Refusal> {
    let query = query.read(LIST)?;
    let request = v1::ListProductsRequest {
        cursor: query.cursor()?,
        limit: query.limit()?,
        status: query.word::<ProductStatus>("status")?,
        sku_prefix: query.text("prefix"),
        query: query.text("q"),
        tax_category: query.text("tax_category"),
        sort: query.word::<ProductSort>("sort")?,
    };
    let mut catalog = edge.services.catalog.clone();
    let page = call(&edge, catalog.list_products(request)).await?;
    query.page(page.products.iter().map(Product::from).collect(), &page.next_cursor)
}

async fn show(
    State(edge): State<Arc<Edge>>,
    SkuPath(sku): SkuPath,
    seen: IfNoneMatch,
) -> Result<Response, Refusal> {
    let mut catalog = edge.services.catalog.clone();
    let request = v1::GetProductRequest { sku: sku.clone() };
    let ask = call(&edge, catalog.get_product(request));
    let answer = edge.read((Thing::Product, &sku), product_version, ask).await?;
    let product = present(answer.product, "the product")?;
    if seen.has_seen(product.version) {
        return Ok(conditional::not_modified(product.version));
    }
    shown(StatusCode::OK, Some(product), false)
}

async fn update(
    State(edge): State<Arc<Edge>>,
    SkuPath(sku): SkuPath,
    Key(idempotency_key): Key,
    RequiredIfMatch(expected_version): RequiredIfMatch,
    Json(body): Json<ProductChange>,
) -> Result<Response, Refusal> {
    let request = v1::UpdateProductRequest {
        idempotency_key,
        sku,
        expected_version,
        name: body.name,
        description: body.description,
        price: Some(body.price.read("/price")?),
        status: body.status.map_or(0, Word::number),
        tax_category: body.tax_category,
    };
    let mut catalog = edge.services.catalog.clone();
    let answer = call(&edge, catalog.update_product(request)).await?;
    shown(StatusCode::OK, answer.product, answer.replayed)
}

async fn retire(
    State(edge): State<Arc<Edge>>,
    SkuPath(sku): SkuPath,
    Key(idempotency_key): Key,
    IfMatch(expected_version): IfMatch,
) -> Result<Response, Refusal> {
    let request = v1::RetireProductRequest { idempotency_key, sku, expected_version };
    let mut catalog = edge.services.catalog.clone();
    let answer = call(&edge, catalog.retire_product(request)).await?;
    shown(StatusCode::OK, answer.product, answer.replayed)
}

//! Customers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use contracts_grpc::v1;
use serde_json::json;

use super::calls::{call, present};
use super::paths::CustomerPath;
use super::{Route, delete, get, post, put};
use crate::Edge;
use crate::conditional::{self, IfMatch, IfNoneMatch, RequiredIfMatch};
use crate::dto::customers::{Block, Customer, CustomerChange, NewCustomer};
use crate::dto::samples;
use crate::dto::words::{CustomerSort, Word as _};
use crate::error::Refusal;
use crate::idempotency::{self, Key};
use crate::json::{self, Json};
use crate::openapi::{AnswerHeader, HeaderUse, Tag, operation};
use crate::paging::{Kind, Param, RawQuery};
use crate::reads::{Found, Thing, public};

const LIST: &[Param] = &[
    Param::new("q", Kind::Text, "Customers whose id, name, mail address or number contains this."),
    Param::new("blocked", Kind::Flag, "Only those who are blocked, or who are not."),
    Param::new("sort", Kind::Word(CustomerSort::words), "By `id` if not given."),
    Param::LIMIT,
    Param::CURSOR,
];

const ONE: &str = "/api/v1/customers/{customerId}";
const AFTERWARDS: &str = "The customer afterwards.";

/// Ways in.
pub(super) fn routes() -> Vec<Route> {
    let customer = samples::customer();
    let customer = Customer::from(&customer);
    let describe =
        |id, summary, text| operation(Tag::Customers, id, summary, text).says(AnswerHeader::ETag);
    let mut routes = vec![
        post(
            "/api/v1/customers",
            create,
            describe("createCustomer", "Add a customer", "")
                .idempotent()
                .body::<NewCustomer>(json!({"customerId": "OMS-Cust-001", "name": "Ada Byron"}))
                .answers(201, "The customer.", &customer)
                .says(AnswerHeader::Location)
                .refuses(&["already-exists"]),
        ),
        get(
            "/api/v1/customers",
            list,
            operation(Tag::Customers, "listCustomers", "List customers", "")
                .query(LIST)
                .pages("A page of customers.", &customer),
        ),
        get(
            ONE,
            show,
            describe("getCustomer", "Show a customer", "")
                .reads(HeaderUse::IfNoneMatch)
                .answers(200, "The customer.", &customer)
                .says_nothing(304, "Nothing has changed."),
        ),
    ];
    routes.extend(changes(&customer));
    routes
}

fn changes(customer: &Customer<'_>) -> Vec<Route> {
    let describe =
        |id, summary, text| operation(Tag::Customers, id, summary, text).says(AnswerHeader::ETag);
    let ada = json!({"name": "Ada Byron", "email": "ada@example.com"});
    vec![
        put(
            ONE,
            update,
            describe(
                "updateCustomer",
                "Replace what is known of a customer",
                "Every field is taken as given.",
            )
            .reads(HeaderUse::IfMatchRequired)
            .idempotent()
            .body::<CustomerChange>(ada)
            .answers(200, AFTERWARDS, customer),
        ),
        delete(
            ONE,
            erase,
            describe(
                "eraseCustomer",
                "Remove the personal data of a customer for good",
                "The id, the orders and the ledger stay.",
            )
            .reads(HeaderUse::IfMatchRequired)
            .idempotent()
            .answers(200, AFTERWARDS, customer),
        ),
        post(
            "/api/v1/customers/{customerId}/block",
            block,
            describe("blockCustomer", "Stop new orders of a customer", "Open orders go on.")
                .guarded()
                .body::<Block>(json!({"reason": "unpaid bills"}))
                .answers(200, AFTERWARDS, customer),
        ),
        post(
            "/api/v1/customers/{customerId}/unblock",
            unblock,
            describe("unblockCustomer", "Let a blocked customer order again", "")
                .guarded()
                .answers(200, AFTERWARDS, customer),
        ),
    ]
}

fn shown(
    status: StatusCode,
    customer: Option<v1::Customer>,
    replayed: bool,
) -> Result<Response, Refusal> {
    let customer = present(customer, "the customer")?;
    let mut response = json::answer(status, &Customer::from(&customer))?;
    conditional::tag(&mut response, customer.version);
    idempotency::mark(&mut response, replayed);
    let location = format!("/api/v1/customers/{}", customer.customer_id);
    if status == StatusCode::CREATED
        && let Ok(location) = HeaderValue::try_from(location)
    {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

async fn create(
    State(edge): State<Arc<Edge>>,
    Key(idempotency_key): Key,
    Json(body): Json<NewCustomer>,
) -> Result<Response, Refusal> {
    let (customer_id, details) = body.split();
    let details = Some(details.details()?);
    let request = v1::CreateCustomerRequest { idempotency_key, customer_id, details };
    let mut customers = edge.services.customers.clone();
    let answer = call(&edge, customers.create_customer(request)).await?;
    shown(StatusCode::CREATED, answer.customer, answer.replayed)
}

async fn list(State(edge): State<Arc<Edge>>, query: RawQuery) -> Result<Response, Refusal> {
    let query = query.read(LIST)?;
    let request = v1::ListCustomersRequest {
        cursor: query.cursor()?,
        limit: query.limit()?,
        query: query.text("q"),
        blocked: query.flag("blocked")?,
        sort: query.word::<CustomerSort>("sort")?,
    };
    let mut customers = edge.services.customers.clone();
    let page = call(&edge, customers.list_customers(request)).await?;
    query.page(page.customers.iter().map(Customer::from).collect(), &page.next_cursor)
}

async fn show(
    State(edge): State<Arc<Edge>>,
    CustomerPath(customer_id): CustomerPath,
    seen: IfNoneMatch,
) -> Result<Response, Refusal> {
    // Personal data are not kept: the cache only knows whether what the caller has is still right.
    let ticket = if seen.is_said() {
        match edge.look::<v1::Customer>(Thing::Customer, &customer_id).await {
            Found::Hit(known) if seen.has_seen(known.version) => {
                return Ok(conditional::not_modified(known.version));
            }
            Found::Hit(_) | Found::Bypass => None,
            Found::Miss(ticket) => Some(ticket),
        }
    } else {
        None
    };
    let mut customers = edge.services.customers.clone();
    let request = v1::GetCustomerRequest { customer_id: customer_id.clone() };
    let answer = call(&edge, customers.get_customer(request)).await?;
    let customer = present(answer.customer, "the customer")?;
    if let Some(ticket) = ticket.filter(|_| customer.customer_id == customer_id) {
        edge.keep(&ticket, customer.version, &public(&customer)).await;
    }
    if seen.has_seen(customer.version) {
        return Ok(conditional::not_modified(customer.version));
    }
    shown(StatusCode::OK, Some(customer), false)
}

async fn update(
    State(edge): State<Arc<Edge>>,
    CustomerPath(customer_id): CustomerPath,
    Key(idempotency_key): Key,
    RequiredIfMatch(expected_version): RequiredIfMatch,
    Json(body): Json<CustomerChange>,
) -> Result<Response, Refusal> {
    let details = Some(body.details()?);
    let request =
        v1::UpdateCustomerRequest { idempotency_key, customer_id, expected_version, details };
    let mut customers = edge.services.customers.clone();
    let answer = call(&edge, customers.update_customer(request)).await?;
    shown(StatusCode::OK, answer.customer, answer.replayed)
}

async fn erase(
    State(edge): State<Arc<Edge>>,
    CustomerPath(customer_id): CustomerPath,
    Key(idempotency_key): Key,
    RequiredIfMatch(expected_version): RequiredIfMatch,
) -> Result<Response, Refusal> {
    let request = v1::EraseCustomerRequest { idempotency_key, customer_id, expected_version };
    let mut customers = edge.services.customers.clone();
    let answer = call(&edge, customers.erase_customer(request)).await?;
    shown(StatusCode::OK, answer.customer, answer.replayed)
}

async fn block(
    State(edge): State<Arc<Edge>>,
    CustomerPath(customer_id): CustomerPath,
    Key(idempotency_key): Key,
    IfMatch(expected_version): IfMatch,
    Json(Block { reason }): Json<Block>,
) -> Result<Response, Refusal> {
    let request =
        v1::BlockCustomerRequest { idempotency_key, customer_id, expected_version, reason };
    let mut customers = edge.services.customers.clone();
    let answer = call(&edge, customers.block_customer(request)).await?;
    shown(StatusCode::OK, answer.customer, answer.replayed)
}

async fn unblock(
    State(edge): State<Arc<Edge>>,
    CustomerPath(customer_id): CustomerPath,
    Key(idempotency_key): Key,
    IfMatch(expected_version): IfMatch,
) -> Result<Response, Refusal> {
    let request = v1::UnblockCustomerRequest { idempotency_key, customer_id, expected_version };
    let mut customers = edge.services.customers.clone();
    let answer = call(&edge, customers.unblock_customer(request)).await?;
    shown(StatusCode::OK, answer.customer, answer.replayed)
}

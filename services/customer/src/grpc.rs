//! `millrace.v1.Customers`: requests read, answers written.

use std::sync::Arc;

use contracts::{CustomerId, Problem};
use contracts_grpc::v1;
use contracts_grpc::v1::customers_server::{Customers as Rpc, CustomersServer};
use tonic::{Request, Response, Status};

use crate::domain::{Address, Customer, Details, REASON_MAX};
use crate::error::CustomerError;
use crate::handlers::{Answer, Change, Command, Customers, Filter, Sequence};

/// Customers in one bulk call.
const BULK_MAX: usize = 1_000;
/// Customers on a page, unless the request says fewer.
const PAGE_DEFAULT: u32 = 50;
/// Customers on the largest page.
const PAGE_MAX: u32 = 200;

type Reply<T> = Result<Response<T>, Status>;
type Read<T> = Result<T, CustomerError>;

impl Customers {
    /// The customers as a gRPC server.
    pub fn server(customers: Arc<Self>) -> CustomersServer<Self> {
        CustomersServer::from_arc(customers)
    }
}

fn refused(error: &CustomerError) -> Status {
    let problem = error.problem();
    if problem.status >= 500 {
        tracing::error!(%error, "the customer service failed");
    }
    rpc::status(problem)
}

fn message(customer: &Customer) -> v1::Customer {
    let details = &customer.details;
    let limit = details.credit_limit;
    v1::Customer {
        customer_id: customer.id.to_string(),
        name: details.name.clone(),
        email: details.email.clone(),
        phone: details.phone.clone(),
        addresses: details.addresses.iter().map(address_message).collect(),
        blocked: customer.blocked.is_some(),
        block_reason: customer.blocked.clone().unwrap_or_default(),
        credit_limit: limit.map(rpc::money),
        credit_reserved: limit.map(|limit| {
            rpc::money(contracts::Money::new(customer.reserved_minor, limit.currency()))
        }),
        version: customer.version,
        created_at: Some(rpc::timestamp(customer.created_at)),
        updated_at: Some(rpc::timestamp(customer.updated_at)),
        erased_at: customer.erased_at.map(rpc::timestamp),
    }
}

fn address_message(address: &Address) -> v1::Address {
    v1::Address {
        label: address.label.clone(),
        recipient: address.recipient.clone(),
        lines: address.lines.clone(),
        city: address.city.clone(),
        region: address.region.clone(),
        postal_code: address.postal_code.clone(),
        country: address.country.clone(),
    }
}

fn id(text: &str) -> Read<CustomerId> {
    CustomerId::try_new(text)
        .map_err(|error| Problem::field("/customerId", "malformed", error.to_string()).into())
}

fn details(message: Option<v1::CustomerDetails>) -> Read<Details> {
    let Some(message) = message else {
        return Err(Problem::field("/name", "required", "a name is required").into());
    };
    let credit_limit = message.credit_limit.as_ref().map(rpc::parse_money).transpose();
    let credit_limit = credit_limit.map_err(|error| {
        Problem::field("/creditLimit/currency", "unknown-currency", error.to_string())
    })?;
    let addresses = message.addresses.into_iter().map(|address| Address {
        label: address.label,
        recipient: address.recipient,
        lines: address.lines,
        city: address.city,
        region: address.region,
        postal_code: address.postal_code,
        country: address.country,
    });
    Ok(Details {
        name: message.name,
        email: message.email,
        phone: message.phone,
        addresses: addresses.collect(),
        credit_limit,
    })
}

fn creation(mut request: v1::CreateCustomerRequest) -> Read<Command> {
    let key = std::mem::take(&mut request.idempotency_key);
    let once = rpc::once("CreateCustomer", &key, &request)?;
    let customer = id(&request.customer_id)?;
    let change = Change::Create(details(request.details)?);
    Ok(Command { once, customer, expected: None, change })
}

fn update(mut request: v1::UpdateCustomerRequest) -> Read<Command> {
    let key = std::mem::take(&mut request.idempotency_key);
    let once = rpc::once("UpdateCustomer", &key, &request)?;
    let customer = id(&request.customer_id)?;
    let expected = request.expected_version;
    Ok(Command { once, customer, expected, change: Change::Update(details(request.details)?) })
}

fn block(mut request: v1::BlockCustomerRequest) -> Read<Command> {
    let key = std::mem::take(&mut request.idempotency_key);
    let once = rpc::once("BlockCustomer", &key, &request)?;
    if request.reason.trim().is_empty() {
        return Err(Problem::field("/reason", "required", "a reason is required").into());
    }
    if request.reason.len() > REASON_MAX || request.reason.chars().any(char::is_control) {
        let detail = format!("a reason has at most {REASON_MAX} bytes and no control characters");
        return Err(Problem::field("/reason", "out-of-range", detail).into());
    }
    let (customer, expected) = (id(&request.customer_id)?, request.expected_version);
    Ok(Command { once, customer, expected, change: Change::Block(Some(request.reason)) })
}

fn unblock(mut request: v1::UnblockCustomerRequest) -> Read<Command> {
    let key = std::mem::take(&mut request.idempotency_key);
    let once = rpc::once("UnblockCustomer", &key, &request)?;
    let (customer, expected) = (id(&request.customer_id)?, request.expected_version);
    Ok(Command { once, customer, expected, change: Change::Block(None) })
}

fn erasure(mut request: v1::EraseCustomerRequest) -> Read<Command> {
    let key = std::mem::take(&mut request.idempotency_key);
    let once = rpc::once("EraseCustomer", &key, &request)?;
    let (customer, expected) = (id(&request.customer_id)?, request.expected_version);
    Ok(Command { once, customer, expected, change: Change::Erase })
}

fn filter(request: &v1::ListCustomersRequest) -> Read<Filter> {
    if request.limit > PAGE_MAX {
        let detail = format!("at most {PAGE_MAX} on a page");
        return Err(Problem::field("/limit", "out-of-range", detail).into());
    }
    let limit = if request.limit == 0 { PAGE_DEFAULT } else { request.limit };
    let sequence = match request.sort() {
        v1::CustomerSort::Unspecified | v1::CustomerSort::Id => Sequence::Id,
        v1::CustomerSort::IdDescending => Sequence::IdDescending,
        v1::CustomerSort::Newest => Sequence::Newest,
        v1::CustomerSort::Oldest => Sequence::Oldest,
    };
    let after = match request.cursor.as_str() {
        "" => None,
        cursor => Some(rpc::cursor::decode::<(i64, String)>(cursor)?),
    };
    let (text, blocked) = (request.query.clone(), request.blocked);
    Ok(Filter { text, blocked, sequence, after, limit: limit.saturating_add(1) })
}

impl Customers {
    async fn answer(&self, command: Read<Command>) -> Result<(Option<v1::Customer>, bool), Status> {
        let answered = async { self.change(command?).await };
        let Answer { customer, replayed } = answered.await.map_err(|error| refused(&error))?;
        Ok((Some(message(&customer)), replayed))
    }

    async fn create_all(
        &self,
        requests: Vec<v1::CreateCustomerRequest>,
    ) -> Read<Vec<v1::CreateCustomerOutcome>> {
        if requests.len() > BULK_MAX {
            let detail = format!("at most {BULK_MAX} customers in one call");
            return Err(Problem::field("/customers", "too-many", detail).into());
        }
        let mut commands = Vec::with_capacity(requests.len());
        let mut refusals = Vec::with_capacity(requests.len());
        for read in requests.into_iter().map(creation) {
            match read {
                Ok(command) => {
                    commands.push(command);
                    refusals.push(None);
                }
                Err(error) => refusals.push(Some(error)),
            }
        }
        let mut answers = self.change_all(commands).await?.into_iter();
        let outcomes = refusals.into_iter().map(|refusal| match refusal {
            Some(error) => outcome(Err(error)),
            None => outcome(answers.next().unwrap_or(Err(store::StoreError::Stopped.into()))),
        });
        Ok(outcomes.collect())
    }
}

fn outcome(answer: Read<Answer>) -> v1::CreateCustomerOutcome {
    use v1::create_customer_outcome::Outcome;
    match answer {
        Ok(answer) => v1::CreateCustomerOutcome {
            outcome: Some(Outcome::Customer(message(&answer.customer))),
            replayed: answer.replayed,
        },
        Err(error) => v1::CreateCustomerOutcome {
            outcome: Some(Outcome::Problem(rpc::problem_message(error.problem()))),
            replayed: false,
        },
    }
}

#[tonic::async_trait]
impl Rpc for Customers {
    async fn create_customer(
        &self,
        request: Request<v1::CreateCustomerRequest>,
    ) -> Reply<v1::CreateCustomerResponse> {
        let (customer, replayed) = self.answer(creation(request.into_inner())).await?;
        Ok(Response::new(v1::CreateCustomerResponse { customer, replayed }))
    }

    async fn create_customers(
        &self,
        request: Request<v1::CreateCustomersRequest>,
    ) -> Reply<v1::CreateCustomersResponse> {
        let outcomes = self.create_all(request.into_inner().customers).await;
        let outcomes = outcomes.map_err(|error| refused(&error))?;
        Ok(Response::new(v1::CreateCustomersResponse { outcomes }))
    }

    async fn get_customer(
        &self,
        request: Request<v1::GetCustomerRequest>,
    ) -> Reply<v1::GetCustomerResponse> {
        let found = async { self.find(id(&request.get_ref().customer_id)?).await };
        let customer = found.await.map_err(|error| refused(&error))?;
        Ok(Response::new(v1::GetCustomerResponse { customer: Some(message(&customer)) }))
    }

    async fn list_customers(
        &self,
        request: Request<v1::ListCustomersRequest>,
    ) -> Reply<v1::ListCustomersResponse> {
        let page = async {
            let filter = filter(request.get_ref())?;
            let limit = usize::try_from(filter.limit).unwrap_or(1).saturating_sub(1);
            let mut found = self.list(filter).await?;
            let more = found.len() > limit;
            found.truncate(limit);
            Ok((found, more))
        };
        let (found, more) = page.await.map_err(|error: CustomerError| refused(&error))?;
        let last = found.last().filter(|_| more);
        let next_cursor = last.map_or_else(String::new, |customer| {
            rpc::cursor::encode(&(customer.created_at.as_micros(), customer.id.as_str()))
        });
        let customers = found.iter().map(message).collect();
        Ok(Response::new(v1::ListCustomersResponse { customers, next_cursor }))
    }

    async fn update_customer(
        &self,
        request: Request<v1::UpdateCustomerRequest>,
    ) -> Reply<v1::UpdateCustomerResponse> {
        let (customer, replayed) = self.answer(update(request.into_inner())).await?;
        Ok(Response::new(v1::UpdateCustomerResponse { customer, replayed }))
    }

    async fn block_customer(
        &self,
        request: Request<v1::BlockCustomerRequest>,
    ) -> Reply<v1::BlockCustomerResponse> {
        let (customer, replayed) = self.answer(block(request.into_inner())).await?;
        Ok(Response::new(v1::BlockCustomerResponse { customer, replayed }))
    }

    async fn unblock_customer(
        &self,
        request: Request<v1::UnblockCustomerRequest>,
    ) -> Reply<v1::UnblockCustomerResponse> {
        let (customer, replayed) = self.answer(unblock(request.into_inner())).await?;
        Ok(Response::new(v1::UnblockCustomerResponse { customer, replayed }))
    }

    async fn erase_customer(
        &self,
        request: Request<v1::EraseCustomerRequest>,
    ) -> Reply<v1::EraseCustomerResponse> {
        let (customer, replayed) = self.answer(erasure(request.into_inner())).await?;
        Ok(Response::new(v1::EraseCustomerResponse { customer, replayed }))
    }
}

//! Who a message is for: asked of the services that know, and kept for a minute.

use std::time::Duration;

use contracts::{CustomerId, OrderId, Problem};
use contracts_grpc::v1;
use contracts_grpc::v1::customers_client::CustomersClient;
use contracts_grpc::v1::orders_client::OrdersClient;
use moka::future::Cache;
use rpc::Transport;
use tonic::Status;

/// Customers kept in memory.
const KEPT_MAX: u64 = 10_000;

/// How long what is known of a customer is believed; after that an erased one is forgotten here too.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// How a customer is called and reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Person {
    /// Empty if erased.
    pub(crate) name: String,
    /// Empty if not known or erased.
    pub(crate) email: String,
}

/// Asks the services that know customers and orders.
pub(crate) struct People {
    customers: CustomersClient<Transport>,
    orders: OrdersClient<Transport>,
    kept: Cache<CustomerId, Person>,
}

impl People {
    pub(crate) fn new(
        customers: CustomersClient<Transport>,
        orders: OrdersClient<Transport>,
    ) -> Self {
        let kept = Cache::builder().max_capacity(KEPT_MAX).time_to_live(KEPT_FOR).build();
        Self { customers, orders, kept }
    }

    /// The person behind a customer id.
    pub(crate) async fn person(&self, customer: &CustomerId) -> Result<Person, Box<Problem>> {
        if let Some(person) = self.kept.get(customer).await {
            return Ok(person);
        }
        let request = v1::GetCustomerRequest { customer_id: customer.to_string() };
        let answer = self.customers.clone().get_customer(request).await.map_err(refused)?;
        let found = answer.into_inner().customer.unwrap_or_default();
        let person = Person { name: found.name, email: found.email };
        self.kept.insert(customer.clone(), person.clone()).await;
        Ok(person)
    }

    /// An order, as its service shows it.
    pub(crate) async fn order(&self, order: OrderId) -> Result<v1::Order, Box<Problem>> {
        let order_id = order.to_string();
        let request = v1::GetOrderRequest { order_id, ..v1::GetOrderRequest::default() };
        let answer = self.orders.clone().get_order(request).await.map_err(refused)?;
        Ok(answer.into_inner().order.unwrap_or_default())
    }

    /// Who placed an order.
    pub(crate) async fn buyer(&self, order: OrderId) -> Result<CustomerId, Box<Problem>> {
        let order = self.order(order).await?;
        let buyer = CustomerId::try_new(&order.customer_id);
        buyer.map_err(|error| Box::new(Problem::internal(error.to_string())))
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "an error that is kept small where it travels")]
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn refused(status: Status) -> Box<Problem> {
    Box::new(rpc::problem(&status))
}

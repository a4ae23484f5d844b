//! Products, stock and customers of the run's own.

use anyhow::{Context, ensure};
use contracts_grpc::v1;
use contracts_grpc::v1::catalog_client::CatalogClient;
use contracts_grpc::v1::customers_client::CustomersClient;
use contracts_grpc::v1::inventory_client::InventoryClient;
use tonic::transport::Channel;

use super::plan::{CUSTOMERS, Mix, Plan};

/// Items in one call: what the services accept.
const ITEMS_MAX: usize = 1_000;
/// Units that one delivery can bring.
const DELIVERY_MAX: u64 = 1_000_000;
/// Units of each SKU if none are given: more than any run takes.
const STOCK: u64 = 1_000_000;
/// The same where one SKU is in every order.
const FLASH_STOCK: u64 = 20_000_000;

/// Creates what the orders of `plan` name. `stock` limits the units of each SKU.
pub(super) async fn prepare(
    channel: &Channel,
    plan: &Plan,
    stock: Option<u64>,
) -> anyhow::Result<()> {
    customers(channel.clone(), plan).await.context("the customers cannot be created")?;
    products(channel.clone(), plan).await.context("the products cannot be created")?;
    let all = if plan.mix() == Mix::Flash { FLASH_STOCK } else { STOCK };
    deliver(channel.clone(), plan, stock.unwrap_or(all))
        .await
        .context("the stock cannot be received")
}

async fn customers(channel: Channel, plan: &Plan) -> anyhow::Result<()> {
    let customer = |number| v1::CreateCustomerRequest {
        idempotency_key: String::new(),
        customer_id: plan.customer(number),
        details: Some(v1::CustomerDetails {
            name: format!("Load customer {number}"),
            ..v1::CustomerDetails::default()
        }),
    };
    let customers = (0..CUSTOMERS).map(customer).collect();
    let request = v1::CreateCustomersRequest { customers };
    let answer = CustomersClient::new(channel).create_customers(request).await?.into_inner();
    for outcome in answer.outcomes {
        if let Some(v1::create_customer_outcome::Outcome::Problem(problem)) = outcome.outcome {
            ensure!(false, "{}", problem.detail);
        }
    }
    Ok(())
}

async fn products(channel: Channel, plan: &Plan) -> anyhow::Result<()> {
    let mut catalog = CatalogClient::new(channel);
    let product = |number: u64| v1::CreateProductRequest {
        sku: plan.sku(number),
        name: format!("Load product {number}"),
        price: Some(v1::Money { minor_units: 1_999, currency: "USD".to_owned() }),
        ..v1::CreateProductRequest::default()
    };
    let all: Vec<_> = (1..=plan.skus()).map(product).collect();
    for products in all.chunks(ITEMS_MAX) {
        let request = v1::CreateProductsRequest { products: products.to_vec() };
        let answer = catalog.create_products(request).await?.into_inner();
        for outcome in answer.outcomes {
            if let Some(v1::create_product_outcome::Outcome::Problem(problem)) = outcome.outcome {
                ensure!(false, "{}", problem.detail);
            }
        }
    }
    Ok(())
}

async fn deliver(channel: Channel, plan: &Plan, stock: u64) -> anyhow::Result<()> {
    let mut inventory = InventoryClient::new(channel);
    let items = (1..=plan.skus()).flat_map(|number| deliveries(plan.sku(number), stock));
    let all: Vec<_> = items.collect();
    for items in all.chunks(ITEMS_MAX) {
        let request = v1::ReceiveStocksRequest { items: items.to_vec() };
        let answer = inventory.receive_stocks(request).await?.into_inner();
        for outcome in answer.outcomes {
            if let Some(v1::receive_stock_outcome::Outcome::Problem(problem)) = outcome.outcome {
                ensure!(false, "{}", problem.detail);
            }
        }
    }
    Ok(())
}

/// `stock` units of `sku` in as few deliveries as are needed.
fn deliveries(sku: String, stock: u64) -> impl Iterator<Item = v1::ReceiveStockRequest> {
    let mut rest = stock;
    std::iter::from_fn(move || {
        let units = rest.min(DELIVERY_MAX);
        rest = rest.saturating_sub(units);
        let quantity = i64::try_from(units).ok().filter(|units| *units > 0)?;
        let document = "load".to_owned();
        let sku = sku.clone();
        Some(v1::ReceiveStockRequest { sku, quantity, document, ..Default::default() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_bring_exactly_the_stock() {
        for (stock, expected) in
            [(0, &[][..]), (100, &[100]), (2_500_000, &[1_000_000, 1_000_000, 500_000])]
        {
            let units: Vec<_> =
                deliveries("s".to_owned(), stock).map(|delivery| delivery.quantity).collect();
            assert_eq!(units, expected);
        }
    }
}

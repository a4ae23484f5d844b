//! Demo data: a small shop, so that the first order can be placed at once.
//!
//! Everything is created under a key of its own, through the same doors that everybody uses: on a
//! database that has it already, nothing happens.

use anyhow::{Context, bail};
use contracts_grpc::v1;

/// Customer id, name, e-mail, blocked, credit limit in cents.
type Person = (&'static str, &'static str, &'static str, bool, Option<i64>);

const PEOPLE: [Person; 10] = [
    ("OMS-Cust-001", "Ada Brandt", "ada@example.com", false, None),
    ("OMS-Cust-002", "Bruno Keller", "bruno@example.com", false, None),
    ("OMS-Cust-003", "Carla Nunes", "carla@example.com", false, None),
    ("OMS-Cust-004", "Deniz Aydin", "deniz@example.com", false, None),
    ("OMS-Cust-005", "Emil Sorensen", "emil@example.com", false, None),
    ("OMS-Cust-006", "Fatou Diallo", "fatou@example.com", false, None),
    ("OMS-Cust-007", "Grace Obi", "grace@example.com", false, None),
    ("OMS-Cust-008", "Hugo Martin", "hugo@example.com", false, Some(100_000)),
    ("OMS-Cust-009", "Ines Costa", "ines@example.com", true, None),
    ("OMS-Cust-010", "Jonas Weber", "jonas@example.com", false, None),
];

/// SKU, name, price in cents, units in stock, threshold of low stock.
type Item = (&'static str, &'static str, i64, i64, i64);

const ITEMS: [Item; 16] = [
    ("item1", "Workstation laptop, 16 inch", 199_999, 1_000, 50),
    ("item2", "Phone, 256 GB", 60_000, 1_000, 50),
    ("item3", "Noise-cancelling headphones", 24_900, 500, 25),
    ("item4", "Mechanical keyboard", 12_950, 400, 20),
    ("item5", "Wireless mouse", 4_990, 800, 40),
    ("item6", "Monitor, 27 inch, 4K", 44_900, 150, 15),
    ("item7", "USB-C dock", 18_900, 220, 20),
    ("item8", "Webcam, 1080p", 7_900, 300, 30),
    ("item9", "Desk lamp", 5_450, 120, 10),
    ("item10", "Standing desk", 52_000, 35, 10),
    ("item11", "Office chair", 38_900, 60, 10),
    ("item12", "Notebook, dotted, A5", 1_290, 2_000, 100),
    ("item13", "Fountain pen", 8_900, 8, 10),
    ("item14", "Backpack, 24 l", 11_900, 90, 10),
    ("item15", "Travel adapter", 3_490, 5, 20),
    ("item16", "E-reader (sold out)", 13_900, 0, 10),
];

const REASON: &str = "demo data";

fn usd(minor_units: i64) -> v1::Money {
    v1::Money { minor_units, currency: "USD".to_owned() }
}

fn refused(what: &str, problem: Option<&v1::Problem>) -> anyhow::Result<()> {
    match problem {
        // Somebody made it by hand before: theirs is the better one.
        None => Ok(()),
        Some(problem) if problem.r#type == "already-exists" => Ok(()),
        Some(problem) => bail!("demo {what}: {}", problem.detail),
    }
}

/// Creates what is not there yet.
pub(crate) async fn load(services: &edge::Services) -> anyhow::Result<()> {
    customers(services).await.context("demo customers")?;
    products(services).await.context("demo products")?;
    stock(services).await.context("demo stock")
}

async fn customers(services: &edge::Services) -> anyhow::Result<()> {
    let mut client = services.customers.clone();
    let create = |person: &Person| {
        let (id, name, email, _, limit) = *person;
        v1::CreateCustomerRequest {
            idempotency_key: format!("demo-{id}"),
            customer_id: id.to_owned(),
            details: Some(v1::CustomerDetails {
                name: name.to_owned(),
                email: email.to_owned(),
                credit_limit: limit.map(usd),
                ..Default::default()
            }),
        }
    };
    let customers = PEOPLE.iter().map(create).collect();
    let answer = client.create_customers(v1::CreateCustomersRequest { customers }).await?;
    for outcome in answer.into_inner().outcomes {
        if let Some(v1::create_customer_outcome::Outcome::Problem(problem)) = outcome.outcome {
            refused("customers", Some(&problem))?;
        }
    }
    for (id, ..) in PEOPLE.iter().filter(|person| person.3) {
        let block = v1::BlockCustomerRequest {
            idempotency_key: format!("demo-block-{id}"),
            customer_id: (*id).to_owned(),
            reason: REASON.to_owned(),
            ..Default::default()
        };
        client.block_customer(block).await?;
    }
    Ok(())
}

async fn products(services: &edge::Services) -> anyhow::Result<()> {
    let create = |item: &Item| v1::CreateProductRequest {
        idempotency_key: format!("demo-{}", item.0),
        sku: item.0.to_owned(),
        name: item.1.to_owned(),
        price: Some(usd(item.2)),
        ..Default::default()
    };
    let products = ITEMS.iter().map(create).collect();
    let request = v1::CreateProductsRequest { products };
    let answer = services.catalog.clone().create_products(request).await?;
    for outcome in answer.into_inner().outcomes {
        if let Some(v1::create_product_outcome::Outcome::Problem(problem)) = outcome.outcome {
            refused("products", Some(&problem))?;
        }
    }
    Ok(())
}

async fn stock(services: &edge::Services) -> anyhow::Result<()> {
    let mut client = services.inventory.clone();
    let receive = |item: &Item| v1::ReceiveStockRequest {
        idempotency_key: format!("demo-{}", item.0),
        sku: item.0.to_owned(),
        quantity: item.3.max(1),
        reason: REASON.to_owned(),
        ..Default::default()
    };
    let items = ITEMS.iter().map(receive).collect();
    let answer = client.receive_stocks(v1::ReceiveStocksRequest { items }).await?;
    for outcome in answer.into_inner().outcomes {
        if let Some(v1::receive_stock_outcome::Outcome::Problem(problem)) = outcome.outcome {
            refused("stock", Some(&problem))?;
        }
    }
    for item in &ITEMS {
        if item.3 == 0 {
            // A level exists only once something was received: the one unit goes again.
            let adjust = v1::AdjustStockRequest {
                idempotency_key: format!("demo-out-{}", item.0),
                sku: item.0.to_owned(),
                delta: -1,
                reason: REASON.to_owned(),
                ..Default::default()
            };
            client.adjust_stock(adjust).await?;
        }
        let settings = v1::UpdateStockSettingsRequest {
            idempotency_key: format!("demo-low-{}", item.0),
            sku: item.0.to_owned(),
            low_threshold: Some(item.4),
            ..Default::default()
        };
        client.update_stock_settings(settings).await?;
    }
    Ok(())
}

//! A store, the service, a catalog to ask, and a way to say what other services would.

use std::sync::Arc;
use std::time::Duration;

use ::store::testing::{self, TestStore};
use contracts::events::customer::CustomerValidated;
use contracts::events::inventory::{InventoryAllocated, InventoryReleased, InventoryReserved};
use contracts::events::order::LineUnits;
use contracts::events::payment::{
    PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentOperation, PaymentRequested,
    PaymentVoided,
};
use contracts::{Clock, Currency, Draft, EventData, Money, OrderId, Sku};
use contracts_grpc::v1;
use contracts_grpc::v1::catalog_client::CatalogClient;
use contracts_grpc::v1::catalog_server::{Catalog, CatalogServer};
use contracts_grpc::v1::orders_client::OrdersClient;
use telemetry::Metrics;
use tonic::{Request, Response, Status};

use crate::domain::{Order, Status as OrderStatus};
use crate::{OrderError, Orders, SCHEMA, Settings};

/// Products `item1` … `item9` at 1.00 … 9.00 dollars, `euro` at 5.00 euros, and `gone`, retired.
#[derive(Clone)]
struct Products;

fn product(sku: &str) -> Option<v1::Product> {
    let (minor_units, currency, status) = match sku {
        "euro" => (500, "EUR", v1::ProductStatus::Active),
        "gone" => (500, "USD", v1::ProductStatus::Retired),
        _ => {
            let number: i64 = sku.strip_prefix("item")?.parse().ok()?;
            (number * 100, "USD", v1::ProductStatus::Active)
        }
    };
    Some(v1::Product {
        sku: sku.to_owned(),
        name: "a name of 20 letters".to_owned(),
        price: Some(v1::Money { minor_units, currency: currency.to_owned() }),
        status: status.into(),
        version: 1,
        ..v1::Product::default()
    })
}

macro_rules! not_asked {
    ($($name:ident $request:ident $response:ident;)*) => {
        #[tonic::async_trait]
        impl Catalog for Products {
            async fn batch_get_products(
                &self,
                request: Request<v1::BatchGetProductsRequest>,
            ) -> Result<Response<v1::BatchGetProductsResponse>, Status> {
                let skus = request.into_inner().skus;
                let products = skus.iter().filter_map(|sku| product(sku)).collect();
                Ok(Response::new(v1::BatchGetProductsResponse { products }))
            }

            $(async fn $name(
                &self,
                _request: Request<v1::$request>,
            ) -> Result<Response<v1::$response>, Status> {
                Err(Status::unimplemented("orders do not ask this"))
            })*
        }
    };
}

not_asked! {
    create_product CreateProductRequest CreateProductResponse;
    create_products CreateProductsRequest CreateProductsResponse;
    get_product GetProductRequest GetProductResponse;
    list_products ListProductsRequest ListProductsResponse;
    update_product UpdateProductRequest UpdateProductResponse;
    retire_product RetireProductRequest RetireProductResponse;
}

pub(super) struct World {
    pub(super) store: TestStore,
    pub(super) orders: Arc<Orders>,
    pub(super) api: OrdersClient<rpc::Transport>,
    said: std::sync::atomic::AtomicU64,
}

pub(super) const TOTAL: Money = Money::new(800, Currency::USD);

/// An order of two `item1` and three `item2`: 8.00 dollars.
pub(super) fn request() -> v1::PlaceOrderRequest {
    let line = |sku: &str, quantity| v1::NewLine {
        sku: sku.to_owned(),
        quantity,
        ..v1::NewLine::default()
    };
    v1::PlaceOrderRequest {
        customer_id: "OMS-Cust-001".to_owned(),
        lines: vec![line("item1", 2), line("item2", 3)],
        ..v1::PlaceOrderRequest::default()
    }
}

async fn open(
    store: &TestStore,
    settings: Settings,
) -> (Arc<Orders>, OrdersClient<rpc::Transport>) {
    let catalog = CatalogClient::new(rpc::Transport::in_process(CatalogServer::new(Products)));
    let metrics = Metrics::default();
    let orders = Orders::open((**store).clone(), settings, catalog, &metrics).await.unwrap();
    let api = OrdersClient::new(rpc::Transport::in_process(crate::server(Arc::clone(&orders))));
    (orders, api)
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    pub(super) async fn with(settings: Settings) -> Self {
        let store = testing::open(&[SCHEMA]).unwrap();
        let (orders, api) = open(&store, settings).await;
        for subscription in crate::subscriptions(&orders) {
            bus::embedded::subscribe(&store, subscription).await.unwrap();
        }
        Self { store, orders, api, said: 0.into() }
    }

    /// The service as it is after a start: nothing of what was in memory is left. Only what the
    /// first one was subscribed to goes on to the first one.
    pub(super) async fn restarted(&self) -> (Arc<Orders>, OrdersClient<rpc::Transport>) {
        open(&self.store, Settings::default()).await
    }

    /// Says `data` as another service would; the order service has heard it when this returns.
    pub(super) async fn say(&self, data: impl Into<EventData>) {
        let data = data.into();
        let sequence = 1 + self.said.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let said: Result<(), OrderError> = self
            .store
            .transact(move |tx| {
                tx.publish(Draft::new(sequence, data));
                Box::pin(std::future::ready(Ok(())))
            })
            .await;
        said.unwrap();
    }

    pub(super) async fn place(&mut self, request: v1::PlaceOrderRequest) -> OrderId {
        let placed = self.api.place_order(request).await.unwrap().into_inner();
        placed.order.unwrap().order_id.parse().unwrap()
    }

    pub(super) async fn order(&self, id: OrderId) -> Order {
        self.orders.find(id).await.unwrap()
    }

    pub(super) async fn status(&self, id: OrderId) -> OrderStatus {
        self.order(id).await.status()
    }

    /// Lets `span` pass and the deadlines that are due by then.
    pub(super) async fn wait(&self, span: Duration) {
        self.store.clock.advance(span);
        while self.orders.pass_deadlines().await.unwrap() > 0 {}
    }

    /// Takes the order as far as `status` on the straight path.
    pub(super) async fn bring_to(&self, id: OrderId, status: OrderStatus) {
        for data in happy_path(id) {
            if self.status(id).await == status {
                return;
            }
            self.say(data).await;
        }
        assert_eq!(self.status(id).await, status);
    }

    /// Everything that must hold of every order.
    pub(super) async fn audit(&self) {
        let checks = self.store.read(|rx| Box::pin(crate::audit::audit(rx))).await.unwrap();
        for check in checks {
            assert_eq!(check.violations, 0, "{check:?}");
        }
    }

    pub(super) fn now(&self) -> contracts::Timestamp {
        self.store.clock.now()
    }
}

fn all_units() -> Vec<LineUnits> {
    let sku = |text: &str| Sku::try_new(text).unwrap();
    vec![
        LineUnits { line: 1, sku: sku("item1"), units: 2 },
        LineUnits { line: 2, sku: sku("item2"), units: 3 },
    ]
}

pub(super) fn validated(order_id: OrderId) -> EventData {
    CustomerValidated { order_id, customer_id: "OMS-Cust-001".parse().unwrap() }.into()
}

pub(super) fn reserved(order_id: OrderId) -> EventData {
    let expires_at = contracts::Timestamp::default();
    InventoryReserved { order_id, lines: all_units(), expires_at }.into()
}

pub(super) fn allocated(order_id: OrderId) -> EventData {
    InventoryAllocated { order_id, lines: all_units() }.into()
}

pub(super) fn authorized(order_id: OrderId) -> EventData {
    PaymentAuthorized { order_id, amount: TOTAL, due_on_dispatch: false }.into()
}

pub(super) fn declined(order_id: OrderId) -> EventData {
    let operation = PaymentOperation::Authorize;
    PaymentDeclined { order_id, operation, code: "card_declined".into() }.into()
}

pub(super) fn released(order_id: OrderId) -> EventData {
    InventoryReleased { order_id, lines: all_units(), ended: true }.into()
}

pub(super) fn voided(order_id: OrderId) -> EventData {
    PaymentVoided { order_id, amount: TOTAL }.into()
}

/// What the other services say of an order that goes well.
pub(super) fn happy_path(order_id: OrderId) -> Vec<EventData> {
    let requested = PaymentRequested { order_id, method: "simulated".into(), amount: TOTAL }.into();
    let captured = PaymentCaptured { order_id, amount: TOTAL }.into();
    vec![
        validated(order_id),
        reserved(order_id),
        requested,
        authorized(order_id),
        allocated(order_id),
        captured,
    ]
}

//! Every predicate that is written here is proven by a planted corruption: a healthy database, made
//! by the real services, is damaged behind their back, and the audit must name exactly that.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use contracts::{Event, OrderNumber, Timestamp, segment};
use contracts_grpc::v1;
use inventory::store::HoldRow;
use order::domain::Order;
use store::{BoxFuture, Store, StoreError, Tx};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{PLAIN, Report, check_places, whole, write};
use crate::config::{BusKind, Config};
use crate::wire::{self, Chosen};

const SKU: &str = "sku-a";
const PAID: u64 = 1;
const DUE: u64 = 2;
const REJECTED: u64 = 3;
const COMPLETED: u64 = 4;
const CANCELLED: u64 = 5;

/// The folder of a database with an order in each of the states above, made once for all tests.
async fn healthy() -> &'static Path {
    static FOLDER: OnceCell<TempDir> = OnceCell::const_new();
    FOLDER.get_or_init(make_healthy).await.path()
}

async fn make_healthy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { data: folder.path().to_owned(), ..Config::default() };
    let house = wire::assemble(&config, &Chosen::all()).await.unwrap();
    let mut services = house.services.clone().unwrap();
    let details = v1::CustomerDetails { name: "Ada".to_owned(), ..Default::default() };
    let customer = v1::CreateCustomerRequest {
        customer_id: "buyer".to_owned(),
        details: Some(details),
        ..Default::default()
    };
    services.customers.create_customer(customer).await.unwrap();
    for sku in [SKU, "sku-b"] {
        let price = v1::Money { minor_units: 1_000, currency: "USD".to_owned() };
        let product = v1::CreateProductRequest {
            sku: sku.to_owned(),
            name: sku.to_owned(),
            price: Some(price),
            ..Default::default()
        };
        services.catalog.create_product(product).await.unwrap();
        let delivery =
            v1::ReceiveStockRequest { sku: sku.to_owned(), quantity: 100, ..Default::default() };
        services.inventory.receive_stock(delivery).await.unwrap();
    }
    for (number, method, quantity, status) in [
        (PAID, "simulated", 2, v1::OrderStatus::Confirmed),
        (DUE, "terms", 3, v1::OrderStatus::Confirmed),
        (REJECTED, "simulated", 500, v1::OrderStatus::Rejected),
        (COMPLETED, "simulated", 1, v1::OrderStatus::Confirmed),
        (CANCELLED, "simulated", 4, v1::OrderStatus::Confirmed),
    ] {
        let placed = services.orders.place_order(request(number, method, quantity)).await.unwrap();
        let order = placed.into_inner().order.unwrap();
        assert_eq!((order.number, order.status()), (number, status), "{order:?}");
        finish(&mut services, number, order.order_id).await;
    }
    assert!(house.tasks.stop(Duration::from_secs(10)).await);
    house.store.as_ref().unwrap().stop().await;
    folder
}

fn request(number: u64, method: &str, quantity: i64) -> v1::PlaceOrderRequest {
    let line = |sku: &str| v1::NewLine { sku: sku.to_owned(), quantity, shortage_policy: 0 };
    v1::PlaceOrderRequest {
        idempotency_key: format!("key-{number}"),
        customer_id: "buyer".to_owned(),
        lines: vec![line(SKU), line("sku-b")],
        payment: Some(v1::PaymentInstruction { method: method.to_owned(), token: String::new() }),
        wait_ms: 10_000,
        ..Default::default()
    }
}

/// Dispatches or cancels the orders that are to be completed or cancelled.
async fn finish(services: &mut edge::Services, number: u64, order_id: String) {
    let wanted = match number {
        COMPLETED => {
            let all =
                v1::CreateShipmentRequest { order_id: order_id.clone(), ..Default::default() };
            services.orders.create_shipment(all).await.unwrap();
            v1::OrderStatus::Completed
        }
        CANCELLED => {
            let cancel = v1::CancelOrderRequest {
                order_id: order_id.clone(),
                reason: "changed my mind".to_owned(),
                ..Default::default()
            };
            services.orders.cancel_order(cancel).await.unwrap();
            v1::OrderStatus::Cancelled
        }
        _ => return,
    };
    let settled = async {
        loop {
            let question = v1::GetOrderRequest { order_id: order_id.clone(), ..Default::default() };
            let order = services.orders.get_order(question).await.unwrap().into_inner().order;
            if order.unwrap().status() == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), settled).await.unwrap();
}

type Damage = for<'t> fn(&'t mut Tx) -> BoxFuture<'t, Result<(), StoreError>>;

/// A copy of the healthy database.
async fn copy() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(healthy().await).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_string_lossy().starts_with(Store::FILE) {
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
    }
    copy
}

async fn audited(damage: Damage) -> Report {
    let folder = copy().await;
    let store =
        wire::open_store(folder.path().to_owned().into(), &Chosen::all(), BusKind::Embedded)
            .unwrap();
    store.transact(damage).await.unwrap();
    store.stop().await;
    check_places(&[folder.path().to_owned().into()]).await.unwrap()
}

/// Runs statements that the rules of the schema would refuse.
async fn run(tx: &mut Tx, statements: &[&str]) -> Result<(), StoreError> {
    tx.execute("PRAGMA ignore_check_constraints = ON", &[]).await?;
    for statement in statements {
        assert!(tx.execute(statement, &[]).await? > 0, "{statement} touches nothing");
    }
    Ok(())
}

macro_rules! sql {
    ($($statement:literal),+) => {
        |tx| Box::pin(run(tx, &[$($statement),+]))
    };
}

/// Changes an order behind its back.
async fn change_order(tx: &mut Tx, number: u64, change: fn(&mut Order)) -> Result<(), StoreError> {
    let number = OrderNumber::new(number);
    tx.load::<Order>(&[number]).await?;
    let mut order = tx.get::<Order>(&number).unwrap().clone();
    change(&mut order);
    order.version += 1;
    tx.put(order);
    Ok(())
}

async fn change_hold(tx: &mut Tx, number: u64, change: fn(&mut HoldRow)) -> Result<(), StoreError> {
    let number = OrderNumber::new(number).as_i64();
    tx.load::<HoldRow>(&[number]).await?;
    let mut hold = tx.get::<HoldRow>(&number).unwrap().clone();
    change(&mut hold);
    hold.hold.changes += 1;
    tx.put(hold);
    Ok(())
}

/// Writes the events of every segment again, changed.
async fn change_events(tx: &mut Tx, change: fn(&mut Vec<Event>)) -> Result<(), StoreError> {
    let select = "SELECT segment, body FROM outbox ORDER BY segment";
    let read = |row: &store::Row<'_>| Ok((row.count(0)?, row.blob(1)?.to_vec()));
    for (number, body) in tx.query(select, &[], read).await? {
        let mut events = segment::decode(number, &body)?;
        change(&mut events);
        let body = segment::encode(events.iter()).unwrap();
        let update = "UPDATE outbox SET body = $2 WHERE segment = $1";
        assert_eq!(tx.execute(update, &[number.into(), body.into()]).await?, 1);
    }
    Ok(())
}

fn is_confirmation(event: &Event) -> bool {
    matches!(&event.data, contracts::EventData::OrderConfirmed(data) if data.number.get() == PAID)
}

fn is_reservation(event: &Event) -> bool {
    matches!(&event.data, contracts::EventData::OrderReserved(data)
        if data.order_id.number().get() == PAID)
}

#[tokio::test]
async fn a_healthy_database_reports_nothing() {
    let report = check_places(&[healthy().await.to_owned().into()]).await.unwrap();
    assert!(report.clean, "{report:#?}");
    assert_eq!(report.unsettled, 0);
    let mut ids: Vec<_> = report.checks.iter().map(|finding| finding.check.id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "two predicates share a name");
    // Nothing is clean because nothing was looked at. Parked events are rare, and the trailing
    // index may not have been written yet.
    let idle = report.checks.iter().filter(|finding| finding.check.checked == 0);
    let idle: Vec<_> = idle.map(|finding| finding.check.id).collect();
    for id in ["EV-1", "EV-2", "EV-3", "EV-4", "OB-1", "OB-4", "IB-5", "ST-8", "RS-5", "RS-6"] {
        assert!(!idle.contains(&id), "{id} has checked nothing");
    }
    for id in ["RS-8", "OR-5", "OR-6", "OR-7"] {
        assert!(!idle.contains(&id), "{id} has checked nothing");
    }
}

/// The predicate, others that the same damage must break, and the damage.
const DAMAGES: [(&str, &[&str], Damage); 21] = [
    // One order claims more units than ever came in. Its hold and payment know nothing of it.
    ("ST-8", &["RS-5", "OR-5"], |tx| {
        Box::pin(change_order(tx, PAID, |order| {
            let mut placed = order.placed.as_ref().clone();
            placed.lines[0].quantity = contracts::Quantity::try_new(5_000).unwrap();
            order.placed = Arc::new(placed);
            order.balances[0].allocated = 5_000;
        }))
    }),
    ("RS-5", &[], |tx| {
        Box::pin(change_order(tx, PAID, |order| {
            order.balances[0].allocated -= 1;
            order.balances[0].backordered += 1;
        }))
    }),
    ("RS-6", &[], |tx| {
        Box::pin(change_hold(tx, COMPLETED, |hold| hold.hold.lines[0].shipped -= 1))
    }),
    // The hold of a cancelled order comes back to life: the level knows nothing of it.
    ("RS-8", &["ST-2", "RS-2"], |tx| {
        Box::pin(change_hold(tx, CANCELLED, |hold| {
            hold.hold.state = inventory::domain::HoldState::Allocated;
            hold.hold.lines[0].allocated = 1;
        }))
    }),
    ("OB-4", &["RS-8", "IK-1"], sql!("DELETE FROM orders WHERE number = 1")),
    // Captured less than the total, or reserved only, for a method that captures at once.
    (
        "OR-5",
        &["PY-8"],
        sql!("UPDATE payments SET captured_minor = captured_minor - 1 WHERE number = 1"),
    ),
    (
        "OR-5",
        &["PY-8"],
        sql!("UPDATE payments SET captured_minor = 0, state = 'authorized' WHERE number = 1"),
    ),
    ("OR-5", &[], sql!("DELETE FROM payments WHERE number = 2")),
    (
        "OR-6",
        &["PY-8"],
        sql!("UPDATE payments SET refunded_minor = 0, state = 'captured' WHERE number = 5"),
    ),
    // A confirmed order whose log says that it was cancelled.
    ("OR-7", &[], |tx| {
        Box::pin(change_events(tx, |events| {
            for event in events.iter_mut().filter(|event| is_confirmation(event)) {
                let contracts::EventData::OrderConfirmed(data) = event.data.clone() else {
                    continue;
                };
                event.data = contracts::events::order::OrderExpired {
                    order_id: data.order_id,
                    number: data.number,
                    customer_id: data.customer_id,
                    reason: contracts::events::order::EndReason::ChecksTimedOut,
                }
                .into();
            }
        }))
    }),
    (
        "IK-1",
        &[],
        sql!("INSERT INTO order_index (kind, value, number) VALUES (4, zeroblob(16), 999)"),
    ),
    ("EV-1", &[], sql!("UPDATE outbox SET body = zeroblob(64) WHERE segment = 4")),
    ("EV-1", &[], sql!("DELETE FROM outbox WHERE segment = 4")),
    ("EV-2", &[], |tx| {
        Box::pin(change_events(tx, |events| {
            for event in events.iter_mut().filter(|event| is_reservation(event)) {
                event.sequence += 5;
            }
        }))
    }),
    ("EV-3", &[], |tx| {
        Box::pin(change_events(tx, |events| {
            for event in events.iter_mut().filter(|event| is_confirmation(event)) {
                let place = contracts::Position { segment: 1, index: 0 };
                event.id = contracts::EventId::new(Timestamp::from_micros(1), 0, place);
            }
        }))
    }),
    // The checksum is right, but there is no event with such a code.
    ("EV-4", &[], sql!("UPDATE outbox SET body = x'01ff7fe2d5530d830b3026' WHERE segment = 4")),
    ("OB-1", &[], |tx| Box::pin(change_order(tx, PAID, |order| order.events_said += 1))),
    ("OB-1", &[], sql!("UPDATE products SET version = version + 1 WHERE sku = 'sku-a'")),
    ("OB-1", &[], |tx| Box::pin(change_hold(tx, PAID, |hold| hold.events += 1))),
    (
        "PK-1",
        &[],
        sql!(
            "INSERT INTO parked_events (consumer, segment, place, event_key, state, attempts, \
                 cause, body, parked_at) VALUES ('payment', 1, 0, 'k', 'parked', 3, '', x'00', 0)"
        ),
    ),
    ("IB-5", &[], sql!("UPDATE inbox SET segment = segment + 2 WHERE consumer = 'inventory'")),
];

#[tokio::test]
async fn each_predicate_finds_its_planted_corruption() {
    let mut wrong = Vec::new();
    for (id, also, damage) in DAMAGES {
        let report = audited(damage).await;
        let mut expected: Vec<_> = also.iter().copied().chain([id]).collect();
        let mut found = report.violated();
        expected.sort_unstable();
        found.sort_unstable();
        if found != expected || report.clean {
            wrong.push(format!("{id}: expected {expected:?}, found {:#?}", broken(&report)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn broken(report: &Report) -> Vec<&super::Check> {
    let broken = report.checks.iter().filter(|finding| finding.check.violations > 0);
    broken.map(|finding| &finding.check).collect()
}

#[tokio::test]
async fn a_report_says_which_invariant_is_broken_by_what() {
    let report = audited(sql!("DELETE FROM payments WHERE number = 2")).await;
    let mut text = Vec::new();
    write(&mut text, &report, &PLAIN).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("BROKEN OR-5 "), "{text}");
    assert!(text.contains("is confirmed, its payment None"), "{text}");
    let count = report.checks.len();
    assert!(text.contains(&format!("1 of {count} invariants are broken")), "{text}");
}

#[tokio::test]
async fn what_cannot_be_checked_is_neither_clean_nor_broken() {
    let empty = tempfile::tempdir().unwrap();
    assert!(check_places(&[empty.path().to_owned().into()]).await.is_err());
    let folder = copy().await;
    let store =
        wire::open_store(folder.path().to_owned().into(), &Chosen::all(), BusKind::Embedded)
            .unwrap();
    let drop_table: Damage =
        |tx| Box::pin(async move { tx.execute("DROP TABLE payments", &[]).await.map(drop) });
    store.transact(drop_table).await.unwrap();
    let problem = whole(store.reader()).await.unwrap_err();
    assert_eq!(problem.slug, "unavailable");
    assert!(problem.detail.contains("payments"), "{problem:?}");
    store.stop().await;
    assert!(check_places(&[folder.path().to_owned().into()]).await.is_err());
}

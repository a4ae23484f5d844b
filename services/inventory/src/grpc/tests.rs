use std::time::Duration;

use contracts_grpc::v1;
use contracts_grpc::v1::inventory_client::InventoryClient;
use futures::StreamExt as _;
use rpc::Transport;
use store::testing::TestStore;

use crate::{Inventory, SCHEMA, Settings};

type Client = InventoryClient<Transport>;

fn client() -> (TestStore, Client) {
    let store = store::testing::open(&[SCHEMA]).unwrap();
    let inventory = Inventory::try_new(store.clone(), Settings::default()).unwrap();
    let transport = Transport::in_process(crate::server(inventory));
    (store, InventoryClient::new(transport))
}

fn receive(key: &str, sku: &str, quantity: i64) -> v1::ReceiveStockRequest {
    v1::ReceiveStockRequest {
        idempotency_key: key.to_owned(),
        sku: sku.to_owned(),
        quantity,
        document: "note 7".to_owned(),
        ..v1::ReceiveStockRequest::default()
    }
}

fn line(sku: &str, quantity: i64) -> v1::StockLine {
    v1::StockLine { sku: sku.to_owned(), quantity, location: String::new() }
}

/// The slug of the refusal, and the field at fault.
fn refusal<T: std::fmt::Debug>(answer: Result<T, tonic::Status>) -> (String, String) {
    let problem = rpc::problem(&answer.unwrap_err());
    let field = problem.errors.first().map_or(String::new(), |error| error.pointer.clone());
    (problem.slug, field)
}

#[tokio::test]
async fn stock_is_received_counted_and_explained() {
    let (_store, mut client) = client();
    let mut request = tonic::Request::new(receive("k", "a", 5));
    request.metadata_mut().insert("millrace-actor", "ann".parse().unwrap());
    let first = client.receive_stock(request).await.unwrap().into_inner();
    let second = client.receive_stock(receive("k", "a", 5)).await.unwrap().into_inner();
    assert!(second.replayed && !first.replayed);
    assert_eq!((&first.level, &first.entry), (&second.level, &second.entry));
    let entry = first.entry.unwrap();
    assert_eq!((entry.actor.as_str(), entry.hash.len(), entry.sequence), ("ann", 32, 1));
    assert_eq!(entry.cause.unwrap().id, "note 7");
    let set = v1::SetStockRequest {
        sku: "a".into(),
        expected_on_hand: 5,
        new_on_hand: 7,
        reason: "counted".into(),
        ..v1::SetStockRequest::default()
    };
    assert_eq!(client.set_stock(set).await.unwrap().into_inner().level.unwrap().available, 7);
    let adjust = v1::AdjustStockRequest {
        sku: "a".into(),
        delta: -1,
        reason: "broken".into(),
        ..v1::AdjustStockRequest::default()
    };
    client.adjust_stock(adjust).await.unwrap();
    let settings = v1::UpdateStockSettingsRequest {
        sku: "a".into(),
        safety: Some(2),
        expected_version: Some(3),
        ..v1::UpdateStockSettingsRequest::default()
    };
    client.update_stock_settings(settings.clone()).await.unwrap();
    assert_eq!(refusal(client.update_stock_settings(settings).await).0, "stale-version");
    let get = v1::GetStockRequest { sku: "a".into(), location: "main".into() };
    let total = client.get_stock(get).await.unwrap().into_inner().total.unwrap();
    assert_eq!((total.on_hand, total.available, total.safety), (6, 4, 2));
    let journal = v1::GetJournalRequest { sku: "a".into(), limit: 2, ..Default::default() };
    let page = client.get_journal(journal.clone()).await.unwrap().into_inner();
    let kinds: Vec<_> = page.entries.iter().map(v1::JournalEntry::kind).collect();
    assert_eq!(kinds, [v1::JournalKind::Adjust, v1::JournalKind::Count]);
    let journal = v1::GetJournalRequest { cursor: page.next_cursor, ..journal };
    let page = client.get_journal(journal).await.unwrap().into_inner();
    assert_eq!((page.entries.len(), page.next_cursor.as_str()), (1, ""));
    let as_of = v1::GetStockAsOfRequest {
        sku: "a".into(),
        as_of: page.entries[0].at,
        ..v1::GetStockAsOfRequest::default()
    };
    let then = client.get_stock_as_of(as_of).await.unwrap().into_inner();
    assert_eq!(then.total.unwrap().on_hand, 6);
}

#[tokio::test]
async fn a_bad_request_names_the_field() {
    let (_store, mut client) = client();
    client.receive_stock(receive("", "a", 5)).await.unwrap();
    let field = |pointer: &str| ("invalid-request".to_owned(), pointer.to_owned());
    let bad = [
        (receive("", "", 5), "/sku"),
        (receive("", "a", 0), "/quantity"),
        (v1::ReceiveStockRequest { location: "x".into(), ..receive("", "a", 1) }, "/location"),
        (v1::ReceiveStockRequest { reason: "x".repeat(5_000), ..receive("", "a", 1) }, "/reason"),
    ];
    for (request, pointer) in bad {
        assert_eq!(refusal(client.receive_stock(request).await), field(pointer));
    }
    let key = receive(&"k".repeat(256), "a", 1);
    assert_eq!(refusal(client.receive_stock(key).await).0, "bad-idempotency-key");
    let adjust = |delta, reason: &str| v1::AdjustStockRequest {
        sku: "a".into(),
        delta,
        reason: reason.into(),
        ..v1::AdjustStockRequest::default()
    };
    assert_eq!(refusal(client.adjust_stock(adjust(0, "x")).await), field("/delta"));
    assert_eq!(refusal(client.adjust_stock(adjust(1, " ")).await), field("/reason"));
    assert_eq!(refusal(client.adjust_stock(adjust(-6, "x")).await).0, "expectation-failed");
    let list = v1::ListStockRequest { limit: 201, ..Default::default() };
    assert_eq!(refusal(client.list_stock(list).await), field("/limit"));
    let list = v1::ListStockRequest { cursor: "nonsense".into(), ..Default::default() };
    assert_eq!(refusal(client.list_stock(list).await).0, "bad-cursor");
    let get = v1::GetStockRequest { sku: "x".into(), location: String::new() };
    assert_eq!(refusal(client.get_stock(get).await).0, "not-found");
    let lines = v1::CheckAvailabilityRequest { lines: Vec::new() };
    assert_eq!(refusal(client.check_availability(lines).await), field("/lines"));
}

#[tokio::test]
async fn an_owner_outside_is_answered_with_a_hold_or_a_shortage() {
    let (_store, mut client) = client();
    client.receive_stock(receive("", "a", 5)).await.unwrap();
    let request = |quantity| v1::ReserveRequest {
        idempotency_key: String::new(),
        owner: "shop".into(),
        lines: vec![line("a", quantity), line("a", 1)],
        ttl: None,
    };
    let check = v1::CheckAvailabilityRequest { lines: request(5).lines };
    let check = client.check_availability(check).await.unwrap().into_inner();
    assert_eq!((check.available, check.lines[1].supplied), (false, 0));
    let short = client.reserve(request(5)).await.unwrap().into_inner().outcome.unwrap();
    assert!(matches!(short, v1::reserve_response::Outcome::Shortage(_)));
    let answer = client.reserve(request(4)).await.unwrap().into_inner().outcome.unwrap();
    let v1::reserve_response::Outcome::Hold(hold) = answer else { panic!("{answer:?}") };
    assert_eq!((hold.state(), hold.lines.len()), (v1::HoldState::Held, 2));
    assert_eq!(refusal(client.reserve(request(1)).await).0, "already-exists");
    let release = v1::ReleaseRequest { owner: "shop".into(), ..Default::default() };
    let released = client.release(release).await.unwrap().into_inner();
    assert_eq!(released.hold.unwrap().hold_id, hold.hold_id);
    assert!(!released.already_ended);
}

#[tokio::test]
async fn a_delivery_is_answered_item_by_item() {
    let (_store, mut client) = client();
    let items = vec![receive("", "a", 5), receive("", "b", 0), receive("", "c", 1)];
    let request = v1::ReceiveStocksRequest { items };
    let outcomes = client.receive_stocks(request).await.unwrap().into_inner().outcomes;
    let shown: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| match outcome.outcome.unwrap() {
            v1::receive_stock_outcome::Outcome::Level(level) => level.sku,
            v1::receive_stock_outcome::Outcome::Problem(problem) => {
                problem.errors[0].pointer.clone()
            }
        })
        .collect();
    assert_eq!(shown, ["a", "/items/1/quantity", "c"]);
    let list = client.list_stock(v1::ListStockRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.levels.len(), 2);
}

#[tokio::test]
async fn a_watcher_sees_the_snapshot_and_then_what_changes() {
    let (_store, mut client) = client();
    client.receive_stock(receive("", "a", 5)).await.unwrap();
    let watch = v1::WatchStockRequest { skus: vec!["a".into()], ..Default::default() };
    let mut stream = client.watch_stock(watch).await.unwrap().into_inner();
    let snapshot = stream.next().await.unwrap().unwrap();
    assert!(snapshot.snapshot && snapshot.levels[0].available == 5);
    client.receive_stock(receive("", "b", 1)).await.unwrap();
    client.receive_stock(receive("", "a", 2)).await.unwrap();
    let next = tokio::time::timeout(Duration::from_secs(5), stream.next());
    let change = next.await.unwrap().unwrap().unwrap();
    assert!(!change.snapshot && change.position > snapshot.position);
    assert_eq!((change.levels.len(), change.levels[0].available), (1, 7));
}

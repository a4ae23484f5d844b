use contracts::{Currency, EventKind, Money, Position};
use contracts_grpc::v1;
use contracts_grpc::v1::catalog_server::Catalog as _;
use store::testing::{self, TestStore};

use super::*;
use crate::store::SCHEMA;

fn facts(name: &str, minor: i64) -> Facts {
    Facts {
        name: name.to_owned(),
        description: String::new(),
        price: Money::new(minor, Currency::USD),
        tax_category: String::new(),
    }
}

fn sku(text: &str) -> Sku {
    Sku::try_new(text).unwrap()
}

fn command(key: &str, what: Change) -> Command<Change> {
    let fingerprint = [u8::try_from(format!("{what:?}").len() % 251).unwrap(); 16];
    let once = Once { scope: "test", key: key.to_owned(), fingerprint };
    Command { once, what, render: |product| product.version.to_string().into_bytes() }
}

fn open() -> (TestStore, Catalog) {
    let store = testing::open(&[SCHEMA]).unwrap();
    let catalog = Catalog::new((*store).clone(), Settings::default(), &Metrics::default());
    (store, catalog)
}

async fn told(store: &TestStore) -> Vec<EventKind> {
    let events: Result<_, store::StoreError> = store
        .read(|rx| {
            Box::pin(async move { store::log::read(rx, Position::start_of(1), 1_000).await })
        })
        .await;
    events.unwrap().iter().map(|event| event.data.kind()).collect()
}

#[tokio::test]
async fn a_product_lives_from_creation_to_retirement() {
    let (store, catalog) = open();
    let create = || command("k1", Change::Create(sku("a"), facts("A", 100)));
    assert!(!catalog.change(create()).await.unwrap().replayed);
    assert!(catalog.change(create()).await.unwrap().replayed);
    let other = command("k1", Change::Create(sku("another"), facts("Another", 100)));
    assert!(matches!(catalog.change(other).await, Err(CatalogError::KeyReused)));
    let again = command("", Change::Create(sku("a"), facts("A", 100)));
    assert!(matches!(catalog.change(again).await, Err(CatalogError::Exists(_))));
    let stale = command("", Change::Update(sku("a"), Some(7), facts("B", 1), None));
    let refused = catalog.change(stale).await.unwrap_err();
    assert_eq!(refused.problem().extra["currentVersion"], 1);
    let update = command("", Change::Update(sku("a"), Some(1), facts("B", 1), None));
    assert_eq!(catalog.change(update).await.unwrap().bytes, b"2");
    let retire = command("", Change::Retire(sku("a"), None));
    assert_eq!(catalog.change(retire).await.unwrap().bytes, b"3");
    assert!(catalog.find(sku("a")).await.unwrap().retired);
    assert!(matches!(catalog.find(sku("b")).await, Err(CatalogError::NotFound(_))));
    let expected =
        [EventKind::ProductCreated, EventKind::ProductUpdated, EventKind::ProductRetired];
    assert_eq!(told(&store).await, expected);
}

#[tokio::test]
async fn bulk_refuses_only_what_is_wrong() {
    let (store, catalog) = open();
    let commands = vec![
        command("", Change::Create(sku("a"), facts("A", 1))),
        command("", Change::Create(sku("a"), facts("A", 1))),
        command("", Change::Create(sku("b"), facts("", 1))),
        command("", Change::Create(sku("c"), facts("C", 1))),
    ];
    let answers = catalog.change_all(commands).await.unwrap();
    let accepted: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, false, false, true]);
    assert_eq!(told(&store).await.len(), 2);
}

#[tokio::test]
async fn every_product_is_on_exactly_one_page_in_each_sequence() {
    let (store, catalog) = open();
    for n in 0..57 {
        store.clock.advance(std::time::Duration::from_secs(n % 3));
        let create = Change::Create(sku(&format!("sku-{:02}", (n * 31) % 57)), facts("Thing_%", 1));
        catalog.change(command("", create)).await.unwrap();
    }
    for sequence in [Sequence::Sku, Sequence::SkuDescending, Sequence::Newest, Sequence::Oldest] {
        let mut filter = Filter {
            retired: Some(false),
            sku_prefix: "sku-".to_owned(),
            text: "thing_%".to_owned(),
            tax_category: String::new(),
            sequence,
            after: None,
            limit: 10,
        };
        let mut seen = Vec::new();
        loop {
            let page = catalog.list(filter.clone()).await.unwrap();
            let Some(last) = page.last() else { break };
            filter.after = Some((last.created_at.as_micros(), last.sku.to_string()));
            seen.extend(page.into_iter().map(|product| product.sku));
        }
        assert_eq!(seen.len(), 57, "{sequence:?}");
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 57, "{sequence:?}");
        let none = Filter { text: "thing-".to_owned(), after: None, ..filter };
        assert!(catalog.list(none).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn products_are_found_by_prefix_and_by_text() {
    let (_store, catalog) = open();
    let described = Facts { description: "Oak, 80 cm".to_owned(), ..facts("Table", 1) };
    for (text, facts) in [("Item-1", described), ("item-2", facts("Chair", 1))] {
        catalog.change(command("", Change::Create(sku(text), facts))).await.unwrap();
    }
    for (prefix, text, expected) in [
        ("Item", "", &["Item-1"][..]),
        ("item", "", &["item-2"]),
        ("item-%", "", &[]),
        ("", "oak", &["Item-1"]),
        ("", "ITEM", &["Item-1", "item-2"]),
        ("item", "oak", &[]),
    ] {
        let filter = Filter {
            retired: None,
            sku_prefix: prefix.to_owned(),
            text: text.to_owned(),
            tax_category: String::new(),
            sequence: Sequence::Sku,
            after: None,
            limit: 10,
        };
        let found = catalog.list(filter).await.unwrap();
        let found: Vec<_> = found.iter().map(|product| product.sku.as_str()).collect();
        assert_eq!(found, expected, "{prefix:?} {text:?}");
    }
}

#[tokio::test]
async fn a_batch_answers_each_product_once_in_the_sequence_asked_for() {
    let (_store, catalog) = open();
    for text in ["a", "b"] {
        catalog.change(command("", Change::Create(sku(text), facts("X", 1)))).await.unwrap();
    }
    let skus = ["b", "nobody", "a", "two words", "b"].map(ToOwned::to_owned).to_vec();
    let request = tonic::Request::new(v1::BatchGetProductsRequest { skus });
    let answer = catalog.batch_get_products(request).await.unwrap().into_inner();
    let found: Vec<_> = answer.products.iter().map(|product| product.sku.as_str()).collect();
    assert_eq!(found, ["b", "a"]);
}

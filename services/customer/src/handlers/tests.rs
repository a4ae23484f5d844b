use contracts::events::order::{EndReason, PaymentInstruction};
use contracts::events::order::{OrderCheckRequested, OrderCompleted, OrderExpired, OrderPlaced};
use contracts::{Currency, EventId, Position, Timestamp};
use store::StoreError;
use store::testing::{self, TestStore};

use super::*;
use crate::domain::Address;
use crate::store::SCHEMA;

fn open() -> (TestStore, Arc<Customers>) {
    let store = testing::open(&[SCHEMA]).unwrap();
    let customers = Customers::new((*store).clone(), Settings::default(), &Metrics::default());
    (store, Arc::new(customers))
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::USD)
}

fn command(customer: &str, change: Change) -> Command {
    let once = Once { scope: "test", key: String::new(), fingerprint: [0; 16] };
    let customer = CustomerId::try_new(customer).unwrap();
    Command { once, customer, expected: None, change }
}

fn named(name: &str, limit: Option<Money>) -> Details {
    Details { name: name.to_owned(), credit_limit: limit, ..Details::default() }
}

fn order(number: u64) -> OrderId {
    OrderId::new(Timestamp::from_micros(1), OrderNumber::new(number), 0)
}

fn event(order: OrderId, data: impl Into<EventData>) -> Arc<Event> {
    Arc::new(Event {
        id: EventId::new(Timestamp::from_micros(1), 0, Position::default()),
        sequence: 1,
        time: Timestamp::from_micros(1),
        correlation: Some(order),
        causation: None,
        traceparent: None,
        data: data.into(),
    })
}

fn placed(number: u64, customer: &str, minor: i64) -> Arc<Event> {
    let order_id = order(number);
    event(
        order_id,
        OrderPlaced {
            order_id,
            number: order_id.number(),
            customer_id: CustomerId::try_new(customer).unwrap(),
            lines: Vec::new(),
            total: usd(minor),
            payment: PaymentInstruction { method: "simulated".into(), token: "".into() },
            channel: "".into(),
        },
    )
}

/// Handles `batch` and returns what is said, as `order number: kind`.
async fn hear(
    store: &TestStore,
    customers: &Arc<Customers>,
    batch: Vec<Arc<Event>>,
) -> Vec<String> {
    let customers = Arc::clone(customers);
    let said: Result<_, CustomerError> = store
        .transact(move |tx| {
            Box::pin(async move {
                customers.hear(tx, &batch).await?;
                let said = tx.published().iter().map(|event| {
                    let number = event.correlation.map_or(0, |order| order.number().get());
                    format!("{number}: {} #{}", event.data.kind().name(), event.sequence)
                });
                Ok(said.collect())
            })
        })
        .await;
    said.unwrap()
}

async fn clean(store: &TestStore) {
    let checks: Result<_, StoreError> =
        store.read(|rx| Box::pin(async move { crate::audit::audit(rx).await })).await;
    for check in checks.unwrap() {
        assert_eq!(check.violations, 0, "{check:?}");
    }
}

#[tokio::test]
async fn verdicts_on_a_batch_take_up_credit_once_and_give_it_back_once() {
    let (store, customers) = open();
    for (id, limit) in [("free", None), ("limited", Some(usd(100)))] {
        customers.change(command(id, Change::Create(named(id, limit)))).await.unwrap();
    }
    let batch = vec![
        placed(1, "free", 1_000_000),
        placed(2, "limited", 60),
        placed(3, "limited", 60),
        placed(4, "nobody", 1),
        placed(5, "limited", 40),
    ];
    let expected = [
        "1: customer.validated #1",
        "2: customer.validated #1",
        "3: customer.rejected #1",
        "4: customer.rejected #1",
        "5: customer.validated #1",
    ];
    assert_eq!(hear(&store, &customers, batch.clone()).await, expected);
    // Heard again, nothing more is taken up, and who was let through stays so.
    assert_eq!(hear(&store, &customers, batch).await, expected);
    let id = CustomerId::try_new("limited").unwrap();
    assert_eq!(customers.find(id.clone()).await.unwrap().reserved_minor, 100);
    clean(&store).await;
    let ended = event(
        order(2),
        OrderExpired {
            order_id: order(2),
            number: OrderNumber::new(2),
            customer_id: id.clone(),
            reason: EndReason::ChecksTimedOut,
        },
    );
    for _ in 0..2 {
        assert!(hear(&store, &customers, vec![Arc::clone(&ended)]).await.is_empty());
        assert_eq!(customers.find(id.clone()).await.unwrap().reserved_minor, 40);
    }
    clean(&store).await;
}

#[tokio::test]
async fn a_verdict_that_is_asked_for_again_is_numbered_by_the_attempt() {
    let (store, customers) = open();
    customers.change(command("a", Change::Create(named("A", None)))).await.unwrap();
    let asked = OrderCheckRequested {
        order_id: order(7),
        customer_id: CustomerId::try_new("a").unwrap(),
        lines: Vec::new(),
        total: usd(1),
        attempt: 3,
    };
    let said = hear(&store, &customers, vec![event(order(7), asked)]).await;
    assert_eq!(said, ["7: customer.validated #3"]);
}

#[tokio::test]
async fn customers_are_changed_under_their_version_and_once_per_key() {
    let (store, customers) = open();
    let keyed = |change: Change| {
        let mut command = command("a", change);
        command.once.key = "key".to_owned();
        command
    };
    let create = || keyed(Change::Create(named("Ada", None)));
    assert!(!customers.change(create()).await.unwrap().replayed);
    assert!(customers.change(create()).await.unwrap().replayed);
    let exists = customers.change(command("a", Change::Create(named("Ada", None)))).await;
    assert_eq!(exists.unwrap_err().problem().slug, "already-exists");
    let mut stale = command("a", Change::Update(named("Eve", None)));
    stale.expected = Some(9);
    let problem = customers.change(stale).await.unwrap_err().problem();
    assert_eq!(
        (problem.slug.as_str(), &problem.extra["currentVersion"]),
        ("stale-version", &1.into())
    );
    let blocked = customers.change(command("a", Change::Block(Some("x".to_owned())))).await;
    assert_eq!(blocked.unwrap().customer.version, 2);
    let said = hear(&store, &customers, vec![placed(1, "a", 1)]).await;
    assert_eq!(said, ["1: customer.rejected #1"]);
    customers.change(command("a", Change::Block(None))).await.unwrap();
    let erased = customers.change(command("a", Change::Erase)).await.unwrap().customer;
    assert_eq!((erased.details.name.as_str(), erased.version), ("", 4));
    let late = customers.change(command("a", Change::Update(named("Ada", None)))).await;
    assert!(matches!(late, Err(CustomerError::Erased(_))));
    // Nothing that is remembered for a replay holds personal data.
    let remembered: Result<Vec<Vec<u8>>, StoreError> = store
        .read(|rx| {
            Box::pin(async move {
                rx.query("SELECT response FROM requests", &[], |row| Ok(row.blob(0)?.to_vec()))
                    .await
            })
        })
        .await;
    assert_eq!(remembered.unwrap(), [b"a".to_vec()]);
    clean(&store).await;
}

#[tokio::test]
async fn a_thousand_customers_are_each_on_exactly_one_page() {
    let (store, customers) = open();
    let commands = (0..1_000).map(|n| {
        command(&format!("c-{:04}", n * 7 % 1_000), Change::Create(named(&format!("N{n}"), None)))
    });
    let answers = customers.change_all(commands.collect()).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
    for sequence in [Sequence::Id, Sequence::IdDescending, Sequence::Newest, Sequence::Oldest] {
        let (text, blocked) = ("c-".to_owned(), Some(false));
        let mut filter = Filter { text, blocked, sequence, after: None, limit: 150 };
        let mut seen = Vec::new();
        loop {
            let page = customers.list(filter.clone()).await.unwrap();
            let Some(last) = page.last() else { break };
            filter.after = Some((last.created_at.as_micros(), last.id.to_string()));
            seen.extend(page.into_iter().map(|customer| customer.id));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 1_000, "{sequence:?}");
    }
    clean(&store).await;
}

#[tokio::test]
async fn credit_taken_up_before_the_limit_was_lifted_is_still_given_back() {
    let (store, customers) = open();
    let change = |change: Change| customers.change(command("a", change));
    change(Change::Create(named("A", Some(usd(100))))).await.unwrap();
    hear(&store, &customers, vec![placed(1, "a", 60)]).await;
    let euro = named("A", Some(Money::new(100, Currency::EUR)));
    let refused = change(Change::Update(euro)).await.unwrap_err();
    assert_eq!(refused.problem().slug, "illegal-transition");
    change(Change::Update(named("A", None))).await.unwrap();
    // Asked again without a limit, and asked about another order that takes up nothing.
    hear(&store, &customers, vec![placed(1, "a", 60), placed(2, "a", 60)]).await;
    let id = CustomerId::try_new("a").unwrap();
    for (number, left) in [(2, 60), (1, 0), (1, 0)] {
        let (order_id, customer_id) = (order(number), id.clone());
        let done = event(order_id, OrderCompleted { order_id, customer_id });
        hear(&store, &customers, vec![done]).await;
        assert_eq!(customers.find(id.clone()).await.unwrap().reserved_minor, left);
    }
    clean(&store).await;
}

#[tokio::test]
async fn customers_are_found_as_they_were_given_and_by_telephone_number() {
    let (_store, customers) = open();
    let address =
        Address { city: "Ulm".to_owned(), lines: vec!["1 Way".into()], ..Address::default() };
    let (phone, addresses) = ("+493012345".to_owned(), vec![address]);
    let details = Details { phone, addresses, ..named("Ada", None) };
    customers.change(command("a", Change::Create(details.clone()))).await.unwrap();
    let id = CustomerId::try_new("a").unwrap();
    assert_eq!(customers.find(id).await.unwrap().details, details);
    for (text, found) in [("3012", 1), ("3013", 0)] {
        let text = text.to_owned();
        let filter = Filter { text, blocked: None, sequence: Sequence::Id, after: None, limit: 9 };
        assert_eq!(customers.list(filter).await.unwrap().len(), found);
    }
}

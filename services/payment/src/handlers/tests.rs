#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test tells one story in one place, and names only what it is about"
)]

use std::path::Path;

use contracts::clock::ManualClock;
use contracts::events::inventory::InventoryAllocated;
use contracts::events::order::{EndReason, OrderAdjusted, OrderCancelling, PaymentInstruction};
use contracts::events::payment::PaymentOperation;
use contracts::{Currency, CustomerId, Money};
use contracts_grpc::v1;
use contracts_grpc::v1::payments_client::PaymentsClient;
use store::StoreOptions;
use telemetry::Tasks;

use super::*;
use crate::domain::State;

/// The service on a store of its own, as it runs in the product.
struct Bench {
    clock: Arc<ManualClock>,
    store: Store,
    payments: Arc<Payments>,
    said: Arc<Mutex<Vec<Arc<Event>>>>,
    tasks: Tasks,
}

async fn open(folder: &Path) -> Bench {
    open_at(folder, Timestamp::from_micros(1_795_262_400_000_000)).await
}

async fn open_at(folder: &Path, at: Timestamp) -> Bench {
    let clock = Arc::new(ManualClock::at(at));
    let store = Store::open(StoreOptions {
        place: folder.to_owned().into(),
        schemas: vec![crate::SCHEMA],
        clock: Arc::<ManualClock>::clone(&clock),
        stream: 0,
    })
    .unwrap();
    let settings = Settings { simulated_slow_ms: 400, ..Settings::default() };
    let payments = Arc::new(Payments::new(store.clone(), settings, &Metrics::default()));
    for subscription in payments.subscriptions() {
        bus::embedded::subscribe(&store, subscription).await.unwrap();
    }
    // What happens now happens after the start.
    clock.advance(Duration::from_millis(1));
    let said: Arc<Mutex<Vec<Arc<Event>>>> = Arc::default();
    let heard = Arc::clone(&said);
    store
        .on_commit(Arc::new(move |events| heard.lock().unwrap().extend_from_slice(events)))
        .unwrap();
    Bench { clock, store, payments, said, tasks: Tasks::default() }
}

fn order(number: u64) -> OrderId {
    OrderId::new(Timestamp::from_micros(1_795_262_300_000_000), OrderNumber::new(number), 5)
}

fn reserved(order_id: OrderId, method: &str, token: &str) -> EventData {
    let customer_id = CustomerId::try_new("c-1").unwrap();
    let payment = PaymentInstruction { method: method.into(), token: token.into() };
    let total = Money::new(1_000, Currency::USD);
    OrderReserved { order_id, customer_id, total, payment }.into()
}

fn allocated(order_id: OrderId) -> EventData {
    InventoryAllocated { order_id, lines: Vec::new() }.into()
}

fn adjusted(order_id: OrderId, total: i64) -> EventData {
    let (total, previous_total) =
        (Money::new(total, Currency::USD), Money::new(1_000, Currency::USD));
    OrderAdjusted { order_id, lines: Vec::new(), release: Vec::new(), total, previous_total }.into()
}

fn cancelling(order_id: OrderId) -> EventData {
    let (detail, actor) = ("enough".into(), "a person".into());
    OrderCancelling { order_id, reason: EndReason::Requested, detail, actor }.into()
}

/// What was said, in a word or two.
fn word(data: &EventData) -> String {
    let name = data.kind().name().trim_start_matches("payment.").to_owned();
    match data {
        EventData::PaymentDeclined(said) => format!("{name}({:?} {})", said.operation, said.code),
        EventData::PaymentUnknown(said) => format!("{name}({:?})", said.operation),
        EventData::PaymentVoided(said) => format!("{name}({})", said.amount.minor()),
        EventData::PaymentCaptured(said) => format!("{name}({})", said.amount.minor()),
        EventData::PaymentRefunded(said) => {
            format!("{name}({}, {})", said.amount.minor(), said.kept.minor())
        }
        _ => name,
    }
}

impl Bench {
    fn start(self) -> Self {
        crate::timers::run(&self.payments, &self.tasks);
        self
    }

    async fn tell(&self, events: Vec<EventData>) {
        let work = self.store.transact(move |tx| {
            Box::pin(async move {
                for data in events {
                    tx.publish(Draft::new(1, data));
                }
                Ok::<_, StoreError>(())
            })
        });
        work.await.unwrap();
    }

    /// What was said of an order's payment; its sequence has no gap.
    fn said_of(&self, order: OrderId) -> Vec<String> {
        let said = self.said.lock().unwrap();
        let of_payment = said.iter().filter(|event| {
            event.topic() == contracts::Topic::Payment && event.correlation == Some(order)
        });
        let numbered: Vec<_> =
            of_payment.map(|event| (event.sequence, word(&event.data))).collect();
        let sequences: Vec<_> = numbered.iter().map(|(sequence, _)| *sequence).collect();
        let gapless: Vec<_> = (1..).take(numbered.len()).collect();
        assert_eq!(sequences, gapless, "{numbered:?}");
        numbered.into_iter().map(|(_, word)| word).collect()
    }

    /// Waits until `expected` was said of an order, moving the clock like time does.
    async fn until(&self, order: OrderId, expected: &str) {
        for _ in 0..1_000 {
            if self.said_of(order).iter().any(|word| word == expected) {
                return;
            }
            self.clock.advance(Duration::from_millis(50));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never said {expected}: {:?}", self.said_of(order));
    }

    async fn stop(self) {
        assert!(self.tasks.stop(Duration::from_secs(5)).await);
        self.store.stop().await;
    }

    async fn assert_sound(&self) {
        let checks: Vec<store::audit::Check> = self
            .store
            .read(|rx| Box::pin(crate::audit::audit(rx)))
            .await
            .map_err(|error: StoreError| error)
            .unwrap();
        for check in checks {
            assert!(check.checked > 0 && check.violations == 0, "{check:?}");
        }
    }
}

/// Takes an order through its life, and through its cancellation; each event comes twice.
async fn check(method: &str, token: &str, paid: &[&str], cancelled: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let bench = open(folder.path()).await.start();
    let order = order(1);
    let mut expected: Vec<String> = Vec::new();
    for (place, word) in paid.iter().enumerate() {
        if place == 0 {
            bench.tell(vec![reserved(order, method, token), reserved(order, method, token)]).await;
        }
        bench.until(order, word).await;
        expected.push((*word).to_owned());
        if *word == "authorized" {
            bench.tell(vec![allocated(order), allocated(order)]).await;
        }
    }
    bench.tell(vec![cancelling(order), cancelling(order)]).await;
    if let Some(last) = cancelled.last() {
        bench.until(order, last).await;
    }
    expected.extend(cancelled.iter().map(ToString::to_string));
    bench.tell(vec![cancelling(order), allocated(order), reserved(order, method, token)]).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(bench.said_of(order), expected, "{method} {token}");
    bench.assert_sound().await;
    bench.stop().await;
}

#[tokio::test]
async fn every_token_ends_as_its_script_says() {
    let paid = ["requested", "authorized", "captured(1000)"];
    let refunded = ["refunded(1000, 0)"];
    let all = [
        check("simulated", "", &paid, &refunded),
        check("simulated", "approve", &paid, &refunded),
        check("simulated", "slow", &paid, &refunded),
        check("simulated", "duplicate_webhook", &paid, &refunded),
        check(
            "simulated",
            "decline",
            &["requested", "declined(Authorize card_declined)"],
            &["voided(0)"],
        ),
        check(
            "simulated",
            "unknown_approved",
            &["requested", "unknown(Authorize)", "authorized", "captured(1000)"],
            &refunded,
        ),
        check(
            "simulated",
            "unknown_declined",
            &["requested", "unknown(Authorize)", "declined(Authorize card_declined)"],
            &["voided(0)"],
        ),
        check(
            "simulated",
            "capture_unknown",
            &["requested", "authorized", "unknown(Capture)", "captured(1000)"],
            &refunded,
        ),
        check(
            "simulated",
            "capture_decline",
            &["requested", "authorized", "declined(Capture capture_refused)"],
            &["voided(1000)"],
        ),
        check("simulated", "refund_unknown", &paid, &["unknown(Refund)", "refunded(1000, 0)"]),
        check(
            "simulated",
            "stolen",
            &["requested", "declined(Authorize unknown_token)"],
            &["voided(0)"],
        ),
    ];
    futures::future::join_all(all).await;
}

#[tokio::test]
async fn terms_ask_no_provider_and_an_unknown_method_is_declined() {
    check("terms", "", &["requested", "authorized"], &["voided(1000)"]).await;
    let declined = ["requested", "declined(Authorize unknown_method)"];
    check("barter", "", &declined, &["voided(0)"]).await;
}

#[tokio::test]
async fn money_follows_the_total_of_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let bench = open(folder.path()).await.start();
    let (before, after) = (order(1), order(2));
    let events = vec![reserved(before, "simulated", ""), reserved(after, "simulated", "")];
    bench.tell(events).await;
    bench.until(before, "authorized").await;
    bench.tell(vec![adjusted(before, 600), allocated(before), allocated(after)]).await;
    bench.until(before, "captured(600)").await;
    bench.until(after, "captured(1000)").await;
    bench.tell(vec![adjusted(after, 700)]).await;
    bench.until(after, "refunded(300, 700)").await;
    bench.tell(vec![adjusted(after, 100), cancelling(before)]).await;
    bench.until(after, "refunded(600, 100)").await;
    bench.until(before, "refunded(600, 0)").await;
    bench.assert_sound().await;
    bench.stop().await;
}

#[tokio::test]
async fn an_order_that_is_cancelled_before_it_asks_is_answered_and_never_charged() {
    let folder = tempfile::tempdir().unwrap();
    let bench = open(folder.path()).await.start();
    let order = order(1);
    bench.tell(vec![cancelling(order), reserved(order, "simulated", ""), allocated(order)]).await;
    bench.until(order, "voided(0)").await;
    assert_eq!(bench.said_of(order), ["voided(0)"]);
    bench.stop().await;
}

#[tokio::test]
async fn money_that_arrives_after_a_cancellation_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let bench = open(folder.path()).await.start();
    let (early, late) = (order(1), order(2));
    bench.tell(vec![reserved(early, "simulated", "slow"), cancelling(early)]).await;
    bench.until(early, "voided(1000)").await;
    assert_eq!(bench.said_of(early), ["requested", "authorized", "voided(1000)"]);
    bench.tell(vec![reserved(late, "simulated", "capture_unknown")]).await;
    bench.until(late, "authorized").await;
    bench.tell(vec![allocated(late), cancelling(late)]).await;
    bench.until(late, "refunded(1000, 0)").await;
    bench.assert_sound().await;
    bench.stop().await;
}

/// The process dies after COMMIT, before the provider is asked: the next one asks at once.
#[tokio::test]
async fn what_was_on_record_when_the_process_died_is_asked_for_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let order = order(1);
    let mut told = vec![cancelling(order), allocated(order), reserved(order, "simulated", "")];
    let mut at = Timestamp::from_micros(1_795_262_400_000_000);
    let mut later = || {
        at = at.plus(Duration::from_secs(2));
        at
    };
    while let Some(event) = told.pop() {
        let dying = open_at(folder.path(), later()).await;
        dying.tell(vec![event]).await;
        let open: Vec<_> = dying.payments.due(Timestamp::from_micros(i64::MAX), 10).await.unwrap();
        assert_eq!(open, [order.number()]);
        dying.stop().await;

        let next = open_at(folder.path(), later()).await.start();
        // The clock stands still: a deadline that has not passed does not hold the start up.
        for _ in 0..1_000 {
            if next.payments.due(Timestamp::from_micros(i64::MAX), 10).await.unwrap().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let payment = next.payments.find(order).await.unwrap();
        assert_eq!(payment.open_attempt(), None);
        assert_eq!(payment.attempts.last().map(|attempt| attempt.inquiries), Some(1));
        next.assert_sound().await;
        next.stop().await;
    }
    let last = open_at(folder.path(), later()).await;
    let payment = last.payments.find(order).await.unwrap();
    assert_eq!(payment.state, State::Refunded { authorized: 1_000, captured: 1_000 });
    assert_eq!(payment.attempts.len(), 3);
    last.stop().await;
}

#[tokio::test]
async fn a_slow_provider_call_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let bench = open(folder.path()).await.start();
    let slow = order(1);
    bench.tell(vec![reserved(slow, "simulated", "slow")]).await;
    let many: Vec<_> = (2..2_002).map(|number| reserved(order(number), "simulated", "")).collect();
    bench.tell(many).await;
    bench.until(order(2_001), "authorized").await;
    for number in [2, 1_000, 2_000] {
        bench.until(order(number), "authorized").await;
    }
    assert_eq!(bench.said_of(slow), ["requested"]);
    bench.until(slow, "authorized").await;
    bench.assert_sound().await;
    bench.stop().await;
}

#[tokio::test]
async fn payments_are_shown_and_listed_over_grpc() {
    let folder = tempfile::tempdir().unwrap();
    let bench = open(folder.path()).await.start();
    let token = |number: u64| if number.rem_euclid(2) == 0 { "decline" } else { "" };
    let events = (1..=6).map(|number| reserved(order(number), "simulated", token(number)));
    bench.tell(events.collect()).await;
    bench.until(order(5), "authorized").await;
    bench.until(order(6), "declined(Authorize card_declined)").await;
    let server = Payments::server(Arc::clone(&bench.payments));
    let mut client = PaymentsClient::new(rpc::Transport::in_process(server));

    let asked = v1::GetPaymentRequest { order_id: order(5).to_string() };
    let shown = client.get_payment(asked).await.unwrap().into_inner().payment.unwrap();
    assert_eq!(shown.state(), v1::PaymentState::Authorized);
    assert_eq!(shown.authorized.unwrap().minor_units, 1_000);
    assert_eq!((shown.attempts.len(), shown.attempts[0].sequence), (1, 1));
    assert_eq!(shown.attempts[0].provider_key.len(), 32);

    let missing = v1::GetPaymentRequest { order_id: order(7).to_string() };
    assert_eq!(client.get_payment(missing).await.unwrap_err().code(), tonic::Code::NotFound);
    let guessed = OrderId::new(Timestamp::default(), OrderNumber::new(5), 6).to_string();
    let guessed = client.get_payment(v1::GetPaymentRequest { order_id: guessed }).await;
    assert_eq!(guessed.unwrap_err().code(), tonic::Code::NotFound);

    for (sort, expected) in [(v1::TimeSort::Newest, [5, 3, 1]), (v1::TimeSort::Oldest, [1, 3, 5])] {
        let mut listed = Vec::new();
        let mut cursor = String::new();
        loop {
            let request = v1::ListPaymentsRequest {
                cursor,
                limit: 2,
                states: vec![v1::PaymentState::Authorized.into()],
                method: "simulated".into(),
                sort: sort.into(),
                ..v1::ListPaymentsRequest::default()
            };
            let page = client.list_payments(request).await.unwrap().into_inner();
            listed.extend(page.payments.into_iter().map(|payment| payment.order_id));
            if page.next_cursor.is_empty() {
                break;
            }
            cursor = page.next_cursor;
        }
        assert_eq!(listed, expected.map(|number| order(number).to_string()));
    }
    let refused =
        client.list_payments(v1::ListPaymentsRequest { limit: 201, ..Default::default() });
    assert_eq!(refused.await.unwrap_err().code(), tonic::Code::InvalidArgument);
    bench.stop().await;
}

#[tokio::test]
async fn the_audit_finds_what_is_planted_under_its_id() {
    type Plant = fn(&mut Payment);
    let plants: [(&str, Plant); 5] = [
        ("PY-2", |payment| {
            let mut twice = payment.attempts[1].clone();
            twice.epoch = 2;
            twice.amount = 0;
            twice.key = provider::key(&payment.order_id, PaymentOperation::Capture, 2);
            payment.attempts.push(twice);
        }),
        ("PY-3", |payment| payment.attempts[0].key.0[0] ^= 1),
        ("PY-5", |payment| payment.due = Some(Timestamp::from_micros(1))),
        ("PY-8", |payment| payment.attempts[0].amount = 999),
        ("PY-8", |payment| payment.state = State::Voided { authorized: 1_000 }),
    ];
    for (id, plant) in plants {
        let folder = tempfile::tempdir().unwrap();
        let bench = open(folder.path()).await.start();
        let order = order(1);
        bench.tell(vec![reserved(order, "simulated", "")]).await;
        bench.until(order, "authorized").await;
        bench.tell(vec![allocated(order)]).await;
        bench.until(order, "captured(1000)").await;
        bench.assert_sound().await;
        assert!(bench.tasks.stop(Duration::from_secs(5)).await);
        let work = bench.store.transact(move |tx| {
            Box::pin(async move {
                tx.load::<Payment>(&[order.number()]).await?;
                let mut payment = tx.get::<Payment>(&order.number()).cloned().unwrap();
                payment.version += 1;
                plant(&mut payment);
                tx.put(payment);
                Ok::<_, StoreError>(())
            })
        });
        work.await.unwrap();
        assert_eq!(found(&bench).await, [id], "{id}");
        bench.store.stop().await;
    }
}

#[tokio::test]
async fn the_audit_finds_a_payment_that_nobody_looks_for() {
    let folder = tempfile::tempdir().unwrap();
    let bench = open(folder.path()).await.start();
    bench.tell(vec![reserved(order(1), "simulated", "")]).await;
    bench.until(order(1), "authorized").await;
    assert!(bench.tasks.stop(Duration::from_secs(5)).await);
    // A deadline in the year 2096, which is not late.
    for sql in [
        "UPDATE payments SET due = 4000000000000000, look_at = 4000000000000001",
        "UPDATE payments SET due = 4000000000000000, look_at = NULL",
    ] {
        let work = bench.store.transact(move |tx| Box::pin(tx.execute(sql, &[])));
        let done: Result<u64, StoreError> = work.await;
        assert_eq!(done.unwrap(), 1);
        assert_eq!(found(&bench).await, ["PY-5"], "{sql}");
    }
    bench.store.stop().await;
}

async fn found(bench: &Bench) -> Vec<&'static str> {
    let checks: Result<Vec<store::audit::Check>, StoreError> =
        bench.store.read(|rx| Box::pin(crate::audit::audit(rx))).await;
    let broken = checks.unwrap().into_iter().filter(|check| check.violations > 0);
    broken.map(|check| check.id).collect()
}

#[tokio::test]
async fn the_schema_refuses_amounts_that_cannot_be_and_the_audit_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let bench = open(folder.path()).await;
    bench.tell(vec![reserved(order(1), "terms", "")]).await;
    let refused = bench.store.transact(|tx| {
        Box::pin(async move { tx.execute("UPDATE payments SET amount_minor = 1", &[]).await })
    });
    assert!(matches!(refused.await, Err(StoreError::Constraint { .. })));
    let planted = bench.store.transact(|tx| {
        Box::pin(async move {
            tx.execute("PRAGMA ignore_check_constraints = ON", &[]).await?;
            tx.execute("UPDATE payments SET amount_minor = 1", &[]).await
        })
    });
    assert_eq!(planted.await.map_err(|error: StoreError| error).unwrap(), 1);
    assert_eq!(found(&bench).await, ["PY-1"]);
    bench.stop().await;
}

#![expect(
    clippy::wildcard_enum_match_arm,
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "a test names only what it is about; its services have the shape of services"
)]

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use contracts::events::order::{
    EndReason, LineUnits, OrderCancelled, OrderConfirmed, OrderFulfilling, OrderNeedsAttention,
};
use contracts::{Currency, Money, Problem, Sku};
use contracts_grpc::v1;
use contracts_grpc::v1::notifications_client::NotificationsClient;
use store::audit::Check;
use store::testing::TestStore;
use telemetry::Tasks;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tonic::body::Body;
use tonic::{Code, Request, Response, Status};

use super::*;
use crate::config::Smtp;

/// A service in the same process that answers every call by `answer`.
fn answering<Q, A>(answer: fn(Q) -> Result<A, Status>) -> Transport
where
    Q: prost_message::Message,
    A: prost_message::Message,
{
    Transport::in_process(tower::service_fn(move |request: http::Request<Body>| async move {
        let mut grpc = tonic::server::Grpc::new(tonic_prost::ProstCodec::<A, Q>::default());
        let unary = tower::service_fn(move |request: Request<Q>| async move {
            answer(request.into_inner()).map(Response::new)
        });
        Ok::<_, Infallible>(grpc.unary(unary, request).await)
    }))
}

/// What a message of the contracts is, for [`answering`].
mod prost_message {
    pub(super) trait Message: prost::Message + Default + 'static {}
    impl<M: prost::Message + Default + 'static> Message for M {}
}

fn customer(request: v1::GetCustomerRequest) -> Result<v1::GetCustomerResponse, Status> {
    let email = match request.customer_id.as_str() {
        "nobody" => return Err(rpc::status(Problem::not_found("nobody"))),
        "erased" => String::new(),
        other => format!("{other}@example.org"),
    };
    let customer = v1::Customer { name: "Ada".into(), email, ..v1::Customer::default() };
    Ok(v1::GetCustomerResponse { customer: Some(customer) })
}

fn order(request: v1::GetOrderRequest) -> Result<v1::GetOrderResponse, Status> {
    let total = Some(rpc::money(Money::new(500, Currency::EUR)));
    let (order_id, customer_id) = (request.order_id, "buyer".into());
    let order = v1::Order { order_id, customer_id, total, ..v1::Order::default() };
    Ok(v1::GetOrderResponse { order: Some(order) })
}

/// The service on a store of its own, as it runs in the product.
struct Bench {
    store: TestStore,
    notifications: Arc<Notifications>,
    client: NotificationsClient<Transport>,
    said: Arc<Mutex<Vec<Arc<Event>>>>,
    tasks: Tasks,
}

async fn open(smtp: Option<Smtp>) -> Bench {
    let store = store::testing::open(&[crate::SCHEMA]).unwrap();
    let notifications = Notifications::try_new(
        store.clone(),
        &Settings { smtp },
        CustomersClient::new(answering(customer)),
        OrdersClient::new(answering(order)),
        &Metrics::default(),
    );
    let notifications = Arc::new(notifications.unwrap());
    for subscription in notifications.subscriptions() {
        bus::embedded::subscribe(&store, subscription).await.unwrap();
    }
    let said: Arc<Mutex<Vec<Arc<Event>>>> = Arc::default();
    let heard = Arc::clone(&said);
    store
        .on_commit(Arc::new(move |events| heard.lock().unwrap().extend_from_slice(events)))
        .unwrap();
    let server = Notifications::server(Arc::clone(&notifications));
    let client = NotificationsClient::new(Transport::in_process(server));
    Bench { store, notifications, client, said, tasks: Tasks::default() }
}

fn order_id(number: u64) -> OrderId {
    OrderId::new(Timestamp::from_micros(1_795_262_300_000_000), OrderNumber::new(number), 5)
}

fn confirmed(number: u64, customer: &str) -> EventData {
    let customer_id = CustomerId::try_new(customer).unwrap();
    let (order_id, total) = (order_id(number), Money::new(1_999, Currency::EUR));
    OrderConfirmed { order_id, number: order_id.number(), customer_id, total }.into()
}

impl Bench {
    fn start(&self) {
        crate::timers::run(&self.notifications, &self.tasks);
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

    /// What was said: recipient, channel, and what went wrong.
    fn said(&self) -> Vec<String> {
        let said = self.said.lock().unwrap();
        let words = said.iter().filter_map(|event| match &event.data {
            EventData::NotificationSent(said) => {
                Some(format!("{} {}", said.recipient, said.channel))
            }
            EventData::NotificationFailed(said) => {
                Some(format!("{} {}: {}", said.recipient, said.channel, said.detail))
            }
            _ => None,
        });
        words.collect()
    }

    /// Waits until that many messages have ended, moving the clock like time does.
    async fn until_said(&self, count: usize) -> Vec<String> {
        for _ in 0..2_000 {
            if self.said().len() >= count {
                break;
            }
            self.store.clock.advance(Duration::from_millis(200));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut said = self.said();
        said.sort();
        said
    }

    async fn list(&self, request: v1::ListNotificationsRequest) -> Vec<v1::Notification> {
        let answer = self.client.clone().list_notifications(request).await.unwrap().into_inner();
        assert!(answer.next_cursor.is_empty());
        answer.notifications
    }

    async fn assert_sound(&self) {
        let checks: Result<Vec<Check>, StoreError> =
            self.store.read(|rx| Box::pin(crate::audit::audit(rx))).await;
        for check in checks.unwrap() {
            assert!(check.checked > 0 && check.violations == 0, "{check:?}");
        }
    }
}

#[tokio::test]
async fn without_a_mail_server_the_row_is_the_message() {
    let bench = open(None).await;
    bench.tell(vec![confirmed(1, "c-1"), confirmed(2, "c-2")]).await;
    assert_eq!(bench.until_said(2).await, ["c-1 log", "c-2 log"]);
    let listed = bench.list(v1::ListNotificationsRequest::default()).await;
    assert_eq!(listed.iter().map(|one| &*one.recipient).collect::<Vec<_>>(), ["c-2", "c-1"]);
    assert_eq!(listed[0].state(), v1::NotificationState::Sent);
    assert_eq!(listed[0].subject, "Order 2 is confirmed");
    assert!(listed[0].body.contains("Dear c-2") && listed[0].body.contains("19.99 EUR"));
    bench.assert_sound().await;
}

#[tokio::test]
async fn an_event_that_is_heard_again_is_not_told_again() {
    let bench = open(None).await;
    bench.tell(vec![confirmed(1, "c-1")]).await;
    bench.until_said(1).await;
    let events: Vec<_> = bench.said.lock().unwrap().clone();
    let again = Arc::new(
        Notifications::try_new(
            bench.store.clone(),
            &Settings::default(),
            CustomersClient::new(answering(customer)),
            OrdersClient::new(answering(order)),
            &Metrics::default(),
        )
        .unwrap(),
    );
    // By the same process, and by one that has just started.
    for listener in [Arc::clone(&bench.notifications), again] {
        let events = events.clone();
        let work = bench.store.transact(move |tx| {
            Box::pin(async move {
                let heard = listener.hear(tx, &events).await;
                heard.map_err(|error| StoreError::Panicked(error.to_string()))
            })
        });
        work.await.unwrap();
    }
    assert_eq!(bench.said(), ["c-1 log"]);
    assert_eq!(bench.list(v1::ListNotificationsRequest::default()).await.len(), 1);
    bench.assert_sound().await;
}

#[tokio::test]
async fn a_buyer_whom_the_event_does_not_name_is_looked_up() {
    let bench = open(None).await;
    let lines = vec![LineUnits { line: 1, sku: Sku::try_new("item1").unwrap(), units: 2 }];
    let order_id = order_id(1);
    bench.tell(vec![OrderFulfilling { order_id, shipment: 1, lines }.into()]).await;
    assert_eq!(bench.said(), [""; 0]);
    bench.start();
    assert_eq!(bench.until_said(1).await, ["buyer log"]);
    let detail = "the provider refuses".into();
    bench.tell(vec![OrderNeedsAttention { order_id, detail }.into()]).await;
    assert_eq!(bench.until_said(2).await, ["@staff log", "buyer log"]);
    let listed = bench
        .list(v1::ListNotificationsRequest {
            order_id: order_id.to_string(),
            ..v1::ListNotificationsRequest::default()
        })
        .await;
    assert!(listed[1].body.contains("2 × item1"), "{listed:?}");
    assert!(bench.tasks.stop(Duration::from_secs(5)).await);
}

/// A mail server that keeps what it gets. `later@…` is told to come back twice, `bad@…` to go away.
#[derive(Clone, Default)]
struct Sink {
    mails: Arc<Mutex<Vec<String>>>,
    deferred: Arc<Mutex<u32>>,
}

impl Sink {
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let sink = self.clone();
        Tasks::default().spawn("sink", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sink = sink.clone();
                Tasks::default().spawn("conversation", async move { sink.talk(stream).await });
            }
        });
        url
    }

    async fn talk(&self, stream: TcpStream) {
        let (reading, mut writing) = stream.into_split();
        let mut lines = BufReader::new(reading).lines();
        writing.write_all(b"220 sink\r\n").await.unwrap();
        while let Ok(Some(line)) = lines.next_line().await {
            let answer = match line.get(..4).unwrap_or_default() {
                "DATA" => {
                    writing.write_all(b"354 go on\r\n").await.unwrap();
                    let mut mail = String::new();
                    while let Ok(Some(line)) = lines.next_line().await {
                        if line == "." {
                            break;
                        }
                        mail.push_str(&line);
                        mail.push('\n');
                    }
                    self.mails.lock().unwrap().push(mail);
                    "250 kept"
                }
                "RCPT" => self.recipient(&line),
                "EHLO" => "250 sink",
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            if writing.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn recipient(&self, line: &str) -> &'static str {
        if line.contains("<bad@") {
            return "550 no such user bad@example.org";
        }
        let mut deferred = self.deferred.lock().unwrap();
        if line.contains("<later@") && *deferred < 2 {
            *deferred += 1;
            return "451 later";
        }
        "250 ok"
    }

    fn smtp(url: String) -> Option<Smtp> {
        let (from, staff) = ("Shop <shop@example.org>".into(), "staff@example.org".into());
        Some(Smtp { url, from, staff })
    }
}

#[tokio::test]
async fn mail_is_sent_tried_again_and_given_up() {
    let sink = Sink::default();
    let bench = open(Sink::smtp(sink.listen().await)).await;
    let people = ["ann", "later", "bad", "erased", "nobody"];
    let events = people.iter().zip(1..).map(|(person, number)| confirmed(number, person));
    bench.tell(events.collect()).await;
    let detail = "stuck".into();
    bench.tell(vec![OrderNeedsAttention { order_id: order_id(9), detail }.into()]).await;
    // Nothing is sent before the sender starts, as after a crash: the rows wait.
    assert_eq!(bench.said(), [""; 0]);
    bench.start();
    let expected = [
        "@staff mail",
        "ann mail",
        "bad mail: the mail server answered 550",
        "erased mail: there is no mail address",
        "later mail",
        "nobody mail: the customer is not known",
    ];
    assert_eq!(bench.until_said(6).await, expected);
    let mails = sink.mails.lock().unwrap().clone();
    assert_eq!(mails.len(), 3);
    let ann = mails.iter().find(|mail| mail.contains("To: ann@example.org")).unwrap();
    assert!(ann.contains("Subject: Order 1 is confirmed"), "{ann}");
    assert!(ann.contains("Dear Ada,") && ann.contains("From: Shop <shop@example.org>"), "{ann}");
    let listed = bench.list(v1::ListNotificationsRequest::default()).await;
    let of = |recipient: &str| listed.iter().find(|one| one.recipient == recipient).unwrap();
    assert!(ann.contains(&format!("Message-ID: <{}@example.org>", of("ann").notification_id)));
    assert_eq!(of("later").attempts, 3);
    assert_eq!(of("bad").state(), v1::NotificationState::Failed);
    assert!(!of("bad").last_error.contains("example.org"), "an address is kept");
    bench.assert_sound().await;
    assert!(bench.tasks.stop(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_ends_in_failure_after_four_tries() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    drop(listener);
    let bench = open(Sink::smtp(url)).await;
    bench.start();
    bench.tell(vec![confirmed(1, "ann")]).await;
    assert_eq!(bench.until_said(1).await, ["ann mail: the mail server cannot be reached"]);
    let listed = bench.list(v1::ListNotificationsRequest::default()).await;
    assert_eq!(listed[0].attempts, 4);
    assert!(bench.tasks.stop(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn notifications_are_shown_and_listed_over_grpc() {
    let bench = open(None).await;
    for number in 1..=5 {
        let customer = if number == 3 { "c-3" } else { "c-1" };
        bench.tell(vec![confirmed(number, customer)]).await;
        bench.store.clock.advance(Duration::from_secs(1));
    }
    let (number, customer_id) = (OrderNumber::new(3), CustomerId::try_new("c-3").unwrap());
    let (reason, detail) = (EndReason::Requested, "changed my mind".into());
    let order_id = order_id(3);
    let cancelled = OrderCancelled { order_id, number, customer_id, reason, detail };
    bench.tell(vec![cancelled.into()]).await;

    let all = v1::ListNotificationsRequest::default;
    let count = async |request| bench.list(request).await.len();
    assert_eq!(count(all()).await, 6);
    assert_eq!(count(v1::ListNotificationsRequest { recipient: "c-3".into(), ..all() }).await, 2);
    let event_type = "order.cancelled".to_owned();
    assert_eq!(count(v1::ListNotificationsRequest { event_type, ..all() }).await, 1);
    let states = vec![v1::NotificationState::Sent.into()];
    assert_eq!(count(v1::ListNotificationsRequest { states, ..all() }).await, 6);
    let states = vec![v1::NotificationState::Failed.into()];
    assert_eq!(count(v1::ListNotificationsRequest { states, ..all() }).await, 0);
    let channel = v1::NotificationChannel::Mail.into();
    assert_eq!(count(v1::ListNotificationsRequest { channel, ..all() }).await, 0);
    let of_order =
        bench.list(v1::ListNotificationsRequest { order_id: order_id.to_string(), ..all() }).await;
    assert_eq!(of_order.len(), 2);
    assert!(of_order[0].body.contains("changed my mind"));

    let mut client = bench.client.clone();
    for notification_id in [&of_order[0].notification_id, &of_order[0].event_id] {
        let asked = v1::GetNotificationRequest { notification_id: notification_id.clone() };
        let shown = client.get_notification(asked).await.unwrap().into_inner().notification;
        assert_eq!(shown.as_ref(), Some(&of_order[0]));
    }
    for unknown in ["", "x", "018f0000-0000-8000-8000-000000000000"] {
        let asked = v1::GetNotificationRequest { notification_id: unknown.into() };
        assert_eq!(client.get_notification(asked).await.unwrap_err().code(), Code::NotFound);
    }

    for sort in [v1::TimeSort::Newest, v1::TimeSort::Oldest] {
        let (mut cursor, mut listed) = (String::new(), Vec::new());
        for _ in 0..4 {
            let request =
                v1::ListNotificationsRequest { cursor, limit: 2, sort: sort.into(), ..all() };
            let page = client.list_notifications(request).await.unwrap().into_inner();
            listed
                .extend(page.notifications.into_iter().map(|one| one.created_at.unwrap().seconds));
            cursor = page.next_cursor;
            if cursor.is_empty() {
                break;
            }
        }
        assert_eq!(listed.len(), 6);
        assert!(if sort == v1::TimeSort::Oldest {
            listed.is_sorted()
        } else {
            listed.iter().rev().is_sorted()
        });
    }
}

#[tokio::test]
async fn templates_are_listed_and_tried_out() {
    let mut client = open(None).await.client;
    let request = v1::ListTemplatesRequest { cursor: String::new(), limit: 5 };
    let first = client.list_templates(request).await.unwrap().into_inner();
    let request = v1::ListTemplatesRequest { cursor: first.next_cursor, limit: 5 };
    let second = client.list_templates(request).await.unwrap().into_inner();
    assert_eq!((first.templates.len(), second.templates.len()), (5, 2));
    assert!(second.next_cursor.is_empty());

    let preview =
        v1::PreviewTemplateRequest { name: "order.confirmed".into(), ..Default::default() };
    let shown = client.preview_template(preview.clone()).await.unwrap().into_inner();
    assert_eq!(shown.subject, "Order 1001 is confirmed");
    let order_id = order_id(12).to_string();
    let body = Some("{{ order.number }}: {{ order.total }}".to_owned());
    let tried = v1::PreviewTemplateRequest { order_id, body, ..preview.clone() };
    let shown = client.preview_template(tried).await.unwrap().into_inner();
    assert_eq!(shown.body, "12: 5.00 EUR");

    let bad = v1::PreviewTemplateRequest { body: Some("{{ colour }}".into()), ..preview };
    assert_eq!(client.preview_template(bad).await.unwrap_err().code(), Code::InvalidArgument);
    let unknown = v1::PreviewTemplateRequest { name: "x".into(), ..Default::default() };
    assert_eq!(client.preview_template(unknown).await.unwrap_err().code(), Code::NotFound);
}

#[test]
fn a_public_id_leads_back_and_nothing_else_does() {
    for id in [0, 1, 1 << 61, (1 << 62) + 5, i64::MAX] {
        let public = public_id(id);
        assert_eq!(private_id(&public), Some((id, id)), "{public}");
        assert_eq!(uuid::Uuid::parse_str(&public).unwrap().get_version_num(), 8);
    }
    assert_eq!(private_id("018f0000-0000-8000-8000-000000000001"), None);
}

//! A server of STOMP through SockJS polls, without a network and with time that jumps when everybody
//! waits: heart-beats, silence, a stop, and a client that fetches nothing.
#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::disallowed_methods, reason = "a test ends its tasks itself")]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use contracts::Position;
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use live::hub::{Channel, Client, Hub, Interest, Nature, Options, Protocol, Told};
use live::sockjs::{self, Origins, Service, Sessions, routes};
use live::stomp::frame::Limits;
use live::stomp::{Application, Link, Server, serve};
use tokio::time::Instant;
use tower::ServiceExt as _;

const THINGS: Channel = Channel(0);

struct Things;

impl Application for Things {
    fn interest(&self, destination: &str) -> Result<Interest, String> {
        match destination {
            "/topic/things" => Ok(Interest::all(THINGS)),
            other => Err(format!("there is no `{other}`")),
        }
    }

    fn may_send(&self, _: &str, _: &[u8]) -> Result<(), String> {
        Err("only told here".to_owned())
    }

    fn resume<'c>(&'c self, client: &'c mut Client, position: Position) -> BoxFuture<'c, bool> {
        Box::pin(async move { client.resume(position) == live::hub::Opened::Resumed })
    }
}

struct World {
    hub: Hub,
    router: Router,
}

impl World {
    fn new() -> Self {
        let hub = Hub::new(Options {
            channels: &[Nature::Whole],
            tick: Duration::from_millis(250),
            ring_bytes_max: 1 << 16,
            clients_max: 10,
            linger: Duration::from_secs(1),
            return_within: Duration::from_secs(5),
        });
        let (application, limits) = (Arc::new(Things), Limits::default());
        let server = Arc::new(Server { hub: hub.clone(), application, limits });
        let service = Service {
            open: Arc::new(move |connection| {
                let seat = server.hub.seat(Protocol::Sockjs).ok()?;
                let (server, link) = (Arc::clone(&server), Link::Sockjs(connection));
                Some(Box::pin(serve(server, link, "s".to_owned(), seat)))
            }),
            spawn: Arc::new(|task| drop(tokio::spawn(task))),
            stopping: Arc::new(|| Box::pin(std::future::pending())),
        };
        let options = sockjs::Options::at("", Origins::any());
        Self { hub, router: routes(Sessions::new(options, service)) }
    }

    async fn post(&self, path: &str, body: String) -> (u16, String) {
        let request = Request::post(format!("/0/session/{path}")).body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// What the client gets next, and how long it waited.
    async fn polls(&self) -> (String, Duration) {
        let began = Instant::now();
        let (status, body) = self.post("xhr", String::new()).await;
        assert_eq!(status, 200);
        (body, began.elapsed())
    }

    async fn says(&self, frame: &str) {
        let body = serde_json::to_string(&[frame]).unwrap();
        let (status, answer) = self.post("xhr_send", body).await;
        assert_eq!((status, answer.as_str()), (204, ""));
    }

    /// A session that is connected with these heart-beats.
    async fn connected(heartbeat: &str) -> Self {
        let world = Self::new();
        assert_eq!(world.polls().await.0, "o\n");
        world.says(&format!("CONNECT\naccept-version:1.2\nheart-beat:{heartbeat}\n\n\0")).await;
        let (answer, _) = world.polls().await;
        assert!(answer.starts_with("a[\"CONNECTED\\nversion:1.2\\n"), "{answer}");
        world
    }

    fn publish(&self, segment: u64) {
        let position = Position { segment, index: 0 };
        let told = Told {
            channel: THINGS,
            key: "k".into(),
            place: format!("{segment}").into(),
            event: "thing",
            position,
            json: Bytes::from(format!("{{\"n\":{segment}}}")),
        };
        self.hub.publish(vec![told], position, position);
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_as_agreed() {
    let world = World::connected("0,10000").await;
    for _ in 0..3 {
        let (beat, waited) = world.polls().await;
        assert_eq!(beat, "a[\"\\n\"]\n");
        assert!((9..=10).contains(&waited.as_secs()), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_breaks_its_word_is_let_go() {
    let world = World::connected("10000,0").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    world.says("\n").await;
    let (error, waited) = world.polls().await;
    assert!(error.contains("ERROR\\nmessage:no heart-beat\\n"), "{error}");
    assert!((19..=21).contains(&waited.as_secs()), "{waited:?}");
    let (end, _) = world.polls().await;
    assert_eq!(end, "c[1000,\"Normal closure\"]\n");
}

#[tokio::test(start_paused = true)]
async fn who_never_connects_is_let_go() {
    let world = World::new();
    assert_eq!(world.polls().await.0, "o\n");
    let (error, waited) = world.polls().await;
    assert!(error.contains("message:not connected"), "{error}");
    assert!(waited < Duration::from_secs(21), "{waited:?}");
    assert_eq!(world.hub.stats().listening(Protocol::Sockjs), 0, "its seat is free");
}

#[tokio::test(start_paused = true)]
async fn what_is_published_is_told_and_at_a_stop_everybody_is_sent_away() {
    let world = World::connected("0,0").await;
    world.says("SUBSCRIBE\nid:a\ndestination:/topic/things\nreceipt:1\n\n\0").await;
    assert!(world.polls().await.0.contains("RECEIPT\\nreceipt-id:1\\n"));
    world.publish(1);
    let (message, _) = world.polls().await;
    assert!(message.contains("event:thing\\nposition:1-0\\n\\n{\\\"n\\\":1}\\u0000"), "{message}");
    world.hub.stop();
    let (bye, _) = world.polls().await;
    assert!(bye.contains("event:bye") && bye.contains("reconnectAfterMs"), "{bye}");
    let (end, _) = world.polls().await;
    assert_eq!(end, "c[1012,\"Service restart\"]\n");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_away_goes_on_or_loads_anew() {
    let world = World::connected("0,0").await;
    world.publish(5);
    world.publish(6);
    for (id, position, expected) in [("a", "5-0", "position:6-0"), ("b", "1-0", "expired")] {
        let frame =
            format!("SUBSCRIBE\nid:{id}\ndestination:/topic/things\nposition:{position}\n\n\0");
        world.says(&frame).await;
        let (told, _) = world.polls().await;
        assert!(told.contains(expected), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_fetches_nothing_is_forgotten_and_nothing_has_grown() {
    let world = World::connected("0,0").await;
    world.says("SUBSCRIBE\nid:a\ndestination:/topic/things\n\n\0").await;
    for segment in 1..=20_000 {
        world.publish(segment);
        if segment % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let stats = world.hub.stats();
    assert!(stats.ring_bytes.load(std::sync::atomic::Ordering::Relaxed) <= 1 << 16);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(stats.listening(Protocol::Sockjs), 0);
}

#[tokio::test(start_paused = true)]
async fn garbage_and_unknown_destinations_are_refused_with_a_reason() {
    for (frame, expected) in [
        ("SUBSCRIBE\nid:a\ndestination:/topic/secret\n\n\0", "there is no `/topic/secret`"),
        ("SEND\ndestination:/topic/things\n\nx\0", "only told here"),
        ("SEND\nnonsense\n\n\0", "must be name\\\\cvalue"),
        ("SEND\nk:\\x\n\n\0", "is not an escape"),
    ] {
        let world = World::connected("0,0").await;
        world.says(frame).await;
        let (error, _) = world.polls().await;
        let expected = expected.replace("\\\\c", ":");
        assert!(error.contains("ERROR") && error.contains(&expected), "{error}");
    }
}

//! Screens see what happens in other processes, and miss nothing when the edge or the broker is away.

use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use it::{Options, Server, lines};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

const PATIENCE: Duration = Duration::from_mins(1);

/// An event as a reader gets it.
#[derive(Debug, Default, Clone)]
struct Seen {
    name: String,
    id: String,
    data: Value,
}

impl Seen {
    fn is(&self, order: &str, status: &str) -> bool {
        self.name == "order" && self.data["orderId"] == order && self.data["status"] == status
    }
}

/// A reader of server-sent events.
struct Reader {
    socket: BufReader<TcpStream>,
    /// Text of chunks that is no whole event yet.
    text: String,
    last_id: String,
}

impl Reader {
    async fn open(server: &Server, path: &str, last_id: &str) -> Self {
        let host = server.url().trim_start_matches("http://");
        let mut socket = TcpStream::connect(host).await.expect("the edge listens");
        let from = match last_id {
            "" => String::new(),
            id => format!("last-event-id: {id}\r\n"),
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{from}\r\n");
        socket.write_all(request.as_bytes()).await.expect("it takes a request");
        let mut socket = BufReader::new(socket);
        let mut line = String::new();
        socket.read_line(&mut line).await.expect("it answers");
        assert!(line.starts_with("HTTP/1.1 200"), "{line}");
        while line != "\r\n" {
            line.clear();
            socket.read_line(&mut line).await.expect("it answers");
        }
        Self { socket, text: String::new(), last_id: String::new() }
    }

    async fn chunk(&mut self) {
        let mut line = String::new();
        self.socket.read_line(&mut line).await.expect("it answers");
        let length = usize::from_str_radix(line.trim(), 16).unwrap_or_else(|_| panic!("{line:?}"));
        assert!(length > 0, "the stream ended");
        let mut bytes = vec![0; length + 2];
        self.socket.read_exact(&mut bytes).await.expect("the stream goes on");
        self.text.push_str(std::str::from_utf8(&bytes[..length]).expect("text"));
    }

    async fn next(&mut self) -> Seen {
        loop {
            let Some(end) = self.text.find("\n\n") else {
                self.chunk().await;
                continue;
            };
            let event: String = self.text.drain(..end + 2).collect();
            let mut seen = Seen::default();
            for line in event.lines() {
                match line.split_once(": ") {
                    Some(("event", name)) => name.clone_into(&mut seen.name),
                    Some(("id", id)) => id.clone_into(&mut seen.id),
                    Some(("data", data)) => seen.data = serde_json::from_str(data).expect("JSON"),
                    _ => {}
                }
            }
            if !seen.id.is_empty() {
                seen.id.clone_into(&mut self.last_id);
            }
            if !seen.name.is_empty() {
                return seen;
            }
        }
    }

    /// Everything up to the event that `is_it`.
    async fn until(&mut self, what: &str, is_it: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let mut all = Vec::new();
        let waited = timeout(PATIENCE, async {
            loop {
                let seen = self.next().await;
                assert_ne!(seen.name, "reset", "{seen:?} while waiting for {what}: {all:#?}");
                let is_last = is_it(&seen);
                all.push(seen);
                if is_last {
                    break;
                }
            }
        });
        let is_told = waited.await.is_ok();
        assert!(is_told, "{what} is not told; what was: {all:#?}");
        all
    }
}

/// Waits, over STOMP, until `order` is told to be confirmed; places it once it is subscribed.
async fn stomp_sees_confirmed(server: &Server) -> String {
    let host = server.url().trim_start_matches("http://");
    let opened = tokio_tungstenite::connect_async(format!("ws://{host}/ws-orders")).await;
    let (mut socket, _) = opened.expect("a WebSocket is opened");
    let subscribe = "SUBSCRIBE\nid:1\ndestination:/topic/orders\nreceipt:r\n\n\0";
    for frame in ["CONNECT\naccept-version:1.2\nhost:x\n\n\0", subscribe] {
        socket.send(Message::text(frame)).await.expect("frames are taken");
    }
    let mut order = String::new();
    let told = timeout(PATIENCE, async {
        while let Some(message) = socket.next().await {
            let frame = message.and_then(Message::into_text).expect("frames of text");
            if frame.starts_with("RECEIPT") {
                order = server.shop().placed(&lines(&[("lamp", 1)])).await;
            }
            let Some((_, body)) = frame.split_once("\n\n") else { continue };
            let body: Value = serde_json::from_str(body.trim_end_matches('\0')).unwrap_or_default();
            if body["orderId"] == order.as_str() && body["status"] == "confirmed" {
                return;
            }
        }
        panic!("the server ended the session");
    });
    told.await.unwrap_or_else(|_| panic!("STOMP does not tell that {order} is confirmed"));
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_followed_live_and_nothing_is_missed_over_a_restart_of_the_edge() {
    let mut server = Server::start_with(Options::demo().distributed()).await;
    server.shop().product("lamp", "5.00", 100).await;
    let mut orders = Reader::open(&server, "/api/v1/orders/stream", "").await;
    let mut stock = Reader::open(&server, "/api/v1/stock/stream?sku=lamp", "").await;
    orders.until("the end of the snapshot", |seen| seen.name == "ready").await;
    let snapshot = stock.until("the end of the snapshot", |seen| seen.name == "ready").await;
    assert_eq!(snapshot[0].data["items"][0]["available"], 100);
    let first = server.shop().placed(&lines(&[("lamp", 2)])).await;
    orders.until("confirmed", |seen| seen.is(&first, "confirmed")).await;
    stock.until("98 left", |seen| seen.data["available"] == 98).await;
    let second = stomp_sees_confirmed(&server).await;
    orders.until("confirmed", |seen| seen.is(&second, "confirmed")).await;
    // It is on its way when the edge dies, and goes on without it.
    let (orders_at, stock_at) = (orders.last_id.clone(), stock.last_id.clone());
    let third = server.shop().placed(&lines(&[("lamp", 5)])).await;
    server.kill_and_restart("edge").await;
    let mut orders = Reader::open(&server, "/api/v1/orders/stream", &orders_at).await;
    let mut stock = Reader::open(&server, "/api/v1/stock/stream?sku=lamp", &stock_at).await;
    orders.until("confirmed", |seen| seen.is(&third, "confirmed")).await;
    stock.until("92 left", |seen| seen.data["available"] == 92).await;
    // Another one, which the new edge hears while it happens.
    let fourth = server.shop().placed(&lines(&[("lamp", 1)])).await;
    orders.until("confirmed", |seen| seen.is(&fourth, "confirmed")).await;
    stock.until("91 left", |seen| seen.data["available"] == 91).await;
    server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_broker_was_away_is_told_when_it_is_back() {
    let broker = tokio::task::spawn_blocking(|| Arc::new(it::Broker::start())).await;
    let broker = broker.unwrap_or_else(|_| panic!("the broker starts"));
    let server = Server::start_with(Options::demo().on_broker(Arc::clone(&broker))).await;
    server.shop().product("lamp", "5.00", 100).await;
    let mut orders = Reader::open(&server, "/api/v1/orders/stream?snapshot=false", "").await;
    orders.until("ready", |seen| seen.name == "ready").await;
    let first = server.shop().placed(&lines(&[("lamp", 1)])).await;
    orders.until("confirmed", |seen| seen.is(&first, "confirmed")).await;
    tokio::task::block_in_place(|| broker.kill_9());
    let second = server.shop().placed(&lines(&[("lamp", 1)])).await;
    tokio::task::block_in_place(|| broker.resume());
    orders.until("confirmed", |seen| seen.is(&second, "confirmed")).await;
    server.finish();
}

//! What readers get whose connections were handed over, over real sockets.

use std::io::Read as _;
use std::net::TcpListener;

use bytes::Bytes;
use contracts::Position;

use super::*;
use crate::hub::{Channel, Nature, Options, Protocol, Told};
use crate::sse;

const PATIENCE: Duration = Duration::from_secs(20);

fn hub(ring_bytes_max: usize) -> Hub {
    Hub::new(Options {
        channels: &[Nature::Partial],
        tick: Duration::from_millis(250),
        ring_bytes_max,
        clients_max: 100,
        linger: Duration::from_secs(1),
        return_within: Duration::from_secs(5),
    })
}

fn publish(hub: &Hub, key: &str, segment: u64, json: Bytes) {
    let position = Position { segment, index: 0 };
    let channel = Channel(0);
    let told = Told { channel, key: key.into(), place: key.into(), event: "thing", position, json };
    hub.publish(vec![told], position, position);
}

/// A reader of `keys`, whose connection the sender has.
fn reader(hub: &Hub, sender: &Sender, keys: &[&str]) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let (socket, _) = listener.accept().unwrap();
    let keys = keys.iter().map(|key| (*key).into()).collect();
    let seat = hub.seat(Protocol::Sse).unwrap();
    let listening = hub.listen(Interest::keys(Channel(0), keys));
    let first = vec![sse::event("ready", "{}")];
    let heartbeat = Duration::from_hours(1);
    let mut answer = sse::answer((seat, listening), first, heartbeat, Some(sender.clone()));
    sse::Handover::of(&mut answer).unwrap().give(socket);
    client
}

/// Reads up to and with `end`.
fn until(client: &mut TcpStream, end: &str) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4_096]);
    while !text.ends_with(end) {
        let read = client.read(&mut buffer).unwrap();
        assert!(read > 0, "the end after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
    text
}

/// Waits until `is_so`: the thread acts when it is told by the system.
fn wait(what: &str, is_so: impl Fn() -> bool) {
    let until = now() + PATIENCE;
    while !is_so() {
        assert!(now() < until, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn readers_get_chunks_of_what_they_want_and_hear_of_the_end() {
    let hub = hub(1 << 20);
    let sender = Sender::start(&hub).unwrap();
    let mut all = reader(&hub, &sender, &[]);
    let mut again = reader(&hub, &sender, &[]);
    let mut some = reader(&hub, &sender, &["b"]);
    let first = "d\r\nretry: 3000\n\n\r\n17\r\nevent: ready\ndata: {}\n\n\r\n";
    for client in [&mut all, &mut again, &mut some] {
        assert_eq!(until(client, "{}\n\n\r\n"), first);
    }
    publish(&hub, "a", 1, Bytes::from_static(b"{\"n\":1}"));
    publish(&hub, "b", 2, Bytes::from_static(b"{\"n\":2}"));
    let event = |n: u64| format!("24\r\nevent: thing\nid: {n}-0\ndata: {{\"n\":{n}}}\n\n\r\n");
    let end = "{\"n\":2}\n\n\r\n";
    assert_eq!(until(&mut all, end), event(1) + &event(2));
    assert_eq!(until(&mut again, end), event(1) + &event(2));
    assert_eq!(until(&mut some, end), event(2));
    hub.stop();
    let farewell = until(&mut some, "\r\n0\r\n\r\n");
    assert!(farewell.contains("event: bye\ndata: {\"reconnectAfterMs\":"), "{farewell}");
    assert_eq!(some.read(&mut [0; 8]).unwrap(), 0, "the connection is closed");
    sender.join();
}

#[test]
fn a_reader_that_takes_nothing_holds_nobody_back_and_is_told_to_load_anew() {
    let hub = hub(1 << 20);
    let sender = Sender::start(&hub).unwrap();
    let mut stuck = reader(&hub, &sender, &[]);
    let mut quick = reader(&hub, &sender, &[]);
    let large = format!("{{\"text\":\"{}\"}}", "x".repeat(60_000));
    // More than the sockets and the ring hold together.
    for segment in 1..=400 {
        publish(&hub, "a", segment, large.clone().into());
        let told = until(&mut quick, "\"}\n\n\r\n");
        assert!(told.contains(&format!("id: {segment}-0\n")), "{segment}");
    }
    let told = until(&mut stuck, "\"slow\"}\n\n\r\n");
    let ids: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(ids.first(), Some(&"1-0"));
    assert_eq!(ids.last(), Some(&"400-0"), "of the reset: {ids:?}");
    assert!(ids.len() < 400, "{ids:?}");
    publish(&hub, "a", 401, Bytes::from_static(b"{}"));
    assert!(until(&mut stuck, "{}\n\n\r\n").contains("id: 401-0\n"), "it goes on");
    // Mostly once; a socket that has room again in between lets it fall behind twice.
    let resets = u64::try_from(told.matches("\"slow\"}").count()).unwrap();
    assert!(resets >= 1);
    assert_eq!(hub.stats().resyncs.load(std::sync::atomic::Ordering::Relaxed), resets);
    hub.stop();
    sender.join();
}

#[test]
fn a_reader_that_has_gone_leaves_its_seat() {
    let hub = hub(1 << 20);
    let sender = Sender::start(&hub).unwrap();
    let mut leaves = reader(&hub, &sender, &["a"]);
    let mut stays = reader(&hub, &sender, &["a"]);
    for client in [&mut leaves, &mut stays] {
        until(client, "ready\ndata: {}\n\n\r\n");
    }
    drop(leaves);
    wait("the seat is not free", || hub.stats().listening(Protocol::Sse) == 1);
    publish(&hub, "a", 1, Bytes::from_static(b"{}"));
    assert!(until(&mut stays, "data: {}\n\n\r\n").contains("id: 1-0\n"));
    hub.stop();
    sender.join();
    assert_eq!(hub.stats().listening(Protocol::Sse), 0);
}

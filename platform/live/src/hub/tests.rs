//! What clients are told, in which order, and what it costs when they do not listen.

use std::time::Duration;

use super::*;
use crate::hub::ring::Ring;

const ONE: Channel = Channel(0);
const TWO: Channel = Channel(1);

fn options(ring_bytes_max: usize) -> Options {
    Options {
        channels: &[Nature::Partial, Nature::Whole],
        tick: Duration::from_millis(250),
        ring_bytes_max,
        clients_max: 3,
        linger: Duration::from_secs(1),
        return_within: Duration::from_secs(5),
    }
}

fn hub() -> Hub {
    Hub::new(options(1 << 20))
}

fn at(segment: u64) -> Position {
    Position { segment, index: 0 }
}

fn told(channel: Channel, key: &str, segment: u64) -> Told {
    let json = Bytes::from(format!("{{\"n\":{segment}}}"));
    let key = SmolStr::new(key);
    Told { channel, place: key.clone(), key, event: "thing", position: at(segment), json }
}

/// Publishes one event as a tick of its own.
fn publish(hub: &Hub, channel: Channel, key: &str, segment: u64) {
    hub.publish(vec![told(channel, key, segment)], at(segment), at(segment));
}

/// The segments that a client hears of next, or why it does not.
async fn heard(client: &mut Client) -> Result<Vec<u64>, String> {
    match client.next_events().await {
        Step::Events(entries, _) => {
            Ok(entries.iter().map(|entry| entry.position.segment).collect())
        }
        Step::Reset(reason) => Err(format!("reset: {}", reason.word())),
        Step::Stop(after) => Err(format!("stop: {after:?}")),
    }
}

fn is_silent(client: &mut Client) -> bool {
    use futures::FutureExt as _;
    client.next_events().now_or_never().is_none()
}

#[tokio::test]
async fn a_client_hears_what_it_wants_and_nothing_else() {
    let hub = hub();
    let mut all = hub.listen(Interest::all(ONE));
    let mut some = hub.listen(Interest::keys(ONE, vec!["b".into(), "c".into()]));
    publish(&hub, ONE, "a", 1);
    publish(&hub, TWO, "b", 2);
    publish(&hub, ONE, "b", 3);
    assert_eq!(heard(&mut all).await, Ok(vec![1]));
    assert_eq!(heard(&mut all).await, Ok(vec![3]));
    assert_eq!(heard(&mut some).await, Ok(vec![3]));
    assert!(is_silent(&mut all) && is_silent(&mut some));
}

#[tokio::test]
async fn the_bytes_are_made_once_and_shared() {
    let hub = hub();
    let mut clients: Vec<_> = (0..3).map(|_| hub.listen(Interest::all(ONE))).collect();
    hub.publish(vec![told(ONE, "a", 1), told(ONE, "b", 2)], at(1), at(2));
    let mut seen = Vec::new();
    for client in &mut clients {
        let Step::Events(chunks, to) = client.next_chunks().await else { panic!("no events") };
        assert_eq!(to, at(2));
        seen.push((chunks[0].as_ptr(), chunks[0].clone()));
    }
    assert!(seen.iter().all(|(pointer, _)| *pointer == seen[0].0));
    let text =
        "event: thing\nid: 1-0\ndata: {\"n\":1}\n\nevent: thing\nid: 2-0\ndata: {\"n\":2}\n\n";
    assert_eq!(seen[0].1, text);
}

#[tokio::test]
async fn whole_events_that_are_superseded_are_left_out_for_who_is_behind() {
    let hub = hub();
    let keys = || vec!["even".into(), "odd".into()];
    let mut partial = hub.listen(Interest::keys(ONE, keys()));
    let mut whole = hub.listen(Interest::keys(TWO, keys()));
    for segment in 1..=6 {
        let key = if segment % 2 == 0 { "even" } else { "odd" };
        hub.publish(
            vec![told(ONE, key, segment), told(TWO, key, segment)],
            at(segment),
            at(segment),
        );
    }
    assert_eq!(heard(&mut partial).await, Ok(vec![1, 2, 3, 4, 5, 6]));
    assert_eq!(heard(&mut whole).await, Ok(vec![5, 6]));
}

#[tokio::test]
async fn a_client_that_is_too_slow_loads_anew_and_goes_on() {
    let hub = Hub::new(options(2_000));
    let mut slow = hub.listen(Interest::all(ONE));
    let mut fast = hub.listen(Interest::all(ONE));
    for segment in 1..=100 {
        publish(&hub, ONE, "a", segment);
        assert_eq!(heard(&mut fast).await, Ok(vec![segment]));
        assert!(hub.stats().ring_bytes.load(Ordering::Relaxed) <= 2_000);
    }
    assert_eq!(heard(&mut slow).await, Err("reset: slow".to_owned()));
    assert!(is_silent(&mut slow));
    publish(&hub, ONE, "a", 101);
    assert_eq!(heard(&mut slow).await, Ok(vec![101]));
    assert_eq!(hub.stats().resyncs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_goes_on_where_it_stood_within_a_tick_too() {
    let hub = hub();
    hub.publish(vec![told(ONE, "a", 1), told(ONE, "b", 2), told(ONE, "c", 3)], at(1), at(3));
    publish(&hub, ONE, "d", 4);
    let mut client = hub.listen(Interest::all(ONE));
    assert_eq!(client.resume(at(2)), Opened::Resumed);
    assert_eq!(heard(&mut client).await, Ok(vec![3]));
    assert_eq!(heard(&mut client).await, Ok(vec![4]));
    publish(&hub, ONE, "e", 5);
    assert_eq!(heard(&mut client).await, Ok(vec![5]));
    let mut current = hub.listen(Interest::all(ONE));
    assert_eq!(current.resume(at(5)), Opened::Resumed);
    assert!(is_silent(&mut current));
}

#[tokio::test]
async fn who_comes_back_from_far_needs_the_log_and_the_ring_takes_it_in_once() {
    let hub = hub();
    publish(&hub, ONE, "d", 10);
    let mut client = hub.listen(Interest::all(ONE));
    assert_eq!(client.resume(at(7)), Opened::TooOld);
    let floor = hub.floor().unwrap();
    assert!(hub.bring_back(vec![told(ONE, "b", 8), told(ONE, "c", 9)], at(7), floor));
    assert_eq!(client.resume(at(7)), Opened::Resumed);
    assert_eq!(heard(&mut client).await, Ok(vec![8, 9]));
    assert_eq!(heard(&mut client).await, Ok(vec![10]));
    let mut other = hub.listen(Interest::all(ONE));
    assert_eq!(other.resume(at(8)), Opened::Resumed);
    assert_eq!(heard(&mut other).await, Ok(vec![9]));
    assert_eq!(heard(&mut other).await, Ok(vec![10]));
    // A position that nobody has given yet is no position.
    assert_eq!(other.resume(at(11)), Opened::TooOld);
}

#[tokio::test]
async fn what_the_log_told_ahead_of_the_writer_is_not_lost_behind_it() {
    let hub = hub();
    assert!(hub.bring_back(vec![told(ONE, "a", 5)], at(4), at(5)));
    // The writer's tick comes later than the look into the log that had its event already.
    publish(&hub, ONE, "a", 5);
    publish(&hub, ONE, "b", 6);
    let mut client = hub.listen(Interest::all(ONE));
    assert_eq!(client.resume(at(5)), Opened::Resumed);
    assert_eq!(heard(&mut client).await, Ok(vec![6]));
}

#[tokio::test]
async fn skipping_makes_everybody_load_anew() {
    let hub = hub();
    let mut client = hub.listen(Interest::keys(ONE, vec!["x".into()]));
    hub.skip(at(9));
    assert_eq!(heard(&mut client).await, Err("reset: slow".to_owned()));
    assert_eq!(client.told(), Some(at(9)));
}

#[tokio::test]
async fn at_a_stop_everybody_is_told_a_time_of_its_own() {
    let hub = hub();
    let mut clients: Vec<_> = (0..100).map(|_| hub.listen(Interest::all(ONE))).collect();
    let waiting = hub.stopped();
    hub.stop();
    waiting.await;
    let mut times = std::collections::BTreeSet::new();
    for client in &mut clients {
        let Step::Stop(after) = client.next_events().await else { panic!("not stopped") };
        assert!(after <= Duration::from_secs(5));
        times.insert(after.as_millis().div_euclid(500));
    }
    assert_eq!(times.len(), 10, "spread over all ten halves of a second");
}

#[test]
fn seats_are_limited_and_given_back() {
    let hub = hub();
    let seats: Vec<_> = (0..3).map(|_| hub.seat(Protocol::Sse).unwrap()).collect();
    assert_eq!(hub.seat(Protocol::Stomp).unwrap_err(), Full { clients_max: 3 });
    assert_eq!(hub.stats().listening(Protocol::Sse), 3);
    drop(seats);
    assert_eq!(hub.stats().listening(Protocol::Sse), 0);
    assert!(hub.seat(Protocol::Stomp).is_ok());
}

#[test]
fn groups_go_with_their_last_member() {
    let hub = hub();
    let clients: Vec<_> = (0..50)
        .map(|n| hub.listen(Interest::keys(ONE, vec![SmolStr::new(format!("{}", n % 5))])))
        .collect();
    assert_eq!(hub.0.groups().len(), 5);
    drop(clients);
    assert_eq!(hub.0.groups().len(), 0);
}

#[test]
fn the_ring_records_while_somebody_listens_and_a_while_longer() {
    let hub = hub();
    assert!(!hub.is_wanted());
    let client = hub.listen(Interest::all(ONE));
    assert!(hub.is_wanted());
    drop(client);
    let ticks = (0..10).take_while(|_| hub.is_wanted()).count();
    assert_eq!(ticks, 4, "one second of 250 ms each");
}

#[test]
fn a_large_tick_is_cut_so_that_a_stuck_client_keeps_little_of_it() {
    let mut ring = Ring::new(&[Nature::Partial], usize::MAX);
    let large = |segment| Told { json: Bytes::from(vec![b'x'; 30_000]), ..told(ONE, "a", segment) };
    let number = ring.push((1..=10).map(large).collect(), at(1), at(10)).unwrap();
    let chunks = ring.get(number).unwrap().chunks(ONE);
    assert_eq!(chunks.len(), 5);
    assert!(chunks.iter().all(|chunk| chunk.len() <= 64 * 1_024));
}

#[tokio::test]
async fn a_client_that_stops_within_a_tick_gets_the_rest_or_loads_anew() {
    let hub = Hub::new(options(1 << 20));
    let mut client = hub.listen(Interest::all(ONE));
    let large = |segment| Told { json: Bytes::from(vec![b'x'; 30_000]), ..told(ONE, "a", segment) };
    hub.publish((1..=10).map(large).collect(), at(1), at(10));
    let mut pieces = 0;
    while let Step::Events(chunks, _) = client.next_chunks().await {
        assert_eq!(chunks.len(), 1);
        pieces += 1;
        if pieces == 3 {
            break;
        }
    }
    // Enough is told meanwhile that the tick is gone.
    for segment in 11..=60 {
        hub.publish(vec![large(segment)], at(segment), at(segment));
    }
    assert!(matches!(client.next_chunks().await, Step::Reset(Reason::Slow)));
}

#[tokio::test]
async fn who_waits_for_something_rare_is_not_behind_when_others_were_told_of_much() {
    let hub = Hub::new(options(2_000));
    let mut rare = hub.listen(Interest::keys(ONE, vec!["rare".into()]));
    publish(&hub, ONE, "rare", 1);
    assert_eq!(heard(&mut rare).await, Ok(vec![1]));
    // The ring has gone far past where it stands.
    for segment in 2..100 {
        publish(&hub, ONE, "often", segment);
    }
    publish(&hub, ONE, "rare", 100);
    assert_eq!(heard(&mut rare).await, Ok(vec![100]));
    // Two that concern it, and the ring has lost the first.
    publish(&hub, ONE, "rare", 101);
    for segment in 102..200 {
        publish(&hub, ONE, "often", segment);
    }
    publish(&hub, ONE, "rare", 200);
    assert_eq!(heard(&mut rare).await, Err("reset: slow".to_owned()));
    assert!(is_silent(&mut rare));
    // What is not told of at all is missed by everybody.
    hub.skip(at(201));
    assert_eq!(heard(&mut rare).await, Err("reset: slow".to_owned()));
}

#[tokio::test]
async fn who_came_back_and_does_not_read_is_behind_also_for_what_was_before_its_return() {
    let hub = Hub::new(options(2_000));
    let mut first = hub.listen(Interest::all(TWO));
    publish(&hub, ONE, "rare", 1);
    publish(&hub, ONE, "rare", 2);
    let mut back = hub.listen(Interest::keys(ONE, vec!["rare".into()]));
    assert_eq!(back.resume(at(1)), Opened::Resumed);
    for segment in 3..100 {
        publish(&hub, ONE, "often", segment);
    }
    assert_eq!(heard(&mut back).await, Err("reset: slow".to_owned()));
    assert!(is_silent(&mut first));
}

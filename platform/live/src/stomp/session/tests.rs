//! The rules, told as conversations: what the client says, and what it is answered.

use proptest::prelude::*;

use super::*;
use crate::hub::{Channel, Hub, Interest, Nature, Options, Step, Told};
use crate::stomp::frame::{Decoded, Decoder, Limits};

struct Client {
    session: Session,
}

fn frame(command: &str, headers: &[(&str, &str)]) -> Frame {
    headers.iter().fold(Frame::new(command), |frame, (name, value)| frame.with(name, *value))
}

/// What the outputs send, as frames.
fn sent(version: Version, bytes: &[u8]) -> Frame {
    let mut decoder = Decoder::new(Limits::default());
    decoder.set_version(version);
    decoder.push(bytes);
    match decoder.decode().unwrap() {
        Some(Decoded::Frame(frame)) => frame,
        other => panic!("{other:?}"),
    }
}

impl Client {
    fn new() -> Self {
        Self { session: Session::new("session-1".to_owned()) }
    }

    fn connected(version: Version) -> Self {
        let mut client = Self::new();
        let answer = client.say("CONNECT", &[("accept-version", version.name())]);
        assert!(matches!(answer[0], Output::Connected { .. }), "{answer:?}");
        client
    }

    fn say(&mut self, command: &str, headers: &[(&str, &str)]) -> Vec<Output> {
        self.session.receive(&frame(command, headers), |_, _| Err("only told here".to_owned()))
    }

    /// Says something that is allowed.
    fn does(&mut self, command: &str, headers: &[(&str, &str)]) -> Vec<Output> {
        let outputs = self.say(command, headers);
        assert!(!self.session.is_over(), "{command} {headers:?}: {outputs:?}");
        outputs
    }

    /// Says something that is refused: the ERROR's message and body.
    fn is_refused(&mut self, command: &str, headers: &[(&str, &str)]) -> (String, String) {
        let outputs = self.say(command, headers);
        let [Output::Send(bytes), Output::Close] = outputs.as_slice() else {
            panic!("{command} {headers:?}: {outputs:?}")
        };
        let error = sent(self.session.version().unwrap_or(Version::V1_0), bytes);
        assert_eq!(error.command, "ERROR");
        assert!(self.say("SEND", &[]).is_empty(), "nothing follows an error");
        let body = String::from_utf8(error.body.to_vec()).unwrap();
        assert_eq!(error.header("content-length"), Some(body.len().to_string().as_str()));
        (error.header("message").unwrap().to_owned(), body)
    }

    /// Subscribes, and returns the number of the subscription.
    fn subscribes(&mut self, id: &str, ack: &str) -> u64 {
        let headers = [("id", id), ("destination", "/topic/a"), ("ack", ack)];
        let outputs = self.does("SUBSCRIBE", &headers);
        let [Output::Subscribe { number, .. }] = outputs.as_slice() else { panic!("{outputs:?}") };
        *number
    }
}

/// An entry as the hub makes them.
fn entry(segment: u64) -> Arc<Entry> {
    use futures::FutureExt as _;
    let hub = Hub::new(Options {
        channels: &[Nature::Partial],
        tick: Duration::from_millis(250),
        ring_bytes_max: 1 << 20,
        clients_max: 1,
        linger: Duration::ZERO,
        return_within: Duration::ZERO,
    });
    let mut listener = hub.listen(Interest::all(Channel(0)));
    let position = Position { segment, index: 4 };
    let told = Told {
        channel: Channel(0),
        key: "k".into(),
        place: "k".into(),
        event: "order",
        position,
        json: Bytes::from_static(b"{\"n\":1}"),
    };
    hub.publish(vec![told], position, position);
    match listener.next_events().now_or_never() {
        Some(Step::Events(entries, _)) => Arc::clone(&entries[0]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_newest_version_that_both_know_is_agreed_on() {
    for (offered, agreed) in [
        (None, "1.0"),
        (Some("1.0"), "1.0"),
        (Some("1.1"), "1.1"),
        (Some("1.0,1.1,1.2"), "1.2"),
        (Some("1.2, 1.1"), "1.2"),
        (Some("0.9,1.1,2.0"), "1.1"),
    ] {
        for command in ["CONNECT", "STOMP"] {
            let mut client = Client::new();
            let headers: Vec<_> =
                offered.map(|offered| ("accept-version", offered)).into_iter().collect();
            let outputs = client.does(command, &headers);
            let [Output::Connected { version, .. }, Output::Send(bytes)] = outputs.as_slice()
            else {
                panic!("{outputs:?}")
            };
            let answer = sent(*version, bytes);
            assert_eq!(
                (answer.command.as_str(), answer.header("version")),
                ("CONNECTED", Some(agreed))
            );
            assert_eq!(answer.header("session"), Some("session-1"));
            assert_eq!(answer.header("heart-beat").is_some(), agreed != "1.0");
        }
    }
    let mut client = Client::new();
    let outputs = client.say("CONNECT", &[("accept-version", "2.0")]);
    let [Output::Send(bytes), Output::Close] = outputs.as_slice() else { panic!("{outputs:?}") };
    let error = sent(Version::V1_0, bytes);
    assert_eq!(error.header("version"), Some("1.0,1.1,1.2"));
}

#[test]
fn heart_beats_are_the_slower_of_what_both_want() {
    let seconds = |n| Some(Duration::from_secs(n));
    for (offered, send, expect) in [
        (None, None, None),
        (Some("0,0"), None, None),
        (Some("5000,4000"), seconds(10), seconds(10)),
        (Some("60000,0"), None, seconds(60)),
        (Some("0, 30000"), seconds(30), None),
    ] {
        let mut client = Client::new();
        let mut headers = vec![("accept-version", "1.2")];
        headers.extend(offered.map(|offered| ("heart-beat", offered)));
        let outputs = client.does("CONNECT", &headers);
        let Output::Connected { send_every, expect_every, .. } = &outputs[0] else {
            panic!("{outputs:?}")
        };
        assert_eq!((*send_every, *expect_every), (send, expect), "{offered:?}");
    }
    for bad in ["", "1", "1,", "a,b", "-1,0", "1,2,3", "99999999999,0"] {
        let (message, _) = Client::new().is_refused("CONNECT", &[("heart-beat", bad)]);
        assert_eq!(message, "bad heart-beat", "{bad}");
    }
}

#[test]
fn what_breaks_a_rule_is_refused_with_one_error_and_the_session_is_over() {
    use Version::{V1_0, V1_1, V1_2};
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(Option<Version>, &str, Headers, &str); 20] = [
        (None, "SUBSCRIBE", &[], "not connected"),
        (None, "GARBAGE", &[], "not connected"),
        (Some(V1_2), "CONNECT", &[], "already connected"),
        (Some(V1_2), "GARBAGE", &[], "unknown command"),
        (Some(V1_2), "SUBSCRIBE", &[("id", "0")], "missing header"),
        (Some(V1_1), "SUBSCRIBE", &[("destination", "/topic/a")], "missing header"),
        (Some(V1_2), "SUBSCRIBE", &[("destination", "/a"), ("id", "")], "bad id"),
        (
            Some(V1_2),
            "SUBSCRIBE",
            &[("destination", "/a"), ("id", "0"), ("ack", "maybe")],
            "bad ack mode",
        ),
        (
            Some(V1_2),
            "SUBSCRIBE",
            &[("destination", "/a"), ("id", "0"), ("position", "x")],
            "bad position",
        ),
        (Some(V1_2), "UNSUBSCRIBE", &[], "missing header"),
        (Some(V1_2), "UNSUBSCRIBE", &[("id", "9")], "unknown subscription"),
        (Some(V1_1), "UNSUBSCRIBE", &[("destination", "/a")], "missing header"),
        (Some(V1_2), "ACK", &[], "missing header"),
        (Some(V1_2), "ACK", &[("id", "1")], "unknown message"),
        (Some(V1_1), "NACK", &[("message-id", "1")], "missing header"),
        (Some(V1_0), "ACK", &[("message-id", "x")], "unknown message"),
        (Some(V1_2), "BEGIN", &[], "missing header"),
        (Some(V1_2), "COMMIT", &[("transaction", "t")], "unknown transaction"),
        (Some(V1_2), "ABORT", &[("transaction", "t")], "unknown transaction"),
        (Some(V1_2), "SEND", &[("destination", "/a"), ("transaction", "t")], "unknown transaction"),
    ];
    for (version, command, headers, expected) in cases {
        let mut client = version.map_or_else(Client::new, Client::connected);
        let (message, detail) = client.is_refused(command, headers);
        assert_eq!(message, expected, "{command} {headers:?}: {detail}");
        assert!(!detail.is_empty());
    }
}

#[test]
fn sending_is_refused_with_the_reason_of_the_application_and_the_receipt() {
    let mut client = Client::connected(Version::V1_2);
    let headers = [("destination", "/topic/a"), ("receipt", "r-1")];
    let outputs = client.say("SEND", &headers);
    let [Output::Send(bytes), Output::Close] = outputs.as_slice() else { panic!("{outputs:?}") };
    let error = sent(Version::V1_2, bytes);
    assert_eq!(error.header("receipt-id"), Some("r-1"));
    assert_eq!(
        (error.header("message"), error.body.as_ref()),
        (Some("not allowed"), &b"only told here"[..])
    );
}

#[test]
fn receipts_answer_everything_but_connect() {
    let mut client = Client::new();
    let outputs = client.does("CONNECT", &[("accept-version", "1.2"), ("receipt", "0")]);
    assert_eq!(outputs.len(), 2);
    for (command, headers) in [
        ("SUBSCRIBE", &[("id", "a"), ("destination", "/topic/a"), ("receipt", "r\n:1")][..]),
        ("BEGIN", &[("transaction", "t"), ("receipt", "r\n:1")]),
        ("COMMIT", &[("transaction", "t"), ("receipt", "r\n:1")]),
        ("UNSUBSCRIBE", &[("id", "a"), ("receipt", "r\n:1")]),
        ("DISCONNECT", &[("receipt", "r\n:1")]),
    ] {
        let outputs = client.say(command, headers);
        let receipts: Vec<_> = outputs
            .iter()
            .filter_map(|output| if let Output::Send(bytes) = output { Some(bytes) } else { None })
            .map(|bytes| sent(Version::V1_2, bytes))
            .collect();
        assert_eq!(receipts.len(), 1, "{command}: {outputs:?}");
        assert_eq!(receipts[0].header("receipt-id"), Some("r\n:1"));
    }
    assert!(client.session.is_over());
}

#[test]
fn a_message_says_what_and_where_from_in_every_version() {
    for version in Version::ALL {
        for ack in ["auto", "client"] {
            let mut client = Client::connected(version);
            let number = client.subscribes("sub:0", ack);
            let bytes = client.session.tell(number, &[entry(7)]);
            let message = sent(version, &bytes[0]);
            assert_eq!(message.command, "MESSAGE");
            for (name, value) in [
                ("subscription", "sub:0"),
                ("message-id", "1"),
                ("destination", "/topic/a"),
                ("content-type", "application/json"),
                ("content-length", "7"),
                ("event", "order"),
                ("position", "7-4"),
            ] {
                assert_eq!(message.header(name), Some(value), "{version} {name}");
            }
            let has_ack = version == Version::V1_2 && ack == "client";
            assert_eq!(message.header("ack").is_some(), has_ack);
            assert_eq!(message.body, "{\"n\":1}");
        }
    }
}

#[test]
fn acknowledging_is_each_message_or_all_before_it_and_twice_is_once() {
    let waiting = |client: &Client, place: usize| -> Vec<u64> {
        client.session.subscriptions[place].unacknowledged.iter().copied().collect()
    };
    let mut client = Client::connected(Version::V1_2);
    let all = [entry(1), entry(2), entry(3), entry(4)];
    let (auto, cumulative) = (client.subscribes("a", "auto"), client.subscribes("c", "client"));
    let individual = client.subscribes("i", "client-individual");
    for number in [auto, cumulative, individual] {
        assert_eq!(client.session.tell(number, &all).len(), 4);
    }
    // Messages 1 to 4 went to the first, 5 to 8 to the second, 9 to 12 to the third.
    client.does("ACK", &[("id", "2")]);
    client.does("ACK", &[("id", "7")]);
    client.does("NACK", &[("id", "10")]);
    assert!(waiting(&client, 0).is_empty());
    assert_eq!((waiting(&client, 1), waiting(&client, 2)), (vec![8], vec![9, 11, 12]));
    client.does("ACK", &[("id", "7")]);
    client.does("BEGIN", &[("transaction", "t")]);
    client.does("ACK", &[("id", "12"), ("transaction", "t")]);
    assert_eq!(waiting(&client, 2), [9, 11, 12]);
    client.does("ABORT", &[("transaction", "t")]);
    assert_eq!(waiting(&client, 2), [9, 11, 12]);
    client.does("BEGIN", &[("transaction", "t")]);
    client.does("ACK", &[("id", "12"), ("transaction", "t")]);
    client.does("COMMIT", &[("transaction", "t")]);
    assert_eq!(waiting(&client, 2), [9, 11]);
}

#[test]
fn a_client_that_acknowledges_nothing_pauses_and_loads_anew_when_it_does() {
    let mut client = Client::connected(Version::V1_1);
    let number = client.subscribes("0", "client");
    let one = entry(1);
    let told = (0..UNACKNOWLEDGED_MAX + 10)
        .filter(|_| !client.session.tell(number, &[Arc::clone(&one)]).is_empty())
        .count();
    assert_eq!(told, UNACKNOWLEDGED_MAX);
    client.does("ACK", &[("message-id", "1024"), ("subscription", "0")]);
    let bytes = client.session.tell(number, &[Arc::clone(&one), one]);
    let events: Vec<_> = bytes
        .iter()
        .map(|bytes| sent(Version::V1_1, bytes).header("event").unwrap().to_owned())
        .collect();
    assert_eq!(events, ["reset", "order"]);
}

#[test]
fn nothing_of_a_session_grows_past_its_limits() {
    let mut client = Client::connected(Version::V1_2);
    for n in 0..SUBSCRIPTIONS_MAX {
        client.subscribes(&n.to_string(), "auto");
    }
    let headers = [("id", "more"), ("destination", "/topic/a")];
    assert_eq!(client.is_refused("SUBSCRIBE", &headers).0, "too many subscriptions");

    let mut client = Client::connected(Version::V1_2);
    for n in 0..TRANSACTIONS_MAX {
        client.does("BEGIN", &[("transaction", &n.to_string())]);
    }
    let headers = [("transaction", "more")];
    assert_eq!(client.is_refused("BEGIN", &headers).0, "too many transactions");
}

#[test]
fn in_1_0_a_subscription_is_known_by_its_destination() {
    let mut client = Client::connected(Version::V1_0);
    client.does("SUBSCRIBE", &[("destination", "/topic/a")]);
    let outputs = client.does("UNSUBSCRIBE", &[("destination", "/topic/a")]);
    assert_eq!(outputs, [Output::Unsubscribe { number: 1 }]);
}

fn commands() -> impl Strategy<Value = (String, Vec<(String, String)>)> {
    let command = prop::sample::select(vec![
        "CONNECT",
        "STOMP",
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "ACK",
        "NACK",
        "BEGIN",
        "COMMIT",
        "ABORT",
        "SEND",
        "DISCONNECT",
        "X",
    ]);
    let name = prop::sample::select(vec![
        "id",
        "destination",
        "ack",
        "message-id",
        "subscription",
        "transaction",
        "receipt",
        "accept-version",
        "heart-beat",
        "position",
    ]);
    let value = prop::sample::select(vec![
        "0",
        "1",
        "2",
        "t",
        "/topic/a",
        "auto",
        "client",
        "client-individual",
        "1.1,1.2",
        "0,0",
        "7-1",
        "",
    ]);
    let headers = prop::collection::vec((name, value), 0..5);
    (command, headers).prop_map(|(command, headers)| {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        (command.to_owned(), headers.into_iter().map(own).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_conversation_ends_with_at_most_one_error_and_within_the_limits(
        conversation in prop::collection::vec(commands(), 0..60),
    ) {
        let mut client = Client::new();
        client.does("CONNECT", &[("accept-version", "1.2")]);
        let mut errors = 0;
        for (command, headers) in &conversation {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let was_over = client.session.is_over();
            let outputs = client.say(command, &headers);
            prop_assert!(!was_over || outputs.is_empty());
            errors += outputs
                .iter()
                .filter(|output| matches!(output, Output::Send(bytes) if bytes.starts_with(b"ERROR")))
                .count();
        }
        prop_assert!(errors <= 1);
        prop_assert!(client.session.subscriptions.len() <= SUBSCRIPTIONS_MAX);
        prop_assert!(client.session.transactions.len() <= TRANSACTIONS_MAX);
    }
}

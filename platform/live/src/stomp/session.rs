//! The rules of a session: what a client may say, and what it is answered.
//!
//! Pure: frames go in, [`Output`]s come out. A frame that breaks a rule is answered with one ERROR
//! that says what is wrong, and the session is over, as the protocol wants it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use contracts::Position;

use super::frame::{DecodeError, Frame, Version, escape};
use crate::hub::{Entry, Reason};
use crate::sse;

/// Subscriptions of one session.
pub const SUBSCRIPTIONS_MAX: usize = 64;
/// Messages of one subscription that wait for their acknowledgement. Past that the subscription
/// pauses, and is told to load anew when there is room again.
pub const UNACKNOWLEDGED_MAX: usize = 1_024;
/// Transactions that are open at once.
pub const TRANSACTIONS_MAX: usize = 16;
/// What one transaction may hold.
pub const TRANSACTION_STEPS_MAX: usize = 1_024;
/// How often the server can give a sign of life, and wants one.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// The longest heart-beat that is taken from a client: a day.
const HEARTBEAT_MS_MAX: u64 = 86_400_000;
/// The longest id of a subscription, a receipt or a transaction, in bytes.
const ID_BYTES_MAX: usize = 256;

/// What a session wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write these bytes.
    Send(Bytes),
    /// The version and the heart-beats are agreed on.
    Connected {
        /// The version.
        version: Version,
        /// How long the server may be silent; `None` for as long as it likes.
        send_every: Option<Duration>,
        /// How long the client may be silent.
        expect_every: Option<Duration>,
    },
    /// Begin to listen for subscription `number`.
    Subscribe {
        /// The subscription.
        number: u64,
        /// To what.
        destination: String,
        /// Where the client had stood, if it says so.
        position: Option<Position>,
    },
    /// Stop listening for subscription `number`.
    Unsubscribe {
        /// The subscription.
        number: u64,
    },
    /// Close the connection once everything is written.
    Close,
}

/// How a subscription wants to be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ack {
    Auto,
    Cumulative,
    Individual,
}

#[derive(Debug)]
struct Subscription {
    number: u64,
    id: String,
    destination: String,
    ack: Ack,
    /// Messages that wait for an acknowledgement, oldest first.
    unacknowledged: VecDeque<u64>,
    /// Messages were left out: the next thing to say is that the client must load anew.
    is_paused: bool,
}

/// An ACK or NACK, once its headers are understood.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Acknowledgement {
    message: u64,
    /// Named by 1.1 and optional in 1.0.
    subscription: Option<String>,
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    name: String,
    version: Option<Version>,
    subscriptions: Vec<Subscription>,
    transactions: BTreeMap<String, Vec<Acknowledgement>>,
    next_subscription: u64,
    next_message: u64,
    is_over: bool,
}

/// Why a frame is refused.
struct Refused {
    message: String,
    detail: String,
}

fn refuse(message: impl Into<String>, detail: impl Into<String>) -> Refused {
    Refused { message: message.into(), detail: detail.into() }
}

impl Session {
    /// A session under the name `name`, before CONNECT.
    pub const fn new(name: String) -> Self {
        Self {
            name,
            version: None,
            subscriptions: Vec::new(),
            transactions: BTreeMap::new(),
            next_subscription: 1,
            next_message: 1,
            is_over: false,
        }
    }

    /// Whether nothing more may be received.
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes in a frame. `may_send` says why a client may not send to a destination, if it may not.
    pub fn receive(
        &mut self,
        frame: &Frame,
        may_send: impl Fn(&str, &[u8]) -> Result<(), String>,
    ) -> Vec<Output> {
        if self.is_over {
            return Vec::new();
        }
        let mut outputs = Vec::new();
        match self.obey(frame, may_send, &mut outputs) {
            Ok(()) => self.answer_receipt(frame, &mut outputs),
            Err(refused) => outputs.extend(self.fail(&refused, Some(frame))),
        }
        outputs
    }

    /// The client sent what is no frame.
    pub fn receive_garbage(&mut self, error: &DecodeError) -> Vec<Output> {
        let refused = refuse("malformed frame", error.to_string());
        self.fail(&refused, None)
    }

    /// The session ends for a reason of the server.
    pub fn end(&mut self, message: &str, detail: &str) -> Vec<Output> {
        self.fail(&refuse(message, detail), None)
    }

    fn obey(
        &mut self,
        frame: &Frame,
        may_send: impl Fn(&str, &[u8]) -> Result<(), String>,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refused> {
        let command = frame.command.as_str();
        let Some(version) = self.version else {
            return match command {
                "CONNECT" | "STOMP" => self.connect(frame, outputs),
                _ => Err(refuse(
                    "not connected",
                    format!("send CONNECT before `{}`", shown(command)),
                )),
            };
        };
        match command {
            "CONNECT" | "STOMP" => {
                Err(refuse("already connected", "CONNECT is sent once, at the beginning"))
            }
            "SUBSCRIBE" => self.subscribe(frame, version, outputs),
            "UNSUBSCRIBE" => self.unsubscribe(frame, version, outputs),
            "ACK" | "NACK" => self.acknowledge(frame, version),
            "BEGIN" => self.begin(frame),
            "COMMIT" => self.commit(frame),
            "ABORT" => self.abort(frame),
            "SEND" => {
                let destination = required(frame, "destination")?;
                self.known_transaction(frame)?;
                may_send(destination, &frame.body).map_err(|why| refuse("not allowed", why))
            }
            "DISCONNECT" => {
                self.is_over = true;
                Ok(())
            }
            unknown => {
                let detail = format!("there is no command `{}`", shown(unknown));
                Err(refuse("unknown command", detail))
            }
        }
    }

    fn connect(&mut self, frame: &Frame, outputs: &mut Vec<Output>) -> Result<(), Refused> {
        let version = match frame.header("accept-version") {
            None => Version::V1_0,
            Some(offered) => {
                let offers =
                    |version: &Version| offered.split(',').any(|one| one.trim() == version.name());
                let agreed = Version::ALL.into_iter().find(offers);
                agreed.ok_or_else(|| {
                    let detail = "this server speaks the versions 1.0, 1.1 and 1.2";
                    refuse("unsupported version", detail)
                })?
            }
        };
        let (send_every, expect_every) = heartbeats(frame)?;
        self.version = Some(version);
        let ours = HEARTBEAT.as_millis();
        let mut answer = Frame::new("CONNECTED").with("version", version.name());
        if version > Version::V1_0 {
            answer = answer.with("heart-beat", format!("{ours},{ours}"));
        }
        answer = answer.with("session", self.name.clone()).with("server", "millrace");
        outputs.push(Output::Connected { version, send_every, expect_every });
        outputs.push(Output::Send(answer.encode(version)));
        Ok(())
    }

    fn subscribe(
        &mut self,
        frame: &Frame,
        version: Version,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refused> {
        let destination = required(frame, "destination")?.to_owned();
        let id = match frame.header("id") {
            Some(id) => id.to_owned(),
            // 1.0 knows subscriptions by their destination as well.
            None if version == Version::V1_0 => destination.clone(),
            None => return Err(missing(frame, "id")),
        };
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(refuse("bad id", format!("an id has 1 to {ID_BYTES_MAX} bytes")));
        }
        if self.subscriptions.iter().any(|known| known.id == id) {
            let detail = format!("there is a subscription `{}` already", shown(&id));
            return Err(refuse("duplicate subscription", detail));
        }
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            let detail = format!("at most {SUBSCRIPTIONS_MAX} subscriptions in one session");
            return Err(refuse("too many subscriptions", detail));
        }
        let ack = match frame.header("ack") {
            None | Some("auto") => Ack::Auto,
            Some("client") => Ack::Cumulative,
            Some("client-individual") => Ack::Individual,
            Some(other) => {
                let other = shown(other);
                let detail = format!("ack is auto, client or client-individual, not `{other}`");
                return Err(refuse("bad ack mode", detail));
            }
        };
        let position = frame.header("position").map(|text| {
            let bad = || refuse("bad position", "position is that of a MESSAGE, unchanged");
            sse::parse_id(text).ok_or_else(bad)
        });
        let position = position.transpose()?;
        let number = self.next_subscription;
        self.next_subscription += 1;
        outputs.push(Output::Subscribe { number, destination: destination.clone(), position });
        self.subscriptions.push(Subscription {
            number,
            id,
            destination,
            ack,
            unacknowledged: VecDeque::new(),
            is_paused: false,
        });
        Ok(())
    }

    fn unsubscribe(
        &mut self,
        frame: &Frame,
        version: Version,
        outputs: &mut Vec<Output>,
    ) -> Result<(), Refused> {
        let place = match (frame.header("id"), frame.header("destination")) {
            (Some(id), _) => self.subscriptions.iter().position(|known| known.id == id),
            (None, Some(destination)) if version == Version::V1_0 => {
                self.subscriptions.iter().position(|known| known.destination == destination)
            }
            (None, _) => return Err(missing(frame, "id")),
        };
        let Some(place) = place else {
            return Err(refuse("unknown subscription", "there is no such subscription"));
        };
        let gone = self.subscriptions.remove(place);
        outputs.push(Output::Unsubscribe { number: gone.number });
        Ok(())
    }

    /// The application will not serve a subscription that the rules allow.
    pub fn refuse_subscription(&mut self, number: u64, why: &str) -> Vec<Output> {
        self.subscriptions.retain(|known| known.number != number);
        self.fail(&refuse("no such destination", why), None)
    }

    fn acknowledge(&mut self, frame: &Frame, version: Version) -> Result<(), Refused> {
        let (message, subscription) = match version {
            Version::V1_2 => (required(frame, "id")?, None),
            Version::V1_1 => {
                (required(frame, "message-id")?, Some(required(frame, "subscription")?))
            }
            Version::V1_0 => (required(frame, "message-id")?, frame.header("subscription")),
        };
        let unknown = || {
            let detail = format!("`{}` is not the id of a message", shown(message));
            refuse("unknown message", detail)
        };
        let number = message.parse::<u64>().ok().ok_or_else(unknown)?;
        if number == 0 || number >= self.next_message {
            return Err(unknown());
        }
        if let Some(id) = subscription
            && !self.subscriptions.iter().any(|known| known.id == id)
        {
            let detail = format!("there is no subscription `{}`", shown(id));
            return Err(refuse("unknown subscription", detail));
        }
        let subscription = subscription.map(str::to_owned);
        let step = Acknowledgement { message: number, subscription };
        let Some(name) = self.known_transaction(frame)?.map(str::to_owned) else {
            self.settle(&step);
            return Ok(());
        };
        let steps = self.transactions.entry(name).or_default();
        if steps.len() >= TRANSACTION_STEPS_MAX {
            let detail = format!("at most {TRANSACTION_STEPS_MAX} steps in one transaction");
            return Err(refuse("transaction too large", detail));
        }
        steps.push(step);
        Ok(())
    }

    /// A message is acknowledged or refused: either way it is not kept for the client any longer.
    /// Doing it twice is doing it once.
    fn settle(&mut self, step: &Acknowledgement) {
        for known in &mut self.subscriptions {
            if step.subscription.as_ref().is_some_and(|id| *id != known.id) {
                continue;
            }
            let Ok(place) = known.unacknowledged.binary_search(&step.message) else { continue };
            if known.ack == Ack::Cumulative {
                known.unacknowledged.drain(..=place);
            } else {
                known.unacknowledged.remove(place);
            }
        }
    }

    /// The transaction that a frame names, which must be open.
    fn known_transaction<'f>(&self, frame: &'f Frame) -> Result<Option<&'f str>, Refused> {
        let Some(name) = frame.header("transaction") else { return Ok(None) };
        if !self.transactions.contains_key(name) {
            let detail = format!("there is no open transaction `{}`", shown(name));
            return Err(refuse("unknown transaction", detail));
        }
        Ok(Some(name))
    }

    fn begin(&mut self, frame: &Frame) -> Result<(), Refused> {
        let name = required(frame, "transaction")?;
        if name.is_empty() || name.len() > ID_BYTES_MAX {
            let detail = format!("the name of a transaction has 1 to {ID_BYTES_MAX} bytes");
            return Err(refuse("bad transaction", detail));
        }
        if self.transactions.contains_key(name) {
            let detail = format!("the transaction `{}` is open already", shown(name));
            return Err(refuse("duplicate transaction", detail));
        }
        if self.transactions.len() >= TRANSACTIONS_MAX {
            let detail = format!("at most {TRANSACTIONS_MAX} transactions at once");
            return Err(refuse("too many transactions", detail));
        }
        self.transactions.insert(name.to_owned(), Vec::new());
        Ok(())
    }

    fn ended(&mut self, frame: &Frame) -> Result<Vec<Acknowledgement>, Refused> {
        required(frame, "transaction")?;
        let name = self.known_transaction(frame)?.unwrap_or_default();
        Ok(self.transactions.remove(name).unwrap_or_default())
    }

    fn commit(&mut self, frame: &Frame) -> Result<(), Refused> {
        for step in self.ended(frame)? {
            self.settle(&step);
        }
        Ok(())
    }

    fn abort(&mut self, frame: &Frame) -> Result<(), Refused> {
        self.ended(frame).map(drop)
    }

    fn answer_receipt(&mut self, frame: &Frame, outputs: &mut Vec<Output>) {
        // CONNECT is answered by CONNECTED.
        let is_connect = matches!(frame.command.as_str(), "CONNECT" | "STOMP");
        if let (Some(receipt), Some(version), false) =
            (frame.header("receipt"), self.version, is_connect)
        {
            let answer = Frame::new("RECEIPT").with("receipt-id", receipt);
            outputs.push(Output::Send(answer.encode(version)));
        }
        if self.is_over {
            outputs.push(Output::Close);
        }
    }

    fn fail(&mut self, refused: &Refused, frame: Option<&Frame>) -> Vec<Output> {
        if std::mem::replace(&mut self.is_over, true) {
            return Vec::new();
        }
        let mut error = Frame::new("ERROR").with("message", refused.message.clone());
        if self.version.is_none() {
            error = error.with("version", "1.0,1.1,1.2");
        }
        if let Some(receipt) = frame.and_then(|frame| frame.header("receipt")) {
            error = error.with("receipt-id", receipt);
        }
        let detail = Bytes::from(refused.detail.clone());
        error = error.with("content-type", "text/plain");
        error = error.with("content-length", detail.len().to_string());
        error.body = detail;
        let version = self.version.unwrap_or(Version::V1_0);
        vec![Output::Send(error.encode(version)), Output::Close]
    }

    /// The bytes that tell subscription `number` of `entries`.
    pub fn tell(&mut self, number: u64, entries: &[Arc<Entry>]) -> Vec<Bytes> {
        let mut told = Vec::with_capacity(entries.len());
        for entry in entries {
            let event =
                Said { event: entry.event, position: Some(entry.position), json: &entry.json };
            told.extend(self.message(number, &event));
        }
        told
    }

    /// The bytes that tell subscription `number` to load anew.
    pub fn tell_reset(&mut self, number: u64, reason: Reason) -> Option<Bytes> {
        let json = sse::reset_json(reason);
        self.message(number, &Said { event: "reset", position: None, json: json.as_bytes() })
    }

    /// The bytes that tell subscription `number` that the server stops.
    pub fn tell_bye(&mut self, number: u64, after: Duration) -> Option<Bytes> {
        let json = format!(r#"{{"reconnectAfterMs":{}}}"#, after.as_millis());
        self.message(number, &Said { event: "bye", position: None, json: json.as_bytes() })
    }

    fn message(&mut self, number: u64, said: &Said<'_>) -> Option<Bytes> {
        let version = self.version?;
        let known = self.subscriptions.iter_mut().find(|known| known.number == number)?;
        let mut said = said;
        let reset;
        let reset_json;
        if known.ack != Ack::Auto {
            if known.unacknowledged.len() >= UNACKNOWLEDGED_MAX {
                known.is_paused = true;
                return None;
            }
            if std::mem::take(&mut known.is_paused) {
                // What was left out is not told later, and this is not told either: it is loaded.
                reset_json = sse::reset_json(Reason::Slow);
                reset =
                    Said { event: "reset", position: said.position, json: reset_json.as_bytes() };
                said = &reset;
            }
            known.unacknowledged.push_back(self.next_message);
        }
        let message = self.next_message;
        self.next_message += 1;
        Some(encoded(version, known, message, said))
    }

    /// The agreed version, once there is one.
    pub const fn version(&self) -> Option<Version> {
        self.version
    }
}

/// What a message says.
struct Said<'s> {
    event: &'static str,
    position: Option<Position>,
    json: &'s [u8],
}

/// A MESSAGE. Written by hand: it is made for every client and event.
fn encoded(version: Version, known: &Subscription, message: u64, said: &Said<'_>) -> Bytes {
    let mut out = BytesMut::with_capacity(192 + said.json.len());
    let mut header = |name: &str, value: &str| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b":");
        escape(value, Some(version), &mut out);
        out.extend_from_slice(b"\n");
    };
    let id = message.to_string();
    header("MESSAGE\nsubscription", &known.id);
    header("message-id", &id);
    header("destination", &known.destination);
    if version == Version::V1_2 && known.ack != Ack::Auto {
        header("ack", &id);
    }
    header("content-type", "application/json");
    header("content-length", &said.json.len().to_string());
    header("event", said.event);
    if let Some(position) = said.position {
        header("position", &sse::id(position));
    }
    out.extend_from_slice(b"\n");
    out.extend_from_slice(said.json);
    out.extend_from_slice(b"\0");
    out.freeze()
}

fn required<'f>(frame: &'f Frame, name: &str) -> Result<&'f str, Refused> {
    frame.header(name).ok_or_else(|| missing(frame, name))
}

fn missing(frame: &Frame, name: &str) -> Refused {
    let detail = format!("{} needs the header `{name}`", frame.command);
    refuse("missing header", detail)
}

/// The beginning of a text that a client sent.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

type Beats = (Option<Duration>, Option<Duration>);

/// How often the server must, and the client will, give a sign of life.
fn heartbeats(frame: &Frame) -> Result<Beats, Refused> {
    let Some(text) = frame.header("heart-beat") else { return Ok((None, None)) };
    let parsed = text.split_once(',').and_then(|(can, wants)| {
        Some((can.trim().parse::<u64>().ok()?, wants.trim().parse::<u64>().ok()?))
    });
    let Some((can, wants)) = parsed.filter(|(can, wants)| (*can).max(*wants) <= HEARTBEAT_MS_MAX)
    else {
        let detail = format!("heart-beat is two numbers of milliseconds, not `{}`", shown(text));
        return Err(refuse("bad heart-beat", detail));
    };
    let agreed = |theirs: u64| (theirs > 0).then(|| Duration::from_millis(theirs).max(HEARTBEAT));
    Ok((agreed(wants), agreed(can)))
}

#[cfg(test)]
mod tests;

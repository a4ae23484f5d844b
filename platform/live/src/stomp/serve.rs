//! One client, from its first byte to its last: reads, writes, waits, and nothing else.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::Position;
use futures::future::{BoxFuture, select_all};
use tokio::time::{Instant, sleep_until, timeout};

use super::frame::{Decoded, Decoder, Limits};
use super::link::{Gone, Link, Received};
use super::session::{Output, Session};
use crate::hub::{Client, Entry, Hub, Interest, Reason, Seat, Step};

/// How long a client may take to say CONNECT.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may take none of what it is sent.
const SEND_WITHIN: Duration = Duration::from_secs(30);

/// What the protocol leaves to whoever knows what is told.
pub trait Application: Send + Sync + 'static {
    /// What a destination stands for, or why there is no such destination.
    fn interest(&self, destination: &str) -> Result<Interest, String>;

    /// Why a client may not send to a destination, if it may not.
    fn may_send(&self, destination: &str, body: &[u8]) -> Result<(), String>;

    /// Lets `client` go on behind `position`; `false` if that cannot be done.
    fn resume<'c>(&'c self, client: &'c mut Client, position: Position) -> BoxFuture<'c, bool>;
}

/// Serves clients of one hub.
pub struct Server {
    /// What is told.
    pub hub: Hub,
    /// What the protocol leaves open.
    pub application: Arc<dyn Application>,
    /// How large frames may be.
    pub limits: Limits,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("limits", &self.limits).finish_non_exhaustive()
    }
}

struct Subscribed {
    number: u64,
    client: Client,
}

/// What woke a client's task.
enum Woken {
    Received(Received),
    Told(u64, Step<Vec<Arc<Entry>>>),
    Silence,
    Overdue,
    Stopped,
}

struct Running {
    server: Arc<Server>,
    link: Link,
    session: Session,
    decoder: Decoder,
    subscribed: Vec<Subscribed>,
    send_every: Option<Duration>,
    expect_every: Option<Duration>,
    last_sent: Instant,
    last_received: Instant,
}

/// How a client's task ends.
enum End {
    Closed,
    Gone,
    Restart,
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Serves one client until it or the server ends it. `name` is what the session is called.
pub async fn serve(server: Arc<Server>, link: Link, name: String, seat: Seat) {
    let now = Instant::now();
    let mut running = Running {
        decoder: Decoder::new(server.limits),
        server,
        link,
        session: Session::new(name),
        subscribed: Vec::new(),
        send_every: None,
        expect_every: Some(CONNECT_WITHIN),
        last_sent: now,
        last_received: now,
    };
    let end = loop {
        let woken = running.woken().await;
        if let Err(end) = running.act(woken).await {
            break end;
        }
    };
    match end {
        End::Gone => {}
        End::Closed => running.link.close(false).await,
        End::Restart => running.link.close(true).await,
    }
    drop(seat);
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn told(subscribed: &mut [Subscribed]) -> (u64, Step<Vec<Arc<Entry>>>) {
    if subscribed.is_empty() {
        return std::future::pending().await;
    }
    let waits = subscribed.iter_mut().map(|one| {
        let number = one.number;
        let client = &mut one.client;
        let wait: Pin<Box<dyn Future<Output = _> + Send + '_>> =
            Box::pin(async move { (number, client.next_events().await) });
        wait
    });
    select_all(waits).await.0
}

impl Running {
    async fn woken(&mut self) -> Woken {
        let silence = self.send_every.map(|every| self.last_sent + every);
        // Twice, because a sign of life may be late on its way.
        let overdue = self.expect_every.map(|every| self.last_received + every * 2);
        let hub = self.server.hub.clone();
        tokio::select! {
            received = self.link.receive() => Woken::Received(received),
            (number, step) = told(&mut self.subscribed) => Woken::Told(number, step),
            () = until(silence) => Woken::Silence,
            () = until(overdue) => Woken::Overdue,
            () = hub.stopped() => Woken::Stopped,
        }
    }

    async fn act(&mut self, woken: Woken) -> Result<(), End> {
        match woken {
            Woken::Received(Received::Closed) => Err(End::Gone),
            Woken::Received(Received::Bytes(bytes)) => self.received(&bytes).await,
            Woken::Told(_, Step::Stop(_)) | Woken::Stopped => self.bye().await,
            Woken::Told(number, Step::Reset(reason)) => {
                let bytes = self.session.tell_reset(number, reason);
                self.send_all(bytes).await
            }
            Woken::Told(number, Step::Events(entries, _)) => {
                // One by one: a client that takes none keeps none.
                for entry in &entries {
                    let bytes = self.session.tell(number, std::slice::from_ref(entry));
                    self.send_all(bytes).await?;
                }
                Ok(())
            }
            Woken::Silence => self.send(Bytes::from_static(b"\n")).await,
            Woken::Overdue => {
                let (message, detail) = match self.session.version() {
                    Some(_) => ("no heart-beat", "nothing came for twice the agreed time"),
                    None => ("not connected", "CONNECT did not come in time"),
                };
                let outputs = self.session.end(message, detail);
                self.carry_out(outputs).await
            }
        }
    }

    async fn send(&mut self, bytes: Bytes) -> Result<(), End> {
        self.last_sent = Instant::now();
        match timeout(SEND_WITHIN, self.link.send(bytes)).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(End::Gone),
        }
    }

    async fn send_all(&mut self, all: impl IntoIterator<Item = Bytes>) -> Result<(), End> {
        for bytes in all {
            self.send(bytes).await?;
        }
        Ok(())
    }

    async fn bye(&mut self) -> Result<(), End> {
        let number = self.subscribed.len();
        for index in 0..number {
            let Some(one) = self.subscribed.get_mut(index) else { break };
            if let Step::Stop(after) = one.client.next_events().await {
                let bytes = self.session.tell_bye(one.number, after);
                self.send_all(bytes).await?;
            }
        }
        Err(End::Restart)
    }

    async fn received(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.last_received = Instant::now();
        self.decoder.push(bytes);
        loop {
            let outputs = match self.decoder.decode() {
                Ok(None) => return Ok(()),
                Ok(Some(Decoded::Heartbeat)) => continue,
                Ok(Some(Decoded::Frame(frame))) => {
                    let application = &self.server.application;
                    self.session.receive(&frame, |destination, body| {
                        application.may_send(destination, body)
                    })
                }
                Err(error) => self.session.receive_garbage(&error),
            };
            self.carry_out(outputs).await?;
        }
    }

    async fn carry_out(&mut self, outputs: Vec<Output>) -> Result<(), End> {
        for output in outputs {
            match output {
                Output::Send(bytes) => self.send(bytes).await?,
                Output::Connected { version, send_every, expect_every } => {
                    self.decoder.set_version(version);
                    self.send_every = send_every;
                    self.expect_every = expect_every;
                }
                Output::Subscribe { number, destination, position } => {
                    if let Err(why) = self.subscribe(number, &destination, position).await? {
                        let refused = self.session.refuse_subscription(number, &why);
                        return Box::pin(self.carry_out(refused)).await;
                    }
                }
                Output::Unsubscribe { number } => {
                    self.subscribed.retain(|one| one.number != number);
                }
                Output::Close => return Err(End::Closed),
            }
        }
        Ok(())
    }

    async fn subscribe(
        &mut self,
        number: u64,
        destination: &str,
        position: Option<Position>,
    ) -> Result<Result<(), String>, End> {
        let interest = match self.server.application.interest(destination) {
            Ok(interest) => interest,
            Err(why) => return Ok(Err(why)),
        };
        let mut client = self.server.hub.listen(interest);
        if let Some(position) = position
            && !self.server.application.resume(&mut client, position).await
        {
            client.was_reset();
            let bytes = self.session.tell_reset(number, Reason::Expired);
            self.send_all(bytes).await?;
        }
        self.subscribed.push(Subscribed { number, client });
        Ok(Ok(()))
    }
}

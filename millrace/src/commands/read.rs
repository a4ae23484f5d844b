//! `millrace read`: many readers of one stream, and how late what they read is.
//!
//! Each reader is a connection of its own to a stream of server-sent events. One thread reads them
//! all ([`follow`]) and looks at the bytes no closer than it needs: how many events there are, and, of
//! some readers, when the last of them was committed. A ticker changes the stock of one SKU at a fixed rate, and all readers follow that
//! SKU, so that the rate does not depend on what else the server does. Stuck readers open the same
//! stream and never read.

mod follow;
mod report;
mod scan;

use std::io::{self, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use contracts::Clock as _;
use contracts::clock::SystemClock;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::load::{Connection, Target};
use crate::descriptors;
use follow::Readers;
use report::{Report, Run, Server};

/// Connections that are being opened at the same time.
const OPENING_MAX: usize = 128;
/// How long a stream may take to be ready.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// Descriptors that are not streams.
const OTHER_DESCRIPTORS: u64 = 64;
/// Bytes that the system keeps for a reader that does not read.
const STUCK_BYTES: u32 = 4 * 1_024;

/// What `millrace read` may be told.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8090")]
    url: String,
    /// Readers that read.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    readers: u64,
    /// Readers that never read.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    stuck_readers: u64,
    /// Readers whose every event is timed; the others are read in turn and counted.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    timed: u64,
    /// Seconds to measure, once all are there.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Changes of the followed SKU per second.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    updates: u64,
    /// Follow the whole stock instead of one SKU.
    #[arg(long)]
    all: bool,
    /// The server tells by itself, as `benches --stream` does: nothing is changed there.
    #[arg(long, conflicts_with = "all")]
    bare: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the readers; the exit code is 1 if one of them was lost.
pub(crate) fn run(args: &ReadArgs) -> anyhow::Result<u8> {
    let wanted = args.readers + args.stuck_readers + OTHER_DESCRIPTORS;
    let allowed = descriptors::allow(wanted)?;
    if allowed < wanted {
        bail!(
            "{wanted} descriptors are needed and {allowed} are allowed: raise `ulimit -n`, or ask \
               for fewer readers"
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(read(args))?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        writeln!(out, "{report}")?;
    }
    Ok(u8::from(!report.is_good()))
}

async fn read(args: &ReadArgs) -> anyhow::Result<Report> {
    let target = Target::try_new(&args.url)?;
    let address = target.authority.to_socket_addrs()?.next().context("the host has no address")?;
    let ticker = if args.bare { None } else { Some(Ticker::prepare(&target).await?) };
    let path = match &ticker {
        Some(ticker) if !args.all => {
            format!("/api/v1/stock/stream?snapshot=false&sku={}", ticker.sku)
        }
        _ => "/api/v1/stock/stream?snapshot=false".to_owned(),
    };
    let request: Arc<str> = format!("{}\r\n", target.head("GET", &path)).into();
    let before = Server::ask(&target).await?;
    let stuck = open_all(address, &request, args.stuck_readers, Some(STUCK_BYTES)).await?;
    let open = open_all(address, &request, args.readers, None).await?;
    let open: io::Result<Vec<_>> = open.into_iter().map(TcpStream::into_std).collect();
    let readers = Readers::start(open?, args.timed)?;
    let with_readers = Server::ask(&target).await?;
    let cpu_before = telemetry::cpu_micros();
    readers.begin();
    let until = Instant::now() + Duration::from_secs(args.seconds);
    let updates = if let Some(ticker) = ticker {
        ticker.tick(args.updates, until).await?
    } else {
        sleep_until(until).await;
        0
    };
    // What the last tick changed is still on its way.
    sleep_until(until + Duration::from_secs(1)).await;
    let after = Server::ask(&target).await?;
    let cpu_us = telemetry::cpu_micros().saturating_sub(cpu_before);
    let (scan, lost) = readers.end()?;
    drop(stuck);
    Ok(Report::new(&Run {
        readers: args.readers,
        stuck: args.stuck_readers,
        lost,
        seconds: args.seconds,
        updates,
        cpu_us,
        scan: &scan,
        servers: [before, with_readers, after],
    }))
}

async fn open_all(
    address: SocketAddr,
    request: &Arc<str>,
    count: u64,
    stuck: Option<u32>,
) -> anyhow::Result<Vec<TcpStream>> {
    use futures::StreamExt as _;
    let opened = futures::stream::iter(0..count)
        .map(|_| timeout(READY_WITHIN, open(address, Arc::clone(request), stuck)))
        .buffer_unordered(OPENING_MAX);
    let opened: Vec<_> = opened.collect().await;
    opened.into_iter().map(|one| one.context("a stream is not ready in time")?).collect()
}

/// Opens a stream and waits until it is ready; a stuck reader waits for nothing.
async fn open(
    address: SocketAddr,
    request: Arc<str>,
    stuck: Option<u32>,
) -> anyhow::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(bytes) = stuck {
        socket.set_recv_buffer_size(bytes)?;
    }
    let mut stream = socket.connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    if stuck.is_some() {
        return Ok(stream);
    }
    let mut seen = Vec::with_capacity(1_024);
    while !seen.windows(12).any(|window| window == b"event: ready") {
        stream.readable().await?;
        match stream.try_read_buf(&mut seen) {
            Ok(0) => bail!("the server ended a stream: {}", excerpt(&seen)),
            Ok(_) if !seen.starts_with(b"HTTP/1.1 200") => {
                bail!("the server refused a stream: {}", excerpt(&seen))
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(stream)
}

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(300).collect()
}

/// Changes the stock of one SKU.
struct Ticker {
    connection: Connection,
    requests: [String; 2],
    sku: String,
}

impl Ticker {
    async fn prepare(target: &Target) -> anyhow::Result<Self> {
        let run = SystemClock.now().as_micros().rem_euclid(1 << 44);
        let sku = format!("ticker-{run:x}");
        let request = |action: &str, body: &str| {
            let head = target.head("POST", &format!("/api/v1/stock/{sku}/{action}"));
            let length = body.len();
            format!(
                "{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        };
        let first = request("receive", r#"{"quantity":1000}"#);
        let up = request("adjust", r#"{"delta":1,"reason":"tick"}"#);
        let down = request("adjust", r#"{"delta":-1,"reason":"tock"}"#);
        let mut ticker = Self { connection: Connection::new(target), requests: [up, down], sku };
        ticker.send(&first).await?;
        Ok(ticker)
    }

    async fn send(&mut self, request: &str) -> anyhow::Result<()> {
        let answer = self.connection.send(request.as_bytes()).await?;
        if !answer.is_success() {
            bail!("the stock cannot be changed: {}", answer.excerpt());
        }
        Ok(())
    }

    /// Ticks until it is time; returns how often.
    async fn tick(mut self, updates: u64, until: Instant) -> anyhow::Result<u64> {
        let mut ticks = interval(Duration::from_micros(1_000_000_u64.div_euclid(updates.max(1))));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0;
        while Instant::now() < until {
            ticks.tick().await;
            let requests = std::mem::take(&mut self.requests);
            let place = usize::from(count & 1 == 1);
            self.send(&requests[place]).await?;
            self.requests = requests;
            count += 1;
        }
        Ok(count)
    }
}

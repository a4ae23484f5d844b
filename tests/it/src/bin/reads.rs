//! What the cache of an edge is worth: reads per second and how long they take, of one system as a
//! process for each service, by turns with its Redis and with that killed.
//!
//! ```text
//! cargo build --profile ship-test -p millrace
//! cargo run --profile ship-test -p it --bin reads
//! MILLRACE_TEST_DATABASE=postgres cargo run --profile ship-test -p it --bin reads
//! ```
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use it::{Options, Redis, Server, lines};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(10);
/// Processes whose work is told.
const SERVICES: [&str; 4] = ["edge", "catalog", "inventory", "order"];

#[derive(Debug, Parser)]
struct Arguments {
    /// How long each measurement takes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// How often each is made.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=20))]
    rounds: u64,
    /// Readers at once, each on a connection of its own; several numbers are measured one by one.
    #[arg(long, value_delimiter = ',', default_value = "1,32")]
    readers: Vec<usize>,
}

/// How long each answer took in microseconds, and how long all of them.
struct Measured {
    micros: Vec<u128>,
    span: Duration,
    /// CPU microseconds of each process.
    cpu: Vec<u64>,
}

impl Measured {
    fn at(&self, thousandths: usize) -> u128 {
        let place = self.micros.len().saturating_mul(thousandths).div_euclid(1_000);
        self.micros.get(place.min(self.micros.len().saturating_sub(1))).copied().unwrap_or(0)
    }

    fn rate(&self) -> u128 {
        let count = self.micros.len().try_into().unwrap_or(0_u128);
        count.saturating_mul(1_000_000).div_euclid(self.span.as_micros().max(1))
    }

    /// CPU microseconds of a process for each answer.
    fn cpu(&self, place: usize) -> u64 {
        let count = u64::try_from(self.micros.len()).unwrap_or(u64::MAX).max(1);
        self.cpu.get(place).copied().unwrap_or(0).div_euclid(count)
    }
}

/// Asks again and again, one question behind the other.
async fn ask(host: String, path: String, until: Instant) -> Vec<u128> {
    let mut socket = TcpStream::connect(&host).await.expect("the edge listens");
    socket.set_nodelay(true).expect("a socket");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let (mut micros, mut buffer) = (Vec::new(), vec![0; 64 * 1_024]);
    while Instant::now() < until {
        let begun = Instant::now();
        socket.write_all(request.as_bytes()).await.expect("it takes a request");
        let (mut have, mut whole) = (0, usize::MAX);
        while have < whole {
            let read = socket.read(&mut buffer[have..]).await.expect("it answers");
            assert!(read > 0, "the connection ended");
            have += read;
            if whole == usize::MAX {
                whole = length(&buffer[..have]).unwrap_or(usize::MAX);
            }
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "{path} is not answered with 200");
        micros.push(begun.elapsed().as_micros());
    }
    micros
}

/// The length of an answer with its head, once the head is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..head]).ok()?.to_ascii_lowercase();
    let line = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    Some(head + 4 + line.trim().parse::<usize>().ok()?)
}

/// A metric of a process.
async fn metric(server: &Server, service: &str, name: &str) -> u64 {
    let text = server.http_of(service).get("/metrics").send().await.text();
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

async fn cpu(server: &Server) -> Vec<u64> {
    let mut all = Vec::new();
    for service in SERVICES {
        all.push(metric(server, service, "millrace_cpu_micros_total").await);
    }
    all
}

async fn measured(server: &Server, path: &str, readers: usize, span: Duration) -> Measured {
    let host = server.url().trim_start_matches("http://").to_owned();
    let before = cpu(server).await;
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..readers {
        asking.spawn(ask(host.clone(), path.to_owned(), begun + span));
    }
    let mut micros: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
    let span = begun.elapsed();
    let after = cpu(server).await;
    micros.sort_unstable();
    let used = after.iter().zip(before).map(|(after, before)| after.saturating_sub(before));
    Measured { micros, span, cpu: used.collect() }
}

async fn until_there(server: &Server, is_there: u64) {
    let waited = timeout(PATIENCE, async {
        while metric(server, "edge", "millrace_cache_is_there").await != is_there {
            sleep(LOOK).await;
        }
    });
    assert!(waited.await.is_ok(), "the cache does not come or go");
}

/// Reads `path` until it is answered from the cache.
async fn kept(server: &Server, path: &str, of: &str) {
    let name = format!("millrace_cache_hits_total{{of=\"{of}\"}}");
    let before = metric(server, "edge", &name).await;
    let waited = timeout(PATIENCE, async {
        while metric(server, "edge", &name).await == before {
            server.get(path).send().await.is(200);
            sleep(LOOK).await;
        }
    });
    assert!(waited.await.is_ok(), "{path} is never kept");
}

fn show(what: &str, readers: usize, measured: &Measured) {
    let used: Vec<_> = (0..SERVICES.len()).map(|place| measured.cpu(place).to_string()).collect();
    println!(
        "| {what} | {readers} | {} | {} | {} | {} |",
        measured.rate(),
        measured.at(500),
        measured.at(990),
        used.join(" | ")
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments = Arguments::parse();
    let span = Duration::from_secs(arguments.seconds);
    let redis = Arc::new(tokio::task::block_in_place(Redis::start));
    let options = Options::demo().cached_by(Arc::clone(&redis));
    let server = Server::start_with(options.set("MILLRACE_REDIS__TTL_S", "3600")).await;
    server.shop().product("lamp", "5.00", 100).await;
    let order = server.shop().placed(&lines(&[("lamp", 2), ("item1", 1), ("item2", 1)])).await;
    server.shop().order_in(&order, "confirmed").await;
    let things = [
        ("product", "/api/v1/products/lamp".to_owned()),
        ("stock", "/api/v1/stock/lamp".to_owned()),
        ("order", format!("/api/v1/orders/{order}")),
    ];
    println!(
        "| read | readers | per second | p50 µs | p99 µs | CPU µs of {} |",
        SERVICES.join(" | of ")
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for round in 0..arguments.rounds {
        if round > 0 {
            tokio::task::block_in_place(|| redis.resume());
            until_there(&server, 1).await;
        }
        for (of, path) in &things {
            kept(&server, path, of).await;
            for readers in &arguments.readers {
                let with = measured(&server, path, *readers, span).await;
                show(&format!("{of}, with the cache"), *readers, &with);
            }
        }
        tokio::task::block_in_place(|| redis.kill_9());
        until_there(&server, 0).await;
        for (of, path) in &things {
            for readers in &arguments.readers {
                let without = measured(&server, path, *readers, span).await;
                show(&format!("{of}, without"), *readers, &without);
            }
        }
    }
    server.finish();
}

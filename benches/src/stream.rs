//! The least that telling many readers can cost: one thread that writes the same bytes to every
//! socket, 4 times a second, and knows nothing else.
//!
//! `millrace read --bare` opens the streams and measures; `millrace load` against a real server beside
//! it says what such a sender and its readers alone take from the orders.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contracts::Clock as _;
use contracts::clock::SystemClock;

/// Between two rounds: 4 updates a second.
const ROUND: Duration = Duration::from_millis(250);
/// How long a request may take to come.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
/// The bytes of an event of the product, its time apart.
const LEVEL: &str = "\"location\":\"main\",\"onHand\":1000,\"held\":0,\"allocated\":0,\"quarantined\":0,\
                     \"available\":1000,\"version\":1000";

type Sockets = Arc<Mutex<Vec<TcpStream>>>;

/// Serves until the process is ended.
pub(crate) fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).context("cannot listen")?;
    announce(listener.local_addr()?);
    let sockets = Sockets::default();
    let readers = Arc::clone(&sockets);
    std::thread::Builder::new().name("sender".into()).spawn(move || send(&readers))?;
    for socket in listener.incoming() {
        // A client that is gone already is nobody to tell.
        if let Ok(socket) = socket
            && let Err(error) = answer(socket, &sockets)
        {
            drop(error);
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "people wait for this line")]
fn announce(address: SocketAddr) {
    println!("bare streams at http://{address}");
}

fn answer(mut socket: TcpStream, sockets: &Sockets) -> anyhow::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(REQUEST_WITHIN))?;
    let mut lines = BufReader::new(&socket).lines();
    let first = lines.next().context("no request")??;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    if first.starts_with("GET /metrics ") {
        let (cpu, resident) = (telemetry::cpu_micros(), telemetry::resident_bytes());
        let text = format!("millrace_cpu_micros_total {cpu}\nmillrace_resident_bytes {resident}\n");
        let length = text.len();
        write!(socket, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}")?;
        return Ok(());
    }
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    write!(socket, "{head}17\r\nevent: ready\ndata: {{}}\n\n\r\n")?;
    socket.set_nonblocking(true)?;
    sockets.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "paces a thread, decides nothing")]
fn now() -> Instant {
    Instant::now()
}

fn send(sockets: &Sockets) {
    let mut due = now();
    loop {
        due += ROUND;
        std::thread::sleep(due.saturating_duration_since(now()));
        let at = SystemClock.now();
        let event = format!(
            "event: stock\nid: 100000-1\ndata: {{\"sku\":\"ticker-10000000000\",{LEVEL},\
             \"updatedAt\":\"{at}\"}}\n\n"
        );
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        let mut sockets = sockets.lock().unwrap_or_else(PoisonError::into_inner);
        // Who takes nothing or is gone is left out.
        sockets.retain_mut(|socket| socket.write(chunk.as_bytes()).is_ok());
    }
}

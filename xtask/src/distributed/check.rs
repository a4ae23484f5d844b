//! What has to work once everything is up: the order of the README, every scrape, the whole trace.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{LOOK, Ports, SERVICES, local};

/// The order that a client of an older system places.
pub(super) const ORDER: &str =
    r#"{"customerId":"OMS-Cust-001","totalAmount":2599.99,"productIds":["item1","item2"]}"#;
/// The trace that it is placed in, and the step of it that places it.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// How long an order and its trace may take to be whole.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks for `path`, or posts `body` to it, and gives status and body.
fn ask(port: u16, path: &str, body: Option<&str>) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&local(port), Duration::from_secs(2))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the answer comes in one piece and ends with the connection.
    let request = body.map_or_else(
        || format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"),
        |body| {
            format!(
                "POST {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 traceparent: 00-{TRACE}-{CALLER}-01\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        },
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer of HTTP")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.context("no status")?, body.to_owned()))
}

/// The status of an answer, if there is one.
pub(super) fn status(port: u16, path: &str) -> Option<u16> {
    ask(port, path, None).ok().map(|(status, _)| status)
}

/// Tries `look` until it gives something, for as long as anybody would wait.
fn until<T>(what: &str, look: impl Fn() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{what}: not within {} s", PATIENCE.as_secs());
        }
        thread::sleep(LOOK);
    }
}

/// Checks everything; says what it found.
pub(super) fn run(ports: &Ports, traced: bool) -> Result<()> {
    let begun = Instant::now();
    let (placed, body) = ask(ports.http, "/orders", Some(ORDER))?;
    if !(200..300).contains(&placed) {
        bail!("the order was answered {placed}: {body}");
    }
    let order: Value = serde_json::from_str(&body).context("the answer is no JSON")?;
    let id = ["orderId", "id"].iter().find_map(|name| order[name].as_str());
    let id = id.with_context(|| format!("there is no id in {body}"))?;
    until("the order is confirmed", || {
        let (_, body) = ask(ports.http, &format!("/api/v1/orders/{id}"), None)?;
        let order: Value = serde_json::from_str(&body).unwrap_or_default();
        Ok((order["status"] == "confirmed").then_some(()))
    })?;
    println!("== check: order {id} is confirmed ({} ms)", begun.elapsed().as_millis());
    until("the edge uses its cache", || {
        let (_, body) = ask(ports.http, "/readyz", None)?;
        let health: Value = serde_json::from_str(&body).unwrap_or_default();
        let mut told = health["parts"].as_array().into_iter().flatten();
        Ok(told.any(|part| part["name"] == "cache" && part["ok"] == true).then_some(()))
    })?;
    println!("== check: the edge uses its cache");
    for service in SERVICES {
        let (http, _) = ports.of(service);
        let (status, text) = ask(http, "/metrics", None)?;
        let has_ended = text.trim_end().ends_with("# EOF");
        if status != 200 || !has_ended || !text.contains("millrace_") {
            bail!("{service} answers a scrape with {status}");
        }
    }
    println!("== check: all {} processes answer a scrape", SERVICES.len());
    if traced {
        let services = until("the trace is whole in Zipkin", || trace(ports.zipkin))?;
        println!("== check: one trace in Zipkin with all services: {}", services.join(", "));
    }
    Ok(())
}

/// The services in the trace of the order, once all are in it and every step has its parent.
fn trace(zipkin: u16) -> Result<Option<Vec<String>>> {
    let (status, body) = ask(zipkin, &format!("/api/v2/trace/{TRACE}"), None)?;
    if status != 200 {
        return Ok(None);
    }
    let spans: Vec<Value> = serde_json::from_str(&body).context("Zipkin answers no JSON")?;
    let word = |span: &Value, name: &str| span[name].as_str().unwrap_or_default().to_owned();
    let mut services: Vec<_> = spans
        .iter()
        .map(|span| span["localEndpoint"]["serviceName"].as_str().unwrap_or_default().to_owned())
        .collect();
    services.sort_unstable();
    services.dedup();
    let ids: Vec<_> = spans.iter().map(|span| word(span, "id")).collect();
    let has_parent = |span: &Value| {
        let parent = word(span, "parentId");
        parent == CALLER || ids.contains(&parent)
    };
    let mut wanted = SERVICES.map(str::to_owned);
    wanted.sort_unstable();
    Ok((services == wanted && spans.iter().all(has_parent)).then_some(services))
}

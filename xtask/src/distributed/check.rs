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

/// Whether every part of a process works, its consumers' partitions included: what it is told, it does at once.
pub(super) fn is_ready(port: u16) -> bool {
    let answer = ask(port, "/readyz", None);
    answer.is_ok_and(|(status, body)| status == 200 && body.contains(r#""status":"ready""#))
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
        let samples = samples(&text).with_context(|| format!("{service} is scraped"))?;
        if status != 200 || samples == 0 {
            bail!("{service} answers a scrape with {status} and {samples} samples");
        }
    }
    println!("== check: all {} processes answer a scrape", SERVICES.len());
    if traced {
        let services = until("the trace is whole in Zipkin", || trace(ports.zipkin))?;
        println!("== check: one trace in Zipkin with all services: {}", services.join(", "));
    }
    Ok(())
}

/// Counts the samples of a text of OpenMetrics; an error if it is none.
fn samples(text: &str) -> Result<usize> {
    let mut count = 0;
    let body = text.trim_end().strip_suffix("# EOF").context("it does not end with `# EOF`")?;
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let sample = line.rsplit_once(' ').filter(|(name, _)| name.starts_with("millrace_"));
        let value = sample.and_then(|(_, value)| value.parse::<f64>().ok());
        value.with_context(|| format!("`{line}` is no sample"))?;
        count += 1;
    }
    Ok(count)
}

/// The services in the trace of the order, once all are in it and every step leads to the caller's.
fn trace(zipkin: u16) -> Result<Option<Vec<String>>> {
    let (status, body) = ask(zipkin, &format!("/api/v2/trace/{TRACE}"), None)?;
    if status != 200 {
        return Ok(None);
    }
    let spans: Vec<Value> = serde_json::from_str(&body).context("Zipkin answers no JSON")?;
    let mut wanted = SERVICES.map(str::to_owned);
    wanted.sort_unstable();
    Ok((services(&spans) == wanted && is_whole(&spans)).then(|| services(&spans)))
}

fn word<'a>(span: &'a Value, name: &str) -> &'a str {
    span[name].as_str().unwrap_or_default()
}

fn services(spans: &[Value]) -> Vec<String> {
    let names = spans.iter().map(|span| word(&span["localEndpoint"], "serviceName").to_owned());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether all are of one trace, the caller's step has one child, which is the edge's, and every other step
/// is below that.
fn is_whole(spans: &[Value]) -> bool {
    let first = spans.iter().filter(|span| word(span, "parentId") == CALLER).collect::<Vec<_>>();
    let is_of_edge = |span: &Value| word(&span["localEndpoint"], "serviceName") == "edge";
    let [root] = first.as_slice() else { return false };
    let leads_up = |span: &Value| {
        let mut at = word(span, "parentId");
        // As many steps up as there are spans, or it goes in a circle.
        for _ in spans {
            if at == CALLER {
                return true;
            }
            let Some(parent) = spans.iter().find(|span| word(span, "id") == at) else {
                return false;
            };
            at = word(parent, "parentId");
        }
        false
    };
    is_of_edge(root) && spans.iter().all(|span| word(span, "traceId") == TRACE && leads_up(span))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn span(id: &str, parent: &str, service: &str) -> Value {
        json!({"traceId": TRACE, "id": id, "parentId": parent,
               "localEndpoint": {"serviceName": service}})
    }

    #[test]
    fn a_trace_is_whole_if_every_step_leads_to_the_caller() {
        let edge = span("a", CALLER, "edge");
        let whole = [edge.clone(), span("b", "a", "order"), span("c", "b", "payment")];
        assert!(is_whole(&whole));
        assert_eq!(services(&whole), ["edge", "order", "payment"]);
        assert!(!is_whole(&[span("b", CALLER, "order")]), "the edge is the first");
        assert!(!is_whole(&[edge.clone(), span("b", "x", "order")]), "a parent is missing");
        let circle = [edge.clone(), span("b", "c", "order"), span("c", "b", "order")];
        assert!(!is_whole(&circle), "two steps are each other's parents");
        let mut other = span("b", "a", "order");
        other["traceId"] = "0".into();
        assert!(!is_whole(&[edge, other]), "it is of another trace");
        assert!(!is_whole(&[]));
    }

    #[test]
    fn a_scrape_that_is_cut_off_or_broken_is_refused() {
        assert_eq!(
            samples("# TYPE millrace_a gauge\nmillrace_a{b=\"c d\"} 1.5\n# EOF\n").unwrap(),
            1
        );
        assert!(samples("millrace_a 1\n").is_err());
        assert!(samples("millrace_a many\n# EOF\n").is_err());
        assert!(samples("nothing of ours 1\n# EOF\n").is_err());
    }
}

//! What every process tells of itself, and that dashboards and alerts ask for nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use it::{Options, Server};
use serde_json::json;

const SERVICES: [&str; 7] =
    ["edge", "order", "inventory", "catalog", "customer", "payment", "notification"];

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

/// The names of our metrics in a text, as samples have them.
fn names(text: &str) -> BTreeSet<String> {
    let is_of_name = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    text.split(|char| !is_of_name(char))
        .filter(|word| word.starts_with("millrace_"))
        .map(str::to_owned)
        .collect()
}

/// Every sample by its name with its labels.
fn samples(scraped: &str) -> BTreeMap<String, String> {
    let lines = scraped.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(k, v)| (k.into(), v.into())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_process_tells_what_dashboards_and_alerts_ask_for() {
    let server = Server::start_with(Options::demo().distributed()).await;
    let body = json!({"customerId": "OMS-Cust-001", "lines": [{"sku": "item1", "quantity": 1}]});
    server.shop().settled(&body).await;
    let mut told_by_all = BTreeSet::new();
    let mut of_service = BTreeMap::new();
    for service in SERVICES {
        let http = server.http_of(service);
        for probe in ["/livez", "/readyz", "/startupz"] {
            assert_eq!(http.get(probe).send().await.status, 200, "{service} {probe}");
        }
        let answer = http.get("/metrics").send().await;
        assert_eq!(answer.status, 200, "{service}");
        assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
        let scraped = answer.text();
        assert!(scraped.ends_with("# EOF\n"), "{service}: {scraped}");
        // A name is announced once, however many members have it.
        let types: Vec<_> = scraped.lines().filter(|line| line.starts_with("# TYPE")).collect();
        assert_eq!(types.len(), types.iter().collect::<BTreeSet<_>>().len(), "{service}");
        let samples = samples(&scraped);
        told_by_all.extend(samples.keys().flat_map(|sample| names(sample)));
        of_service.insert(service, samples);
    }
    for service in ["order", "inventory", "customer", "payment"] {
        let told = &of_service[service];
        let at_least_one = |metric: &str| {
            let sample = format!("millrace_{metric}{{consumer=\"{service}\"}}");
            let value = told.get(&sample).map_or("0", String::as_str);
            assert!(value.parse::<f64>().is_ok_and(|value| value >= 1.0), "{sample}: {value}");
        };
        at_least_one("consumer_events_total");
        at_least_one("consumer_batch_events_count");
        at_least_one("consumer_batch_seconds_count");
    }
    assert_eq!(of_service["order"]["millrace_orders_overdue"], "0");
    assert_ne!(of_service["edge"]["millrace_http_answers_total{class=\"2xx\"}"], "0");

    let mut asked = BTreeMap::new();
    let dashboards = deploy().join("grafana/dashboards");
    let files = fs::read_dir(dashboards).expect("there are dashboards");
    let mut files: Vec<_> = files.map(|file| file.expect("it can be read").path()).collect();
    files.push(deploy().join("prometheus/alerts.yaml"));
    for file in &files {
        let text = fs::read_to_string(file).expect("it can be read");
        if file.extension().is_some_and(|end| end == "json") {
            let json = serde_json::from_str::<serde_json::Value>(&text);
            assert!(json.is_ok(), "{}: {json:?}", file.display());
        }
        asked.extend(names(&text).into_iter().map(|name| (name, file)));
    }
    assert!(files.len() > 2 && asked.len() > 20, "{files:?} {asked:?}");
    asked.retain(|name, _| !told_by_all.contains(name));
    assert!(asked.is_empty(), "nobody serves {asked:?}; there is {told_by_all:?}");
    server.finish();
}

//! Many orders in one upload: a verdict for every line.

use std::collections::BTreeMap;

use it::{Server, lines};
use serde_json::{Value, json};

const LINES: usize = 1_000;

/// Lines that are refused, and what with.
fn bad() -> BTreeMap<usize, (String, u16)> {
    let order = |lines: Value| json!({"customerId": "OMS-Cust-001", "lines": lines}).to_string();
    let mut mistyped = lines(&[("lamp", 1)]);
    mistyped["color"] = json!("red");
    BTreeMap::from([
        (1, ("{".to_owned(), 400)),
        (50, ("not json".to_owned(), 400)),
        (99, ("[]".to_owned(), 400)),
        (100, (order(json!([])), 422)),
        (101, (order(json!([{"sku": "lamp", "quantity": 0}])), 422)),
        (333, (order(json!([{"sku": "nothing", "quantity": 1}])), 422)),
        (334, (order(json!([{"sku": "lamp", "quantity": "one"}])), 400)),
        (500, (mistyped.to_string(), 400)),
        (999, (order(json!([{"sku": "lamp", "quantity": 1_000_001}])), 422)),
        (1_000, (r#"{"customerId":"OMS-Cust-001"}"#.to_owned(), 400)),
    ])
}

fn upload() -> String {
    let bad = bad();
    let good = lines(&[("lamp", 1)]).to_string();
    let line = |number: usize| bad.get(&number).map_or(good.as_str(), |(text, _)| text);
    (1..=LINES).flat_map(|number| [line(number), "\n"]).collect()
}

async fn send(server: &Server, key: &str) -> Vec<Value> {
    let mut call = server.http().call(http::Method::POST, "/api/v1/orders:batch");
    if !key.is_empty() {
        call = call.key(key);
    }
    let call = call.header("content-type", "application/x-ndjson").bytes(upload());
    let answer = call.send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let read = |line: &str| serde_json::from_str(line).expect("a verdict is JSON");
    answer.text().lines().map(read).collect()
}

#[tokio::test]
async fn a_thousand_lines_get_a_verdict_each_and_the_bad_ones_harm_nobody() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 5_000).await;
    let verdicts = send(&server, "").await;
    assert_eq!(verdicts.len(), LINES);
    let bad = bad();
    for (index, verdict) in verdicts.iter().enumerate() {
        assert_eq!(verdict["line"], index + 1);
        match bad.get(&(index + 1)) {
            None => assert_eq!(verdict["status"], 202, "{verdict}"),
            Some((text, status)) => {
                assert_eq!(verdict["status"], *status, "{text}: {verdict}");
                assert_eq!(verdict["problem"]["status"], *status, "{verdict}");
                assert!(verdict.get("orderId").is_none(), "{verdict}");
            }
        }
    }
    let placed = LINES - bad.len();
    let units = i64::try_from(placed).expect("a small number");
    shop.stock_is("lamp", [5_000, 0, units, 5_000 - units]).await;
    assert_eq!(shop.all("/api/v1/orders?limit=200").await.len(), placed);
    server.finish();
}

#[tokio::test]
async fn an_upload_sent_again_under_its_key_places_nothing_twice() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 5_000).await;
    let first = send(&server, "upload-1").await;
    let again = send(&server, "upload-1").await;
    let ids = |verdicts: &[Value]| {
        verdicts.iter().map(|verdict| verdict["orderId"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&first), ids(&again));
    let replayed = again.iter().filter(|verdict| verdict["replayed"] == true).count();
    assert_eq!(replayed, LINES - bad().len());
    assert_eq!(shop.all("/api/v1/orders?limit=200").await.len(), LINES - bad().len());
    server.finish();
}

#[tokio::test]
async fn lines_with_the_same_key_in_one_upload_are_one_order() {
    let server = Server::start().await;
    let shop = server.shop();
    let mut order = lines(&[("item1", 1)]);
    order["idempotencyKey"] = json!("one");
    let mut other = lines(&[("item1", 2)]);
    other["idempotencyKey"] = json!("one");
    let call = server.http().call(http::Method::POST, "/api/v1/orders:batch");
    let call = call.header("content-type", "application/x-ndjson");
    let answer = call.bytes(format!("{order}\n{order}\n{other}\n")).send().await;
    let verdicts: Vec<Value> = answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("a verdict is JSON"))
        .collect();
    let [first, second, third] = verdicts.as_slice() else { panic!("{verdicts:?}") };
    assert_eq!(first["orderId"], second["orderId"]);
    assert_eq!((&first["status"], &second["replayed"]), (&json!(202), &json!(true)));
    assert_eq!(third["status"], 422, "{third}");
    assert_eq!(shop.all("/api/v1/orders").await.len(), 1);
    server.finish();
}

//! The usual way of an order, from the request to the last shipment.

use std::time::Duration;

use it::{Server, is_distributed, lines, text};
use serde_json::{Value, json};
use tokio::time::Instant;

#[tokio::test]
async fn an_order_is_stored_first_and_goes_on_by_itself() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "19.90", 10).await;

    let answer = shop.place(&lines(&[("lamp", 2)])).await;
    let placed = answer.is(202);
    let id = text(&placed, "orderId");
    assert_eq!(answer.header("location"), format!("/api/v1/orders/{id}"));
    assert_eq!(placed["total"], json!({"amount": "39.80", "currency": "USD"}));
    assert_eq!(placed["channel"], "api");
    assert_eq!(placed["lines"][0]["name"], "Product lamp");
    assert_eq!(placed["lines"][0]["unitPrice"]["amount"], "19.90");

    let order = shop.order_in(&id, "confirmed").await;
    assert_eq!(order["number"], placed["number"]);
    assert_eq!(order["paymentStatus"], "paid");
    assert_eq!(order["fulfillmentStatus"], "unfulfilled");
    assert_eq!(order["lines"][0]["allocated"], 2);
    assert!(order["confirmedAt"].is_string(), "{order}");
    assert!(order["version"].as_u64() > placed["version"].as_u64(), "{order}");
    assert_eq!(shop.stock("lamp").await, [10, 0, 2, 8]);
    server.finish();
}

#[tokio::test]
async fn a_timeline_names_every_step_in_its_sequence() {
    let server = Server::start().await;
    let shop = server.shop();
    let id = shop.placed(&lines(&[("item1", 1)])).await;
    shop.order_in(&id, "confirmed").await;

    let entries = shop.all(&format!("/api/v1/orders/{id}/timeline?limit=2")).await;
    let steps: Vec<_> = entries.iter().map(|entry| text(entry, "step")).collect();
    let place = |step: &str| {
        let found = steps.iter().position(|found| found == step);
        found.unwrap_or_else(|| panic!("no {step} in {steps:?}"))
    };
    for pair in [
        ["order.placed", "customer.validated"],
        ["order.placed", "inventory.reserved"],
        ["customer.validated", "order.reserved"],
        ["inventory.reserved", "order.reserved"],
        ["order.reserved", "payment.requested"],
        ["payment.requested", "payment.authorized"],
        ["payment.authorized", "inventory.allocated"],
        ["inventory.allocated", "payment.captured"],
        ["payment.captured", "order.confirmed"],
    ] {
        assert!(place(pair[0]) < place(pair[1]), "{pair:?} in {steps:?}");
    }
    let sequences: Vec<_> = entries.iter().filter_map(|entry| entry["sequence"].as_u64()).collect();
    let gapless: Vec<_> = (1..).take(entries.len()).collect();
    assert_eq!(sequences, gapless);
    server.finish();
}

#[tokio::test]
async fn who_waits_is_answered_with_the_outcome_at_once() {
    let server = Server::start().await;
    let begun = Instant::now();
    let call = server.post("/api/v1/orders", &lines(&[("item1", 1), ("item2", 1)]));
    let answer = call.header("prefer", "wait=5").send().await;
    let order = answer.is(200);
    assert_eq!(order["status"], "confirmed");
    assert_eq!(answer.header("preference-applied"), "wait=5");
    assert!(begun.elapsed().as_secs() < 3, "it took {:?}", begun.elapsed());
    server.finish();
}

#[tokio::test]
async fn who_waits_too_short_is_answered_with_the_order_as_it_stands() {
    let server = Server::configured("[payment]\nsimulated_slow_ms = 3000\n").await;
    let body = it::with_token(lines(&[("item1", 1)]), "slow");
    let call = server.post("/api/v1/orders", &body).header("prefer", "wait=1");
    let order = call.send().await.is(202);
    let id = text(&order, "orderId");
    let later = server.get(&format!("/api/v1/orders/{id}")).wait().send().await.is(200);
    assert_eq!(later["status"], "confirmed");
    server.finish();
}

#[tokio::test]
async fn a_new_price_is_for_new_orders_only() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "10.00", 10_000).await;
    let before = shop.settled(&lines(&[("lamp", 1)])).await;
    let change = json!({"name": "Lamp", "price": {"amount": "12.34", "currency": "USD"}});
    let call = server.put("/api/v1/products/lamp", &change).header("if-match", "*");
    assert_eq!(call.send().await.is(200)["price"]["amount"], "12.34");

    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let after = shop.settled(&lines(&[("lamp", 1)])).await;
        if after["total"]["amount"] == "12.34" {
            break;
        }
        // In another process the catalog is heard a moment later.
        assert!(is_distributed() && Instant::now() < deadline, "{after}");
        assert_eq!(after["total"]["amount"], "10.00");
    }
    let old = shop.order(&text(&before, "orderId")).await;
    assert_eq!(old["total"]["amount"], "10.00");
    server.finish();
}

#[tokio::test]
async fn a_total_is_an_assertion_that_must_be_exact() {
    let server = Server::start().await;
    let mut body = lines(&[("item1", 1), ("item2", 1)]);
    body["total"] = json!({"amount": "2599.98", "currency": "USD"});
    let refused = server.post("/api/v1/orders", &body).send().await;
    let problem = refused.refuses(422, "total-mismatch");
    let shown = problem.to_string();
    assert!(shown.contains("2599.98") && shown.contains("2599.99"), "{problem}");

    let exact = r#"{"customerId":"OMS-Cust-001","lines":[{"sku":"item1","quantity":1},
        {"sku":"item2","quantity":1}],"total":{"amount":2599.99,"currency":"USD"}}"#;
    let call = server.http().call(http::Method::POST, "/api/v1/orders");
    let call = call.header("content-type", "application/json").bytes(exact).wait();
    assert_eq!(call.send().await.is(200)["status"], "confirmed");
    server.finish();
}

#[tokio::test]
async fn the_customer_is_told_once_about_each_step() {
    let server = Server::start().await;
    let shop = server.shop();
    let order = shop.settled(&lines(&[("item1", 1)])).await;
    let id = text(&order, "orderId");
    shop.ask(&id, "shipments", &json!({})).await.is(201);
    shop.order_in(&id, "completed").await;

    let told = async || {
        let rows = shop.all("/api/v1/notifications").await;
        let rows = rows.iter().filter(|row| row["orderId"] == id.as_str());
        rows.map(|row| {
            [&row["eventType"], &row["recipient"], &row["channel"]].map(Value::to_string)
        })
        .collect::<Vec<_>>()
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    let rows = loop {
        let rows = told().await;
        let about = |kind: &str| rows.iter().any(|row| row[0].contains(kind));
        // Whom a shipment goes to is looked up once its message is on record.
        let addressed = rows.iter().all(|row| row[1].contains("OMS-Cust-001"));
        if about("order.confirmed") && about("order.completed") && addressed {
            break rows;
        }
        assert!(Instant::now() < deadline, "only {rows:?}");
        tokio::task::yield_now().await;
    };
    let mut distinct = rows.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), rows.len(), "told twice: {rows:?}");
    server.finish();
}

#[tokio::test]
async fn the_state_machine_is_served_as_data() {
    let server = Server::start().await;
    let table = server.get("/api/v1/orders/transitions").send().await.is(200);
    let rows = table["transitions"].as_array().cloned().unwrap_or_default();
    let has = |from: &str, to: &str| rows.iter().any(|row| row["from"] == from && row["to"] == to);
    for (from, to) in [
        ("placed", "reserved"),
        ("placed", "rejected"),
        ("placed", "expired"),
        ("reserved", "paying"),
        ("paying", "confirmed"),
        ("confirmed", "fulfilling"),
        ("fulfilling", "completed"),
        ("cancelling", "cancelled"),
    ] {
        assert!(has(from, to), "no move from {from} to {to}");
    }
    for last in ["completed", "rejected", "cancelled", "expired"] {
        let leaves = rows.iter().any(|row| row["from"] == last && row["to"] != last);
        assert!(!leaves, "{last} is left");
    }
    server.finish();
}

#[tokio::test]
async fn the_summary_counts_every_state_and_nothing_is_overdue() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("few", "1.00", 1).await;
    for sku in ["item1", "item2", "few", "few"] {
        shop.settled(&lines(&[(sku, 1)])).await;
    }
    let summary = server.get("/api/v1/orders/summary").send().await.is(200);
    let counts = summary["counts"].as_array().cloned().unwrap_or_default();
    let count = |status: &str| {
        let row = counts.iter().find(|row| row["status"] == status);
        row.unwrap_or_else(|| panic!("no {status} in {summary}"))["count"].clone()
    };
    assert_eq!([count("confirmed"), count("rejected"), count("expired")], [3, 1, 0]);
    assert_eq!(summary["overdue"], 0);
    assert_eq!(summary["needingAttention"], 0);
    server.finish();
}

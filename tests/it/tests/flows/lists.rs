//! Lists: every page, every filter, each item exactly once.

use std::collections::BTreeSet;

use it::{Random, Server, Shop, line, text, with_token};
use serde_json::{Value, json};

const ORDERS: usize = 500;
const SKUS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
const CUSTOMERS: [&str; 3] = ["ann", "bob", "eve"];

fn ids(orders: &[Value]) -> Vec<String> {
    orders.iter().map(|order| text(order, "orderId")).collect()
}

/// Places orders of several kinds and gives them as they ended, in the sequence of their numbers.
async fn placed(server: &Server) -> Vec<Value> {
    let shop = server.shop();
    for sku in SKUS {
        shop.product(sku, "3.00", 100_000).await;
    }
    for customer in CUSTOMERS {
        shop.customer(customer, "").await;
    }
    let mut random = Random::from_environment();
    let mut upload = String::new();
    for number in 0..ORDERS {
        let mut order = json!({
            "customerId": random.one_of(&CUSTOMERS),
            "channel": random.one_of(&["web", "shop"]),
            "lines": [line(random.one_of(&SKUS), 1), line(random.one_of(&SKUS), 2)],
        });
        if number % 10 == 0 {
            order["lines"][0]["quantity"] = json!(900_000);
        } else if number % 10 == 1 {
            order = with_token(order, "decline");
        }
        upload.push_str(&order.to_string());
        upload.push('\n');
    }
    let call = server.http().call(http::Method::POST, "/api/v1/orders:batch");
    let answer = call.header("content-type", "application/x-ndjson").bytes(upload).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut orders = Vec::with_capacity(ORDERS);
    for verdict in answer.text().lines() {
        let verdict: Value = serde_json::from_str(verdict).expect("a verdict is JSON");
        assert_eq!(verdict["status"], 202, "{verdict}");
        let id = text(&verdict, "orderId");
        let ended = |order: &Value| {
            ["confirmed", "rejected", "cancelled"].iter().any(|end| order["status"] == *end)
        };
        orders.push(shop.order_when(&id, "its end", ended).await);
    }
    assert_eq!(orders.len(), ORDERS);
    orders
}

async fn listed(shop: &Shop, filter: &str) -> Vec<String> {
    ids(&shop.all(&format!("/api/v1/orders?{filter}")).await)
}

#[tokio::test]
async fn every_filter_gives_exactly_the_orders_that_match_page_by_page() {
    let server = Server::start().await;
    let shop = server.shop();
    let orders = placed(&server).await;
    let newest: Vec<_> = orders.iter().rev().cloned().collect();
    let of = |matches: &dyn Fn(&Value) -> bool| {
        ids(&newest.iter().filter(|order| matches(order)).cloned().collect::<Vec<_>>())
    };
    let has_sku = |order: &Value, wanted: &str| {
        order["lines"]
            .as_array()
            .is_some_and(|lines| lines.iter().any(|line| line["sku"] == wanted))
    };

    assert_eq!(listed(&shop, "limit=7").await, ids(&newest), "newest first, in pages of 7");
    assert_eq!(listed(&shop, "limit=200&sort=oldest").await, ids(&orders), "oldest first");
    for status in ["confirmed", "rejected", "cancelled", "completed", "placed"] {
        let expected = of(&|order| order["status"] == status);
        assert_eq!(listed(&shop, &format!("status={status}&limit=11")).await, expected, "{status}");
    }
    let both = of(&|order| order["status"] == "rejected" || order["status"] == "cancelled");
    assert_eq!(listed(&shop, "status=rejected,cancelled&limit=9").await, both);
    assert_eq!(listed(&shop, "status=rejected&status=cancelled&limit=9").await, both);
    for customer in CUSTOMERS {
        let expected = of(&|order| order["customerId"] == customer);
        assert_eq!(listed(&shop, &format!("customer={customer}&limit=13")).await, expected);
    }
    for sku in SKUS {
        let expected = of(&|order| has_sku(order, sku));
        assert_eq!(listed(&shop, &format!("sku={sku}&limit=17")).await, expected, "{sku}");
    }
    for channel in ["web", "shop", "nowhere"] {
        let expected = of(&|order| order["channel"] == channel);
        assert_eq!(listed(&shop, &format!("channel={channel}&limit=19")).await, expected);
    }
    let several = of(&|order| {
        order["customerId"] == "ann" && has_sku(order, "beta") && order["status"] == "confirmed"
    });
    assert!(!several.is_empty());
    assert_eq!(listed(&shop, "customer=ann&sku=beta&status=confirmed&limit=3").await, several);
    assert!(listed(&shop, "customer=nobody").await.is_empty());
    assert!(listed(&shop, "sku=nothing").await.is_empty());
    server.finish();
}

#[tokio::test]
async fn orders_are_found_by_time_and_by_the_beginning_of_what_they_are_called() {
    let server = Server::start().await;
    let shop = server.shop();
    let orders = placed(&server).await;
    let newest: Vec<_> = orders.iter().rev().cloned().collect();
    let from = text(&orders[100], "placedAt");
    let to = text(&orders[300], "placedAt");
    let within: Vec<_> = newest
        .iter()
        .filter(|order| (from.as_str()..to.as_str()).contains(&text(order, "placedAt").as_str()))
        .cloned()
        .collect();
    assert_eq!(listed(&shop, &format!("from={from}&to={to}&limit=23")).await, ids(&within));

    let one = &orders[250];
    let id = text(one, "orderId");
    assert_eq!(listed(&shop, &format!("q={id}")).await, [id.as_str()]);
    let number = it::number(one, "number");
    let found = listed(&shop, &format!("q={number}")).await;
    assert!(found.contains(&id), "number {number} finds {found:?}");
    let by_customer: Vec<_> =
        newest.iter().filter(|order| order["customerId"] == "eve").cloned().collect();
    assert_eq!(listed(&shop, "q=eve&limit=29").await, ids(&by_customer));
    let by_sku: BTreeSet<_> = listed(&shop, "q=gamm&limit=31").await.into_iter().collect();
    let expected: BTreeSet<_> = listed(&shop, "sku=gamma&limit=200").await.into_iter().collect();
    assert_eq!(by_sku, expected);
    server.finish();
}

#[tokio::test]
async fn a_walk_over_a_growing_list_misses_nothing_and_repeats_nothing() {
    let server = Server::start().await;
    let shop = server.shop();
    let mut before = Vec::new();
    for _ in 0..30 {
        before.push(shop.placed(&it::lines(&[("item1", 1)])).await);
    }
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/orders?limit=4&cursor={next}");
        let answer = server.get(&path).send().await;
        let page = answer.is(200);
        seen.extend(ids(page["items"].as_array().map_or(&[], Vec::as_slice)));
        shop.placed(&it::lines(&[("item2", 1)])).await;
        let Some(cursor) = page["next"].as_str() else { break };
        assert!(answer.header("link").contains("rel=\"next\""), "{:?}", answer.headers);
        cursor.clone_into(&mut next);
    }
    before.reverse();
    assert_eq!(seen, before, "newest first: what came later is before the first page");
    server.finish();
}

#[tokio::test]
async fn products_customers_stock_and_journal_are_listed_page_by_page() {
    let server = Server::start_with(it::Options::default()).await;
    let shop = server.shop();
    let skus: Vec<String> = (0..40).map(|number| format!("sku-{number:02}")).collect();
    for (number, sku) in skus.iter().enumerate() {
        shop.product(sku, "2.50", if number < 10 { 0 } else { 5 }).await;
        shop.customer(&format!("customer-{number:02}"), "").await;
    }
    let names = async |path: &str, name: &str| {
        let items = shop.all(path).await;
        items.iter().map(|item| text(item, name)).collect::<Vec<_>>()
    };
    assert_eq!(names("/api/v1/products?limit=7", "sku").await, skus);
    let mut reversed = skus.clone();
    reversed.reverse();
    assert_eq!(names("/api/v1/products?limit=7&sort=-sku", "sku").await, reversed);
    assert_eq!(names("/api/v1/products?prefix=sku-1&limit=3", "sku").await, skus[10..20]);
    assert_eq!(names("/api/v1/products?q=PRODUCT%20sku-2&limit=3", "sku").await, skus[20..30]);
    assert_eq!(names("/api/v1/stock?limit=7", "sku").await, skus[10..]);
    assert_eq!(names("/api/v1/stock?prefix=sku-3&limit=7", "sku").await, skus[30..]);
    let customers = names("/api/v1/customers?limit=7", "customerId").await;
    assert_eq!((customers.len(), customers[0].as_str()), (40, "customer-00"));

    for _ in 0..20 {
        shop.receive("sku-39", 1).await;
    }
    let entries = shop.all("/api/v1/stock/sku-39/journal?sort=oldest&limit=6").await;
    let sequences: Vec<_> = entries.iter().map(|entry| it::number(entry, "sequence")).collect();
    assert_eq!(sequences, (1..=21).collect::<Vec<_>>());
    server.finish();
}

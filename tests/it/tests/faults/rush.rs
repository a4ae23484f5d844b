//! More orders than units.

use it::{Options, Server, number, program, text};

#[tokio::test]
async fn ten_thousand_orders_for_a_hundred_units_sell_exactly_a_hundred() {
    let server = Server::start_with(Options::default()).await;
    let arguments = "--mix flash --stock 100 --orders 10000 --connections 256";
    let arguments: Vec<_> = arguments.split(' ').collect();
    let report = program::load(server.url(), &arguments).await;
    println!("{report}");
    assert_eq!(number(&report, "accepted"), 10_000);
    assert_eq!(number(&report, "confirmed"), 100);
    assert_eq!(number(&report, "rejected"), 9_900);
    assert_eq!(number(&report, "failed"), 0);

    let shop = server.shop();
    let levels = shop.all("/api/v1/stock?limit=200").await;
    let sold: Vec<_> = levels.iter().filter(|level| number(level, "allocated") > 0).collect();
    let [level] = sold.as_slice() else { panic!("one SKU is sold: {levels:?}") };
    let sku = text(level, "sku");
    assert_eq!(shop.stock(&sku).await, [100, 0, 100, 0]);
    let summary = server.get("/api/v1/orders/summary").send().await.is(200);
    let count = |status: &str| {
        let rows = summary["counts"].as_array().cloned().unwrap_or_default();
        rows.iter().find(|row| row["status"] == status).map(|row| number(row, "count"))
    };
    assert_eq!((count("confirmed"), count("rejected")), (Some(100), Some(9_900)));
    server.finish();
}

#[tokio::test]
async fn a_bulk_load_is_confirmed_to_the_last_order() {
    let server = Server::start_with(Options::default()).await;
    let arguments = "--mode bulk --orders 20000 --connections 4 --skus 500";
    let arguments: Vec<_> = arguments.split(' ').collect();
    let report = program::load(server.url(), &arguments).await;
    println!("{report}");
    assert_eq!(number(&report, "accepted"), 20_000);
    assert_eq!(number(&report, "confirmed"), 20_000);
    server.finish();
}

#[tokio::test]
async fn a_load_over_grpc_is_confirmed_to_the_last_order() {
    let server = Server::start_with(Options::default()).await;
    let arguments = "--mode grpc --orders 2000 --connections 16 --skus 100";
    let arguments: Vec<_> = arguments.split(' ').collect();
    let report = program::load(server.url(), &arguments).await;
    println!("{report}");
    assert_eq!(number(&report, "confirmed"), 2_000);
    server.finish();
}

#[tokio::test]
async fn an_overload_is_answered_with_503_and_when_to_come_back() {
    let config = "[edge]\nrequests_in_flight_max = 4\n[payment]\nsimulated_slow_ms = 1500\n";
    let server = Server::configured(config).await;
    let body = it::with_token(it::lines(&[("item1", 1)]), "slow");
    let calls = (0..40).map(|_| server.post("/api/v1/orders", &body).wait().send());
    let answers = futures::future::join_all(calls).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(!refused.is_empty(), "40 requests at once in 4 places");
    for answer in &refused {
        answer.refuses(503, "overloaded");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(server.get("/livez").send().await.status, 200, "probes get through");
    let stored = server.shop().all("/api/v1/orders").await.len();
    assert_eq!(stored, answers.len() - refused.len());
    for answer in answers.iter().filter(|answer| answer.status != 503) {
        let id = text(&answer.json(), "orderId");
        server.shop().order_in(&id, "confirmed").await;
    }
    server.finish();
}

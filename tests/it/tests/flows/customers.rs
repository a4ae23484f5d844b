//! Customers: who may order, and for how much.

use it::{Server, Shop, lines, text};
use serde_json::{Value, json};

async fn order_of(shop: &Shop, customer: &str, units: &[(&str, i64)]) -> Value {
    let mut body = lines(units);
    body["customerId"] = json!(customer);
    shop.settled(&body).await
}

#[tokio::test]
async fn a_blocked_customer_is_rejected_and_an_unblocked_one_is_not() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    shop.customer("ada", "").await;
    let block = json!({"reason": "unpaid bills"});
    let blocked = server.post("/api/v1/customers/ada/block", &block).send().await.is(200);
    assert_eq!(
        (&blocked["blocked"], &blocked["blockReason"]),
        (&json!(true), &json!("unpaid bills"))
    );
    let order = order_of(&shop, "ada", &[("lamp", 1)]).await;
    assert_eq!(order["status"], "rejected");
    assert_eq!(order["reason"]["code"], "customer_blocked");
    shop.stock_is("lamp", [10, 0, 0, 10]).await;

    server.post("/api/v1/customers/ada/unblock", &json!({})).send().await.is(200);
    assert_eq!(order_of(&shop, "ada", &[("lamp", 1)]).await["status"], "confirmed");
    server.finish();
}

#[tokio::test]
async fn the_order_of_an_unknown_customer_is_stored_and_rejected() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 10).await;
    let mut body = lines(&[("lamp", 1)]);
    body["customerId"] = json!("nobody");
    let id = shop.placed(&body).await;
    let order = shop.order_in(&id, "rejected").await;
    assert_eq!(order["reason"]["code"], "unknown_customer");
    let listed = shop.all("/api/v1/orders?customer=nobody").await;
    assert_eq!(listed.len(), 1);
    shop.stock_is("lamp", [10, 0, 0, 10]).await;
    server.finish();
}

#[tokio::test]
async fn open_orders_together_stay_within_the_credit_limit() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "10.00", 100).await;
    shop.customer("ada", "100.00").await;
    let on_terms = |units: i64| {
        let mut body = lines(&[("lamp", units)]);
        body["customerId"] = json!("ada");
        body["payment"] = json!({"method": "terms"});
        body
    };
    let first = shop.settled(&on_terms(6)).await;
    assert_eq!(first["status"], "confirmed");
    let customer = server.get("/api/v1/customers/ada").send().await.is(200);
    assert_eq!(customer["creditReserved"]["amount"], "60.00");
    let second = shop.settled(&on_terms(5)).await;
    assert_eq!(second["status"], "rejected");
    assert_eq!(second["reason"]["code"], "credit_exceeded");
    assert_eq!(shop.settled(&on_terms(4)).await["status"], "confirmed");

    let first = text(&first, "orderId");
    shop.cancel(&first).await.is(200);
    shop.order_in(&first, "cancelled").await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let customer = server.get("/api/v1/customers/ada").send().await.is(200);
        if customer["creditReserved"]["amount"] == "40.00" {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "credit is not given back: {customer}");
    }
    assert_eq!(shop.settled(&on_terms(6)).await["status"], "confirmed");
    server.finish();
}

#[tokio::test]
async fn many_orders_at_once_never_exceed_the_credit_limit() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "10.00", 1_000).await;
    shop.customer("ada", "100.00").await;
    let orders = (0..40).map(|_| {
        let mut body = lines(&[("lamp", 1)]);
        body["customerId"] = json!("ada");
        body["payment"] = json!({"method": "terms"});
        let shop = shop.clone();
        async move { shop.settled(&body).await }
    });
    let orders = futures::future::join_all(orders).await;
    let confirmed = orders.iter().filter(|order| order["status"] == "confirmed").count();
    assert_eq!(confirmed, 10);
    shop.stock_is("lamp", [1_000, 0, 10, 990]).await;
    server.finish();
}

#[tokio::test]
async fn an_erased_customer_leaves_the_orders_and_no_personal_data() {
    let server = Server::start().await;
    let shop = server.shop();
    let body = json!({"customerId": "ada", "name": "Ada Byron", "email": "ada@example.com",
        "addresses": [{"label": "home", "recipient": "Ada Byron", "lines": ["12 St James's Square"],
        "city": "London", "postalCode": "SW1Y 4JH", "country": "GB"}]});
    let made = server.post("/api/v1/customers", &body).send().await.is(201);
    assert_eq!(made["addresses"][0]["city"], "London");
    let order = order_of(&shop, "ada", &[("item1", 1)]).await;
    let erased = server.http().call(http::Method::DELETE, "/api/v1/customers/ada");
    erased.header("if-match", "*").send().await.is(200);
    let customer = server.get("/api/v1/customers/ada").send().await;
    assert!(!customer.text().contains("Byron"), "{}", customer.text());
    assert!(!customer.text().contains("example.com"), "{}", customer.text());
    assert!(customer.is(200)["erasedAt"].is_string());
    let kept = shop.order(&text(&order, "orderId")).await;
    assert_eq!(kept["customerId"], "ada");
    server.post("/api/v1/customers", &body).send().await.refuses(409, "already-exists");
    server.finish();
}

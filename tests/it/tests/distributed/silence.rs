//! A service that says nothing: its process is gone while an order waits for it. The order waits in a
//! state of its own, can be cancelled there, and ends by its deadline; when the service is back it hears
//! everything late, and keeps nothing.

use it::{Options, Server, Shop, lines, text};
use serde_json::json;

/// Orders wait for long, so that a test can look at them.
const PATIENT: &str = "[order]\ncheck_again_s = 1\nchecks_s = 300\n";
/// Orders wait for a moment.
const SHORT: &str = "[order]\ncheck_again_s = 1\nchecks_s = 2\npaying_s = 2\n";

async fn count(shop: &Shop, id: &str, step: &str) -> usize {
    shop.steps(id).await.iter().filter(|found| *found == step).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_cancelled_while_the_service_that_it_waits_for_is_away() {
    let mut server = Server::start_with(Options::demo().distributed().config(PATIENT)).await;
    let shop = server.shop();
    // What has no answer yet, and the state in which the order waits for it.
    for (service, state) in
        [("inventory", "placed"), ("customer", "placed"), ("payment", "reserved")]
    {
        let sku = format!("without-{service}");
        shop.product(&sku, "5.00", 3).await;
        server.kill(service);
        let id = shop.placed(&lines(&[(&sku, 2)])).await;
        shop.order_in(&id, state).await;
        if service == "customer" {
            shop.stock_is(&sku, [3, 2, 0, 1]).await;
        }
        let order = shop.cancel(&id).await.is(200);
        assert_eq!(order["status"], "cancelling", "{service}: {order:#}");
        server.revive(service).await;
        let order = shop.order_in(&id, "cancelled").await;
        assert_eq!(order["reason"]["code"], "requested", "{service}: {order:#}");
        assert!(["none", "voided"].iter().any(|one| order["paymentStatus"] == *one), "{order:#}");
        shop.stock_is(&sku, [3, 0, 0, 3]).await;
        assert_eq!(count(&shop, &id, "order.cancelled").await, 1, "{service}");
    }
    server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_checks_stay_silent_expires_and_what_is_heard_late_keeps_nothing() {
    let mut server = Server::start_with(Options::demo().distributed().config(SHORT)).await;
    let shop = server.shop();
    for service in ["customer", "inventory"] {
        let sku = format!("without-{service}");
        shop.product(&sku, "5.00", 3).await;
        server.kill(service);
        let id = shop.placed(&lines(&[(&sku, 2)])).await;
        let order = shop.order_in(&id, "expired").await;
        assert_eq!(order["reason"]["code"], "checks_timed_out", "{service}: {order:#}");
        assert_eq!(order["nextActions"], json!([]), "{order:#}");
        assert_eq!(order["lines"][0]["cancelled"], 2, "{order:#}");
        assert!(count(&shop, &id, "order.check_requested").await >= 1, "{service} is asked again");
        server.revive(service).await;
        // An order that comes after it shows that everything before was heard.
        let next = text(&shop.settled(&lines(&[(&sku, 1)])).await, "orderId");
        shop.order_in(&next, "confirmed").await;
        shop.stock_is(&sku, [3, 0, 1, 2]).await;
        let order = shop.order(&id).await;
        assert_eq!(
            (&order["status"], &order["paymentStatus"]),
            (&json!("expired"), &json!("none"))
        );
        assert_eq!(count(&shop, &id, "order.expired").await, 1, "{service}");
        shop.cancel(&id).await.refuses(409, "illegal-transition");
    }
    server.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_nobody_takes_up_in_time_is_not_taken_when_the_service_is_back() {
    let mut server = Server::start_with(Options::demo().distributed().config(SHORT)).await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 3).await;
    server.kill("payment");
    let id = shop.placed(&lines(&[("lamp", 2)])).await;
    let order = shop.order_in(&id, "cancelling").await;
    assert_eq!(order["reason"]["code"], "payment_timed_out", "{order:#}");
    // The stock is free at once; whether there is money only the service can say.
    shop.stock_is("lamp", [3, 0, 0, 3]).await;
    server.revive("payment").await;
    let order = shop.order_in(&id, "cancelled").await;
    assert!(["none", "voided"].iter().any(|one| order["paymentStatus"] == *one), "{order:#}");
    let payment = shop.payment(&id).await;
    assert_eq!(payment["captured"]["amount"], "0.00", "{payment:#}");
    server.finish();
}

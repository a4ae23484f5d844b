//! Less in stock than ordered: what each policy does.

use it::{Server, lines, text};
use serde_json::{Value, json};

fn policy(policy: &str, units: &[(&str, i64)]) -> Value {
    let mut body = lines(units);
    body["policy"] = json!(policy);
    body
}

/// Where the units of a line are: allocated, backordered, cancelled, shipped.
fn units(order: &Value, line: usize) -> [i64; 4] {
    ["allocated", "backordered", "cancelled", "shipped"]
        .map(|name| it::number(&order["lines"][line], name))
}

#[tokio::test]
async fn reject_refuses_the_whole_order_and_touches_nothing() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 3).await;
    shop.product("desk", "50.00", 9).await;
    let order = shop.settled(&lines(&[("desk", 1), ("lamp", 4)])).await;
    assert_eq!(order["status"], "rejected");
    assert_eq!(order["reason"]["code"], "insufficient_stock");
    assert_eq!(order["policy"], "reject");
    shop.stock_is("lamp", [3, 0, 0, 3]).await;
    shop.stock_is("desk", [9, 0, 0, 9]).await;
    assert_eq!(order["nextActions"], json!([]));
    server.finish();
}

#[tokio::test]
async fn allow_partial_drops_the_rest_and_charges_for_what_is_left() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 3).await;
    let order = shop.settled(&policy("allow_partial", &[("lamp", 5)])).await;
    assert_eq!(order["status"], "confirmed");
    assert_eq!(units(&order, 0), [3, 0, 2, 0]);
    assert_eq!(order["lines"][0]["quantity"], 5);
    assert_eq!(order["total"]["amount"], "15.00");
    let id = text(&order, "orderId");
    assert_eq!(shop.payment(&id).await["captured"]["amount"], "15.00");
    assert!(shop.steps(&id).await.iter().any(|step| step == "order.adjusted"));
    shop.stock_is("lamp", [3, 0, 3, 0]).await;

    let nothing = shop.settled(&policy("allow_partial", &[("lamp", 1)])).await;
    assert_eq!(nothing["status"], "rejected");
    server.finish();
}

#[tokio::test]
async fn backorder_holds_what_is_there_and_the_rest_comes_first_in_first_out() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 3).await;
    let first = shop.settled(&policy("backorder", &[("lamp", 5)])).await;
    assert_eq!(first["status"], "confirmed");
    assert_eq!(first["fulfillmentStatus"], "backorder");
    assert_eq!(units(&first, 0), [3, 2, 0, 0]);
    let second = shop.settled(&policy("backorder", &[("lamp", 2)])).await;
    assert_eq!(units(&second, 0), [0, 2, 0, 0]);
    let (first, second) = (text(&first, "orderId"), text(&second, "orderId"));

    shop.receive("lamp", 3).await;
    let filled = |order: &Value| units(order, 0) == [5, 0, 0, 0];
    shop.order_when(&first, "all units", filled).await;
    shop.order_when(&second, "one unit", |order| units(order, 0) == [1, 1, 0, 0]).await;
    shop.stock_is("lamp", [6, 0, 6, 0]).await;

    shop.ask(&first, "shipments", &json!({})).await.is(201);
    shop.order_in(&first, "completed").await;
    shop.receive("lamp", 10).await;
    shop.order_when(&second, "both units", |order| units(order, 0) == [2, 0, 0, 0]).await;
    shop.ask(&second, "shipments", &json!({})).await.is(201);
    shop.order_in(&second, "completed").await;
    shop.stock_is("lamp", [9, 0, 0, 9]).await;
    server.finish();
}

#[tokio::test]
async fn units_that_come_free_go_to_who_waits_for_them() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 2).await;
    let owner = text(&shop.settled(&lines(&[("lamp", 2)])).await, "orderId");
    let waiting = shop.settled(&policy("backorder", &[("lamp", 1)])).await;
    let waiting = text(&waiting, "orderId");
    shop.cancel(&owner).await.is(200);
    shop.order_when(&waiting, "its unit", |order| units(order, 0) == [1, 0, 0, 0]).await;
    shop.stock_is("lamp", [2, 0, 1, 1]).await;
    server.finish();
}

async fn asked(shop: &it::Shop, sku: &str) -> String {
    shop.product(sku, "5.00", 3).await;
    let order = shop.settled(&policy("ask", &[(sku, 5)])).await;
    assert_eq!(order["status"], "awaiting_decision", "{order}");
    let actions = order["nextActions"].to_string();
    for action in ["accept", "amend", "cancel"] {
        assert!(actions.contains(action), "no {action} in {actions}");
    }
    text(&order, "orderId")
}

#[tokio::test]
async fn ask_waits_and_accept_goes_on_with_what_there_is() {
    let server = Server::start().await;
    let shop = server.shop();
    let id = asked(&shop, "lamp").await;
    shop.ask(&id, "decision", &json!({"action": "accept"})).await.is(200);
    let order = shop.order_in(&id, "confirmed").await;
    assert_eq!(units(&order, 0), [3, 0, 2, 0]);
    assert_eq!(order["total"]["amount"], "15.00");
    shop.stock_is("lamp", [3, 0, 3, 0]).await;
    let again = shop.ask(&id, "decision", &json!({"action": "accept"})).await;
    again.refuses(409, "illegal-transition");
    server.finish();
}

#[tokio::test]
async fn ask_waits_and_amend_goes_on_with_other_quantities() {
    let server = Server::start().await;
    let shop = server.shop();
    let id = asked(&shop, "lamp").await;
    let too_many = json!({"action": "amend", "lines": [{"line": 1, "quantity": 4}]});
    let refused = shop.ask(&id, "decision", &too_many).await;
    assert!(matches!(refused.status, 409 | 422), "{}", refused.text());
    let two = json!({"action": "amend", "lines": [{"line": 1, "quantity": 2}]});
    shop.ask(&id, "decision", &two).await.is(200);
    let order = shop.order_in(&id, "confirmed").await;
    assert_eq!(units(&order, 0), [2, 0, 3, 0]);
    assert_eq!(order["total"]["amount"], "10.00");
    shop.stock_is("lamp", [3, 0, 2, 1]).await;
    server.finish();
}

#[tokio::test]
async fn ask_waits_and_cancel_gives_everything_back() {
    let server = Server::start().await;
    let shop = server.shop();
    let id = asked(&shop, "lamp").await;
    shop.stock_is("lamp", [3, 3, 0, 0]).await;
    let without_reason = shop.ask(&id, "decision", &json!({"action": "cancel"})).await;
    assert_eq!(without_reason.status, 422, "{}", without_reason.text());
    let cancel = json!({"action": "cancel", "reason": "all or nothing"});
    shop.ask(&id, "decision", &cancel).await.is(200);
    shop.order_in(&id, "cancelled").await;
    shop.stock_is("lamp", [3, 0, 0, 3]).await;
    server.finish();
}

#[tokio::test]
async fn a_decision_that_nobody_takes_cancels_the_order() {
    let server = Server::configured("[order]\ndecision_s = 1\n").await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 3).await;
    let id = shop.placed(&policy("ask", &[("lamp", 5)])).await;
    let order = shop.order_in(&id, "cancelled").await;
    assert_eq!(order["reason"]["code"], "decision_timed_out");
    shop.stock_is("lamp", [3, 0, 0, 3]).await;
    server.finish();
}

#[tokio::test]
async fn a_sku_on_two_lines_is_summed_before_the_check() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 3).await;
    let too_many = shop.settled(&lines(&[("lamp", 2), ("lamp", 2)])).await;
    assert_eq!(too_many["status"], "rejected");
    shop.stock_is("lamp", [3, 0, 0, 3]).await;

    let order = shop.settled(&lines(&[("lamp", 2), ("lamp", 1)])).await;
    assert_eq!(order["status"], "confirmed");
    assert_eq!(order["total"]["amount"], "15.00");
    assert_eq!((units(&order, 0), units(&order, 1)), ([2, 0, 0, 0], [1, 0, 0, 0]));
    shop.stock_is("lamp", [3, 0, 3, 0]).await;
    let (kinds, _) = shop.journal("lamp").await;
    assert_eq!(kinds, ["receive", "hold", "allocate"], "one command, one entry");
    server.finish();
}

#[tokio::test]
async fn a_line_may_have_a_policy_of_its_own() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 1).await;
    shop.product("desk", "50.00", 5).await;
    let mut body = lines(&[("desk", 1), ("lamp", 3)]);
    body["lines"][1]["policy"] = json!("backorder");
    let order = shop.settled(&body).await;
    assert_eq!(order["status"], "confirmed");
    assert_eq!((units(&order, 0), units(&order, 1)), ([1, 0, 0, 0], [1, 2, 0, 0]));
    body["lines"][1]["policy"] = json!("reject");
    assert_eq!(shop.settled(&body).await["status"], "rejected");
    server.finish();
}

//! A cancellation in each state that an order can be brought to from outside: what may be cancelled is,
//! with stock and money as they were; what may not is refused and stays as it is.

use it::{Answer, Server, Shop, lines, text, with_token};
use serde_json::{Value, json};

/// Units on the shelf before each case.
const UNITS: i64 = 10;
const CONFIG: &str = "[payment]\nsimulated_slow_ms = 1500\n";

/// What a cancellation must lead to.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Everything goes back, and the payment ends in one of these.
    Cancelled(&'static [&'static str]),
    /// The order stays as it is.
    Refused,
    /// It is done already: the same answer, and nothing happens.
    Already,
}

/// How an order comes to a state: the state, what is done to bring it there, how a cancellation ends.
const CASES: [(&str, &str, End); 12] = [
    ("awaiting_decision", "asked", End::Cancelled(&["none", "voided"])),
    ("paying", "slow", End::Cancelled(&["none", "voided"])),
    ("confirmed", "paid", End::Cancelled(&["refunded"])),
    ("confirmed", "on terms", End::Cancelled(&["voided"])),
    ("confirmed", "backordered", End::Cancelled(&["refunded"])),
    ("on_hold", "held while paying", End::Cancelled(&["none", "voided", "refunded"])),
    ("on_hold", "held when confirmed", End::Cancelled(&["refunded"])),
    ("on_hold", "held while asked", End::Cancelled(&["none", "voided"])),
    ("fulfilling", "partly dispatched", End::Refused),
    ("completed", "dispatched", End::Refused),
    ("rejected", "too many", End::Refused),
    ("cancelled", "declined", End::Already),
];

async fn held(shop: &Shop, id: &str) {
    shop.ask(id, "hold", &json!({"reason": "address to be checked"})).await.is(200);
}

/// What is ordered in a case.
fn body(sku: &str, how: &str) -> Value {
    let more = |policy: &str| {
        let mut body = lines(&[(sku, UNITS + 1)]);
        body["policy"] = json!(policy);
        body
    };
    let mut some = lines(&[(sku, 4)]);
    match how {
        "asked" | "held while asked" => more("ask"),
        "too many" => more("reject"),
        "backordered" => more("backorder"),
        "slow" | "held while paying" => with_token(some, "slow"),
        "declined" => with_token(some, "decline"),
        "on terms" => {
            some["payment"] = json!({"method": "terms"});
            some
        }
        _ => some,
    }
}

/// Brings an order of `sku` to where the case begins.
async fn brought(shop: &Shop, sku: &str, how: &str) -> String {
    let id = shop.placed(&body(sku, how)).await;
    let (held_in, leaving) = match how {
        "held while paying" => ("paying", None),
        "held while asked" => ("awaiting_decision", None),
        "held when confirmed" => ("confirmed", None),
        "partly dispatched" => ("", Some(json!({"lines": [{"line": 1, "quantity": 1}]}))),
        "dispatched" => ("", Some(json!({}))),
        _ => ("", None),
    };
    if !held_in.is_empty() {
        shop.order_in(&id, held_in).await;
        held(shop, &id).await;
    }
    if let Some(leaving) = leaving {
        shop.order_in(&id, "confirmed").await;
        shop.ask(&id, "shipments", &leaving).await.is(201);
    }
    id
}

/// Steps that must have happened as often as this, whatever a cancellation was sent how often.
async fn happened_once(shop: &Shop, id: &str, step: &str) {
    let steps = shop.steps(id).await;
    assert_eq!(steps.iter().filter(|found| *found == step).count(), 1, "{step}: {steps:?}");
}

async fn everything_is_back(shop: &Shop, sku: &str, id: &str, payments: &[&str]) {
    let order = shop.order_in(id, "cancelled").await;
    assert_eq!(order["reason"]["code"], "requested", "{order:#}");
    assert_eq!(order["nextActions"], json!([]), "{order:#}");
    let status = order["paymentStatus"].as_str().unwrap_or_default().to_owned();
    assert!(payments.contains(&status.as_str()), "{status} is none of {payments:?}");
    let line = &order["lines"][0];
    assert_eq!(line["cancelled"], line["quantity"], "{order:#}");
    shop.stock_is(sku, [UNITS, 0, 0, UNITS]).await;
    let payment = shop.payment(id).await;
    assert_eq!(payment["captured"], payment["refunded"], "{payment:#}");
    for step in ["order.cancelling", "order.cancelled"] {
        happened_once(shop, id, step).await;
    }
    // What comes in later is for others.
    shop.receive(sku, 1).await;
    shop.stock_is(sku, [UNITS + 1, 0, 0, UNITS + 1]).await;
}

async fn check(shop: &Shop, sku: &str, (state, how, end): (&str, &str, End)) {
    shop.product(sku, "5.00", UNITS).await;
    let id = brought(shop, sku, how).await;
    let before = shop.order_in(&id, state).await;
    let answer = shop.cancel(&id).await;
    match end {
        End::Cancelled(payments) => {
            let status = text(&answer.is(200), "status");
            assert!(["cancelling", "cancelled"].contains(&status.as_str()), "{how}: {status}");
            // Once more while it is being done, and after.
            shop.cancel(&id).await.is(200);
            everything_is_back(shop, sku, &id, payments).await;
            assert_eq!(shop.cancel(&id).await.is(200)["status"], "cancelled");
        }
        End::Refused => {
            let problem = answer.refuses(409, "illegal-transition");
            assert_eq!(problem["nextActions"], before["nextActions"], "{problem:#}");
            assert_eq!(shop.order(&id).await["status"], state);
        }
        End::Already => nothing_happens(shop, &id, &answer).await,
    }
}

async fn nothing_happens(shop: &Shop, id: &str, answer: &Answer) {
    assert_eq!(answer.is(200)["status"], "cancelled");
    happened_once(shop, id, "order.cancelled").await;
}

#[tokio::test]
async fn a_cancellation_in_each_state_ends_as_the_state_says() {
    let server = Server::configured(CONFIG).await;
    let shop = server.shop();
    let named = CASES.iter().zip(1..).map(|(case, number)| (*case, format!("sku{number}")));
    let named: Vec<_> = named.collect();
    futures::future::join_all(named.iter().map(|(case, sku)| check(&shop, sku, *case))).await;
    server.finish();
}

#[tokio::test]
async fn lines_of_a_partly_dispatched_order_can_be_given_up_and_the_rest_is_complete() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", UNITS).await;
    let id = brought(&shop, "lamp", "partly dispatched").await;
    shop.order_in(&id, "fulfilling").await;
    let rest = json!({"reason": "one is enough", "lines": [{"line": 1, "quantity": 3}]});
    shop.ask(&id, "cancel", &rest).await.is(200);
    let order = shop.order_in(&id, "completed").await;
    assert_eq!(
        (&order["lines"][0]["shipped"], &order["lines"][0]["cancelled"]),
        (&json!(1), &json!(3))
    );
    let back = |order: &Value| order["paymentStatus"] == "partially_refunded";
    shop.order_when(&id, "the refund", back).await;
    assert_eq!(shop.payment(&id).await["refunded"]["amount"], "15.00");
    shop.stock_is("lamp", [UNITS - 1, 0, 0, UNITS - 1]).await;
    server.finish();
}

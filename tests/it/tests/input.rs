//! Bad input: each of these requests is refused with a problem that names the fault, and none changes
//! anything.

use http::Method;
use it::{Server, Shop, lines, number};
use serde_json::{Value, json};

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const ORDERS: &str = "/api/v1/orders";
const NO_ORDER: &str = "/api/v1/orders/01890000-0000-7000-8000-000000000009";

/// A request that must be refused.
struct Bad {
    /// What is bad about it.
    what: String,
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// How it must be refused.
    status: u16,
    slug: &'static str,
    /// The field at fault, empty if it is the request as a whole.
    pointer: &'static str,
}

/// A body as it is sent.
struct Body(String);

impl From<&str> for Body {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Value> for Body {
    fn from(json: Value) -> Self {
        Self(json.to_string())
    }
}

impl Bad {
    fn new(what: &str, method: Method, path: &str, body: impl Into<Body>) -> Self {
        let headers = vec![("content-type", JSON.to_owned())];
        let (what, path, Body(body)) = (what.to_owned(), path.to_owned(), body.into());
        Self {
            what,
            method,
            path,
            headers,
            body,
            status: 422,
            slug: "invalid-request",
            pointer: "",
        }
    }

    /// An order as text that cannot be read.
    fn order(what: &str, body: impl Into<Body>) -> Self {
        Self::new(what, Method::POST, ORDERS, body).is(400, "malformed-request", "")
    }

    /// An order with one field replaced, which can be read but not accepted.
    fn field(what: &str, pointer: &'static str, value: Value) -> Self {
        let mut order = good();
        set(&mut order, pointer, value);
        Self::new(what, Method::POST, ORDERS, order).is(422, "invalid-request", pointer)
    }

    /// An order with one field replaced, which cannot be read.
    fn mistyped(what: &str, pointer: &'static str, value: Value) -> Self {
        Self::field(what, pointer, value).is(400, "malformed-request", pointer)
    }

    fn post(what: &str, path: &str, body: impl Into<Body>) -> Self {
        Self::new(what, Method::POST, path, body)
    }

    fn get(what: &str, path: &str) -> Self {
        Self::new(what, Method::GET, path, "").is(400, "malformed-request", "")
    }

    fn is(mut self, status: u16, slug: &'static str, pointer: &'static str) -> Self {
        (self.status, self.slug, self.pointer) = (status, slug, pointer);
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn bare(mut self) -> Self {
        self.headers.clear();
        self
    }
}

/// An order that could be confirmed.
fn good() -> Value {
    let mut order = lines(&[("lamp", 1), ("desk", 1)]);
    order["total"] = json!({"amount": "55.00", "currency": "USD"});
    order
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
    let parent = object.pointer_mut(parent).expect("the parent is there");
    match name.parse::<usize>() {
        Ok(index) => parent[index] = value,
        Err(_) => parent[name] = value,
    }
}

fn raw(number: &str) -> String {
    good().to_string().replacen("\"quantity\":1", &format!("\"quantity\":{number}"), 1)
}

fn broken() -> Vec<Bad> {
    let good = good().to_string();
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    vec![
        Bad::order("an empty body", ""),
        Bad::order("blanks", "  \n "),
        Bad::order("half a body", good.split_at(good.len() - 20).0),
        Bad::order("no JSON", "customerId=OMS-Cust-001"),
        Bad::order("two bodies", format!("{good}{good}")),
        Bad::order("a trailing comma", good.replace("}]", "},]")),
        Bad::order("an array", format!("[{good}]")),
        Bad::order("a text", "\"order\""),
        Bad::order("null", "null"),
        Bad::order("a number", "42"),
        Bad::order("a field twice", good.replacen('{', "{\"customerId\":\"a\",", 1)).is(
            400,
            "malformed-request",
            "/customerId",
        ),
        Bad::order("nesting that would break a stack", deep.split_at(200_000).0),
        Bad::order("deep nesting in a field", good.replace("\"desk\"", &"[".repeat(500))),
        Bad::order("a lone surrogate", good.replace("OMS-Cust-001", "\\ud800")),
        Bad::post("a body that is too large", ORDERS, good.replace("lamp", &"x".repeat(300_000)))
            .is(413, "body-too-large", ""),
        Bad::order("no content type", good.as_str()).bare().is(415, "unsupported-media-type", ""),
        Bad::order("another content type", good.as_str()).header("content-type", "text/plain").is(
            415,
            "unsupported-media-type",
            "",
        ),
        Bad::order("a form", "customerId=x")
            .header("content-type", "application/x-www-form-urlencoded")
            .is(415, "unsupported-media-type", ""),
        Bad::post("an upload of another type", "/api/v1/orders:batch", good.as_str()).is(
            415,
            "unsupported-media-type",
            "",
        ),
    ]
}

fn types() -> Vec<Bad> {
    vec![
        Bad::mistyped("a field that is not known", "/color", json!("red")),
        Bad::mistyped("a misspelt field", "/customerid", json!("OMS-Cust-001")),
        Bad::mistyped("a field of a line that is not known", "/lines/1/price", json!("1.00")),
        Bad::mistyped("a customer that is a number", "/customerId", json!(7)),
        Bad::mistyped("a customer that is null", "/customerId", Value::Null),
        Bad::mistyped("lines that are an object", "/lines", json!({})),
        Bad::mistyped("a line that is a text", "/lines/0", json!("lamp")),
        Bad::mistyped("a quantity in quotes", "/lines/0/quantity", json!("1")),
        Bad::mistyped("a quantity that is null", "/lines/1/quantity", Value::Null),
        Bad::mistyped("a fraction of a unit", "/lines/0/quantity", json!(1.5)),
        Bad::mistyped("a quantity that is a float", "/lines/0/quantity", json!(1.0)),
        Bad::mistyped("a quantity that is true", "/lines/0/quantity", json!(true)),
        Bad::mistyped("an unknown policy", "/policy", json!("maybe")),
        Bad::mistyped("an unknown policy of a line", "/lines/1/policy", json!("maybe")),
        Bad::mistyped("a total that is a number", "/total", json!(55)),
        Bad::mistyped("an amount that is null", "/total/amount", Value::Null),
        Bad::mistyped("an amount that is true", "/total/amount", json!(true)),
        Bad::mistyped("a currency that is a number", "/total/currency", json!(840)),
        Bad::mistyped("a payment that is a text", "/payment", json!("card")),
        Bad::mistyped(
            "a payment with a card number",
            "/payment",
            json!({"method": "x", "pan": "4"}),
        )
        .is(400, "malformed-request", "/payment/pan"),
        Bad::order("no customer", json!({"lines": [{"sku": "lamp", "quantity": 1}]})).is(
            400,
            "malformed-request",
            "/customerId",
        ),
        Bad::order("no lines", json!({"customerId": "OMS-Cust-001"})).is(
            400,
            "malformed-request",
            "/lines",
        ),
        Bad::order("no quantity", json!({"customerId": "a", "lines": [{"sku": "lamp"}]})).is(
            400,
            "malformed-request",
            "/lines/0/quantity",
        ),
        Bad::order("a quantity beyond all integers", raw("99999999999999999999")).is(
            400,
            "malformed-request",
            "/lines/0/quantity",
        ),
        Bad::order("a quantity in powers of ten", raw("1e3")).is(
            400,
            "malformed-request",
            "/lines/0/quantity",
        ),
    ]
}

fn values() -> Vec<Bad> {
    let many: Vec<_> = (0..501).map(|_| it::line("lamp", 1)).collect();
    vec![
        Bad::field("no lines at all", "/lines", json!([])),
        Bad::field("too many lines", "/lines", json!(many)),
        Bad::field("no units", "/lines/0/quantity", json!(0)),
        Bad::field("negative units", "/lines/1/quantity", json!(-1)),
        Bad::field("too many units", "/lines/0/quantity", json!(1_000_001)),
        Bad::field("far too many units", "/lines/0/quantity", json!(i64::MAX)),
        Bad::field("an unknown SKU", "/lines/1/sku", json!("no-such-thing")),
        Bad::field("a retired SKU", "/lines/1/sku", json!("retired")),
        Bad::field("an empty SKU", "/lines/0/sku", json!("")),
        Bad::field("a SKU that is too long", "/lines/0/sku", json!("x".repeat(65))),
        Bad::field("a SKU with a space", "/lines/0/sku", json!("la mp")),
        Bad::field("a SKU with a control character", "/lines/0/sku", json!("la\u{7}mp")),
        Bad::field("an empty customer", "/customerId", json!("")),
        Bad::field("a customer that is too long", "/customerId", json!("c".repeat(65))),
        Bad::field("a customer with a line break", "/customerId", json!("a\nb")),
        Bad::field("a total that is a cent off", "/total/amount", json!("55.01")).is(
            422,
            "total-mismatch",
            "",
        ),
        Bad::field("a total in another currency", "/total/currency", json!("EUR")).is(
            422,
            "total-mismatch",
            "",
        ),
        Bad::field("a currency that is none", "/total/currency", json!("XYZ")),
        Bad::field("a currency in small letters", "/total/currency", json!("usd")),
        Bad::field("too many decimals", "/total/amount", json!("55.001")),
        Bad::field("a negative total", "/total/amount", json!("-55.00")),
        Bad::field("an amount beyond all bounds", "/total/amount", json!("1".repeat(40))),
        Bad::field("an amount that is no number", "/total/amount", json!("5O.00")),
        Bad::field("an amount with a comma", "/total/amount", json!("55,00")),
        Bad::field("an empty amount", "/total/amount", json!("")),
        Bad::field("a channel that is too long", "/channel", json!("c".repeat(5_000))),
        Bad::field("a channel with a control character", "/channel", json!("we\u{0}b")),
        Bad::field("an unknown method of payment", "/payment", json!({"method": "barter"})).is(
            422,
            "invalid-request",
            "/payment/method",
        ),
        Bad::field(
            "a token that is too long",
            "/payment",
            json!({"method": "simulated", "token": "t".repeat(5_000)}),
        )
        .is(422, "invalid-request", "/payment/token"),
    ]
}

fn keys() -> Vec<Bad> {
    let keyed = |what: &str, key: &str| {
        let bad = Bad::order(what, good()).header("idempotency-key", key);
        bad.is(400, "bad-idempotency-key", "")
    };
    vec![
        keyed("an empty key", ""),
        keyed("an empty key in quotes", "\"\""),
        keyed("a key of two words", "two words"),
        keyed("a key that is too long", &"k".repeat(256)),
        keyed("a key with a quotation mark", "a\"b"),
    ]
}

fn lists() -> Vec<Bad> {
    vec![
        Bad::get("an unknown parameter", "/api/v1/orders?page=2"),
        Bad::get("no items on a page", "/api/v1/orders?limit=0"),
        Bad::get("too many items on a page", "/api/v1/orders?limit=201"),
        Bad::get("a limit that is a word", "/api/v1/orders?limit=ten"),
        Bad::get("a negative limit", "/api/v1/products?limit=-1"),
        Bad::get("a parameter twice", "/api/v1/orders?limit=5&limit=6"),
        Bad::get("an unknown status", "/api/v1/orders?status=lost"),
        Bad::get("a time that is none", "/api/v1/orders?from=yesterday"),
        Bad::get("an unknown sequence", "/api/v1/orders?sort=up"),
        Bad::get("a flag that is a word", "/api/v1/customers?blocked=maybe"),
        Bad::get("broken encoding", "/api/v1/orders?q=%zz"),
        Bad::get("a time that is none", "/api/v1/stock/lamp?as_of=12"),
        Bad::get("a cursor made up", "/api/v1/orders?cursor=AAAA").is(400, "bad-cursor", ""),
        Bad::get("a cursor of blanks", "/api/v1/stock?cursor=%22%20").is(400, "bad-cursor", ""),
        Bad::get("a cursor made up", "/api/v1/products?cursor=eyJhIjoxfQ").is(
            400,
            "bad-cursor",
            "",
        ),
        Bad::get("a cursor made up", "/api/v1/customers?cursor=zz").is(400, "bad-cursor", ""),
        Bad::get("an id that is no UUID", "/api/v1/orders/4711").is(404, "not-found", ""),
        Bad::get("an order that is not there", NO_ORDER).is(404, "not-found", ""),
        Bad::get("a product that is not there", "/api/v1/products/nothing").is(
            404,
            "not-found",
            "",
        ),
        Bad::get("stock that is not there", "/api/v1/stock/nothing").is(404, "not-found", ""),
        Bad::get("a customer that is not there", "/api/v1/customers/nobody").is(
            404,
            "not-found",
            "",
        ),
        Bad::get("a path that is not there", "/api/v2/orders").is(404, "not-found", ""),
    ]
}

fn actions(order: &str) -> Vec<Bad> {
    let post = |what: &str, action: &str, body: Value| {
        Bad::post(what, &format!("/api/v1/orders/{order}/{action}"), body)
    };
    let line = |number: i64, quantity: i64| json!([{"line": number, "quantity": quantity}]);
    let cancel = |lines: Value| json!({"reason": "x", "lines": lines});
    let reason = |text: &str| json!({"reason": text});
    let malformed = |bad: Bad, pointer| bad.is(400, "malformed-request", pointer);
    let illegal = |bad: Bad| bad.is(409, "illegal-transition", "");
    let invalid = |bad: Bad, pointer| bad.is(422, "invalid-request", pointer);
    let absent = Bad::post("no such order", &format!("{NO_ORDER}/cancel"), reason("x"));
    vec![
        malformed(post("no reason", "cancel", json!({})), "/reason"),
        invalid(post("an empty reason", "cancel", reason(" ")), "/reason"),
        invalid(post("a long reason", "cancel", reason(&"x".repeat(5_000))), "/reason"),
        invalid(post("a line that is not there", "cancel", cancel(line(9, 1))), "/lines"),
        invalid(
            post("a line twice", "cancel", cancel(json!([line(1, 1)[0], line(1, 1)[0]]))),
            "/lines",
        ),
        invalid(post("more than is open", "cancel", cancel(line(1, 99))), "/lines"),
        malformed(post("a negative line", "cancel", cancel(line(-1, 1))), "/lines/0/line"),
        absent.is(404, "not-found", ""),
        malformed(post("no action", "decision", json!({})), "/action"),
        malformed(post("no such action", "decision", json!({"action": "no"})), "/action"),
        illegal(post("nothing to decide", "decision", json!({"action": "accept"}))),
        illegal(post("nothing to resume", "resume", json!({}))),
        invalid(
            post("more than is allocated", "shipments", json!({"lines": line(1, 99)})),
            "/lines",
        ),
        malformed(post("no reason to hold", "hold", json!({})), "/reason"),
        malformed(post("a weak tag", "hold", reason("x")).header("if-match", "W/\"1\""), ""),
        post("a version that has passed", "hold", reason("x")).header("if-match", "\"1\"").is(
            412,
            "stale-version",
            "",
        ),
        illegal(post("nothing to settle", "attention", json!({"action": "retry", "reason": "x"}))),
    ]
}

fn price(amount: &str) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

fn products() -> Vec<Bad> {
    let post = |what: &str, body: Value| Bad::post(what, "/api/v1/products", body);
    let product = |sku: &str, name: &str, amount: &str| json!({"sku": sku, "name": name, "price": price(amount)});
    let invalid = |bad: Bad, pointer| bad.is(422, "invalid-request", pointer);
    let edit = json!({"name": "x", "price": price("1")});
    vec![
        invalid(post("no name", product("x", "", "1")), "/name"),
        invalid(post("a long name", product("x", &"n".repeat(201), "1")), "/name"),
        invalid(post("a bad SKU", product("a b", "x", "1")), "/sku"),
        invalid(post("a negative price", product("x", "x", "-1")), "/price/amount"),
        invalid(post("a price of mills", product("x", "x", "1.001")), "/price/amount"),
        post("no price", json!({"sku": "x", "name": "x"})).is(400, "malformed-request", "/price"),
        post("a SKU that is taken", product("lamp", "x", "1")).is(409, "already-exists", ""),
        Bad::new("an edit of no version", Method::PUT, "/api/v1/products/lamp", edit).is(
            428,
            "precondition-required",
            "",
        ),
    ]
}

fn customers() -> Vec<Bad> {
    let post = |what: &str, body: Value| Bad::post(what, "/api/v1/customers", body);
    let invalid = |bad: Bad, pointer| bad.is(422, "invalid-request", pointer);
    let limit = json!({"customerId": "x", "name": "x", "creditLimit": price("-5")});
    vec![
        invalid(post("no name", json!({"customerId": "x", "name": ""})), "/name"),
        invalid(post("a bad id", json!({"customerId": "a b", "name": "x"})), "/customerId"),
        post("no id", json!({"name": "x"})).is(400, "malformed-request", "/customerId"),
        invalid(post("a bad limit", limit), "/creditLimit/amount"),
        post("an id that is taken", json!({"customerId": "OMS-Cust-001", "name": "x"})).is(
            409,
            "already-exists",
            "",
        ),
    ]
}

fn levels() -> Vec<Bad> {
    let post = |what: &str, action: &str, body: Value| {
        Bad::post(what, &format!("/api/v1/stock/lamp/{action}"), body)
    };
    let invalid = |bad: Bad, pointer| bad.is(422, "invalid-request", pointer);
    let set = |new: i64, expected: i64| json!({"expected": expected, "new": new, "reason": "x"});
    vec![
        invalid(post("no units", "receive", json!({"quantity": 0})), "/quantity"),
        invalid(post("negative units", "receive", json!({"quantity": -4})), "/quantity"),
        invalid(post("too many units", "receive", json!({"quantity": 1_000_001})), "/quantity"),
        post("no reason", "adjust", json!({"delta": 1})).is(400, "malformed-request", "/reason"),
        invalid(post("no change", "adjust", json!({"delta": 0, "reason": "x"})), "/delta"),
        invalid(post("below nothing", "set", set(-1, 100)), "/new"),
        post("another count", "set", set(8, 7)).is(409, "expectation-failed", ""),
    ]
}

fn uploads() -> Vec<Bad> {
    let upload = |what: &str, body: &str| {
        Bad::post(what, "/api/v1/orders:batch", body).header("content-type", NDJSON)
    };
    vec![
        upload("an upload with a key that is too long", "{}\n")
            .header("idempotency-key", &"k".repeat(250))
            .is(400, "bad-idempotency-key", ""),
    ]
}

/// Everything that a request could have changed.
async fn state(server: &Server, shop: &Shop) -> Value {
    let mut journals = Vec::new();
    for sku in ["lamp", "desk", "item1"] {
        journals.push(shop.journal(sku).await.1.len());
    }
    let mut orders = shop.all("/api/v1/orders?limit=200").await;
    orders.sort_by_key(|order| number(order, "number"));
    json!({
        "orders": orders,
        "stock": shop.all("/api/v1/stock?limit=200").await,
        "journals": journals,
        "products": shop.all("/api/v1/products?limit=200").await,
        "customers": shop.all("/api/v1/customers?limit=200").await,
        "payments": shop.all("/api/v1/payments?limit=200").await,
        "summary": server.get("/api/v1/orders/summary").send().await.is(200),
    })
}

/// What is wrong with how `bad` is refused, if anything.
async fn fault(server: &Server, bad: &Bad) -> Option<String> {
    let mut call = server.http().call(bad.method.clone(), &bad.path).bytes(bad.body.clone());
    for (name, value) in &bad.headers {
        call = call.header(name, value);
    }
    let answer = match call.try_send().await {
        Ok(answer) => answer,
        Err(lost) => return Some(lost.to_string()),
    };
    let shown: String = answer.text().chars().take(400).collect();
    if answer.status != bad.status {
        return Some(format!("answered {} instead of {}: {shown}", answer.status, bad.status));
    }
    if answer.header("content-type") != "application/problem+json" {
        return Some(format!("no problem document but {}", answer.header("content-type")));
    }
    let problem = answer.json();
    if problem["type"] != format!("/problems/{}", bad.slug) {
        return Some(format!("it is no {}: {shown}", bad.slug));
    }
    if ["title", "detail", "requestId"]
        .iter()
        .any(|name| problem[*name].as_str().is_none_or(str::is_empty))
    {
        return Some(format!("it does not say what is wrong: {shown}"));
    }
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let named = errors.iter().any(|error| error["pointer"] == bad.pointer);
    (!bad.pointer.is_empty() && !named)
        .then(|| format!("it does not name {}: {shown}", bad.pointer))
}

#[tokio::test]
async fn every_bad_request_is_refused_by_name_and_changes_nothing() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 100).await;
    shop.product("desk", "50.00", 100).await;
    shop.product("retired", "1.00", 100).await;
    let retire = server.post("/api/v1/products/retired/retire", &json!({}));
    retire.header("if-match", "*").send().await.is(200);
    let order = shop.settled(&good()).await;
    assert_eq!(order["status"], "confirmed", "the good order is good");
    let id = it::text(&order, "orderId");
    let before = state(&server, &shop).await;

    let tables = [
        broken(),
        types(),
        values(),
        keys(),
        lists(),
        actions(&id),
        products(),
        customers(),
        levels(),
        uploads(),
    ];
    let mut faults = Vec::new();
    let mut count = 0;
    for bad in tables.iter().flatten() {
        count += 1;
        if let Some(fault) = fault(&server, bad).await {
            faults.push(format!("{} ({} {}): {fault}", bad.what, bad.method, bad.path));
        }
    }
    println!("{count} bad requests");
    assert!(count >= 60, "only {count}");
    let after = state(&server, &shop).await;
    for (name, value) in after.as_object().into_iter().flatten() {
        if before[name] != *value {
            faults.push(format!("{name} have changed from {} to {value}", before[name]));
        }
    }
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    server.finish();
}

#[tokio::test]
async fn bad_lines_of_an_upload_are_refused_one_by_one_and_change_nothing() {
    let server = Server::start().await;
    let shop = server.shop();
    shop.product("lamp", "5.00", 100).await;
    shop.product("desk", "50.00", 100).await;
    let before = state(&server, &shop).await;
    let bad: Vec<_> = [types(), values()].into_iter().flatten().collect();
    let too_long = format!("{{\"customerId\":\"{}\"}}", "x".repeat(70_000));
    let mut upload = String::new();
    for bad in &bad {
        upload.push_str(&bad.body);
        upload.push('\n');
    }
    upload.push_str(&too_long);
    upload.push_str("\n{\n\u{0}\n");
    let call = server.http().call(Method::POST, "/api/v1/orders:batch");
    let answer = call.header("content-type", NDJSON).bytes(upload).send().await;
    let text = answer.text();
    let verdicts: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a verdict is JSON")).collect();
    assert_eq!(verdicts.len(), bad.len() + 3);
    let mut faults = Vec::new();
    for (bad, verdict) in bad.iter().zip(&verdicts) {
        if bad.what == "a retired SKU" {
            continue;
        }
        let slug = format!("/problems/{}", bad.slug);
        if verdict["status"] != bad.status || verdict["problem"]["type"] != slug {
            faults.push(format!("{}: {verdict}", bad.what));
        }
    }
    let rest: Vec<_> =
        verdicts[bad.len()..].iter().map(|verdict| verdict["status"].clone()).collect();
    assert_eq!(rest, [413, 400, 400]);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(state(&server, &shop).await, before);
    server.finish();
}

#[tokio::test]
async fn bytes_that_are_no_http_do_no_harm() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start().await;
    let address = server.url().trim_start_matches("http://").to_owned();
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-a: b\r\n".repeat(10_000));
    for bytes in [
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "POST /orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        &long,
        &many,
    ] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("it listens");
        // The server may hang up in the middle.
        drop(stream.write_all(bytes.as_bytes()).await);
        drop(stream.shutdown().await);
        let mut answer = Vec::new();
        let reading = stream.read_to_end(&mut answer);
        let read = tokio::time::timeout(std::time::Duration::from_secs(20), reading).await;
        assert!(read.is_ok(), "no answer and no end: {bytes:.40}");
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(!text.starts_with("HTTP/1.1 5"), "{bytes:.40}: {text}");
    }
    assert_eq!(server.get("/readyz").send().await.status, 200);
    server.finish();
}

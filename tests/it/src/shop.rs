//! The words of the business: what people do with the product, and how they see what became of it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::{Answer, Client};

/// Longer than any order of a test may take to get anywhere.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at an order.
const LOOK: Duration = Duration::from_millis(5);

/// Longer than any service is away in a test.
const CAREFUL_MAX: Duration = Duration::from_mins(1);

/// Between two attempts while something is away.
const LOOK_WHILE_AWAY: Duration = Duration::from_millis(20);

/// The most pages that a walk over a list may have.
const PAGES_MAX: u32 = 5_000;

/// A line of an order: `quantity` units of `sku`.
#[must_use]
pub fn line(sku: &str, quantity: i64) -> Value {
    json!({"sku": sku, "quantity": quantity})
}

/// The body of an order of customer `OMS-Cust-001`.
#[must_use]
pub fn lines(lines: &[(&str, i64)]) -> Value {
    let lines: Vec<_> = lines.iter().map(|(sku, quantity)| line(sku, *quantity)).collect();
    json!({"customerId": "OMS-Cust-001", "lines": lines})
}

/// A person at a terminal.
#[derive(Debug, Clone)]
pub struct Shop {
    http: Client,
}

impl Shop {
    pub(crate) fn new(http: Client) -> Self {
        Self { http }
    }

    /// Adds a product for `price` dollars with `units` in stock.
    pub async fn product(&self, sku: &str, price: &str, units: i64) -> Value {
        let price = json!({"amount": price, "currency": "USD"});
        let body = json!({"sku": sku, "name": format!("Product {sku}"), "price": price});
        let product = self.http.post("/api/v1/products", &body).send().await.is(201);
        if units > 0 {
            self.receive(sku, units).await;
        }
        product
    }

    /// Puts `units` on the shelf.
    pub async fn receive(&self, sku: &str, units: i64) -> Value {
        let path = format!("/api/v1/stock/{sku}/receive");
        self.http.post(&path, &json!({"quantity": units})).send().await.is(200)
    }

    /// Adds a customer, with a credit limit in dollars if `limit` is not empty.
    pub async fn customer(&self, id: &str, limit: &str) -> Value {
        let mut body = json!({"customerId": id, "name": format!("Customer {id}")});
        if !limit.is_empty() {
            body["creditLimit"] = json!({"amount": limit, "currency": "USD"});
        }
        self.http.post("/api/v1/customers", &body).send().await.is(201)
    }

    /// Places an order and gives what was answered.
    pub async fn place(&self, body: &Value) -> Answer {
        self.http.post("/api/v1/orders", body).send().await
    }

    /// Places an order that must be stored and gives its id.
    pub async fn placed(&self, body: &Value) -> String {
        let order = self.place(body).await.is(202);
        text(&order, "orderId")
    }

    /// Places an order under a key that is tried until it is answered, as a careful client does while
    /// services come and go; gives the order's id.
    ///
    /// # Panics
    ///
    /// If it is refused, or not accepted for a long time.
    pub async fn placed_once(&self, key: &str, body: &Value) -> String {
        let deadline = Instant::now() + CAREFUL_MAX;
        loop {
            match self.http.post("/api/v1/orders", body).key(key).try_send().await {
                Ok(answer) if answer.status == 202 => return text(&answer.json(), "orderId"),
                Ok(answer) if matches!(answer.status, 409 | 429 | 503 | 504) => {}
                Ok(answer) => panic!("{key}: {} {}", answer.status, answer.text()),
                // The same key asks what became of it.
                Err(_) => {}
            }
            assert!(Instant::now() < deadline, "{key} is not accepted");
            sleep(LOOK_WHILE_AWAY).await;
        }
    }

    /// Places an order and gives it as it is when it is settled.
    ///
    /// # Panics
    ///
    /// If it is refused.
    pub async fn settled(&self, body: &Value) -> Value {
        let order = self.http.post("/api/v1/orders", body).wait().send().await;
        assert!(matches!(order.status, 200 | 202), "{}: {}", order.status, order.text());
        order.json()
    }

    /// Places an order with units as in [`lines`] and the payment token `token`.
    pub async fn paid_with(&self, token: &str, units: &[(&str, i64)]) -> String {
        self.placed(&with_token(lines(units), token)).await
    }

    /// The order as it is.
    pub async fn order(&self, id: &str) -> Value {
        self.http.get(&format!("/api/v1/orders/{id}")).send().await.is(200)
    }

    /// The order when it has come to `status`.
    ///
    /// # Panics
    ///
    /// If it does not come there in time.
    pub async fn order_in(&self, id: &str, status: &str) -> Value {
        self.order_when(id, status, |order| order["status"] == status).await
    }

    /// The order when `is_there`, which `what` describes.
    ///
    /// # Panics
    ///
    /// If it does not come there in time.
    pub async fn order_when(
        &self,
        id: &str,
        what: &str,
        is_there: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let order = self.order(id).await;
            if is_there(&order) {
                return order;
            }
            assert!(Instant::now() < deadline, "waited in vain for {what}: {order:#}");
            sleep(LOOK).await;
        }
    }

    /// Asks `action` of an order.
    pub async fn ask(&self, id: &str, action: &str, body: &Value) -> Answer {
        self.http.post(&format!("/api/v1/orders/{id}/{action}"), body).send().await
    }

    /// Cancels a whole order.
    pub async fn cancel(&self, id: &str) -> Answer {
        self.ask(id, "cancel", &json!({"reason": "ordered by mistake"})).await
    }

    /// The steps of an order's timeline, oldest first.
    pub async fn steps(&self, id: &str) -> Vec<String> {
        let entries = self.all(&format!("/api/v1/orders/{id}/timeline?limit=200")).await;
        entries.iter().map(|entry| text(entry, "step")).collect()
    }

    /// The stock of `sku`: on hand, held, allocated, available.
    pub async fn stock(&self, sku: &str) -> [i64; 4] {
        let stock = self.http.get(&format!("/api/v1/stock/{sku}")).send().await.is(200);
        ["onHand", "held", "allocated", "available"].map(|name| number(&stock, name))
    }

    /// Waits until the stock of `sku` is `expected`.
    ///
    /// # Panics
    ///
    /// If it is not so in time.
    pub async fn stock_is(&self, sku: &str, expected: [i64; 4]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stock = self.stock(sku).await;
            if stock == expected {
                return;
            }
            let late = Instant::now() > deadline;
            assert!(
                !late,
                "on hand, held, allocated, available of {sku}: {stock:?}, not {expected:?}"
            );
            sleep(LOOK).await;
        }
    }

    /// The journal of `sku`, oldest first: the kinds, and each entry.
    pub async fn journal(&self, sku: &str) -> (Vec<String>, Vec<Value>) {
        let entries = self.all(&format!("/api/v1/stock/{sku}/journal?sort=oldest&limit=200")).await;
        (entries.iter().map(|entry| text(entry, "kind")).collect(), entries)
    }

    /// The payment of an order.
    pub async fn payment(&self, order: &str) -> Value {
        self.http.get(&format!("/api/v1/payments/{order}")).send().await.is(200)
    }

    /// Everything that a list holds, page by page.
    ///
    /// # Panics
    ///
    /// If the list does not end.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut next) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let path = match next.as_str() {
                "" => path.to_owned(),
                cursor => format!("{path}{separator}cursor={}", encoded(cursor)),
            };
            let mut page = self.http.get(&path).send().await.is(200);
            if let Value::Array(found) = page["items"].take() {
                items.extend(found);
            }
            let Some(cursor) = page["next"].as_str() else { return items };
            cursor.clone_into(&mut next);
        }
        panic!("the list {path} has over {PAGES_MAX} pages");
    }
}

/// The body of an order, paid with a card of the simulated provider.
#[must_use]
pub fn with_token(mut body: Value, token: &str) -> Value {
    body["payment"] = json!({"method": "simulated", "token": token});
    body
}

/// The text `name` of an object.
///
/// # Panics
///
/// If it has none.
#[must_use]
pub fn text(object: &Value, name: &str) -> String {
    let text = object[name].as_str();
    text.unwrap_or_else(|| panic!("there is no text `{name}` in {object:#}")).to_owned()
}

/// The whole number `name` of an object.
///
/// # Panics
///
/// If it has none.
#[must_use]
pub fn number(object: &Value, name: &str) -> i64 {
    object[name].as_i64().unwrap_or_else(|| panic!("there is no number `{name}` in {object:#}"))
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 15].map(hexadecimal));
        }
    }
    encoded
}

fn hexadecimal(digit: u8) -> char {
    char::from_digit(digit.into(), 16).expect("four bits are one digit").to_ascii_uppercase()
}

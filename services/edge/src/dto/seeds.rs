//! The shapes of the systems that Millrace answers to, read and written as they do it.

use contracts::{Currency, Problem};
use contracts_grpc::v1;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::order_requests::LINES_MAX;
use super::words::{OrderStatus, Word as _};
use super::{Decimal, not_negative};
use crate::error::Refusal;
use crate::problem::malformed_field;

/// An order in a seed's shape: `customerId`, `totalAmount` and `productIds` (one id for each unit),
/// or `product` and `quantity`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SeedOrder {
    /// Who orders.
    #[schema(example = "OMS-Cust-001")]
    customer_id: Option<String>,
    /// What the caller believes the order costs, in the default currency.
    #[schema(value_type = Option<f64>, example = 2599.99)]
    total_amount: Option<Decimal>,
    /// What is ordered; an id that is repeated counts as often.
    #[schema(example = json!(["item1", "item2"]))]
    product_ids: Option<Vec<String>>,
    /// What is ordered, in the other shape.
    product: Option<String>,
    /// Units, in the other shape.
    quantity: Option<i64>,
}

/// Which shape a request had: it decides how its fields are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `customerId`, `totalAmount`, `productIds`.
    ProductIds,
    /// `product`, `quantity`.
    Product,
}

impl SeedOrder {
    /// The request to place the order, and the shape it came in.
    pub(crate) fn request(
        self,
        default_customer: &str,
        currency: Currency,
        idempotency_key: String,
        wait_ms: u32,
    ) -> Result<(v1::PlaceOrderRequest, Shape), Refusal> {
        let (shape, lines) = match (self.product_ids, self.product) {
            (Some(ids), None) => (Shape::ProductIds, counted_lines(ids)?),
            (None, Some(sku)) => (Shape::Product, vec![line(sku, self.quantity.unwrap_or(1))]),
            (Some(_), Some(_)) => {
                let detail = "send either `productIds` or `product` with `quantity`, not both";
                return Err(malformed_field("/product", "two-shapes", detail.to_owned()));
            }
            (None, None) => {
                let detail = "send `customerId`, `totalAmount` and `productIds`, or `product` and \
                              `quantity`";
                return Err(malformed_field("/productIds", "missing", detail.to_owned()));
            }
        };
        if shape == Shape::ProductIds && self.quantity.is_some() {
            let detail = "`quantity` goes with `product`; repeat an id in `productIds` instead";
            return Err(malformed_field("/quantity", "two-shapes", detail.to_owned()));
        }
        if shape == Shape::ProductIds && self.customer_id.is_none() {
            let detail = "send `customerId` with `productIds`".to_owned();
            return Err(malformed_field("/customerId", "missing", detail));
        }
        let total = self.total_amount;
        let total =
            total.map(|total| not_negative(&total, currency, "/totalAmount")).transpose()?;
        let request = v1::PlaceOrderRequest {
            idempotency_key,
            customer_id: self.customer_id.unwrap_or_else(|| default_customer.to_owned()),
            lines,
            total,
            wait_ms,
            ..v1::PlaceOrderRequest::default()
        };
        Ok((request, shape))
    }
}

fn line(sku: String, quantity: i64) -> v1::NewLine {
    v1::NewLine { sku, quantity, shortage_policy: 0 }
}

/// The most ids in one order. Each is one unit of a product.
const PRODUCT_IDS_MAX: usize = 10_000;

/// One line for each product, in the sequence of first mention.
fn counted_lines(ids: Vec<String>) -> Result<Vec<v1::NewLine>, Refusal> {
    if ids.is_empty() || ids.len() > PRODUCT_IDS_MAX {
        let detail = format!("`productIds` holds 1 to {PRODUCT_IDS_MAX} ids, not {}", ids.len());
        return Err(Problem::field("/productIds", "out-of-range", detail).into());
    }
    let mut places = std::collections::HashMap::new();
    let mut lines: Vec<v1::NewLine> = Vec::new();
    for id in ids {
        let place = *places.entry(id.clone()).or_insert(lines.len());
        match lines.get_mut(place) {
            Some(line) => line.quantity += 1,
            None => lines.push(line(id, 1)),
        }
    }
    if lines.len() > LINES_MAX {
        let detail = format!("an order has at most {LINES_MAX} products, not {}", lines.len());
        return Err(Problem::field("/productIds", "out-of-range", detail).into());
    }
    Ok(lines)
}

/// Speaks of the fields that the client sent, where a refusal speaks of ours.
pub(crate) fn in_shape(refusal: Refusal, shape: Shape) -> Refusal {
    let mut problem = refusal.into_problem();
    for error in &mut problem.errors {
        let field = match (error.pointer.as_str(), shape) {
            (pointer, Shape::ProductIds) if pointer.starts_with("/lines") => "/productIds",
            (pointer, Shape::Product) if pointer.ends_with("/quantity") => "/quantity",
            (pointer, Shape::Product) if pointer.starts_with("/lines") => "/product",
            (pointer, _) if pointer.starts_with("/total") => "/totalAmount",
            _ => continue,
        };
        field.clone_into(&mut error.pointer);
    }
    problem.into()
}

/// An order in seed 004's list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedOrder<'a> {
    /// The id of the order.
    id: &'a str,
    /// Who ordered.
    customer_id: &'a str,
    /// What it costs, as a JSON number with every decimal.
    #[schema(value_type = f64, example = 2599.99)]
    amount: Box<RawValue>,
    /// Where it stands, in capital letters.
    #[schema(example = "CONFIRMED")]
    status: String,
    /// When it was placed, UTC without a zone.
    #[schema(example = "2026-11-21T13:36:08.349911")]
    placed_time: Option<String>,
    /// When it was confirmed.
    #[schema(example = "2026-11-21T13:36:11.127236")]
    confirmed_time: Option<String>,
}

impl<'a> ListedOrder<'a> {
    /// `order` as seed 004 shows it.
    pub(crate) fn try_new(order: &'a v1::Order) -> Result<Self, Refusal> {
        let broken = |detail: String| Refusal::from(Problem::internal(detail));
        let total = order.total.as_ref().ok_or_else(|| broken("an order has no total".into()))?;
        let amount =
            rpc::parse_money(total).map_err(|cause| broken(cause.to_string()))?.to_decimal();
        let local = |time: &prost_types::Timestamp| {
            let time = rpc::parse_timestamp(time)?.to_string();
            Some(time.trim_end_matches('Z').to_owned())
        };
        Ok(Self {
            id: &order.order_id,
            customer_id: &order.customer_id,
            amount: RawValue::from_string(amount).map_err(|cause| broken(cause.to_string()))?,
            status: OrderStatus::of(order.status).word().to_ascii_uppercase(),
            placed_time: order.placed_at.as_ref().and_then(local),
            confirmed_time: order.confirmed_at.as_ref().and_then(local),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dto::samples;
    use crate::json::parse;

    fn read(text: &str) -> Result<(v1::PlaceOrderRequest, Shape), Refusal> {
        parse::<SeedOrder>(text.as_bytes())
            .and_then(|order| order.request("OMS-Cust-001", Currency::USD, String::new(), 0))
    }

    #[test]
    fn the_order_of_seed_004_is_read_exactly() {
        let text = r#"{"customerId":"OMS-Cust-001","totalAmount":2599.99,"productIds":["item1","item2","item1"]}"#;
        let (request, shape) = read(text).unwrap();
        assert_eq!(shape, Shape::ProductIds);
        assert_eq!(request.customer_id, "OMS-Cust-001");
        assert_eq!(request.total.unwrap().minor_units, 259_999);
        let lines: Vec<_> = request.lines.iter().map(|l| (l.sku.as_str(), l.quantity)).collect();
        assert_eq!(lines, [("item1", 2), ("item2", 1)]);
    }

    #[test]
    fn the_order_of_seed_000_is_for_the_default_customer() {
        let (request, shape) = read(r#"{"product":"item1","quantity":3}"#).unwrap();
        assert_eq!(shape, Shape::Product);
        assert_eq!(request.customer_id, "OMS-Cust-001");
        assert_eq!((request.lines[0].sku.as_str(), request.lines[0].quantity), ("item1", 3));
        assert!(request.total.is_none());
    }

    #[test]
    fn an_order_that_fits_no_seed_is_refused_by_field() {
        for (text, status, pointer) in [
            ("{}", 400, "/productIds"),
            (r#"{"productIds":["a"]}"#, 400, "/customerId"),
            (r#"{"productIds":["a"],"product":"a"}"#, 400, "/product"),
            (r#"{"customerId":"c","productIds":["a"],"quantity":2}"#, 400, "/quantity"),
            (r#"{"customerId":"c","productIds":[]}"#, 422, "/productIds"),
            (r#"{"customerId":"c","productIds":["a"],"totalAmount":-1}"#, 422, "/totalAmount"),
            (r#"{"customerId":"c","productIds":["a"],"totalAmount":9.999}"#, 422, "/totalAmount"),
            (r#"{"customerId":"c","productIds":[1]}"#, 400, "/productIds/0"),
            (r#"{"product":"a","quantity":"2"}"#, 400, "/quantity"),
            (r#"{"product":"a","note":"x"}"#, 400, "/note"),
        ] {
            let problem = read(text).unwrap_err().into_problem();
            assert_eq!(problem.status, status, "{text}");
            assert_eq!(problem.errors[0].pointer, pointer, "{text}");
        }
    }

    #[test]
    fn a_refusal_speaks_of_the_fields_that_were_sent() {
        for (ours, shape, theirs) in [
            ("/lines/0/sku", Shape::ProductIds, "/productIds"),
            ("/lines/0/sku", Shape::Product, "/product"),
            ("/lines/0/quantity", Shape::Product, "/quantity"),
            ("/total", Shape::ProductIds, "/totalAmount"),
            ("/total/amount", Shape::ProductIds, "/totalAmount"),
            ("/customer_id", Shape::ProductIds, "/customer_id"),
        ] {
            let refusal = in_shape(Problem::field(ours, "x", "y").into(), shape);
            assert_eq!(refusal.problem().errors[0].pointer, theirs);
        }
    }

    #[test]
    fn the_list_of_seed_004_is_written_byte_for_byte() {
        let order = samples::order();
        let listed = ListedOrder::try_new(&order).unwrap();
        assert_eq!(
            serde_json::to_string(&listed).unwrap(),
            r#"{"id":"019aa68e-7c6d-7000-8000-000000000001","customerId":"OMS-Cust-001","amount":2599.99,"status":"CONFIRMED","placedTime":"2026-11-21T13:36:08.349911","confirmedTime":"2026-11-21T13:36:11.127236"}"#
        );
    }
}

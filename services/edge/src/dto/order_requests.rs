//! What is asked of orders, in JSON.

use contracts::Problem;
use contracts_grpc::v1;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::NewMoney;
use super::words::{AttentionAction, Decision, ShortagePolicy, Word as _};
use crate::error::Refusal;

/// The most lines of one order.
pub(crate) const LINES_MAX: usize = 500;

/// An order to place. Prices come from the catalog.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewOrder {
    /// Who orders.
    #[schema(example = "OMS-Cust-001")]
    pub(crate) customer_id: String,
    /// What is ordered, 1 to 500 lines. The same SKU may be on several lines.
    #[schema(min_items = 1, max_items = 500)]
    pub(crate) lines: Vec<NewLine>,
    /// What the caller believes the order costs: refused with `total-mismatch` if the catalog says
    /// otherwise.
    pub(crate) total: Option<NewMoney>,
    /// What to do when stock is short, `reject` if not given.
    pub(crate) policy: Option<ShortagePolicy>,
    /// How to pay. Not given, the default of the installation.
    pub(crate) payment: Option<PaymentInstruction>,
    /// Where the order comes from, `api` if not given.
    #[schema(example = "web")]
    pub(crate) channel: Option<String>,
}

/// A line to order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewLine {
    /// What to order.
    #[schema(example = "item1")]
    pub(crate) sku: String,
    /// Units.
    #[schema(minimum = 1, maximum = 1_000_000, example = 1)]
    pub(crate) quantity: i64,
    /// What to do when this line is short. Not given, the policy of the order.
    pub(crate) policy: Option<ShortagePolicy>,
}

/// How an order is to be paid.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PaymentInstruction {
    /// The method, such as `simulated` or `terms`.
    #[schema(example = "simulated")]
    pub(crate) method: String,
    /// What the provider knows the means of payment by. Never a card number.
    #[serde(default)]
    #[schema(example = "approve")]
    pub(crate) token: String,
}

/// An order in a bulk upload: a line of NDJSON.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BulkOrder {
    /// Makes sending the line again safe.
    pub(crate) idempotency_key: Option<String>,
    /// Who orders.
    #[schema(example = "OMS-Cust-001")]
    pub(crate) customer_id: String,
    /// What is ordered, 1 to 500 lines.
    #[schema(min_items = 1, max_items = 500)]
    pub(crate) lines: Vec<NewLine>,
    /// What the caller believes the order costs.
    pub(crate) total: Option<NewMoney>,
    /// What to do when stock is short, `reject` if not given.
    pub(crate) policy: Option<ShortagePolicy>,
    /// How to pay. Not given, the default of the installation.
    pub(crate) payment: Option<PaymentInstruction>,
    /// Where the order comes from, `api` if not given.
    pub(crate) channel: Option<String>,
}

impl BulkOrder {
    /// The key of the line, and the order.
    pub(crate) fn split(self) -> (Option<String>, NewOrder) {
        let Self { idempotency_key, customer_id, lines, total, policy, payment, channel } = self;
        (idempotency_key, NewOrder { customer_id, lines, total, policy, payment, channel })
    }
}

impl NewOrder {
    /// The request to place it.
    pub(crate) fn request(
        self,
        idempotency_key: String,
        wait_ms: u32,
    ) -> Result<v1::PlaceOrderRequest, Refusal> {
        if self.lines.is_empty() || self.lines.len() > LINES_MAX {
            let given = self.lines.len();
            let detail = format!("an order has 1 to {LINES_MAX} lines, not {given}");
            return Err(Problem::field("/lines", "out-of-range", detail).into());
        }
        Ok(v1::PlaceOrderRequest {
            idempotency_key,
            customer_id: self.customer_id,
            total: self.total.map(|total| total.read("/total")).transpose()?,
            lines: self.lines.into_iter().map(NewLine::message).collect(),
            shortage_policy: policy(self.policy),
            payment: self.payment.map(|PaymentInstruction { method, token }| {
                v1::PaymentInstruction { method, token }
            }),
            channel: self.channel.unwrap_or_default(),
            wait_ms,
        })
    }
}

impl NewLine {
    fn message(self) -> v1::NewLine {
        let shortage_policy = policy(self.policy);
        v1::NewLine { sku: self.sku, quantity: self.quantity, shortage_policy }
    }
}

fn policy(policy: Option<ShortagePolicy>) -> i32 {
    policy.map_or(0, ShortagePolicy::number)
}

/// Units of a line.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LineQuantity {
    /// The number of the line, from 1.
    #[schema(minimum = 1, example = 1)]
    pub(crate) line: u32,
    /// Units.
    #[schema(minimum = 0, maximum = 1_000_000, example = 1)]
    pub(crate) quantity: i64,
}

/// The lines of a request as the contracts have them.
pub(crate) fn line_quantities(lines: Option<Vec<LineQuantity>>) -> Vec<v1::LineQuantity> {
    let message =
        |LineQuantity { line, quantity }| v1::LineQuantity { line_number: line, quantity };
    lines.unwrap_or_default().into_iter().map(message).collect()
}

/// Cancels an order or part of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Cancel {
    /// Why, for people.
    #[schema(example = "ordered by mistake")]
    pub(crate) reason: String,
    /// The units to give up. Not given, the whole order.
    pub(crate) lines: Option<Vec<LineQuantity>>,
}

/// Decides about an order of which only a part is in stock.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Decide {
    /// What to do.
    pub(crate) action: Decision,
    /// With `amend`, the units each named line shall have; 0 gives the line up.
    pub(crate) lines: Option<Vec<LineQuantity>>,
    /// Why, for people. Needed with `cancel`.
    pub(crate) reason: Option<String>,
}

/// Dispatches units of an order.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Ship {
    /// The units that leave. Not given, every unit that is allocated.
    pub(crate) lines: Option<Vec<LineQuantity>>,
    /// Who carries it.
    #[schema(example = "DHL")]
    pub(crate) carrier: Option<String>,
    /// The tracking number of the carrier.
    #[schema(example = "JD014600003RU")]
    pub(crate) tracking: Option<String>,
}

/// Stops an order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Hold {
    /// Why, for people.
    #[schema(example = "address to be checked")]
    pub(crate) reason: String,
}

/// Settles an order that cannot go on by itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Settle {
    /// How to settle it.
    pub(crate) action: AttentionAction,
    /// Why, for people; kept in the audit log.
    #[schema(example = "provider confirmed by telephone")]
    pub(crate) reason: String,
}

//! A provider that plays a script: the token says what happens.
//!
//! | token | what happens |
//! | --- | --- |
//! | empty, `approve` | everything is approved |
//! | `decline` | the authorisation is declined |
//! | `slow` | the authorisation is approved after a while |
//! | `unknown_approved`, `unknown_declined` | the answer to the authorisation is lost; an inquiry tells it |
//! | `silent` | the answer to the authorisation is lost, and no inquiry is answered either |
//! | `duplicate_webhook` | every approval comes a second time, by webhook |
//! | `capture_unknown`, `refund_unknown` | the answer is lost; an inquiry tells that it was done |
//! | `capture_decline` | the money cannot be taken |
//! | any other | the authorisation is declined: the token is not known |
//!
//! It keeps nothing: what it did is a function of the call alone. So after a restart it
//! answers inquiries exactly as a provider does that never forgets.

use std::time::Duration;

use contracts::OrderId;
use contracts::events::payment::PaymentOperation;
use serde::{Deserialize, Serialize};
use store::BoxFuture;
use tokio::sync::mpsc::UnboundedSender;

use super::{Answer, Call, Delivery, Provider};
use crate::domain::{Outcome, ProviderKey};
use crate::error::WebhookError;

/// The method that this provider serves.
pub(crate) const METHOD: &str = "simulated";

/// How long a caller waits for an answer that is lost.
const LOST_AFTER: Duration = Duration::from_millis(50);

/// The header that carries a webhook's signature.
const SIGNATURE: &str = "simulated-signature";

/// What the signatures are made with. It protects no money: this provider moves none.
const SIGNING_CONTEXT: &str = "millrace simulated provider webhooks v1";

/// How an outcome reaches the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    AtOnce,
    Slowly,
    Never,
    Twice,
}

/// What the script says of an operation.
fn script(token: &str, operation: PaymentOperation) -> (Result<(), &'static str>, Manner) {
    use PaymentOperation::{Authorize, Capture, Refund};
    match (token, operation) {
        ("decline", Authorize) => (Err("card_declined"), Manner::AtOnce),
        ("slow", Authorize) => (Ok(()), Manner::Slowly),
        ("unknown_declined", Authorize) => (Err("card_declined"), Manner::Never),
        ("silent" | "unknown_approved", Authorize)
        | ("capture_unknown", Capture)
        | ("refund_unknown", Refund) => (Ok(()), Manner::Never),
        ("capture_decline", Capture) => (Err("capture_refused"), Manner::AtOnce),
        ("duplicate_webhook", _) => (Ok(()), Manner::Twice),
        (token, Authorize) if !is_known(token) => (Err("unknown_token"), Manner::AtOnce),
        _ => (Ok(()), Manner::AtOnce),
    }
}

fn is_known(token: &str) -> bool {
    const TOKENS: [&str; 11] = [
        "",
        "approve",
        "decline",
        "slow",
        "unknown_approved",
        "unknown_declined",
        "silent",
        "duplicate_webhook",
        "capture_unknown",
        "capture_decline",
        "refund_unknown",
    ];
    TOKENS.contains(&token)
}

/// The end of `call`, however it becomes known.
fn outcome(call: &Call) -> Outcome {
    let (result, _) = script(&call.token, call.operation);
    let is_first = call.operation == PaymentOperation::Authorize;
    let result = match result {
        Ok(()) if call.amount.minor() < 0 => Err("invalid_amount"),
        // Only what was authorised can be captured, voided or refunded.
        Ok(()) if !is_first && call.authorization.is_empty() => Err("unknown_authorization"),
        result => result,
    };
    match result {
        Ok(()) => Outcome::Approved { reference: reference(call.key) },
        Err(code) => Outcome::Declined { code: code.to_owned() },
    }
}

/// The id under which the provider would have filed the operation.
fn reference(key: ProviderKey) -> String {
    let mut text = String::with_capacity(20);
    text.push_str("sim_");
    for byte in key.0.iter().take(8) {
        for nibble in [byte >> 4, byte & 0x0f] {
            text.extend(char::from_digit(nibble.into(), 16));
        }
    }
    text
}

/// The body of a webhook.
#[derive(Debug, Serialize, Deserialize)]
struct Notice {
    order_id: OrderId,
    operation: PaymentOperation,
    key: String,
    reference: Option<String>,
    code: Option<String>,
}

/// The provider.
pub(crate) struct Simulated {
    slow: Duration,
    signing_key: [u8; 32],
    webhooks: UnboundedSender<Delivery>,
}

impl Simulated {
    /// A provider whose slow answers take `slow`, and that sends its webhooks to `webhooks`.
    pub(crate) fn new(slow: Duration, webhooks: UnboundedSender<Delivery>) -> Self {
        Self { slow, signing_key: blake3::derive_key(SIGNING_CONTEXT, b""), webhooks }
    }

    async fn play(&self, call: &Call) -> Outcome {
        let (_, manner) = script(&call.token, call.operation);
        let outcome = outcome(call);
        match manner {
            Manner::AtOnce => {}
            Manner::Slowly => tokio::time::sleep(self.slow).await,
            Manner::Never => {
                tokio::time::sleep(LOST_AFTER).await;
                return Outcome::Unknown;
            }
            Manner::Twice => self.send_webhook(call, &outcome),
        }
        outcome
    }

    fn send_webhook(&self, call: &Call, outcome: &Outcome) {
        let (reference, code) = match outcome {
            Outcome::Approved { reference } => (Some(reference.clone()), None),
            Outcome::Declined { code } => (None, Some(code.clone())),
            Outcome::Unknown => (None, None),
        };
        let key = call.key.to_string();
        let notice =
            Notice { order_id: call.order_id, operation: call.operation, key, reference, code };
        let body = serde_json::to_vec(&notice).unwrap_or_default();
        let signature = self.sign(&body).to_hex().to_string();
        let headers = vec![(SIGNATURE.to_owned(), signature)];
        let delivery = Delivery { method: METHOD.into(), headers, body };
        if self.webhooks.send(delivery).is_err() {
            tracing::debug!("nobody takes the webhooks of the simulated provider any more");
        }
    }

    fn sign(&self, body: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.signing_key, body)
    }
}

impl Provider for Simulated {
    fn authorize<'c>(&'c self, call: &'c Call) -> BoxFuture<'c, Outcome> {
        Box::pin(self.play(call))
    }

    fn capture<'c>(&'c self, call: &'c Call) -> BoxFuture<'c, Outcome> {
        Box::pin(self.play(call))
    }

    fn void<'c>(&'c self, call: &'c Call) -> BoxFuture<'c, Outcome> {
        Box::pin(self.play(call))
    }

    fn refund<'c>(&'c self, call: &'c Call) -> BoxFuture<'c, Outcome> {
        Box::pin(self.play(call))
    }

    fn inquire<'c>(&'c self, call: &'c Call) -> BoxFuture<'c, Option<Outcome>> {
        let is_silent = call.token == "silent" && call.operation == PaymentOperation::Authorize;
        let told = if is_silent { Outcome::Unknown } else { outcome(call) };
        Box::pin(std::future::ready(Some(told)))
    }

    fn verify_webhook(&self, delivery: &Delivery) -> Result<Answer, WebhookError> {
        let mut headers = delivery.headers.iter();
        let signature = headers.find(|(name, _)| name.eq_ignore_ascii_case(SIGNATURE));
        let (_, signature) = signature.ok_or(WebhookError::Signature)?;
        let signature = blake3::Hash::from_hex(signature.as_bytes());
        // Comparing hashes of BLAKE3 takes the same time wherever they differ.
        if signature.ok() != Some(self.sign(&delivery.body)) {
            return Err(WebhookError::Signature);
        }
        let notice: Notice = serde_json::from_slice(&delivery.body)
            .map_err(|error| WebhookError::Body(error.to_string()))?;
        let key = read_key(&notice.key).ok_or_else(|| WebhookError::Body("the key".to_owned()))?;
        let outcome = match (notice.reference, notice.code) {
            (Some(reference), None) => Outcome::Approved { reference },
            (None, Some(code)) => Outcome::Declined { code },
            (Some(_), Some(_)) | (None, None) => Outcome::Unknown,
        };
        Ok(Answer {
            order_id: notice.order_id,
            operation: notice.operation,
            key,
            outcome,
            traceparent: None,
        })
    }
}

fn read_key(text: &str) -> Option<ProviderKey> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(ProviderKey(number.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use contracts::{Currency, Money, OrderNumber, Timestamp};
    use tokio::sync::mpsc;

    use super::*;
    use crate::provider;

    fn call(token: &str) -> Call {
        let order_id = OrderId::new(Timestamp::default(), OrderNumber::new(1), 1);
        let operation = PaymentOperation::Authorize;
        Call {
            order_id,
            method: METHOD.into(),
            operation,
            key: provider::key(&order_id, operation, 1),
            amount: Money::new(1, Currency::USD),
            token: token.into(),
            authorization: String::new(),
            is_inquiry: false,
            traceparent: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_inquiry_tells_what_a_lost_answer_would_have_told() {
        let (webhooks, _sent) = mpsc::unbounded_channel();
        let provider = Simulated::new(Duration::from_secs(2), webhooks);
        for (token, answered, inquired) in [
            ("", "approved", "approved"),
            ("decline", "card_declined", "card_declined"),
            ("slow", "approved", "approved"),
            ("unknown_approved", "unknown", "approved"),
            ("unknown_declined", "unknown", "card_declined"),
            ("silent", "unknown", "unknown"),
            ("no such token", "unknown_token", "unknown_token"),
        ] {
            let told = |outcome| match outcome {
                Outcome::Approved { .. } => "approved".to_owned(),
                Outcome::Declined { code } => code,
                Outcome::Unknown => "unknown".to_owned(),
            };
            let mut call = call(token);
            assert_eq!(told(provider::ask(&provider, &call).await), answered, "{token}");
            call.is_inquiry = true;
            assert_eq!(told(provider::ask(&provider, &call).await), inquired, "{token}");
        }
    }

    #[tokio::test]
    async fn only_webhooks_with_the_providers_signature_are_believed() {
        let (webhooks, mut sent) = mpsc::unbounded_channel();
        let provider = Simulated::new(Duration::ZERO, webhooks);
        let call = call("duplicate_webhook");
        let outcome = provider::ask(&provider, &call).await;
        let delivery = sent.try_recv().unwrap();
        let answer = provider.verify_webhook(&delivery).unwrap();
        assert_eq!(
            (answer.key, answer.order_id, answer.outcome),
            (call.key, call.order_id, outcome)
        );

        let mut unsigned = delivery.clone();
        unsigned.headers.clear();
        assert_eq!(provider.verify_webhook(&unsigned).unwrap_err(), WebhookError::Signature);
        let mut changed = delivery;
        changed.body[20] ^= 1;
        assert_eq!(provider.verify_webhook(&changed).unwrap_err(), WebhookError::Signature);
    }

    #[test]
    fn keys_differ_by_order_operation_and_repetition_and_by_nothing_else() {
        let order = |number| OrderId::new(Timestamp::default(), OrderNumber::new(number), 1);
        let mut keys = std::collections::HashSet::new();
        for number in [1, 2] {
            for operation in [PaymentOperation::Authorize, PaymentOperation::Refund] {
                let [first, second] =
                    [1, 2].map(|epoch| provider::key(&order(number), operation, epoch));
                assert_eq!(first, provider::key(&order(number), operation, 1));
                assert_eq!(read_key(&first.to_string()), Some(first));
                assert!(keys.insert(first) && keys.insert(second));
            }
        }
    }
}

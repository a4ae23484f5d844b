//! What a payment provider can do, and the keys by which it knows what it was asked.
//!
//! A provider is asked once per key in effect: asked again under the same key it must answer as it
//! did the first time. All providers worth having keep that promise (Idempotency-Key).

pub(crate) mod simulated;

use std::sync::Arc;

use contracts::events::payment::PaymentOperation;
use contracts::{Money, OrderId};
use smol_str::SmolStr;
use store::BoxFuture;

use crate::domain::{Outcome, Payment, ProviderKey};
use crate::error::WebhookError;

/// The key of an operation: the same for the same order, operation and repetition, in every
/// process and after every restart.
pub(crate) fn key(order: &OrderId, operation: PaymentOperation, epoch: u32) -> ProviderKey {
    let operation: u8 = match operation {
        PaymentOperation::Authorize => 1,
        PaymentOperation::Capture => 2,
        PaymentOperation::Void => 3,
        PaymentOperation::Refund => 4,
    };
    // What is hashed is short and of one length, so one block of BLAKE3 is enough.
    let mut asked = [0; 21];
    asked[..16].copy_from_slice(order.as_bytes());
    asked[16] = operation;
    asked[17..].copy_from_slice(&epoch.to_be_bytes());
    let mut short = [0; 16];
    short.copy_from_slice(&blake3::hash(&asked).as_bytes()[..16]);
    ProviderKey(short)
}

/// What is asked of a provider. It is on record before it exists.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) order_id: OrderId,
    pub(crate) method: SmolStr,
    pub(crate) operation: PaymentOperation,
    pub(crate) key: ProviderKey,
    pub(crate) amount: Money,
    /// What the provider knows the means of payment by.
    pub(crate) token: SmolStr,
    /// The provider's id of the authorisation that is captured, voided or refunded.
    pub(crate) authorization: String,
    /// Whether only the outcome of an earlier call is asked for.
    pub(crate) is_inquiry: bool,
    /// The trace that it belongs to, unless an earlier process knew it.
    pub(crate) traceparent: Option<SmolStr>,
}

impl Call {
    /// The call for the open attempt of `payment`, if there is one.
    pub(crate) fn of(payment: &Payment, is_inquiry: bool) -> Option<Self> {
        let attempt = payment.open_attempt()?;
        Some(Self {
            order_id: payment.order_id,
            method: payment.instruction.method.clone(),
            operation: attempt.operation,
            key: attempt.key,
            amount: payment.money(attempt.amount),
            token: payment.instruction.token.clone(),
            authorization: payment.authorization().to_owned(),
            is_inquiry,
            traceparent: None,
        })
    }
}

/// What a provider says of a call, by answering it or by a webhook.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) order_id: OrderId,
    pub(crate) operation: PaymentOperation,
    pub(crate) key: ProviderKey,
    pub(crate) outcome: Outcome,
    /// The trace that it belongs to, if that is known.
    pub(crate) traceparent: Option<SmolStr>,
}

/// A webhook as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) method: SmolStr,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A payment provider. Every operation may be asked again under its key.
pub(crate) trait Provider: Send + Sync + 'static {
    /// Holds money ready.
    fn authorize<'c>(&'c self, call: &'c Call) -> BoxFuture<'c, Outcome>;
    /// Takes money that is held ready.
    fn capture<'c>(&'c self, call: &'c Call) -> BoxFuture<'c, Outcome>;
    /// Gives up an authorisation.
    fn void<'c>(&'c self, call: &'c Call) -> BoxFuture<'c, Outcome>;
    /// Gives captured money back.
    fn refund<'c>(&'c self, call: &'c Call) -> BoxFuture<'c, Outcome>;
    /// Tells what became of an earlier call by its key; `None` if it never arrived.
    fn inquire<'c>(&'c self, call: &'c Call) -> BoxFuture<'c, Option<Outcome>>;
    /// Reads a webhook if it is the provider's own.
    fn verify_webhook(&self, delivery: &Delivery) -> Result<Answer, WebhookError>;
}

/// Makes `call`. An inquiry about a call that never arrived makes it, under the same key.
pub(crate) async fn ask(provider: &dyn Provider, call: &Call) -> Outcome {
    if call.is_inquiry
        && let Some(outcome) = provider.inquire(call).await
    {
        return outcome;
    }
    match call.operation {
        PaymentOperation::Authorize => provider.authorize(call).await,
        PaymentOperation::Capture => provider.capture(call).await,
        PaymentOperation::Void => provider.void(call).await,
        PaymentOperation::Refund => provider.refund(call).await,
    }
}

/// The configured providers by method.
#[derive(Clone, Default)]
pub(crate) struct Providers(Vec<(SmolStr, Arc<dyn Provider>)>);

impl Providers {
    pub(crate) fn with(mut self, method: &str, provider: Arc<dyn Provider>) -> Self {
        self.0.push((method.into(), provider));
        self
    }

    /// The provider of `method`. There are a handful at most.
    pub(crate) fn get(&self, method: &str) -> Option<&Arc<dyn Provider>> {
        self.0.iter().find(|(name, _)| name == method).map(|(_, provider)| provider)
    }
}

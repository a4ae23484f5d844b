//! Payments in JSON.

use contracts_grpc::v1;
use serde::Serialize;
use utoipa::ToSchema;

use super::words::{AttemptKind, AttemptState, PaymentState, Word as _};
use super::{Amount, Moment, amount, moment, optional_text};

/// The payment of one order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment<'a> {
    /// The order it pays for.
    order_id: &'a str,
    /// Where it stands.
    state: PaymentState,
    /// How it is paid.
    method: &'a str,
    /// What is or was held ready.
    authorized: Amount<'a>,
    /// What was captured in all.
    captured: Amount<'a>,
    /// What went back in all.
    refunded: Amount<'a>,
    /// Everything that was asked of the provider, oldest first.
    attempts: Vec<Attempt<'a>>,
    /// Grows by one with every change; its entity tag.
    version: u64,
    /// When the order asked for it.
    created_at: Moment,
    /// When it last changed.
    updated_at: Moment,
}

/// One thing that was asked of a provider, written down before the provider was called.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attempt<'a> {
    /// The place among the attempts, from 1.
    sequence: u32,
    /// What was asked.
    kind: AttemptKind,
    /// The key under which it was asked.
    provider_key: &'a str,
    /// The amount.
    amount: Amount<'a>,
    /// What became of it.
    state: AttemptState,
    /// The id that the provider gave it.
    provider_reference: Option<&'a str>,
    /// When it was last asked or answered.
    at: Moment,
    /// More about it, for people.
    detail: Option<&'a str>,
}

impl<'a> From<&'a v1::Payment> for Payment<'a> {
    fn from(payment: &'a v1::Payment) -> Self {
        Self {
            order_id: &payment.order_id,
            state: PaymentState::of(payment.state),
            method: &payment.method,
            authorized: amount(payment.authorized.as_ref()),
            captured: amount(payment.captured.as_ref()),
            refunded: amount(payment.refunded.as_ref()),
            attempts: payment.attempts.iter().map(Attempt::from).collect(),
            version: payment.version,
            created_at: moment(payment.created_at.as_ref()),
            updated_at: moment(payment.updated_at.as_ref()),
        }
    }
}

impl<'a> From<&'a v1::PaymentAttempt> for Attempt<'a> {
    fn from(attempt: &'a v1::PaymentAttempt) -> Self {
        Self {
            sequence: attempt.sequence,
            kind: AttemptKind::of(attempt.kind),
            provider_key: &attempt.provider_key,
            amount: amount(attempt.amount.as_ref()),
            state: AttemptState::of(attempt.state),
            provider_reference: optional_text(&attempt.provider_reference),
            at: moment(attempt.at.as_ref()),
            detail: optional_text(&attempt.detail),
        }
    }
}

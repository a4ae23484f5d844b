//! What a path names. A text that cannot be the name of anything is answered like a name that
//! nothing has: 404.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use contracts::{CustomerId, OrderId, Problem, Sku};

use crate::error::Refusal;

/// The id of an order.
pub(super) struct OrderPath(pub(super) String);
/// A SKU.
pub(super) struct SkuPath(pub(super) String);
/// The id of a customer.
pub(super) struct CustomerPath(pub(super) String);
/// The name of something that has no type of its own here.
pub(super) struct NamePath(pub(super) String);

async fn segment<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Refusal> {
    match Path::<String>::from_request_parts(parts, state).await {
        Ok(Path(text)) => Ok(text),
        Err(cause) => Err(Problem::not_found(format!("the path names nothing: {cause}")).into()),
    }
}

fn checked(text: String, fault: Option<String>) -> Result<String, Refusal> {
    fault.map_or(Ok(text), |fault| Err(Problem::not_found(fault).into()))
}

impl<S: Send + Sync> FromRequestParts<S> for OrderPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let text = segment(parts, state).await?;
        let fault = text.parse::<OrderId>().err().map(|cause| format!("no order: {cause}"));
        // The contracts have ids in lower case; a person may type them otherwise.
        checked(text.to_ascii_lowercase(), fault).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SkuPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let text = segment(parts, state).await?;
        let fault = Sku::try_new(&text).err().map(|cause| cause.to_string());
        checked(text, fault).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CustomerPath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let text = segment(parts, state).await?;
        let fault = CustomerId::try_new(&text).err().map(|cause| cause.to_string());
        checked(text, fault).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NamePath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        segment(parts, state).await.map(Self)
    }
}

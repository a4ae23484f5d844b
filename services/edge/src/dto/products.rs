//! Products in JSON.

use contracts_grpc::v1;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words::{ProductStatus, Word as _};
use super::{Amount, Moment, NewMoney, amount, moment, optional_text};

/// A product to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewProduct {
    /// The SKU. Given once, never changed.
    #[schema(example = "item1", max_length = 64)]
    pub(crate) sku: String,
    /// What it is called.
    #[schema(example = "Desk lamp", max_length = 200)]
    pub(crate) name: String,
    /// What it is, for people.
    #[serde(default)]
    #[schema(example = "A lamp for a desk.", max_length = 4096)]
    pub(crate) description: String,
    /// The price of one unit.
    pub(crate) price: NewMoney,
    /// The tax category, as the installation names it.
    #[serde(default)]
    #[schema(example = "standard")]
    pub(crate) tax_category: String,
}

/// What a product shall be from now on. Every field is taken as given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProductChange {
    /// What it is called.
    #[schema(example = "Desk lamp", max_length = 200)]
    pub(crate) name: String,
    /// What it is, for people.
    #[serde(default)]
    #[schema(example = "A lamp for a desk.", max_length = 4096)]
    pub(crate) description: String,
    /// The price of one unit. Orders that are placed keep the price they have.
    pub(crate) price: NewMoney,
    /// Whether it can be ordered. Not given, this stays as it is.
    pub(crate) status: Option<ProductStatus>,
    /// The tax category, as the installation names it.
    #[serde(default)]
    #[schema(example = "standard")]
    pub(crate) tax_category: String,
}

/// Something that can be ordered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Product<'a> {
    /// The SKU.
    sku: &'a str,
    /// What it is called.
    name: &'a str,
    /// What it is, for people.
    description: &'a str,
    /// The price of one unit.
    price: Amount<'a>,
    /// Whether it can be ordered.
    status: ProductStatus,
    /// The tax category.
    tax_category: Option<&'a str>,
    /// Grows by one with every change; its entity tag.
    version: u64,
    /// When it was added.
    created_at: Moment,
    /// When it last changed.
    updated_at: Moment,
}

impl<'a> From<&'a v1::Product> for Product<'a> {
    fn from(product: &'a v1::Product) -> Self {
        Self {
            sku: &product.sku,
            name: &product.name,
            description: &product.description,
            price: amount(product.price.as_ref()),
            status: ProductStatus::of(product.status),
            tax_category: optional_text(&product.tax_category),
            version: product.version,
            created_at: moment(product.created_at.as_ref()),
            updated_at: moment(product.updated_at.as_ref()),
        }
    }
}

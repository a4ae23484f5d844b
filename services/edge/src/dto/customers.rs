//! Customers in JSON.

use contracts_grpc::v1;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Amount, Moment, NewMoney, moment, optional_amount, optional_moment, optional_text};
use crate::error::Refusal;

/// Somewhere a customer receives goods or bills.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Address {
    /// What the customer calls it. Names one address of the customer.
    #[schema(example = "home")]
    label: String,
    /// Who receives there.
    #[schema(example = "Ada Byron")]
    recipient: String,
    /// Street and house, and what else the post needs.
    #[schema(example = json!(["12 St James's Square"]), min_items = 1, max_items = 4)]
    lines: Vec<String>,
    /// The town.
    #[schema(example = "London")]
    city: String,
    /// The state or region, where there is one.
    #[serde(default)]
    region: String,
    /// The postal code, where there is one.
    #[serde(default)]
    #[schema(example = "SW1Y 4JH")]
    postal_code: String,
    /// The country: two capital letters of ISO 3166-1.
    #[schema(example = "GB")]
    country: String,
}

impl From<Address> for v1::Address {
    fn from(address: Address) -> Self {
        let Address { label, recipient, lines, city, region, postal_code, country } = address;
        Self { label, recipient, lines, city, region, postal_code, country }
    }
}

impl From<&v1::Address> for Address {
    fn from(address: &v1::Address) -> Self {
        let v1::Address { label, recipient, lines, city, region, postal_code, country } =
            address.clone();
        Self { label, recipient, lines, city, region, postal_code, country }
    }
}

/// A customer to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewCustomer {
    /// The id. Given once, never changed.
    #[schema(example = "OMS-Cust-001", max_length = 64)]
    pub(crate) customer_id: String,
    /// The name.
    #[schema(example = "Ada Byron", max_length = 200)]
    name: String,
    /// The mail address.
    #[schema(example = "ada@example.com")]
    email: Option<String>,
    /// The telephone number in the form of E.164.
    #[schema(example = "+442079301234")]
    phone: Option<String>,
    /// The addresses, the default first.
    #[schema(max_items = 20)]
    addresses: Option<Vec<Address>>,
    /// What all open orders together may come to. Not given, there is no limit.
    credit_limit: Option<NewMoney>,
}

/// What is known of a customer from now on. Every field is taken as given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CustomerChange {
    /// The name.
    #[schema(example = "Ada Byron", max_length = 200)]
    name: String,
    /// The mail address.
    #[schema(example = "ada@example.com")]
    email: Option<String>,
    /// The telephone number in the form of E.164.
    #[schema(example = "+442079301234")]
    phone: Option<String>,
    /// The addresses, the default first.
    #[schema(max_items = 20)]
    addresses: Option<Vec<Address>>,
    /// What all open orders together may come to. Not given, there is no limit.
    credit_limit: Option<NewMoney>,
}

impl NewCustomer {
    /// The id, and what is known of the customer.
    pub(crate) fn split(self) -> (String, CustomerChange) {
        let Self { customer_id, name, email, phone, addresses, credit_limit } = self;
        (customer_id, CustomerChange { name, email, phone, addresses, credit_limit })
    }
}

impl CustomerChange {
    /// The same as the contracts have it.
    pub(crate) fn details(self) -> Result<v1::CustomerDetails, Refusal> {
        let addresses = self.addresses.unwrap_or_default();
        Ok(v1::CustomerDetails {
            name: self.name,
            email: self.email.unwrap_or_default(),
            phone: self.phone.unwrap_or_default(),
            addresses: addresses.into_iter().map(Into::into).collect(),
            credit_limit: self.credit_limit.map(|limit| limit.read("/creditLimit")).transpose()?,
        })
    }
}

/// Stops new orders of a customer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Block {
    /// Why, for people.
    #[schema(example = "unpaid bills")]
    pub(crate) reason: String,
}

/// Someone who orders.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of the JSON")]
pub(crate) struct Customer<'a> {
    /// The id.
    customer_id: &'a str,
    /// The name; empty after erasure.
    name: &'a str,
    /// The mail address.
    email: Option<&'a str>,
    /// The telephone number.
    phone: Option<&'a str>,
    /// The addresses, the default first.
    addresses: Vec<Address>,
    /// True if new orders are refused.
    blocked: bool,
    /// Why they are refused.
    block_reason: Option<&'a str>,
    /// What all open orders together may come to.
    credit_limit: Option<Amount<'a>>,
    /// What the open orders come to now.
    credit_reserved: Option<Amount<'a>>,
    /// Grows by one with every change; its entity tag.
    version: u64,
    /// When the customer was added.
    created_at: Moment,
    /// When the customer last changed.
    updated_at: Moment,
    /// When the personal data was removed.
    erased_at: Option<Moment>,
}

impl<'a> From<&'a v1::Customer> for Customer<'a> {
    fn from(customer: &'a v1::Customer) -> Self {
        Self {
            customer_id: &customer.customer_id,
            name: &customer.name,
            email: optional_text(&customer.email),
            phone: optional_text(&customer.phone),
            addresses: customer.addresses.iter().map(Address::from).collect(),
            blocked: customer.blocked,
            block_reason: optional_text(&customer.block_reason),
            credit_limit: optional_amount(customer.credit_limit.as_ref()),
            credit_reserved: optional_amount(customer.credit_reserved.as_ref()),
            version: customer.version,
            created_at: moment(customer.created_at.as_ref()),
            updated_at: moment(customer.updated_at.as_ref()),
            erased_at: optional_moment(customer.erased_at.as_ref()),
        }
    }
}

//! Customers and their credit as rows.

use contracts::{Currency, CustomerId, Money, OrderNumber};
use serde::{Deserialize, Serialize};
use store::{Record, Row, Rx, Schema, StoreError, Table, Tx, Value};

use crate::domain::{Address, Customer, Details, Reservation};

/// The customer service's tables.
pub const SCHEMA: Schema = Schema {
    service: "customer",
    migrations: &[("0001_customers", include_str!("../migrations/0001_customers.sql"))],
};

const COLUMNS: &[&str] = &[
    "customer_id",
    "row_version",
    "version",
    "name",
    "email",
    "phone",
    "addresses",
    "blocked",
    "block_reason",
    "credit_minor",
    "credit_currency",
    "reserved_minor",
    "created_at",
    "updated_at",
    "erased_at",
];

/// An address at rest. Its fields never change their places.
#[derive(Serialize, Deserialize)]
struct StoredAddress {
    label: String,
    recipient: String,
    lines: Vec<String>,
    city: String,
    region: String,
    postal_code: String,
    country: String,
}

impl From<Address> for StoredAddress {
    fn from(address: Address) -> Self {
        let Address { label, recipient, lines, city, region, postal_code, country } = address;
        Self { label, recipient, lines, city, region, postal_code, country }
    }
}

impl From<StoredAddress> for Address {
    fn from(stored: StoredAddress) -> Self {
        let StoredAddress { label, recipient, lines, city, region, postal_code, country } = stored;
        Self { label, recipient, lines, city, region, postal_code, country }
    }
}

impl Record for Customer {
    type Key = CustomerId;
    const TABLE: Table = Table { name: "customers", columns: COLUMNS };
    const CACHE_MAX: usize = 100_000;

    fn key(&self) -> CustomerId {
        self.id.clone()
    }

    #[expect(clippy::misnamed_getters, reason = "the store guards the row, editors the customer")]
    fn version(&self) -> u64 {
        self.row_version
    }

    fn broken_rule(&self) -> Option<&'static str> {
        if self.details.credit_limit.is_some_and(|limit| limit.minor() < 0) {
            return Some("customers_credit_not_negative");
        }
        (self.reserved_minor < 0).then_some("customers_reserved_not_negative")
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        let limit = self.details.credit_limit;
        // Plain strings always encode; an empty document would be seen as damaged when read.
        let addresses = self.details.addresses.iter().cloned().map(StoredAddress::from);
        let addresses = postcard::to_stdvec(&addresses.collect::<Vec<_>>()).unwrap_or_default();
        row.extend([
            (&self.id).into(),
            self.row_version.into(),
            self.version.into(),
            (&self.details.name).into(),
            (&self.details.email).into(),
            (&self.details.phone).into(),
            Value::OwnedBlob(addresses),
            self.blocked.is_some().into(),
            self.blocked.as_deref().unwrap_or("").into(),
            limit.map(Money::minor).into(),
            limit.map(|limit| limit.currency().to_string()).into(),
            self.reserved_minor.into(),
            self.created_at.into(),
            self.updated_at.into(),
            self.erased_at.into(),
        ]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let addresses: Vec<StoredAddress> = postcard::from_bytes(row.blob(6)?)
            .map_err(|error| row.damaged(6, &error.to_string()))?;
        let credit_limit = match row.opt_int(9)? {
            None => None,
            Some(minor) => Some(Money::new(minor, row.parsed(10, Currency::try_new)?)),
        };
        let blocked = row.int(7)? == 1;
        Ok(Self {
            id: row.parsed(0, CustomerId::try_new)?,
            row_version: row.count(1)?,
            version: row.count(2)?,
            details: Details {
                name: row.text(3)?.to_owned(),
                email: row.text(4)?.to_owned(),
                phone: row.text(5)?.to_owned(),
                addresses: addresses.into_iter().map(Address::from).collect(),
                credit_limit,
            },
            blocked: if blocked { Some(row.text(8)?.to_owned()) } else { None },
            reserved_minor: row.int(11)?,
            created_at: row.timestamp(12)?,
            updated_at: row.timestamp(13)?,
            erased_at: row.opt_timestamp(14)?,
        })
    }
}

impl Record for Reservation {
    type Key = OrderNumber;
    const TABLE: Table = Table {
        name: "credit_reservations",
        columns: &["order_number", "version", "customer_id", "amount_minor", "released"],
    };
    const CACHE_MAX: usize = 20_000;

    fn key(&self) -> OrderNumber {
        self.order
    }

    fn version(&self) -> u64 {
        if self.released { 2 } else { 1 }
    }

    fn broken_rule(&self) -> Option<&'static str> {
        (self.amount_minor < 0).then_some("credit_amount_not_negative")
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([
            self.order.into(),
            self.version().into(),
            (&self.customer).into(),
            self.amount_minor.into(),
            self.released.into(),
        ]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            order: OrderNumber::new(row.count(0)?),
            customer: row.parsed(2, CustomerId::try_new)?,
            amount_minor: row.int(3)?,
            released: row.int(4)? == 1,
        })
    }
}

/// The customer as the transaction sees it.
pub async fn load(tx: &mut Tx, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
    tx.load::<Customer>(std::slice::from_ref(id)).await?;
    Ok(tx.get::<Customer>(id).cloned())
}

/// A committed customer.
pub async fn find(rx: &mut Rx, id: &CustomerId) -> Result<Option<Customer>, StoreError> {
    let select = format!("SELECT {} FROM customers WHERE customer_id = $1", COLUMNS.join(", "));
    Ok(rx.query(&select, &[id.into()], Customer::read).await?.pop())
}

/// In which sequence customers are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// By id.
    Id,
    /// By id, backwards.
    IdDescending,
    /// Latest first.
    Newest,
    /// Earliest first.
    Oldest,
}

/// Which customers are listed.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Text within id, name, mail address or telephone number, whatever the case.
    pub text: String,
    /// Only those that are, or are not, blocked.
    pub blocked: Option<bool>,
    /// The sequence.
    pub sequence: Sequence,
    /// Age and id of the last customer of the page before.
    pub after: Option<(i64, String)>,
    /// At most this many.
    pub limit: u32,
}

/// `text` for LIKE, with its wildcards taken literally.
fn literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// One page of customers.
pub async fn list(rx: &mut Rx, filter: &Filter) -> Result<Vec<Customer>, StoreError> {
    let (after, sequence) = match filter.sequence {
        Sequence::Id => ("customer_id > $4", "customer_id"),
        Sequence::IdDescending => ("customer_id < $4", "customer_id DESC"),
        Sequence::Oldest => ("(created_at, customer_id) > ($5, $4)", "created_at, customer_id"),
        Sequence::Newest => {
            ("(created_at, customer_id) < ($5, $4)", "created_at DESC, customer_id DESC")
        }
    };
    // A bare comparison lets the index seek: a late page costs what the first one does.
    let after = filter.after.as_ref().map_or("", |_| after);
    let and = if after.is_empty() { "" } else { "AND" };
    let columns = COLUMNS.join(", ");
    let select = format!(
        "SELECT {columns} FROM customers \
         WHERE ($1 = '%%' OR LOWER(customer_id) LIKE LOWER($1) ESCAPE '\\' \
                OR LOWER(name) LIKE LOWER($1) ESCAPE '\\' \
                OR LOWER(email) LIKE LOWER($1) ESCAPE '\\' \
                OR LOWER(phone) LIKE LOWER($1) ESCAPE '\\') \
           AND (blocked = $2 OR $2 IS NULL) \
           {and} {after} \
         ORDER BY {sequence} LIMIT $3"
    );
    let mut values = vec![
        format!("%{}%", literal(&filter.text)).into(),
        filter.blocked.into(),
        filter.limit.into(),
    ];
    if let Some((age, id)) = &filter.after {
        values.push(id.into());
        let is_by_age = matches!(filter.sequence, Sequence::Oldest | Sequence::Newest);
        values.extend(is_by_age.then_some(Value::from(*age)));
    }
    rx.query(&select, &values, Customer::read).await
}

//! Products as rows.

use contracts::{Currency, Money, Sku};
use store::{Record, Row, Rx, Schema, StoreError, Table, Tx, Value};

use crate::domain::{Facts, Product};

/// The catalog's tables.
pub const SCHEMA: Schema = Schema {
    service: "catalog",
    migrations: &[("0001_products", include_str!("../migrations/0001_products.sql"))],
};

const COLUMNS: &str = "sku, version, name, description, price_minor, currency, retired, \
    tax_category, created_at, updated_at";

impl Record for Product {
    type Key = Sku;
    const TABLE: Table = Table {
        name: "products",
        columns: &[
            "sku",
            "version",
            "name",
            "description",
            "price_minor",
            "currency",
            "retired",
            "tax_category",
            "created_at",
            "updated_at",
        ],
    };
    const CACHE_MAX: usize = 10_000;

    fn key(&self) -> Sku {
        self.sku.clone()
    }

    fn version(&self) -> u64 {
        self.version
    }

    fn broken_rule(&self) -> Option<&'static str> {
        (self.facts.price.minor() < 0).then_some("products_price_not_negative")
    }

    fn write<'r>(&'r self, row: &mut Vec<Value<'r>>) {
        row.extend([
            (&self.sku).into(),
            self.version.into(),
            (&self.facts.name).into(),
            (&self.facts.description).into(),
            self.facts.price.minor().into(),
            self.facts.price.currency().to_string().into(),
            self.retired.into(),
            (&self.facts.tax_category).into(),
            self.created_at.into(),
            self.updated_at.into(),
        ]);
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let currency = row.parsed(5, Currency::try_new)?;
        Ok(Self {
            sku: row.parsed(0, Sku::try_new)?,
            version: row.count(1)?,
            facts: Facts {
                name: row.text(2)?.to_owned(),
                description: row.text(3)?.to_owned(),
                price: Money::new(row.int(4)?, currency),
                tax_category: row.text(7)?.to_owned(),
            },
            retired: row.int(6)? == 1,
            created_at: row.timestamp(8)?,
            updated_at: row.timestamp(9)?,
        })
    }
}

/// The product as the transaction sees it.
pub async fn load(tx: &mut Tx, sku: &Sku) -> Result<Option<Product>, StoreError> {
    tx.load::<Product>(std::slice::from_ref(sku)).await?;
    Ok(tx.get::<Product>(sku).cloned())
}

/// Committed products by SKU; unknown ones are left out. At most as many as the caller bounds.
pub async fn by_skus(rx: &mut Rx, skus: &[Sku]) -> Result<Vec<Product>, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM products WHERE sku = $1");
    let mut found = Vec::with_capacity(skus.len());
    for sku in skus {
        found.extend(rx.query(&select, &[sku.into()], Product::read).await?);
    }
    Ok(found)
}

/// In which sequence products are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// By SKU.
    Sku,
    /// By SKU, backwards.
    SkuDescending,
    /// Latest first.
    Newest,
    /// Earliest first.
    Oldest,
}

/// Which products are listed.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Only those that can (`false`) or can no longer (`true`) be bought.
    pub retired: Option<bool>,
    /// The beginning of the SKU, byte by byte.
    pub sku_prefix: String,
    /// Text within SKU, name or description, whatever the case.
    pub text: String,
    /// The tax category, exactly.
    pub tax_category: String,
    /// The sequence.
    pub sequence: Sequence,
    /// Age and SKU of the last product of the page before.
    pub after: Option<(i64, String)>,
    /// At most this many.
    pub limit: u32,
}

/// `text` for LIKE, with its wildcards taken literally.
fn literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// One page of products.
pub async fn list(rx: &mut Rx, filter: &Filter) -> Result<Vec<Product>, StoreError> {
    let (after, sequence) = match filter.sequence {
        Sequence::Sku => ("sku > $6", "sku"),
        Sequence::SkuDescending => ("sku < $6", "sku DESC"),
        Sequence::Oldest => ("(created_at, sku) > ($7, $6)", "created_at, sku"),
        Sequence::Newest => ("(created_at, sku) < ($7, $6)", "created_at DESC, sku DESC"),
    };
    // A bare comparison lets the index seek: a late page costs what the first one does.
    let after = filter.after.as_ref().map_or("", |_| after);
    let and = if after.is_empty() { "" } else { "AND" };
    let select = format!(
        "SELECT {COLUMNS} FROM products \
         WHERE (retired = $1 OR $1 IS NULL) \
           AND ($2 = '' OR SUBSTR(sku, 1, LENGTH($2)) = $2) \
           AND ($3 = '%%' OR LOWER(sku) LIKE LOWER($3) ESCAPE '\\' \
                OR LOWER(name) LIKE LOWER($3) ESCAPE '\\' \
                OR LOWER(description) LIKE LOWER($3) ESCAPE '\\') \
           AND ($4 = '' OR tax_category = $4) \
           {and} {after} \
         ORDER BY {sequence} LIMIT $5"
    );
    let mut values = vec![
        filter.retired.into(),
        (&filter.sku_prefix).into(),
        format!("%{}%", literal(&filter.text)).into(),
        (&filter.tax_category).into(),
        filter.limit.into(),
    ];
    if let Some((age, sku)) = &filter.after {
        values.push(sku.into());
        let is_by_age = matches!(filter.sequence, Sequence::Oldest | Sequence::Newest);
        values.extend(is_by_age.then_some(Value::from(*age)));
    }
    rx.query(&select, &values, Product::read).await
}

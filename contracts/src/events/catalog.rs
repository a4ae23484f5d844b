//! What the product catalog says.

use smol_str::SmolStr;

use super::event_data;
use crate::ids::Sku;
use crate::money::Money;

event_data! {
    /// A product can be bought.
    ProductCreated keyed by sku {
        /// The SKU.
        sku: Sku,
        /// Its name.
        name: SmolStr,
        /// Its price.
        price: Money,
        /// Version 1.
        version: u64,
    }
}

event_data! {
    /// A product's facts or price changed.
    ProductUpdated keyed by sku {
        /// The SKU.
        sku: Sku,
        /// Its name.
        name: SmolStr,
        /// Its price.
        price: Money,
        /// The new version.
        version: u64,
    }
}

event_data! {
    /// A product can no longer be bought.
    ProductRetired keyed by sku {
        /// The SKU.
        sku: Sku,
        /// The new version.
        version: u64,
    }
}

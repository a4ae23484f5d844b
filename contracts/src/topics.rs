//! The topics: one table of names, keys and partitions. All events of an aggregate share a topic.

use std::fmt;

/// A stream of events of one kind of aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// The life of orders, by order id.
    Order,
    /// The customer's verdict on an order, by order id.
    OrderCheck,
    /// Holds and allocations, by order id.
    Reservation,
    /// Levels of stock, by SKU.
    Stock,
    /// Payments, by order id.
    Payment,
    /// Products, by SKU.
    Product,
    /// Customers, by customer id.
    Customer,
    /// Messages to people, by recipient.
    Notification,
}

impl Topic {
    /// Every topic, in the order of its code.
    pub const ALL: [Self; 8] = [
        Self::Order,
        Self::OrderCheck,
        Self::Reservation,
        Self::Stock,
        Self::Payment,
        Self::Product,
        Self::Customer,
        Self::Notification,
    ];

    /// The name without the configured prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::OrderCheck => "order-check",
            Self::Reservation => "reservation",
            Self::Stock => "stock",
            Self::Payment => "payment",
            Self::Product => "product",
            Self::Customer => "customer",
            Self::Notification => "notification",
        }
    }

    /// Where its events come from, as CloudEvents say it: a path of the service that writes it.
    pub const fn source(self) -> &'static str {
        match self {
            Self::Order => "/millrace/order",
            Self::OrderCheck | Self::Customer => "/millrace/customer",
            Self::Reservation | Self::Stock => "/millrace/inventory",
            Self::Payment => "/millrace/payment",
            Self::Product => "/millrace/catalog",
            Self::Notification => "/millrace/notification",
        }
    }

    /// The service that writes it.
    pub fn producer(self) -> &'static str {
        self.source().rsplit('/').next().unwrap_or_default()
    }

    /// What the key of a record is.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Order | Self::OrderCheck | Self::Reservation | Self::Payment => "order id",
            Self::Stock | Self::Product => "sku",
            Self::Customer => "customer id",
            Self::Notification => "recipient",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

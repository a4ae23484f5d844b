//! Does what is asked: loads, lets the domain decide, saves, tells. The only home of transactions.

mod commands;
mod desk;
mod facts;
mod owners;
mod queries;
mod queue;
mod sweep;

pub use commands::{Answer, Done, StockRequest, change_stock, receive_all};
pub use facts::hear;
pub use owners::{OwnerReply, OwnerRequest, release_owner, reserve_owner};
pub use queries::{
    JournalRequest, LineSupply, ListPage, availability, journal_of, list_stock, stock_as_of,
    stock_of, stock_of_many,
};
pub use sweep::sweep;

pub use crate::store::{JournalRow, JournalView, LevelView, ReservationRow};

#[cfg(test)]
mod tests;

//! Rows of inventory's tables, and what is read of them beside transactions.

mod backorder;
mod document;
mod history;
mod hold;
mod journal;
mod level;
mod list;

pub use backorder::BackorderRow;
pub use history::JournalView;
pub use hold::{HoldRow, ReservationRow};
pub(crate) use hold::{due_orders, due_owners, next_order, next_owner};
pub(crate) use journal::tip;
pub use journal::{JournalRow, Tip};
pub use level::{ItemRow, LevelRow, LevelView};

pub(crate) mod read {
    //! What is read outside transactions.
    pub(crate) use super::history::{JournalPage, as_of, journal, journal_after};
    pub(crate) use super::hold::{holds_after, reservations_after};
    pub(crate) use super::level::{level_by_sku, levels_after, levels_by_sku};
    pub(crate) use super::list::{ListQuery, list};
}

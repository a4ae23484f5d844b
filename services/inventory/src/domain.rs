//! Decides: what can be promised, what an owner keeps, and what a level becomes. Pure code over
//! values in memory.

mod command;
mod fact;
mod hold;
mod level;
mod levels;
mod line;
mod reserve;

pub use command::{Command, Refusal};
pub use fact::{Ending, Fact, HoldState, IllegalFact, Owner, Said};
pub use hold::Hold;
pub use level::{Alert, Balances, Level, LevelError, LevelId};
pub use levels::{Cause, Entry, Kind, Levels, Slot, Why};
pub use line::HoldLine;
pub use reserve::{Ask, supply};

#[cfg(test)]
mod tests;

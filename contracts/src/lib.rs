//! What Millrace's services agree on: identifiers, money, quantities, time, events and problems.
//!
//! Pure data: no I/O, no async, no clock of its own. Everything here that is `Serialize` is a
//! promise to the outside; what is recorded in `golden/` never changes its bytes.
//!
//! **Invariant:** every event of an aggregate goes to one topic, under one key, with a gapless
//! `sequence` ([`topics`], [`envelope`]).

pub mod clock;
pub mod cloudevents;
pub mod compat;
pub mod envelope;
pub mod events;
pub mod ids;
pub mod money;
pub mod problem;
pub mod quantity;
pub mod segment;
pub mod topics;

pub use clock::{Clock, Timestamp};
pub use envelope::{Draft, Event, EventKey};
pub use events::{EventData, EventKind};
pub use ids::{CustomerId, EventId, Location, OrderId, OrderNumber, Position, Sku};
pub use money::{Currency, Money};
pub use problem::{FieldError, Problem};
pub use quantity::Quantity;
pub use topics::Topic;

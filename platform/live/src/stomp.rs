//! STOMP 1.0, 1.1 and 1.2, the server's side: clients subscribe to what the hub tells.
//!
//! [`frame`] is the codec and [`session`] the rules, both without I/O. [`serve()`] runs one client over
//! a [`Link`], which is a WebSocket or a SockJS session.

pub mod frame;
mod link;
mod serve;
pub mod session;

pub use link::{Link, Received};
pub use serve::{Application, Server, serve};

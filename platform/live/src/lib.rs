//! Live push: tells browsers what was committed, however many of them there are.
//!
//! [`hub`] keeps ONE ring of serialised events and a cursor per client; bytes are made once per tick
//! and shared. [`sse`] writes them as server-sent events; [`stomp`] as messages of STOMP 1.0 to 1.2
//! over a WebSocket; [`sockjs`] carries STOMP through every transport of SockJS.
//!
//! Each protocol is a codec and a session, which are pure, and a thin layer that reads and writes.
//!
//! **Invariants:** a client that is slow, stuck or hostile costs nothing that grows and slows nobody
//! else. What a client is not told in order and complete, it is told to load anew. This crate has
//! never heard of what the events are about.

pub mod hub;
pub mod sockjs;
pub mod sse;
pub mod stomp;

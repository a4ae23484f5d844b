//! Handlers over a real store. Every test ends with the auditor.

mod audits;
mod flows;
mod owners;
mod queries;
mod world;

use world::World;

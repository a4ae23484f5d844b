//! The service over a real store, spoken to over gRPC and through the log.

mod finding;
mod flows;
mod placing;
mod restart;
mod world;

//! Orders on their way through the real product, over HTTP and gRPC: each test starts a product of its
//! own, follows the business, and ends with the audit.

mod bulk;
mod cancel;
mod conditional;
mod customers;
mod deadlines;
mod dispatch;
mod grpc;
mod life;
mod lists;
mod operations;
mod payment;
mod repeats;
mod shortage;
mod states;
mod stock;

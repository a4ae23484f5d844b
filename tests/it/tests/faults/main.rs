//! What must not go wrong when much comes at once, when the product is ended, and when it is set up
//! wrongly.

mod refusals;
mod rush;
mod siege;
mod stopping;

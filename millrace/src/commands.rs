//! What the binary can be told to do.

pub(crate) mod audit;
pub(crate) mod load;
pub(crate) mod read;
pub(crate) mod ready;
pub(crate) mod replay;
pub(crate) mod up;

//! Connections: what comes in, what goes out, what is kept of each.

pub mod conn;
mod input;
pub(crate) mod output;

//! Connections. [`conn`]: what is kept of each. `input`: what comes in, deadlines. `output`: replies. `end`: how one ends.

pub mod conn;
pub(crate) mod end;
mod input;
mod output;

pub(crate) use output::DueReply;

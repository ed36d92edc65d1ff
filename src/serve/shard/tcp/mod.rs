//! Connections. [`conn`]: what is kept of each. `accept`: how one begins. `input`: what comes in. `flow`: when it is read from, deadlines. `output`: replies. `end`: how one ends.

mod accept;
pub mod conn;
pub(crate) mod end;
mod flow;
mod input;
mod output;

pub(crate) use output::DueReply;

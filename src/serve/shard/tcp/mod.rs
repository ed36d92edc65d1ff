//! Connections. [`conn`]: what is kept of each. `accept`, `dial`: how one begins. `life`: where it is up, and gone. `input`: what comes in. `flow`: when it is read from, deadlines. `output`: replies. `end`: how one ends.

mod accept;
pub mod conn;
mod dial;
pub(crate) mod end;
mod flow;
mod input;
mod life;
mod output;
pub(crate) mod tls;

pub(crate) use output::DueReply;

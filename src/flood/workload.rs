//! What a run asks: which FSUs, which commands, with which values.
//!
//! - [`options`]: a whole run, checked.
//! - [`part`]: which part of a load it is.
//! - [`targets`]: the FSUs, and where they listen.
//! - [`profile`]: the requests that FSUs with the same devices get, and their order.
//! - [`mix`]: how often each command is sent.
//! - [`turns`]: how far an FSU is in that order.
//! - [`values`]: the flood file.
//! - [`left_out`]: commands that are not asked, and why.
//! - [`solve`]: request values that make a condition hold.
//! - [`mark`]: bytes that make requests of one command differ.

pub mod left_out;
pub mod mark;
pub mod mix;
pub mod options;
pub mod part;
pub mod profile;
pub mod solve;
pub mod targets;
pub mod turns;
pub mod values;

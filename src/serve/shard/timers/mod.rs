//! What is done later.
//!
//! - [`wheel`]: everything that is to be done later, by its time. [`pending`]: replies that wait for theirs, [`share`]: whose they are.

pub mod pending;
pub mod share;
pub mod wheel;

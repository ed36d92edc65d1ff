//! What is done later: [`later`] is all of it. [`wheel`]: by its time. [`pending`]: replies that wait, [`share`]: who may have how many.

pub(crate) mod later;
pub mod pending;
pub mod share;
pub mod wheel;

//! The drivers over loopback and over a simulated kernel.

mod driven;
mod footprint;
pub(crate) mod kernel;
mod loopback;
mod turns;

pub(crate) use crate::shard::tests::*;

//! A thread of a run.

pub mod reply;
pub mod worker;

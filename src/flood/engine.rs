//! A thread of a run.

pub mod pin;
pub mod reply;
pub mod worker;

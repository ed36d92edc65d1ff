//! The logger thread.

pub mod record;
pub mod tap;

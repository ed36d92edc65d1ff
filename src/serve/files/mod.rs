//! What the device log, the fault ledger and the system log share: files that are rotated, write errors, times.

pub(crate) mod old;
pub(crate) mod rolling;
pub(crate) mod stamp;
pub(crate) mod trouble;

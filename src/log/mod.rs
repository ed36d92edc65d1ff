//! The logger thread.

mod device;
mod format;
pub mod record;
mod rolling;
mod stamp;
pub mod system;
pub mod tap;
#[cfg(test)]
mod testing;
mod trouble;

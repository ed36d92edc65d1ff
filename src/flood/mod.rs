//! The load generator: asks the FSUs of a configuration, and verifies what they answer.

pub mod expect;
pub mod lane;
pub mod mix;
pub mod profile;
pub mod request;
pub mod schedule;
#[cfg(test)]
mod tests;
pub mod values;

//! Metrics as OpenMetrics text.
//!
//! [`families`]: any metrics, from data to text. [`fleet`]: those of a running fleet. [`steady`]: counters that never fall.

pub mod families;
pub mod fleet;
pub mod steady;

pub use families::{Families, Histo, Labels};

//! The load generator: asks the FSUs of a configuration, and verifies what they answer.

pub mod book;
pub mod capacity;
pub mod clock;
pub mod compare;
pub mod engine;
pub mod expect;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod hear;
pub mod lane;
mod latency;
#[cfg(test)]
mod limits;
pub mod link;
pub mod listen;

pub mod numbers;
pub mod pace;
pub mod report;
pub mod run;
pub mod search;
pub mod talk;
#[cfg(test)]
mod tests;
pub mod threshold;
pub mod workload;

// Short paths for the program.
pub use book::{account, tally};
pub use engine::worker;
pub use link::broadcast;
pub use listen::heard as centre;
#[cfg(feature = "screen")]
pub use report::screen;
pub use report::{html, merge, part, schema, sum, text};
pub use workload::{mix, options, profile, targets, values};

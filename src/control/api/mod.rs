//! What the control server answers, and what it is asked: the shapes of the JSON (docs/reference/control.md).
//!
//! Units are last in a key's name: `_ms`, `_s`, `_us`, `_bytes`.

pub mod changes;
pub mod detail;
pub mod error;
pub mod fsus;
pub mod run;
pub mod snapshot;

pub use error::{Code, ErrorAnswer, Failure};

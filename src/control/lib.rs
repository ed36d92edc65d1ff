//! The control server: what a running fleet tells, and what it can be told.
//!
//! - [`page`]: the dashboard.

pub mod page;

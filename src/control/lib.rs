//! The control server: what a running fleet tells, and what it can be told.
//!
//! - [`server`]: the thread, its connections, the calls. [`limits`]: its limits.
//! - [`api`]: the shapes of the JSON. [`source`]: what a server is about.
//! - [`page`]: the dashboard.

pub mod api;
pub mod limits;
pub mod page;
pub mod server;
pub mod source;

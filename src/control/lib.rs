//! The control server: what a running fleet tells, and what it can be told.
//!
//! - [`server`]: the thread, its connections, the calls. [`limits`]: its limits.
//! - [`api`]: the shapes of the JSON. [`source`]: what a server is about.
//! - [`run`]: a running fleet as a source. [`load`]: a load generator as one. [`metrics`]: metrics as text. [`explain`]: what bytes are.
//! - [`client`]: the other end. [`page`]: the dashboard.

pub mod api;
pub mod client;
pub mod explain;
pub mod limits;
pub mod load;
pub mod metrics;
pub mod page;
pub mod run;
pub mod server;
pub mod source;

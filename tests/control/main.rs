//! The control server of the real program (docs/reference/control.md).
#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

mod calls;
mod ctl;
mod detail;
mod events;
#[path = "../integration/harness.rs"]
#[allow(dead_code, unreachable_pub)]
mod harness;
mod http;
mod metrics;
mod openapi;
mod security;
mod top;
mod world;

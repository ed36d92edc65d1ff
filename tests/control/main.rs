//! The control server of the real program (docs/reference/control.md).
#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

mod calls;
mod ctl;
mod detail;
mod events;
mod flood;
mod grafana;
#[path = "../integration/harness.rs"]
#[allow(dead_code, unreachable_pub)]
mod harness;
mod http;
mod journal;
mod load;
mod metrics;
mod openapi;
mod security;
mod shells;
mod top;
mod world;

//! The control server of the real program (docs/reference/control.md).
#![allow(clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

#[path = "../integration/harness.rs"]
#[allow(dead_code, unreachable_pub)]
mod harness;
mod http;
mod security;

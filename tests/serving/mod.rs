//! What is fuzzed of serving, as in `tests/fuzzing`: the text of the device log, and shards with real sockets.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

pub mod log_text;
pub mod sockets;

use crate::fuzzing::Target;

/// As `fuzzing::TARGETS`.
pub const TARGETS: &[(&str, Target)] = &[("log_text", log_text::run), ("sockets", sockets::run)];

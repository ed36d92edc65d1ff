//! What is fuzzed of the format and the conversation (`tests/serving`: of the rest): one function a target, `bytes in, panic or not`. `fuzz/fuzz_targets` hands them to libFuzzer,
//! `tests/fuzz_corpora.rs` replays the corpora, `tests/properties.rs` draws inputs of its own.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::pedantic, clippy::unwrap_used, clippy::expect_used)]

pub mod config;
pub mod edit;
pub mod envelopes;
pub mod expressions;
pub mod framer;
pub mod inner;
pub mod input;
pub mod outer;
pub mod replies;
pub mod shapes;
pub mod shipped;

/// What is done with one input; it panics where something is wrong.
pub type Target = fn(&[u8]);

/// Every target of these: its name, which is also that of its corpus, and what it does with an input.
pub const TARGETS: &[(&str, Target)] = &[
    ("outer", outer::run),
    ("inner", inner::run),
    ("framer", framer::run),
    ("config", config::run),
    ("replies", replies::run),
    ("envelopes", envelopes::run),
    ("expressions", expressions::run),
    ("shapes", shapes::run),
];

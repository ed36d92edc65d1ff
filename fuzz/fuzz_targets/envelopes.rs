//! See `tests/fuzzing/envelopes.rs`.
#![no_main]

#[path = "../../tests/fuzzing/mod.rs"]
mod fuzzing;
#[path = "../../tests/naive/mod.rs"]
mod naive;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::envelopes::run(data));

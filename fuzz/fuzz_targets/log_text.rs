//! See `tests/serving/log_text.rs`.
#![no_main]

#[path = "../../tests/fuzzing/mod.rs"]
mod fuzzing;
#[path = "../../tests/naive/mod.rs"]
mod naive;
#[path = "../../tests/serving/mod.rs"]
mod serving;

libfuzzer_sys::fuzz_target!(|data: &[u8]| serving::log_text::run(data));

//! See `tests/fuzzing/shapes.rs`.
#![no_main]

#[path = "../../tests/fuzzing/mod.rs"]
mod fuzzing;
#[path = "../../tests/naive/mod.rs"]
mod naive;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::shapes::run(data));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    fuzzing::input::mutate(data, size, max_size, seed, libfuzzer_sys::fuzzer_mutate)
});

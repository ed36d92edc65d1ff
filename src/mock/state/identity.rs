//! The identity of an FSU, as a seed of its messages' generators.

use fsu_plan::model::fleet::Fsu;

/// Spreads every bit of `x` over the result (the finalizer of splitmix64).
#[inline]
pub(crate) fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// 2^64 over the golden ratio.
pub(crate) const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// An FSU's identity as a seed: from its id, or from its name if it has no id.
pub fn identity(fsu: &Fsu) -> u64 {
    let identity = if fsu.id.len == 0 { fsu.name.as_bytes() } else { fsu.id.given() };
    identity.chunks(8).fold(0, |hash, chunk| {
        let word = chunk.iter().fold(0, |word, &byte| (word << 8) | u64::from(byte));
        mix(hash ^ word).wrapping_add(STEP)
    })
}

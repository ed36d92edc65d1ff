//! The identity of an FSU, as a number: the seed of its messages' generators, and what it is sorted into parts by.

use super::fleet::Fsu;

/// Spreads every bit of `x` over the result (the finalizer of splitmix64).
#[inline]
pub fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// 2^64 over the golden ratio.
pub const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// An FSU's identity as a seed: from its id, or from its name if it has no id.
pub fn identity(fsu: &Fsu) -> u64 {
    let identity = if fsu.id.len == 0 { fsu.name.as_bytes() } else { fsu.id.given() };
    identity.chunks(8).fold(0, |hash, chunk| {
        let word = chunk.iter().fold(0, |word, &byte| (word << 8) | u64::from(byte));
        mix(hash ^ word).wrapping_add(STEP)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixtures::fsu;

    #[test]
    fn who_an_fsu_is() {
        let of = |name: &str, id: &[u8]| {
            let mut fsu = fsu(vec![]);
            fsu.name = name.into();
            fsu.id.len = id.len() as _;
            fsu.id.bytes[..id.len()].copy_from_slice(id);
            identity(&fsu)
        };
        // The id, and without one the name.
        assert_eq!(of("a", b"20250125"), of("b", b"20250125"));
        assert_ne!(of("a", b""), of("b", b""));
        let all = [of("a", b"20250125"), of("a", b"2025012501"), of("a", b""), of("abcdefghi", b"")];
        let expected: [u64; 4] = [
            9_344_104_077_837_838_682,
            5_563_599_815_936_811_964,
            5_563_905_989_884_602_542,
            1_950_774_178_645_937_860,
        ];
        assert_eq!(all, expected);
    }
}

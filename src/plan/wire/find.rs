//! Looks for bytes in short texts. A searcher that is prepared for long ones costs more than the text.

use memchr::{memchr, memmem};

/// The same byte in every lane.
const ONES: u64 = u64::MAX / 0xFF;
/// Bytes that are looked at here; what is behind them is left to `memchr`.
const NEAR_BYTES: usize = 32;
/// Bytes of a needle for which no searcher is prepared. Each place where it may begin costs a comparison.
const NEEDLE_SHORT: usize = 8;

/// Where a byte is first.
#[inline]
pub(super) fn byte(bytes: &[u8], wanted: u8) -> Option<usize> {
    let all = ONES * u64::from(wanted);
    let (mut at, mut rest) = (0, bytes);
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let differs = u64::from_le_bytes(*word) ^ all;
        // The lowest top bit is that of the first byte that is 00.
        let equal = differs.wrapping_sub(ONES) & !differs & (ONES << 7);
        if equal != 0 {
            return Some(at + (equal.trailing_zeros() / 8) as usize);
        }
        (at, rest) = (at + 8, behind);
        if at == NEAR_BYTES {
            return memchr(wanted, rest).map(|found| at + found);
        }
    }
    rest.iter().position(|byte| *byte == wanted).map(|found| at + found)
}

/// Where a byte is in a word: the top bit of each such byte, the first one lowest.
#[inline]
pub(super) fn places(word: [u8; 8], wanted: u8) -> u64 {
    const LOW: u64 = !(ONES << 7);
    let differs = u64::from_le_bytes(word) ^ (ONES * u64::from(wanted));
    // Each byte by itself: without a carry from one to the next.
    !(((differs & LOW) + LOW) | differs | LOW)
}

/// Where several bytes begin first.
#[inline]
pub(super) fn bytes(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    match wanted {
        [one] => byte(bytes, *one),
        [first, .., last] if wanted.len() <= NEEDLE_SHORT => {
            let behind = wanted.len() - 1;
            let mut from = 0;
            // The first byte of a place where it has room.
            let places = bytes.get(..bytes.len().checked_sub(behind)?)?;
            while let Some(found) = byte(places.get(from..)?, *first) {
                let at = from + found;
                let is_here = bytes.get(at + behind) == Some(last);
                if is_here && (behind == 1 || bytes[at..].starts_with(wanted)) {
                    return Some(at);
                }
                from = at + 1;
            }
            None
        }
        _ => memmem::find(bytes, wanted),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_found_is_what_the_crate_finds(
            bytes in proptest::collection::vec(0_u8..3, 0..100),
            wanted in proptest::collection::vec(0_u8..3, 0..12),
            high: bool,
        ) {
            let spread = |bytes: &[u8]| -> Vec<u8> {
                bytes.iter().map(|byte| if high { 0x7F + byte } else { *byte }).collect()
            };
            let (bytes, wanted) = (spread(&bytes), spread(&wanted));
            prop_assert_eq!(super::bytes(&bytes, &wanted), memchr::memmem::find(&bytes, &wanted));
            for wanted in [0, 1, 2, 0x7F, 0x80, 0x81, 0xFF] {
                prop_assert_eq!(super::byte(&bytes, wanted), memchr::memchr(wanted, &bytes));
                for word in bytes.as_chunks::<8>().0 {
                    let right = memchr::memchr_iter(wanted, word).map(|at| 0x80_u64 << (8 * at));
                    prop_assert_eq!(super::places(*word, wanted), right.sum::<u64>());
                }
            }
        }
    }
}

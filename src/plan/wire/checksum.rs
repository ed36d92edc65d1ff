//! The inner checksums (spec templates.md, Checksums).

use super::crc16::Crc16;
use super::envelope::xor;
use super::sums;
use crate::model::field::Offset;
use crate::model::template::{Algorithm, Checksum, Complement, Special, Template};

/// Reads `bytes` (1 to 8) as a number.
#[inline]
pub fn read_number(bytes: &[u8], little: bool) -> u64 {
    let fold = |value: u64, &byte: &u8| (value << 8) | u64::from(byte);
    match *bytes {
        [one] => u64::from(one),
        [a, b] if little => u64::from(u16::from_le_bytes([a, b])),
        [a, b] => u64::from(u16::from_be_bytes([a, b])),
        _ if little => bytes.iter().rev().fold(0, fold),
        _ => bytes.iter().fold(0, fold),
    }
}

/// Writes the low bytes of `value` over all of `out`.
#[inline]
pub fn write_number(mut value: u64, little: bool, out: &mut [u8]) {
    if let [a, b] = out {
        let bytes = (value as u16).to_le_bytes();
        (*a, *b) = if little { (bytes[0], bytes[1]) } else { (bytes[1], bytes[0]) };
        return;
    }
    let mut put = |byte: &mut u8| {
        *byte = value as u8;
        value = value.checked_shr(8).unwrap_or(0);
    };
    if little { out.iter_mut().for_each(&mut put) } else { out.iter_mut().rev().for_each(&mut put) }
}

/// The sum of the bytes, as wide as it needs.
#[inline]
pub fn sum(bytes: &[u8]) -> u64 {
    /// Every other byte of a word, in lanes of 16 bits.
    const LANES: u64 = 0x00FF_00FF_00FF_00FF;
    /// Words whose bytes, with seven more, add up to less than 2^16.
    const WORDS_MAX: usize = 31;
    let lanes = |word: u64| (word & LANES) + ((word >> 8) & LANES);
    // The product's top lane is the sum of all four.
    let fold = |lanes: u64| lanes.wrapping_mul(0x0001_0001_0001_0001) >> 48;
    let part = |words: &[[u8; 8]], lanes_before: u64| {
        fold(words.iter().fold(lanes_before, |sum, word| sum + lanes(u64::from_le_bytes(*word))))
    };
    let (words, rest) = bytes.as_chunks::<8>();
    // The word that ends with the last byte, without the bytes of earlier words.
    let rest = match bytes.last_chunk() {
        _ if rest.is_empty() => 0,
        Some(last) => lanes(u64::from_le_bytes(*last) >> (64 - 8 * rest.len())),
        None => rest.iter().map(|&byte| u64::from(byte)).sum(),
    };
    if words.len() <= WORDS_MAX {
        return part(words, rest);
    }
    words.chunks(WORDS_MAX).fold(fold(rest), |sum, words| sum + part(words, 0))
}

/// XOR of the two bytes of the 16-bit sum.
#[inline]
pub fn sum_xor(sum: u64) -> u64 {
    (sum ^ (sum >> 8)) & 0xFF
}

/// A CRC of the catalogue.
#[inline(never)]
pub fn crc(algorithm: &Algorithm, bytes: &[u8]) -> u64 {
    match algorithm {
        Algorithm::Crc8(crc) => u64::from(crc.checksum(bytes)),
        Algorithm::Crc16(crc) => match Crc16::new(algorithm) {
            Some((table, register, flip)) => u64::from(table.run_many(register, bytes) ^ flip),
            None => u64::from(crc.checksum(bytes)),
        },
        Algorithm::Crc32(crc) => u64::from(crc.checksum(bytes)),
        Algorithm::Crc64(crc) => crc.checksum(bytes),
        Algorithm::Words(words) => words.of(bytes.iter().copied()),
        Algorithm::Free(crc) => crc.of_slice(bytes),
        Algorithm::Lrc => sum(bytes).wrapping_neg() & 0xFF,
        Algorithm::Sum | Algorithm::Xor | Algorithm::SumXor | Algorithm::Special(_) => 0,
    }
}

/// The algorithm over `before`, `zeros` bytes 00 and `after`.
fn around(algorithm: &Algorithm, before: &[u8], zeros: usize, after: &[u8]) -> u64 {
    macro_rules! digest {
        ($crc:expr) => {{
            let mut digest = $crc.digest();
            digest.update(before);
            (0..zeros).for_each(|_| digest.update(&[0]));
            digest.update(after);
            u64::from(digest.finalize())
        }};
    }
    let all = || before.iter().copied().chain(std::iter::repeat_n(0, zeros)).chain(after.iter().copied());
    match algorithm {
        Algorithm::Sum => sum(before) + sum(after),
        Algorithm::Xor => u64::from(xor(before) ^ xor(after)),
        Algorithm::SumXor => sum_xor(sum(before) + sum(after)),
        Algorithm::Crc8(crc) => digest!(crc),
        Algorithm::Crc16(crc) => digest!(crc),
        Algorithm::Crc32(crc) => digest!(crc),
        Algorithm::Crc64(crc) => digest!(crc),
        Algorithm::Words(words) => words.of(all()),
        Algorithm::Free(crc) => crc.of(all()),
        Algorithm::Lrc => (sum(before) + sum(after)).wrapping_neg() & 0xFF,
        Algorithm::Special(_) => 0,
    }
}

/// A checksum whose span includes itself, that is written in digits, or that is the last of several or of blocks.
#[inline(never)]
pub(super) fn special(checksum: &Checksum, special: &Special, raw: &[u8], bytes: &[u8]) -> u64 {
    if let Some(blocks) = special.blocks {
        return sums::last_block(checksum, special, &blocks, bytes);
    }
    if !special.holds_itself {
        let value = complement(checksum.complement, plain(&special.algorithm, bytes)) & special.mask;
        return special.digits.write(value, checksum.len);
    }
    // Around itself: only spans of the raw frame.
    let (from, at) = (span(checksum, raw.len()).0, checksum.at.in_frame(raw.len()));
    let hole = |place: usize| place.saturating_sub(from).min(bytes.len());
    let (begins, ends) = (hole(at), hole(at + checksum.len));
    let zeros = if special.skips_itself { 0 } else { ends - begins };
    let value = around(&special.algorithm, &bytes[..begins], zeros, &bytes[ends..]);
    let value = complement(checksum.complement, value) & special.mask;
    special.digits.write(value, checksum.len)
}

/// The result with its complement, as wide as it gets.
#[inline]
pub fn complement(complement: Complement, value: u64) -> u64 {
    match complement {
        Complement::None => value,
        Complement::Ones => !value,
        Complement::Twos => value.wrapping_neg(),
    }
}

/// The span of the checksum in a frame of `raw_len` bytes, as indices of the raw frame.
#[inline]
pub fn span(checksum: &Checksum, raw_len: usize) -> (usize, usize) {
    let to = if checksum.to == Offset(0) { raw_len } else { checksum.to.in_frame(raw_len) };
    (checksum.from.in_frame(raw_len), to)
}

/// What the checksum of this frame should be, as its field's bytes read as a number: cut to the field's width, and in a
/// field of digits those.
///
/// `wire` is the same frame as it travels, before any escapes; it is read only by checksums taken over what travels.
/// A span outside the frame counts as empty.
#[inline]
pub fn compute(checksum: &Checksum, template: &Template, raw: &[u8], wire: &[u8]) -> u64 {
    match &checksum.algorithm {
        Algorithm::Special(special) => sums::special(checksum, special, template, (raw, wire)),
        _ => simple(checksum, template, raw, wire).unwrap_or(0),
    }
}

/// The same; `None`: it is [`Algorithm::Special`].
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub fn simple(checksum: &Checksum, template: &Template, raw: &[u8], wire: &[u8]) -> Option<u64> {
    if let Algorithm::Special(_) = checksum.algorithm {
        return None;
    }
    let bytes = spanned(checksum, template, raw, wire);
    let value = match &checksum.algorithm {
        Algorithm::Sum => sum(bytes),
        Algorithm::Xor => u64::from(xor(bytes)),
        Algorithm::SumXor => sum_xor(sum(bytes)),
        Algorithm::Special(_) => return None,
        algorithm => crc(algorithm, bytes),
    };
    Some(complement(checksum.complement, value) & checksum.mask)
}

/// The bytes of its span.
#[inline]
pub(super) fn spanned<'a>(checksum: &Checksum, template: &Template, raw: &'a [u8], wire: &'a [u8]) -> &'a [u8] {
    let (from, to) = span(checksum, raw.len());
    let bytes = if checksum.over_wire {
        let (from, to) = (template.wire_index(from, raw.len()), template.wire_index(to, raw.len()));
        wire.get(from..to)
    } else {
        raw.get(from..to)
    };
    bytes.unwrap_or_default()
}

/// The algorithm over these bytes, before the complement. [`Algorithm::Special`] has no such number: 0.
#[inline]
pub fn plain(algorithm: &Algorithm, bytes: &[u8]) -> u64 {
    match algorithm {
        Algorithm::Sum => sum(bytes),
        Algorithm::Xor => u64::from(xor(bytes)),
        Algorithm::SumXor => sum_xor(sum(bytes)),
        Algorithm::Special(_) => 0,
        algorithm => crc(algorithm, bytes),
    }
}

/// Whether the checksum that a frame carries is the one that it should be: hex digits may be in either case.
#[inline]
pub fn is_right(checksum: &Checksum, computed: u64, stored: u64) -> bool {
    computed == stored || matches!(&checksum.algorithm, Algorithm::Special(how) if how.digits.same(computed, stored))
}

/// What the frame carries in the checksum field.
#[inline]
pub fn stored(checksum: &Checksum, raw: &[u8]) -> u64 {
    let at = checksum.at.in_frame(raw.len());
    read_number(raw.get(at..at + checksum.len).unwrap_or_default(), checksum.little)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(which: &Algorithm, bytes_hex: &str, expected: u64) {
        let bytes = hex::decode(bytes_hex).unwrap();
        for at in 0..=bytes.len() {
            let (before, after) = bytes.split_at(at);
            assert_eq!(around(which, before, 0, after), expected, "{which:?} of {bytes_hex} parted at {at}");
        }
        if bytes.iter().position(|&byte| byte == 0).is_some_and(|at| bytes[at + 1] == 0) {
            let at = bytes.iter().position(|&byte| byte == 0).unwrap();
            assert_eq!(around(which, &bytes[..at], 2, &bytes[at + 2..]), expected, "{which:?} around 00 00");
        }
    }

    #[test]
    fn algorithms() {
        check(&Algorithm::Sum, "67448B1026011201173003", 0x01CA);
        check(&Algorithm::Xor, "0102030408", 0x0C);
        check(&Algorithm::SumXor, "FFFF", 0xFF);
        let modbus = Box::new(crc::Crc::<u16>::new(&crc::CRC_16_MODBUS));
        check(&Algorithm::Crc16(modbus), "10FF88480007F0E00800000808", 0xBC2A);
    }

    proptest::proptest! {
        #[test]
        fn wide_sum_is_the_sum(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..3000)) {
            assert_eq!(sum(&bytes), bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>());
        }
    }

    #[test]
    fn sum_of_the_largest_frame() {
        assert_eq!(sum(&vec![0xFF; 65_000]), 65_000 * 255);
    }

    #[test]
    fn numbers_in_both_orders() {
        assert_eq!(read_number(&[0x12, 0x34], false), 0x1234);
        assert_eq!(read_number(&[0x12, 0x34], true), 0x3412);
        let mut out = [0xA5; 3];
        write_number(0x0001_0203, false, &mut out);
        assert_eq!(out, [1, 2, 3]);
        write_number(0x0001_0203, true, &mut out);
        assert_eq!(out, [3, 2, 1]);
        let mut out = [0xA5; 8];
        write_number(u64::MAX, true, &mut out);
        assert_eq!(out, [0xFF; 8]);
    }
}

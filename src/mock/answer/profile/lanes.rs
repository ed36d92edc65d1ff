//! Sixteen bytes at once.

#[cfg(not(target_arch = "x86_64"))]
pub(super) use plain::Lanes;
#[cfg(target_arch = "x86_64")]
pub(super) use vector::Lanes;

use fsu_plan::model::profile::BLOCK_BYTES;
use fsu_plan::wire::envelope::ESCAPE;

/// The greatest byte that needs no escape.
const LAST_PLAIN: u8 = ESCAPE - 1;

/// By vector instructions, which every processor of that architecture has.
#[cfg(target_arch = "x86_64")]
mod vector {
    use super::{BLOCK_BYTES, LAST_PLAIN};
    use safe_arch::{
        add_i64_m128i, bitand_m128i, bitor_m128i, bitxor_m128i, cmp_eq_mask_i8_m128i, get_i64_from_m128i_s,
        load_unaligned_m128i, m128i, max_u8_m128i, min_u8_m128i, move_mask_i8_m128i, set_i64_m128i_s,
        set_splat_i8_m128i, store_unaligned_m128i, sub_i8_m128i, sub_saturating_u8_m128i, sum_of_u8_abs_diff_m128i,
        unpack_high_i64_m128i, zeroed_m128i,
    };

    /// Sixteen bytes, or two sums of eight.
    #[derive(Clone, Copy, Debug)]
    pub(in super::super) struct Lanes(m128i);

    impl Default for Lanes {
        #[inline]
        fn default() -> Self {
            Self(zeroed_m128i())
        }
    }

    impl Lanes {
        /// These bytes.
        #[inline]
        pub(in super::super) fn of(bytes: &[u8; BLOCK_BYTES]) -> Self {
            Self(load_unaligned_m128i(bytes))
        }

        /// The bytes of a word, and eight of 00.
        #[inline]
        pub(in super::super) fn of_word(word: u64) -> Self {
            Self(set_i64_m128i_s(word as i64))
        }

        /// Writes the bytes.
        #[inline]
        pub(in super::super) fn put(self, out: &mut [u8; BLOCK_BYTES]) {
            store_unaligned_m128i(out, self.0);
        }

        #[inline]
        pub(in super::super) fn xor(self, other: Self) -> Self {
            Self(bitxor_m128i(self.0, other.0))
        }

        #[inline]
        pub(in super::super) fn and(self, other: Self) -> Self {
            Self(bitand_m128i(self.0, other.0))
        }

        #[inline]
        pub(in super::super) fn or(self, other: Self) -> Self {
            Self(bitor_m128i(self.0, other.0))
        }

        /// The greater byte of both at each place.
        #[inline]
        pub(in super::super) fn most(self, other: Self) -> Self {
            Self(max_u8_m128i(self.0, other.0))
        }

        /// Not 00 where a byte has to be escaped.
        #[inline]
        pub(in super::super) fn special(self) -> Self {
            Self(sub_saturating_u8_m128i(self.0, set_splat_i8_m128i(LAST_PLAIN as i8)))
        }

        /// The sum of eight bytes each.
        #[inline]
        pub(in super::super) fn sums(self) -> Self {
            Self(sum_of_u8_abs_diff_m128i(self.0, zeroed_m128i()))
        }

        /// Sums added to sums.
        #[inline]
        pub(in super::super) fn plus(self, other: Self) -> Self {
            Self(add_i64_m128i(self.0, other.0))
        }

        /// Both sums together.
        #[inline]
        pub(in super::super) fn total(self) -> u64 {
            get_i64_from_m128i_s(add_i64_m128i(self.0, unpack_high_i64_m128i(self.0, self.0))) as u64
        }

        /// The XOR of both words.
        #[inline]
        pub(in super::super) fn crossed(self) -> u64 {
            get_i64_from_m128i_s(bitxor_m128i(self.0, unpack_high_i64_m128i(self.0, self.0))) as u64
        }

        /// FF where a byte is an upper-case hex digit, otherwise 00.
        #[inline]
        pub(in super::super) fn digits(self) -> Self {
            let within = |first: u8, count: u8| {
                let above = sub_i8_m128i(self.0, set_splat_i8_m128i(first as i8));
                cmp_eq_mask_i8_m128i(above, min_u8_m128i(above, set_splat_i8_m128i(count as i8 - 1)))
            };
            Self(bitor_m128i(within(b'0', 10), within(b'A', 6)))
        }

        /// Whether all bytes are FF, of those that are FF or 00.
        #[inline]
        pub(in super::super) fn is_full(self) -> bool {
            move_mask_i8_m128i(self.0) == 0xFFFF
        }

        /// Whether all bytes are 00.
        #[inline]
        pub(in super::super) fn is_zero(self) -> bool {
            move_mask_i8_m128i(cmp_eq_mask_i8_m128i(self.0, zeroed_m128i())) == 0xFFFF
        }
    }
}

/// Without: what the compiler makes of it.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod plain {
    use super::{BLOCK_BYTES, LAST_PLAIN};

    /// Sixteen bytes, or two sums of eight.
    #[derive(Clone, Copy, Debug, Default)]
    pub(in super::super) struct Lanes([u8; BLOCK_BYTES]);

    impl Lanes {
        /// These bytes.
        #[inline]
        pub(in super::super) fn of(bytes: &[u8; BLOCK_BYTES]) -> Self {
            Self(*bytes)
        }

        /// The bytes of a word, and eight of 00.
        #[inline]
        pub(in super::super) fn of_word(word: u64) -> Self {
            Self(u128::from(word).to_le_bytes())
        }

        /// Writes the bytes.
        #[inline]
        pub(in super::super) fn put(self, out: &mut [u8; BLOCK_BYTES]) {
            *out = self.0;
        }

        #[inline]
        fn each(self, other: Self, make: impl Fn(u8, u8) -> u8) -> Self {
            Self(std::array::from_fn(|number| make(self.0[number], other.0[number])))
        }

        #[inline]
        pub(in super::super) fn xor(self, other: Self) -> Self {
            self.each(other, |one, other| one ^ other)
        }

        #[inline]
        pub(in super::super) fn and(self, other: Self) -> Self {
            self.each(other, |one, other| one & other)
        }

        #[inline]
        pub(in super::super) fn or(self, other: Self) -> Self {
            self.each(other, |one, other| one | other)
        }

        /// The greater byte of both at each place.
        #[inline]
        pub(in super::super) fn most(self, other: Self) -> Self {
            self.each(other, u8::max)
        }

        /// Not 00 where a byte has to be escaped.
        #[inline]
        pub(in super::super) fn special(self) -> Self {
            self.each(self, |byte, _| byte.saturating_sub(LAST_PLAIN))
        }

        #[inline]
        fn words(self) -> [u64; 2] {
            let both = u128::from_le_bytes(self.0);
            [both as u64, (both >> 64) as u64]
        }

        #[inline]
        fn of_words([low, high]: [u64; 2]) -> Self {
            Self((u128::from(low) | (u128::from(high) << 64)).to_le_bytes())
        }

        /// The sum of eight bytes each.
        #[inline]
        pub(in super::super) fn sums(self) -> Self {
            let sum = |word: u64| word.to_le_bytes().into_iter().map(u64::from).sum();
            Self::of_words(self.words().map(sum))
        }

        /// Sums added to sums.
        #[inline]
        pub(in super::super) fn plus(self, other: Self) -> Self {
            let ([low, high], [other_low, other_high]) = (self.words(), other.words());
            Self::of_words([low.wrapping_add(other_low), high.wrapping_add(other_high)])
        }

        /// Both sums together.
        #[inline]
        pub(in super::super) fn total(self) -> u64 {
            let [low, high] = self.words();
            low.wrapping_add(high)
        }

        /// The XOR of both words.
        #[inline]
        pub(in super::super) fn crossed(self) -> u64 {
            let [low, high] = self.words();
            low ^ high
        }

        /// FF where a byte is an upper-case hex digit, otherwise 00.
        #[inline]
        pub(in super::super) fn digits(self) -> Self {
            self.each(self, |byte, _| if byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte) { 0xFF } else { 0 })
        }

        /// Whether all bytes are FF, of those that are FF or 00.
        #[inline]
        pub(in super::super) fn is_full(self) -> bool {
            self.words() == [u64::MAX; 2]
        }

        /// Whether all bytes are 00.
        #[inline]
        pub(in super::super) fn is_zero(self) -> bool {
            self.words() == [0; 2]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What both kinds of lanes make of two blocks.
    macro_rules! all_of {
        ($kind:ident, $one:expr, $other:expr) => {{
            let (one, other) = ($kind::Lanes::of($one), $kind::Lanes::of($other));
            let bytes = |lanes: $kind::Lanes| {
                let mut out = [0; BLOCK_BYTES];
                lanes.put(&mut out);
                out
            };
            let sums = one.sums().plus(other.sums());
            let word = $kind::Lanes::of_word(one.crossed());
            let digits = one.digits();
            let blocks =
                [one.xor(other), one.and(other), one.or(other), one.most(other), one.special(), digits, sums, word];
            let told = [one.is_zero(), one.special().is_zero(), digits.is_full()];
            (blocks.map(bytes), [sums.total(), one.crossed()], told)
        }};
    }

    proptest! {
        #[test]
        fn both_kinds_do_the_same(one: [u8; BLOCK_BYTES], other: [u8; BLOCK_BYTES], mask: u16, special in 0xFA_u8..) {
            let zeros = one.map(|byte| if mask > 9 { 0 } else { byte });
            let digits = one.map(|byte| b"0123456789ABCDEF"[usize::from(byte & 0x0F)]);
            let nearly = one.map(|byte| b"0123456789ABCDEF/:@G"[usize::from(byte % 20)]);
            for one in [one, one.map(|byte| byte.min(special)), zeros, digits, nearly] {
                let plain = all_of!(plain, &one, &other);
                let vector = all_of!(chosen, &one, &other);
                prop_assert_eq!(plain, vector);
                let (blocks, [total, crossed], [is_zero, is_plain, is_hex]) = plain;
                let sum: u64 = one.iter().chain(&other).map(|&byte| u64::from(byte)).sum();
                prop_assert_eq!(total, sum);
                prop_assert_eq!(crossed.to_le_bytes(), std::array::from_fn(|number| one[number] ^ one[number + 8]));
                prop_assert_eq!(blocks[3], std::array::from_fn(|number| one[number].max(other[number])));
                prop_assert_eq!(is_zero, one.iter().all(|&byte| byte == 0));
                prop_assert_eq!(is_plain, one.iter().all(|&byte| byte < ESCAPE));
                let is_digit = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
                prop_assert_eq!(is_hex, one.into_iter().all(is_digit));
                prop_assert_eq!(blocks[5], one.map(|byte| if is_digit(byte) { 0xFF } else { 0 }));
            }
        }
    }

    /// The kind that this processor has.
    mod chosen {
        pub(super) use super::super::Lanes;
    }
}

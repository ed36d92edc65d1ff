//! How a computed number (a length, a count, a checksum, a counter) is written in its field.
//!
//! A field of 1 to 8 bytes is read and written as one `u64`. These functions convert between that and the number
//! it means. So the code that compares lengths and checksums is the same for all types.

use super::field::Kind;

/// How a number is written. Of text digits one takes a byte, of bcd two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Digits {
    /// Binary: the bytes are the number.
    #[default]
    Binary,
    /// Decimal digits, two a byte.
    Bcd,
    /// ASCII decimal digits.
    Dec,
    /// ASCII hex digits, upper case; lower case is read too. The digits of the low byte may go first.
    Hex {
        /// They do.
        low: bool,
    },
}

/// What no field of digits holds: it stands for a number that has too many.
const NONE: u64 = u64::MAX;

impl Digits {
    /// Those of a field.
    #[inline]
    pub fn of(kind: &Kind) -> Self {
        match kind.base() {
            Kind::Bcd => Self::Bcd,
            Kind::Dec => Self::Dec,
            Kind::HexDigits { low } => Self::Hex { low: *low },
            _ => Self::Binary,
        }
    }

    /// Are they ASCII characters?
    pub fn is_text(self) -> bool {
        matches!(self, Self::Dec | Self::Hex { .. })
    }

    /// The bytes of a field of `len` bytes, read as one number, that mean this value. A value with too many digits gives bytes
    /// that mean no value; in binary it is cut when it is written.
    #[inline]
    pub fn write(self, value: u64, len: usize) -> u64 {
        match self {
            Self::Binary => value,
            Self::Bcd => to_bcd(value),
            Self::Dec => chars(value, 10, len),
            Self::Hex { low } => swap(hex_chars(value, len), low, len),
        }
    }

    /// The value that the bytes of a field of `len` bytes, read as one number, mean. `None`: they are no digits.
    #[inline]
    pub fn read(self, bytes: u64, len: usize) -> Option<u64> {
        match self {
            Self::Binary => Some(bytes),
            Self::Bcd => from_bcd(bytes),
            Self::Dec => from_chars(bytes, 10, len),
            Self::Hex { low } => from_chars(swap(bytes, low, len), 16, len),
        }
    }

    /// Whether two fields mean the same although their bytes differ: in the case of hex digits.
    #[cold]
    pub fn same(self, bytes: u64, others: u64) -> bool {
        matches!(self, Self::Hex { .. }) && upper(bytes) == upper(others)
    }

    /// The largest value of a field of `len` bytes.
    pub fn most(self, len: usize) -> u64 {
        let power = |base: u64, digits: usize| base.checked_pow(digits as u32).map_or(u64::MAX, |all| all - 1);
        match (self, len) {
            (Self::Binary, 0..=7) => (1 << (8 * len)) - 1,
            (Self::Binary, _) => u64::MAX,
            (Self::Bcd, len) => power(10, 2 * len),
            (Self::Dec, len) => power(10, len),
            (Self::Hex { .. }, len) => power(16, len),
        }
    }

    /// Bytes of the shortest field that holds a value.
    pub fn needed(self, value: u64) -> usize {
        (1..=20).find(|&len| self.most(len) >= value).unwrap_or(20)
    }

    /// As messages name them: `decimal digits`; binary has none.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Bcd => "decimal digits",
            Self::Dec => "decimal characters",
            Self::Hex { low: false } => "hex characters",
            Self::Hex { low: true } => "hex characters, low byte first",
        }
    }
}

/// The number whose hex digits are the decimal digits of `value`; past 16 of them the lower ones.
pub fn to_bcd(mut value: u64) -> u64 {
    let mut digits = 0;
    for place in 0..16 {
        digits |= (value % 10) << (4 * place);
        value /= 10;
    }
    digits
}

/// The number whose decimal digits are the hex digits of `digits`; `None` if one of them is no decimal digit.
pub fn from_bcd(digits: u64) -> Option<u64> {
    (0..16).rev().try_fold(0, |value, place| {
        let digit = (digits >> (4 * place)) & 0xF;
        (digit < 10).then_some(value * 10 + digit)
    })
}

/// `len` characters, the last one in the lowest byte.
fn chars(mut value: u64, base: u64, len: usize) -> u64 {
    let mut out = 0;
    for place in 0..len.min(8) {
        out |= u64::from(b"0123456789ABCDEF"[(value % base) as usize]) << (8 * place);
        value /= base;
    }
    if value > 0 { NONE } else { out }
}

/// The same of hex digits: each of the lowest eight to a byte of its own.
fn hex_chars(value: u64, len: usize) -> u64 {
    /// The same byte in every lane.
    const ONES: u64 = u64::MAX / 0xFF;
    let len = len.min(8);
    if value >> (4 * len) > 0 {
        return NONE;
    }
    let halves = (value | (value << 16)) & 0x0000_FFFF_0000_FFFF;
    let bytes = (halves | (halves << 8)) & 0x00FF_00FF_00FF_00FF;
    let digits = (bytes | (bytes << 4)) & (ONES * 0x0F);
    let letters = ((digits + ONES * 6) >> 4) & ONES;
    let out = digits + ONES * u64::from(b'0') + letters * 7;
    if len == 8 { out } else { out & ((1 << (8 * len)) - 1) }
}

/// See [`chars`].
fn from_chars(bytes: u64, base: u32, len: usize) -> Option<u64> {
    (0..len.min(8)).rev().try_fold(0, |value, place| {
        let digit = char::from((bytes >> (8 * place)) as u8).to_digit(base)?;
        Some(value * u64::from(base) + u64::from(digit))
    })
}

/// The pairs of characters in the other order.
fn swap(bytes: u64, low: bool, len: usize) -> u64 {
    if !low || bytes == NONE {
        return bytes;
    }
    let pair = |place: usize| (bytes >> (16 * place)) & 0xFFFF;
    let pairs = (len / 2).min(4);
    (0..pairs).fold(0, |out, place| (out << 16) | pair(place))
}

/// Letters in upper case, of characters that are hex digits.
fn upper(bytes: u64) -> u64 {
    bytes & !((bytes & 0x4040_4040_4040_4040) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: Digits = Digits::Hex { low: false };
    const LOW: Digits = Digits::Hex { low: true };

    /// A number in a field, and the field's bytes.
    fn check(digits: Digits, len: usize, value: u64, expected: &[u8]) {
        let bytes = expected.iter().fold(0, |all, byte| (all << 8) | u64::from(*byte));
        assert_eq!(digits.write(value, len), bytes, "{digits:?} {value}");
        assert_eq!(digits.read(bytes, len), Some(value), "{digits:?} {expected:?}");
    }

    #[test]
    fn numbers_and_their_bytes() {
        check(Digits::Binary, 2, 258, &[1, 2]);
        check(Digits::Bcd, 2, 258, &[2, 0x58]);
        check(Digits::Dec, 4, 258, b"0258");
        check(Digits::Dec, 8, 99_999_999, b"99999999");
        check(HEX, 4, 0x1F, b"001F");
        check(HEX, 8, 0xFFFF_FFFF, b"FFFFFFFF");
        check(LOW, 4, 0x12AB, b"AB12");
        check(LOW, 8, 0x1234_5678, b"78563412");
    }

    #[test]
    fn what_no_field_holds() {
        assert_eq!((Digits::Dec.write(1_000, 3), HEX.write(0x100, 2), LOW.write(0x1_0000, 4)), (NONE, NONE, NONE));
        let read = |digits: Digits, text: &[u8; 4]| digits.read(u64::from(u32::from_be_bytes(*text)), 4);
        assert_eq!((read(Digits::Dec, b" 123"), read(Digits::Dec, b"12A4"), read(HEX, b"12G4")), (None, None, None));
        assert_eq!((read(HEX, b"00ff"), read(LOW, b"cD00"), read(Digits::Dec, b"+123")), (Some(255), Some(0xCD), None));
        assert_eq!(Digits::Bcd.read(0x1A, 1), None);
    }

    #[test]
    fn hex_digits_in_either_case_are_the_same() {
        let of = |text: &[u8; 4]| u64::from(u32::from_be_bytes(*text));
        assert!(HEX.same(of(b"00fF"), of(b"00FF")) && HEX.same(of(b"abcd"), of(b"ABCD")));
        assert!(!HEX.same(of(b"00f0"), of(b"00FF")) && !Digits::Dec.same(of(b"0001"), of(b"0001")));
        // Characters that are no digits are no others.
        assert!(!HEX.same(of(b"00\x10F"), of(b"000F")));
    }

    #[test]
    fn how_much_a_field_holds() {
        let of = |digits: Digits| [1, 2, 4, 8].map(|len| digits.most(len));
        assert_eq!(of(Digits::Binary), [0xFF, 0xFFFF, 0xFFFF_FFFF, u64::MAX]);
        assert_eq!(of(Digits::Bcd), [99, 9_999, 99_999_999, 9_999_999_999_999_999]);
        assert_eq!(of(Digits::Dec), [9, 99, 9_999, 99_999_999]);
        assert_eq!(of(HEX), [0xF, 0xFF, 0xFFFF, 0xFFFF_FFFF]);
        let needed = |value: u64| [Digits::Bcd, Digits::Dec, HEX].map(|digits| digits.needed(value));
        assert_eq!(
            (needed(0), needed(99), needed(65_535), needed(u64::MAX)),
            ([1; 3], [1, 2, 2], [3, 5, 4], [10, 20, 16])
        );
    }

    #[test]
    fn n05_numbers_as_decimal_digits() {
        let check = |value: u64, digits: u64| {
            assert_eq!((to_bcd(value), from_bcd(digits)), (digits, Some(value)));
        };
        check(0, 0);
        check(18, 0x18);
        check(65_535, 0x6_5535);
        check(9_999_999_999_999_999, 0x9999_9999_9999_9999);
        assert_eq!(from_bcd(0x1A), None);
        assert_eq!(from_bcd(0xF000_0000_0000_0000), None);
    }
}

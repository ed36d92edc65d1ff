//! The bytes that a clock's field may have, for one second: what a profile copies into a reply.

use super::civil::{Civil, Now};
use super::value::write_bcd;
use crate::model::reply::{Form, Number};

/// Bytes of a [`Clock`].
pub const CLOCK_BYTES: usize = 32;

/// Every number of a date and time, in every form, byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Two bytes of each number, low byte first, in decimal digits and in binary; the last is 00.
    pub bytes: [u8; CLOCK_BYTES],
}

/// The numbers that have decimal digits here, in their order; two bytes each begin at 0.
const DECIMAL: [Number; 4] = [Number::Year4, Number::Year2, Number::Month, Number::Day];
/// Those whose decimal digits are one byte.
const SHORT: [Number; 5] = [Number::Week1, Number::Week0, Number::Hour, Number::Minute, Number::Second];
/// Where the numbers of [`SHORT`] begin.
const SHORT_AT: usize = 2 * DECIMAL.len();
/// Where the binary numbers begin: those of two bytes, then those of one.
const BINARY_AT: usize = SHORT_AT + SHORT.len();
/// The numbers that are wider than a byte in binary.
const WIDE: [Number; 3] = [Number::Year4, Number::PackedDate, Number::PackedTime];
/// Where the binary numbers of one byte begin.
const NARROW_AT: usize = BINARY_AT + 2 * WIDE.len();
/// Those of one byte.
const NARROW: [Number; 8] = [
    Number::Year2,
    Number::Month,
    Number::Day,
    Number::Week1,
    Number::Week0,
    Number::Hour,
    Number::Minute,
    Number::Second,
];
/// Always 00.
pub const ZERO: u8 = CLOCK_BYTES as u8 - 1;
/// Added to a byte's number: its first hex digit, upper case.
pub const HIGH_DIGIT: u8 = 0x40;
/// Added to a byte's number: its second hex digit.
pub const LOW_DIGIT: u8 = 0x80;
/// How many groups of eight bytes are kept for a second.
const SLOTS: usize = 16;

impl Civil {
    /// A number of the date or time; `None`: it is none of them.
    #[inline]
    pub fn number(&self, number: Number) -> Option<i64> {
        let week = i64::from(self.weekday);
        Some(match number {
            Number::Year2 => self.year.rem_euclid(100),
            Number::Year4 => self.year,
            Number::Month => i64::from(self.month),
            Number::Day => i64::from(self.day),
            Number::Week1 => {
                if week == 0 {
                    7
                } else {
                    week
                }
            }
            Number::Week0 => week,
            Number::Hour => i64::from(self.hour),
            Number::Minute => i64::from(self.minute),
            Number::Second => i64::from(self.second),
            Number::PackedDate => {
                (self.year - 2000).rem_euclid(128) * 512 + i64::from(self.month) * 32 + i64::from(self.day)
            }
            Number::PackedTime => {
                i64::from(self.hour) * 2048 + i64::from(self.minute) * 32 + i64::from(self.second / 2)
            }
            Number::Seq | Number::Rand(..) => return None,
        })
    }
}

/// The clock of the last moment: most that follow are in the same second.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// Start of the local second, in milliseconds.
    from_ms: i64,
    /// Milliseconds from then on for which `last` is right.
    span_ms: u64,
    last: Clock,
    /// Eight bytes each of this second, and which they are.
    kept: [(u64, u64); SLOTS],
}

/// Eight bytes of which none is a clock's.
const NONE_KEPT: (u64, u64) = (u64::MAX, 0);

impl Default for Clocks {
    fn default() -> Self {
        Self { from_ms: 0, span_ms: 0, last: Clock { bytes: [0; CLOCK_BYTES] }, kept: [NONE_KEPT; SLOTS] }
    }
}

impl Clocks {
    /// The clock of that moment.
    #[inline]
    pub fn at(&mut self, now: Now) -> &mut Self {
        if now.local_ms().wrapping_sub(self.from_ms) as u64 >= self.span_ms {
            self.turn_to(now);
        }
        self
    }

    /// Eight bytes of the clock, the first one lowest: the bytes with these numbers, or their [`HIGH_DIGIT`] or [`LOW_DIGIT`].
    /// They are kept in that [`slot`].
    #[inline]
    pub fn word(&mut self, which: [u8; 8], slot: u8) -> u64 {
        let kept = &mut self.kept[usize::from(slot) % SLOTS];
        if kept.0 != u64::from_le_bytes(which) {
            *kept = (u64::from_le_bytes(which), self.last.word(which));
        }
        kept.1
    }

    #[cold]
    fn turn_to(&mut self, now: Now) {
        let civil = now.civil();
        self.last = Clock::from(&civil);
        self.kept = [NONE_KEPT; SLOTS];
        // The first second of all begins before what an i64 can hold: that one is not kept.
        let from_ms = now.local_ms().checked_sub(i64::from(civil.millisecond));
        (self.from_ms, self.span_ms) = (from_ms.unwrap_or(0), if from_ms.is_some() { 1_000 } else { 0 });
    }
}

impl Clock {
    /// Eight of its bytes: [`Clocks::word`].
    #[cold]
    fn word(&self, which: [u8; 8]) -> u64 {
        u64::from_le_bytes(which.map(|which| {
            let byte = self.bytes[usize::from(which) % CLOCK_BYTES];
            let digit = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble & 0x0F)];
            match which & !ZERO {
                0 => byte,
                HIGH_DIGIT => digit(byte >> 4),
                _ => digit(byte),
            }
        }))
    }
}

/// Where eight bytes of a clock are kept.
pub fn slot(which: [u8; 8]) -> u8 {
    // 2^64 over the golden ratio: see `model::keys`.
    (u64::from_le_bytes(which).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - SLOTS.trailing_zeros())) as u8
}

impl From<&Civil> for Clock {
    fn from(civil: &Civil) -> Self {
        let mut bytes = [0; CLOCK_BYTES];
        let digits = |number| civil.number(number).unwrap_or(0).unsigned_abs();
        for (number, out) in DECIMAL.into_iter().zip(bytes[..SHORT_AT].chunks_exact_mut(2)) {
            write_bcd(digits(number), true, out);
        }
        for (number, out) in SHORT.into_iter().zip(bytes[SHORT_AT..BINARY_AT].chunks_exact_mut(1)) {
            write_bcd(digits(number), true, out);
        }
        for (number, out) in WIDE.into_iter().zip(bytes[BINARY_AT..NARROW_AT].chunks_exact_mut(2)) {
            out.copy_from_slice(&(civil.number(number).unwrap_or(0) as u16).to_le_bytes());
        }
        for (number, out) in NARROW.into_iter().zip(&mut bytes[NARROW_AT..]) {
            *out = civil.number(number).unwrap_or(0) as u8;
        }
        Self { bytes }
    }
}

/// The bytes of a [`Clock`] that a field of `len` bytes has, in the field's order; `None`: the number is none of the clock's,
/// or it may have more bytes than are kept.
pub fn places(number: Number, form: Form, len: usize) -> Option<Vec<u8>> {
    let (low, little) = match form {
        Form::Bcd | Form::BcdLittle => (decimal(number)?, form == Form::BcdLittle),
        Form::Big | Form::Little => (binary(number)?, form == Form::Little),
        Form::BcdPadded { .. } | Form::Dec | Form::HexDigits { .. } => return None,
    };
    // A year may have more digits, or a sign.
    if number == Number::Year4 && len > 2 {
        return None;
    }
    let mut places: Vec<u8> = low.into_iter().chain(std::iter::repeat(ZERO)).take(len).collect();
    if !little {
        places.reverse();
    }
    Some(places)
}

fn decimal(number: Number) -> Option<Vec<u8>> {
    if let Some(at) = DECIMAL.iter().position(|own| *own == number) {
        return Some(vec![2 * at as u8, 2 * at as u8 + 1]);
    }
    let at = SHORT.iter().position(|own| *own == number)?;
    Some(vec![(SHORT_AT + at) as u8])
}

fn binary(number: Number) -> Option<Vec<u8>> {
    if let Some(at) = WIDE.iter().position(|own| *own == number) {
        let at = (BINARY_AT + 2 * at) as u8;
        return Some(vec![at, at + 1]);
    }
    let at = NARROW.iter().position(|own| *own == number)?;
    Some(vec![(NARROW_AT + at) as u8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::checksum::write_number;
    use crate::wire::civil::Now;

    /// Every number in every form and length is what is written without the table.
    #[test]
    fn the_bytes_are_those_of_the_field() {
        let all = NARROW.into_iter().chain(WIDE);
        for unix_ms in [0, 1_768_239_003_000, 951_782_400_000, -1, 253_402_300_800_000, -70_000_000_000_000] {
            let civil = Now { unix_ms, utc_offset_s: 28_800 }.civil();
            let clock = Clock::from(&civil);
            for number in all.clone() {
                for form in [Form::Bcd, Form::BcdLittle, Form::Big, Form::Little] {
                    for len in 1..=4 {
                        let Some(places) = places(number, form, len) else { continue };
                        let got: Vec<u8> = places.iter().map(|&at| clock.bytes[usize::from(at)]).collect();
                        let value = civil.number(number).unwrap_or(0);
                        let mut expected = vec![0; len];
                        match form {
                            Form::Bcd | Form::BcdLittle => {
                                write_bcd(value.unsigned_abs(), form == Form::BcdLittle, &mut expected);
                            }
                            _ => write_number(value as u64, form == Form::Little, &mut expected),
                        }
                        assert_eq!(got, expected, "{number:?} {form:?} {len} at {unix_ms}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_clocks_remember_no_wrong_moment() {
        let mut clocks = Clocks::default();
        let edges = [0, 999, 1_000, -1, -1_000, -1_001, 59_999, i64::MIN, i64::MAX, 951_782_400_000];
        for unix_ms in edges.into_iter().flat_map(|ms: i64| [ms, ms.saturating_add(1), ms.saturating_sub(999), ms]) {
            for utc_offset_s in [0, 28_800, -12_600] {
                let now = Now { unix_ms, utc_offset_s };
                let fresh = Clock::from(&now.civil());
                assert_eq!(clocks.at(now).last, fresh, "{now:?}");
                for which in [[0, 1, 2, 3, 4, 5, 6, ZERO], [12, 11, 10, 9, 8, 7, 6, 5]] {
                    let bytes = which.map(|which| fresh.bytes[usize::from(which)]);
                    assert_eq!(clocks.word(which, slot(which)).to_le_bytes(), bytes, "{now:?}");
                    // Two that are kept in one slot.
                    assert_eq!(clocks.word(which, 3).to_le_bytes(), bytes, "{now:?}");
                }
            }
        }
    }

    #[test]
    fn digits_of_the_clock() {
        let now = Now { unix_ms: 1_768_239_003_000, utc_offset_s: 0 };
        let mut clocks = Clocks::default();
        let second = (SHORT_AT + 4) as u8;
        let which =
            [HIGH_DIGIT | second, LOW_DIGIT | second, HIGH_DIGIT, LOW_DIGIT, HIGH_DIGIT | 1, LOW_DIGIT | 1, ZERO, 0];
        assert_eq!(clocks.at(now).word(which, slot(which)).to_le_bytes(), *b"032620\0\x26");
    }

    #[test]
    fn what_is_not_of_the_clock() {
        let padded = Form::BcdPadded { little: false, right: false, padding: 0xFF };
        let check = |number, form, len| assert_eq!(places(number, form, len), None, "{number:?} {form:?} {len}");
        check(Number::Seq, Form::Big, 2);
        check(Number::Rand(1, 2), Form::Bcd, 1);
        check(Number::PackedDate, Form::Bcd, 2);
        check(Number::Year4, Form::Big, 3);
        check(Number::Month, padded, 2);
        assert_eq!(places(Number::Year4, Form::Bcd, 2), Some(vec![1, 0]));
        assert_eq!(places(Number::Month, Form::Big, 2), Some(vec![ZERO, NARROW_AT as u8 + 1]));
    }
}

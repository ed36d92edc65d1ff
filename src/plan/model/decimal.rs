//! Decimal numbers, exact: the scale and offset of a number, and its engineering value.

use std::fmt;

/// `mantissa / 10^places`, without trailing zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decimal {
    /// All digits.
    pub mantissa: i128,
    /// Digits behind the point, at most [`PLACES`].
    pub places: u32,
}

/// Digits behind the point.
pub const PLACES: u32 = 30;

/// Digits that a word has room for, whatever they are.
const WORD_DIGITS: u32 = 18;

/// 10 to a power; `None`: it is too large.
fn power(exponent: u32) -> Option<i128> {
    if exponent <= WORD_DIGITS { Some(10_i64.pow(exponent).into()) } else { 10_i128.checked_pow(exponent) }
}

impl Decimal {
    /// A whole number.
    pub fn whole(mantissa: i128) -> Self {
        Self { mantissa, places: 0 }
    }

    /// Reads `-12.5`, `.5`, `1e-3`. `None`: it is no number, or has too many digits.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let (text, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (text.get(..at)?, exponent(text.get(at + 1..)?)?),
            None => (text, 0),
        };
        let (is_negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (mut mantissa, mut small, mut places, mut digits, mut is_behind) = (0_i128, 0_u64, 0_i32, 0, false);
        for byte in text {
            match byte {
                b'.' if !is_behind => is_behind = true,
                b'0'..=b'9' => {
                    // As many digits as a word has room for are read without the wide arithmetic.
                    if digits < WORD_DIGITS {
                        small = small * 10 + u64::from(byte - b'0');
                        mantissa = i128::from(small);
                    } else {
                        mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
                    }
                    places += i32::from(is_behind);
                    digits += 1;
                }
                _ => return None,
            }
        }
        if digits == 0 {
            return None;
        }
        places = places.checked_sub(exponent)?;
        if places < 0 {
            mantissa = mantissa.checked_mul(power(places.unsigned_abs())?)?;
            places = 0;
        }
        let mantissa = if is_negative { -mantissa } else { mantissa };
        Some(Self { mantissa, places: places.unsigned_abs() }.trimmed()).filter(|number| number.places <= PLACES)
    }

    /// Without zeros at the end of what is behind the point.
    #[must_use]
    pub fn trimmed(mut self) -> Self {
        if let Ok(mut small) = i64::try_from(self.mantissa) {
            while self.places > 0 && small % 10 == 0 {
                small /= 10;
                self.places -= 1;
            }
            return Self { mantissa: small.into(), ..self };
        }
        while self.places > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.places -= 1;
        }
        self
    }

    /// The mantissa with that many places, at least its own.
    fn with_places(self, places: u32) -> Option<i128> {
        match places.checked_sub(self.places)? {
            0 => Some(self.mantissa),
            more => self.mantissa.checked_mul(power(more)?),
        }
    }

    /// The sum. `None`: it has too many digits.
    pub fn plus(self, other: Self) -> Option<Self> {
        let places = self.places.max(other.places);
        let mantissa = self.with_places(places)?.checked_add(other.with_places(places)?)?;
        Some(Self { mantissa, places }.trimmed())
    }

    /// The product. `None`: it has too many digits.
    pub fn times(self, other: Self) -> Option<Self> {
        let mantissa = self.mantissa.checked_mul(other.mantissa)?;
        Some(Self { mantissa, places: self.places + other.places }.trimmed())
    }

    /// The quotient as the nearest whole number; of two, the one farther from zero. `None`: it has too many digits, or the
    /// divisor is zero.
    pub fn over(self, divisor: Self) -> Option<i128> {
        let places = self.places.max(divisor.places);
        let (mut above, mut below) = (self.with_places(places)?, divisor.with_places(places)?);
        if below < 0 {
            (above, below) = (-above, -below);
        }
        if below == 0 {
            return None;
        }
        if let (Ok(small), Ok(by)) = (u64::try_from(above.unsigned_abs()), u64::try_from(below))
            && small <= u64::MAX / 4
            && by <= u64::MAX / 4
        {
            let nearest = i128::from((2 * small + by) / (2 * by));
            return Some(if above < 0 { -nearest } else { nearest });
        }
        let twice = above.unsigned_abs().checked_mul(2)?.checked_add(below.unsigned_abs())?;
        let nearest = i128::try_from(twice / below.unsigned_abs().checked_mul(2)?).ok()?;
        Some(if above < 0 { -nearest } else { nearest })
    }

    /// As a float.
    pub fn to_f64(self) -> f64 {
        self.mantissa as f64 / 10_f64.powi(self.places as i32)
    }
}

/// What follows the `e`.
fn exponent(text: &[u8]) -> Option<i32> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
    Some(if is_negative { -value } else { value })
}

/// `-12.5`
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let all = self.mantissa.unsigned_abs();
        let Some(unit) = 10_u128.checked_pow(self.places).filter(|_| self.places > 0) else {
            return write!(f, "{sign}{all}");
        };
        write!(f, "{sign}{}.{:0width$}", all / unit, all % unit, width = self.places as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Decimal> {
        Decimal::parse(text.as_bytes())
    }

    #[test]
    fn texts_and_numbers() {
        let check =
            |text: &str, expected: &str| assert_eq!(of(text).map(|number| number.to_string()), Some(expected.into()));
        check("0", "0");
        check("-0", "0");
        check(" 12 ", "12");
        check("+12.50", "12.5");
        check("-0.05", "-0.05");
        check(".5", "0.5");
        check("5.", "5");
        check("1e-7", "0.0000001");
        check("2.5E3", "2500");
        check("100", "100");
        for wrong in ["", "-", ".", "1.2.3", "0x10", "1e", "1e9999", "NaN", "1 2"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(of("1e-31"), None);
    }

    /// On both sides of what a word holds.
    #[test]
    fn long_numbers_are_as_exact_as_short_ones() {
        let check =
            |text: &str, expected: &str| assert_eq!(of(text).map(|number| number.to_string()), Some(expected.into()));
        check("999999999999999999", "999999999999999999");
        check("9999999999999999999", "9999999999999999999");
        check("-123456789012345678.90", "-123456789012345678.9");
        check("1234567890123456789012345678901234567", "1234567890123456789012345678901234567");
        check("9223372036854775808000e-3", "9223372036854775808");
        assert_eq!(of("9999999999999999999999999999999999999999"), None);
        let over = |above: &str, below: &str| of(above).unwrap().over(of(below).unwrap());
        for (above, below, expected) in [
            ("4611686018427387903", "2", 2_305_843_009_213_693_952),
            ("4611686018427387904", "2", 2_305_843_009_213_693_952),
            ("18446744073709551617", "2", 9_223_372_036_854_775_809),
            ("-18446744073709551617", "2", -9_223_372_036_854_775_809),
            ("7", "18446744073709551616", 0),
            ("10000000000000000000000", "0.001", 10_000_000_000_000_000_000_000_000),
        ] {
            assert_eq!(over(above, below), Some(expected), "{above} / {below}");
        }
    }

    #[test]
    fn sums_products_and_quotients() {
        let (one, two) = (of("0.1").unwrap(), of("0.2").unwrap());
        assert_eq!(one.plus(two), of("0.3"));
        assert_eq!(of("3").unwrap().times(one), of("0.3"));
        assert_eq!(of("250").unwrap().times(one), of("25"));
        let over = |above: &str, below: &str| of(above).unwrap().over(of(below).unwrap());
        assert_eq!(
            (over("25.5", "0.1"), over("25.04", "0.1"), over("25.05", "0.1")),
            (Some(255), Some(250), Some(251))
        );
        assert_eq!(
            (over("-25.05", "0.1"), over("-25.04", "0.1"), over("1", "-0.5")),
            (Some(-251), Some(-250), Some(-2))
        );
        assert_eq!((over("1", "3"), over("2", "3"), over("1", "0"), over("7", "2")), (Some(0), Some(1), None, Some(4)));
        assert_eq!(Decimal::whole(i128::MAX).times(two), None);
    }
}

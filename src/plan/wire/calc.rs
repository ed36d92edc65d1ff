//! What the operators of expressions do. Whole numbers have 64 bits; a result that does not fit has no value.

use crate::model::calc::{Binary, Compare, Unary};
use std::cmp::Ordering;
use std::fmt;

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Num {
    /// Whole.
    Int(i64),
    /// With a fraction.
    Dec(f64),
}

/// Why an operator has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoValue {
    /// More than 64 bits.
    Overflow,
    /// Division by zero.
    Zero,
    /// A fraction where the operator needs a whole number.
    Fraction,
    /// A shift by less than 0 or more than 63 bits.
    Shift,
}

impl fmt::Display for NoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overflow => "the result does not fit 64 bits",
            Self::Zero => "division by zero",
            Self::Fraction => "a fraction, where the operator takes whole numbers (`round(x)`)",
            Self::Shift => "a shift by less than 0 or more than 63 bits",
        })
    }
}

impl Num {
    /// As a decimal number.
    #[inline]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Dec(number) => number,
        }
    }

    /// A whole number. A decimal number without a fraction is one.
    #[inline]
    pub fn whole(self) -> Result<i64, NoValue> {
        match self {
            Self::Int(number) => Ok(number),
            Self::Dec(number) if number.fract() == 0.0 => rounded(number),
            Self::Dec(_) => Err(NoValue::Fraction),
        }
    }

    /// Whether it is not 0.
    #[inline]
    pub fn is_true(self) -> bool {
        match self {
            Self::Int(number) => number != 0,
            Self::Dec(number) => number != 0.0,
        }
    }

    /// A text in decimal: `12`, `-0.5`. Exponents are taken too.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text.trim_ascii()).ok()?;
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
            let number = i128::from_str_radix(hex, 16).ok().filter(|_| hex.as_bytes()[0].is_ascii_hexdigit())?;
            return i64::try_from(if text.starts_with('-') { -number } else { number }).ok().map(Self::Int);
        }
        if !digits.as_bytes().first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        if let Ok(number) = text.parse::<i64>() {
            return Some(Self::Int(number));
        }
        // More than 64 bits is no number: it would lose digits.
        let is_whole = digits.bytes().all(|c| c.is_ascii_digit());
        text.parse::<f64>().ok().filter(|number| number.is_finite() && !is_whole).map(Self::Dec)
    }
}

/// A decimal number to the nearest whole one.
pub fn rounded(number: f64) -> Result<i64, NoValue> {
    let number = number.round();
    // 2^63 itself is no i64.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    if fits { Ok(number as i64) } else { Err(NoValue::Overflow) }
}

/// A decimal number that is one.
fn finite(number: f64) -> Result<Num, NoValue> {
    if number.is_finite() { Ok(Num::Dec(number)) } else { Err(NoValue::Overflow) }
}

/// An operator of one operand.
#[inline]
pub fn unary(op: Unary, number: Num) -> Result<Num, NoValue> {
    match (op, number) {
        (Unary::Negate, _) => Ok(Num::Int(i64::from(!number.is_true()))),
        (Unary::Not, _) => number.whole().map(|number| Num::Int(!number)),
        (Unary::Minus, Num::Int(number)) => number.checked_neg().map(Num::Int).ok_or(NoValue::Overflow),
        (Unary::Abs, Num::Int(number)) => number.checked_abs().map(Num::Int).ok_or(NoValue::Overflow),
        (Unary::Minus, Num::Dec(number)) => Ok(Num::Dec(-number)),
        (Unary::Abs, Num::Dec(number)) => Ok(Num::Dec(number.abs())),
    }
}

/// An operator of two operands: whole if both are, and division then leaves out the rest, as in C.
#[inline]
pub fn binary(op: Binary, a: Num, b: Num) -> Result<Num, NoValue> {
    let bits = |of: fn(i64, i64) -> i64| Ok(Num::Int(of(a.whole()?, b.whole()?)));
    match op {
        Binary::And => return bits(|a, b| a & b),
        Binary::Or => return bits(|a, b| a | b),
        Binary::Xor => return bits(|a, b| a ^ b),
        Binary::Left | Binary::Right => return shift(op, a.whole()?, b.whole()?),
        _ => {}
    }
    let (Num::Int(a), Num::Int(b)) = (a, b) else {
        let (a, b) = (a.as_f64(), b.as_f64());
        return match op {
            Binary::Add => finite(a + b),
            Binary::Sub => finite(a - b),
            Binary::Mul => finite(a * b),
            _ if b == 0.0 => Err(NoValue::Zero),
            Binary::Div => finite(a / b),
            _ => finite(a % b),
        };
    };
    let whole = match op {
        Binary::Add => a.checked_add(b),
        Binary::Sub => a.checked_sub(b),
        Binary::Mul => a.checked_mul(b),
        _ if b == 0 => return Err(NoValue::Zero),
        Binary::Div => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    whole.map(Num::Int).ok_or(NoValue::Overflow)
}

fn shift(op: Binary, a: i64, b: i64) -> Result<Num, NoValue> {
    let by = u32::try_from(b).ok().filter(|by| *by < 64).ok_or(NoValue::Shift)?;
    if op == Binary::Right {
        return Ok(Num::Int(a >> by));
    }
    let shifted = a << by;
    if shifted >> by == a { Ok(Num::Int(shifted)) } else { Err(NoValue::Overflow) }
}

/// Which of two numbers is larger.
#[inline]
pub fn order(a: Num, b: Num) -> Ordering {
    match (a, b) {
        (Num::Int(a), Num::Int(b)) => a.cmp(&b),
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

/// Which of two numbers of any length is larger; high bytes first.
pub fn order_bytes(a: &[u8], b: &[u8]) -> Ordering {
    let trimmed = |bytes: &'_ [u8]| bytes.iter().take_while(|&&byte| byte == 0).count();
    let (a, b) = (a.get(trimmed(a)..).unwrap_or_default(), b.get(trimmed(b)..).unwrap_or_default());
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Whether a comparison holds.
#[inline]
pub fn holds(compare: Compare, order: Ordering) -> bool {
    match compare {
        Compare::Equal => order.is_eq(),
        Compare::Differs => order.is_ne(),
        Compare::Less => order.is_lt(),
        Compare::AtMost => order.is_le(),
        Compare::Greater => order.is_gt(),
        Compare::AtLeast => order.is_ge(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(op: Binary, a: Num, b: Num, expected: Result<Num, NoValue>) {
        assert_eq!(binary(op, a, b), expected, "{a:?} {op:?} {b:?}");
    }

    #[test]
    fn operators_as_in_c_but_none_wraps() {
        let int = Num::Int;
        check(Binary::Div, int(7), int(2), Ok(int(3)));
        check(Binary::Div, int(-7), int(2), Ok(int(-3)));
        check(Binary::Rem, int(-7), int(2), Ok(int(-1)));
        check(Binary::Div, int(7), Num::Dec(2.0), Ok(Num::Dec(3.5)));
        check(Binary::Div, int(7), int(0), Err(NoValue::Zero));
        check(Binary::Rem, int(7), Num::Dec(0.0), Err(NoValue::Zero));
        check(Binary::Div, int(i64::MIN), int(-1), Err(NoValue::Overflow));
        check(Binary::Rem, int(i64::MIN), int(-1), Err(NoValue::Overflow));
        check(Binary::Add, int(i64::MAX), int(1), Err(NoValue::Overflow));
        check(Binary::Mul, int(i64::MAX), int(2), Err(NoValue::Overflow));
        check(Binary::Mul, Num::Dec(1e308), int(100), Err(NoValue::Overflow));
        check(Binary::And, int(0x83), int(0x80), Ok(int(0x80)));
        check(Binary::Or, Num::Dec(3.0), int(0x80), Ok(int(0x83)));
        check(Binary::Xor, Num::Dec(0.5), int(1), Err(NoValue::Fraction));
        check(Binary::Left, int(1), int(62), Ok(int(1 << 62)));
        check(Binary::Left, int(1), int(63), Err(NoValue::Overflow));
        check(Binary::Left, int(1), int(64), Err(NoValue::Shift));
        check(Binary::Right, int(-8), int(1), Ok(int(-4)));
        check(Binary::Right, int(8), int(-1), Err(NoValue::Shift));
        assert_eq!(unary(Unary::Minus, int(i64::MIN)), Err(NoValue::Overflow));
        assert_eq!(unary(Unary::Not, int(0)), Ok(int(-1)));
        assert_eq!(unary(Unary::Negate, Num::Dec(0.0)), Ok(int(1)));
        assert_eq!(unary(Unary::Abs, Num::Dec(-2.5)), Ok(Num::Dec(2.5)));
    }

    #[test]
    fn texts_that_are_numbers() {
        let check = |text: &str, expected: Option<Num>| assert_eq!(Num::parse(text.as_bytes()), expected, "{text}");
        check("12", Some(Num::Int(12)));
        check(" -0x10 ", Some(Num::Int(-16)));
        check("+5", Some(Num::Int(5)));
        check("0.5", Some(Num::Dec(0.5)));
        check("1e3", Some(Num::Dec(1000.0)));
        check("9223372036854775807", Some(Num::Int(i64::MAX)));
        check("-9223372036854775808", Some(Num::Int(i64::MIN)));
        check("-0x8000000000000000", Some(Num::Int(i64::MIN)));
        for no in [
            "",
            "-",
            "x",
            "0x",
            "9223372036854775808",
            "0x-5",
            "0x8000000000000000",
            "0xFFFFFFFFFFFFFFFF",
            "inf",
            "nan",
            "1e999",
            "--1",
            ".5",
        ] {
            check(no, None);
        }
    }

    #[test]
    fn bytes_compare_as_numbers() {
        assert_eq!(order_bytes(&[0, 0, 10], &[10]), Ordering::Equal);
        assert_eq!(order_bytes(&[1, 0], &[255]), Ordering::Greater);
        assert_eq!(order_bytes(&[], &[0]), Ordering::Equal);
    }
}

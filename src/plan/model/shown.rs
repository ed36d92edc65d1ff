//! Values that people read and write in another way than the bytes say: scaled numbers, and values with names.

use super::decimal::Decimal;
use super::field::Kind;
use std::fmt;

/// A type with a scale, a unit or names. Never inside another one.
#[derive(Debug, PartialEq)]
pub struct Shown {
    /// How the bytes are read.
    pub base: Kind,
    /// How their number is scaled; `None`: it is not.
    pub scale: Option<Scale>,
    /// The unit, for people.
    pub unit: Box<str>,
    /// Values with a name.
    pub names: Box<[Named]>,
}

/// `value = raw * scale + offset`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Not zero.
    pub scale: Decimal,
    /// Added.
    pub offset: Decimal,
}

/// A value and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its bytes.
    pub bytes: Box<[u8]>,
    /// The name.
    pub name: Box<str>,
    /// The value in its notation.
    pub value: Box<str>,
}

impl Scale {
    /// The engineering value of a raw one. `None`: it has too many digits.
    pub fn value(&self, raw: Decimal) -> Option<Decimal> {
        raw.times(self.scale)?.plus(self.offset)
    }

    /// The nearest raw value of an engineering one. `None`: it has too many digits.
    pub fn raw(&self, value: Decimal) -> Option<i128> {
        let Decimal { mantissa, places } = self.offset;
        value.plus(Decimal { mantissa: -mantissa, places })?.over(self.scale)
    }
}

impl Shown {
    /// The value with these bytes. Hex digits may be in either case.
    pub fn named(&self, bytes: &[u8]) -> Option<&Named> {
        let is_hex = matches!(self.base, Kind::HexDigits { .. });
        self.names.iter().find(|named| *named.bytes == *bytes || (is_hex && named.bytes.eq_ignore_ascii_case(bytes)))
    }

    /// The value of that name.
    pub fn of_name(&self, name: &[u8]) -> Option<&Named> {
        self.names.iter().find(|named| named.name.as_bytes() == name)
    }
}

/// `uint x 0.1 - 40 °C {closed, open}`
impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)?;
        if let Some(Scale { scale, offset }) = &self.scale {
            if *scale != Decimal::whole(1) {
                write!(f, " x {scale}")?;
            }
            match offset.mantissa {
                0 => {}
                1.. => write!(f, " + {offset}")?,
                _ => write!(f, " - {}", Decimal { mantissa: -offset.mantissa, ..*offset })?,
            }
        }
        if !self.unit.is_empty() {
            write!(f, " {}", self.unit)?;
        }
        for (number, named) in self.names.iter().enumerate() {
            write!(f, "{}{} {}", if number == 0 { " {" } else { ", " }, named.value, named.name)?;
        }
        if self.names.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

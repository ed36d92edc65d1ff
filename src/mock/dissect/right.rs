//! The expected bytes of a field.

use fsu_plan::model::digits::Digits;
use fsu_plan::model::field::{Constant, LengthField, Offset};
use fsu_plan::model::template::{Algorithm, Template};
use fsu_plan::wire::checksum::{compute, read_number, write_number};
use fsu_plan::wire::inner::{Frame, length_value_less};

/// A number as stored in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// Its value; bits beyond the size of the field are ignored.
    value: u64,
    /// Size of the field in bytes, 1 to 8.
    len: usize,
    /// Low byte first.
    little: bool,
    /// How it is written: hex digits may be in either case.
    digits: Digits,
}

impl Number {
    /// Size of the longest number in a frame, in bytes.
    pub const BYTES_MAX: usize = 8;

    /// Its bytes in wire order.
    pub fn bytes(self, out: &mut [u8; Self::BYTES_MAX]) -> &[u8] {
        let out = &mut out[..self.len.min(Self::BYTES_MAX)];
        write_number(self.value, self.little, out);
        out
    }

    #[inline]
    fn is(self, bytes: &[u8]) -> bool {
        let unused_bits = 64 - 8 * self.len.clamp(1, Self::BYTES_MAX);
        let there = read_number(bytes, self.little);
        bytes.len() == self.len && ((there ^ self.value) << unused_bits == 0 || self.digits.same(there, self.value))
    }
}

/// The expected bytes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right<'a> {
    /// Any bytes are valid.
    Any,
    /// The bytes of the frame's first or last field.
    Bytes(&'a [u8]),
    /// A length or a checksum.
    Number(Number),
    /// A constant, compared under its mask.
    Constant(&'a Constant),
}

impl Right<'_> {
    /// A length field of a frame whose data frame has `data_len` bytes; `less` as in
    /// [`length_value_less`].
    #[inline]
    pub fn length(field: &LengthField, data_len: usize, less: i64) -> Self {
        let value = length_value_less(field, data_len, less);
        Self::Number(Number { value, len: field.len, little: field.little, digits: field.digits })
    }

    /// The checksum in the field at that place of a frame; any bytes if the template has none there.
    #[inline]
    pub fn checksum(template: &Template, frame: &Frame<'_>, at: Offset) -> Self {
        let Some(checksum) = template.checksums().find(|checksum| checksum.at == at) else { return Self::Any };
        let value = compute(checksum, template, frame.raw, frame.wire);
        let digits = match &checksum.algorithm {
            Algorithm::Special(how) => how.digits,
            _ => Digits::Binary,
        };
        Self::Number(Number { value, len: checksum.len, little: checksum.little, digits })
    }

    /// Whether these bytes are as expected; `None` if any bytes are valid.
    #[inline]
    pub fn holds(&self, bytes: &[u8]) -> Option<bool> {
        match self {
            Self::Any => None,
            Self::Bytes(right) => Some(**right == *bytes),
            Self::Number(number) => Some(number.is(bytes)),
            Self::Constant(constant) => Some(
                bytes.len() == constant.bytes.len()
                    && (0..bytes.len()).all(|at| masked(constant, bytes, at) == bytes[at]),
            ),
        }
    }

    /// The expected bytes of a field that begins where `there` begins. Bits that do not matter are copied from `there`.
    pub fn to_vec(&self, there: &[u8]) -> Vec<u8> {
        match self {
            Self::Any => Vec::new(),
            Self::Bytes(right) => right.to_vec(),
            Self::Number(number) => number.bytes(&mut [0; Number::BYTES_MAX]).to_vec(),
            Self::Constant(constant) => (0..constant.bytes.len()).map(|at| masked(constant, there, at)).collect(),
        }
    }
}

/// Byte `at` of a constant, with the bits of `there` that its mask leaves open.
fn masked(constant: &Constant, there: &[u8], at: usize) -> u8 {
    // Without a mask all bits count.
    let mask = constant.mask.get(at).copied().unwrap_or(0xFF);
    (constant.bytes[at] & mask) | (there.get(at).copied().unwrap_or(0) & !mask)
}

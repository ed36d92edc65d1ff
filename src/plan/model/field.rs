//! Fields of the inner frame: types, sizes and places.
//!
//! Offsets count bytes of the *raw* frame (before `ascii_hex` encoding). A field of the header or
//! of the data frame has a fixed distance from the frame's start; one of the tail, from its end.

use super::charset::Charset;
use super::coding::Changed;
use super::digits::Digits;
use super::shown::{Scale, Shown};
use crate::words::FieldType;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A place in a raw frame: non-negative from its start, negative from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset(pub i32);

impl Offset {
    /// The byte index in a frame of `len` bytes. The frame was checked to be long enough ([`crate::wire::inner`]).
    #[inline]
    pub fn in_frame(self, len: usize) -> usize {
        if self.0 >= 0 { self.0 as usize } else { len.wrapping_sub(self.0.unsigned_abs() as usize) }
    }
}

/// The type of a field (spec templates.md, Fields).
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Hex digits.
    Hex,
    /// Two's complement integer.
    Int,
    /// Unsigned integer.
    Uint,
    /// Packed decimal digits.
    Bcd,
    /// ASCII decimal digits, with leading zeros.
    Dec,
    /// ASCII hex digits, with leading zeros. [`Slot::little`] is false: the order of bytes is here.
    HexDigits {
        /// The two digits of the low byte go first.
        low: bool,
    },
    /// Bits, numbered from the most significant; named ranges are for people and `when`.
    Bit(Bits),
    /// Text.
    Str,
    /// Packed decimal digits, the sign in the top bit.
    Sbcd,
    /// Time since 1970, unsigned.
    Epoch(Epoch),
    /// A time in seven bytes, as IEC 60870-5 has it.
    Cp56,
    /// Text in another character set than UTF-8.
    Coded(Charset),
    /// One of the others, with a scale, a unit or names.
    Shown(Arc<Shown>),
    /// A computed length.
    Length,
    /// IEEE 754, 4 bytes.
    F32,
    /// IEEE 754, 8 bytes.
    F64,
    /// Another type, whose bytes are changed on their way.
    Changed(Arc<Changed>),
}

/// What the text of a value consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// Digits, one or two a byte.
    Digits,
    /// A whole number.
    Whole,
    /// A number with a fraction.
    Float,
    /// Zeros and ones.
    Bits,
    /// A time.
    Time,
    /// Any characters.
    Text,
}

impl Kind {
    /// Its word: the `type` of a field in a template that says no more than the kind.
    pub fn word(&self) -> FieldType {
        match self {
            Self::Hex => FieldType::Hex,
            Self::Int => FieldType::Int,
            Self::Uint => FieldType::Uint,
            Self::Bcd => FieldType::Bcd,
            Self::Dec => FieldType::Dec,
            Self::HexDigits { .. } => FieldType::HexDigits,
            Self::Bit(_) => FieldType::Bit,
            Self::Str | Self::Coded(_) => FieldType::Str,
            Self::Sbcd => FieldType::Sbcd,
            Self::Epoch(_) => FieldType::Epoch,
            Self::Cp56 => FieldType::Cp56,
            Self::Shown(shown) => shown.base.word(),
            Self::Length => FieldType::Length,
            Self::F32 => FieldType::F32,
            Self::F64 => FieldType::F64,
            Self::Changed(changed) => changed.base.word(),
        }
    }

    /// How its values are written.
    pub fn notation(&self) -> Notation {
        match self {
            Self::Hex | Self::Bcd | Self::Dec | Self::HexDigits { .. } => Notation::Digits,
            Self::Int | Self::Uint | Self::Length | Self::Sbcd => Notation::Whole,
            Self::Epoch(_) | Self::Cp56 => Notation::Time,
            Self::F32 | Self::F64 => Notation::Float,
            Self::Bit(_) => Notation::Bits,
            Self::Str | Self::Coded(_) => Notation::Text,
            Self::Shown(shown) if shown.scale.is_some() => Notation::Float,
            Self::Shown(shown) => shown.base.notation(),
            Self::Changed(changed) => changed.base.notation(),
        }
    }

    /// The type of the bytes in plain form.
    pub fn unchanged(&self) -> &Self {
        if let Self::Changed(changed) = self { &changed.base } else { self }
    }

    /// The type that says how the bytes are read. Of changed bytes it is [`Kind::Changed`].
    #[inline]
    pub fn base(&self) -> &Self {
        match self {
            Self::Shown(shown) => &shown.base,
            other => other,
        }
    }

    /// The type that says how values are written: without unit and names, but with a scale.
    pub fn plain(&self) -> &Self {
        match self {
            Self::Shown(shown) if shown.scale.is_none() => &shown.base,
            other => other,
        }
    }

    /// The scale.
    pub fn scale(&self) -> Option<&Scale> {
        match self {
            Self::Shown(shown) => shown.scale.as_ref(),
            _ => None,
        }
    }

    /// Do the same bytes, in the same order, have the same value? (Bits have the same if their names do not matter.)
    pub fn is_like(&self, other: &Self) -> bool {
        let same = match (self.base(), other.base()) {
            (Self::HexDigits { low }, Self::HexDigits { low: other }) => low == other,
            (Self::Epoch(one), Self::Epoch(other)) => one == other,
            (Self::Coded(one), Self::Coded(other)) => one == other,
            (Self::Changed(one), Self::Changed(other)) => one == other,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        };
        same && self.scale() == other.scale()
    }
}

/// The word of its type; for bits with names, these too: `bit {door 0-3, lock 7}`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shown(shown) => return shown.fmt(f),
            Self::Changed(changed) => return write!(f, "{} {}", changed.base, changed.change),
            _ => {}
        }
        f.write_str(self.word().name())?;
        if let Self::HexDigits { low: true } = self {
            f.write_str(" little")?;
        }
        match self {
            Self::Epoch(epoch) => return epoch.fmt(f),
            Self::Coded(charset) => return write!(f, " {}", charset.name()),
            _ => {}
        }
        let Self::Bit(ranges) = self else { return Ok(()) };
        for (number, range) in ranges.iter().enumerate() {
            write!(f, "{}{range}", if number == 0 { " {" } else { ", " })?;
        }
        if ranges.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

/// What an epoch counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Milliseconds, not seconds.
    pub ms: bool,
    /// How far its clock is before UTC, in seconds.
    pub offset_s: i32,
}

/// ` ms +8h`; of seconds in UTC nothing.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ms {
            f.write_str(" ms")?;
        }
        if self.offset_s == 0 { Ok(()) } else { write!(f, " {:+}h", f64::from(self.offset_s) / 3_600.0) }
    }
}

/// The named ranges of a bit field, in the order of the template; shared by all that have the field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits(Arc<BitNames>);

#[derive(Debug, Default, PartialEq, Eq)]
struct BitNames {
    ranges: Box<[BitRange]>,
    /// Numbers of ranges, sorted by name, then by number.
    by_name: Box<[u32]>,
}

impl Bits {
    /// These ranges.
    pub fn new(ranges: Vec<BitRange>) -> Self {
        let mut by_name: Box<[u32]> = (0..ranges.len() as u32).collect();
        by_name.sort_by_key(|&number| (&ranges[number as usize].name, number));
        Self(Arc::new(BitNames { ranges: ranges.into(), by_name }))
    }

    /// The first range of that name.
    pub fn named(&self, name: &str) -> Option<&BitRange> {
        let BitNames { ranges, by_name } = &*self.0;
        let range = |number: &u32| &ranges[*number as usize];
        let at = by_name.partition_point(|number| *range(number).name < *name);
        by_name.get(at).map(range).filter(|range| *range.name == *name)
    }
}

impl Deref for Bits {
    type Target = [BitRange];
    fn deref(&self) -> &[BitRange] {
        &self.0.ranges
    }
}

/// A named range of bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitRange {
    /// Its name.
    pub name: Box<str>,
    /// First bit; 0 is the most significant of the field.
    pub from: u32,
    /// Last bit, inclusive.
    pub to: u32,
}

/// `door 0-3`, `lock 7`
impl fmt::Display for BitRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.from)?;
        if self.to == self.from { Ok(()) } else { write!(f, "-{}", self.to) }
    }
}

/// How a value becomes the bytes of a field, and back.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// The field's type.
    pub kind: Kind,
    /// Bytes, 1 to [`FIELD_BYTES_MAX`].
    pub len: usize,
    /// Low byte first.
    pub little: bool,
    /// Short values are on the right, padding on the left. (Leading zeros of a bcd field: on the right in big endian.)
    pub right: bool,
    /// The padding byte.
    pub padding: u8,
}

impl Slot {
    /// Digits that it holds, of a type of digits.
    pub fn digits(&self) -> usize {
        if Digits::of(&self.kind).is_text() { self.len } else { 2 * self.len }
    }

    /// What it is filled with where it has no value: of characters that are digits zeros, else the padding. Both are plain bytes,
    /// which are changed as a value's are.
    pub fn blank(&self) -> u8 {
        let mut blank = [if Digits::of(self.kind.unchanged()).is_text() { b'0' } else { self.padding }];
        if let Kind::Changed(changed) = &self.kind {
            changed.change.make(&mut blank);
        }
        blank[0]
    }

    /// Do short decimal digits in it get leading zeros, as a number of its whole size has them?
    pub fn has_leading_zeros(&self) -> bool {
        self.padding == 0 && self.right != self.little
    }
}

/// A field's type and what is unusual about it: `uint little`, `hex right pad FF`.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.little && self.len > 1 {
            f.write_str(" little")?;
        }
        if self.right && !(*self.kind.base() == Kind::Bcd && self.has_leading_zeros()) {
            f.write_str(" right")?;
        }
        if self.padding == 0 { Ok(()) } else { write!(f, " pad {:02X}", self.padding) }
    }
}

/// Longest field. A frame has to fit a datagram, so nothing longer can be served.
pub const FIELD_BYTES_MAX: usize = 65_000;
/// Longest raw inner frame: the through data of one UDP datagram, less the outer frame, doubled by escapes at worst.
pub const FRAME_BYTES_MAX: usize = 65_000;
/// Longest command key, in bytes.
pub const KEY_BYTES_MAX: usize = 16;

/// A field with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// As the template spells it, without `{pdu_left}`.
    pub name: Box<str>,
    /// Where it is in the raw frame.
    pub at: Offset,
    /// Its type and size.
    pub slot: Slot,
    /// What computes it, if anything does.
    pub computed: Computed,
}

/// Which fields the mock computes rather than copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Computed {
    /// Nothing: a value.
    No,
    /// The first field of the frame.
    Start,
    /// The last field of the frame.
    End,
    /// A length.
    Length,
    /// The inner checksum.
    Checksum,
}

/// A length: `value = base + per_data * (data frame bytes)`, with the header fields that [`Command::less`](super::template::Command::less) leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LengthField {
    /// Where it is.
    pub at: Offset,
    /// 1 to 8 bytes.
    pub len: usize,
    /// Low byte first.
    pub little: bool,
    /// Value for an empty data frame.
    pub base: i64,
    /// Added per byte of the data frame: 0, 1, or 2 (characters).
    pub per_data: i64,
    /// The top 4 of 16 bits check the lower 12.
    pub lchksum: bool,
    /// A `{{data_frame_length}}`: a command's number is [`Command::less`](super::template::Command::less) smaller than this.
    pub configured: bool,
    /// How the number is written.
    pub digits: Digits,
}

/// Bytes that a frame has to carry at a place, where `mask` is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constant {
    /// For display.
    pub name: Box<str>,
    /// Where.
    pub at: Offset,
    /// What.
    pub bytes: Box<[u8]>,
    /// Which bits; empty: all.
    pub mask: Box<[u8]>,
}

/// One part of a command key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyPart {
    /// Where it is.
    pub at: Offset,
    /// Bytes.
    pub len: usize,
    /// Low byte first.
    pub little: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_says_its_type_and_what_is_unusual() {
        let check = |slot: Slot, expected: &str| assert_eq!(slot.to_string(), expected);
        let slot = |kind, len| Slot { kind, len, little: false, right: false, padding: 0 };
        let range = |name: &str, from, to| BitRange { name: name.into(), from, to };
        check(slot(Kind::Hex, 2), "hex");
        check(Slot { little: true, ..slot(Kind::Uint, 2) }, "uint little");
        check(Slot { little: true, ..slot(Kind::Uint, 1) }, "uint");
        check(Slot { right: true, padding: 0xFF, ..slot(Kind::Hex, 2) }, "hex right pad FF");
        check(Slot { right: true, ..slot(Kind::Bcd, 2) }, "bcd");
        check(Slot { right: true, padding: 0x20, ..slot(Kind::Bcd, 2) }, "bcd right pad 20");
        check(slot(Kind::Bit(Bits::default()), 1), "bit");
        let bits = Bits::new(vec![range("door", 0, 3), range("lock", 7, 7)]);
        check(slot(Kind::Bit(bits), 1), "bit {door 0-3, lock 7}");
    }
}

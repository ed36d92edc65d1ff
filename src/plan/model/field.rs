//! Fields of the inner frame: types, sizes and places.
//!
//! Offsets count bytes of the *raw* frame (before `ascii_hex` encoding). A field of the header or
//! of the data frame has a fixed distance from the frame's start; one of the tail, from its end.

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
    /// Bits, numbered from the most significant; named ranges are for people and `when`.
    Bit(Bits),
    /// Text.
    Str,
    /// A computed length.
    Length,
    /// IEEE 754, 4 bytes.
    F32,
    /// IEEE 754, 8 bytes.
    F64,
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
    /// Do short decimal digits in it get leading zeros, as a number of its whole size has them?
    pub fn has_leading_zeros(&self) -> bool {
        self.padding == 0 && self.right != self.little
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
    /// Written as decimal digits, two a byte.
    pub bcd: bool,
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

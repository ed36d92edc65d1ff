//! What becomes of a raw frame on its way beyond `ascii_hex` (spec shapes.md, Bytes changed in transit): checksums behind blocks, a
//! change of every byte of the data frame, and an envelope.
//!
//! The steps, in the order of sending: change of the data frame, checksums of blocks, `ascii_hex`. The result is the *coded* frame.
//! The envelope escapes it.

use super::field::{Kind, Offset};
use super::template::Template;
use std::fmt;

/// How a frame travels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coding {
    /// Bytes between the first and the last field are hex characters.
    pub hex: bool,
    /// What is done to every byte of the data frame.
    pub data: Change,
    /// Where checksums of blocks are.
    pub gaps: Option<Gaps>,
    /// What is around a frame.
    pub envelope: Option<Envelope>,
}

/// What is around a frame, and how bytes travel there that mean something to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The frame's first and last field are the marks of the envelope.
    pub marks: bool,
    /// Bytes that are ignored before a frame.
    pub skip: Box<[u8]>,
    /// Goes out before each frame.
    pub preamble: Box<[u8]>,
    /// How bytes between the marks travel; `None`: as they are, and the frame's own size shows where it ends.
    pub escape: Option<Box<Escape>>,
}

/// Bytes that travel as others. Every byte that begins a mark or one of the values is one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escape {
    /// The byte, and what travels for it: no value begins another one or a mark.
    pub values: Box<[(u8, Box<[u8]>)]>,
    /// By byte: the number of its value, from 1; 0: it travels as it is.
    pub number: Box<[u8; 256]>,
}

impl Escape {
    /// With these values.
    pub fn new(values: Box<[(u8, Box<[u8]>)]>) -> Self {
        let mut number = Box::new([0; 256]);
        for (at, (byte, _)) in values.iter().enumerate() {
            number[usize::from(*byte)] = at as u8 + 1;
        }
        Self { values, number }
    }

    /// What travels for a byte; `None`: itself.
    #[inline]
    pub fn value(&self, byte: u8) -> Option<&[u8]> {
        let number = usize::from(self.number[usize::from(byte)]).checked_sub(1)?;
        self.values.get(number).map(|(_, value)| &**value)
    }

    /// Bytes of the longest value.
    pub fn longest(&self) -> usize {
        self.values.iter().map(|(_, value)| value.len()).max().unwrap_or(1)
    }
}

/// A change of bytes: first `add`, modulo 256, then `xor`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Added.
    pub add: u8,
    /// XORed.
    pub xor: u8,
}

/// `+ 33`, `xor 55`, `+ 01, then xor FF`
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { add, xor } = *self;
        match (add, xor) {
            (_, 0) => write!(f, "+ {add:02X}"),
            (0, _) => write!(f, "xor {xor:02X}"),
            _ => write!(f, "+ {add:02X}, then xor {xor:02X}"),
        }
    }
}

impl Change {
    /// Nothing is changed.
    pub const NONE: Self = Self { add: 0, xor: 0 };

    /// From plain bytes to those that travel.
    #[inline]
    pub fn make(self, bytes: &mut [u8]) {
        if self != Self::NONE {
            for byte in bytes {
                *byte = byte.wrapping_add(self.add) ^ self.xor;
            }
        }
    }

    /// Back.
    #[inline]
    pub fn undo(self, bytes: &mut [u8]) {
        if self != Self::NONE {
            for byte in bytes {
                *byte = (*byte ^ self.xor).wrapping_sub(self.add);
            }
        }
    }
}

/// Longest field whose bytes are changed: it is read in plain form on the stack.
pub const CHANGED_BYTES_MAX: usize = 1_024;

/// The type of a field whose bytes are changed on their way.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// Its type in plain form.
    pub base: Kind,
    /// What is done to each byte.
    pub change: Change,
}

/// Where the checksums of blocks are in a span of the raw frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gaps {
    /// The span's first byte, in the raw frame.
    pub from: Offset,
    /// The byte after its last one, in the raw frame; `Offset(0)` is the frame's end.
    pub to: Offset,
    /// Bytes of a block.
    pub every: usize,
    /// Bytes of a checksum.
    pub len: usize,
    /// The last one is in a field of the raw frame.
    pub in_field: bool,
}

impl Gaps {
    /// First byte of the span and the byte after its last one, in a raw frame of that size.
    pub fn span(&self, raw_len: usize) -> (usize, usize) {
        let from = self.from.in_frame(raw_len);
        let to = if self.to == Offset(0) { raw_len } else { self.to.in_frame(raw_len) };
        (from, to.max(from))
    }

    /// How many checksums are between the bytes of a span of `bytes` bytes and behind it.
    pub fn count(&self, bytes: usize) -> usize {
        let blocks = bytes.div_ceil(self.every);
        if self.in_field { blocks.saturating_sub(1) } else { blocks }
    }

    /// The bytes of the span without its checksums; with them it has `coded` bytes. `None`: no span gets that long.
    pub fn plain(&self, coded: usize) -> Option<usize> {
        let block = self.every + self.len;
        let (whole, rest) = (coded / block, coded % block);
        let plain = match (self.in_field, rest) {
            (_, 0) if coded == 0 => 0,
            (true, 0) => return None,
            (true, _) => whole * self.every + rest,
            (false, 0) => whole * self.every,
            (false, _) => whole * self.every + rest.checked_sub(self.len)?,
        };
        (plain + self.count(plain) * self.len == coded).then_some(plain)
    }
}

impl Coding {
    /// Whether the coded frame is the raw frame.
    pub fn is_plain(&self) -> bool {
        !self.hex && self.data == Change::NONE && self.gaps.is_none()
    }

    /// Bytes on the wire of a raw frame of `raw_len` bytes, without what goes out before it; with escapes the most that they may be.
    pub fn wire_len(&self, template: &Template, raw_len: usize) -> usize {
        let coded = self.coded_len(template, raw_len);
        let escape = self.envelope.as_ref().and_then(|envelope| envelope.escape.as_ref());
        let marks = template.start.len() + template.end.len();
        escape.map_or(coded, |escape| marks + coded.saturating_sub(marks).saturating_mul(escape.longest()))
    }

    /// Bytes that go out before a frame.
    pub fn preamble_len(&self) -> usize {
        self.envelope.as_ref().map_or(0, |envelope| envelope.preamble.len())
    }

    /// Whether the marks of an envelope cut a stream.
    pub fn is_escaped(&self) -> bool {
        self.envelope.as_ref().is_some_and(|envelope| envelope.escape.is_some())
    }

    /// Bytes of the coded frame.
    pub fn coded_len(&self, template: &Template, raw_len: usize) -> usize {
        let gaps = self.gaps.map_or(0, |gaps| {
            let (from, to) = gaps.span(raw_len.max(template.left_len + template.tail_len));
            gaps.count(to - from) * gaps.len
        });
        if self.hex { template.hex_len(raw_len) } else { raw_len + gaps }
    }

    /// Bytes of the raw frame of a coded one; `None`: no frame becomes so long.
    pub fn raw_len(&self, template: &Template, coded_len: usize) -> Option<usize> {
        if self.hex {
            let digits = coded_len.checked_sub(template.start.len() + template.end.len())?;
            return digits.is_multiple_of(2).then_some(coded_len - digits / 2);
        }
        let Some(gaps) = self.gaps else { return Some(coded_len) };
        let around = gaps.from.in_frame(0) + gaps.to.0.unsigned_abs() as usize;
        Some(around + gaps.plain(coded_len.checked_sub(around)?)?)
    }

    /// Index in the coded frame of a raw index. Behind a block that is the byte behind its checksum.
    pub fn index(&self, template: &Template, raw: usize, raw_len: usize) -> usize {
        if self.hex {
            return template.hex_index(raw, raw_len);
        }
        let Some(gaps) = self.gaps else { return raw };
        let (from, to) = gaps.span(raw_len);
        let before = match raw {
            _ if raw <= from => 0,
            _ if raw >= to => gaps.count(to - from),
            _ => (raw - from) / gaps.every,
        };
        raw + before * gaps.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_and_back() {
        let check = |add: u8, xor: u8, plain: [u8; 4], changed: [u8; 4]| {
            let (change, mut bytes) = (Change { add, xor }, plain);
            change.make(&mut bytes);
            assert_eq!(bytes, changed);
            change.undo(&mut bytes);
            assert_eq!(bytes, plain);
        };
        check(0, 0, [0, 1, 0xCD, 0xFF], [0, 1, 0xCD, 0xFF]);
        check(0x33, 0, [0, 1, 0xCD, 0xFF], [0x33, 0x34, 0, 0x32]);
        check(0, 0x55, [0, 1, 0xCD, 0xFF], [0x55, 0x54, 0x98, 0xAA]);
        check(1, 0xFF, [0, 1, 0xCD, 0xFF], [0xFE, 0xFD, 0x31, 0xFF]);
    }

    #[test]
    fn sizes_of_spans_with_checksums_of_blocks() {
        let check = |in_field: bool, plain: usize, coded: usize| {
            let gaps = Gaps { from: Offset(0), to: Offset(0), every: 4, len: 2, in_field };
            assert_eq!((plain + gaps.count(plain) * 2, gaps.plain(coded)), (coded, Some(plain)), "{plain} {in_field}");
        };
        for (plain, coded) in [(0, 0), (1, 3), (3, 5), (4, 6), (5, 9), (8, 12), (9, 15)] {
            check(false, plain, coded);
        }
        for (plain, coded) in [(0, 0), (1, 1), (4, 4), (5, 7), (8, 10), (9, 13)] {
            check(true, plain, coded);
        }
        let none = |in_field: bool, coded: usize| {
            let gaps = Gaps { from: Offset(0), to: Offset(0), every: 4, len: 2, in_field };
            assert_eq!(gaps.plain(coded), None, "{coded} {in_field}");
        };
        for coded in [1, 2, 7, 8, 13] {
            none(false, coded);
        }
        for coded in [5, 6, 11, 12] {
            none(true, coded);
        }
    }
}

//! A vendor's protocol, compiled: where every field of the inner frame stands.
//!
//! Offsets count bytes of the *raw* frame (before `ascii_hex` encoding). A field of the header or
//! of the data frame has a fixed distance from the frame's start; one of the tail, from its end.

use super::keys::KeyTable;
use super::prebuilt::Prebuilt;
use super::rule::{Expr, Reply};
use super::transfer::Transfer;
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

/// How the bytes between the first and last field travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Binary,
    /// Each as two upper-case hex characters.
    AsciiHex,
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
    /// Short values stand on the right, padding on the left. (Leading zeros of a bcd field: on the right in big endian.)
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
    /// Where it stands in the raw frame.
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

/// A length: `value = base + per_data * (data frame bytes)`, with the header fields that [`Command::less`] leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LengthField {
    /// Where it stands.
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
    /// A `{{data_frame_length}}`: a command's number is [`Command::less`] smaller than this.
    pub configured: bool,
    /// Written as decimal digits, two a byte.
    pub bcd: bool,
}

/// Bytes that a frame has to carry at a place, where `mask` is 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constant {
    /// For people.
    pub name: Box<str>,
    /// Where.
    pub at: Offset,
    /// What.
    pub bytes: Box<[u8]>,
    /// Which bits; empty: all.
    pub mask: Box<[u8]>,
}

/// The inner checksum.
#[derive(Debug)]
pub struct Checksum {
    /// How.
    pub algorithm: Algorithm,
    /// For people: `sum`, or `crc:` and the name that the catalogue has for it.
    pub name: Box<str>,
    /// What is done to the result.
    pub complement: Complement,
    /// First byte of the span, in the raw frame.
    pub from: Offset,
    /// The byte after the span's last one, in the raw frame; `Offset(0)` stands for the frame's end.
    pub to: Offset,
    /// Taken over the encoded characters.
    pub over_wire: bool,
    /// Where it stands.
    pub at: Offset,
    /// 1 to 8 bytes.
    pub len: usize,
    /// The bits of so many bytes.
    pub mask: u64,
    /// Low byte first.
    pub little: bool,
}

/// A checksum algorithm.
pub enum Algorithm {
    /// Sum of the bytes.
    Sum,
    /// XOR of the bytes.
    Xor,
    /// XOR of the two bytes of the 16-bit sum.
    SumXor,
    /// Of the CRC catalogue.
    Crc8(Box<crc::Crc<u8>>),
    /// Of the CRC catalogue.
    Crc16(Box<crc::Crc<u16>>),
    /// Of the CRC catalogue (17 to 32 bits).
    Crc32(Box<crc::Crc<u32>>),
    /// Of the CRC catalogue (33 to 64 bits).
    Crc64(Box<crc::Crc<u64>>),
    /// One of the others, with more to it.
    Special(Box<Special>),
}

/// What a checksum may be beside an algorithm over a span.
#[derive(Debug)]
pub struct Special {
    /// None that is special itself.
    pub algorithm: Algorithm,
    /// The span covers the checksum's field, whose bytes count as 00.
    pub holds_itself: bool,
    /// Written as decimal digits, two a byte.
    pub bcd: bool,
    /// The bits of the result.
    pub mask: u64,
}

impl std::fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sum => "sum",
            Self::Xor => "xor",
            Self::SumXor => "sum_xor",
            Self::Crc8(_) => "crc (8 bits)",
            Self::Crc16(_) => "crc (16 bits)",
            Self::Crc32(_) => "crc (32 bits)",
            Self::Crc64(_) => "crc (64 bits)",
            Self::Special(special) => return special.fmt(f),
        })
    }
}

/// What is done to a checksum before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complement {
    /// Nothing.
    None,
    /// All bits turned over.
    Ones,
    /// Subtracted from zero.
    Twos,
}

/// One part of a command key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyPart {
    /// Where it stands.
    pub at: Offset,
    /// Bytes.
    pub len: usize,
    /// Low byte first.
    pub little: bool,
}

/// All commands whose key stands at the same places.
#[derive(Clone, Debug)]
pub struct KeyShape {
    /// The parts, in the order of the flag.
    pub parts: Box<[KeyPart]>,
    /// Fewest data-frame bytes that hold all parts.
    pub data_len_min: usize,
    /// Key -> command numbers in file order.
    pub table: KeyTable,
}

/// How a stream is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Every frame has the same size.
    Fixed,
    /// Length field number n of [`Template::lengths`].
    Length(usize),
    /// From start to end.
    Delimited,
    /// The key, in the header, tells the size: each command's request has one.
    Keyed,
}

/// One command.
#[derive(Debug)]
pub struct Command {
    /// Its key as bytes, left to right in the low end.
    pub key: u128,
    /// Its key as hex digits, upper case.
    pub key_text: Box<str>,
    /// The request's data-frame fields; `None`: whatever comes.
    pub request: Option<Box<[Field]>>,
    /// The reply's data-frame fields.
    pub response: Box<[Field]>,
    /// Data-frame bytes a request must have at least.
    pub request_len: usize,
    /// The same after padding to data_frame_length, where that is given.
    pub request_len_padded: usize,
    /// The key is shared: the request must have exactly one of these two sizes.
    pub exact: bool,
    /// Constants of the request that select this entry.
    pub constants: Box<[Constant]>,
    /// Data-frame lengths of the request: a field that contradicts them is `bad_length`.
    pub lengths: Box<[Constant]>,
    /// The request's fields with `{{data_frame_length}}`: one that contradicts the frame is `bad_length`.
    pub counts: Box<[Count]>,
    /// What the number of `{{data_frame_length}}` is less than the data frame and the header fields behind the length field:
    /// 0 where it counts both, those fields' bytes where it counts the data frame alone, and what the configured number
    /// leaves out of a frame of fixed size.
    pub less: i64,
    /// Data-frame bytes of the reply.
    pub response_len: usize,
    /// A raw request with the values that the template gives; its checksum is not computed. For clients.
    pub sample: Prebuilt,
    /// The request's fields whose value is a function: clients make them for each request, the sample has an example.
    pub made: Box<[Made]>,
}

/// A request field that no constant stands for.
#[derive(Clone, Debug)]
pub struct Made {
    /// The field.
    pub field: Field,
    /// Its value; it refers to no request and no register.
    pub value: Expr,
}

/// A request's field whose value is `{{data_frame_length}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// For people.
    pub name: Box<str>,
    /// What it holds.
    pub length: LengthField,
}

/// Which wrong requests a template can answer; index into [`Template::errors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorReply {
    /// The length's own check.
    BadLengthChecksum,
    /// The length.
    BadLength,
    /// The checksum.
    BadChecksum,
    /// A header constant.
    BadVersion,
    /// The key.
    UnknownCommand,
}

impl ErrorReply {
    /// All of them, in the order of the index.
    pub const ALL: [Self; 5] =
        [Self::BadLengthChecksum, Self::BadLength, Self::BadChecksum, Self::BadVersion, Self::UnknownCommand];
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// As configuration and counters spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadLengthChecksum => "bad_length_checksum",
            Self::BadLength => "bad_length",
            Self::BadChecksum => "bad_checksum",
            Self::BadVersion => "bad_version",
            Self::UnknownCommand => "unknown_command",
        }
    }
}

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    /// For people.
    pub vendor: Box<str>,
    /// The file.
    pub path: Box<str>,
    /// How it travels.
    pub encoding: Encoding,
    /// The constant bytes a frame begins with; empty: none.
    pub start: Box<[u8]>,
    /// The constant bytes a frame ends with; empty: none.
    pub end: Box<[u8]>,
    /// Header fields.
    pub left: Box<[Field]>,
    /// Tail fields.
    pub tail: Box<[Field]>,
    /// Bytes of the header.
    pub left_len: usize,
    /// Bytes of the tail.
    pub tail_len: usize,
    /// Data-frame bytes, where all frames have the same size.
    pub data_len_fixed: Option<usize>,
    /// Data-frame bytes of the largest request.
    pub data_len_max: usize,
    /// Data-frame sizes a request may have, sorted; empty: any up to the largest.
    pub data_lens: Box<[usize]>,
    /// Lengths in header and tail.
    pub lengths: Box<[LengthField]>,
    /// [`Command::less`] of all commands, each value once, in ascending order; never empty.
    pub readings: Box<[i64]>,
    /// The one of frames that are no command's: what all commands agree on, else 0.
    pub less: i64,
    /// Lengths that only the command tells: its `lengths` and `counts`, and which of several readings it has.
    pub command_lengths: bool,
    /// The inner checksum.
    pub checksum: Option<Checksum>,
    /// Header and tail constants marked `match`: another value is `bad_version`.
    pub versions: Box<[Constant]>,
    /// How a stream is cut.
    pub framing: Framing,
    /// The command tables.
    pub keys: Box<[KeyShape]>,
    /// The commands, in file order.
    pub commands: Box<[Command]>,
    /// Replies to wrong requests, by [`ErrorReply`].
    pub errors: [Option<Arc<Reply>>; ErrorReply::COUNT],
    /// Multi-frame transfers.
    pub transfer: Option<Transfer>,
    /// Wire bytes of the largest reply any rule of any device can build from it (inner frame).
    pub wire_len_max: usize,
}

impl Template {
    /// Bytes of the smallest raw frame.
    pub fn raw_len_min(&self) -> usize {
        self.left_len + self.tail_len + self.data_len_fixed.unwrap_or(0)
    }

    /// Bytes on the wire of a raw frame of `raw_len` bytes.
    #[inline]
    pub fn wire_len(&self, raw_len: usize) -> usize {
        match self.encoding {
            Encoding::Binary => raw_len,
            Encoding::AsciiHex => {
                let plain = self.start.len() + self.end.len();
                plain + raw_len.saturating_sub(plain) * 2
            }
        }
    }

    /// Index on the wire of a raw index.
    #[inline]
    pub fn wire_index(&self, raw: usize, raw_len: usize) -> usize {
        match self.encoding {
            Encoding::Binary => raw,
            Encoding::AsciiHex => {
                let coded = raw.clamp(self.start.len(), raw_len - self.end.len());
                raw + (coded - self.start.len())
            }
        }
    }
}

//! A vendor's protocol, compiled: the inner frame, its checksum, its commands.

use super::coding::Coding;
use super::digits::Digits;
use super::field::{Constant, Field, KeyPart, LengthField, Offset};
use super::keys::KeyTable;
use super::prebuilt::Prebuilt;
use super::reply::{Expr, Reply};
use super::sums::{FreeCrc, Words};
use super::transfer::Transfer;
use super::walk::{Path, Walk, Walks};
use crate::words;
use crate::words::Word;
use std::sync::Arc;

/// How the bytes between the first and last field travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As they are.
    Binary,
    /// Each as two upper-case hex characters.
    AsciiHex,
    /// As [`Template::coding`] says. No word names it: it follows from other keys.
    Coded,
}

impl Word for Encoding {
    const ALL: &'static [Self] = &[Self::Binary, Self::AsciiHex];

    fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::AsciiHex => "ascii_hex",
            Self::Coded => "coded",
        }
    }
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
    /// The byte after the span's last one, in the raw frame; `Offset(0)` is the frame's end.
    pub to: Offset,
    /// Taken over the encoded characters.
    pub over_wire: bool,
    /// Where it is.
    pub at: Offset,
    /// 1 to 8 bytes.
    pub len: usize,
    /// The bits of that many bytes.
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
    /// Of 16-bit words.
    Words(Words),
    /// Sum of the bytes, subtracted from zero, 8 bits.
    Lrc,
    /// A CRC whose parameters the template gives.
    Free(Box<FreeCrc>),
    /// One of the others, with special properties.
    Special(Box<Special>),
}

impl Checksum {
    /// It and those that are computed before it, in that order.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        let before = match &self.algorithm {
            Algorithm::Special(special) => &*special.before,
            _ => &[],
        };
        before.iter().chain(std::iter::once(self))
    }

    /// The checksums behind blocks of its span.
    pub fn blocks(&self) -> Option<&Blocks> {
        match &self.algorithm {
            Algorithm::Special(special) => special.blocks.as_ref(),
            _ => None,
        }
    }
}

/// Checksums behind blocks of a span. They travel, and are no part of the raw frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Bytes of a block; the last one may have fewer.
    pub every: usize,
    /// Bytes of the checksum behind a block, 1 to 8.
    pub len: usize,
    /// Low byte first.
    pub little: bool,
    /// The last one is in the checksum's field, which follows the span.
    pub in_field: bool,
}

/// Properties of a checksum beyond an algorithm over a span.
#[derive(Debug)]
pub struct Special {
    /// Not itself special.
    pub algorithm: Algorithm,
    /// The span covers the checksum's field.
    pub holds_itself: bool,
    /// Its bytes there are left out; else they count as 00.
    pub skips_itself: bool,
    /// How the result is written.
    pub digits: Digits,
    /// The bits of the result.
    pub mask: u64,
    /// Other checksums of the template, which are computed before it, in this order. Their own are empty.
    pub before: Box<[Checksum]>,
    /// One for each block of the span.
    pub blocks: Option<Blocks>,
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
            Self::Words(words) => words.how.name(),
            Self::Lrc => "lrc",
            Self::Free(crc) => return crc.spec().fmt(f),
            Self::Special(special) => return special.fmt(f),
        })
    }
}

words! {
    /// What is done to a checksum before it is written.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Complement {
        /// Nothing.
        None = "none",
        /// All bits inverted.
        Ones = "ones",
        /// Subtracted from zero.
        Twos = "twos",
    }
}

/// All commands whose key is at the same places.
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
    /// By the key in the header: all requests with one key have one size.
    Keyed,
    /// By the marks of the envelope.
    Enveloped,
    /// By [`Moved::head`].
    Headed,
}

/// One command.
#[derive(Debug)]
pub struct Command {
    /// Its key as bytes, left to right in the low end.
    pub key: u128,
    /// Its key as hex digits, upper case.
    pub key_text: Box<str>,
    /// The request's data-frame fields; `None`: any.
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
    /// Only rules of other commands send it: no request is it.
    pub up: bool,
    /// What follows where its fields vary in size; `None`: they do not.
    pub walk: Option<Box<Walks>>,
}

impl Command {
    /// The request's program, where it has one.
    pub fn request_walk(&self) -> Option<&Arc<Walk>> {
        self.walk.as_ref()?.request.as_ref()
    }

    /// The reply's program, where it has one.
    pub fn reply_walk(&self) -> Option<&Arc<Walk>> {
        self.walk.as_ref()?.reply.as_ref()
    }
}

/// A request field without a constant.
#[derive(Clone, Debug)]
pub struct Made {
    /// The field, at its place in [`Command::sample`].
    pub field: Field,
    /// Which element of a request whose fields vary in size it is: its place follows from those before it.
    pub path: Option<Path>,
    /// Its value; it refers to no request and no register.
    pub value: Expr,
}

/// A request's field whose value is `{{data_frame_length}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// For display.
    pub name: Box<str>,
    /// What it holds.
    pub length: LengthField,
}

words! {
    /// Which wrong requests a template can answer; index into [`Template::errors`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum ErrorReply {
        /// The length's own check.
        BadLengthChecksum = "bad_length_checksum",
        /// The length.
        BadLength = "bad_length",
        /// The checksum.
        BadChecksum = "bad_checksum",
        /// A header constant.
        BadVersion = "bad_version",
        /// The key.
        UnknownCommand = "unknown_command",
    }
}

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    /// For display.
    pub vendor: Box<str>,
    /// The file.
    pub path: Box<str>,
    /// How it travels.
    pub encoding: Encoding,
    /// The same where [`Encoding::Coded`] says so.
    pub coding: Option<Box<Coding>>,
    /// The constant bytes a frame begins with; empty: none.
    pub start: Box<[u8]>,
    /// The constant bytes a frame ends with; empty: none.
    pub end: Box<[u8]>,
    /// Where `end` is empty: the last constant of the tail that is marked `match`, such as an ETX before its checksum; empty: none.
    pub closing: Box<[u8]>,
    /// Bytes of the tail behind `closing`.
    pub behind: usize,
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
    /// Whether lengths depend on the command: its `lengths` and `counts`, and which of several readings it has.
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
    /// Header and tail fields that the data frames carry, because some of them vary in size.
    pub moved: Option<Box<Moved>>,
    /// Wire bytes of the largest reply any rule of any device can build from it (inner frame).
    pub wire_len_max: usize,
}

/// Fields of a header from its first field of variable size on, and of a tail up to its last one. The plan has them in every data
/// frame, at its beginning and end.
#[derive(Debug, Default)]
pub struct Moved {
    /// Names of the header's, in order.
    pub left: Box<[Box<str>]>,
    /// Names of the tail's, in order.
    pub tail: Box<[Box<str>]>,
    /// The part of the data frame whose bytes a field of the header says.
    pub group: Option<MovedGroup>,
    /// These fields alone, with the group between them: shows where a frame ends, whatever command it is.
    pub head: Option<Arc<Walk>>,
}

/// A part of a data frame that a length of the header counts.
#[derive(Clone, Debug, Default)]
pub struct MovedGroup {
    /// The length.
    pub by: Box<str>,
    /// Bytes beside the part that it counts too.
    pub more: i64,
    /// The first of [`Moved::left`] that is counted.
    pub from: usize,
    /// The number of [`Moved::tail`] that are counted.
    pub to: usize,
}

impl Template {
    /// The program that shows the size of every frame, where a length counts a part of it.
    pub fn head(&self) -> Option<&Walk> {
        self.moved.as_ref()?.head.as_deref()
    }

    /// The bytes that show where a frame of [`Framing::Delimited`] ends, and how many of its bytes are behind them.
    pub fn delimiter(&self) -> (&[u8], usize) {
        if self.end.is_empty() { (&self.closing, self.behind) } else { (&self.end, 0) }
    }

    /// Bytes of the smallest raw frame.
    pub fn raw_len_min(&self) -> usize {
        self.left_len + self.tail_len + self.data_len_fixed.unwrap_or(0)
    }

    /// Bytes on the wire of a raw frame of `raw_len` bytes; with escapes the most that they may be.
    #[inline]
    pub fn wire_len(&self, raw_len: usize) -> usize {
        match self.encoding {
            Encoding::Binary => raw_len,
            Encoding::AsciiHex => self.hex_len(raw_len),
            Encoding::Coded => self.coding.as_ref().map_or(raw_len, |coding| coding.wire_len(self, raw_len)),
        }
    }

    /// The same with what is sent before a frame.
    pub fn sent_len(&self, raw_len: usize) -> usize {
        self.wire_len(raw_len) + self.coding.as_ref().map_or(0, |coding| coding.preamble_len())
    }

    /// The same where all bytes but start and end are hex characters.
    #[inline]
    pub(crate) fn hex_len(&self, raw_len: usize) -> usize {
        let plain = self.start.len() + self.end.len();
        plain + raw_len.saturating_sub(plain) * 2
    }

    /// Index on the wire of a raw index; with escapes, before they are made.
    #[inline]
    pub fn wire_index(&self, raw: usize, raw_len: usize) -> usize {
        match self.encoding {
            Encoding::Binary => raw,
            Encoding::AsciiHex => self.hex_index(raw, raw_len),
            Encoding::Coded => self.coding.as_ref().map_or(raw, |coding| coding.index(self, raw, raw_len)),
        }
    }

    /// The same where all bytes but start and end are hex characters.
    #[inline]
    pub(super) fn hex_index(&self, raw: usize, raw_len: usize) -> usize {
        let coded = raw.clamp(self.start.len(), raw_len - self.end.len());
        raw + (coded - self.start.len())
    }

    /// Whether the bytes between the first and the last field are hex characters.
    #[inline]
    pub fn is_hex(&self) -> bool {
        match self.encoding {
            Encoding::Binary => false,
            Encoding::AsciiHex => true,
            Encoding::Coded => self.coding.as_ref().is_some_and(|coding| coding.hex),
        }
    }

    /// All checksums, in the order in which they are computed.
    pub fn checksums(&self) -> impl Iterator<Item = &Checksum> {
        self.checksum.iter().flat_map(Checksum::all)
    }
}

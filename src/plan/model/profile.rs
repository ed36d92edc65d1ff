//! Frames of a known length, compiled to blocks of sixteen bytes: a plan per device and length of its requests.
//!
//! All places are those of a buffer that holds a whole outer frame: the device's frame begins at [`DATA`], with or without
//! an outer frame around it. Bytes are as they travel, so an `ascii_hex` frame is its characters.
//!
//! A request is read once, block by block, and every byte that is known beforehand is compared in that pass.
//!
//! A profile takes only what it knows to be right. Everything else is left to the general code, which decides.

mod answer;

pub use answer::{Answer, Copied, Group, Jump, Row, Ticked, Valued, Varied};

use std::sync::OnceLock;

/// Longest outer frame of a profile: its places are bytes.
pub const PROFILED_BYTES_MAX: usize = 256;
/// Bytes per block.
pub const BLOCK_BYTES: usize = 16;
/// Blocks at the front of a reply, which are copied one and all: most replies have no more.
pub const FRONT: usize = 6;
/// Bytes of a buffer: a block may reach past the frame, and so may 255 bytes from [`DATA`] on.
pub const BUFFER_BYTES: usize = PROFILED_BYTES_MAX + 4 * BLOCK_BYTES;
/// Where the device's frame begins (spec b-interface.md, Layout).
pub const DATA: usize = 38;
/// Longest device's frame: the outer frame has two more bytes behind it.
pub const PROFILED_DATA_BYTES: usize = PROFILED_BYTES_MAX - DATA - 2;

/// Where the last block of the outer header begins.
pub const HEAD_END: usize = DATA - BLOCK_BYTES;

/// Sixteen bytes.
pub type Block = [u8; BLOCK_BYTES];

/// The profiles of a device; not set: it has none.
pub type Profiled = OnceLock<Profiles>;

/// Eight bytes, low byte first, and those bits of them that have to have a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Which bits.
    pub mask: u64,
    /// What they are; 0 elsewhere.
    pub value: u64,
    /// Where the eight bytes begin.
    pub at: u8,
}

/// What sixteen bytes have to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The known bytes; 00 elsewhere.
    pub value: Block,
    /// FF where a byte is known.
    pub mask: Block,
}

/// Sixteen bytes of a device's frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What they have to have.
    pub known: Known,
    /// FF where a byte belongs to the sum of the checksum.
    pub summed: Block,
}

/// The last sixteen bytes of a frame. They begin in an earlier block, or before the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// What those have to have that are in no earlier block.
    pub step: Step,
    /// FF at these.
    pub fresh: Block,
}

/// A device's profiles, by the length of a request.
#[derive(Debug, Default)]
pub struct Profiles {
    /// By bytes of the device's frame: number of the profile + 1; 0: none.
    pub by_len: Box<[u16]>,
    /// The profiles.
    pub list: Box<[Profile]>,
}

impl Profiles {
    /// The profile of a device's frame of that many bytes.
    #[inline]
    pub fn of(&self, len: usize) -> Option<&Profile> {
        let number = usize::from(*self.by_len.get(len)?);
        self.list.get(number.wrapping_sub(1))
    }
}

/// Requests of one length.
#[derive(Debug)]
pub struct Profile {
    /// The outer header: device, lengths, direction. The blocks begin at 0, at [`BLOCK_BYTES`] and at [`HEAD_END`].
    pub head: [Known; 3],
    /// The device's frame in whole blocks: start, end, versions, lengths.
    pub whole: Box<[Step]>,
    /// Its last block without an outer frame.
    pub inner_end: End,
    /// The last block of the outer frame: with P_verify and P_tailer.
    pub outer_end: End,
    /// Bits that have to have a value, of bytes that are not known.
    pub rest: Box<[Window]>,
    /// XOR of the known bytes that P_verify covers.
    pub xor: u8,
    /// One of them has to be escaped.
    pub escaped: bool,
    /// Sum of the known bytes in the span of the checksum.
    pub sum: u64,
    /// Upper-case hex digits, from and to; `ascii_hex` only.
    pub digits: Option<(u8, u8)>,
    /// There is something in `rest` or `digits`.
    pub has_more: bool,
    /// The checksum; `None`: nothing has to be right.
    pub seal: Option<Seal>,
    /// The commands.
    pub keys: Keys,
}

/// How a checksum is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Sum of the bytes.
    Sum,
    /// XOR of the two bytes of the 16-bit sum.
    SumXor,
    /// CRC of 16 bits, over all bytes of the span.
    Crc16 {
        /// The register before them.
        register: u16,
        /// Bytes and result are reflected.
        is_reflected: bool,
    },
    /// By the template's algorithm, over all bytes of the span.
    Whole,
}

/// How the number of a checksum is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealForm {
    /// Low byte first.
    Little,
    /// High byte first, from that many bits of eight bytes on.
    Big(u32),
    /// Number of bytes, sent as hex digits; low byte first if true.
    Hex(u8, bool),
}

/// A checksum in a frame of known length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// How it is taken.
    pub tally: Tally,
    /// Which bits of the result are inverted.
    pub flip: u64,
    /// What is added to it then.
    pub add: u64,
    /// How it is written.
    pub form: SealForm,
    /// It is a sum as it is, low byte first.
    pub is_plain: bool,
    /// First byte of the span.
    pub from: u8,
    /// The byte after its last one.
    pub to: u8,
    /// Where it is.
    pub at: u8,
    /// Its bytes there.
    pub place: u64,
    /// The bits of its number.
    pub mask: u64,
}

/// A part of a key: bytes of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyWindow {
    /// Which bytes; 0: the part is not there.
    pub mask: u64,
    /// Where the window begins.
    pub at: u8,
}

/// Keys and what is done for them: a hash table with half of its places free, as [`super::keys::KeyTable`].
#[derive(Debug, Default)]
pub struct Keys {
    /// Where the key is.
    pub parts: [KeyWindow; 2],
    /// Bits of a product that are not part of the index.
    pub shift: u32,
    /// One for each key, and free ones, which have no rows. The length is a power of two.
    pub groups: Box<[Group]>,
}

impl Keys {
    /// The rows of the key in a frame, of which `load` reads eight bytes from a place on; none: there is no such key.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub fn find(&self, load: impl Fn(u8) -> u64) -> &[Row] {
        let [first, second] = self.parts;
        let key = load(first.at) & first.mask;
        // Apart: most keys have one part, and then half of the rest is nothing.
        if second.mask == 0 { self.search([key, 0]) } else { self.search([key, load(second.at) & second.mask]) }
    }

    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    fn search(&self, key: [u64; 2]) -> &[Row] {
        let mut place = start(key, self.shift);
        loop {
            let Some(group) = self.groups.get(place) else { return &[] };
            if group.key == key || group.rows.is_empty() {
                return &group.rows;
            }
            place = place.wrapping_add(1) & self.groups.len().wrapping_sub(1);
        }
    }

    /// A table of these groups, whose keys differ and which all have rows.
    pub fn new(parts: [KeyWindow; 2], groups: Vec<Group>) -> Self {
        let count = (groups.len() * 2).next_power_of_two().max(2);
        let shift = u64::BITS - count.trailing_zeros();
        let mut table: Vec<Group> = std::iter::repeat_with(Group::default).take(count).collect();
        for group in groups {
            let from = start(group.key, shift);
            let mut places = (from..from + count).map(|place| place % count);
            if let Some(free) = places.find(|&place| table[place].rows.is_empty()) {
                table[free] = group;
            }
        }
        Self { parts, shift, groups: table.into() }
    }
}

/// Where the search for a key begins.
#[inline]
fn start(key: [u64; 2], shift: u32) -> usize {
    /// 2^64 over the golden ratio: neighbouring keys are spread apart.
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    ((key[0] ^ key[1].rotate_left(29)).wrapping_mul(SPREAD) >> shift) as usize
}

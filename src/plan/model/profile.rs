//! Frames of a known length, compiled to windows of eight bytes: a plan per device and length of its requests.
//!
//! All places are those of a buffer that holds a whole outer frame: the device's frame begins at [`DATA`], with or without
//! an outer frame around it. Bytes are as they travel, so an `ascii_hex` frame is its characters.
//!
//! A profile takes only what it knows to be right. Everything else is left to the general code, which decides.

use std::sync::OnceLock;

/// Longest outer frame of a profile: its places are bytes.
pub const PROFILED_BYTES_MAX: usize = 256;
/// Bytes per step of a pass over a buffer.
pub const PASS_BYTES: usize = 32;
/// Bytes of a buffer: a window, and the last step of a pass, may reach past the frame.
pub const BUFFER_BYTES: usize = PROFILED_BYTES_MAX + PASS_BYTES;
/// Where the device's frame begins (spec b-interface.md, Layout).
pub const DATA: usize = 38;
/// Longest device's frame: the outer frame has two more bytes behind it.
pub const PROFILED_DATA_BYTES: usize = PROFILED_BYTES_MAX - DATA - 2;

/// Bytes per block when a frame is copied.
pub const BLOCK_BYTES: usize = 16;

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

/// What a frame has to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// The first of them; those that there are not fit every frame.
    pub first: [Window; Self::FIRST],
    /// The others.
    pub rest: Box<[Window]>,
}

impl Checks {
    /// Most frames have no more.
    pub const FIRST: usize = 4;
}

impl From<Vec<Window>> for Checks {
    fn from(mut windows: Vec<Window>) -> Self {
        let rest = windows.split_off(windows.len().min(Self::FIRST));
        let mut first = [Window::default(); Self::FIRST];
        for (own, window) in first.iter_mut().zip(windows) {
            *own = window;
        }
        Self { first, rest: rest.into() }
    }
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
    /// What the device's frame has: start, end, versions, lengths.
    pub checks: Checks,
    /// The same with the outer header: device, lengths, direction.
    pub outer: Checks,
    /// Upper-case hex digits, from and to; `ascii_hex` only.
    pub digits: Option<(u8, u8)>,
    /// The checksum.
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
    /// So many bytes as hex digits; low byte first if true.
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
    /// First byte of the span.
    pub from: u8,
    /// The byte after its last one.
    pub to: u8,
    /// Whole words of eight bytes in the span.
    pub words: u8,
    /// The bytes of one more word that are in it.
    pub rest: u64,
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
    /// Group number + 1; 0: free. The length is a power of two.
    pub places: Box<[u16]>,
    /// One for each key.
    pub groups: Box<[Group]>,
}

impl Keys {
    /// The group of a key.
    #[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
    #[inline(always)]
    pub fn find(&self, key: [u64; 2]) -> Option<&Group> {
        let mut place = start(key, self.shift);
        loop {
            let number = usize::from(*self.places.get(place & self.places.len().wrapping_sub(1))?);
            let group = self.groups.get(number.wrapping_sub(1))?;
            if group.key == key {
                return Some(group);
            }
            place = place.wrapping_add(1);
        }
    }

    /// A table of these groups, whose keys differ. Fewer than 65,535.
    pub fn new(parts: [KeyWindow; 2], groups: Vec<Group>) -> Self {
        let count = (groups.len() * 2).next_power_of_two().max(2);
        let shift = u64::BITS - count.trailing_zeros();
        let mut places = vec![0; count].into_boxed_slice();
        for (number, group) in (1..).zip(&groups) {
            let from = start(group.key, shift);
            let free = (from..from + count).map(|place| place % count).find(|&place| places[place] == 0);
            if let Some(free) = free {
                places[free] = number;
            }
        }
        Self { parts, shift, places, groups: groups.into() }
    }
}

/// Where the search for a key begins.
#[inline]
fn start(key: [u64; 2], shift: u32) -> usize {
    /// 2^64 over the golden ratio: neighbouring keys are spread apart.
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    ((key[0] ^ key[1].rotate_left(29)).wrapping_mul(SPREAD) >> shift) as usize
}

/// The commands and rules of one key, in the order in which they are tried.
#[derive(Debug)]
pub struct Group {
    /// The bytes of both parts, where they are in their windows.
    pub key: [u64; 2],
    /// The rules. The first whose checks fit decides.
    pub rows: Box<[Row]>,
}

/// A rule of a command.
#[derive(Debug)]
pub struct Row {
    /// Constants of the command and of the rule's `when`.
    pub checks: Box<[Window]>,
    /// Number of the command.
    pub command: u16,
    /// Number of the rule.
    pub rule: u16,
    /// Values of `set` or of a reply read the request.
    pub reads: bool,
    /// They, or bytes of the clock, may need the time.
    pub is_timed: bool,
    /// The replies, as the rule has them; empty: the general code answers.
    pub answers: Box<[Answer]>,
}

/// Bytes of the request that go into the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Which bytes of the window.
    pub mask: u64,
    /// Where the window begins in the request.
    pub from: u8,
    /// Where it begins in the reply.
    pub to: u8,
}

/// A byte of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticked {
    /// Which: an index of the clock's bytes.
    pub which: u8,
    /// Where it goes.
    pub to: u8,
}

/// A patch that is made as the general code makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Valued {
    /// Number of the patch in the reply.
    pub patch: u16,
    /// Where its bytes go.
    pub to: u8,
}

/// Bytes that are not known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Varied {
    /// Which bytes of the window.
    pub mask: u64,
    /// Those of them in the span of the checksum.
    pub sealed: u64,
    /// Where the window begins.
    pub at: u8,
}

/// A reply: the outer frame with everything that is known beforehand, and what is written into it.
#[derive(Debug)]
pub struct Answer {
    /// The outer frame, filled up with 00. P_src_addr, P_verify and the checksum are 00.
    pub frame: Box<[[u8; BLOCK_BYTES]]>,
    /// Its bytes.
    pub len: u16,
    /// Copies from the request.
    pub copies: Box<[Copied]>,
    /// Bytes of the clock.
    pub ticks: Box<[Ticked]>,
    /// Other values, in the order of the patches.
    pub values: Box<[Valued]>,
    /// What is not known beforehand, but for P_src_addr and checksums.
    pub varied: Box<[Varied]>,
    /// The checksum.
    pub seal: Option<Seal>,
    /// Sum of the known bytes in its span.
    pub sum: u64,
    /// XOR of the known bytes that P_verify covers.
    pub xor: u8,
    /// A known byte has to be escaped.
    pub escaped: bool,
    /// Its bytes are hex digits.
    pub hex: bool,
}

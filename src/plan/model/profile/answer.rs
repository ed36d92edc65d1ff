//! Replies of known length.

use super::{Block, FRONT, Seal, Window};

/// The commands and rules of one key, in the order in which they are tried.
#[derive(Debug, Default)]
pub struct Group {
    /// The bytes of both parts, where they are in their windows.
    pub key: [u64; 2],
    /// The rules. The first whose checks fit decides.
    pub rows: Box<[Row]>,
}

/// What a CRC of 16 bits becomes by known bytes, for every value of each of its four digits: together they are that of the CRC.
pub type Jump = [[u16; 16]; 4];

/// A rule of a command.
#[derive(Debug)]
pub struct Row {
    /// Constants of the command and of the rule's `when`: the first; if there is none, it fits every frame.
    pub check: Window,
    /// The others.
    pub checks: Box<[Window]>,
    /// Number of the command.
    pub command: u16,
    /// Number of the rule.
    pub rule: u16,
    /// Values of `set` or of a reply read the request.
    pub reads: bool,
    /// They, or bytes of the clock, may need the time.
    pub is_timed: bool,
    /// The rule has a delay.
    pub is_delayed: bool,
    /// One reply, of known bytes, copies and bytes of the clock, and no `set`.
    pub is_plain: bool,
    /// The replies, as the rule has them; empty: the general code answers.
    pub answers: Box<[Answer]>,
}

/// Bytes of the request that go into the reply, where it has 00.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Which of sixteen: FF.
    pub mask: Block,
    /// FF at those in the span of the checksum.
    pub sealed: Block,
    /// Where the sixteen begin in the request.
    pub from: u8,
    /// Where they begin in the reply.
    pub to: u8,
}

/// Eight bytes of the clock that go into the reply, where it has 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticked {
    /// Which, as `wire::clock` numbers them.
    pub which: [u8; 8],
    /// Where `wire::clock` keeps them.
    pub slot: u8,
    /// FF at those in the span of the checksum.
    pub sealed: u64,
    /// Where they begin.
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

/// Bytes of values.
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
    /// The outer frame, filled up with 00. P_src_addr, P_verify, the checksum, copies and bytes of the clock are 00.
    pub front: [Block; FRONT],
    /// What is behind its first blocks.
    pub behind: Box<[Block]>,
    /// Where its P_tailer is.
    pub last: u8,
    /// Bytes of the device's frame.
    pub data_len: u8,
    /// The first copy from the request; if there is none, it copies nothing.
    pub copied: Copied,
    /// The other copies.
    pub copies: Box<[Copied]>,
    /// Bytes of the clock.
    pub ticks: Box<[Ticked]>,
    /// Other values, in the order of the patches.
    pub values: Box<[Valued]>,
    /// Where the values are.
    pub varied: Box<[Varied]>,
    /// The checksum.
    pub seal: Option<Seal>,
    /// Sum of the known bytes in its span.
    pub sum: u64,
    /// The known bytes at the end of the span of a CRC, which the checksum's own span does not have.
    pub jump: Option<Box<Jump>>,
    /// XOR of the known bytes that P_verify covers.
    pub xor: u8,
    /// Nothing is written but the first copy and the checksum.
    pub is_short: bool,
    /// A known byte has to be escaped.
    pub escaped: bool,
    /// Its bytes are hex digits.
    pub hex: bool,
}

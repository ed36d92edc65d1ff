//! A second form of a program ([`super::walk`]): what decides whether a frame fits, and where its outer elements are, in few steps.
//!
//! Neighbouring fields of fixed size are one step. A size or case that a field just before it selects is read from there. Items
//! and cases of fixed size have no steps: their bytes are counted. The result is that of the program; what only people and single
//! elements need (nodes, items) is not in it.

use super::digits::Digits;
use super::field::{Offset, Slot};
use super::walk::SPOTS_MAX;

/// No place is noted.
pub const NOWHERE: u8 = u8::MAX;

/// The steps of a program.
#[derive(Debug, Default)]
pub struct Quick {
    /// First those of the whole program, then those of items and cases.
    pub steps: Box<[Step]>,
    /// How many of them are the whole program's.
    pub own: u32,
    /// How many of them, from the first on, are texts with one end that are no marks and whose spots follow each other from 1 on.
    pub texts: u32,
    /// Bytes taken behind the last of those of the whole program.
    pub behind: u32,
    /// By node: where it is, if it is in no list and no choice and one of the first [`SPOTS_MAX`] that have a place.
    pub spots: Box<[Spot]>,
}

/// Where a node is: from what was noted by a step. Spot 0 is the program's beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spot {
    /// Not known.
    #[default]
    None,
    /// A field of fixed size, this number of bytes behind what was noted.
    Behind {
        /// Number of what was noted.
        spot: u8,
        /// Bytes between.
        skip: u32,
        /// Its bytes.
        len: u32,
    },
    /// What was noted itself.
    Here(u8),
}

const _: () = assert!(SPOTS_MAX < NOWHERE as usize);

/// Fields of fixed size, and what follows them.
#[derive(Debug)]
pub struct Step {
    /// Bytes of the fields of fixed size.
    pub skip: u32,
    /// Where its place is noted; [`NOWHERE`]: it is in a list or choice, or one of too many.
    pub spot: u8,
    /// The mark that gets the bytes it takes; [`NOWHERE`]: none.
    pub mark: u8,
    /// What follows.
    pub next: Next,
}

/// What a step takes.
#[derive(Debug)]
pub enum Next {
    /// A field of fixed size that is marked.
    Marked(u32),
    /// A field up to that byte, and the most bytes before it.
    Text(u8, usize),
    /// Another field of variable size.
    Field(Bytes),
    /// Items.
    List(Box<Items>),
    /// A case.
    Choice(Box<Choice>),
    /// Outer elements that have this number of bytes together.
    Group(Box<(Counted, Part)>),
}

/// Bytes of a value that varies in size.
#[derive(Debug)]
pub enum Bytes {
    /// A fixed number; of choices.
    Fixed(usize),
    /// What is left, but for that many bytes; and the most.
    Rest(usize, usize),
    /// An earlier field says it.
    Counted(Counted),
    /// Up to these bytes, and the most before them.
    Until(Box<[u8]>, usize),
}

/// A number that an earlier field says: `field * times + add`.
#[derive(Debug)]
pub struct Counted {
    /// The field.
    pub by: From,
    /// See above.
    pub times: i64,
    /// See above.
    pub add: i64,
    /// The most.
    pub max: usize,
    /// The field's type and the bits of it that are the number; `None`: all, as it spells it.
    pub bits: Option<Box<(Slot, u32, u32)>>,
    /// It is the field's bytes, read as a binary number.
    pub is_plain: bool,
}

/// An earlier field.
#[derive(Clone, Copy, Debug)]
pub struct From {
    /// Where it is.
    pub place: Place,
    /// Its bytes; of [`Place::Mark`] what was marked.
    pub len: u32,
    /// How they are read.
    pub digits: Digits,
    /// Low byte first.
    pub little: bool,
}

/// Where an earlier field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At a fixed place of the frame.
    Frame(Offset),
    /// Bytes before what is read next.
    Back(u32),
    /// What was marked.
    Mark(u8),
}

/// The items of a list.
#[derive(Debug)]
pub struct Items {
    /// How many.
    pub count: Count,
    /// The fewest bytes of one.
    pub least: usize,
    /// The most items.
    pub max: usize,
    /// One of them.
    pub item: Part,
    /// Each is a tag, a size and its bytes: see [`Choice::is_record`]. The step of that choice.
    pub records: Option<u32>,
}

/// How many items.
#[derive(Debug)]
pub enum Count {
    /// A fixed number.
    Fixed(usize),
    /// As many as fit, but for that many bytes.
    Rest(usize),
    /// An earlier field says it.
    Counted(Counted),
}

/// An item or a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Number of bytes.
    Fixed(u32),
    /// What there is: one field takes what the others leave.
    All {
        /// Bytes of the others.
        least: u32,
        /// The most bytes of that field.
        max: usize,
    },
    /// These steps, and bytes behind them.
    Steps {
        /// The first.
        from: u32,
        /// Behind the last.
        to: u32,
        /// Bytes.
        behind: u32,
    },
}

/// The cases of a choice.
#[derive(Debug)]
pub struct Choice {
    /// What selects the case.
    pub by: From,
    /// The cases.
    pub cases: Cases,
    /// The case of all other bytes.
    pub otherwise: Option<Part>,
    /// The bytes that the case has, used or not.
    pub bytes: Option<Bytes>,
    /// Tag and size are just before it, plain numbers, and no case has steps.
    pub is_record: bool,
}

/// How a case is found.
#[derive(Debug)]
pub enum Cases {
    /// By a number: the bytes of the field, high byte first. Sorted.
    Numbers(Box<[(u64, Part)]>),
    /// As the program does it: by some bits, in either case of letters, or by more than eight bytes.
    Bytes {
        /// Sorted by their bytes.
        cases: Box<[(Box<[u8]>, Part)]>,
        /// The bits that select the case; empty: all.
        mask: Box<[u8]>,
        /// They are hex digits.
        is_hex: bool,
    },
}

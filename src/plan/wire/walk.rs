//! Follows the program of a data frame whose fields vary in size ([`crate::model::walk`]).
//!
//! The cursor never goes past the data frame, and takes at least one byte for each item: a frame costs no more than its bytes.
//! Nothing is allocated.

use super::checksum::{self, read_number};
use super::find;
use super::inner::same;
use super::reason::Reason;
use super::value::{get_bits, set_bits};
use crate::model::digits::Digits;
use crate::model::field::{Kind, Slot};
use crate::model::walk::{
    Case, Count, Counted, ITEM_NODES_MAX, MARKS_MAX, NEST_MAX, Op, Path, Place, Size, Source, Walk, Walked,
    WalkedConstant,
};
use std::ops::ControlFlow;

/// Why a frame does not fit its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It ends too early.
    Short,
    /// A size, a count or a case is none that the template allows.
    Bad,
}

impl Wrong {
    /// How it is counted.
    pub const REASON: Reason = Reason::BadLength;
}

/// What the cursor passes. Places are indices of the raw frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A field.
    Field {
        /// Which node.
        node: u32,
        /// Its first byte.
        from: usize,
        /// Behind its last byte.
        to: usize,
    },
    /// A list begins.
    List {
        /// Which node.
        node: u32,
    },
    /// An item begins.
    Item {
        /// The list's node.
        node: u32,
        /// Its number from 0.
        index: usize,
    },
    /// A choice begins.
    Choice {
        /// Which node.
        node: u32,
        /// The case; `None`: none has those bytes.
        case: Option<u32>,
    },
    /// A list or choice has ended.
    End {
        /// Which node.
        node: u32,
        /// Its first byte.
        from: usize,
        /// Behind its last byte.
        to: usize,
        /// Items of a list; of a choice 0.
        count: usize,
    },
}

/// Why the cursor stops.
enum Stop {
    Wrong(Wrong),
    /// The watcher has what it wants.
    Done,
}

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

/// The numbers of the current items, the outermost list first.
pub type Items = [u32; NEST_MAX];

struct Cursor<'a, W> {
    walk: &'a Walk,
    raw: &'a [u8],
    at: usize,
    marks: [(u32, u32); MARKS_MAX],
    items: Items,
    lists: usize,
    watch: W,
}

/// Follows the program over bytes that are a frame or its beginning; `to` is where the data frame ends at the latest.
/// Gives the index behind the last byte that was taken.
fn run(walk: &Walk, raw: &[u8], to: usize, watch: impl FnMut(Event, &Items) -> ControlFlow<()>) -> Result<usize, Stop> {
    let start = walk.at;
    if start > to || to > raw.len() {
        return Err(Wrong::Short.into());
    }
    let mut cursor = Cursor { walk, raw, at: start, marks: [(0, 0); MARKS_MAX], items: [0; NEST_MAX], lists: 0, watch };
    cursor.block(0, walk.ops.len(), to)?;
    Ok(cursor.at)
}

/// Follows the program over a whole raw frame.
pub fn visit(walk: &Walk, raw: &[u8], mut watch: impl FnMut(Event)) -> Result<usize, Wrong> {
    let to = raw.len().saturating_sub(walk.tail_len);
    let watch = |event, _: &Items| {
        watch(event);
        ControlFlow::Continue(())
    };
    run(walk, raw, to, watch).map_err(|stop| match stop {
        Stop::Wrong(wrong) => wrong,
        Stop::Done => Wrong::Bad,
    })
}

/// Whether a whole raw frame fits: the index behind the last byte that the program takes.
pub fn check(walk: &Walk, raw: &[u8]) -> Result<usize, Wrong> {
    visit(walk, raw, |_| ())
}

/// Bytes of the frame that begins here, as its fields say. [`Wrong::Short`]: the bytes that are there do not show it.
pub fn size(walk: &Walk, beginning: &[u8]) -> Result<usize, Wrong> {
    match run(walk, beginning, beginning.len(), |_, _| ControlFlow::Continue(())) {
        Ok(to) => Ok(to + walk.tail_len),
        Err(Stop::Wrong(wrong)) => Err(wrong),
        Err(Stop::Done) => Err(Wrong::Bad),
    }
}

/// Where an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its first byte, in the raw frame.
    pub from: usize,
    /// Behind its last byte.
    pub to: usize,
    /// Items of a list; else 0.
    pub count: usize,
}

/// Looks for an element of a whole raw frame; `None`: the frame does not have it, or does not fit.
pub fn locate(walk: &Walk, raw: &[u8], path: &Path) -> Option<Found> {
    let lists = walk.nodes.get(path.node as usize)?.lists;
    let wanted = path.items.get(..lists)?;
    let mut found = None;
    let watch = |event: Event, items: &Items| {
        let here = match event {
            Event::Field { node, from, to } => (node, Found { from, to, count: 0 }),
            Event::End { node, from, to, count } => (node, Found { from, to, count }),
            _ => return ControlFlow::Continue(()),
        };
        if here.0 != path.node || items.get(..lists) != Some(wanted) {
            return ControlFlow::Continue(());
        }
        found = Some(here.1);
        ControlFlow::Break(())
    };
    let stop = run(walk, raw, raw.len().saturating_sub(walk.tail_len), watch);
    found.filter(|_| matches!(stop, Err(Stop::Done)))
}

/// The bytes of an element, and how many items it has.
pub fn bytes<'f>(walk: &Walk, raw: &'f [u8], path: &Path) -> Option<(&'f [u8], usize)> {
    let found = locate(walk, raw, path)?;
    Some((raw.get(found.from..found.to)?, found.count))
}

/// An item of a list of a request: where its fields are.
#[derive(Clone, Copy, Debug)]
pub struct Item<'f> {
    raw: &'f [u8],
    list: u32,
    /// By node of the item: first byte, behind the last byte; `u32::MAX`: it is not there.
    at: [(u32, u32); ITEM_NODES_MAX],
    /// Of its lists: how many items they have.
    counts: [u16; ITEM_NODES_MAX],
    /// Its number, from 0.
    pub index: usize,
}

impl<'f> Item<'f> {
    /// The bytes of a field of the item.
    pub fn bytes(&self, node: u32) -> Option<&'f [u8]> {
        let place = node.checked_sub(self.list + 1)?;
        let (from, to) = *self.at.get(place as usize)?;
        self.raw.get(from as usize..to as usize)
    }

    /// How many items a list of the item has.
    pub fn count(&self, node: u32) -> usize {
        let place = node.checked_sub(self.list + 1);
        place.and_then(|place| self.counts.get(place as usize)).map_or(0, |&count| usize::from(count))
    }

    /// An element of the item that has this name; of several cases that which is there.
    pub fn find<'w>(&self, walked: &'w Walked) -> Option<(&'w Walked, &'f [u8])> {
        let of = |walked: &'w Walked| Some((walked, self.bytes(walked.path.node)?));
        of(walked).or_else(|| walked.others.iter().find_map(of))
    }
}

/// Looks at the items of a list of the request, one after the other, in one walk. False: that was enough.
pub fn each<'f>(walk: &Walk, raw: &'f [u8], list: &Path, mut with: impl FnMut(Item<'f>) -> bool) {
    let Some(node) = walk.nodes.get(list.node as usize) else { return };
    let (depth, end) = (node.lists, node.end);
    let none = [(u32::MAX, 0); ITEM_NODES_MAX];
    let mut item: Option<Item<'f>> = None;
    let watch = |event: Event, items: &Items| {
        if items.get(..depth) != list.items.get(..depth) {
            return ControlFlow::Continue(());
        }
        let mut is_over = false;
        match event {
            Event::Item { node, index } if node == list.node => {
                let before = item.replace(Item { raw, list: node, at: none, counts: [0; ITEM_NODES_MAX], index });
                is_over = before.is_some_and(|item| !with(item));
            }
            Event::End { node, .. } if node == list.node => {
                item.take().map(&mut with);
                is_over = true;
            }
            Event::Field { node, from, to } if node > list.node && node < end => {
                let place = item.as_mut().and_then(|item| item.at.get_mut((node - list.node - 1) as usize));
                if let Some(place) = place {
                    *place = (from as u32, to as u32);
                }
            }
            Event::End { node, from, to, count } if node > list.node && node < end => {
                let at = (node - list.node - 1) as usize;
                let places = item.as_mut().map(|item| (item.at.get_mut(at), item.counts.get_mut(at)));
                if let Some((Some(place), Some(items))) = places {
                    *place = (from as u32, to as u32);
                    // A request has at most 65,535 items.
                    *items = u16::try_from(count).unwrap_or(u16::MAX);
                }
            }
            _ => {}
        }
        if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    // A request whose lengths are wrong is not answered.
    let _ = run(walk, raw, raw.len().saturating_sub(walk.tail_len), watch);
}

/// An element of a request, its bytes, and how many items it has; of elements of one name in several cases the one that is there.
pub fn find<'w, 'f>(walked: &'w Walked, raw: &'f [u8]) -> Option<(&'w Walked, &'f [u8], usize)> {
    let of = |walked: &'w Walked| bytes(&walked.walk, raw, &walked.path).map(|(bytes, items)| (walked, bytes, items));
    of(walked).or_else(|| walked.others.iter().find_map(of))
}

/// Whether a raw frame has this constant.
pub fn carries(walk: &Walk, raw: &[u8], constant: &WalkedConstant) -> bool {
    bytes(walk, raw, &constant.path).is_some_and(|(there, _)| is_constant(there, constant))
}

/// Whether an element's bytes are those of a constant.
#[inline]
pub(super) fn is_constant(there: &[u8], constant: &WalkedConstant) -> bool {
    if constant.mask.is_empty() {
        return same(there, &constant.bytes);
    }
    let all = there.iter().zip(&constant.bytes).zip(&constant.mask);
    there.len() == constant.bytes.len() && all.into_iter().all(|((is, should), mask)| (is ^ should) & mask == 0)
}

/// Whether the beginning of a frame shows that it does not have this constant.
pub fn differs(walk: &Walk, beginning: &[u8], constant: &WalkedConstant) -> bool {
    // The tail is not there yet: as much may belong to the data frame.
    let mut there = None;
    let lists = walk.nodes.get(constant.path.node as usize).map_or(0, |node| node.lists);
    let watch = |event: Event, items: &Items| match event {
        Event::Field { node, from, to }
            if node == constant.path.node && items.get(..lists) == constant.path.items.get(..lists) =>
        {
            there = Some((from, to));
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    };
    // What does not fit may be another command's.
    let _ = run(walk, beginning, beginning.len(), watch);
    let there = there.and_then(|(from, to)| beginning.get(from..to));
    there.is_some_and(|there| !is_constant(there, constant))
}

/// A field's bytes as a number; `None`: they are none.
#[inline]
pub fn number(slot: &Slot, bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 8 {
        return None;
    }
    let number = read_number(bytes, slot.little);
    Digits::of(&slot.kind).read(number, bytes.len())
}

/// The number that a size's field says.
#[inline]
fn said_by(counted: &Counted, bytes: &[u8]) -> Option<u64> {
    match counted.bits {
        None => number(&counted.by.slot, bytes),
        Some((from, to)) => (!bytes.is_empty()).then(|| get_bits(&counted.by.slot, from, to, bytes)),
    }
}

/// The largest number that a size's field says.
pub fn counts(slot: &Slot, bits: Option<(u32, u32)>) -> u64 {
    match bits {
        None => says(slot),
        Some((from, to)) => 1_u64.checked_shl(to - from + 1).map_or(u64::MAX, |all| all - 1),
    }
}

/// Writes a number into a field, or into some bits of it.
#[inline]
pub fn write_count(slot: &Slot, bits: Option<(u32, u32)>, number: u64, out: &mut [u8]) {
    match bits {
        None => write_number(slot, number, out),
        Some((from, to)) => set_bits(slot, from, to, number, out),
    }
}

/// The number in a field that means `many` bytes or items: `(many - add) / times`; `None` if no number does.
#[inline]
pub fn said(many: usize, times: i64, add: i64) -> Option<u64> {
    let rest = i64::try_from(many).ok()?.checked_sub(add)?;
    (rest >= 0 && rest % times == 0).then(|| (rest / times) as u64)
}

/// Writes a number as its field spells it.
#[inline]
pub fn write_number(slot: &Slot, number: u64, out: &mut [u8]) {
    let number = Digits::of(&slot.kind).write(number, slot.len);
    checksum::write_number(number, slot.little, out);
}

/// The case of a selecting field's bytes.
#[inline]
pub fn case_of(cases: &[Case], tag: &[u8]) -> Option<usize> {
    cases.binary_search_by(|case: &Case| (*case.bytes).cmp(tag)).ok()
}

/// The case of some bits of a selecting field.
#[cold]
pub fn masked_case_of(cases: &[Case], tag: &[u8], mask: &[u8]) -> Option<usize> {
    let is = |case: &Case| {
        case.bytes.len() == tag.len()
            && case.bytes.iter().zip(tag.iter().zip(mask)).all(|(of, (is, mask))| of == &(is & mask))
    };
    cases.iter().position(is)
}

/// The largest number of a field.
#[inline]
pub fn says(slot: &Slot) -> u64 {
    Digits::of(&slot.kind).most(slot.len)
}

impl<W: FnMut(Event, &Items) -> ControlFlow<()>> Cursor<'_, W> {
    #[inline]
    fn tell(&mut self, event: Event) -> Result<(), Stop> {
        match (self.watch)(event, &self.items) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Done),
        }
    }

    /// Operations `pc` to `end`; nothing behind `bound` is taken. Calls itself at most [`NEST_MAX`] deep.
    fn block(&mut self, mut pc: usize, end: usize, bound: usize) -> Result<(), Stop> {
        let walk = self.walk;
        while let Some(op) = walk.ops.get(pc).filter(|_| pc < end) {
            match op {
                Op::Field { node, size, mark } => {
                    let (len, whole) = self.size(size, bound)?;
                    let from = self.at;
                    self.at += whole;
                    if let Some(place) = mark.and_then(|mark| self.marks.get_mut(usize::from(mark))) {
                        *place = (from as u32, (from + len) as u32);
                    }
                    self.tell(Event::Field { node: *node, from, to: from + len })?;
                    pc += 1;
                }
                Op::List { node, count, least, max, end } => {
                    self.list((*node, pc + 1, *end as usize), count, (*least, *max), bound)?;
                    pc = *end as usize;
                }
                Op::Choice { end, .. } => {
                    self.choice(op, bound)?;
                    pc = *end as usize;
                }
                Op::Group { size, end } => {
                    pc = self.group(size, (pc + 1, *end as usize), bound)?;
                }
            }
        }
        Ok(())
    }

    /// Follows operations over that number of bytes. Gives the operation behind them.
    #[cold]
    fn group(&mut self, size: &Counted, (pc, end): (usize, usize), bound: usize) -> Result<usize, Stop> {
        let inner = self.at.saturating_add(self.counted(size)?);
        if inner > bound {
            return Err(Wrong::Short.into());
        }
        self.block(pc, end, inner)?;
        self.at = inner;
        Ok(end)
    }

    /// `(node, first operation, end)` of the items, the fewest bytes of one, the most items.
    fn list(
        &mut self,
        (node, pc, end): (u32, usize, usize),
        count: &Count,
        (least, max): (usize, usize),
        bound: usize,
    ) -> Result<(), Stop> {
        self.tell(Event::List { node })?;
        let from = self.at;
        let (items, bound) = match count {
            Count::Fixed(items) => (Some(*items), bound),
            Count::Counted(counted) => (Some(self.counted(counted)?), bound),
            Count::Rest { after } => (None, bound.checked_sub(*after).ok_or(Wrong::Short)?),
        };
        if items.is_some_and(|items| items > max) {
            return Err(Wrong::Bad.into());
        }
        // Before any item is looked at: the count alone costs nothing.
        let room = bound.saturating_sub(self.at);
        if items.is_some_and(|items| items.saturating_mul(least) > room) {
            return Err(Wrong::Short.into());
        }
        let depth = self.lists;
        self.lists += 1;
        let mut index = 0;
        while items.map_or(self.at < bound, |items| index < items) {
            if index >= max {
                return Err(Wrong::Bad.into());
            }
            if let Some(item) = self.items.get_mut(depth) {
                *item = index as u32;
            }
            self.tell(Event::Item { node, index })?;
            let before = self.at;
            self.block(pc, end, bound)?;
            if self.at == before && least > 0 {
                // An item takes at least one byte, whatever the template's compiler thought.
                return Err(Wrong::Bad.into());
            }
            index += 1;
        }
        self.lists = depth;
        self.tell(Event::End { node, from, to: self.at, count: index })
    }

    fn choice(&mut self, op: &Op, bound: usize) -> Result<(), Stop> {
        let Op::Choice { node, by, mask, cases, otherwise, bytes, .. } = op else { return Ok(()) };
        let from = self.at;
        let inner = match bytes {
            Some(size) => from + self.size(size, bound)?.0,
            None => bound,
        };
        let tag = self.source(by);
        let found = match by.slot.kind.base() {
            _ if !mask.is_empty() => masked_case_of(cases, tag, mask),
            // Hex digits are read in either case.
            Kind::HexDigits { .. } => {
                let same = |case: &Case| case.bytes.iter().copied().cmp(tag.iter().map(u8::to_ascii_uppercase));
                cases.binary_search_by(same).ok()
            }
            _ => case_of(cases, tag),
        };
        let block = found.and_then(|number| cases.get(number)).map(|case| case.block).or(*otherwise);
        self.tell(Event::Choice { node: *node, case: block.map(|block| block.case) })?;
        match block {
            Some(block) => self.block(block.from as usize, block.to as usize, inner)?,
            // Of an unknown case the size must be known.
            None if bytes.is_none() => return Err(Wrong::Bad.into()),
            None => {}
        }
        if bytes.is_some() {
            self.at = inner;
        }
        self.tell(Event::End { node: *node, from, to: self.at, count: 0 })
    }

    /// Bytes of a value, and with what ends it.
    #[inline]
    fn size(&self, size: &Size, bound: usize) -> Result<(usize, usize), Wrong> {
        let room = bound.saturating_sub(self.at);
        let (len, more) = match size {
            Size::Fixed(len) => (*len, 0),
            Size::Rest { after, max } => {
                let len = room.checked_sub(*after).ok_or(Wrong::Short)?;
                if len > *max {
                    return Err(Wrong::Bad);
                }
                (len, 0)
            }
            Size::Counted(counted) => (self.counted(counted)?, 0),
            Size::Until { end, max } => {
                let most = max.saturating_add(end.len());
                let there = self.raw.get(self.at..self.at + room.min(most)).unwrap_or_default();
                match find::bytes(there, end) {
                    Some(len) => (len, end.len()),
                    None if room >= most => return Err(Wrong::Bad),
                    None => return Err(Wrong::Short),
                }
            }
        };
        if len + more > room { Err(Wrong::Short) } else { Ok((len, len + more)) }
    }

    #[inline]
    fn counted(&self, counted: &Counted) -> Result<usize, Wrong> {
        let number = said_by(counted, self.source(&counted.by)).ok_or(Wrong::Bad)?;
        let number = i64::try_from(number).ok().and_then(|number| number.checked_mul(counted.times));
        let number = number.and_then(|number| number.checked_add(counted.add));
        let len = number.and_then(|number| usize::try_from(number).ok()).ok_or(Wrong::Bad)?;
        if len > counted.max { Err(Wrong::Bad) } else { Ok(len) }
    }

    #[inline]
    fn source(&self, source: &Source) -> &[u8] {
        let range = match source.place {
            Place::Frame(at) => {
                let at = at.in_frame(self.raw.len());
                at..at.saturating_add(source.slot.len)
            }
            Place::Mark(mark) => {
                let (from, to) = self.marks.get(usize::from(mark)).copied().unwrap_or_default();
                from as usize..to as usize
            }
        };
        self.raw.get(range).unwrap_or_default()
    }
}

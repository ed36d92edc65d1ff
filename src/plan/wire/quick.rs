//! Follows the second form of a program ([`crate::model::quick`]): whether a frame fits, and where its outer elements are.
//!
//! The result is that of [`super::walk`], which stays the judge: builds with debug assertions follow both and compare.

use super::checksum::read_number;
use super::find;
use super::value::get_bits;
use super::walk::{self, Found, Wrong};
use crate::model::quick::{
    Bytes, Cases, Choice, Count, Counted, From, Items, NOWHERE, Next, Part, Place, Quick, Spot, Step,
};
use crate::model::walk::{MARKS_MAX, Path, SPOTS_MAX, Walk, WalkedConstant};

/// A place that was noted.
#[derive(Clone, Copy, Debug, Default)]
struct Noted {
    from: u32,
    /// Behind the value.
    to: u32,
    /// Behind what ends it.
    next: u32,
    /// Items of a list.
    count: u32,
}

/// Where the outer elements of one frame are: those in no list and no choice. Made by one walk, for all later look-ups.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Address of the program that the frame fits; 0: none.
    of: usize,
    /// Bytes of the frame.
    len: usize,
    spots: [Noted; SPOTS_MAX],
}

fn address(walk: &Walk) -> usize {
    std::ptr::from_ref(walk).addr()
}

impl Trace {
    /// Forgets the frame.
    #[inline]
    pub fn clear(&mut self) {
        self.of = 0;
    }

    /// Follows a program over a whole raw frame: the index behind the last byte that it takes. After an error nothing is noted.
    pub fn follow(&mut self, walk: &Walk, raw: &[u8]) -> Result<usize, Wrong> {
        self.of = 0;
        let end = run(walk, raw, raw.len().saturating_sub(walk.tail_len), &mut self.spots);
        if end.is_ok() {
            (self.of, self.len) = (address(walk), raw.len());
        }
        debug_assert_eq!(end, walk::visit(walk, raw, |_| ()), "{raw:02X?} {:?} {:?}", walk.ops, walk.quick);
        end
    }

    /// Whether it has the places of a frame that fits this program.
    #[inline]
    pub fn is_of(&self, walk: &Walk) -> bool {
        self.of == address(walk)
    }

    /// Where an element is. `None`: it is none of the outer ones, or this is not that frame; [`walk::locate`] tells.
    #[inline]
    fn spot(&self, walk: &Walk, raw: &[u8], path: &Path) -> Option<Found> {
        if !self.is_of(walk) || raw.len() != self.len {
            return None;
        }
        let noted = |spot: u8| self.spots.get(usize::from(spot));
        match *walk.quick.spots.get(path.node as usize)? {
            Spot::None => None,
            Spot::Behind { spot, skip, len } => {
                let from = noted(spot)?.next as usize + skip as usize;
                Some(Found { from, to: from + len as usize, count: 0 })
            }
            Spot::Here(spot) => {
                let Noted { from, to, count, .. } = *noted(spot)?;
                Some(Found { from: from as usize, to: to as usize, count: count as usize })
            }
        }
    }

    /// The bytes of an element of that frame, and how many items it has: as [`walk::bytes`].
    #[inline]
    pub fn bytes<'f>(&self, walk: &Walk, raw: &'f [u8], path: &Path) -> Option<(&'f [u8], usize)> {
        let Some(found) = self.spot(walk, raw, path) else { return walk::bytes(walk, raw, path) };
        debug_assert_eq!(Some(found), walk::locate(walk, raw, path), "{raw:02X?} {path:?} {:?}", walk.quick);
        Some((raw.get(found.from..found.to)?, found.count))
    }

    /// The bytes of two elements of that frame and of what is between them. `None`: not both are noted.
    #[inline]
    pub fn between<'f>(&self, walk: &Walk, raw: &'f [u8], (first, last): (u32, u32)) -> Option<&'f [u8]> {
        let path = |node| Path { node, items: walk::Items::default() };
        let (first, last) = (self.spot(walk, raw, &path(first))?, self.spot(walk, raw, &path(last))?);
        raw.get(first.from..last.to)
    }

    /// Whether that frame has a constant: as [`walk::carries`].
    #[inline]
    pub fn carries(&self, walk: &Walk, raw: &[u8], constant: &WalkedConstant) -> bool {
        self.bytes(walk, raw, &constant.path).is_some_and(|(there, _)| walk::is_constant(there, constant))
    }
}

/// As [`walk::check`].
pub fn check(walk: &Walk, raw: &[u8]) -> Result<usize, Wrong> {
    let end = run(walk, raw, raw.len().saturating_sub(walk.tail_len), &mut []);
    debug_assert_eq!(end, walk::check(walk, raw), "{raw:02X?} {:?} {:?}", walk.ops, walk.quick);
    end
}

/// As [`walk::size`].
pub fn size(walk: &Walk, beginning: &[u8]) -> Result<usize, Wrong> {
    let size = run(walk, beginning, beginning.len(), &mut []).map(|to| to + walk.tail_len);
    debug_assert_eq!(size, walk::size(walk, beginning), "{beginning:02X?} {:?} {:?}", walk.ops, walk.quick);
    size
}

struct Cursor<'a> {
    quick: &'a Quick,
    raw: &'a [u8],
    at: usize,
    marks: [(u32, u32); MARKS_MAX],
    spots: &'a mut [Noted],
}

/// Follows the steps over bytes that are a frame or its beginning; `to` is where the data frame ends at the latest.
fn run(walk: &Walk, raw: &[u8], to: usize, spots: &mut [Noted]) -> Result<usize, Wrong> {
    let start = walk.at;
    if start > to || to > raw.len() {
        return Err(Wrong::Short);
    }
    if let Some(first) = spots.first_mut() {
        first.next = start as u32;
    }
    let (texts, at) = texts(&walk.quick, raw, (start, to), spots);
    let mut cursor = Cursor { quick: &walk.quick, raw, at, marks: [(0, 0); MARKS_MAX], spots };
    cursor.steps((texts, walk.quick.own), to)?;
    cursor.skip(walk.quick.behind, to)?;
    Ok(cursor.at)
}

/// Takes the texts that a program begins with, as far as all is well with them. Returns how many, and the index behind them.
///
/// Their ends are looked for in one pass of whole words. What it leaves is taken step by step.
#[inline]
fn texts(quick: &Quick, raw: &[u8], (start, to): (usize, usize), spots: &mut [Noted]) -> (u32, usize) {
    let steps = quick.steps.get(..quick.texts as usize).unwrap_or_default();
    let mut left = steps.iter().zip(spots.iter_mut().skip(1));
    let (mut done, mut at, mut base) = (0, start, start);
    let Some((mut step, mut spot)) = left.next() else { return (done, at) };
    let Next::Text(end, _) = step.next else { return (done, at) };
    for word in raw.get(start..to).unwrap_or_default().as_chunks::<8>().0 {
        let mut ends = find::places(*word, end);
        while ends != 0 {
            let found = base + (ends.trailing_zeros() / 8) as usize;
            ends &= ends - 1;
            let from = at + step.skip as usize;
            if found < from {
                continue;
            }
            let Next::Text(_, max) = step.next else { return (done, at) };
            if found - from > max {
                return (done, at);
            }
            (done, at) = (done + 1, found + 1);
            *spot = Noted { from: from as u32, to: found as u32, next: at as u32, count: 0 };
            match left.next() {
                Some(next) => (step, spot) = next,
                None => return (done, at),
            }
        }
        base += 8;
    }
    (done, at)
}

/// Bytes of a text that begins there, without the byte that ends it.
#[inline]
fn text(raw: &[u8], (from, bound): (usize, usize), end: u8, max: usize) -> Result<usize, Wrong> {
    let stop = bound.min(from.saturating_add(max).saturating_add(1));
    let there = raw.get(from..stop).unwrap_or_default();
    match find::byte(there, end) {
        Some(len) => Ok(len),
        None if there.len() > max => Err(Wrong::Bad),
        None => Err(Wrong::Short),
    }
}

impl Cursor<'_> {
    /// Steps `from` to `to`; nothing behind `bound` is taken. Calls itself at most as deep as lists and choices nest.
    fn steps(&mut self, (from, to): (u32, u32), bound: usize) -> Result<(), Wrong> {
        let quick = self.quick;
        for step in quick.steps.get(from as usize..to as usize).unwrap_or_default() {
            self.skip(step.skip, bound)?;
            let from = self.at;
            match &step.next {
                Next::Text(end, max) => {
                    let len = text(self.raw, (from, bound), *end, *max)?;
                    self.at = from + len + 1;
                    self.note(step, from, from + len, 0);
                }
                Next::Field(bytes) => {
                    let (len, whole) = self.size(bytes, bound)?;
                    self.at += whole;
                    self.note(step, from, from + len, 0);
                }
                Next::List(items) => {
                    let count = self.list(items, bound)?;
                    self.note(step, from, self.at, count);
                }
                Next::Choice(choice) => {
                    self.choice(choice, bound)?;
                    self.note(step, from, self.at, 0);
                }
                Next::Group(group) => {
                    let (size, part) = &**group;
                    let inner = from.saturating_add(self.counted(size)?);
                    if inner > bound {
                        return Err(Wrong::Short);
                    }
                    self.part(*part, inner)?;
                    self.at = inner;
                    self.note(step, from, inner, 0);
                }
                Next::Marked(len) => {
                    self.skip(*len, bound)?;
                    self.note(step, from, self.at, 0);
                }
            }
        }
        Ok(())
    }

    /// Takes bytes of a fixed number.
    #[inline]
    fn skip(&mut self, len: u32, bound: usize) -> Result<(), Wrong> {
        let len = len as usize;
        if len > bound.saturating_sub(self.at) {
            return Err(Wrong::Short);
        }
        self.at += len;
        Ok(())
    }

    /// Notes what a step took, for later steps and for look-ups.
    #[inline]
    fn note(&mut self, step: &Step, from: usize, to: usize, count: usize) {
        if step.spot & step.mark == NOWHERE {
            return;
        }
        if let Some(spot) = self.spots.get_mut(usize::from(step.spot)) {
            *spot = Noted { from: from as u32, to: to as u32, next: self.at as u32, count: count as u32 };
        }
        if let Some(mark) = self.marks.get_mut(usize::from(step.mark)) {
            *mark = (from as u32, to as u32);
        }
    }

    /// Takes an item or a case.
    #[inline]
    fn part(&mut self, part: Part, bound: usize) -> Result<(), Wrong> {
        match part {
            Part::Fixed(len) => self.skip(len, bound),
            Part::All { .. } => {
                fits(part, bound.saturating_sub(self.at))?;
                self.at = bound;
                Ok(())
            }
            Part::Steps { from, to, behind } => {
                self.steps((from, to), bound)?;
                self.skip(behind, bound)
            }
        }
    }

    /// Takes items, and says how many.
    fn list(&mut self, list: &Items, bound: usize) -> Result<usize, Wrong> {
        let (items, bound) = match &list.count {
            Count::Fixed(items) => (Some(*items), bound),
            Count::Counted(counted) => (Some(self.counted(counted)?), bound),
            Count::Rest(after) => (None, bound.checked_sub(*after).ok_or(Wrong::Short)?),
        };
        let room = bound.saturating_sub(self.at);
        if let Some(items) = items {
            if items > list.max {
                return Err(Wrong::Bad);
            }
            // Before any item is looked at: the count alone costs nothing.
            if items.saturating_mul(list.least) > room {
                return Err(Wrong::Short);
            }
        }
        if let Some(step) = list.records {
            return self.records((list, step), items, bound);
        }
        match list.item {
            Part::Fixed(len) if len > 0 => self.equal(items, len as usize, room, list.max),
            item => self.items(items, (item, list.least), bound, list.max),
        }
    }

    /// Takes items of one size.
    fn equal(&mut self, items: Option<usize>, len: usize, room: usize, max: usize) -> Result<usize, Wrong> {
        let count = match items {
            Some(items) if items.saturating_mul(len) > room => return Err(Wrong::Short),
            Some(items) => items,
            None => {
                let (whole, rest) = (room / len, room % len);
                if whole + usize::from(rest > 0) > max {
                    return Err(Wrong::Bad);
                }
                if rest > 0 {
                    return Err(Wrong::Short);
                }
                whole
            }
        };
        self.at += count * len;
        Ok(count)
    }

    /// Takes items that are a tag, a size and the bytes of that size.
    fn records(&mut self, (list, step): (&Items, u32), items: Option<usize>, bound: usize) -> Result<usize, Wrong> {
        let quick = self.quick;
        let Some(Step { skip, next: Next::Choice(choice), .. }) = quick.steps.get(step as usize) else {
            return Err(Wrong::Bad);
        };
        let Some(Bytes::Counted(counted)) = &choice.bytes else { return Err(Wrong::Bad) };
        let mut index = 0;
        while items.map_or(self.at < bound, |items| index < items) {
            if index >= list.max {
                return Err(Wrong::Bad);
            }
            self.skip(*skip, bound)?;
            let len = self.plain(&counted.by);
            if len > counted.max as u64 {
                return Err(Wrong::Bad);
            }
            let len = len as usize;
            if len > bound.saturating_sub(self.at) {
                return Err(Wrong::Short);
            }
            let number = self.plain(&From { little: false, ..choice.by });
            if let Some(part) = of_number(&choice.cases, number).or(choice.otherwise) {
                fits(part, len)?;
            }
            self.at += len;
            index += 1;
        }
        Ok(index)
    }

    /// A binary number just before what is read next.
    #[inline]
    fn plain(&self, from: &From) -> u64 {
        let Place::Back(back) = from.place else { return 0 };
        let begin = self.at - back as usize;
        match from.len {
            1 => self.raw.get(begin).map_or(0, |byte| u64::from(*byte)),
            len => read_number(self.raw.get(begin..begin + len as usize).unwrap_or_default(), from.little),
        }
    }

    /// Takes items of any size.
    fn items(
        &mut self,
        items: Option<usize>,
        (item, least): (Part, usize),
        bound: usize,
        max: usize,
    ) -> Result<usize, Wrong> {
        let mut index = 0;
        while items.map_or(self.at < bound, |items| index < items) {
            if index >= max {
                return Err(Wrong::Bad);
            }
            let before = self.at;
            self.part(item, bound)?;
            if self.at == before && least > 0 {
                // An item takes at least one byte, whatever the template's compiler thought.
                return Err(Wrong::Bad);
            }
            index += 1;
        }
        Ok(index)
    }

    #[inline]
    fn choice(&mut self, choice: &Choice, bound: usize) -> Result<(), Wrong> {
        let tag = self.source(&choice.by);
        let inner = match &choice.bytes {
            Some(bytes) => self.at + self.size(bytes, bound)?.0,
            None => bound,
        };
        match case(&choice.cases, tag, choice.by.len).or(choice.otherwise) {
            Some(part) => self.part(part, inner)?,
            // Of an unknown case the size must be known.
            None if choice.bytes.is_none() => return Err(Wrong::Bad),
            None => {}
        }
        if choice.bytes.is_some() {
            self.at = inner;
        }
        Ok(())
    }

    /// Bytes of a value, and with what ends it.
    #[inline]
    fn size(&self, bytes: &Bytes, bound: usize) -> Result<(usize, usize), Wrong> {
        let room = bound.saturating_sub(self.at);
        let (len, whole) = match bytes {
            Bytes::Counted(counted) => {
                let len = self.counted(counted)?;
                (len, len)
            }
            Bytes::Until(end, max) => {
                let most = max.saturating_add(end.len());
                let there = self.raw.get(self.at..self.at + room.min(most)).unwrap_or_default();
                match find::bytes(there, end) {
                    Some(len) => (len, len + end.len()),
                    None if room >= most => return Err(Wrong::Bad),
                    None => return Err(Wrong::Short),
                }
            }
            Bytes::Rest(after, max) => {
                let len = room.checked_sub(*after).ok_or(Wrong::Short)?;
                if len > *max {
                    return Err(Wrong::Bad);
                }
                (len, len)
            }
            Bytes::Fixed(len) => (*len, *len),
        };
        if whole > room { Err(Wrong::Short) } else { Ok((len, whole)) }
    }

    #[inline]
    fn counted(&self, counted: &Counted) -> Result<usize, Wrong> {
        let Counted { by, times, add, max, bits, is_plain } = counted;
        let bytes = self.source(by);
        if let ([byte], true) = (bytes, is_plain) {
            let len = usize::from(*byte);
            return if len > *max { Err(Wrong::Bad) } else { Ok(len) };
        }
        let number = match bits {
            Some(_) if bytes.is_empty() => None,
            Some(bits) => Some(get_bits(&bits.0, bits.1, bits.2, bytes)),
            None if bytes.is_empty() || bytes.len() > 8 => None,
            None => by.digits.read(read_number(bytes, by.little), bytes.len()),
        };
        let number = number.ok_or(Wrong::Bad)?;
        let number = i64::try_from(number).ok().and_then(|number| number.checked_mul(*times));
        let number = number.and_then(|number| number.checked_add(*add));
        let len = number.and_then(|number| usize::try_from(number).ok()).ok_or(Wrong::Bad)?;
        if len > *max { Err(Wrong::Bad) } else { Ok(len) }
    }

    /// The bytes of an earlier field.
    #[inline]
    fn source(&self, from: &From) -> &[u8] {
        let len = from.len as usize;
        let range = match from.place {
            Place::Back(back) => {
                let at = self.at - back as usize;
                at..at + len
            }
            Place::Frame(at) => {
                let at = at.in_frame(self.raw.len());
                at..at.saturating_add(len)
            }
            Place::Mark(mark) => {
                let (from, to) = self.marks.get(usize::from(mark)).copied().unwrap_or_default();
                from as usize..to as usize
            }
        };
        self.raw.get(range).unwrap_or_default()
    }
}

/// The case of the bytes of a selecting field that has `len` bytes.
#[inline]
fn case(cases: &Cases, tag: &[u8], len: u32) -> Option<Part> {
    match cases {
        Cases::Numbers(_) if tag.len() == len as usize => of_number(cases, read_number(tag, false)),
        Cases::Numbers(_) => None,
        Cases::Bytes { cases, mask, is_hex } => by_bytes(cases, tag, mask, *is_hex),
    }
}

/// Cases that are compared one after the other.
const FEW: usize = 8;

/// The case of a number.
#[inline]
fn of_number(cases: &Cases, number: u64) -> Option<Part> {
    let Cases::Numbers(cases) = cases else { return None };
    let found = if cases.len() <= FEW {
        cases.iter().find(|(case, _)| *case == number)
    } else {
        let at = cases.partition_point(|(case, _)| *case < number);
        cases.get(at).filter(|(case, _)| *case == number)
    };
    found.map(|(_, part)| *part)
}

/// Whether a case without steps fits into that number of bytes.
#[inline]
fn fits(part: Part, len: usize) -> Result<(), Wrong> {
    match part {
        Part::Fixed(least) if least as usize > len => Err(Wrong::Short),
        Part::All { least, max } => {
            let rest = len.checked_sub(least as usize).ok_or(Wrong::Short)?;
            if rest > max { Err(Wrong::Bad) } else { Ok(()) }
        }
        Part::Fixed(_) | Part::Steps { .. } => Ok(()),
    }
}

/// As the program finds it.
#[inline(never)]
fn by_bytes(cases: &[(Box<[u8]>, Part)], tag: &[u8], mask: &[u8], is_hex: bool) -> Option<Part> {
    let found = if !mask.is_empty() {
        let same = |bytes: &[u8]| bytes.iter().zip(tag.iter().zip(mask)).all(|(of, (is, mask))| *of == is & mask);
        cases.iter().position(|(bytes, _)| bytes.len() == tag.len() && same(bytes))
    } else if is_hex {
        // Hex digits are read in either case.
        let order = |bytes: &[u8]| bytes.iter().copied().cmp(tag.iter().map(u8::to_ascii_uppercase));
        cases.binary_search_by(|(bytes, _)| order(bytes)).ok()
    } else {
        cases.binary_search_by(|(bytes, _)| (**bytes).cmp(tag)).ok()
    };
    found.and_then(|number| cases.get(number)).map(|(_, part)| *part)
}

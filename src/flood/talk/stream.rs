//! The next message of a stream. A device's frames are not a centre's: their sizes are those that its messages have, or what their
//! length fields say.
//!
//! What is decided depends only on the bytes from a place on, and each decision costs a bounded number of looks at them. The work is
//! counted ([`Found::effort`]), so that a peer whose bytes look like many beginnings pays for it.

use crate::expect::{Wrong, whole};
use crate::talk::Talk;
use crate::talk::forms::Said;
use fsu_plan::model::field::{FRAME_BYTES_MAX, LengthField};
use fsu_plan::model::template::{Framing, Template};
use fsu_plan::model::walk::Walk;
use fsu_plan::wire::checksum::read_number;
use fsu_plan::wire::framer::{self, Cut};
use fsu_plan::wire::inner::{decode_hex, length_means};
use fsu_plan::wire::walk;
use std::collections::BTreeSet;

/// What begins a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A whole frame of the talk with that number.
    Frame {
        /// Its bytes on the wire.
        len: usize,
        /// Which of the talks.
        talk: usize,
        /// What it says.
        said: Said,
    },
    /// Perhaps the beginning of a frame.
    More,
    /// No frame begins in this many bytes.
    Skip(usize),
}

/// What begins a stream, and what it took to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What begins there.
    pub next: Next,
    /// Bytes that were looked at.
    pub effort: usize,
}

/// What these bytes begin with, of what these devices say. `raw` then holds the raw frame of a right message.
pub fn next(talks: &[&Talk], bytes: &[u8], raw: &mut Vec<u8>) -> Found {
    let mut look = Look::new(bytes);
    if let Some(next) = look.right(talks, raw) {
        return Found { next, effort: look.effort };
    }
    let next = match look.doubtful {
        // Its checksum says that it is one frame, or its marks do.
        Some(Doubtful { len, talk, said, is_sound: true }) => Next::Frame { len, talk, said },
        Some(Doubtful { len, talk, said, .. }) => match inside(talks, bytes, len, &mut look.effort) {
            Inside::Right(at) => Next::Skip(at),
            Inside::Begun => Next::More,
            Inside::Nothing => Next::Frame { len, talk, said },
        },
        None if look.more => Next::More,
        None if look.more_wrong => match inside(talks, bytes, bytes.len(), &mut look.effort) {
            Inside::Right(at) => Next::Skip(at),
            Inside::Begun | Inside::Nothing => Next::More,
        },
        None => Next::Skip(next_start(talks, bytes)),
    };
    Found { next, effort: look.effort }
}

/// What begins behind the first byte of a frame that is not right.
enum Inside {
    /// A right message, after that number of bytes.
    Right(usize),
    /// Perhaps one.
    Begun,
    Nothing,
}

/// Looks for a message that begins in the first `len` bytes, but for the first one: a frame is not right where it swallows another.
fn inside(talks: &[&Talk], bytes: &[u8], len: usize, effort: &mut usize) -> Inside {
    let (mut at, mut raw) = (next_start(talks, bytes), Vec::new());
    while at < len {
        let mut look = Look::new(&bytes[at..]);
        let found = look.right(talks, &mut raw);
        *effort += look.effort;
        if found.is_some() {
            return Inside::Right(at);
        }
        if look.more && look.doubtful.is_none() {
            return Inside::Begun;
        }
        at += next_start(talks, &bytes[at..]);
    }
    Inside::Nothing
}

/// Bytes before the first place behind the first byte where a frame may begin.
fn next_start(talks: &[&Talk], bytes: &[u8]) -> usize {
    let templates = talks.iter().flat_map(|talk| talk.layouts.iter()).map(|(template, _)| template);
    let rest = bytes.get(1..).unwrap_or_default();
    let starts = templates.map(|template| template.start.first().copied());
    let plain = talks.iter().flat_map(|talk| talk.forms.iter()).filter_map(|form| form.plain());
    let next = starts.chain(plain.map(|plain| plain.first().copied())).map(|first| match first {
        Some(first) => rest.iter().position(|byte| *byte == first).unwrap_or(rest.len()),
        None => 0,
    });
    1 + next.min().unwrap_or(rest.len())
}

/// A whole frame that says nothing right.
#[derive(Clone, Copy, Debug)]
struct Doubtful {
    len: usize,
    talk: usize,
    said: Said,
    /// It has a right checksum, or marks around it.
    is_sound: bool,
}

/// What tells where a frame ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Marks around it.
    Marks,
    /// A length field.
    Length,
    /// The sizes that right messages have, and an end that is found.
    Size,
}

struct Look<'a> {
    bytes: &'a [u8],
    effort: usize,
    /// Perhaps a right message has begun.
    more: bool,
    /// A frame has begun that cannot become one.
    more_wrong: bool,
    /// The first one.
    doubtful: Option<Doubtful>,
    scratch: Vec<u8>,
}

impl<'a> Look<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, effort: 1, more: false, more_wrong: false, doubtful: None, scratch: Vec::new() }
    }

    /// A right message at the beginning.
    fn right(&mut self, talks: &[&Talk], raw: &mut Vec<u8>) -> Option<Next> {
        let mut all = talks.iter().enumerate();
        all.find_map(|(talk, of)| self.at(talk, of, raw).map(|(len, said)| Next::Frame { len, talk, said }))
    }

    /// A right message of this talk at the beginning.
    fn at(&mut self, number: usize, talk: &Talk, raw: &mut Vec<u8>) -> Option<(usize, Said)> {
        for (template, forms) in &talk.layouts {
            let start = &*template.start;
            let there = &self.bytes[..self.bytes.len().min(start.len())];
            if *there != start[..there.len()] {
                continue;
            }
            if there.len() < start.len() {
                self.more = true;
                continue;
            }
            let (sizes, told) = self.sizes(talk, (template, forms));
            for &size in sizes.iter().filter(|size| **size > 0) {
                let Some(wire) = self.bytes.get(..size) else {
                    let may = |form: &u32| talk.forms[*form as usize].may_become(self.bytes, size);
                    let is_right = forms.iter().any(may);
                    self.more |= is_right;
                    self.more_wrong |= !is_right && told == Told::Length;
                    continue;
                };
                self.effort += size;
                let said = talk.read(wire, raw);
                let Said::Wrong(_, wrong) = said else { return Some((size, said)) };
                // Not by its size alone: its marks say that it ends there, its length and end do, or its checksum.
                let is_sound = told == Told::Marks || self.is_sound(template, wire);
                let is_told = told == Told::Length && wrong.depth() >= Wrong::Checksum.depth();
                if (is_sound || is_told) && self.doubtful.is_none_or(|before| is_sound && !before.is_sound) {
                    self.doubtful = Some(Doubtful { len: size, talk: number, said, is_sound });
                }
            }
        }
        self.plain(talk, raw)
    }

    /// Bytes as they are, which have no layout.
    fn plain(&mut self, talk: &Talk, raw: &mut Vec<u8>) -> Option<(usize, Said)> {
        for (form, number) in talk.forms.iter().zip(0..) {
            let Some(plain) = form.plain() else { continue };
            let there = &self.bytes[..self.bytes.len().min(plain.len())];
            self.effort += 1;
            if *there == plain[..there.len()] {
                self.effort += there.len();
                if there.len() == plain.len() {
                    raw.clear();
                    raw.extend_from_slice(form.frame());
                    return Some((plain.len(), Said::Right(number)));
                }
                self.more = true;
            }
        }
        None
    }

    /// Sizes that a frame of this layout may have here, ascending; and what tells them.
    fn sizes(&mut self, talk: &Talk, (template, forms): (&Template, &[u32])) -> (Vec<usize>, Told) {
        match framer::cut_sent(template, self.bytes) {
            Some(Cut::Frame(len)) => return (vec![len], Told::Marks),
            Some(Cut::More) => {
                self.effort += self.bytes.len();
                self.more |= self.bytes.len() < 2 * FRAME_BYTES_MAX;
                return (Vec::new(), Told::Marks);
            }
            Some(Cut::No) => return (Vec::new(), Told::Marks),
            None => {}
        }
        if let Framing::Length(number) = template.framing
            && let Some(field) = template.lengths.get(number)
        {
            return (self.by_length(talk, (template, forms), field), Told::Length);
        }
        let mut sizes = BTreeSet::new();
        for form in forms.iter().map(|&form| &talk.forms[form as usize]) {
            match form.walk() {
                Some(program) => match self.walked(program) {
                    Ok(size) => drop(sizes.insert(size)),
                    Err(walk::Wrong::Short) => self.more |= self.bytes.len() < FRAME_BYTES_MAX,
                    Err(walk::Wrong::Bad) => {}
                },
                None => sizes.extend(form.wire_len()),
            }
        }
        // Another size, where the end shows it.
        let (end, behind) = template.delimiter();
        if !end.is_empty() && template.framing == Framing::Delimited {
            let least = template.wire_len(template.raw_len_min()).saturating_sub(end.len() + behind);
            let most = sizes.last().copied().unwrap_or(FRAME_BYTES_MAX);
            let rest = self.bytes.get(least..most.min(self.bytes.len())).unwrap_or_default();
            if let Some(found) = rest.windows(end.len()).position(|bytes| bytes == end) {
                sizes.insert(least + found + end.len() + behind);
            }
        }
        (sizes.into_iter().collect(), Told::Size)
    }

    /// The size that a frame's own fields tell.
    fn walked(&mut self, program: &Walk) -> Result<usize, walk::Wrong> {
        let there = &self.bytes[..self.bytes.len().min(FRAME_BYTES_MAX)];
        self.effort += there.len();
        walk::size(program, there)
    }

    /// The sizes that a length field tells.
    fn by_length(&mut self, talk: &Talk, (template, forms): (&Template, &[u32]), field: &LengthField) -> Vec<usize> {
        let Ok(at) = usize::try_from(field.at.0) else { return Vec::new() };
        let value = if template.is_hex() {
            let at = template.wire_index(at, template.left_len + template.tail_len);
            let Some(chars) = self.bytes.get(at..at + 2 * field.len) else {
                self.more = true;
                return Vec::new();
            };
            self.scratch.clear();
            if !decode_hex(chars, &mut self.scratch) {
                return Vec::new();
            }
            read_number(&self.scratch, field.little)
        } else {
            let Some(bytes) = self.bytes.get(at..at + field.len) else {
                self.more = true;
                return Vec::new();
            };
            read_number(bytes, field.little)
        };
        let entries = forms.iter().filter_map(|&form| {
            let command = talk.forms[form as usize].command?;
            template.commands.get(command).map(|command| command.less)
        });
        let readings: BTreeSet<i64> = entries.chain([template.less]).collect();
        let lens = readings.into_iter().filter_map(|less| length_means(field, value, less));
        let sizes = lens.map(|data_len| template.wire_len(template.left_len + data_len + template.tail_len));
        let sizes: BTreeSet<usize> = sizes.filter(|size| *size <= longest(talk, forms)).collect();
        sizes.into_iter().collect()
    }

    /// Is it a whole frame with right lengths and checksum, where there is one?
    fn is_sound(&mut self, template: &Template, wire: &[u8]) -> bool {
        let has_mark = template.checksum.is_some() || !template.end.is_empty();
        has_mark && whole(template, wire, &mut self.scratch).is_ok()
    }
}

/// Bytes of the longest frame that is waited for: what a length field tells beyond it is none of these.
fn longest(talk: &Talk, forms: &[u32]) -> usize {
    let len = |&form: &u32| talk.forms[form as usize].wire_len();
    // A wrong frame may be longer than a right one.
    let known = forms.iter().map(len).try_fold(0, |most, len| Some(most.max(len?)));
    known.map_or(2 * FRAME_BYTES_MAX, |most| (2 * most).max(1_024))
}

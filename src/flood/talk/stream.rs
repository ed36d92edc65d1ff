//! The next message of a stream. A device's frames are not a centre's: their sizes are those that its messages have, or what their
//! length fields say.
//!
//! What is decided depends only on the bytes from a place on, and each decision costs a bounded number of looks at them. The work is
//! counted ([`Found::effort`]), so that a peer whose bytes look like many beginnings pays for it.

use crate::expect::whole;
use crate::talk::Talk;
use crate::talk::forms::Said;
use fsu_plan::model::field::{FRAME_BYTES_MAX, LengthField};
use fsu_plan::model::template::{Framing, Template};
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
    /// No frame begins in so many bytes.
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
    let mut look = Look { bytes, effort: 1, more: false, doubtful: None, scratch: Vec::new() };
    for (number, talk) in talks.iter().enumerate() {
        if let Some((len, said)) = look.at(number, talk, raw) {
            return Found { next: Next::Frame { len, talk: number, said }, effort: look.effort };
        }
    }
    let next = match look.doubtful {
        Some((len, talk, said)) => Next::Frame { len, talk, said },
        None if look.more => Next::More,
        None => Next::Skip(next_start(talks, bytes)),
    };
    Found { next, effort: look.effort }
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

struct Look<'a> {
    bytes: &'a [u8],
    effort: usize,
    more: bool,
    /// The first frame that is whole and says nothing right.
    doubtful: Option<(usize, usize, Said)>,
    scratch: Vec<u8>,
}

impl Look<'_> {
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
            let (sizes, is_told) = self.sizes(talk, (template, forms));
            for &size in sizes.iter().filter(|size| **size > 0) {
                let Some(wire) = self.bytes.get(..size) else {
                    self.more = true;
                    break;
                };
                self.effort += size;
                match talk.read(wire, raw) {
                    Said::Right(form) => return Some((size, Said::Right(form))),
                    // Not by its size alone: the frame itself says that it ends there, or its checksum does.
                    said if self.doubtful.is_none() && (is_told || self.is_sound(template, wire)) => {
                        self.doubtful = Some((size, number, said));
                    }
                    Said::Wrong(..) => {}
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

    /// Sizes that a frame of this layout may have here, ascending; and whether the bytes themselves tell them.
    fn sizes(&mut self, talk: &Talk, (template, forms): (&Template, &[u32])) -> (Vec<usize>, bool) {
        match framer::cut_sent(template, self.bytes) {
            Some(Cut::Frame(len)) => return (vec![len], true),
            Some(Cut::More) => {
                self.more |= self.bytes.len() < 2 * FRAME_BYTES_MAX;
                return (Vec::new(), true);
            }
            Some(Cut::No) => return (Vec::new(), true),
            None => {}
        }
        if let Framing::Length(number) = template.framing
            && let Some(field) = template.lengths.get(number)
        {
            return (self.by_length(talk, (template, forms), field), true);
        }
        let mut sizes = BTreeSet::new();
        for form in forms.iter().map(|&form| &talk.forms[form as usize]) {
            match form.walk() {
                Some(program) => match walk::size(program, self.bytes) {
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
        (sizes.into_iter().collect(), false)
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

//! Cuts a stream into inner frames (spec b-interface.md, TCP): by fixed size, length field, start and end, or command.
//!
//! A decision depends only on the bytes that are there, and later bytes never change it: how a stream is split
//! into reads does not matter. A decision never needs more than [`longest`] bytes.

mod reading;
#[cfg(test)]
mod tests;

use super::checksum::read_number;
use super::find;
use super::inner::{carries, decode_hex, key, lchksum, length_means, same};
use super::quick;
use super::stuffing;
use super::walk::{self, Wrong};
use crate::model::field::LengthField;
use crate::model::template::{Command, Framing, Template};

/// What begins at a place of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A whole frame of that many bytes on the wire.
    Frame(usize),
    /// Possibly the beginning of a frame.
    More,
    /// No frame.
    No,
}

/// What `buf` begins with.
#[inline]
pub fn cut(template: &Template, buf: &[u8]) -> Cut {
    Search::default().cut(template, buf, 0)
}

/// Wire bytes of the largest request that the template can produce.
pub fn longest(template: &Template) -> usize {
    wire_len(template, template.data_len_fixed.unwrap_or(template.data_len_max))
}

/// Wire bytes of a frame with that many bytes of data frame.
#[inline]
fn wire_len(template: &Template, data_len: usize) -> usize {
    template.wire_len(template.left_len + data_len + template.tail_len)
}

/// Where the first of the frames that a device sends ends, with what comes before it, if the template's envelope shows that.
pub fn cut_sent(template: &Template, buf: &[u8]) -> Option<Cut> {
    stuffing::cut_sent(template, buf)
}

/// [`cut`] at successive places of the same bytes. Remembers what it saw beyond each place, so that bytes
/// that look like many beginnings are still read only once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Search {
    /// No end begins between the last place and here; for `ascii_hex` by the parity of the index it would have.
    no_end_before: [usize; 2],
    /// All bytes between the last place and here are hex digits.
    hex_before: usize,
    /// Bytes read so far.
    pub scanned: usize,
    /// Before this place, counted from 1, ends a frame whose end may also be a start.
    ended: usize,
}

impl Search {
    /// What begins at `at`, which must not be before the `at` of the last call.
    #[inline]
    pub fn cut(&mut self, template: &Template, bytes: &[u8], at: usize) -> Cut {
        let buf = bytes.get(at..).unwrap_or_default();
        let start = &*template.start;
        if !buf.get(..start.len()).is_some_and(|bytes| same(bytes, start)) {
            return match template.framing {
                _ if start.starts_with(buf) => Cut::More,
                Framing::Enveloped if self.ended == at + 1 => self.enveloped(template, bytes, (at, true)),
                _ => Cut::No,
            };
        }
        match template.framing {
            Framing::Fixed => sized(template, buf, longest(template)),
            Framing::Length(number) => match template.lengths.get(number) {
                Some(field) => by_length(template, field, buf),
                None => Cut::No,
            },
            Framing::Delimited => self.delimited(template, bytes, at),
            Framing::Keyed => by_key(template, buf),
            Framing::Headed => by_head(template, buf),
            Framing::Enveloped => self.enveloped(template, bytes, (at, false)),
        }
    }

    /// The bytes before that place are a frame whose end may also be a start.
    pub fn begin_ended(&mut self, at: usize) {
        self.ended = at + 1;
    }

    #[inline(never)]
    fn enveloped(&mut self, template: &Template, bytes: &[u8], place: (usize, bool)) -> Cut {
        stuffing::cut(template, bytes, place, longest(template), &mut self.scanned)
    }

    #[inline(never)]
    fn delimited(&mut self, template: &Template, bytes: &[u8], at: usize) -> Cut {
        let (end, behind) = template.delimiter();
        // From the first byte of the end on.
        let ending = end.len() + behind;
        let (min, max) = (wire_len(template, template.data_len_fixed.unwrap_or(0)), longest(template));
        let body = at + template.start.len();
        // Bytes past the largest possible frame are not read.
        let stop = bytes.len().min(at + max);
        let bytes = &bytes[..stop];
        // The latest place of the end, once known.
        let latest = if template.is_hex() {
            let from = self.hex_before.max(body).min(stop);
            let digits = bytes[from..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            self.hex_before = from + digits;
            self.scanned += digits;
            (self.hex_before < stop).then_some(self.hex_before)
        } else {
            None
        };
        // Whether the end begins there; `None`: not yet known.
        let ends_at = |index: usize| {
            let there = bytes.get(index..).unwrap_or_default();
            if latest.is_some_and(|latest| index > latest) {
                Some(false)
            } else if there.starts_with(end) {
                Some(true)
            } else {
                (!end.starts_with(there)).then_some(false)
            }
        };

        // An end byte may also be part of a frame: the sizes that commands have go first,
        // and if the header shows the command, only its own sizes; none for an unknown key.
        let has_sizes = !template.data_lens.is_empty();
        let asked = if has_sizes { asked_in_header(template, bytes.get(at..).unwrap_or_default()) } else { None };
        let sizes = if asked == Some(&[]) { &[] } else { &*template.data_lens };
        for &data_len in sizes {
            let has_size = |number: &u32| {
                let command = template.commands.get(*number as usize);
                command.is_some_and(|command| [command.request_len, command.request_len_padded].contains(&data_len))
            };
            if asked.is_some_and(|asked| !asked.iter().any(has_size)) {
                continue;
            }
            let size = wire_len(template, data_len);
            if size > max {
                break;
            }
            match ends_at(at + size - ending) {
                Some(true) if size > bytes.len() - at => return Cut::More,
                Some(true) => return Cut::Frame(size),
                Some(false) => {}
                None => return Cut::More,
            }
        }

        let earliest = body.max(at + min.saturating_sub(ending));
        let found = self.next_end(template, bytes, body, earliest);
        if let Some(found) = found.filter(|found| latest.is_none_or(|latest| *found <= latest)) {
            let size = found + ending - at;
            return match size <= stop - at {
                true => Cut::Frame(size),
                false if size <= max => Cut::More,
                false => Cut::No,
            };
        }
        let open = stop < at + max
            && latest.is_none_or(|latest| {
                let cut_off = (stop + 1).saturating_sub(end.len()).max(earliest)..=latest;
                cut_off.into_iter().any(|index| (index - body).is_multiple_of(2) && ends_at(index).is_none())
            });
        if open { Cut::More } else { Cut::No }
    }

    /// The first end from `earliest` on; with `ascii_hex` an even number of characters after `body`.
    fn next_end(&mut self, template: &Template, bytes: &[u8], body: usize, earliest: usize) -> Option<usize> {
        let (end, _) = template.delimiter();
        let (step, parity) = if template.is_hex() { (2, body % 2) } else { (1, 0) };
        let mut from = self.no_end_before[parity].max(earliest);
        while let Some(found) = bytes.get(from..).and_then(|rest| find::bytes(rest, end)).map(|found| from + found) {
            self.scanned += found - from;
            if (found - body).is_multiple_of(step) {
                self.no_end_before[parity] = found;
                return Some(found);
            }
            from = found + 1;
        }
        self.scanned += bytes.len().saturating_sub(from);
        self.no_end_before[parity] = (bytes.len() + 1).saturating_sub(end.len().max(1)).max(from);
        None
    }
}

/// Whether a beginning may become a good frame, as far as its header shows: by its key, the size from a length field
/// and the constants marked `match`. `raw` is a scratch buffer.
pub fn may_be_known(template: &Template, buf: &[u8], raw: &mut Vec<u8>) -> bool {
    if template.framing == Framing::Enveloped {
        return true;
    }
    let is_hex = template.is_hex();
    if is_hex {
        let body = buf.get(template.start.len()..).unwrap_or_default();
        if !body.iter().take(2 * template.left_len).all(u8::is_ascii_hexdigit) {
            // The end may be there, which the framer checks.
            return false;
        }
    }
    if is_hex && template.framing == Framing::Delimited {
        // The key does not give its size either.
        return true;
    }
    let Some(header) = header(template, buf, raw) else { return true };
    let length = match template.framing {
        Framing::Length(number) => template.lengths.get(number).and_then(|field| {
            let at = usize::try_from(field.at.0).ok()?;
            Some((field, read_number(header.get(at..at + field.len)?, field.little)))
        }),
        _ => None,
    };
    let data_len = |command: &Command| length.and_then(|(field, value)| length_means(field, value, command.less));
    let versions = template.versions.iter().filter(|constant| constant.at.0 >= 0);
    if !versions.into_iter().all(|constant| carries(constant, header)) {
        return false;
    }
    let [shape] = &*template.keys else { return true };
    if shape.data_len_min > 0 || shape.parts.iter().any(|part| part.at.0 < 0) {
        return true;
    }
    let fits = |command: &Command| match data_len(command) {
        Some(len) if command.exact && command.request_walk().is_none() => {
            [command.request_len, command.request_len_padded].contains(&len)
        }
        Some(len) => len >= command.request_len,
        None => true,
    };
    let sizes = |&number: &u32| template.commands.get(number as usize).is_some_and(fits);
    shape.table.find(key(shape, header)).is_some_and(|numbers| numbers.iter().any(sizes))
}

/// The raw header at the beginning of these bytes; `None`: not complete yet, or not readable.
fn header<'a>(template: &Template, buf: &'a [u8], raw: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    if template.is_hex() {
        let start = template.start.len();
        let digits = 2 * template.left_len.checked_sub(start)?;
        let chars = buf.get(start..start + digits)?;
        raw.clear();
        raw.extend_from_slice(&template.start);
        decode_hex(chars, raw).then_some(raw)
    } else {
        buf.get(..template.left_len)
    }
}

/// The commands with the key in this header, possibly none; `None`: the header does not show the key.
fn asked_in_header<'a>(template: &'a Template, buf: &[u8]) -> Option<&'a [u32]> {
    let [shape] = &*template.keys else { return None };
    let in_header = shape.data_len_min == 0 && shape.parts.iter().all(|part| part.at.0 >= 0);
    // Among hex characters an end byte is rare within a frame.
    if !in_header || template.is_hex() {
        return None;
    }
    let key = key(shape, buf.get(..template.left_len)?);
    Some(shape.table.find(key).unwrap_or_default())
}

/// A frame whose size is known: is it whole, and does it end as it should?
#[inline]
fn sized(template: &Template, buf: &[u8], size: usize) -> Cut {
    match buf.get(..size) {
        None => Cut::More,
        Some(frame) if is_end(frame, &template.end) => Cut::Frame(size),
        Some(_) => Cut::No,
    }
}

/// Whether a frame ends so.
#[inline]
fn is_end(frame: &[u8], end: &[u8]) -> bool {
    frame.get(frame.len().wrapping_sub(end.len())..).is_some_and(|bytes| same(bytes, end))
}

/// A frame whose size is in its length field. A length that the template cannot produce is no frame, and is not waited for.
#[inline]
fn by_length(template: &Template, field: &LengthField, buf: &[u8]) -> Cut {
    // Always in the header: a length in the tail could not show where the tail is.
    let Ok(at) = usize::try_from(field.at.0) else { return Cut::No };
    let value = if template.is_hex() {
        let at = template.wire_index(at, template.left_len + template.tail_len);
        let Some(chars) = buf.get(at..at + 2 * field.len) else { return Cut::More };
        match number_of_hex(chars, field.little) {
            Some(value) => value,
            None => return Cut::No,
        }
    } else {
        match buf.get(at..at + field.len) {
            Some(bytes) => read_number(bytes, field.little),
            None => return Cut::More,
        }
    };
    if field.lchksum && value >> 12 != lchksum(value) {
        return Cut::No;
    }
    let less = match *template.readings {
        [less] => less,
        _ if field.configured => return reading::cut(template, field, buf, value),
        _ => 0,
    };
    match length_means(field, value, less) {
        Some(data_len) if data_len <= template.data_len_max => sized(template, buf, wire_len(template, data_len)),
        _ => Cut::No,
    }
}

/// A frame whose size follows from its command. An unknown key is no frame.
#[inline]
fn by_key(template: &Template, buf: &[u8]) -> Cut {
    if buf.len() < template.left_len {
        return Cut::More;
    }
    let numbers = asked_in_header(template, buf).unwrap_or_default();
    let first = numbers.first().and_then(|number| template.commands.get(*number as usize));
    match first {
        Some(command) if numbers.len() > 1 && command.request_walk().is_some() => by_walks(template, numbers, buf),
        Some(command) if command.request_walk().is_some() => by_walk(template, command, buf),
        Some(command) => sized(template, buf, wire_len(template, command.request_len)),
        None => Cut::No,
    }
}

/// A frame whose size the fields say that all commands have.
#[cold]
fn by_head(template: &Template, buf: &[u8]) -> Cut {
    let most = longest(template);
    let there = buf.get(..most).unwrap_or(buf);
    match template.head().map(|head| quick::size(head, there)) {
        Some(Ok(size)) if size <= most => sized(template, buf, size),
        Some(Err(Wrong::Short)) if buf.len() < most => Cut::More,
        _ => Cut::No,
    }
}

/// A frame whose size the fields of the first of these commands say that it may be.
#[cold]
fn by_walks(template: &Template, numbers: &[u32], buf: &[u8]) -> Cut {
    let most = longest(template);
    let there = buf.get(..most).unwrap_or(buf);
    for command in numbers.iter().filter_map(|number| template.commands.get(*number as usize)) {
        let Some(walks) = command.walk.as_deref() else { continue };
        let Some(walk) = &walks.request else { continue };
        if walks.constants.iter().any(|constant| walk::differs(walk, there, constant)) {
            continue;
        }
        match quick::size(walk, there) {
            Ok(size) if size <= most => return sized(template, buf, size),
            // A later command has no say while an earlier one may be meant.
            Err(Wrong::Short) if buf.len() < most => return Cut::More,
            _ => {}
        }
    }
    Cut::No
}

/// A frame whose size its command's fields say.
fn by_walk(template: &Template, command: &Command, buf: &[u8]) -> Cut {
    let most = longest(template);
    let there = buf.get(..most).unwrap_or(buf);
    match command.request_walk().map(|walk| quick::size(walk, there)) {
        Some(Ok(size)) if size <= most => sized(template, buf, size),
        Some(Err(Wrong::Short)) if buf.len() < most => Cut::More,
        _ => Cut::No,
    }
}

/// Up to 8 bytes, each as two hex digits.
fn number_of_hex(chars: &[u8], little: bool) -> Option<u64> {
    let digit = |char: u8| char::from(char).to_digit(16).map(|digit| digit as u8);
    let mut bytes = [0; 8];
    let bytes = bytes.get_mut(..chars.len() / 2)?;
    for (byte, pair) in bytes.iter_mut().zip(chars.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(read_number(bytes, little))
}

//! The vendor's frame after a template (spec templates.md).
//!
//! [`parse`] is the only gate from bytes to a [`Frame`]; after it the frame is known to hold the
//! whole header and tail, and every offset of the template is within it. Its contents are checked
//! in the order of the spec by [`lengths_ok`], [`version_ok`] and [`checksum_ok`]; [`command()`] finds
//! its command.

use super::checksum::{read_number, simple, stored, write_number};
use super::coding;
use super::quick::{self, Trace};
use super::reason::Reason;
use super::sums;
use super::walk;
use crate::model::digits::Digits;
use crate::model::field::{Constant, KeyPart, LengthField};
use crate::model::template::{Command, Count, Encoding, KeyShape, Template};
use crate::model::walk::Walks;

/// A frame whose size, start and end are right.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Before encoding.
    pub raw: &'a [u8],
    /// As it travels; the same as `raw` unless the template encodes.
    pub wire: &'a [u8],
    /// Bytes of the data frame, in `raw`.
    pub data_len: usize,
}

/// Value of a hex digit; 0xFF for anything else.
const NIBBLES: [u8; 256] = {
    let mut table = [0xFF; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        table[b"0123456789abcdef"[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
};

/// The value of a hex digit, in upper or lower case.
#[inline]
pub fn digit(char: u8) -> Option<u8> {
    Some(NIBBLES[usize::from(char)]).filter(|&digit| digit < 0x10)
}

/// Decodes hex characters; false when one is no digit or their number is odd.
#[inline]
pub fn decode_hex(chars: &[u8], out: &mut Vec<u8>) -> bool {
    let mut bad = chars.len() & 1;
    out.extend(chars.chunks_exact(2).map(|pair| {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        bad |= usize::from((high | low) & 0xF0);
        (high << 4) | (low & 0x0F)
    }));
    bad == 0
}

/// A byte as two upper-case hex characters.
#[inline]
pub fn hex_pair(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0x0F)]]
}

/// Appends bytes as upper-case hex characters.
#[inline]
pub fn encode_hex(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        let [high, low] = hex_pair(byte);
        out.push(high);
        out.push(low);
    }
}

/// Appends a raw frame as it travels.
#[inline]
pub fn encode_wire(template: &Template, raw: &[u8], out: &mut Vec<u8>) {
    match template.encoding {
        Encoding::Binary => out.extend_from_slice(raw),
        Encoding::AsciiHex => {
            let start = template.start.len().min(raw.len());
            let end = raw.len().saturating_sub(template.end.len()).max(start);
            out.extend_from_slice(&raw[..start]);
            encode_hex(&raw[start..end], out);
            out.extend_from_slice(&raw[end..]);
        }
        Encoding::Coded => coding::send(template, raw, out),
    }
}

/// Appends a raw frame as checksums over what travels see it: before any escapes.
#[inline]
pub fn encode_spanned(template: &Template, raw: &[u8], out: &mut Vec<u8>) {
    match template.encoding {
        Encoding::Coded => coding::code(template, raw, out),
        _ => encode_wire(template, raw, out),
    }
}

/// Checks size, start, end and encoding: `short`, `bad_start`, `bad_end`, `bad_hex`.
///
/// `scratch` holds the raw frame where the template encodes.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub fn parse<'a>(template: &Template, wire: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Frame<'a>, Reason> {
    let data_len_min = template.data_len_fixed.unwrap_or(0);
    let raw_least = template.left_len + data_len_min + template.tail_len;
    let least = match template.encoding {
        Encoding::Binary => raw_least,
        Encoding::AsciiHex => template.hex_len(raw_least),
        Encoding::Coded => return coding::parse(template, wire, scratch),
    };
    if wire.len() < least {
        return Err(Reason::Short);
    }
    let (start, end) = (&*template.start, &*template.end);
    if !wire.get(..start.len()).is_some_and(|bytes| same(bytes, start)) {
        return Err(Reason::BadStart);
    }
    if !wire.get(wire.len().wrapping_sub(end.len())..).is_some_and(|bytes| same(bytes, end)) {
        return Err(Reason::BadEnd);
    }
    let raw = match template.encoding {
        Encoding::Binary | Encoding::Coded => wire,
        Encoding::AsciiHex => {
            scratch.clear();
            scratch.extend_from_slice(&template.start);
            if !decode_hex(&wire[template.start.len()..wire.len() - template.end.len()], scratch) {
                return Err(Reason::BadHex);
            }
            scratch.extend_from_slice(&template.end);
            scratch.as_slice()
        }
    };
    let data_len = raw.len() - template.left_len - template.tail_len;
    Ok(Frame { raw, wire, data_len })
}

/// A frame that was parsed before: `raw` is what [`parse`] left there.
#[inline]
pub fn parsed<'a>(template: &Template, wire: &'a [u8], raw: &'a [u8]) -> Frame<'a> {
    let raw = match template.encoding {
        Encoding::Binary => wire,
        Encoding::AsciiHex => raw,
        Encoding::Coded => return coding::parsed(template, wire, raw),
    };
    Frame { raw, wire, data_len: raw.len().saturating_sub(template.left_len + template.tail_len) }
}

/// A raw frame by itself; what travels is not known.
pub fn of_raw<'a>(template: &Template, raw: &'a [u8]) -> Frame<'a> {
    Frame { raw, wire: raw, data_len: raw.len().saturating_sub(template.left_len + template.tail_len) }
}

/// The top nibble that makes the four nibbles of a 16-bit length add up to 0 mod 16.
#[inline]
pub fn lchksum(length: u64) -> u64 {
    let sum = (length & 0xF) + ((length >> 4) & 0xF) + ((length >> 8) & 0xF);
    sum.wrapping_neg() & 0xF
}

/// What a length field holds for a data frame of `data_len` bytes, as its bytes read as a number: its own check included,
/// digits where they are; one that is a
/// `{{data_frame_length}}` where it counts the header fields behind it.
#[inline]
pub fn length_value(field: &LengthField, data_len: usize) -> u64 {
    length_value_less(field, data_len, 0)
}

/// The same for a frame whose `{{data_frame_length}}` fields leave out `less` ([`Command::less`]).
#[inline]
pub fn length_value_less(field: &LengthField, data_len: usize, less: i64) -> u64 {
    let less = if field.configured { less } else { 0 };
    let value = field.base.wrapping_add(field.per_data * data_len as i64).wrapping_sub(less) as u64;
    if field.digits != Digits::Binary {
        return field.digits.write(value, field.len);
    }
    if field.lchksum { (value & 0x0FFF) | (lchksum(value) << 12) } else { value }
}

/// Writes a length field; see [`length_value_less`].
#[inline]
pub fn write_length(field: &LengthField, data_len: usize, less: i64, out: &mut [u8]) {
    write_number(length_value_less(field, data_len, less), field.little, out);
}

/// Writes the length fields of a raw frame that has a data frame of `data_len` bytes. Fields past its end are left out.
#[inline]
pub fn write_lengths(fields: &[LengthField], data_len: usize, less: i64, raw: &mut [u8]) {
    for field in fields {
        let at = field.at.in_frame(raw.len());
        if let Some(out) = raw.get_mut(at..).and_then(|rest| rest.get_mut(..field.len)) {
            write_length(field, data_len, less, out);
        }
    }
}

/// The data-frame bytes for the value of a length field; `None` when no data frame has that
/// length, or they are no digits where they should be.
#[inline]
pub fn length_means(field: &LengthField, value: u64, less: i64) -> Option<usize> {
    let value = if field.digits == Digits::Binary { value } else { field.digits.read(value, field.len)? };
    let value = if field.lchksum { value & 0x0FFF } else { value };
    let less = if field.configured { less } else { 0 };
    let rest = i64::try_from(value).ok()?.checked_sub(field.base)?.checked_add(less)?;
    (field.per_data > 0 && rest >= 0 && rest % field.per_data == 0).then(|| (rest / field.per_data) as usize)
}

fn check_lengths(template: &Template, frame: &Frame<'_>) -> Result<(), Reason> {
    for field in &template.lengths {
        let at = field.at.in_frame(frame.raw.len());
        let value = read_number(&frame.raw[at..at + field.len], field.little);
        if field.lchksum && value >> 12 != lchksum(value) {
            return Err(Reason::BadLengthChecksum);
        }
    }
    let right = match *template.readings {
        [less] => holds_lengths(&template.lengths, frame, less),
        _ => template.readings.iter().any(|&less| holds_lengths(&template.lengths, frame, less)),
    };
    if right { Ok(()) } else { Err(Reason::BadLength) }
}

/// Whether these length fields fit the frame, if they leave out that much.
#[inline]
pub fn holds_lengths(lengths: &[LengthField], frame: &Frame<'_>, less: i64) -> bool {
    lengths.iter().all(|field| holds_length(field, frame, less))
}

/// Whether one length field fits. A field past the frame's end does not.
#[inline]
pub fn holds_length(field: &LengthField, frame: &Frame<'_>, less: i64) -> bool {
    let at = field.at.in_frame(frame.raw.len());
    let bytes = frame.raw.get(at..).and_then(|rest| rest.get(..field.len));
    bytes.is_some_and(|bytes| {
        let (there, right) = (read_number(bytes, field.little), length_value_less(field, frame.data_len, less));
        there == right || field.digits.same(there, right)
    })
}

/// Checks the lengths that depend on the command of a request, and finds that. `trace` has the places of its elements then,
/// if it has a program.
pub fn command_lengths(template: &Template, frame: &Frame<'_>, trace: &mut Trace) -> Result<Option<usize>, Reason> {
    trace.clear();
    if let Some(head) = template.head()
        && quick::check(head, frame.raw) != Ok(frame.raw.len() - template.tail_len)
    {
        return Err(Reason::BadLength);
    }
    let found = match &*template.keys {
        [shape] => command_of(template, shape, frame, |command| fits_traced(template, command, frame, trace)),
        _ => command(template, frame),
    };
    let Some(number) = found else {
        return if is_misshapen(template, frame) { Err(Reason::BadLength) } else { Ok(None) };
    };
    let command = &template.commands[number];
    match command.request_walk() {
        // An entry of several was found by its walk.
        Some(walk) if trace.is_of(walk) => {}
        Some(walk) => _ = trace.follow(walk, frame.raw).map_err(|_| Reason::BadLength)?,
        None => trace.clear(),
    }
    let counted = |count: &Count| holds_length(&count.length, frame, command.less);
    let walked = command.request_walk().is_none_or(|walk| holds_lengths(&walk.lengths, frame, command.less));
    // Where all commands have one reading, it was checked with that.
    let is_read = matches!(*template.readings, [less] if less == command.less);
    let right = walked
        && (is_read || holds_lengths(&template.lengths, frame, command.less))
        && command.counts.iter().all(counted)
        && command.lengths.iter().all(|length| carries(length, frame.raw));
    if right { Ok(Some(number)) } else { Err(Reason::BadLength) }
}

/// What the `{{data_frame_length}}` fields of a frame leave out: by its command, else by the frame itself, else
/// what frames of no command have. For display.
pub fn less(template: &Template, frame: &Frame<'_>, command: Option<&Command>) -> i64 {
    let shown = || template.readings.iter().copied().find(|&less| holds_lengths(&template.lengths, frame, less));
    command.map(|command| command.less).or_else(shown).unwrap_or(template.less)
}

/// `bad_length_checksum` and `bad_length` of a request, in that order; the latter also for a frame longer than the one size
/// that all frames have.
#[inline]
pub fn lengths_ok(template: &Template, frame: &Frame<'_>) -> Result<(), Reason> {
    reply_lengths_ok(template, frame)?;
    if template.command_lengths { command_lengths(template, frame, &mut Trace::default()).map(drop) } else { Ok(()) }
}

/// The same for a frame in the other direction, which may not show its command: any command's reading is right.
#[inline]
pub fn reply_lengths_ok(template: &Template, frame: &Frame<'_>) -> Result<(), Reason> {
    if !template.lengths.is_empty() {
        check_lengths(template, frame)?;
    }
    match template.data_len_fixed {
        Some(fixed) if frame.data_len != fixed => Err(Reason::BadLength),
        _ => Ok(()),
    }
}

/// Whether all checksums are right; always, without one in the template.
#[inline]
pub fn checksum_ok(template: &Template, frame: &Frame<'_>) -> bool {
    template.checksum.as_ref().is_none_or(|checksum| match simple(checksum, template, frame.raw, frame.wire) {
        Some(value) => value == stored(checksum, frame.raw),
        None => sums::all_right(template, frame),
    })
}

/// Whether they are equal. Usually one byte or none, for which a call of memcmp is slow.
#[inline]
pub(super) fn same(bytes: &[u8], others: &[u8]) -> bool {
    match (bytes, others) {
        ([], []) => true,
        ([byte], [other]) => byte == other,
        ([a, b], [c, d]) => (a, b) == (c, d),
        _ => bytes == others,
    }
}

/// Whether the frame has this constant. One past its end is missing.
#[inline]
pub fn carries(constant: &Constant, raw: &[u8]) -> bool {
    let at = constant.at.in_frame(raw.len());
    let Some(bytes) = raw.get(at..).and_then(|rest| rest.get(..constant.bytes.len())) else { return false };
    if constant.mask.is_empty() {
        same(bytes, &constant.bytes)
    } else {
        bytes.iter().zip(&constant.bytes).zip(&constant.mask).all(|((got, want), mask)| (got ^ want) & mask == 0)
    }
}

/// Whether the frame has the header constants marked `match`.
#[inline]
pub fn version_ok(template: &Template, frame: &Frame<'_>) -> bool {
    template.versions.iter().all(|constant| carries(constant, frame.raw))
}

/// The key at the places of that shape; the data frame was checked to have [`KeyShape::data_len_min`] bytes.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub fn key(shape: &KeyShape, raw: &[u8]) -> u128 {
    let read = |part: &KeyPart| {
        let at = part.at.in_frame(raw.len());
        u128::from(read_number(&raw[at..at + part.len], part.little))
    };
    match &*shape.parts {
        [part] => read(part),
        [] => 0,
        parts => parts.iter().fold(0, |key, part| (key << (8 * part.len)) | read(part)),
    }
}

/// Whether a request of varying size fits an entry of several: it ends where the data frame does, and has the entry's constants.
fn walk_fits(walks: &Walks, raw: &[u8], trace: &mut Trace) -> bool {
    let Some(walk) = &walks.request else { return false };
    trace.follow(walk, raw).is_ok_and(|end| end + walk.tail_len == raw.len())
        && walks.constants.iter().all(|constant| trace.carries(walk, raw, constant))
}

/// Whether a request has the key of some command whose size varies, none of which fits it. One that the request's values rule out,
/// as far as they can be read, is not meant.
fn is_misshapen(template: &Template, frame: &Frame<'_>) -> bool {
    let shapes = template.keys.iter().filter(|shape| frame.data_len >= shape.data_len_min);
    let numbers = shapes.filter_map(|shape| shape.table.find(key(shape, frame.raw))).flatten();
    let mut commands = numbers.filter_map(|&number| template.commands.get(number as usize));
    commands.any(|command| {
        command.request_walk().is_some_and(|walk| quick::check(walk, frame.raw).is_err())
            && command.constants.iter().all(|constant| carries(constant, frame.raw))
            && !command.walk.as_deref().is_some_and(|walks| is_other(walks, frame.raw))
    })
}

/// Whether the request has another value where the entry has a constant behind a field of variable size.
fn is_other(walks: &Walks, raw: &[u8]) -> bool {
    let Some(walk) = &walks.request else { return false };
    let differs = |constant| !walk::carries(walk, raw, constant);
    walks.constants.iter().any(|constant| walk::bytes(walk, raw, &constant.path).is_some() && differs(constant))
}

/// Whether the data frame has a size of this command's requests, and the constants that select it.
#[inline]
pub fn fits(command: &Command, frame: &Frame<'_>, fixed: bool) -> bool {
    let size = fixed
        || if command.exact {
            match &command.walk {
                Some(walk) if walk.request.is_some() => walk_fits(walk, frame.raw, &mut Trace::default()),
                _ => frame.data_len == command.request_len || frame.data_len == command.request_len_padded,
            }
        } else {
            frame.data_len >= command.request_len
        };
    size && command.constants.iter().all(|constant| carries(constant, frame.raw))
}

/// The same. Leaves the places of the frame's elements, if the command was found by them.
#[inline]
fn fits_traced(template: &Template, command: &Command, frame: &Frame<'_>, trace: &mut Trace) -> bool {
    let fixed = template.data_len_fixed.is_some();
    match command.walk.as_deref().filter(|walks| !fixed && command.exact && walks.request.is_some()) {
        // First what is quickly seen.
        Some(walks) => {
            command.constants.iter().all(|constant| carries(constant, frame.raw)) && walk_fits(walks, frame.raw, trace)
        }
        None => fits(command, frame, fixed),
    }
}

/// The command: the first in file order whose key, size and constants fit.
#[inline]
pub fn command(template: &Template, frame: &Frame<'_>) -> Option<usize> {
    match &*template.keys {
        [shape] => command_fixed(template, shape, frame),
        shapes => shapes.iter().filter_map(|shape| command_fixed(template, shape, frame)).min(),
    }
}

#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
fn command_fixed(template: &Template, shape: &KeyShape, frame: &Frame<'_>) -> Option<usize> {
    let fixed = template.data_len_fixed.is_some();
    command_of(template, shape, frame, |command| fits(command, frame, fixed))
}

/// The command that fits, among those whose key is at these places.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
fn command_of(
    template: &Template,
    shape: &KeyShape,
    frame: &Frame<'_>,
    mut fits: impl FnMut(&Command) -> bool,
) -> Option<usize> {
    if frame.data_len < shape.data_len_min {
        return None;
    }
    // A loop: as an iterator's `find` it becomes a call of its own.
    for &number in shape.table.find(key(shape, frame.raw))? {
        if fits(&template.commands[number as usize]) {
            return Some(number as usize);
        }
    }
    None
}

/// The key that a frame shows, as people write it, by the first shape it is long enough for; for display.
pub fn key_text(template: &Template, frame: &Frame<'_>) -> Option<String> {
    let shape = template.keys.iter().find(|shape| frame.data_len >= shape.data_len_min)?;
    let bytes = shape.parts.iter().map(|part| part.len).sum();
    Some(shape.table.spell(key(shape, frame.raw), bytes))
}

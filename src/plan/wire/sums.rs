//! Templates with several checksums, and checksums of blocks (spec shapes.md, Checksums).

use super::checksum::{self, plain, read_number, spanned, stored, write_number};
use super::coding;
use super::inner::{Frame, encode_spanned};
use crate::model::coding::Change;
use crate::model::template::{Algorithm, Blocks, Checksum, Special, Template};

/// A checksum with something special about it.
pub(super) fn special(checksum: &Checksum, special: &Special, template: &Template, (raw, wire): (&[u8], &[u8])) -> u64 {
    // Blocks are counted in the raw frame; over what travels they are read by `blocks_right`.
    let bytes = if special.blocks.is_some() && !checksum.over_wire {
        let (from, to) = checksum::span(checksum, raw.len());
        raw.get(from..to).unwrap_or_default()
    } else {
        spanned(checksum, template, raw, wire)
    };
    checksum::special(checksum, special, raw, bytes)
}

/// What the field behind the span holds, if there is one: the checksum of the last block. Of bytes that travel, `span` has the
/// checksums of the other blocks too.
pub(super) fn last_block(checksum: &Checksum, special: &Special, blocks: &Blocks, span: &[u8]) -> u64 {
    if !blocks.in_field {
        return 0;
    }
    let block = blocks.every + if checksum.over_wire { blocks.len } else { 0 };
    let from = span.len().saturating_sub(1) / block * block;
    of_block(checksum, special, &span[from..])
}

/// The checksum of one block.
fn of_block(checksum: &Checksum, special: &Special, bytes: &[u8]) -> u64 {
    checksum::complement(checksum.complement, plain(&special.algorithm, bytes)) & special.mask
}

/// Appends the changed bytes of the data frame with the checksums of their blocks.
pub(super) fn interleave(checksum: &Checksum, plain: &[u8], change: Change, out: &mut Vec<u8>) {
    let Algorithm::Special(special) = &checksum.algorithm else { return };
    let Some(blocks) = special.blocks else { return };
    let chunks = plain.chunks(blocks.every);
    let last = chunks.len().saturating_sub(1);
    for (number, chunk) in chunks.enumerate() {
        let begin = out.len();
        coding::append(change, chunk, out);
        if number < last || !blocks.in_field {
            let value = of_block(checksum, special, if checksum.over_wire { &out[begin..] } else { chunk });
            let end = out.len();
            out.resize(end + blocks.len, 0);
            write_number(value, blocks.little, &mut out[end..]);
        }
    }
}

/// Whether the checksums between the blocks are right, and the first that is not: its number from 0.
pub fn wrong_block(checksum: &Checksum, template: &Template, raw: &[u8], wire: &[u8]) -> Option<WrongBlock> {
    let Algorithm::Special(special) = &checksum.algorithm else { return None };
    let blocks = special.blocks?;
    let (from, to) = checksum::span(checksum, raw.len());
    let mut at = template.wire_index(from, raw.len());
    let plain = raw.get(from..to).unwrap_or_default();
    let mut chunks = plain.chunks(blocks.every).enumerate().peekable();
    while let Some((number, chunk)) = chunks.next() {
        if blocks.in_field && chunks.peek().is_none() {
            return None;
        }
        let changed = wire.get(at..at + chunk.len()).unwrap_or_default();
        let right = of_block(checksum, special, if checksum.over_wire { changed } else { chunk });
        at += chunk.len();
        let found = wire.get(at..at + blocks.len).unwrap_or_default();
        if read_number(found, blocks.little) != right {
            let found = read_number(found, blocks.little);
            return Some(WrongBlock { number, at, right, found, len: blocks.len, little: blocks.little });
        }
        at += blocks.len;
    }
    None
}

/// A checksum of a block that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongBlock {
    /// The block's number, from 0.
    pub number: usize,
    /// Where it is in the coded frame.
    pub at: usize,
    /// What it should be.
    pub right: u64,
    /// What it is.
    pub found: u64,
    /// Its bytes.
    pub len: usize,
    /// Low byte first.
    pub little: bool,
}

/// Whether one of a template's checksums is right.
pub fn is_right(checksum: &Checksum, template: &Template, frame: &Frame<'_>) -> bool {
    checksum::is_right(
        checksum,
        checksum::compute(checksum, template, frame.raw, frame.wire),
        stored(checksum, frame.raw),
    ) && wrong_block(checksum, template, frame.raw, frame.wire).is_none()
}

/// A template's only checksum, if it has no blocks and does not see how the frame travels.
#[inline]
fn alone(template: &Template) -> Option<(&Checksum, &Special)> {
    let checksum = template.checksum.as_ref()?;
    let Algorithm::Special(special) = &checksum.algorithm else { return None };
    let is_alone = special.before.is_empty() && special.blocks.is_none() && !checksum.over_wire;
    is_alone.then_some((checksum, &**special))
}

/// What the field of such a checksum holds, as one number.
#[inline]
fn of_alone(checksum: &Checksum, special: &Special, raw: &[u8]) -> u64 {
    let (from, to) = checksum::span(checksum, raw.len());
    let bytes = raw.get(from..to).unwrap_or_default();
    if special.holds_itself {
        return checksum::special(checksum, special, raw, bytes);
    }
    // A free CRC is the usual one here: its digits are text, or it has bits of its own.
    let sum = if let Algorithm::Free(crc) = &special.algorithm {
        crc.of_slice(bytes)
    } else {
        plain(&special.algorithm, bytes)
    };
    special.digits.write(checksum::complement(checksum.complement, sum) & special.mask, checksum.len)
}

/// Whether all are right.
pub(super) fn all_right(template: &Template, frame: &Frame<'_>) -> bool {
    if let Some((checksum, special)) = alone(template) {
        return checksum::is_right(checksum, of_alone(checksum, special, frame.raw), stored(checksum, frame.raw));
    }
    template.checksums().all(|checksum| is_right(checksum, template, frame))
}

/// Writes all checksums of a raw frame, in their order. `wire` is a scratch buffer.
pub fn write(template: &Template, raw: &mut [u8], wire: &mut Vec<u8>) {
    if let Some((checksum, special)) = alone(template) {
        let value = of_alone(checksum, special, raw);
        return put(checksum, value, raw);
    }
    for checksum in template.checksums() {
        if checksum.over_wire {
            wire.clear();
            encode_spanned(template, raw, wire);
        }
        let value = checksum::compute(checksum, template, raw, wire);
        put(checksum, value, raw);
    }
}

/// Writes a checksum.
#[inline]
fn put(checksum: &Checksum, value: u64, raw: &mut [u8]) {
    let at = checksum.at.in_frame(raw.len());
    if let Some(place) = raw.get_mut(at..).and_then(|rest| rest.get_mut(..checksum.len)) {
        write_number(value, checksum.little, place);
    }
}

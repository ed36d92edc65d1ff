//! Frames that travel otherwise than as they are or in hex characters (spec shapes.md, Bytes changed in transit): from the raw frame to
//! the coded one and the wire, and back.

use super::inner::{Frame, digit, encode_hex, same};
use super::reason::Reason;
use super::{stuffing, sums};
use crate::model::coding::{Change, Coding};
use crate::model::template::Template;
use std::ops::Range;

/// Bytes of the number behind a coded and a raw frame in one buffer.
const NUMBER_BYTES: usize = size_of::<u32>();

/// The data frame of a raw frame of that size.
fn data(template: &Template, raw_len: usize) -> Range<usize> {
    let end = raw_len.saturating_sub(template.tail_len);
    template.left_len.min(end)..end
}

/// Appends the coded frame: what travels, before any escapes.
pub(super) fn code(template: &Template, raw: &[u8], out: &mut Vec<u8>) {
    let Some(coding) = &template.coding else { return out.extend_from_slice(raw) };
    let data = data(template, raw.len());
    if coding.hex {
        return code_hex(template, coding, raw, out);
    }
    out.extend_from_slice(&raw[..data.start]);
    match template.checksums().find(|checksum| checksum.blocks().is_some()) {
        Some(checksum) => sums::interleave(checksum, &raw[data.clone()], coding.data, out),
        None => append(coding.data, &raw[data.clone()], out),
    }
    out.extend_from_slice(&raw[data.end..]);
}

/// Appends changed bytes.
#[inline]
pub(super) fn append(change: Change, plain: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    out.extend_from_slice(plain);
    change.make(&mut out[begin..]);
}

fn code_hex(template: &Template, coding: &Coding, raw: &[u8], out: &mut Vec<u8>) {
    let data = data(template, raw.len());
    let start = template.start.len().min(raw.len());
    let end = raw.len().saturating_sub(template.end.len()).max(start);
    out.extend_from_slice(&raw[..start]);
    for (at, &byte) in raw[..end].iter().enumerate().skip(start) {
        let mut one = [byte];
        if data.contains(&at) {
            coding.data.make(&mut one);
        }
        encode_hex(&one, out);
    }
    out.extend_from_slice(&raw[end..]);
}

/// Appends a raw frame as it travels.
pub(super) fn send(template: &Template, raw: &[u8], out: &mut Vec<u8>) {
    let begin = stuffing::begin(template, out);
    code(template, raw, out);
    stuffing::escape(template, begin, out);
}

/// Appends a frame that was read, as it came: its coded bytes ([`Frame::wire`]) in the envelope. Checksums of blocks, which the raw
/// frame has lost, are what they were.
pub fn send_again(template: &Template, coded: &[u8], out: &mut Vec<u8>) {
    let begin = stuffing::begin(template, out);
    out.extend_from_slice(coded);
    stuffing::escape(template, begin, out);
}

/// As [`send`], with wrong checksums of its blocks: all their bits are inverted.
pub fn send_spoiled(template: &Template, raw: &[u8], out: &mut Vec<u8>) {
    let begin = stuffing::begin(template, out);
    code(template, raw, out);
    if let Some(gaps) = template.coding.as_ref().and_then(|coding| coding.gaps) {
        let (from, to) = gaps.span(raw.len());
        for number in 1..=gaps.count(to - from) {
            let end = begin + (from + number * gaps.every).min(to) + number * gaps.len;
            out.get_mut(end - gaps.len..end).into_iter().flatten().for_each(|byte| *byte = !*byte);
        }
    }
    stuffing::escape(template, begin, out);
}

/// Appends bytes of a rule as they travel: without header, checksum or coding, but in the template's envelope.
pub fn send_as_it_is(template: &Template, bytes: &[u8], out: &mut Vec<u8>) {
    let begin = stuffing::begin(template, out);
    if stuffing::has_marks(template) {
        out.extend_from_slice(&template.start);
        out.extend_from_slice(bytes);
        out.extend_from_slice(&template.end);
    } else {
        out.extend_from_slice(bytes);
    }
    stuffing::escape(template, begin, out);
}

/// [`super::inner::parse`]. `scratch` then holds the coded frame and, where that is another, the raw frame and the coded one's size.
pub(super) fn parse<'a>(template: &Template, wire: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<Frame<'a>, Reason> {
    scratch.clear();
    let Some(coding) = &template.coding else { return Err(Reason::Short) };
    stuffing::plain(template, coding, wire, scratch)?;
    let least = template.left_len + template.data_len_fixed.unwrap_or(0) + template.tail_len;
    if scratch.len() < coding.coded_len(template, least) {
        return Err(Reason::Short);
    }
    let (start, end) = (&*template.start, &*template.end);
    if !scratch.get(..start.len()).is_some_and(|bytes| same(bytes, start)) {
        return Err(Reason::BadStart);
    }
    if !scratch.get(scratch.len().wrapping_sub(end.len())..).is_some_and(|bytes| same(bytes, end)) {
        return Err(Reason::BadEnd);
    }
    if !coding.is_plain() {
        decode(template, coding, scratch)?;
    }
    Ok(parsed(template, wire, scratch))
}

/// Appends to a coded frame its raw frame, and its own size.
fn decode(template: &Template, coding: &Coding, scratch: &mut Vec<u8>) -> Result<(), Reason> {
    let coded_len = scratch.len();
    let wrong = if coding.hex { Reason::BadHex } else { Reason::BadLength };
    let raw_len = coding.raw_len(template, coded_len).ok_or(wrong)?;
    if coding.hex {
        let body = template.start.len()..coded_len - template.end.len();
        scratch.extend_from_within(..body.start);
        for at in body.clone().step_by(2) {
            let pair = digit(scratch[at]).zip(digit(scratch[at + 1])).ok_or(Reason::BadHex)?;
            scratch.push((pair.0 << 4) | pair.1);
        }
        scratch.extend_from_within(body.end..coded_len);
    } else if let Some(gaps) = &coding.gaps {
        let (from, to) = gaps.span(raw_len);
        scratch.extend_from_within(..from);
        let mut at = from;
        for begin in (from..to).step_by(gaps.every) {
            let len = gaps.every.min(to - begin);
            scratch.extend_from_within(at..at + len);
            at += len + gaps.len;
        }
        scratch.extend_from_within(coded_len - (raw_len - to)..coded_len);
    } else {
        scratch.extend_from_within(..);
    }
    let data = data(template, raw_len);
    coding.data.undo(&mut scratch[coded_len + data.start..coded_len + data.end]);
    scratch.extend_from_slice(&(coded_len as u32).to_le_bytes());
    Ok(())
}

/// A frame that was parsed before, from what [`parse`] left in its scratch.
pub(super) fn parsed<'a>(template: &Template, wire: &'a [u8], scratch: &'a [u8]) -> Frame<'a> {
    let is_plain = template.coding.as_ref().is_none_or(|coding| coding.is_plain());
    let (coded, raw) = match scratch.split_last_chunk() {
        Some((both, number)) if !is_plain => {
            let number: [u8; NUMBER_BYTES] = *number;
            both.split_at_checked(u32::from_le_bytes(number) as usize).unwrap_or((wire, &[]))
        }
        _ => (scratch, scratch),
    };
    Frame { raw, wire: coded, data_len: raw.len().saturating_sub(template.left_len + template.tail_len) }
}

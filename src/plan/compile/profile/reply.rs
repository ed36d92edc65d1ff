//! Replies of known length: the whole outer frame, and what is written into it.

use super::jump::shorten;
use super::layout::{Layout, masks};
use super::seal::{is_sealed, place_len, seal};
use crate::model::fleet::Device;
use crate::model::profile::{Answer, BLOCK_BYTES, Block, Copied, DATA, FRONT, Seal, Ticked, Valued, Varied};
use crate::model::reply::{Patch, Payload, Reply};
use crate::model::template::{Encoding, Template};
use crate::wire::clock::{HIGH_DIGIT, LOW_DIGIT, ZERO, places, slot};
use crate::wire::envelope::{ESCAPE, Head, RTN_REPLY, xor};
use crate::wire::inner::{encode_wire, write_lengths};
use std::ops::Range;

/// What is written into a reply, by place in the buffer.
#[derive(Debug, Default)]
struct Written {
    /// From the request: places there and here.
    copies: Vec<(usize, usize)>,
    /// Of the clock: places here, and which byte.
    ticks: Vec<(usize, u8)>,
    values: Vec<Valued>,
    /// The places of values.
    valued: Vec<usize>,
    /// All places that are written.
    places: Vec<usize>,
}

/// A reply to such requests; `None`: the general code builds it.
pub(super) fn answer(device: &Device, request: &Layout<'_>, reply: &Reply) -> Option<Answer> {
    let template = &*device.template;
    let Known { raw, data } = known(template, reply)?;
    let layout = Layout::new(template, raw.len())?;
    let seal = match &template.checksum {
        Some(checksum) => Some(seal(checksum, &layout)?),
        None => None,
    };
    let mut written = writes((request, &layout), reply, &data)?;
    written.places.sort_unstable();
    let places = seal.iter().flat_map(|seal| usize::from(seal.at)..usize::from(seal.at) + place_len(seal));
    let mut all: Vec<usize> = written.places.iter().copied().chain(places).collect();
    all.sort_unstable();
    if all.windows(2).any(|pair| pair[0] == pair[1]) {
        // Which of two writes is the last is not told here.
        return None;
    }
    let mut frame = frame(device, &raw)?;
    let verify = frame.len() - 2;
    let known = (1..verify).filter(|place| all.binary_search(place).is_err());
    let known = known.map(|place| (frame[place], is_sealed(seal.as_ref(), place)));
    let xor = known.clone().fold(0, |all, (byte, _)| all ^ byte);
    let escaped = known.clone().any(|(byte, _)| byte >= ESCAPE);
    let sum = known.filter(|&(_, is_sealed)| is_sealed).map(|(byte, _)| u64::from(byte)).sum();
    // A value may leave the template's bytes; all others are added to 00.
    written.valued.sort_unstable();
    for &place in all.iter().filter(|place| written.valued.binary_search(place).is_err()) {
        frame[place] = 0;
    }
    frame[verify] = 0;
    let varied = masks(written.valued).into_iter();
    let varied = varied.map(|(at, mask)| Varied { mask, sealed: sealed(seal.as_ref(), at, mask), at: at as u8 });
    let ticks = ticks(written.ticks).into_iter();
    let ticks = ticks.map(|tick| Ticked { sealed: sealed(seal.as_ref(), tick.to.into(), tick.sealed), ..tick });
    let mut shortened = seal;
    let jump = match (&mut shortened, &template.checksum) {
        (Some(seal), Some(checksum)) => shorten(seal, checksum, &frame, &written.places),
        _ => None,
    };
    let mut copies = copies(written.copies, seal.as_ref()).into_iter();
    let mut blocks = blocks(&frame);
    let behind = blocks.split_off(FRONT.min(blocks.len()));
    blocks.resize(FRONT, [0; BLOCK_BYTES]);
    let copied = copies.next().unwrap_or_default();
    let (varied, copies, ticks): (Box<[_]>, Box<[_]>, Box<[_]>) = (varied.collect(), copies.collect(), ticks.collect());
    Some(Answer {
        is_short: varied.is_empty() && copies.is_empty() && ticks.is_empty(),
        varied,
        copied,
        copies,
        ticks,
        values: written.values.into(),
        front: blocks.try_into().ok()?,
        behind: behind.into(),
        last: (frame.len() - 1) as u8,
        data_len: layout.wire_len as u8,
        seal: shortened,
        sum,
        jump,
        xor,
        escaped,
        hex: template.encoding == Encoding::AsciiHex,
    })
}

/// What the patches of a reply write; `None`: a profile cannot make it. A refusal has no data where that is.
fn writes(layouts: (&Layout<'_>, &Layout<'_>), reply: &Reply, data: &Range<usize>) -> Option<Written> {
    let mut written = Written::default();
    for (number, patch) in reply.patches.iter().enumerate() {
        if meets(data, patch) {
            // Of a refusal: only what changes nothing but these bytes may be left out.
            let is_copy = matches!(patch, Patch::Copy { .. } | Patch::CopyReversed { .. });
            let span = span(patch);
            if !is_copy || span.start < data.start || span.end > data.end {
                return None;
            }
            continue;
        }
        write(&mut written, layouts, number, patch)?;
    }
    Some(written)
}

/// Those bytes of a window that are in the span of the checksum.
fn sealed(seal: Option<&Seal>, at: usize, mask: u64) -> u64 {
    let inside = (0..8).filter(|&byte| is_sealed(seal, at + byte));
    inside.fold(0, |all, byte| all | (0xFF << (8 * byte))) & mask
}

/// A frame in blocks.
fn blocks(frame: &[u8]) -> Vec<Block> {
    let block = |bytes: &[u8]| {
        let mut block = [0; BLOCK_BYTES];
        block[..bytes.len()].copy_from_slice(bytes);
        block
    };
    frame.chunks(BLOCK_BYTES).map(block).collect()
}

/// A raw frame with everything that is known.
struct Known {
    raw: Vec<u8>,
    /// Where a refusal has no data, though patches may write some; and everything behind it, which has moved.
    data: Range<usize>,
}

/// The bytes that a patch writes.
fn span(patch: &Patch) -> Range<usize> {
    match *patch {
        Patch::Copy { to, len, .. } | Patch::CopyReversed { to, len, .. } | Patch::Number { to, len, .. } => {
            to..to + len
        }
        Patch::Text { to, ref slot, .. } => to..to + slot.len,
    }
}

/// Whether a patch writes some of these bytes.
fn meets(bytes: &Range<usize>, patch: &Patch) -> bool {
    let span = span(patch);
    bytes.start < span.end && span.start < bytes.end
}

/// The raw frame; `None`: whether it has its data is known only with its values.
fn known(template: &Template, reply: &Reply) -> Option<Known> {
    if !matches!(reply.payload, Payload::None) {
        return None;
    }
    let mut raw = reply.frame.to_vec();
    let Some(refusal) = &reply.refusal else { return Some(Known { raw, data: 0..0 }) };
    let header = refusal.at..refusal.at + refusal.len;
    if reply.patches.iter().any(|patch| meets(&header, patch)) {
        return None;
    }
    let value = raw.get(header)?;
    if refusal.ok.iter().any(|ok| **ok == *value) {
        return Some(Known { raw, data: 0..0 });
    }
    // It is a refusal.
    let data = template.left_len..template.left_len + reply.data_len;
    if reply.patches.iter().any(|patch| span(patch).end > data.end) {
        return None;
    }
    if template.data_len_fixed.is_some() {
        raw.get_mut(data.clone())?.fill(refusal.padding);
    } else {
        raw.drain(data.clone());
        write_lengths(&template.lengths, 0, reply.less, &mut raw);
    }
    Some(Known { raw, data })
}

/// The outer frame of a reply.
fn frame(device: &Device, raw: &[u8]) -> Option<Vec<u8>> {
    let (mut wire, mut frame) = (Vec::new(), Vec::new());
    encode_wire(&device.template, raw, &mut wire);
    let head = Head { rtn_flag: RTN_REPLY, ..Head::heartbeat(&[0; 20], device.sub_dev_type, device.sub_dev_addr) };
    head.build(Some(&wire), &mut frame).ok()?;
    debug_assert_eq!((frame.get(DATA), xor(&frame[1..frame.len() - 1])), (wire.first(), 0));
    Some(frame)
}

/// Adds one patch; `None`: a profile cannot make it.
fn write(
    written: &mut Written,
    (request, reply): (&Layout<'_>, &Layout<'_>),
    number: usize,
    patch: &Patch,
) -> Option<()> {
    let mut copy = |from: usize, to: usize| {
        let (from, to) = (request.span(from, 1)?, reply.span(to, 1)?);
        (from.len() == to.len()).then_some(())?;
        written.places.extend(to.clone());
        written.copies.extend(from.zip(to));
        Some(())
    };
    match *patch {
        Patch::Copy { from, to, len } => {
            let from = from.in_frame(request.raw_len);
            (0..len).try_for_each(|byte| copy(from + byte, to + byte))
        }
        Patch::CopyReversed { from, to, len } => {
            let from = from.in_frame(request.raw_len);
            (0..len).try_for_each(|byte| copy(from + len - 1 - byte, to + byte))
        }
        Patch::Number { number: which, to, len, form } => {
            let span = reply.span(to, len)?;
            written.places.extend(span.clone());
            if let Some(bytes) = places(which, form, len) {
                let is_hex = span.len() > len;
                let digits =
                    |&which: &u8| if is_hex { vec![HIGH_DIGIT | which, LOW_DIGIT | which] } else { vec![which] };
                written.ticks.extend(span.zip(bytes.iter().flat_map(digits)));
            } else {
                written.values.push(Valued { patch: u16::try_from(number).ok()?, to: span.start as u8 });
                written.valued.extend(span);
            }
            Some(())
        }
        Patch::Text { to, ref slot, .. } => {
            let span = reply.span(to, slot.len)?;
            written.places.extend(span.clone());
            written.values.push(Valued { patch: u16::try_from(number).ok()?, to: span.start as u8 });
            written.valued.extend(span);
            Some(())
        }
    }
}

/// Copies of bytes as copies of blocks: bytes that keep their distance go together.
fn copies(mut bytes: Vec<(usize, usize)>, seal: Option<&Seal>) -> Vec<Copied> {
    bytes.sort_unstable_by_key(|&(_, to)| to);
    let mut out: Vec<Copied> = Vec::new();
    for (from, to) in bytes {
        let number = |copied: &Copied| to - usize::from(copied.to);
        let is_near = |last: &Copied| number(last) < BLOCK_BYTES && usize::from(last.from) + number(last) == from;
        if !out.last().is_some_and(is_near) {
            out.push(Copied { mask: [0; BLOCK_BYTES], sealed: [0; BLOCK_BYTES], from: from as u8, to: to as u8 });
        }
        if let Some(last) = out.last_mut() {
            let number = number(last);
            last.mask[number] = 0xFF;
            last.sealed[number] = if is_sealed(seal, to) { 0xFF } else { 0 };
        }
    }
    out
}

/// Bytes of the clock, by eight; as `sealed` those that are written.
fn ticks(mut bytes: Vec<(usize, u8)>) -> Vec<Ticked> {
    bytes.sort_unstable();
    let windows = masks(bytes.iter().map(|&(to, _)| to)).into_iter();
    let window = |(at, mask): (usize, u64)| {
        let byte = |place: usize| bytes.iter().find(|&&(to, _)| to == place).map_or(ZERO, |&(_, which)| which);
        let which = std::array::from_fn(|number| byte(at + number));
        Ticked { which, slot: slot(which), sealed: mask, to: at as u8 }
    };
    windows.map(window).collect()
}

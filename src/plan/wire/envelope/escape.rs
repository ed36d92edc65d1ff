//! Escapes and P_verify (spec b-interface.md, Escaping): FF -> FD 00, FE -> FD 01, FD -> FD 02.

use super::{ESCAPE, HEADER};
use crate::wire::reason::Reason;

/// Bytes per step of a search.
const BLOCK_BYTES: usize = 16;

/// XOR of all bytes.
#[inline]
pub fn xor(bytes: &[u8]) -> u8 {
    // Eight lanes at once: XOR keeps them apart, so folding comes last.
    let (words, rest) = bytes.as_chunks::<8>();
    // The word that ends with the last byte, without the bytes of earlier words.
    let rest = match bytes.last_chunk() {
        _ if rest.is_empty() => 0,
        Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
        None => rest.iter().fold(0, |sum, &byte| sum ^ u64::from(byte)),
    };
    let wide = words.iter().fold(rest, |sum, word| sum ^ u64::from_le_bytes(*word));
    let half = (wide ^ (wide >> 32)) as u32;
    let quarter = half ^ (half >> 16);
    (quarter ^ (quarter >> 8)) as u8
}

/// Index of the first byte of at least `LEAST`; the special bytes are the highest.
#[inline]
pub(super) fn first_from<const LEAST: u8>(bytes: &[u8]) -> Option<usize> {
    let Some(last) = bytes.last_chunk() else { return bytes.iter().position(|&byte| byte >= LEAST) };
    // The last block overlaps the one before it, which has no such byte then.
    let (blocks, _) = bytes.as_chunks();
    let at = match blocks.iter().position(has_one::<LEAST>) {
        Some(number) => number * BLOCK_BYTES,
        None if has_one::<LEAST>(last) => bytes.len() - BLOCK_BYTES,
        None => return None,
    };
    let (words, _) = bytes.get(at..)?.as_chunks();
    let in_word = |number: usize| words.get(number).copied().and_then(first_in_word::<LEAST>);
    Some(at + in_word(0).or_else(|| in_word(1).map(|found| found + 8))?)
}

/// Whether a block has one.
#[expect(clippy::unnecessary_fold, reason = "`any` looks at one byte after the other, this at all of them at once")]
#[inline]
fn has_one<const LEAST: u8>(block: &[u8; BLOCK_BYTES]) -> bool {
    block.iter().fold(false, |any, &byte| any || byte >= LEAST)
}

/// The same in a word.
#[inline]
fn first_in_word<const LEAST: u8>(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xFF;
    const TOPS: u64 = ONES << 7;
    let bound = ONES * u64::from(u8::MAX - LEAST + 1);
    // A byte of at least `LEAST` is, inverted, below `bound`'s: then the subtraction borrows, which its top bit shows where it
    // was not set before. The lowest such bit is right; what is above it may have been borrowed from.
    let inverted = !u64::from_le_bytes(word);
    let found = inverted.wrapping_sub(bound) & !inverted & TOPS;
    (found != 0).then(|| (found.trailing_zeros() / 8) as usize)
}

/// The frame as it goes on the wire: `plain` itself if nothing has to be escaped, else the escaped
/// frame in `out`, which is overwritten.
#[inline]
pub fn escape<'a>(plain: &'a [u8], out: &'a mut Vec<u8>) -> &'a [u8] {
    let body = plain.get(1..plain.len().saturating_sub(1)).unwrap_or_default();
    match first_from::<ESCAPE>(body) {
        None => plain,
        Some(first) => {
            escape_from(plain, first + 1, out);
            out
        }
    }
}

/// [`escape`] without a second buffer, for short frames: every escape moves what follows.
pub fn escape_in_place(frame: &mut Vec<u8>) {
    for at in (1..frame.len().saturating_sub(1)).rev() {
        let byte = frame[at];
        if byte >= ESCAPE {
            frame[at] = ESCAPE;
            frame.insert(at + 1, HEADER - byte);
        }
    }
}

/// `at` is the first byte of `plain` to be escaped.
fn escape_from(plain: &[u8], mut at: usize, out: &mut Vec<u8>) {
    out.clear();
    out.reserve(plain.len() + plain.len() / 8);
    let (mut rest, tailer) = plain.split_at(plain.len() - 1);
    loop {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[ESCAPE, HEADER - rest[at]]);
        rest = &rest[at + 1..];
        match first_from::<ESCAPE>(rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(tailer);
}

/// Takes the escapes out of `wire` (P_header to P_tailer) and writes the frame to `out`, which is overwritten. `first`
/// is the index of the first escape. The error is [`Reason::OuterBadEscape`].
pub fn unescape(wire: &[u8], first: usize, out: &mut Vec<u8>) -> Result<(), Reason> {
    out.clear();
    out.reserve(wire.len());
    let (mut rest, mut next) = (wire, (first < wire.len()).then_some(first));
    while let Some(at) = next {
        out.extend_from_slice(&rest[..at]);
        rest = match rest[at..] {
            [ESCAPE, code @ 0..=2, ..] => {
                out.push(HEADER - code);
                &rest[at + 2..]
            }
            [ESCAPE, ..] => return Err(Reason::OuterBadEscape),
            // P_tailer, at the end.
            [other, ..] => {
                out.push(other);
                &rest[at + 1..]
            }
            [] => break,
        };
        next = first_from::<ESCAPE>(rest);
    }
    out.extend_from_slice(rest);
    Ok(())
}

//! Escapes and P_verify (spec b-interface.md, Escaping): FF -> FD 00, FE -> FD 01, FD -> FD 02.

use super::{ESCAPE, HEADER, TAILER};
use crate::codec::reason::Reason;
use memchr::{memchr, memchr3};

/// XOR of all bytes.
#[inline]
pub fn xor(bytes: &[u8]) -> u8 {
    // Eight lanes at once: XOR keeps them apart, so folding comes last.
    let (words, rest) = bytes.as_chunks::<8>();
    let wide = words.iter().fold(0, |sum, word| sum ^ u64::from_le_bytes(*word));
    let half = (wide ^ (wide >> 32)) as u32;
    let quarter = half ^ (half >> 16);
    rest.iter().fold((quarter ^ (quarter >> 8)) as u8, |sum, byte| sum ^ byte)
}

/// The frame as it goes on the wire. `plain` is returned as it is where nothing has to be escaped; else the escaped
/// frame is written over whatever `out` holds.
#[inline]
pub fn escape<'a>(plain: &'a [u8], out: &'a mut Vec<u8>) -> &'a [u8] {
    let body = plain.get(1..plain.len().saturating_sub(1)).unwrap_or_default();
    match memchr3(ESCAPE, TAILER, HEADER, body) {
        None => plain,
        Some(first) => {
            escape_from(plain, first + 1, out);
            out
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
        match memchr3(ESCAPE, TAILER, HEADER, rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(tailer);
}

/// Takes the escapes out of `wire` (P_header to P_tailer) and writes the frame over whatever `out` holds. `first`
/// is where the first escape stands. The error is [`Reason::OuterBadEscape`].
pub fn unescape(wire: &[u8], first: usize, out: &mut Vec<u8>) -> Result<(), Reason> {
    out.clear();
    out.reserve(wire.len());
    let (mut rest, mut next) = (wire, (first < wire.len()).then_some(first));
    while let Some(at) = next {
        out.extend_from_slice(&rest[..at]);
        match rest.get(at + 1) {
            Some(&code @ 0..=2) => out.push(HEADER - code),
            _ => return Err(Reason::OuterBadEscape),
        }
        rest = &rest[at + 2..];
        next = memchr(ESCAPE, rest);
    }
    out.extend_from_slice(rest);
    Ok(())
}

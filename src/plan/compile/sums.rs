//! Several checksums of a template, and the parameters of a CRC.

use super::field;
use crate::config::algorithm::RawCrc;
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::model::digits::Digits;
use crate::model::sums::CrcSpec;
use crate::model::template::{Algorithm, Checksum, Special};
use crate::wire::checksum::span;
use crate::words::Shift;

/// An algorithm with nothing special about it.
pub(super) fn special(algorithm: Algorithm) -> Special {
    Special {
        algorithm,
        holds_itself: false,
        skips_itself: false,
        digits: Digits::Binary,
        mask: u64::MAX,
        before: Box::default(),
        blocks: None,
    }
}

/// A CRC's parameters; `None` after an error.
pub(super) fn crc(diags: &mut Diags, pos: Pos, raw: &RawCrc) -> Option<CrcSpec> {
    let Some(width) = &raw.width else {
        diags.missing(pos, "width", "bits of the CRC, 8 to 64");
        return None;
    };
    if !(8..=64).contains(&width.value) {
        diags.error(width.pos, format!("a CRC of {} bits (8 to 64)", width.value));
        return None;
    }
    let bits = width.value as u32;
    let mut number = |at: Option<&At<String>>| {
        let Some(at) = at else { return Some(0) };
        let digits: String = at.value.split_whitespace().collect();
        let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(&digits);
        let number = u64::from_str_radix(digits, 16).ok().filter(|number| bits == 64 || number >> bits == 0);
        if number.is_none() || digits.starts_with('+') {
            diags.error(at.pos, format!("`{}` (hex digits of a number of {bits} bits)", at.value));
        }
        number
    };
    let (poly, init, xorout) = (number(raw.poly.as_ref()), number(raw.init.as_ref()), number(raw.xorout.as_ref()));
    if raw.poly.is_none() {
        diags.missing(pos, "poly", "the polynomial in hex digits, without its highest bit");
        return None;
    }
    let is_on = |at: Option<&At<bool>>| at.map(|at| at.value);
    let refin = is_on(raw.refin.as_ref()).unwrap_or(false);
    let refout = is_on(raw.refout.as_ref()).unwrap_or(refin);
    let high = field::word(diags, raw.shift.as_ref(), Shift::Low) == Shift::High;
    if let Some(shift) = raw.shift.as_ref().filter(|_| high && (bits != 16 || !refin)) {
        diags.error(shift.pos, "`\"shift\": \"high\"` is of a CRC of 16 bits with `\"refin\": true`");
        return None;
    }
    Some(CrcSpec { width: bits, poly: poly?, init: init?, refin, refout, xorout: xorout?, high })
}

/// What it is called.
pub(super) fn crc_name(spec: &CrcSpec) -> String {
    let CrcSpec { width, poly, init, refin, refout, xorout, high } = *spec;
    let digits = width.div_ceil(4) as usize;
    let shift = if high { " shift=high" } else { "" };
    format!(
        "crc of {width} bits, poly={poly:0digits$X} init={init:0digits$X} refin={refin} refout={refout} xorout={xorout:0digits$X}{shift}"
    )
}

/// Does the span of one hold the field of the other, in a frame of that size?
fn covers(one: &Checksum, other: &Checksum, raw_len: usize) -> bool {
    let ((from, to), at) = (span(one, raw_len), other.at.in_frame(raw_len));
    other.len > 0 && at < to && from < at + other.len
}

/// A long frame: a place from the start and one from the end meet in short ones alone.
const LONG: usize = 1 << 20;

/// The checksums of a template whose shortest frame has that many bytes, as one: the last that is computed, which has the others. A checksum comes after those that its span holds.
pub(super) fn join(diags: &mut Diags, mut list: Vec<(Checksum, Pos)>, shortest: usize) -> Option<Checksum> {
    if let Some((_, pos)) = list.iter().filter(|(checksum, _)| checksum.blocks().is_some()).nth(1) {
        diags.error(*pos, "a second checksum with `blocks` (one entry has them)");
        return None;
    }
    let mut before = Vec::with_capacity(list.len());
    while !list.is_empty() {
        let is_free = |number: usize| {
            let one = &list[number].0;
            let holds = |other: &Checksum| [shortest, LONG].iter().any(|&len| covers(one, other, len));
            !list.iter().enumerate().any(|(other, (checksum, _))| other != number && holds(checksum))
        };
        // Blocks without a field come first: others may be over them as they travel.
        let free: Vec<usize> = (0..list.len()).filter(|&number| is_free(number)).collect();
        let next = free.iter().copied().find(|&number| list[number].0.len == 0).or_else(|| free.first().copied());
        let Some(next) = next else {
            let (_, pos) = list.first()?;
            diags.error(*pos, "checksums whose spans hold each other (`from` and `to`: one of them has to end before the other's field)");
            return None;
        };
        before.push(list.remove(next).0);
    }
    let mut last = before.pop()?;
    if before.is_empty() {
        return Some(last);
    }
    last.algorithm = Algorithm::Special(Box::new(match std::mem::replace(&mut last.algorithm, Algorithm::Sum) {
        Algorithm::Special(own) => Special { before: before.into(), ..*own },
        algorithm => Special { before: before.into(), mask: last.mask, ..special(algorithm) },
    }));
    Some(last)
}

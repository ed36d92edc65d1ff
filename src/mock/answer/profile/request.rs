//! Which rule answers a request.

use super::Buffers;
use super::buffer::{Buffer, hex};
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::profile::{Answer, Jump, Profile, Row, Seal, SealForm, Tally};
use fsu_plan::wire::checksum::{plain, sum_xor};
use fsu_plan::wire::crc16::{Crc16, jumped};

/// The rule that answers a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'p> {
    /// Index of the device in the FSU.
    pub(super) number: usize,
    /// The rule in the profile.
    pub(super) row: &'p Row,
    /// Its first reply.
    pub(super) answer: &'p Answer,
}

/// The rule that answers the request in the buffers, by the profile of its device; `None`: the general code decides. `sum` is that
/// of the bytes in the checksum's span.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub(crate) fn find<'p>(
    (fsu, number): (&Fsu, usize),
    profile: &'p Profile,
    buffers: &Buffers,
    sum: u64,
) -> Option<Found<'p>> {
    let request = &buffers.request;
    if profile.has_more && !has_more(profile, request) {
        return None;
    }
    if let Some(seal) = &profile.seal
        && request.load(seal.at) & seal.place != sealed((seal, None), (fsu, number), request, sum)
    {
        return None;
    }
    let rows = profile.keys.find(|at| request.load(at));
    let row = match rows {
        [row, ..] if row.check.mask == 0 => row,
        _ => first(rows, request)?,
    };
    row.answers.first().map(|answer| Found { number, row, answer })
}

/// Whether a request has what is no known byte.
#[expect(clippy::inline_always, reason = "bench/instructions.sh counts fewer")]
#[inline(always)]
fn has_more(profile: &Profile, request: &Buffer) -> bool {
    request.has(&profile.rest) && profile.digits.is_none_or(|(from, to)| request.is_hex(from, to))
}

/// The first of these rows whose checks fit.
#[expect(clippy::manual_find, reason = "an iterator's `find` is a call of its own")]
#[inline]
fn first<'p>(rows: &'p [Row], request: &Buffer) -> Option<&'p Row> {
    for row in rows {
        if request.has_one(&row.check) && (row.checks.is_empty() || request.has(&row.checks)) {
            return Some(row);
        }
    }
    None
}

/// The bytes of the checksum of a frame whose bytes add up to `sum`; with what is behind the span of a CRC.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub(super) fn sealed(
    (seal, jump): (&Seal, Option<&Jump>),
    (fsu, number): (&Fsu, usize),
    frame: &Buffer,
    sum: u64,
) -> u64 {
    if seal.is_plain {
        return sum & seal.mask;
    }
    let number = match seal.tally {
        Tally::Sum => sum,
        Tally::SumXor => sum_xor(sum),
        Tally::Crc16 { .. } | Tally::Whole => whole((seal, jump), (fsu, number), frame),
    };
    let number = (number ^ seal.flip).wrapping_add(seal.add) & seal.mask;
    match seal.form {
        SealForm::Little => number,
        SealForm::Big(shift) => number.swap_bytes() >> shift,
        SealForm::Hex(len, false) => hex(number, u32::from(len)),
        SealForm::Hex(len, true) => hex(number.swap_bytes() >> (64 - 8 * u32::from(len)), u32::from(len)),
    }
}

/// The template's algorithm over all bytes of the span.
#[inline(never)]
fn whole((seal, jump): (&Seal, Option<&Jump>), (fsu, number): (&Fsu, usize), frame: &Buffer) -> u64 {
    let bytes = frame.slice(seal.from, seal.to);
    let checksum = fsu.devices.get(number).and_then(|device| device.template.checksum.as_ref());
    let Some(checksum) = checksum else { return 0 };
    if let Tally::Crc16 { register, is_reflected } = seal.tally
        && let Some(crc) = Crc16::table(&checksum.algorithm, is_reflected)
    {
        let register = crc.run(register, bytes);
        return jump.map_or(register, |jump| jumped(jump, register)).into();
    }
    plain(&checksum.algorithm, bytes)
}

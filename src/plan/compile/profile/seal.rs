//! The checksum of a frame of known length.

use super::layout::Layout;
use crate::model::profile::{Seal, SealForm, Tally};
use crate::model::template::{Algorithm, Checksum, Complement};
use crate::wire::checksum::span;
use crate::wire::crc16::Crc16;

/// The checksum in such a frame; `None`: a profile cannot take it.
pub(super) fn seal(checksum: &Checksum, layout: &Layout<'_>) -> Option<Seal> {
    let (tally, xorout) = match &checksum.algorithm {
        Algorithm::Sum => (Tally::Sum, 0),
        Algorithm::SumXor => (Tally::SumXor, 0),
        Algorithm::Special(_) => return None,
        algorithm => match Crc16::new(algorithm) {
            Some((crc, register, xorout)) => (Tally::Crc16 { register, is_reflected: crc.is_reflected() }, xorout),
            None => (Tally::Whole, 0),
        },
    };
    let (from, to) = span(checksum, layout.raw_len);
    // A span outside the frame is empty; one over bytes that travel as digits would have to be decoded.
    let is_hex = (from..to).any(|raw| layout.is_hex(raw));
    if from > to || to > layout.raw_len || (is_hex && !checksum.over_wire) {
        return None;
    }
    let at = checksum.at.in_frame(layout.raw_len);
    let place = layout.span(at, checksum.len)?;
    let form = match (layout.is_hex(at), checksum.little || checksum.len == 1) {
        (true, _) => SealForm::Hex(checksum.len as u8, checksum.little),
        (false, true) => SealForm::Little,
        (false, false) => SealForm::Big(64 - 8 * checksum.len as u32),
    };
    let (from, to) = (layout.place(from), layout.place(to));
    let overlaps = place.start < to && from < place.end;
    (place.len() <= 8 && !overlaps).then(|| Seal {
        tally,
        flip: u64::from(xorout) ^ if checksum.complement == Complement::None { 0 } else { u64::MAX },
        add: u64::from(checksum.complement == Complement::Twos),
        is_plain: tally == Tally::Sum && checksum.complement == Complement::None && form == SealForm::Little,
        form,
        from: from as u8,
        to: to as u8,
        at: place.start as u8,
        place: u64::MAX >> (64 - 8 * place.len()),
        mask: checksum.mask,
    })
}

/// Bytes of a checksum on the wire.
pub(super) fn place_len(seal: &Seal) -> usize {
    (seal.place.count_ones() / 8) as usize
}

/// Whether the checksum is summed over that place.
pub(super) fn is_sealed(seal: Option<&Seal>, place: usize) -> bool {
    seal.is_some_and(|seal| {
        matches!(seal.tally, Tally::Sum | Tally::SumXor)
            && (usize::from(seal.from)..usize::from(seal.to)).contains(&place)
    })
}

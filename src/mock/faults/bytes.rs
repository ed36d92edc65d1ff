//! Changes a reply's bytes. Each function records which faults took effect: a reply without a checksum cannot get a wrong
//! one.

use super::Drawn;
use crate::seal::seal;
use fastrand::Rng;
use fsu_plan::model::fault::FaultKind;
use fsu_plan::model::field::KeyPart;
use fsu_plan::model::template::{KeyShape, Template};
use fsu_plan::wire::checksum::write_number;
use fsu_plan::wire::coding;
use fsu_plan::wire::inner::encode_wire;

/// Faults of the inner frame: `wrong_type`, `bad_checksum` and, if no outer frame follows (`alone`), `corrupt`. Writes the wire
/// bytes over whatever `wire` holds.
pub fn inner(template: &Template, drawn: &mut Drawn, alone: bool, raw: &mut [u8], wire: &mut Vec<u8>) {
    let mut spoiled = false;
    if !drawn.made.has(FaultKind::Garbage) {
        spoiled = inner_raw(template, drawn, alone, raw, wire);
    }
    wire.clear();
    if spoiled { coding::send_spoiled(template, raw, wire) } else { encode_wire(template, raw, wire) }
}

/// [`inner`] of one of several replies, which may be bytes as they are (`is_plain`).
pub(crate) fn one_of(
    (template, is_plain): (&Template, bool),
    drawn: &mut Drawn,
    alone: bool,
    raw: &mut [u8],
    wire: &mut Vec<u8>,
) {
    if is_plain { plain(template, drawn, alone, raw, wire) } else { inner(template, drawn, alone, raw, wire) }
}

/// Bytes as they are have no key, no checksum and no encoding.
fn plain(template: &Template, drawn: &mut Drawn, alone: bool, raw: &mut [u8], wire: &mut Vec<u8>) {
    let corrupt = alone && drawn.made.has(FaultKind::Corrupt) && !drawn.made.has(FaultKind::Garbage);
    if corrupt && flip(raw, drawn.how(FaultKind::Corrupt)) {
        drawn.done.add(FaultKind::Corrupt);
    }
    wire.clear();
    coding::send_as_it_is(template, raw, wire);
}

/// Changes the raw frame. Whether the checksums of its blocks are to be wrong as well.
fn inner_raw(template: &Template, drawn: &mut Drawn, alone: bool, raw: &mut [u8], wire: &mut Vec<u8>) -> bool {
    let mut spoiled = false;
    if drawn.made.has(FaultKind::WrongType) && wrong_type(template, drawn, raw) {
        seal(template, raw, wire);
        drawn.done.add(FaultKind::WrongType);
    }
    if drawn.made.has(FaultKind::BadChecksum) {
        for checksum in template.checksums() {
            let at = checksum.at.in_frame(raw.len());
            let Some(bytes) = raw.get_mut(at..).and_then(|rest| rest.get_mut(..checksum.len)) else { continue };
            // Invert all bits: no single flipped bit makes the checksum right again.
            for byte in bytes {
                *byte = !*byte;
            }
            let has_blocks = checksum.blocks().is_some() && raw.len() > template.left_len + template.tail_len;
            spoiled |= has_blocks;
            if checksum.len > 0 || has_blocks {
                drawn.done.add(FaultKind::BadChecksum);
            }
        }
    }
    if alone && drawn.made.has(FaultKind::Corrupt) {
        let (start, end) = (template.start.len(), raw.len().saturating_sub(template.end.len()));
        if let Some(bytes) = raw.get_mut(start..end)
            && flip(bytes, drawn.how(FaultKind::Corrupt))
        {
            drawn.done.add(FaultKind::Corrupt);
        }
    }
    spoiled
}

/// Faults of the outer frame before it is escaped: `bad_verify`, and `corrupt` between P_header and P_tailer.
pub fn outer(drawn: &mut Drawn, framed: &mut [u8]) {
    let len = framed.len();
    if drawn.made.has(FaultKind::Garbage) || len < 4 {
        return;
    }
    if drawn.made.has(FaultKind::BadVerify) {
        framed[len - 2] = !framed[len - 2];
        drawn.done.add(FaultKind::BadVerify);
    }
    if drawn.made.has(FaultKind::Corrupt) && flip(&mut framed[1..len - 1], drawn.how(FaultKind::Corrupt)) {
        drawn.done.add(FaultKind::Corrupt);
    }
}

/// Faults of the wire bytes: `garbage`, otherwise `truncate`.
pub fn last(drawn: &mut Drawn, bytes: &mut Vec<u8>) {
    if drawn.made.has(FaultKind::Garbage) {
        Rng::with_seed(drawn.how(FaultKind::Garbage)).fill(bytes);
        drawn.done.add(FaultKind::Garbage);
    } else if drawn.made.has(FaultKind::Truncate) && bytes.len() > 1 {
        let kept = 1 + drawn.how(FaultKind::Truncate) % (bytes.len() as u64 - 1);
        bytes.truncate(kept as usize);
        drawn.done.add(FaultKind::Truncate);
    }
}

/// Flips one bit; false if there is none.
fn flip(bytes: &mut [u8], how: u64) -> bool {
    if bytes.is_empty() {
        return false;
    }
    let bit = (how % (bytes.len() as u64 * 8)) as usize;
    bytes[bit / 8] ^= 0x80 >> (bit % 8);
    true
}

/// Replaces the reply's key by another command's; false if the reply carries no key, or there is no other.
fn wrong_type(template: &Template, drawn: &Drawn, raw: &mut [u8]) -> bool {
    let Some(command) = template.commands.get(drawn.command) else { return false };
    let has_it = |shape: &&KeyShape| shape.table.find(command.key).is_some();
    let Some(shape) = template.keys.iter().find(has_it) else { return false };
    let others = shape.table.len() as u64;
    let first = drawn.how(FaultKind::WrongType) % others.max(1);
    // A key may differ only in a part that the reply does not carry: then try the next one.
    (0..others).any(|step| {
        let (key, _) = shape.table[((first + step) % others) as usize];
        key != command.key && write_key(template, drawn.command, shape, key, raw)
    })
}

/// Writes the parts of a key that the reply carries; true if that changed the frame.
fn write_key(template: &Template, command: usize, shape: &KeyShape, mut key: u128, raw: &mut [u8]) -> bool {
    let mut changed = false;
    for part in shape.parts.iter().rev() {
        let value = (key & ((1 << (8 * part.len)) - 1)) as u64;
        key >>= 8 * part.len;
        let Some(at) = place_in_reply(template, command, part, raw.len()) else { continue };
        let Some(bytes) = raw.get_mut(at..).and_then(|rest| rest.get_mut(..part.len)) else { continue };
        let mut new = [0; 8];
        let Some(new) = new.get_mut(..part.len) else { continue };
        write_number(value, part.little, new);
        changed |= bytes != new;
        bytes.copy_from_slice(new);
    }
    changed
}

/// Where the reply carries a part of the key: in header and tail at the request's place, in the data frame in a field of the
/// same name and size.
fn place_in_reply(template: &Template, command: usize, part: &KeyPart, raw_len: usize) -> Option<usize> {
    let at = part.at.0;
    if at < 0 || (at as usize) < template.left_len {
        return Some(part.at.in_frame(raw_len));
    }
    let command = template.commands.get(command)?;
    let asked = command.request.iter().flatten().find(|field| field.at == part.at && field.slot.len == part.len)?;
    let same = |field: &&fsu_plan::model::field::Field| field.name == asked.name && field.slot.len == part.len;
    command.response.iter().find(same).map(|field| field.at.in_frame(raw_len))
}

#[cfg(test)]
mod tests;

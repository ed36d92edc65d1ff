//! Values of fields whose bytes are changed on their way (spec shapes.md, Bytes changed in transit), to bytes and back.

use super::value::{self, Misfit};
use super::varied;
use crate::model::coding::{CHANGED_BYTES_MAX, Changed};
use crate::model::field::Slot;

/// The field in plain form.
pub fn plain(slot: &Slot, changed: &Changed) -> Slot {
    Slot { kind: changed.base.clone(), ..*slot }
}

/// Encodes a text into `out`, of the slot's length.
pub(super) fn encode(slot: &Slot, changed: &Changed, text: &[u8], out: &mut [u8]) -> Result<(), Misfit> {
    value::encode(&plain(slot, changed), text, out)?;
    changed.change.make(out);
    Ok(())
}

/// Appends the bytes of a text, as many as it needs.
pub(super) fn encode_varied(slot: &Slot, changed: &Changed, text: &[u8], out: &mut Vec<u8>) -> Result<(), Misfit> {
    let from = out.len();
    varied::encode(&plain(slot, changed), text, out)?;
    changed.change.make(&mut out[from..]);
    Ok(())
}

/// Hands on the bytes in plain form.
fn with_plain(changed: &Changed, bytes: &[u8], read: impl FnOnce(&[u8])) {
    let mut buffer = [0; CHANGED_BYTES_MAX];
    // Longer fields were an error.
    let len = bytes.len().min(CHANGED_BYTES_MAX);
    let plain = &mut buffer[..len];
    plain.copy_from_slice(&bytes[..len]);
    changed.change.undo(plain);
    read(plain);
}

/// Appends the notation of these bytes.
pub(super) fn decode_into(slot: &Slot, changed: &Changed, bytes: &[u8], out: &mut Vec<u8>) {
    with_plain(changed, bytes, |bytes| value::decode_into(&plain(slot, changed), bytes, out));
}

/// The same of a field of varying size.
pub(super) fn decode_varied(slot: &Slot, changed: &Changed, bytes: &[u8], out: &mut Vec<u8>) {
    with_plain(changed, bytes, |bytes| varied::decode_into(&plain(slot, changed), bytes, out));
}

/// The same as text for people.
pub(super) fn decode(slot: &Slot, changed: &Changed, bytes: &[u8], out: &mut String) {
    with_plain(changed, bytes, |bytes| value::decode(&plain(slot, changed), bytes, out));
}

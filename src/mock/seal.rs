//! The last step of building a frame: checksums and wire bytes.

use fsu_plan::model::template::{Encoding, Template};
use fsu_plan::wire::checksum::{simple, write_number};
use fsu_plan::wire::inner::{encode_spanned, encode_wire};
use fsu_plan::wire::sums;

/// Writes the checksums, and the wire bytes if the template encodes.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub(crate) fn seal(template: &Template, frame: &mut [u8], wire: &mut Vec<u8>) {
    if let Some(checksum) = &template.checksum {
        if checksum.over_wire {
            wire.clear();
            encode_spanned(template, frame, wire);
        }
        if let Some(value) = simple(checksum, template, frame, wire) {
            let at = checksum.at.in_frame(frame.len());
            if let Some(place) = frame.get_mut(at..at + checksum.len) {
                write_number(value, checksum.little, place);
            }
        } else {
            sums::write(template, frame, wire);
        }
    }
    if template.encoding != Encoding::Binary {
        wire.clear();
        encode_wire(template, frame, wire);
    }
}

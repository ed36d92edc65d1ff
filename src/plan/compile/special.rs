//! Keys that single types have: `unit` and `offset_h` of an epoch, `charset` and `pad` of text.

use crate::config::at::At;
use crate::config::diag::Diags;
use crate::config::raw::RawField;
use crate::model::charset::Charset;
use crate::model::field::{Epoch, Kind, Slot};
use crate::words::EpochUnit;

/// The farthest that a clock may be from UTC, in hours.
const OFFSET_HOURS: f64 = 24.0;

/// Completes a type by its own keys; reports those that its field does not use.
pub(super) fn complete(diags: &mut Diags, raw: &At<RawField>, kind: &mut Kind) {
    if let Some(at) = raw.offset_h.as_ref().filter(|_| !matches!(kind, Kind::Epoch(_))) {
        diags.error(at.pos, "`offset_h` needs `\"type\": \"epoch\"`");
    }
    let keys = [("charset", raw.charset.as_ref().map(|at| at.pos)), ("pad", raw.pad.as_ref().map(|at| at.pos))];
    for (key, pos) in keys.into_iter().filter(|_| *kind != Kind::Str) {
        if let Some(pos) = pos {
            diags.error(pos, format!("`{key}` needs `\"type\": \"str\"`"));
        }
    }
    match kind {
        Kind::Epoch(epoch) => *epoch = self::epoch(diags, raw),
        Kind::Str => {
            let Some(label) = &raw.charset else { return };
            match Charset::new(&label.value) {
                Ok(Some(charset)) => *kind = Kind::Coded(charset),
                Ok(None) => {}
                Err(wrong) => {
                    diags.error(label.pos, format!("`{}`: {wrong} (such as gbk, big5, utf-16le)", label.value));
                }
            }
        }
        _ => {}
    }
}

fn epoch(diags: &mut Diags, raw: &At<RawField>) -> Epoch {
    let ms = super::field::word(diags, raw.unit.as_ref(), EpochUnit::Seconds) == EpochUnit::Millis;
    let Some(at) = &raw.offset_h else { return Epoch { ms, offset_s: 0 } };
    let seconds = at.value * 3_600.0;
    // Zones differ by quarters of an hour.
    if at.value.abs() > OFFSET_HOURS || seconds % 900.0 != 0.0 {
        diags.error(at.pos, format!("offset_h {} (-24 to 24, in quarters of an hour)", at.value));
        return Epoch { ms, offset_s: 0 };
    }
    Epoch { ms, offset_s: seconds as i32 }
}

/// The padding of a text field, which goes before that of the command.
pub(super) fn pad(diags: &mut Diags, raw: &At<RawField>, slot: &mut Slot) {
    let Some(pad) = &raw.pad else { return };
    let mut bytes = [0];
    let len = match slot.kind {
        Kind::Str => Some(pad.value.as_bytes()).filter(|text| text.len() == 1).map(|text| bytes.copy_from_slice(text)),
        Kind::Coded(charset) => {
            let written = charset.encode(pad.value.as_bytes(), &mut bytes);
            written.ok().filter(|len| *len == 1 && charset.unit() == 1).map(|_| ())
        }
        _ => return,
    };
    if len.is_none() {
        diags.error(pad.pos, format!("pad `{}` (one character of one byte)", pad.value));
        return;
    }
    slot.padding = bytes[0];
}

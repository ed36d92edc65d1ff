//! A request as the template writes it, for clients: constants, defaults, key and lengths.

use super::command::{CommandDraft, DataList};
use super::field;
use crate::codec::checksum::write_number;
use crate::codec::inner::length_value;
use crate::config::at::At;
use crate::config::diag::Diags;
use crate::config::raw::RawField;
use crate::plan::template::{Command, Computed, Field, Slot, Template};

/// The raw request of a command; everything but the checksum is written. Errors are told elsewhere.
pub fn sample(
    plan: &Template,
    raw_left: &[At<RawField>],
    raw_tail: &[At<RawField>],
    request: Option<&DataList>,
    command: &Command,
    draft: &CommandDraft,
) -> Box<[u8]> {
    let data_len = plan.data_len_fixed.unwrap_or(command.request_len_padded);
    let mut frame = vec![0; plan.left_len + data_len + plan.tail_len];
    frame[plan.left_len..plan.left_len + data_len].fill(draft.padding);
    let len = frame.len();
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(out) = frame.get_mut(at..at + bytes.len()) {
            out.copy_from_slice(bytes);
        }
    };
    let value = |slot: &Slot, raw: &RawField| {
        let value = raw.value.as_ref()?;
        field::constant(&mut Diags::default(), slot, value).map(|(bytes, _)| bytes)
    };
    let header = |field: &Field| matches!(field.computed, Computed::No | Computed::Start | Computed::End);
    for (field, raw) in plan.left.iter().zip(raw_left).chain(plan.tail.iter().zip(raw_tail)) {
        if let Some(bytes) = value(&field.slot, raw).filter(|_| header(field)) {
            put(field.at.in_frame(len), &bytes);
        }
    }
    for listed in request.iter().flat_map(|request| &request.fields) {
        let Some(value) = &listed.value else { continue };
        if let Some((bytes, _)) = field::constant(&mut Diags::default(), &listed.field.slot, value) {
            put(listed.field.at.in_frame(len), &bytes);
        }
    }
    let mut rest = command.key;
    for part in draft.parts.iter().rev() {
        let at = part.at.in_frame(len);
        if let Some(out) = frame.get_mut(at..at + part.len) {
            write_number(rest as u64, part.little, out);
        }
        rest = rest.checked_shr(8 * part.len as u32).unwrap_or(0);
    }
    for field in &plan.lengths {
        let at = field.at.in_frame(len);
        if let Some(out) = frame.get_mut(at..at + field.len) {
            write_number(length_value(field, data_len), field.little, out);
        }
    }
    frame.into()
}

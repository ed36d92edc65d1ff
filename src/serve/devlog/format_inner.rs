//! The vendor's frame as text, after its template.

use super::page::Page;
use super::record::{Record, RecordKind};
use fsu_core::about::{About, What};
use fsu_plan::model::field::{Computed, Field, Kind as SlotKind, Slot};
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::template::Template;
use fsu_plan::wire::checksum::{compute, stored, write_number};
use fsu_plan::wire::inner::{self, Frame};
use fsu_plan::wire::value;
use std::io::Write;

/// Makes the text; keeps its buffers from frame to frame.
#[derive(Debug, Default)]
pub(super) struct InnerText {
    /// A raw frame, where the template encodes.
    raw: Vec<u8>,
    /// The text of a field.
    value: String,
}

impl InnerText {
    /// A frame that is a record by itself (tcp, broadcast).
    pub(super) fn alone(&mut self, fsu: &Fsu, record: &Record<'_>, about: About, page: &mut Page<'_>) {
        let number = usize::from(about.device);
        let Some(device) = fsu.devices.get(number) else { return };
        if let Ok(frame) = inner::parse(&device.template, record.bytes, &mut self.raw) {
            page.heading(2, "Parsed");
            frame_text((&device.template, &frame), (record.kind, about), 4, &mut self.value, page);
        }
        if fsu.devices.len() > 1 {
            page.name(2, page.labels.device);
            // Writing to a Vec does not fail.
            let _ = writeln!(page.out, "{} ({})", number + 1, device.vendor.escape_debug());
        }
    }

    /// The through data of an outer frame, where a device took it.
    pub(super) fn through(&mut self, fsu: &Fsu, (kind, about): (RecordKind, About), wire: &[u8], page: &mut Page<'_>) {
        let Some(device) = fsu.devices.get(usize::from(about.device)) else { return };
        if let Ok(frame) = inner::parse(&device.template, wire, &mut self.raw) {
            page.heading(4, page.labels.through);
            frame_text((&device.template, &frame), (kind, about), 6, &mut self.value, page);
        }
    }
}

fn frame_text(
    (template, frame): (&Template, &Frame<'_>),
    (kind, about): (RecordKind, About),
    indent: usize,
    value: &mut String,
    page: &mut Page<'_>,
) {
    let command = template.commands.get(usize::from(about.command));
    let less = inner::less(template, frame, command);
    for field in &template.left {
        header_field((template, less), (frame, field), indent, value, page);
    }
    let data = frame.raw.get(template.left_len..).and_then(|rest| rest.get(..frame.data_len)).unwrap_or_default();
    if !data.is_empty() {
        page.name(indent, "data");
        page.upper(data);
        page.end();
    }
    for field in &template.tail {
        header_field((template, less), (frame, field), indent, value, page);
    }
    let Some(command) = command else { return };
    let fields = match (kind, about.what) {
        (RecordKind::Received, _) => command.request.as_deref().unwrap_or_default(),
        (_, What::Answered) => &command.response,
        // Data of another kind, or none.
        _ => return,
    };
    if fields.is_empty() || data.is_empty() {
        return;
    }
    page.data_frame(indent);
    for field in fields {
        page.name(indent + 4, &field.name);
        notation(&field.slot, bytes(frame, field), value, page);
        page.end();
    }
}

/// A field of the header or the tail, and what it should be where that is computed and differs. Beside the template, what
/// the frame's `{{data_frame_length}}` fields leave out.
fn header_field(
    (template, less): (&Template, i64),
    (frame, field): (&Frame<'_>, &Field),
    indent: usize,
    value: &mut String,
    page: &mut Page<'_>,
) {
    let got = bytes(frame, field);
    page.name(indent, &field.name);
    notation(&field.slot, got, value, page);
    let mut right = [0; 8];
    if let Some(right) = computed((template, less), frame, field, &mut right).filter(|&right| right != got) {
        page.open_computed();
        notation(&field.slot, right, value, page);
        page.text(")");
    }
    page.end();
}

/// The bytes that a length or checksum field should have.
fn computed<'b>(
    (template, less): (&Template, i64),
    frame: &Frame<'_>,
    field: &Field,
    out: &'b mut [u8; 8],
) -> Option<&'b [u8]> {
    match field.computed {
        Computed::Length => {
            let length = template.lengths.iter().find(|length| length.at == field.at)?;
            let out = out.get_mut(..length.len)?;
            inner::write_length(length, frame.data_len, less, out);
            Some(out)
        }
        Computed::Checksum => {
            let checksum = template.checksum.as_ref().filter(|checksum| checksum.at == field.at)?;
            let right = compute(checksum, template, frame.raw, frame.wire);
            if right == stored(checksum, frame.raw) {
                return None;
            }
            let out = out.get_mut(..checksum.len)?;
            write_number(right, checksum.little, out);
            Some(out)
        }
        Computed::No | Computed::Start | Computed::End => None,
    }
}

/// A field's bytes; none where the frame ends before it.
fn bytes<'f>(frame: &Frame<'f>, field: &Field) -> &'f [u8] {
    let at = field.at.in_frame(frame.raw.len());
    frame.raw.get(at..).and_then(|rest| rest.get(..field.slot.len)).unwrap_or_default()
}

fn notation(slot: &Slot, bytes: &[u8], value: &mut String, page: &mut Page<'_>) {
    if slot.kind == SlotKind::Str {
        // Whatever came must not break the line.
        value.clear();
        value::decode(slot, bytes, value);
        page.text(value);
    } else {
        value::decode_into(slot, bytes, page.out);
    }
}

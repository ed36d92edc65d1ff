//! The vendor's frame as text.

use super::page::Page;
use super::record::{Record, RecordKind};
use fsu_core::about::About;
use fsu_core::dissect::inner::{Inner, Piece, Reading};
use fsu_core::dissect::right::{Number, Right};
use fsu_plan::model::field::{Field, Kind as SlotKind};
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::wire::inner;
use fsu_plan::wire::value;
use std::io::Write;

/// Formats frames; reuses its buffers.
#[derive(Debug, Default)]
pub(super) struct InnerText {
    /// The raw frame, if the template encodes its frames.
    raw: Vec<u8>,
    /// The text of a field.
    value: String,
}

impl InnerText {
    /// A frame that is a whole record (tcp, broadcast).
    pub(super) fn alone(&mut self, fsu: &Fsu, record: &Record<'_>, about: About, page: &mut Page<'_>) {
        let number = usize::from(about.device);
        let Some(device) = fsu.devices.get(number) else { return };
        self.frame((device, record.bytes), (record.kind, about), (2, "Parsed"), page);
        if fsu.devices.len() > 1 {
            page.name(2, page.labels.device);
            let number = device.layouts.home.map_or(number, usize::from);
            // Writing to a Vec does not fail.
            let _ = writeln!(page.out, "{} ({})", number + 1, device.vendor.escape_debug());
        }
    }

    /// The through data of an outer frame, if a device accepted it.
    pub(super) fn through(&mut self, fsu: &Fsu, what: (RecordKind, About), wire: &[u8], page: &mut Page<'_>) {
        let Some(device) = fsu.devices.get(usize::from(what.1.device)) else { return };
        self.frame((device, wire), what, (4, page.labels.through), page);
    }

    /// A device's frame below its heading; nothing if the bytes are no frame.
    fn frame(
        &mut self,
        (device, wire): (&Device, &[u8]),
        (kind, about): (RecordKind, About),
        (indent, heading): (usize, &str),
        page: &mut Page<'_>,
    ) {
        let (template, reading) = Reading::of_device(device, kind == RecordKind::Received, about);
        let Ok(frame) = inner::parse(template, wire, &mut self.raw) else { return };
        page.heading(indent, heading);
        frame_text(&Inner::new(template, frame, reading), indent + 2, &mut self.value, page);
    }
}

fn frame_text(read: &Inner<'_>, indent: usize, value: &mut String, page: &mut Page<'_>) {
    for piece in read.header() {
        header_field(read, &piece, indent, value, page);
    }
    let data = read.data();
    if !data.is_empty() {
        page.name(indent, "data");
        page.upper(data);
        page.end();
    }
    for piece in read.tail() {
        header_field(read, &piece, indent, value, page);
    }
    let mut fields = read.fields().peekable();
    if data.is_empty() || (fields.peek().is_none() && read.reading.walk().is_none()) {
        return;
    }
    page.data_frame(indent);
    for piece in fields {
        page.name(indent + 4, piece.name());
        notation(&piece, piece.bytes, value, page);
        page.end();
    }
    for element in read.walked().0 {
        page.name(indent + 4, &element.path);
        page.text(&element.value);
        page.end();
    }
}

/// A header or tail field; also the right value if it is computed and differs.
fn header_field(read: &Inner<'_>, piece: &Piece<'_>, indent: usize, value: &mut String, page: &mut Page<'_>) {
    page.name(indent, piece.name());
    notation(piece, piece.bytes, value, page);
    let right = piece.field().map_or(Right::Any, |field| read.computed(field));
    if let Right::Number(number) = right
        && right.holds(piece.bytes) == Some(false)
    {
        page.open_computed();
        notation(piece, number.bytes(&mut [0; Number::BYTES_MAX]), value, page);
        page.text(")");
    }
    page.end();
}

fn notation(piece: &Piece<'_>, bytes: &[u8], value: &mut String, page: &mut Page<'_>) {
    let Some(Field { slot, .. }) = piece.field() else { return };
    if is_plain(&slot.kind) {
        value::decode_into(slot, bytes, page.out);
    } else {
        // Escaped, so that received bytes cannot break the line; with unit and name.
        value.clear();
        value::decode(slot, bytes, value);
        page.text(value);
    }
}

/// Is its notation all that people read, whatever the bytes?
fn is_plain(kind: &SlotKind) -> bool {
    use SlotKind::{Bcd, Bit, F32, F64, Hex, Int, Length, Uint};
    matches!(kind, Hex | Int | Uint | Bcd | Bit(_) | Length | F32 | F64)
}

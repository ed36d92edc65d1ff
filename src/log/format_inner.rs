//! The vendor's frame as text, after its template.

use super::page::Page;
use super::record::{Kind, Record};
use crate::codec::checksum::{compute, stored, write_number};
use crate::codec::inner::{self, Frame};
use crate::codec::reason::Reason;
use crate::codec::value;
use crate::plan::fleet::{Device, Fsu};
use crate::plan::template::{Command, Computed, Field, Kind as SlotKind, Slot, Template};

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
    pub(super) fn alone(&mut self, fsu: &Fsu, record: &Record<'_>, page: &mut Page<'_>) {
        let device = self.first_that_fits(fsu, record.kind, record.bytes);
        let Some(device) = device else { return page.reason(2, Reason::UnknownDevice) };
        match inner::parse(&device.template, record.bytes, &mut self.raw) {
            Ok(frame) => {
                page.heading(2, "Parsed");
                frame_text(&device.template, &frame, record.kind, 4, &mut self.value, page);
            }
            // Where the shard has said why, it knew more: what a stream skips need not look like a frame.
            Err(reason) => page.reason(2, record.dropped.unwrap_or(reason)),
        }
    }

    /// The through data of an outer frame, for the device that it names.
    pub(super) fn through(&mut self, fsu: &Fsu, kind: Kind, device: (u8, u8), wire: &[u8], page: &mut Page<'_>) {
        let named = fsu.devices.iter().find(|other| (other.sub_dev_type, other.sub_dev_addr) == device);
        let only = if let [only] = &fsu.devices[..] { Some(only) } else { None };
        let Some(device) = named.or(only) else { return page.reason(6, Reason::UnknownDevice) };
        match inner::parse(&device.template, wire, &mut self.raw) {
            Ok(frame) => frame_text(&device.template, &frame, kind, 6, &mut self.value, page),
            Err(reason) => page.reason(6, reason),
        }
    }

    /// The device whose frame it is: the first where start, length, end and key fit, before it the first where the
    /// checksum fits too; where none fits, the first that can be parsed, or the first of all.
    fn first_that_fits<'f>(&mut self, fsu: &'f Fsu, kind: Kind, wire: &[u8]) -> Option<&'f Device> {
        if let [only] = &fsu.devices[..] {
            return Some(only);
        }
        let mut rank = |device: &Device| match inner::parse(&device.template, wire, &mut self.raw) {
            Err(_) => 0,
            Ok(frame) => {
                let template = &device.template;
                if inner::lengths_ok(template, &frame).is_ok() && command(template, &frame, kind).is_some() {
                    2 + u8::from(inner::checksum_ok(template, &frame))
                } else {
                    1
                }
            }
        };
        let ranked = fsu.devices.iter().map(|device| (rank(device), device));
        // Of equals the first stays.
        let best = ranked.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map(|(_, device)| &**device)
    }
}

/// The command of a frame in either direction.
fn command<'t>(template: &'t Template, frame: &Frame<'_>, kind: Kind) -> Option<&'t Command> {
    if kind == Kind::Received {
        return inner::command(template, frame).map(|number| &template.commands[number]);
    }
    let fits = |command: &&Command| command.response_len == frame.data_len;
    let shown = template.keys.iter().filter(|shape| frame.data_len >= shape.data_len_min).find_map(|shape| {
        let row = shape.table.binary_search_by_key(&inner::key(shape, frame.raw), |(key, _)| *key).ok()?;
        shape.table[row].1.iter().map(|&number| &template.commands[number as usize]).find(fits)
    });
    // A reply need not carry its key (a return code may stand there): then its size may still tell.
    shown.or_else(|| {
        let mut fitting = template.commands.iter().filter(fits);
        fitting.next().filter(|_| frame.data_len > 0 && fitting.next().is_none())
    })
}

fn frame_text(
    template: &Template,
    frame: &Frame<'_>,
    kind: Kind,
    indent: usize,
    value: &mut String,
    page: &mut Page<'_>,
) {
    for field in &template.left {
        header_field(template, frame, field, indent, value, page);
    }
    let data = frame.raw.get(template.left_len..).and_then(|rest| rest.get(..frame.data_len)).unwrap_or_default();
    if !data.is_empty() {
        page.name(indent, "data");
        page.upper(data);
        page.end();
    }
    for field in &template.tail {
        header_field(template, frame, field, indent, value, page);
    }
    let command = command(template, frame, kind);
    if kind == Kind::Received
        && let Some(reason) = reason(template, frame, command)
    {
        page.reason(indent, reason);
    }
    let Some(command) = command else { return };
    let fields = match kind {
        Kind::Received => command.request.as_deref().unwrap_or_default(),
        Kind::Reply | Kind::Heartbeat => &command.response,
    };
    if fields.is_empty() || data.is_empty() {
        return;
    }
    page.heading(indent, page.labels.data_frame);
    for field in fields {
        page.name(indent + 2, &field.name);
        notation(&field.slot, bytes(frame, field), value, page);
        page.end();
    }
}

/// What the checks of the spec say of a request, in their order; a wrong checksum shows at its field.
fn reason(template: &Template, frame: &Frame<'_>, command: Option<&Command>) -> Option<Reason> {
    if let Err(reason) = inner::lengths_ok(template, frame) {
        return Some(reason);
    }
    if !inner::version_ok(template, frame) {
        return Some(Reason::BadVersion);
    }
    command.is_none().then_some(Reason::UnknownCommand)
}

/// A field of the header or the tail, and what it should be where that is computed and differs.
fn header_field(
    template: &Template,
    frame: &Frame<'_>,
    field: &Field,
    indent: usize,
    value: &mut String,
    page: &mut Page<'_>,
) {
    let got = bytes(frame, field);
    page.name(indent, &field.name);
    notation(&field.slot, got, value, page);
    let mut right = [0; 8];
    if let Some(right) = computed(template, frame, field, &mut right).filter(|&right| right != got) {
        page.open_computed();
        notation(&field.slot, right, value, page);
        page.text(")");
    }
    page.end();
}

/// The bytes that a length or checksum field should have.
fn computed<'b>(template: &Template, frame: &Frame<'_>, field: &Field, out: &'b mut [u8; 8]) -> Option<&'b [u8]> {
    match field.computed {
        Computed::Length => {
            let length = template.lengths.iter().find(|length| length.at == field.at)?;
            let out = out.get_mut(..length.len)?;
            write_number(inner::length_value(length, frame.data_len), length.little, out);
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

//! The vendor's frame as text, after its template.

use super::asked::{Asked, Talk};
use super::page::Page;
use super::record::{Kind, Record};
use crate::codec::checksum::{compute, stored, write_number};
use crate::codec::inner::{self, Frame};
use crate::codec::reason::Reason;
use crate::codec::value;
use crate::plan::fleet::Fsu;
use crate::plan::template::{Command, Computed, Field, Kind as SlotKind, Slot, Template};

/// Makes the text; keeps its buffers from frame to frame.
#[derive(Debug, Default)]
pub(super) struct InnerText {
    /// A raw frame, where the template encodes.
    raw: Vec<u8>,
    /// The text of a field.
    value: String,
    /// What replies may answer.
    asked: Asked,
}

impl InnerText {
    /// Forgets which requests are open.
    pub(super) fn forget_requests(&mut self) {
        self.asked = Asked::default();
    }

    /// A frame that is a record by itself (tcp, broadcast).
    pub(super) fn alone(&mut self, fsu: &Fsu, record: &Record<'_>, page: &mut Page<'_>) {
        let number = self.first_that_fits(fsu, record.kind, record.bytes);
        let Some(device) = fsu.devices.get(number) else { return page.reason(2, Reason::UnknownDevice) };
        match inner::parse(&device.template, record.bytes, &mut self.raw) {
            Ok(frame) => {
                page.heading(2, "Parsed");
                let talk = Talk { fsu: record.fsu, device: number, peer: record.peer };
                let command = command(&device.template, &frame, record, talk, &mut self.asked);
                frame_text(&device.template, &frame, record.kind, command, 4, &mut self.value, page);
            }
            // Where the shard has said why, it knew more: what a stream skips need not look like a frame.
            Err(reason) => page.reason(2, record.dropped.unwrap_or(reason)),
        }
    }

    /// The through data of an outer frame, for the device that it names.
    pub(super) fn through(
        &mut self,
        fsu: &Fsu,
        record: &Record<'_>,
        address: (u8, u8),
        wire: &[u8],
        page: &mut Page<'_>,
    ) {
        let named = fsu.devices.iter().position(|other| (other.sub_dev_type, other.sub_dev_addr) == address);
        let number = named.unwrap_or(if fsu.devices.len() == 1 { 0 } else { usize::MAX });
        let Some(device) = fsu.devices.get(number) else { return page.reason(6, Reason::UnknownDevice) };
        match inner::parse(&device.template, wire, &mut self.raw) {
            Ok(frame) => {
                let talk = Talk { fsu: record.fsu, device: number, peer: record.peer };
                let command = command(&device.template, &frame, record, talk, &mut self.asked);
                frame_text(&device.template, &frame, record.kind, command, 6, &mut self.value, page);
            }
            Err(reason) => page.reason(6, reason),
        }
    }

    /// The device whose frame it is: the first where start, length, end and key fit, before it the first where the
    /// checksum fits too; where none fits, the first that can be parsed, or the first of all.
    fn first_that_fits(&mut self, fsu: &Fsu, kind: Kind, wire: &[u8]) -> usize {
        if fsu.devices.len() == 1 {
            return 0;
        }
        let mut best = (0, 0);
        for (number, device) in fsu.devices.iter().enumerate() {
            let template = &device.template;
            let Ok(frame) = inner::parse(template, wire, &mut self.raw) else { continue };
            let known = match kind {
                Kind::Received => inner::command(template, &frame).is_some(),
                Kind::Reply | Kind::Heartbeat | Kind::Fault => {
                    (0..template.commands.len()).any(|number| size_fits(template, &frame, number))
                }
            };
            let lengths = match kind {
                Kind::Received => inner::lengths_ok(template, &frame),
                Kind::Reply | Kind::Heartbeat | Kind::Fault => inner::reply_lengths_ok(template, &frame),
            };
            let rank = if known && lengths.is_ok() { 2 + u8::from(inner::checksum_ok(template, &frame)) } else { 1 };
            if rank > best.0 {
                best = (rank, number);
            }
        }
        best.1
    }
}

/// Has the reply's data frame the size that this command's reply has?
fn size_fits(template: &Template, frame: &Frame<'_>, number: usize) -> bool {
    template.commands.get(number).is_some_and(|command| command.response_len == frame.data_len)
}

/// The command of a frame in either direction.
///
/// A reply need not carry its key (a return code may stand there). Then it is the command of the open request that
/// it can answer, or the only one with a reply of that size.
fn command<'t>(
    template: &'t Template,
    frame: &Frame<'_>,
    record: &Record<'_>,
    talk: Talk,
    asked: &mut Asked,
) -> Option<&'t Command> {
    let number = if record.kind == Kind::Received {
        let number = inner::command(template, frame);
        if let Some(number) = number {
            asked.note(talk, number, record.unix_ms);
        }
        number
    } else if frame.data_len == 0 {
        // A refusal: there are no fields to show, but the request is answered.
        asked.answered(talk, record.unix_ms, |_| true);
        None
    } else {
        let fits = |number: usize| size_fits(template, frame, number);
        let shown = template.keys.iter().filter(|shape| frame.data_len >= shape.data_len_min).find_map(|shape| {
            let numbers = shape.table.find(inner::key(shape, frame.raw))?;
            numbers.iter().map(|&number| number as usize).find(|&number| fits(number))
        });
        let answers =
            asked.answered(talk, record.unix_ms, |number| shown.map_or(fits(number), |shown| shown == number));
        let only = || {
            let mut fitting = (0..template.commands.len()).filter(|&number| fits(number));
            fitting.next().filter(|_| fitting.next().is_none())
        };
        shown.or(answers).or_else(only)
    };
    template.commands.get(number?)
}

fn frame_text(
    template: &Template,
    frame: &Frame<'_>,
    kind: Kind,
    command: Option<&Command>,
    indent: usize,
    value: &mut String,
    page: &mut Page<'_>,
) {
    let less = inner::less(template, frame, command);
    for field in &template.left {
        header_field((template, less), frame, field, indent, value, page);
    }
    let data = frame.raw.get(template.left_len..).and_then(|rest| rest.get(..frame.data_len)).unwrap_or_default();
    if !data.is_empty() {
        page.name(indent, "data");
        page.upper(data);
        page.end();
    }
    for field in &template.tail {
        header_field((template, less), frame, field, indent, value, page);
    }
    if kind == Kind::Received
        && let Some(reason) = reason(template, frame, command)
    {
        page.reason(indent, reason);
    }
    let Some(command) = command else { return };
    let fields = match kind {
        Kind::Received => command.request.as_deref().unwrap_or_default(),
        Kind::Reply | Kind::Heartbeat | Kind::Fault => &command.response,
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
    // A demand for a data frame needs no command in the template.
    let demand = template.transfer.as_ref().is_some_and(|transfer| inner::carries(&transfer.next, frame.raw));
    (command.is_none() && !demand).then_some(Reason::UnknownCommand)
}

/// A field of the header or the tail, and what it should be where that is computed and differs. Beside the template, what
/// the frame's `{{data_frame_length}}` fields leave out.
fn header_field(
    (template, less): (&Template, i64),
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
            let value = inner::length_value_less(length, frame.data_len, less);
            write_number(value, length.little, out);
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

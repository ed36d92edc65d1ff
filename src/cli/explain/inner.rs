//! The inner frame: its fields, its command, and its faults.

use super::model::{Candidate, CommandView, Fault, Layer, Row};
use super::outer::fault;
use crate::columns::hex;
use crate::describe::{self, Names, span};
use fsu_core::dissect::inner::{Content, Inner, Piece, Reading};
use fsu_core::dissect::right::Right;
use fsu_core::predict::target;
use fsu_plan::model::field::{Computed, Constant, Field, Offset};
use fsu_plan::model::fleet::Device;
use fsu_plan::model::reply::{Patch, Reply};
use fsu_plan::model::template::{Command, Template};
use fsu_plan::wire::checksum::read_number;
use fsu_plan::wire::framer;
use fsu_plan::wire::inner::{self, Frame};
use fsu_plan::wire::reason::Reason;
use fsu_plan::wire::value;
use fsu_plan::wire::walk::{self, Wrong};
use fsu_plan::wire::{stuffing, sums};
use fsu_plan::words::count;

/// How to read a frame's fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// The device that the frame belongs to.
    pub(super) device: &'a Device,
    /// The layout of the frame.
    pub(super) template: &'a Template,
    /// Its command, if known.
    pub(super) command: Option<&'a Command>,
    /// The reply that the frame was built from, if it was built here.
    pub(super) reply: Option<&'a Reply>,
    /// Whether it is a reply.
    pub(super) is_reply: bool,
}

/// Prepares the frame for the dissector.
fn read<'a>(view: View<'a>, frame: &Frame<'a>) -> Inner<'a> {
    let content = match view.command {
        _ if !view.is_reply => Content::Request,
        // A refusal has an empty data frame, whatever the command's reply has. A data frame of a transfer holds any part of the data.
        Some(command) if command.reply_walk().is_some() && frame.data_len > 0 => Content::Reply,
        Some(command) if frame.data_len == command.response_len => Content::Reply,
        Some(_) if view.reply.is_none() && frame.data_len > 0 => Content::Reply,
        _ => Content::Bytes,
    };
    let read = Inner::new(view.template, *frame, Reading { command: view.command, content });
    Inner { less: view.reply.map_or(read.less, |reply| reply.less), ..read }
}

/// Header, data frame and tail.
pub(super) fn layers<'a>(view: View<'a>, frame: &Frame<'a>) -> Vec<Layer> {
    let (template, read) = (view.template, read(view, frame));
    let mut header = Layer { name: "inner frame, header".into(), ..Layer::default() };
    if template.is_hex() {
        let sizes = format!("{} bytes from {} on the wire", frame.raw.len(), frame.wire.len());
        header.notes.push(format!("ascii_hex: offsets count the {sizes}"));
    }
    let transit = describe::transit(template);
    header.notes.extend((!transit.is_empty()).then(|| transit.join("; ")));
    let counted = template.lengths.iter().filter(|length| length.configured).map(|length| length.at);
    let counted = counted.chain(view.command.iter().flat_map(|command| &command.counts).map(|count| count.length.at));
    if counted.count() > 0 {
        header.notes.push(format!("data_frame_length counts {}", describe::counts(template, read.less)));
    }
    header.fields = read.header().map(|piece| row(view, &read, piece)).collect();
    let tail = read.tail().map(|piece| row(view, &read, piece)).collect();
    vec![header, data(view, &read), Layer { name: "inner frame, tail".into(), fields: tail, ..Layer::default() }]
}

fn data(view: View<'_>, read: &Inner<'_>) -> Layer {
    let size = count(read.frame.data_len, "byte");
    let name = match view.command {
        Some(command) => format!("data frame of {}, {size}", command.key_text),
        None => format!("data frame, {size}"),
    };
    let mut layer = Layer { name, is_data: true, ..Layer::default() };
    for piece in read.fields() {
        match piece.field() {
            Some(field) if piece.is_past_end => {
                layer.notes.push(format!("{} {} is past its end", field.name, span(field.at, field.slot.len)));
            }
            _ => layer.fields.push(row(view, read, piece)),
        }
    }
    walked(read, &mut layer);
    layer.fields.extend(read.rest().map(|piece| row(view, read, piece)));
    layer
}

/// The fields from the first of variable size on.
fn walked(read: &Inner<'_>, layer: &mut Layer) {
    let (elements, wrong) = read.walked();
    let bytes = |from: usize, to: usize| hex(read.frame.raw.get(from..to).unwrap_or_default());
    for element in elements {
        let (to, ends) = (element.to, element.ends);
        layer.fields.push(Row {
            offset: element.from,
            bytes: bytes(element.from, to),
            field: element.path,
            kind: element.slot.to_string(),
            value: element.value,
            ..Row::default()
        });
        if ends > 0 {
            let field = "(until)".to_owned();
            layer.fields.push(Row { offset: to, bytes: bytes(to, to + ends), field, ..Row::default() });
        }
    }
    match wrong {
        Some(Wrong::Short) => layer.notes.push("it ends before its fields do".into()),
        Some(Wrong::Bad) => layer.notes.push("a size, count or case that the template does not allow follows".into()),
        None => {}
    }
}

fn row(view: View<'_>, read: &Inner<'_>, piece: Piece<'_>) -> Row {
    let (offset, bytes) = (piece.at, hex(piece.bytes));
    let Some(field) = piece.field() else {
        return Row { offset, bytes, field: piece.name().into(), ..Row::default() };
    };
    let text = notation(read.template, field, piece.bytes);
    let right = read.right(&piece);
    let ok = right.holds(piece.bytes);
    let expected = (ok == Some(false)).then(|| {
        let right = right.to_vec(read.frame.raw.get(offset..).unwrap_or_default());
        // If the notation hides the difference (padding, for example), show the bytes.
        Some(notation(read.template, field, &right)).filter(|right| *right != text).unwrap_or(hex(&right))
    });
    Row {
        offset,
        bytes,
        field: field.name.to_string(),
        kind: field.slot.to_string(),
        value: text,
        ok,
        expected,
        from: view.reply.map(|reply| source(view, reply, field)),
    }
}

/// A field's bytes in its own notation.
fn notation(template: &Template, field: &Field, bytes: &[u8]) -> String {
    if template.lengths.iter().any(|length| length.at == field.at && length.lchksum) {
        let value = read_number(bytes, field.slot.little);
        return format!("{}, check {:X}", value & 0x0FFF, value >> 12);
    }
    let mut text = String::new();
    value::decode(&field.slot, bytes, &mut text);
    text
}

/// The expected and the actual bytes of the header or tail field at an offset, in its notation.
fn notations(template: &Template, at: Offset, right: &[u8], found: &[u8]) -> (String, String) {
    let field = template.left.iter().chain(&template.tail).find(|field| field.at == at);
    let texts = field.map(|field| (notation(template, field, right), notation(template, field, found)));
    texts.filter(|(right, found)| right != found).unwrap_or_else(|| (hex(right), hex(found)))
}

/// Where a reply field's bytes come from.
fn source(view: View<'_>, reply: &Reply, field: &Field) -> String {
    if field.computed != Computed::No {
        return "computed".into();
    }
    let at = field.at.in_frame(reply.frame.len());
    let covers = |patch: &&Patch| {
        let (to, len) = target(patch);
        to < at + field.slot.len && at < to + len
    };
    let names = Names { device: view.device, command: view.command };
    match reply.patches.iter().rev().find(covers) {
        Some(patch) => names.source(part_of(patch, at, field.slot.len).as_ref().unwrap_or(patch)),
        None => "constant".into(),
    }
}

/// The part of a copy that writes this field. One copy may write several fields.
fn part_of(patch: &Patch, at: usize, bytes: usize) -> Option<Patch> {
    match patch {
        Patch::Copy { from, to, len } if *to <= at && at + bytes <= *to + *len => {
            Some(Patch::Copy { from: Offset(from.0 + (at - to) as i32), to: at, len: bytes })
        }
        _ => None,
    }
}

/// How a request's command is recognised: the key, and every command that has it. The key is read by the first shape that knows it, or
/// else by the first shape that the frame is long enough for.
pub(super) fn command<'a>(template: &'a Template, frame: &Frame<'_>, chosen: Option<usize>) -> Option<CommandView> {
    let fixed = template.data_len_fixed.is_some();
    let readable = || template.keys.iter().filter(|shape| frame.data_len >= shape.data_len_min);
    let row = |shape: &'a fsu_plan::model::template::KeyShape| shape.table.find(inner::key(shape, frame.raw));
    let has = |number: usize| template.commands.get(number).is_some_and(|command| key_is(template, command, frame));
    let known = readable().find(|shape| match chosen {
        Some(number) => row(shape).is_some_and(|numbers| numbers.contains(&(number as u32))),
        None => row(shape).is_some(),
    });
    let shape = known.or_else(|| readable().next())?;
    let digits = shape.parts.iter().map(|part| part.len * 2).sum();
    let key = format!("{:0digits$X}", inner::key(shape, frame.raw));
    let part = |part: &fsu_plan::model::field::KeyPart| {
        let at = part.at.in_frame(frame.raw.len());
        let value = read_number(&frame.raw[at..at + part.len], part.little);
        let name = describe::key_part_name(template, part);
        format!("{name} {} = {value:0width$X}", span(part.at, part.len), width = part.len * 2)
    };
    let candidate = |number: usize| {
        let command = &template.commands[number];
        let why = match misfit(command, frame, fixed) {
            Some(why) => why,
            None if !ends(command, frame) => "key and constants fit, and its fields do not".into(),
            None if chosen == Some(number) => "key, size and constants fit".into(),
            None => "an entry before it fits".into(),
        };
        Candidate { number: number + 1, chosen: chosen == Some(number), why }
    };
    let candidates = (0..template.commands.len()).filter(|&number| has(number)).map(candidate).collect();
    let mut parts: Vec<String> = shape.parts.iter().map(part).collect();
    let mut key = key;
    if parts.is_empty() {
        let chosen = chosen.and_then(|number| template.commands.get(number));
        key = chosen.map_or_else(|| "unknown".into(), |command| command.key_text.to_string());
        parts.push("at no fixed place".into());
    }
    Some(CommandView { key, parts, candidates })
}

/// Whether the frame has this command's key at the command's place for it.
pub(super) fn key_is(template: &Template, command: &Command, frame: &Frame<'_>) -> bool {
    template.keys.iter().filter(|shape| frame.data_len >= shape.data_len_min).any(|shape| {
        let here = |&number: &u32| std::ptr::eq(&raw const template.commands[number as usize], command);
        inner::key(shape, frame.raw) == command.key
            && shape.table.find(command.key).is_some_and(|numbers| numbers.iter().any(here))
    })
}

/// Whether the fields of variable size fit.
fn ends(command: &Command, frame: &Frame<'_>) -> bool {
    command.request_walk().is_none_or(|walk| walk::check(walk, frame.raw).is_ok())
}

/// Why a command with the request's key does not match; `None` if it may.
fn misfit(command: &Command, frame: &Frame<'_>, fixed: bool) -> Option<String> {
    if inner::fits(command, frame, fixed) {
        return None;
    }
    let carried = |constant: &&Constant| !inner::carries(constant, frame.raw);
    if let Some(constant) = command.constants.iter().find(carried) {
        return Some(format!("{}, the request has {}", describe::constant(constant), held(constant, frame.raw)));
    }
    if let Some(why) = behind(command, frame) {
        return Some(why);
    }
    Some(format!("a data frame of {}, the request's has {}", describe::request_size(command), frame.data_len))
}

/// The first constant behind a field of variable size, a part of the key or one marked `match`, that the request does not have.
fn behind(command: &Command, frame: &Frame<'_>) -> Option<String> {
    let walks = command.walk.as_deref()?;
    let walk = walks.request.as_deref()?;
    let constant = walks.constants.iter().find(|constant| !walk::carries(walk, frame.raw, constant))?;
    let held = walk::bytes(walk, frame.raw, &constant.path).map_or_else(|| "nothing".into(), |(bytes, _)| hex(bytes));
    Some(format!("{} = {}, the request has {held}", constant.name, hex(&constant.bytes)))
}

/// The bytes of a frame at the place of a constant.
pub(super) fn held(constant: &Constant, raw: &[u8]) -> String {
    let at = constant.at.in_frame(raw.len());
    match raw.get(at..).and_then(|rest| rest.get(..constant.bytes.len())) {
        Some(bytes) => hex(bytes),
        None => "nothing (past its end)".into(),
    }
}

/// Why the bytes are no inner frame.
pub(super) fn no_frame(template: &Template, reason: Reason, wire: &[u8]) -> Fault {
    let end = wire.len();
    let (offset, expected, found) = match reason {
        Reason::Short => {
            let bytes = format!("at least {} bytes", template.wire_len(template.raw_len_min()));
            (end, bytes, count(end, "byte"))
        }
        Reason::BadStart => (0, hex(&template.start), hex(&wire[..template.start.len().min(end)])),
        Reason::BadEscape => {
            let at = stuffing::broken_at(template, wire).unwrap_or(end);
            let coding = template.coding.as_ref().and_then(|coding| coding.envelope.as_ref()?.escape.as_ref());
            let known: Vec<String> =
                coding.iter().flat_map(|escape| &escape.values).map(|(_, value)| hex(value)).collect();
            (at, format!("an escape ({})", known.join(", ")), hex(&wire[at..end.min(at + 2)]))
        }
        Reason::BadLength => (end, "whole blocks with their checksums".into(), count(end, "byte")),
        Reason::BadEnd => {
            let at = end.saturating_sub(template.end.len());
            (at, hex(&template.end), hex(&wire[at..]))
        }
        _ => {
            let from = template.start.len().min(end);
            let to = end.saturating_sub(template.end.len()).max(from);
            match wire[from..to].iter().position(|c| !c.is_ascii_hexdigit()) {
                Some(at) => (from + at, "a hex digit (0-9, A-F)".into(), hex(&wire[from + at..=from + at])),
                None => (to, "an even number of characters".into(), format!("{} characters", to - from)),
            }
        }
    };
    let within = if template.is_hex() { "inner frame (characters)" } else { "inner frame" };
    fault(reason, within, Some(offset), expected, found)
}

/// What is wrong with an inner frame.
pub(super) fn bad_frame(template: &Template, frame: &Frame<'_>, reason: Reason) -> Fault {
    let raw = frame.raw;
    let read = |at: usize, len: usize| raw.get(at..at + len).map(hex).unwrap_or_default();
    let at_constant = |constant: &Constant| {
        let at = constant.at.in_frame(raw.len());
        let there = raw.get(at..at + constant.bytes.len()).unwrap_or_default();
        let (right, found) = notations(template, constant.at, &Right::Constant(constant).to_vec(there), there);
        (Some(at), right, found)
    };
    let (offset, expected, found) = match reason {
        Reason::BadLength | Reason::BadLengthChecksum => bad_length(template, frame),
        Reason::BadChecksum => match template.checksums().find(|one| !sums::is_right(one, template, frame)) {
            Some(checksum) if let Some(wrong) = sums::wrong_block(checksum, template, raw, frame.wire) => {
                let digits = 2 * wrong.len;
                let in_order =
                    |value: u64| if wrong.little { value.swap_bytes() >> (64 - 8 * wrong.len) } else { value };
                let (right, found) = (in_order(wrong.right), in_order(wrong.found));
                let what =
                    format!("block {}, byte {} on the wire; {}", wrong.number, wrong.at, describe::checksum(checksum));
                (None, format!("{right:0digits$X} ({what})"), format!("{found:0digits$X}"))
            }
            Some(checksum) => {
                let at = checksum.at.in_frame(raw.len());
                let bytes = raw.get(at..at + checksum.len).unwrap_or_default();
                let right = Right::checksum(template, frame, checksum.at).to_vec(bytes);
                let (right, found) = notations(template, checksum.at, &right, bytes);
                (Some(at), format!("{right} ({})", describe::checksum(checksum)), found)
            }
            None => (None, String::new(), String::new()),
        },
        Reason::BadVersion => match template.versions.iter().find(|constant| !inner::carries(constant, raw)) {
            Some(constant) => at_constant(constant),
            None => (None, String::new(), String::new()),
        },
        Reason::UnknownCommand => {
            let key = inner::key_text(template, frame);
            let part = template.keys.first().and_then(|shape| shape.parts.first());
            let known = template.commands.iter().any(|command| key_is(template, command, frame));
            let expected = match &key {
                None => "a data frame long enough for a key".into(),
                Some(_) if known => "a size and constants that one of the commands with this key has".into(),
                Some(key) => format!("one of the template's commands{}", near(template, key)),
            };
            let at = part.map(|part| part.at.in_frame(raw.len()));
            let found = key.map_or_else(|| format!("{} bytes of data", frame.data_len), |key| format!("key {key}"));
            (at, expected, found)
        }
        _ => (None, String::new(), read(0, 0)),
    };
    fault(reason, "inner frame", offset, expected, found)
}

/// A frame whose only fault is its size: no frame on a stream has this size, or its command has another size.
pub(super) fn no_size(template: &Template, frame: &Frame<'_>) -> Fault {
    let longest = framer::longest(template);
    let expected = if frame.wire.len() > longest {
        format!("at most {longest} bytes (request_bytes_max)")
    } else {
        "the size that its command lists".into()
    };
    fault(Reason::Garbage, "inner frame", Some(0), expected, count(frame.wire.len(), "byte"))
}

/// Known keys similar to an unknown one.
fn near(template: &Template, key: &str) -> String {
    let number = u128::from_str_radix(key, 16).unwrap_or(0);
    let distance = |known: &&Command| (strsim::osa_distance(&known.key_text, key), known.key.abs_diff(number));
    match template.commands.iter().min_by_key(distance) {
        Some(nearest) => format!(" (nearest: {})", nearest.key_text),
        None => String::new(),
    }
}

fn bad_length(template: &Template, frame: &Frame<'_>) -> (Option<usize>, String, String) {
    let command = inner::command(template, frame).map(|number| &template.commands[number]);
    let less = inner::less(template, frame, command);
    let counts = command.into_iter().flat_map(|command| &command.counts).map(|count| &count.length);
    for length in template.lengths.iter().chain(counts) {
        let at = length.at.in_frame(frame.raw.len());
        let right = Right::length(length, frame.data_len, less);
        let found = &frame.raw[at..at + length.len];
        if right.holds(found) == Some(false) {
            let (right, found) = notations(template, length.at, &right.to_vec(found), found);
            let expected = format!("{right} ({}; the frame has {})", describe::formula(length, less), frame.data_len);
            return (Some(at), expected, found);
        }
    }
    if let Some(fixed) = template.data_len_fixed.filter(|&fixed| fixed != frame.data_len) {
        let whole = |data: usize| format!("{} bytes", template.left_len + data + template.tail_len);
        return (Some(frame.raw.len()), whole(fixed), whole(frame.data_len));
    }
    let lengths = command.map(|command| &command.lengths);
    let wrong = lengths.into_iter().flatten().find(|constant| !inner::carries(constant, frame.raw));
    if let Some(constant) = wrong {
        let at = constant.at.in_frame(frame.raw.len());
        let there = frame.raw.get(at..).unwrap_or_default();
        return (Some(at), hex(&Right::Constant(constant).to_vec(there)), held(constant, frame.raw));
    }
    let has = |command: &&Command| command.request_walk().is_some() && key_is(template, command, frame);
    let command = command.or_else(|| template.commands.iter().find(has));
    command.and_then(|command| stops(command, frame)).unwrap_or_default()
}

/// Where the fields of variable size stop fitting, what would be right there, and what is there.
fn stops(command: &Command, frame: &Frame<'_>) -> Option<(Option<usize>, String, String)> {
    let walk = command.request_walk()?;
    let (elements, wrong) = fsu_core::walked::elements(walk, frame.raw);
    let before = |field: &&Field| field.at.0 >= 0 && field.at.in_frame(frame.raw.len()) + field.slot.len == walk.at;
    let (at, last) = match elements.last() {
        Some(last) => (last.to + last.ends, Some(&*last.path)),
        None => (walk.at, command.request.iter().flatten().find(before).map(|field| &*field.name)),
    };
    let behind = last.map_or_else(String::new, |name| format!(" behind `{name}`"));
    let rest = frame.raw.get(at..frame.raw.len().saturating_sub(walk.tail_len)).unwrap_or_default();
    let expected = match wrong? {
        Wrong::Short => format!("more bytes{behind}"),
        Wrong::Bad => format!("a size, count or case that the template allows{behind}"),
    };
    let left = count(rest.len(), "byte");
    let found = if rest.is_empty() { left } else { format!("{left}: {}", hex(rest.get(..8).unwrap_or(rest))) };
    Some((Some(at), expected, found))
}

//! `envelope` and `data_transform` of a template.

use super::checksum;
use crate::config::at::{At, Json, Pos};
use crate::config::diag::Diags;
use crate::config::extent::RawExtent;
use crate::config::raw::{RawChecksum, RawEnvelope, RawField, RawProtocol, RawTransform};
use crate::model::coding::{CHANGED_BYTES_MAX, Change, Changed, Coding, Envelope, Escape, Gaps};
use crate::model::field::{Field, Kind, Slot};
use crate::model::template::{Encoding, Template};
use crate::model::walk::What;
use crate::wire::checksum::span;
use crate::wire::inner::digit;
use std::borrow::Cow;
use std::sync::Arc;

/// Bytes of a mark, of what travels for one byte, and of what is skipped.
pub const MARK_BYTES_MAX: usize = 16;

/// Hex digits, with blanks or 0x, of 1 to [`MARK_BYTES_MAX`] bytes; `None` after an error.
fn bytes(diags: &mut Diags, at: &At<String>) -> Option<Box<[u8]>> {
    let digits: String = at.value.split_whitespace().collect();
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(&digits);
    let bytes = hex_bytes(digits).filter(|bytes| (1..=MARK_BYTES_MAX).contains(&bytes.len()));
    if bytes.is_none() {
        diags.error(at.pos, format!("`{}` (hex digits of 1 to {MARK_BYTES_MAX} bytes)", at.value));
    }
    bytes
}

fn hex_bytes(digits: &str) -> Option<Box<[u8]>> {
    let pair = |pair: &[u8]| Some((digit(pair[0])? << 4) | digit(pair[1])?);
    let digit_pairs = digits.as_bytes().chunks_exact(2);
    let whole = digit_pairs.remainder().is_empty();
    digit_pairs.map(pair).collect::<Option<Box<[u8]>>>().filter(|_| whole)
}

/// A change of bytes; `None` after an error.
pub(super) fn change(diags: &mut Diags, raw: &At<RawTransform>) -> Option<Change> {
    let mut byte = |at: Option<&At<String>>| {
        let Some(at) = at else { return Some(0) };
        let found = bytes(diags, at)?;
        if let [byte] = *found {
            return Some(byte);
        }
        diags.error(at.pos, format!("`{}` has {} bytes (one byte)", at.value, found.len()));
        None
    };
    let change = Change { add: byte(raw.add.as_ref())?, xor: byte(raw.xor.as_ref())? };
    if raw.add.is_none() && raw.xor.is_none() {
        diags.error(raw.pos, "a transform without `add` or `xor`");
        return None;
    }
    Some(change)
}

/// The field with the change of its bytes, where it has one; `None` after an error.
pub(super) fn changed(diags: &mut Diags, raw: &At<RawField>, slot: Slot) -> Option<Slot> {
    let Some(given) = &raw.transform else { return Some(slot) };
    let change = change(diags, given)?;
    if matches!(slot.kind, Kind::Bit(_) | Kind::Length) {
        diags.error(given.pos, format!("`transform` at a field of type {} (another type)", slot.kind.word().name()));
        return None;
    }
    if slot.len > CHANGED_BYTES_MAX {
        diags.error(
            given.pos,
            format!(
                "`transform` at a field of {} bytes (at most {CHANGED_BYTES_MAX}; `data_transform` has no limit)",
                slot.len
            ),
        );
        return None;
    }
    let changed = Changed { base: slot.kind.clone(), change };
    Some(Slot { kind: Kind::Changed(Arc::new(changed)), ..slot })
}

fn is_changed(field: &Field) -> bool {
    matches!(field.slot.kind, Kind::Changed(_))
}

/// The first field of a data frame whose bytes are changed.
fn changed_in_data(plan: &Template) -> Option<&str> {
    plan.commands.iter().find_map(|command| {
        let fixed = command.request.iter().flatten().chain(&command.response).find(|field| is_changed(field));
        let walks = [command.request_walk(), command.reply_walk()];
        let mut walked = walks.into_iter().flatten().flat_map(|walk| &walk.nodes);
        let walked =
            walked.find(|node| matches!(&node.what, What::Field { slot, .. } if matches!(slot.kind, Kind::Changed(_))));
        fixed.map(|field| &*field.name).or_else(|| walked.map(|node| &*node.name))
    })
}

/// Whether some field of a template is changed on its way.
pub(super) fn changes_fields(plan: &Template) -> bool {
    changed_in_data(plan).is_some() || plan.left.iter().chain(&plan.tail).any(is_changed)
}

/// Reports checksums over bytes that fields change on their way, where they count plain bytes.
pub(super) fn check_spans(diags: &mut Diags, protocol: &At<RawProtocol>, plan: &Template) {
    let in_data = changed_in_data(plan);
    let lists = protocol.checksum.iter().flat_map(|list| &list.value.0);
    for checksum in plan.checksums() {
        // The entry of the list that it is; it counts what that says.
        let of_blocks = |one: &RawChecksum| one.blocks.is_some() && one.field.is_none();
        let is_its = |one: &RawChecksum| match (of_blocks(one), checksum.len == 0) {
            (false, false) => checksum::place(one.field.as_ref(), &plan.left, &plan.tail) == Some(checksum.at),
            (of_blocks, is_of_blocks) => of_blocks == is_of_blocks,
        };
        let entry = lists.clone().find(|one| is_its(&one.value));
        let is_plain = entry.is_none_or(|one| one.over.as_ref().is_none_or(|over| over.value != "wire"));
        let pos = entry.map(|one| one.pos).or(protocol.checksum_config.as_ref().map(|config| config.pos));
        let Some(pos) = pos.filter(|_| is_plain) else { continue };
        let len = plan.raw_len_min() + 1;
        let (from, to) = span(checksum, len);
        let outside = plan.left.iter().chain(&plan.tail).filter(|field| is_changed(field));
        let outside =
            outside.filter(|field| (from..to).contains(&field.at.in_frame(len))).map(|field| &*field.name).next();
        let holds_data = from <= plan.left_len && to > plan.left_len;
        if let Some(name) = outside.or(in_data.filter(|_| holds_data)) {
            let text = format!(
                "the checksum counts `{name}`, which `transform` changes (`\"over\": \"wire\"` counts the changed bytes)"
            );
            diags.error(pos, text);
            return;
        }
    }
}

/// Is this field a constant of these bytes?
fn is_mark(field: Option<&At<RawField>>, mark: &[u8]) -> bool {
    let Some(field) = field else { return false };
    let is_hex = field.kind.as_ref().is_none_or(|kind| kind.value == "hex");
    let len = field.length.as_ref().and_then(|length| length.value.number());
    let value = match field.value.value.as_ref().map(|value| &value.value) {
        Some(Json::Str(text)) => hex_bytes(&text.split_whitespace().collect::<String>().replace("0x", "")),
        _ => None,
    };
    let is_little = field.endian.as_ref().is_some_and(|endian| endian.value == "little");
    is_hex && !is_little && len == Some(mark.len() as u64) && value.is_some_and(|value| *value == *mark)
}

/// The field of a mark.
fn mark(at: &At<String>, mark: &[u8], name: &str, others: &[At<RawField>]) -> At<RawField> {
    let is_taken = others.iter().any(|field| field.name.as_ref().is_some_and(|other| other.value == name));
    let name = if is_taken { format!("envelope_{name}") } else { name.to_owned() };
    let here = |value: String| At { pos: at.pos, value };
    let value = RawField {
        name: Some(here(name)),
        length: Some(At { pos: at.pos, value: RawExtent::Number(mark.len() as u64) }),
        value: Some(At { pos: at.pos, value: Json::Str(at.value.clone()) }),
        ..RawField::default()
    };
    At { pos: at.pos, value }
}

/// The protocol with the marks of its envelope as first and last field, where it does not have them itself. Sizes and places that
/// count the frame count them too.
pub(super) fn with_marks<'r>(diags: &mut Diags, protocol: Cow<'r, At<RawProtocol>>) -> Cow<'r, At<RawProtocol>> {
    let Some(envelope) = protocol.envelope.clone() else { return protocol };
    let mut out = protocol.into_owned();
    let (mut before, mut after) = (0, 0);
    if let Some(at) = &envelope.start
        && let Some(start) = bytes(diags, at)
    {
        let left = out.value.pdu_left.get_or_insert_default();
        if !is_mark(left.first(), &start) {
            left.insert(0, mark(at, &start, "start", left));
            before = start.len() as i64;
        }
    }
    if let Some(at) = &envelope.end
        && let Some(end) = bytes(diags, at)
    {
        let tail = out.value.pdu_tailer.get_or_insert_default();
        if !is_mark(tail.last(), &end) {
            tail.push(mark(at, &end, "end", tail));
            after = end.len() as i64;
        }
    }
    if let Some(total) = &mut out.value.total_length {
        total.value = total.value.saturating_add((before + after) as u64);
    }
    let moved = |place: &mut At<i64>| place.value += if place.value >= 0 { before } else { -after };
    if let Some(config) = &mut out.value.checksum_config {
        config.value.start.iter_mut().chain(config.value.end.iter_mut()).for_each(moved);
    }
    Cow::Owned(out)
}

/// How many of these fields are in the file.
pub(super) fn written(protocol: &RawProtocol, list: &[At<RawField>]) -> usize {
    let Some(envelope) = &protocol.envelope else { return list.len() };
    let marks = [&envelope.start, &envelope.end];
    let is_mark = |pos: Pos| marks.iter().any(|mark| mark.as_ref().is_some_and(|mark| mark.pos == pos));
    list.iter().filter(|field| !is_mark(field.pos)).count()
}

/// What becomes of the frame on its way, if anything beyond its encoding; `has_blocks`: a checksum follows each of its blocks.
pub(super) fn compile(diags: &mut Diags, protocol: &At<RawProtocol>, plan: &mut Template, has_blocks: bool) {
    if protocol.data_transform.is_none() && protocol.envelope.is_none() && !has_blocks {
        return;
    }
    let data = protocol.data_transform.as_ref().and_then(|raw| change(diags, raw)).unwrap_or_default();
    let envelope = protocol.envelope.as_ref().and_then(|raw| envelope(diags, raw, plan));
    if let Some(transfer) = &protocol.transfer {
        diags.error(
            transfer.pos,
            "`transfer` beside `envelope`, `data_transform` or `blocks` (a template has transfers or those)",
        );
    }
    let hex = plan.encoding == Encoding::AsciiHex;
    plan.coding = Some(Box::new(Coding { hex, data, gaps: None, envelope }));
    plan.encoding = Encoding::Coded;
}

/// Notes where the checksums of blocks are.
pub(super) fn gaps(plan: &mut Template) {
    let gaps = plan.checksums().find_map(|checksum| {
        let blocks = checksum.blocks()?;
        let (from, to) = (checksum.from, checksum.to);
        Some(Gaps { from, to, every: blocks.every, len: blocks.len, in_field: blocks.in_field })
    });
    if let Some(coding) = &mut plan.coding {
        coding.gaps = gaps;
    }
}

fn envelope(diags: &mut Diags, raw: &At<RawEnvelope>, plan: &Template) -> Option<Envelope> {
    let preamble = raw.preamble.as_ref().map(|at| bytes(diags, at));
    let skip = raw.skip.as_ref().map(|at| bytes(diags, at));
    let preamble = preamble.unwrap_or_else(|| Some(Box::default()))?;
    let skip = skip.unwrap_or_else(|| Some(Box::default()))?;
    let mut fill: Vec<u8> = skip.iter().chain(&preamble).copied().collect();
    fill.sort_unstable();
    fill.dedup();
    let fill_pos = raw.skip.as_ref().or(raw.preamble.as_ref()).map_or(raw.pos, |at| at.pos);
    match plan.start.first() {
        None if !fill.is_empty() => {
            diags.error(fill_pos, "nothing marks where a frame begins behind it (`start` of the envelope, or a first field with a `value`)");
            return None;
        }
        Some(first) if fill.contains(first) => {
            diags.error(fill_pos, format!("{first:02X} is also the first byte of a frame (other bytes)"));
            return None;
        }
        _ => {}
    }
    let escape = match &raw.escape {
        Some(map) => Some(Box::new(escape(diags, raw, &map.0, plan)?)),
        None => None,
    };
    let marks = raw.start.is_some() && raw.end.is_some();
    Some(Envelope { marks, skip: fill.into(), preamble, escape })
}

/// The bytes that travel as others, checked: each byte of the wire has one meaning.
fn escape(
    diags: &mut Diags,
    raw: &At<RawEnvelope>,
    map: &[(At<String>, At<String>)],
    plan: &Template,
) -> Option<Escape> {
    if raw.start.is_none() || raw.end.is_none() {
        diags.error(raw.pos, "`escape` without `start` and `end` (the bytes between which it applies)");
        return None;
    }
    let (start, end) = (bytes(diags, raw.start.as_ref()?)?, bytes(diags, raw.end.as_ref()?)?);
    let mut values: Vec<(u8, Box<[u8]>)> = Vec::new();
    for (key, value) in map {
        let (found, travels) = (bytes(diags, key)?, bytes(diags, value)?);
        let [byte] = *found else {
            diags.error(key.pos, format!("`{}` has {} bytes (an escape is of one byte)", key.value, found.len()));
            return None;
        };
        if values.iter().any(|(other, _)| *other == byte) {
            diags.error(key.pos, format!("a second escape of {byte:02X}"));
            return None;
        }
        if travels.len() < 2 {
            diags.error(
                value.pos,
                format!("`{}` (at least 2 bytes: one byte for another could be either)", value.value),
            );
            return None;
        }
        values.push((byte, travels));
    }
    let has = |byte: u8| values.iter().any(|(key, _)| *key == byte);
    let first = |what: &[u8]| what.first().copied().unwrap_or_default();
    for (at, what, byte) in [(&raw.start, "start", first(&start)), (&raw.end, "end", first(&end))] {
        if let Some(at) = at.as_ref().filter(|_| !has(byte)) {
            diags.error(at.pos, format!("{byte:02X} begins the {what} and may be in a frame (give it an escape)"));
            return None;
        }
    }
    for ((_, value), (_, at)) in values.iter().zip(map) {
        let byte = first(value);
        if !has(byte) {
            diags.error(at.pos, format!("{byte:02X} begins an escape and may be in a frame (give it an escape)"));
            return None;
        }
        let others = values.iter().filter(|(_, other)| other != value).map(|(_, other)| &**other);
        let clash = |other: &[u8]| other.starts_with(value) || value.starts_with(other);
        let is_double = values.iter().filter(|(_, other)| other == value).count() > 1;
        if is_double || others.chain([&*start, &*end]).any(clash) {
            diags.error(at.pos, format!("`{}` also begins another escape, or a mark (each has to differ)", at.value));
            return None;
        }
    }
    if plan.start != start || plan.end != end {
        return None; // a field is wrong, which was reported
    }
    Some(Escape::new(values.into()))
}

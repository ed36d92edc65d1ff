//! The frame of a template: header, tail and their lengths.

use super::checksum;
use super::coding;
use super::expr::is_function;
use super::field::{self, Padding, is_data_frame_length, known, outside, split_name};
use super::moved::Handed;
use super::own_value;
use super::sample;
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::config::raw::{RawField, RawProtocol, RawTemplate, RawVendor};
use crate::model::digits::Digits;
use crate::model::field::{Computed, Constant, FRAME_BYTES_MAX, Field, LengthField, Offset, Slot};
use crate::model::template::{Encoding, Framing, Template};
use crate::words::{FieldType, LengthCheck, Unit};

/// Fields of the header, and of the tail: each request and reply has them all.
pub const AREA_FIELDS_MAX: usize = 128;

/// A template without its commands.
pub(super) struct Frame {
    pub(super) plan: Template,
    /// The size of its frames is not wrong.
    pub(super) size_known: bool,
}

/// Compiles the frame without its commands. `vendor`: the defaults of the template's vendor; `handed`: what the data lists have of it.
pub(super) fn frame(
    diags: &mut Diags,
    raw: &At<RawTemplate>,
    protocol: &At<RawProtocol>,
    vendor: Option<&RawVendor>,
    handed: Option<&Handed>,
) -> Option<Frame> {
    let encoding = protocol.encoding.as_ref().or_else(|| vendor.and_then(|vendor| vendor.encoding.as_ref()));
    let encoding = field::word(diags, encoding, Encoding::Binary);
    let raw_left = protocol.pdu_left.as_deref().unwrap_or_default();
    let raw_tail = protocol.pdu_tailer.as_deref().unwrap_or_default();
    let (of_left, of_tail) = handed.map_or((0, 0), Handed::counts);
    let whole = |key: &str, (list, more): (&[At<RawField>], usize), diags: &Diags| {
        diags.is_whole_list(protocol.pos, key, coding::written(protocol, list) + more)
    };
    if !whole("pdu_left", (raw_left, of_left), diags) || !whole("pdu_tailer", (raw_tail, of_tail), diags) {
        return None; // what else seems wrong may only follow from that
    }
    if protocol.pdu_left.is_none() {
        diags.error(protocol.pos, "`pdu_left` is missing (the header fields; `[]` if there are none)");
        return None;
    }
    let (mut left, left_len) = area(diags, raw_left, false);
    let (mut tail, tail_len) = area(diags, raw_tail, true);
    if left.len() != raw_left.len() || tail.len() != raw_tail.len() {
        return None; // reported by `area`
    }
    let start = boundary(diags, raw_left.first(), left.first_mut(), Computed::Start).unwrap_or_default();
    likely_no_start(diags, raw_left.first());
    let last_is_checksum = checksum::is_last(protocol, vendor, &left, &tail);
    let end = if last_is_checksum { None } else { boundary(diags, raw_tail.last(), tail.last_mut(), Computed::End) };
    let fixed = fixed_len(diags, protocol, left_len + tail_len);
    let data_len_fixed = fixed.unwrap_or_default();
    let mut plan = Template {
        vendor: Box::default(),
        path: Box::default(),
        encoding,
        coding: None,
        start,
        end: end.unwrap_or_default(),
        closing: Box::default(),
        behind: 0,
        left: left.into(),
        tail: tail.into(),
        left_len,
        tail_len,
        data_len_fixed,
        data_len_max: data_len_fixed.unwrap_or(0),
        data_lens: Box::default(),
        lengths: Box::default(),
        readings: [0].into(),
        less: 0,
        command_lengths: false,
        checksum: None,
        versions: Box::default(),
        framing: Framing::Delimited,
        keys: Box::default(),
        commands: Box::default(),
        errors: Default::default(),
        transfer: None,
        moved: None,
        wire_len_max: 0,
    };
    let has_blocks = checksum::said(protocol, vendor).0.iter().any(|said| said.blocks().is_some());
    coding::compile(diags, protocol, &mut plan, has_blocks);
    plan.checksum = checksum::compile(diags, raw.pos, protocol, vendor, &mut plan);
    coding::gaps(&mut plan);
    lengths(diags, raw_left, raw_tail, &mut plan);
    plan.versions = versions(diags, raw_left, raw_tail, &plan);
    closing(&mut plan);
    Some(Frame { plan, size_known: fixed.is_ok() })
}

/// The fields of the header or the tail, with their places.
fn area(diags: &mut Diags, list: &[At<RawField>], tail: bool) -> (Vec<Field>, usize) {
    let mut fields: Vec<Field> = Vec::new();
    let mut len = 0;
    for (number, raw) in list.iter().enumerate() {
        if number == AREA_FIELDS_MAX {
            let what = if tail { "tail" } else { "header" };
            diags.error(raw.pos, format!("{} fields of the {what} (at most {AREA_FIELDS_MAX})", list.len()));
            break;
        }
        let Some(name) = &raw.name else {
            diags.missing(raw.pos, "name", "the field's name");
            continue;
        };
        field::check_name(diags, name);
        let Some(slot) = field::slot(diags, raw, Padding::default()) else { continue };
        let (_, plain) = split_name(&name.value);
        if fields.iter().any(|field| *field.name == *plain) {
            diags.error(name.pos, format!("a second field `{plain}`"));
        }
        let length = field::counts_of(raw, &slot.kind) || is_data_frame_length(raw);
        if !length {
            check_value(diags, raw, &slot);
        } else if let Some(value) = raw.value.value.as_ref().filter(|_| !is_data_frame_length(raw)) {
            diags.warn(value.pos, format!("`{plain}` is always computed; its value here means nothing"));
        }
        let at = Offset(len as i32);
        if !field::has_room(diags, name, len + slot.len) {
            break;
        }
        len += slot.len;
        let computed = if length { Computed::Length } else { Computed::No };
        fields.push(Field { name: plain.into(), at, slot, computed });
    }
    if tail {
        for field in &mut fields {
            field.at.0 -= len as i32;
        }
    }
    (fields, len)
}

/// A header or tail field's value must fit, whether a frame ever shows it or not.
fn check_value(diags: &mut Diags, raw: &At<RawField>, slot: &Slot) {
    match &raw.value.value {
        Some(value) if matches!(&value.value, Json::Str(text) if text.contains("{{")) => {
            diags.error(value.pos, "an unknown placeholder (known: {{data_frame_length}})");
        }
        // An empty text is zero, or padding.
        // The rules are compiled with it.
        Some(value) if own_value::expression(value).is_some() => {}
        Some(value) if is_function(&value.value) => {
            sample::function(diags, slot, value);
            if is_match(raw) {
                let needs = "a field that is marked match needs a constant or a parameter (`param`)";
                diags.error(value.pos, format!("{needs}, and this is another function"));
            }
        }
        Some(value) if !matches!(&value.value, Json::Str(text) if text.is_empty()) => {
            field::constant(diags, slot, value);
        }
        _ => {}
    }
}

/// Must requests carry its value?
fn is_match(raw: &RawField) -> bool {
    raw.matches.as_ref().is_some_and(|matches| matches.value)
}

/// The constant first or last field.
fn boundary(
    diags: &mut Diags,
    raw: Option<&At<RawField>>,
    field: Option<&mut Field>,
    computed: Computed,
) -> Option<Box<[u8]>> {
    let (raw, field) = (raw?, field?);
    if field.computed != Computed::No {
        return None;
    }
    // A function is no constant that a frame could be known by: the field is one like others.
    let value = raw.value.value.as_ref().filter(|value| !is_function(&value.value))?;
    let (bytes, _) = field::constant(diags, &field.slot, value)?;
    field.computed = computed;
    Some(bytes)
}

/// Warns of a number as the first field whose value makes it the start of every frame, which may not be meant.
fn likely_no_start(diags: &mut Diags, first: Option<&At<RawField>>) {
    let Some(raw) = first.filter(|raw| raw.matches.is_none()) else { return };
    let kind = raw.kind.as_ref().and_then(|kind| FieldType::from_name(&kind.value));
    let is_number = matches!(kind, Some(FieldType::Uint | FieldType::Int | FieldType::IntBe | FieldType::IntLe));
    let is_start = |value: &&At<Json>| is_number && matches!(value.value, Json::Num(_));
    if let Some((value, name)) = raw.value.value.as_ref().filter(is_start).zip(raw.name.as_ref()) {
        let what = "has a value, so every frame begins with it";
        let right = "leave `value` out, or write a function; `\"match\": true` if it is meant";
        diags.warn(value.pos, format!("`{}` {what} ({right})", split_name(&name.value).1));
    }
}

/// Finds the constant in the tail that shows where a frame ends though it is not the last field.
fn closing(plan: &mut Template) {
    if !plan.end.is_empty() || plan.is_hex() {
        return;
    }
    let whole = |constant: &&Constant| constant.at.0 < 0 && constant.mask.iter().all(|&byte| byte == 0xFF);
    if let Some(last) = plan.versions.iter().filter(whole).max_by_key(|constant| constant.at) {
        plan.behind = (last.at.0.unsigned_abs() as usize).saturating_sub(last.bytes.len());
        plan.closing.clone_from(&last.bytes);
    }
}

/// An error that was reported already.
#[derive(Clone, Copy)]
struct Told;

/// Data-frame bytes, where they are always the same.
fn fixed_len(diags: &mut Diags, protocol: &At<RawProtocol>, around: usize) -> Result<Option<usize>, Told> {
    let dynamic = protocol.dynamic_length.as_ref().map(|dynamic| dynamic.value);
    match (&protocol.total_length, dynamic) {
        (None, None) if diags.written(protocol.pos, "total_length").is_some() => Err(Told),
        (_, Some(true)) | (None, None) => Ok(None),
        (Some(total), _) => {
            let len = usize::try_from(total.value).unwrap_or(usize::MAX);
            if len < around || len > FRAME_BYTES_MAX {
                let text = format!("total_length {len} (header and tail take {around}, at most {FRAME_BYTES_MAX})");
                diags.error(total.pos, text);
                return Err(Told);
            }
            Ok(Some(len - around))
        }
        (None, Some(false)) => {
            diags.missing(protocol.pos, "total_length", "bytes of the frame; dynamic_length is false");
            Err(Told)
        }
    }
}

/// Length fields of header and tail.
fn lengths(diags: &mut Diags, raw_left: &[At<RawField>], raw_tail: &[At<RawField>], plan: &mut Template) {
    // All `{{data_frame_length}}` of a frame are one number: what the first counts in the header.
    let mut after_length = None;
    let mut out = Vec::new();
    let fields = plan.left.iter().zip(raw_left).chain(plan.tail.iter().zip(raw_tail));
    for (field, raw) in fields.filter(|(field, _)| field.computed == Computed::Length) {
        let mut length = LengthField {
            at: field.at,
            len: field.slot.len,
            little: field.slot.little,
            base: raw.add.as_ref().map_or(0, |add| add.value),
            per_data: 0,
            lchksum: false,
            configured: is_data_frame_length(raw),
            digits: Digits::of(&field.slot.kind),
        };
        if let Err(wrong) = field::holds_number(&field.slot) {
            diags.error(raw.pos, format!("`{}` cannot be a length: {wrong}", field.name));
            continue;
        }
        if field.slot.len > 8 {
            diags.error(raw.pos, "a length has 1 to 8 bytes");
            continue;
        }
        if length.configured {
            let in_header = field.at.0 >= 0;
            let behind = || if in_header { plan.left_len - (field.at.0 as usize + field.slot.len) } else { 0 };
            length.base = length.base.saturating_add(*after_length.get_or_insert_with(behind) as i64);
            length.per_data = 1;
            out.push(length);
            continue;
        }
        let unit = field::word(diags, raw.unit.as_ref(), Unit::Bytes);
        let coded = if unit == Unit::Chars && plan.is_hex() { 2 } else { 1 };
        let default = [At { pos: raw.pos, value: "data_frame".to_owned() }];
        let of = raw.of.as_ref().map_or(&default[..], |of| &of.value.0);
        for name in of {
            let (area, plain) = split_name(&name.value);
            match outside(plan, area, plain) {
                Some(field) if matches!(field.computed, Computed::Start | Computed::End) => {
                    length.base = length.base.saturating_add(field.slot.len as i64);
                }
                Some(field) => length.base = length.base.saturating_add(field.slot.len as i64 * coded),
                None if plain == "data_frame" => length.per_data += coded,
                None => {
                    let header = plan.left.iter().chain(&plan.tail).map(|field| &*field.name);
                    let names = header.chain(["data_frame"]);
                    diags.error(name.pos, format!("no field `{}`{}", name.value, known(plain, names)));
                }
            }
        }
        length.lchksum = field::word(diags, raw.check.as_ref(), LengthCheck::None) == LengthCheck::Lchksum;
        if length.lchksum && (length.len != 2 || length.digits != Digits::Binary) {
            diags.error(raw.pos, "lchksum needs a binary length of 2 bytes");
            length.lchksum = false;
        }
        out.push(length);
    }
    plan.lengths = out.into();
}

/// Header and tail constants marked `match`.
fn versions(
    diags: &mut Diags,
    raw_left: &[At<RawField>],
    raw_tail: &[At<RawField>],
    plan: &Template,
) -> Box<[Constant]> {
    let mut out = Vec::new();
    for (field, raw) in plan.left.iter().zip(raw_left).chain(plan.tail.iter().zip(raw_tail)) {
        if !is_match(raw) || field.computed != Computed::No {
            continue;
        }
        match &raw.value.value {
            None => diags.error(raw.pos, format!("`{}` is marked match and has no value to match", field.name)),
            Some(value) if is_function(&value.value) => {} // reported where the field was read
            Some(value) => out.extend(field::constant(diags, &field.slot, value).map(|(bytes, mask)| Constant {
                name: field.name.clone(),
                at: field.at,
                bytes,
                mask,
            })),
        }
    }
    out.into()
}

//! The fields of a data frame: a req_data_list or resp_data_list, and the lengths in it.

use super::field::{self, Area, Padding, encode, is_data_frame_length, known, outside, placeholder, split_name};
use super::fields::{DataList, FieldList, ResponseField};
use super::length::{self, Size};
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::config::raw::RawField;
use crate::model::field::{Computed, FIELD_BYTES_MAX, FRAME_BYTES_MAX, Field, Offset};
use crate::model::template::Template;
use crate::words::count;

/// What a field of a list takes: in the list, and in the plan.
const LIST_FIELD_BYTES: usize = size_of::<ResponseField>() + size_of::<Field>() + 160;

/// Heap memory of a value.
fn json_bytes(json: &Json) -> usize {
    match json {
        Json::Str(text) => text.len(),
        Json::Arr(list) => list.iter().map(|at| size_of_val(at) + json_bytes(&at.value)).sum(),
        Json::Obj(list) => list.iter().map(|at| size_of_val(at) + at.0.value.len() + json_bytes(&at.1.value)).sum(),
        _ => 0,
    }
}

/// Compiles a req_data_list or resp_data_list.
pub fn data_list(diags: &mut Diags, template: &Template, list: &[At<RawField>], padding: Padding) -> DataList {
    let mut out = DataList { fields: FieldList::default(), len: 0 };
    for raw in list {
        let Some(name) = &raw.name else {
            diags.missing(raw.pos, "name", "the field's name");
            // It keeps its bytes, so that one error does not move every field after it.
            let room = raw
                .length
                .as_ref()
                .and_then(|at| at.number())
                .map_or(0, |bytes| bytes.min(FIELD_BYTES_MAX as u64) as usize);
            let most = FRAME_BYTES_MAX.saturating_sub(template.left_len + template.tail_len);
            out.len = (out.len + room).min(most);
            continue;
        };
        let room =
            LIST_FIELD_BYTES + 3 * name.value.len() + raw.value.value.as_ref().map_or(0, |at| json_bytes(&at.value));
        if !diags.charge(raw.pos, room, "a field") {
            break;
        }
        let (area, plain) = split_name(&name.value);
        let header = outside(template, area, plain).filter(|_| area != Area::Plain);
        if let Some(field) = header {
            if field.computed != Computed::No && raw.value.value.is_some() && !length::repeats(template, field, raw) {
                diags.warn(name.pos, format!("`{plain}` is always computed; its value here means nothing"));
            }
            if let Some(length) = raw.length.as_ref().filter(|length| length.number() != Some(field.slot.len as u64)) {
                diags.error(length.pos, format!("`{plain}` is a header field of {}", count(field.slot.len, "byte")));
            }
            field::restated(diags, raw, field);
            out.fields.push(ResponseField { field: field.clone(), header: true, value: raw.value.value.clone() });
            continue;
        }
        field::check_name(diags, name);
        if area != Area::Plain {
            let names = template.left.iter().chain(&template.tail).map(|field| &*field.name);
            diags.error(name.pos, format!("no header field `{plain}`{}", known(plain, names)));
            continue;
        }
        field::check_apart(diags, template, name);
        if out.fields.data(plain).is_some() {
            diags.error(name.pos, format!("a second field `{plain}` in one data frame"));
        }
        let Some(slot) = field::slot(diags, raw, padding) else { continue };
        let at = Offset((template.left_len + out.len) as i32);
        if !field::has_room(diags, name, out.len + slot.len) {
            break;
        }
        out.len += slot.len;
        let counted = is_data_frame_length(raw);
        let computed = if field::counts_of(raw, &slot.kind) || counted { Computed::Length } else { Computed::No };
        if let Some(value) = raw.value.value.as_ref().filter(|_| computed == Computed::Length && !counted) {
            diags.warn(value.pos, format!("`{plain}` is always computed; its value here means nothing"));
        }
        let unknown = |value: &At<Json>| matches!(&value.value, Json::Str(text) if placeholder(text).is_some());
        let mut value = raw.value.value.clone();
        if let Some(strange) = value.take_if(|value| !counted && unknown(value)) {
            diags.error(strange.pos, "an unknown placeholder (known: {{data_frame_length}})");
        }
        let field = Field { name: plain.into(), at, slot, computed };
        out.fields.push(ResponseField { field, header: false, value });
    }
    out
}

/// Gives the lengths in a reply's list their values, in a frame of that size.
pub fn response_lengths(
    diags: &mut Diags,
    template: &Template,
    list: &[At<RawField>],
    fields: &mut FieldList,
    size: Size,
) {
    data_lengths(diags, template, list, fields, size.data_len);
    length::fill(diags, template, list, fields, length::number(template, size));
}

/// Gives the length fields inside a data frame their values.
pub fn data_lengths(
    diags: &mut Diags,
    template: &Template,
    list: &[At<RawField>],
    fields: &mut FieldList,
    data_len: usize,
) {
    // Of digits with `of` it is in their type.
    let is_length = |raw: &RawField| raw.of.is_some() || raw.kind.as_ref().is_some_and(|kind| kind.value == "length");
    for raw in list.iter().filter(|raw| is_length(raw) && !is_data_frame_length(raw)) {
        let Some((Area::Plain, name)) = raw.name.as_ref().map(|name| split_name(&name.value)) else { continue };
        let Some(index) = fields.data(name) else { continue };
        let chars = raw.unit.as_ref().is_some_and(|unit| unit.value == "chars");
        let each = if chars && template.is_hex() { 2 } else { 1 };
        let mut value = raw.add.as_ref().map_or(0, |add| add.value);
        let whole = [At { pos: raw.pos, value: "data_frame".to_owned() }];
        for name in raw.of.as_ref().map_or(&whole[..], |of| &of.value.0) {
            let (area, plain) = split_name(&name.value);
            let header = || template.left.iter().chain(&template.tail);
            let data = || fields.iter().filter(|field| !field.header).map(|field| &field.field);
            let own = fields.data(plain).filter(|_| area == Area::Plain).map(|number| &fields[number].field);
            let named = own.or_else(|| outside(template, area, plain));
            // Start and end are never encoded.
            let is_plain = |field: &Field| matches!(field.computed, Computed::Start | Computed::End);
            let size_of = |field: &Field| field.slot.len * if is_plain(field) { 1 } else { each };
            let size = if plain == "data_frame" { Some(data_len * each) } else { named.map(size_of) };
            if let Some(size) = size {
                value = value.saturating_add(size as i64);
            } else {
                let names = data().chain(header()).map(|field| &*field.name).chain(["data_frame"]);
                diags.error(name.pos, format!("`of` names no field `{}`{}", name.value, known(plain, names)));
            }
        }
        let field = &mut fields[index];
        if value < 0 {
            let pos = raw.add.as_ref().map_or(raw.pos, |add| add.pos);
            let text = format!("`{}` would be {value}, and a length is never below 0", field.field.name);
            diags.error(pos, text);
        } else if let text = length::notation(&field.field.slot, value)
            && encode(diags, &field.field.slot, &text, raw.pos).is_some()
        {
            field.value = Some(At { pos: raw.pos, value: Json::Str(text) });
        }
    }
}

//! Computed lengths in a data frame whose size varies: `"type": "length"` and `{{data_frame_length}}`.
//!
//! Such a field is at a fixed distance from the frame's beginning or from its end, and counts the whole data frame and fields of fixed
//! size. A field whose size varies is counted by the field that its own `length` names.

use super::super::field::{self, Area, holds_number, is_data_frame_length, known, outside, split_name};
use super::super::length::behind_len;
use super::layout::{Around, Compiler};
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::config::raw::RawField;
use crate::model::digits::Digits;
use crate::model::field::{Computed, Field, LengthField, Offset, Slot};
use crate::model::template::Encoding;
use crate::model::walk::{Node, What};
use crate::words::{FieldType, LengthCheck, Unit};

/// Whether a field is a computed length.
pub(in super::super) fn is_length(raw: &At<RawField>) -> bool {
    let is_digits = |kind: &str| {
        raw.of.is_some()
            && matches!(FieldType::from_name(kind), Some(FieldType::Bcd | FieldType::Dec | FieldType::HexDigits))
    };
    is_data_frame_length(raw) || raw.kind.as_ref().is_some_and(|kind| kind.value == "length" || is_digits(&kind.value))
}

/// The lengths before the first field of variable size. `list`: the fields there.
pub(super) fn fixed(diags: &mut Diags, around: Around<'_>, list: &[At<RawField>]) -> Vec<LengthField> {
    let raws = list.iter().filter(|raw| is_length(raw));
    let field = |raw: &At<RawField>| {
        let (area, plain) = split_name(&raw.name.as_ref()?.value);
        let number = around.fixed.data(plain).filter(|_| area == Area::Plain)?;
        Some(around.fixed[number].field.clone())
    };
    let found: Vec<(&At<RawField>, Field)> = raws.filter_map(|raw| Some((raw, field(raw)?))).collect();
    found.into_iter().filter_map(|(raw, field)| one(diags, around, (raw, &field.slot, field.at))).collect()
}

/// The lengths from the first field of variable size on: their nodes.
pub(super) fn walked(diags: &mut Diags, compiler: &Compiler<'_>, list: &[(u32, At<RawField>)]) -> Vec<LengthField> {
    let mut out = Vec::new();
    for (node, raw) in list {
        let Some(Node { what: What::Field { slot, .. }, .. }) = compiler.nodes.get(*node as usize) else { continue };
        let behind = compiler.nodes.iter().skip(*node as usize).filter(|node| node.parent.is_none());
        let sizes = behind.map(|node| match &node.what {
            What::Field { slot, varies: false } => Some(slot.len),
            _ => None,
        });
        let Some(behind) = sizes.sum::<Option<usize>>() else {
            let name = raw.name.as_ref().map_or("", |name| &name.value);
            let text = format!(
                "`{name}` is a computed length between fields of variable size (before the first of them, or behind the last)"
            );
            diags.error(raw.pos, text);
            continue;
        };
        let at = Offset(-((compiler.around.template.tail_len + behind) as i32));
        out.extend(one(diags, compiler.around, (raw, slot, at)));
    }
    out
}

/// Reports a `max` with which a length in digits would have more of them than its field. `least`: bytes of the data frame without that
/// field.
pub(super) fn hold(
    diags: &mut Diags,
    around: Around<'_>,
    own: &[LengthField],
    (list, least): (&[At<RawField>], usize),
) {
    if around.template.data_len_fixed.is_some() {
        return;
    }
    let all = || around.template.lengths.iter().chain(own).filter(|length| length.per_data > 0);
    for raw in list.iter().filter(|raw| raw.items.is_none()) {
        let Some(max) = &raw.max else { continue };
        let most = (least as i64).saturating_add_unsigned(max.value);
        let number = |length: &LengthField| most.saturating_mul(length.per_data).saturating_add(length.base);
        let wrong = |length| {
            let number = u64::try_from(number(length)).unwrap_or(0);
            field::digits_hold(length.digits, number, length.len).err()
        };
        if let Some(wrong) = all().find_map(wrong) {
            let name = raw.name.as_ref().map_or("", |name| &*name.value);
            let text = format!("with {} bytes of `{name}` the length of the data frame is {wrong}", max.value);
            diags.error(max.pos, text);
        }
    }
}

fn one(diags: &mut Diags, around: Around<'_>, (raw, slot, at): (&At<RawField>, &Slot, Offset)) -> Option<LengthField> {
    let name = raw.name.as_ref().map_or("", |name| &*name.value);
    if let Err(wrong) = holds_number(slot) {
        diags.error(raw.pos, format!("`{name}` cannot be a length: {wrong}"));
        return None;
    }
    if slot.len > 8 {
        diags.error(raw.pos, "a length has 1 to 8 bytes");
        return None;
    }
    let mut length = LengthField {
        at,
        len: slot.len,
        little: slot.little,
        base: raw.add.as_ref().map_or(0, |add| add.value),
        per_data: 0,
        lchksum: false,
        configured: is_data_frame_length(raw),
        digits: Digits::of(&slot.kind),
    };
    if length.configured {
        length.base = length.base.saturating_add(behind_len(around.template) as i64);
        length.per_data = 1;
        return Some(length);
    }
    let chars = field::word(diags, raw.unit.as_ref(), Unit::Bytes) == Unit::Chars;
    let each = if chars && around.template.encoding == Encoding::AsciiHex { 2 } else { 1 };
    let whole = [At { pos: raw.pos, value: "data_frame".to_owned() }];
    for name in raw.of.as_ref().map_or(&whole[..], |of| &of.value.0) {
        counted(diags, around, (name, each), &mut length);
    }
    length.lchksum = field::word(diags, raw.check.as_ref(), LengthCheck::None) == LengthCheck::Lchksum;
    if length.lchksum && length.len != 2 {
        diags.error(raw.pos, "lchksum needs a length of 2 bytes");
        length.lchksum = false;
    }
    Some(length)
}

/// Adds what a name of `of` counts.
fn counted(diags: &mut Diags, around: Around<'_>, (name, each): (&At<String>, i64), length: &mut LengthField) {
    let (area, plain) = split_name(&name.value);
    let own = around.fixed.data(plain).filter(|_| area == Area::Plain).map(|number| &around.fixed[number].field);
    match own.or_else(|| outside(around.template, area, plain)) {
        // Start and end are never encoded.
        Some(field) if matches!(field.computed, Computed::Start | Computed::End) => {
            length.base = length.base.saturating_add(field.slot.len as i64);
        }
        Some(field) => length.base = length.base.saturating_add(field.slot.len as i64 * each),
        None if plain == "data_frame" => length.per_data += each,
        None => unknown(diags, around, name.pos, plain),
    }
}

fn unknown(diags: &mut Diags, around: Around<'_>, pos: Pos, name: &str) {
    let header = around.template.left.iter().chain(&around.template.tail);
    let data = around.fixed.iter().filter(|field| !field.header).map(|field| &*field.field.name);
    let names = data.chain(header.map(|field| &*field.name)).chain(["data_frame"]);
    let near = known(name, names);
    let right = "here `of` takes `data_frame` and fields of fixed size before the first of variable size";
    diags.error(pos, format!("`of` names no field `{name}`{near} ({right})"));
}

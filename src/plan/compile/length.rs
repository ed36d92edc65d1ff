//! What `data_frame_length` counts, and the fields that `{{data_frame_length}}` puts it in (spec templates.md, Lengths).

use super::field::{encode, holds_number, is_data_frame_length};
use super::fields::{DataList, FieldList, listed_index};
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::config::raw::{RawCommand, RawField};
use crate::model::digits::Digits;
use crate::model::field::{Computed, FRAME_BYTES_MAX, Field, Kind, LengthField, Slot};
use crate::model::template::{Command, Count, Template};

/// How a command's `data_frame_length` is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// Data-frame bytes; `None`: not given, or the frame has a fixed size.
    pub data_len: Option<usize>,
    /// See [`Command::less`].
    pub less: i64,
}

/// What the number of `{{data_frame_length}}` in a frame depends on.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Bytes of the data frame.
    pub data_len: usize,
    /// See [`Command::less`].
    pub less: i64,
}

/// The header fields behind the first `{{data_frame_length}}` of the header.
pub fn behind(template: &Template) -> &[Field] {
    let carrier = template.lengths.iter().find(|length| length.configured && length.at.0 >= 0);
    let first = carrier.map(|carrier| template.left.iter().take_while(|field| field.at.0 <= carrier.at.0).count());
    first.and_then(|first| template.left.get(first..)).unwrap_or_default()
}

/// Bytes of the header fields that `{{data_frame_length}}` may count.
pub fn behind_len(template: &Template) -> usize {
    behind(template).iter().map(|field| field.slot.len).sum()
}

/// `cmd`, `ver to cmd`, as code.
fn names(fields: &[Field]) -> String {
    match fields {
        [] => String::new(),
        [one] => format!("`{}`", one.name),
        [first, .., last] => format!("`{}` to `{}`", first.name, last.name),
    }
}

/// Which of the two readings a command's number has: the data frame alone, or with the header fields behind the length
/// field. `request` and `reply`: bytes of the fields; the reply's decide before the request's.
pub fn counted(
    diags: &mut Diags,
    template: &Template,
    raw: &At<RawCommand>,
    request: Option<usize>,
    reply: usize,
) -> Counted {
    let Some(length) = &raw.data_frame_length else { return Counted::default() };
    let number = usize::try_from(length.value).unwrap_or(usize::MAX);
    if number > FRAME_BYTES_MAX {
        diags.error(length.pos, format!("data_frame_length {number} does not fit any frame"));
        return Counted::default();
    }
    let (after, fields) = (behind_len(template), names(behind(template)));
    if let Some(fixed) = template.data_len_fixed {
        if number != fixed && number != fixed + after {
            let or = if after > 0 { format!(", {} with {fields}", fixed + after) } else { String::new() };
            let text = format!("total_length leaves {fixed} bytes for the data frame{or}; this says {number}");
            diags.warn(length.pos, text);
        }
        return Counted { data_len: None, less: (fixed + after) as i64 - number as i64 };
    }
    let read = |with: bool| {
        let (header, less) = if with { (after, 0) } else { (0, after) };
        let data_len = number.checked_sub(header).filter(|&data_len| reply <= data_len)?;
        Some(Counted { data_len: Some(data_len), less: less as i64 })
    };
    let is = |size: usize| [(false, size), (true, size + after)].into_iter().find(|(_, size)| *size == number);
    let exact = [Some(reply), request].into_iter().flatten().filter_map(is).find_map(|(with, _)| read(with));
    // Where neither is exact, padding fills the data frame.
    let counted = exact.or_else(|| read(true)).or_else(|| read(false));
    if counted.is_none() && after > 0 {
        let both =
            format!("the reply has {reply} bytes of fields, {} with {fields} behind the length field", reply + after);
        diags.error(length.pos, format!("data_frame_length {number} counts neither: {both}"));
        return Counted::default();
    }
    // Without such header fields there is one reading; that the fields do not fit it is reported with them.
    counted.unwrap_or(Counted { data_len: Some(number), less: 0 })
}

/// The number that `{{data_frame_length}}` is in a frame of that size.
pub fn number(template: &Template, size: Size) -> i64 {
    (size.data_len + behind_len(template)) as i64 - size.less
}

/// The fields of a data list whose value is `{{data_frame_length}}`, with the number of the list's field.
fn carriers<'l>(template: &Template, list: &'l [At<RawField>], fields: &FieldList) -> Vec<(&'l At<RawField>, usize)> {
    let carriers = list.iter().filter(|raw| is_data_frame_length(raw));
    carriers.filter_map(|raw| Some((raw, listed_index(template, raw, fields)?))).collect()
}

/// Is it the header's own `{{data_frame_length}}`, which a data list only names again?
pub fn repeats(template: &Template, field: &Field, raw: &RawField) -> bool {
    is_data_frame_length(raw) && template.lengths.iter().any(|length| length.configured && length.at == field.at)
}

/// Puts `number` where a data list has `{{data_frame_length}}`.
pub fn fill(diags: &mut Diags, template: &Template, list: &[At<RawField>], fields: &mut FieldList, number: i64) {
    for (raw, index) in carriers(template, list, fields) {
        let field = &mut fields[index];
        let value = number.saturating_add(raw.add.as_ref().map_or(0, |add| add.value));
        let pos = raw.value.value.as_ref().map_or(raw.pos, |value| value.pos);
        let name = &field.field.name;
        let slot = &field.field.slot;
        let wrong = if value < 0 {
            Some(format!("`{name}` would be {value}, and a length is never below 0"))
        } else {
            holds_number(slot).err().map(|wrong| format!("`{name}` cannot be a length: {wrong}"))
        };
        let text = notation(slot, value);
        field.value = if let Some(wrong) = wrong {
            diags.error(pos, wrong);
            None
        } else {
            encode(diags, slot, &text, pos).map(|_| At { pos, value: Json::Str(text) })
        };
    }
}

/// A number as values of a field that holds numbers spell it.
pub fn notation(slot: &Slot, number: i64) -> String {
    match *slot.kind.plain() {
        Kind::Hex => format!("{number:0width$X}", width = 2 * slot.len),
        Kind::HexDigits { .. } => format!("{number:X}"),
        // Under its leading zeros no padding shows.
        Kind::Bcd => format!("{number:0width$}", width = 2 * slot.len),
        _ => number.to_string(),
    }
}

/// The request's fields with `{{data_frame_length}}`: what a request has to hold there.
pub fn counts(template: &Template, list: &[At<RawField>], request: &DataList) -> Box<[Count]> {
    let count = |(raw, index): (&At<RawField>, usize)| {
        let field: &Field = &request.fields[index].field;
        let add = raw.add.as_ref().map_or(0, |add| add.value);
        let length = LengthField {
            at: field.at,
            len: field.slot.len.min(8),
            little: field.slot.little,
            base: add.saturating_add(behind_len(template) as i64),
            per_data: 1,
            lchksum: false,
            digits: Digits::of(&field.slot.kind),
            configured: true,
        };
        Count { name: field.name.clone(), length }
    };
    // A computed header field keeps its meaning, whatever a list has there.
    let own = |(_, index): &(&At<RawField>, usize)| {
        let listed = &request.fields[*index];
        !listed.header || listed.field.computed == Computed::No
    };
    carriers(template, list, &request.fields).into_iter().filter(own).map(count).collect()
}

/// Sets the readings of the plan from its commands.
pub fn readings<'a>(plan: &mut Template, commands: impl Iterator<Item = &'a Command> + Clone) {
    let written = plan.lengths.iter().any(|length| length.configured);
    let mut all: Vec<i64> = commands.clone().filter(|_| written).map(|command| command.less).collect();
    all.sort_unstable();
    all.dedup();
    if all.len() != 1 && !all.contains(&0) {
        all.insert(0, 0);
        all.sort_unstable();
    }
    plan.less = if let [less] = *all { less } else { 0 };
    let checked = |command: &Command| {
        !command.counts.is_empty() || !command.lengths.is_empty() || command.request_walk().is_some()
    };
    plan.command_lengths = all.len() > 1 || commands.into_iter().any(checked);
    plan.readings = all.into();
}

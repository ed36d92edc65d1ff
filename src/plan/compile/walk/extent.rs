//! Sizes and counts, and the earlier fields that give them.

use super::super::field::holds_number;
use super::layout::Compiler;
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::config::extent::{RawCounted, RawExtent};
use crate::config::raw::RawField;
use crate::model::field::{FIELD_BYTES_MAX, FRAME_BYTES_MAX, Kind, Slot};
use crate::model::walk::{Count, Counted, FIELD_BYTES_DEFAULT, ITEMS_DEFAULT, MARKS_MAX, Op, Size, Source};
use crate::wire::walk::counts;
use crate::words::FieldType;

/// Whether the end of the enclosing bytes is known.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) is_bounded: bool,
}

/// Reports keys that the field's type does not use. False if the field cannot be compiled because of them.
pub(super) fn only(diags: &mut Diags, raw: &At<RawField>, kind: Option<FieldType>) -> bool {
    let is_list = kind == Some(FieldType::List);
    let is_choice = kind == Some(FieldType::Choice);
    let of = |is_there: bool, pos: Option<Pos>| pos.filter(|_| !is_there);
    let keys = [
        ("count", "list", of(is_list, raw.count.as_ref().map(|at| at.pos))),
        ("items", "list", of(is_list, raw.items.as_ref().map(|at| at.pos))),
        ("by", "choice", of(is_choice, raw.by.as_ref().map(|at| at.pos))),
        ("cases", "choice", of(is_choice, raw.cases.as_ref().map(|at| at.pos))),
        ("bytes", "choice", of(is_choice, raw.bytes.as_ref().map(|at| at.pos))),
    ];
    let is_right = keys.iter().all(|(_, _, pos)| pos.is_none());
    for (key, needs, pos) in keys {
        if let Some(pos) = pos {
            diags.error(pos, format!("`{key}` needs `\"type\": \"{needs}\"`"));
        }
    }
    if !is_list && !is_choice {
        return is_right;
    }
    let keys = [
        ("length", raw.length.as_ref().map(|at| at.pos)),
        ("until", raw.until.as_ref().map(|at| at.pos)),
        ("endian", raw.endian.as_ref().map(|at| at.pos)),
        ("bits", raw.bits.as_ref().and_then(|bits| bits.0.first()).map(|(name, _)| name.pos)),
        ("match", raw.matches.as_ref().map(|at| at.pos)),
        ("max", raw.max.as_ref().map(|at| at.pos).filter(|_| is_choice)),
    ];
    for (key, pos) in keys {
        if let Some(pos) = pos {
            diags.error(pos, format!("`{key}` at a {} (its fields have it)", if is_list { "list" } else { "choice" }));
        }
    }
    is_right
}

/// The size of a field.
pub(super) fn size(compiler: &mut Compiler<'_>, diags: &mut Diags, raw: &At<RawField>, room: Room) -> Option<Size> {
    if let Some(until) = &raw.until {
        if let Some(length) = &raw.length {
            diags.error(length.pos, "`length` and `until` (one of them)");
        }
        let plain = Slot {
            kind: Kind::Hex,
            len: until.value.len().div_ceil(2).max(1),
            little: false,
            right: false,
            padding: 0,
        };
        let mut end = Vec::new();
        if crate::wire::varied::encode(&plain, until.value.as_bytes(), &mut end).is_err() || end.is_empty() {
            diags.error(until.pos, format!("`{}` are no bytes that a field ends with (hex digits)", until.value));
            return None;
        }
        return Some(Size::Until { end: end.into(), max: max(diags, raw, FIELD_BYTES_DEFAULT, FIELD_BYTES_MAX) });
    }
    match raw.length.as_ref().map(|at| (&at.value, at.pos)) {
        Some((RawExtent::Rest, pos)) => {
            let max = raw.max.as_ref().map_or(FRAME_BYTES_MAX, |_| max(diags, raw, FRAME_BYTES_MAX, FIELD_BYTES_MAX));
            bounded(diags, room, pos)?;
            Some(Size::Rest { after: 0, max })
        }
        Some((RawExtent::Counted(by), pos)) => {
            counted(compiler, diags, raw, (by, pos), (FIELD_BYTES_DEFAULT, FIELD_BYTES_MAX)).map(Size::Counted)
        }
        _ => super::super::field::slot(diags, raw, compiler.around.padding).map(|slot| Size::Fixed(slot.len)),
    }
}

/// A field may take the rest only if the end of the enclosing bytes is known.
fn bounded(diags: &mut Diags, room: Room, pos: Pos) -> Option<()> {
    if !room.is_bounded {
        let text =
            "what is left is not known in an item, or in a choice with fields behind it (a choice may have `bytes`)";
        diags.error(pos, text);
        return None;
    }
    Some(())
}

fn max(diags: &mut Diags, raw: &At<RawField>, default: usize, most: usize) -> usize {
    let Some(given) = &raw.max else { return default };
    let number = usize::try_from(given.value).unwrap_or(usize::MAX);
    if number == 0 || number > most {
        diags.error(given.pos, format!("max {} (1 to {most})", given.value));
    }
    number.clamp(1, most)
}

/// A size or count given by an earlier field. `default` and `most` are the default and the limit of `max`.
fn counted(
    compiler: &mut Compiler<'_>,
    diags: &mut Diags,
    raw: &At<RawField>,
    (by, pos): (&RawCounted, Pos),
    (default, most): (usize, usize),
) -> Option<Counted> {
    let Some(name) = &by.field else {
        diags.missing(pos, "field", "the earlier field that says it");
        return None;
    };
    let (name, part) = compiler.part(name);
    let (name, source) = (&name, compiler.earlier(diags, &name)?);
    let bits = part.and_then(|part| match &source.slot.kind {
        Kind::Bit(bits) => bits.named(&part).map(|range| (range.from, range.to)),
        _ => None,
    });
    if let Some((from, to)) = bits.filter(|(from, to)| to - from >= 63) {
        diags.error(name.pos, format!("{} bits say no size (at most 63)", to - from + 1));
        return None;
    }
    if let Some(wrong) = holds_number(&source.slot).err().filter(|_| bits.is_none()) {
        diags.error(name.pos, format!("`{}` says no number: {wrong}", name.value));
        return None;
    }
    if source.slot.len > 8 && bits.is_none() {
        diags.error(name.pos, format!("`{}` has {} bytes (a number has 1 to 8)", name.value, source.slot.len));
        return None;
    }
    let times = by.times.as_ref().map_or(1, |times| times.value);
    let add = by.add.as_ref().map_or(0, |add| add.value);
    if !(1..=0xFFFF).contains(&times) {
        diags.error(by.times.as_ref().map_or(pos, |at| at.pos), format!("times {times} (1 to 65535)"));
        return None;
    }
    if add.unsigned_abs() > FRAME_BYTES_MAX as u64 {
        diags.error(by.add.as_ref().map_or(pos, |at| at.pos), format!("add {add} (at most {FRAME_BYTES_MAX})"));
        return None;
    }
    let times = times as i64;
    // The largest number that the field can express.
    let says = i128::from(counts(&source.slot, bits)) * i128::from(times) + i128::from(add);
    let says = usize::try_from(says).unwrap_or(if says < 0 { 0 } else { usize::MAX });
    let given = max(diags, raw, default.min(says.max(1)), most);
    if given > says {
        let at = raw.max.as_ref().map_or(pos, |at| at.pos);
        diags.error(at, format!("max {given}: `{}` says at most {says}", name.value));
    }
    Some(Counted { by: source, bits, times, add, max: given.min(says) })
}

/// A size that a field alone says, with `add`.
pub(super) fn counted_by(
    compiler: &mut Compiler<'_>,
    diags: &mut Diags,
    name: &At<String>,
    add: i64,
) -> Option<Counted> {
    let by = RawCounted { field: Some(name.clone()), times: None, add: Some(At { pos: name.pos, value: add }) };
    let raw = At { pos: name.pos, value: RawField::default() };
    counted(compiler, diags, &raw, (&by, name.pos), (FRAME_BYTES_MAX, FRAME_BYTES_MAX))
}

/// The number of items of a list, and the most it can have.
pub(super) fn count(
    compiler: &mut Compiler<'_>,
    diags: &mut Diags,
    raw: &At<RawField>,
    room: Room,
) -> Option<(Count, usize)> {
    let Some(count) = &raw.count else {
        diags.missing(raw.pos, "count", "how many items: a number, {\"field\": ...} or \"rest\"");
        return None;
    };
    match &count.value {
        RawExtent::Number(number) => {
            if let Some(max) = &raw.max {
                diags.error(max.pos, "`max` at a list of fixed count");
            }
            let items = usize::try_from(*number).unwrap_or(usize::MAX);
            if items == 0 || items > FRAME_BYTES_MAX {
                diags.error(count.pos, format!("count {number} (1 to {FRAME_BYTES_MAX})"));
                return None;
            }
            Some((Count::Fixed(items), items))
        }
        RawExtent::Rest => {
            bounded(diags, room, count.pos)?;
            Some((Count::Rest { after: 0 }, max(diags, raw, ITEMS_DEFAULT, FRAME_BYTES_MAX)))
        }
        RawExtent::Counted(by) => {
            let counted = counted(compiler, diags, raw, (by, count.pos), (ITEMS_DEFAULT, FRAME_BYTES_MAX))?;
            let max = counted.max;
            Some((Count::Counted(counted), max))
        }
    }
}

/// An error that has already been reported.
#[derive(Clone, Copy)]
pub(super) struct Told;

/// The size of a choice, if it is given.
pub(super) fn bytes(
    compiler: &mut Compiler<'_>,
    diags: &mut Diags,
    raw: &At<RawField>,
    room: Room,
) -> Result<Option<Size>, Told> {
    let Some(bytes) = &raw.bytes else { return Ok(None) };
    Ok(Some(match &bytes.value {
        RawExtent::Number(number) if (1..=FIELD_BYTES_MAX as u64).contains(number) => Size::Fixed(*number as usize),
        RawExtent::Number(number) => {
            diags.error(bytes.pos, format!("bytes {number} (1 to {FIELD_BYTES_MAX})"));
            return Err(Told);
        }
        RawExtent::Rest => {
            bounded(diags, room, bytes.pos).ok_or(Told)?;
            Size::Rest { after: 0, max: FRAME_BYTES_MAX }
        }
        RawExtent::Counted(by) => {
            let max = (FIELD_BYTES_MAX, FIELD_BYTES_MAX);
            Size::Counted(counted(compiler, diags, raw, (by, bytes.pos), max).ok_or(Told)?)
        }
    }))
}

/// The field that selects a case.
pub(super) fn source(compiler: &mut Compiler<'_>, diags: &mut Diags, by: &At<String>) -> Option<Source> {
    compiler.earlier(diags, by)
}

/// Returns the mark of a field that others refer to; makes one if needed.
pub(super) fn mark(compiler: &mut Compiler<'_>, diags: &mut Diags, node: u32, pos: Pos) -> Option<u8> {
    let there = compiler.marks.iter().position(|&marked| marked == node);
    let mark = there.unwrap_or(compiler.marks.len());
    if mark == MARKS_MAX {
        diags.error(pos, format!("more than {MARKS_MAX} fields that say a size, a count or a case"));
        return None;
    }
    if there.is_none() {
        compiler.marks.push(node);
        let op = compiler.nodes.get(node as usize).map(|node| node.op as usize);
        if let Some(Op::Field { mark: place, .. }) = op.and_then(|op| compiler.ops.get_mut(op)) {
            *place = Some(mark as u8);
        }
    }
    Some(mark as u8)
}

/// Minimum and maximum size of a value, and whether it takes the rest.
pub(super) fn span(size: &Size) -> (usize, usize, bool) {
    match size {
        Size::Fixed(len) => (*len, *len, false),
        Size::Rest { max, .. } => (0, *max, true),
        Size::Counted(counted) => (usize::try_from(counted.add).unwrap_or(0).min(counted.max), counted.max, false),
        Size::Until { max, .. } => (0, *max, false),
    }
}

/// Whether a list has as many items as fit.
pub(super) fn is_rest(count: &Count) -> bool {
    matches!(count, Count::Rest { .. })
}

/// The minimum number of items of a list.
pub(super) fn fewest(op: Option<&Op>) -> usize {
    match op {
        Some(Op::List { count: Count::Fixed(items), .. }) => *items,
        Some(Op::List { count: Count::Counted(counted), .. }) => {
            usize::try_from(counted.add).unwrap_or(0).min(counted.max)
        }
        _ => 0,
    }
}

/// Sets how many bytes follow an element that takes the rest.
pub(super) fn set_after(op: &mut Op, bytes: usize) {
    if let Op::Field { size: Size::Rest { after, .. }, .. }
    | Op::List { count: Count::Rest { after }, .. }
    | Op::Choice { bytes: Some(Size::Rest { after, .. }), .. } = op
    {
        *after = bytes;
    }
}

//! Data frames whose fields vary in size (spec shapes.md).
//!
//! A data list is split at its first field of variable size. The fields before it keep fixed places and are compiled as in
//! any other template. That field and all after it become a program.
//!
//! - [`mod@layout`]: compiles fields to the program that a cursor follows.
//! - [`extent`]: sizes, counts, and the fields that give them.
//! - [`encode`]: compiles a rule's values to the steps that write a reply.
//! - `lengths`: computed lengths in such a data frame.
//! - `value`, `repeat`: one field's value; items of a list.
//! - `choose`: choices whose case is known only when the reply is built.
//! - [`copy`]: elements of the request in replies.
//! - [`sample`]: the sample of a request.

mod choose;
mod copy;
pub mod counts;
mod decided;
mod each;
pub mod encode;
mod extent;
mod group;
pub mod layout;
pub(super) mod lengths;
mod own;
mod put;
mod quick;
mod repeat;
mod runs;
pub mod sample;
pub(super) mod value;

pub use layout::{WalkDraft, layout};

use super::expr::is_function;
use super::field::{self, Area, Padding, split_name};
use super::fields::DataList;
use crate::config::at::{At, Json, Pos};
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::config::extent::RawExtent;
use crate::config::raw::{RawCommand, RawField};
use crate::model::field::{FRAME_BYTES_MAX, Kind, LengthField};
use crate::model::template::Template;
use crate::model::walk::{Walk, WalkedConstant, Walks, What};
use crate::wire::varied;
use crate::words::FieldType;
use layout::Around;
use std::borrow::Cow;

/// The error for a field of variable size where no data list is.
pub const ONLY_IN_DATA: &str = "a field of an error reply has a fixed size (a rule may answer with `replies` instead)";

/// Position of the key that makes a field's size variable; `None` if its size is fixed.
pub fn varies(raw: &At<RawField>) -> Option<Pos> {
    let length = raw.length.as_ref().filter(|at| !matches!(at.value, RawExtent::Number(_))).map(|at| at.pos);
    let kind = raw.kind.as_ref().filter(|at| is_nest(&at.value)).map(|at| at.pos);
    let keys = [
        raw.until.as_ref().map(|at| at.pos),
        raw.count.as_ref().map(|at| at.pos),
        raw.items.as_ref().map(|at| at.pos),
        raw.by.as_ref().map(|at| at.pos),
        raw.cases.as_ref().map(|at| at.pos),
        raw.bytes.as_ref().map(|at| at.pos),
    ];
    length.or(kind).or_else(|| keys.into_iter().flatten().next())
}

/// Whether fields of this type contain other fields.
fn is_nest(kind: &str) -> bool {
    matches!(FieldType::from_name(kind), Some(FieldType::List | FieldType::Choice))
}

/// A split data list: the fields with fixed places, and those from the first of variable size on.
pub struct Parted<'r> {
    /// Includes the header's fields, wherever they are in the list.
    pub fixed: Cow<'r, [At<RawField>]>,
    /// Empty if all fields have fixed places.
    pub varying: &'r [At<RawField>],
}

/// Splits a data list. `is_walked`: it is a program from its first field on.
pub fn part(list: &[At<RawField>], is_walked: bool) -> Parted<'_> {
    let Some(first) = list.iter().position(|raw| is_walked || varies(raw).is_some()) else {
        return Parted { fixed: Cow::Borrowed(list), varying: &[] };
    };
    let (fixed, varying) = list.split_at(first);
    let header = varying.iter().filter(|raw| in_header(raw)).cloned();
    Parted { fixed: fixed.iter().cloned().chain(header).collect(), varying }
}

/// The values that a reply's list gives for fields of the header and the tail.
pub fn given(list: &[At<RawField>]) -> Vec<(At<String>, At<Json>)> {
    let given = list.iter().filter(|raw| raw.given);
    given
        .filter_map(|raw| {
            let name = raw.name.as_ref()?;
            let plain = split_name(&name.value).1.to_owned();
            Some((At { pos: name.pos, value: plain }, raw.value.value.clone()?))
        })
        .collect()
}

/// Compiles the fields from the first of variable size on. `None` if there are none, or after a reported error.
pub fn varying(
    diags: &mut Diags,
    template: &Template,
    list: &Parted<'_>,
    (fixed, padding): (&DataList, Padding),
) -> Option<WalkDraft> {
    list.varying.first()?;
    let around = Around { template, fixed: &fixed.fields, fixed_len: fixed.len, padding };
    let lengths = lengths::fixed(diags, around, &list.fixed);
    let draft = layout(diags, around, lengths, list.varying);
    if let Some(draft) = &draft {
        own::check(diags, draft, &fixed.fields);
    }
    draft
}

/// Reports a `data_frame_length` in a command of variable size.
pub fn no_length(diags: &mut Diags, raw: &At<RawCommand>) {
    if let Some(length) = &raw.data_frame_length {
        diags.error(length.pos, "`data_frame_length` of a command whose size varies (leave it out: it is computed)");
    }
}

/// The programs of the request and the reply, as the plan stores them.
pub fn walks(
    diags: &mut Diags,
    (asked, answered): (Option<&WalkDraft>, Option<&WalkDraft>),
    request: &Option<Parted<'_>>,
) -> Option<Box<Walks>> {
    if asked.is_none() && answered.is_none() {
        return None;
    }
    let walk = |draft: Option<&WalkDraft>| draft.map(|draft| draft.walk.clone());
    let list = request.as_ref().map_or(&[][..], |list| list.varying);
    let constants = asked.map(|asked| constants(diags, &asked.walk, list)).unwrap_or_default();
    Some(Box::new(Walks { request: walk(asked), reply: walk(answered), constants: constants.into() }))
}

/// The constants that a request must carry: the fields marked `match`.
fn constants(diags: &mut Diags, walk: &Walk, list: &[At<RawField>]) -> Vec<WalkedConstant> {
    let mut out = Vec::new();
    for raw in list.iter().filter(|raw| raw.matches.as_ref().is_some_and(|matches| matches.value)) {
        let Some(name) = raw.name.as_ref().filter(|_| !in_header(raw)) else { continue };
        let Some(value) = &raw.value.value else {
            diags.error(raw.pos, format!("`{}` is marked match and has no value to match", name.value));
            continue;
        };
        out.extend(constant(diags, walk, (&name.value, name.value.trim()), value));
    }
    out
}

/// The constant for an element. `None` if there is no such field, or after an error.
pub fn constant(
    diags: &mut Diags,
    walk: &Walk,
    (written, name): (&str, &str),
    value: &At<Json>,
) -> Option<WalkedConstant> {
    let path = walk.path(name)?;
    if walk.paths(name).len() > 1 {
        let right = "name the case, as in `body.01.value`, or write a condition: `\"when\": \"body.value == 5\"`";
        diags.error(value.pos, format!("several cases have `{written}` ({right})"));
        return None;
    }
    let What::Field { slot, varies } = &walk.nodes.get(path.node as usize)?.what else {
        diags.error(value.pos, format!("`{written}` is no field (one of it: `{written}.0.name`, `{written}.name`)"));
        return None;
    };
    if is_function(&value.value) {
        diags.error(value.pos, "a function or `#{field}#` where a constant is needed");
        return None;
    }
    let (bytes, mask) = if *varies {
        let text = field::text(diags, slot, value)?;
        let mut bytes = Vec::new();
        if let Err(misfit) = varied::encode(slot, text.as_bytes(), &mut bytes) {
            diags.error(value.pos, format!("`{}` is {}", shown(&text), misfit.explain(slot)));
            return None;
        }
        let is_hex = matches!(slot.kind.base(), Kind::HexDigits { .. });
        let mask = if is_hex { field::either_case(&bytes) } else { Box::default() };
        (bytes.into(), mask)
    } else {
        field::constant(diags, slot, value)?
    };
    Some(WalkedConstant { name: written.into(), path, bytes, mask })
}

/// The most bytes that fit behind `fixed` bytes of the data frame: limited by the frame's size and by its length fields. `own`: those of
/// the data frame.
pub fn room(template: &Template, own: &[LengthField], fixed: usize, less: i64) -> usize {
    if let Some(data_len) = template.data_len_fixed {
        return data_len.saturating_sub(fixed);
    }
    let around = template.left_len + template.tail_len + fixed;
    let mut room = FRAME_BYTES_MAX.saturating_sub(around);
    for length in template.lengths.iter().chain(own).filter(|length| length.per_data > 0) {
        let less = if length.configured { less } else { 0 };
        let says = if length.lchksum { 0xFFF } else { says(length) };
        let data = (i128::from(says) - i128::from(length.base) + i128::from(less)) / i128::from(length.per_data);
        room = room.min(usize::try_from(data).unwrap_or(0).saturating_sub(fixed));
    }
    room
}

/// The largest number that a length field can express.
fn says(length: &LengthField) -> u64 {
    length.digits.most(length.len)
}

/// Whether the field belongs to the header or the tail, and so takes no room in the data frame.
fn in_header(raw: &RawField) -> bool {
    raw.name.as_ref().is_some_and(|name| split_name(&name.value).0 != Area::Plain)
}

//! Headers and tails with fields of variable size.
//!
//! Header fields from the first of variable size on, and tail fields up to the last one, are put into every data list: at its
//! beginning and its end. From there on they are fields of the data frame, which may vary. What the file calls the data frame is then
//! a part of it: a length that counts only a part becomes the size of a group (`lengths`).

mod lengths;

use super::field::{Area, Padding, split_name};
use super::fields::FieldList;
use super::walk::{self, layout::Around, layout::layout};
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::config::extent::RawExtent;
use crate::config::raw::{RawCommand, RawField, RawProtocol};
use crate::model::template::{Moved, Template};
use std::borrow::Cow;

/// The name of the field that stands for a data frame of which the template lists no fields.
const ANY: &str = "any_data";

/// The fields that data lists carry.
struct Carried {
    left: Vec<At<RawField>>,
    tail: Vec<At<RawField>>,
}

/// What a header and a tail hand on to the data lists.
pub(super) struct Handed {
    moved: Box<Moved>,
    /// The fields between which the data frame is.
    fields: Vec<At<RawField>>,
}

impl Handed {
    /// How many fields of the header, and of the tail.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.moved.left.len(), self.moved.tail.len())
    }
}

/// The protocol with such fields in its data lists; unchanged if it has none. `None` after errors, which have been reported.
pub(super) fn protocol<'r>(
    diags: &mut Diags,
    protocol: Cow<'r, At<RawProtocol>>,
) -> Option<(Cow<'r, At<RawProtocol>>, Option<Handed>)> {
    let varies = |raw: &At<RawField>| walk::varies(raw).is_some();
    let left = protocol.pdu_left.iter().flatten().position(varies);
    let tail = protocol.pdu_tailer.as_deref().and_then(|list| list.iter().rposition(varies));
    if left.is_none() && tail.is_none() {
        return Some((protocol, None));
    }
    let errors = diags.errors();
    let mut out = protocol.into_owned();
    let fields = out.value.pdu_left.as_mut().zip(left).map(|(list, at)| list.split_off(at)).unwrap_or_default();
    let carried = Carried {
        left: fields,
        tail: out.value.pdu_tailer.as_mut().zip(tail).map(|(list, at)| list.drain(..=at).collect()).unwrap_or_default(),
    };
    let first = carried.left.first().or(carried.tail.last()).and_then(walk::varies).unwrap_or(out.pos);
    check(diags, &mut out.value, &carried, first);
    let mut carried = carried;
    let group = lengths::rewrite(diags, &mut out.value, &mut carried);
    for command in out.value.data_frame.iter_mut().flatten() {
        lists(diags, command, &carried);
    }
    let names = |list: &[At<RawField>]| list.iter().map(|raw| name(raw).into()).collect();
    let moved = Moved { left: names(&carried.left), tail: names(&carried.tail), group, head: None };
    // Fields behind the data frame have their places only where a length shows how long that is.
    let behind = moved.group.as_ref().map_or(usize::MAX, |group| group.to);
    let fields = carried.left.into_iter().chain(carried.tail.into_iter().skip(behind)).collect();
    (diags.errors() == errors).then(|| (Cow::Owned(out), Some(Handed { moved: Box::new(moved), fields })))
}

/// The plain name of a header or tail field.
fn name(raw: &RawField) -> &str {
    raw.name.as_ref().map_or("", |name| split_name(&name.value).1)
}

/// Reports what does not combine with a header or tail of variable size.
fn check(diags: &mut Diags, protocol: &mut RawProtocol, carried: &Carried, first: Pos) {
    let errors = protocol.errors.as_ref().is_some_and(|errors| {
        let all = [&errors.bad_length_checksum, &errors.bad_length, &errors.bad_checksum, &errors.bad_version];
        all.into_iter().chain([&errors.unknown_command]).any(Option::is_some)
    });
    let keys = [
        ("errors", errors, "an entry without `errors`: a rule answers what a command of `data_frame` takes"),
        ("refusal", protocol.refusal.is_some(), "`replies` of a rule with an entry that has no data"),
        ("transfer", protocol.transfer.is_some(), "a header of fixed size"),
        ("data_transform", protocol.data_transform.is_some(), "`transform` at each field that is changed"),
        (
            "total_length",
            protocol.total_length.is_some() && !protocol.dynamic_length.as_ref().is_some_and(|dynamic| dynamic.value),
            "a header of fixed size, or no `total_length`",
        ),
    ];
    for (key, is_there, right) in keys {
        if is_there {
            let text = format!("a header or tail field of variable size does not combine with `{key}` ({right})");
            diags.error(first, text);
        }
    }
    for raw in carried.left.iter().chain(&carried.tail) {
        if raw.name.is_none() {
            diags.missing(raw.pos, "name", "the field's name");
        }
    }
    spans(diags, protocol, carried);
}

/// A checksum may begin at the first of these fields and end at the last one: that is where the data frame begins and ends.
fn spans(diags: &mut Diags, protocol: &mut RawProtocol, carried: &Carried) {
    let (first, last) = (carried.left.first().map(|raw| name(raw)), carried.tail.last().map(|raw| name(raw)));
    let is_of = |list: &[At<RawField>], area: Area, own: Area, plain: &str| {
        (area == Area::Plain || area == own) && list.iter().any(|raw| name(raw) == plain)
    };
    for checksum in protocol.checksum.iter_mut().flat_map(|list| list.value.0.iter_mut()) {
        let ends = [(&mut checksum.value.from, first), (&mut checksum.value.to, last)];
        for (at, whole) in ends.into_iter().filter_map(|(at, whole)| Some((at.as_mut()?, whole))) {
            let (area, plain) = split_name(&at.value);
            if !is_of(&carried.left, area, Area::Left, plain) && !is_of(&carried.tail, area, Area::Tail, plain) {
                continue;
            }
            if whole == Some(plain) {
                "data_frame".clone_into(&mut at.value);
                continue;
            }
            let text = format!(
                "`{plain}` has no fixed place: a checksum's span begins at or before the first header field of variable size, and ends at or behind the last one of the tail"
            );
            diags.error(at.pos, text);
        }
        let Some(at) = &checksum.value.field else { continue };
        let (area, plain) = split_name(&at.value);
        if is_of(&carried.left, area, Area::Left, plain) || is_of(&carried.tail, area, Area::Tail, plain) {
            let text = format!(
                "the checksum `{plain}` has no fixed place (in the header before the first field of variable size, in the tail behind the last one)"
            );
            diags.error(at.pos, text);
        }
    }
}

/// Puts the fields into the lists of a command. What a list says about one of them is its value there.
fn lists(diags: &mut Diags, command: &mut At<RawCommand>, carried: &Carried) {
    let any = || At {
        pos: command.pos,
        value: RawField {
            name: Some(At { pos: command.pos, value: ANY.to_owned() }),
            length: Some(At { pos: command.pos, value: RawExtent::Rest }),
            ..RawField::default()
        },
    };
    let asked = command.value.req_data_list.take().unwrap_or_else(|| vec![any()]);
    command.value.req_data_list = Some(list(diags, asked, carried));
    let answered = command.value.resp_data_list.take().unwrap_or_default();
    command.value.resp_data_list = Some(list(diags, answered, carried));
}

fn list(diags: &mut Diags, own: Vec<At<RawField>>, carried: &Carried) -> Vec<At<RawField>> {
    let (mut left, mut tail) = (carried.left.clone(), carried.tail.clone());
    let mut data = Vec::with_capacity(own.len());
    for raw in own {
        let (area, plain) = raw.name.as_ref().map_or((Area::Plain, ""), |name| split_name(&name.value));
        let of = match area {
            Area::Left => &mut left,
            Area::Tail => &mut tail,
            Area::Plain => &mut Vec::new(),
        };
        match of.iter_mut().find(|field| name(field) == plain) {
            Some(field) => restate(diags, field, &raw),
            None => data.push(raw),
        }
    }
    left.into_iter().chain(data).chain(tail).collect()
}

/// Gives a field the value, and the `match`, that a data list has for it.
fn restate(diags: &mut Diags, field: &mut At<RawField>, raw: &At<RawField>) {
    let number = |raw: &RawField| raw.length.as_ref().and_then(|length| length.number());
    if let Some(length) = raw.length.as_ref().filter(|_| number(raw) != number(field)) {
        diags.error(length.pos, format!("`{}` has its length where it is defined", name(raw)));
    }
    field.pos = raw.pos;
    if raw.value.value.is_some() {
        field.value.value.clone_from(&raw.value.value);
        // Of a reply: this value, not the request's.
        field.value.given = true;
    }
    if raw.matches.is_some() {
        field.value.matches.clone_from(&raw.matches);
    }
}

/// Notes these fields in the plan, and compiles them by themselves. False after errors, which have been reported once.
pub(super) fn head(diags: &mut Diags, plan: &mut Template, handed: Handed) -> bool {
    let Handed { moved, fields: list } = handed;
    let (errors, has_group) = (diags.errors(), moved.group.is_some());
    plan.moved = Some(moved);
    let fixed = FieldList::default();
    let around = Around { template: plan, fixed: &fixed, fixed_len: 0, padding: Padding::default() };
    let draft = if list.is_empty() { None } else { layout(diags, around, Vec::new(), &list) };
    if let Some(moved) = plan.moved.as_mut().filter(|_| has_group) {
        moved.head = draft.map(|draft| draft.walk);
    }
    diags.errors() == errors
}

/// The area and the plain name of a name in a template: header and tail fields that data lists carry are fields of the data frame.
pub fn area_in<'n>(plan: &Template, name: &'n str) -> (Area, &'n str) {
    let (area, plain) = split_name(name);
    let Some(moved) = &plan.moved else { return (area, plain) };
    let list = match area {
        Area::Left => &moved.left,
        Area::Tail => &moved.tail,
        Area::Plain => return (area, plain),
    };
    let first = plain.split('.').next().unwrap_or_default();
    if list.iter().any(|own| **own == *first) { (Area::Plain, plain) } else { (area, plain) }
}

/// The area in which the template has a field that data lists carry, if it is one.
pub fn area_of(moved: &Moved, name: &str) -> Option<Area> {
    let is_in = |list: &[Box<str>]| list.iter().any(|own| **own == *name);
    if is_in(&moved.left) {
        return Some(Area::Left);
    }
    is_in(&moved.tail).then_some(Area::Tail)
}

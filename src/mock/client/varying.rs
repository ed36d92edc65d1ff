//! Requests whose fields vary in size: their values are taken apart, changed, and put together again.

use super::request::RequestError;
use crate::walked::values;
use fsu_plan::compile::fields::Values;
use fsu_plan::compile::sample::NoRequest;
use fsu_plan::compile::walk::WalkDraft;
use fsu_plan::compile::walk::encode::{Sources, encode};
use fsu_plan::compile::walk::sample::{pad, write};
use fsu_plan::config::at::{At, Json, Pos};
use fsu_plan::config::diag::Diags;
use fsu_plan::model::field::{Field, Offset, Slot};
use fsu_plan::model::template::{Command, Made, Template};
use fsu_plan::model::walk::{Op, Place, Walk};
use fsu_plan::wire::inner::write_lengths;
use fsu_plan::wire::walk::locate;
use std::sync::Arc;

/// The program of a command's requests, if the name is one of its elements and no field before it.
pub fn walk_of<'t>(command: &'t Command, name: &str) -> Option<&'t Arc<Walk>> {
    let fixed = command.request.iter().flatten().any(|field| *field.name == *name.trim());
    command.request_walk().filter(|walk| !fixed && walk.path(name.trim()).is_some())
}

/// Whether a name is that of an element, or of a list or choice around it, whose value is made for each request.
pub fn covers(command: &Command, name: &str, made: &Made) -> bool {
    let (Some(walk), Some(path)) = (walk_of(command, name), &made.path) else { return false };
    walk.paths(name.trim()).iter().any(|given| {
        let node = walk.nodes.get(given.node as usize);
        node.is_some_and(|node| {
            (given.node..node.end).contains(&path.node) && given.items.get(..node.lists) == path.items.get(..node.lists)
        })
    })
}

/// The field of such a value, where a raw request has it.
pub fn placed(command: &Command, made: &Made, raw: &[u8]) -> Option<Field> {
    let found = locate(command.request_walk()?, raw, made.path.as_ref()?)?;
    let slot = Slot { len: found.to - found.from, ..made.field.slot.clone() };
    // Of another size it has been given a value.
    let is_same = slot.len == made.field.slot.len;
    is_same.then(|| Field { at: Offset(found.from as i32), slot, ..made.field.clone() })
}

/// Gives elements of a raw request other values: constants, lists and objects as JSON.
pub fn set(
    (template, command): (&Template, &Command),
    walk: &Arc<Walk>,
    given: &[(&str, &str)],
    raw: &mut Vec<u8>,
) -> Result<(), RequestError> {
    let outside = |name: &str| RequestError::Outside { field: name.to_owned() };
    let first = given.first().map_or("", |(name, _)| name);
    // Where the bytes before them select other fields, these begin with what the template gives them.
    let mut all = values(walk, raw).unwrap_or_default();
    for (name, text) in given {
        unselect(walk, &mut all, (name, text));
    }
    for (name, text) in given {
        let parts: Vec<&str> = name.trim().split('.').collect();
        let value = At::nowhere(json(text));
        let whole = walk.path(name.trim()).is_some_and(|path| walk.nodes[path.node as usize].parent.is_none());
        let parts = if whole { vec![name.trim()] } else { parts };
        put(&mut all, &parts, value).ok_or_else(|| outside(name))?;
    }
    let mut diags = Diags::default();
    let head = raw.get(..walk.at).ok_or_else(|| outside(first))?;
    let tail = raw.get(raw.len().saturating_sub(walk.tail_len)..).unwrap_or_default();
    let mut frame = [head, tail].concat();
    let nothing: Vec<Option<At<Json>>> = walk.nodes.iter().map(|_| None).collect();
    let places: Vec<Pos> = walk.nodes.iter().map(|_| Pos::default()).collect();
    let draft = WalkDraft { walk: walk.clone(), values: nothing.into(), places: places.into() };
    let known = |at: Offset, len: usize| frame.get(at.in_frame(frame.len())..)?.get(..len).map(Into::into);
    let steps = encode(
        &mut diags,
        &Sources {
            draft: &draft,
            request: None,
            fixed: None,
            values: &[&Values::new(&all)],
            scope: &NoRequest,
            gives: &|_| None,
            known: &known,
            room: fsu_plan::compile::walk::room(template, &walk.lengths, walk.at - template.left_len, command.less),
            moved: template.moved.as_deref(),
            is_sample: false,
            pos: Pos::default(),
        },
    );
    let wrong = diags.list().first().map(|diag| diag.text.clone());
    let is_constant = wrong.is_none() && write(&steps, &mut frame);
    if let Some(why) = wrong.or_else(|| (!is_constant).then(|| "no constant".to_owned())) {
        let names: Vec<&str> = given.iter().map(|(name, _)| name.trim()).collect();
        let fields = if names.is_empty() { "the request".to_owned() } else { names.join(", ") };
        return Err(RequestError::Varying { fields, why });
    }
    pad(template, 0, &mut frame);
    let data_len = frame.len().saturating_sub(template.left_len + template.tail_len);
    write_lengths(&template.lengths, data_len, command.less, &mut frame);
    write_lengths(&walk.lengths, data_len, command.less, &mut frame);
    *raw = frame;
    Ok(())
}

/// Forgets the case of a choice whose selecting field gets another value.
fn unselect(walk: &Walk, all: &mut Vec<(At<String>, At<Json>)>, (name, text): (&str, &str)) {
    let Some(path) = walk.path(name.trim()) else { return };
    let Some(mark) = walk.marks.iter().position(|&marked| marked == path.node) else { return };
    let parent = walk.nodes[path.node as usize].parent;
    let (around, own) = name.trim().rsplit_once('.').unwrap_or(("", name.trim()));
    let around: Vec<&str> = around.split('.').filter(|part| !part.is_empty()).collect();
    let Some(fields) = block(all, &around) else { return };
    let is_same = |value: &Json| matches!(value, Json::Str(there) if there.eq_ignore_ascii_case(text.trim()));
    if fields.iter().any(|(key, value)| key.value == own && is_same(&value.value)) {
        return;
    }
    for node in walk.nodes.iter().filter(|node| node.parent == parent) {
        let op = walk.ops.get(node.op as usize);
        if matches!(op, Some(Op::Choice { by, .. }) if by.place == Place::Mark(mark as u8)) {
            fields.retain(|(key, _)| *key.value != *node.name);
        }
    }
}

/// The fields at a path of members and items; `None`: there are none yet.
fn block<'f>(
    fields: &'f mut Vec<(At<String>, At<Json>)>,
    path: &[&str],
) -> Option<&'f mut Vec<(At<String>, At<Json>)>> {
    let Some((name, rest)) = path.split_first() else { return Some(fields) };
    let (_, value) = fields.iter_mut().find(|(key, _)| *key.value == **name)?;
    match &mut value.value {
        Json::Obj(inner) => block(inner, rest),
        Json::Arr(items) => {
            let (index, rest) = rest.split_first()?;
            match &mut items.get_mut(index.parse::<usize>().ok()?)?.value {
                Json::Obj(item) => block(item, rest),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A value as it is given: JSON for lists and objects, else a text.
fn json(text: &str) -> Json {
    let nested = text.trim_start().starts_with(['[', '{']);
    nested.then(|| Json::parse(text)).flatten().unwrap_or_else(|| Json::Str(text.to_owned()))
}

/// Puts a value at a path; items that are missing before it are made. `None`: the path leads nowhere.
fn put(fields: &mut Vec<(At<String>, At<Json>)>, path: &[&str], value: At<Json>) -> Option<()> {
    let (name, rest) = path.split_first()?;
    let place = fields.iter().position(|(key, _)| *key.value == **name).unwrap_or_else(|| {
        let empty = if rest.first().is_some_and(|next| next.parse::<usize>().is_ok()) {
            Json::Arr(Vec::new())
        } else {
            Json::Obj(Vec::new())
        };
        fields.push((At::nowhere((*name).to_owned()), At::nowhere(empty)));
        fields.len() - 1
    });
    let there = &mut fields.get_mut(place)?.1;
    if rest.is_empty() {
        *there = value;
        return Some(());
    }
    match &mut there.value {
        Json::Arr(items) => {
            let (index, rest) = rest.split_first()?;
            let index: usize = index.parse().ok()?;
            // No more than one new item at a time: a list has no holes.
            if index > items.len() {
                return None;
            }
            if index == items.len() {
                items.push(At::nowhere(Json::Obj(Vec::new())));
            }
            match &mut items.get_mut(index)?.value {
                Json::Obj(item) => put(item, rest, value),
                _ => None,
            }
        }
        Json::Obj(inner) => put(inner, rest, value),
        _ => None,
    }
}

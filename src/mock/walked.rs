//! Frames with fields of variable size, for people and clients: elements by name, and values as JSON.

use fsu_plan::config::at::{At, Json};
use fsu_plan::model::field::{Kind, Slot};
use fsu_plan::model::walk::{Walk, What};
use fsu_plan::wire::walk::{Event, Wrong, visit};
use fsu_plan::wire::{value, varied};

/// One element of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Element<'w> {
    /// Its name in rules: `alarms.0.id`.
    pub path: String,
    /// Offset of its first byte in the raw frame.
    pub from: usize,
    /// Offset behind its last byte.
    pub to: usize,
    /// Its type.
    pub slot: &'w Slot,
    /// Its value in the notation of its type.
    pub value: String,
    /// Bytes behind it that end it (`until`).
    pub ends: usize,
}

/// The elements of a raw frame behind its fixed part, in order, up to where it stops fitting; and where and why it stops.
pub fn elements<'w>(walk: &'w Walk, raw: &[u8]) -> (Vec<Element<'w>>, Option<Wrong>) {
    let mut out = Vec::new();
    let mut around: Vec<String> = Vec::new();
    let end = visit(walk, raw, |event| match event {
        Event::List { node } | Event::Choice { node, .. } => around.push(below(&around, name(walk, node))),
        Event::Item { node, index } => {
            if index > 0 {
                around.pop();
            }
            let list = around.last().cloned().unwrap_or_else(|| name(walk, node).to_owned());
            around.push(format!("{list}.{index}"));
        }
        Event::End { node, count, .. } => {
            around.pop();
            if matches!(walk.nodes[node as usize].what, What::List) && count > 0 {
                around.pop();
            }
        }
        Event::Field { node, from, to } => {
            let Some(What::Field { slot, varies }) = walk.nodes.get(node as usize).map(|node| &node.what) else {
                return;
            };
            let value = shown(slot, *varies, raw.get(from..to).unwrap_or_default());
            let ends = walk.until(node).len();
            out.push(Element { path: below(&around, name(walk, node)), from, to, slot, value, ends });
        }
    });
    (out, end.err())
}

fn name(walk: &Walk, node: u32) -> &str {
    walk.nodes.get(node as usize).map_or("", |node| &node.name)
}

fn below(around: &[String], name: &str) -> String {
    around.last().map_or_else(|| name.to_owned(), |around| format!("{around}.{name}"))
}

/// A value for people; bytes that are not text are escaped.
fn shown(slot: &Slot, varies: bool, bytes: &[u8]) -> String {
    let mut text = String::new();
    match slot.kind.base() {
        // The value is all bytes, without padding.
        Kind::Str if varies => {
            let whole = Slot { kind: Kind::Str, len: bytes.len() + 1, little: false, right: false, padding: 0 };
            let mut padded = bytes.to_vec();
            padded.push(1);
            value::decode(&whole, &padded, &mut text);
            text.truncate(text.len().saturating_sub("\\u{1}".len()));
        }
        Kind::Coded(_) if varies => {
            let mut raw = Vec::new();
            varied::decode_into(slot, bytes, &mut raw);
            value::push_text(&raw, &mut text);
        }
        Kind::Int | Kind::Uint if bytes.is_empty() => {}
        _ => value::decode(slot, bytes, &mut text),
    }
    text
}

/// The values of a raw frame behind its fixed part, as a rule would give them to produce it. Leaves out values that are computed
/// from others. `None` if the frame does not fit.
pub fn values(walk: &Walk, raw: &[u8]) -> Option<Vec<(At<String>, At<Json>)>> {
    let mut open: Vec<Json> = vec![Json::Obj(Vec::new())];
    visit(walk, raw, |event| match event {
        Event::List { .. } => open.push(Json::Arr(Vec::new())),
        Event::Item { index, .. } => {
            if index > 0 {
                close_item(&mut open);
            }
            open.push(Json::Obj(Vec::new()));
        }
        Event::Choice { .. } => open.push(Json::Obj(Vec::new())),
        Event::End { node, count, .. } => {
            if count > 0 {
                close_item(&mut open);
            }
            let value = open.pop().unwrap_or(Json::Null);
            put(&mut open, name(walk, node), value);
        }
        Event::Field { node, from, to } => {
            let Some(What::Field { slot, varies }) = walk.nodes.get(node as usize).map(|node| &node.what) else {
                return;
            };
            if !walk.is_computed(node) {
                let mut value = json(slot, *varies, raw.get(from..to).unwrap_or_default());
                without_counted(walk, node, slot, &mut value);
                put(&mut open, name(walk, node), value);
            }
        }
    })
    .ok()?;
    match open.pop() {
        Some(Json::Obj(values)) => Some(values),
        _ => None,
    }
}

fn close_item(open: &mut Vec<Json>) {
    let item = open.pop().unwrap_or(Json::Null);
    if let Some(Json::Arr(list)) = open.last_mut() {
        list.push(At::nowhere(item));
    }
}

fn put(open: &mut [Json], name: &str, value: Json) {
    if let Some(Json::Obj(fields)) = open.last_mut() {
        fields.push((At::nowhere(name.to_owned()), At::nowhere(value)));
    }
}

/// Takes out the bits that say sizes: they are computed.
fn without_counted(walk: &Walk, node: u32, slot: &Slot, value: &mut Json) {
    let (Kind::Bit(bits), Json::Obj(named)) = (&slot.kind, value) else { return };
    named.retain(|(name, _)| {
        let range = bits.named(&name.value);
        range.is_none_or(|range| walk.counted_bits(node).all(|counted| counted != (range.from, range.to)))
    });
}

/// The JSON value that produces these bytes.
fn json(slot: &Slot, varies: bool, bytes: &[u8]) -> Json {
    let mut text = Vec::new();
    if varies {
        varied::decode_into(slot, bytes, &mut text);
    } else {
        value::decode_into(slot, bytes, &mut text);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    match &slot.kind {
        Kind::Bit(names) if !names.is_empty() => Json::parse(&text).unwrap_or(Json::Str(text)),
        _ => Json::Str(text),
    }
}

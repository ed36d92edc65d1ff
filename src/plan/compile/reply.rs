//! Builds a [`Reply`]: every byte that can be known now is written now, the rest becomes patches.

use super::adapt::adapt;
use super::calc;
use super::expr::{self, ExprError, Scope, is_dynamic, is_function};
use super::field::{Area, constant, encode, outside, split_name, text};
use super::fields::{FieldList, ResponseField, Values};
use super::fits::{fits, numeric, same_bits};
use super::named_bits;
use super::walk::{self, WalkDraft};
use crate::config::at::{At, Json, Pos};
use crate::config::budget::Budget;
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::config::steps::step;
use crate::model::field::{Computed, Field, Kind, Offset, Slot};
use crate::model::prebuilt::Prebuilt;
use crate::model::reply::{Expr, Form, Number, Part, Patch, Payload, Refusal, Reply};
use crate::model::template::Template;
use crate::model::walk::{Encode, Walk, Walked, What};
use crate::wire::inner::write_lengths;
use crate::wire::value::is_digits;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Which header values are no refusal, independent of a reply.
#[derive(Clone, Debug)]
pub struct RefusalSpec {
    /// The header field.
    pub field: Field,
    /// The values.
    pub ok: Arc<[Box<[u8]>]>,
}

/// The layouts of a request and its reply, where they differ.
#[derive(Clone, Copy)]
pub struct AskedIn<'a> {
    /// The request's frame; `None`: nothing asks for it, as for a message.
    pub template: Option<&'a Template>,
    /// Of the request's layout: the values of the header's fields, then of the tail's.
    pub asked: &'a [Option<At<Json>>],
    /// Of the reply's layout.
    pub values: &'a [Option<At<Json>>],
}

/// What a reply is made from.
pub struct Sources<'a> {
    /// Frame, header, tail, lengths.
    pub template: &'a Template,
    /// The template's refusal.
    pub refusal: Option<&'a RefusalSpec>,
    /// The request's data-frame fields, to copy from by name.
    pub request: Option<&'a HashMap<&'a str, &'a Field>>,
    /// The reply's fields.
    pub response: &'a FieldList,
    /// Data-frame bytes of the reply.
    pub response_len: usize,
    /// What its `{{data_frame_length}}` fields leave out.
    pub less: i64,
    /// What fills the data frame.
    pub padding: u8,
    /// Values, the first of a name wins (a cycle's, then `data`).
    pub values: &'a [&'a Values<'a>],
    /// What values may refer to.
    pub scope: &'a dyn Scope,
    /// The key of another command, where the reply is that one's: where its parts are, and their bytes.
    pub key: &'a [(Offset, Box<[u8]>)],
    /// The reply's fields from the first of variable size on.
    pub walk: Option<&'a WalkDraft>,
    /// The request's.
    pub asked: Option<&'a Arc<Walk>>,
    /// Where the request is of another layout than the reply.
    pub asked_in: Option<AskedIn<'a>>,
    /// Frames that this one may be like.
    pub bases: &'a Bases,
    /// Where it is reported that the reply takes too much memory.
    pub pos: Pos,
}

impl Sources<'_> {
    /// The value that the rule gives a field of the data frame.
    fn value(&self, field: &Field) -> Option<&At<Json>> {
        self.values.iter().find_map(|values| values.get(Area::Plain, &field.name))
    }

    /// The part of another command's key that a field is.
    fn key_at(&self, field: &Field) -> Option<&[u8]> {
        let part = self.key.iter().find(|(at, bytes)| *at == field.at && bytes.len() == field.slot.len);
        part.map(|(_, bytes)| &**bytes)
    }

    /// The value that the rule gives a field of header or tail. A plain name is the data frame's first.
    fn header_value(&self, field: &Field) -> Option<&At<Json>> {
        let area = if field.at.0 >= 0 { Area::Left } else { Area::Tail };
        let plain = self.response.data(&field.name).is_none();
        self.values.iter().find_map(|values| {
            let plain = || values.get(Area::Plain, &field.name).filter(|_| plain);
            values.get(area, &field.name).or_else(plain)
        })
    }
}

/// The first frame of each length: others that are like it are kept as what differs.
#[derive(Debug, Default)]
pub struct Bases(Mutex<HashMap<usize, Option<Arc<[u8]>>>>);

impl Bases {
    /// Keeps a frame whose length was charged; what sharing saves is released again.
    pub fn keep(&self, frame: Vec<u8>, budget: &Budget) -> Prebuilt {
        let len = frame.len();
        let mut bases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = Prebuilt::beside(frame, bases.entry(len).or_default());
        let takes = if kept.is_shared() { kept.own_bytes() + len / SHARED_CHARGED } else { len };
        budget.release(len.saturating_sub(takes) as u64);
        kept
    }
}

/// Of a shared frame one in this many bytes is charged, for the time that comparing takes.
const SHARED_CHARGED: usize = 16;

struct Draft {
    frame: Vec<u8>,
    patches: Vec<Patch>,
}

impl Draft {
    fn copy(&mut self, from: Offset, to: usize, len: usize) {
        if let Some(Patch::Copy { from: before, to: before_to, len: before_len }) = self.patches.last_mut() {
            let adjoins = before.0 + *before_len as i32 == from.0 && *before_to + *before_len == to;
            // Never across the end of the frame: -1 and 0 are neighbours only as numbers.
            if adjoins && (before.0 < 0) == (from.0 < 0) {
                *before_len += len;
                return;
            }
        }
        self.patches.push(Patch::Copy { from, to, len });
    }
}

/// Builds the reply, and reports everything that does not fit.
pub fn build(diags: &mut Diags, sources: &Sources<'_>) -> Reply {
    let template = sources.template;
    let len = template.left_len + sources.response_len + template.tail_len;
    let room = size_of::<Reply>() + len + 8 * sources.response.len();
    if !diags.charge(sources.pos, room, "a reply that is made beforehand") {
        return Reply {
            frame: Prebuilt::default(),
            patches: Box::default(),
            data_len: 0,
            less: 0,
            refusal: None,
            payload: Payload::None,
        };
    }
    let mut draft = Draft { frame: vec![0; len], patches: Vec::new() };
    draft.frame[template.left_len..template.left_len + sources.response_len].fill(sources.padding);
    for field in &template.left {
        header_field(diags, sources, field, &mut draft);
    }
    step(sources.response.len() + template.left.len() + template.tail.len());
    for field in sources.response.iter().filter(|field| !field.header) {
        data_field(diags, sources, field, &mut draft);
    }
    for field in &template.tail {
        header_field(diags, sources, field, &mut draft);
    }
    let data_len = sources.response_len;
    let mut refusal = None;
    if let Some(spec) = sources.refusal {
        let at = spec.field.at.in_frame(len);
        let written = |patch: &Patch| match patch {
            Patch::Copy { to, len, .. } | Patch::CopyReversed { to, len, .. } | Patch::Number { to, len, .. } => {
                *to < at + spec.field.slot.len && at < *to + *len
            }
            Patch::Text { to, slot, .. } => *to < at + spec.field.slot.len && at < *to + slot.len,
        };
        let value = &draft.frame[at..at + spec.field.slot.len];
        // No check is needed if the value is the same in every reply and is no refusal.
        if draft.patches.iter().any(written) || !spec.ok.iter().any(|ok| **ok == *value) {
            refusal = Some(Refusal { at, len: spec.field.slot.len, ok: spec.ok.clone(), padding: sources.padding });
        }
    }
    write_lengths(&template.lengths, data_len, sources.less, &mut draft.frame);
    let patches = draft.patches.iter().map(patch_bytes).sum();
    diags.charge(sources.pos, patches, "the values of a reply");
    let payload = sources.walk.map_or(Payload::None, |walk| {
        let steps = varying(diags, sources, walk, &draft);
        draft.patches.retain(|patch| !walk::counts::is_overwritten(patch, &steps));
        Payload::Walked(Box::new(steps))
    });
    let less = sources.less;
    let frame = sources.bases.keep(draft.frame, &diags.budget);
    Reply { frame, patches: draft.patches.into(), data_len, less, refusal, payload }
}

/// The reply's fields from the first of variable size on.
fn varying(diags: &mut Diags, sources: &Sources<'_>, walk: &WalkDraft, made: &Draft) -> Encode {
    let template = sources.template;
    let gives = |at: Offset| {
        let header = sources.template.left.iter().find(|field| field.at == at);
        let fixed = sources.response.iter().find(|field| !field.header && field.field.at == at);
        let of_header = header.and_then(|field| sources.header_value(field));
        of_header.or_else(|| fixed.and_then(|field| sources.value(&field.field))).cloned()
    };
    let known = |at: Offset, len: usize| {
        let from = at.in_frame(made.frame.len());
        let meets = |patch: &Patch| {
            let (to, bytes) = place(patch);
            to < from + len && from < to + bytes
        };
        let bytes = made.frame.get(from..from + len)?;
        (!made.patches.iter().any(meets)).then(|| bytes.into())
    };
    let sources = walk::encode::Sources {
        draft: walk,
        request: sources.asked,
        fixed: sources.request,
        values: sources.values,
        scope: sources.scope,
        gives: &gives,
        known: &known,
        room: walk::room(sources.template, &walk.walk.lengths, walk.walk.at - sources.template.left_len, sources.less),
        moved: template.moved.as_deref(),
        is_sample: false,
        pos: sources.pos,
    };
    let in_place = template.data_len_fixed.is_some();
    Encode { in_place, ..walk::encode::encode(diags, &sources) }
}

/// Where a patch writes, and how many bytes.
fn place(patch: &Patch) -> (usize, usize) {
    match patch {
        Patch::Copy { to, len, .. } | Patch::CopyReversed { to, len, .. } | Patch::Number { to, len, .. } => {
            (*to, *len)
        }
        Patch::Text { to, slot, .. } => (*to, slot.len),
    }
}

/// What a patch takes in memory.
fn patch_bytes(patch: &Patch) -> usize {
    let expr = if let Patch::Text { value, .. } = patch { expr::memory(value) } else { 0 };
    size_of::<Patch>() + expr
}

/// Takes the data of a reply into frames of its own: `given`, else the data frame (spec broadcast.md).
///
/// A constant data frame is taken out of the reply now; one with patches when it is built.
pub fn split(template: &Template, reply: Reply, given: Option<Arc<[u8]>>) -> Reply {
    let Reply { frame, patches, data_len, less, mut refusal, .. } = reply;
    let data = template.left_len..template.left_len + data_len;
    // A copy of neighbours may run from the header into the data frame.
    let patches: Box<[Patch]> = patches.into_iter().flat_map(|patch| apart(patch, data.start)).collect();
    let to = |patch: &Patch| match patch {
        Patch::Copy { to, .. } | Patch::CopyReversed { to, .. } | Patch::Number { to, .. } | Patch::Text { to, .. } => {
            *to
        }
    };
    if given.is_none() && patches.iter().any(|patch| data.contains(&to(patch))) {
        return Reply { frame, patches, data_len, less, refusal, payload: Payload::Built };
    }
    let frame = frame.to_vec();
    let bytes = given.unwrap_or_else(|| frame[data.clone()].into());
    let payload = if bytes.is_empty() { Payload::None } else { Payload::Static(bytes) };
    let mut draft = Draft { frame, patches: patches.into_vec() };
    draft.frame.drain(data.clone());
    draft.patches.retain_mut(|patch| {
        let (Patch::Copy { to, .. }
        | Patch::CopyReversed { to, .. }
        | Patch::Number { to, .. }
        | Patch::Text { to, .. }) = patch;
        let stays = !data.contains(to);
        if *to >= data.end {
            *to -= data_len;
        }
        stays
    });
    if let Some(refusal) = refusal.as_mut().filter(|refusal| refusal.at >= template.left_len) {
        refusal.at -= data_len;
    }
    write_lengths(&template.lengths, 0, less, &mut draft.frame);
    Reply { frame: draft.frame.into(), patches: draft.patches.into(), data_len: 0, less, refusal, payload }
}

/// A copy in two where it runs over `at`.
fn apart(patch: Patch, at: usize) -> impl Iterator<Item = Patch> {
    let (first, second) = match patch {
        Patch::Copy { from, to, len } if to < at && at < to + len => {
            let head = at - to;
            let rest = Patch::Copy { from: Offset(from.0 + head as i32), to: at, len: len - head };
            (Patch::Copy { from, to, len: head }, Some(rest))
        }
        other => (other, None),
    };
    std::iter::once(first).chain(second)
}

fn header_field(diags: &mut Diags, sources: &Sources<'_>, field: &Field, draft: &mut Draft) {
    let template = sources.template;
    let to = field.at.in_frame(draft.frame.len());
    match field.computed {
        Computed::Start => draft.frame[to..to + field.slot.len].copy_from_slice(&template.start),
        Computed::End => draft.frame[to..to + field.slot.len].copy_from_slice(&template.end),
        Computed::Length | Computed::Checksum => {}
        Computed::No => {
            let listed = sources.response.header(field.at).and_then(|number| sources.response.get(number));
            let own = || listed.and_then(|listed| listed.value.as_ref());
            let Some(value) = sources.header_value(field).or_else(own) else {
                if let Some(bytes) = sources.key_at(field) {
                    draft.frame[to..to + field.slot.len].copy_from_slice(bytes);
                    return;
                }
                match &sources.asked_in {
                    None => copy_field(field, &field.slot, to, draft),
                    Some(asked) => layout_field(diags, sources, asked, field, draft),
                }
                return;
            };
            // What stays if its text is empty, as that of a register that was never set: the field's own value, else the request's.
            let constant = own().filter(|own| !std::ptr::eq(*own, value) && !is_function(&own.value));
            if let Some(own) = constant {
                put(diags, sources.scope, Target { slot: &field.slot, to }, own, draft);
                put(diags, sources.scope, Target { slot: &field.slot, to }, value, draft);
                return;
            }
            if let Some(asked) = &sources.asked_in {
                if is_function(&value.value) {
                    layout_field(diags, sources, asked, field, draft);
                }
                put(diags, sources.scope, Target { slot: &field.slot, to }, value, draft);
                return;
            }
            let before = draft.patches.len();
            put(diags, sources.scope, Target { slot: &field.slot, to }, value, draft);
            if matches!(draft.patches.get(before), Some(Patch::Text { .. })) {
                draft.patches.insert(before, Patch::Copy { from: field.at, to, len: field.slot.len });
            }
        }
    }
}

/// A header field of a reply in another layout than its request: the request's of that name and size, else its own value.
fn layout_field(diags: &mut Diags, sources: &Sources<'_>, asked: &AskedIn<'_>, field: &Field, draft: &mut Draft) {
    let template = sources.template;
    let to = field.at.in_frame(draft.frame.len());
    let is_like = |like: &&Field| like.name == field.name && like.slot.len == field.slot.len && is_set(like);
    let number = template.left.iter().chain(&template.tail).position(|own| own.at == field.at);
    let own = number.and_then(|number| asked.values.get(number)).and_then(Option::as_ref);
    let theirs = || asked.template.into_iter().flat_map(|theirs| theirs.left.iter().chain(&theirs.tail));
    let like = theirs().enumerate().find(|(_, like)| is_like(like));
    if let Some((number, like)) = like {
        let theirs = asked.asked.get(number).and_then(Option::as_ref);
        // What the two layouts have different constants for is no value of the request.
        let differ = own.zip(theirs).is_some_and(|(own, theirs)| own.value != theirs.value);
        if !differ {
            copy_field(like, &field.slot, to, draft);
            return;
        }
    }
    if field.slot.blank() != 0 {
        draft.frame[to..to + field.slot.len].fill(field.slot.blank());
    }
    if let Some(value) = own {
        put(diags, sources.scope, Target { slot: &field.slot, to }, value, draft);
    }
}

/// Whether a client sets it: start, end, lengths and the checksum are computed.
fn is_set(field: &Field) -> bool {
    field.computed == Computed::No
}

fn data_field(diags: &mut Diags, sources: &Sources<'_>, field: &ResponseField, draft: &mut Draft) {
    let slot = &field.field.slot;
    let to = field.field.at.in_frame(draft.frame.len());
    if sources.value(&field.field).is_none()
        && field.value.is_none()
        && let Some(bytes) = sources.key_at(&field.field)
    {
        draft.frame[to..to + slot.len].copy_from_slice(bytes);
        return;
    }
    if let Some(own) = &field.value
        && field.field.computed == Computed::Length
    {
        // Written by the template compiler as a plain number.
        put(diags, sources.scope, Target { slot, to }, own, draft);
        return;
    }
    let given = sources.value(&field.field);
    let named = |json: Option<&At<Json>>| json.is_some_and(|json| matches!(json.value, Json::Obj(_)));
    if named(given) || named(field.value.as_ref()) {
        // Unnamed bits are 0, whatever the padding.
        draft.frame[to..to + slot.len].fill(0);
    }
    let asked = sources.request.and_then(|request| request.get(&*field.field.name).copied());
    // A part of another command's key with a value of its own is that.
    let is_key = field.value.is_some() && sources.key_at(&field.field).is_some();
    let asked = asked.filter(|asked| !is_key && may_repeat(&asked.slot, slot));
    match (given, asked) {
        (Some(given), _) => {
            // The value for a register that was never set, and for an element that the request lacks.
            if slot.blank() != sources.padding {
                draft.frame[to..to + slot.len].fill(slot.blank());
            }
            if let Some(own) = field.value.as_ref().filter(|own| !is_function(&own.value)) {
                put(diags, sources.scope, Target { slot, to }, own, draft);
            }
            put(diags, sources.scope, Target { slot, to }, given, draft);
        }
        (None, Some(asked)) => copy_field(asked, slot, to, draft),
        (None, None) => {
            if slot.blank() != sources.padding {
                draft.frame[to..to + slot.len].fill(slot.blank());
            }
            if let Some(own) = &field.value {
                put(diags, sources.scope, Target { slot, to }, own, draft);
            }
            if let Some(walked) = asked_behind(sources, field).filter(|_| !is_key) {
                let value = Expr { parts: Box::new([Part::Walked(Box::new(walked))]), bytes_max: 0 };
                draft.patches.push(patch(adapt(value, slot), slot, to));
            }
        }
    }
}

/// The request's field of the same name and size behind its first field of variable size.
fn asked_behind(sources: &Sources<'_>, field: &ResponseField) -> Option<Walked> {
    let walk = sources.asked?;
    let path = walk.path(&field.field.name).filter(|path| walk.nodes[path.node as usize].parent.is_none())?;
    let is_field = matches!(walk.nodes[path.node as usize].what, What::Field { .. });
    let walked = walk.element(path).filter(|_| is_field && field.field.computed == Computed::No)?;
    (!walked.varies && may_repeat(&walked.slot, &field.field.slot)).then_some(walked)
}

/// Whether a reply's field may repeat a field of the request: both have that size, and both or neither are bits.
fn may_repeat(asked: &Slot, slot: &Slot) -> bool {
    let is_bits = |slot: &Slot| matches!(slot.kind.base(), Kind::Bit(_));
    asked.len == slot.len && is_bits(asked) == is_bits(slot)
}

/// A request field into a reply field of the same size.
fn copy_field(asked: &Field, slot: &Slot, to: usize, draft: &mut Draft) {
    let is_changed = matches!(slot.kind, Kind::Changed(_));
    let same = if is_changed { asked.slot == *slot } else { asked.slot.kind.is_like(&slot.kind) };
    // Hex digits are read in either case, and sent in upper case.
    let is_either_case = matches!(slot.kind.base(), Kind::HexDigits { .. });
    if slot.blank() != slot.padding {
        // For a request that has no digits there.
        draft.frame[to..to + slot.len].fill(slot.blank());
    }
    if same && !is_either_case && (asked.slot.little == slot.little || slot.kind == Kind::Str || slot.len == 1) {
        draft.copy(asked.at, to, slot.len);
    } else if same && !is_either_case && (*slot.kind.base() != Kind::Bcd || is_digits(slot.padding)) {
        draft.patches.push(Patch::CopyReversed { from: asked.at, to, len: slot.len });
    } else {
        let part = Part::Field { at: asked.at, slot: asked.slot.clone() };
        let value = Expr { parts: Box::new([part]), bytes_max: 0 };
        draft.patches.push(Patch::Text { value, to, slot: slot.clone() });
    }
}

/// A field of the frame.
#[derive(Clone, Copy)]
struct Target<'s> {
    slot: &'s Slot,
    /// In the reply's raw frame.
    to: usize,
}

/// Writes a value now, or leaves a patch that will.
fn put(diags: &mut Diags, scope: &dyn Scope, place: Target<'_>, json: &At<Json>, draft: &mut Draft) {
    let Target { slot, to } = place;
    let span = to..to + slot.len;
    if named_bits::are_computed(slot, json) {
        let whole = named_bits::whole(diags, (slot, &draft.frame[span]), json, scope);
        return whole.into_iter().for_each(|whole| put(diags, scope, place, &whole, draft));
    }
    if matches!(json.value, Json::Obj(_)) {
        let Some((bytes, mask)) = constant(diags, slot, json) else { return };
        for ((out, byte), mask) in draft.frame[span].iter_mut().zip(&bytes).zip(&mask) {
            *out = (*out & !mask) | (byte & mask);
        }
        return;
    }
    let Some(text) = text(diags, slot, json) else { return };
    if !is_dynamic(&text) {
        // An empty text is how a rule clears a field: its padding, or zero.
        let text = if text.is_empty() && numeric(&slot.kind) { "0".to_owned() } else { text };
        if let Some(bytes) = encode(diags, slot, &text, json.pos) {
            draft.frame[span].copy_from_slice(&bytes);
        }
        return;
    }
    match expr::parse(&text, scope) {
        Err(wrong) => diags.error(json.pos, wrong),
        Ok(expr) => {
            let expr = adapt(calc::fitted(expr, slot, false), slot);
            if let Some(plain) = walk::value::literal(&expr).filter(|plain| !plain.is_empty()) {
                if let Some(bytes) = encode(diags, slot, &plain, json.pos) {
                    draft.frame[span].copy_from_slice(&bytes);
                }
                return;
            }
            if let Err(wrong) = fits(&expr, slot, scope.id_digits()) {
                diags.error(json.pos, format!("`{}` {wrong}", shown(&text)));
                return;
            }
            match patch(expr, slot, to) {
                Patch::Copy { from, to, len } => draft.copy(from, to, len),
                other => draft.patches.push(other),
            }
        }
    }
}

/// The cheapest patch that writes this value.
pub(super) fn patch(expr: Expr, slot: &Slot, to: usize) -> Patch {
    let len = slot.len;
    let binary = if slot.little { Form::Little } else { Form::Big };
    let digits = if slot.little { Form::BcdLittle } else { Form::Bcd };
    if let [part] = &*expr.parts {
        let form = match (part, slot.kind.plain()) {
            (Part::Number { .. } | Part::Packed(_), Kind::Int | Kind::Uint) => Some(binary),
            (Part::Number { .. } | Part::Packed(_), Kind::Dec) => Some(Form::Dec),
            (Part::Hex(_), Kind::HexDigits { low }) => Some(Form::HexDigits { low: *low }),
            (Part::Number { .. } | Part::Packed(_), Kind::Bcd) if slot.has_leading_zeros() => Some(digits),
            (Part::Number { .. } | Part::Packed(_), Kind::Bcd) => {
                Some(Form::BcdPadded { little: slot.little, right: slot.right, padding: slot.padding })
            }
            // Always as many digits as the field has: no padding.
            (Part::Number { digits: 2 | 4, number }, Kind::Hex) if 2 * len == width(*number) => Some(digits),
            (Part::Packed(_), Kind::Hex) if len == 2 => Some(Form::Little),
            _ => None,
        };
        if let (Some(form), Part::Number { number, .. } | Part::Packed(number) | Part::Hex(number)) = (form, part) {
            return Patch::Number { number: *number, to, len, form };
        }
        if let Part::Field { at, slot: asked } = part
            && (asked == slot || same_bits(asked, slot))
            // What is copied is in upper case.
            && !matches!(slot.kind.base(), Kind::HexDigits { .. })
        {
            return Patch::Copy { from: *at, to, len };
        }
    }
    Patch::Text { value: expr, to, slot: slot.clone() }
}

fn width(number: Number) -> usize {
    match number {
        Number::Year4 => 4,
        Number::PackedDate | Number::PackedTime | Number::Seq | Number::Rand(..) => 0,
        _ => 2,
    }
}

/// A scope in which nothing may be referred to but the request's header.
pub struct HeaderScope<'a>(pub &'a Template);

impl Scope for HeaderScope<'_> {
    fn field(&self, name: &str) -> Result<Option<(Offset, Slot)>, ExprError> {
        header_lookup(self.0, name).map(Some)
    }

    fn register(&self, name: &str) -> Result<u32, ExprError> {
        Err(ExprError::RegisterOfNoDevice(name.into()))
    }

    fn register_bytes_max(&self, _number: u32) -> usize {
        0
    }

    /// Any FSU may send it; an id that does not fit is counted as `value_misfits` then.
    fn id_digits(&self) -> usize {
        0
    }
}

/// A header or tail field by name.
pub fn header_lookup(template: &Template, name: &str) -> Result<(Offset, Slot), ExprError> {
    let (area, plain) = split_name(name);
    outside(template, area, plain).map(|field| (field.at, field.slot.clone())).ok_or_else(|| {
        let names = template.left.iter().chain(&template.tail).map(|field| &*field.name);
        ExprError::UnknownField { name: name.into(), near: expr::nearest(plain, names) }
    })
}

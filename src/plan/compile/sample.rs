//! A request as the template writes it, for clients: constants, defaults, key and lengths.

use super::adapt::adapt;
use super::calc;
use super::command::CommandDraft;
use super::expr::{self, ExprError, Scope};
use super::fields::{DataList, ResponseField};
use super::reply::Bases;
use super::{field, fits, walk};
use crate::config::at::{At, Json};
use crate::config::diag::Diags;
use crate::config::raw::RawProtocol;
use crate::config::steps::step;
use crate::model::field::{Computed, Field, KeyPart, Offset, Slot};
use crate::model::reply::Expr;
use crate::model::template::{Command, Made, Template};
use crate::wire::checksum::write_number;
use crate::wire::inner::write_lengths;
use std::collections::HashSet;

/// The part of every request around its data frame: header and tail as written, and those of their values that are made
/// for each request.
#[derive(Debug)]
pub struct Around<'t> {
    plan: &'t Template,
    bases: &'t Bases,
    left: Vec<u8>,
    tail: Vec<u8>,
    made: Vec<Made>,
}

impl<'t> Around<'t> {
    /// Of this template. What is wrong with values of the header is reported elsewhere.
    pub fn new(plan: &'t Template, bases: &'t Bases, protocol: &RawProtocol) -> Self {
        let (mut made, mut told) = (Vec::new(), Diags::default());
        let (left, tail) = (vec![0; plan.left_len], vec![0; plan.tail_len]);
        let mut around = Self { plan, bases, left, tail, made: Vec::new() };
        let areas = [&protocol.pdu_left, &protocol.pdu_tailer];
        let [raw_left, raw_tail] = areas.map(|list| list.as_deref().unwrap_or_default());
        let fields = plan.left.iter().zip(raw_left).chain(plan.tail.iter().zip(raw_tail));
        let header = fields.filter_map(|(field, raw)| Some((field, raw.value.value.as_ref()?)));
        for field in plan.left.iter().chain(&plan.tail).filter(|field| field.slot.blank() != 0) {
            let area = if field.at.0 >= 0 { &mut around.left } else { &mut around.tail };
            let at = field.at.in_frame(area.len());
            area.get_mut(at..at + field.slot.len).into_iter().for_each(|out| out.fill(field.slot.blank()));
        }
        for (field, value) in header.filter(|(field, _)| is_written(field)) {
            let Some(bytes) = bytes(&mut told, field, value, &mut made) else { continue };
            let area = if field.at.0 >= 0 { &mut around.left } else { &mut around.tail };
            let at = field.at.in_frame(area.len());
            if let Some(out) = area.get_mut(at..at + bytes.len()) {
                out.copy_from_slice(&bytes);
            }
        }
        Self { made, ..around }
    }
}

/// Writes the raw request of a command into it, all but the checksum, and the values that are made for each request.
pub fn sample(
    diags: &mut Diags,
    around: &Around<'_>,
    request: Option<&DataList>,
    command: &mut Command,
    draft: &CommandDraft,
) {
    let plan = around.plan;
    let least = draft.asked.as_ref().map_or(0, |asked| asked.walk.least);
    let fixed = plan.data_len_fixed.filter(|_| draft.asked.is_none());
    let mut data_len = fixed.unwrap_or(command.request_len_padded) - least;
    let len = plan.left_len + data_len + plan.tail_len;
    if !diags.charge(draft.pos, len, "an example of this command's request") {
        return;
    }
    let mut frame = Vec::with_capacity(len);
    frame.extend_from_slice(&around.left);
    frame.resize(plan.left_len + data_len, draft.padding);
    frame.extend_from_slice(&around.tail);
    let mut made = data_values(diags, around, request, draft, &mut frame);
    let in_key = |made: &Made| {
        let at = made.field.at.in_frame(len);
        let meets = |part: &KeyPart| {
            let part_at = part.at.in_frame(len);
            at < part_at + part.len && part_at < at + made.field.slot.len
        };
        draft.parts.iter().any(meets)
    };
    made.retain(|made| !in_key(made));
    let mut rest = command.key;
    for part in draft.parts.iter().rev() {
        let at = part.at.in_frame(len);
        if let Some(out) = frame.get_mut(at..at + part.len) {
            write_number(rest as u64, part.little, out);
        }
        rest = rest.checked_shr(8 * part.len as u32).unwrap_or(0);
    }
    let mut functions = Vec::new();
    if let Some(asked) = &draft.asked {
        functions = walk::sample::insert(diags, plan, (asked, draft.pos), &draft.walked_key, &mut frame);
        walk::sample::pad(plan, draft.padding, &mut frame);
        data_len = frame.len() - plan.left_len - plan.tail_len;
        write_lengths(&asked.walk.lengths, data_len, command.less, &mut frame);
    }
    write_lengths(&plan.lengths, data_len, command.less, &mut frame);
    if let Some(asked) = draft.asked.as_ref().filter(|_| !functions.is_empty()) {
        for one in walk::sample::made(&asked.walk, &functions, &frame) {
            diags.charge(draft.pos, size_of::<Made>() + expr::memory(&one.value), "a value made for each request");
            made.push(one);
        }
    }
    command.sample = around.bases.keep(frame, &diags.budget);
    command.made = made.into();
}

/// Writes the values of a request's list into the frame; of those that are made for each request, an example. Gives all that are made.
fn data_values(
    diags: &mut Diags,
    around: &Around<'_>,
    request: Option<&DataList>,
    draft: &CommandDraft,
    frame: &mut [u8],
) -> Vec<Made> {
    let len = frame.len();
    let mut made = around.made.clone();
    let mut made_at: HashSet<Offset> = made.iter().map(|made| made.field.at).collect();
    step(made.len());
    for listed in request.iter().flat_map(|request| request.fields.iter()) {
        step(1);
        let Some(value) = listed.value.as_ref().filter(|value| !is_empty(value)) else {
            blank(listed, draft.padding, frame);
            continue;
        };
        if listed.header && !is_written(&listed.field) {
            continue;
        }
        if made_at.remove(&listed.field.at) {
            step(made.len());
            made.retain(|made: &Made| made.field.at != listed.field.at);
        }
        let before = made.len();
        if let Some(bytes) = bytes(diags, &listed.field, value, &mut made) {
            let at = listed.field.at.in_frame(len);
            if let Some(out) = frame.get_mut(at..at + bytes.len()) {
                out.copy_from_slice(&bytes);
            }
        }
        if let Some(last) = made.get(before) {
            made_at.insert(last.field.at);
            diags.charge(draft.pos, size_of::<Made>() + expr::memory(&last.value), "a value made for each request");
        }
    }
    made
}

/// Fills a field of the data frame that has no value, where its padding is none.
fn blank(listed: &ResponseField, padding: u8, frame: &mut [u8]) {
    let Field { at, slot, .. } = &listed.field;
    let at = at.in_frame(frame.len());
    if let Some(out) = frame.get_mut(at..at + slot.len).filter(|_| !listed.header && slot.blank() != padding) {
        out.fill(slot.blank());
    }
}

/// Has a header or tail field a value of its own in a request?
fn is_written(field: &Field) -> bool {
    matches!(field.computed, Computed::No | Computed::Start | Computed::End)
}

/// An empty text is zero, or padding.
fn is_empty(value: &At<Json>) -> bool {
    matches!(&value.value, Json::Str(text) if text.is_empty())
}

/// The bytes of a field's value; of one that is made for each request, an example, and it is put with the others.
fn bytes(diags: &mut Diags, field: &Field, value: &At<Json>, made: &mut Vec<Made>) -> Option<Box<[u8]>> {
    if let Some(value) = function(diags, &field.slot, value) {
        let value = value?;
        let example = fits::example(&value, &field.slot);
        made.push(Made { field: field.clone(), path: None, value });
        return example;
    }
    field::constant(diags, &field.slot, value).map(|(bytes, _)| bytes)
}

/// The value of a request's field as a function; `None`: it is a constant, `Some(None)`: it is wrong, which was reported.
pub fn function(diags: &mut Diags, slot: &Slot, value: &At<Json>) -> Option<Option<Expr>> {
    let Json::Str(text) = &value.value else { return None };
    if !expr::is_dynamic(text) {
        return None;
    }
    let expr = match expr::parse(text, &NoRequest) {
        Ok(expr) => calc::fitted(expr, slot, false),
        Err(wrong) => {
            diags.error(value.pos, wrong);
            return Some(None);
        }
    };
    let expr = adapt(expr, slot);
    if let Err(wrong) = fits::fits(&expr, slot, 0) {
        diags.error(value.pos, format!("`{text}` {wrong}"));
        return Some(None);
    }
    Some(Some(expr))
}

/// What the values of a request may refer to: no request.
#[derive(Debug)]
pub struct NoRequest;

impl Scope for NoRequest {
    fn field(&self, name: &str) -> Result<Option<(Offset, Slot)>, ExprError> {
        Err(ExprError::FieldInRequest(name.into()))
    }

    fn register(&self, name: &str) -> Result<u32, ExprError> {
        Err(ExprError::RegisterInRequest(name.into()))
    }

    fn register_bytes_max(&self, _number: u32) -> usize {
        0
    }

    /// Any FSU may be asked.
    fn id_digits(&self) -> usize {
        0
    }
}

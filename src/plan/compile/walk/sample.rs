//! The sample of a request, for clients: the fields from the first of variable size on.

use super::super::expr::is_function;
use super::super::fields::Values;
use super::super::fits;
use super::super::sample::{self, NoRequest};
use super::encode::{self, Sources};
use super::layout::WalkDraft;
use crate::config::at::{At, Json, Pos};
use crate::config::diag::Diags;
use crate::model::field::{Computed, Field, Offset, Slot};
use crate::model::reply::Expr;
use crate::model::template::{Made, Template};
use crate::model::walk::{Encode, Measure, NEST_MAX, Node, Path, Put, Target, Walk, What};
use crate::wire::walk::{Event, Items, said, visit, write_count};
use std::sync::Arc;

/// A node whose value is made for each request.
pub type Function = (u32, Expr);

/// Inserts these fields into a request that has only header, fixed fields and tail. Gives those whose values are made for each
/// request; the frame has an example.
///
/// `key`: the parts of the command's key behind a field of variable size.
pub fn insert(
    diags: &mut Diags,
    template: &Template,
    (draft, pos): (&WalkDraft, Pos),
    key: &[(At<String>, At<Json>)],
    frame: &mut Vec<u8>,
) -> Vec<Function> {
    let known = |at: Offset, len: usize| frame.get(at.in_frame(frame.len())..)?.get(..len).map(Into::into);
    let mut functions = Vec::new();
    let values = examples(diags, draft, key, &mut functions);
    let example = WalkDraft { values, ..draft.clone() };
    let sources = Sources {
        draft: &example,
        request: None,
        fixed: None,
        values: &[&Values::new(key)],
        scope: &NoRequest,
        gives: &|_| None,
        known: &known,
        room: super::room(template, &draft.walk.lengths, draft.walk.at - template.left_len, 0),
        moved: template.moved.as_deref(),
        is_sample: true,
        pos,
    };
    let steps = encode::encode(diags, &sources);
    if !write(&steps, frame) && !diags.has_errors() {
        diags.error(pos, "a value of the request's varying part is no constant");
    }
    functions
}

/// The template's values, with an example of each that is a function.
fn examples(
    diags: &mut Diags,
    draft: &WalkDraft,
    key: &[(At<String>, At<Json>)],
    functions: &mut Vec<Function>,
) -> Arc<[Option<At<Json>>]> {
    if !draft.values.iter().flatten().any(|value| is_function(&value.value)) {
        return draft.values.clone();
    }
    let walk = &draft.walk;
    let example = |(number, value): (usize, &Option<At<Json>>)| {
        let (number, value) = (number as u32, value.as_ref()?);
        if !is_function(&value.value) {
            return Some(value.clone());
        }
        let Node { name, what, parent, .. } = walk.nodes.get(number as usize)?;
        let What::Field { slot, varies } = what else { return Some(value.clone()) };
        // What is computed, or part of the key, has no value of its own.
        if walk.is_computed(number) || (parent.is_none() && key.iter().any(|(part, _)| *part.value == **name)) {
            return None;
        }
        let expr = sample::function(diags, slot, value)??;
        if walk.marks.contains(&number) {
            diags.error(value.pos, format!("`{name}` selects a case, and its value is a function (a constant)"));
            return None;
        }
        let is_sized = !varies || fits::has_one_len(&expr);
        let text = fits::example_text(&expr, slot).filter(|_| is_sized);
        let Some(text) = text else {
            let right = "a function whose texts all have one length, as `datetime`, or a field of fixed size";
            diags.error(value.pos, format!("the size of `{name}` differs from request to request ({right})"));
            return None;
        };
        functions.push((number, expr));
        Some(At { pos: value.pos, value: Json::Str(text) })
    };
    draft.values.iter().enumerate().map(example).collect()
}

/// Where the values of these functions are in a request.
pub fn made(walk: &Walk, functions: &[Function], raw: &[u8]) -> Vec<Made> {
    let mut out = Vec::new();
    let mut items = Items::default();
    // What does not fit was reported.
    let _ = visit(walk, raw, |event| match event {
        Event::Item { node, index } => {
            let depth = walk.nodes.get(node as usize).map_or(0, |node| node.lists);
            items.get_mut(depth).into_iter().for_each(|item| *item = index as u32);
        }
        Event::Field { node, from, to } => {
            let Some((_, value)) = functions.iter().find(|(function, _)| *function == node) else { return };
            let Some(Node { name, what: What::Field { slot, .. }, lists, .. }) = walk.nodes.get(node as usize) else {
                return;
            };
            let mut path = Path { node, items: [0; NEST_MAX] };
            path.items.iter_mut().zip(items).take(*lists).for_each(|(to, from)| *to = from);
            let slot = Slot { len: to - from, ..slot.clone() };
            let field = Field { name: name.clone(), at: Offset(from as i32), slot, computed: Computed::No };
            out.push(Made { field, path: Some(path), value: value.clone() });
        }
        _ => {}
    });
    out
}

/// Fills a frame of `total_length` up, in front of its tail.
pub fn pad(template: &Template, padding: u8, frame: &mut Vec<u8>) {
    let Some(data_len) = template.data_len_fixed else { return };
    let lacking = (template.left_len + data_len + template.tail_len).saturating_sub(frame.len());
    let at = frame.len().saturating_sub(template.tail_len);
    frame.splice(at..at, std::iter::repeat_n(padding, lacking));
}

/// Runs the steps on a frame, if they are the same in every frame; otherwise returns false.
pub fn write(steps: &Encode, frame: &mut Vec<u8>) -> bool {
    let mut data = Vec::new();
    for op in &steps.ops {
        match op {
            Put::Bytes { from, to } => data.extend_from_slice(steps.pool.get(*from..*to).unwrap_or_default()),
            Put::Mark(_) => {}
            Put::Length(length) => match (&length.what, length.to) {
                (Measure::Items { own, copied: None }, Target::Frame(at)) => {
                    let place = frame.get_mut(at..at + length.slot.len);
                    if let Some((place, number)) = place.zip(said(*own, length.times, length.add)) {
                        write_count(&length.slot, length.bits, number, place);
                    }
                }
                _ => return false,
            },
            Put::Copy { .. }
            | Put::Element { .. }
            | Put::Number { .. }
            | Put::Text(_)
            | Put::Choose(_)
            | Put::Each(_) => {
                return false;
            }
        }
    }
    let at = steps.at.min(frame.len());
    frame.splice(at..at, data);
    true
}

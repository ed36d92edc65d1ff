//! Steps of a reply that are one copy: elements that follow each other in the request, with the same bytes between them.

use crate::model::quick::Spot;
use crate::model::walk::{Encode, Op, Put, Run, Size, Walked};
use std::sync::Arc;

/// The runs among the steps of a reply, in order.
pub(super) fn runs(steps: &Encode) -> Box<[Run]> {
    let mut out: Vec<Run> = Vec::new();
    let mut at = 0;
    while at < steps.ops.len() {
        match run(steps, at) {
            Some(run) => {
                at = run.to as usize;
                out.push(run);
            }
            None => at += 1,
        }
    }
    out.into()
}

/// The longest one that begins with that step.
fn run(steps: &Encode, from: usize) -> Option<Run> {
    let (mut last, mut defaults) = element(steps, from)?;
    let first = last.path.node;
    let (walk, mut to, mut between) = (last.walk.clone(), from + 1, 0);
    while let Some(end) = end_of(last)
        && let Some(Put::Bytes { from, to: behind }) = steps.ops.get(to)
        && steps.pool.get(*from..*behind) == Some(end)
        && let Some((next, default)) = element(steps, to + 1)
        && Arc::ptr_eq(&next.walk, &walk)
        && op_of(next) == op_of(last).map(|op| op + 1)
        && is_grouped(next) == is_grouped(last)
    {
        between += end.len();
        defaults += default;
        to += 2;
        last = next;
    }
    (to > from + 1).then_some(Run {
        from: from as u32,
        to: to as u32,
        walk,
        first,
        last: last.path.node,
        between,
        defaults,
    })
}

/// An element that is noted when the request is read, and the bytes of what stands for it.
fn element(steps: &Encode, number: usize) -> Option<(&Walked, usize)> {
    let Put::Element { from, default } = steps.ops.get(number)? else { return None };
    let spot = from.walk.quick.spots.get(from.path.node as usize)?;
    (matches!(spot, Spot::Here(_)) && from.others.is_empty()).then_some((&**from, default.1 - default.0))
}

/// The operation of an element.
fn op_of(element: &Walked) -> Option<u32> {
    element.walk.nodes.get(element.path.node as usize).map(|node| node.op)
}

/// Whether it is in the part whose bytes the header says, which may have more bytes than its elements.
fn is_grouped(element: &Walked) -> bool {
    element.walk.group.is_some_and(|group| (group.from..group.to).contains(&element.path.node))
}

/// The bytes that end it.
fn end_of(element: &Walked) -> Option<&[u8]> {
    match element.walk.ops.get(op_of(element)? as usize)? {
        Op::Field { size: Size::Until { end, .. }, .. } => Some(end),
        _ => None,
    }
}

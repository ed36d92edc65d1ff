//! The part of a data frame whose bytes a length of the header says ([`Op::Group`]).

use super::encode::{Encoder, Fields};
use super::extent::counted_by;
use super::layout::{Compiler, Inside, Span};
use super::put::Point;
use crate::config::at::{At, Pos};
use crate::config::diag::Diags;
use crate::config::raw::RawField;
use crate::model::walk::{Grouped, Op};

impl Compiler<'_> {
    /// Compiles a data frame: its fields, in a group where a length counts a part of them.
    pub(super) fn frame(&mut self, diags: &mut Diags, list: &[At<RawField>], inside: Inside) -> Span {
        let moved = self.around.template.moved.as_deref();
        let Some((moved, part)) = moved.and_then(|moved| Some((moved, moved.group.as_ref()?))) else {
            return self.block(diags, list, inside);
        };
        self.open_scope();
        let to = list.len().saturating_sub(moved.tail.len().saturating_sub(part.to));
        let from = part.from.min(to);
        let pos = list.first().map_or_else(Pos::default, |raw| raw.pos);
        let (before, rest) = list.split_at(from);
        let (within, after) = rest.split_at(to - from);
        let mut span = self.fields(diags, before, Inside { is_bounded: false, ..inside });
        let op = self.ops.len() as u32;
        let first = self.nodes.len() as u32;
        let by = At { pos, value: part.by.to_string() };
        let size = counted_by(self, diags, &by, part.more.saturating_neg());
        let Some(size) = size else { return span };
        let says = size.max;
        self.ops.push(Op::Group { size, end: 0 });
        let grouped = self.fields(diags, within, inside);
        let end = self.ops.len() as u32;
        if let Some(Op::Group { end: place, .. }) = self.ops.get_mut(op as usize) {
            *place = end;
        }
        self.group = Some(Grouped { op, from: first, to: self.nodes.len() as u32 });
        if grouped.least > says {
            let text = format!(
                "the fields that `{}` counts take at least {} bytes, and it says at most {says}",
                part.by, grouped.least
            );
            diags.error(pos, text);
        }
        span.add(Span { has_rest: false, most: grouped.most.min(says), ..grouped });
        span.add(self.fields(diags, after, inside));
        self.close_scope();
        span
    }
}

/// Where the group of a reply is while its steps are compiled.
#[derive(Default)]
pub(super) struct Open {
    /// Where it began.
    point: Option<Point>,
    is_closed: bool,
}

impl Encoder<'_> {
    /// Opens and closes the group before a node, or behind the last one.
    pub(super) fn group(&mut self, diags: &mut Diags, node: Option<u32>, open: &mut Open, fields: &mut Fields) {
        let Some(group) = self.walk().group else { return };
        let is_reached = |at: u32| node.is_none_or(|node| node >= at);
        if open.point.is_none() && !open.is_closed && is_reached(group.from) {
            open.point = self.draft.point();
        }
        if !is_reached(group.to) {
            return;
        }
        let Some(point) = open.point.take() else { return };
        open.is_closed = true;
        let walk = self.walk().clone();
        let Some(Op::Group { size, .. }) = walk.ops.get(group.op as usize) else { return };
        self.count(diags, (size, "data_frame", false), (point, (0, None)), fields);
    }
}

//! Elements of the request that a reply repeats: decides which may be copied byte for byte.

use crate::model::field::{Kind, Slot};
use crate::model::walk::{Count, Counted, Op, Path, Place, Size, Source, Walk, Walked, What};
use std::sync::Arc;

/// The request's element as it is written into the reply's node `to`. `None` if the same bytes would have another meaning there.
pub(super) fn element(reply: &Walk, to: u32, request: &Arc<Walk>, from: Path) -> Option<Walked> {
    let (into, node) = (reply.nodes.get(to as usize)?, request.nodes.get(from.node as usize)?);
    match (&into.what, &node.what) {
        (What::Field { slot, varies }, What::Field { slot: asked, varies: as_long }) => {
            let fits = match (*varies, *as_long) {
                (false, false) => slot.len == asked.len,
                (false, true) => false,
                (true, _) => asked.len <= slot.len && ends_alike(reply, to, request, from.node),
            };
            // Hex digits are read in either case, and sent in upper case; in a list they are copied as they are.
            let same = same_kind(slot, asked) && !matches!(slot.kind.base(), Kind::HexDigits { .. });
            (fits && same).then(|| Walked {
                walk: request.clone(),
                path: from,
                slot: asked.clone(),
                varies: *as_long,
                others: Box::default(),
            })
        }
        (What::List, What::List) | (What::Choice { .. }, What::Choice { .. }) => {
            let slot = Slot { kind: Kind::Hex, len: node.most, little: false, right: false, padding: 0 };
            alike(reply, to, request, from.node).then(|| Walked {
                walk: request.clone(),
                path: from,
                slot,
                varies: true,
                others: Box::default(),
            })
        }
        _ => None,
    }
}

/// Whether the same bytes have the same value in both types.
pub(super) fn same_kind(slot: &Slot, asked: &Slot) -> bool {
    let bits = matches!(slot.kind, Kind::Bit(_));
    let same = slot.kind.is_like(&asked.kind);
    same && (!bits || slot.kind == asked.kind) && (slot.little == asked.little || slot.kind == Kind::Str)
}

/// Whether a value of the request can never contain the terminator of the reply's field.
fn ends_alike(reply: &Walk, to: u32, request: &Walk, from: u32) -> bool {
    let end = |walk: &Walk, node: u32| {
        let op = walk.nodes.get(node as usize).and_then(|node| walk.ops.get(node.op as usize));
        if let Some(Op::Field { size: Size::Until { end, .. }, .. }) = op { Some(end.clone()) } else { None }
    };
    let own = end(reply, to);
    own.is_none() || own == end(request, from)
}

/// Whether two lists or choices are the same throughout.
fn alike(reply: &Walk, to: u32, request: &Walk, from: u32) -> bool {
    let (Some(own), Some(asked)) = (reply.nodes.get(to as usize), request.nodes.get(from as usize)) else {
        return false;
    };
    if own.end - to != asked.end - from {
        return false;
    }
    (0..own.end - to).all(|place| {
        let pair = reply.nodes.get((to + place) as usize).zip(request.nodes.get((from + place) as usize));
        let Some((one, other)) = pair else { return false };
        let parents = place == 0 || one.parent.map(|at| at - to) == other.parent.map(|at| at - from);
        let names = place == 0 || (one.name == other.name && one.case == other.case);
        let what = match (&one.what, &other.what) {
            (What::Field { slot, varies }, What::Field { slot: asked, varies: as_long }) => {
                slot == asked && varies == as_long
            }
            (What::List, What::List) => true,
            (What::Choice { cases }, What::Choice { cases: asked }) => cases == asked,
            _ => false,
        };
        let ops = reply.ops.get(one.op as usize).zip(request.ops.get(other.op as usize));
        let pair = Pair { reply, to, request, from, is_root: place == 0 };
        parents && names && what && ops.is_some_and(|(one, other)| pair.same(one, other))
    })
}

/// Two elements, and whether they are the outermost pair.
struct Pair<'a> {
    reply: &'a Walk,
    to: u32,
    request: &'a Walk,
    from: u32,
    is_root: bool,
}

impl Pair<'_> {
    fn same(&self, one: &Op, other: &Op) -> bool {
        match (one, other) {
            (Op::Field { size, .. }, Op::Field { size: asked, .. }) => self.same_size(size, asked),
            (Op::List { count, max, .. }, Op::List { count: asked, max: most, .. }) => {
                let counts = match (count, asked) {
                    // A count outside the copied element does not matter: the reply computes it.
                    _ if self.is_root => {
                        !matches!(count, Count::Fixed(_))
                            || matches!((count, asked), (Count::Fixed(a), Count::Fixed(b)) if a == b)
                    }
                    (Count::Fixed(items), Count::Fixed(asked)) => items == asked,
                    (Count::Rest { after }, Count::Rest { after: asked }) => after == asked,
                    (Count::Counted(counted), Count::Counted(asked)) => self.same_counted(counted, asked),
                    _ => false,
                };
                counts && most <= max
            }
            (
                Op::Choice { by, cases, otherwise, bytes, .. },
                Op::Choice { by: asked_by, cases: asked, otherwise: other, bytes: asked_bytes, .. },
            ) => {
                let keys = cases.len() == asked.len()
                    && cases
                        .iter()
                        .zip(asked)
                        .all(|(one, other)| one.bytes == other.bytes && one.block.case == other.block.case);
                let sizes = match (bytes, asked_bytes) {
                    (None, None) => true,
                    (Some(_), Some(_)) if self.is_root => true,
                    (Some(size), Some(asked)) => self.same_size(size, asked),
                    _ => false,
                };
                keys && sizes && otherwise.is_some() == other.is_some() && self.same_source(by, asked_by)
            }
            _ => false,
        }
    }

    fn same_size(&self, size: &Size, asked: &Size) -> bool {
        match (size, asked) {
            (Size::Fixed(len), Size::Fixed(asked)) => len == asked,
            (Size::Rest { after, .. }, Size::Rest { after: asked, .. }) => after == asked,
            (Size::Until { end, .. }, Size::Until { end: asked, .. }) => end == asked,
            (Size::Counted(counted), Size::Counted(asked)) => self.same_counted(counted, asked),
            _ => false,
        }
    }

    fn same_counted(&self, counted: &Counted, asked: &Counted) -> bool {
        counted.times == asked.times && counted.add == asked.add && self.same_source(&counted.by, &asked.by)
    }

    /// Inside the copied element, both sources are the same field. Outside, they are fields of the same name.
    fn same_source(&self, by: &Source, asked: &Source) -> bool {
        let node = |walk: &Walk, source: &Source| match source.place {
            Place::Mark(mark) => walk.marks.get(usize::from(mark)).copied(),
            Place::Frame(_) => None,
        };
        match (node(self.reply, by), node(self.request, asked)) {
            (Some(one), Some(other)) if one >= self.to && other >= self.from => one - self.to == other - self.from,
            (Some(one), Some(other)) => {
                let name = |walk: &Walk, node: u32| walk.nodes.get(node as usize).map(|node| node.name.clone());
                self.is_root && name(self.reply, one) == name(self.request, other)
            }
            (None, None) => self.is_root && by.place == asked.place,
            _ => false,
        }
    }
}

/// What counts a node, if anything does.
pub(super) fn counted(walk: &Walk, node: u32) -> Option<&Counted> {
    walk.nodes.get(node as usize).and_then(|node| walk.ops.get(node.op as usize)).and_then(Op::counted)
}

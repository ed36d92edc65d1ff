//! Compiles the fields of a data frame from the first of variable size on into a program.

use super::super::field::{self, Padding, outside, placeholder, split_name};
use super::super::fields::FieldList;
use super::super::moved;
use super::extent::{self, Room};
use super::lengths;
use super::quick;
use super::{in_header, varies};
use crate::config::at::{At, Json, Pos};
use crate::config::diag::Diags;
use crate::config::extent::RawExtent;
use crate::config::raw::RawField;
use crate::config::steps::step;
use crate::model::field::{FIELD_BYTES_MAX, FRAME_BYTES_MAX, Kind, LengthField, Slot};
use crate::model::template::Template;
use crate::model::walk::{
    Block, Case, Grouped, ITEMS_DEFAULT, NEST_MAX, NODES_MAX, Node, Op, Place, Size, Source, Walk, What,
};
use crate::words::FieldType;
use std::collections::HashMap;
use std::sync::Arc;

/// A program, and what else is needed to make replies and samples.
#[derive(Clone, Debug)]
pub struct WalkDraft {
    /// The program.
    pub walk: Arc<Walk>,
    /// By node: its default value.
    pub values: Arc<[Option<At<Json>>]>,
    /// By node: its position in the file.
    pub places: Arc<[Pos]>,
}

/// What a program is compiled from.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Header and tail.
    pub template: &'a Template,
    /// The fields before the program.
    pub fixed: &'a FieldList,
    /// Total size of the fixed fields, in bytes.
    pub fixed_len: usize,
    /// Alignment and padding of short values.
    pub padding: Padding,
}

/// Compiles the first field of variable size and all fields after it. `None` after errors, which have been reported.
///
/// `fixed`: the computed lengths of the data frame before them.
pub fn layout(
    diags: &mut Diags,
    around: Around<'_>,
    mut fixed: Vec<LengthField>,
    list: &[At<RawField>],
) -> Option<WalkDraft> {
    let errors = diags.has_errors();
    let mut compiler = Compiler {
        around,
        nodes: Vec::new(),
        values: Vec::new(),
        places: Vec::new(),
        ops: Vec::new(),
        marks: Vec::new(),
        scopes: Vec::new(),
        lengths: Vec::new(),
        group: None,
        is_over: false,
    };
    let place = Inside { parent: None, case: 0, lists: 0, depth: 0, is_bounded: true };
    let span = compiler.frame(diags, list, place);
    let own = std::mem::take(&mut compiler.lengths);
    fixed.extend(lengths::walked(diags, &compiler, &own));
    let Compiler { nodes, values, places, ops, marks, group, is_over, .. } = compiler;
    if is_over || (diags.has_errors() && !errors && nodes.is_empty()) {
        return None;
    }
    let at = around.template.left_len + around.fixed_len;
    let tail_len = around.template.tail_len;
    let room = match around.template.data_len_fixed {
        Some(data_len) => data_len.saturating_sub(around.fixed_len),
        None => FRAME_BYTES_MAX.saturating_sub(at + tail_len),
    };
    if span.least > room {
        let text = match around.template.data_len_fixed {
            Some(_) => format!("the fields take at least {} bytes, and `total_length` leaves {room}", span.least),
            None => format!("the fields take at least {} bytes (a frame has at most {FRAME_BYTES_MAX})", span.least),
        };
        diags.error(list.first().map_or_else(Pos::default, |raw| raw.pos), text);
        return None;
    }
    lengths::hold(diags, around, &fixed, (list, around.fixed_len + span.least));
    let walk = Walk {
        at,
        tail_len,
        quick: quick::quick(&ops, &nodes),
        ops: ops.into(),
        nodes: nodes.into(),
        marks: marks.into(),
        least: span.least,
        most: span.most,
        has_rest: span.has_rest,
        lengths: fixed.into(),
        group,
    };
    Some(WalkDraft { walk: Arc::new(walk), values: values.into(), places: places.into() })
}

/// The surroundings of a field.
#[derive(Clone, Copy)]
pub(super) struct Inside {
    pub(super) parent: Option<u32>,
    pub(super) case: u32,
    pub(super) lists: usize,
    pub(super) depth: usize,
    /// Whether the end is known before the fields are read.
    pub(super) is_bounded: bool,
}

/// The size of fields.
#[derive(Clone, Copy, Default)]
pub(super) struct Span {
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) has_rest: bool,
}

impl Span {
    /// Adds what follows.
    pub(super) fn add(&mut self, other: Self) {
        self.least = self.least.saturating_add(other.least);
        self.most = self.most.saturating_add(other.most);
        self.has_rest |= other.has_rest;
    }
}

pub(super) struct Compiler<'a> {
    pub(super) around: Around<'a>,
    pub(super) nodes: Vec<Node>,
    values: Vec<Option<At<Json>>>,
    places: Vec<Pos>,
    pub(super) ops: Vec<Op>,
    pub(super) marks: Vec<u32>,
    /// Computed lengths of the data frame: their nodes.
    lengths: Vec<(u32, At<RawField>)>,
    /// The fields so far of each enclosing block, the innermost last.
    pub(super) scopes: Vec<HashMap<Box<str>, u32>>,
    /// The part that a length of the header counts.
    pub(super) group: Option<Grouped>,
    is_over: bool,
}

impl Compiler<'_> {
    /// Compiles the fields of one block.
    pub(super) fn block(&mut self, diags: &mut Diags, list: &[At<RawField>], inside: Inside) -> Span {
        self.open_scope();
        let sum = self.fields(diags, list, inside);
        self.close_scope();
        sum
    }

    /// Begins a block: its fields see each other.
    pub(super) fn open_scope(&mut self) {
        self.scopes.push(HashMap::new());
    }

    /// Ends the innermost block.
    pub(super) fn close_scope(&mut self) {
        self.scopes.pop();
    }

    /// Compiles fields of the innermost block.
    pub(super) fn fields(&mut self, diags: &mut Diags, list: &[At<RawField>], inside: Inside) -> Span {
        let mut sum = Span::default();
        // The element that takes the rest: its operation, and the size of the fields after it.
        let mut rest: Option<(usize, usize)> = None;
        for (number, raw) in list.iter().enumerate() {
            step(1);
            let is_last = list.iter().skip(number + 1).all(|raw| in_header(raw));
            let op = self.ops.len();
            let Some(span) = self.field(diags, raw, inside, is_last) else { continue };
            if let Some((_, after)) = &mut rest {
                if span.has_rest {
                    diags.error(raw.pos, "a second field that takes what is left (one in a data frame)");
                } else if span.least == span.most {
                    *after += span.least;
                } else {
                    let text = "it follows a field that takes what is left, so it has a fixed size";
                    diags.error(varies(raw).unwrap_or(raw.pos), text);
                }
            } else if span.has_rest {
                rest = Some((op, 0));
            }
            sum.add(span);
        }
        if let Some((op, after)) = rest {
            self.ops.get_mut(op).into_iter().for_each(|op| extent::set_after(op, after));
        }
        sum
    }

    /// Compiles one field, list or choice and returns its size. `None` if it has none, or after a reported error.
    fn field(&mut self, diags: &mut Diags, raw: &At<RawField>, inside: Inside, is_last: bool) -> Option<Span> {
        let Some(name) = &raw.name else {
            diags.missing(raw.pos, "name", "the field's name");
            return None;
        };
        if in_header(raw) {
            if inside.parent.is_some() {
                diags.error(name.pos, "a header field inside a list or choice (once, in the data list)");
            }
            return None;
        }
        if self.is_over || self.nodes.len() >= NODES_MAX {
            if !self.is_over {
                diags.error(raw.pos, format!("more than {NODES_MAX} fields from the first of variable size on"));
            }
            self.is_over = true;
            return None;
        }
        if !diags.charge(raw.pos, size_of::<Node>() + size_of::<Op>() + 4 * name.value.len() + 160, "a field") {
            self.is_over = true;
            return None;
        }
        field::check_name(diags, name);
        let (_, plain) = split_name(&name.value);
        let fixed = inside.parent.is_none() && self.around.fixed.data(plain).is_some();
        if fixed || self.scopes.last().is_some_and(|scope| scope.contains_key(plain)) {
            diags.error(name.pos, format!("a second field `{plain}` in one data frame"));
        }
        if inside.parent.is_none() {
            field::check_apart(diags, self.around.template, name);
        }
        let kind = raw.kind.as_ref().and_then(|kind| FieldType::from_name(&kind.value));
        let nested = matches!(kind, Some(FieldType::List | FieldType::Choice));
        if nested && inside.depth >= NEST_MAX {
            diags.error(raw.pos, format!("lists and choices nest at most {NEST_MAX} deep"));
            return None;
        }
        if !extent::only(diags, raw, kind) {
            return None;
        }
        match kind {
            Some(FieldType::List) => self.list(diags, raw, plain, inside),
            Some(FieldType::Choice) => self.choice(diags, raw, plain, (inside, is_last)),
            _ => self.plain(diags, raw, plain, inside),
        }
    }

    /// Adds a node. The next operation belongs to it.
    fn node(&mut self, raw: &At<RawField>, name: &str, what: What, inside: Inside) -> u32 {
        let number = self.nodes.len() as u32;
        let Inside { parent, case, lists, .. } = inside;
        let op = self.ops.len() as u32;
        self.nodes.push(Node { name: name.into(), what, parent, case, lists, op, end: number + 1, most: 0 });
        self.values.push(raw.value.value.clone());
        self.places.push(raw.pos);
        number
    }

    /// Makes a field visible to later fields of the block.
    fn known(&mut self, name: &str, node: u32) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.entry(name.into()).or_insert(node);
        }
    }

    fn plain(&mut self, diags: &mut Diags, raw: &At<RawField>, name: &str, inside: Inside) -> Option<Span> {
        let changes = raw
            .value
            .value
            .as_ref()
            .is_some_and(|value| matches!(&value.value, Json::Str(text) if placeholder(text).is_some()));
        let is_length = lengths::is_length(raw);
        if changes && !is_length {
            let text = "an unknown placeholder (known: {{data_frame_length}})";
            diags.error(raw.value.value.as_ref().map_or(raw.pos, |value| value.pos), text);
            return None;
        }
        if is_length && inside.parent.is_some() {
            let text = "a computed length inside a list or choice (the field that it counts names it: `\"length\": {\"field\": ...}`)";
            diags.error(raw.pos, text);
            return None;
        }
        if let Some(matches) = raw.matches.as_ref().filter(|matches| matches.value && inside.parent.is_some()) {
            diags.error(matches.pos, "`match` inside a list or choice (a field of the data frame selects an entry)");
        }
        let size = extent::size(self, diags, raw, Room { is_bounded: inside.is_bounded })?;
        let (least, most, has_rest) = extent::span(&size);
        let varies = !matches!(size, Size::Fixed(_));
        let slot = slot(diags, raw, self.around.padding, most)?;
        if is_length && varies {
            diags.error(varies_at(raw), "a computed length has a fixed size");
            return None;
        }
        let until = if let Size::Until { end, .. } = &size { end.len() } else { 0 };
        let fixed = if let Size::Fixed(len) = size { len } else { 0 };
        let slot = Slot { len: if varies { most } else { fixed }, ..slot };
        if varies && matches!(slot.kind.base(), Kind::F32 | Kind::F64) {
            diags.error(varies_at(raw), "a float has a fixed size (4 or 8 bytes)");
            return None;
        }
        if varies && matches!(slot.kind.base(), Kind::Sbcd | Kind::Epoch(_) | Kind::Cp56) {
            let text = format!("a field of type {} has a fixed size", slot.kind.word().name());
            diags.error(varies_at(raw), text);
            return None;
        }
        let node = self.node(raw, name, What::Field { slot, varies }, inside);
        if is_length {
            // Written when the size of the frame is known.
            self.values.pop();
            self.values.push(None);
            self.lengths.push((node, raw.clone()));
        }
        self.ops.push(Op::Field { node, size, mark: None });
        self.known(name, node);
        self.spans(node, Span { least: least + until, most: most + until, has_rest })
    }

    /// Records the maximum size of a node.
    fn spans(&mut self, node: u32, span: Span) -> Option<Span> {
        self.nodes.get_mut(node as usize)?.most = span.most;
        Some(span)
    }

    fn list(&mut self, diags: &mut Diags, raw: &At<RawField>, name: &str, inside: Inside) -> Option<Span> {
        let Some(items) = raw.items.as_ref().filter(|items| !items.value.is_empty()) else {
            diags.missing(raw.pos, "items", "the fields of an item");
            return None;
        };
        let bounded = Room { is_bounded: inside.is_bounded };
        let (count, max) = extent::count(self, diags, raw, bounded)?;
        let has_rest = extent::is_rest(&count);
        let node = self.node(raw, name, What::List, inside);
        let op = self.ops.len();
        self.ops.push(Op::List { node, count, least: 1, max, end: 0 });
        let lists = inside.lists + 1;
        let within = Inside { parent: Some(node), case: 0, lists, depth: inside.depth + 1, is_bounded: false };
        let before = diags.list().len();
        let item = self.block(diags, &items.value, within);
        // Of counted items in no other list `max` bounds how many are looked at.
        let is_bounded = inside.lists == 0 && !has_rest && max <= ITEMS_DEFAULT;
        if item.least == 0 && !is_bounded {
            // After an error, fields are missing.
            if diags.list().len() == before {
                diags.error(raw.pos, "an item may be empty (at least one of its fields takes a byte)");
            }
            return None;
        }
        self.close(op, node, Some(item.least));
        self.known(name, node);
        let fewest = extent::fewest(self.ops.get(op));
        let (least, most) = (item.least.saturating_mul(fewest), item.most.saturating_mul(max));
        self.spans(node, Span { least, most, has_rest })
    }

    /// Records where a list or choice ends.
    fn close(&mut self, op: usize, node: u32, item_least: Option<usize>) {
        let (ops, nodes) = (self.ops.len() as u32, self.nodes.len() as u32);
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.end = nodes;
        }
        match self.ops.get_mut(op) {
            Some(Op::List { end, least, .. }) => {
                *end = ops;
                *least = item_least.unwrap_or(1);
            }
            Some(Op::Choice { end, .. }) => *end = ops,
            _ => {}
        }
    }

    fn choice(
        &mut self,
        diags: &mut Diags,
        raw: &At<RawField>,
        name: &str,
        (inside, is_last): (Inside, bool),
    ) -> Option<Span> {
        let Some(by) = &raw.by else {
            diags.missing(raw.pos, "by", "the earlier field that selects the case");
            return None;
        };
        let Some(cases) = raw.cases.as_ref().filter(|cases| !cases.value.0.is_empty()) else {
            diags.missing(raw.pos, "cases", "that field's value -> the fields that follow then");
            return None;
        };
        let (by, part) = self.part(by);
        let by = extent::source(self, diags, &by)?;
        let bytes = extent::bytes(self, diags, raw, Room { is_bounded: inside.is_bounded }).ok()?;
        let keys = cases.value.0.iter().map(|(key, _)| key.value.as_str().into()).collect();
        let node = self.node(raw, name, What::Choice { cases: keys }, inside);
        let op = self.ops.len();
        let slot = by.slot.clone();
        let mut mask: Box<[u8]> = Box::default();
        if let Some(part) = &part {
            mask = Cases::bytes(diags, &slot, Some(part), &At { pos: raw.pos, value: "0".to_owned() })?.1;
        }
        self.ops.push(Op::Choice { node, by, mask, cases: Box::default(), otherwise: None, bytes: None, end: 0 });
        // A case without a size of its own is bounded if the choice is bounded and comes last.
        let is_bounded = bytes.is_some() || (inside.is_bounded && is_last);
        let mut made = Cases { sorted: Vec::new(), otherwise: None, span: None, part };
        for (number, (key, fields)) in cases.value.0.iter().enumerate() {
            let Inside { lists, depth, .. } = inside;
            let case = number as u32;
            let within = Inside { parent: Some(node), case, lists, depth: depth + 1, is_bounded };
            let from = self.ops.len() as u32;
            let span = self.block(diags, &fields.value, within);
            made.add(diags, &slot, key, (Block { case, from, to: self.ops.len() as u32 }, span));
        }
        self.close(op, node, None);
        self.known(name, node);
        let of_cases = made.span.unwrap_or_default();
        let sized = bytes.as_ref().map(extent::span);
        // Without a matching case and without a size, a choice is empty.
        let (least, most, has_rest) = sized.unwrap_or((of_cases.least, of_cases.most, of_cases.has_rest));
        if let Some(Op::Choice { cases, otherwise, bytes: size, .. }) = self.ops.get_mut(op) {
            made.sorted.sort_by(|one, other| one.bytes.cmp(&other.bytes));
            *cases = made.sorted.into();
            *otherwise = made.otherwise;
            *size = bytes;
        }
        self.spans(node, Span { least, most, has_rest })
    }

    /// Splits `field.bits`, if that is what a name says.
    pub(super) fn part(&self, by: &At<String>) -> (At<String>, Option<Box<str>>) {
        let whole = || (by.clone(), None);
        let Some((name, part)) = by.value.trim().rsplit_once('.') else { return whole() };
        let has = |slot: &Slot| matches!(&slot.kind, Kind::Bit(bits) if bits.named(part).is_some());
        let node = self.scopes.iter().rev().find_map(|scope| scope.get(name));
        let walked = node.and_then(|&node| match &self.nodes.get(node as usize)?.what {
            What::Field { slot, .. } => Some(slot),
            _ => None,
        });
        let (area, plain) = split_name(name);
        let fixed = || self.around.fixed.data(plain).map(|number| &self.around.fixed[number].field.slot);
        let header = || outside(self.around.template, area, plain).map(|field| &field.slot);
        if walked.or_else(fixed).or_else(header).is_some_and(has) {
            return (At { pos: by.pos, value: name.to_owned() }, Some(part.into()));
        }
        whole()
    }

    /// The field that a size, count or choice refers to. Searches this block, the enclosing ones, the fixed part, then the header.
    pub(super) fn earlier(&mut self, diags: &mut Diags, name: &At<String>) -> Option<Source> {
        let here = moved::area_in(self.around.template, &name.value);
        let here = if here.0 == field::Area::Plain { here.1 } else { name.value.trim() };
        let found = self.scopes.iter().rev().find_map(|scope| scope.get(here)).copied();
        if let Some(node) = found {
            let What::Field { slot, .. } = &self.nodes[node as usize].what else {
                diags.error(name.pos, format!("`{}` is no field that holds a number", name.value));
                return None;
            };
            let slot = slot.clone();
            return Some(Source { place: Place::Mark(extent::mark(self, diags, node, name.pos)?), slot });
        }
        let (area, plain) = split_name(&name.value);
        let fixed = self.around.fixed;
        if let Some(number) = fixed.data(plain).filter(|_| area == field::Area::Plain) {
            let field = &fixed[number].field;
            return Some(Source { place: Place::Frame(field.at), slot: field.slot.clone() });
        }
        let header = outside(self.around.template, area, plain).filter(|field| field.at.0 >= 0);
        if let Some(field) = header {
            return Some(Source { place: Place::Frame(field.at), slot: field.slot.clone() });
        }
        let here = self.scopes.iter().flat_map(|scope| scope.keys()).map(|name| &**name);
        let data = fixed.iter().filter(|field| !field.header).map(|field| &*field.field.name);
        let left = self.around.template.left.iter().map(|field| &*field.name);
        let names: Vec<&str> = here.chain(data).chain(left).collect();
        diags.error(name.pos, format!("no earlier field `{}`{}", name.value, field::known(plain, names)));
        None
    }
}

/// The cases of a choice so far.
struct Cases {
    sorted: Vec<Case>,
    otherwise: Option<Block>,
    span: Option<Span>,
    /// The bits of the selecting field that select the case.
    part: Option<Box<str>>,
}

/// The key of the case that takes all other values.
const ELSE: &str = "else";

/// Bytes, and which bits of them count.
type Masked = (Box<[u8]>, Box<[u8]>);

impl Cases {
    /// The bytes of a key, and which bits of them count.
    fn bytes(diags: &mut Diags, slot: &Slot, part: Option<&str>, key: &At<String>) -> Option<Masked> {
        let Some(part) = part else {
            return Some((field::encode_constant(diags, slot, &key.value, key.pos)?, Box::default()));
        };
        let (name, value) = (part.to_owned(), Json::Str(key.value.clone()));
        let bits = Json::Obj(vec![(At { pos: key.pos, value: name }, At { pos: key.pos, value })]);
        field::constant(diags, slot, &At { pos: key.pos, value: bits })
    }

    fn add(&mut self, diags: &mut Diags, slot: &Slot, key: &At<String>, (block, span): (Block, Span)) {
        let sum = self.span.get_or_insert(span);
        sum.least = sum.least.min(span.least);
        sum.most = sum.most.max(span.most);
        sum.has_rest |= span.has_rest;
        if key.value == ELSE {
            self.otherwise = Some(block);
            return;
        }
        let Some((bytes, _)) = Self::bytes(diags, slot, self.part.as_deref(), key) else { return };
        if self.sorted.iter().any(|case| case.bytes == bytes) {
            diags.error(key.pos, format!("a second case `{}`", key.value));
            return;
        }
        self.sorted.push(Case { bytes, block });
    }
}

fn varies_at(raw: &At<RawField>) -> Pos {
    varies(raw).unwrap_or(raw.pos)
}

/// The type of a field. A field of variable size is treated as one of `most` bytes.
fn slot(diags: &mut Diags, raw: &At<RawField>, padding: Padding, most: usize) -> Option<Slot> {
    if varies(raw).is_none() {
        return field::slot(diags, raw, padding);
    }
    let kind = raw.kind.as_ref().and_then(|kind| FieldType::from_name(&kind.value));
    let number = matches!(
        kind,
        Some(
            FieldType::Int | FieldType::IntBe | FieldType::IntLe | FieldType::Uint | FieldType::Sbcd | FieldType::Epoch
        )
    );
    let len = most.clamp(1, if number { 8 } else { FIELD_BYTES_MAX }) as u64;
    let length = Some(At { pos: varies_at(raw), value: RawExtent::Number(len) });
    let like = RawField { length, until: None, max: None, ..raw.value.clone() };
    field::sized_slot(diags, &At { pos: raw.pos, value: like }, padding, true)
}

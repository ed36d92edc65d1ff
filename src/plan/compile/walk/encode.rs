//! Compiles a rule's values for the fields from the first of variable size on into the steps that write them.

use super::super::expr::{Scope, is_dynamic, nearest};
use super::super::field::{self, Area};
use super::super::fields::Values;
use super::super::moved::area_of;
use super::copy::{self, counted};
use super::decided::Decided;
use super::each::{ITEM, Mapped};
use super::group::Open;
use super::layout::WalkDraft;
use super::put::{self, Draft, Gap, Point};
use super::repeat::{Item, spread};
use super::value::Spot;
use crate::config::at::{At, Json, Pos};
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::config::steps::step;
use crate::model::digits::Digits;
use crate::model::field::{Field, Kind, Offset};
use crate::model::reply::{Expr, Part};
use crate::model::template::Moved;
use crate::model::walk::{
    Count, Counted, Encode, Measure, Node, Op, Path, Place, Put, PutText, Size, Target, Walk, Walked, What,
};
use crate::wire::walk::{case_of, counts, masked_case_of, said};
use std::collections::HashMap;
use std::sync::Arc;

/// The input of [`encode`].
pub struct Sources<'a> {
    /// The reply's program.
    pub draft: &'a WalkDraft,
    /// The request's program, to copy from by name.
    pub request: Option<&'a Arc<Walk>>,
    /// The request's fields before its program.
    pub fixed: Option<&'a HashMap<&'a str, &'a Field>>,
    /// Values of the rule; the first one with a name wins.
    pub values: &'a [&'a Values<'a>],
    /// What values may refer to.
    pub scope: &'a dyn Scope,
    /// What the rule gives the field at this place before the program.
    pub gives: &'a dyn Fn(Offset) -> Option<At<Json>>,
    /// The reply's bytes before the program, if they are the same in every reply.
    pub known: &'a dyn Fn(Offset, usize) -> Option<Box<[u8]>>,
    /// The most bytes that fit into the frame and its length fields.
    pub room: usize,
    /// The header and tail fields among them.
    pub moved: Option<&'a Moved>,
    /// A sample request is being made. It need not be valid, but is if possible.
    pub is_sample: bool,
    /// Where to report that the reply is too large.
    pub pos: Pos,
}

/// Bytes charged per step: the step itself, and an allowance for what it allocates.
const STEP_BYTES: usize = size_of::<Put>() + 64;

/// Compiles the steps; reports everything that does not fit.
pub fn encode(diags: &mut Diags, sources: &Sources<'_>) -> Encode {
    let walk = &sources.draft.walk;
    let mut encoder = Encoder {
        of: sources,
        draft: Draft::default(),
        index: None,
        item: None,
        item_of: None,
        is_case: false,
        decided: Vec::new(),
        is_over: false,
    };
    let given = Given::Rule(sources.values, sources.moved);
    encoder.block(diags, None, 0, &given);
    let Encoder { draft, .. } = encoder;
    if draft.least > sources.room {
        let what = "bytes in the part of the reply from the first field of variable size on, and the frame and its lengths have room for";
        diags.error(sources.pos, format!("{} {what} {}", draft.least, sources.room));
    }
    let mut steps = Encode { lengths: walk.lengths.clone(), ..draft.finish(walk.at, sources.room) };
    steps.runs = super::runs::runs(&steps);
    diags.charge(sources.pos, steps.ops.len() * STEP_BYTES + steps.pool.len(), "a reply that is made beforehand");
    steps
}

/// Where values come from.
pub(super) enum Given<'g> {
    /// A rule; header and tail fields that the data frame carries may be given with their area.
    Rule(&'g [&'g Values<'g>], Option<&'g Moved>),
    /// An object in a rule.
    Object(&'g [(At<String>, At<Json>)]),
    /// An object in a rule, of which other cases have names too.
    Cases(&'g [(At<String>, At<Json>)]),
    /// Nowhere: no values are given.
    Nothing,
}

impl<'g> Given<'g> {
    fn get(&self, name: &str) -> Option<&'g At<Json>> {
        match self {
            Self::Rule(values, moved) => values.iter().find_map(|values| {
                let in_area = || moved.and_then(|moved| values.get(area_of(moved, name)?, name));
                values.get(Area::Plain, name).or_else(in_area)
            }),
            Self::Object(list) | Self::Cases(list) => {
                list.iter().find(|(key, _)| *key.value == *name).map(|(_, value)| value)
            }
            Self::Nothing => None,
        }
    }
}

/// How a field of the current block was written.
#[derive(Clone, Copy)]
pub(super) enum Written {
    /// As known bytes, at this offset of the pool.
    Known(usize),
    /// As a gap: the number is computed later.
    Gap(Gap),
    /// In another way.
    Other,
    /// In another way, where this mark was made.
    At(u8),
    /// As known bytes, at this offset of the pool, where this mark was made.
    KnownAt(usize, u8),
}

pub(super) struct Encoder<'a> {
    pub(super) of: &'a Sources<'a>,
    pub(super) draft: Draft,
    /// The repeated item that is being written.
    pub(super) index: Option<usize>,
    /// The request's list of whose items those of the reply are made.
    pub(super) item: Option<Path>,
    /// The reply's list of those items, and the names that the rule gives.
    pub(super) item_of: Option<(u32, Vec<String>)>,
    /// The case that is being written is one of several: what it counts is not known.
    pub(super) is_case: bool,
    /// What has determined numbers so far.
    pub(super) decided: Vec<Decided>,
    is_over: bool,
}

/// The fields of a block written so far.
pub(super) type Fields = HashMap<u32, Written>;

impl Encoder<'_> {
    pub(super) fn walk(&self) -> &Arc<Walk> {
        &self.of.draft.walk
    }

    /// Writes the data frame from the start of the program.
    fn block(&mut self, diags: &mut Diags, parent: Option<u32>, case: u32, given: &Given<'_>) {
        let mut fields = Fields::new();
        self.fields(diags, (parent, case), given, &mut fields);
    }

    /// Writes the fields of one block. `fields` has those of the enclosing blocks, and receives those of this one.
    pub(super) fn fields(
        &mut self,
        diags: &mut Diags,
        (parent, case): (Option<u32>, u32),
        given: &Given<'_>,
        fields: &mut Fields,
    ) {
        let marks = self.draft.marks();
        let children: Vec<u32> = self.children(parent, case).collect();
        self.check_names(diags, parent, &children, given);
        let mut group = Open::default();
        for node in children {
            step(1);
            if parent.is_none() {
                self.group(diags, Some(node), &mut group, fields);
            }
            if self.is_over || diags.is_over() || !diags.charge(self.of.pos, STEP_BYTES / 8, "the values of a reply") {
                self.is_over = true;
                return;
            }
            let name = self.walk().nodes[node as usize].name.clone();
            self.element(diags, node, (given.get(&name), parent.is_none()), fields);
        }
        if parent.is_none() {
            self.group(diags, None, &mut group, fields);
        }
        self.draft.release(marks);
    }

    /// The direct children of a block, in order.
    pub(super) fn children(&self, parent: Option<u32>, case: u32) -> impl Iterator<Item = u32> + use<> {
        let walk = self.walk().clone();
        let (mut at, end) = match parent {
            Some(parent) => (parent + 1, walk.nodes.get(parent as usize).map_or(0, |node| node.end)),
            None => (0, walk.nodes.len() as u32),
        };
        std::iter::from_fn(move || {
            while at < end {
                let (number, node) = (at, walk.nodes.get(at as usize)?);
                at = node.end.max(at + 1);
                if parent.is_none() || node.case == case {
                    return Some(number);
                }
            }
            None
        })
    }

    /// Reports names in an object that are not fields.
    fn check_names(&self, diags: &mut Diags, parent: Option<u32>, children: &[u32], given: &Given<'_>) {
        let Given::Object(list) = given else { return };
        let nodes = &self.walk().nodes;
        let names = || children.iter().map(|&child| &*nodes[child as usize].name);
        let of = parent.map_or("", |parent| &*nodes[parent as usize].name);
        for (key, value) in *list {
            let comment = matches!((&*key.value, &value.value), ("desc" | "description", Json::Str(_)));
            if !comment && !names().any(|name| *name == *key.value) {
                diags.error(key.pos, format!("no field `{}` in `{of}`{}", key.value, nearest(&key.value, names())));
            }
        }
    }

    /// Writes one field, list or choice.
    fn element(
        &mut self,
        diags: &mut Diags,
        node: u32,
        (given, is_top): (Option<&At<Json>>, bool),
        fields: &mut Fields,
    ) {
        let walk = self.walk().clone();
        // Another item has a number of its own.
        self.decided.retain(|decided| !decided.is_of(&walk, node));
        let own = self.of.draft.values.get(node as usize).and_then(Option::as_ref);
        let is_computed = given.is_none() && walk.is_computed(node);
        if is_computed {
            self.gap(diags, node, own, fields);
            return;
        }
        let selects = if self.selects(node) { self.draft.point() } else { None };
        let marks = self.draft.marks();
        let Some(point) = self.draft.point() else {
            self.too_many(diags, node);
            return;
        };
        let copied = match (given, is_top) {
            (None, true) => self.same_name(node),
            (None, false) => self.same_in_item(node),
            (Some(_), _) => None,
        };
        let mut items = (0, None);
        match (&walk.nodes[node as usize].what, copied) {
            (_, Some(Copied::Element(element))) => {
                items.1 = Some(Box::new(element.clone()));
                self.put_element(node, element);
                fields.insert(node, Written::Other);
            }
            (_, Some(Copied::Fixed(op, most))) => {
                self.draft.push(op, most);
                fields.insert(node, Written::Other);
            }
            (_, Some(Copied::Text(mut text, most))) => {
                let blank = if text.varies { Vec::new() } else { vec![text.slot.blank(); text.slot.len] };
                text.default = self.draft.fallback(&blank);
                self.draft.push(Put::Text(Box::new(text)), most);
                self.draft.bytes(&self.until(node));
                fields.insert(node, Written::Other);
            }
            (What::Field { slot, varies }, None) => {
                let target = Spot { node, slot, varies: *varies };
                let written = self.field(diags, target, given.or(own), own);
                fields.insert(node, written);
            }
            (What::List, None) => items = self.list(diags, node, given.or(own), fields),
            (What::Choice { .. }, None) => self.choice(diags, node, given.or(own), (fields, point)),
        }
        if let (Some(selects), Some(written)) = (selects, fields.get_mut(&node)) {
            *written = match *written {
                Written::Other => Written::At(selects.mark),
                Written::Known(at) if walk.counted_bits(node).next().is_some() => Written::KnownAt(at, selects.mark),
                other => other,
            };
        }
        self.given_bits(node, given, fields);
        self.end(diags, node, (point, items), fields);
        self.draft.release(marks);
    }

    /// Whether a field selects the case of a choice.
    fn selects(&self, node: u32) -> bool {
        let walk = self.walk();
        let Some(mark) = walk.marks.iter().position(|&marked| marked == node) else { return false };
        let here = Place::Mark(mark as u8);
        !self.of.is_sample && walk.ops.iter().any(|op| matches!(op, Op::Choice { by, .. } if by.place == here))
            || walk.counted_bits(node).next().is_some()
    }

    /// Bits that the rule gives are not computed.
    fn given_bits(&self, node: u32, given: Option<&At<Json>>, fields: &mut Fields) {
        let walk = self.walk();
        let Some(mark) = walk.marks.iter().position(|&marked| marked == node) else { return };
        let here = Place::Mark(mark as u8);
        let mut counted = walk.ops.iter().filter_map(Op::counted).filter(|counted| counted.by.place == here);
        if given.is_some_and(|given| counted.any(|counted| counted.bits.is_some() && gives(counted, given))) {
            fields.insert(node, Written::Other);
        }
    }

    fn too_many(&mut self, diags: &mut Diags, node: u32) {
        let name = &self.walk().nodes[node as usize].name;
        diags.error(self.of.pos, format!("too many lengths are open at `{name}`"));
        self.is_over = true;
    }

    /// Leaves a gap for a computed number. It initially holds the field's own value, because what it counts may be missing.
    fn gap(&mut self, diags: &mut Diags, node: u32, own: Option<&At<Json>>, fields: &mut Fields) {
        let walk = self.walk().clone();
        let What::Field { slot, .. } = &walk.nodes[node as usize].what else { return };
        let own = own.filter(|own| !matches!(&own.value, Json::Str(text) if text.is_empty() || is_dynamic(text)));
        let filled = own.and_then(|own| field::constant(diags, slot, own)).map(|(bytes, _)| bytes);
        let zero = if Digits::of(&slot.kind).is_text() { b'0' } else { 0 };
        let filled = filled.unwrap_or_else(|| vec![zero; slot.len].into());
        match self.draft.gap(&filled) {
            Some(gap) => drop(fields.insert(node, Written::Gap(gap))),
            None => self.too_many(diags, node),
        }
    }

    /// The smallest size or count that a node's counter can express.
    pub(super) fn fewest(&self, node: u32) -> usize {
        let Some(Counted { times, add, .. }) = counted(self.walk(), node) else { return 0 };
        usize::try_from(if *add < 0 { add.rem_euclid(*times) } else { *add }).unwrap_or(0)
    }

    /// In a sample: the value that selects the first case of the choice that a field controls.
    pub(super) fn tag(&self, node: u32) -> Option<Box<[u8]>> {
        let walk = self.walk();
        let mark = walk.marks.iter().position(|&marked| marked == node).filter(|_| self.of.is_sample)?;
        walk.ops.iter().find_map(|op| match op {
            Op::Choice { by, cases, .. } if by.place == Place::Mark(mark as u8) => {
                cases.iter().min_by_key(|case| case.block.case).map(|case| case.bytes.clone())
            }
            _ => None,
        })
    }

    /// The request's element that a text refers to, if the text is nothing but that reference.
    pub(super) fn referred(&self, text: &str) -> Option<(Arc<Walk>, Path)> {
        let name = text.trim().strip_prefix("#{")?.strip_suffix("}#")?;
        let request = self.of.request?;
        if let Some(list) = self.item.filter(|_| name.trim().starts_with(ITEM)) {
            return match &*request.paths_in_item(list, name.trim().strip_prefix(ITEM)?) {
                [path] => Some((request.clone(), *path)),
                _ => None,
            };
        }
        // Several cases have it: the value of the one that is there is a text.
        match &*request.paths(name.trim()) {
            [path] => Some((request.clone(), *path)),
            _ => None,
        }
    }

    /// The terminator of a field.
    pub(super) fn until(&self, node: u32) -> Box<[u8]> {
        let walk = self.walk();
        match walk.ops.get(walk.nodes[node as usize].op as usize) {
            Some(Op::Field { size: Size::Until { end, .. }, .. }) => end.clone(),
            _ => Box::default(),
        }
    }

    /// The request's element with the same name as a field of the data frame.
    fn same_name(&self, node: u32) -> Option<Copied> {
        let walk = self.walk();
        let into = &walk.nodes[node as usize];
        if let Some(request) = self.of.request
            && let Some(path) =
                request.path(&into.name).filter(|path| request.nodes[path.node as usize].parent.is_none())
        {
            let element = copy::element(walk, node, request, path).filter(|_| self.selects_same(node));
            return element.map(Copied::Element).or_else(|| self.as_text(node, request, path));
        }
        let What::Field { slot, varies } = &into.what else { return None };
        let asked = self.of.fixed?.get(&*into.name).copied()?;
        let until = self.until(node);
        let len = asked.slot.len;
        let fits = if *varies { len <= slot.len && until.is_empty() } else { len == slot.len };
        if fits && copy::same_kind(slot, &asked.slot) {
            return Some(Copied::Fixed(Put::Copy { from: asked.at, len }, len));
        }
        // If type, byte order or end differs, copy through the text notation.
        let part = Part::Field { at: asked.at, slot: asked.slot.clone() };
        let value = Expr { parts: Box::new([part]), bytes_max: 0 };
        // A value that its end or its size does not allow is seen while serving, and counts as one that does not fit.
        let may = if *varies { copy::same_kind(slot, &asked.slot) } else { fits };
        may.then(|| Copied::Text(put::text(value, slot, *varies, &until), if *varies { slot.len } else { len }))
    }

    /// Hex digits are copied through their notation, which is in upper case; so is what may be too long here, or have the field's end.
    pub(super) fn as_text(&self, node: u32, request: &Arc<Walk>, path: Path) -> Option<Copied> {
        let What::Field { slot, varies } = &self.walk().nodes[node as usize].what else { return None };
        let asked = request.element(path)?;
        let fits = *varies || (!asked.varies && asked.slot.len == slot.len);
        let is_digits = matches!(slot.kind.base(), Kind::HexDigits { .. });
        let is_text = fits && copy::same_kind(slot, &asked.slot) && (*varies || is_digits);
        let value = Expr { parts: Box::new([Part::Walked(Box::new(asked))]), bytes_max: 0 };
        is_text.then(|| Copied::Text(put::text(value, slot, *varies, &self.until(node)), slot.len))
    }

    /// The request's case of a choice may be copied only if its selecting field is copied too.
    pub(super) fn selects_same(&self, node: u32) -> bool {
        let walk = self.walk();
        let Some(Op::Choice { by, .. }) = walk.ops.get(walk.nodes[node as usize].op as usize) else { return true };
        match by.place {
            Place::Frame(at) => (self.of.gives)(at).is_none(),
            Place::Mark(mark) => {
                let by = walk.marks.get(usize::from(mark)).and_then(|&node| walk.nodes.get(node as usize));
                match (by, &self.item_of) {
                    (Some(by), Some((list, given))) if by.parent == Some(*list) => {
                        !given.contains(&by.name.to_string())
                    }
                    (Some(by), _) => self.of.values.iter().all(|values| values.get(Area::Plain, &by.name).is_none()),
                    (None, _) => false,
                }
            }
        }
    }

    /// Appends a step that copies an element of the request.
    fn put_element(&mut self, node: u32, element: Walked) {
        let walk = self.walk().clone();
        let (default, most) = match &walk.nodes[node as usize].what {
            What::Field { slot, varies: false } => (self.draft.fallback(&vec![slot.blank(); slot.len]), slot.len),
            _ => (self.draft.fallback(&[]), element.slot.len),
        };
        self.draft.push(Put::Element { from: Box::new(element), default }, most);
        let until = self.until(node);
        if !until.is_empty() {
            self.draft.bytes(&until);
        }
    }

    /// Writes a list: its items, or a copy of the request's items.
    fn list(
        &mut self,
        diags: &mut Diags,
        node: u32,
        given: Option<&At<Json>>,
        fields: &mut Fields,
    ) -> (usize, Option<Box<Walked>>) {
        let walk = self.walk().clone();
        let Some(Op::List { count, max, .. }) = walk.ops.get(walk.nodes[node as usize].op as usize) else {
            return (0, None);
        };
        if let Some(At { value: Json::Str(text), pos }) = given {
            let found = self.referred(text);
            let element = found.and_then(|(request, path)| copy::element(&walk, node, &request, path));
            let Some(element) = element else {
                let name = &walk.nodes[node as usize].name;
                diags.error(*pos, format!("`{}` is no list of the request with the fields of `{name}`", shown(text)));
                return (0, None);
            };
            self.put_element(node, element.clone());
            return (0, Some(Box::new(element)));
        }
        if let Some(each) = given.and_then(Mapped::new) {
            return (0, self.each(diags, (node, *max), &each, fields));
        }
        let mut items: Vec<Item<'_>> = Vec::new();
        if let Some(given) = given {
            let room = max.saturating_add(1);
            let list = match &given.value {
                Json::Arr(list) => list.as_slice(),
                Json::Obj(_) => std::slice::from_ref(given),
                _ => {
                    diags.error(
                        given.pos,
                        "a list is an array of objects, {\"repeat\": n, \"data\": {...}}, or #{list}#",
                    );
                    return (0, None);
                }
            };
            for item in list {
                spread(diags, item, room, &mut items);
            }
            if items.len() > *max {
                let text = format!("more than {max} items (`max` of `{}`)", walk.nodes[node as usize].name);
                diags.error(given.pos, text);
                items.truncate(*max);
            }
        }
        let fewest = if given.is_none() { self.fewest(node) } else { 0 };
        let wanted = if let Count::Fixed(wanted) = count { *wanted } else { items.len().max(fewest) };
        items.resize(wanted.max(items.len()), (None, &[]));
        let before = self.index;
        for (index, object) in &items {
            self.index = index.or(before);
            let mut own = fields.clone();
            self.fields(diags, (Some(node), 0), &Given::Object(object), &mut own);
            if self.is_over || diags.is_over() {
                break;
            }
        }
        self.index = before;
        (items.len(), None)
    }

    /// Writes the case that the selecting field has in this reply.
    fn choice(
        &mut self,
        diags: &mut Diags,
        node: u32,
        given: Option<&At<Json>>,
        (fields, point): (&mut Fields, Point),
    ) {
        let walk = self.walk().clone();
        let Some(Op::Choice { by, mask, cases, otherwise, bytes, .. }) =
            walk.ops.get(walk.nodes[node as usize].op as usize)
        else {
            return;
        };
        let name = &walk.nodes[node as usize].name;
        let pos = given.map_or(self.of.pos, |given| given.pos);
        let object = match given.map(|given| &given.value) {
            None => Given::Nothing,
            Some(Json::Obj(list)) => Given::Object(list),
            Some(Json::Str(text)) if is_dynamic(text) => {
                let element =
                    self.referred(text).and_then(|(request, path)| copy::element(&walk, node, &request, path));
                match element {
                    Some(element) => self.put_element(node, element),
                    None => diags.error(pos, format!("`{}` is no choice of the request like `{name}`", shown(text))),
                }
                return;
            }
            Some(_) => {
                diags.error(pos, format!("`{name}` is an object: the fields of its case"));
                return;
            }
        };
        let tag: Option<Box<[u8]>> = match by.place {
            Place::Frame(at) => (self.of.known)(at, by.slot.len),
            Place::Mark(mark) => walk.marks.get(usize::from(mark)).and_then(|node| match fields.get(node) {
                Some(Written::Known(at) | Written::KnownAt(at, _)) => Some(self.draft.written(*at, by.slot.len).into()),
                _ => None,
            }),
        };
        let Some(tag) = tag else {
            if !self.of.is_sample {
                self.choose(diags, node, (&object, pos), fields);
            }
            return;
        };
        let found = if mask.is_empty() { case_of(cases, &tag) } else { masked_case_of(cases, &tag, mask) };
        let block = found.and_then(|number| cases.get(number)).map(|case| case.block).or(*otherwise);
        match block {
            Some(block) => {
                let mut own = fields.clone();
                self.fields(diags, (Some(node), block.case), &object, &mut own);
            }
            None if self.of.is_sample => {}
            None if matches!(object, Given::Object([_, ..])) || bytes.is_none() => {
                diags.error(pos, format!("`{name}` has no case {}", hex::encode_upper(&tag)));
            }
            None => {}
        }
        if let Some(Size::Fixed(len)) = bytes {
            self.pad(diags, (node, *len), point);
        }
    }

    /// Pads a case to its fixed size.
    pub(super) fn pad(&mut self, diags: &mut Diags, (node, len): (u32, usize), point: Point) {
        let name = &self.walk().nodes[node as usize].name;
        match self.draft.len_since(point) {
            Some(there) if there <= len => drop(self.draft.bytes(&vec![0; len - there])),
            Some(there) => diags.error(self.of.pos, format!("{there} bytes in `{name}`, which has {len}")),
            None => diags.error(self.of.pos, format!("the bytes of `{name}` vary, and it always has {len}")),
        }
    }

    /// Writes the number that counts a node, after the node.
    fn end(
        &mut self,
        diags: &mut Diags,
        node: u32,
        (point, items): (Point, (usize, Option<Box<Walked>>)),
        fields: &mut Fields,
    ) {
        let walk = self.walk().clone();
        let Some(counted) = counted(&walk, node) else { return };
        let Node { name, what, .. } = &walk.nodes[node as usize];
        self.count(diags, (counted, name, matches!(what, What::List)), (point, items), fields);
    }

    /// Writes the number that counts what was written since a point.
    pub(super) fn count(
        &mut self,
        diags: &mut Diags,
        (counted, name, is_list): (&Counted, &str, bool),
        (point, items): (Point, (usize, Option<Box<Walked>>)),
        fields: &mut Fields,
    ) {
        let walk = self.walk().clone();
        let Counted { by, times, add, .. } = counted;
        let known = if is_list { items.1.is_none().then_some(items.0) } else { self.draft.len_since(point) };
        if self.is_decided(diags, counted, (name, is_list, known)) {
            return;
        }
        // Known bytes that the number may be written into now, and where it is written later.
        let (pool, target) = match by.place {
            Place::Frame(at) if (self.of.gives)(at).is_some_and(|given| gives(counted, &given)) => return,
            Place::Frame(at) => (None, Target::Frame(at.in_frame(0))),
            Place::Mark(mark) => {
                let number = walk.marks.get(usize::from(mark)).copied().unwrap_or_default();
                match (fields.get(&number).copied(), counted.bits) {
                    (Some(Written::Gap(gap)), None) => {
                        fields.insert(number, Written::Other);
                        (Some(gap.at), Draft::target(gap))
                    }
                    (Some(Written::KnownAt(at, mark)), Some(_)) => (Some(at), Target::Mark(mark)),
                    (Some(Written::At(mark)), Some(_)) => (None, Target::Mark(mark)),
                    _ => return,
                }
            }
        };
        self.decided.push(Decided::new(counted, name, known));
        let (own, copied) = items;
        if let Some(known) = known {
            let Some(number) = said(known, *times, *add).filter(|&number| counts(&by.slot, counted.bits) >= number)
            else {
                let what = if is_list { "items" } else { "bytes" };
                diags.error(self.of.pos, format!("`{name}` has {known} {what}, which what counts them cannot say"));
                return;
            };
            if let Some(at) = pool.filter(|_| !self.is_case) {
                self.draft.fill_at(at, (&by.slot, counted.bits), number);
                return;
            }
            self.draft.length(target, counted, Measure::Items { own: known, copied: None });
            return;
        }
        let what = if is_list { Measure::Items { own, copied } } else { Measure::Bytes(point.mark) };
        self.draft.length(target, counted, what);
    }
}

/// Whether a value gives the number that counts: all of its field, or the bits that say it.
fn gives(counted: &Counted, given: &At<Json>) -> bool {
    let (Some(range), Json::Obj(named), Kind::Bit(bits)) = (counted.bits, &given.value, &counted.by.slot.kind) else {
        return true;
    };
    let mut named = named.iter().filter_map(|(name, _)| bits.named(&name.value));
    named.any(|bits| (bits.from, bits.to) == range)
}

/// What the request has for a field of the reply.
pub(super) enum Copied {
    Element(Walked),
    Fixed(Put, usize),
    /// With the most bytes.
    Text(PutText, usize),
}

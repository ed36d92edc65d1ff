//! Items of a reply's list that are made of the items of a list of the request: `{"each": "#{cards}#", "data": {...}}`.

use super::super::expr::is_dynamic;
use super::copy;
use super::encode::{Copied, Encoder, Fields, Given};
use crate::config::at::{At, Json, Pos};
use crate::config::de::shown;
use crate::config::diag::Diags;
use crate::model::field::{Kind, Slot};
use crate::model::walk::{Count, ITEM_NODES_MAX, Op, Path, Walked, What};

/// What the names of the current item's fields begin with.
pub(super) const ITEM: &str = "item.";
/// The key that names the list.
const EACH: &str = "each";

/// A value of that form.
pub(super) struct Mapped<'j> {
    /// The list, as it is written.
    each: &'j At<Json>,
    /// The values of an item; `None`: all are the request's.
    data: Option<&'j At<Json>>,
    pos: Pos,
    /// A key that it does not have.
    other: Option<&'j At<String>>,
}

impl<'j> Mapped<'j> {
    /// The value, if it has that form.
    pub(super) fn new(value: &'j At<Json>) -> Option<Self> {
        let Json::Obj(object) = &value.value else { return None };
        let get = |name: &str| object.iter().find(|(key, _)| key.value == name).map(|(_, value)| value);
        let is_known = |key: &str| matches!(key, EACH | "data" | "desc" | "description");
        let other = object.iter().map(|(key, _)| key).find(|key| !is_known(&key.value));
        Some(Self { each: get(EACH)?, data: get("data"), pos: value.pos, other })
    }
}

impl Encoder<'_> {
    /// Writes the items of a list, one for each item of a list of the request. Gives that list, whose items are counted.
    pub(super) fn each(
        &mut self,
        diags: &mut Diags,
        (node, max): (u32, usize),
        of: &Mapped<'_>,
        fields: &Fields,
    ) -> Option<Box<Walked>> {
        if let Some(other) = of.other {
            diags.error(other.pos, format!("`{}` beside `each` (it takes `data`: the fields of an item)", other.value));
        }
        let data = match of.data.map(|data| (&data.value, data.pos)) {
            None => &[][..],
            Some((Json::Obj(data), _)) => data,
            Some((_, pos)) => {
                diags.error(pos, "`data` is an object: the fields of an item");
                return None;
            }
        };
        let from = self.list_of_request(diags, node, of)?;
        self.check_near(diags, (node, &from), data, of.pos);
        let given = data.iter().map(|(key, _)| key.value.clone()).collect();
        let outer = self.draft.begin_case();
        let was_case = std::mem::replace(&mut self.is_case, true);
        let was_item = (self.item.replace(from.path), self.item_of.replace((node, given)));
        self.fields(diags, (Some(node), 0), &Given::Object(data), &mut fields.clone());
        self.is_case = was_case;
        (self.item, self.item_of) = was_item;
        let steps = self.draft.end_case(outer);
        self.draft.each(from.clone(), steps, max);
        Some(Box::new(from))
    }

    /// The request's list that `each` names. `None` after an error.
    fn list_of_request(&self, diags: &mut Diags, node: u32, of: &Mapped<'_>) -> Option<Walked> {
        let name = &self.walk().nodes[node as usize].name;
        if self.item.is_some() {
            diags.error(of.pos, "`each` in an item of another `each`");
            return None;
        }
        let text = of.each.value.to_text();
        let list = self.referred(&text).filter(|(request, path)| {
            matches!(request.nodes.get(path.node as usize).map(|node| &node.what), Some(What::List))
        });
        let Some((request, path)) = list else {
            let right = if is_dynamic(&text) { "" } else { ": `#{list}#`" };
            diags.error(of.each.pos, format!("`{}` is no list of the request{right}", shown(&text)));
            return None;
        };
        let there = &request.nodes[path.node as usize];
        let own = self.walk().ops.get(self.walk().nodes[node as usize].op as usize);
        let asked = request.ops.get(there.op as usize);
        let (Some(Op::List { count, max, .. }), Some(Op::List { count: asked, max: most, .. })) = (own, asked) else {
            return None;
        };
        let fits = match (count, asked) {
            (Count::Fixed(items), Count::Fixed(asked)) => items == asked,
            (Count::Fixed(_), _) => false,
            _ => *most <= *max,
        };
        if !fits {
            let text = format!("the request's `{}` may have {most} items, and `{name}` {max} (`max`)", there.name);
            diags.error(of.each.pos, text);
            return None;
        }
        let slot = Slot { kind: Kind::Hex, len: there.most, little: false, right: false, padding: 0 };
        Some(Walked { walk: request.clone(), path, slot, varies: true, others: Box::default() })
    }

    /// The current item's field of the same name as a field of the reply's item.
    pub(super) fn same_in_item(&self, node: u32) -> Option<Copied> {
        let (list, request) = (self.item?, self.of.request?);
        let into =
            self.walk().nodes.get(node as usize).filter(|into| into.parent == self.item_of.as_ref().map(|of| of.0))?;
        let [path] = *request.paths_in_item(list, &into.name) else { return None };
        let element = copy::element(self.walk(), node, request, path).filter(|_| self.selects_same(node));
        element.map(Copied::Element).or_else(|| self.as_text(node, request, path))
    }

    /// Reports fields that items would have from the request's, if those were not too far behind.
    fn check_near(&self, diags: &mut Diags, (node, from): (u32, &Walked), data: &[(At<String>, At<Json>)], pos: Pos) {
        let request = &from.walk;
        let end = request.nodes.get(from.path.node as usize).map_or(0, |list| list.end);
        let is_far = |name: &str| {
            let all = (from.path.node + 1..end).filter_map(|at| request.nodes.get(at as usize));
            let mut own = all.filter(|there| there.parent == Some(from.path.node));
            own.any(|there| *there.name == *name) && request.paths_in_item(from.path, name).is_empty()
        };
        for child in self.children(Some(node), 0) {
            let name = &self.walk().nodes[child as usize].name;
            if !data.iter().any(|(key, _)| *key.value == **name) && is_far(name) {
                let text =
                    format!("`{name}` of an item is behind the first {ITEM_NODES_MAX} fields: give it in `data`");
                diags.error(pos, text);
            }
        }
    }

    /// An element of the current item, for values.
    pub(super) fn item_scope(&self) -> Option<(std::sync::Arc<crate::model::walk::Walk>, Path)> {
        Some((self.of.request?.clone(), self.item?))
    }
}

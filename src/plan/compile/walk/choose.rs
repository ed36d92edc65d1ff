//! Choices whose case is known only when the reply is built: all cases are compiled.

use super::super::expr::nearest;
use super::encode::{Encoder, Fields, Given, Written};
use crate::config::at::{At, Json, Pos};
use crate::config::diag::Diags;
use crate::model::walk::{Block, Choose, Op, Place, Put, Size, Target, What};
use std::collections::BTreeSet;

/// A value of a rule, by name.
type Entry = (At<String>, At<Json>);

impl Encoder<'_> {
    /// Writes the step that chooses the case by what the selecting field has then.
    pub(super) fn choose(&mut self, diags: &mut Diags, node: u32, (object, pos): (&Given<'_>, Pos), fields: &Fields) {
        let walk = self.walk().clone();
        let Some(Op::Choice { by, mask, cases, otherwise, bytes, .. }) =
            walk.ops.get(walk.nodes[node as usize].op as usize)
        else {
            return;
        };
        let name = &walk.nodes[node as usize].name;
        let target = match by.place {
            Place::Frame(at) => Some(Target::Frame(at.in_frame(0))),
            Place::Mark(mark) => walk.marks.get(usize::from(mark)).and_then(|node| {
                let is_fixed = matches!(walk.nodes[*node as usize].what, What::Field { varies: false, .. });
                match fields.get(node) {
                    Some(Written::At(mark) | Written::KnownAt(_, mark)) if is_fixed => Some(Target::Mark(*mark)),
                    _ => None,
                }
            }),
        };
        let Some(target) = target else {
            let right = "a constant, or a field of fixed size before it in this reply";
            diags.error(pos, format!("the case of `{name}` is not known: what selects it is neither ({right})"));
            return;
        };
        let list = match object {
            Given::Object(list) => *list,
            _ => &[],
        };
        self.check_cases(diags, node, list);
        let (mut least, mut most) = (0, 0);
        let mut block = |encoder: &mut Self, diags: &mut Diags, block: Option<&Block>| {
            let (steps, fewest, highest) =
                encoder.case(diags, (node, block.map(|block| block.case)), bytes.as_ref(), (list, fields));
            (least, most) = (least.max(fewest), most.max(highest));
            steps
        };
        let cases = cases.iter().map(|case| (case.bytes.clone(), block(self, diags, Some(&case.block)))).collect();
        let otherwise = match (otherwise, bytes) {
            (Some(other), _) => Some(block(self, diags, Some(other))),
            // Of an unknown case the size is known.
            (None, Some(_)) => Some(block(self, diags, None)),
            (None, None) => None,
        };
        self.draft.choose(Choose { by: target, len: by.slot.len, mask: mask.clone(), cases, otherwise }, (least, most));
    }

    /// The steps of one case, with its fewest and most bytes.
    fn case(
        &mut self,
        diags: &mut Diags,
        (node, case): (u32, Option<u32>),
        bytes: Option<&Size>,
        (list, fields): (&[Entry], &Fields),
    ) -> (Box<[Put]>, usize, usize) {
        let outer = self.draft.begin_case();
        let was_case = std::mem::replace(&mut self.is_case, true);
        let point = self.draft.point();
        // Of cases one alone is there.
        let decided = self.decided.clone();
        if let Some(case) = case {
            self.fields(diags, (Some(node), case), &Given::Cases(list), &mut fields.clone());
        }
        if let (Some(Size::Fixed(len)), Some(point)) = (bytes, point) {
            self.pad(diags, (node, *len), point);
        }
        self.is_case = was_case;
        self.decided = decided;
        self.draft.end_case(outer)
    }

    /// Reports names that no case has.
    fn check_cases(&self, diags: &mut Diags, node: u32, list: &[(At<String>, At<Json>)]) {
        let walk = self.walk();
        let nodes = walk.nodes.iter().filter(|child| child.parent == Some(node));
        let names: BTreeSet<&str> = nodes.map(|child| &*child.name).collect();
        let of = &walk.nodes[node as usize].name;
        for (key, value) in list {
            let comment = matches!((&*key.value, &value.value), ("desc" | "description", Json::Str(_)));
            if !comment && !names.contains(&*key.value) {
                let near = nearest(&key.value, names.iter().copied());
                diags.error(key.pos, format!("no case of `{of}` has a field `{}`{near}", key.value));
            }
        }
    }
}

//! Values of their own that fields cannot have because they say a size or a count.

use super::super::expr::is_function;
use super::super::fields::FieldList;
use super::layout::WalkDraft;
use crate::config::at::Pos;
use crate::config::diag::Diags;
use crate::model::walk::{Op, Place};

/// Reports functions as values of fields that say a size or a count: these are computed.
pub(super) fn check(diags: &mut Diags, draft: &WalkDraft, fixed: &FieldList) {
    let walk = &draft.walk;
    let mut seen: Vec<Pos> = Vec::new();
    for counted in walk.ops.iter().filter_map(Op::counted).filter(|counted| counted.bits.is_none()) {
        let found = match counted.by.place {
            Place::Mark(mark) => walk.marks.get(usize::from(mark)).and_then(|&node| {
                let value = draft.values.get(node as usize)?.as_ref()?;
                Some((&*walk.nodes.get(node as usize)?.name, value))
            }),
            Place::Frame(at) => {
                let field = fixed.iter().find(|field| !field.header && field.field.at == at);
                field.and_then(|field| Some((&*field.field.name, field.value.as_ref()?)))
            }
        };
        let Some((name, value)) = found.filter(|(_, value)| is_function(&value.value)) else { continue };
        if seen.contains(&value.pos) {
            continue;
        }
        seen.push(value.pos);
        let text = format!("`{name}` says a size or a count, which is computed: no function (a rule may give it)");
        diags.error(value.pos, text);
    }
}

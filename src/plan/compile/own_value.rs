//! Header and tail fields that requests must carry with a parameter of the FSU (spec conversation.md, Parameters): a device answers
//! its own address only. They are conditions of all its rules.

use super::template::TemplateDraft;
use crate::config::at::{At, Json, Pos};
use crate::config::diag::Diags;
use crate::model::field::Field;

/// The expression of a `value` that reads a parameter: `param(addr)` of `${param(addr)}$`. `None`: it is another value.
pub(super) fn expression(value: &At<Json>) -> Option<&str> {
    let Json::Str(text) = &value.value else { return None };
    let inner = text.trim().strip_prefix("${")?.strip_suffix("}$")?.trim();
    let mut behind = inner.split("param").skip(1);
    (!inner.contains("}$") && behind.any(|rest| rest.trim_start().starts_with('('))).then_some(inner)
}

/// What every request of a template has to fulfil: conditions, and where their values are. A value that reads a parameter and is not
/// marked `match` is what messages carry, and no condition.
pub(super) fn conditions(draft: &TemplateDraft) -> Vec<(String, Pos)> {
    let left = draft.plan.left.iter().map(|field| ("{pdu_left}", field));
    let fields = left.chain(draft.plan.tail.iter().map(|field| ("{pdu_tailer}", field)));
    let values = draft.around.iter().zip(&draft.matched);
    let matched = fields.zip(values).filter(|(_, (_, is_matched))| **is_matched);
    let condition = |((area, field), value): ((&str, &Field), &Option<At<Json>>)| {
        let value = value.as_ref()?;
        let own = expression(value)?;
        Some((format!("#{{{area}_{}}}# == {own}", field.name), value.pos))
    };
    matched.filter_map(|(field, (value, _))| condition((field, value))).collect()
}

/// Reports what answers without a rule, and so would answer a frame for another device.
pub(super) fn check(diags: &mut Diags, draft: &TemplateDraft) {
    let what = if draft.plan.transfer.is_some() {
        "`transfer`"
    } else if draft.plan.errors.iter().any(Option::is_some) {
        "`errors`"
    } else {
        return;
    };
    for (_, pos) in conditions(draft) {
        let right =
            "leave `match` and `value` out and give rule files a `when`: `\"when\": \"address == param(addr)\"`";
        diags.error(pos, format!("{what} of the template would answer frames for other devices too ({right})"));
    }
}

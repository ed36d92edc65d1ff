//! The condition of a whole rule file: each of its rules has it too.

use crate::config::at::At;
use crate::config::extent::RawWhen;
use crate::config::raw::RawRule;
use std::borrow::Cow;

/// A rule with the condition of its file. Where both have a field, the rule's own value counts if they are the same; two values of one
/// field are reported as such.
pub(super) fn with<'r>(rule: &'r At<RawRule>, file: Option<&At<RawWhen>>) -> Cow<'r, At<RawRule>> {
    let Some(file) = file else { return Cow::Borrowed(rule) };
    let mut out = rule.clone();
    let when = out.value.when.get_or_insert_with(|| At { pos: file.pos, value: RawWhen::default() });
    for (name, value) in &file.fields.0 {
        let same = |(own, there): &(At<String>, At<_>)| own.value == name.value && *there == *value;
        if !when.value.fields.0.iter().any(same) {
            when.value.fields.0.push((name.clone(), value.clone()));
        }
    }
    when.value.of_file = file.test.clone().map(|test| At { pos: file.pos, value: test });
    Cow::Owned(out)
}

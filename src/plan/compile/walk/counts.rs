//! Counts that are known when a reply is compiled.

use crate::model::reply::{Part, Patch};
use crate::model::walk::{Encode, Measure, Put, Target};

/// Whether a patch copies something to where the reply's steps then write a number that is known: the copy is in vain, and counts
/// as one that does not fit where the request has something else there.
pub fn is_overwritten(patch: &Patch, steps: &Encode) -> bool {
    let (at, len) = match patch {
        Patch::Copy { to, len, .. } | Patch::CopyReversed { to, len, .. } => (*to, *len),
        // A drawn number would move those that are drawn later.
        Patch::Text { value, to, slot } if value.parts.iter().all(is_copied) => (*to, slot.len),
        Patch::Text { .. } | Patch::Number { .. } => return false,
    };
    steps.ops.iter().any(|op| {
        let Put::Length(length) = op else { return false };
        matches!(length.what, Measure::Items { copied: None, .. })
            && length.to == Target::Frame(at)
            && length.bits.is_none()
            && length.slot.len == len
    })
}

fn is_copied(part: &Part) -> bool {
    matches!(part, Part::Literal(_) | Part::Field { .. } | Part::Walked(_))
}

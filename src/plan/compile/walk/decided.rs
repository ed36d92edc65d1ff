//! Fields that count several others: the first of those that is written determines the number.

use super::encode::Encoder;
use crate::config::diag::Diags;
use crate::model::walk::{Counted, Place, Walk};
use crate::wire::walk::said;

/// A number that is determined.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    /// The field that says it.
    place: Place,
    /// The bits of the field that say it.
    bits: Option<(u32, u32)>,
    /// What determined it.
    by: Box<str>,
    /// The number, if it is the same in every reply.
    number: Option<u64>,
}

impl Decided {
    /// What counts this field or list of that many bytes or items determines its number.
    pub(super) fn new(counted: &Counted, by: &str, known: Option<usize>) -> Self {
        let number = known.and_then(|known| said(known, counted.times, counted.add));
        Self { place: counted.by.place, bits: counted.bits, by: by.into(), number }
    }

    /// Whether this node says it.
    pub(super) fn is_of(&self, walk: &Walk, node: u32) -> bool {
        matches!(self.place, Place::Mark(mark) if walk.marks.get(usize::from(mark)) == Some(&node))
    }
}

impl Encoder<'_> {
    /// Whether another field before has determined the number. Reports a size that contradicts it.
    pub(super) fn is_decided(
        &self,
        diags: &mut Diags,
        counted: &Counted,
        (name, is_list, known): (&str, bool, Option<usize>),
    ) -> bool {
        let is = |decided: &&Decided| decided.place == counted.by.place && decided.bits == counted.bits;
        let Some(first) = self.decided.iter().find(is) else { return false };
        let own = known.and_then(|known| said(known, counted.times, counted.add));
        // A sample has what it needs to be told apart, and clients give the rest.
        if !self.of.is_sample && first.number.is_some() && known.is_some() && own != first.number {
            let (known, what) = (known.unwrap_or_default(), if is_list { "items" } else { "bytes" });
            let by = &first.by;
            diags.error(
                self.of.pos,
                format!("`{name}` has {known} {what}, and what counts it also counts `{by}`, which has another size"),
            );
        }
        true
    }
}

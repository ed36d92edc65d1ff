//! The sample of a request, for clients: the fields from the first of variable size on.

use super::super::fields::Values;
use super::super::sample::NoRequest;
use super::encode::{self, Sources};
use super::layout::WalkDraft;
use crate::config::at::{At, Json, Pos};
use crate::config::diag::Diags;
use crate::model::field::Offset;
use crate::model::template::Template;
use crate::model::walk::{Encode, Measure, Put, Target};
use crate::wire::walk::{said, write_count};

/// Inserts these fields into a request that has only header, fixed fields and tail.
///
/// `key`: the parts of the command's key behind a field of variable size.
pub fn insert(
    diags: &mut Diags,
    template: &Template,
    (draft, pos): (&WalkDraft, Pos),
    key: &[(At<String>, At<Json>)],
    frame: &mut Vec<u8>,
) {
    let known = |at: Offset, len: usize| frame.get(at.in_frame(frame.len())..)?.get(..len).map(Into::into);
    let sources = Sources {
        draft,
        request: None,
        fixed: None,
        values: &[&Values::new(key)],
        scope: &NoRequest,
        gives: &|_| None,
        known: &known,
        room: super::room(template, &draft.walk.lengths, draft.walk.at - template.left_len, 0),
        moved: template.moved.as_deref(),
        is_sample: true,
        pos,
    };
    let steps = encode::encode(diags, &sources);
    if !write(&steps, frame) {
        diags.error(pos, "a function as the value of a field behind one of variable size, in a request (a constant)");
    }
}

/// Fills a frame of `total_length` up, in front of its tail.
pub fn pad(template: &Template, padding: u8, frame: &mut Vec<u8>) {
    let Some(data_len) = template.data_len_fixed else { return };
    let lacking = (template.left_len + data_len + template.tail_len).saturating_sub(frame.len());
    let at = frame.len().saturating_sub(template.tail_len);
    frame.splice(at..at, std::iter::repeat_n(padding, lacking));
}

/// Runs the steps on a frame, if they are the same in every frame; otherwise returns false.
pub fn write(steps: &Encode, frame: &mut Vec<u8>) -> bool {
    let mut data = Vec::new();
    for op in &steps.ops {
        match op {
            Put::Bytes { from, to } => data.extend_from_slice(steps.pool.get(*from..*to).unwrap_or_default()),
            Put::Mark(_) => {}
            Put::Length(length) => match (&length.what, length.to) {
                (Measure::Items { own, copied: None }, Target::Frame(at)) => {
                    let place = frame.get_mut(at..at + length.slot.len);
                    if let Some((place, number)) = place.zip(said(*own, length.times, length.add)) {
                        write_count(&length.slot, length.bits, number, place);
                    }
                }
                _ => return false,
            },
            Put::Copy { .. }
            | Put::Element { .. }
            | Put::Number { .. }
            | Put::Text(_)
            | Put::Choose(_)
            | Put::Each(_) => {
                return false;
            }
        }
    }
    let at = steps.at.min(frame.len());
    frame.splice(at..at, data);
    true
}

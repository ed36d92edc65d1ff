//! What a reply has to be, as far as the plan tells before it is built: patches executed symbolically. Pure.
//!
//! Whoever asks a mock does not know its clock, generators and registers, so bytes that depend on them are not predicted.
//! Everything else is: sizes, lengths, what the rule always writes, and what it copies from the request. A load generator checks
//! replies with it, a client the data that follows, and `explain` finds out which command a reply answers.

mod varying;

use fsu_plan::model::field::Offset;
use fsu_plan::model::reply::Payload;
use fsu_plan::model::reply::{Patch, Reply};
use fsu_plan::model::template::Template;
use fsu_plan::wire::inner::write_lengths;
use std::sync::Arc;
pub use varying::Open;

/// Where a byte of a reply comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The byte is constant: that of the reply's frame.
    Constant,
    /// It is this byte of the raw request.
    Request(Offset),
    /// A clock, a generator or a register decides, or the rest of the frame (checksum).
    Unknown,
}

/// The bytes that a patch writes: where they begin in the reply's raw frame, and how many they are.
pub fn target(patch: &Patch) -> (usize, usize) {
    match patch {
        Patch::Copy { to, len, .. } | Patch::CopyReversed { to, len, .. } | Patch::Number { to, len, .. } => {
            (*to, *len)
        }
        Patch::Text { to, slot, .. } => (*to, slot.len),
    }
}

/// Where byte `index` of those that a patch writes comes from.
fn written(patch: &Patch, index: usize) -> Origin {
    let offset = |from: &Offset, at: usize| Offset(from.0 + at as i32);
    match patch {
        Patch::Copy { from, .. } => Origin::Request(offset(from, index)),
        Patch::CopyReversed { from, len, .. } => Origin::Request(offset(from, len - 1 - index)),
        Patch::Number { .. } | Patch::Text { .. } => Origin::Unknown,
    }
}

/// Where one byte of a reply's raw frame comes from; of a computed field, where it comes from before it is computed.
pub fn origin(reply: &Reply, at: usize) -> Origin {
    let index = |patch: &Patch| {
        let (to, len) = target(patch);
        at.checked_sub(to).filter(|index| *index < len)
    };
    let last = reply.patches.iter().rev().find_map(|patch| Some((patch, index(patch)?)));
    last.map_or(Origin::Constant, |(patch, index)| written(patch, index))
}

/// [`origin`] of each byte, with its data frame.
fn origins(reply: &Reply) -> Vec<Origin> {
    let mut origins = vec![Origin::Constant; reply.frame.len()];
    for patch in &reply.patches {
        let (to, len) = target(patch);
        let out = origins.iter_mut().skip(to).take(len);
        out.enumerate().for_each(|(index, origin)| *origin = written(patch, index));
    }
    origins
}

/// A header value that tells which form the reply has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telltale {
    /// In the form's raw frame.
    pub at: usize,
    /// Bytes.
    pub len: usize,
    /// The values that refuse nothing.
    pub ok: Arc<[Box<[u8]>]>,
    /// This is the form for all other values.
    pub refusing: bool,
}

/// One form that a reply may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The raw frame; bytes that are not constant are as the template has them.
    pub frame: Vec<u8>,
    /// By byte of it.
    pub origins: Vec<Origin>,
    /// What tells this form from the other one; `None`: there is one form.
    pub telltale: Option<Telltale>,
}

impl Form {
    /// The whole reply as its rule has it, with its data frame.
    pub fn whole(template: &Template, reply: &Reply) -> Self {
        let form = Self { frame: reply.frame.to_vec(), origins: origins(reply), telltale: telltale(reply, false) };
        // Bytes as they are have no checksum.
        if matches!(reply.payload, Payload::Raw) { form } else { form.sealed(template) }
    }

    /// The reply without data: where it refuses, or where its data follows in frames of its own.
    fn emptied(template: &Template, reply: &Reply) -> Self {
        let follows = matches!(reply.payload, Payload::Built);
        let (mut frame, mut origins) = (reply.frame.to_vec(), origins(reply));
        let data = template.left_len..template.left_len + reply.data_len;
        let mut telltale = telltale(reply, true).filter(|_| !follows);
        if template.data_len_fixed.is_some() {
            let padding = reply.refusal.as_ref().map_or(0, |refusal| refusal.padding);
            frame[data.clone()].fill(if follows { 0 } else { padding });
            origins[data].fill(Origin::Constant);
        } else {
            frame.drain(data.clone());
            origins.drain(data.clone());
            write_lengths(&template.lengths, 0, reply.less, &mut frame);
            // In the tail it moves with the frame's end.
            if let Some(telltale) = telltale.as_mut().filter(|telltale| telltale.at >= data.end) {
                telltale.at -= data.len();
            }
        }
        Self { frame, origins, telltale }.sealed(template)
    }

    /// The checksum depends on all other bytes.
    fn sealed(mut self, template: &Template) -> Self {
        for checksum in template.checksums() {
            let at = checksum.at.in_frame(self.frame.len());
            if let Some(origins) = self.origins.get_mut(at..).and_then(|rest| rest.get_mut(..checksum.len)) {
                origins.fill(Origin::Unknown);
            }
        }
        self
    }
}

fn telltale(reply: &Reply, refusing: bool) -> Option<Telltale> {
    let refusal = reply.refusal.as_ref()?;
    Some(Telltale { at: refusal.at, len: refusal.len, ok: Arc::clone(&refusal.ok), refusing })
}

/// [`forms`] of a reply to a request that is known.
///
/// # Errors
/// The size of one is not known.
pub fn forms_to(template: &Template, reply: &Reply, request: &[u8]) -> Result<Vec<Form>, Open> {
    let steps = match &reply.payload {
        Payload::Walked(steps) => steps,
        Payload::Raw => return Ok(vec![Form::whole(template, reply)]),
        _ => return Ok(forms(template, reply)),
    };
    let whole = Form { frame: reply.frame.to_vec(), origins: origins(reply), telltale: telltale(reply, false) };
    let whole = varying::insert((template, reply), steps, request, whole)?.sealed(template);
    let emptied = reply.refusal.is_some().then(|| Form::emptied(template, reply));
    Ok([whole].into_iter().chain(emptied).collect())
}

/// All forms that a reply of a rule may have: as it is, and empty where it may refuse. Of one whose size varies, without the
/// part that does.
pub fn forms(template: &Template, reply: &Reply) -> Vec<Form> {
    // Data that follows in frames of its own leaves the reply's own frame empty.
    let follows = matches!(reply.payload, Payload::Built);
    let whole = (!follows).then(|| Form::whole(template, reply));
    let emptied = (follows || reply.refusal.is_some()).then(|| Form::emptied(template, reply));
    whole.into_iter().chain(emptied).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsu_plan::compile::compile;
    use fsu_plan::config::load::Loader;
    use fsu_plan::config::source::{MAIN_FILE, Source};
    use fsu_plan::model::reply::{Form as NumberForm, Number};
    use std::path::Path;

    fn reply(len: usize, patches: Vec<Patch>) -> Reply {
        Reply {
            frame: vec![0; len].into(),
            patches: patches.into(),
            data_len: 0,
            less: 0,
            refusal: None,
            payload: Payload::None,
        }
    }

    /// `.` constant, `?` unknown, else the byte of a request of ten bytes.
    fn check(patches: Vec<Patch>, expected: &str) {
        let reply = reply(expected.len(), patches);
        let text = |origin| match origin {
            Origin::Constant => ".".to_owned(),
            Origin::Request(from) => from.in_frame(10).to_string(),
            Origin::Unknown => "?".to_owned(),
        };
        let all: String = origins(&reply).into_iter().map(text).collect();
        let one_by_one: String = (0..expected.len()).map(|at| text(origin(&reply, at))).collect();
        assert_eq!([&*all, &*one_by_one], [expected; 2], "{:?}", reply.patches);
    }

    #[test]
    fn each_byte_has_one_origin() {
        let copy = |from, to, len| Patch::Copy { from: Offset(from), to, len };
        let reversed = |from, to, len| Patch::CopyReversed { from: Offset(from), to, len };
        let number = |to, len| Patch::Number { number: Number::Seq, to, len, form: NumberForm::Big };
        check(vec![], "....");
        check(vec![copy(3, 1, 2)], ".34.");
        // From the request's end.
        check(vec![copy(-2, 1, 2)], ".89.");
        check(vec![reversed(3, 0, 3)], "543.");
        check(vec![number(2, 2)], "..??");
        // The last patch wins.
        check(vec![copy(0, 0, 4), number(1, 1), copy(7, 2, 1)], "0?73");
    }

    #[test]
    fn a_checksum_is_not_predicted_and_an_empty_form_is_shorter() {
        let fleet = compile(&mut Loader::new(Source::Embedded), Path::new(MAIN_FILE)).unwrap();
        let (mut emptied, mut sums) = (0, 0);
        for device in fleet.fsus.iter().flat_map(|fsu| fsu.devices.iter()) {
            let template = &*device.template;
            for reply in device.rules.iter().flat_map(|rules| rules.iter()).flat_map(|rule| &rule.replies) {
                for form in forms(template, reply) {
                    assert_eq!(form.frame.len(), form.origins.len());
                    if let Some(checksum) = &template.checksum {
                        let at = checksum.at.in_frame(form.frame.len());
                        assert!(form.origins[at..at + checksum.len].iter().all(|origin| *origin == Origin::Unknown));
                        sums += 1;
                    }
                    if form.frame.len() < reply.frame.len() {
                        assert_eq!(form.frame.len(), reply.frame.len() - reply.data_len);
                        emptied += 1;
                    }
                }
            }
        }
        assert!(emptied > 10 && sums > 100, "{emptied} emptied, {sums} sums");
    }
}

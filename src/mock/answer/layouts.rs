//! Requests and replies of other layouts of a template (`frames`, spec shapes.md).

use super::examine::{Finding, examine_traced};
use super::reply::{Answered, Verdict, answer_command};
use super::turn::{Form, Turn};
use crate::about::NO_REPLY;
use fsu_plan::model::fleet::Device;
use fsu_plan::model::reply::{Payload, Reply};
use fsu_plan::model::rule::Rule;
use fsu_plan::model::template::{Encoding, Template};
use fsu_plan::wire::coding;
use fsu_plan::wire::inner::{self, Frame};

/// Answers a frame that is wrong in the layout of a device and right in another layout of its template; the first that it fits.
/// `None`: it fits none.
#[cold]
pub(super) fn answer_other<'a>(turn: &mut Turn<'a>, device: usize, wire: &[u8]) -> Option<Answered<'a>> {
    if turn.fsu.devices.get(device)?.layouts.all.is_empty() {
        return None;
    }
    let fsu = turn.fsu;
    let mut raw = std::mem::take(&mut turn.scratch.layout);
    let others = fsu.devices.iter().enumerate();
    let mut others = others.filter(|(_, other)| other.layouts.home.map(usize::from) == Some(device));
    let answered = others.find_map(|(number, other)| {
        let frame = inner::parse(&other.template, wire, &mut raw).ok()?;
        let mut checksum_wrong = false;
        match examine_traced(other, frame, &mut checksum_wrong, &mut turn.scratch.trace) {
            Finding::Command(frame, command) if !checksum_wrong => {
                turn.scratch.begin(number);
                let answered = answer_command(turn, number, frame, command);
                Some(as_several(turn, answered))
            }
            _ => None,
        }
    });
    turn.scratch.layout = raw;
    answered
}

/// The same for a frame that was read.
#[cold]
pub(super) fn answer_again<'a>(turn: &mut Turn<'a>, device: usize, frame: Frame<'_>) -> Option<Answered<'a>> {
    let own = turn.fsu.devices.get(device).filter(|own| !own.layouts.all.is_empty())?;
    if own.template.encoding != Encoding::Coded {
        return answer_other(turn, device, frame.wire);
    }
    // A frame that was read has lost its envelope, which the other layouts have too.
    let mut wire = std::mem::take(&mut turn.scratch.escaped);
    wire.clear();
    coding::send_again(&own.template, frame.wire, &mut wire);
    let answered = answer_other(turn, device, &wire);
    turn.scratch.escaped = wire;
    answered
}

/// The same answer, sent by the template of its own layout.
fn as_several<'a>(turn: &mut Turn<'_>, answered: Answered<'a>) -> Answered<'a> {
    match answered.verdict {
        Verdict::Reply { due_ns } => {
            turn.scratch.form = Form::Own;
            Answered { verdict: Verdict::Replies { due_ns }, ..answered }
        }
        _ => answered,
    }
}

/// What one of several replies is, and the number of its command. Tells the scratch which reply it is.
pub(super) fn form(turn: &mut Turn<'_>, rule: &Rule, (reply, command): (&Reply, usize), number: u32) -> (Form, usize) {
    let Some(frame) = rule.frames.get(number as usize) else { return (Form::Own, command) };
    turn.scratch.about.reply = u8::try_from(number).unwrap_or(NO_REPLY);
    (form_of(rule, reply, number as usize), frame.command.map_or(command, |command| command as usize))
}

/// What the reply of a rule with that number is.
pub(super) fn form_of(rule: &Rule, reply: &Reply, number: usize) -> Form {
    match (&reply.payload, rule.frames.get(number)) {
        (Payload::Raw, _) => Form::Raw,
        (_, Some(frame)) => Form::Layout(frame.layout),
        (_, None) => Form::Own,
    }
}

/// The template of a reply; of bytes as they are that of its request, which is not used for them.
pub(super) fn template_of(device: &Device, form: Form) -> &Template {
    match form {
        Form::Layout(number) => device.layout(number),
        Form::Own | Form::Raw => &device.template,
    }
}

impl<'a> Turn<'a> {
    /// The template of the reply in the scratch, and what that is, after [`Verdict::Replies`].
    pub(crate) fn replied(&self, device: usize) -> (&'a Template, Form) {
        let fsu = self.fsu;
        let form = self.scratch.form;
        (template_of(&fsu.devices[self.scratch.about.asked(device)], form), form)
    }

    /// The reply in the scratch as it travels, after [`Verdict::Replies`].
    pub fn reply_on_wire(&self, device: usize) -> &[u8] {
        self.scratch.on_wire(self.replied(device).0)
    }
}

//! What is wrong with a frame, if anything, and which command it is.

use fsu_plan::model::fleet::{Device, VerifyChecksum};
use fsu_plan::model::rule::Reply;
use fsu_plan::model::template::{ErrorReply, Template};
use fsu_plan::wire::inner::{self, Frame};
use fsu_plan::wire::reason::Reason;

/// What a request was found to be, before any rule.
#[derive(Clone, Copy, Debug)]
pub enum Finding<'a> {
    /// Good, and this command.
    Command(Frame<'a>, usize),
    /// Wrong, with a header that an error reply can copy.
    Wrong(Frame<'a>, Reason),
}

/// The template's reply to a wrong request, by reason.
pub fn error_reply(template: &Template, reason: Reason) -> Option<(ErrorReply, &Reply)> {
    let which = match reason {
        Reason::BadLengthChecksum => ErrorReply::BadLengthChecksum,
        Reason::BadLength => ErrorReply::BadLength,
        Reason::BadChecksum => ErrorReply::BadChecksum,
        Reason::BadVersion => ErrorReply::BadVersion,
        Reason::UnknownCommand => ErrorReply::UnknownCommand,
        _ => return None,
    };
    Some((which, template.errors[which as usize].as_deref()?))
}

/// Checks a frame in the order of the spec: lengths, checksum, version, command.
///
/// `checksum_wrong` is set when the checksum is, answered or not.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub fn examine<'a>(device: &Device, frame: Frame<'a>, checksum_wrong: &mut bool) -> Finding<'a> {
    let template = &*device.template;
    if let Err(reason) = inner::lengths_ok(template, &frame) {
        return Finding::Wrong(frame, reason);
    }
    if device.verify_checksum != VerifyChecksum::Off && !inner::checksum_ok(template, &frame) {
        *checksum_wrong = true;
        if device.verify_checksum == VerifyChecksum::Strict {
            return Finding::Wrong(frame, Reason::BadChecksum);
        }
    }
    if !inner::version_ok(template, &frame) {
        return Finding::Wrong(frame, Reason::BadVersion);
    }
    let Some(command) = inner::command(template, &frame) else {
        return Finding::Wrong(frame, Reason::UnknownCommand);
    };
    Finding::Command(frame, command)
}

//! Checks a frame and finds its command.

use fsu_plan::model::fleet::{Device, VerifyChecksum};
use fsu_plan::model::reply::Reply;
use fsu_plan::model::template::{ErrorReply, Template};
use fsu_plan::wire::inner::{self, Frame};
use fsu_plan::wire::quick::Trace;
use fsu_plan::wire::reason::Reason;

/// The result of the check, before any rule applies.
#[derive(Clone, Copy, Debug)]
pub enum Finding<'a> {
    /// A good frame with this command.
    Command(Frame<'a>, usize),
    /// A wrong frame whose header an error reply can copy.
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
/// Sets `checksum_wrong` if the checksum is wrong, whether or not the request is answered.
pub fn examine<'a>(device: &Device, frame: Frame<'a>, checksum_wrong: &mut bool) -> Finding<'a> {
    examine_traced(device, frame, checksum_wrong, &mut Trace::default())
}

/// The same. `trace` then has the places of the elements of a good frame whose fields vary in size, and of others nothing.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
pub(crate) fn examine_traced<'a>(
    device: &Device,
    frame: Frame<'a>,
    checksum_wrong: &mut bool,
    trace: &mut Trace,
) -> Finding<'a> {
    trace.clear();
    let template = &*device.template;
    if let Err(reason) = inner::reply_lengths_ok(template, &frame) {
        return Finding::Wrong(frame, reason);
    }
    if template.command_lengths {
        return examine_by_command(device, frame, checksum_wrong, trace);
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

/// The same where lengths depend on the command: it is looked for once.
#[inline(never)]
fn examine_by_command<'a>(
    device: &Device,
    frame: Frame<'a>,
    checksum_wrong: &mut bool,
    trace: &mut Trace,
) -> Finding<'a> {
    let template = &*device.template;
    let command = match inner::command_lengths(template, &frame, trace) {
        Ok(command) => command,
        Err(reason) => return Finding::Wrong(frame, reason),
    };
    if device.verify_checksum != VerifyChecksum::Off && !inner::checksum_ok(template, &frame) {
        *checksum_wrong = true;
        if device.verify_checksum == VerifyChecksum::Strict {
            return Finding::Wrong(frame, Reason::BadChecksum);
        }
    }
    match command {
        _ if !inner::version_ok(template, &frame) => Finding::Wrong(frame, Reason::BadVersion),
        Some(command) => Finding::Command(frame, command),
        None => Finding::Wrong(frame, Reason::UnknownCommand),
    }
}

//! One datagram that is one inner frame (spec broadcast.md): no outer frame, no heartbeats.
//!
//! Counting: a datagram counts once as `received` and once as one of: a reply, `silent`, a drop by reason, or a fault that
//! leaves it unanswered. A burst adds replies.

use super::stream::{Fit, fit};
use super::{Heard, Incoming, transfer};
use crate::about::What;
use crate::answer::examine::error_reply;
use crate::answer::reply::{Verdict, next_of_burst, respond};
use crate::answer::turn::{Form, Scratch, Turn};
use crate::faults;
use crate::sink::{Outgoing, Sink};
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::template::Template;
use fsu_plan::wire::envelope::DATAGRAM_BYTES_MAX;
use fsu_plan::wire::reason::Reason;

/// Answers a datagram by the device that it fits best, or by the first device if it fits none.
// Not a part of its caller: that one is short, for the requests that profiles answer.
#[inline(never)]
pub fn on_datagram(turn: &mut Turn<'_>, incoming: Incoming<'_>, sink: &mut impl Sink) -> Heard {
    turn.state.counters.received += 1;
    let datagram = incoming.bytes;
    let device = choose(turn.fsu, datagram, &mut turn.scratch.raw);
    let fsu = turn.fsu;
    let template = &*fsu.devices[device].template;
    if template.transfer.is_some() {
        let result = transfer::on_frame(turn, device, incoming, sink);
        if let Err(reason) = result {
            sink.note(reason, datagram);
        }
        sink.understood(turn.scratch.about, datagram);
        return Heard { valid: result.is_ok() };
    }
    let dropped = match respond(turn, device, datagram) {
        Verdict::Reply { .. } if is_own_words(turn, template, datagram) => {
            turn.state.counters.drop(Reason::MockReply);
            Some(Reason::MockReply)
        }
        Verdict::Reply { due_ns } => send(turn, (template, Form::Own), (Outgoing::Reply, due_ns), sink).err(),
        Verdict::Replies { due_ns } => {
            let (mut next, mut dropped) = (Some(due_ns), None);
            while let Some(due_ns) = next {
                dropped = send(turn, turn.replied(device), (Outgoing::Reply, due_ns), sink).err().or(dropped);
                next = next_of_burst(turn, device, datagram);
            }
            dropped
        }
        Verdict::Silent | Verdict::Heard => None,
        Verdict::Dropped(reason) => Some(reason),
    };
    if let Some(reason) = dropped {
        turn.scratch.about.why = Some(reason);
        sink.note(reason, datagram);
    }
    sink.understood(turn.scratch.about, datagram);
    Heard { valid: dropped.is_none() }
}

/// Whether the error reply in the scratch equals the datagram that it answers. Then the datagram is an error reply of another
/// FSU, and the two would answer each other forever. The reply is no longer counted.
#[inline]
pub(super) fn is_own_words(turn: &mut Turn<'_>, template: &Template, datagram: &[u8]) -> bool {
    let scratch = &mut *turn.scratch;
    if scratch.about.what != What::ErrorReply || scratch.on_wire(template) != datagram {
        return false;
    }
    if let Some((which, _)) = scratch.about.why.and_then(|why| error_reply(template, why)) {
        turn.state.counters.error_replies[which as usize] -= 1;
    }
    scratch.about = scratch.about.drop(Reason::MockReply);
    true
}

/// Sends the reply in the scratch.
///
/// # Errors
/// It is too long.
#[inline]
pub(super) fn send(
    turn: &mut Turn<'_>,
    (template, form): (&Template, Form),
    (what, due_ns): (Outgoing, i64),
    sink: &mut impl Sink,
) -> Result<(), Reason> {
    sink.about(turn.scratch.about);
    if turn.scratch.on_wire(template).len() > DATAGRAM_BYTES_MAX {
        turn.state.counters.drop(Reason::TooLong);
        return Err(Reason::TooLong);
    }
    if turn.scratch.drawn.is_clean() {
        sink.send(what, due_ns, turn.scratch.on_wire(template));
    } else {
        send_faulty(turn, (template, form), what, due_ns, sink);
    }
    Ok(())
}

/// Sends the reply in the scratch with its faults. The reply itself stays unchanged.
#[cold]
pub(super) fn send_faulty(
    turn: &mut Turn<'_>,
    replied: (&Template, Form),
    what: Outgoing,
    due_ns: i64,
    sink: &mut impl Sink,
) {
    let counters = &mut turn.state.counters;
    let Scratch { built, framed: raw, escaped: wire, drawn, .. } = &mut *turn.scratch;
    raw.clone_from(&built.raw);
    if faults::deliver::is_lost(drawn, due_ns, counters, sink) {
        return;
    }
    faults::bytes::one_of((replied.0, replied.1 == Form::Raw), drawn, true, raw, wire);
    faults::bytes::last(drawn, wire);
    faults::deliver::datagram(what, drawn, due_ns, wire, sink);
    faults::deliver::tell(drawn, counters, sink);
}

/// The device that the frame fits best; the first of several equals.
#[inline]
pub fn choose(fsu: &Fsu, wire: &[u8], raw: &mut Vec<u8>) -> usize {
    let (mut best, mut best_fit) = (0, Fit::Not);
    if fsu.devices.len() > 1 {
        // Other layouts of a device are tried when it finds the frame wrong.
        for (number, device) in fsu.devices.iter().enumerate().filter(|(_, device)| device.is_own()) {
            let fit = fit(device, wire, raw);
            if fit > best_fit {
                (best, best_fit) = (number, fit);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests;

//! One datagram that is one inner frame (spec broadcast.md): no outer frame, no heartbeats.
//!
//! Counting: a datagram is one `received`, and then exactly one of a reply, `silent`, a drop by reason
//! or a fault that leaves it unanswered. A burst is more replies.

#[cfg(test)]
mod tests;

use crate::about::What;
use crate::faults;
use crate::answer::reply::{Verdict, error_reply, next_of_burst, respond};
use crate::state::FsuState;
use super::stream::{Fit, fit};
use super::transfer;
use crate::answer::turn::Scratch;
use crate::moment::{Moment, RunContext};
use crate::sink::{Outgoing, Sink};
use crate::stage::Heard;
use fsu_plan::model::fault::Kinds;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::template::Template;
use fsu_plan::wire::outer::DATAGRAM_BYTES_MAX;
use fsu_plan::wire::reason::Reason;
use std::net::{Ipv4Addr, SocketAddr};

/// A sender that is not told.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// As [`on_datagram_from`], where who sent it does not matter: all such are one client.
pub fn on_datagram(
    run: &RunContext,
    fsu: &Fsu,
    state: &mut FsuState,
    datagram: &[u8],
    moment: Moment,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) -> Heard {
    on_datagram_from(run, fsu, state, NOBODY, datagram, moment, scratch, sink)
}

/// Answers a datagram, by the device that it fits best; by the first where it fits none.
pub fn on_datagram_from(
    run: &RunContext,
    fsu: &Fsu,
    state: &mut FsuState,
    peer: SocketAddr,
    datagram: &[u8],
    moment: Moment,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) -> Heard {
    state.counters.received += 1;
    let device = choose(fsu, datagram, &mut scratch.raw);
    let template = &*fsu.devices[device].template;
    if template.transfer.is_some() {
        let result = transfer::on_frame(run, fsu, device, state, peer, datagram, moment, scratch, sink);
        if let Err(reason) = result {
            sink.note(reason, datagram);
        }
        sink.understood(scratch.about, datagram);
        return Heard { valid: result.is_ok() };
    }
    let dropped = match respond(run, fsu, device, state, datagram, moment, scratch) {
        Verdict::Reply { .. } if is_own_words(template, state, datagram, scratch) => {
            state.counters.drop(Reason::MockReply);
            Some(Reason::MockReply)
        }
        Verdict::Reply { due_ns } => {
            let (mut next, mut dropped) = (Some(due_ns), None);
            while let Some(due_ns) = next {
                sink.about(scratch.about);
                if scratch.on_wire(template).len() > DATAGRAM_BYTES_MAX {
                    state.counters.drop(Reason::TooLong);
                    dropped = Some(Reason::TooLong);
                } else if scratch.drawn.is_clean() {
                    sink.send(Outgoing::Reply, due_ns, scratch.on_wire(template));
                } else {
                    send_faulty(Outgoing::Reply, fsu, device, due_ns, state, scratch, sink);
                }
                next = next_of_burst(run, fsu, device, state, datagram, moment, scratch);
            }
            dropped
        }
        Verdict::Silent => None,
        Verdict::Dropped(reason) => Some(reason),
    };
    if let Some(reason) = dropped {
        scratch.about.why = Some(reason);
        sink.note(reason, datagram);
    }
    sink.understood(scratch.about, datagram);
    Heard { valid: dropped.is_none() }
}

/// Whether the scratch holds an error reply that is the very datagram it answers: then that is one, of another FSU, and two
/// FSUs would tell each other what is wrong for ever. Then it is not counted any more.
#[inline]
pub(super) fn is_own_words(template: &Template, state: &mut FsuState, datagram: &[u8], scratch: &mut Scratch) -> bool {
    if scratch.about.what != What::ErrorReply || scratch.on_wire(template) != datagram {
        return false;
    }
    if let Some((which, _)) = scratch.about.why.and_then(|why| error_reply(template, why)) {
        state.counters.error_replies[which as usize] -= 1;
    }
    scratch.about = scratch.about.drop(Reason::MockReply);
    true
}

/// Sends the reply in the scratch with the faults that were drawn for it. The reply itself stays as it is.
#[cold]
pub(super) fn send_faulty(
    what: Outgoing,
    fsu: &Fsu,
    device: usize,
    due_ns: i64,
    state: &mut FsuState,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) {
    let Scratch { reply, framed: raw, escaped: wire, drawn, .. } = scratch;
    raw.clone_from(reply);
    if faults::deliver::is_lost(drawn, due_ns, &mut state.counters, sink) {
        return;
    }
    let mut done = Kinds::NONE;
    faults::bytes::inner(&fsu.devices[device].template, drawn, true, raw, wire, &mut done);
    faults::bytes::last(drawn, wire, &mut done);
    faults::deliver::datagram(what, drawn, due_ns, wire, &mut done, sink);
    faults::deliver::tell(drawn, done, &mut state.counters, sink);
}

/// Of several devices the one that the frame fits best, and among equals the first.
#[inline]
pub fn choose(fsu: &Fsu, wire: &[u8], raw: &mut Vec<u8>) -> usize {
    let (mut best, mut best_fit) = (0, Fit::Not);
    if fsu.devices.len() > 1 {
        for (number, device) in fsu.devices.iter().enumerate() {
            let fit = fit(device, wire, raw);
            if fit > best_fit {
                (best, best_fit) = (number, fit);
            }
        }
    }
    best
}

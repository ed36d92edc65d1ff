//! One datagram of the B interface (spec b-interface.md, What the FSU does with a frame).
//!
//! Counting: every item of a datagram (a frame, or bytes that are no frame) counts once as `received` and once as one of: a
//! reply, `silent`, `heartbeats_received`, a drop by reason, or a fault that leaves it unanswered. A burst adds replies.

use super::Heard;
use crate::about::About;
use crate::answer::profile;
use crate::answer::reply::{Verdict, next_of_burst, respond};
use crate::answer::turn::{Form, Scratch, Turn};
use crate::faults;
use crate::sink::{Outgoing, Sink};
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::template::Template;
use fsu_plan::wire::envelope::{
    Comm, DATAGRAM_BYTES_MAX, Down, Frames, Head, RTN_REQUEST, at, escape, escape_in_place,
};
use fsu_plan::wire::reason::Reason;
use std::sync::Arc;

/// P_subDevType of an FSU's heartbeat.
const HEARTBEAT_SUB_DEV_TYPE: u8 = 0x01;

/// Answers a datagram. Replies go to the sender, in the order of the frames.
#[inline]
pub fn on_datagram(turn: &mut Turn<'_>, datagram: &[u8], sink: &mut impl Sink) -> Heard {
    if by_profile(turn, (datagram, datagram), false, sink) {
        turn.state.counters.received += 1;
        return Heard { valid: true };
    }
    by_frame(turn, datagram, sink)
}

/// Answers a datagram frame by frame.
#[inline(never)]
fn by_frame(turn: &mut Turn<'_>, datagram: &[u8], sink: &mut impl Sink) -> Heard {
    let mut heard = Heard::default();
    if datagram.is_empty() {
        turn.state.counters.received += 1;
        let about = drop_frame(turn, sink, Reason::OuterShort, datagram);
        sink.understood(about, datagram);
        return heard;
    }
    // Taken out of the scratch: the request borrows it while the rest is written.
    let mut unescaped = std::mem::take(&mut turn.scratch.outer);
    for item in Frames::new(datagram) {
        turn.state.counters.received += 1;
        let frame = match item {
            Ok(frame) => frame,
            Err(bad) => {
                let about = drop_frame(turn, sink, bad.reason, bad.bytes);
                sink.understood(about, bad.bytes);
                continue;
            }
        };
        let accepted = turn.fsu.accept_rtn_flags;
        let plain = frame.plain(&mut unescaped);
        // One that is the whole datagram as it came was tried.
        if let Ok(plain) = plain
            && (plain.len() != datagram.len())
            && by_profile(turn, (plain, frame.bytes), true, sink)
        {
            heard.valid = true;
            continue;
        }
        let about = match plain.and_then(|plain| Down::new_accepted(plain, accepted)) {
            Ok(down) => on_frame(turn, &down, frame.bytes, sink, &mut heard),
            Err(reason) => drop_frame(turn, sink, reason, frame.bytes),
        };
        sink.understood(about, frame.bytes);
    }
    turn.scratch.outer = unescaped;
    heard
}

/// Answers a frame by a profile, unescaped and as it came; false: nothing was done, and the general code decides.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
fn by_profile(turn: &mut Turn<'_>, (plain, wire): (&[u8], &[u8]), is_unescaped: bool, sink: &mut impl Sink) -> bool {
    let fsu = turn.fsu;
    if fsu.faults.is_some() || !fsu.accept_rtn_flags.has(RTN_REQUEST) {
        return false;
    }
    let Some(data) = plain.get(at::DATA..).and_then(|rest| rest.get(..rest.len().checked_sub(2)?)) else {
        return false;
    };
    let number = match &*fsu.devices {
        [_] => 0,
        _ => match device(fsu, plain[at::SUB_DEV_TYPE], plain[at::SUB_DEV_ADDR]) {
            Some(number) => number,
            None => return false,
        },
    };
    let device = &*fsu.devices[number];
    let Some(profile) = device.profiles.get().and_then(|profiles| profiles.of(data.len())) else { return false };
    let buffers = &mut turn.scratch.profile;
    let Some(sum) = buffers.outer(profile, plain, &fsu.id, is_unescaped) else { return false };
    let Some(found) = profile::find((fsu, number), profile, buffers, sum) else { return false };
    let Some(answered) = profile::answer(turn, &found, data, true) else { return false };
    let about = turn.scratch.about;
    sink.about(about);
    sink.send(Outgoing::Reply, answered.due_ns, profile::datagram(turn.scratch, &fsu.id, &answered));
    sink.understood(about, wire);
    true
}

/// Writes the FSU's heartbeat, as it goes on the wire, over whatever `out` holds.
pub fn heartbeat(fsu: &Fsu, out: &mut Vec<u8>) {
    let sub_dev_addr = fsu.devices.first().map_or(0, |device| device.sub_dev_addr);
    // A frame without data is never too long.
    let _ = Head::heartbeat(&fsu.id.bytes, HEARTBEAT_SUB_DEV_TYPE, sub_dev_addr).build(None, out);
    escape_in_place(out);
}

#[inline]
fn on_frame(turn: &mut Turn<'_>, down: &Down<'_>, wire: &[u8], sink: &mut impl Sink, heard: &mut Heard) -> About {
    let fsu = turn.fsu;
    if down.p_len_big || down.data_len_big {
        turn.state.counters.big_endian_lengths += u64::from(down.p_len_big) + u64::from(down.data_len_big);
    }
    // Another FSU's heartbeat is not for this one, even if its bytes match this FSU's id.
    if (*down.dest != fsu.id.bytes && !fsu.accept_any_id) || down.is_fsu_beat {
        return drop_frame(turn, sink, Reason::WrongFsu, wire);
    }
    heard.valid = true;
    let data = match down.comm {
        Comm::Through(data) => data,
        Comm::Heartbeat => return on_heartbeat(turn, sink),
    };
    let Some(device) = device(fsu, down.sub_dev_type, down.sub_dev_addr) else {
        return drop_frame(turn, sink, Reason::UnknownDevice, wire);
    };
    match respond(turn, device, data) {
        Verdict::Reply { due_ns } => {
            let template = &*fsu.devices[device].template;
            if let Err(reason) = send(turn, (template, Form::Own), (&head(fsu, down), Outgoing::Reply), due_ns, sink) {
                drop_frame(turn, sink, reason, wire);
                turn.scratch.about.why = Some(reason);
            }
        }
        Verdict::Replies { due_ns } => {
            let (mut next, mut why) = (Some(due_ns), None);
            while let Some(due_ns) = next {
                if let Err(reason) = send(turn, turn.replied(device), (&head(fsu, down), Outgoing::Reply), due_ns, sink)
                {
                    drop_frame(turn, sink, reason, wire);
                    why = Some(reason);
                }
                next = next_of_burst(turn, device, data);
            }
            if why.is_some() {
                turn.scratch.about.why = why;
            }
        }
        Verdict::Silent | Verdict::Heard => {}
        // Counted by `respond`.
        Verdict::Dropped(reason) => sink.note(reason, wire),
    }
    turn.scratch.about
}

/// A centre's heartbeat.
fn on_heartbeat(turn: &mut Turn<'_>, sink: &mut impl Sink) -> About {
    turn.state.counters.heartbeats_received += 1;
    if turn.fsu.heartbeat_reply {
        heartbeat(turn.fsu, &mut turn.scratch.escaped);
        sink.about(About::HEARTBEAT);
        sink.send(Outgoing::Heartbeat, turn.moment.arrived_ns, &turn.scratch.escaped);
    }
    About::HEARTBEAT
}

/// The outer frame's head of a reply.
#[inline]
fn head(fsu: &Fsu, down: &Down<'_>) -> Head {
    Head::reply(&fsu.id.bytes, down)
}

/// Sends the frame in the scratch, which a device says unasked.
///
/// # Errors
/// It is too long.
pub(super) fn say(
    turn: &mut Turn<'_>,
    (device, replied): (&Device, (&Template, Form)),
    due_ns: i64,
    sink: &mut impl Sink,
) -> Result<(), Reason> {
    let head = Head::unasked(&turn.fsu.id.bytes, device.sub_dev_type, device.sub_dev_addr);
    send(turn, replied, (&head, Outgoing::Message), due_ns, sink)
}

/// Sends the reply in the scratch in an outer frame.
#[inline]
fn send(
    turn: &mut Turn<'_>,
    replied: (&Template, Form),
    (head, what): (&Head, Outgoing),
    due_ns: i64,
    sink: &mut impl Sink,
) -> Result<(), Reason> {
    sink.about(turn.scratch.about);
    if !turn.scratch.drawn.is_clean() {
        return send_faulty(turn, replied, (head, what), due_ns, sink);
    }
    let Scratch { built, framed, escaped, .. } = &mut *turn.scratch;
    let reply = built.on_wire(replied.0);
    head.build(Some(reply), framed)?;
    let datagram = escape(framed, escaped);
    if datagram.len() > DATAGRAM_BYTES_MAX {
        return Err(Reason::TooLong);
    }
    sink.send(what, due_ns, datagram);
    Ok(())
}

/// The same with the faults that were drawn for it.
#[cold]
fn send_faulty(
    turn: &mut Turn<'_>,
    replied: (&Template, Form),
    (head, what): (&Head, Outgoing),
    due_ns: i64,
    sink: &mut impl Sink,
) -> Result<(), Reason> {
    let counters = &mut turn.state.counters;
    let Scratch { built, framed, escaped, drawn, .. } = &mut *turn.scratch;
    if faults::deliver::is_lost(drawn, due_ns, counters, sink) {
        return Ok(());
    }
    faults::bytes::one_of((replied.0, replied.1 == Form::Raw), drawn, false, &mut built.raw, &mut built.wire);
    head.build(Some(&built.wire), framed)?;
    faults::bytes::outer(drawn, framed);
    let len = escape(framed, escaped).len();
    if len > DATAGRAM_BYTES_MAX {
        return Err(Reason::TooLong);
    }
    // If nothing was escaped, the datagram is still in `framed`.
    let datagram = if len == framed.len() { framed } else { escaped };
    faults::bytes::last(drawn, datagram);
    faults::deliver::datagram(what, drawn, due_ns, datagram, sink);
    faults::deliver::tell(drawn, counters, sink);
    Ok(())
}

/// The device with that type and address; otherwise the FSU's only device.
#[inline]
pub fn device(fsu: &Fsu, sub_dev_type: u8, sub_dev_addr: u8) -> Option<usize> {
    let has_it = |device: &Arc<Device>| device.sub_dev_type == sub_dev_type && device.sub_dev_addr == sub_dev_addr;
    let is_only = || fsu.devices.get(1).is_none_or(|second| !second.is_own());
    fsu.devices.iter().position(has_it).or_else(|| is_only().then_some(0))
}

#[cold]
fn drop_frame(turn: &mut Turn<'_>, sink: &mut impl Sink, reason: Reason, bytes: &[u8]) -> About {
    turn.state.counters.drop(reason);
    sink.note(reason, bytes);
    About::dropped(reason)
}

#[cfg(test)]
mod tests;

//! The bytes of a TCP connection (spec b-interface.md, TCP): cut into frames, each answered by the device it fits.
//!
//! Counting: a frame is one `received` and then exactly one of a reply, `silent`, a drop by reason or a fault that leaves
//! it unanswered; a burst is more replies. A byte that
//! begins no frame is one [`Reason::Garbage`].

#[cfg(test)]
mod tests;

use super::faults;
use super::reply::{Verdict, next_of_burst, respond};
use super::state::FsuState;
use super::{Moment, Outgoing, RunContext, Scratch, Sink};
use crate::codec::framer::{self, Cut, Search};
use crate::codec::inner;
use crate::codec::reason::Reason;
use crate::plan::fault::Kinds;
use crate::plan::fleet::{Device, Fsu};
use memchr::memchr;
use std::sync::Arc;

/// What became of a connection's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes done with; the rest has to be given again, with what comes after it.
    pub consumed: usize,
    /// The rest is the beginning of a frame. It is shorter than [`longest_request`].
    pub partial: bool,
    /// The sink is full: the rest was not looked at. Never before a frame was answered.
    pub is_full: bool,
}

/// Bytes of the largest request any device of the FSU can get: what a connection's buffer has to hold.
pub fn longest_request(fsu: &Fsu) -> usize {
    fsu.devices.iter().map(|device| framer::longest(&device.template)).max().unwrap_or(0)
}

/// Answers all whole frames of `bytes`, in order. The work is linear in the bytes, whatever they are.
pub fn on_bytes(
    run: &RunContext,
    fsu: &Fsu,
    state: &mut FsuState,
    bytes: &[u8],
    mut moment: Moment,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) -> Step {
    let mut searches = std::mem::take(&mut scratch.searches);
    searches.clear();
    searches.resize(fsu.devices.len(), Search::default());
    // Of the bytes before `at`, those from `done` on are garbage not yet told of.
    let (mut done, mut at) = (0, 0);
    let (mut partial, mut is_full) = (false, false);
    while at < bytes.len() && !is_full {
        match choose(&fsu.devices, &mut searches, bytes, at, &mut scratch.raw) {
            Choice::Frame(device, len) => {
                garbage(state, sink, &bytes[done..at]);
                let frame = &bytes[at..at + len];
                on_frame(run, fsu, device, state, frame, &mut moment, scratch, sink);
                at += len;
                done = at;
                is_full = sink.is_full();
            }
            Choice::More => {
                partial = true;
                break;
            }
            Choice::No => at = next_start(&fsu.devices, bytes, at + 1),
        }
    }
    garbage(state, sink, &bytes[done..at]);
    scratch.searches = searches;
    Step { consumed: at, partial, is_full }
}

#[inline]
fn on_frame(
    run: &RunContext,
    fsu: &Fsu,
    device: usize,
    state: &mut FsuState,
    frame: &[u8],
    moment: &mut Moment,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) {
    state.counters.received += 1;
    match respond(run, fsu, device, state, frame, *moment, scratch) {
        Verdict::Reply { due_ns } => {
            sink.received(frame, None);
            let mut next = Some(due_ns);
            while let Some(due_ns) = next {
                // The reply before it, of the same burst, may have been made later.
                let due_ns = due_ns.max(moment.not_before_ns);
                let free_ns = if scratch.drawn.is_clean() {
                    sink.send(Outgoing::Reply, due_ns, scratch.on_wire(&fsu.devices[device].template));
                    due_ns
                } else {
                    send_faulty(fsu, device, due_ns, state, scratch, sink)
                };
                moment.not_before_ns = moment.not_before_ns.max(free_ns);
                next = next_of_burst(run, fsu, device, state, frame, *moment, scratch);
            }
        }
        Verdict::Silent => sink.received(frame, None),
        // Counted there.
        Verdict::Dropped(reason) => {
            sink.received(frame, Some(reason));
            sink.note(reason, frame);
        }
    }
}

/// Sends the reply in the scratch with the faults that were drawn for it; the earliest moment for the next one.
#[cold]
fn send_faulty(
    fsu: &Fsu,
    device: usize,
    due_ns: i64,
    state: &mut FsuState,
    scratch: &mut Scratch,
    sink: &mut impl Sink,
) -> i64 {
    let Scratch { reply: raw, wire, drawn, .. } = scratch;
    if faults::deliver::is_lost(drawn, due_ns, &mut state.counters, sink) {
        return due_ns;
    }
    let mut done = Kinds::NONE;
    faults::bytes::inner(&fsu.devices[device].template, drawn, true, raw, wire, &mut done);
    faults::bytes::last(drawn, wire, &mut done);
    let free_ns = faults::deliver::stream(drawn, due_ns, wire, &mut done, sink);
    faults::deliver::tell(drawn, done, &mut state.counters, sink);
    free_ns
}

#[inline]
fn garbage(state: &mut FsuState, sink: &mut impl Sink, bytes: &[u8]) {
    if !bytes.is_empty() {
        state.counters.dropped[Reason::Garbage as usize] += bytes.len() as u64;
        sink.received(bytes, Some(Reason::Garbage));
        sink.note(Reason::Garbage, bytes);
    }
}

/// What to do at a place.
pub(crate) enum Choice {
    /// A frame of that many bytes, for the device with that number.
    Frame(usize, usize),
    /// Wait for more bytes.
    More,
    /// No frame begins here.
    No,
}

/// Asks every device's framer.
#[inline]
pub(crate) fn choose(
    devices: &[Arc<Device>],
    searches: &mut [Search],
    bytes: &[u8],
    at: usize,
    raw: &mut Vec<u8>,
) -> Choice {
    let (mut first, mut frames, mut more) = (Choice::No, 0, false);
    for (number, (device, search)) in devices.iter().zip(&mut *searches).enumerate() {
        match search.cut(&device.template, bytes, at) {
            Cut::Frame(len) if len > 0 => {
                if frames == 0 {
                    first = Choice::Frame(number, len);
                }
                frames += 1;
            }
            Cut::Frame(_) | Cut::No => {}
            Cut::More => more = true,
        }
    }
    match (frames, more) {
        (0, true) => Choice::More,
        (0 | 1, false) => first,
        _ => best(devices, searches, bytes, at, raw, more),
    }
}

/// Of several whole frames the best [`fit`] wins, and among equals the first device's. A frame that nothing but its
/// size and end speaks for does not win while another device may still get a whole one.
fn best(
    devices: &[Arc<Device>],
    searches: &mut [Search],
    bytes: &[u8],
    at: usize,
    raw: &mut Vec<u8>,
    more: bool,
) -> Choice {
    let (mut best, mut best_fit) = (Choice::No, Fit::Not);
    for (number, (device, search)) in devices.iter().zip(searches).enumerate() {
        let Cut::Frame(len) = search.cut(&device.template, bytes, at) else { continue };
        // A frame that does not even parse (a character that is no hex digit, say) is one all the same.
        let fit = fit(device, &bytes[at..at + len], raw).max(Fit::Framed);
        if len > 0 && fit > best_fit {
            (best, best_fit) = (Choice::Frame(number, len), fit);
        }
    }
    if more && best_fit <= Fit::Framed { Choice::More } else { best }
}

/// How well a whole frame fits a device. Later is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// Its size, start and end do not.
    Not,
    /// Its size, start and end do.
    Framed,
    /// Its checksum does, too; its command is unknown.
    Checksum,
    /// Its command does, but not its checksum.
    Command,
    /// All of it.
    Whole,
}

/// How well `wire` fits `device`; `raw` is a scratch buffer.
pub(super) fn fit(device: &Device, wire: &[u8], raw: &mut Vec<u8>) -> Fit {
    let template = &*device.template;
    let Ok(frame) = inner::parse(template, wire, raw) else { return Fit::Not };
    match (inner::command(template, &frame).is_some(), inner::checksum_ok(template, &frame)) {
        (true, true) => Fit::Whole,
        (true, false) => Fit::Command,
        (false, true) => Fit::Checksum,
        (false, false) => Fit::Framed,
    }
}

/// The first place from `from` on where a frame of any device may begin.
fn next_start(devices: &[Arc<Device>], bytes: &[u8], from: usize) -> usize {
    let Some(rest) = bytes.get(from..) else { return bytes.len() };
    let first = |device: &Arc<Device>| device.template.start.first().copied();
    let next = match devices {
        [device] => match first(device) {
            Some(byte) => memchr(byte, rest),
            None => Some(0),
        },
        _ if devices.iter().any(|device| first(device).is_none()) => Some(0),
        _ => rest.iter().position(|byte| devices.iter().any(|device| first(device) == Some(*byte))),
    };
    from + next.unwrap_or(rest.len())
}

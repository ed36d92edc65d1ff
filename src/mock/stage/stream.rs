//! The bytes of a TCP connection, cut into frames (spec b-interface.md, TCP). Each frame is answered by the device it fits.
//!
//! Counting: a frame counts once as `received` and once as one of: a reply, `silent`, a drop by reason, or a fault that leaves
//! it unanswered. A burst adds replies. A byte that begins no frame counts once as [`Reason::Garbage`].

mod hunt;

use crate::about::About;
use crate::answer::profile;
use crate::answer::reply::{Verdict, next_of_burst, respond, respond_to};
use crate::answer::turn::{Form, Scratch, Turn};
use crate::faults;
use crate::sink::{Outgoing, Sink};
use crate::state::progress::{Patience, Progress};
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::template::{Framing, Template};
use fsu_plan::wire::framer::{self, Cut, Search};
use fsu_plan::wire::inner;
use fsu_plan::wire::quick::Trace;
use fsu_plan::wire::reason::Reason;
use fsu_plan::wire::stuffing;
use hunt::{Hunt, Next, good};
use std::sync::Arc;

/// What became of a connection's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes that are done. Pass the rest again, followed by what comes next.
    pub consumed: usize,
    /// The rest is the beginning of a frame. It is shorter than [`held_max`].
    pub partial: bool,
    /// The rest is a whole frame that is not good. It is taken as it is unless a good frame turns up inside it.
    pub doubtful: bool,
    /// The sink is full and the rest was not searched. At least one frame was answered first.
    pub is_full: bool,
    /// Cost of the search besides the bytes themselves, in bytes copied: every place examined, and everything checked inside
    /// other frames.
    pub effort: usize,
}

/// Cost of checking whether a frame begins at a place.
const LOOK_EFFORT: usize = 64;
/// Searching this many bytes for an end costs as much as copying one.
const SCANNED_AN_EFFORT: usize = 4;

/// Most bytes that can wait: a whole frame that is not good, and another that begins in its last byte.
pub fn held_max(fsu: &Fsu) -> usize {
    2 * longest_request(fsu)
}

/// Length of the longest request of any of the FSU's devices.
pub fn longest_request(fsu: &Fsu) -> usize {
    fsu.devices.iter().map(|device| framer::longest(&device.template)).max().unwrap_or(0)
}

/// Answers all whole frames of `bytes`, in order. The work is linear in the number of bytes, whatever they are.
///
/// [`Scratch::progress`] belongs to the connection: save it, and set it again together with the rest of the bytes.
pub fn on_bytes(turn: &mut Turn<'_>, bytes: &[u8], sink: &mut impl Sink) -> Step {
    let is_cut = |device: &Arc<Device>| matches!(device.template.framing, Framing::Fixed | Framing::Length(_));
    // What fits a profile is one frame: its size is the template's, or its length field says so.
    if turn.fsu.devices.first().is_some_and(is_cut) && by_profile(turn, bytes, &[], sink) {
        turn.scratch.progress.whole(bytes.len());
        return Step { consumed: bytes.len(), is_full: sink.is_full(), effort: LOOK_EFFORT, ..Step::default() };
    }
    if let Some(effort) = by_whole(turn, bytes, sink) {
        return Step { consumed: bytes.len(), is_full: sink.is_full(), effort, ..Step::default() };
    }
    by_search(turn, bytes, sink)
}

/// Answers a good frame that is all there is, of an FSU whose first device has no profiles, and of which the others are layouts.
/// Returns what the search for it took. `None`: nothing was done, and the search decides.
#[inline(never)]
fn by_whole(turn: &mut Turn<'_>, bytes: &[u8], sink: &mut impl Sink) -> Option<usize> {
    let fsu = turn.fsu;
    let device = fsu.devices.first()?;
    let is_profiled = device.profiles.get().is_some_and(|profiles| !profiles.list.is_empty());
    if is_profiled || !device.is_own() || fsu.devices.len() != device.layouts.all.len().max(1) {
        return None;
    }
    let Scratch { raw, trace, progress, .. } = &mut *turn.scratch;
    let mut search = Search::default();
    begin_shared(std::slice::from_mut(&mut search), &fsu.devices, (progress.ended(), 0));
    if search.cut(&device.template, bytes, 0) != Cut::Frame(bytes.len()) {
        return None;
    }
    let command = good(device, bytes, raw, trace)?;
    progress.whole(bytes.len());
    progress.set_ended(stuffing::shared_mark(&device.template).map(|_| 0));
    on_frame(turn, (0, Some(command)), bytes, sink);
    Some(LOOK_EFFORT * fsu.devices.len() + search.scanned / SCANNED_AN_EFFORT)
}

/// The same, frame by frame.
#[inline(never)]
fn by_search(turn: &mut Turn<'_>, bytes: &[u8], sink: &mut impl Sink) -> Step {
    let fsu = turn.fsu;
    let mut searches = std::mem::take(&mut turn.scratch.searches);
    searches.clear();
    // One set for the search from place to place, one for the search inside frames, which is ahead.
    searches.resize(2 * fsu.devices.len(), Search::default());
    let mut progress = turn.scratch.progress;
    let mut searched = progress.begin(bytes.len());
    // The device of the last frame, which ends at `done`.
    let mut last = progress.ended();
    begin_shared(&mut searches, &fsu.devices, (last, 0));
    // The bytes from `done` to `at` are garbage that was not reported yet.
    let (mut done, mut at) = (0, 0);
    let mut step = Step::default();
    let mut looks = 0;
    while at < bytes.len() && !step.is_full {
        if let Some(len) = next_by_profile(turn, &mut searches, (bytes, done, at), sink) {
            (looks, at) = (looks + 1, at + len);
            (done, last) = (at, Some(0));
            begin_shared(&mut searches, &fsu.devices, (last, at));
            step.is_full = sink.is_full();
            continue;
        }
        let (raw, trace, progress) = (&mut turn.scratch.raw, &mut turn.scratch.trace, &mut progress);
        let (outer, inner) = searches.split_at_mut(fsu.devices.len());
        let mut hunt =
            Hunt { devices: &fsu.devices, searches: outer, inner, bytes, raw, trace, progress, searched, effort: 0 };
        let next = hunt.next(at);
        searched = hunt.searched;
        step.effort += hunt.effort;
        looks += 1;
        match next {
            Next::Frame { at: from, device, len, command } => {
                garbage(turn, sink, &bytes[done..from]);
                on_frame(turn, (device, command), &bytes[from..from + len], sink);
                at = from + len;
                (done, last) = (at, Some(device));
                begin_shared(&mut searches, &fsu.devices, (last, at));
                step.is_full = sink.is_full();
            }
            Next::More { doubtful } => {
                (step.partial, step.doubtful) = (true, doubtful);
                break;
            }
            Next::Skip(to) => at = to,
        }
    }
    garbage(turn, sink, &bytes[done..at]);
    step.effort += searches.iter().map(|search| search.scanned).sum::<usize>() / SCANNED_AN_EFFORT;
    let may_begin = |device: &usize| stuffing::shared_mark(&fsu.devices[*device].template).is_some();
    turn.scratch.searches = searches;
    progress.end(bytes.len() - at, searched.saturating_sub(at));
    progress.set_ended(last.filter(|_| done == at).filter(may_begin));
    turn.scratch.progress = progress;
    step.consumed = at;
    step.effort += looks * LOOK_EFFORT * fsu.devices.len();
    step
}

/// A frame of the device ended before that place: its mark may begin the next one, of any device that has the same mark.
#[inline]
fn begin_shared(searches: &mut [Search], devices: &[Arc<Device>], (ended, at): (Option<usize>, usize)) {
    let Some(ended) = ended.and_then(|ended| devices.get(ended)) else { return };
    let Some(mark) = stuffing::shared_mark(&ended.template) else { return };
    for (search, device) in searches.iter_mut().zip(devices) {
        if stuffing::shared_mark(&device.template) == Some(mark) {
            search.begin_ended(at);
        }
    }
}

/// Answers a good frame of a known length by a profile, after garbage; false: nothing was done, and the search decides.
#[expect(clippy::inline_always, reason = "every request comes here; bench/instructions.sh counts fewer")]
#[inline(always)]
fn by_profile(turn: &mut Turn<'_>, frame: &[u8], before: &[u8], sink: &mut impl Sink) -> bool {
    let fsu = turn.fsu;
    let [device] = &*fsu.devices else { return false };
    if fsu.faults.is_some() {
        return false;
    }
    let Some(profile) = device.profiles.get().and_then(|profiles| profiles.of(frame.len())) else { return false };
    let buffers = &mut turn.scratch.profile;
    let Some(sum) = buffers.inner(profile, frame) else { return false };
    let Some(found) = profile::find((fsu, 0), profile, buffers, sum) else { return false };
    garbage(turn, sink, before);
    let Some(answered) = profile::answer(turn, &found, frame, false) else { return false };
    turn.state.counters.received += 1;
    sink.received(frame, None);
    let about = turn.scratch.about;
    sink.about(about);
    sink.send(Outgoing::Reply, answered.due_ns, profile::frame(turn.scratch, &answered));
    // It is no earlier than the one before.
    turn.moment.not_before_ns = answered.due_ns;
    sink.understood(about, frame);
    true
}

/// The same for the frame at a place, if its size shows.
#[inline(never)]
fn next_by_profile(
    turn: &mut Turn<'_>,
    searches: &mut [Search],
    (bytes, done, at): (&[u8], usize, usize),
    sink: &mut impl Sink,
) -> Option<usize> {
    let device = turn.fsu.devices.first()?;
    device.profiles.get().filter(|profiles| !profiles.list.is_empty())?;
    let search = searches.first_mut()?;
    let before = *search;
    let len = match search.cut(&device.template, bytes, at) {
        Cut::Frame(len) => bytes.get(at..at + len).and_then(|frame| {
            let is_taken = by_profile(turn, frame, &bytes[done..at], sink);
            is_taken.then_some(len)
        }),
        _ => None,
    };
    if len.is_none() {
        // The general search looks again, and counts what that takes.
        *search = before;
    }
    len
}

#[inline]
fn on_frame(turn: &mut Turn<'_>, (device, command): (usize, Option<usize>), frame: &[u8], sink: &mut impl Sink) {
    turn.state.counters.received += 1;
    let verdict = match command {
        Some(command) => respond_to(turn, device, frame, command),
        None => respond(turn, device, frame),
    };
    match verdict {
        Verdict::Reply { due_ns } => {
            sink.received(frame, None);
            let template = &*turn.fsu.devices[device].template;
            send(turn, (template, Form::Own), (Outgoing::Reply, due_ns), sink);
        }
        Verdict::Replies { due_ns } => {
            sink.received(frame, None);
            let mut next = Some(due_ns);
            while let Some(due_ns) = next {
                send(turn, turn.replied(device), (Outgoing::Reply, due_ns), sink);
                next = next_of_burst(turn, device, frame);
            }
        }
        Verdict::Silent | Verdict::Heard => sink.received(frame, None),
        // Counted by `respond`.
        Verdict::Dropped(reason) => {
            sink.received(frame, Some(reason));
            sink.note(reason, frame);
        }
    }
    sink.understood(turn.scratch.about, frame);
}

/// Sends the reply in the scratch.
#[inline]
pub(super) fn send(
    turn: &mut Turn<'_>,
    replied: (&Template, Form),
    (what, due_ns): (Outgoing, i64),
    sink: &mut impl Sink,
) {
    // The previous reply of the same burst may be due later.
    let due_ns = due_ns.max(turn.moment.not_before_ns);
    sink.about(turn.scratch.about);
    let free_ns = if turn.scratch.drawn.is_clean() {
        sink.send(what, due_ns, turn.scratch.on_wire(replied.0));
        due_ns
    } else {
        send_faulty(turn, replied, (what, due_ns), sink)
    };
    turn.moment.not_before_ns = turn.moment.not_before_ns.max(free_ns);
}

/// Sends the reply in the scratch with its faults. Returns the earliest moment for the next one.
#[cold]
fn send_faulty(
    turn: &mut Turn<'_>,
    replied: (&Template, Form),
    (what, due_ns): (Outgoing, i64),
    sink: &mut impl Sink,
) -> i64 {
    let counters = &mut turn.state.counters;
    let Scratch { built, drawn, .. } = &mut *turn.scratch;
    if faults::deliver::is_lost(drawn, due_ns, counters, sink) {
        return due_ns;
    }
    faults::bytes::one_of((replied.0, replied.1 == Form::Raw), drawn, true, &mut built.raw, &mut built.wire);
    faults::bytes::last(drawn, &mut built.wire);
    let free_ns = faults::deliver::stream((what, drawn), due_ns, &built.wire, sink);
    faults::deliver::tell(drawn, counters, sink);
    free_ns
}

#[inline]
fn garbage(turn: &mut Turn<'_>, sink: &mut impl Sink, bytes: &[u8]) {
    if !bytes.is_empty() {
        garbage_between(turn, sink, bytes);
    }
}

/// Bytes that begin no frame, but for those that an envelope allows there.
#[cold]
fn garbage_between(turn: &mut Turn<'_>, sink: &mut impl Sink, bytes: &[u8]) {
    let devices = &turn.fsu.devices;
    if devices.iter().all(|device| device.template.coding.is_none()) {
        return garbage_run(turn, sink, bytes);
    }
    let is_fill = |at: usize| devices.iter().any(|device| stuffing::is_fill(&device.template, bytes, at));
    let mut done = 0;
    for at in 0..=bytes.len() {
        if at == bytes.len() || is_fill(at) {
            garbage_run(turn, sink, &bytes[done..at]);
            done = at + 1;
        }
    }
}

fn garbage_run(turn: &mut Turn<'_>, sink: &mut impl Sink, bytes: &[u8]) {
    if !bytes.is_empty() {
        turn.state.counters.dropped[Reason::Garbage as usize] += bytes.len() as u64;
        sink.received(bytes, Some(Reason::Garbage));
        sink.understood(About::dropped(Reason::Garbage), bytes);
        sink.note(Reason::Garbage, bytes);
    }
}

/// The device that a whole frame at `at` is for, and the frame's size: the first device with a good frame, otherwise the best
/// fit. For explanations: it does not wait for more bytes.
pub fn choose(devices: &[Arc<Device>], bytes: &[u8], at: usize, raw: &mut Vec<u8>) -> Option<(usize, usize)> {
    let mut searches = vec![Search::default(); 2 * devices.len()];
    let before = bytes.get(..at).unwrap_or_default();
    for (search, device) in searches.iter_mut().zip(devices) {
        // The byte before it may be the end of a frame, and its start.
        if stuffing::shared_mark(&device.template).is_some_and(|mark| before.ends_with(mark)) {
            search.begin_ended(at);
        }
    }
    let (searches, inner) = searches.split_at_mut(devices.len());
    let mut progress = Progress::default().with(Patience::End);
    // Do not search inside the frame: that was decided when it was taken.
    let searched = bytes.len();
    let (trace, progress) = (&mut Trace::default(), &mut progress);
    let mut hunt = Hunt { devices, searches, inner, bytes, raw, trace, progress, searched, effort: 0 };
    match hunt.next(at) {
        Next::Frame { device, len, .. } => Some((device, len)),
        _ => None,
    }
}

/// How well a whole frame fits a device, from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// Size, start or end are wrong.
    Not,
    /// Size, start and end are right.
    Framed,
    /// The checksum is right as well; the command is unknown.
    Checksum,
    /// The command is known; the checksum is wrong.
    Command,
    /// Everything is right.
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

#[cfg(test)]
mod tests;

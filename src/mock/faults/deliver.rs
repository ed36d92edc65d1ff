//! Sends a reply with faults, and reports them.

use super::Drawn;
use crate::moment::NS_PER_MS;
use crate::sink::{Cut, Outgoing, Sink};
use crate::state::Counters;
use fsu_plan::model::fault::{FaultKind, Kinds, Place};

/// Whether a fault leaves nothing to send; reports it then.
///
/// On a connection that was cut before, that cut is also the fault that leaves this request unanswered.
pub fn is_lost(drawn: &Drawn, due_ns: i64, counters: &mut Counters, sink: &mut impl Sink) -> bool {
    let muted = if drawn.may_mute { sink.muted() } else { None };
    let cut = |kind| drawn.made.has(kind).then_some(kind);
    let lost = muted
        .or_else(|| cut(FaultKind::Reset))
        .or_else(|| cut(FaultKind::Stall))
        .or_else(|| cut(FaultKind::HalfClose))
        .or_else(|| cut(FaultKind::Drop));
    let Some(kind) = lost else { return false };
    let how = match kind {
        FaultKind::Reset => Some(Cut::Reset),
        FaultKind::Stall => Some(Cut::Stall),
        FaultKind::HalfClose => Some(Cut::HalfClose),
        _ => None,
    };
    if let (None, Some(how)) = (muted, how) {
        sink.cut(how, due_ns);
    }
    tell_one(kind, drawn.place, counters, sink);
    true
}

/// Sends one datagram: `reorder_ms`, `extra_delay_ms`, `duplicate`. A reply for which another host has no room left is not
/// sent. It is counted as amplification, not as a fault.
pub fn datagram(what: Outgoing, drawn: &mut Drawn, due_ns: i64, bytes: &[u8], sink: &mut impl Sink) {
    let rooms = sink.room_bytes() / bytes.len().max(1);
    let due_ns = due_ns.saturating_add(later_ns(drawn)).saturating_add(held_ns(drawn));
    let copies = copies(drawn);
    match rooms {
        0 => drawn.done = Kinds::NONE,
        1 => drawn.done.remove(FaultKind::Duplicate),
        _ => {}
    }
    sink.faulted(drawn.done);
    for _ in 0..copies {
        sink.send(what, due_ns, bytes);
    }
}

/// Sends one reply on a connection. Returns the earliest moment for the next one: not before this one, unless this one is
/// held back.
pub fn stream((what, drawn): (Outgoing, &mut Drawn), due_ns: i64, bytes: &[u8], sink: &mut impl Sink) -> i64 {
    let mut due_ns = due_ns.saturating_add(later_ns(drawn));
    let held_ns = held_ns(drawn);
    if drawn.made.has(FaultKind::Reorder) {
        let free_ns = due_ns;
        due_ns = due_ns.saturating_add(held_ns);
        let copies = copies(drawn);
        sink.faulted(drawn.done);
        for _ in 0..copies {
            sink.send_apart(due_ns, bytes);
        }
        return free_ns;
    }
    let copies = copies(drawn);
    for copy in 0..copies {
        let pieces = drawn.set.split_pieces.min(bytes.len().try_into().unwrap_or(u32::MAX));
        if copy == 0 && drawn.made.has(FaultKind::Split) && pieces > 1 {
            drawn.done.add(FaultKind::Split);
            sink.faulted(drawn.done);
            due_ns = in_pieces((what, pieces), drawn.set.split_gap_ms, due_ns, bytes, sink);
        } else {
            sink.faulted(drawn.done);
            sink.send(what, due_ns, bytes);
        }
    }
    due_ns
}

/// Sends pieces of equal size, as far as the length divides. Returns when the last one is due.
fn in_pieces((what, pieces): (Outgoing, u32), gap_ms: u64, due_ns: i64, bytes: &[u8], sink: &mut impl Sink) -> i64 {
    let bound = |piece: u32| (bytes.len() as u64 * u64::from(piece) / u64::from(pieces)) as usize;
    let due = |piece: u32| due_ns.saturating_add(ns(u64::from(piece).saturating_mul(gap_ms)));
    for piece in 0..pieces {
        let part = &bytes[bound(piece)..bound(piece + 1)];
        if piece + 1 < pieces {
            sink.send_piece(due(piece), part);
        } else {
            sink.send(what, due(piece), part);
        }
    }
    due(pieces - 1)
}

fn copies(drawn: &mut Drawn) -> usize {
    if drawn.made.has(FaultKind::Duplicate) {
        drawn.done.add(FaultKind::Duplicate);
        return 2;
    }
    1
}

fn later_ns(drawn: &mut Drawn) -> i64 {
    if !drawn.made.has(FaultKind::ExtraDelay) {
        return 0;
    }
    drawn.done.add(FaultKind::ExtraDelay);
    ns(drawn.set.extra_delay_ms)
}

fn held_ns(drawn: &mut Drawn) -> i64 {
    if !drawn.made.has(FaultKind::Reorder) {
        return 0;
    }
    drawn.done.add(FaultKind::Reorder);
    ns(drawn.set.reorder_ms)
}

/// Milliseconds in nanoseconds.
fn ns(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(NS_PER_MS)
}

/// Counts and reports the faults that took effect.
pub fn tell(drawn: &Drawn, counters: &mut Counters, sink: &mut impl Sink) {
    for kind in drawn.done.iter() {
        tell_one(kind, drawn.place, counters, sink);
    }
}

fn tell_one(kind: FaultKind, place: Place, counters: &mut Counters, sink: &mut impl Sink) {
    counters.faults[kind as usize] += 1;
    sink.fault(kind, place);
}

//! Frames of a stream that are whole and wrong, with the real responder: what they wait for, and for how long.

use super::*;
use crate::shard::protocol::Responder;
use crate::shard::tcp::conn::DOUBT_MS;
use fsu_core::fixtures::device;
use fsu_plan::model::fleet::{Device, VerifyChecksum};
use fsu_plan::model::template::Template;
use fsu_plan::wire::fixtures::{delimited, frame, length};

/// A shard with one FSU that has one device, and a connection to it.
struct Line {
    serve: Serve<Responder, Records>,
    io: FakeIo,
    id: ConnId,
}

impl Line {
    fn new(template: Template) -> Self {
        Self::of(template, VerifyChecksum::Warn)
    }

    fn of(template: Template, verify_checksum: VerifyChecksum) -> Self {
        let device = Arc::into_inner(device(template, 1, 1, false)).unwrap();
        let mut fsu = fsu_core::fixtures::fsu(vec![Arc::new(Device { verify_checksum, ..device })]);
        fsu.transport = Transport::Tcp;
        let fleet = Arc::new(fsu_core::fixtures::fleet(vec![fsu]));
        let World { io, records, .. } = World::new(&fleet);
        let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: START_MS };
        let mut serve = Serve::new(Portion { fleet, fsus: &[0] }, run, Responder, records, clock(0, 0));
        let id = serve.on_accept(0, address(1), clock(0, 0)).unwrap();
        Self { serve, io, id }
    }

    /// Gives it bytes at that moment; then time goes on.
    fn bytes(&mut self, ms: u64, bytes: &[u8]) {
        self.run_to(ms);
        self.serve.on_bytes(self.id, bytes, clock(ms, 0), &mut self.io);
    }

    fn run_to(&mut self, ms: u64) {
        while let Some(next_ms) = self.serve.next_deadline().map(|ns| ns.div_ceil(1_000_000) - START_MS) {
            if next_ms > ms {
                break;
            }
            self.io.ms = self.io.ms.max(next_ms);
            while self.serve.on_tick(clock(self.io.ms, 0), &mut self.io) {}
        }
        self.io.ms = ms;
    }

    /// When replies were written.
    fn written(&self) -> Vec<u64> {
        self.io.written.iter().map(|(ms, _)| *ms).collect()
    }

    fn dropped(&self, reason: Reason) -> u64 {
        self.serve.counters()[0].1.dropped[reason as usize]
    }
}

/// `7E address command data.. sum 7E`.
fn flags() -> Template {
    Template { end: [0x7E].into(), ..delimited() }
}

fn wrong(template: &Template, data: &[u8]) -> Vec<u8> {
    let mut wire = frame(template, 5, 0x10, data);
    let at = wire.len() - 2;
    wire[at] ^= 1;
    wire
}

#[test]
fn limit_doubt_ms_n10_a_wrong_frame_is_taken_when_nothing_follows() {
    let mut line = Line::new(flags());
    // It came in pieces: its time counts from when it was whole.
    let wire = wrong(&flags(), &[1, 2]);
    line.bytes(100, &wire[..3]);
    line.bytes(1_000, &wire[3..]);
    line.run_to(3_000);
    assert_eq!((line.written(), line.dropped(Reason::Garbage)), (vec![1_000 + DOUBT_MS], 0));
    // No start in it: there is nothing to wait for.
    let mut line = Line::new(delimited());
    line.bytes(100, &wrong(&delimited(), &[1, 2]));
    assert_eq!(line.written(), [100]);
}

#[test]
fn n10_a_good_frame_that_begins_in_a_wrong_one_is_waited_for() {
    let mut line = Line::new(flags());
    let (half, good) = (&wrong(&flags(), &[1, 2])[..5], frame(&flags(), 5, 0x10, &[]));
    line.bytes(100, &[half, &good[..1]].concat());
    line.bytes(100 + DOUBT_MS - 1, &good[1..]);
    line.run_to(20_000);
    assert_eq!((line.written(), line.dropped(Reason::Garbage)), (vec![99 + DOUBT_MS], half.len() as u64));
    assert_eq!((line.dropped(Reason::FrameDeadline), line.serve.counters()[0].1.received), (0, 1));
}

#[test]
fn n10_a_centre_whose_frames_are_wrong_waits_once() {
    let (mut line, wire) = (Line::new(flags()), wrong(&flags(), &[1, 2]));
    for ms in [100, 1_000, 2_000] {
        line.bytes(ms, &wire);
        line.run_to(ms + DOUBT_MS);
    }
    assert_eq!(line.written(), [100 + DOUBT_MS, 1_000, 2_000]);
    // More has come than the frame: what begins at its end is waited for.
    let good = frame(&flags(), 5, 0x10, &[]);
    line.bytes(3_000, &[&wire[..5], &good[..3]].concat());
    line.bytes(3_100, &good[3..]);
    assert_eq!((line.written().len(), line.dropped(Reason::Garbage)), (4, 5));
    // There was garbage: wrong frames may be chance again.
    line.bytes(4_000, &wire);
    line.run_to(4_000 + DOUBT_MS);
    assert_eq!(line.written()[3..], [3_100, 4_000 + DOUBT_MS]);
}

#[test]
fn n10_a_wrong_frame_that_is_not_answered_always_waits() {
    let mut line = Line::of(flags(), VerifyChecksum::Strict);
    line.bytes(100, &wrong(&flags(), &[1, 2]));
    line.run_to(1_000);
    // Its half ends where a good frame begins.
    let good = frame(&flags(), 5, 0x10, &[]);
    line.bytes(1_000, &[&wrong(&flags(), &[1, 2])[..5], &good[..1]].concat());
    line.bytes(1_100, &good[1..]);
    assert_eq!((line.written(), line.dropped(Reason::BadChecksum)), (vec![1_100], 1));
}

#[test]
fn n10_a_false_start_holds_the_stream_for_its_deadline() {
    let mut line = Line::new(length());
    let deadline_ms = Limits::default().frame_deadline_ms;
    let good = frame(&length(), 5, 0x10, &[]);
    // A header like that of a longer frame, then a good one, with which it is still not whole.
    let before = [0x68, 9, 0x10, 17];
    line.bytes(100, &[&before[..], &good].concat());
    line.run_to(20_000);
    assert_eq!(line.written(), [100 + deadline_ms]);
    assert_eq!((line.dropped(Reason::Garbage), line.dropped(Reason::FrameDeadline)), (before.len() as u64, 1));
    // Where no command has its key it is not waited for.
    let mut line = Line::new(length());
    line.bytes(100, &[&[0x68, 9, 0x77, 17], &good[..]].concat());
    assert_eq!(line.written(), [100]);
}

/// The wait is on purpose; what the timer is late for is not.
#[test]
fn h06_a_wrong_frame_is_late_from_the_end_of_its_wait() {
    for (after_ms, expected_ms) in [(0, 0), (300, 300)] {
        let mut line = Line::new(flags());
        line.bytes(100, &wrong(&flags(), &[1, 2]));
        line.io.ms = 100 + DOUBT_MS + after_ms;
        let now = clock(line.io.ms, 0);
        while line.serve.on_tick(now, &mut line.io) {}
        let told = line.serve.late.told(5_000, 0);
        assert_eq!((line.written().len(), told.max_us / 1_000), (1, expected_ms));
    }
}

//! What an FSU says, by the responder without sockets. Twice, at two times that have no digit in common: what differs is the time.

use crate::fuzzing::replies::is_good;
use crate::fuzzing::shipped::protocol_of;
use crate::naive::frame::Protocol;
use crate::naive::outer;
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::sink::Outgoing;
use fsu_core::stage;
use fsu_core::stage::Incoming;
use fsu_core::state::progress::{Patience, Progress};
use fsu_core::state::{Counters, FsuState};
use fsu_plan::model::fault::FaultKind;
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::wire::civil::Now;
use fsu_plan::wire::reason::Reason;
use std::net::SocketAddr;

/// 2026-01-12 17:30:03.123, a Monday, and 2035-10-30 08:49:58.967, a Tuesday, eight hours east.
const TIMES_MS: [i64; 2] = [1_768_210_203_123, 2_077_318_198_967];

/// Reasons that count no request: bytes, and what happens to connections and sockets.
const NO_REQUEST: [Reason; 8] = [
    Reason::Garbage,
    Reason::FrameDeadline,
    Reason::ConnectionLimit,
    Reason::PeerConnectionLimit,
    Reason::IdleTimeout,
    Reason::WriteDeadline,
    Reason::AcceptFailed,
    Reason::SocketError,
];

/// A reply at either time.
#[derive(Debug)]
pub struct Reply([Vec<u8>; 2]);

impl Reply {
    pub fn len(&self) -> usize {
        self.0[0].len()
    }
}

/// What a connection has said and nothing was done with, and how far it was looked at.
#[derive(Default)]
pub struct Line {
    held: Vec<u8>,
    progress: [Progress; 2],
}

pub struct Model<'f> {
    pub fsu: &'f Fsu,
    pub run: RunContext,
    states: [FsuState; 2],
    scratch: Scratch,
    /// Replies so far.
    replies: u64,
}

fn moment(time: usize) -> Moment {
    Moment::at(Now { unix_ms: TIMES_MS[time], utc_offset_s: 28_800 }, 0)
}

impl<'f> Model<'f> {
    pub fn new(fsu: &'f Fsu, run: RunContext) -> Self {
        let states = [FsuState::new(fsu), FsuState::new(fsu)];
        Self { fsu, run, states, scratch: Scratch::default(), replies: 0 }
    }

    pub fn counters(&self) -> &Counters {
        &self.states[0].counters
    }

    /// What is said to a datagram.
    pub fn datagram(&mut self, peer: SocketAddr, bytes: &[u8]) -> Vec<Reply> {
        let said = [0, 1].map(|time| {
            let mut replies = Replies::default();
            stage::on_datagram(&mut self.turn(time), Incoming { peer, bytes }, &mut replies);
            replies
        });
        self.pair(&said)
    }

    fn turn(&mut self, time: usize) -> Turn<'_> {
        let Self { fsu, run, states, scratch, .. } = self;
        Turn { run, fsu, state: &mut states[time], scratch, moment: moment(time) }
    }

    /// What is said to these bytes of a connection goes to `out`. False: what becomes of them depends on when they came.
    pub fn bytes(&mut self, line: &mut Line, bytes: &[u8], out: &mut Vec<Reply>) -> bool {
        line.held.extend_from_slice(bytes);
        self.go_on(line, Patience::Wait, out)
    }

    /// The same where nothing more comes.
    pub fn end(&mut self, line: &mut Line, out: &mut Vec<Reply>) -> bool {
        self.go_on(line, Patience::End, out)
    }

    fn go_on(&mut self, line: &mut Line, patience: Patience, out: &mut Vec<Reply>) -> bool {
        let mut steps = [Default::default(); 2];
        let said = [0, 1].map(|time| {
            let (mut replies, mut turn) = (Replies::default(), self.turn(time));
            turn.scratch.progress = line.progress[time].with(patience);
            steps[time] = stage::on_bytes(&mut turn, &line.held, &mut replies);
            line.progress[time] = turn.scratch.progress;
            replies
        });
        assert_eq!(steps[0], steps[1], "the time decides what is taken");
        line.held.drain(..steps[0].consumed);
        out.extend(self.pair(&said));
        !steps[0].doubtful
    }

    fn pair(&mut self, [first, second]: &[Replies; 2]) -> Vec<Reply> {
        let (first_frames, second_frames) = (first.frames(), second.frames());
        assert_eq!(first_frames.len(), second_frames.len(), "the time decides what is answered");
        self.replies += first.sent().filter(|sent| sent.what == Outgoing::Reply).count() as u64;
        let both = first_frames.into_iter().zip(second_frames);
        both.map(|(first, second)| Reply([first.to_vec(), second.to_vec()])).collect()
    }

    /// Which of those that are owed this is.
    pub fn find(&self, owed: &[Reply], bytes: &[u8]) -> usize {
        let place = owed.iter().position(|reply| self.differs(reply, bytes).is_none());
        place.unwrap_or_else(|| panic!("nobody is owed {}", hex::encode(bytes)))
    }

    /// The reply that is owed, at whatever time.
    pub fn assert_same(&self, reply: &Reply, bytes: &[u8]) {
        if let Some(why) = self.differs(reply, bytes) {
            panic!("{why}: {}, and not {}", hex::encode(bytes), hex::encode(&reply.0[0]));
        }
    }

    fn differs(&self, reply: &Reply, bytes: &[u8]) -> Option<String> {
        let [first, second] = &reply.0;
        if first == second {
            return (bytes != first).then(|| "another reply".to_owned());
        }
        if self.fsu.transport != Transport::Udp {
            return self.fields_differ([first, second, bytes]);
        }
        let outers = [first, second, bytes].map(|bytes| outer::parse(bytes, false));
        let [Ok(first), Ok(second), Ok(actual)] = outers else { return Some("no frame".to_owned()) };
        let head = |outer: &outer::Outer| {
            let addresses = (outer.dest.clone(), outer.src.clone(), outer.sub_dev_type, outer.sub_dev_addr);
            (addresses, outer.rtn_flag, outer.comm_type, outer.big)
        };
        if head(&first) != head(&actual) {
            return Some("another head".to_owned());
        }
        let datas = [first.data, second.data, actual.data].map(Option::unwrap_or_default);
        self.fields_differ([&datas[0], &datas[1], &datas[2]])
    }

    /// Every field that has the same bytes at both times has them here, and the frame is good.
    fn fields_differ(&self, [first, second, actual]: [&[u8]; 3]) -> Option<String> {
        let is_its = |device: &&std::sync::Arc<Device>| is_good(device, first).is_ok();
        let Some(device) = self.fsu.devices.iter().find(is_its) else { return Some("no good frame".to_owned()) };
        if let Err(why) = is_good(device, actual) {
            return Some(why);
        }
        let judge = Protocol(protocol_of(device));
        let [Ok(first), Ok(second), Ok(actual)] = [first, second, actual].map(|bytes| judge.cut(bytes)) else {
            return Some("no frame".to_owned());
        };
        let data_at = judge.left().len();
        let checksum = judge.0["checksum"]["field"].as_str().unwrap_or("checksum");
        for (place, ((first, second), actual)) in first.iter().zip(&second).zip(&actual).enumerate() {
            let same = if place == data_at {
                actual.raw.len() == first.raw.len() && data_is_same([&first.raw, &second.raw, &actual.raw])
            } else {
                first.name == checksum || first.raw != second.raw || first.raw == actual.raw
            };
            if !same {
                return Some(format!("another {}", first.name));
            }
        }
        None
    }

    /// The shard's counters: those that the model has, where it knows; and every request is counted once.
    pub fn check(&self, counters: &Counters, exact: bool) {
        let fault = |kind: FaultKind| counters.faults[kind as usize];
        let lost: u64 =
            [FaultKind::Drop, FaultKind::Reset, FaultKind::Stall, FaultKind::HalfClose].map(fault).iter().sum();
        let sent = counters.answered + counters.data_frames_unasked - counters.transfers_opened;
        let dropped =
            counters.dropped_total() - NO_REQUEST.iter().map(|&reason| counters.dropped[reason as usize]).sum::<u64>();
        let ends = sent + lost + counters.silent + counters.heartbeats_received + dropped;
        assert_eq!(counters.received + fault(FaultKind::Duplicate), ends, "{counters:?}");
        assert_eq!((counters.kernel_drops, counters.log_records_lost), (0, 0), "lost on the way");
        if exact {
            let own = self.counters();
            let counts = |c: &Counters| {
                let requests = [c.received, c.silent, c.heartbeats_received, c.bad_checksum_seen, c.value_misfits];
                let transfers = [c.transfers_opened, c.transfers_completed, c.transfers_aborted, c.transfers_refused];
                let frames = [c.big_endian_lengths, c.data_frames_resent, c.transfers_timed_out];
                (requests, transfers, frames, c.error_replies, *c.dropped, *c.faults)
            };
            assert_eq!(counts(counters), counts(own), "the shard's counters, and those without sockets");
            assert_eq!(counters.answered, self.replies, "replies");
        }
    }
}

/// Bytes in a row that differ at the two times are a time; all others are as they were. A time of several bytes may have some that are
/// the same at both: those beside bytes that differ.
fn data_is_same([first, second, actual]: [&[u8]; 3]) -> bool {
    let differs: Vec<bool> = first.iter().zip(second).map(|(first, second)| first != second).collect();
    let near =
        |at: usize| differs[at.saturating_sub(TIME_BYTES)..differs.len().min(at + TIME_BYTES + 1)].contains(&true);
    (0..differs.len()).all(|at| near(at) || actual[at] == first[at])
}

/// Bytes of a packed time or date.
const TIME_BYTES: usize = 4;

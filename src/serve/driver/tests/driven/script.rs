//! What is served, and who asks what when.

use crate::driver::command::ShardCommand;
use crate::driver::tests::kernel::net::Taken;
use crate::driver::tests::kernel::streams::Reads;
use crate::driver::tests::kernel::weather::Weather;
use crate::driver::tests::kernel::{Act, Event, Kernel};
use crate::shard::protocol::{Protocol, Responder};
use fastrand::Rng;
use fsu_core::fixtures::{Said, device, fleet, fsu, start, turn};
use fsu_core::replies::Replies;
use fsu_core::stage::Incoming;
use fsu_plan::model::field::Offset;
use fsu_plan::model::fleet::{Device, Fleet, Fsu, Limits};
use fsu_plan::model::message::Transport;
use fsu_plan::model::reply::{Patch, Reply};
use fsu_plan::model::rule::Delay;
use fsu_plan::model::template::Template;
use fsu_plan::wire::envelope::{Head, escape};
use fsu_plan::wire::fixtures::{fixed, frame, length, raw_frame};
use rustix::io::Errno;
use std::net::SocketAddr;
use std::sync::Arc;

/// FSUs 0 and 1 have datagrams: of the B interface, and of BroadCast. 2 and 3 have connections.
pub(crate) const FSUS: usize = 4;
pub(crate) const DATAGRAM_FSUS: usize = 2;
/// Requests come within this time; what is owed has the rest.
const TRAFFIC_NS: u64 = 150_000_000;
pub(crate) const END_NS: u64 = 1_500_000_000;
/// ShardCommand 10 is answered at once, 11 after this time.
pub(crate) const AT_ONCE: u8 = 0x10;
const LATER: u8 = 0x11;
pub(crate) const DELAY_NS: u64 = 7_000_000;
/// The replies' address, so that none is a request as well.
const MINE: u8 = 0x55;
/// Data of a request: its number. A reply has the same, and some more.
const NUMBER_BYTES: usize = 4;
const ID: [u8; 20] = *b"20250125\0\0\0\0\0\0\0\0\0\0\0\0";

/// Requests with four bytes of data, which the reply begins with.
fn numbered(template: Template, more: usize) -> Arc<Device> {
    let mut all = device(template, 1, 1, false);
    let device = Arc::get_mut(&mut all).expect("nobody else's");
    let (at, template) = (device.template.left_len, &device.template);
    let raw = raw_frame(template, MINE, 0, &vec![0xEE; NUMBER_BYTES + more]);
    for (rules, delay) in device.rules.iter_mut().zip([Delay::None, Delay::Fixed(DELAY_NS as f64 / 1e6)]) {
        rules[0].timeout = false;
        rules[0].delay = delay;
        rules[0].replies = [Arc::new(Reply {
            data_len: raw.len() - template.left_len - template.tail_len,
            frame: raw.clone().into(),
            patches: [
                Patch::Copy { from: Offset(2), to: 2, len: 1 },
                Patch::Copy { from: Offset(at as i32), to: at, len: NUMBER_BYTES },
            ]
            .into(),
            less: 0,
            refusal: None,
            payload: fsu_plan::model::reply::Payload::None,
        })]
        .into();
    }
    all
}

/// All FSUs, with these limits.
pub(crate) fn served(limits: Limits) -> Arc<Fleet> {
    let one = |name: &str, transport, device| {
        fsu(vec![device]).with(|fsu| {
            fsu.name = name.into();
            fsu.transport = transport;
            fsu.limits = limits;
        })
    };
    let stream = numbered(length(), 12);
    Arc::new(fleet(vec![
        one("b interface", Transport::Udp, numbered(fixed(), 0)),
        one("broadcast", Transport::Broadcast, numbered(fixed(), 0)),
        one("stream", Transport::Tcp, Arc::clone(&stream)),
        one("another stream", Transport::Tcp, stream),
    ]))
}

/// A request to an FSU.
pub(crate) fn request(fsu: usize, command: u8, number: u32) -> Vec<u8> {
    let data = number.to_be_bytes();
    match fsu {
        0 => {
            let mut plain = Vec::new();
            Head::request(&ID, &[9; 8], 1, 1).build(Some(&frame(&fixed(), 1, command, &data)), &mut plain).unwrap();
            escape(&plain, &mut Vec::new()).to_vec()
        }
        1 => frame(&fixed(), 1, command, &data),
        _ => frame(&length(), 1, command, &data),
    }
}

/// What the responder alone says to a datagram: the reply, how long after it in nanoseconds, and how many frames it found.
pub(crate) fn reply_to(fsu: &Fsu, taken: &Taken) -> (Option<(Vec<u8>, u64)>, u64) {
    let (mut state, mut scratch) = start(fsu);
    let mut replies = Replies::default();
    let incoming = Incoming { peer: taken.peer, bytes: &taken.bytes };
    Responder.on_datagram(&mut turn(fsu, &mut state, &mut scratch), incoming, &mut replies);
    let mut said = Said::from(&replies);
    assert!(said.sent.len() <= 1);
    let reply = said.sent.pop().map(|(_, due_ms, bytes)| (bytes, due_ms as u64 * 1_000_000));
    (reply, state.counters.received)
}

/// What it says to the bytes of a stream.
pub(crate) fn replies_to(fsu: &Fsu, bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut state, mut scratch) = start(fsu);
    let mut replies = Replies::default();
    Responder.on_bytes(&mut turn(fsu, &mut state, &mut scratch), bytes, &mut replies);
    replies.sent().map(|sent| sent.bytes.to_vec()).collect()
}

/// A peer of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: usize,
    pub(crate) fsu: usize,
    reads: Reads,
    pub(crate) sent: Vec<u8>,
    /// It takes all replies and stays until the end, or closes its sending half: nothing it does loses one.
    pub(crate) is_good: bool,
}

/// How a shard is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Drained, when all is said.
    AtRest,
    /// Drained, or ended, in the middle.
    Drain,
    Now,
}

/// A run, but for what drives it.
pub(crate) struct Script {
    pub(crate) weather: Weather,
    pub(crate) limits: Limits,
    pub(crate) stop: Stop,
    pub(crate) peers: Vec<Peer>,
    stop_ns: u64,
    events: Vec<(u64, Event)>,
    number: u32,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let peers: Vec<_> =
            self.peers.iter().map(|peer| (peer.fsu, peer.reads, peer.sent.len(), peer.is_good)).collect();
        write!(f, "{:?}\n{:?}\n{:?}, peers: {peers:?}", self.weather, self.limits, self.stop)
    }
}

impl Script {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let weather = if rng.u8(..8) == 0 { Weather::fine() } else { Weather::of(rng) };
        let limits = Limits {
            frame_deadline_ms: if rng.u8(..3) == 0 { 60 } else { 60_000 },
            idle_timeout_ms: if rng.u8(..3) == 0 { 90 } else { 60_000 },
            write_deadline_ms: if rng.bool() { 100 } else { 60_000 },
            write_buffer_bytes_max: if rng.bool() { 65_536 } else { rng.usize(100..2_000) },
            connections_max: if rng.u8(..4) == 0 { rng.usize(1..4) } else { 1_024 },
            ..Limits::default()
        };
        let stop = [Stop::AtRest, Stop::AtRest, Stop::Drain, Stop::Now][rng.usize(..4)];
        let mut script = Self::empty(weather, limits, stop, rng.u64(..TRAFFIC_NS));
        script.datagrams(rng);
        for stream in 0..rng.usize(..8) {
            script.peer(rng, stream);
        }
        if rng.u8(..4) == 0 {
            let errno = [Errno::CONNREFUSED, Errno::HOSTUNREACH][rng.usize(..2)];
            script.at(rng.u64(..TRAFFIC_NS), Event::Failed(rng.usize(..DATAGRAM_FSUS), errno));
        }
        if rng.u8(..6) == 0 {
            script.at(rng.u64(..TRAFFIC_NS), Event::SetClock(rng.i64(-7_200..7_200) * 1_000_000_000));
        }
        script
    }

    /// No requests yet. `stop_ns`: when it is asked to end midway.
    pub(crate) fn empty(weather: Weather, limits: Limits, stop: Stop, stop_ns: u64) -> Self {
        Self { weather, limits, stop, peers: Vec::new(), stop_ns, events: Vec::new(), number: 0 }
    }

    /// A peer that takes its replies, and what it sends in all; empty where it pours.
    pub(crate) fn add_peer(&mut self, stream: usize, fsu: usize, reads: Reads, sent: Vec<u8>) {
        self.peers.push(Peer { stream, fsu, reads, sent, is_good: true });
    }

    pub(crate) fn at(&mut self, ns: u64, event: Event) {
        self.events.push((ns, event));
    }

    fn next_request(&mut self, rng: &mut Rng, fsu: usize) -> Vec<u8> {
        self.number += 1;
        request(fsu, if rng.u8(..4) == 0 { LATER } else { AT_ONCE }, self.number)
    }

    /// Single datagrams and bursts, good and bad.
    fn datagrams(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(..30) {
            let (fsu, at_ns) = (rng.usize(..DATAGRAM_FSUS), rng.u64(..TRAFFIC_NS));
            let peer = SocketAddr::from(([127, 0, 0, 1], rng.u16(40_000..40_003)));
            let burst = if rng.u8(..4) == 0 { rng.u64(2..40) } else { 1 };
            for n in 0..burst {
                let mut bytes = self.next_request(rng, fsu);
                match rng.u8(..12) {
                    0 => bytes.truncate(rng.usize(..bytes.len())),
                    1 => bytes = vec![rng.u8(..); rng.usize(1..40)],
                    _ => {}
                }
                if rng.u8(..20) == 0 {
                    self.at(at_ns + rng.u64(..5_000_000), Event::Datagram(fsu, peer, bytes.clone()));
                }
                self.at(at_ns + n * 1_000, Event::Datagram(fsu, peer, bytes));
            }
        }
    }

    fn peer(&mut self, rng: &mut Rng, stream: usize) {
        let fsu = rng.usize(DATAGRAM_FSUS..FSUS);
        let kind = rng.u8(..10);
        let mut ns = rng.u64(..TRAFFIC_NS / 2);
        self.at(ns, Event::Peer(stream, Act::Connect));
        let mut sent = Vec::new();
        for _ in 0..rng.usize(1..if [0, 7, 9].contains(&kind) { 200 } else { 20 }) {
            if rng.u8(..if kind == 1 { 2 } else { 12 }) == 0 {
                sent.extend(vec![b'x'; rng.usize(1..if kind == 1 { 20_000 } else { 30 })]);
            }
            let request = self.next_request(rng, fsu);
            sent.extend(request);
        }
        if kind == 2 {
            // Half a frame, and no more.
            sent.truncate(sent.len() - rng.usize(1..5));
        }
        let mut bytes = &sent[..];
        while !bytes.is_empty() {
            let most = if kind < 2 || rng.bool() { bytes.len() } else { bytes.len().min(40) };
            let (piece, rest) = bytes.split_at(rng.usize(1..=most));
            ns += rng.u64(..10_000_000);
            self.at(ns, Event::Peer(stream, Act::Send(piece.to_vec())));
            bytes = rest;
        }
        match kind {
            3 => self.at(ns + rng.u64(..5_000_000), Event::Peer(stream, Act::Reset)),
            // Before it has connected, or in the middle.
            4 => self.at(rng.u64(..ns), Event::Peer(stream, Act::Reset)),
            5 | 6 => self.at(ns + rng.u64(..5_000_000), Event::Peer(stream, Act::HalfClose)),
            _ => {}
        }
        let reads = match kind {
            7 | 9 => Reads::Never,
            8 => Reads::Some(rng.usize(20..500)),
            _ => Reads::Soon,
        };
        if kind == 8 {
            (0..END_NS / 10_000_000).for_each(|n| self.at(n * 10_000_000, Event::Peer(stream, Act::Read)));
        }
        self.peers.push(Peer { stream, fsu, reads, sent, is_good: ![3, 4, 7, 9].contains(&kind) });
    }

    /// Makes all of it happen.
    pub(crate) fn plan(&mut self, kernel: &mut Kernel) {
        for peer in &self.peers {
            let address = ([127, 0, 0, 1], 50_000 + peer.stream as u16).into();
            let stream = kernel.stream(peer.fsu - DATAGRAM_FSUS, address, peer.reads);
            assert_eq!(stream, peer.stream);
        }
        for (ns, event) in self.events.drain(..) {
            kernel.plan(ns, event);
        }
        match self.stop {
            Stop::AtRest => kernel.plan(END_NS, Event::ShardCommand(ShardCommand::Drain)),
            Stop::Drain => kernel.plan(self.stop_ns, Event::ShardCommand(ShardCommand::Drain)),
            Stop::Now => kernel.plan(self.stop_ns, Event::ShardCommand(ShardCommand::Stop)),
        }
    }
}

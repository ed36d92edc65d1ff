//! Fairness between peers, on virtual time: every frame, byte and system call moves the clock. What the drivers do in a turn, with peers that
//! send as fast as they can, and a neighbour whose few datagrams are to be answered soon.
//!
//! The two loops are those of the drivers; their kernel is one that always has something.

use super::*;
use crate::driver::fair::{Line, Share, TURN_NS};
use crate::shard::effort::QUANTUM;
use crate::shard::io::Subject;
use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;

/// What things cost, in nanoseconds. What is told as effort is not looked at for it.
const CALL_NS: u64 = 1_500;
const FRAME_NS: u64 = 450;
const BYTES_A_NS: u64 = 3;
/// Interval of the neighbour's requests, and their number.
const ASKS_NS: u64 = 3_700_001;
const ASKS: u64 = 5;
/// A run that is not over by then never ends.
const END_NS: u64 = 200_000_000;
/// Within this time it is to be answered.
const WAIT_NS_MAX: u64 = 20_000_000;
/// As the drivers have them.
const EVENTS: usize = 128;
const COMPLETIONS_MAX: usize = 256;
const READ_BYTES: usize = 16 << 10;
const TURN_BYTES: usize = 1 << 20;
const BATCH: usize = 32;
const BUFFERS: usize = 256;

/// Letters whose garbage is told in runs, and which take their time.
#[derive(Clone, Debug)]
struct Slow(Rc<Cell<u64>>);

impl Slow {
    fn spend(&self, ns: u64) {
        self.0.set(self.0.get() + ns);
    }
}

impl Protocol for Slow {
    fn on_datagram(&self, turn: &mut Turn<'_>, incoming: Incoming<'_>, sink: &mut impl Sink) -> Heard {
        let bytes = incoming.bytes;
        self.spend(bytes.len() as u64 / BYTES_A_NS);
        if !is_request(&bytes[..REQUEST_BYTES.min(bytes.len())]) {
            self.spend(FRAME_NS);
            turn.state.counters.drop(Reason::BadStart);
            sink.understood(About::dropped(Reason::BadStart), bytes);
            return Heard { valid: false };
        }
        for frame in bytes.chunks(REQUEST_BYTES) {
            self.spend(FRAME_NS);
            answer(frame, turn.state, &mut turn.moment.clone(), sink);
            sink.understood(About::of(0), frame);
        }
        Heard { valid: true }
    }

    fn on_bytes(&self, turn: &mut Turn<'_>, bytes: &[u8], sink: &mut impl Sink) -> Step {
        self.spend(bytes.len() as u64 / BYTES_A_NS);
        read_letters(bytes, (usize::MAX, false), (&mut *turn.state, turn.moment), sink, || self.spend(FRAME_NS))
    }

    fn heartbeat(&self, _: &Fsu, _: &mut Vec<u8>) {}

    fn held_max(&self, _: &Fsu) -> usize {
        REQUEST_BYTES
    }
}

/// What a peer sends for ever.
#[derive(Clone, Copy, Debug)]
enum Sends {
    Garbage,
    Requests,
    /// Requests for 1,000 bytes each.
    Large,
    /// Garbage, a byte at a time.
    Steps,
    /// Number of requests at a time.
    Few(usize),
}

impl Sends {
    /// What a receive brings.
    fn bytes(self, at: &mut usize, max: usize) -> Vec<u8> {
        let (pattern, len) = match self {
            Self::Garbage => (b"xxxx", max),
            Self::Steps => (b"xxxx", 1),
            Self::Requests => (b"[a0]", max),
            Self::Large => (b"[!0]", max),
            Self::Few(requests) => (b"[a0]", max.min(requests * REQUEST_BYTES)),
        };
        let start = *at;
        *at = (*at + len) % pattern.len();
        (start..start + len).map(|at| pattern[at % pattern.len()]).collect()
    }
}

/// What leaves; the neighbour's datagrams and when they came.
#[derive(Debug)]
struct Net {
    clock: Slow,
    queued: Vec<(Datagram, usize)>,
    unread: HashSet<ConnId>,
    waited_ns: Vec<u64>,
}

impl Net {
    fn now(&self) -> Clock {
        let ns = self.clock.0.get();
        let start = clock(0, 0);
        let (unix_ns, mono_ns) = (start.unix_ns + ns as i64, start.mono_ns + ns);
        let (unix_ms, mono_ms) = (unix_ns / 1_000_000, mono_ns / 1_000_000);
        Clock { unix_ms, unix_ns, arrived_ns: unix_ns, mono_ms, mono_ns, ..start }
    }
}

impl Io for Net {
    fn send_datagram(&mut self, datagram: Datagram, bytes: &[u8]) -> bool {
        self.queued.push((datagram, bytes.len()));
        true
    }
    fn has_room(&self) -> bool {
        true
    }
    fn write(&mut self, _: ConnId, bytes: &[u8]) -> Written {
        self.clock.spend(CALL_NS + bytes.len() as u64 / BYTES_A_NS);
        Written::Bytes(bytes.len())
    }
    fn set_interest(&mut self, conn: ConnId, interest: Interest) {
        if interest.read {
            self.unread.remove(&conn)
        } else {
            self.unread.insert(conn)
        };
    }
    fn close(&mut self, _: ConnId) {}
    fn set_accepting(&mut self, _: u32, _: bool) {}
    fn stop_receiving(&mut self) {}
    fn unix_ns(&mut self) -> i64 {
        self.now().unix_ns
    }
    fn mono_ns(&mut self) -> u64 {
        self.now().mono_ns
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Poll,
    Ring,
}

/// Something that came, or is to be received.
#[derive(Debug)]
enum Work {
    Ready,
    Bytes(Vec<u8>),
    Datagram(Vec<u8>, u64),
    GoOn,
}

/// A shard whose socket 0 is the neighbour's, with floods at those after it, and connections to the last.
struct Turns {
    kind: Kind,
    serve: Serve<Slow, Records>,
    net: Net,
    share: Share,
    line: Line<Work>,
    events: VecDeque<(Subject, Work)>,
    completed: VecDeque<(Subject, Work)>,
    /// The kernel's: level-triggered readiness, in its order; connections to be received from.
    ready: VecDeque<Subject>,
    reads: VecDeque<ConnId>,
    buffers: usize,
    is_starved: bool,
    conns: Vec<(ConnId, Sends, usize)>,
    floods: Vec<Vec<u8>>,
    asked: VecDeque<u64>,
    next_ns: u64,
}

impl Turns {
    fn new(kind: Kind, turn_ns: u64, sends: &[Sends], floods: Vec<Vec<u8>>) -> Self {
        let sockets = floods.len() + 2;
        let fleet = fleet(sockets, Transport::Udp, |fsu| {
            if fsu.name[1..] == *(sockets - 1).to_string() {
                fsu.transport = Transport::Tcp;
                (fsu.limits.connections_max, fsu.limits.connections_per_peer_max) = (10_000, 10_000);
            }
        });
        let clock = Slow(Rc::default());
        let net = Net { clock: clock.clone(), queued: vec![], unread: HashSet::new(), waited_ns: vec![] };
        let numbers: Vec<usize> = (0..sockets).collect();
        let run = RunContext { seed: 1, skip_delay: true, start_mono_ms: START_MS };
        let mut serve = Serve::new(Portion { fleet, fsus: &numbers }, run, clock, Records::default(), net.now());
        let accept = |(number, &sends)| {
            let id = serve.on_accept(sockets as u32 - 1, address(number as u16), net.now()).unwrap();
            (id, sends, 0)
        };
        let conns: Vec<_> = (1..).zip(sends).map(accept).collect();
        let subjects = (1..=floods.len()).map(|socket| Subject::Socket(socket as u32));
        let ready = subjects.chain(conns.iter().map(|conn| Subject::Conn(conn.0))).collect();
        let reads = conns.iter().map(|conn| conn.0).collect();
        let (line, events, completed, asked) = (Line::new(), VecDeque::new(), VecDeque::new(), VecDeque::new());
        let share = Share::new(turn_ns);
        Self {
            kind,
            serve,
            net,
            share,
            line,
            events,
            completed,
            ready,
            reads,
            buffers: 0,
            is_starved: false,
            conns,
            floods,
            asked,
            next_ns: 0,
        }
    }

    fn ns(&self) -> u64 {
        self.net.clock.0.get()
    }

    fn is_spent(&self) -> bool {
        self.share.is_spent(self.net.now().mono_ns) || self.ns() > END_NS
    }

    /// The longest that the neighbour waited; as long as there was where it was never answered.
    fn run(mut self) -> u64 {
        while (self.net.waited_ns.len() as u64) < ASKS && self.ns() <= END_NS {
            self.turn();
        }
        let late = self.ns().saturating_sub(self.net.waited_ns.len() as u64 * ASKS_NS);
        assert!(self.serve.counters()[0].1.dropped_total() == 0, "nothing is lost");
        self.net.waited_ns.iter().copied().max().unwrap_or(0).max(late)
    }

    fn turn(&mut self) {
        while self.serve.on_tick(self.net.now(), &mut self.net) {}
        let before = self.events.len();
        self.wait();
        let mut told = self.events.len() - before;
        self.share.divide(self.events.len(), READ_BYTES);
        self.share.begin(self.net.now().mono_ns);
        self.serve_light();
        while self.kind == Kind::Poll
            && self.events.is_empty()
            && told.is_multiple_of(EVENTS)
            && (1..=self.line.len()).contains(&told)
            && !self.is_spent()
        {
            self.wait();
            told += self.events.len();
            self.serve_light();
        }
        if self.events.is_empty() {
            self.serve_starved();
            self.serve_line();
        }
        self.flush();
    }

    /// The kernel is asked.
    fn wait(&mut self) {
        self.net.clock.spend(CALL_NS);
        while self.next_ns <= self.ns() {
            self.asked.push_back(self.next_ns);
            self.next_ns += ASKS_NS;
            if !self.ready.contains(&Subject::Socket(0)) {
                self.ready.push_back(Subject::Socket(0));
            }
        }
        match self.kind {
            Kind::Poll if self.events.is_empty() => {
                let told = self.ready.len().min(EVENTS);
                for _ in 0..told {
                    let subject = self.ready.pop_front().unwrap();
                    self.events.push_back((subject, Work::Ready));
                    if subject != Subject::Socket(0) {
                        self.ready.push_back(subject);
                    }
                }
                self.net.clock.spend(told as u64 * 80);
            }
            Kind::Ring if self.events.is_empty() => self.complete(),
            Kind::Poll | Kind::Ring => {}
        }
    }

    /// Receives end: of each flood's socket a batch, then those of connections, then the neighbour's.
    fn complete(&mut self) {
        for flood in 0..self.floods.len() {
            let subject = Subject::Socket(flood as u32 + 1);
            let count = if self.line.has(subject) { 0 } else { BATCH.min(BUFFERS - self.buffers) };
            for _ in 0..count {
                self.completed.push_back((subject, Work::Datagram(self.floods[flood].clone(), 0)));
                self.buffers += 1;
            }
        }
        let mut bytes = 0;
        while bytes < TURN_BYTES
            && let Some(id) = self.reads.pop_front()
        {
            let read = self.read(id, READ_BYTES);
            bytes += read.len();
            self.completed.push_back((Subject::Conn(id), Work::Bytes(read)));
        }
        self.is_starved = self.buffers >= BUFFERS;
        if !self.is_starved {
            for ns in std::mem::take(&mut self.asked) {
                self.completed.push_back((Subject::Socket(0), Work::Datagram(b"[a0]".to_vec(), ns)));
                self.buffers += 1;
            }
        }
        let room = COMPLETIONS_MAX.saturating_sub(self.events.len());
        self.events.extend(self.completed.drain(..room.min(self.completed.len())));
    }

    fn read(&mut self, id: ConnId, max: usize) -> Vec<u8> {
        let (_, sends, at) = self.conns.iter_mut().find(|conn| conn.0 == id).unwrap();
        let bytes = sends.bytes(at, max);
        self.net.clock.spend(CALL_NS + bytes.len() as u64 / (4 * BYTES_A_NS));
        bytes
    }

    fn serve_light(&mut self) {
        while !self.is_spent()
            && let Some((subject, work)) = self.events.pop_front()
        {
            let is_light = match &work {
                Work::Bytes(bytes) | Work::Datagram(bytes, _) => bytes.len() <= self.share.light_bytes,
                Work::Ready | Work::GoOn => true,
            };
            let arrived_ns = self.net.now().unix_ns;
            if self.line.has(subject) || !is_light {
                if !(matches!(work, Work::Ready) && self.line.is_held(subject)) {
                    self.line.push(subject, work, arrived_ns);
                }
                continue;
            }
            self.serve.effort.allow(self.share.light_effort);
            let began = self.serve.effort.done();
            self.serve_one(subject, work, true);
            let effort = self.serve.effort.since(began);
            if effort > self.share.light_effort {
                self.line.charge(subject, effort);
            }
        }
    }

    fn serve_line(&mut self) {
        self.absorb();
        self.share.begin(self.net.now().mono_ns);
        while !self.is_spent()
            && let Some((subject, held)) = self.line.next()
        {
            self.serve.effort.allow(QUANTUM);
            let began = self.serve.effort.done();
            self.serve_one(subject, held.what, false);
            self.line.done(subject, self.serve.effort.since(began));
            self.absorb();
        }
    }

    /// The ring's: what is light is received without its buffers where there were none.
    fn serve_starved(&mut self) {
        if self.is_starved {
            self.receive(0, true);
        }
    }

    fn absorb(&mut self) {
        for id in self.serve.resting.drain(..) {
            self.line.push(Subject::Conn(id), Work::GoOn, 0);
        }
    }

    fn serve_one(&mut self, subject: Subject, work: Work, is_light: bool) {
        let now = self.net.now();
        match (subject, work) {
            (Subject::Socket(socket), Work::Ready) => self.receive(socket, is_light),
            (Subject::Socket(socket), Work::Datagram(bytes, asked_ns)) => {
                self.buffers = self.buffers.saturating_sub(usize::from(self.kind == Kind::Ring));
                self.on_datagram(socket, &bytes, asked_ns);
            }
            (Subject::Conn(id), Work::Ready) => {
                if self.net.unread.contains(&id) {
                    return;
                }
                let max = if is_light { self.share.light_bytes } else { READ_BYTES };
                let bytes = self.read(id, max);
                self.serve.on_bytes(id, &bytes, now, &mut self.net);
                if bytes.len() == max {
                    self.line.push(subject, Work::Ready, now.unix_ns);
                }
            }
            (Subject::Conn(id), Work::Bytes(bytes)) => {
                self.serve.on_bytes(id, &bytes, now, &mut self.net);
                if !self.net.unread.contains(&id) {
                    self.reads.push_back(id);
                }
            }
            (Subject::Conn(id), Work::GoOn) => {
                self.serve.go_on(id, now, &mut self.net);
                if self.kind == Kind::Ring && !self.net.unread.contains(&id) {
                    self.reads.push_back(id);
                }
            }
            (Subject::Socket(_), _) | (_, Work::Datagram(..)) => {}
        }
    }

    /// A batch, as epoll has it.
    fn receive(&mut self, socket: u32, is_light: bool) {
        self.net.clock.spend(CALL_NS);
        if socket == 0 {
            for ns in std::mem::take(&mut self.asked) {
                self.on_datagram(0, b"[a0]", ns);
            }
            return;
        }
        let flood = self.floods[socket as usize - 1].clone();
        let mut is_held = false;
        for _ in 0..BATCH {
            is_held |= (is_light && flood.len() > self.share.light_bytes) || self.serve.effort.is_over();
            if is_held {
                self.line.push(Subject::Socket(socket), Work::Datagram(flood.clone(), 0), 0);
            } else {
                self.on_datagram(socket, &flood, 0);
            }
        }
        self.flush();
    }

    fn on_datagram(&mut self, socket: u32, bytes: &[u8], asked_ns: u64) {
        let now = self.net.now();
        let from = if socket == 0 { asked_ns } else { 0 };
        // The receiver of its reply shows when it was asked.
        let peer = address((from / ASKS_NS) as u16 + 1);
        self.serve.on_datagram(socket, Arrived::new(peer, bytes, now.unix_ns), now, &mut self.net);
        self.flush();
    }

    fn flush(&mut self) {
        for (datagram, len) in std::mem::take(&mut self.net.queued) {
            self.net.clock.spend(CALL_NS / 8 + len as u64 / BYTES_A_NS);
            if datagram.socket == 0 {
                let asked_ns = u64::from(datagram.peer.port() - 1) * ASKS_NS;
                self.net.waited_ns.push(self.ns() - asked_ns);
            }
        }
    }
}

fn check(name: &str, sends: &[Sends], floods: &[Vec<u8>]) {
    for kind in [Kind::Poll, Kind::Ring] {
        let waited_ns = Turns::new(kind, TURN_NS, sends, floods.to_vec()).run();
        assert!(waited_ns <= WAIT_NS_MAX, "{name}, {kind:?}: {} us", waited_ns / 1_000);
    }
}

#[test]
fn h02_a_neighbour_of_connections_is_answered_soon() {
    for count in [1, 64, 256] {
        for sends in [Sends::Garbage, Sends::Requests, Sends::Large, Sends::Steps, Sends::Few(1), Sends::Few(400)] {
            check(&format!("{count} of {sends:?}"), &vec![sends; count], &[]);
        }
    }
}

#[test]
fn h02_a_neighbour_of_floods_is_answered_soon() {
    for count in [1, 16, 64] {
        for (pattern, len) in [("x", 1), ("x", 1_400), ("x", 60_000), ("[a0]", 4), ("[a0]", 1_400), ("[a0]", 16_000)] {
            let flood = pattern.repeat(len / pattern.len()).into_bytes();
            check(&format!("{count} of {len} bytes {pattern}"), &[], &vec![flood; count]);
        }
    }
}

#[test]
fn h02_a_neighbour_of_both_is_answered_soon() {
    let sends: Vec<Sends> = [Sends::Garbage, Sends::Requests, Sends::Large, Sends::Few(3)].repeat(64);
    let floods = ["x".repeat(100), "[a0]".repeat(300), "[!0]".repeat(100)].map(String::into_bytes);
    check("both", &sends, &floods);
}

/// What the others do not see: without a turn's end the neighbour waits for whoever always has more.
#[test]
fn h02_without_the_end_of_a_turn_a_neighbour_waits() {
    for kind in [Kind::Poll, Kind::Ring] {
        for sends in [Sends::Requests, Sends::Large] {
            let waited_ns = Turns::new(kind, u64::MAX, &[sends; 256], Vec::new()).run();
            assert!(waited_ns > WAIT_NS_MAX, "{kind:?} {sends:?}: {} us", waited_ns / 1_000);
        }
    }
}

/// Queued connections get equal shares, whatever they cost.
#[test]
fn h02_whoever_stands_in_line_has_a_share() {
    let sends = [Sends::Garbage, Sends::Requests, Sends::Large, Sends::Requests];
    let mut turns = Turns::new(Kind::Poll, TURN_NS, &sends, vec![b"[a0]".repeat(4_000)]);
    while turns.ns() < 100_000_000 {
        turns.turn();
    }
    let received = |turns: &Turns, socket: usize| turns.serve.counters()[socket].1.received;
    let (flood, all) = (received(&turns, 1), received(&turns, 2));
    assert!(flood > 20_000 && all > 60_000, "{flood} {all}");
}

//! The shard's logic on virtual time: a fake responder, a fake driver, a log in memory.
//!
//! A request of the fake responder is `[tag delay_ms]`, four bytes: `[`, a letter, the delay in units of 10 ms as a
//! digit, `]`. The reply is the letter. On a stream, what is not `[` is garbage; `!` as the letter is answered with 1,000 bytes.

mod datagrams;
mod dials;
mod doubt;
mod fair;
mod guards;
mod looks;
mod reload;
mod repeat;
mod simulation;
mod steer;
mod streams;
mod talks;
mod tls;

pub(crate) use super::clock::Clock;
pub(crate) use super::io::{Arrived, ConnId, Datagram, Interest, Io, Outcome, Written};
pub(crate) use super::protocol::Protocol;
pub(crate) use super::recorder::{RecordKind, Recorder, Traffic};
pub(crate) use super::reload::Sockets;
pub(crate) use super::serve::{Portion, Serve};
pub(crate) use fsu_core::about::About;
pub(crate) use fsu_core::answer::talk::Event;
pub(crate) use fsu_core::answer::turn::Turn;
pub(crate) use fsu_core::moment::{Moment, RunContext};
pub(crate) use fsu_core::sink::{Outgoing, Sink};
pub(crate) use fsu_core::stage::stream::Step;
pub(crate) use fsu_core::stage::{Heard, Incoming};
pub(crate) use fsu_core::state::progress::Patience;
pub(crate) use fsu_core::state::{Counters, FsuState};
pub(crate) use fsu_net::local::Local;
pub(crate) use fsu_plan::model::fault::{FaultKind, Place, Struck};
pub(crate) use fsu_plan::model::fleet::{Common, Fleet, Fsu, FsuId, Language, Limits, LogPlan, OnFull, Performance};
pub(crate) use fsu_plan::model::message::Transport;
pub(crate) use fsu_plan::model::share::Share;
pub(crate) use fsu_plan::wire::reason::Reason;
pub(crate) use std::net::{IpAddr, SocketAddr};
pub(crate) use std::sync::{Arc, Barrier, Mutex};

/// Where virtual time begins.
pub(crate) const START_MS: u64 = 1_000_000;
pub(crate) const START_UNIX_MS: i64 = 1_768_239_003_000;

pub(crate) fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// `count` FSUs of one transport, changed by `with`.
pub(crate) fn fleet(count: usize, transport: Transport, with: impl Fn(&mut Fsu)) -> Arc<Fleet> {
    let fsus = (0..count)
        .map(|number| {
            let mut fsu = Fsu {
                name: format!("f{number}").into(),
                id: FsuId::default(),
                bind: address(0),
                common: Arc::new(Common {
                    transport,
                    messages: Arc::default(),
                    params: Arc::default(),
                    heartbeat_reply: false,
                    talks: false,
                    client_timeout_ms: 360_000,
                    accept_any_id: false,
                    accept_rtn_flags: fsu_plan::model::fleet::RtnFlags::default(),
                    limits: Limits::default(),
                    allow: Arc::default(),
                    devices: Arc::new([]),
                    faults: None,
                    connect: None,
                    tls: None,
                }),
            };
            with(&mut fsu);
            fsu
        })
        .collect();
    let log = LogPlan {
        level: log::LevelFilter::Off,
        dir: "unused".into(),
        file: "unused".into(),
        bytes_max: 0,
        age_days_max: 0,
        async_write: false,
        language: Language::En,
        on_full: OnFull::Drop,
    };
    Arc::new(Fleet {
        fsus,
        center: None,
        log,
        performance: Performance::default(),
        accounts: Box::default(),
        params: Box::default(),
        allow_amplification: false,
        share: Share::default(),
    })
}

/// Answers the requests described above.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letters;

pub(crate) const REQUEST_BYTES: usize = 4;

/// Why a simulated network has frames and connections dropped.
pub(crate) const NETWORK_DROPS: [Reason; 9] = [
    Reason::PeerGone,
    Reason::SendFailed,
    Reason::DrainEnded,
    Reason::Garbage,
    Reason::FrameDeadline,
    Reason::ConnectionLimit,
    Reason::IdleTimeout,
    Reason::WriteDeadline,
    Reason::AcceptFailed,
];

/// Adds what was dropped for these reasons, by their names.
pub(crate) fn add_drops(
    seen: &mut std::collections::BTreeMap<&'static str, u64>,
    reasons: &[Reason],
    counters: &[(usize, Counters)],
) {
    for &reason in reasons {
        *seen.entry(reason.reason()).or_default() +=
            counters.iter().map(|(_, counters)| counters.dropped[reason as usize]).sum::<u64>();
    }
}

pub(crate) fn answer(frame: &[u8], state: &mut FsuState, moment: &mut Moment, sink: &mut impl Sink) {
    state.counters.received += 1;
    let due_ns = moment.due_ns(i64::from(frame[2] - b'0') * 10_000_000);
    moment.not_before_ns = moment.not_before_ns.max(due_ns);
    match frame[1] {
        b'!' => sink.send(Outgoing::Reply, due_ns, &[b'!'; 1_000]),
        letter => sink.send(Outgoing::Reply, due_ns, &[letter]),
    }
}

pub(crate) fn is_request(frame: &[u8]) -> bool {
    frame.len() == REQUEST_BYTES && frame[0] == b'[' && frame[2].is_ascii_digit() && frame[3] == b']'
}

/// Bytes of a connection as [`Letters`] read them. `began` hears of each frame, and of each run of garbage, which is told as one of `run_max`
/// bytes at the most.
pub(crate) fn read_letters(
    bytes: &[u8],
    (run_max, is_end): (usize, bool),
    (state, mut moment): (&mut FsuState, Moment),
    sink: &mut impl Sink,
    began: impl Fn(),
) -> Step {
    let mut at = 0;
    while at < bytes.len() {
        began();
        let frame = &bytes[at..bytes.len().min(at + REQUEST_BYTES)];
        if is_request(frame) {
            sink.received(frame, None);
            answer(frame, state, &mut moment, sink);
            sink.understood(About::of(0), frame);
            at += REQUEST_BYTES;
            if sink.is_full() {
                return Step { consumed: at, is_full: true, ..Step::default() };
            }
        } else if frame[0] == b'[' && frame.len() < REQUEST_BYTES && !is_end {
            return Step { consumed: at, partial: true, ..Step::default() };
        } else {
            let run = 1 + bytes[at + 1..].iter().take(run_max - 1).take_while(|&&byte| byte != b'[').count();
            let garbage = &bytes[at..at + run];
            state.counters.dropped[Reason::Garbage as usize] += run as u64;
            sink.received(garbage, Some(Reason::Garbage));
            sink.understood(About::dropped(Reason::Garbage), garbage);
            at += run;
        }
    }
    Step { consumed: at, ..Step::default() }
}

impl Protocol for Letters {
    fn on_datagram(&self, turn: &mut Turn<'_>, incoming: Incoming<'_>, sink: &mut impl Sink) -> Heard {
        let mut valid = false;
        for frame in incoming.bytes.chunks(REQUEST_BYTES) {
            if is_request(frame) {
                valid = true;
                answer(frame, turn.state, &mut turn.moment.clone(), sink);
            } else {
                turn.state.counters.drop(Reason::BadStart);
                sink.note(Reason::BadStart, frame);
            }
        }
        Heard { valid }
    }

    fn on_bytes(&self, turn: &mut Turn<'_>, bytes: &[u8], sink: &mut impl Sink) -> Step {
        let is_end = turn.scratch.progress.patience() == Patience::End;
        read_letters(bytes, (1, is_end), (&mut *turn.state, turn.moment), sink, || {})
    }

    fn heartbeat(&self, fsu: &Fsu, out: &mut Vec<u8>) {
        out.extend_from_slice(b"beat ");
        out.extend_from_slice(fsu.name.as_bytes());
    }

    fn held_max(&self, _: &Fsu) -> usize {
        REQUEST_BYTES
    }
}

/// One record: time since the start, kind, why dropped, bytes.
pub(crate) type Taken = (i64, RecordKind, Option<Reason>, String);

/// A log in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    pub(crate) on: bool,
    pub(crate) taken: Arc<Mutex<Vec<Taken>>>,
    /// How long those that were sent were held back, in microseconds.
    pub(crate) held_us: Arc<Mutex<Vec<u32>>>,
    /// What has become of messages: of which FSU, its number there, what.
    pub(crate) messages: Arc<Mutex<Vec<(u32, u64, Event)>>>,
    /// What faults struck.
    pub(crate) struck: Arc<Mutex<Vec<(FaultKind, Struck)>>>,
    /// Waited for twice by who records the request `[~0]`.
    pub(crate) pause: Option<Arc<Barrier>>,
}

impl Recorder for Records {
    fn is_on(&self) -> bool {
        self.on
    }

    fn record(&mut self, traffic: Traffic<'_>) -> bool {
        let Traffic { kind, unix_ms: ms, abouts, bytes, .. } = traffic;
        let dropped = abouts.first().and_then(|about| about.why);
        if kind == RecordKind::Reply {
            self.held_us.lock().unwrap().extend(abouts.iter().map(|about| about.held_us));
        }
        let text = String::from_utf8_lossy(bytes).into_owned();
        if let Some(pause) = self.pause.as_ref().filter(|_| kind == RecordKind::Received && text == "[~0]") {
            pause.wait();
            pause.wait();
        }
        self.taken.lock().unwrap().push((ms - START_UNIX_MS, kind, dropped, text));
        true
    }

    fn message(&mut self, fsu: u32, _: i64, happened: &fsu_core::answer::talk::Happened) -> bool {
        self.messages.lock().unwrap().push((fsu, happened.number, happened.event));
        true
    }

    fn fault(&mut self, _: u32, _: i64, kind: FaultKind, place: Place) -> bool {
        self.struck.lock().unwrap().push((kind, place.frame));
        true
    }
}

/// A driver in memory, on virtual time.
#[derive(Debug)]
pub(crate) struct FakeIo {
    /// Milliseconds since the start.
    ms: u64,
    queued: Vec<(Datagram, Vec<u8>)>,
    /// What the kernel says to the next datagrams; then it takes them.
    outcomes: Vec<Outcome>,
    /// Bytes that the kernel takes on streams.
    room: usize,
    broken: Option<Written>,
    /// Connections that break when they are written to.
    broken_conns: Vec<ConnId>,
    /// What was sent: when, from which socket or connection, to which peer, bytes.
    sent: Vec<(u64, u32, u16, String)>,
    /// From which address of this machine each of them left.
    left: Vec<Local>,
    written: Vec<(u64, String)>,
    /// The same, as bytes.
    wire: Vec<u8>,
    /// The same, by connection.
    streams: Vec<(ConnId, Vec<u8>)>,
    interest: Interest,
    closed: Vec<ConnId>,
    closed_sockets: Vec<u32>,
    accepting: bool,
    receiving: bool,
    /// What was dialled: when, as which connection, to where, from where.
    dialled: Vec<(u64, ConnId, SocketAddr, Option<IpAddr>)>,
    dial_error: Option<i32>,
    dial_takes_ns: u64,
}

impl FakeIo {
    fn new() -> Self {
        Self {
            ms: 0,
            queued: Vec::new(),
            outcomes: Vec::new(),
            room: usize::MAX,
            broken: None,
            broken_conns: Vec::new(),
            sent: Vec::new(),
            left: Vec::new(),
            written: Vec::new(),
            wire: Vec::new(),
            streams: Vec::new(),
            interest: Interest { read: true, write: false },
            closed: Vec::new(),
            closed_sockets: Vec::new(),
            accepting: true,
            receiving: true,
            dialled: Vec::new(),
            dial_error: None,
            dial_takes_ns: 0,
        }
    }
}

impl Io for FakeIo {
    fn dial(&mut self, conn: ConnId, to: SocketAddr, from: Option<IpAddr>) -> Result<(), i32> {
        self.dialled.push((self.ms, conn, to, from));
        self.dial_error.map_or(Ok(()), Err)
    }

    fn send_datagram(&mut self, datagram: Datagram, bytes: &[u8]) -> bool {
        if self.queued.len() >= 4 {
            return false;
        }
        self.queued.push((datagram, bytes.to_vec()));
        true
    }

    fn has_room(&self) -> bool {
        self.queued.len() < 3
    }

    fn write(&mut self, id: ConnId, bytes: &[u8]) -> Written {
        if let Some(broken) = self.broken {
            return broken;
        }
        if self.broken_conns.contains(&id) {
            return Written::Gone;
        }
        let count = bytes.len().min(self.room);
        self.room -= count;
        self.wire.extend_from_slice(&bytes[..count]);
        if count > 0 {
            self.streams.push((id, bytes[..count].to_vec()));
            self.written.push((self.ms, String::from_utf8_lossy(&bytes[..count]).into_owned()));
        }
        Written::Bytes(count)
    }

    fn set_interest(&mut self, _: ConnId, interest: Interest) {
        self.interest = interest;
    }

    fn close(&mut self, conn: ConnId) {
        self.closed.push(conn);
    }

    fn set_accepting(&mut self, _: u32, on: bool) {
        self.accepting = on;
    }

    fn stop_receiving(&mut self) {
        self.receiving = false;
    }

    fn unix_ns(&mut self) -> i64 {
        (START_UNIX_MS + self.ms as i64) * 1_000_000
    }

    fn mono_ns(&mut self) -> u64 {
        let dials = self.dialled.iter().rev().take_while(|&&(ms, ..)| ms == self.ms).count() as u64;
        clock(self.ms, 0).mono_ns + dials * self.dial_takes_ns
    }
}

impl Sockets for FakeIo {
    fn close_socket(&mut self, socket: u32) {
        self.closed_sockets.push(socket);
    }
}

/// A shard and its virtual world.
pub(crate) struct World {
    serve: Serve<Letters, Records>,
    io: FakeIo,
    records: Records,
    /// How far the wall clock was set.
    set_ms: i64,
}

impl World {
    fn new(fleet: &Arc<Fleet>) -> Self {
        Self::logged(fleet, false)
    }

    fn logged(fleet: &Arc<Fleet>, on: bool) -> Self {
        Self::of(fleet, on, 1)
    }

    /// With another seed.
    fn seeded(fleet: &Arc<Fleet>, seed: u64) -> Self {
        Self::of(fleet, false, seed)
    }

    fn of(fleet: &Arc<Fleet>, on: bool, seed: u64) -> Self {
        let io = FakeIo::new();
        let records = Records { on, ..Records::default() };
        let numbers: Vec<usize> = (0..fleet.fsus.len()).collect();
        let run = RunContext { seed, skip_delay: false, start_mono_ms: START_MS };
        let serve = Serve::new(
            Portion { fleet: Arc::clone(fleet), fsus: &numbers },
            run,
            Letters,
            records.clone(),
            clock(0, 0),
        );
        Self { serve, io, records, set_ms: 0 }
    }

    fn now(&self) -> Clock {
        clock(self.io.ms, self.set_ms)
    }

    /// Sends what is queued.
    fn flush(&mut self) {
        for (datagram, bytes) in std::mem::take(&mut self.io.queued) {
            let outcome = if self.io.outcomes.is_empty() { Outcome::Sent } else { self.io.outcomes.remove(0) };
            if outcome == Outcome::Sent {
                let text = String::from_utf8(bytes.clone()).unwrap();
                self.io.sent.push((self.io.ms, datagram.socket, datagram.peer.port(), text));
                self.io.left.push(datagram.local);
            }
            let unix_ns = self.io.unix_ns();
            self.serve.on_sent(datagram, &bytes, outcome, self.now().at_unix(unix_ns));
        }
    }

    /// Does what is due now.
    fn tick(&mut self) {
        loop {
            let more = self.serve.on_tick(self.now(), &mut self.io);
            self.flush();
            if !more {
                break;
            }
        }
    }

    /// Goes on to `ms`, waking when the shard asks for it.
    fn run_to(&mut self, ms: u64) {
        loop {
            self.flush();
            let next_ms =
                self.serve.next_deadline().map_or(u64::MAX, |at_ns| at_ns.div_ceil(1_000_000).saturating_sub(START_MS));
            if next_ms > ms {
                break;
            }
            self.io.ms = self.io.ms.max(next_ms);
            self.tick();
            if self.serve.is_drained(self.now()) {
                return;
            }
        }
        self.io.ms = ms;
    }

    fn datagram(&mut self, socket: u32, port: u16, text: &str) {
        self.serve.on_datagram(
            socket,
            Arrived::new(address(port), text.as_bytes(), self.now().unix_ns),
            self.now(),
            &mut self.io,
        );
        self.flush();
    }

    fn connect(&mut self, port: u16) -> ConnId {
        self.serve.on_accept(0, address(port), self.now()).unwrap()
    }

    fn bytes(&mut self, id: ConnId, text: &str) {
        self.serve.on_bytes(id, text.as_bytes(), self.now(), &mut self.io);
    }

    fn counters(&self) -> Counters {
        self.serve.counters()[0].1.clone()
    }

    fn dropped(&self, reason: Reason) -> u64 {
        self.counters().dropped[reason as usize]
    }

    /// Everything written so far, in one.
    fn text(&self) -> String {
        self.io.written.iter().map(|(_, text)| &text[..]).collect()
    }
}

pub(crate) fn clock(ms: u64, set_ms: i64) -> Clock {
    let unix_ms = START_UNIX_MS + ms as i64 + set_ms;
    Clock {
        unix_ms,
        unix_ns: unix_ms * 1_000_000,
        arrived_ns: unix_ms * 1_000_000,
        mono_ms: START_MS + ms,
        mono_ns: (START_MS + ms) * 1_000_000,
        stepped_ns: 0,
        utc_offset_s: 0,
    }
}

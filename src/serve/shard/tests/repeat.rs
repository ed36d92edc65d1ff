//! The same seed gives the same run, with any number of shards: the real responder on virtual time, all faults and
//! distributions on.

use super::*;
use crate::shard::protocol::Responder;
use fsu_core::fixtures::device;
use fsu_plan::model::fault::{FaultKind, FaultSet, FsuFaults, Place, Scheduled, Struck};
use fsu_plan::model::fleet::Device;
use fsu_plan::model::message::Message;
use fsu_plan::model::reply::{Form, Number, Patch};
use fsu_plan::model::rule::Delay;
use fsu_plan::model::share::Share;
use fsu_plan::wire::envelope::{Head, escape};
use fsu_plan::wire::fixtures::{COMMANDS, fixed, frame};
use proptest::prelude::*;

/// FSUs: this many of each transport.
const FSUS: usize = 9;
/// A request comes this often.
const STEP_MS: u64 = 7;
/// Nothing is due after this.
const END_MS: u64 = 60_000;

/// What became visible: FSU, moment, what, bytes.
type Event = (usize, u64, &'static str, Vec<u8>);
/// A line of the ledger.
type Line = (u32, i64, FaultKind, Place);

/// A driver that notes what leaves each FSU.
struct Net {
    ms: u64,
    /// By socket: the FSU.
    fsus: Vec<usize>,
    /// By connection: the FSU.
    conns: Vec<(ConnId, usize)>,
    queued: Vec<(Datagram, Vec<u8>)>,
    events: Vec<Event>,
}

impl Net {
    fn note(&mut self, conn: ConnId, what: &'static str, bytes: &[u8]) {
        let Some(&(_, fsu)) = self.conns.iter().find(|(id, _)| *id == conn) else { return };
        self.events.push((fsu, self.ms, what, bytes.to_vec()));
    }
}

impl Io for Net {
    fn send_datagram(&mut self, datagram: Datagram, bytes: &[u8]) -> bool {
        self.queued.push((datagram, bytes.to_vec()));
        true
    }

    fn has_room(&self) -> bool {
        true
    }

    fn write(&mut self, conn: ConnId, bytes: &[u8]) -> Written {
        self.note(conn, "wrote", bytes);
        Written::Bytes(bytes.len())
    }

    fn set_interest(&mut self, _: ConnId, _: Interest) {}

    fn close(&mut self, conn: ConnId) {
        self.note(conn, "closed", &[]);
    }

    fn reset(&mut self, conn: ConnId) {
        self.note(conn, "reset", &[]);
    }

    fn shut_write(&mut self, conn: ConnId) {
        self.note(conn, "half closed", &[]);
    }

    fn set_accepting(&mut self, _: u32, _: bool) {}

    fn stop_receiving(&mut self) {}

    fn unix_ns(&mut self) -> i64 {
        (START_UNIX_MS + self.ms as i64) * 1_000_000
    }

    fn mono_ns(&mut self) -> u64 {
        clock(self.ms, 0).mono_ns
    }
}

/// A ledger in memory.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<Line>>>);

impl Recorder for Ledger {
    fn is_on(&self) -> bool {
        false
    }

    fn record(&mut self, _: Traffic<'_>) -> bool {
        true
    }

    fn fault(&mut self, fsu: u32, unix_ms: i64, kind: FaultKind, place: Place) -> bool {
        self.0.lock().unwrap().push((fsu, unix_ms, kind, place));
        true
    }

    fn message(&mut self, _: u32, _: i64, _: &fsu_core::answer::talk::Happened) -> bool {
        true
    }
}

struct Shard {
    serve: Serve<Responder, Ledger>,
    net: Net,
}

impl Shard {
    fn new(fleet: &Arc<Fleet>, fsus: Vec<usize>, seed: u64, ledger: &Ledger) -> Self {
        let run = RunContext { seed, skip_delay: false, start_mono_ms: START_MS };
        let serve =
            Serve::new(Portion { fleet: Arc::clone(fleet), fsus: &fsus }, run, Responder, ledger.clone(), clock(0, 0));
        Self { serve, net: Net { ms: 0, fsus, conns: Vec::new(), queued: Vec::new(), events: Vec::new() } }
    }

    fn flush(&mut self) {
        for (datagram, bytes) in std::mem::take(&mut self.net.queued) {
            let what = if datagram.what == Outgoing::Reply { "sent" } else { "beat" };
            self.net.events.push((self.net.fsus[datagram.socket as usize], self.net.ms, what, bytes.clone()));
            let now = clock(self.net.ms, 0);
            self.serve.on_sent(datagram, &bytes, Outcome::Sent, now);
        }
    }

    /// Goes on to `ms`, waking when the shard asks for it.
    fn run_to(&mut self, ms: u64) {
        loop {
            let next_ms =
                self.serve.next_deadline().map_or(u64::MAX, |at_ns| at_ns.div_ceil(1_000_000).saturating_sub(START_MS));
            if next_ms > ms {
                break;
            }
            self.net.ms = self.net.ms.max(next_ms);
            while self.serve.on_tick(clock(self.net.ms, 0), &mut self.net) {
                self.flush();
            }
            self.flush();
        }
        self.net.ms = ms;
    }

    /// One request to an FSU of this shard, on its open connection or a new one.
    fn request(&mut self, fleet: &Fleet, fsu: usize, bytes: &[u8]) {
        let socket = self.net.fsus.iter().position(|&own| own == fsu).unwrap() as u32;
        let now = clock(self.net.ms, 0);
        if fleet.fsus[fsu].transport != Transport::Tcp {
            self.serve.on_datagram(socket, Arrived::new(address(9), bytes, now.unix_ns), now, &mut self.net);
            return self.flush();
        }
        let gone = |net: &Net| !net.conns.iter().any(|&(_, own)| own == fsu);
        if gone(&self.net)
            && let Some(id) = self.serve.on_accept(socket, address(9), now)
        {
            self.net.conns.push((id, fsu));
        }
        let Some(&(id, _)) = self.net.conns.iter().find(|&&(_, own)| own == fsu) else { return };
        self.serve.on_bytes(id, bytes, now, &mut self.net);
        // A connection that ended is not written to any more: the next request opens another.
        let ended = |what| self.net.events.iter().rev().any(|event| event.0 == fsu && event.2 == what);
        if ended("reset") || ended("half closed") {
            self.net.conns.retain(|&(_, own)| own != fsu);
            self.net.events.push((fsu, self.net.ms, "left", Vec::new()));
        }
    }
}

/// Everything that an FSU may do by chance.
fn fleet_of(p: f64) -> Arc<Fleet> {
    let mut set =
        FaultSet { reorder_ms: 90, extra_delay_ms: 40, split_pieces: 3, split_gap_ms: 5, ..FaultSet::default() };
    for kind in FaultKind::ALL {
        set.set_p(
            kind,
            if matches!(kind, FaultKind::Reset | FaultKind::Stall | FaultKind::HalfClose) { p / 8.0 } else { p },
        );
    }
    let outage =
        Scheduled { from_ms: 300, to_ms: 500, faults: FaultSet { offline: Some(true), ..FaultSet::default() } };
    let dice = |delay| -> Arc<Device> {
        let mut device = device(fixed(), 1, 1, false);
        let rule = &mut Arc::get_mut(&mut device).unwrap().rules[0][0];
        (rule.delay, rule.burst, rule.cycle) = (delay, 2, None);
        let reply = Arc::get_mut(&mut rule.replies[0]).unwrap();
        let number = Patch::Number { number: Number::Rand(0, i64::from(u32::MAX)), to: 3, len: 4, form: Form::Big };
        reply.patches = std::mem::take(&mut reply.patches).into_vec().into_iter().chain([number]).collect();
        device
    };
    let delays = [
        Delay::None,
        Delay::Fixed(20.0),
        Delay::Uniform(0.0, 100.0),
        Delay::Normal(50.0, 30.0),
        Delay::Lognormal(3.0, 0.7),
    ];
    let transports = [Transport::Udp, Transport::Tcp, Transport::Broadcast];
    let mut fsus = Vec::new();
    for number in 0..FSUS * transports.len() {
        let mut fsu = fsu_core::fixtures::fsu(vec![dice(delays[number % delays.len()])]);
        fsu.name = format!("f{number}").into();
        fsu.id.bytes[7] = number as u8;
        fsu.transport = transports[number % transports.len()];
        fsu.messages = Message::heartbeats(Some(100));
        fsu.client_timeout_ms = 1_000_000;
        // Every fourth one has an outage.
        let schedule = if number % 4 == 0 { [outage].into() } else { Box::default() };
        fsu.faults = Some(Arc::new(FsuFaults { base: set, schedule }));
        fsus.push(fsu);
    }
    let Fleet { center, log, performance, .. } = Arc::into_inner(fleet(0, Transport::Udp, |_| {})).unwrap();
    Arc::new(Fleet {
        fsus,
        center,
        log,
        performance,
        accounts: Box::default(),
        params: Box::default(),
        allow_amplification: false,
        share: Share::default(),
    })
}

/// Requests in turn to the FSUs given by number; all events by FSU, the ledger sorted, the counts of the faults.
fn run(
    p: f64,
    seed: u64,
    asked: &[usize],
    shards: usize,
) -> (Vec<Vec<Event>>, Vec<Line>, Vec<[u64; FaultKind::COUNT]>) {
    let fleet = fleet_of(p);
    let total = fleet.fsus.len();
    let ledger = Ledger::default();
    let mut all: Vec<Shard> = (0..shards)
        .map(|shard| Shard::new(&fleet, (0..total).filter(|fsu| fsu % shards == shard).collect(), seed, &ledger))
        .collect();
    let inner = frame(&fixed(), 5, COMMANDS[0], &[]);
    for (step, &fsu) in (1..).zip(asked) {
        for shard in &mut all {
            shard.run_to(step * STEP_MS);
        }
        let mut request = inner.clone();
        if fleet.fsus[fsu].transport == Transport::Udp {
            let (mut plain, mut wire) = (Vec::new(), Vec::new());
            Head::request(&fleet.fsus[fsu].id.bytes, &[0; 8], 1, 1).build(Some(&inner), &mut plain).unwrap();
            request = escape(&plain, &mut wire).to_vec();
        }
        all[fsu % shards].request(&fleet, fsu, &request);
    }
    for shard in &mut all {
        shard.run_to(END_MS);
    }
    let mut counts = vec![[0; FaultKind::COUNT]; total];
    let mut by_fsu = vec![Vec::new(); total];
    for shard in all {
        for (fsu, counters) in shard.serve.counters() {
            counts[fsu] = *counters.faults;
        }
        for event in shard.net.events {
            by_fsu[event.0].push(event);
        }
    }
    let mut lines = ledger.0.lock().unwrap().clone();
    lines.sort_by_key(|&(fsu, unix_ms, kind, place)| {
        (fsu, unix_ms, place.message, place.reply, kind, place.frame as u8)
    });
    (by_fsu, lines, counts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_number_of_shards_gives_the_same_run(
        p in 0.0..0.6, seed: u64, asked in proptest::collection::vec(0..FSUS * 3, 1..250),
    ) {
        let one = run(p, seed, &asked, 1);
        // Every fault is in the ledger, and counted.
        let mut told = vec![[0; FaultKind::COUNT]; FSUS * 3];
        for &(fsu, _, kind, _) in &one.1 {
            told[fsu as usize][kind as usize] += 1;
        }
        prop_assert_eq!(&told, &one.2);
        for shards in [2, 8] {
            prop_assert_eq!(&run(p, seed, &asked, shards), &one);
        }
    }
}

#[test]
fn another_seed_gives_another_run_and_all_kinds_occur() {
    let asked: Vec<usize> = (0..3_000).map(|n| n * 5 % (FSUS * 3)).collect();
    let (events, lines, _) = run(0.3, 1, &asked, 2);
    for kind in FaultKind::ALL {
        assert!(lines.iter().any(|line| line.2 == kind), "{kind:?}");
    }
    for what in ["sent", "beat", "wrote", "reset", "half closed"] {
        assert!(events.iter().flatten().any(|event| event.2 == what), "{what}");
    }
    assert!(run(0.3, 2, &asked, 2).0 != events);
}

/// A reply is told by its number; what an outage or a reset took, by what it is.
#[test]
fn h08_lines_without_a_message_are_told_by_what_they_are() {
    let asked: Vec<usize> = (0..3_000).map(|n| n * 5 % (FSUS * 3)).collect();
    let (_, lines, _) = run(0.3, 1, &asked, 2);
    let mut apart = Vec::new();
    for &(_, _, kind, place) in &lines {
        if place.message > 0 {
            assert_ne!(kind, FaultKind::Offline, "{place:?}");
            assert!((1..=2).contains(&place.reply), "{place:?}");
            assert_eq!(place, Place { of: 2, frame: Struck::Reply, sn: None, ..place });
        } else {
            assert_eq!(place, Place::apart(place.frame), "{kind:?}");
            apart.push((kind, place.frame as u8));
        }
    }
    apart.sort_unstable();
    apart.dedup();
    let frames = |kind| -> Vec<u8> { apart.iter().filter(|line| line.0 == kind).map(|line| line.1).collect() };
    let expected = [Struck::Reply, Struck::Request, Struck::Connection].map(|frame| frame as u8);
    assert_eq!(frames(FaultKind::Offline), expected, "{apart:?}");
    // Replies that were held back, and come due on a connection that is gone.
    assert_eq!(frames(FaultKind::Reset), [Struck::Reply as u8]);
    assert!(frames(FaultKind::Drop).is_empty(), "{apart:?}");
}

/// What a fleet of one FSU tells in an outage from 50 ms on, of these requests at the start.
fn struck(fsu: Fsu, requests: &[Vec<u8>]) -> Vec<(FaultKind, Struck)> {
    let Fleet { center, log, performance, .. } = Arc::into_inner(fleet(0, Transport::Udp, |_| {})).unwrap();
    let outage = Scheduled { from_ms: 50, to_ms: 900, faults: FaultSet { offline: Some(true), ..FaultSet::default() } };
    let faults = Some(Arc::new(FsuFaults { base: FaultSet::default(), schedule: [outage].into() }));
    let fsus = vec![fsu.with(|fsu| fsu.faults = faults)];
    let fleet = Arc::new(Fleet {
        fsus,
        center,
        log,
        performance,
        accounts: Box::default(),
        params: Box::default(),
        allow_amplification: false,
        share: Share::default(),
    });
    let ledger = Ledger::default();
    let mut shard = Shard::new(&fleet, vec![0], 1, &ledger);
    for request in requests {
        shard.request(&fleet, 0, request);
    }
    shard.run_to(END_MS);
    let mut lines = ledger.0.lock().unwrap().clone();
    lines.sort_by_key(|line| line.3.frame as u8);
    assert!(lines.iter().all(|line| line.3 == Place::apart(line.3.frame)), "{lines:?}");
    lines.into_iter().map(|(_, _, kind, place)| (kind, place.frame)).collect()
}

#[test]
fn h08_what_comes_due_in_an_outage_is_told_by_what_it_is() {
    // A reply that is due after it began, and the error reply that waits behind it.
    let mut late = device(fixed(), 1, 1, true);
    Arc::get_mut(&mut late).unwrap().rules[0][0].delay = Delay::Fixed(100.0);
    let fsu = fsu_core::fixtures::fsu(vec![late]).with(|fsu| fsu.transport = Transport::Tcp);
    let asked = [COMMANDS[0], 0x99].map(|command| frame(&fixed(), 5, command, &[])).concat();
    let offline = |frame| (FaultKind::Offline, frame);
    assert_eq!(struck(fsu, &[asked]), [Struck::Reply, Struck::Error, Struck::Connection].map(offline));

    let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/vectors/broadcast.json");
    let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let files = [
        (
            "sys_config.json",
            serde_json::json!({"fsu_list": [
                {"fsuname": "a", "fsuid": "3031", "port": 0, "protocol_type": "broadcast", "config_dir": "."}
            ]}),
        ),
        (
            "fsu_devices.json",
            serde_json::json!({"device_list": [
                {"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "t.json"}
            ]}),
        ),
        ("t.json", vectors["template"].clone()),
        ("default.json", serde_json::json!({"31": {"data_bytes": {"bytes": 129}, "delay_ms": 100}})),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    let mut loader = fsu_plan::config::load::Loader::new(fsu_plan::config::source::Source::Directory);
    let fleet = fsu_plan::compile::compile(&mut loader, &dir.path().join("sys_config.json"));
    let fsu = fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.lines().collect::<Vec<_>>())).fsus.remove(0);
    let asked = hex::decode("FEE0A78A040302010800000031000052").unwrap();
    assert_eq!(struck(fsu, &[asked]), [Struck::Answer, Struck::Data].map(offline));
}

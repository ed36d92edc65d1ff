//! What FSUs say unasked, with the real responder: whose it is, who gets it, what a reload and the end of a connection make of it.

use super::*;
use crate::shard::protocol::Responder;
use crate::shard::reload::Swap;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::reload::Fate;
use serde_json::{Value, json};

fn field(name: &str, kind: &str, length: u32) -> Value {
    json!({"name": name, "type": kind, "length": length})
}

fn valued(name: &str, value: &str) -> Value {
    json!({"name": name, "type": "hex", "length": 1, "value": value})
}

/// `7E command serial len data checksum 0D`.
fn template() -> Value {
    json!({"vendor": "x", "rule_file_list": ["default.json"], "protocol": {
        "data_frame_type_flag": "command", "dynamic_length": true, "checksum": {"algorithm": "sum"},
        "pdu_left": [valued("start", "7E"), field("command", "hex", 2), field("serial", "uint", 1), field("len", "length", 1)],
        "pdu_tailer": [field("checksum", "hex", 1), valued("end", "0D")],
        "data_frame": [
            {"data_frame_type": "0100", "direction": "up", "resp_data_list": [field("kind", "hex", 1)]},
            {"data_frame_type": "8100", "req_data_list": [field("result", "uint", 1)]},
            {"data_frame_type": "9000", "req_data_list": [], "resp_data_list": []}
        ]
    }})
}

fn frame(command: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x7E];
    bytes.extend(command.to_be_bytes());
    bytes.extend([0, data.len() as u8]);
    bytes.extend(data);
    let sum = bytes[1..].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.extend([sum, 0x0D]);
    bytes
}

fn compiled(fsus: &Value, messages: &Value) -> Arc<Fleet> {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &Value| std::fs::write(dir.path().join(name), content.to_string()).unwrap();
    write("sys_config.json", fsus);
    let device = json!({"sub_dev_type": "01", "sub_dev_addr": "02", "protocol_template": "t.json"});
    write("fsu_devices.json", &json!({"device_list": [device]}));
    write("t.json", &template());
    write("default.json", &json!({"messages": messages, "9000": {}}));
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    Arc::new(fleet.unwrap_or_else(|| panic!("{:?}", loader.diags.list())))
}

fn fsu(name: &str, transport: &str) -> Value {
    json!({"fsuname": name, "fsuid": "3031", "port": 0, "protocol_type": transport, "config_dir": "."})
}

fn limited(name: &str, limits: &Value) -> Value {
    let mut fsu = fsu(name, "tcp");
    fsu["limits"] = limits.clone();
    fsu
}

/// A shard with its FSUs.
struct Site {
    serve: Serve<Responder, Records>,
    io: FakeIo,
    records: Records,
    /// Datagrams that left: when, to which port, the kind in the message.
    sent: Vec<(u64, u16, u8)>,
}

impl Site {
    fn new(fleet: &Arc<Fleet>) -> Self {
        let records = Records::default();
        let numbers: Vec<usize> = (0..fleet.fsus.len()).collect();
        let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: START_MS };
        let portion = Portion { fleet: Arc::clone(fleet), fsus: &numbers };
        let serve = Serve::new(portion, run, Responder, records.clone(), clock(0, 0));
        let mut site = Self { serve, io: FakeIo::new(), records, sent: Vec::new() };
        site.run_to(0);
        site
    }

    fn now(&self) -> Clock {
        clock(self.io.ms, 0)
    }

    fn flush(&mut self) {
        for (datagram, bytes) in std::mem::take(&mut self.io.queued) {
            self.sent.push((self.io.ms, datagram.peer.port(), bytes[5]));
            let now = self.now();
            self.serve.on_sent(datagram, &bytes, Outcome::Sent, now);
        }
    }

    fn run_to(&mut self, ms: u64) {
        while let Some(next_ms) = self.serve.next_deadline().map(|ns| ns.div_ceil(1_000_000).saturating_sub(START_MS)) {
            if next_ms > ms {
                break;
            }
            self.io.ms = self.io.ms.max(next_ms);
            while self.serve.on_tick(self.now(), &mut self.io) {
                self.flush();
            }
            self.flush();
        }
        self.io.ms = ms;
    }

    fn connect(&mut self, socket: u32) -> ConnId {
        let id = self.serve.on_accept(socket, address(900), self.now()).unwrap();
        self.serve.on_up(id, clock(self.io.ms, 0), &mut self.io);
        id
    }

    fn bytes(&mut self, id: ConnId, bytes: &[u8]) {
        let now = self.now();
        self.serve.on_bytes(id, bytes, now, &mut self.io);
    }

    fn swap(&mut self, fleet: &Arc<Fleet>) {
        let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: START_MS };
        let fates = [Fate::Stays(0)].into();
        let swap = Swap { fleet: Arc::clone(fleet), run, epoch: 1, fates, new: Vec::new(), own: Arc::default() };
        let now = self.now();
        self.serve.swap(swap, &[], now, &mut self.io);
    }

    fn happened(&self) -> Vec<(u32, u64, Event)> {
        std::mem::take(&mut *self.records.messages.lock().unwrap())
    }

    /// The kinds that were written into a connection since.
    fn said(&mut self, id: ConnId) -> Vec<u8> {
        let written = std::mem::take(&mut self.io.streams);
        written.iter().filter(|(of, _)| *of == id).map(|(_, bytes)| bytes[5]).collect()
    }
}

/// An acknowledgement that is found late, in each way in which that comes about, is that of the FSU whose connection it came on.
#[test]
fn what_is_found_late_is_the_fsu_s_own() {
    let login = json!({"login": {"frame": "0100", "on": "connect",
        "ack": {"frame": "8100", "when": "result == 0", "within_ms": 60000, "else": "reconnect"}}});
    let limits = json!({"write_buffer_bytes_max": 1024, "frame_deadline_ms": 1000});
    let fleet = compiled(&json!({"fsu_list": [limited("a", &limits), limited("b", &limits)]}), &login);
    // A start that promises more than comes, then the refusal.
    let late = [&[0x7E, 0x81, 0x00, 0x00, 0x40], &frame(0x8100, &[1])[..]].concat();
    let check = |name: &str, find: &dyn Fn(&mut Site, ConnId)| {
        let mut site = Site::new(&fleet);
        let [a, b] = [site.connect(0), site.connect(1)];
        site.run_to(10);
        assert_eq!(site.happened(), [(0, 1, Event::Sent), (1, 1, Event::Sent)], "{name}");
        find(&mut site, a);
        assert_eq!(site.happened(), [(0, 1, Event::Refused)], "{name}");
        assert_eq!(site.io.closed, [a], "{name}");
        // The other goes on.
        site.bytes(b, &frame(0x8100, &[0]));
        assert_eq!(site.happened(), [(1, 1, Event::Acknowledged)], "{name}");
        assert_eq!(site.io.closed, [a], "{name}");
    };
    check("at the frame's deadline", &|site, a| {
        site.bytes(a, &late);
        assert_eq!(site.happened(), []);
        site.run_to(1_010);
    });
    check("at the end of the stream", &|site, a| {
        site.bytes(a, &late);
        assert_eq!(site.happened(), []);
        let now = site.now();
        site.serve.on_eof(a, now, &mut site.io);
    });
    check("once the peer takes what it is owed", &|site, a| {
        site.io.room = 0;
        for _ in 0..60 {
            site.bytes(a, &frame(0x9000, &[]));
        }
        site.bytes(a, &late);
        let now = site.now();
        site.serve.on_eof(a, now, &mut site.io);
        assert_eq!(site.happened(), []);
        site.io.room = usize::MAX;
        site.serve.on_writable(a, now, &mut site.io);
    });
    check("after a wrong frame was waited for", &|site, a| {
        // Its sum is wrong, and a good frame may begin in it.
        let mut wrong = frame(0x8100, &[0x7E]);
        wrong[6] ^= 1;
        site.bytes(a, &wrong);
        assert_eq!(site.happened(), []);
        site.run_to(500);
    });
}

/// The last connection ends while it is written to: the device is in no state then, as ever.
#[test]
fn a_connection_that_breaks_at_a_write_is_the_last_one() {
    let messages = json!({
        "login": {"frame": "0100", "on": "connect", "data": {"kind": "01"}, "enters": "online",
            "ack": {"frame": "8100", "within_ms": 60000}},
        "tick": {"frame": "0100", "every_ms": 1000, "while": "online", "data": {"kind": "02"}}});
    let fleet = compiled(&json!({"fsu_list": [fsu("a", "tcp")]}), &messages);
    // The number of connections, of which the last one is left, and what it hears afterwards.
    let check = |connections: usize, broken: usize, expected: &[u8]| {
        let mut site = Site::new(&fleet);
        let all: Vec<ConnId> = (0..connections).map(|_| site.connect(0)).collect();
        site.bytes(all[0], &frame(0x8100, &[0]));
        site.run_to(1_500);
        site.io.broken_conns = all[..broken].to_vec();
        site.run_to(2_500);
        assert_eq!(site.io.closed.len(), broken);
        let next = if broken == connections { site.connect(0) } else { all[connections - 1] };
        site.said(next);
        site.run_to(4_500);
        assert_eq!(site.said(next), expected, "{connections} {broken}");
    };
    check(1, 0, &[2, 2]);
    check(1, 1, &[]);
    check(2, 2, &[]);
    check(2, 1, &[2, 2]);
}

/// What is said into a connection whose peer does not read is bounded, and a peer that never reads is let go.
#[test]
fn messages_stop_at_what_a_peer_may_be_owed() {
    let big = json!({"big": {"raw": "AB".repeat(1000), "every_ms": 1}});
    let limits = json!({"write_buffer_bytes_max": 10000, "write_deadline_ms": 5000});
    let mut site = Site::new(&compiled(&json!({"fsu_list": [limited("a", &limits)]}), &big));
    site.io.room = 0;
    let a = site.connect(0);
    let mut sent = 0;
    let owed = |site: &Site| site.serve.conns.get(a).unwrap().owed();
    for ms in 1..=50 {
        // It takes a little of it now and then.
        site.io.room = if ms % 10 == 0 { 3_000 } else { 0 };
        let now = site.now();
        site.serve.on_writable(a, now, &mut site.io);
        site.run_to(ms * 100);
        assert!(owed(&site) <= 10_000 + 1_024, "{}", owed(&site));
        let counters = &site.serve.counters()[0].1;
        assert!(counters.messages_sent > sent || ms % 10 != 0);
        sent = counters.messages_sent;
    }
    let counters = site.serve.counters()[0].1.clone();
    assert_eq!(counters.messages_sent + counters.messages_unsent, 5_001, "each is counted once");
    assert!(counters.messages_unsent > 4_900, "{}", counters.messages_unsent);
    // The last that it took was at 4.9 s.
    site.run_to(9_899);
    assert_eq!(site.io.closed, []);
    site.run_to(9_900);
    assert_eq!(
        (site.io.closed.clone(), site.serve.counters()[0].1.dropped[Reason::WriteDeadline as usize]),
        (vec![a], 1)
    );
}

/// After a reload an FSU does not start once more; one that has another centre says so.
#[test]
fn a_reload_is_no_start() {
    let messages = |names: &[&str]| {
        let all = json!({
            "boot": {"frame": "0100", "on": "start", "data": {"kind": "0B"}},
            "hello": {"frame": "0100", "on": "connect", "data": {"kind": "0C"}, "ack": {"frame": "8100", "within_ms": 60000}},
            "tick": {"frame": "0100", "every_ms": 1000, "data": {"kind": "02"}}});
        names.iter().map(|&name| (name.to_owned(), all[name].clone())).collect::<serde_json::Map<_, _>>()
    };
    let fleet = |port: u16, names: &[&str]| {
        let mut entry = fsu("a", "datagram");
        if port > 0 {
            entry["connect"] = json!({"to": format!("127.0.0.1:{port}")});
        }
        compiled(&json!({"fsu_list": [entry]}), &messages(names).into())
    };
    let all: &[&str] = &["boot", "hello", "tick"];
    let check = |was: (u16, &[&str]), is: (u16, &[&str]), expected: &[(u64, u16, u8)]| {
        let mut site = Site::new(&fleet(was.0, was.1));
        site.run_to(1_500);
        site.sent.clear();
        site.swap(&fleet(is.0, is.1));
        site.run_to(2_500);
        assert_eq!(site.sent, expected, "{was:?} {is:?}");
        // Nor at the next one.
        site.sent.clear();
        site.swap(&fleet(is.0, is.1));
        site.run_to(2_600);
        assert_eq!(site.sent, [], "{was:?} {is:?}");
    };
    check((901, all), (901, all), &[(2_000, 901, 2)]);
    check((901, all), (902, all), &[(1_500, 902, 0x0C), (2_000, 902, 2)]);
    check((0, all), (902, all), &[(1_500, 902, 0x0C), (2_000, 902, 2)]);
    check((901, &["tick"]), (901, all), &[(2_000, 901, 2)]);
    // It had nothing to say before.
    check((901, &[]), (901, all), &[(1_500, 901, 0x0B), (1_500, 901, 0x0C), (2_000, 901, 2)]);
}

/// A connection is up when a reload makes its FSU talk: it is one as any other, and later reloads change nothing.
#[test]
fn a_reload_finds_connections_that_are_up() {
    let tick = |kind: &str| json!({"frame": "0100", "every_ms": 1000, "data": {"kind": kind}});
    let hello = json!({"frame": "0100", "on": "connect", "data": {"kind": "0C"}});
    let fleet = |messages: Value| compiled(&json!({"fsu_list": [fsu("a", "tcp")]}), &messages);
    let mut site = Site::new(&fleet(json!({})));
    let a = site.connect(0);
    site.run_to(1_500);
    for (number, expected) in (0..).zip([&[0x0C, 2][..], &[2], &[2]]) {
        site.swap(&fleet(json!({"hello": hello, "tick": tick("02")})));
        site.run_to(2_500 + number * 1_000);
        assert_eq!(site.said(a), expected, "{number}");
    }
}

/// A login that waited for the centre before it is given up for that to the new one.
#[test]
fn a_login_at_another_centre_takes_the_place_of_the_first() {
    let hello = json!({"hello": {"frame": "0100", "on": "connect", "data": {"kind": "0C"}, "ack": {"frame": "8100", "within_ms": 60000}}});
    let fleet = |port: u16| {
        let mut entry = fsu("a", "udp");
        entry["protocol_type"] = json!("datagram");
        entry["connect"] = json!({"to": format!("127.0.0.1:{port}")});
        compiled(&json!({"fsu_list": [entry]}), &hello)
    };
    let mut site = Site::new(&fleet(901));
    site.swap(&fleet(902));
    site.run_to(100);
    assert_eq!(site.happened(), [(0, 1, Event::Sent), (0, 1, Event::GivenUp), (0, 2, Event::Sent)]);
}

/// A reload between a trigger and what it triggers keeps the arguments, by name.
#[test]
fn a_reload_keeps_the_arguments_of_a_trigger() {
    let fleet = |data: Value| {
        compiled(
            &json!({"fsu_list": [fsu("a", "tcp")]}),
            &json!({"alarm": {"frame": "0100", "on": "trigger", "data": data}}),
        )
    };
    let both = |first: &str, second: &str| json!({"kind": format!("${{arg({first}, 01)}}$"), "serial": format!("${{arg({second}, 2)}}$")});
    let check = |is: Value, expected: (u8, u8)| {
        let mut site = Site::new(&fleet(both("kind", "place")));
        let a = site.connect(0);
        let now = site.now();
        let given = [("kind", "42"), ("place", "7")];
        site.serve.with_turn(0, now, |turn, _| fsu_core::speak::trigger(turn, "alarm", &given)).unwrap().unwrap();
        site.swap(&fleet(is));
        site.run_to(10);
        let written: Vec<u8> =
            site.io.streams.iter().filter(|(of, _)| *of == a).flat_map(|(_, bytes)| bytes.clone()).collect();
        assert_eq!((written[5], written[3]), expected);
    };
    check(both("kind", "place"), (0x42, 7));
    // Their order is the plan's.
    check(json!({"kind": "${arg(sort, 03)}$", "serial": "${arg(kind, 9)}$"}), (0x03, 42));
    check(json!({"kind": "05"}), (0x05, 0));
}

/// Messages that a cut connection was still to get are messages in the ledger of faults.
#[test]
fn a_message_lost_in_an_outage_is_a_message() {
    let messages = json!({
        "early": {"frame": "0100", "on": "connect", "data": {"kind": "01"}},
        "late": {"frame": "0100", "on": "connect", "data": {"kind": "02"}, "delay_ms": 5000}});
    let main = json!({"fsu_list": [fsu("a", "tcp")], "faults_at": [{"from_s": 1, "to_s": 2, "offline": true}]});
    let mut site = Site::new(&compiled(&main, &messages));
    site.io.room = 0;
    let a = site.connect(0);
    site.bytes(a, &frame(0x9000, &[]));
    site.run_to(1_100);
    let mut struck = std::mem::take(&mut *site.records.struck.lock().unwrap());
    struck.sort_by_key(|(_, frame)| *frame as u8);
    let lost = |frame| (FaultKind::Offline, frame);
    struck.retain(|(_, frame)| *frame != Struck::Connection);
    assert_eq!(struck, [lost(Struck::Reply), lost(Struck::Message), lost(Struck::Message)]);
}

/// An FSU has one entry in the wheel, however often it speaks before that fires.
#[test]
fn an_fsu_has_one_timer() {
    let messages = json!({
        "tick": {"frame": "0100", "every_ms": 50000},
        "alarm": {"frame": "0100", "on": "trigger", "ack": {"frame": "8100", "within_ms": 40000}},
        "short": {"frame": "0100", "on": "trigger", "ack": {"frame": "8100", "within_ms": 100}}});
    let mut site = Site::new(&compiled(&json!({"fsu_list": [fsu("a", "datagram")]}), &messages));
    site.serve.on_datagram(
        0,
        Arrived::new(address(900), &frame(0x9000, &[]), site.now().unix_ns),
        site.now(),
        &mut site.io,
    );
    site.flush();
    let before = site.serve.later.wheel.len();
    for ms in 1..200 {
        for name in ["alarm", "short"] {
            let now = site.now();
            site.serve.trigger(0, (name, &[]), now, &mut site.io).unwrap();
            let ack = frame(0x8100, &[0]);
            site.serve.on_datagram(0, Arrived::new(address(900), &ack, now.unix_ns), now, &mut site.io);
            site.flush();
        }
        site.run_to(ms * 7);
        assert!(site.serve.later.wheel.len() <= before + 1, "{ms}");
    }
}

//! Multi-frame transfers, client against FSU over a network that loses, doubles and swaps datagrams.
#![allow(clippy::unwrap_used, missing_docs)]

use fastrand::Rng;
use fsu_mock::client::exchange::{Exchange, Follows, Outcome, Patience, Tally};
use fsu_mock::client::request;
use fsu_mock::client::verify::expected;
use fsu_mock::codec::civil::Now;
use fsu_mock::codec::reason::Reason;
use fsu_mock::config::load::Loader;
use fsu_mock::config::source::Source;
use fsu_mock::plan::compile::compile;
use fsu_mock::plan::fleet::{Fleet, Fsu, Transport};
use fsu_mock::responder::state::FsuState;
use fsu_mock::responder::{Moment, Outgoing, RunContext, Scratch, Sink, datagram};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;

fn json_file(relative: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(relative);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A configuration in a directory of its own: the shipped template with these rules.
fn fleet_with(rules: &Value) -> Fleet {
    let mut template = json_file("config/broadcast/template.json");
    template["rule_file_list"] = json!(["default.json"]);
    let (fleet, lines) = compiled(&template, rules, "broadcast");
    assert_eq!(lines, [""; 0]);
    fleet.unwrap()
}

/// The fleet, unless there are errors, and what a check says.
fn compiled(template: &Value, rules: &Value, transport: &str) -> (Option<Fleet>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &Value| std::fs::write(dir.path().join(name), value.to_string()).unwrap();
    write("template.json", template);
    write("default.json", rules);
    write(
        "fsu_devices.json",
        &json!({"device_list": [{"sub_dev_type": "01", "sub_dev_addr": "01", "protocol_template": "template.json"}]}),
    );
    write(
        "sys_config.json",
        &json!({"fsu_list": [{"fsuname": "one", "fsuid": "31", "port": 0, "protocol_type": transport, "config_dir": "."}]}),
    );
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    let shown = format!("{}/", dir.path().display());
    let lines: Vec<String> = loader.diags.lines().map(|line| line.replace(&shown, "")).collect();
    (fleet, lines)
}

/// What the FSU sends.
#[derive(Default)]
struct Sent(Vec<Vec<u8>>);

impl Sink for Sent {
    fn send(&mut self, _: Outgoing, _: i64, bytes: &[u8]) {
        self.0.push(bytes.to_vec());
    }
    fn received(&mut self, _: &[u8], _: Option<Reason>) {}
    fn note(&mut self, _: Reason, _: &[u8]) {}
}

/// What a network does to datagrams, in probabilities.
#[derive(Clone, Copy)]
struct Trouble {
    lost: f64,
    doubled: f64,
    swapped: f64,
}

/// An FSU, a network and the time.
struct World<'p> {
    fsu: &'p Fsu,
    state: FsuState,
    scratch: Scratch,
    rng: Rng,
    trouble: Trouble,
    now_ms: u64,
    inbox: VecDeque<Vec<u8>>,
}

impl<'p> World<'p> {
    fn new(fsu: &'p Fsu, trouble: Trouble, seed: u64) -> Self {
        let state = FsuState::new(fsu);
        let (scratch, inbox) = (Scratch::default(), VecDeque::new());
        Self { fsu, state, scratch, rng: Rng::with_seed(seed), trouble, now_ms: 1_000, inbox }
    }

    fn happens(&mut self, p: f64) -> bool {
        self.rng.f64() < p
    }

    fn deliver(&mut self, peer: SocketAddr, bytes: &[u8]) {
        let run = RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 };
        let now = Now { unix_ms: self.now_ms as i64, utc_offset_s: 0 };
        let moment = Moment { now, not_before_unix_ms: 0, since_start_ms: 0 };
        let mut sent = Sent::default();
        let (state, scratch) = (&mut self.state, &mut self.scratch);
        datagram::on_datagram_from(&run, self.fsu, state, peer, bytes, moment, scratch, &mut sent);
        for bytes in sent.0 {
            if self.happens(self.trouble.lost) {
                continue;
            }
            if self.happens(self.trouble.doubled) {
                self.inbox.push_back(bytes.clone());
            }
            let before_last = self.inbox.len().saturating_sub(1);
            if self.happens(self.trouble.swapped) {
                self.inbox.insert(before_last, bytes);
            } else {
                self.inbox.push_back(bytes);
            }
        }
    }

    /// Plays one command to its end.
    fn play(&mut self, peer: SocketAddr, exchange: &mut Exchange<'_>) -> Outcome {
        loop {
            if let Some(bytes) = exchange.to_send().map(<[u8]>::to_vec) {
                for _ in 0..=usize::from(self.happens(self.trouble.doubled)) {
                    if !self.happens(self.trouble.lost) {
                        self.deliver(peer, &bytes);
                    }
                }
            } else if let Some(bytes) = self.inbox.pop_front() {
                self.now_ms += 1;
                exchange.on_frame(&bytes, self.now_ms);
            } else if let Some(deadline_ms) = exchange.deadline_ms() {
                self.now_ms = deadline_ms;
                exchange.on_time(deadline_ms);
            }
            if let Some(outcome) = exchange.outcome() {
                return outcome;
            }
        }
    }
}

fn peer(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// 1,000 transfers, each right to the last byte or told as failed. `TRANSFER_BYTES=1000000` plays them in full size.
#[test]
fn no_transfer_is_wrong_under_loss() {
    let bytes = number("TRANSFER_BYTES", 100_000);
    let transfers = number("TRANSFERS", 1_000);
    let fleet = fleet_with(&json!({"41": {"data_bytes": {"bytes": bytes, "seed": 7}}}));
    let fsu = &fleet.fsus[0];
    let device = &fsu.devices[0];
    let command = request::find_command(&device.template, "41").unwrap();
    let raw = request::build(&device.template, &device.template.commands[command], &[]).unwrap();
    let should = expected(device, command, &raw);
    let trouble = Trouble { lost: 0.1, doubled: 0.02, swapped: 0.02 };
    let mut world = World::new(fsu, trouble, 2_026);
    let patience = Patience { timeout_ms: 200, retries: 8 };
    let (mut done, mut failed, mut wrong) = (0, 0, 0);
    let mut tally = Tally::default();
    let mut request = raw;
    for number in 0..transfers {
        let mut exchange = Exchange::new(&device.template, request, Follows::Data, patience, world.now_ms);
        match world.play(peer(1 + (number % 7) as u16), &mut exchange) {
            Outcome::Done if should.holds(exchange.payload()) == Some(true) => done += 1,
            Outcome::Done => wrong += 1,
            _ => failed += 1,
        }
        tally.sent += exchange.tally().sent;
        tally.retries += exchange.tally().retries;
        request = exchange.request().to_vec();
    }
    println!("{done} whole, {failed} told as failed, {wrong} wrong; {} sent, {} retries", tally.sent, tally.retries);
    assert_eq!((wrong, done + failed), (0, transfers));
    // A frame is given up after nine losses in a row at 19 % each: once in three million.
    assert!(failed <= transfers / 100, "{failed} failed");
    assert!(tally.retries > tally.sent / 10, "the network lost nothing: {tally:?}");
}

/// Where nothing arrives, a command ends within its bound.
#[test]
fn silence_ends() {
    let fleet = fleet_with(&json!({"41": {"data_bytes": {"bytes": 10_000}}}));
    let template = &fleet.fsus[0].devices[0].template;
    let command = request::find_command(template, "41").unwrap();
    let raw = || request::build(template, &template.commands[command], &[]).unwrap();
    let patience = Patience { timeout_ms: 100, retries: 3 };
    let check = |lost: f64, outcome: Outcome, sent: u64| {
        let mut world = World::new(&fleet.fsus[0], Trouble { lost, doubled: 0.0, swapped: 0.0 }, 1);
        let mut exchange = Exchange::new(template, raw(), Follows::Data, patience, world.now_ms);
        assert_eq!(world.play(peer(1), &mut exchange), outcome);
        assert_eq!(exchange.tally().sent, sent);
    };
    check(1.0, Outcome::TimedOut, 4);
    check(0.0, Outcome::Done, 10);
}

/// Every command of the shipped device, with and without data, and one that it refuses.
#[test]
fn the_shipped_device_answers() {
    let mut loader = Loader::new(Source::Embedded);
    let main_file = loader.main_file("".as_ref());
    let fleet = compile(&mut loader, &main_file).unwrap();
    let fsu = fleet.fsus.iter().find(|fsu| fsu.transport == Transport::Broadcast).unwrap();
    let device = &fsu.devices[0];
    let check = |key: &str, values: &[(&str, &str)], outcome: Outcome, bytes: usize| {
        let values: Vec<_> = values.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let command = request::find_command(&device.template, key).unwrap();
        let raw = request::build(&device.template, &device.template.commands[command], &values).unwrap();
        for follows in [Follows::Data, Follows::Unknown] {
            let follows = if bytes == 0 { Follows::Unknown } else { follows };
            let mut world = World::new(fsu, Trouble { lost: 0.0, doubled: 0.0, swapped: 0.0 }, 1);
            let patience = Patience { timeout_ms: 100, retries: 1 };
            let mut exchange = Exchange::new(&device.template, raw.clone(), follows, patience, world.now_ms);
            assert_eq!(world.play(peer(1), &mut exchange), outcome, "{key}");
            assert_eq!(exchange.payload().len(), bytes, "{key}");
            if outcome == Outcome::Done {
                assert_eq!(expected(device, command, &raw).holds(exchange.payload()), Some(true), "{key}");
            }
        }
    };
    check("21", &[("DID", "00000017")], Outcome::Done, 80);
    check("22", &[], Outcome::Done, 7);
    check("23", &[("clock", "20260112111730")], Outcome::Done, 0);
    check("24", &[("Para", "02")], Outcome::Done, 11);
    check("24", &[("Para", "09")], Outcome::Refused, 0);
    check("31", &[], Outcome::Done, 4_800);
    check("41", &[], Outcome::Done, 1_000_000);
    check("51", &[("Para", "5A")], Outcome::Done, 0);
    check("51", &[], Outcome::Refused, 0);
}

/// `tests/vectors/broadcast.json`, step by step.
#[test]
fn golden_vectors() {
    let vectors = json_file("tests/vectors/broadcast.json");
    let (fleet, lines) = compiled(&vectors["template"], &vectors["rules"], "broadcast");
    assert_eq!(lines, [""; 0]);
    let fleet = fleet.unwrap();
    let mut world = World::new(&fleet.fsus[0], Trouble { lost: 0.0, doubled: 0.0, swapped: 0.0 }, 1);
    for step in vectors["steps"].as_array().unwrap() {
        world.now_ms = 1_000 + step["ms"].as_u64().unwrap();
        let request = hex::decode(step["request"].as_str().unwrap()).unwrap();
        world.deliver(peer(step["client"].as_u64().unwrap() as u16), &request);
        let replies: Vec<String> = world.inbox.drain(..).map(hex::encode_upper).collect();
        let expected: Vec<&str> = step["replies"].as_array().unwrap().iter().map(|hex| hex.as_str().unwrap()).collect();
        assert_eq!(replies, expected, "{}", step["name"]);
    }
    let counters = &world.state.counters;
    assert_eq!((counters.transfers_opened, counters.transfers_completed), (6, 3));
    assert_eq!((counters.transfers_aborted, counters.transfers_timed_out), (1, 1));
    assert_eq!((counters.transfers_refused, counters.data_frames_resent), (7, 3));
    assert_eq!(counters.dropped_total(), 3);
}

/// What is wrong with a transfer is told where it stands, with what would be right.
#[test]
fn errors_of_the_section() {
    let check = |pointer: &str, value: Value, rules: Value, transport: &str, expected: &[&str]| {
        let mut template = json_file("tests/vectors/broadcast.json")["template"].take();
        *template.pointer_mut(pointer).unwrap() = value;
        let (fleet, lines) = compiled(&template, &rules, transport);
        // Without the place, which is that of the text on one line.
        let lines: Vec<String> =
            lines.iter().map(|line| line.splitn(4, ':').nth(3).unwrap().trim().to_owned()).collect();
        assert_eq!(lines, expected, "{pointer}");
        assert!(fleet.is_none());
    };
    let transfer = |more: Value| {
        let mut all = json!({"data_cmd": "8D", "next_cmd": "80"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let at = "/protocol/transfer";
    let section = |more: Value, expected: &[&str]| check(at, transfer(more), json!({}), "broadcast", expected);
    section(json!({"sn": "Sn"}), &["/protocol/transfer/sn: error: `sn`: no header field `Sn` (did you mean `SN`?)"]);
    section(json!({"did": "Len"}), &["/protocol/transfer/did: error: `did`: `Len` is always computed"]);
    section(json!({"last_bit": 16}), &["/protocol/transfer/last_bit: error: 16 (1 to 15)"]);
    section(
        json!({"chunk_bytes": 65_000}),
        &[
            "/protocol/transfer/chunk_bytes: error: 65000 (1 to 64984: the frame has to fit a datagram, and its size the \
           length fields)",
        ],
    );
    section(json!({"next_cmd": "8D"}), &["/protocol/transfer: error: `data_cmd` and `next_cmd` are the same"]);
    section(
        json!({"refused": {"Typ": "8B"}}),
        &["/protocol/transfer/refused/Typ: error: no header field `Typ` (did you mean `Type`?)"],
    );
    let rule = |bytes: u64| json!({"31": {"data_bytes": {"bytes": bytes}}});
    check(
        at,
        transfer(json!({"last_bit": 3, "chunk_bytes": 10})),
        rule(81),
        "broadcast",
        &[
            "/31/data_bytes: error: 81 bytes of data (at most 80: 8 frames of 10 bytes; a larger `chunk_bytes` carries more)",
        ],
    );
    let missing = json!({"31": {"data_file": "gone.bin"}});
    let text = "/31/data_file: error: gone.bin cannot be read: No such file or directory (os error 2)";
    check(at, transfer(json!({})), missing, "broadcast", &[text]);
    let text = "/fsu_list/0: error: template.json has transfers, which only broadcast carries";
    check(at, transfer(json!({})), json!({}), "udp", &[text]);
    let text = "/31/data_bytes: error: needs a template with a `transfer` section (broadcast)";
    check(at, Value::Null, rule(1), "broadcast", &[text]);
}

/// Places are taken by the transfers of other clients until those are idle, or sent whole.
#[test]
fn transfers_are_bounded() {
    let mut vectors = json_file("tests/vectors/broadcast.json");
    vectors["template"]["protocol"]["transfer"]["transfers_max"] = json!(2);
    let (fleet, lines) = compiled(&vectors["template"], &vectors["rules"], "broadcast");
    assert_eq!(lines, [""; 0]);
    let fleet = fleet.unwrap();
    let template = &fleet.fsus[0].devices[0].template;
    let mut world = World::new(&fleet.fsus[0], Trouble { lost: 0.0, doubled: 0.0, swapped: 0.0 }, 1);
    let request = |key: &str| {
        let command = request::find_command(template, key).unwrap();
        let mut raw = request::build(template, &template.commands[command], &[]).unwrap();
        let mut wire = Vec::new();
        request::finish(template, &mut raw, &mut wire);
        wire
    };
    let accept = template.transfer.as_ref().unwrap().accept.start;
    // Milliseconds, client, command, (frames in answer, their accept).
    for (ms, client, key, expected) in [
        (0, 1, "31", (2, 0)),
        (1, 2, "31", (2, 0)),
        (2, 3, "31", (1, 1)),
        (3, 3, "52", (1, 0)),
        (4, 2, "31", (2, 0)),
        // One frame: complete at once, and so the next may have its place.
        (5, 2, "22", (2, 0)),
        (6, 3, "31", (2, 0)),
        (7, 2, "31", (1, 1)),
        (5_001, 2, "31", (2, 0)),
    ] {
        world.now_ms = 1_000 + ms;
        world.deliver(peer(client), &request(key));
        let replies: Vec<_> = world.inbox.drain(..).collect();
        assert_eq!((replies.len(), replies[0][accept]), expected, "client {client} at {ms} ms");
    }
    assert_eq!(world.state.transfers.len(), 2);
    assert_eq!((world.state.counters.transfers_refused, world.state.counters.transfers_timed_out), (2, 1));
}

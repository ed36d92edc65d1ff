//! Multi-frame transfers, client against FSU over a network that loses, doubles and swaps datagrams.
#![allow(clippy::unwrap_used, missing_docs)]

use fastrand::Rng;
use fsu_core::answer::turn::{Scratch, Turn};
use fsu_core::client::exchange::{Exchange, Follows, Outcome, Patience, Tally, Terms};
use fsu_core::client::request;
use fsu_core::client::verify::expected;
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::stage;
use fsu_core::stage::Incoming;
use fsu_core::state::FsuState;
use fsu_core::state::carry::carry;
use fsu_core::state::transfers as transfer;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::Source;
use fsu_plan::model::fault::{FaultKind, Place, Struck};
use fsu_plan::model::fleet::{Fleet, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::model::reply::Payload;
use fsu_plan::wire::civil::Now;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

fn json_file(relative: &str) -> Value {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(relative);
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
    compiled_with(template, rules, transport, &json!({}))
}

/// Likewise, with faults.
fn compiled_with(template: &Value, rules: &Value, transport: &str, faults: &Value) -> (Option<Fleet>, Vec<String>) {
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
        &json!({"fsu_list": [{"fsuname": "one", "fsuid": "31", "port": 0, "protocol_type": transport, "config_dir": ".", "faults": faults}]}),
    );
    let mut loader = Loader::new(Source::Directory);
    let fleet = compile(&mut loader, &dir.path().join("sys_config.json"));
    let shown = format!("{}/", dir.path().display());
    let lines = loader.diags.lines().map(|line| line.replace(&shown, ""));
    // The rules here are for the command that a test asks.
    let lines = lines.filter(|line| !line.contains("warning: no rule file has "));
    (fleet, lines.collect())
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
        let moment = Moment::at(now, self.now_ms);
        let mut replies = Replies::default();
        let (run, fsu, state, scratch) = (&run, self.fsu, &mut self.state, &mut self.scratch);
        stage::on_datagram(&mut Turn { run, fsu, state, scratch, moment }, Incoming { peer, bytes }, &mut replies);
        for bytes in replies.sent().map(|sent| sent.bytes.to_vec()) {
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

/// 1,000 transfers, each right to the last byte or reported as failed. `TRANSFER_BYTES=1000000` plays them in full size.
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

/// Where much is lost and little asked for again, a transfer is whole or reported as failed, and never takes longer than its
/// frames may: both the waits and the restarts are bounded.
#[test]
fn a_failure_is_told_within_its_bound() {
    let fleet = fleet_with(&json!({"41": {"data_bytes": {"bytes": 10_000, "seed": 7}}}));
    let device = &fleet.fsus[0].devices[0];
    let command = request::find_command(&device.template, "41").unwrap();
    let raw = request::build(&device.template, &device.template.commands[command], &[]).unwrap();
    let should = expected(device, command, &raw);
    let (frames, patience) = (11, Patience { timeout_ms: 100, retries: 2 });
    let (mut done, mut failed) = (0, 0);
    for seed in 0..300 {
        let mut world = World::new(&fleet.fsus[0], Trouble { lost: 0.3, doubled: 0.05, swapped: 0.05 }, seed);
        let begin_ms = world.now_ms;
        let mut exchange = Exchange::new(&device.template, raw.clone(), Follows::Data, patience, begin_ms);
        match world.play(peer(1), &mut exchange) {
            Outcome::Done => {
                assert_eq!(should.holds(exchange.payload()), Some(true));
                done += 1;
            }
            outcome => {
                assert!(matches!(outcome, Outcome::TimedOut | Outcome::Lost), "{outcome:?}");
                failed += 1;
            }
        }
        let tries = u64::from(patience.retries + 1);
        // And a millisecond for each datagram that came.
        let most_ms = frames * tries * tries * patience.timeout_ms + 1_000;
        assert!(world.now_ms - begin_ms <= most_ms, "{} ms of {most_ms}", world.now_ms - begin_ms);
        assert!(exchange.tally().sent <= frames * tries * tries);
    }
    assert!(done > 10 && failed > 10, "{done} whole, {failed} failed");
}

/// An exchange in another's place takes the next number, and nothing that was meant for that.
#[test]
fn the_next_command_has_the_next_number() {
    let fleet = fleet_with(&json!({"41": {"data_bytes": {"bytes": 3_000}}, "51": {}}));
    let template = &fleet.fsus[0].devices[0].template;
    let raw = |key: &str| {
        let command = request::find_command(template, key).unwrap();
        request::build(template, &template.commands[command], &[]).unwrap()
    };
    let (sn, patience) = (8, Patience { timeout_ms: 100, retries: 1 });
    let mut world = World::new(&fleet.fsus[0], Trouble { lost: 0.0, doubled: 0.0, swapped: 0.0 }, 1);
    let mut exchange = Exchange::new(template, raw("41"), Follows::Data, patience, world.now_ms);
    let stale = exchange.to_send().unwrap().to_vec();
    world.deliver(peer(1), &stale);
    exchange.again(template, &raw("51"), Terms { follows: Follows::Nothing, patience }, world.now_ms);
    assert_eq!(exchange.request()[sn..sn + 2], [1, 0]);
    for late in world.inbox.drain(..).collect::<Vec<_>>() {
        assert!(!exchange.on_frame(&late, 1_001), "what belongs to the one before");
    }
    assert_eq!((exchange.outcome(), exchange.tally().passed_over), (None, 2));
    assert_eq!(world.play(peer(1), &mut exchange), Outcome::Done);
    exchange.again(template, &raw("41"), Terms { follows: Follows::Data, patience }, world.now_ms);
    assert_eq!(world.play(peer(1), &mut exchange), Outcome::Done);
    assert_eq!((exchange.payload().len(), exchange.request()[sn]), (3_000, 2));
}

/// What the FSU sends and when, and which faults it records.
struct Told {
    sent: Vec<(i64, Vec<u8>)>,
    faults: Vec<FaultKind>,
    places: Vec<Place>,
}

impl Told {
    fn new(replies: &Replies) -> Self {
        let (faults, places) = replies.faults().unzip();
        Self { sent: replies.sent().map(|sent| (sent.due_ns, sent.bytes.to_vec())).collect(), faults, places }
    }
}

/// A command, a demand, the demand again: what is sent, and the faults reported.
fn with_faults(faults: &Value) -> (Told, u64) {
    let vectors = json_file("tests/vectors/broadcast.json");
    let (fleet, lines) = compiled_with(&vectors["template"], &vectors["rules"], "broadcast", faults);
    assert_eq!(lines, [""; 0]);
    let fleet = fleet.unwrap();
    let (mut state, mut scratch, mut replies) = (FsuState::new(&fleet.fsus[0]), Scratch::default(), Replies::default());
    let run = RunContext { seed: 1, skip_delay: false, start_mono_ms: 0 };
    let moment = Moment::at(Now { unix_ms: 1_000, utc_offset_s: 0 }, 0);
    for name in ["transfer_again", "demand", "demand_repeated"] {
        let step = vectors["steps"].as_array().unwrap().iter().find(|step| step["name"] == name).unwrap();
        let wire = hex::decode(step["request"].as_str().unwrap()).unwrap();
        let (run, fsu, state, scratch) = (&run, &fleet.fsus[0], &mut state, &mut scratch);
        let incoming = Incoming { peer: peer(1), bytes: &wire };
        stage::on_datagram(&mut Turn { run, fsu, state, scratch, moment }, incoming, &mut replies);
    }
    (Told::new(&replies), state.counters.faults.iter().sum())
}

/// Every kind of fault happens to answer, first frame, demanded frame and repeated frame alike, is counted and reported.
#[test]
fn every_frame_of_a_transfer_has_faults() {
    let (clean, _) = with_faults(&json!({}));
    let frames: Vec<Vec<u8>> = clean.sent.into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!((frames.len(), clean.faults.len()), (4, 0));
    let check = |faults: Value, kind: FaultKind, copies: usize, due_ms: i64, right: fn(&[u8], &[u8]) -> bool| {
        let (told, counted) = with_faults(&faults);
        assert_eq!(told.faults, vec![kind; frames.len()], "{faults}");
        assert_eq!(counted, frames.len() as u64, "{faults}");
        assert_eq!(told.sent.len(), copies * frames.len(), "{faults}");
        for (at, (due_ns, bytes)) in told.sent.iter().enumerate() {
            assert_eq!(*due_ns, (1_000 + due_ms) * 1_000_000, "{faults}");
            let clean = &frames[at / copies];
            assert!(right(clean, bytes), "{faults}: {} of {}", hex::encode_upper(bytes), hex::encode_upper(clean));
        }
    };
    let same: fn(&[u8], &[u8]) -> bool = |clean, sent| clean == sent;
    check(json!({"drop": 1}), FaultKind::Drop, 0, 0, same);
    check(json!({"duplicate": 1}), FaultKind::Duplicate, 2, 0, same);
    check(json!({"extra_delay_ms": {"p": 1, "ms": 70}}), FaultKind::ExtraDelay, 1, 70, same);
    check(json!({"reorder_ms": {"p": 1, "ms": 30}}), FaultKind::Reorder, 1, 30, same);
    check(json!({"truncate": 1}), FaultKind::Truncate, 1, 0, |clean, sent| {
        sent.len() < clean.len() && clean.starts_with(sent)
    });
    check(json!({"corrupt": 1}), FaultKind::Corrupt, 1, 0, |clean, sent| {
        clean.iter().zip(sent).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>() == 1
    });
    check(json!({"garbage": 1}), FaultKind::Garbage, 1, 0, |clean, sent| clean.len() == sent.len() && clean != sent);
    check(json!({"bad_checksum": 1}), FaultKind::BadChecksum, 1, 0, |clean, sent| {
        sent[15] == !clean[15] && sent[..15] == clean[..15] && sent[16..] == clean[16..]
    });
    check(json!({"wrong_type": 1}), FaultKind::WrongType, 1, 0, |clean, sent| {
        let sum = sent[..15].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        sent[12] != clean[12] && sent[15] == sum && sent[16..] == clean[16..]
    });
}

#[test]
fn h08_each_frame_of_a_transfer_is_told_by_what_it_is() {
    // Message, reply, of how many, what it is, SN: the answer and its first frame, a demand, the same again.
    let expected = [
        (1, 1, 2, Struck::Answer, None),
        (1, 2, 2, Struck::Data, Some(0)),
        (2, 1, 1, Struck::Data, Some(1)),
        (3, 1, 1, Struck::Data, Some(1)),
    ];
    for faults in [json!({"drop": 1}), json!({"corrupt": 1}), json!({"duplicate": 1})] {
        let places = with_faults(&faults).0.places;
        let told: Vec<_> = places.iter().map(|at| (at.message, at.reply, at.of, at.frame, at.sn)).collect();
        assert_eq!(told, expected, "{faults}");
    }
}

/// Copied fields on both sides of the border between header and data: one copy for the compiler, two things for a transfer.
#[test]
fn a_copy_does_not_run_over_the_border() {
    let mut template = json_file("tests/vectors/broadcast.json")["template"].take();
    let protocol = &mut template["protocol"];
    protocol["pdu_left"].as_array_mut().unwrap().pop();
    protocol.as_object_mut().unwrap().remove("checksum");
    // Accept, now the header's last field, and `echo` are both the request's.
    protocol["data_frame"][1]["resp_data_list"].as_array_mut().unwrap().remove(1);
    let check = |rule: Value, data: &str| {
        let (fleet, lines) = compiled(&template, &json!({"22": rule}), "broadcast");
        assert!(lines.iter().all(|line| line.contains("warning")), "{lines:?}");
        let fleet = fleet.unwrap();
        let mut world = World::new(&fleet.fsus[0], Trouble { lost: 0.0, doubled: 0.0, swapped: 0.0 }, 1);
        world.deliver(peer(1), &hex::decode("FEE0A78A0000000009000400220000DEADBEEF").unwrap());
        let sent: Vec<String> = world.inbox.drain(..).map(hex::encode_upper).collect();
        assert_eq!(sent[0], "FEE0A78B0000000009000000220000");
        assert_eq!(sent[1], format!("FEE0A78B000000000080{:02X}008D0000{data}", data.len() / 2));
    };
    check(json!({}), "DEADBEEF");
    check(json!({"data_bytes": {"bytes": 2, "seed": 7}}), "D70D");
}

/// Data that a rule builds is compared as far as it is known: constants, and what is the request's.
#[test]
fn built_data_is_verified_as_far_as_it_is_known() {
    let mut template = json_file("tests/vectors/broadcast.json")["template"].take();
    let list = template.pointer_mut("/protocol/data_frame/1/resp_data_list").unwrap().as_array_mut().unwrap();
    list.push(json!({"name": "clock", "length": 2, "type": "hex"}));
    list.push(json!({"name": "mark", "length": 1, "type": "hex", "value": "5A"}));
    let rules = json!({"22": {"data": {"clock": "${hour()}$${minute()}$"}}});
    let (fleet, lines) = compiled(&template, &rules, "broadcast");
    assert_eq!(lines, [""; 0]);
    let fleet = fleet.unwrap();
    let device = &fleet.fsus[0].devices[0];
    let command = request::find_command(&device.template, "22").unwrap();
    let values = [("echo".to_owned(), "DEADBEEF".to_owned())];
    let raw = request::build(&device.template, &device.template.commands[command], &values).unwrap();
    let should = expected(device, command, &raw);
    for (payload, right) in [
        ("DEADBEEF00005A", true),
        ("DEADBEEF17305A", true),
        ("DEADBEEE17305A", false),
        ("DEADBEEF17305B", false),
        ("DEADBEEF1730", false),
        ("", false),
    ] {
        assert_eq!(should.holds(&hex::decode(payload).unwrap()), Some(right), "{payload}");
    }
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

/// Errors in a `transfer` section are reported at their place, with the right value.
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

/// What a transfer carries is let go of once it is idle for its time after a reload, though nothing more comes for it.
#[test]
fn h13_an_idle_transfer_releases_the_data_of_a_plan_that_is_gone() {
    let vectors = json_file("tests/vectors/broadcast.json");
    let fleet = || {
        let (fleet, lines) = compiled(&vectors["template"], &vectors["rules"], "broadcast");
        assert_eq!(lines, [""; 0]);
        fleet.unwrap()
    };
    let (old, new) = (fleet(), fleet());
    let device = &old.fsus[0].devices[0];
    let payloads: Vec<_> = device
        .rules
        .iter()
        .flatten()
        .flat_map(|rule| &rule.replies)
        .filter_map(|reply| match &reply.payload {
            Payload::Static(bytes) => Some(Arc::downgrade(bytes)),
            _ => None,
        })
        .collect();
    // Rules with the same data share it.
    let alive = || payloads.iter().filter(|bytes| bytes.upgrade().is_some()).count();
    let template = &device.template;
    let mut world = World::new(&old.fsus[0], Trouble { lost: 0.0, doubled: 0.0, swapped: 0.0 }, 1);
    let command = request::find_command(template, "31").unwrap();
    let mut raw = request::build(template, &template.commands[command], &[]).unwrap();
    let mut wire = Vec::new();
    request::finish(template, &mut raw, &mut wire);
    let timeout_ms = template.transfer.as_ref().unwrap().timeout_ms;
    let opened_ms = world.now_ms;
    world.deliver(peer(1), &wire);
    let state = std::mem::replace(&mut world.state, FsuState::new(&new.fsus[0]));
    let mut state = carry(state, &old.fsus[0], &new.fsus[0]);
    drop(world);
    drop(old);
    assert_eq!((state.transfers.len(), alive() > 0), (1, true));
    assert_eq!(transfer::sweep(&mut state, &new.fsus[0], opened_ms), Some(timeout_ms));
    assert_eq!((state.transfers.len(), alive() > 0), (1, true));
    assert_eq!(transfer::sweep(&mut state, &new.fsus[0], opened_ms + timeout_ms), None);
    assert_eq!((state.transfers.len(), alive()), (0, 0));
}

//! The fault ledger, line by line: every reply that a client saw damaged, duplicated, late or missing has one line with its number
//! and kind, and no line is left over.

use crate::broadcast;
use crate::harness::{Ended, Run, Tree, fsu};
use crate::wire::{meter, reply, request};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

const ID: &str = "20250125";
const METER: [u8; 2] = [1, 1];
/// Replies of a burst.
const BURST: u16 = 6;

/// A line: message, reply, of how many, what it is, SN, kind.
type Line = (u64, u64, u64, String, Option<u64>, String);

/// One frame that a client may see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Expected {
    message: u64,
    reply: u64,
    of: u64,
    frame: &'static str,
    sn: Option<u64>,
    bytes: Vec<u8>,
}

impl Expected {
    fn line(&self, kind: &str) -> Line {
        (self.message, self.reply, self.of, self.frame.to_owned(), self.sn, kind.to_owned())
    }
}

/// The lines of the ledger; no two are the same.
fn ledger(tree: &Tree) -> BTreeSet<Line> {
    let text = std::fs::read_to_string(tree.path("ledger.jsonl")).expect("a ledger");
    let mut lines = BTreeSet::new();
    for text in text.lines() {
        // The columns in their order: what reads the first four goes on as before.
        let mut keys: Vec<&str> = text.split("\":").filter_map(|before| before.rsplit('"').next()).collect();
        // What is behind the last colon.
        keys.pop();
        let line: Value = serde_json::from_str(text).expect("a line of JSON");
        let known = if line["frame"] == "data" { KEYS } else { &KEYS[..KEYS.len() - 1] };
        assert_eq!(keys, known, "{text}");
        let (number, word) =
            (|key: &str| line[key].as_u64(), |key: &str| line[key].as_str().expect("a text").to_owned());
        let place = [number("message"), number("reply"), number("of")].map(|number| number.expect("a number"));
        let line = (place[0], place[1], place[2], word("frame"), number("sn"), word("kind"));
        assert!(lines.insert(line), "twice: {text}");
    }
    lines
}

const KEYS: &[&str] = &["time", "fsu", "message", "kind", "reply", "of", "frame", "sn"];

fn start(tree: &Tree) -> Run {
    let path = tree.path("ledger.jsonl");
    Run::start(tree, &["--fault-ledger", path.to_str().expect("a plain path"), "--seed", "3"])
}

/// What became of a frame: what may have been done to its bytes, by kind, and one flipped bit.
type Damaged = fn(&[u8]) -> Vec<(Vec<&'static str>, Vec<u8>)>;

/// What was received is each one of those expected; the kinds that this shows.
fn seen(expected: &[Expected], got: &[(Vec<u8>, bool)], damaged: Damaged) -> BTreeSet<Line> {
    let mut came: BTreeMap<&Expected, (usize, Vec<&str>)> = BTreeMap::new();
    for (bytes, is_late) in got {
        let mut found = Vec::new();
        for frame in expected {
            for (mut kinds, right) in damaged(&frame.bytes) {
                let apart = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
                match (bytes.len() == right.len()).then(|| apart(bytes, &right)) {
                    Some(0) => found.push((frame, kinds)),
                    Some(1) => {
                        kinds.push("corrupt");
                        found.push((frame, kinds));
                    }
                    _ => {}
                }
            }
        }
        let [(frame, kinds)] = &mut found[..] else { panic!("{}: {found:?}", hex::encode_upper(bytes)) };
        if *is_late {
            kinds.push("late");
        }
        let (count, before) = came.entry(*frame).or_default();
        *count += 1;
        assert!(*count == 1 || before == kinds, "copies differ: {frame:?} {before:?} {kinds:?}");
        before.clone_from(kinds);
    }
    let mut lines = BTreeSet::new();
    for frame in expected {
        match came.get(frame) {
            None => lines.extend([frame.line("drop")]),
            Some((count, kinds)) => {
                assert!(*count <= 2, "{frame:?}");
                lines.extend(kinds.iter().chain((*count == 2).then_some(&"duplicate")).map(|kind| frame.line(kind)));
            }
        }
    }
    lines
}

/// The ledger tells what was seen, the counters too, and each kind came up; `late`: the kind that makes replies late.
fn reconcile(tree: &Tree, ended: &Ended, seen: BTreeSet<Line>, late: &str, kinds: &[&str]) {
    let seen = seen.into_iter().map(|mut line| {
        if line.5 == "late" {
            late.clone_into(&mut line.5);
        }
        line
    });
    let (seen, told): (BTreeSet<Line>, _) = (seen.collect(), ledger(tree));
    assert_eq!(told.symmetric_difference(&seen).collect::<Vec<_>>(), Vec::<&Line>::new());
    assert_eq!(ended.count("/totals/faults_total"), told.len() as u64);
    assert_eq!(ended.count("/log/ledger_lines_written"), told.len() as u64);
    let came: BTreeSet<&str> = told.iter().map(|line| &*line.5).collect();
    assert_eq!(came.into_iter().collect::<Vec<_>>(), kinds);
}

/// Far from each other, so that a flipped bit makes none of them another.
fn code(number: u16) -> [u8; 2] {
    (0x1111 * number).to_be_bytes()
}

/// Command 01 is answered with a burst, whose levels tell them apart; 05 at once and right, 03 when all else is over.
fn bursting(transport: &str, faults: &Value) -> Tree {
    let tree = Tree::new(&[fsu("site", ID, transport, &json!({}))], &json!({}));
    let level = |number: u16| json!({"level": u16::from_be_bytes(code(number))});
    let cycle: Vec<Value> = (1..=BURST).map(level).collect();
    let rules = json!({
        "01": {"cycle": cycle, "burst": BURST, "faults": faults},
        "03": {"delay": {"fixed": 2500}},
        "05": {},
    });
    tree.write("meter/rules/default.json", &rules.to_string());
    tree
}

/// The replies to the burst of that tag, inner frames.
fn burst(message: u64, tag: [u8; 2]) -> impl Iterator<Item = Expected> {
    (1..=BURST).map(move |number| {
        let bytes = meter(1, 1, &[tag, code(number)].concat());
        Expected { message, reply: number.into(), of: BURST.into(), frame: "reply", sn: None, bytes }
    })
}

/// The meter's frame as it is, and with a wrong checksum.
fn inner_damaged(frame: &[u8]) -> Vec<(Vec<&'static str>, Vec<u8>)> {
    let mut wrong = frame.to_vec();
    let at = wrong.len() - 2;
    wrong[at] = !wrong[at];
    vec![(vec![], frame.to_vec()), (vec!["bad_checksum"], wrong)]
}

/// The outer frame without its escapes around an inner frame, with and without a wrong checksum, and with a wrong P_verify.
fn outer_damaged(inner: &[u8]) -> Vec<(Vec<&'static str>, Vec<u8>)> {
    let mut all = Vec::new();
    for (kinds, inner) in inner_damaged(inner) {
        let right = plain(&reply(ID, METER, &inner));
        let mut wrong = right.clone();
        let at = wrong.len() - 2;
        wrong[at] = !wrong[at];
        all.push((kinds.clone(), right));
        all.push(([kinds, vec!["bad_verify"]].concat(), wrong));
    }
    all
}

/// A frame without its escapes.
fn plain(wire: &[u8]) -> Vec<u8> {
    let mut bytes = wire.iter();
    let mut plain = Vec::new();
    while let Some(&byte) = bytes.next() {
        plain.push(if byte == 0xFD { 0xFF - bytes.next().expect("an escape") } else { byte });
    }
    plain
}

#[test]
fn h08_each_reply_of_a_burst_over_udp() {
    let late = json!({"p": 0.2, "ms": 1000});
    let faults = json!({"drop": 0.2, "duplicate": 0.2, "corrupt": 0.2, "bad_checksum": 0.2, "bad_verify": 0.2, "extra_delay_ms": late});
    let tree = bursting("udp", &faults);
    let run = start(&tree);
    let centre = run.udp("site");
    let (mut expected, mut got, mut message) = (Vec::new(), Vec::new(), 0);
    for number in 1..15 {
        centre.send(&request(ID, METER, &meter(1, 1, &code(number))));
        let fence = meter(1, 5, &[7, 7, 7, number as u8]);
        centre.send(&request(ID, METER, &fence));
        expected.extend(burst(message + 1, code(number)));
        message += 2;
        let fence = reply(ID, METER, &fence);
        got.extend(
            std::iter::from_fn(|| Some(centre.receive()).filter(|got| *got != fence)).map(|got| (plain(&got), false)),
        );
    }
    // All that is late comes before this.
    let end = meter(1, 3, &[9, 9]);
    centre.send(&request(ID, METER, &end));
    let end = reply(ID, METER, &end);
    got.extend(std::iter::from_fn(|| Some(centre.receive()).filter(|got| *got != end)).map(|got| (plain(&got), true)));
    let ended = run.stop();
    let seen = seen(&expected, &got, outer_damaged);
    let kinds = ["bad_checksum", "bad_verify", "corrupt", "drop", "duplicate", "extra_delay"];
    reconcile(&tree, &ended, seen, "extra_delay", &kinds);
}

#[test]
fn h08_each_reply_of_a_burst_over_tcp() {
    let late = json!({"p": 0.2, "ms": 1000});
    let tree = bursting(
        "tcp",
        &json!({"drop": 0.2, "duplicate": 0.2, "corrupt": 0.2, "bad_checksum": 0.2, "reorder_ms": late}),
    );
    let run = start(&tree);
    let mut centre = run.tcp("site");
    let (mut expected, mut got, mut message) = (Vec::new(), Vec::new(), 0);
    // No fault changes how long a frame is, and all that matter have the same size.
    let receive = |centre: &mut crate::harness::Tcp, size: usize| {
        let mut frame = vec![0; size];
        centre.0.read_exact(&mut frame).expect("a frame in time");
        frame
    };
    for number in 1..15 {
        let fence = meter(1, 5, &[7, 7, 7, number as u8]);
        centre.send(&[meter(1, 1, &code(number)), fence.clone()].concat());
        expected.extend(burst(message + 1, code(number)));
        message += 2;
        let size = fence.len();
        got.extend(
            std::iter::from_fn(|| Some(receive(&mut centre, size)).filter(|got| *got != fence)).map(|got| (got, false)),
        );
    }
    let end = meter(1, 3, &[9, 9]);
    centre.send(&end);
    // The last one is shorter by two bytes.
    let mut rest = Vec::new();
    while !rest.ends_with(&end) {
        rest.extend(receive(&mut centre, 1));
    }
    rest.truncate(rest.len() - end.len());
    got.extend(rest.chunks(meter(1, 5, &[0; 4]).len()).map(|frame| (frame.to_vec(), true)));
    let ended = run.stop();
    let seen = seen(&expected, &got, inner_damaged);
    reconcile(&tree, &ended, seen, "reorder", &["bad_checksum", "corrupt", "drop", "duplicate", "reorder"]);
}

/// A connection that ends in the midst of a burst: the replies from there on are told, each once.
#[test]
fn h08_a_burst_that_is_cut_short() {
    let tree = bursting("tcp", &json!({"half_close": 0.2}));
    let run = start(&tree);
    let (mut lines, mut lengths) = (BTreeSet::new(), BTreeSet::new());
    for number in 1..15 {
        let mut centre = run.tcp("site");
        centre.send(&meter(1, 1, &code(number)));
        let mut bytes = Vec::new();
        let expected: Vec<Expected> = burst(number.into(), code(number)).collect();
        let whole: usize = expected.iter().map(|frame| frame.bytes.len()).sum();
        centre.0.by_ref().take(whole as u64).read_to_end(&mut bytes).expect("the burst or its end");
        let came =
            bytes.chunks(expected[0].bytes.len()).zip(&expected).filter(|(got, frame)| *got == frame.bytes).count();
        assert_eq!(bytes.len(), came * expected[0].bytes.len());
        lines.extend(expected[came..].iter().map(|frame| frame.line("half_close")));
        lengths.insert(came);
    }
    let ended = run.stop();
    assert!(lengths.len() > 2, "{lengths:?}");
    reconcile(&tree, &ended, lines, "", &["half_close"]);
}

/// A header of the BroadCast template, and what is behind it.
fn frame(kind: u8, did: [u8; 4], sn: u16, (cmd, para): (u8, u8), data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xFE, 0xE0, 0xA7, kind];
    frame.extend(did);
    frame.extend(sn.to_le_bytes());
    frame.extend((data.len() as u16).to_le_bytes());
    frame.extend([cmd, para, 0]);
    frame.push(frame.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)));
    frame.extend(data);
    frame
}

/// A frame as it is, and with a wrong checksum.
fn header_damaged(frame: &[u8]) -> Vec<(Vec<&'static str>, Vec<u8>)> {
    let mut wrong = frame.to_vec();
    wrong[15] = !wrong[15];
    vec![(vec![], frame.to_vec()), (vec!["bad_checksum"], wrong)]
}

/// 250 bytes: four data frames, of 64 bytes but for the last.
fn data() -> Vec<u8> {
    let mut state = 9u64;
    let numbers = std::iter::from_fn(|| {
        // SplitMix64, as docs/describe/broadcast.md has it.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some((z ^ (z >> 31)).to_le_bytes())
    });
    numbers.flatten().take(250).collect()
}

#[test]
fn h08_each_frame_of_a_transfer() {
    let late = json!({"p": 0.2, "ms": 1000});
    let faults = json!({"drop": 0.2, "duplicate": 0.2, "corrupt": 0.2, "bad_checksum": 0.2, "extra_delay_ms": late});
    let tree = broadcast::tree(1, &json!({"faults": faults}));
    let right =
        json!({"drop": 0, "duplicate": 0, "corrupt": 0, "bad_checksum": 0, "extra_delay_ms": {"p": 0, "ms": 1}});
    let rules = json!({
        "31": {"data_bytes": {"bytes": 250, "seed": 9}},
        "52": [
            {"when": {"Para": "01"}, "faults": right},
            {"when": {"Para": "02"}, "faults": right, "delay": {"fixed": 2500}},
            {},
        ],
    });
    tree.write("bc/default.json", &rules.to_string());
    let run = start(&tree);
    let client = run.udp("site0");
    let (mut expected, mut got, mut message) = (Vec::new(), Vec::new(), 0u64);
    let payload = data();
    let mut exchange = |asked: &[u8], replies: Vec<(&'static str, Option<u64>, Vec<u8>)>, is_last: bool| {
        client.send(asked);
        // Of no device id that has a transfer.
        let fence = (0x52, if is_last { 2 } else { 1 });
        client.send(&frame(0x8A, [0; 4], message as u16, fence, &[]));
        let of = replies.len() as u64;
        for (reply, (frame, sn, bytes)) in (1..).zip(replies) {
            expected.push(Expected { message: message + 1, reply, of, frame, sn, bytes });
        }
        let fence = frame(0x8B, [0; 4], message as u16, fence, &[]);
        message += 2;
        got.extend(std::iter::from_fn(|| Some(client.receive()).filter(|got| *got != fence)).map(|got| (got, is_last)));
    };
    for number in 1..15u16 {
        let did = [code(number), code(number)].concat().try_into().expect("four bytes");
        let chunk = |sn: u16| {
            let last = sn == 3;
            let bytes = payload[64 * usize::from(sn)..].chunks(64).next().expect("data");
            ("data", Some(sn.into()), frame(0x8B, did, sn | if last { 0x8000 } else { 0 }, (0x8D, 0), bytes))
        };
        let answer = ("answer", None, frame(0x8B, did, 500 + number, (0x31, 0), &[]));
        exchange(&frame(0x8A, did, 500 + number, (0x31, 0), &[]), vec![answer, chunk(0)], false);
        for sn in 1..4 {
            exchange(&frame(0x8A, did, sn, (0x80, 0), &[]), vec![chunk(sn)], false);
        }
        // Without data.
        let answer = ("answer", None, frame(0x8B, did, 600 + number, (0x52, 0), &[]));
        exchange(&frame(0x8A, did, 600 + number, (0x52, 0), &[]), vec![answer], false);
    }
    // All that is late comes before this. The command before it is answered right, too.
    exchange(&frame(0x8A, [1; 4], 1, (0x52, 1), &[]), Vec::new(), true);
    let is_other = |frame: &(Vec<u8>, bool)| frame.0[4..8] != [1; 4];
    got.retain(is_other);
    let ended = run.stop();
    let seen = seen(&expected, &got, header_damaged);
    assert!(seen.iter().any(|line| line.3 == "data" && line.1 == 2) && seen.iter().any(|line| line.3 == "answer"));
    reconcile(&tree, &ended, seen, "extra_delay", &["bad_checksum", "corrupt", "drop", "duplicate", "extra_delay"]);
}

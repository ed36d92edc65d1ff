//! Faults on purpose: clients, ledger and counters agree.

use crate::harness::{Ended, PATIENCE, Run, Tree, fsu};
use crate::wire::{lamp, meter, reply, request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const ID: &str = "20250125";
const METER: [u8; 2] = [1, 1];
const LAMP: [u8; 2] = [1, 2];
/// A command that is answered at once and without faults: whatever arrives before its reply belongs to the previous request.
const FENCE: u8 = 3;

/// The lines of the ledger, by message: the kinds in it.
fn ledger(tree: &Tree) -> BTreeMap<u64, Vec<String>> {
    let text = std::fs::read_to_string(tree.path("ledger.jsonl")).expect("a ledger");
    let mut by_message: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |key: &str| line[key].as_str().unwrap_or_else(|| panic!("{key} in {line}")).to_owned();
        assert_eq!(text("fsu"), "site");
        assert!(text("time").ends_with('Z'), "{line}");
        by_message.entry(line["message"].as_u64().expect("a number")).or_default().push(text("kind"));
    }
    by_message
}

/// Counters and ledger agree, by kind.
fn reconcile(ended: &Ended, told: &BTreeMap<u64, Vec<String>>) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    told.values().flatten().for_each(|kind| *counts.entry(kind).or_default() += 1);
    let counted: BTreeMap<&str, u64> = ended.stats["totals"]["faults"]
        .as_object()
        .expect("faults")
        .iter()
        .map(|(kind, count)| (kind.as_str(), count.as_u64().expect("a number")))
        .filter(|&(_, count)| count > 0)
        .collect();
    assert_eq!(counts, counted);
    assert_eq!(ended.count("/log/ledger_lines_written"), counts.values().sum::<u64>());
    assert_eq!(ended.count("/log/ledger_lines_lost"), 0);
}

fn start(tree: &Tree, more: &[&str]) -> Run {
    let path = tree.path("ledger.jsonl");
    let ledger = ["--fault-ledger", path.to_str().expect("a plain path")];
    Run::start(tree, &[&ledger[..], more].concat())
}

/// The frame without its escapes; `None`: no frame.
fn plain(wire: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let mut bytes = wire.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(if byte == 0xFD { 0xFF - bytes.next().filter(|&&code| code <= 2)? } else { byte });
    }
    Some(plain)
}

/// What happened to a reply that should have been `right`.
fn seen(right: &[u8], got: &[Vec<u8>]) -> Vec<&'static str> {
    let Some(first) = got.first() else { return vec!["drop"] };
    let mut kinds = Vec::new();
    if *first != right {
        let bits = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
        let right_plain = plain(right).expect("a frame");
        match plain(first).filter(|frame| frame.len() == right_plain.len()).map(|frame| bits(&frame, &right_plain)) {
            Some(1) => kinds.push("corrupt"),
            Some(8) => kinds.push("bad_verify"),
            Some(7 | 9) => kinds.extend(["bad_verify", "corrupt"]),
            _ if right.starts_with(first) => kinds.push("truncate"),
            _ => kinds.push("garbage"),
        }
    }
    if got.len() == 2 {
        assert_eq!(got[0], got[1]);
        kinds.push("duplicate");
    }
    kinds
}

#[test]
fn the_ledger_tells_what_the_centre_saw() {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({"faults": {"drop": 0.9, "duplicate": 0.3}}))], &json!({}));
    // The closest wins, key by key.
    let rules = json!({
        "01": {"data": {"level": 513}, "faults": {"drop": 0.3}},
        "03": {"faults": {"drop": 0, "duplicate": 0}},
        "05": {"faults": {"drop": 0, "corrupt": 0.4, "bad_verify": 0.4}},
    });
    tree.write("meter/rules/default.json", &rules.to_string());
    let rules = json!({"01": {"data": {"state": "80"}, "faults": {"drop": 0, "truncate": 0.4, "garbage": 0.3}}});
    tree.write("lamp/rules/default.json", &rules.to_string());
    let mut ledgers = Vec::new();
    // The device log is off in performance mode; the ledger is not.
    for args in [&["--seed", "7"][..], &["--seed", "7", "--performance"], &["--seed", "8"]] {
        let run = start(&tree, args);
        let centre = run.udp("site");
        let mut expected: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        let mut message = 0u64;
        for number in 0..150u8 {
            let asked = [
                (METER, meter(1, 1, &[0, number]), meter(1, 1, &[0, number, 2, 1])),
                (METER, meter(1, 5, &[0xFF, 0xFE, 0xFD, number]), meter(1, 5, &[0xFF, 0xFE, 0xFD, number])),
                (LAMP, lamp(1, number), lamp(1, 0x80)),
            ];
            for (device, frame, answer) in asked {
                message += 1;
                centre.send(&request(ID, device, &frame));
                let fence = meter(1, FENCE, &message.to_be_bytes()[6..]);
                centre.send(&request(ID, METER, &fence));
                let fence = reply(ID, METER, &fence);
                let got: Vec<Vec<u8>> =
                    std::iter::from_fn(|| Some(centre.receive()).filter(|got| *got != fence)).collect();
                let kinds = seen(&reply(ID, device, &answer), &got);
                if !kinds.is_empty() {
                    expected.insert(message, kinds.into_iter().map(str::to_owned).collect());
                }
                message += 1;
            }
        }
        let ended = run.stop();
        let told = ledger(&tree);
        assert_eq!(told, expected);
        assert!(told.len() > 150, "{}", told.len());
        reconcile(&ended, &told);
        ledgers.push(told);
    }
    assert_eq!(ledgers[0], ledgers[1]);
    assert_ne!(ledgers[0], ledgers[2]);
}

/// A tcp FSU whose command 01 has these faults.
fn tcp(faults: &Value) -> Tree {
    let tree = Tree::new(&[fsu("site", ID, "tcp", &json!({}))], &json!({}));
    let rules = json!({"01": {"data": {"level": 513}, "faults": faults}, "05": {}});
    tree.write("meter/rules/default.json", &rules.to_string());
    tree
}

#[test]
fn connections_end_as_told() {
    let before = meter(1, 5, &[1, 2, 3, 4]);
    let check = |kind: &str, requests: u8, expected: fn(std::io::Result<usize>) -> bool| {
        let tree = tcp(&json!({kind: 1}));
        let run = start(&tree, &[]);
        let mut centre = run.tcp("site");
        centre.send(&before);
        centre.expect(&before);
        centre.send(&(0..requests).flat_map(|number| meter(1, 1, &[0, number])).collect::<Vec<u8>>());
        if kind == "stall" {
            // Nothing to wait for; a reply would come at once.
            centre.0.set_read_timeout(Some(Duration::from_millis(300))).expect("not zero");
        }
        let got = centre.0.read(&mut [0; 64]);
        assert!(expected(centre_result(&got)), "{kind}: {got:?}");
        let ended = run.stop();
        let told = ledger(&tree);
        // Message 1 was answered; every other one is in the ledger.
        assert_eq!(told, (0..u64::from(requests)).map(|number| (2 + number, vec![kind.to_owned()])).collect());
        reconcile(&ended, &told);
        assert_eq!(ended.count("/totals/answered"), 1);
    };
    check("reset", 1, |got| got.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    check("half_close", 1, |got| got.is_ok_and(|count| count == 0));
    check("stall", 3, |got| {
        got.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    });
}

/// A result that can be read twice.
fn centre_result(got: &std::io::Result<usize>) -> std::io::Result<usize> {
    got.as_ref().map(|count| *count).map_err(|error| error.kind().into())
}

#[test]
fn replies_in_pieces_and_twice_are_whole() {
    let tree = tcp(&json!({"split": {"p": 1, "pieces": 4, "gap_ms": 2}, "duplicate": 1}));
    let run = start(&tree, &[]);
    let mut centre = run.tcp("site");
    let clean = meter(1, 5, &[1, 2, 3, 4]);
    let answer = meter(1, 1, &[0, 9, 2, 1]);
    centre.send(&[meter(1, 1, &[0, 9]), clean.clone()].concat());
    centre.expect(&[answer.clone(), answer, clean].concat());
    let ended = run.stop();
    assert_eq!(ledger(&tree), [(1, vec!["duplicate".to_owned(), "split".to_owned()])].into());
    // The reply, its copy, and the other one; pieces are none.
    assert_eq!(ended.count("/totals/answered"), 3);
}

/// Sends one request. Returns whether it was answered within that time.
fn is_answered(run: &Run, transport: &str, within: Duration) -> bool {
    let frame = meter(1, 1, &[0, 9]);
    if transport == "udp" {
        let centre = run.udp("site");
        centre.0.set_read_timeout(Some(within)).expect("not zero");
        centre.send(&request(ID, METER, &frame));
        return centre.0.recv(&mut [0; 64]).is_ok();
    }
    // After a reset there is no peer, or not even a connection.
    TcpStream::connect_timeout(&run.address("site"), PATIENCE)
        .and_then(|mut centre| {
            centre.set_read_timeout(Some(PATIENCE))?;
            centre.write_all(&frame)?;
            Ok(centre.read(&mut [0; 64])? > 0)
        })
        .unwrap_or_else(|error| {
            let expected = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(expected.contains(&error.kind()), "{error}");
            false
        })
}

/// An outage without an end, until the configuration no longer has it.
#[test]
fn an_outage_silences_and_refuses() {
    for transport in ["udp", "tcp"] {
        let fsus = [fsu("site", ID, transport, &json!({}))];
        let tree = Tree::new(&fsus, &json!({"faults_at": [{"fsu": "si*", "offline": true}]}));
        let mut run = start(&tree, &[]);
        for _ in 0..3 {
            assert!(!is_answered(&run, transport, Duration::from_millis(100)), "{transport}: answered in the outage");
        }
        tree.set_fsus(&fsus, &json!({}));
        run.reload();
        for _ in 0..2 {
            assert!(is_answered(&run, transport, PATIENCE), "{transport}: not answered after the outage");
        }
        let ended = run.stop();
        let told = ledger(&tree);
        reconcile(&ended, &told);
        assert_eq!(told.keys().copied().collect::<Vec<_>>(), [0]);
        let text = std::fs::read_to_string(tree.path("ledger.jsonl")).expect("a ledger");
        let frame = if transport == "udp" { "request" } else { "connection" };
        let expected = format!(r#""message":0,"kind":"offline","reply":0,"of":0,"frame":"{frame}"}}"#);
        assert!(text.lines().all(|line| line.ends_with(&expected)), "{text}");
        assert_eq!((ended.count("/totals/faults/offline"), ended.count("/totals/answered")), (3, 2));
    }
}

#[test]
fn a_ledger_that_cannot_be_written_ends_the_run_at_once() {
    let tree = tcp(&json!({}));
    let mut command = std::process::Command::new(crate::harness::PROGRAM);
    command
        .arg("run")
        .arg("--config")
        .arg(tree.path("sys_config.json"))
        .arg("--fault-ledger")
        .arg(tree.path("no/such"));
    let ended = crate::harness::run_to_end(&mut command);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--fault-ledger"), "{}", ended.stderr);
}

/// Diagnostics of `check` for an FSU of that transport with these faults: place within its file, and text.
fn check(transport: &str, place: &str, faults: &Value, expected: &[&str]) {
    let (mut own, mut more) = (json!({}), json!({}));
    match place {
        "fsu" => own["faults"] = faults.clone(),
        "sys" => more["faults"] = faults.clone(),
        "at" => more["faults_at"] = faults.clone(),
        _ => {}
    }
    let tree = Tree::new(&[fsu("site", ID, transport, &own)], &more);
    if place == "rule" {
        tree.write("meter/rules/default.json", &json!({"01": faults}).to_string());
    }
    let mut command = std::process::Command::new(crate::harness::PROGRAM);
    let ended = crate::harness::run_to_end(command.arg("check").arg(tree.path("sys_config.json")));
    let said: Vec<&str> = ended.stdout.iter().filter_map(|line| Some(line.split_once(": /")?.1)).collect();
    assert_eq!(said, expected, "{:?} {}", ended.stdout, ended.stderr);
}

#[test]
fn what_cannot_be_is_told_with_its_place() {
    check("udp", "fsu", &json!({"drop": 0.5, "reorder_ms": {"p": 1, "ms": 5}, "bad_verify": 1}), &[]);
    check("tcp", "fsu", &json!({"reset": 0, "stall": 1, "split": {"p": 0.5}}), &[]);
    check("udp", "fsu", &json!({"drop": 1.5}), &["fsu_list/0/faults/drop: error: probability 1.5 (0 to 1)"]);
    check("udp", "sys", &json!({"drop": -0.1}), &["faults/drop: error: probability -0.1 (0 to 1)"]);
    check(
        "udp",
        "fsu",
        &json!({"reset": 0.1}),
        &["fsu_list/0/faults/reset: error: `reset` is for tcp FSUs only, and this one is udp"],
    );
    check(
        "broadcast",
        "sys",
        &json!({"bad_verify": 0.1}),
        &["faults/bad_verify: error: `bad_verify` is for udp FSUs only, and the fleet has none"],
    );
    check(
        "udp",
        "rule",
        &json!({"faults": {"split": {"p": 1, "pieces": 2}}}),
        &["01/faults/split: error: `split` is for tcp FSUs only, and no FSU with this device is one"],
    );
    check(
        "udp",
        "rule",
        &json!({"faults": {"offline": true}}),
        &["01/faults/offline: error: an FSU is offline, not a device or a rule (its `faults`, or `faults_at`)"],
    );
    check(
        "udp",
        "rule",
        &json!({"burst": 2}),
        &["01/burst: error: `burst` without `cycle` (it sends the next entries of a cycle)"],
    );
    check("udp", "rule", &json!({"cycle": [{}], "burst": 0}), &["01/burst: error: burst 0 (1 to 1000)"]);
    check(
        "tcp",
        "fsu",
        &json!({"split": {"p": 1, "pieces": 1, "gap_ms": 0}, "extra_delay_ms": {"ms": 0}}),
        &[
            "fsu_list/0/faults/split/pieces: error: 1 (2 to 64)",
            "fsu_list/0/faults/split/gap_ms: error: 0 (1 to 60000)",
            "fsu_list/0/faults/extra_delay_ms: error: \"p\" is missing (a probability, 0 to 1)",
            "fsu_list/0/faults/extra_delay_ms/ms: error: 0 (1 to 3600000)",
        ],
    );
    check(
        "udp",
        "at",
        &json!([{"from_s": 5, "to_s": 5, "faults": {"drop": 1}}, {"fsu": "other*", "offline": true}, {"from_s": 1}]),
        &[
            "faults_at/0/to_s: error: it ends before it begins (`to_s` after `from_s`)",
            "faults_at/2: warning: nothing is made then (`faults`, or `\"offline\": true`)",
        ],
    );
    check(
        "udp",
        "at",
        &json!([{"fsu": "other*", "offline": true}]),
        &["faults_at/0: warning: no FSU's name fits `other*`"],
    );
}

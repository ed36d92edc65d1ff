//! Runs that lose replies and get others twice: each is told, and none cancels another out.

use super::bursts::small;
use super::{METER, counts, fleet, flood, peer, tag, total};
use crate::harness::{PATIENCE, Run, Tree, fsu};
use crate::wire::{meter, reply};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Of each 50 replies one is lost, and the one behind it comes twice.
fn times(number: usize) -> usize {
    match number % 50 {
        7 => 0,
        8 => 2,
        _ => 1,
    }
}

/// A relay of datagrams to `to`, until a datagram comes from another than the one that asks. What `run` would print of it.
fn datagrams(name: &str, to: SocketAddr) -> (Vec<String>, JoinHandle<()>) {
    let here = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let there = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    there.connect(to).expect("a local address");
    let said = vec![format!("listening {name} udp {}", here.local_addr().expect("bound"))];
    let relay = std::thread::spawn(move || {
        let (requests, replies) = (here.try_clone().expect("a socket"), there.try_clone().expect("a socket"));
        here.set_read_timeout(Some(PATIENCE)).expect("not zero");
        let mut buffer = [0; 2048];
        let (size, asker) = here.recv_from(&mut buffer).expect("a request");
        there.send(&buffer[..size]).expect("sent");
        replies.set_read_timeout(Some(Duration::from_millis(500))).expect("not zero");
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let back = std::thread::spawn(move || {
            let (mut buffer, mut number) = ([0; 2048], 0);
            while !is_over.load(Ordering::Relaxed) {
                let Ok(size) = replies.recv(&mut buffer) else { continue };
                for _ in 0..times(number) {
                    requests.send_to(&buffer[..size], asker).expect("sent");
                }
                number += 1;
            }
        });
        while let Ok((size, from)) = here.recv_from(&mut buffer)
            && from == asker
        {
            there.send(&buffer[..size]).expect("sent");
        }
        over.store(true, Ordering::Relaxed);
        back.join().expect("the way back");
    });
    (said, relay)
}

/// A relay of one connection to `to`, whose replies have 10 bytes.
fn stream(name: &str, to: SocketAddr) -> (Vec<String>, JoinHandle<()>) {
    let here = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let said = vec![format!("listening {name} tcp {}", here.local_addr().expect("bound"))];
    let relay = std::thread::spawn(move || {
        let (mut asker, _) = here.accept().expect("a connection");
        let mut there = TcpStream::connect(to).expect("it listens");
        let (mut replies, mut back) = (there.try_clone().expect("a stream"), asker.try_clone().expect("a stream"));
        let back = std::thread::spawn(move || {
            let (mut buffer, mut number) = ([0; 10], 0);
            while replies.read_exact(&mut buffer).is_ok() {
                if back.write_all(&buffer.repeat(times(number))).is_err() {
                    break;
                }
                number += 1;
            }
        });
        let mut buffer = [0; 4096];
        while let Ok(size @ 1..) = asker.read(&mut buffer) {
            there.write_all(&buffer[..size]).expect("sent");
        }
        drop(there.shutdown(std::net::Shutdown::Both));
        back.join().expect("the way back");
    });
    (said, relay)
}

#[test]
fn h07_lost_and_doubled_replies_do_not_cancel_each_other_out() {
    let tree = fleet();
    let run = Run::start(&tree, &[]);
    let check = |name: &str, more: &[&str]| {
        let is_tcp = more.contains(&"--tcp");
        let (said, relay) = if is_tcp { stream(name, run.address(name)) } else { datagrams(name, run.address(name)) };
        let args = ["--mix", "05", "--fsu", name, "--requests", "1000", "--timeout-ms", "2000"];
        let (ended, report) = flood(&tree, &said, &[&args[..], more].concat());
        if let Some(at) = said[0].strip_prefix(&format!("listening {name} udp ")) {
            UdpSocket::bind("127.0.0.1:0").and_then(|other| other.send_to(&[0], at)).expect("sent");
        }
        relay.join().expect("the relay");
        assert_eq!(ended.code, Some(1), "{more:?}: {ended:?}");
        assert_eq!(counts(&report), [1_000, 980, 0, 0, 20, 0], "{more:?}: {report:#}");
        let beside = ["duplicate", "unexpected", "reconnects", "doubtful"].map(|name| total(&report, name));
        assert_eq!(beside, [20, 0, 0, 0], "{more:?}: {report:#}");
        assert_eq!((&report["verdict"]["passed"], &report["verdict"]["certain"]), (&json!(false), &json!(true)));
        let failures = report["verdict"]["failures"].to_string();
        assert!(failures.contains("20 duplicate replies") && failures.contains("20 lost"), "{failures}");
        let account = json!({"fsu": name, "sent": 1_000, "good": 980, "late": 0, "wrong": 0, "lost": 20, "silent": 0,
            "duplicate": 20, "unexpected": 0});
        assert_eq!((&report["fsus"], &report["fsus_not_right"]), (&json!([account]), &json!(1)), "{more:?}");
        let line = format!("FSU          {name}: 1,000 sent = 980 good + 20 lost; 20 duplicate");
        assert!(ended.stdout.join("\n").contains(&line), "{ended:?}");
    };
    check("one", &["--window", "16"]);
    check("one", &["--window", "64", "--no-gso"]);
    check("one", &["--rate", "2000"]);
    check("stream", &["--tcp", "--pipelining", "16"]);
    check("stream", &["--tcp", "--pipelining", "64"]);
    run.stop();
}

/// What the mock breaks on purpose, and writes down, is what the flood counts.
#[test]
fn h07_the_columns_are_those_of_the_ledger() {
    let faults = json!({"faults": {"drop": 0.03, "duplicate": 0.03}});
    let fsus = [fsu("one", "20250125", "udp", &faults), fsu("stream", "20250127", "tcp", &faults)];
    let tree = Tree::new(&fsus, &json!({}));
    let ledger = tree.path("ledger.jsonl").display().to_string();
    for more in [&["--fsu", "one", "--window", "32"][..], &["--tcp", "--pipelining", "32"]] {
        let run = Run::start(&tree, &["--seed", "7", "--fault-ledger", &ledger]);
        let args = ["--mix", "05", "--requests", "1000", "--timeout-ms", "2000"];
        let (ended, report) = flood(&tree, &run.said, &[&args[..], more].concat());
        run.stop();
        let lines = std::fs::read_to_string(&ledger).expect("a ledger");
        let count = |kind: &str| {
            let is = |line: &&str| serde_json::from_str::<Value>(line).expect("JSON")["kind"] == kind;
            lines.lines().filter(is).count() as u64
        };
        let (dropped, doubled) = (count("drop"), count("duplicate"));
        assert!(dropped > 10 && doubled > 10, "{dropped} {doubled}");
        assert_eq!(counts(&report), [1_000, 1_000 - dropped, 0, 0, dropped, 0], "{more:?}: {report:#}");
        assert_eq!((total(&report, "duplicate"), ended.code), (doubled, Some(1)), "{more:?}: {report:#}");
    }
}

/// What a peer answers.
type Answers = fn(&[u8]) -> Vec<Vec<u8>>;

/// One in 25 replies differs from the rule's: each counts once, and does not affect another request.
#[test]
fn h07_a_wrong_reply_is_counted_once_at_any_window() {
    let tree = fleet();
    // Another size, and an undecodable one.
    let answers: [Answers; 2] =
        [|asked| vec![answer(asked, |tag| tag.truncate(3))], |asked| vec![answer(asked, Vec::clear)]];
    for (answers, why) in answers.into_iter().zip(["size", "verify"]) {
        for window in ["1", "16", "64"] {
            let (said, peer) = peer(answers);
            let args = ["--mix", "05", "--fsu", "one", "--requests", "200", "--timeout-ms", "1000", "--window", window];
            let (ended, report) = flood(&tree, &said, &args);
            peer.join().expect("the peer");
            assert_eq!(counts(&report), [200, 192, 0, 8, 0, 0], "{why} {window}: {report:#}");
            assert_eq!((total(&report, "duplicate"), total(&report, "unexpected")), (0, 0), "{why} {window}");
            assert_eq!((report["verdict"]["certain"].clone(), ended.code), (json!(true), Some(1)), "{why} {window}");
        }
    }
}

/// The right reply, but for every 25th request, whose tag `damage` changes; without a tag it has a wrong P_verify, too.
fn answer(asked: &[u8], damage: fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut tag = tag(asked);
    if tag[3] % 25 == 3 {
        damage(&mut tag);
    }
    let mut bytes = reply("20250125", METER, &meter(0, 5, &tag));
    if tag.is_empty() {
        bytes[9] ^= 1;
    }
    bytes
}

/// A command whose reply takes nothing over: the counts may be wrong, and the report says so.
#[test]
fn h07_what_is_not_certain_is_told() {
    let tree = small(r#"{"01": {"data": {"v": "55"}}}"#, r#"{"01": []}"#);
    let run = Run::start(&tree, &[]);
    let page = tree.path("report.html").display().to_string();
    for more in [&["--fsu", "udp", "--window", "8"][..], &["--tcp", "--pipelining", "8"]] {
        let (ended, report) = flood(&tree, &run.said, &[&["--requests", "80", "--html", &page], more].concat());
        assert_eq!((ended.code, counts(&report)), (Some(0), [80, 80, 0, 0, 0, 0]), "{ended:?}");
        assert_eq!(report["verdict"]["certain"], false);
        assert_eq!(report["totals"]["counts"]["uncertain"], 80);
        assert_eq!(report["commands"][0]["counts"]["uncertain"], 80);
        let note = "80 requests in total may have received another's reply. Requests of 01 of v are equal: no reply copies a byte in which \
            they could differ. A lost and a duplicate reply cancel each other out there, so these counts are uncertain.";
        assert_eq!(report["notes"][0], note);
        let text = ended.stdout.join("\n");
        for said in ["  uncertain    80", note, "passed, but uncertain: 80 of 80 requests equal others"] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(
            std::fs::read_to_string(&page)
                .expect("written")
                .contains("<strong>Passed, but uncertain</strong>: 80 of 80")
        );
    }
    // So far apart that none can be taken for another's.
    let args = ["--fsu", "udp", "--rate", "4", "--requests", "3", "--timeout-ms", "100"];
    let (ended, report) = flood(&tree, &run.said, &args);
    assert_eq!((ended.code, &report["verdict"]["certain"]), (Some(0), &json!(true)), "{ended:?}");
    run.stop();
}

/// On demand requests are equal, as they were made by hand.
#[test]
fn h07_equal_requests_are_asked_for() {
    let tree = fleet();
    let (said, peer) = peer(|asked| {
        assert_eq!(tag(asked), [0; 4]);
        vec![super::right(asked)]
    });
    let args = ["--mix", "05", "--fsu", "one", "--requests", "20", "--window", "4", "--equal"];
    let (ended, report) = flood(&tree, &said, &args);
    assert_eq!((ended.code, counts(&report)), (Some(0), [20, 20, 0, 0, 0, 0]), "{ended:?}");
    assert_eq!(report["verdict"]["certain"], false);
    assert!(report["notes"].to_string().contains("Requests of 05 of invented are equal (--equal)"), "{report:#}");
    peer.join().expect("the peer");
}

//! The log files of a run: how much comes into them, and what becomes of them when others move or remove them.

use crate::harness::{Run, Tree, fsu};
use crate::wire::{meter, reply, request};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::UdpSocket;

const ID: &str = "20250125";

/// How many a line `N more WHAT in the last second` tells, all of them together.
fn summed(log: &str, what: &str) -> usize {
    let line = |line: &str| line.strip_suffix(what)?.rsplit_once(": ")?.1.trim().parse::<usize>().ok();
    log.lines().filter_map(line).sum()
}

#[test]
fn h11_a_flood_of_new_sources_writes_a_bounded_log() {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({}));
    let run = Run::start(&tree, &["--shards", "1", "--performance"]);
    let sources = 500;
    // All of them are kept, so that no port comes twice.
    let centres: Vec<_> = (0..sources).map(|_| run.udp("site")).collect();
    for (n, centre) in centres.iter().enumerate() {
        centre.ask(&request(ID, [1, 1], &meter(1, 1, &[0, n as u8])));
        centre.send(b"garbage");
    }
    let ended = run.stop();
    assert_eq!(ended.count("/totals/answered"), sources as u64);
    let log = tree.system_log();
    let told = |text: &str| log.lines().filter(|line| line.contains("site: centre ") && line.contains(text)).count();
    let more = |what: &str| {
        let (one, many) =
            (format!(" more centre {what} in the last second"), format!(" more centres {what} in the last second"));
        summed(&log, &one) + summed(&log, &many)
    };
    // All are in the log, by themselves or in a sum.
    assert_eq!(told(" online") + more("online"), sources, "{log}");
    assert_eq!((told(" forgotten") + more("offline")) as u64, ended.count("/totals/centres_offline"), "{log}");
    // A second by the log's clock has the end of one of the program's and the beginning of the next.
    let mut seconds = BTreeMap::<&str, usize>::new();
    log.lines().filter(|line| line.contains("shard::")).for_each(|line| *seconds.entry(&line[..20]).or_default() += 1);
    assert!(seconds.values().all(|&lines| lines <= 2 * (10 + 1) * 2 + 5), "{seconds:?}\n{log}");
    assert_eq!(log.lines().filter(|line| line.contains("; bytes ")).count(), 1, "{log}");
}

#[test]
fn h11_lines_about_frames_are_bounded_too() {
    let tree =
        Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({"log": {"level": "debug", "maxSize": 100_000_000}}));
    let run = Run::start(&tree, &["--shards", "1"]);
    let centre = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    // Twenty requests a datagram: two lines each.
    let (asked, frames) = (request(ID, [1, 1], &meter(1, 2, &[])).repeat(20), 10_000);
    for _ in 0..frames / 20 {
        centre.send_to(&asked, run.address("site")).unwrap();
    }
    let last = run.udp("site");
    last.send(&request(ID, [1, 1], &meter(1, 1, &[0, 1])));
    assert_eq!(last.receive(), reply(ID, [1, 1], &meter(1, 1, &[0, 1, 2, 1])));
    run.stop();
    let log = tree.system_log();
    let told = log.lines().filter(|line| line.contains(" decoded ") || line.contains(" encoded ")).count();
    let more = summed(&log, " more lines about frames in the last second");
    assert_eq!(told + more, frames + 2, "{told} and {more}");
    let mut seconds = BTreeMap::<&str, usize>::new();
    log.lines().filter(|line| line.contains("coded ")).for_each(|line| *seconds.entry(&line[..20]).or_default() += 1);
    assert!(told <= 1_000 * (seconds.len() + 1), "{seconds:?}");
}

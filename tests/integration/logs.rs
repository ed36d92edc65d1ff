//! The log files of a run: how much comes into them, and what becomes of them when others move or remove them.

use crate::harness::{Run, Tree, fsu, until};
use crate::wire::{meter, reply, request};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::PathBuf;

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

/// The only file of a directory of logs.
fn only(tree: &Tree, dir: &str) -> Option<PathBuf> {
    let mut files = std::fs::read_dir(tree.path(dir)).ok()?.flatten().map(|entry| entry.path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "log"))
}

#[test]
fn h14_log_files_that_are_removed_or_renamed_are_there_again() {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({}));
    let run = Run::start(&tree, &["--shards", "1"]);
    let centre = run.udp("site");
    let ask = |tag: u8| {
        let answer = centre.ask(&request(ID, [1, 1], &meter(1, 1, &[0, tag])));
        assert_eq!(answer, reply(ID, [1, 1], &meter(1, 1, &[0, tag, 2, 1])));
    };
    let records = |dir: &str| {
        let text = only(&tree, dir).and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        text.matches("  HEX: ").count()
    };
    ask(1);
    until("records", || records("logs/devices") == 2);
    let (system, device) = (only(&tree, "logs").unwrap(), only(&tree, "logs/devices").unwrap());
    // Nothing is to be written meanwhile.
    std::fs::remove_file(&system).unwrap();
    std::fs::remove_file(&device).unwrap();
    until("they are there again", || system.exists() && device.exists());
    ask(2);
    until("its records are in the new file", || records("logs/devices") == 2);
    // As logrotate does it.
    let old = device.with_extension("old");
    std::fs::rename(&device, &old).unwrap();
    until("it is there again", || device.exists());
    ask(3);
    ask(4);
    until("records", || records("logs/devices") == 4);
    assert_eq!(std::fs::read_to_string(&old).unwrap().matches("  HEX: ").count(), 2);
    std::fs::remove_dir_all(tree.path("logs")).unwrap();
    let ended = run.stop();
    assert_eq!(ended.count("/log/device_records_written"), 8);
    assert!(std::fs::read_to_string(&system).unwrap().contains("ended after"));
}

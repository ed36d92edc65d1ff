//! The mock tells how late its own replies left.

use crate::harness::{Run, Tree, fsu};
use crate::wire::{meter, request};
use rustix::process::Signal;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ID: &str = "20250125";
const METER: [u8; 2] = [1, 1];
const STOPPED_MS: u64 = 300;

/// Whether all its threads stand: a signal takes a moment.
fn is_stopped(run: &Run) -> bool {
    let tasks = format!("/proc/{}/task", run.pid().as_raw_nonzero());
    std::fs::read_dir(tasks).expect("it runs").all(|task| {
        let stat = std::fs::read_to_string(task.expect("a thread").path().join("stat")).expect("it runs");
        // The name before the state may hold anything but is in parentheses.
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
    })
}

/// While it is stopped a request waits in its socket: that time counts against it.
fn check_stopped(driver: &str) {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({}));
    let run = Run::start(&tree, &["--driver", driver, "--late-limit-ms", "100"]);
    let centre = run.udp("site");
    let asked = request(ID, METER, &meter(1, 1, &[0, 9]));
    run.signal(Signal::STOP);
    while !is_stopped(&run) {
        std::thread::sleep(Duration::from_millis(1));
    }
    (0..5).for_each(|_| centre.send(&asked));
    std::thread::sleep(Duration::from_millis(STOPPED_MS));
    run.signal(Signal::CONT);
    (0..5).for_each(|_| drop(centre.receive()));
    let ended = run.stop();
    assert_eq!(ended.count("/lateness/replies"), 5, "{driver}");
    assert_eq!(ended.count("/lateness/over_limit"), 5, "{driver}");
    assert!(ended.count("/shards/0/lateness/p50_us") >= STOPPED_MS * 1_000, "{driver}");
    let verdict = ended.stdout.iter().find(|line| line.contains("valid")).expect("a verdict");
    assert!(verdict.starts_with("not valid: the mock was ") && verdict.contains("5 of 5 replies"), "{verdict}");
}

#[test]
fn time_in_the_socket_counts() {
    ["poll", "auto"].into_iter().for_each(check_stopped);
}

#[test]
fn a_delay_is_not_lateness_and_counts_from_the_arrival() {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({})), fsu("line", "2", "tcp", &json!({}))], &json!({}));
    // Another machine's pauses are not this test's matter.
    let run = Run::start(&tree, &["--late-limit-ms", "60000"]);
    let (centre, mut line) = (run.udp("site"), run.tcp("line"));
    for _ in 0..3 {
        centre.ask(&request(ID, METER, &meter(1, 3, &[0, 9])));
        line.send(&meter(1, 3, &[0, 9]).repeat(2));
        line.expect(&meter(1, 3, &[0, 9]).repeat(2));
    }
    let ended = run.stop();
    assert_eq!(ended.count("/lateness/replies"), 9);
    assert_eq!(ended.count("/lateness/replies"), ended.count("/totals/answered"));
    assert!(ended.stdout.iter().any(|line| line.starts_with("valid: the mock was at most ")), "{:?}", ended.stdout);
}

/// Stops all threads of the mock for a while.
fn pause(run: &Run) {
    run.signal(Signal::STOP);
    while !is_stopped(run) {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(STOPPED_MS));
    run.signal(Signal::CONT);
}

/// A centre that keeps some requests under way on one connection until it is told to end; how many were answered.
fn pipeline(mut line: crate::harness::Tcp, requests: &[u8], replies: &[u8], ends: &AtomicBool) -> u64 {
    let mut rounds = 0;
    while !ends.load(Ordering::Relaxed) {
        line.send(requests);
        line.expect(replies);
        rounds += 1;
    }
    rounds
}

/// Requests come all the time while the mock is stopped so many times; what it tells of its lateness.
fn check_stream(args: &[&str], command: u8, stops: u64) {
    const UNDER_WAY: usize = 8;
    let tree = Tree::new(&[fsu("line", ID, "tcp", &json!({}))], &json!({}));
    let run = Run::start(&tree, &[args, &["--late-limit-ms", "100"]].concat());
    let lines = [run.tcp("line"), run.tcp("line")];
    let ends = AtomicBool::new(false);
    let asked = meter(1, command, &[0, 9]).repeat(UNDER_WAY);
    let answer = if command == 1 { meter(1, 1, &[0, 9, 2, 1]) } else { meter(1, command, &[0, 9]) }.repeat(UNDER_WAY);
    let rounds: u64 = std::thread::scope(|scope| {
        let asking = lines.map(|line| scope.spawn(|| pipeline(line, &asked, &answer, &ends)));
        for _ in 0..stops {
            pause(&run);
        }
        // One more that comes in a stop.
        let mut last = run.tcp("line");
        if stops > 0 {
            run.signal(Signal::STOP);
            while !is_stopped(&run) {
                std::thread::sleep(Duration::from_millis(1));
            }
            last.send(&asked);
            std::thread::sleep(Duration::from_millis(STOPPED_MS));
            run.signal(Signal::CONT);
        } else {
            last.send(&asked);
        }
        last.expect(&answer);
        ends.store(true, Ordering::Relaxed);
        asking.map(|asking| asking.join().expect("answered")).iter().sum::<u64>() + 1
    });
    let ended = run.stop();
    let replies = rounds * UNDER_WAY as u64;
    assert_eq!(
        (ended.count("/lateness/replies"), ended.count("/lateness/stream_replies")),
        (replies, replies),
        "{args:?}"
    );
    let (max_us, over) = (ended.count("/lateness/max_us"), ended.count("/lateness/over_limit"));
    let verdict = ended.stdout.iter().find(|line| line.contains("valid")).expect("a verdict");
    println!("{args:?} {command} {stops}: {max_us} {over} {verdict}");
}

#[test]
fn h06_stops_are_seen_in_what_comes_over_tcp() {
    for driver in ["poll", "auto"] {
        for command in [1, 3] {
            check_stream(&["--driver", driver], command, 3);
            check_stream(&["--driver", driver], command, 0);
        }
    }
}

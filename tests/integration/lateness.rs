//! The mock reports the lateness of its own replies.

use crate::bounds::without_io_uring;
use crate::harness::{Run, Tcp, Tree, fsu};
use crate::wire::{meter, request};
use rustix::process::Signal;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ID: &str = "20250125";
const METER: [u8; 2] = [1, 1];
const STOPPED_MS: u64 = 300;

/// Whether all its threads are stopped: a signal takes a moment.
fn is_stopped(run: &Run) -> bool {
    let tasks = format!("/proc/{}/task", run.pid().as_raw_nonzero());
    std::fs::read_dir(tasks).expect("it runs").all(|task| {
        let stat = std::fs::read_to_string(task.expect("a thread").path().join("stat")).expect("it runs");
        // The name before the state may hold anything but is in parentheses.
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
    })
}

/// While the mock is stopped a request waits in its socket: that time counts as lateness.
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

/// A centre that keeps some requests in flight on one connection, until it is stopped or has sent enough.
fn pipeline(mut line: Tcp, asked: &[u8], answer: &[u8], ends: &AtomicBool) {
    for _ in 0..500 {
        line.send(asked);
        line.expect(answer);
        if ends.load(Ordering::Relaxed) {
            break;
        }
    }
}

/// Three stops while requests are under way, and come, on connections: on one that was there before, and on one that is made meanwhile.
fn check_stopped_streams(args: &[&str], command: u8) {
    const UNDER_WAY: usize = 8;
    let tree = Tree::new(&[fsu("line", ID, "tcp", &json!({}))], &json!({}));
    let run = Run::start(&tree, &[args, &["--late-limit-ms", "100"]].concat());
    let asked = meter(1, command, &[0, 9]).repeat(UNDER_WAY);
    let answer = if command == 1 { meter(1, 1, &[0, 9, 2, 1]) } else { meter(1, command, &[0, 9]) }.repeat(UNDER_WAY);
    let (busy, mut old, ends) = (run.tcp("line"), run.tcp("line"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| pipeline(busy, &asked, &answer, &ends));
        for _ in 0..3 {
            run.signal(Signal::STOP);
            while !is_stopped(&run) {
                std::thread::sleep(Duration::from_millis(1));
            }
            old.send(&asked);
            let mut new = run.tcp("line");
            new.send(&asked);
            std::thread::sleep(Duration::from_millis(STOPPED_MS));
            run.signal(Signal::CONT);
            old.expect(&answer);
            new.expect(&answer);
        }
        ends.store(true, Ordering::Relaxed);
    });
    let ended = run.stop();
    let count = |pointer| ended.count(pointer);
    // Less what a stop may have hidden behind.
    assert!(count("/lateness/max_us") >= STOPPED_MS * 1_000 - count("/lateness/stream_unseen_us"), "{args:?}");
    assert!(count("/lateness/over_limit") >= 3 * 2 * UNDER_WAY as u64, "{args:?}: {}", count("/lateness/over_limit"));
    assert_eq!(count("/lateness/stream_replies"), count("/lateness/replies"), "{args:?}");
    let verdict = ended.stdout.iter().find(|line| line.contains("valid")).expect("a verdict");
    assert!(verdict.starts_with("not valid: the mock was ") && verdict.contains("went into connections"), "{verdict}");
}

#[test]
fn h06_stops_count_against_what_comes_over_tcp() {
    for driver in ["poll", "auto"] {
        // At once, and after a delay.
        for command in [1, 3] {
            check_stopped_streams(&["--driver", driver], command);
        }
    }
}

#[test]
fn h06_stops_count_without_an_executor_too() {
    without_io_uring(libc::EPERM, || check_stopped_streams(&["--driver", "poll"], 1));
}

#[test]
fn h06_without_stops_connections_are_answered_in_time() {
    for driver in ["poll", "auto"] {
        let tree = Tree::new(&[fsu("line", ID, "tcp", &json!({}))], &json!({}));
        // Another machine's pauses are not this test's matter.
        let run = Run::start(&tree, &["--driver", driver, "--late-limit-ms", "60000"]);
        let mut line = run.tcp("line");
        for _ in 0..50 {
            line.send(&meter(1, 1, &[0, 9]).repeat(2));
            line.expect(&meter(1, 1, &[0, 9, 2, 1]).repeat(2));
        }
        let ended = run.stop();
        assert_eq!(
            ["/lateness/replies", "/lateness/stream_replies", "/lateness/over_limit"].map(|key| ended.count(key)),
            [100, 100, 0]
        );
        let said = "; 100 of 100 replies went into connections, where a stop of less than 5 ms may go unseen";
        let verdict = ended.stdout.iter().find(|line| line.contains("valid")).expect("a verdict");
        assert!(verdict.starts_with("valid: the mock was at most ") && verdict.ends_with(said), "{verdict}");
    }
}

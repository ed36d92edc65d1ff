//! Another configuration, without an end.

use crate::harness::{PATIENCE, Run, Tcp, Tree, Udp, assert_bytes, fsu, until};
use crate::wire::{lamp, meter, reply, request};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const ID: &str = "20250125";
const METER: [u8; 2] = [1, 1];
const DRIVERS: [&str; 2] = ["poll", "auto"];

fn set_level(tree: &Tree, level: u16) {
    let rules = json!({"01": {"data": {"level": level}}, "02": {"timeout": true}, "03": {"delay": {"fixed": 300}}});
    tree.write("meter/rules/default.json", &rules.to_string());
}

/// The meter's level as a centre over UDP gets it.
fn level(run: &Run, name: &str, id: &str) -> u16 {
    let answer = run.udp(name).ask(&request(id, METER, &meter(1, 1, &[0, 1])));
    let expected = |level: u16| {
        let [high, low] = level.to_be_bytes();
        reply(id, METER, &meter(1, 1, &[0, 1, high, low]))
    };
    (0..=u16::MAX).find(|&level| expected(level) == answer).expect("a level")
}

/// What somebody who asks on and on got so far, by level, and when to stop.
#[derive(Default)]
struct Load {
    got: [AtomicU64; 2],
    done: AtomicBool,
}

impl Load {
    fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    fn got(&self, level: usize) -> u64 {
        self.got[level].load(Ordering::Relaxed)
    }

    /// An answer has to be one of the two.
    fn count(&self, answers: &[Vec<u8>; 2], answer: &[u8]) {
        let level = answers.iter().position(|expected| expected == answer).expect("one of both versions");
        self.got[level].fetch_add(1, Ordering::Relaxed);
    }

    /// Until it has got this level more often than `before`.
    fn until_more(&self, level: usize, before: u64) {
        until(&format!("no answer of level {level} since the reload"), || self.got(level) != before);
    }
}

/// Stops them however the test goes.
struct Stop<'a>(&'a [Load]);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|load| load.done.store(true, Ordering::Relaxed));
    }
}

/// Asks one by one until told to stop; every request has to be answered with one of those two levels.
fn hammer_udp(to: SocketAddr, levels: [u16; 2], load: &Load) {
    let centre = Udp::new(to);
    let answers = levels.map(|level| {
        let [high, low] = level.to_be_bytes();
        reply(ID, METER, &meter(1, 1, &[0, 1, high, low]))
    });
    while !load.is_done() {
        load.count(&answers, &centre.ask(&request(ID, METER, &meter(1, 1, &[0, 1]))));
    }
}

/// The same on one connection, eight requests at a time.
fn hammer_tcp(to: SocketAddr, levels: [u16; 2], load: &Load) {
    const AT_ONCE: usize = 8;
    let mut centre = Tcp::new(to).0;
    let answers = levels.map(|level| {
        let [high, low] = level.to_be_bytes();
        meter(1, 1, &[0, 1, high, low])
    });
    let asked = meter(1, 1, &[0, 1]).repeat(AT_ONCE);
    let mut got = vec![0; answers[0].len() * AT_ONCE];
    while !load.is_done() {
        // In two pieces, somewhere within a frame.
        centre.write_all(&asked[..asked.len() / 2 + 3]).expect("sent");
        centre.write_all(&asked[asked.len() / 2 + 3..]).expect("sent");
        centre.read_exact(&mut got).expect("every request is answered");
        got.chunks(answers[0].len()).for_each(|answer| load.count(&answers, answer));
    }
}

fn check_load(driver: &str) {
    const LEVELS: [u16; 2] = [0x0102, 0x0304];
    const RELOADS: usize = 20;
    let fsus = [fsu("by_udp", ID, "udp", &json!({})), fsu("by_tcp", "2", "tcp", &json!({}))];
    let tree = Tree::new(&fsus, &json!({"log": {"on_full": "block"}}));
    set_level(&tree, LEVELS[0]);
    let mut run = Run::start(&tree, &["--shards", "2", "--driver", driver]);
    let loads = [Load::default(), Load::default()];
    let (by_udp, by_tcp) = (run.address("by_udp"), run.address("by_tcp"));
    let mut total = 0;
    std::thread::scope(|scope| {
        let udp = scope.spawn(|| hammer_udp(by_udp, LEVELS, &loads[0]));
        let tcp = scope.spawn(|| hammer_tcp(by_tcp, LEVELS, &loads[1]));
        let stop = Stop(&loads);
        for round in 1..=RELOADS {
            let level_now = round % 2;
            set_level(&tree, LEVELS[level_now]);
            assert!(run.reload().starts_with("reloaded: 2 FSUs stay, 0 new, 0 gone"), "{:?}", run.said);
            let before = loads.each_ref().map(|load| load.got(level_now));
            assert_eq!(level(&run, "by_udp", ID), LEVELS[level_now], "from the reload on");
            total += 1;
            loads.iter().zip(before).for_each(|(load, before)| load.until_more(level_now, before));
        }
        drop(stop);
        udp.join().expect("no request was lost");
        tcp.join().expect("no request was lost");
    });
    total += loads.iter().flat_map(|load| [load.got(0), load.got(1)]).sum::<u64>();
    let ended = run.stop();
    assert_eq!(ended.count("/run/reloads"), RELOADS as u64);
    assert_eq!(ended.count("/totals/answered"), total);
    assert_eq!(ended.count("/totals/received"), total);
    assert_eq!(ended.count("/totals/dropped_total"), 0);
    assert_eq!(ended.count("/totals/connections"), 1, "the connection went through all of them");
    assert_eq!(ended.count("/log/device_records_written"), 2 * total);
}

#[test]
fn no_request_is_lost_under_load() {
    DRIVERS.into_iter().for_each(check_load);
}

#[test]
fn a_bad_file_changes_nothing() {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({}));
    let mut run = Run::start(&tree, &[]);
    tree.write("meter/rules/default.json", r#"{"01": {"data": {"colour": 1}}}"#);
    run.signal(rustix::process::Signal::HUP);
    tree.until_logged("reload failed");
    assert_eq!(level(&run, "site", ID), 513);
    set_level(&tree, 7);
    run.reload();
    assert_eq!(level(&run, "site", ID), 7);
    let ended = run.stop();
    assert_eq!((ended.count("/run/reloads"), ended.count("/run/reloads_failed")), (1, 1));
    assert!(ended.stderr.contains("default.json:1:") && ended.stderr.contains("/01/data/colour"), "{}", ended.stderr);
}

fn check_fleet(driver: &str) {
    let stays = fsu("stays", ID, "tcp", &json!({}));
    let goes = [fsu("goes_udp", "2", "udp", &json!({})), fsu("goes_tcp", "3", "tcp", &json!({}))];
    let tree = Tree::new(&[goes[0].clone(), goes[1].clone(), stays.clone()], &json!({}));
    let mut run = Run::start(&tree, &["--driver", driver]);
    let mut kept = run.tcp("stays");
    kept.send(&meter(1, 1, &[0, 1]));
    kept.expect(&meter(1, 1, &[0, 1, 2, 1]));
    // Half of a frame, and a reply that is due after the reload.
    kept.send(&[meter(1, 3, &[0, 3]), meter(1, 1, &[0, 2])[..4].to_vec()].concat());
    let mut lost = run.tcp("goes_tcp");
    run.udp("goes_udp").ask(&request("2", METER, &meter(1, 1, &[0, 1])));
    let new: Vec<Value> =
        (0..20).map(|n| fsu(&format!("new{n}"), &format!("4{n}"), ["udp", "tcp"][n % 2], &json!({}))).collect();
    tree.set_fsus(&[&new[..], std::slice::from_ref(&stays)].concat(), &json!({}));
    let told = run.reload();
    assert!(told.starts_with("reloaded: 1 FSU stays, 20 new, 2 gone"), "{told}");
    for n in 0..20 {
        let name = format!("new{n}");
        if n % 2 == 0 {
            assert_eq!(level(&run, &name, &format!("4{n}")), 513);
        } else {
            let mut centre = run.tcp(&name);
            centre.send(&lamp(1, 1));
            centre.expect(&lamp(1, 0x80));
        }
    }
    lost.expect_end();
    until("the ports are still taken", || {
        UdpSocket::bind(run.address("goes_udp")).is_ok() && TcpStream::connect(run.address("goes_tcp")).is_err()
    });
    kept.expect(&meter(1, 3, &[0, 3]));
    kept.send(&meter(1, 1, &[0, 2])[4..]);
    kept.expect(&meter(1, 1, &[0, 2, 2, 1]));
    // And back: places are had again.
    tree.set_fsus(&[stays, goes[0].clone()], &json!({}));
    assert!(run.reload().starts_with("reloaded: 1 FSU stays, 1 new, 20 gone"));
    assert_eq!(level(&run, "goes_udp", "2"), 513);
    kept.send(&meter(1, 1, &[0, 2]));
    kept.expect(&meter(1, 1, &[0, 2, 2, 1]));
    let ended = run.stop();
    assert_eq!(ended.count("/gone/fsus"), 22);
    assert_eq!(ended.count("/gone/answered"), 1 + 20);
    assert_eq!(ended.count("/totals/answered"), 4 + 21 + 1);
    assert_eq!(ended.stats["fsus"].as_array().map(Vec::len), Some(2));
}

#[test]
fn fsus_come_stay_and_go() {
    DRIVERS.into_iter().for_each(check_fleet);
}

#[test]
fn a_taken_port_fails_the_reload_as_a_whole() {
    let first = fsu("first", ID, "udp", &json!({}));
    let tree = Tree::new(std::slice::from_ref(&first), &json!({}));
    let mut run = Run::start(&tree, &[]);
    let taken = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    set_level(&tree, 9);
    let both = [first, fsu("second", "2", "udp", &json!({"port": port}))];
    tree.set_fsus(&both, &json!({}));
    run.signal(rustix::process::Signal::HUP);
    tree.until_logged("reload failed");
    assert_eq!(level(&run, "first", ID), 513, "nothing of it is served");
    drop(taken);
    run.reload();
    assert_eq!(level(&run, "first", ID), 9);
    let ended = run.stop();
    assert!(ended.stderr.contains("second udp") && ended.stderr.contains("in use"), "{}", ended.stderr);
}

#[test]
fn an_address_changes_hands() {
    let at = |name: &str, id: &str, port: u16| fsu(name, id, "udp", &json!({"port": port}));
    let free = UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let tree = Tree::new(&[at("before", ID, free)], &json!({}));
    let mut run = Run::start(&tree, &[]);
    tree.set_fsus(&[at("after", "2", free)], &json!({}));
    assert!(run.reload().starts_with("reloaded: 0 FSUs stay, 1 new, 1 gone"));
    let centre = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    centre.set_read_timeout(Some(PATIENCE)).unwrap();
    centre.send_to(&request("2", METER, &meter(1, 1, &[0, 1])), ("127.0.0.1", free)).unwrap();
    let mut buffer = [0; 100];
    let size = centre.recv(&mut buffer).unwrap();
    assert_bytes(&buffer[..size], &reply("2", METER, &meter(1, 1, &[0, 1, 2, 1])));
    let ended = run.stop();
    assert_eq!((ended.count("/gone/fsus"), ended.count("/fsus/0/answered")), (1, 1));
}

#[test]
fn what_an_fsu_remembers_goes_on() {
    let rules = |last: u16| {
        let cycle = json!([{"level": 1}, {"level": 2}, {"level": last}]);
        json!({"01": {"cycle": cycle}}).to_string()
    };
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({}));
    tree.write("meter/rules/default.json", &rules(3));
    let mut run = Run::start(&tree, &[]);
    assert_eq!([level(&run, "site", ID), level(&run, "site", ID)], [1, 2]);
    tree.write("meter/rules/default.json", &rules(30));
    run.reload();
    assert_eq!([level(&run, "site", ID), level(&run, "site", ID)], [30, 1]);
    run.stop();
}

#[test]
fn a_change_of_a_file_is_seen() {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({}));
    let mut run = Run::start(&tree, &["--watch"]);
    set_level(&tree, 5);
    run.until("reloaded: ");
    assert_eq!(level(&run, "site", ID), 5);
    // A bad file does not end it.
    tree.write("meter/rules/default.json", "{");
    tree.until_logged("reload failed");
    assert_eq!(level(&run, "site", ID), 5);
    // As editors save.
    tree.write("meter/rules/.new", r#"{"01": {"data": {"level": 6}}}"#);
    std::fs::rename(tree.path("meter/rules/.new"), tree.path("meter/rules/default.json")).unwrap();
    run.until("reloaded: ");
    assert_eq!(level(&run, "site", ID), 6);
    run.stop();
}

#[test]
fn what_takes_a_restart_is_said() {
    let site = [fsu("site", ID, "udp", &json!({}))];
    let tree = Tree::new(&site, &json!({}));
    let mut run = Run::start(&tree, &[]);
    tree.set_fsus(&site, &json!({"log": {"dir": tree.path("elsewhere"), "level": "debug"}}));
    run.reload();
    tree.until_logged("takes a restart");
    run.stop();
    assert!(!tree.path("elsewhere").exists());
}

/// A reload past the budget leaves what is served, and says what did not fit.
#[test]
fn h09_a_reload_past_the_budget_changes_nothing() {
    let site = [fsu("site", ID, "udp", &json!({}))];
    let tree = Tree::new(&site, &json!({"limits": {"plan_bytes_max": 4_194_304}}));
    let mut run = Run::start(&tree, &[]);
    let turns = vec![r#"{"level":1}"#; 100_000].join(",");
    tree.write("meter/rules/default.json", &format!(r#"{{"01": {{"cycle": [{turns}]}}}}"#));
    run.signal(rustix::process::Signal::HUP);
    tree.until_logged("reload failed");
    assert_eq!(level(&run, "site", ID), 513);
    set_level(&tree, 7);
    run.reload();
    assert_eq!(level(&run, "site", ID), 7);
    let ended = run.stop();
    assert!(ended.stderr.contains("past `limits.plan_bytes_max` (4194304, of which "), "{}", ended.stderr);
}

/// A million values are read for longer than a signal takes: the run ends without what is read.
#[test]
fn h10_a_signal_ends_a_reload_at_once() {
    let tree = Tree::new(&[fsu("site", ID, "udp", &json!({}))], &json!({}));
    let run = Run::start(&tree, &[]);
    let values = "1,".repeat(1_500_000);
    tree.write("meter/rules/default.json", &format!(r#"{{"_": [{values}1], "01": {{"data": {{"colour": 1}}}}}}"#));
    run.signal(rustix::process::Signal::HUP);
    tree.until_logged("reading the configuration again");
    let ended = run.stop();
    assert_eq!((ended.count("/run/reloads"), ended.count("/run/reloads_failed")), (0, 0));
    assert!(!ended.stderr.contains("colour"), "{}", ended.stderr);
}

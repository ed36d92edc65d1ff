//! The device log of a run, against what was on the wire.

use crate::harness::{Run, Tree, fsu};
use crate::wire::{meter, reply, request};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

/// Hex of received and sent frames in the device log of one FSU, in file order.
#[derive(Debug, Default, PartialEq)]
struct Logged {
    received: Vec<String>,
    sent: Vec<String>,
}

/// The device logs of a directory by FSU name, rotated files first.
fn read(dir: &Path) -> HashMap<String, Logged> {
    let mut files: Vec<_> =
        std::fs::read_dir(dir.join("devices")).expect("device logs").map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut logs: HashMap<String, Logged> = HashMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("UTF-8");
        let mut sent = false;
        for line in text.lines() {
            // [time] [SEND] fsu[name:id] peer what
            if let Some((_, rest)) = line.split_once("] [") {
                sent = rest.starts_with("SEND]");
                assert!(sent || rest.starts_with("RECV]"), "{line}");
                let name = rest.split_once("fsu[").and_then(|(_, rest)| rest.split_once(':')).expect("a name").0;
                logs.entry(name.to_owned()).or_default();
                let log = logs.get_mut(name).expect("just put in");
                let list = if sent { &mut log.sent } else { &mut log.received };
                list.push(String::new());
            } else if let Some(hex) = line.strip_prefix("  HEX: ") {
                let name = file.file_name().unwrap().to_string_lossy();
                let (_, log) =
                    logs.iter_mut().find(|(fsu, _)| name.starts_with(&format!("{fsu}_"))).expect("its own file");
                let list = if sent { &mut log.sent } else { &mut log.received };
                *list.last_mut().expect("a record's head came before") = hex.replace(' ', "");
            }
        }
    }
    logs
}

const FSUS: u8 = 10;
const REQUESTS: u8 = 200;

/// 2,000 requests at once to ten FSUs, then the end: the logs hold exactly what was on the wire.
fn check_burst(transport: &str, asked: impl Fn(u8, u8) -> Vec<u8>, answered: impl Fn(u8, u8) -> Vec<u8>) {
    let fsus: Vec<Value> =
        (0..FSUS).map(|n| fsu(&format!("site{n}"), &format!("2025012{n}"), transport, &json!({}))).collect();
    let tree = Tree::new(&fsus, &json!({"log": {"on_full": "block", "maxSize": 100_000_000}}));
    let run = Run::start(&tree, &["--shards", "2"]);
    let mut expected: HashMap<String, Logged> = HashMap::new();
    for n in 0..FSUS {
        let hex = |frame: &dyn Fn(u8, u8) -> Vec<u8>| (0..REQUESTS).map(|i| hex::encode_upper(frame(n, i))).collect();
        expected.insert(format!("site{n}"), Logged { received: hex(&asked), sent: hex(&answered) });
    }
    if transport == "udp" {
        // A socket each way takes 200 small datagrams with the system's default buffers.
        let centres: Vec<_> = (0..FSUS).map(|n| run.udp(&format!("site{n}"))).collect();
        for i in 0..REQUESTS {
            for (n, centre) in (0..).zip(&centres) {
                centre.send(&asked(n, i));
            }
        }
        for (n, centre) in (0..).zip(&centres) {
            for i in 0..REQUESTS {
                assert_eq!(hex::encode_upper(centre.receive()), hex::encode_upper(answered(n, i)));
            }
        }
    } else {
        let mut centres: Vec<_> = (0..FSUS).map(|n| run.tcp(&format!("site{n}"))).collect();
        for (n, centre) in (0..).zip(&mut centres) {
            centre.send(&(0..REQUESTS).flat_map(|i| asked(n, i)).collect::<Vec<u8>>());
        }
        for (n, centre) in (0..).zip(&mut centres) {
            centre.expect(&(0..REQUESTS).flat_map(|i| answered(n, i)).collect::<Vec<u8>>());
        }
    }
    let ended = run.stop();
    let all = u64::from(FSUS) * u64::from(REQUESTS);
    assert_eq!(ended.count("/totals/answered"), all);
    assert_eq!(ended.count("/totals/log_records_lost"), 0);
    assert_eq!(ended.count("/log/device_records_written"), 2 * all);
    assert_eq!(ended.count("/log/device_records_lost"), 0);
    let logged = read(&tree.path("logs"));
    for (name, expected) in &expected {
        assert_eq!(logged.get(name), Some(expected), "{name}");
    }
}

#[test]
fn a_burst_over_udp_is_logged_whole() {
    let id = |n: u8| format!("2025012{n}");
    check_burst(
        "udp",
        |n, i| request(&id(n), [1, 1], &meter(0xFE, 1, &[n, i])),
        |n, i| reply(&id(n), [1, 1], &meter(0xFE, 1, &[n, i, 2, 1])),
    );
}

#[test]
fn a_burst_over_tcp_is_logged_whole() {
    check_burst("tcp", |n, i| meter(3, 1, &[n, i]), |n, i| meter(3, 1, &[n, i, 2, 1]));
}

/// Device logs that a run with `--performance` leaves.
fn files_of_performance_mode(settings: &Value) -> usize {
    let tree = Tree::new(&[fsu("site", "1", "tcp", &json!({}))], &json!({"performance": settings}));
    let run = Run::start(&tree, &["--performance"]);
    let mut centre = run.tcp("site");
    centre.send(&meter(1, 1, &[0, 1]));
    centre.expect(&meter(1, 1, &[0, 1, 2, 1]));
    run.stop();
    std::fs::read_dir(tree.path("logs/devices")).map_or(0, Iterator::count)
}

#[test]
fn performance_mode_writes_none_unless_that_is_kept() {
    assert_eq!(files_of_performance_mode(&json!({})), 0);
    assert_eq!(files_of_performance_mode(&json!({"skip_device_log": false})), 1);
}

#[test]
fn the_system_log_tells_of_start_and_end() {
    let tree = Tree::new(&[fsu("site", "1", "udp", &json!({}))], &json!({}));
    let run = Run::start(&tree, &[]);
    let address = run.address("site").to_string();
    run.stop();
    let files = std::fs::read_dir(tree.path("logs")).expect("logs").map(|file| file.unwrap().path());
    let text: String = files.filter(|path| path.is_file()).map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for expected in [env!("CARGO_PKG_VERSION"), "sys_config.json", &address, "ready", "SIGTERM", "received"] {
        assert!(text.contains(expected), "{expected:?} is not in:\n{text}");
    }
}

//! Streams with errors, requests longer than listed, and delays to the nanosecond, with both drivers.

use crate::harness::{Run, Tree, fsu};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DRIVERS: [&str; 2] = ["poll", "auto"];

/// `7E cmd sn data.. xor 7E`: command 01 has two bytes of data, 02 any.
fn flags() -> Value {
    json!({"vendor": "invented", "rule_file_list": ["default.json"], "protocol": {
    "dynamic_length": true, "data_frame_type_flag": "cmd", "checksum": {"algorithm": "xor"},
    "pdu_left": [{"name": "start", "length": 1, "value": "7E"}, {"name": "cmd", "length": 1}, {"name": "sn", "length": 1}],
    "pdu_tailer": [{"name": "check", "length": 1}, {"name": "end", "length": 1, "value": "7E"}],
    "data_frame": [
        {"data_frame_type": "01", "req_data_list": [{"name": "a", "length": 2}], "resp_data_list": [{"name": "a", "length": 2}]},
        {"data_frame_type": "02", "resp_data_list": []},
    ]}})
}

/// `68 length cmd data.. 16`: command 01 lists one byte of data, 02 none.
fn counted() -> Value {
    let command = |key: &str, asked: Value| json!({"data_frame_type": key, "req_data_list": asked, "resp_data_list": [{"name": "a", "length": 1}]});
    json!({"vendor": "invented", "rule_file_list": ["default.json"], "protocol": {
        "dynamic_length": true, "data_frame_type_flag": "cmd",
        "pdu_left": [{"name": "start", "length": 1, "value": "68"}, {"name": "len", "length": 1, "type": "length"}, {"name": "cmd", "length": 1}],
        "pdu_tailer": [{"name": "end", "length": 1, "value": "16"}],
        "data_frame": [command("01", json!([{"name": "a", "length": 1}])), command("02", json!([]))]}})
}

/// An FSU for each of these (name, transport, verify_checksum), with that template and that rule for each command.
fn tree(template: &Value, rule: &Value, fsus: &[(&str, &str, &str)]) -> Tree {
    let list: Vec<Value> = fsus
        .iter()
        .map(|(name, transport, verify)| fsu(name, name, transport, &json!({"config_dir": format!("./{verify}")})))
        .collect();
    let tree = Tree::new(&list, &json!({}));
    tree.write("own/template.json", &template.to_string());
    tree.write("own/default.json", &json!({"01": rule, "02": rule}).to_string());
    for (_, _, verify) in fsus {
        let devices = json!({"device_list": [{"sub_dev_type": "01", "sub_dev_addr": "01",
            "protocol_template": "../own/template.json", "verify_checksum": verify}]});
        tree.write(&format!("{verify}/fsu_devices.json"), &devices.to_string());
    }
    tree
}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).expect("hex")
}

#[test]
fn n10_good_frames_behind_anything_are_answered() {
    let tree = tree(&flags(), &json!({}), &[("1", "tcp", "warn"), ("2", "tcp", "strict")]);
    // What precedes the good frames: a stray flag, half frames, a frame's tail.
    let befores = ["7E", "7E01", "7E0111", "7E0111AABB", "BB017E", "017E", "33"];
    let good = bytes("7E0111AABB017E 7E02220102030405217E");
    let replies = bytes("7E0111AABB017E 7E0222207E");
    for driver in DRIVERS {
        let run = Run::start(&tree, &["--driver", driver]);
        for name in ["1", "2"] {
            for before in befores.map(bytes) {
                let all = [&before[..], &good].concat();
                // In one piece, and in two, where the first ends within the preceding bytes or one byte after them.
                for split in [all.len(), before.len(), before.len() + 1] {
                    let mut centre = run.tcp(name);
                    centre.send(&all[..split]);
                    std::thread::sleep(Duration::from_millis(if split < all.len() { 3 } else { 0 }));
                    centre.send(&all[split..]);
                    centre.expect(&replies);
                }
            }
        }
        run.stop();
    }
}

/// It waits in case its end begins a good one, and is then judged.
#[test]
fn n10_a_wrong_frame_alone_is_answered_under_warn() {
    let tree = tree(&flags(), &json!({}), &[("1", "tcp", "warn"), ("2", "tcp", "strict")]);
    for driver in DRIVERS {
        let run = Run::start(&tree, &["--driver", driver]);
        let mut centre = run.tcp("1");
        for _ in 0..2 {
            centre.send(&bytes("7E0111AABB027E"));
            centre.expect(&bytes("7E0111AABB017E"));
        }
        let mut strict = run.tcp("2");
        strict.send(&bytes("7E0111AABB027E"));
        strict.0.shutdown(std::net::Shutdown::Write).expect("connected");
        strict.expect_end();
        let ended = run.stop();
        assert_eq!(ended.count("/totals/bad_checksum_seen"), 3, "{driver}");
        assert_eq!(ended.count("/totals/dropped/bad_checksum"), 1, "{driver}");
        assert_eq!(ended.count("/totals/dropped/garbage_bytes"), 0, "{driver}");
    }
}

#[test]
fn n11_a_request_longer_than_listed_is_answered_alike() {
    let tree = tree(&counted(), &json!({}), &[("1", "tcp", "warn"), ("2", "broadcast", "warn")]);
    for driver in DRIVERS {
        let run = Run::start(&tree, &["--driver", driver]);
        let (mut stream, datagrams) = (run.tcp("1"), run.udp("2"));
        for (request, reply) in [("68 02 01 AABB 16", "68 01 01 AA 16"), ("68 02 02 AABB 16", "68 01 02 00 16")] {
            stream.send(&bytes(request));
            stream.expect(&bytes(reply));
            assert_eq!(datagrams.ask(&bytes(request)), bytes(reply));
        }
        run.stop();
    }
}

#[test]
fn n09_no_reply_leaves_early() {
    const DELAY_MS: u64 = 20;
    let rule = json!({"delay": {"fixed": DELAY_MS}});
    let tree = tree(&counted(), &rule, &[("1", "tcp", "warn"), ("2", "broadcast", "warn")]);
    for driver in DRIVERS {
        let run = Run::start(&tree, &["--driver", driver]);
        let (mut stream, datagrams) = (run.tcp("1"), run.udp("2"));
        let request = bytes("68 01 01 AA 16");
        for pause_us in (0..40).map(|n| 137 * n) {
            // At any place of a millisecond.
            std::thread::sleep(Duration::from_micros(pause_us % 1_000));
            let begin = Instant::now();
            stream.send(&request);
            stream.expect(&request);
            assert!(begin.elapsed() >= Duration::from_millis(DELAY_MS), "{driver}, tcp: {:?}", begin.elapsed());
            let begin = Instant::now();
            assert_eq!(datagrams.ask(&request), request);
            assert!(begin.elapsed() >= Duration::from_millis(DELAY_MS), "{driver}, broadcast: {:?}", begin.elapsed());
        }
        run.stop();
    }
}
